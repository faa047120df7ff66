//! Joining by hand: what a snapshot must not hide.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod join_support;

use std::time::Duration;

use join_support::{SID, cursor, record, whole};
use twinfeed_protocol::join::{JoinLimits, Joins, Refusal};
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// Events that it was told, and which piece ended a snapshot.
#[derive(Default)]
struct Log(Vec<Event>, usize);

impl Handler for Log {
    fn record(&mut self, _: &Delivered<'_>) {}

    fn event(&mut self, event: &Event) {
        self.0.push(*event);
    }

    fn snapshot(&mut self, _: Sid, piece: &Piece<'_>) {
        self.1 += usize::from(matches!(piece, Piece::End { .. }));
    }
}

struct Case {
    joins: Joins,
    log: Log,
    next: u64,
}

impl Case {
    /// Live behind record 4 of epoch 1.
    fn live(items: usize) -> Self {
        Self::live_within(JoinLimits {
            kept_items: items,
            kept_bytes: 1 << 20,
            time: Duration::from_secs(1),
            ..JoinLimits::default()
        })
    }

    fn live_within(limits: JoinLimits) -> Self {
        let mut joins = Joins::new(limits);
        joins.add_source(SID, false);
        let mut case = Self {
            joins,
            log: Log::default(),
            next: 1,
        };
        case.records(4);
        case
    }

    fn records(&mut self, count: u64) {
        for _ in 0..count {
            let pos = cursor(1, self.next, 0, 0, 0).next;
            let mut through = self.joins.through(Time(1), &mut self.log);
            through.record(&record(pos, true, 0, &[0; 8]));
            self.next += 1;
        }
    }

    fn says(&mut self, event: Event) {
        self.joins.through(Time(1), &mut self.log).event(&event);
    }

    /// A snapshot of everything so far is told, and what was kept behind it; returns what events were told in doing so.
    fn told(&mut self) -> Vec<Event> {
        let end = cursor(1, self.next, 0, self.next - 1, 0);
        self.log.0.clear();
        self.joins
            .on_snapshot(SID, whole(&end, 3, &[1, 2]), &mut self.log);
        self.drain();
        assert_eq!(self.joins.state(SID), Some("live"));
        std::mem::take(&mut self.log.0)
    }

    fn drain(&mut self) {
        while self.joins.tell(Time(1), &mut self.log) > 0 {}
    }
}

fn diverged(pinned: Leg) -> Event {
    Event::Divergence {
        sid: SID,
        epoch: Epoch(1),
        range: 0,
        at: Place::start(5),
        pinned,
    }
}

fn restarts(cause: DiscontinuityCause) -> Event {
    Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(5),
        context: ContextId(1),
        complete: true,
        cause,
    }
}

fn regress() -> Event {
    Event::Reset {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    }
}

fn hole(from: u64, until: u64) -> Event {
    Event::Gap {
        sid: SID,
        epoch: Epoch(1),
        from: Place::start(from),
        until: Place::start(until),
        cause: GapCause::LostOnEveryLeg,
    }
}

fn end_of_epoch(next_sseq: u64) -> Event {
    Event::Ended {
        sid: SID,
        epoch: Epoch(1),
        next_sseq,
    }
}

fn pinned(told: &[Event]) -> Option<Leg> {
    told.iter().find_map(|event| match event {
        Event::Divergence { pinned, .. } => Some(*pinned),
        _ => None,
    })
}

#[test]
fn a_divergence_in_force_is_told_behind_a_snapshot_whoever_is_pinned_by_now() {
    let mut case = Case::live(100);
    case.says(diverged(Leg::One));
    case.says(restarts(DiscontinuityCause::Divergence { from: Leg::One }));
    case.joins.refresh(SID, Time(1));
    case.records(2);
    assert_eq!(pinned(&case.told()), Some(Leg::Zero));
    case.says(Event::Converged {
        sid: SID,
        epoch: Epoch(1),
        range: 1,
    });
    case.joins.refresh(SID, Time(1));
    case.records(1);
    assert_eq!(pinned(&case.told()), None);
    assert_eq!(case.log.1, 2, "two snapshots were told");
}

