//! The budget of a change: the same seeds every time, and as many that nobody tried.
//!
//! Run by `.ci/run` with its output shown. `TWINFEED_SEEDS` multiplies the number of seeds.

use std::time::{SystemTime, UNIX_EPOCH};

use twinfeed_simulate::minimise::minimise;
use twinfeed_simulate::swarm::{Progress, Report, Swarm};
use twinfeed_tests::world::{self, Kind};

/// Long worlds with the same seeds every time, and with fresh ones.
const LONG: u64 = 150;
/// Short worlds with fresh seeds, of each kind; the same ones are tried by `world.rs` and `world_pair.rs`.
const SHORT: u64 = 1_000;
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

fn keeps(kinds: &[Kind], from: u64, number: u64) -> Report {
    let swarm = Swarm {
        kinds: kinds.to_vec(),
        from,
        seeds: number,
        within: None,
        jobs: jobs(),
        most_failures: 1,
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
    if let Some(failure) = report.failures.first() {
        let (kind, seed) = (failure.kind, failure.seed);
        let trim = minimise(kind, seed, EFFORT).map(|it| it.trim);
        panic!(
            "seed {seed}: {}\nreplay: twinfeed simulate --kind {kind} --seed {seed}{} --trace\nor: {}",
            failure.violation,
            trim.unwrap_or_default(),
            world::replay_command(kind, seed)
        );
    }
    report
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn long_worlds_keep_their_promises_and_have_enough_in_them() {
    let report = keeps(&[Kind::Long], 1, seeds(LONG));
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
}

#[test]
#[ignore = "a step of its own in .ci/run, which shows what it prints"]
fn seeds_that_nobody_tried_keep_their_promises() {
    let from = fresh();
    keeps(&[Kind::Alone, Kind::Pair], from, seeds(SHORT));
    keeps(&[Kind::Long], from, seeds(LONG));
}
