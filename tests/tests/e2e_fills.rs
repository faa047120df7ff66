//! Is what both legs lost given by the adapters, with real processes and a kernel that drops the same datagrams on both?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    alone, kept, nothing_lost, small_run, start, status, until_delivered, until_session, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::{Policy, TransmitMode};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Finished, Rig, Seat};

/// Of 256 datagrams with records: 5 %.
const SOME: u16 = 13;
/// None passes.
const ALL: u16 = 256;

fn longer() -> Run {
    Run {
        session: Duration::from_secs(3),
        ..small_run()
    }
}

/// Waits until both adapters were told of the subscriber that may ask.
fn until_entitled(rig: &mut Rig) {
    until_delivered(rig, 300);
}

#[track_caller]
fn assert_filled(finished: &Finished) {
    let seen = &finished.seen;
    let filled: u64 = seen.filled.iter().sum();
    assert!(filled > 0, "the fault did not fire: {:?}", seen.filled);
    assert_eq!(seen.gaps, []);
    assert!(seen.fill_requests > 0);
}

/// What an adapter counts of fills.
fn count(rig: &Rig, seat: Seat, name: &str) -> u64 {
    let status = status(rig, seat).expect("the adapter answers");
    status.counters[name]
}

fn the_same_lost_on_both(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&Run { policy, ..longer() });
    rig.open().unwrap();
    until_entitled(&mut rig);
    rig.probe().thin(SOME).unwrap();
    until_session(&mut rig, 2);
    rig.probe().thin(0).unwrap();
    let counts = Seat::BOTH.map(|seat| count(&rig, seat, "fills_repairs_total"));
    assert!(counts[1] > 0, "the backup is asked first: {counts:?}");
    for seat in Seat::BOTH {
        for none in [
            "fills_dropped_total",
            "fills_unentitled_total",
            "fills_malformed_total",
        ] {
            assert_eq!(count(&rig, seat, none), 0, "{none}");
        }
    }
    assert_filled(&kept(rig));
}

#[test]
fn what_both_legs_lost_is_filled_under_first_arrival() {
    the_same_lost_on_both(Policy::FirstArrival);
}

#[test]
fn what_both_legs_lost_is_filled_under_prefer_active() {
    the_same_lost_on_both(Policy::PreferActive);
}

#[test]
fn with_one_adapter_dead_the_other_gives_what_it_lost() {
    for dead in Seat::BOTH {
        let _alone = alone();
        let mut rig = start(&longer());
        rig.open().unwrap();
        until_entitled(&mut rig);
        rig.probe().thin(SOME).unwrap();
        until_delivered(&mut rig, 2_000);
        rig.signal(dead, Signal::KILL).unwrap();
        until_delivered(&mut rig, 6_000);
        let finished = kept(rig);
        assert_filled(&finished);
        assert!(finished.seen.filled[dead.other().index()] > 0);
    }
}

#[test]
fn a_backup_on_standby_gives_what_it_withheld() {
    let _alone = alone();
    let mut rig = start(&Run {
        transmit: TransmitMode::Standby,
        ..longer()
    });
    rig.open().unwrap();
    until_entitled(&mut rig);
    rig.probe().thin(SOME).unwrap();
    until_delivered(&mut rig, 6_000);
    rig.probe().thin(0).unwrap();
    let finished = nothing_lost(rig);
    assert_filled(&finished);
    assert!(finished.seen.filled[1] > 0, "{:?}", finished.seen.filled);
}

#[test]
fn a_lost_tail_is_noticed_by_heartbeats_and_filled_up_to_the_end() {
    let _alone = alone();
    let mut rig = start(&longer());
    rig.open().unwrap();
    until_delivered(&mut rig, 2_000);
    // No record comes any more, of this session or the next; heartbeats do.
    rig.probe().thin(ALL).unwrap();
    until_session(&mut rig, 2);
    wait_for("the first session has ended", || {
        let status = rig.probe().status().unwrap();
        match status.ended.is_empty() {
            false => Ok(()),
            true => Err(format!("{status:?}")),
        }
    });
    rig.probe().thin(0).unwrap();
    assert_filled(&kept(rig));
}

#[test]
fn a_hole_beyond_all_retention_is_one_gap_and_then_the_data_go_on() {
    let _alone = alone();
    let mut rig = start(&Run {
        retained: Some(256),
        ..longer()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    for leg in [0, 1] {
        rig.probe().cut(leg, true).unwrap();
    }
    // Meanwhile the adapters send more than they retain.
    let sent = |rig: &Rig| {
        let streams = status(rig, Seat::Active).unwrap().streams;
        streams[0].next_pos.sseq
    };
    let from = sent(&rig);
    wait_for("the adapters have gone on", || {
        match sent(&rig) > from + 1_500 {
            true => Ok(()),
            false => Err(format!("{} from {from}", sent(&rig))),
        }
    });
    for leg in [0, 1] {
        rig.probe().cut(leg, false).unwrap();
    }
    let until = sent(&rig);
    until_delivered(&mut rig, until + 200);
    let finished = rig.finish().unwrap();
    let (verdict, seen) = (&finished.verdict, &finished.seen);
    let [gap] = &seen.gaps[..] else {
        panic!("{:?}", seen.gaps);
    };
    // The kernel counts what the filter of a cut leg keeps out as dropped at the socket.
    let causes = ["not_retained", "receiver_overrun"];
    assert!(causes.contains(&gap.cause.as_str()), "{gap:?}");
    assert!(gap.until - gap.from > 1_000, "{gap:?}");
    assert!(seen.filled.iter().sum::<u64>() > 0, "its end was retained");
    let wrong = (
        verdict.undeclared,
        verdict.false_gaps,
        verdict.partial_gaps,
        verdict.duplicates_delivered,
        verdict.order_violations,
    );
    assert_eq!(wrong, (0, 0, 0, 0, 0), "{verdict:?}");
}

#[test]
fn what_this_host_dropped_while_the_application_paused_is_filled() {
    let _alone = alone();
    let mut rig = start(&Run {
        receive_buffer: Some(16 << 10),
        ..longer()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.probe().pause(300).unwrap();
    until_delivered(&mut rig, 5_000);
    let finished = nothing_lost(rig);
    let drops: u64 = finished.seen.kernel_drops.iter().sum();
    assert!(drops > 0, "the fault did not fire");
    assert_filled(&finished);
}

#[test]
fn without_fills_the_same_loss_is_declared() {
    let _alone = alone();
    let mut rig = start(&Run {
        fills: false,
        ..longer()
    });
    rig.open().unwrap();
    until_entitled(&mut rig);
    rig.probe().thin(SOME).unwrap();
    until_delivered(&mut rig, 4_000);
    rig.probe().thin(0).unwrap();
    let finished = rig.finish().unwrap();
    assert!(!finished.seen.gaps.is_empty());
    assert_eq!(finished.seen.fill_requests, 0);
    assert_eq!(finished.verdict.undeclared, 0, "{:?}", finished.verdict);
}
