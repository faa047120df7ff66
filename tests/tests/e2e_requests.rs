//! Is what both lines of a source lost given by the exchange, with real processes?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{alone, small_run, start, status, until_session};
use twinfeed_control::Policy;
use twinfeed_harness::judge::Verdict;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Finished, Rig, Seat};

/// Each line loses one packet in twenty by itself, so that one in four hundred is on neither.
fn lossy() -> Run {
    Run {
        line_loss: 0.05,
        requests: Some(0.0),
        rate: 10_000,
        session: Duration::from_secs(2),
        // A hole that is asked for holds its adapter up, and a busy host the other one.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// What an adapter counts.
fn count(rig: &Rig, seat: Seat, name: &str) -> u64 {
    let status = status(rig, seat).expect("the adapter answers");
    status.counters[name]
}

fn counts(rig: &Rig, name: &str) -> [u64; 2] {
    Seat::BOTH.map(|seat| count(rig, seat, name))
}

/// Runs two sessions through; what the adapters asked, got and gave up.
fn two_sessions(run: &Run) -> (Finished, [[u64; 2]; 3]) {
    let mut rig = start(run);
    rig.open().unwrap();
    until_session(&mut rig, 3);
    let names = [
        "source_requests_total",
        "recovered_messages_total",
        "gaps_total",
    ];
    let counted = names.map(|name| counts(&rig, name));
    (rig.finish().unwrap(), counted)
}

#[track_caller]
fn assert_whole(verdict: &Verdict) {
    let wrong = (
        verdict.lost,
        verdict.undeclared,
        verdict.duplicates_delivered,
        verdict.order_violations,
    );
    assert_eq!(wrong, (0, 0, 0, 0), "{verdict:?}");
}

#[test]
fn what_both_lines_lost_is_given_by_the_exchange() {
    let _alone = alone();
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (finished, [asked, recovered, gaps]) = two_sessions(&Run { policy, ..lossy() });
        assert_whole(&finished.verdict);
        for seat in 0..2 {
            assert!(asked[seat] > 0, "{policy:?}: nothing was lost: {asked:?}");
            assert!(recovered[seat] > 0, "{policy:?}: {recovered:?}");
        }
        assert_eq!(gaps, [0, 0], "{policy:?}");
    }
}

#[test]
fn an_exchange_that_leaves_some_requests_unanswered_is_asked_again() {
    let _alone = alone();
    let (finished, [asked, recovered, gaps]) = two_sessions(&Run {
        requests: Some(0.1),
        ..lossy()
    });
    assert_whole(&finished.verdict);
    assert!(
        recovered.iter().all(|messages| *messages > 0),
        "{asked:?} {recovered:?}"
    );
    assert_eq!(gaps, [0, 0]);
}

#[test]
fn what_the_exchange_has_no_more_is_declared() {
    let _alone = alone();
    let (finished, [asked, _, gaps]) = two_sessions(&Run {
        requests: Some(0.0),
        // The latest message is all that it has.
        requests_kept: Some(1),
        fills: false,
        ..lossy()
    });
    assert!(asked.iter().all(|requests| *requests > 0), "{asked:?}");
    assert!(gaps.iter().all(|holes| *holes > 0), "{gaps:?}");
    let verdict = &finished.verdict;
    assert!(
        verdict.lost > 0 && verdict.lost == verdict.declared,
        "{verdict:?}"
    );
    let wrong = (
        verdict.undeclared,
        verdict.duplicates_delivered,
        verdict.order_violations,
    );
    assert_eq!(wrong, (0, 0, 0), "{verdict:?}");
}
