//! One adapter's decoder is wrong: who notices, and does a subscriber ever see the two mixed?
//!
//! The fault is part of debug builds only (`feed-adapter/src/fault.rs`); in a release build there is nothing to test.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{alone, small_run, start, until_delivered, wait_for};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::files::Files;
use twinfeed_harness::probe::wire::Epochs;
use twinfeed_harness::rig::backup_streams;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// From this number on one of the two converts wrongly; it lies in range 1.
const FROM: u64 = 5_000;
/// Source numbers of one range.
const RANGE: u64 = 4_096;

/// One long session, in which `seat` says a wrong price of every seventh number within `numbers`.
fn wrong(seat: Seat, numbers: std::ops::Range<u64>, policy: Policy) -> Run {
    let mut run = Run {
        policy,
        session: Duration::from_secs(600),
        ..small_run()
    };
    let text = format!("{}..{}/7", numbers.start, numbers.end);
    run.environment[seat.index()] = vec![("TWINFEED_TEST_WRONG_PRICE".to_owned(), text)];
    run
}

/// Waits for so many stretches of the first session, and returns what was delivered of it.
fn until_told(rig: &mut Rig, stretches: usize) -> Epochs {
    let mut seen = None;
    wait_for("the subscriber is told", || {
        let summary = rig.probe().summary().unwrap();
        match summary
            .epochs
            .first()
            .filter(|epoch| epoch.stretches.len() >= stretches)
        {
            Some(epoch) => {
                seen = Some(epoch.clone());
                Ok(())
            }
            None => Err(format!("{:?}", summary.epochs)),
        }
    });
    seen.unwrap()
}

/// What the event said of itself, once.
fn told(rig: &mut Rig, what: &str) -> String {
    let events = rig.probe().summary().unwrap().events;
    let mut of_kind = events.iter().filter(|event| event.what == what);
    let first = of_kind.next().unwrap().detail.clone();
    assert_eq!(of_kind.count(), 0, "{what} is told once");
    first
}

/// Waits until stream-admin says why the pair is not protected.
fn until_unprotected(rig: &mut Rig) {
    wait_for("stream-admin shows the divergence", || {
        let feed = rig.feed().unwrap();
        let ranges: Vec<_> = backup_streams(&feed)
            .map(|stream| stream.pair.diverged_range)
            .collect();
        let all = !ranges.is_empty() && ranges.iter().all(Option::is_some);
        let said = feed.pair.reason.contains("divergence in the numbers");
        match !feed.pair.protected && said && all {
            true => Ok(()),
            false => Err(format!("{:?} {ranges:?}", feed.pair)),
        }
    });
    let log = std::fs::read_to_string(rig.files().path("stream-admin.log")).unwrap();
    let audited = log
        .lines()
        .filter(|line| line.contains("audit") && line.contains("divergence:"));
    assert_eq!(audited.count(), 1, "{log}");
}

/// Ends the run's session; its last stretch is all the active's, and what the right decoder makes of the session.
fn expect_right(rig: &mut Rig) {
    let (_, seen, sent) = rig.end().unwrap();
    let conversion = Files::conversion(rig.run()).unwrap();
    let epoch = &seen.epochs[0];
    let stretch = epoch.stretches.last().unwrap();
    assert_eq!(stretch.legs[1], 0, "not one of the backup's: {stretch:?}");
    let absent = |sseq: u64| epoch.absent.iter().any(|it| (it[0]..it[1]).contains(&sseq));
    let within = |sseq: u64| (stretch.from..stretch.until).contains(&sseq) && !absent(sseq);
    let right = sent[0]
        .expect(&conversion, |sseq| within(sseq).into())
        .unwrap();
    assert!(right.records > RANGE, "{stretch:?}");
    assert_eq!(stretch.digest, right.digest, "{stretch:?}");
}

