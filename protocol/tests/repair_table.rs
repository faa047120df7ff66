//! What does each input do in each state of a repair? Every state is met with every input, and what comes of it is
//! compared with the committed table `protocol/tables/repair.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test repair_table`.
#![allow(
    clippy::unwrap_used,
    reason = "a state that cannot be reached fails the test"
)]

mod committed;

use std::fmt::Write as _;
use std::time::Duration;

use committed::assert_committed;
use twinfeed_protocol::repair::*;
use twinfeed_protocol::{Leg, Time};
use twinfeed_wire::fill::{Reply, Status, Stretch};
use twinfeed_wire::{ContextId, Epoch};

const STATES: [&str; 6] = [
    "no server",
    "idle",
    "asking the first",
    "asking the second",
    "resting, both busy",
    "asking the only one",
];
const EVENTS: [&str; 13] = [
    "the hole would be declared",
    "some of it came",
    "it is closed",
    "sent, nothing came",
    "sent, some came",
    "not retained",
    "its first is not retained",
    "refused",
    "busy for 3 ms",
    "a reply to an older request",
    "silent for its patience",
    "three faults",
    "`repair_time` is over",
];

const ORDER: [Leg; 2] = [Leg::One, Leg::Zero];

struct Case {
    repair: Repair,
    now: Time,
    from: u64,
    number: u64,
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Case {
    fn in_state(state: &str) -> Self {
        let mut case = Self {
            repair: Repair::new(RepairLimits::default()),
            now: Time(1_000_000_000),
            from: 10,
            number: 0,
        };
        let servers: &[Leg] = match state {
            "no server" => &[],
            "asking the only one" => &[Leg::One],
            _ => &Leg::BOTH,
        };
        for leg in servers {
            case.repair.set_server(*leg, true);
        }
        match state {
            "no server" | "idle" => {}
            "asking the first" | "asking the only one" => {
                case.want();
            }
            "asking the second" => {
                case.want();
                case.pass(ms(8));
                case.want();
            }
            "resting, both busy" => {
                for leg in ORDER {
                    case.want();
                    case.reply(leg, Status::Busy, 0, 50_000);
                }
                case.want();
            }
            other => unreachable!("no state {other}"),
        }
        case
    }

    fn want(&mut self) -> Verdict {
        let wish = Wish {
            of: (Epoch(1), ContextId(1)),
            messages: false,
            from: (self.from, 0),
            until: (20, 0),
        };
        let verdict = self.repair.want(self.now, self.now, &wish, &ORDER);
        if let Verdict::Ask(_, number, _) = verdict {
            self.number = number;
            self.repair.note_asked((20, 0));
        }
        verdict
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    fn replied(&self, status: Status, lacking: u32) -> Reply {
        Reply {
            request: self.number,
            status,
            lacking,
            ..Reply::default()
        }
    }

    fn reply(&mut self, leg: Leg, status: Status, lacking: u32, retry_after_us: u32) {
        let reply = Reply {
            retry_after_us,
            ..self.replied(status, lacking)
        };
        self.repair.on_reply(self.now, leg, &reply);
    }

    /// The server whose answer may come.
    fn server(&self) -> Leg {
        match self.repair.state() {
            RepairState::Asking(leg) => leg,
            RepairState::Idle | RepairState::Resting => Leg::One,
        }
    }

    fn happens(&mut self, event: &str) -> String {
        let leg = self.server();
        match event {
            "the hole would be declared" => {}
            "some of it came" => {
                self.repair.on_progress(leg);
                self.from += 1;
            }
            "it is closed" => {
                self.repair.close();
                return self.state();
            }
            "sent, nothing came" => self.reply(leg, Status::Sent, 0, 0),
            "sent, some came" => {
                self.repair.on_progress(leg);
                self.from += 1;
                self.reply(leg, Status::Sent, 0, 0);
            }
            "not retained" => self.reply(leg, Status::Sent, 1, 0),
            "its first is not retained" => {
                let reply = Reply {
                    stretch: Stretch {
                        from: (self.from, 0),
                        until: (self.from + 1, 0),
                    },
                    ..self.replied(Status::Sent, 1)
                };
                self.repair.on_reply(self.now, leg, &reply);
            }
            "refused" => self.reply(leg, Status::Refused, 0, 0),
            "busy for 3 ms" => self.reply(leg, Status::Busy, 0, 3_000),
            "a reply to an older request" => {
                self.number = self.number.wrapping_sub(1);
                self.reply(leg, Status::Sent, 1, 0);
            }
            "silent for its patience" => self.pass(ms(8)),
            "three faults" => (0..MOST_FAULTS).for_each(|_| self.repair.on_fault(leg)),
            "`repair_time` is over" => self.pass(RepairLimits::default().repair_time),
            other => unreachable!("no event {other}"),
        }
        // What is missing is looked at after every input.
        let verdict = self.want();
        let mut text = self.state();
        match verdict {
            Verdict::Wait => {}
            Verdict::Ask(leg, _, from) if from.0 > self.from => {
                write!(
                    text,
                    "; **asks** {}, but for {}",
                    name(leg),
                    from.0 - self.from
                )
                .unwrap();
            }
            Verdict::Ask(leg, ..) => write!(text, "; **asks** {}", name(leg)).unwrap(),
            Verdict::GiveUp(why, until) => {
                write!(text, "; **gives up** {}: {why:?}", until.0 - self.from).unwrap();
            }
        }
        text
    }

    fn state(&self) -> String {
        match self.repair.state() {
            RepairState::Idle => "idle".to_owned(),
            RepairState::Asking(leg) => format!("asking {}", name(leg)),
            RepairState::Resting => "resting".to_owned(),
        }
    }
}

fn name(leg: Leg) -> &'static str {
    match leg {
        Leg::One => "the first",
        Leg::Zero => "the second",
    }
}

#[test]
fn the_committed_table_is_what_the_machine_does() {
    let mut table = String::from(
        "# Asking for what is missing: state × input\n\n\
         Made by `protocol/tests/repair_table.rs`; a difference fails that test. After each input but *it is closed*\n\
         the arbiter says that it would declare the hole. *The first* is the server that is not the active adapter.\n\
         Patience 5 ms and up to a quarter more, `repair_time` 500 ms.\n\n",
    );
    writeln!(table, "| input | {} |", STATES.join(" | ")).unwrap();
    writeln!(table, "|---|{}", "---|".repeat(STATES.len())).unwrap();
    for event in EVENTS {
        let cells: Vec<_> = STATES
            .iter()
            .map(|state| Case::in_state(state).happens(event))
            .collect();
        writeln!(table, "| {event} | {} |", cells.join(" | ")).unwrap();
    }
    assert_committed("repair", &table);
}

#[test]
fn asking_ends_whatever_servers_do() {
    // Each answers by a script of its own, over and over; the hole never gets smaller.
    for script in 0..6_u32.pow(3) {
        let mut case = Case::in_state("idle");
        let begun = case.now;
        let mut step = script;
        for turn in 0.. {
            match case.want() {
                Verdict::GiveUp(..) => break,
                Verdict::Ask(leg, ..) => match step % 6 {
                    0 => case.pass(ms(1)),
                    1 => case.reply(leg, Status::Sent, 0, 0),
                    2 => case.reply(leg, Status::Busy, 0, 0),
                    3 => case.reply(leg, Status::Sent, 2, 0),
                    4 => case.repair.on_fault(leg),
                    _ => case.reply(leg, Status::Busy, 0, u32::MAX),
                },
                Verdict::Wait => {
                    let due = case.repair.deadline().unwrap();
                    assert!(
                        due > case.now,
                        "{script}: it would be asked at once, for ever"
                    );
                    case.now = due;
                }
            }
            step = step.rotate_right(1) ^ turn;
            assert!(turn < 10_000, "{script}: no end");
        }
        let limit = RepairLimits::default().repair_time + ms(1);
        assert!(case.now.since(begun) <= limit, "{script}");
        assert_eq!(case.repair.state(), RepairState::Idle);
        assert_eq!(case.repair.counters().given_up, 1);
    }
}

#[test]
fn records_and_messages_missing_at_a_time_do_not_take_each_others_place() {
    let mut case = Case::in_state("idle");
    let begun = case.now;
    let wish = |messages| Wish {
        of: (Epoch(1), ContextId(1)),
        messages,
        from: (10, 0),
        until: (20, 0),
    };
    let mut over = [false; 2];
    while over != [true; 2] {
        case.repair.look(case.now);
        for messages in [false, true] {
            if !over[usize::from(messages)] {
                let verdict = case
                    .repair
                    .want(case.now, case.now, &wish(messages), &ORDER);
                over[usize::from(messages)] = matches!(verdict, Verdict::GiveUp(..));
            }
        }
        case.pass(ms(1));
        let limit = RepairLimits::default().repair_time + ms(2);
        assert!(case.now.since(begun) <= limit, "no end");
    }
    assert_eq!(case.repair.counters().opened, 2);
    assert!(!case.repair.is_open());
}

#[test]
fn time_stands_still_while_a_stream_may_bring_it() {
    let mut case = Case::in_state("asking the first");
    let time = RepairLimits::default().repair_time;
    // Twice it is looked at what is missing, and this is not.
    for _ in 0..2 {
        case.repair.look(case.now);
    }
    assert_eq!(case.repair.deadline(), None, "nobody waits for it");
    case.pass(2 * time);
    let verdict = case.want();
    assert!(matches!(verdict, Verdict::Ask(..)), "{verdict:?}");
    assert!(case.repair.deadline().is_some_and(|due| due > case.now));
    case.pass(time);
    assert!(matches!(case.want(), Verdict::GiveUp(..)));
}

#[test]
fn who_brings_some_and_never_says_that_this_is_all_is_asked_after_the_other() {
    let mut case = Case::in_state("asking the first");
    case.repair.on_progress(Leg::One);
    case.from += 1;
    assert_eq!(case.want(), Verdict::Wait);
    case.pass(ms(8));
    let verdict = case.want();
    assert!(
        matches!(verdict, Verdict::Ask(Leg::Zero, ..)),
        "{verdict:?}"
    );
}

#[test]
fn processes_of_other_seeds_number_their_requests_otherwise() {
    let first = |fill_seed| {
        let mut repair = Repair::new(RepairLimits {
            fill_seed,
            ..RepairLimits::default()
        });
        repair.set_server(Leg::Zero, true);
        let (now, wish) = (
            Time(1_000),
            Wish {
                of: (Epoch(1), ContextId(1)),
                messages: false,
                from: (1, 0),
                until: (2, 0),
            },
        );
        match repair.want(now, now, &wish, &[Leg::Zero]) {
            Verdict::Ask(_, number, _) => number,
            verdict => panic!("{verdict:?}"),
        }
    };
    assert_ne!(first(1), first(2));
}

/// A repair lasts for as long as something comes, or a stream is waited for, and servers may have by then what they had not.
#[test]
fn what_a_server_lacked_long_ago_or_did_wrong_it_is_asked_for_again() {
    for wrong in ["refused", "not retained", "three faults"] {
        let mut case = Case::in_state("asking the first");
        case.repair.set_patient(true);
        let other = case.happens(wrong);
        assert!(other.contains("asks"), "{wrong}: {other}");
        // The other one gives, a little at a time, for longer than a repair without progress may last.
        for from in 11..15 {
            case.repair.on_progress(Leg::Zero);
            case.from = from;
            assert!(
                !matches!(case.want(), Verdict::Ask(Leg::One, ..)),
                "{wrong}"
            );
            case.pass(RepairLimits::default().repair_time / 4);
        }
        case.from = 15;
        case.repair.on_progress(Leg::Zero);
        let mut verdict = case.want();
        if !matches!(verdict, Verdict::Ask(Leg::One, ..)) {
            case.reply(Leg::Zero, Status::Refused, 0, 0);
            verdict = case.want();
        }
        assert!(
            matches!(verdict, Verdict::Ask(Leg::One, ..)),
            "{wrong}: {verdict:?}"
        );
    }
}
