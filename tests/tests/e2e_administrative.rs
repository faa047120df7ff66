//! Does an operator's message stand at the same place for everybody, whichever adapter lives?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{
    alone, assert_saw, kept, nothing_lost, placed, placed_alone, small_run, start, until_delivered,
    until_in_step, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::Seat;
use twinfeed_harness::run::Run;

/// A host that keeps the backup from its core while it holds a message's place has a message that one adapter alone placed,
/// and nobody who takes over by itself: such a run says nothing of agreed messages and is repeated.
fn crosses_a_failover(policy: Policy) {
    let _alone = alone();
    let judged = (0..ATTEMPTS).any(|_| crosses(policy));
    assert!(
        judged,
        "in {ATTEMPTS} runs this host was too busy for two adapters in step"
    );
}

/// Runs until one can be judged.
const ATTEMPTS: u32 = 5;

/// Whether the message was agreed to, and placed by both.
fn crosses(policy: Policy) -> bool {
    let mut rig = start(&Run {
        policy,
        session: std::time::Duration::from_secs(4),
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    until_in_step(&rig);
    let first = placed(&rig, "before the death");
    // The same key is the same order.
    assert_eq!(placed(&rig, "before the death"), first);
    until_in_step(&rig);
    if placed_alone(&rig) > 0 {
        nothing_lost(rig);
        return false;
    }
    assert!(first.agreed, "{first:?}");
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    wait_for("the backup's takeover", || {
        let feed = rig.feed().unwrap();
        let active = feed.pair.generation.0 == first.generation.0 + 1;
        if active && rig.active_seat().ok() == Some(Seat::Backup) {
            Ok(())
        } else {
            Err(format!("{:?}", feed.pair))
        }
    });
    let second = placed(&rig, "by the survivor alone");
    assert!(!second.agreed, "nobody could agree: {second:?}");
    assert_eq!(second.number, first.number + 1, "nothing is numbered twice");
    assert_eq!(second.generation.0, first.generation.0 + 1);
    let finished = kept(rig);
    assert_saw(
        &finished,
        &[
            ("before the death", first),
            ("by the survivor alone", second),
        ],
    );
    true
}

#[test]
fn an_operators_message_crosses_a_failover_under_first_arrival() {
    crosses_a_failover(Policy::FirstArrival);
}

#[test]
fn an_operators_message_crosses_a_failover_under_prefer_active() {
    crosses_a_failover(Policy::PreferActive);
}
