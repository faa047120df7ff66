//! Does an operator's message stand at the same place for everybody, whichever adapter lives?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{alone, assert_saw, kept, placed, small_run, start, until_delivered, wait_for};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::Seat;
use twinfeed_harness::run::Run;

fn crosses_a_failover(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&Run {
        policy,
        session: std::time::Duration::from_secs(4),
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    let first = placed(&rig, "before the death");
    assert!(first.agreed, "{first:?}");
    // The same key is the same order.
    assert_eq!(placed(&rig, "before the death"), first);
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
}

#[test]
fn an_operators_message_crosses_a_failover_under_first_arrival() {
    crosses_a_failover(Policy::FirstArrival);
}

#[test]
fn an_operators_message_crosses_a_failover_under_prefer_active() {
    crosses_a_failover(Policy::PreferActive);
}
