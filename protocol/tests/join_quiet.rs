//! Joining while nothing is said: the real arbiter, heartbeats, and a snapshot from whose end it goes on.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;
mod join_support;

use std::time::Duration;

use arbiter_kit::{Kit, SID, Sender, ms, run};
use join_support::{cursor, whole};
use twinfeed_protocol::join::{JoinLimits, Joins, Refusal, Wish};
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// What the application was told, in words.
#[derive(Default)]
struct Log(Vec<String>);

impl Handler for Log {
    fn record(&mut self, record: &Delivered<'_>) {
        self.0.push(format!("record {}", record.pos.sseq));
    }

    fn event(&mut self, event: &Event) {
        self.0.push(match event {
            Event::Discontinuity { at, cause, .. } => {
                assert_eq!(*cause, DiscontinuityCause::Join);
                format!("join at {at}")
            }
            Event::Gap { from, until, .. } => format!("gap {from} to {until}"),
            Event::Reset { epoch, .. } => format!("reset to {}", epoch.0),
            Event::Ended { next_sseq, .. } => format!("ended at {next_sseq}"),
            Event::NoSnapshot { .. } => "no snapshot".to_owned(),
            _ => return,
        });
    }

    fn snapshot(&mut self, _: Sid, piece: &Piece<'_>) {
        if let Piece::End { cursor, .. } = piece {
            self.0.push(format!("snapshot to {}", cursor.place()));
        }
    }
}

const QUIET: Duration = Duration::from_millis(10);

struct Rig {
    kit: Kit,
    joins: Joins,
    log: Log,
    legs: [Sender; 2],
}

impl Rig {
    fn new() -> Self {
        Self::of(QUIET)
    }

    fn of(quiet: Duration) -> Self {
        let mut joins = Joins::new(JoinLimits {
            quiet,
            time: ms(500),
            ..JoinLimits::default()
        });
        joins.add_source(SID, true);
        Self {
            kit: Kit::new(Limits::default()),
            joins,
            log: Log::default(),
            legs: Leg::BOTH.map(Sender::new),
        }
    }

    fn give(&mut self, leg: Leg, bytes: &[u8]) {
        let now = self.kit.now;
        let mut through = self.joins.through(now, &mut self.log);
        self.kit.arbiter.on_datagram(leg, now, bytes, &mut through);
        self.tell();
    }

    fn beat_of(&mut self, beat: Beat) {
        for leg in Leg::BOTH {
            let bytes = self.legs[leg.index()].heartbeat(beat);
            self.give(leg, &bytes);
        }
    }

    /// Both legs say that they stand in front of `next`.
    fn beats(&mut self, next: u64) {
        self.beat_of(Beat {
            next_sseq: next,
            prev: next - 1,
            interval_us: 10_000,
            ..Beat::default()
        });
    }

    fn records(&mut self, numbers: core::ops::RangeInclusive<u64>) {
        for leg in Leg::BOTH {
            let bytes = self.legs[leg.index()].records(&run(numbers.clone()));
            self.give(leg, &bytes);
        }
    }

    /// Time passes while the legs go on saying that they stand there.
    fn rest(&mut self, span: Duration, next: u64) {
        let end = self.kit.now.after(span);
        while self.kit.now < end {
            self.kit.now = self.kit.now.after(ms(5));
            self.beats(next);
            let now = self.kit.now;
            let mut through = self.joins.through(now, &mut self.log);
            self.kit.arbiter.on_deadline(now, &mut through);
            self.tell();
        }
    }

    /// Time passes while nobody speaks.
    fn pass(&mut self, span: Duration) {
        let end = self.kit.now.after(span);
        loop {
            let arbiter = self.kit.arbiter.next_deadline();
            let dues = [arbiter, self.joins.next_deadline(), self.joins.attends_at()];
            let due = dues.into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else {
                break;
            };
            self.kit.now = self.kit.now.max(due);
            let now = self.kit.now;
            let mut through = self.joins.through(now, &mut self.log);
            self.kit.arbiter.on_deadline(now, &mut through);
            self.tell();
        }
        self.kit.now = end;
    }

    fn snapshot(&mut self, end: &Cursor) {
        let serial = self.wish().map_or(0, |wish| wish.serial);
        self.gives(end, serial);
    }

    /// What was asked for with this serial comes.
    fn gives(&mut self, end: &Cursor, serial: u64) {
        let whole = whole(end, 3, &[1, 2]).asked_for(serial);
        let arbiter = &mut self.kit.arbiter;
        self.joins
            .on_snapshot_beside(SID, whole, arbiter, &mut self.log);
        self.tell();
    }

