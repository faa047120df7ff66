//! Does a pair of which only the active transmits survive its death, with real processes and real signals?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    LIMIT, alone, assert_saw, assert_switched, kept, placed, small_run, start, until_delivered,
    until_session, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::{AdapterStatus, LegState, Policy, TransmitMode};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

fn standby_run(policy: Policy) -> Run {
    Run {
        policy,
        transmit: TransmitMode::Standby,
        session: Duration::from_secs(4),
        ..small_run()
    }
}

/// What an adapter last reported.
fn report(rig: &Rig, seat: Seat) -> AdapterStatus {
    let feed = rig.feed().unwrap();
    feed.legs[seat.index()].report.clone().unwrap()
}

/// Datagrams with records that an adapter has sent.
fn data_datagrams(status: &AdapterStatus) -> u64 {
    status.counters["datagrams_total"] - status.counters["heartbeats_total"]
}

/// Waits until an adapter's report says so.
fn until_reported(
    rig: &Rig,
    seat: Seat,
    what: &str,
    met: impl Fn(&AdapterStatus) -> bool,
) -> AdapterStatus {
    let mut last = None;
    wait_for(what, || {
        let status = report(rig, seat);
        let done = met(&status);
        let words = format!("{status:?}");
        last = Some(status);
        if done { Ok(()) } else { Err(words) }
    });
    last.unwrap()
}

/// The backup has numbered so much and sent none of it.
fn silent_backup(rig: &Rig, records: u64) -> AdapterStatus {
    let status = until_reported(rig, Seat::Backup, "the backup numbers", |status| {
        status.counters["records_total"] >= records
    });
    assert_eq!(data_datagrams(&status), 0, "{:?}", status.counters);
    assert!(status.counters["withheld_datagrams_total"] > 0);
    assert!(status.streams[0].standby, "{:?}", status.streams);
    status
}

fn kill_in_mid_burst(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&standby_run(policy));
    let feed = rig.feed().unwrap();
    assert!(feed.pair.protected, "{}", feed.pair.reason);
    assert!(feed.legs.iter().all(|leg| leg.state == LegState::Live));
    assert_eq!(feed.constraints.transmit, TransmitMode::Standby);
    rig.open().unwrap();
    until_delivered(&mut rig, 2_000);
    silent_backup(&rig, 1_000);
    let before = rig.probe().summary().unwrap();
    assert_eq!(before.legs[1], 0, "nothing came from the silent leg");
    assert_eq!(before.duplicates_dropped, 0);
    assert!(
        before.receipts.is_empty() && before.gaps.is_empty(),
        "{before:?}"
    );
    let sseq = rig.probe().status().unwrap().sseq;
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    until_delivered(&mut rig, sseq + 2_000);
    let after = until_reported(&rig, Seat::Backup, "the replay is told", |status| {
        status.counters["standby_replays_total"] == 1
    });
    assert!(after.counters["replayed_datagrams_total"] > 0);
    assert_eq!(after.counters["standby_short_replays_total"], 0);
    assert!(data_datagrams(&after) > 0);
    let finished = kept(rig);
    assert!(finished.verdict.messages >= sseq + 2_000);
    assert!(finished.seen.legs[0] >= 2_000 && finished.seen.legs[1] > 0);
    assert_switched(&finished);
}

#[test]
fn a_silent_backup_loses_nothing_when_the_active_dies_under_first_arrival() {
    kill_in_mid_burst(Policy::FirstArrival);
}

#[test]
fn a_silent_backup_loses_nothing_when_the_active_dies_under_prefer_active() {
    kill_in_mid_burst(Policy::PreferActive);
}

#[test]
fn an_active_that_is_stopped_is_replaced_and_is_the_only_one_again() {
    let _alone = alone();
    let mut rig = start(&standby_run(Policy::FirstArrival));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    silent_backup(&rig, 1_000);
    rig.signal(Seat::Active, Signal::STOP).unwrap();
    // Nobody tells: the reports stay away.
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 2_000);
    let loud = until_reported(&rig, Seat::Backup, "the suspicion is told", |status| {
        !status.streams[0].standby
    });
    assert!(!loud.streams[0].suspicion.is_empty(), "{:?}", loud.streams);
    rig.signal(Seat::Active, Signal::CONT).unwrap();
    until_reported(&rig, Seat::Backup, "the backup is silent again", |status| {
        status.streams[0].standby
    });
    let finished = kept(rig);
    assert!(
        finished.verdict.duplicates_dropped > 0,
        "both sent meanwhile"
    );
}

#[test]
fn the_restarted_adapter_is_the_silent_one() {
    let _alone = alone();
    let mut rig = start(&Run {
        session: Duration::from_millis(1_500),
        ..standby_run(Policy::FirstArrival)
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    silent_backup(&rig, 500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    rig.restart(Seat::Active).unwrap();
    until_session(&mut rig, 2);
    // Protected is told only when the backup is silent.
    rig.until_protected(LIMIT).unwrap();
    assert_eq!(rig.active_seat().unwrap(), Seat::Backup, "nobody pre-empts");
    let restarted = until_reported(&rig, Seat::Active, "it is silent", |status| {
        status.streams[0].standby
    });
    let sent = data_datagrams(&restarted);
    until_session(&mut rig, 4);
    let later = report(&rig, Seat::Active);
    assert!(later.counters["records_total"] > restarted.counters["records_total"]);
    assert_eq!(data_datagrams(&later), sent, "{:?}", later.streams);
    assert!(!report(&rig, Seat::Backup).streams[0].standby);
    kept(rig);
}

#[test]
fn a_message_that_the_silent_backup_placed_is_seen_once() {
    let _alone = alone();
    let mut rig = start(&standby_run(Policy::PreferActive));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    silent_backup(&rig, 500);
    let place = placed(&rig, "before the death");
    assert!(place.agreed, "{place:?}");
    silent_backup(&rig, 500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 2_000);
    let finished = kept(rig);
    assert_saw(&finished, &[("before the death", place)]);
}
