//! Were the promises kept?
//!
//! Compares what a probe saw with what the exchange sent, number by number:
//!
//! ```text
//!                    in a gap of its epoch    in none
//!  delivered         belied                   fine
//!  not delivered     lost, declared           lost, undeclared
//! ```
//!
//! What was delivered must be equal in content to what the decoder makes of the session, less what was
//! lost; content that could not be compared proves nothing, and an end must be where the session ended.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use twinfeed_control::Epoch;

use crate::error::Error;
use crate::probe::wire::{Epochs, Gap, Summary};
use crate::truth::{Conversion, Sent};

/// What came out, summed over all sessions.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered.
    pub lost: u64,
    /// Of the lost, those that a gap names.
    pub declared: u64,
    /// Of the lost, those that no gap names.
    pub undeclared: u64,
    /// Source messages that a gap names and that were delivered all the same.
    pub belied: u64,
    /// Records delivered twice.
    pub duplicates_delivered: u64,
    /// Records that the library dropped as delivered before; 0 means that one leg was not there.
    pub duplicates_dropped: u64,
    /// Records out of order.
    pub order_violations: u64,
    /// Sessions whose delivered content is not what was sent.
    pub wrong_content: u64,
    /// Sessions of which nothing can be said of the content.
    pub uncompared: u64,
    /// Sessions that were said to have ended at a number at which they did not.
    pub wrong_ends: u64,
    /// Records in epochs that nobody sent.
    pub strays: u64,
    /// Gaps declared.
    pub gaps: u64,
    /// Discontinuities and resets declared, other than joins and new epochs.
    pub breaks: u64,
    /// Switches.
    pub switches: u64,
    /// Datagrams dropped by the kernel at the sockets of leg 0 and leg 1.
    pub kernel_drops: [u64; 2],
    /// Session by session.
    pub sessions: Vec<SessionVerdict>,
}

/// One session.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionVerdict {
    /// Its name.
    pub session: String,
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered.
    pub lost: u64,
    /// Of the lost, those that a gap names.
    pub declared: u64,
    /// Named by a gap and delivered all the same.
    pub belied: u64,
    /// Whether the delivered content is what was sent; `null` if too many ranges are missing to say, or
    /// nothing was delivered.
    pub content_equal: Option<bool>,
    /// The number at which it was said to have ended, if it did not end there.
    pub wrong_end: Option<u64>,
}

impl Verdict {
    /// What was promised and not kept, in words; empty if all is well.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (count, what) in [
            (self.lost, "source messages lost"),
            (self.undeclared, UNDECLARED),
            (self.belied, BELIED),
            (self.duplicates_delivered, "records delivered twice"),
            (self.order_violations, "records out of order"),
            (self.wrong_content, "sessions with wrong content"),
            (self.uncompared, UNCOMPARED),
            (self.wrong_ends, WRONG_ENDS),
            (self.breaks, "discontinuities within a session"),
            (self.strays, "records of sessions that nobody sent"),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
        if self.messages == 0 {
            broken.push("nothing was sent: there was nothing to prove".to_owned());
        }
        if self.duplicates_dropped == 0 {
            broken.push("no duplicate was dropped: one of the legs was not there".to_owned());
        }
        broken
    }

    /// Whether the host could not keep up: both sockets of the probe lost datagrams in its kernel.
    /// Such a run says nothing about the product and is counted apart.
    #[must_use]
    pub fn overload(&self) -> bool {
        self.kernel_drops.iter().all(|drops| *drops > 0)
    }
}

/// Judges a probe that subscribed before the first session began.
///
/// # Errors
/// When what the exchange wrote down cannot be read or decoded.
pub fn judge(sent: &[Sent], conversion: &Conversion, seen: &Summary) -> Result<Verdict, Error> {
    judge_with(sent, conversion, seen, false)
}

/// Judges a probe that may have joined in mid-session: of the first session it saw, what went before its
/// first record does not count.
///
/// # Errors
/// As [`judge`].
pub fn judge_late(
    sent: &[Sent],
    conversion: &Conversion,
    seen: &Summary,
) -> Result<Verdict, Error> {
    judge_with(sent, conversion, seen, true)
}