    fn tell(&mut self) {
        let now = self.kit.now;
        if self.joins.next_deadline().is_some_and(|due| due <= now) {
            self.joins.on_deadline(now, &mut self.log);
        }
        if self.joins.attends_at().is_some_and(|due| due <= now) {
            self.joins.attend(now, &self.kit.arbiter, &mut self.log);
        }
        while self.joins.tell(now, &mut self.log) > 0 {}
    }

    fn wish(&self) -> Option<Wish> {
        self.joins.wishes().next()
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.0)
    }
}

/// Where a stream stands of which everything in front of `next` carried something.
fn stands(next: u64) -> Cursor {
    cursor(1, next, 0, next - 1, 0)
}

#[test]
fn a_stream_that_rests_is_joined_where_it_stands() {
    let mut rig = Rig::new();
    rig.beats(11);
    assert!(rig.wish().is_none(), "something may come at once");
    rig.rest(2 * QUIET, 11);
    let from = Cursor {
        last: 0,
        ..stands(11)
    };
    assert_eq!(rig.wish().unwrap().from, from);
    // However long it takes: nothing is kept, and nothing is missed.
    rig.rest(ms(2_000), 11);
    assert_eq!(rig.told(), [""; 0]);
    rig.snapshot(&stands(11));
    assert_eq!(rig.told(), ["join at 11.0", "snapshot to 11.0"]);
    assert_eq!(rig.joins.state(SID), Some("live"));
    rig.records(11..=12);
    assert_eq!(rig.told(), ["record 11", "record 12"]);
    rig.rest(2 * QUIET, 13);
    assert_eq!(rig.joins.attends_at(), None);
}

#[test]
fn who_stands_nowhere_wants_nothing() {
    let mut rig = Rig::new();
    rig.kit.now = rig.kit.now.after(10 * QUIET);
    rig.tell();
    assert!(rig.wish().is_none());
    assert!(rig.joins.attends_at() > Some(rig.kit.now));
}

#[test]
fn a_snapshot_that_has_more_is_gone_on_from() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    rig.snapshot(&stands(13));
    rig.records(11..=14);
    let told = ["join at 13.0", "snapshot to 13.0", "record 13", "record 14"];
    assert_eq!(rig.told(), told);
}

#[test]
fn what_lies_between_a_snapshot_and_the_stream_is_missing_like_anything() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    rig.snapshot(&stands(9));
    rig.rest(ms(500), 11);
    let told = ["join at 9.0", "snapshot to 9.0", "gap 9.0 to 11.0"];
    assert_eq!(rig.told(), told);
    rig.records(11..=11);
    assert_eq!(rig.told(), ["record 11"]);
}

#[test]
fn what_comes_before_the_snapshot_is_kept_as_ever() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    rig.records(11..=13);
    assert_eq!(rig.told(), [""; 0]);
    rig.snapshot(&stands(11));
    let told = ["join at 11.0", "snapshot to 11.0"];
    assert_eq!(rig.told()[..2], told);
    rig.records(14..=14);
    assert_eq!(rig.told(), ["record 14"]);
}

#[test]
fn the_next_epoch_may_be_known_to_the_adapter_alone() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    let next = Cursor {
        predecessor: Epoch(1),
        ..cursor(2, 4, 0, 3, 0)
    };
    rig.snapshot(&Cursor {
        predecessor: Epoch(9),
        ..next
    });
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.wish().unwrap().refused, Some(Refusal::Epoch));
    rig.snapshot(&next);
    assert_eq!(rig.told(), ["join at 4.0", "snapshot to 4.0"]);
    // Whoever speaks of the epoch before says nothing new.
    rig.records(11..=12);
    assert_eq!(rig.told(), [""; 0]);
    for leg in &mut rig.legs {
        (leg.header.epoch, leg.header.predecessor) = (Epoch(2), Epoch(1));
    }
    rig.rest(ms(50), 4);
    rig.records(4..=5);
    assert_eq!(rig.told(), ["record 4", "record 5"]);
}

#[test]
fn a_first_word_that_was_none_keeps_nobody_waiting() {
    let mut rig = Rig::new();
    let far = Beat {
        next_sseq: 1_000_000,
        prev: 999_999,
        interval_us: 10_000,
        ..Beat::default()
    };
    let bytes = rig.legs[0].heartbeat(far);
    rig.give(Leg::Zero, &bytes);
    rig.rest(3 * QUIET, 11);
    let wish = rig.wish().unwrap();
    assert_eq!(wish.from.place(), Place::start(11));
    rig.snapshot(&stands(11));
    rig.records(11..=11);
    let told = ["join at 11.0", "snapshot to 11.0", "record 11"];
    assert_eq!(rig.told(), told);
}

