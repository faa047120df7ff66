//! Can both adapters be replaced under load, one after the other, without anybody noticing? `docs/upgrade.md`, step by step.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{LIMIT, alone, incarnation, kept, small_run, start, until_delivered, wait_for};
use rustix::process::Signal;
use twinfeed_control::Policy;
use twinfeed_harness::process::Program;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// Names another build of the program, to be mixed with the one under test.
const OTHER_BUILD: &str = "TWINFEED_OTHER_BUILD";

/// Everything within one session.
fn one_long_session(policy: Policy) -> Run {
    Run {
        session: Duration::from_secs(60),
        policy,
        ..small_run()
    }
}

/// Changes the feed's file, which adapters read when they start.
fn edit(rig: &Rig, from: &str, to: &str) {
    let path = rig.files().path("feed.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The adapter in `seat` leaves in order and is started anew; returns when the pair is protected, in the same session.
fn replace(rig: &mut Rig, seat: Seat) {
    let left = incarnation(rig, seat);
    rig.signal(seat, Signal::TERM).unwrap();
    let status = rig.adapter(seat).unwrap().wait(LIMIT).unwrap();
    assert!(status.success(), "{status}");
    let reached = rig.probe().status().unwrap().sseq;
    until_delivered(rig, reached + 200);
    rig.restart(seat).unwrap();
    wait_for("both adapters are there, one of them new", || {
        let legs = rig.feed().unwrap().legs;
        let another = legs[seat.index()].incarnation;
        let new = another.is_some() && another != left;
        match new && legs.iter().all(|leg| leg.report.is_some()) {
            true => Ok(()),
            false => Err(format!("{legs:?}")),
        }
    });
    rig.until_protected(LIMIT).unwrap();
}

fn hand_over(rig: &mut Rig) {
    let before = rig.active_seat().unwrap();
    rig.hand_over().unwrap();
    rig.until_handed_over(LIMIT).unwrap();
    assert_eq!(rig.active_seat().unwrap(), before.other());
    rig.until_protected(LIMIT).unwrap();
}

/// Backup, hand-over, the other one: everything that `docs/upgrade.md` tells an operator to do.
fn roll(rig: &mut Rig) {
    for _ in 0..2 {
        let backup = rig.active_seat().unwrap().other();
        replace(rig, backup);
        hand_over(rig);
    }
}

fn nobody_noticed(rig: Rig) {
    let finished = kept(rig);
    assert_eq!(finished.sent.len(), 1, "all of it in one session");
}

fn a_setting_rolls(policy: Policy) {
    let _alone = alone();
    let mut rig = start(&one_long_session(policy));
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    let generation = rig.feed().unwrap().pair.generation.0;
    edit(&rig, "[pair]\n", "[pair]\nbeat = \"150ms\"\n");
    roll(&mut rig);
    assert!(rig.feed().unwrap().pair.generation.0 >= generation + 2);
    nobody_noticed(rig);
}

#[test]
fn a_setting_outside_the_digest_rolls_under_first_arrival() {
    a_setting_rolls(Policy::FirstArrival);
}

#[test]
fn a_setting_outside_the_digest_rolls_under_prefer_active() {
    a_setting_rolls(Policy::PreferActive);
}

#[test]
#[ignore = "needs TWINFEED_OTHER_BUILD"]
fn another_build_rolls_in_and_out_again() {
    let other = std::env::var_os(OTHER_BUILD).unwrap();
    let _alone = alone();
    let mut rig = start(&one_long_session(Policy::PreferActive));
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    let ours = rig.program().clone();
    for build in [Program::at(other), ours] {
        rig.set_program(&build);
        roll(&mut rig);
    }
    nobody_noticed(rig);
}

#[test]
fn a_setting_inside_the_digest_gets_no_seat_and_takes_nothing_away() {
    let _alone = alone();
    let mut rig = start(&one_long_session(Policy::FirstArrival));
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    edit(&rig, "publisher_id = ", "publisher_id = 1");
    rig.signal(Seat::Backup, Signal::TERM).unwrap();
    rig.adapter(Seat::Backup).unwrap().wait(LIMIT).unwrap();
    rig.restart(Seat::Backup).unwrap();
    let status = rig.adapter(Seat::Backup).unwrap().wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(78), "{status}");
    let reached = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, reached + 200);
    assert!(!rig.feed().unwrap().pair.protected);
    edit(&rig, "publisher_id = 1", "publisher_id = ");
    rig.restart(Seat::Backup).unwrap();
    rig.until_protected(LIMIT).unwrap();
    nobody_noticed(rig);
}