fn judge_with(
    sent: &[Sent],
    conversion: &Conversion,
    seen: &Summary,
    late: bool,
) -> Result<Verdict, Error> {
    let joined = seen.epochs.first();
    let mut verdict = Verdict {
        duplicates_dropped: seen.duplicates_dropped,
        gaps: seen.gaps.len() as u64,
        breaks: seen.breaks.len() as u64,
        switches: seen.receipts.len() as u64,
        kernel_drops: seen.kernel_drops,
        duplicates_delivered: seen.epochs.iter().map(|epoch| epoch.duplicates).sum(),
        order_violations: seen.epochs.iter().map(|epoch| epoch.order_violations).sum(),
        ..Verdict::default()
    };
    let start = match (late, joined) {
        (true, Some(joined)) => sent
            .iter()
            .position(|it| it.epoch == joined.epoch)
            .unwrap_or(0),
        _ => 0,
    };
    for session in &sent[start..] {
        let epoch = seen
            .epochs
            .iter()
            .find(|epoch| epoch.epoch == session.epoch);
        let from = match joined {
            Some(joined) if late && joined.epoch == session.epoch => joined.first,
            _ => session.session.first,
        };
        let gaps = Ranges::declared(&seen.gaps, session.epoch);
        let judged = judge_session(session, conversion, epoch, &gaps, from)?;
        verdict.messages += judged.messages;
        verdict.lost += judged.lost;
        verdict.declared += judged.declared;
        verdict.undeclared += judged.lost - judged.declared;
        verdict.belied += judged.belied;
        verdict.wrong_content += u64::from(judged.content_equal == Some(false));
        verdict.uncompared += u64::from(judged.content_equal.is_none());
        verdict.wrong_ends += u64::from(judged.wrong_end.is_some());
        verdict.sessions.push(judged);
    }
    let known = |epoch: &&Epochs| sent.iter().all(|session| session.epoch != epoch.epoch);
    verdict.strays = seen
        .epochs
        .iter()
        .filter(known)
        .map(|epoch| epoch.records)
        .sum();
    Ok(verdict)
}

fn judge_session(
    session: &Sent,
    conversion: &Conversion,
    seen: Option<&Epochs>,
    gaps: &Ranges,
    from: u64,
) -> Result<SessionVerdict, Error> {
    let absent = seen.map(|seen| Ranges::of(seen.absent.iter().map(|&[from, until]| from..until)));
    let there = |sseq| match (seen, &absent) {
        (Some(seen), Some(absent)) => {
            (seen.first..seen.next).contains(&sseq) && !absent.contains(sseq)
        }
        _ => false,
    };
    let (mut messages, mut declared, mut belied) = (0, 0, 0);
    // Called once per source message that becomes records.
    let delivered = session.expect(conversion, |sseq| {
        let (there, told) = (there(sseq), gaps.contains(sseq));
        if sseq >= from {
            messages += 1;
            declared += u64::from(told && !there);
            belied += u64::from(told && there);
        }
        there
    })?;
    let lost = messages - seen.map_or(0, |seen| seen.messages).min(messages);
    // With ranges left out of the report, what is missing passes for delivered.
    let known = seen.is_none_or(|seen| seen.absent_dropped == 0);
    let (declared, belied) = match known {
        true => (declared, belied),
        false => (declared + belied, 0),
    };
    let end = session.session.first + session.session.count;
    Ok(SessionVerdict {
        session: session.session.session.clone(),
        messages,
        lost,
        declared: lost.min(declared),
        belied,
        content_equal: seen
            .filter(|_| known)
            .map(|seen| delivered.records == seen.records && delivered.digest == seen.digest),
        wrong_end: seen
            .and_then(|seen| seen.ended_before)
            .filter(|told| *told != end),
    })
}

/// Source numbers of one epoch: ranges in rising order that neither touch nor overlap.
struct Ranges(Vec<Range<u64>>);

impl Ranges {
    fn of(ranges: impl Iterator<Item = Range<u64>>) -> Self {
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Self(ranges)
    }

    /// What was declared missing in an epoch.
    fn declared(gaps: &[Gap], epoch: Epoch) -> Self {
        let ours = gaps.iter().filter(|gap| gap.epoch == epoch);
        Self::of(ours.map(|gap| gap.from..gap.until))
    }

