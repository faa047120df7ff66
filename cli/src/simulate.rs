//! `twinfeed simulate`: does the promise hold, whatever goes wrong?

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use twinfeed_simulate::minimise::{Smallest, minimise};
use twinfeed_simulate::swarm::{self, Report, Swarm};
use twinfeed_simulate::trim::{Part, Trim};
use twinfeed_simulate::world::facts::Facts;
use twinfeed_simulate::world::{self, Kind};

use crate::failure::{CONFIGURATION, Failure, RUNTIME};
use crate::progress::Progress;

/// How often a run without a terminal says how far it is.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Try the promise against simulated worlds, or replay one.
///
/// Each seed is one world: an exchange, its lines, a pair of adapters, subscribers and operators, all of them the
/// product's own rules, under virtual time and faults. docs/simulate.md says how to read what comes of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kinds of worlds; each seed is one of each: alone, pair, filled, long, slow, joined.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "long",
        value_name = "KIND"
    )]
    kind: Vec<Kind>,
    /// How many seeds at most; without `--hours` 1,000 if left out.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// The first seed comes from the clock.
    #[arg(long, conflicts_with = "from")]
    fresh: bool,
    /// No world begins after so many hours.
    #[arg(long, value_name = "H")]
    hours: Option<f64>,
    /// How many worlds at once; as many as the host has processors, if left out.
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// No world begins when so many have failed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    failures: u64,
    /// Worlds that are run at most to make the first failing one smaller.
    #[arg(long, value_name = "N", default_value_t = 300)]
    effort: usize,
    /// Replay this one seed.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "hours", "fresh"])]
    seed: Option<u64>,
    /// With `--seed`: print the last so many lines of what happened.
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "400", requires = "seed")]
    trace: Option<usize>,
    /// With `--seed`: leave these parts of the world out (fault:N, way:S.L.N, line:N, lines, orders, subscriber:N, source:N).
    #[arg(long, value_delimiter = ',', value_name = "PARTS", requires = "seed")]
    without: Vec<Part>,
    /// With `--seed`: keep so many percent of each life of each source.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, requires = "seed")]
    keep_percent: u64,
    /// Write a summary as JSON to this file; `-`: standard output, in place of the text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match args.seed {
        Some(seed) => replay(args, seed),
        None => sweep(args),
    }
}

fn replay(args: &Args, seed: u64) -> Result<(), Failure> {
    let &[kind] = args.kind.as_slice() else {
        let text = "--seed replays one world: name one --kind";
        return Err(Failure::new(CONFIGURATION, text));
    };
    let trim = Trim::new(args.without.iter().copied(), args.keep_percent);
    let outcome = world::run(trim.apply(kind.draw(seed)), args.trace.unwrap_or(0));
    for line in &outcome.trace {
        println!("{line}");
    }
    for (name, count) in outcome.stats.iter() {
        println!("{count:>12}  {name}");
    }
    let facts = Facts::of(&outcome);
    println!(
        "seed {seed}: {:.3} s, {} source messages ({} a second), {} kinds of faults, {} administrative messages, \
         {} changes of roles, {} of epochs",
        facts.simulated.as_secs_f64(),
        facts.source_messages,
        facts.rate(),
        facts.fault_kinds,
        facts.administrative,
        facts.role_changes,
        facts.epoch_changes
    );
    match outcome.violations.first() {
        None => Ok(()),
        Some(violation) => Err(Failure::new(RUNTIME, violation)),
    }
}

fn sweep(args: &Args) -> Result<(), Failure> {
    let swarm = swarm_of(args)?;
    let (began, jobs) = (swarm.from, swarm.jobs);
    let report = watched(&swarm, args.quiet);
    let failed = report.failures.first();
    let smallest = failed.and_then(|it| minimise(it.kind, it.seed, args.effort));
    let to_stdout = args
        .json
        .as_deref()
        .is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", summary(&report, &swarm, smallest.as_ref()));
        if to_stdout {
            print!("{text}");
        } else {
            std::fs::write(path, text)
                .map_err(|error| Failure::new(RUNTIME, format!("{}: {error}", path.display())))?;
        }
    }
    if !to_stdout {
        print(&report, began, jobs);
    }
    match report.failures.as_slice() {
        [] => Ok(()),
        [first, ..] => {
            let (kind, seed, all) = (first.kind, first.seed, report.failures.len());
            let trim = smallest.map(|it| it.trim).unwrap_or_default();
            let replay = replay_command(kind, seed, &trim);
            let text = format!(
                "{all} worlds broke a promise; the first: seed {seed} ({kind}): {}\nreplay: {replay} --trace",
                first.violation
            );
            Err(Failure::new(RUNTIME, text))
        }
    }
}

fn swarm_of(args: &Args) -> Result<Swarm, Failure> {
    let within = match args.hours {
        None => None,
        Some(hours) => Some(
            Duration::try_from_secs_f64(hours * 3_600.0)
                .map_err(|_| Failure::new(CONFIGURATION, format!("--hours {hours}: no time")))?,
        ),
    };
    let here = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let from = match args.fresh {
        // Thousands of seeds lie between two seconds' beginnings, so two runs have none in common.
        true => clock.map_or(1, |since| since.as_secs() * 10_000),
        false => args.from,
    };
    Ok(Swarm {
        kinds: args.kind.clone(),
        from,
        seeds: match (args.seeds, within) {
            (Some(seeds), _) => seeds,
            (None, Some(_)) => u64::MAX,
            (None, None) => 1_000,
        },
        within,
        jobs: args.jobs.map_or(here, NonZeroUsize::get),
        most_failures: args.failures.max(1),
    })
}

