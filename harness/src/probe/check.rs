//! Were the records in order, once each, and what did they say?
//!
//! Written without a look at the arbiter, so that it can disagree with it: per (sid, epoch) a last place,
//! the source numbers that were jumped over, and the messages that a declared gap tore, nothing else.

use std::ops::Range;

use twinfeed_control::Epoch;
use twinfeed_subscriber::{Delivered, Place, RecordFlags};

use super::wire::{Epochs, MOST_ABSENT, MOST_STRETCHES, Stretch, Torn};
use crate::truth::Digest;

/// Everything delivered so far, epoch by epoch.
#[derive(Debug, Default)]
pub(super) struct Check {
    epochs: Vec<Tally>,
}

/// One epoch of one source stream.
#[derive(Debug)]
struct Tally {
    sid: u32,
    epoch: u64,
    /// Whether a later epoch of the sid has begun.
    over: bool,
    first: u64,
    /// The last record in order.
    sseq: u64,
    part: u16,
    complete: bool,
    /// First part delivered in a row of the message at hand: 0, unless a gap took those before it.
    run_from: u16,
    /// Where a gap said that it ends, until the next record.
    behind_gap: Option<Place>,
    records: u64,
    messages: u64,
    duplicates: u64,
    order_violations: u64,
    absent: Vec<Range<u64>>,
    absent_dropped: u64,
    torn: Vec<Torn>,
    digest: Digest,
    ended_before: Option<u64>,
    stretches: Vec<Running>,
}

/// A [`Stretch`] that may go on.
#[derive(Debug, Default)]
struct Running {
    since: &'static str,
    from: Option<u64>,
    until: u64,
    legs: [u64; 2],
    digest: Digest,
}

impl Check {
    /// One delivery.
    pub(super) fn record(&mut self, record: &Delivered<'_>) {
        let (sid, epoch) = (record.pos.sid.0, record.pos.epoch.0);
        let last = record.flags.has(RecordFlags::LAST);
        let tally = self.tally(sid, epoch, record.pos.sseq);
        tally.record(record.pos.sseq, record.pos.part, last, record);
    }

    /// A gap was declared.
    pub(super) fn gap(&mut self, (sid, epoch): (u32, u64), from: Place, until: Place) {
        self.tally(sid, epoch, until.sseq).gap(from, until);
    }

    /// Of an epoch, which is begun if it is new.
    fn tally(&mut self, sid: u32, epoch: u64, first: u64) -> &mut Tally {
        let found = self
            .epochs
            .iter()
            .rposition(|it| (it.sid, it.epoch) == (sid, epoch));
        let index = found.unwrap_or_else(|| {
            for earlier in self.epochs.iter_mut().filter(|it| it.sid == sid) {
                earlier.over = true;
            }
            self.epochs.push(Tally::new(sid, epoch, first));
            self.epochs.len() - 1
        });
        &mut self.epochs[index]
    }

    /// What follows is to be told from what came before: `since` says why.
    pub(super) fn mark(&mut self, sid: u32, since: &'static str) {
        let current = self.epochs.iter_mut().rev().find(|it| it.sid == sid);
        if let Some(tally) = current.filter(|tally| tally.stretches.len() < MOST_STRETCHES) {
            tally.stretches.push(Running {
                since,
                ..Running::default()
            });
        }
    }

    /// The end of an epoch was delivered.
    pub(super) fn ended(&mut self, sid: u32, epoch: u64, next: u64) {
        let mut of_sid = self.epochs.iter_mut().rev();
        if let Some(tally) = of_sid.find(|it| (it.sid, it.epoch) == (sid, epoch)) {
            tally.ended_before = Some(next);
        }
    }

    /// Source messages delivered to the end.
    pub(super) fn messages(&self) -> u64 {
        self.epochs.iter().map(|tally| tally.messages).sum()
    }

    /// Epochs whose end was delivered.
    pub(super) fn ended_epochs(&self) -> Vec<Epoch> {
        let ended = self
            .epochs
            .iter()
            .filter(|tally| tally.ended_before.is_some());
        ended.map(|tally| Epoch(tally.epoch)).collect()
    }

    /// For the judge.
    pub(super) fn report(&self) -> Vec<Epochs> {
        self.epochs.iter().map(Tally::report).collect()
    }
}

impl Tally {
    fn new(sid: u32, epoch: u64, first: u64) -> Self {
        Self {
            sid,
            epoch,
            over: false,
            first,
            sseq: first,
            part: 0,
            complete: false,
            run_from: 0,
            behind_gap: None,
            records: 0,
            messages: 0,
            duplicates: 0,
            order_violations: 0,
            absent: Vec::new(),
            absent_dropped: 0,
            torn: Vec::new(),
            digest: Digest::default(),
            ended_before: None,
            stretches: Vec::new(),
        }
    }

