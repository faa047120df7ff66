//! What does a cut pair link cost, with both adapters alive?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{alone, kept, small_run, start, until_delivered, wait_for};
use twinfeed_control::Policy;
use twinfeed_harness::Seat;
use twinfeed_harness::run::Run;

fn a_cut_link_moves_nothing(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&Run {
        policy,
        session: std::time::Duration::from_secs(4),
        relayed_link: true,
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    let before = rig.feed().unwrap().pair.generation;
    rig.cut_link(true).unwrap();
    wait_for("a pair whose link is cut is not protected", || {
        let pair = rig.feed().unwrap().pair;
        if pair.protected {
            Err(pair.reason)
        } else {
            Ok(())
        }
    });
    let cut_at = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, cut_at + 500);
    let pair = rig.feed().unwrap().pair;
    assert_eq!(pair.generation, before, "silence is not death: {pair:?}");
    assert_eq!(rig.active_seat().unwrap(), Seat::Active);
    rig.cut_link(false).unwrap();
    wait_for("mended, it is protected again", || {
        let pair = rig.feed().unwrap().pair;
        if pair.protected {
            Ok(())
        } else {
            Err(pair.reason)
        }
    });
    let pair = rig.feed().unwrap().pair;
    assert_eq!(pair.generation, before, "{pair:?}");
    let finished = kept(rig);
    assert!(finished.verdict.duplicates_dropped > 0, "both transmitted");
}

#[test]
fn a_cut_link_moves_nothing_under_first_arrival() {
    a_cut_link_moves_nothing(Policy::FirstArrival);
}

#[test]
fn a_cut_link_moves_nothing_under_prefer_active() {
    a_cut_link_moves_nothing(Policy::PreferActive);
}