    fn contains(&self, sseq: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= sseq);
        self.0.get(at).is_some_and(|range| range.contains(&sseq))
    }
}

/// Lost in silence.
pub const UNDECLARED: &str = "source messages lost without a declared gap";
/// Declared in vain.
pub const BELIED: &str = "source messages declared missing and delivered all the same";
/// Not proved.
pub const UNCOMPARED: &str = "sessions whose content could not be compared";
/// Ended too early, or too late.
pub const WRONG_ENDS: &str = "sessions said to have ended where they did not";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use twinfeed_feed_adapter::decode::itch50;

    use super::*;
    use crate::truth::sessions;

    fn conversion() -> Conversion {
        let settings = itch50::Settings {
            publisher_id: 2,
            max_open_orders: 64,
        };
        Conversion {
            day: "2019-12-30".parse().unwrap(),
            settings,
        }
    }

    /// One session of four system events, numbers 7 to 10, as an exchange writes it down.
    fn sent(directory: &Path) -> Sent {
        let truth = directory.join("truth.jsonl");
        let line = r#"{"session":"S000000001","first":7,"count":4,"digest":"0"}"#;
        std::fs::write(&truth, line).unwrap();
        let mut file = Vec::new();
        for code in *b"OSQM" {
            file.extend([0, 12, b'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, code]);
        }
        std::fs::write(directory.join("S000000001.itch"), file).unwrap();
        let mut sent = sessions(&truth, directory, &conversion().day).unwrap();
        sent.remove(0)
    }

    /// What a probe says that got every number for which `delivered` holds, in order.
    fn seen(sent: &Sent, delivered: impl Fn(u64) -> bool + Copy) -> Summary {
        let expected = sent.expect(&conversion(), delivered).unwrap();
        let got = || (7..11).filter(|&sseq| delivered(sseq));
        let (first, next) = (got().min().unwrap(), got().max().unwrap() + 1);
        let absent = (first..next).filter(|&sseq| !delivered(sseq));
        Summary {
            duplicates_dropped: 1,
            epochs: vec![Epochs {
                epoch: sent.epoch,
                first,
                next,
                records: expected.records,
                messages: expected.messages,
                digest: expected.digest,
                absent: absent.map(|sseq| [sseq, sseq + 1]).collect(),
                ..Epochs::default()
            }],
            ..Summary::default()
        }
    }

    fn judged(change: impl FnOnce(&mut Summary)) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let mut summary = seen(&sent, |_| true);
        change(&mut summary);
        judge(&[sent], &conversion(), &summary).unwrap()
    }

    fn gap(seen: &Summary, numbers: Range<u64>) -> Gap {
        Gap {
            at_ns: 0,
            sid: 1,
            epoch: seen.epochs[0].epoch,
            from: numbers.start,
            until: numbers.end,
            cause: "lost_on_every_leg".to_owned(),
        }
    }

    #[test]
    fn all_is_well_when_everything_came_once() {
        let verdict = judged(|it| it.epochs[0].ended_before = Some(11));
        assert_eq!(verdict.broken(), Vec::<String>::new());
        assert_eq!((verdict.messages, verdict.lost), (4, 0));
        assert_eq!(verdict.sessions[0].content_equal, Some(true));
    }

    #[test]
    fn every_broken_promise_is_named() {
        for (change, word) in [
            (
                (|it| it.epochs[0].duplicates = 1) as fn(&mut Summary),
                "twice",
            ),
            (|it| it.epochs[0].order_violations = 1, "out of order"),
            (|it| it.epochs[0].digest = Epoch(1), "wrong content"),
            (|it| it.epochs[0].records += 1, "wrong content"),
            (|it| it.epochs[0].epoch = Epoch(1), "lost"),
            (|it| it.epochs[0].epoch = Epoch(1), "nobody sent"),
            (|it| it.epochs.clear(), "lost"),
            (|it| it.epochs.clear(), "without a declared gap"),
            (|it| it.epochs.clear(), "could not be compared"),
            (
                |it| it.epochs[0].absent_dropped = 1,
                "could not be compared",
            ),
            (
                |it| it.epochs[0].ended_before = Some(10),
                "said to have ended",
            ),
            (
                |it| it.epochs[0].ended_before = Some(12),
                "said to have ended",
            ),
            (|it| it.gaps.push(gap(it, 8..9)), "delivered all the same"),
            (|it| it.duplicates_dropped = 0, "no duplicate was dropped"),
        ] {
            let broken = judged(change).broken();
            assert!(
                broken.iter().any(|text| text.contains(word)),
                "{word}: {broken:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_lost_wherever_it_stood_and_the_rest_is_still_compared() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        for missing in [7, 8, 10] {
            let summary = seen(&sent, |sseq| sseq != missing);
            let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
            assert_eq!((verdict.lost, verdict.declared), (1, 0), "{missing}");
            assert_eq!(verdict.wrong_content, 0, "{missing}");
        }
    }

    #[test]
    fn a_declared_loss_is_a_loss() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let mut summary = seen(&sent, |sseq| sseq != 8);
        summary.gaps.push(gap(&summary, 8..9));
        let verdict = judge(&[sent], &conversion(), &summary).unwrap();
        assert_eq!((verdict.lost, verdict.declared, verdict.gaps), (1, 1, 1));
        assert_eq!(verdict.broken(), ["1 source messages lost"]);
    }

    #[test]
    fn a_gap_declares_its_own_numbers_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let elsewhere = |it: &Summary| Gap {
            epoch: Epoch(1),
            ..gap(it, 8..9)
        };
        for (gaps, declared, undeclared, belied) in [
            ((|_| vec![]) as fn(&Summary) -> Vec<Gap>, 0, 2, 0),
            (|it| vec![gap(it, 8..10)], 2, 0, 0),
            (|it| vec![gap(it, 8..9), gap(it, 9..10)], 2, 0, 0),
            (|it| vec![gap(it, 8..10), gap(it, 8..9)], 2, 0, 0),
            (|it| vec![gap(it, 8..9)], 1, 1, 0),
            (|it| vec![gap(it, 7..9)], 1, 1, 1),
            (|it| vec![gap(it, 10..12)], 0, 2, 1),
            (|it| vec![gap(it, 1..20)], 2, 0, 2),
        ] {
            let mut summary = seen(&sent, |sseq| !(8..10).contains(&sseq));
            summary.gaps = gaps(&summary);
            let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
            let counts = (verdict.declared, verdict.undeclared, verdict.belied);
            assert_eq!(counts, (declared, undeclared, belied), "{:?}", summary.gaps);
            assert_eq!((verdict.lost, verdict.wrong_content), (2, 0));
        }
        for (gaps, declared) in [
            (vec![elsewhere as fn(&Summary) -> Gap], 0),
            (vec![|it| gap(it, 1..2), |it| gap(it, 8..9)], 1),
        ] {
            let mut summary = seen(&sent, |sseq| sseq != 8);
            summary.gaps = gaps.iter().map(|gap| gap(&summary)).collect();
            let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
            let counts = (verdict.declared, verdict.undeclared, verdict.belied);
            assert_eq!(counts, (declared, 1 - declared, 0), "{:?}", summary.gaps);
        }
    }

    #[test]
    fn ranges_that_were_left_out_are_neither_compared_nor_belied() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let mut summary = seen(&sent, |sseq| sseq != 8);
        summary.gaps = vec![gap(&summary, 8..9)];
        let epoch = &mut summary.epochs[0];
        (epoch.absent, epoch.absent_dropped) = (Vec::new(), 1);
        let verdict = judge(&[sent], &conversion(), &summary).unwrap();
        assert_eq!((verdict.lost, verdict.declared, verdict.belied), (1, 1, 0));
        assert_eq!((verdict.uncompared, verdict.wrong_content), (1, 0));
    }

    #[test]
    fn who_joins_late_is_owed_what_came_after() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let summary = seen(&sent, |sseq| sseq >= 9);
        let verdict = judge_late(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        assert_eq!(
            (verdict.messages, verdict.lost, verdict.wrong_content),
            (2, 0, 0)
        );
        let strict = judge(&[sent], &conversion(), &summary).unwrap();
        assert_eq!((strict.messages, strict.lost), (4, 2));
    }
}