    fn record(&mut self, sseq: u64, part: u16, last: bool, record: &Delivered<'_>) {
        let new = self.records == 0;
        let behind_gap = self.behind_gap.take() == Some(Place { sseq, part });
        let repeated = !new && (sseq, part) <= (self.sseq, self.part);
        let follows = match new || self.complete {
            true => part == 0 && (new || sseq > self.sseq),
            false => sseq == self.sseq && part == self.part + 1,
        };
        if repeated {
            let absent = self.absent.iter().any(|range| range.contains(&sseq));
            *(if absent {
                &mut self.order_violations
            } else {
                &mut self.duplicates
            }) += 1;
            return;
        }
        let resumes = behind_gap && (new || self.complete);
        if !(follows || resumes) || self.over {
            self.order_violations += 1;
        }
        if !new && sseq > self.sseq + 1 {
            self.jump(self.sseq + 1..sseq);
        }
        if new {
            self.first = sseq;
        }
        if part == 0 || behind_gap {
            self.run_from = part;
        }
        (self.sseq, self.part, self.complete) = (sseq, part, last);
        self.records += 1;
        match (last, self.run_from) {
            (true, 0) => self.messages += 1,
            (true, _) => self.tear(),
            (false, _) => {}
        }
        self.digest.add(sseq, part, record.kind, record.body);
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.record(record);
        }
    }

    fn gap(&mut self, from: Place, until: Place) {
        let next = Place {
            sseq: self.sseq,
            part: self.part.saturating_add(1),
        };
        if self.records > 0 && !self.complete && from == next {
            self.tear();
            self.complete = true;
        }
        self.behind_gap = Some(until);
    }

    /// Of the message at hand, nothing but the parts since the last gap was delivered up to here.
    fn tear(&mut self) {
        if self.torn.len() < MOST_ABSENT {
            self.torn.push(Torn {
                sseq: self.sseq,
                parts: [self.run_from, self.part.saturating_add(1)],
            });
        } else {
            self.absent_dropped += 1;
        }
    }

    fn jump(&mut self, over: Range<u64>) {
        if self.absent.len() < MOST_ABSENT {
            self.absent.push(over);
        } else {
            self.absent_dropped += 1;
        }
    }

    fn report(&self) -> Epochs {
        Epochs {
            sid: self.sid,
            epoch: Epoch(self.epoch),
            first: self.first,
            next: self.sseq + u64::from(self.records > 0),
            records: self.records,
            messages: self.messages,
            duplicates: self.duplicates,
            order_violations: self.order_violations,
            absent: self
                .absent
                .iter()
                .map(|range| [range.start, range.end])
                .collect(),
            absent_dropped: self.absent_dropped,
            torn: self.torn.clone(),
            digest: Epoch(self.digest.value()),
            ended_before: self.ended_before,
            stretches: self.stretches.iter().map(Running::report).collect(),
        }
    }
}

impl Running {
    fn record(&mut self, record: &Delivered<'_>) {
        self.legs[record.leg.index()] += 1;
        // What was begun before is compared by nobody.
        if self.from.is_some() || record.pos.part == 0 {
            self.from.get_or_insert(record.pos.sseq);
            self.until = record.pos.sseq + 1;
            let (sseq, part) = (record.pos.sseq, record.pos.part);
            self.digest.add(sseq, part, record.kind, record.body);
        }
    }