/// Runs the swarm, with a bar that shows how far it is.
fn watched(swarm: &Swarm, quiet: bool) -> Report {
    let progress = swarm::Progress::default();
    let all = swarm.seeds.saturating_mul(swarm.kinds.len() as u64);
    let bar = match all {
        u64::MAX => Progress::spinner(quiet),
        all => Progress::bar(all, quiet),
    };
    let report = std::thread::scope(|scope| {
        let work = scope.spawn(|| swarm.run(&progress));
        let mut said = Instant::now();
        while !work.is_finished() {
            let (worlds, failed) = (progress.worlds(), progress.failed());
            let hours = progress.simulated().as_secs_f64() / 3_600.0;
            let so_far = format!("{worlds} worlds, {failed} failed, {hours:.1} simulated hours");
            bar.at(worlds);
            bar.say(&so_far);
            for failure in progress.news() {
                bar.line(&failure.to_string());
            }
            if bar.is_hidden() && said.elapsed() >= SAID_EVERY {
                said = Instant::now();
                bar.line(&so_far);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        match work.join() {
            Ok(report) => report,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    bar.finish();
    report
}

fn print(report: &Report, from: u64, jobs: usize) {
    println!("{}", report.census);
    println!();
    for covered in report.coverage.tables() {
        println!(
            "{:<12} {} of {} transitions hit",
            covered.table, covered.hit, covered.transitions
        );
        for label in &covered.never {
            println!("             never: {label}");
        }
    }
    let (total, median) = (report.sizes.total(), report.sizes.median());
    println!(
        "\n{} worlds from seed {from}, {} failed; {:.0} simulated seconds in {:.1} s on {jobs} threads: {:.0} × real time",
        report.sizes.worlds(),
        report.failures.len(),
        total.simulated.as_secs_f64(),
        report.took.as_secs_f64(),
        report.ratio()
    );
    println!(
        "median world: {:.1} s, {} source messages a second, {} kinds of faults, {} administrative messages, \
         {} changes of roles, {} of epochs",
        median.simulated.as_secs_f64(),
        report.sizes.median_rate(),
        median.fault_kinds,
        median.administrative,
        median.role_changes,
        median.epoch_changes
    );
    for failure in &report.failures {
        println!("{failure}");
    }
}

fn summary(report: &Report, swarm: &Swarm, smallest: Option<&Smallest>) -> Value {
    let facts = |facts: Facts| {
        json!({
            "simulated_s": facts.simulated.as_secs_f64(),
            "source_messages": facts.source_messages,
            "epoch_changes": facts.epoch_changes,
            "fault_kinds": facts.fault_kinds,
            "administrative_messages": facts.administrative,
            "role_changes": facts.role_changes,
        })
    };
    let counts = report.census.iter();
    let exercised: serde_json::Map<String, Value> = counts
        .map(|(name, seeds, times)| (name.to_owned(), json!({"worlds": seeds, "times": times})))
        .collect();
    let tables: Vec<Value> = report
        .coverage
        .tables()
        .into_iter()
        .map(|covered| {
            let excused = covered.excused.iter();
            let excused: Vec<Value> = excused
                .map(
                    |(cell, reason, times)| json!({"cell": cell, "reason": reason, "times": times}),
                )
                .collect();
            json!({
                "table": covered.table,
                "transitions": covered.transitions,
                "hit": covered.hit,
                "never": covered.never,
                "out_of_reach": excused,
            })
        })
        .collect();
    let failures = report.failures.iter();
    let failures: Vec<Value> = failures
        .map(|failure| {
            let (kind, seed) = (failure.kind, failure.seed);
            json!({
                "kind": kind.to_string(),
                "seed": seed,
                "violation": failure.violation.to_string(),
                "replay": replay_command(kind, seed, &Trim::default()),
            })
        })
        .collect();
    let smallest = smallest.zip(report.failures.first()).map(|(it, first)| {
        json!({
            "replay": replay_command(first.kind, first.seed, &it.trim),
            "violation": it.violation.to_string(),
            "worlds_run": it.runs,
        })
    });
    json!({
        "kinds": swarm.kinds.iter().map(Kind::to_string).collect::<Vec<_>>(),
        "from": swarm.from,
        "worlds": report.sizes.worlds(),
        "failed": report.failures.len(),
        "failures": failures,
        "smallest": smallest,
        "jobs": swarm.jobs,
        "took_s": report.took.as_secs_f64(),
        "times_real_time": report.ratio(),
        "shortest_simulated_s": report.sizes.shortest().as_secs_f64(),
        "median_messages_per_second": report.sizes.median_rate(),
        "median": facts(report.sizes.median()),
        "total": facts(report.sizes.total()),
        "exercised": exercised,
        "tables": tables,
    })
}

fn replay_command(kind: Kind, seed: u64, trim: &Trim) -> String {
    format!("twinfeed simulate --kind {kind} --seed {seed}{trim}")
}
