//! Does a subscriber survive the death of an adapter, with real processes and real signals?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{
    alone, assert_switched, kept, small_run, start, until_delivered, until_session, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::Seat;
use twinfeed_harness::run::Run;

fn kill_in_mid_burst(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&Run {
        policy,
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 2_000);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    until_delivered(&mut rig, 4_000);
    let finished = kept(rig);
    assert!(finished.verdict.messages >= 4_000);
    assert_switched(&finished);
}

#[test]
fn nothing_is_lost_or_repeated_when_the_active_dies_under_first_arrival() {
    kill_in_mid_burst(Policy::FirstArrival);
}

#[test]
fn nothing_is_lost_or_repeated_when_the_active_dies_under_prefer_active() {
    kill_in_mid_burst(Policy::PreferActive);
}

#[test]
fn both_adapters_may_die_one_after_the_other() {
    let _alone = alone();
    let mut rig = start(&small_run());
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    rig.restart(Seat::Active).unwrap();
    until_session(&mut rig, 2);
    rig.until_protected(common::LIMIT).unwrap();
    assert_eq!(rig.active_seat().unwrap(), Seat::Backup, "nobody pre-empts");
    rig.signal(Seat::Backup, Signal::KILL).unwrap();
    rig.restart(Seat::Backup).unwrap();
    until_session(&mut rig, 3);
    rig.until_protected(common::LIMIT).unwrap();
    assert_eq!(rig.active_seat().unwrap(), Seat::Active);
    let finished = kept(rig);
    assert!(finished.verdict.sessions.len() >= 3);
}

#[test]
fn an_adapter_that_leaves_on_purpose_is_a_step_down() {
    let _alone = alone();
    let mut rig = start(&small_run());
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.signal(Seat::Active, Signal::TERM).unwrap();
    let status = rig
        .adapter(Seat::Active)
        .unwrap()
        .wait(common::LIMIT)
        .unwrap();
    assert_eq!(status.code(), Some(0), "a drained adapter ends well");
    wait_for("the switch", || {
        let receipts = rig.probe().summary().unwrap().receipts;
        let stepped = receipts
            .iter()
            .any(|it| it.from_leg == 0 && it.trigger == "step_down");
        if stepped {
            Ok(())
        } else {
            Err(format!("{receipts:?}"))
        }
    });
    kept(rig);
}

#[test]
fn a_cable_cut_behind_the_active_is_noticed_and_costs_nothing() {
    let _alone = alone();
    let mut rig = start(&Run {
        missed_heartbeats: Some(20),
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.probe().cut(0, true).unwrap();
    wait_for("the switch", || {
        let receipts = rig.probe().summary().unwrap().receipts;
        let switched = receipts.iter().any(|it| it.from_leg == 0);
        if switched {
            Ok(())
        } else {
            Err(format!("{receipts:?}"))
        }
    });
    rig.probe().cut(0, false).unwrap();
    kept(rig);
}