#[test]
fn a_divergence_that_became_void_holds() {
    for before in [0, 3] {
        let mut case = Case::live(3);
        case.joins.refresh(SID, Time(1));
        // Kept and dropped with all else, or the very thing that finds no room.
        case.records(before);
        case.says(diverged(Leg::One));
        case.records(4);
        assert!(case.joins.counters().restarted > 0);
        assert_eq!(pinned(&case.told()), Some(Leg::One), "{before}");
    }
}

#[test]
fn a_snapshot_covers_no_hole_of_another_count_or_of_numbers_that_began_again() {
    let missing = Event::AdministrativeGap {
        sid: SID,
        from: Adm(2),
        until: Adm(3),
        numbering: Some(Generation(2)),
    };
    let recount = restarts(DiscontinuityCause::Administrative);
    for (opens, lost) in [(recount, missing), (regress(), hole(2, 3))] {
        let mut case = Case::live(100);
        case.joins.refresh(SID, Time(1));
        case.records(2);
        let end = Cursor {
            count: Some((Adm(9), Generation(1))),
            ..cursor(1, case.next, 0, case.next - 1, 0)
        };
        // Nine messages were counted before the records, so that nothing contradicts the snapshot.
        let mut case = Case {
            joins: Joins::new(JoinLimits::default()),
            ..case
        };
        case.joins.add_source(SID, true);
        let pos = cursor(1, case.next - 1, 0, 0, 0).next;
        let said = record(pos, true, 9, &[0; 8]);
        case.joins.through(Time(1), &mut case.log).record(&said);
        case.joins
            .on_snapshot(SID, whole(&end, 3, &[1]), &mut case.log);
        case.drain();
        assert_eq!(case.log.1, 1, "a snapshot was told");
        case.says(opens);
        case.says(lost);
        assert!(case.log.0.contains(&lost), "{:?}", case.log.0);
    }
}

#[test]
fn a_snapshot_that_was_asked_for_before_numbers_began_again_is_not_taken() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(2);
    let serial = case.joins.wishes().next().unwrap().serial;
    let end = cursor(1, case.next, 0, case.next - 1, 0);
    case.says(regress());
    case.next = 1;
    case.records(end.next.sseq);
    let old = whole(&end, 3, &[1]).asked_for(serial);
    case.joins.on_snapshot(SID, old, &mut case.log);
    assert_eq!(case.joins.state(SID), Some("waiting"));
    assert_eq!(case.joins.counters().ignored, 1);
}

#[test]
fn closed_comes_although_a_snapshot_is_wanted_meanwhile() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(2);
    case.says(Event::Closed {
        reason: CloseReason::ByApplication,
    });
    case.joins.refresh(SID, Time(1));
    case.drain();
    let last = case.log.0.last();
    assert!(matches!(last, Some(Event::Closed { .. })), "{last:?}");
}

impl Case {
    /// The next record, which counts so many messages.
    fn counting(&mut self, adm: u64) {
        let pos = cursor(1, self.next, 0, 0, 0).next;
        let mut through = self.joins.through(Time(1), &mut self.log);
        through.record(&record(pos, true, adm, &[0; 8]));
        self.next += 1;
    }

    /// A message behind the last record, in front of which so many were counted.
    fn message(&mut self, adm: u64) {
        let pos = cursor(1, self.next - 1, 0, 0, 0).next;
        let mut said = record(pos, true, adm, &[]);
        said.kind = BodyKind::Administrative;
        self.joins.through(Time(1), &mut self.log).record(&said);
    }

    /// How often it was told that an epoch ended.
    fn ends(&self) -> usize {
        let told = self.log.0.iter();
        told.filter(|it| matches!(it, Event::Ended { .. })).count()
    }

    /// A snapshot that ends so many numbers behind the last record and counts so many messages.
    fn comes(&mut self, beyond: u64, adm: u64) {
        let end = cursor(1, self.next + beyond, 0, self.next + beyond - 1, adm);
        self.joins
            .on_snapshot(SID, whole(&end, 3, &[1]), &mut self.log);
    }
}

