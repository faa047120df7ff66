//! Is every administrative message seen once and at one place, wherever on its way the active dies? One kill per case;
//! `cargo run -p twinfeed-tests --bin kills` does more.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{alone, program};
use twinfeed_control::{Policy, StopFlag};
use twinfeed_harness::process::Program;
use twinfeed_tests::kills::{self, CASES, Setting};
use twinfeed_tests::messages::{self, Plan};

fn setting(program: &Program) -> Setting<'_> {
    Setting {
        program,
        directory: None,
        stop: StopFlag::new(),
    }
}

fn die_once_everywhere(policy: Policy) {
    let (_alone, program) = (alone(), program());
    let outcome = kills::run(&setting(&program), policy, &CASES, &mut |_| {}).unwrap();
    let broken: Vec<_> = outcome.broken().collect();
    assert_eq!(broken, Vec::<&String>::new(), "{outcome:?}");
    assert_eq!(outcome.rows.len(), CASES.len());
    assert!(outcome.rows.iter().all(|row| row.kills == 1), "{outcome:?}");
    // On a busy host an active may die before anybody heard its message: such a kill proves nothing.
    let unsent: u64 = outcome.rows.iter().map(|row| row.unsent).sum();
    assert!(unsent <= 1, "{outcome:?}");
}

#[test]
fn the_active_dies_everywhere_under_first_arrival() {
    die_once_everywhere(Policy::FirstArrival);
}

#[test]
fn the_active_dies_everywhere_under_prefer_active() {
    die_once_everywhere(Policy::PreferActive);
}

#[test]
fn two_hundred_messages_of_a_busy_pair_stand_where_their_adapter_says() {
    let (_alone, program) = (alone(), program());
    let plan = Plan {
        messages: 200,
        rate: 4_000,
        operators: 4,
        policy: Policy::FirstArrival,
    };
    let tally = messages::run(&setting(&program), plan, &|_| {}).unwrap();
    assert_eq!(tally.broken, Vec::<String>::new(), "{tally:?}");
    let agreed = tally.first + tally.second + tally.later;
    assert_eq!(agreed + tally.alone, 200, "{tally:?}");
    // How many in time is a question of time, which `kills --messages` answers.
    assert!(agreed > 0, "{tally:?}");
}
