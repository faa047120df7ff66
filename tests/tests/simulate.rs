//! The budget of a change: the same seeds every time, which must keep their promises, and others that nobody tried, whose
//! failures are shown.
//!
//! Run by `.ci/run` with its output shown. `TWINFEED_SEEDS` multiplies the number of seeds.

use std::time::{SystemTime, UNIX_EPOCH};

use twinfeed_simulate::minimise::minimise;
use twinfeed_simulate::swarm::{Progress, Report, Swarm};
use twinfeed_tests::world::{self, Kind};

/// Long worlds with the same seeds every time.
const LONG: u64 = 1_200;
/// Long worlds with fresh seeds.
const FRESH_LONG: u64 = 300;
/// How many of the fresh ones may fail before no more are tried.
const FRESH_FAILURES: u64 = 10;
/// Short worlds with fresh seeds, of each kind; the same ones are tried by `world.rs`, `world_pair.rs` and
/// `world_filled.rs`.
const SHORT: u64 = 1_000;
/// Long worlds whose applications skip.
const SLOW: u64 = 100;
/// Worlds whose applications join with snapshots.
const JOINED: u64 = 500;
/// Such worlds that broke a promise once: a hold decided more than made room for what it was full for, a gap that was the first word behind
/// a cursor waited for ever, the word of an epoch's end was dropped, a snapshot was cut in front of records that were told again;
/// a snapshot counted messages that were taken back, holes between records that count fewer waited one by one, what was held of a better context was
/// dropped, and epochs that a leg had left kept it from the next; a first heartbeat that was nonsense was joined at, and what a bound
/// gave up was called abandoned.
/// What a server had lacked or done wrong was held against it for as long as an application caught up, and a source stayed stale behind an
/// end that was asked for.
const JOINED_BEFORE: [u64; 14] = [
    19_538, 13_753, 278, 1_140, 168, 414_580, 437_718, 500_956, 932_700, 948_622, 923_900, 9_314,
    5_004_485, 5_004_965,
];
/// Worlds of other kinds that did: a message was moved from where a backup had placed it, what was added to a hole did not wait, what waited of an epoch was not confirmed by its end, silence in
/// front of a held record was called a gap, messages that were owed were waited for one by one, who gave a record was taken for who holds it,
/// and (twice, and once more in front of a join) what had arrived was called lost on every leg; a message left that the backup had never heard of,
/// and a server that had lacked something was not asked again; a leg that was gone back to remembered something else by then, and nobody was
/// told; a cursor that did not know which epoch came before was led back there; a divergence was told where a false datagram had put the
/// application; what one leg had brought waited to be believed while the other one's word of the end, which confirmed it, called it lost;
/// a message was declared missing with those in front of it although a leg that is set apart had brought it; a record that was passed, behind a message
/// that waits, came again with another memory; and (twice) nobody was told of messages that stood in an epoch which the application had left;
/// an adapter that began amid a change of sessions was led back to the older one, and its applications never came forward again; and of two legs whose words waited,
/// the one that began further on came first, so that a full hold gave up what was at hand.
const BEFORE: [(Kind, u64); 22] = [
    (Kind::Long, 20_016_438),
    (Kind::Long, 20_022_725),
    (Kind::Long, 10_030_356),
    (Kind::Long, 10_041_766),
    (Kind::Long, 10_032_151),
    (Kind::Long, 10_077_892),
    (Kind::Long, 9_011_915),
    (Kind::Long, 9_029_951),
    (Kind::Long, 9_026_524),
    (Kind::Long, 9_091_424),
    (Kind::Long, 9_038_998),
    (Kind::Long, 4_003_144),
    (Kind::Filled, 7_002_613),
    (Kind::Pair, 431_120),
    (Kind::Pair, 61),
    (Kind::Pair, 111_807),
    (Kind::Long, 101_204),
    (Kind::Pair, 202_397),
    (Kind::Filled, 127_273),
    (Kind::Alone, 105_364),
    (Kind::Filled, 200_528),
    (Kind::Alone, 400_320),
];
/// Short worlds with the same seeds, of each kind, that are asked for what they reached.
const REASONED: u64 = 300;
/// How much of a failing world is looked for.
const EFFORT: usize = 200;

/// What a median long world must have in it, or it proves little.
const LEAST_RATE: u64 = 200;
const LEAST_FAULT_KINDS: u64 = 8;
const LEAST_MESSAGES: u64 = 3;
const LEAST_SECONDS: u64 = 60;

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn seeds(number: u64) -> u64 {
    let times = std::env::var("TWINFEED_SEEDS").ok();
    number * times.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// A first seed that no run before has had.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs() * 10_000)
}