    fn report(&self) -> Stretch {
        Stretch {
            since: self.since.to_owned(),
            from: self.from.unwrap_or(self.until),
            until: self.until,
            legs: self.legs,
            digest: Epoch(self.digest.value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_subscriber::{Adm, BodyKind, Leg, Pos, Sid};

    use super::*;

    fn check(deliveries: &[(u64, u64, u16, bool)]) -> Vec<Epochs> {
        let mut check = Check::default();
        hear(&mut check, deliveries);
        check.report()
    }

    fn hear(check: &mut Check, deliveries: &[(u64, u64, u16, bool)]) {
        for &(epoch, sseq, part, last) in deliveries {
            check.record(&Delivered {
                pos: Pos {
                    sid: Sid(1),
                    epoch: twinfeed_subscriber::Epoch(epoch),
                    sseq,
                    part,
                },
                kind: BodyKind::Dbn,
                flags: if last {
                    RecordFlags::LAST
                } else {
                    RecordFlags(0)
                },
                adm: Adm(0),
                leg: Leg::Zero,
                body: &[1, 2, 3],
                received_at: 0,
                sent_at: 0,
                next: Place::start(sseq + 1),
                context: twinfeed_subscriber::ContextId(0),
                complete: true,
                numbering: None,
            });
        }
    }

    const fn place(sseq: u64, part: u16) -> Place {
        Place { sseq, part }
    }

    #[test]
    fn what_a_gap_tore_is_in_order_and_not_whole() {
        let mut check = Check::default();
        // Of 5 the tail is missing, of 9 the head, of 10 the middle.
        hear(&mut check, &[(7, 4, 0, true), (7, 5, 0, false)]);
        check.gap((1, 7), place(5, 1), place(9, 1));
        hear(&mut check, &[(7, 9, 1, true), (7, 10, 0, false)]);
        check.gap((1, 7), place(10, 1), place(10, 2));
        hear(&mut check, &[(7, 10, 2, true), (7, 11, 0, true)]);
        let report = check.report();
        let epoch = &report[0];
        assert_eq!((epoch.order_violations, epoch.duplicates), (0, 0));
        assert_eq!((epoch.records, epoch.messages), (6, 2));
        let torn: Vec<_> = epoch.torn.iter().map(|it| (it.sseq, it.parts)).collect();
        let expected = [(5, [0, 1]), (9, [1, 2]), (10, [0, 1]), (10, [2, 3])];
        assert_eq!(torn, expected);
        assert_eq!(epoch.absent, [[6, 9]]);
    }

    #[test]
    fn a_gap_excuses_nothing_but_what_it_names() {
        for (from, until, next) in [
            // It begins behind what is missing, or ends elsewhere.
            (place(6, 0), place(9, 0), (7, 9, 0, true)),
            (place(5, 1), place(9, 1), (7, 9, 2, true)),
            (place(5, 1), place(9, 1), (7, 12, 1, true)),
        ] {
            let mut check = Check::default();
            hear(&mut check, &[(7, 5, 0, false)]);
            check.gap((1, 7), from, until);
            hear(&mut check, &[next]);
            assert_eq!(check.report()[0].order_violations, 1, "{from} {until}");
        }
    }

    #[test]
    fn an_epoch_may_begin_with_a_gap() {
        let mut check = Check::default();
        check.gap((1, 7), place(1, 0), place(4, 1));
        assert_eq!((check.report()[0].first, check.report()[0].next), (4, 4));
        hear(&mut check, &[(7, 4, 1, true), (7, 5, 0, true)]);
        let report = check.report();
        assert_eq!((report[0].first, report[0].next), (4, 6));
        assert_eq!((report[0].order_violations, report[0].messages), (0, 1));
    }

    #[test]
    fn contiguous_records_are_in_order_whatever_their_parts() {
        let report = check(&[
            (7, 5, 0, true),
            (7, 6, 0, false),
            (7, 6, 1, true),
            (7, 7, 0, true),
        ]);
        let epoch = &report[0];
        assert_eq!(
            (epoch.first, epoch.next, epoch.records, epoch.messages),
            (5, 8, 4, 3)
        );
        assert_eq!(
            (epoch.duplicates, epoch.order_violations, epoch.absent.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn every_way_of_being_wrong_is_counted_as_what_it_is() {
        for (deliveries, duplicates, violations, absent) in [
            (vec![(7, 5, 0, true), (7, 5, 0, true)], 1, 0, vec![]),
            (vec![(7, 5, 0, true), (7, 8, 0, true)], 0, 0, vec![[6, 8]]),
            (
                vec![(7, 5, 0, true), (7, 8, 0, true), (7, 6, 0, true)],
                0,
                1,
                vec![[6, 8]],
            ),
            (vec![(7, 5, 1, true)], 0, 1, vec![]),
            (vec![(7, 5, 0, false), (7, 5, 2, true)], 0, 1, vec![]),
            (vec![(7, 5, 0, false), (7, 6, 0, true)], 0, 1, vec![]),
            (
                vec![(7, 5, 0, true), (8, 1, 0, true), (7, 6, 0, true)],
                0,
                1,
                vec![],
            ),
        ] {
            let report = check(&deliveries);
            let epoch = &report[0];
            let seen = (
                epoch.duplicates,
                epoch.order_violations,
                epoch.absent.clone(),
            );
            assert_eq!(seen, (duplicates, violations, absent), "{deliveries:?}");
        }
    }

    #[test]
    fn a_digest_knows_content_place_and_order() {
        let one = check(&[(7, 5, 0, true), (7, 6, 0, true)]);
        let shifted = check(&[(7, 6, 0, true), (7, 7, 0, true)]);
        assert_ne!(one[0].digest, shifted[0].digest);
        assert_eq!(one, check(&[(7, 5, 0, true), (7, 6, 0, true)]));
    }
}
