//! What do adapters that end again and again cost a subscriber, and how often do they pass the role to and fro?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{
    LIMIT, alone, change, history, incarnation, kept, seat_id, small_run, start, status,
    until_delivered, until_in_step, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::{LinkState, Policy, RoleAction, RoleCause, RoleChange, RoleOutcome};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};
use twinfeed_protocol::Limits;

/// How often an adapter is killed.
const DEATHS: usize = 10;
/// Takeovers within a minute where they are limited.
const MOST: usize = 3;

/// One long session, in which a subscriber prefers the active.
fn flapping_run() -> Run {
    Run {
        policy: Policy::PreferActive,
        session: Duration::from_secs(600),
        rate: 2_000,
        // Deaths are to move the subscriber here, not a host that is slow.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// Kills an adapter and starts another one in its place; returns when that converts what it hears, and its peer hears it.
fn flap(rig: &mut Rig, seat: Seat) {
    let killed = incarnation(rig, seat);
    rig.signal(seat, Signal::KILL).unwrap();
    rig.adapter(seat).unwrap().wait(LIMIT).unwrap();
    rig.restart(seat).unwrap();
    wait_for("the next one is at work", || {
        let new = incarnation(rig, seat);
        let status = status(rig, seat);
        let at_work = status.as_ref().is_some_and(|it| {
            it.link == LinkState::Up && it.streams.iter().all(|it| it.next_pos.sseq > 1)
        });
        match at_work && new.is_some() && new != killed {
            true => Ok(()),
            false => Err(format!("{new:?} {status:?}")),
        }
    });
}

/// Changes of roles for which the backup asked because the active's process was gone, and got what it asked for or not.
fn taken_over(changes: &[RoleChange], done: bool) -> usize {
    let asked = changes.iter().filter(|it| it.cause == RoleCause::PeerGone);
    let answered = |it: &&RoleChange| matches!(it.outcome, RoleOutcome::Done { .. }) == done;
    asked.filter(answered).count()
}

#[test]
fn a_flapping_active_moves_a_subscriber_there_and_back_at_most_once_per_hold_down() {
    let _alone = alone();
    let mut rig = start(&flapping_run());
    // Its restarted self is active again each time.
    let pin = RoleAction::Pin {
        adapter: seat_id(Seat::Active),
    };
    change(&rig, "pin", pin);
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    until_in_step(&rig);
    let begun = Instant::now();
    for _ in 0..DEATHS {
        flap(&mut rig, Seat::Active);
    }
    let took = begun.elapsed();
    assert_eq!(rig.active_seat().unwrap(), Seat::Active, "it is pinned");
    assert_eq!(taken_over(&history(&rig), true), 0);
    let reached = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, reached + 500);
    let finished = kept(rig);
    let receipts = &finished.seen.receipts;
    let away = receipts.iter().filter(|it| it.from_leg == 0).count();
    let back = receipts.len() - away;
    // Back only to a leg that has been there for as long as that.
    let most = took.as_nanos() / Limits::default().hold_down.as_nanos();
    assert!(away >= 1, "{receipts:?}");
    let bounded = back as u128 <= most && away <= back + 1;
    assert!(bounded, "{took:?}: {receipts:?}");
    assert!(away < DEATHS, "{took:?}: {receipts:?}");
    assert!(receipts.iter().all(|it| it.gaps_left == 0), "{receipts:?}");
}

#[test]
fn adapters_that_end_in_turn_take_over_no_more_often_than_the_limit_says_and_nothing_is_lost() {
    let _alone = alone();
    let mut rig = start(&Run {
        takeovers_per_minute: MOST,
        ..flapping_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    for death in 1..=DEATHS {
        until_in_step(&rig);
        let active = rig.active_seat().unwrap();
        rig.signal(active, Signal::KILL).unwrap();
        let limited = death > MOST;
        wait_for("the survivor asked and was answered", || {
            let changes = history(&rig);
            let counts = (taken_over(&changes, true), taken_over(&changes, false));
            let refused = death.saturating_sub(MOST);
            match counts == (death.min(MOST), refused) {
                true => Ok(()),
                false => Err(format!("{counts:?} {:?}", changes.first())),
            }
        });
        let heir = rig.active_seat().unwrap();
        assert_eq!(heir == active, limited, "death {death}");
        rig.restart(active).unwrap();
    }
    until_in_step(&rig);
    let changes = history(&rig);
    assert_eq!(taken_over(&changes, true), MOST, "{changes:?}");
    let RoleOutcome::Refused { reason } = &changes
        .iter()
        .find(|it| it.cause == RoleCause::PeerGone)
        .unwrap()
        .outcome
    else {
        panic!("{changes:?}");
    };
    assert!(reason.contains("limits.takeovers_per_minute"), "{reason}");
    let finished = kept(rig);
    let receipts = &finished.seen.receipts;
    // Each death of the leg that is relied on is one switch, and none comes of a restart.
    assert!(receipts.len() <= DEATHS, "{receipts:?}");
    assert!(receipts.iter().all(|it| it.gaps_left == 0), "{receipts:?}");
}
