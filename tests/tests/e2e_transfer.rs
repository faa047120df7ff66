//! Is an adapter that was restarted in mid-session a full backup again before the session is over?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{alone, incarnation, kept, small_run, start, until_delivered, wait_for};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// One session that outlasts everything that a test does.
fn one_long_session(policy: Policy) -> Run {
    Run {
        session: Duration::from_secs(60),
        policy,
        ..small_run()
    }
}

/// What an adapter has counted since its start, as stream-admin knows it.
fn counted(rig: &Rig, seat: Seat, name: &str) -> u64 {
    let leg = &rig.feed().unwrap().legs[seat.index()];
    let report = leg.report.as_ref();
    let counter = report.and_then(|report| report.counters.get(name));
    counter.copied().unwrap_or_default()
}

/// Kills an adapter in mid-session, and waits until what was started in its place is as good.
fn kill_and_mend(rig: &mut Rig, seat: Seat) {
    let before = rig.probe().status().unwrap().sseq;
    let killed = incarnation(rig, seat);
    rig.signal(seat, Signal::KILL).unwrap();
    until_delivered(rig, before + 500);
    rig.restart(seat).unwrap();
    wait_for("the context is taken over", || {
        let taken = counted(rig, seat, "contexts_taken_total");
        let another = incarnation(rig, seat) != killed;
        match (another, taken) {
            (true, 1) => Ok(()),
            _ => Err(format!("{taken} taken: {:?}", rig.feed().unwrap().pair)),
        }
    });
    rig.until_protected(common::LIMIT).unwrap();
    let opened = rig.exchange().standing().unwrap().opened;
    assert_eq!(opened, 1, "all of it in one session");
}

fn a_restarted_backup_takes_over_without_a_trace(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&one_long_session(policy));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    kill_and_mend(&mut rig, Seat::Backup);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 3_000);
    assert_eq!(rig.exchange().standing().unwrap().opened, 1);
    let receipts = &kept(rig).seen.receipts;
    let switched = receipts.iter().any(|receipt| receipt.from_leg == 0);
    assert!(switched, "{receipts:?}");
}

#[test]
fn a_restarted_backup_takes_over_without_a_trace_under_first_arrival() {
    a_restarted_backup_takes_over_without_a_trace(Policy::FirstArrival);
}

#[test]
fn a_restarted_backup_takes_over_without_a_trace_under_prefer_active() {
    a_restarted_backup_takes_over_without_a_trace(Policy::PreferActive);
}

#[test]
fn both_adapters_may_die_one_after_the_other_in_one_session() {
    let _alone = alone();
    let mut rig = start(&one_long_session(Policy::FirstArrival));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    for seat in [Seat::Active, Seat::Backup, Seat::Active, Seat::Backup] {
        kill_and_mend(&mut rig, seat);
        let sseq = rig.probe().status().unwrap().sseq;
        until_delivered(&mut rig, sseq + 500);
    }
    assert_eq!(rig.exchange().standing().unwrap().opened, 1);
    kept(rig);
}