#[test]
fn who_joins_behind_the_end_is_told_the_snapshot_and_the_end() {
    let mut rig = Rig::new();
    let ends = Beat {
        next_sseq: 11,
        prev: 10,
        interval_us: 10_000,
        ended: true,
        ..Beat::default()
    };
    rig.beat_of(ends);
    rig.beat_of(ends);
    let wish = rig.wish().unwrap();
    assert_eq!(wish.from.place(), Place::start(11));
    // However soon it comes.
    rig.snapshot(&stands(11));
    let told = ["join at 11.0", "snapshot to 11.0", "ended at 11"];
    assert_eq!(rig.told(), told);
}

#[test]
fn a_snapshot_of_numbers_before_they_went_back_is_not_gone_on_from() {
    for (at_once, record) in [(true, false), (false, false), (true, true)] {
        let mut rig = Rig::new();
        rig.rest(3 * QUIET, 500);
        let serial = rig.wish().unwrap().serial;
        // The source begins again under the same name, and nobody was told anything that this would take back.
        rig.beats(11);
        if !at_once {
            rig.rest(3 * QUIET, 11);
        }
        if record {
            rig.records(11..=12);
        }
        rig.gives(&stands(500), serial);
        assert_eq!(rig.told(), [""; 0], "{at_once} {record}");
        let wish = rig.wish().unwrap();
        assert!(wish.serial > serial);
        assert_eq!(wish.from.place(), Place::start(11));
        rig.snapshot(&stands(11));
        rig.records(13 - 2 * u64::from(!record)..=14);
        let told = rig.told();
        assert_eq!(told[..2], ["join at 11.0", "snapshot to 11.0"]);
        assert_eq!(told[2..], [11, 12, 13, 14].map(|it| format!("record {it}")));
    }
}

#[test]
fn a_wish_is_renewed_where_context_or_count_become_others() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    let first = rig.wish().unwrap();
    for leg in &mut rig.legs {
        leg.header.context = ContextId(7);
    }
    rig.rest(3 * QUIET, 11);
    let other = rig.wish().unwrap();
    assert!(other.serial > first.serial);
    assert_eq!(other.from.context, ContextId(7));
}

#[test]
fn a_record_of_the_next_epoch_renews_a_wish_of_the_one_before() {
    // Long before it is looked at again.
    let mut rig = Rig::of(ms(1_000));
    rig.rest(ms(2_500), 11);
    let first = rig.wish().unwrap();
    for leg in &mut rig.legs {
        (leg.header.epoch, leg.header.predecessor) = (Epoch(2), Epoch(1));
    }
    rig.records(1..=1);
    rig.pass(ms(100));
    let wish = rig.wish().unwrap();
    assert!(wish.serial > first.serial);
    assert_eq!(wish.from.next.epoch, Epoch(2));
}

#[test]
fn where_nobody_comes_so_far_any_snapshot_is_asked_for() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 15);
    assert_eq!(rig.wish().unwrap().not_before().sseq, 15);
    rig.rest(20 * QUIET, 15);
    let any = rig.wish().unwrap().not_before();
    assert_eq!((any.sseq, any.adm, any.epoch), (0, Adm(0), Epoch(1)));
    rig.snapshot(&stands(11));
    rig.rest(ms(500), 15);
    let told = ["join at 11.0", "snapshot to 11.0", "gap 11.0 to 15.0"];
    assert_eq!(rig.told(), told);
}

#[test]
fn what_lies_behind_the_snapshot_is_told_although_nobody_speaks_any_more() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    rig.pass(ms(500));
    assert_eq!(rig.told(), [""; 0]);
    rig.snapshot(&stands(9));
    rig.pass(ms(500));
    let told = ["join at 9.0", "snapshot to 9.0", "gap 9.0 to 11.0"];
    assert_eq!(rig.told(), told);
}

#[test]
fn a_closed_subscription_wants_no_more_attention() {
    let mut rig = Rig::new();
    rig.rest(3 * QUIET, 11);
    let now = rig.kit.now;
    let mut through = rig.joins.through(now, &mut rig.log);
    let close = Control::Close(CloseReason::ByApplication);
    rig.kit.arbiter.on_control(close, now, &mut through);
    assert_eq!(
        (rig.joins.attends_at(), rig.joins.next_deadline()),
        (None, None)
    );
}
