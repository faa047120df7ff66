//! What every end-to-end test needs: the program, a small run, and the host to itself.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test file uses its own part of this"
)]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use twinfeed_control::{
    AdapterId, AdapterStatus, Client, Incarnation, MessagePlace, OrderOutcome, OrderRecord, Role,
    RoleAction, RoleChange, RoleOrder, StopFlag,
};
use twinfeed_harness::adapter::{self, Standing};
use twinfeed_harness::files::{FEED, Files};
use twinfeed_harness::judge::{Verdict, judge};
use twinfeed_harness::probe::Probe;
use twinfeed_harness::probe::wire::Summary;
use twinfeed_harness::process::{Program, Seen, until};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Finished, Rig, Seat, notices};
pub(crate) use twinfeed_tests::small_run;

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
    twinfeed_tests::program::up_to_date(&folder()).unwrap()
}

/// `target/<profile>`
fn folder() -> PathBuf {
    // target/<profile>/deps/<this test>
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().to_owned()
}

/// An example of the library, brought up to date likewise.
pub(crate) fn example(name: &str) -> PathBuf {
    twinfeed_tests::program::example(&folder(), name).unwrap()
}

/// Everything up and protected, nothing sent yet.
pub(crate) fn start(run: &Run) -> Rig {
    // Where it is given, the run's files stay: what each process said last is there.
    match std::env::var_os("TWINFEED_RUN_DIR") {
        Some(at) => Rig::start_in(&program(), run, &StopFlag::new(), at.as_ref()),
        None => Rig::start(&program(), run, &StopFlag::new()),
    }
    .unwrap()
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

/// What an adapter says of itself, in this moment and not when it last reported.
pub(crate) fn status(rig: &Rig, seat: Seat) -> Option<AdapterStatus> {
    adapter::status(rig.files().adapters[seat.index()].operations)
}

/// Waits until both adapters say that they number alike, in every stream, and know the whole session. stream-admin hears so
/// up to a third of a lease later.
pub(crate) fn until_in_step(rig: &Rig) {
    wait_for("both adapters are in step", || is_in_step(rig));
}

/// Whether they say so now, or how they stand.
pub(crate) fn is_in_step(rig: &Rig) -> Result<(), String> {
    adapter::in_step(rig.files().adapters.map(|at| at.operations))
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

/// Ends the run; every promise was kept, without a discontinuity. The one that a message without its backup's word may bring
/// is none: a host that keeps an adapter from its core for longer than an announcement leads makes one.
#[track_caller]
pub(crate) fn kept(rig: Rig) -> Finished {
    let alone = placed_alone(&rig);
    let finished = rig.finish().unwrap();
    let breaks = &finished.seen.breaks;
    let broken = broken(&finished.verdict, &finished.seen, alone);
    assert_eq!(
        broken,
        Vec::<String>::new(),
        "{:?} {breaks:?}",
        finished.verdict
    );
    finished
}

/// Messages that one adapter placed and the other did not: by the adapters that still run, and by an operator's orders.
pub(crate) fn placed_alone(rig: &Rig) -> u64 {
    let by_adapters = rig.files().adapters.map(|at| {
        let standing = Standing::of(at.operations).unwrap_or_default();
        standing.counter("placed_alone") + standing.counter("dropped")
    });
    let orders = rig
        .operator(Duration::from_secs(1))
        .and_then(|it| Ok(it.orders(&rig.feed_name())?))
        .unwrap_or_default();
    let ordered = orders
        .iter()
        .filter(|it| matches!(it.outcome, OrderOutcome::Placed { place } if !place.agreed));
    by_adapters.iter().sum::<u64>().max(ordered.count() as u64)
}

/// The promises that were broken, were this many messages placed alone.
fn broken(verdict: &Verdict, seen: &Summary, alone: u64) -> Vec<String> {
    let told = seen.breaks.iter().filter(|it| it.cause == "administrative");
    let breaks = verdict.breaks - (told.count() as u64).min(alone);
    Verdict {
        breaks,
        ..verdict.clone()
    }
    .broken()
}

/// Ends the run; nothing was lost, told twice or out of order. A discontinuity is no fault here: a busy host may keep a backup
/// from agreeing to a message, or show a shorter memory.
#[track_caller]
pub(crate) fn nothing_lost(rig: Rig) -> Finished {
    let finished = rig.finish().unwrap();
    let verdict = &finished.verdict;
    assert_eq!(
        (
            verdict.lost,
            verdict.undeclared,
            verdict.duplicates_delivered,
            verdict.order_violations
        ),
        (0, 0, 0, 0),
        "{verdict:?}"
    );
    finished
}

/// One more subscriber, which hears both legs.
pub(crate) fn second_probe(rig: &Rig) -> Probe {
    let mut probe = rig.another_probe("probe-2").unwrap();
    wait_for("the second subscriber hears both legs", || {
        let status = probe.status().unwrap();
        match status.heard {
            [true, true] => Ok(()),
            _ => Err(format!("{status:?}")),
        }
    });
    probe
}

/// Ends the run; what each of two subscribers saw, and what that means.
pub(crate) fn finish_both(mut rig: Rig, mut second: Probe) -> [(Summary, Verdict); 2] {
    let (_, seen, sent) = rig.end().unwrap();
    let last = sent.last().unwrap().epoch;
    wait_for("the second subscriber has come to the end", || {
        let status = second.status().unwrap();
        match status.ended.contains(&last) {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
    let conversion = Files::conversion(rig.run()).unwrap();
    let both = [seen, second.summary().unwrap()].map(|seen| {
        let verdict = judge(&sent, &conversion, &seen).unwrap();
        (seen, verdict)
    });
    second.stop().unwrap();
    rig.leave().unwrap();
    both
}

/// Both subscribers got exactly these messages, and every promise was kept. Whoever followed a leg past the place of a
/// message that its adapter had not agreed to is told of that in front of it, and only of that.
#[track_caller]
pub(crate) fn assert_kept(both: [(Summary, Verdict); 2], messages: &[(String, MessagePlace)]) {
    let expected: Vec<_> = messages
        .iter()
        .map(|(text, place)| (text.as_str(), *place))
        .collect();
    let alone = messages.iter().filter(|(_, place)| !place.agreed).count() as u64;
    for (seen, verdict) in both {
        assert_told(&seen, &expected);
        let broken = broken(&verdict, &seen, alone);
        assert_eq!(broken, Vec::<String>::new(), "{:?}", seen.breaks);
    }
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
    assert_told(&finished.seen, expected);
}

/// The same of any subscriber.
#[track_caller]
pub(crate) fn assert_told(seen: &Summary, expected: &[(&str, MessagePlace)]) {
    let seen: Vec<_> = seen
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

/// The name under which stream-admin knows the adapter in a seat.
pub(crate) fn seat_id(seat: Seat) -> AdapterId {
    let role = match seat {
        Seat::Active => Role::Active,
        Seat::Backup => Role::Backup,
    };
    format!("{FEED}.{role}").parse().unwrap()
}

/// What became of a change of roles that an operator ordered.
pub(crate) fn change(rig: &Rig, key: &str, action: RoleAction) -> RoleChange {
    let order = RoleOrder {
        key: key.to_owned(),
        feed: rig.feed_name(),
        action,
        wait_ms: 20_000,
    };
    operator(rig).order_roles(&order).unwrap()
}

/// All changes of roles, newest first.
pub(crate) fn history(rig: &Rig) -> Vec<RoleChange> {
    operator(rig).role_changes(&rig.feed_name()).unwrap()
}

/// Until this seat acts as backup of the generation that is granted.
pub(crate) fn until_backup(rig: &Rig, seat: Seat, generation: u32) {
    wait_for("the old active is back as backup", || {
        let feed = rig.feed().unwrap();
        let leg = &feed.legs[seat.index()];
        let acts = leg
            .report
            .as_ref()
            .map(|report| (report.generation.0, report.role));
        if acts == Some((generation, Role::Backup)) && leg.role == Some(Role::Backup) {
            Ok(())
        } else {
            Err(format!("{:?} {acts:?}: {}", leg.role, leg.reason))
        }
    });
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
