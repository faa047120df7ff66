//! What every end-to-end test needs: the program, a small run, and the host to itself.
#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use twinfeed_control::{
    Client, Incarnation, MessagePlace, OrderOutcome, OrderRecord, Policy, StopFlag,
};
use twinfeed_harness::process::{Program, Seen, until};
use twinfeed_harness::run::{Burst, Content, Run};
use twinfeed_harness::{Finished, Rig, Seat, notices};

/// Longest wait for anything; reached only by a test that fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One rig at a time: two would share the cores that the processes of each need.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static HOST: Mutex<()> = Mutex::new(());
    HOST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The `twinfeed` program, brought up to date by cargo: a test depends on it without cargo knowing.
pub(crate) fn program() -> Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(build).clone()
}

fn build() -> Program {
    // target/<profile>/deps/<this test>
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    twinfeed_tests::program::up_to_date(folder).unwrap()
}

/// A run that a debug build on two busy cores can bear.
pub(crate) fn small_run() -> Run {
    Run {
        content: Content::Flow { instruments: 50 },
        rate: 4_000,
        burst: Some(Burst {
            factor: 5,
            period: Duration::from_millis(100),
            length: Duration::from_millis(15),
        }),
        session: Duration::from_millis(1_500),
        // The host may take a process off its core for long; only real deaths are to count here.
        missed_heartbeats: Some(100),
        policy: Policy::FirstArrival,
        ..Run::default()
    }
}

/// Everything up and protected, nothing sent yet.
pub(crate) fn start(run: &Run) -> Rig {
    Rig::start(&program(), run, &StopFlag::new()).unwrap()
}

/// Waits until `met`.
pub(crate) fn wait_for(what: &str, mut met: impl FnMut() -> Result<(), String>) {
    until(what, LIMIT, &StopFlag::new(), || {
        Ok(match met() {
            Ok(()) => Seen::Met(()),
            Err(state) => Seen::NotYet(state),
        })
    })
    .unwrap();
}

/// Waits until the probe has delivered source number `sseq` of the session that is on.
pub(crate) fn until_delivered(rig: &mut Rig, sseq: u64) {
    wait_for("the subscriber has come so far", || {
        let status = rig.probe().status().unwrap();
        if status.sseq >= sseq {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
}

/// Which process has a seat, as stream-admin knows it.
pub(crate) fn incarnation(rig: &Rig, seat: Seat) -> Option<Incarnation> {
    rig.feed().unwrap().legs[seat.index()].incarnation
}

/// Waits until `count` sessions have opened.
pub(crate) fn until_session(rig: &mut Rig, count: u64) {
    rig.exchange()
        .until_opened(count, LIMIT, &StopFlag::new())
        .unwrap();
}

/// Ends the run; every promise was kept, without a discontinuity.
#[track_caller]
pub(crate) fn kept(rig: Rig) -> Finished {
    let finished = rig.finish().unwrap();
    let (verdict, breaks) = (&finished.verdict, &finished.seen.breaks);
    assert_eq!(
        verdict.broken(),
        Vec::<String>::new(),
        "{verdict:?} {breaks:?}"
    );
    finished
}

/// The subscriber switched away from leg 0, and no switch left a gap.
#[track_caller]
pub(crate) fn assert_switched(finished: &Finished) {
    let receipts = &finished.seen.receipts;
    assert!(receipts.iter().any(|it| it.from_leg == 0), "{receipts:?}");
    assert!(receipts.iter().all(|it| it.gaps_left == 0), "{receipts:?}");
}

/// The subscriber got exactly these messages, once and in this order.
#[track_caller]
pub(crate) fn assert_saw(finished: &Finished, expected: &[(&str, MessagePlace)]) {
    let seen: Vec<_> = finished
        .seen
        .administrative
        .iter()
        .map(|it| (it.text.as_str(), it.generation, it.number, it.sseq))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(text, at)| (*text, at.generation.0, at.number, at.sseq))
        .collect();
    assert_eq!(seen, expected, "each once, where its adapter says");
}

/// An operator's connection to stream-admin.
pub(crate) fn operator(rig: &Rig) -> Client {
    rig.operator(LIMIT).unwrap()
}

/// What became of an operator's notice after `wait` at the latest.
#[track_caller]
pub(crate) fn ordered(rig: &Rig, text: &str, wait: Duration) -> OrderRecord {
    let order = notices::order(rig.feed_name(), text, wait);
    operator(rig).order(&order).unwrap()
}

/// Where it stands. Whether the backup agreed in time depends on how busy the host is; that it is seen once does not.
#[track_caller]
pub(crate) fn placed(rig: &Rig, text: &str) -> MessagePlace {
    match ordered(rig, text, Duration::from_secs(10)).outcome {
        OrderOutcome::Placed { place } => place,
        other => panic!("{text}: {other:?}"),
    }
}
