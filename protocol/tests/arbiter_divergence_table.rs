//! Where a source stream stands with a divergence × everything that can happen to it, as a committed table.
//!
//! `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test arbiter_divergence_table` writes the table anew.
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

const STATES: [&str; 5] = [
    "merged",
    "merged, leg 1 lost",
    "pinned to 0",
    "pinned to 0, one range agrees",
    "pinned to 1, for 0 was lost",
];
const EVENTS: [&str; 9] = [
    "a range agrees",
    "a range differs",
    "leg 0 is lost",
    "leg 1 is lost",
    "leg 0 speaks",
    "leg 1 is active in a newer generation",
    "the same word again: leg 0 is active",
    "order: leg 1",
    "a new epoch, brought by leg 1 first",
];

/// Leg 0 is active under generation 1; both have brought 1 to 10.
struct Case {
    kit: Kit,
    senders: [Sender; 2],
    last: u64,
    range: u64,
}

impl Case {
    fn in_state(state: &str, policy: Policy) -> Self {
        let (mut kit, mut zero, mut one) = ordered(Limits {
            policy,
            ..Limits::default()
        });
        kit.joined(&mut zero, &mut one, 10);
        let mut case = Self {
            kit,
            senders: [zero, one],
            last: 10,
            range: 0,
        };
        case.active(Leg::Zero, 1);
        match state {
            "merged" => {}
            "merged, leg 1 lost" => case.lose(1),
            "pinned to 0" => case.range(false),
            "pinned to 0, one range agrees" => {
                case.range(false);
                case.range(true);
            }
            "pinned to 1, for 0 was lost" => {
                case.range(false);
                case.lose(0);
                case.bring();
            }
            other => unreachable!("no state {other}"),
        }
        case.kit.told();
        case
    }

    fn happens(&mut self, event: &str) {
        match event {
            "a range agrees" => self.range(true),
            "a range differs" => self.range(false),
            "leg 0 is lost" => self.lose(0),
            "leg 1 is lost" => self.lose(1),
            "leg 0 speaks" => self.kit.says(&mut self.senders[0], self.last, &[]),
            "leg 1 is active in a newer generation" => self.active(Leg::One, 2),
            "the same word again: leg 0 is active" => self.active(Leg::Zero, 1),
            "order: leg 1" => self.kit.control(Control::Order { to: Leg::One }),
            "a new epoch, brought by leg 1 first" => {
                for place in [1, 0] {
                    self.senders[place] = self.senders[place].with(|header| {
                        header.predecessor = header.epoch;
                        header.epoch = Epoch(2);
                        header.context = ContextId(2);
                    });
                    self.kit.beat_of(
                        &mut self.senders[place],
                        Beat {
                            next_sseq: 1,
                            predecessor_next: self.last + 1,
                            predecessor_prev: self.last,
                            interval_us: 10_000,
                            ..Beat::default()
                        },
                    );
                }
                self.last = 0;
            }
            other => unreachable!("no event {other}"),
        }
        self.bring();
    }

    /// Leg 1 brings the next two numbers, then leg 0 does; whoever is lost brings nothing.
    fn bring(&mut self) {
        for place in [1, 0] {
            let state = self.kit.arbiter.leg_status(SID, Leg::BOTH[place]).unwrap();
            if state.state == LegState::Live {
                let records = run(self.last + 1..=self.last + 2);
                self.kit.records(&mut self.senders[place], &records);
            }
        }
        self.last += 2;
        for _ in 0..25 {
            self.alive();
        }
    }

    fn alive(&mut self) {
        self.kit.pass(ms(1));
        for place in [0, 1] {
            let state = self.kit.arbiter.leg_status(SID, Leg::BOTH[place]).unwrap();
            if state.state == LegState::Live {
                self.kit.says(&mut self.senders[place], self.last, &[]);
            }
        }
    }

    /// Both tell one more range.
    fn range(&mut self, same: bool) {
        let digests = [1, if same { 1 } else { 2 }];
        for (sender, digest) in self.senders.iter_mut().zip(digests) {
            self.kit.says(sender, self.last, &[(self.range, digest)]);
        }
        self.range += 1;
    }

    fn active(&mut self, active: Leg, generation: u32) {
        let generation = Generation(generation);
        self.kit.control(Control::Roles { active, generation });
    }

    /// A leg falls silent; the other one, if it lives, goes on with heartbeats.
    fn lose(&mut self, place: usize) {
        for _ in 0..60 {
            self.kit.pass(ms(1));
            let other = &mut self.senders[1 - place];
            let state = self.kit.arbiter.leg_status(SID, other.leg).unwrap().state;
            if state == LegState::Live {
                self.kit.says(other, self.last, &[]);
            }
        }
    }
}

fn outcome(state: &str, event: &str, policy: Policy) -> String {
    let mut case = Case::in_state(state, policy);
    case.happens(event);
    let mut words: Vec<String> = Vec::new();
    for told in case.kit.told() {
        let word = match told {
            Told::Record(_, _, leg) => format!("leg {leg}"),
            Told::Event(event) => match event {
                Event::Divergence { pinned, .. } => format!("**Divergence**, pinned {pinned}"),
                Event::Converged { .. } => "**Converged**".to_owned(),
                Event::Discontinuity { .. } => "**Discontinuity**".to_owned(),
                Event::Switched(receipt) => format!("switch: {}", receipt.trigger.word()),
                Event::Reset { .. } => "Reset".to_owned(),
                Event::Stale { .. } => "Stale".to_owned(),
                Event::Live { .. } => "Live".to_owned(),
                other => panic!("{state} × {event:?}: {other:?}"),
            },
        };
        if words.last() != Some(&word) {
            words.push(word);
        }
    }
    assert_eq!(case.kit.arbiter.counters().gaps, 0, "{state} × {event}");
    words.join("; ")
}

#[test]
fn the_committed_table_is_what_the_machine_does() {
    let mut table = String::from(
        "# A divergence at the subscriber: state × event\n\n\
         Leg 0 is active. A cell says what the application is told, and of which leg the records are that follow: leg 1\n\
         brings each number first, and both bring all of them as long as they live. Two ranges in a row must agree.\n\
         Written by `protocol/tests/arbiter_divergence_table.rs`; a difference fails that test.\n",
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
    assert_committed("divergence", &table);
}