/// One adapter has placed a message that the other, whose snapshot it is, has not: a record in front of the snapshot's end may follow.
#[test]
fn a_message_that_a_snapshot_does_not_count_is_no_word_that_its_place_was_reached() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(1);
    case.message(0);
    case.comes(2, 0);
    assert_eq!(case.joins.state(SID), Some("ahead"));
    case.says(restarts(DiscontinuityCause::Administrative));
    case.counting(0);
    assert_eq!(case.joins.state(SID), Some("ahead"), "one is missing");
    case.counting(0);
    case.drain();
    assert_eq!(case.log.1, 1, "told, from where its count holds");
    let told = case.log.0.iter();
    let recounts = |it: &&Event| {
        matches!(
            it,
            Event::Discontinuity {
                cause: DiscontinuityCause::Administrative,
                ..
            }
        )
    };
    assert_eq!(told.filter(recounts).count(), 0, "{:?}", case.log.0);
}

#[test]
fn a_snapshot_beyond_where_messages_were_counted_anew_does_not_stand_in_front_of_that() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(1);
    case.message(0);
    case.message(1);
    // The numbers in front of its end are counted otherwise.
    case.says(restarts(DiscontinuityCause::Administrative));
    case.counting(2);
    case.counting(2);
    case.next -= 2;
    case.comes(1, 1);
    assert_eq!(case.joins.state(SID), Some("waiting"));
    assert_eq!(
        case.joins.wishes().next().unwrap().refused,
        Some(Refusal::Count)
    );
}

#[test]
fn the_end_of_an_epoch_is_told_although_the_word_of_it_was_dropped() {
    // Kept and dropped with all else; the very thing that finds no room; in front of a message that the snapshot counts.
    for (room, before, message) in [(3, 2, false), (3, 3, false), (100, 2, true)] {
        let mut case = Case::live(room);
        case.joins.refresh(SID, Time(1));
        case.records(before);
        case.says(end_of_epoch(case.next));
        match message {
            true => case.message(0),
            false => (0..2).for_each(|_| case.says(diverged(Leg::One))),
        }
        case.comes(0, u64::from(message));
        assert_eq!(case.joins.state(SID), Some("telling"), "{room} {before}");
        case.drain();
        assert_eq!(case.ends(), 1, "{room} {before}");
        assert_eq!(case.log.1, 1, "a snapshot was told");
        // Once: another one says nothing of it.
        case.joins.refresh(SID, Time(1));
        case.comes(0, u64::from(message));
        case.drain();
        assert_eq!((case.ends(), case.log.1), (1, 2), "{room} {before}");
    }
}

/// Who goes on from a cursor has a place to ask from, whatever it is told first.
#[test]
fn a_gap_that_is_the_first_word_behind_a_cursor_waits_no_longer_than_another() {
    let mut joins = Joins::new(JoinLimits {
        time: Duration::from_secs(1),
        on_gap: true,
        ..JoinLimits::default()
    });
    joins.add_source(SID, false);
    joins.resume(&cursor(1, 5, 0, 4, 0));
    let mut log = Log::default();
    let hole = Event::Gap {
        sid: SID,
        epoch: Epoch(1),
        from: Place::start(5),
        until: Place::start(9),
        cause: GapCause::NotRetained,
    };
    joins.through(Time(1), &mut log).event(&hole);
    assert_eq!(log.0, []);
    let from = joins.wishes().next().unwrap().from;
    assert_eq!(from.place(), Place::start(9), "in front of it none helps");
    let due = joins.next_deadline().unwrap();
    joins.on_deadline(due, &mut log);
    while joins.tell(due, &mut log) > 0 {}
    assert_eq!(log.0, [Event::NoSnapshot { sid: SID }, hole]);
}

#[test]
fn an_epoch_that_goes_on_behind_its_end_has_not_ended() {
    for room in [100, 4] {
        let mut case = Case::live(room);
        case.joins.refresh(SID, Time(1));
        case.says(end_of_epoch(case.next));
        let from = ContextId(1);
        case.says(restarts(DiscontinuityCause::Context { from }));
        // Where there is no room it is dropped with some of these.
        case.records(4);
        case.comes(0, 0);
        case.drain();
        assert_eq!(case.log.1, 1, "a snapshot was told");
        assert_eq!(case.ends(), 0, "{room}: {:?}", case.log.0);
    }
}

