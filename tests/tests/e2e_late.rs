//! Is a backup that started late, beside an active that has long been at work, ever taken for one that is in step? With
//! two sources, so that neither numbers nor counts of the two agree by accident.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    LIMIT, alone, is_in_step, kept, small_run, start, status, until_in_step, until_session,
    wait_for,
};
use rustix::process::Signal;
use twinfeed_control::{PairState, Policy, StreamStatus};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// Messages of each source that the backup comes too late for, at least.
const LATE: u64 = 1_000;
/// The sources.
const SIDS: [u32; 2] = [1, 2];

fn two_sources(policy: Policy, context_transfer: bool, session: Duration) -> Run {
    Run {
        policy,
        context_transfer,
        session,
        two_sources: true,
        rate: 2_000,
        // A host that keeps the active from its core shows the late one's shorter memory: not what this is about.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// Source messages delivered of each source, over all sessions.
fn delivered(rig: &mut Rig) -> [u64; 2] {
    let epochs = rig.probe().summary().unwrap().epochs;
    let of = |sid| epochs.iter().filter(move |epoch| epoch.sid == sid);
    SIDS.map(|sid| of(sid).map(|epoch| epoch.messages).sum())
}

/// Whether so many messages of each source were delivered beyond `from`.
fn goes_on(rig: &mut Rig, from: [u64; 2], more: u64) -> Result<(), String> {
    let now = delivered(rig);
    match (0..2).all(|place| now[place] >= from[place] + more) {
        true => Ok(()),
        false => Err(format!("{from:?} {now:?}")),
    }
}

/// An adapter leaves in order, and the subscriber hears so.
fn leave(rig: &mut Rig, seat: Seat) {
    rig.signal(seat, Signal::TERM).unwrap();
    rig.adapter(seat).unwrap().wait(LIMIT).unwrap();
    until_leg(rig, seat, "lost");
}

/// Until the subscriber calls a leg so.
fn until_leg(rig: &mut Rig, seat: Seat, state: &str) {
    wait_for("the subscriber notices", || {
        let legs = rig.probe().status().unwrap().legs;
        match legs[seat.index()] == state {
            true => Ok(()),
            false => Err(format!("{legs:?}")),
        }
    });
}

/// Starts everybody but the backup, which comes when each source has sent some thousand messages; returns when it converts
/// both sources.
fn start_late(run: &Run) -> Rig {
    let mut rig = start(run);
    // A generation in which nobody has ever been its backup.
    leave(&mut rig, Seat::Backup);
    leave(&mut rig, Seat::Active);
    rig.restart(Seat::Active).unwrap();
    until_leg(&mut rig, Seat::Active, "live");
    rig.open().unwrap();
    wait_for("each source has come so far", || {
        goes_on(&mut rig, [0; 2], LATE)
    });
    let generation = rig.feed().unwrap().pair.generation;
    rig.restart(Seat::Backup).unwrap();
    wait_for("the backup converts both sources", || {
        let backup = status(&rig, Seat::Backup).map_or(Vec::new(), |backup| backup.streams);
        let converts = |it: &StreamStatus| it.next_pos.sseq > LATE && it.next_msn > 1;
        match backup.len() == SIDS.len() && backup.iter().all(converts) {
            true => Ok(()),
            false => Err(format!("{backup:?}")),
        }
    });
    assert_eq!(rig.feed().unwrap().pair.generation, generation);
    rig
}

/// Nobody takes a stream of the backup for one in step that does not know its session.
#[track_caller]
fn assert_no_accident(rig: &Rig) {
    let Some(backup) = status(rig, Seat::Backup) else {
        return;
    };
    for stream in &backup.streams {
        let in_step = stream.pair.state == PairState::Synchronised || stream.pair.protected;
        assert!(stream.complete || !in_step, "{stream:?}");
    }
    if backup.streams.iter().any(|stream| !stream.complete) {
        let pair = rig.feed().unwrap().pair;
        let still = status(rig, Seat::Backup).unwrap();
        let complete = still.streams.iter().all(|stream| stream.complete);
        assert!(complete || !pair.protected, "{pair:?} {still:?}");
    }
}

/// The active dies in the session that is on; both sources go on from the backup, and nothing tells of it but a receipt each.
fn switches_without_a_trace(mut rig: Rig) {
    let before = delivered(&mut rig);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    wait_for("both sources go on", || goes_on(&mut rig, before, LATE));
    let receipts = kept(rig).seen.receipts;
    for sid in SIDS {
        let of_it = receipts.iter().filter(|it| it.sid == sid);
        let left: Vec<_> = of_it.filter(|it| it.from_leg == 0).collect();
        assert!(!left.is_empty(), "sid {sid}: {receipts:?}");
        assert!(left.iter().all(|it| it.gaps_left == 0), "{receipts:?}");
    }
}

#[test]
fn a_late_backup_that_cannot_learn_the_past_is_in_step_with_the_next_session_and_not_before() {
    let _alone = alone();
    let session = Duration::from_secs(5);
    let mut rig = start_late(&two_sources(Policy::PreferActive, false, session));
    // What counts its records from 1 is far from where the active counts them.
    let [active, backup] = Seat::BOTH.map(|seat| status(&rig, seat).unwrap());
    for (active, backup) in active.streams.iter().zip(&backup.streams) {
        let behind = active.next_msn.saturating_sub(backup.next_msn);
        assert!(behind >= LATE / 2, "{active:?} {backup:?}");
    }
    let from = delivered(&mut rig);
    wait_for("the session goes on", || {
        assert_no_accident(&rig);
        goes_on(&mut rig, from, LATE)
    });
    let backup = status(&rig, Seat::Backup).unwrap();
    let opened = rig.exchange().standing().unwrap().opened;
    assert_eq!(opened, 1, "all of it in one session");
    assert!(backup.streams.iter().all(|it| !it.complete), "{backup:?}");
    until_session(&mut rig, 2);
    until_in_step(&rig);
    switches_without_a_trace(rig);
}

#[test]
fn a_late_backup_that_learns_the_past_is_in_step_when_it_has_and_not_before() {
    let _alone = alone();
    let session = Duration::from_secs(600);
    let mut rig = start_late(&two_sources(Policy::FirstArrival, true, session));
    wait_for("the backup is in step", || {
        assert_no_accident(&rig);
        is_in_step(&rig)
    });
    let backup = status(&rig, Seat::Backup).unwrap();
    let taken = backup.counters["contexts_taken_total"];
    assert_eq!(taken, SIDS.len() as u64, "{backup:?}");
    assert_eq!(rig.exchange().standing().unwrap().opened, 1);
    switches_without_a_trace(rig);
}