fn the_backup_is_wrong(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&wrong(Seat::Backup, FROM..u64::MAX, policy));
    rig.open().unwrap();
    let epoch = until_told(&mut rig, 1);
    assert!(epoch.next >= 2 * RANGE, "a range is told when it is over");
    let event = told(&mut rig, "divergence");
    assert!(
        event.contains("range: 1,") && event.contains("pinned: Zero"),
        "{event}"
    );
    until_unprotected(&mut rig);
    let from = epoch.stretches[0].from;
    assert!(
        from < 4 * RANGE,
        "told within a range, or soon after: {event}"
    );
    until_delivered(&mut rig, from + 2 * RANGE);
    told(&mut rig, "divergence");
    expect_right(&mut rig);
    let verdict = rig.finish().unwrap().verdict;
    let broken = verdict.broken();
    assert!(
        broken
            .iter()
            .any(|what| what.contains("divergences between the legs")),
        "{broken:?}"
    );
    assert_eq!(
        (verdict.order_violations, verdict.duplicates_delivered),
        (0, 0)
    );
    assert_eq!(verdict.breaks, 0, "the active was there all the time");
}

#[test]
fn a_wrong_backup_is_set_apart_under_first_arrival() {
    the_backup_is_wrong(Policy::FirstArrival);
}

#[test]
fn a_wrong_backup_is_set_apart_under_prefer_active() {
    the_backup_is_wrong(Policy::PreferActive);
}

fn the_pinned_active_dies(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&wrong(Seat::Backup, FROM..u64::MAX, policy));
    rig.open().unwrap();
    until_told(&mut rig, 1);
    let before = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, before + 500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    let epoch = until_told(&mut rig, 2);
    let [active, backup] = &epoch.stretches[..] else {
        panic!("{:?}", epoch.stretches);
    };
    assert_eq!(active.legs[1], 0, "{active:?}");
    assert_eq!(backup.since, "discontinuity");
    until_delivered(&mut rig, active.until + RANGE);
    let summary = rig.probe().summary().unwrap();
    assert_eq!(summary.breaks.len(), 1, "{:?}", summary.breaks);
    assert_eq!(summary.breaks[0].cause, "divergence");
    let stretches = &summary.epochs[0].stretches;
    assert_eq!(stretches.len(), 2, "{stretches:?}");
    assert_eq!(stretches[1].legs[0], 0, "{stretches:?}");
    assert!(stretches[1].legs[1] > 1_000, "{stretches:?}");
    let verdict = rig.finish().unwrap().verdict;
    assert_eq!(
        (verdict.order_violations, verdict.duplicates_delivered),
        (0, 0)
    );
    assert_eq!((verdict.undeclared, verdict.belied), (0, 0));
}

#[test]
fn the_other_leg_follows_a_dead_active_behind_a_discontinuity_under_first_arrival() {
    the_pinned_active_dies(Policy::FirstArrival);
}

#[test]
fn the_other_leg_follows_a_dead_active_behind_a_discontinuity_under_prefer_active() {
    the_pinned_active_dies(Policy::PreferActive);
}

#[test]
fn a_divergence_that_is_over_ends_at_the_subscriber_and_in_the_pair() {
    let _alone = alone();
    let mut rig = start(&wrong(Seat::Active, FROM..FROM + 100, Policy::FirstArrival));
    rig.open().unwrap();
    until_told(&mut rig, 1);
    assert!(
        told(&mut rig, "divergence").contains("pinned: Zero"),
        "the active, right or wrong"
    );
    until_unprotected(&mut rig);
    let epoch = until_told(&mut rig, 2);
    assert_eq!(epoch.stretches[0].legs[1], 0, "{:?}", epoch.stretches);
    assert!(told(&mut rig, "converged").contains("range: 3"));
    rig.until_protected(common::LIMIT).unwrap();
    let verdict = rig.finish().unwrap().verdict;
    assert_eq!(
        (verdict.lost, verdict.order_violations, verdict.breaks),
        (0, 0, 0)
    );
}