/// Numbers that began again reach the same places once more.
#[test]
fn a_snapshot_of_numbers_before_they_began_again_is_not_taken_for_one_ahead() {
    // While a snapshot is wanted, and before one is.
    for waits in [true, false] {
        let mut case = Case::live(100);
        if waits {
            case.joins.refresh(SID, Time(1));
        }
        case.says(regress());
        if !waits {
            case.joins.refresh(SID, Time(1));
        }
        case.next = 1;
        case.records(2);
        let serial = case.joins.wishes().next().unwrap().serial;
        // Whoever was asked had not heard of it yet.
        case.comes(60, 0);
        assert_eq!(case.joins.state(SID), Some("waiting"), "{waits}");
        let wish = case.joins.wishes().next().unwrap();
        assert!(wish.serial > serial, "somebody else is asked");
        case.comes(0, 0);
        case.drain();
        assert_eq!((case.joins.state(SID), case.log.1), (Some("live"), 1));
    }
}

#[test]
fn what_was_asked_for_before_numbers_began_again_is_not_taken_behind_that() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    let old = case.joins.wishes().next().unwrap().serial;
    let due = case.joins.next_deadline().unwrap();
    case.joins.on_deadline(due, &mut case.log);
    case.says(regress());
    case.next = 1;
    case.records(8);
    case.joins.refresh(SID, Time(1));
    let serial = case.joins.wishes().next().unwrap().serial;
    assert!(serial > old);
    let end = cursor(1, case.next, 0, case.next - 1, 0);
    let whole = whole(&end, 3, &[1]).asked_for(old);
    case.joins.on_snapshot(SID, whole, &mut case.log);
    assert_eq!(case.joins.state(SID), Some("waiting"));
    assert!(
        case.joins.wishes().next().unwrap().serial > serial,
        "asked once more"
    );
}

#[test]
fn a_gap_that_comes_while_a_snapshot_is_told_is_told_and_then_another_is_wanted() {
    let mut case = Case::live_within(JoinLimits {
        on_gap: true,
        ..JoinLimits::default()
    });
    case.says(hole(5, 7));
    case.next = 7;
    case.records(2);
    let end = cursor(1, case.next, 0, case.next - 1, 0);
    case.says(hole(9, 12));
    case.next = 12;
    case.records(1);
    case.joins
        .on_snapshot(SID, whole(&end, 3, &[1]), &mut case.log);
    case.drain();
    assert!(case.log.0.contains(&hole(9, 12)), "{:?}", case.log.0);
    assert!(!case.log.0.contains(&hole(5, 7)), "{:?}", case.log.0);
    assert_eq!(case.joins.state(SID), Some("waiting"));
    case.comes(0, 0);
    case.drain();
    assert_eq!((case.joins.state(SID), case.log.1), (Some("live"), 2));
}

/// A snapshot may stand ahead of what was decided, by numbers that carried nothing.
#[test]
fn a_refresh_in_front_of_where_the_last_snapshot_ended_tells_nothing_of_that() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(1);
    let ends = cursor(1, case.next + 4, 0, case.next - 1, 0);
    case.joins
        .on_snapshot(SID, whole(&ends, 3, &[1]), &mut case.log);
    case.drain();
    assert_eq!((case.joins.state(SID), case.log.1), (Some("live"), 1));
    case.joins.refresh(SID, Time(1));
    assert_eq!(
        case.joins.wishes().next().unwrap().from.place(),
        ends.place()
    );
    case.says(hole(case.next, case.next + 6));
    let due = case.joins.next_deadline().unwrap();
    case.joins.on_deadline(due, &mut case.log);
    case.drain();
    let gaps = case.log.0.iter().filter_map(|it| match it {
        Event::Gap { from, until, .. } => Some((from.sseq, until.sseq)),
        _ => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(ends.next.sseq, case.next + 6)]);
}

/// Whoever was restored knows where it stands, and not which was the last record in front of that.
#[test]
fn a_snapshot_that_does_not_know_its_last_record_is_reached_where_it_ends() {
    let mut case = Case::live(100);
    case.joins.refresh(SID, Time(1));
    case.records(1);
    let end = cursor(1, case.next + 3, 0, 0, 0);
    case.joins
        .on_snapshot(SID, whole(&end, 3, &[1]), &mut case.log);
    assert_eq!(case.joins.state(SID), Some("ahead"));
    case.records(3);
    assert_eq!(case.joins.state(SID), Some("telling"));
}
