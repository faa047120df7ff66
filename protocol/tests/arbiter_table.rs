//! Every state of a leg × everything that can happen to it, as a committed table.
//!
//! `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test arbiter_table` writes the table anew.
#![allow(
    clippy::unwrap_used,
    reason = "a state that cannot be reached fails the test"
)]

mod arbiter_kit;
mod committed;

use std::fmt::Write;

use arbiter_kit::*;
use committed::assert_committed;
use twinfeed_protocol::*;
use twinfeed_wire::*;

const STATES: [&str; 6] = [
    "unheard",
    "live",
    "live, hinted",
    "stalled",
    "lost",
    "stepped down",
];
const EVENTS: [&str; 10] = [
    "next record",
    "heartbeat",
    "record of a new incarnation",
    "other leg: peer lost",
    "other leg: not (any more) peer lost",
    "end of stream",
    "silent for 1.5 intervals",
    "silent for 3 intervals",
    "still while the other moves for `lag`",
    "source stale",
];

/// Leg 0 is brought into the state; leg 1 is healthy and goes on speaking.
struct Case {
    kit: Kit,
    zero: Sender,
    one: Sender,
    next: u64,
}

impl Case {
    fn in_state(state: &str, policy: Policy) -> Self {
        let kit = Kit::new(Limits {
            policy,
            ..Limits::default()
        });
        let (zero, one) = (Sender::new(Leg::Zero), Sender::new(Leg::One));
        let mut case = Self {
            kit,
            zero,
            one,
            next: 4,
        };
        case.kit.records(&mut case.one, &run(1..=3));
        if state != "unheard" {
            case.kit.records(&mut case.zero, &run(1..=3));
        }
        match state {
            "unheard" | "live" => {}
            "live, hinted" => case.other(Flags::PEER_LOST),
            "stalled" => case.stand_still(),
            "lost" => case.silent(30),
            "stepped down" => case.end_of_stream(),
            other => unreachable!("no state {other}"),
        }
        case.kit.told();
        case
    }

    fn happens(&mut self, event: &str) {
        match event {
            "next record" => {
                let records = run(self.next..=self.next);
                self.kit.records(&mut self.zero, &records);
            }
            "heartbeat" => self.kit.beat(&mut self.zero, self.next - 1, self.next),
            "record of a new incarnation" => {
                self.zero.header.incarnation = Incarnation(999);
                self.zero.header.flags = Flags(0);
                let records = run(self.next..=self.next);
                self.kit.records(&mut self.zero, &records);
            }
            "other leg: peer lost" => self.other(Flags::PEER_LOST),
            "other leg: not (any more) peer lost" => self.other(Flags(0)),
            "end of stream" => self.end_of_stream(),
            "silent for 1.5 intervals" => self.silent(15),
            "silent for 3 intervals" => self.silent(30),
            "still while the other moves for `lag`" => self.stand_still(),
            "source stale" => {
                self.zero.header.flags = Flags::SOURCE_STALE;
                self.kit.beat(&mut self.zero, self.next - 1, self.next);
            }
            other => unreachable!("no event {other}"),
        }
    }

    /// Leg 1 speaks, with `flags`.
    fn other(&mut self, flags: Flags) {
        self.one.header.flags = flags;
        self.kit.beat(&mut self.one, self.next - 1, self.next);
    }

    fn end_of_stream(&mut self) {
        self.zero.header.flags = Flags::END_OF_STREAM;
        self.kit.beat(&mut self.zero, self.next - 1, self.next);
    }

    /// Leg 0 says nothing while leg 1 goes on with heartbeats.
    fn silent(&mut self, for_ms: u64) {
        for _ in 0..for_ms {
            self.kit.pass(ms(1));
            self.kit.beat(&mut self.one, self.next - 1, self.next);
        }
    }

    /// Leg 1 moves on, leg 0 only repeats where it stands.
    fn stand_still(&mut self) {
        for _ in 0..25 {
            self.kit.pass(ms(1));
            self.kit.beat(&mut self.zero, 3, 4);
            let records = run(self.next..=self.next);
            self.kit.records(&mut self.one, &records);
            self.next += 1;
        }
    }
}

fn outcome(state: &str, event: &str, policy: Policy) -> String {
    let mut case = Case::in_state(state, policy);
    let before = case.kit.arbiter.counters().switches;
    case.happens(event);
    let status = case.kit.arbiter.leg_status(SID, Leg::Zero).unwrap();
    let mut text = status.state.word().to_owned();
    if status.peer_lost {
        text.push_str(", hinted");
    }
    for told in case.kit.told() {
        if let Told::Event(Event::Switched(receipt)) = told {
            write!(text, "; **switch**: {}", receipt.trigger.word()).unwrap();
        }
    }
    let switches = case.kit.arbiter.counters().switches - before;
    assert!(switches <= 1, "{state} × {event}: one leg is lost once");
    assert_eq!(
        case.kit.arbiter.counters().gaps,
        0,
        "{state} × {event}: nothing is missing"
    );
    text
}

#[test]
fn the_committed_table_is_what_the_machine_does() {
    let mut table = String::from(
        "# A leg as the arbiter sees it: state × event\n\n\
         Leg 0 is preferred; leg 1 is healthy and goes on speaking. Heartbeat 10 ms, 3 missed, lag 20 ms.\n\
         Written by `protocol/tests/arbiter_table.rs`; a difference fails that test.\n",
    );
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        writeln!(
            table,
            "\n## {policy:?}\n\n| event | {} |",
            STATES.join(" | ")
        )
        .unwrap();
        writeln!(table, "|---|{}", "---|".repeat(STATES.len())).unwrap();
        for event in EVENTS {
            let cells: Vec<_> = STATES
                .iter()
                .map(|state| outcome(state, event, policy))
                .collect();
            writeln!(table, "| {event} | {} |", cells.join(" | ")).unwrap();
        }
    }
    assert_committed("arbiter", &table);
}
