//! What does each input do in each state of joining? Every state is met with every input, and what comes of it is compared with
//! the committed table `protocol/tables/join.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test join_table`.
#![allow(
    clippy::unwrap_used,
    reason = "a state that cannot be reached fails the test"
)]

mod committed;
mod join_support;

use std::fmt::Write as _;
use std::time::Duration;

use committed::assert_committed;
use join_support::{SID, cursor, record, whole};
use twinfeed_protocol::join::{JoinLimits, Joins};
use twinfeed_protocol::*;
use twinfeed_wire::*;

const STATES: [&str; 5] = ["live", "waiting", "ahead", "telling", "draining"];
const EVENTS: [&str; 15] = [
    "a record",
    "a gap",
    "stale",
    "a record that finds no room",
    "the record that a snapshot ahead ends with",
    "one that shows that it does not fit",
    "a snapshot that fits",
    "a snapshot beyond what was kept",
    "a snapshot in front of it",
    "a snapshot of another context",
    "time is over",
    "refresh",
    "all is told",
    "closed",
    "closed, and all is told",
];

/// Writes down what it is told, in short.
#[derive(Default)]
struct Log(Vec<String>);

impl Handler for Log {
    fn record(&mut self, record: &Delivered<'_>) {
        self.0.push(format!("{}", record.pos.sseq));
    }

    fn event(&mut self, event: &Event) {
        self.0.push(match event {
            Event::Discontinuity { at, cause, .. } => format!("Discontinuity {cause:?} at {at}"),
            Event::Gap { from, until, .. } => format!("Gap {from} until {until}"),
            Event::JoinRestarted { cause, .. } => format!("JoinRestarted {cause:?}"),
            other => format!("{other:?}")
                .split([' ', '{'])
                .next()
                .unwrap()
                .to_owned(),
        });
    }

    fn snapshot(&mut self, _: Sid, piece: &Piece<'_>) {
        self.0.push(match piece {
            Piece::Begin { cursor, .. } => format!("Begin at {}", cursor.place()),
            Piece::End { .. } => "End".to_owned(),
            Piece::Orders(orders) => format!("{} orders", orders.len()),
            _ => return,
        });
    }
}

struct Case {
    joins: Joins,
    log: Log,
    now: Time,
    next: u64,
}

/// Four items are kept before one finds no room.
const ROOM: usize = 4;

impl Case {
    /// Records 5 and 6 were decided; joining, they are kept behind the first word.
    fn in_state(state: &str) -> Self {
        let mut joins = Joins::new(JoinLimits {
            kept_items: ROOM,
            time: Duration::from_secs(1),
            ..JoinLimits::default()
        });
        joins.add_source(SID, state != "live");
        let mut case = Self {
            joins,
            log: Log::default(),
            now: Time(1),
            next: 5,
        };
        case.event(&Event::Discontinuity {
            sid: SID,
            epoch: Epoch(1),
            at: Place::start(5),
            context: ContextId(1),
            complete: true,
            cause: DiscontinuityCause::Join,
        });
        case.record();
        case.record();
        match state {
            "live" | "waiting" => {}
            "ahead" => case.snapshot(&cursor(1, 8, 0, 7, 0)),
            "telling" => case.snapshot(&cursor(1, 6, 0, 5, 0)),
            "draining" => {
                case.snapshot(&cursor(1, 6, 0, 5, 0));
                while case.joins.state(SID) == Some("telling") {
                    case.joins.tell(case.now, &mut case.log);
                }
            }
            other => unreachable!("no state {other}"),
        }
        assert_eq!(case.joins.state(SID), Some(state));
        case.log.0.clear();
        case
    }

    fn record(&mut self) {
        self.record_counting(0);
    }

    fn record_counting(&mut self, adm: u64) {
        let pos = Pos {
            sid: SID,
            epoch: Epoch(1),
            sseq: self.next,
            part: 0,
        };
        self.next += 1;
        let mut through = self.joins.through(self.now, &mut self.log);
        through.record(&record(pos, true, adm, &[]));
    }

