//! Does an application go on where its last run stood, with real processes?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{alone, nothing_lost, small_run, start, until_delivered, until_session, wait_for};
use rustix::process::Signal;
use twinfeed_control::{Policy, TransmitMode};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// Sessions of 12,000 messages.
fn longer() -> Run {
    Run {
        session: Duration::from_secs(3),
        ..small_run()
    }
}

/// Waits until so many messages of the first session were delivered, and lets the application leave in the middle of it.
fn leave(rig: &mut Rig, messages: u64, after_ms: u64) {
    until_delivered(rig, messages);
    rig.probe().resume(after_ms).unwrap();
}

/// Waits until the application that came back was given so many records, at least, of what it missed.
fn until_given(rig: &mut Rig, records: u64) {
    wait_for("what was missed is given", || {
        let seen = rig.probe().summary().unwrap();
        match seen.filled.iter().sum::<u64>() >= records {
            true => Ok(()),
            false => Err(format!("{:?} {:?}", seen.filled, seen.events)),
        }
    });
}

#[track_caller]
fn without_a_gap(rig: Rig) {
    let finished = nothing_lost(rig);
    assert_eq!(finished.seen.gaps, []);
}

fn goes_on(run: &Run) {
    let _alone = alone();
    let mut rig = start(run);
    rig.open().unwrap();
    for messages in [500, 4_000] {
        leave(&mut rig, messages, 150);
        until_given(&mut rig, 1);
    }
    without_a_gap(rig);
}

#[test]
fn what_passed_meanwhile_is_given_by_the_adapters() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        goes_on(&Run { policy, ..longer() });
    }
}

#[test]
fn what_a_backup_withheld_meanwhile_is_given_too() {
    goes_on(&Run {
        transmit: TransmitMode::Standby,
        ..longer()
    });
}

#[test]
fn it_holds_on_the_other_leg_when_the_active_has_died_meanwhile() {
    let _alone = alone();
    let mut rig = start(&longer());
    rig.open().unwrap();
    leave(&mut rig, 1_000, 300);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    until_given(&mut rig, 1);
    until_delivered(&mut rig, 6_000);
    without_a_gap(rig);
}

#[test]
fn a_session_that_ended_meanwhile_is_finished_before_the_next_one() {
    let _alone = alone();
    let mut rig = start(&longer());
    rig.open().unwrap();
    // Longer than what is left of the session.
    leave(&mut rig, 1_000, 4_000);
    until_session(&mut rig, 2);
    // Most of a session.
    until_given(&mut rig, 5_000);
    without_a_gap(rig);
}