/// Whether every world kept its promises; prints the counts, and how to replay the first that did not.
fn tries(
    kinds: &[Kind],
    (from, number): (u64, u64),
    most_failures: u64,
) -> (Report, Option<String>) {
    let swarm = Swarm {
        kinds: kinds.to_vec(),
        from,
        seeds: number,
        within: None,
        jobs: jobs(),
        most_failures,
    };
    let report = swarm.run(&Progress::default());
    println!(
        "{kinds:?} from seed {from}: {} worlds, {} failed, {:.0} simulated seconds in {:.1} s on {} threads, {:.0} × real time",
        report.sizes.worlds(),
        report.failures.len(),
        report.sizes.total().simulated.as_secs_f64(),
        report.took.as_secs_f64(),
        swarm.jobs,
        report.ratio()
    );
    for failure in &report.failures {
        println!("{failure}");
    }
    let failure = report.failures.first().map(|failure| {
        let (kind, seed) = (failure.kind, failure.seed);
        let trim = minimise(kind, seed, EFFORT).map(|it| it.trim);
        format!(
            "seed {seed}: {}\nreplay: twinfeed simulate --kind {kind} --seed {seed}{} --trace\nor: {}",
            failure.violation,
            trim.unwrap_or_default(),
            world::replay_command(kind, seed)
        )
    });
    (report, failure)
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn long_worlds_keep_their_promises_and_have_enough_in_them() {
    let (report, failure) = tries(&[Kind::Long], (1, seeds(LONG)), 1);
    assert_eq!(failure, None);
    let median = report.sizes.median();
    println!(
        "{}\nmedian: {median:?}, {} a second",
        report.census,
        report.sizes.median_rate()
    );
    assert!(report.sizes.median_rate() >= LEAST_RATE);
    assert!(report.sizes.shortest().as_secs() >= LEAST_SECONDS);
    assert!(median.fault_kinds >= LEAST_FAULT_KINDS);
    assert!(median.administrative >= LEAST_MESSAGES);
    assert!(median.epoch_changes >= 1);
    assert!(median.role_changes >= 1);
    for table in report.coverage.tables() {
        let (hit, all) = (table.hit, table.transitions);
        println!(
            "{}: {hit} of {all} transitions, never: {:?}",
            table.table, table.never
        );
    }
    assert_eq!(reached_against_reason(&report), Vec::<String>::new());
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn applications_that_are_too_slow_are_told_what_was_left_out() {
    let (report, failure) = tries(&[Kind::Slow], (1, seeds(SLOW)), 1);
    assert_eq!(failure, None);
    let census = report.census.to_string();
    for fired in ["subscriber.left_out", "event.gap.skipped"] {
        assert!(census.contains(fired), "{fired}: {census}");
    }
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn applications_that_join_are_told_a_state_and_what_stands_behind_it() {
    let (report, failure) = tries(&[Kind::Joined], (1, seeds(JOINED)), 1);
    assert_eq!(failure, None);
    let census = report.census.to_string();
    for fired in [
        "join.joined",
        "join.given_up",
        "join.restarted",
        "join.refused",
        "join.covered",
        "join.clipped",
        "join.told_behind",
        "snapshot.abandoned",
        "snapshot.unreachable",
        "snapshot_tears",
        "snapshot_garbles",
        "subscriber_refreshes",
        "subscriber.resumed",
        "snapshot.missed",
        "snapshot.restored",
    ] {
        assert!(census.contains(fired), "{fired}: {census}");
    }
    for seed in JOINED_BEFORE {
        let (_, failure) = tries(&[Kind::Joined], (seed, 1), 1);
        assert_eq!(failure, None);
    }
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn worlds_that_broke_a_promise_once_keep_it() {
    for (kind, seed) in BEFORE {
        let (_, failure) = tries(&[kind], (seed, 1), 1);
        assert_eq!(failure, None);
    }
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn no_short_world_comes_where_none_can_come() {
    let kinds = [Kind::Alone, Kind::Pair, Kind::Filled];
    let (report, failure) = tries(&kinds, (1, seeds(REASONED)), 1);
    assert_eq!(failure, None);
    assert_eq!(reached_against_reason(&report), Vec::<String>::new());
}

/// Cells of the committed tables that some world came to, although there is a reason why none can.
fn reached_against_reason(report: &Report) -> Vec<String> {
    let tables = report.coverage.tables().into_iter();
    let reached = tables.flat_map(|table| {
        let excused = table.excused.into_iter();
        let reached = excused.filter(|&(_, _, times)| times > 0);
        reached.map(move |(cell, reason, times)| {
            format!("{}: {cell}, {times} times, but: {reason}", table.table)
        })
    });
    reached.collect()
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn seeds_that_nobody_tried_are_tried() {
    let from = fresh();
    for (kinds, number) in [
        (
            &[Kind::Alone, Kind::Pair, Kind::Filled, Kind::Joined][..],
            SHORT,
        ),
        (&[Kind::Long], FRESH_LONG),
    ] {
        let (report, failure) = tries(kinds, (from, seeds(number)), FRESH_FAILURES);
        // What nobody tried before is no fault of the change at hand: it is found, and shown.
        println!("{}", failure.as_deref().unwrap_or("every promise was kept"));
        assert!(report.sizes.worlds() > 0);
        assert_eq!(failure.is_some(), !report.failures.is_empty());
    }
}
