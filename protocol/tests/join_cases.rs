//! Joining by hand: what a snapshot must not hide.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod join_support;

use std::time::Duration;

use join_support::{SID, cursor, record, whole};
use twinfeed_protocol::join::{JoinLimits, Joins};
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
        let mut joins = Joins::new(JoinLimits {
            kept_items: items,
            kept_bytes: 1 << 20,
            time: Duration::from_secs(1),
            ..JoinLimits::default()
        });
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
    let hole = Event::Gap {
        sid: SID,
        epoch: Epoch(1),
        from: Place::start(2),
        until: Place::start(3),
        cause: GapCause::LostOnEveryLeg,
    };
    let again = Event::Reset {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    };
    let recount = restarts(DiscontinuityCause::Administrative);
    for (opens, lost) in [(recount, missing), (again, hole)] {
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
    case.says(Event::Reset {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    });
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
