//! Does an adapter that does not know the orders, and nobody to ask for them, ever get the word by accident?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{alone, kept, small_run, start, until_delivered, until_session, wait_for};
use rustix::process::Signal;
use twinfeed_control::DataState;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// Kills the active in mid-session and waits until its successor speaks, without the session's past.
fn half_informed(run: &Run) -> Rig {
    let mut rig = start(run);
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    rig.restart(Seat::Active).unwrap();
    wait_for("the successor speaks", || {
        let leg = rig.feed().unwrap().legs[0].clone();
        let told = leg
            .report
            .iter()
            .flat_map(|report| &report.streams)
            .any(|it| it.sending);
        let heard = rig.probe().status().unwrap().legs[0] == "live";
        if told && heard && leg.data == DataState::Incomplete {
            Ok(())
        } else {
            Err(format!("{leg:?}"))
        }
    });
    rig
}

fn long_session() -> Run {
    Run {
        session: Duration::from_secs(4),
        context_transfer: false,
        ..small_run()
    }
}

#[test]
fn a_restarted_adapter_is_not_merged_before_the_next_session() {
    let _alone = alone();
    let mut rig = half_informed(&long_session());
    let feed = rig.feed().unwrap();
    assert!(!feed.pair.protected, "{:?}", feed.pair);
    let from_ns = twinfeed_net::clock::monotonic_ns();
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 800);
    let length_ns = twinfeed_net::clock::monotonic_ns() - from_ns;
    assert_eq!(
        rig.exchange().standing().unwrap().opened,
        1,
        "all of it in one session"
    );
    let window = rig.probe().window(from_ns, length_ns).unwrap();
    assert_eq!(window.legs[0], 0, "{window:?}");
    assert!(window.legs[1] > 0, "{window:?}");
    until_session(&mut rig, 2);
    rig.until_protected(common::LIMIT).unwrap();
    let before = rig.probe().summary().unwrap().legs;
    wait_for("the restarted leg is first now and then", || {
        let legs = rig.probe().summary().unwrap().legs;
        if legs[0] > before[0] {
            Ok(())
        } else {
            Err(format!("{before:?} {legs:?}"))
        }
    });
    kept(rig);
}

#[test]
fn losing_the_complete_leg_is_declared_as_a_discontinuity() {
    let _alone = alone();
    let mut rig = half_informed(&long_session());
    rig.signal(Seat::Backup, Signal::KILL).unwrap();
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 800);
    assert_eq!(
        rig.exchange().standing().unwrap().opened,
        1,
        "all of it in one session"
    );
    let finished = rig.finish().unwrap();
    let breaks = &finished.seen.breaks;
    assert_eq!(breaks.len(), 1, "{breaks:?}");
    assert_eq!(
        (breaks[0].cause.as_str(), breaks[0].complete),
        ("context", false)
    );
    let verdict = &finished.verdict;
    assert_eq!(
        (verdict.lost, verdict.duplicates_delivered),
        (0, 0),
        "{verdict:?}"
    );
    assert_eq!(verdict.order_violations, 0, "{verdict:?}");
}