    fn event(&mut self, event: &Event) {
        self.joins.through(self.now, &mut self.log).event(event);
    }

    fn snapshot(&mut self, at: &Cursor) {
        let whole = whole(at, 1, &[1]);
        self.joins.on_snapshot(SID, whole, &mut self.log);
    }

    fn tell_all(&mut self) {
        while self.joins.tell(self.now, &mut self.log) > 0 {}
    }

    fn happens(&mut self, event: &str) {
        match event {
            "a record" => self.record(),
            "a gap" => self.event(&Event::Gap {
                sid: SID,
                epoch: Epoch(1),
                from: Place::start(7),
                until: Place::start(8),
                cause: GapCause::LostOnEveryLeg,
            }),
            "stale" => self.event(&Event::Stale { sid: SID }),
            "a record that finds no room" => {
                let restarted = self.joins.counters().restarted;
                for _ in 0..=ROOM {
                    if self.joins.counters().restarted == restarted
                        && self.joins.state(SID) != Some("live")
                    {
                        self.log.0.clear();
                        // A snapshot that is ahead is not reached by these: they are of the numbers before it.
                        self.event(&Event::Recovered {
                            sid: SID,
                            epoch: Epoch(1),
                            from: Place::start(5),
                            until: Place::start(6),
                        });
                    }
                }
            }
            "the record that a snapshot ahead ends with" => self.record(),
            "one that shows that it does not fit" => self.record_counting(3),
            "a snapshot that fits" => self.snapshot(&cursor(1, 6, 0, 5, 0)),
            "a snapshot beyond what was kept" => self.snapshot(&cursor(1, 9, 0, 8, 0)),
            "a snapshot in front of it" => self.snapshot(&cursor(1, 4, 0, 3, 0)),
            "a snapshot of another context" => self.snapshot(&Cursor {
                context: ContextId(2),
                ..cursor(1, 6, 0, 5, 0)
            }),
            "time is over" => {
                self.now = self.now.after(Duration::from_secs(1));
                self.joins.on_deadline(self.now, &mut self.log);
            }
            "refresh" => assert!(self.joins.refresh(SID, self.now)),
            "all is told" => self.tell_all(),
            "closed" | "closed, and all is told" => {
                let reason = CloseReason::Revoked;
                self.event(&Event::Closed { reason });
                if event != "closed" {
                    self.tell_all();
                }
            }
            other => unreachable!("no event {other}"),
        }
    }

    fn outcome(&self, before: &str, serial: Option<u64>) -> String {
        let state = self.joins.state(SID).unwrap();
        let mut words = Vec::new();
        if state != before {
            words.push(format!("**{state}**"));
        }
        let wish = self.joins.wishes().next();
        if let Some(wish) = wish.filter(|wish| Some(wish.serial) != serial) {
            let why = wish
                .refused
                .map_or(String::new(), |why| format!(" ({})", why.word()));
            words.push(format!(
                "wish {} from {}{why}",
                wish.serial,
                wish.from.place()
            ));
        }
        if !self.log.0.is_empty() {
            words.push(format!("told {}", self.log.0.join(", ")));
        }
        match words.is_empty() {
            true => "–".to_owned(),
            false => words.join("; "),
        }
    }
}

#[test]
fn every_state_meets_every_event() {
    let mut text = String::from(
        "# Joining with a snapshot: state × event\n\n\
         Records 5 and 6 were decided. While joining they are kept; the snapshot that is told ends behind 5, the one ahead behind 7. \
         There is room for four.\n\n| |",
    );
    for state in STATES {
        write!(text, " {state} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|\n");
    for event in EVENTS {
        write!(text, "| {event} |").unwrap();
        for state in STATES {
            let mut case = Case::in_state(state);
            let serial = case.joins.wishes().next().map(|wish| wish.serial);
            case.happens(event);
            write!(text, " {} |", case.outcome(state, serial)).unwrap();
        }
        text.push('\n');
    }
    assert_committed("join", &text);
}
