//! `twinfeed demo`: the product's main job, working for real, on this machine.

use std::path::PathBuf;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use twinfeed_control::StopFlag;
use twinfeed_harness::demo::{demo, grouped, micros};
use twinfeed_harness::process::Program;
use twinfeed_harness::run::{Content, Run, SLICE_FIRST};
use twinfeed_harness::summary::Summary;

use crate::failure::{Failure, RUNTIME};
use crate::policy::PolicyWord;
use crate::progress::{Progress, Screen};

/// Kill the active adapter in mid-burst, twice, and count what a subscriber loses.
///
/// Starts a simulated exchange, both adapters, stream administration and a subscriber as separate
/// processes on loopback. Exits with 1 if any promise broke.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run on the messages of a pcap or BinaryFILE, in a loop, instead of generated flow.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Number of every session's first message. Default: 1, and 1,000,001 for --input, which is a slice
    /// of a day.
    #[arg(long, value_name = "NUMBER")]
    first_sequence: Option<u64>,
    /// The day that the messages' timestamps belong to.
    #[arg(long, value_name = "DAY", default_value = "2019-12-30")]
    trading_day: String,
    /// Whose records the subscriber delivers.
    #[arg(long, value_enum, default_value_t)]
    policy: PolicyWord,
    /// Mean rate, messages per second; bursts are five times as fast.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Decides generated content.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the summary as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave everything running after the summary, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let scratch = tempdir()?;
    let run = describe(args, scratch.path())?;
    let mut screen = Screen(Progress::spinner(args.quiet));
    let summary = demo(&Program::this()?, &run, &stop, &mut screen);
    screen.0.finish();
    let (summary, rig) = summary?;
    if let Some(path) = &args.json {
        write(path, &summary)?;
    }
    print(&summary);
    if args.keep {
        println!("Everything stays up: {} (Ctrl-C ends it).", rig.page());
        while !stop.wait(Duration::from_secs(1)) {}
    }
    rig.leave()?;
    match summary.broken.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            RUNTIME,
            format!("broken: {}", summary.broken.join("; ")),
        )),
    }
}

fn describe(args: &Args, scratch: &std::path::Path) -> Result<Run, Failure> {
    let content = match &args.input {
        None => Content::Flow { instruments: 500 },
        Some(path) => Content::Binaryfile {
            path: twinfeed_harness::input::as_binaryfile(path, scratch)?,
            first: args.first_sequence.unwrap_or(SLICE_FIRST),
        },
    };
    Ok(Run {
        seed: args.seed,
        content,
        rate: args.rate,
        policy: args.policy.into(),
        // A laptop may take a process off its core for longer than three intervals. Deaths are announced
        // by the survivor long before.
        missed_heartbeats: Some(15),
        // What both lines into an adapter lose is asked of the exchange.
        requests: Some(0.0),
        // Room for a death, a restart, and the context taken over, before it ends.
        session: Duration::from_secs(5),
        trading_day: args.trading_day.clone(),
        ..Run::default()
    })
}

fn print(summary: &Summary) {
    let Summary {
        latency_ns,
        transport_latency_ns,
        ..
    } = summary;
    let rows = [
        ("messages", grouped(summary.messages)),
        ("lost", grouped(summary.lost)),
        (
            "duplicates delivered",
            grouped(summary.duplicates_delivered),
        ),
        ("duplicates dropped", grouped(summary.duplicates_dropped)),
        ("order violations", grouped(summary.order_violations)),
        (
            "sessions with other content",
            grouped(summary.wrong_content),
        ),
        ("discontinuities", grouped(summary.breaks.len() as u64)),
        ("gaps", grouped(summary.gaps)),
        ("filled by leg 0, by leg 1", {
            let [zero, one] = summary.filled.map(grouped);
            format!("{zero}, {one}")
        }),
        ("given by the exchange again", {
            let [active, backup] = summary.recovered.map(grouped);
            format!("{active}, {backup}")
        }),
        ("administrative gaps", grouped(summary.administrative_gaps)),
        ("divergences", grouped(summary.divergences)),
        ("operator's notices", notices(summary)),
        ("switches", grouped(summary.switches)),
        (
            "failover gap",
            summary.failover_gap_ns.map_or("-".to_owned(), micros),
        ),
        ("longest silence after a kill", micros(summary.stall_ns)),
    ];
    println!();
    for (name, value) in rows {
        println!("{name:>32}  {value}");
    }
    for (name, times) in [
        ("adapter receives to delivery", latency_ns),
        ("adapter sends to delivery", transport_latency_ns),
    ] {
        let [p50, p99, p999, max] = [times.p50, times.p99, times.p999, times.max].map(micros);
        println!("{name:>32}  p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}");
    }
    println!();
    match summary.broken.is_empty() {
        true => println!("Every promise was kept."),
        false => println!("BROKEN: {}", summary.broken.join("; ")),
    }
}

fn notices(summary: &Summary) -> String {
    let count = |times| summary.notices.iter().filter(|it| it.seen == times).count();
    match (summary.notices.len(), count(1)) {
        (given, once) if given == once => format!("{given} given, each delivered once"),
        (given, once) => format!(
            "{given} given, {once} delivered once, {} not placed",
            count(0)
        ),
    }
}

fn write(path: &std::path::Path, summary: &Summary) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(summary).map_err(|error| Failure::new(RUNTIME, error))?;
    std::fs::write(path, text + "\n")
        .map_err(|error| Failure::new(RUNTIME, format!("{}: {error}", path.display())))
}

fn tempdir() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().map_err(|error| Failure::new(RUNTIME, error))
}

/// A flag that the first TERM or INT raises.
pub(crate) fn stop_on_signals() -> Result<StopFlag, Failure> {
    let stop = StopFlag::new();
    let raised = stop.clone();
    let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]);
    let mut signals = signals.map_err(|error| Failure::new(RUNTIME, error))?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let listener = thread.spawn(move || {
        for _ in signals.forever() {
            raised.stop();
        }
    });
    listener
        .map(|_| stop)
        .map_err(|error| Failure::new(RUNTIME, error))
}
