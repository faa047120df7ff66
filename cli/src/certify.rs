//! `twinfeed certify`: line faults played to a feed handler, and a verdict; see `docs/certify.md`.

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use twinfeed_harness::certify::handler::Ours;
use twinfeed_harness::certify::player::Lines;
use twinfeed_harness::certify::report::Ink;
use twinfeed_harness::certify::score::Settings;
use twinfeed_harness::certify::{ALL, Claims, Listen, Plan, Under, certify};
use twinfeed_harness::ports;
use twinfeed_harness::process::Program;

use crate::demo::stop_on_signals;
use crate::failure::{Failure, RUNTIME};
use crate::progress::{Progress, Screen};

/// Play line faults to a feed handler, ours or another's, and judge what comes out.
///
/// Gaps, repetitions, disorder, skew, session changes, silence, foreign and broken packets, on two MoldUDP64 lines of
/// ITCH 5.0. The handler is started by the command behind `--`, for every scenario anew, or runs already; it prints a
/// record per line. Exits with 1 if a scenario failed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("handler").required(true).args(["ours", "running", "command", "list"]))]
pub(crate) struct Args {
    /// Certify this product: two adapters, stream-admin, a subscriber.
    #[arg(long)]
    ours: bool,
    /// The handler runs already; name its output with --output.
    #[arg(long, requires = "output")]
    running: bool,
    /// Show the scenarios and end.
    #[arg(long)]
    list: bool,
    /// The handler's program and arguments. Placeholders: {a} {a.ip} {a.port} {b} {b.ip} {b.port} {interface}
    /// {session} {scenario} {output}.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Where the handler's records are read: `-` its standard output, `udp:ADDRESS`, or a file.
    #[arg(
        long,
        value_name = "OUTPUT",
        default_value = "-",
        conflicts_with = "ours"
    )]
    output: Listen,
    /// Line A: a unicast address, or a multicast group. Default: a free port of 127.0.0.1.
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with = "ours",
        required_if_eq("running", "true")
    )]
    line_a: Option<SocketAddr>,
    /// Line B.
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with = "ours",
        required_if_eq("running", "true")
    )]
    line_b: Option<SocketAddr>,
    /// The interface that multicast is sent through.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    interface: Ipv4Addr,
    /// Hops that multicast may take.
    #[arg(long, default_value_t = 1)]
    ttl: u32,
    /// Only these scenarios.
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<String>,
    /// Start the handler once and let it live through all scenarios.
    #[arg(long)]
    once: bool,
    /// What the handler does not claim to tell.
    #[arg(long, value_enum, value_name = "CLAIM", value_delimiter = ',')]
    without: Vec<Claim>,
    /// Decides what is sent.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Messages per second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// How far the lines are apart, and how long a packet may be overtaken, milliseconds: the handler must bridge it.
    #[arg(long, value_name = "MS", default_value_t = 20)]
    skew_ms: u64,
    /// Silence of both lines after which the handler says `stale`, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    silence_ms: u64,
    /// Begin so long after the start, for a handler that does not say `ready`, milliseconds.
    #[arg(long, value_name = "MS", conflicts_with = "ours")]
    warm_up_ms: Option<u64>,
    /// How long behind the last packet what is owed may come, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    limit_ms: u64,
    /// First letter of the sessions' names.
    #[arg(long, value_name = "LETTER", default_value = "C")]
    prefix: char,
    /// Leave packets, truth and output of every scenario in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a JUnit test suite to this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

/// What a handler may not claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Claim {
    Gap,
    Reset,
    End,
    Stale,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if args.list {
        return list();
    }
    let stop = stop_on_signals()?;
    let (json, junit, quiet) = (args.json.clone(), args.junit.clone(), args.quiet);
    let plan = plan(args)?;
    let mut screen = Screen(Progress::spinner(quiet));
    let report = certify(&plan, &stop, &mut screen);
    screen.0.finish();
    let report = report?;
    if let Some(path) = &json {
        let text = serde_json::to_string_pretty(&report);
        let text = text.map_err(|error| Failure::new(RUNTIME, error))?;
        write(path, &(text + "\n"))?;
    }
    if let Some(path) = &junit {
        write(path, &report.junit())?;
    }
    print(&report.table(ink()))?;
    match report.failures() {
        0 => Ok(()),
        failed => Err(Failure::new(
            RUNTIME,
            format!("{failed} of {} scenarios failed", report.scenarios.len()),
        )),
    }
}

fn plan(args: Args) -> Result<Plan, Failure> {
    let port = |given: Option<SocketAddr>| given.map_or_else(ports::loopback, Ok);
    let lines = Lines {
        a: vec![port(args.line_a)?],
        b: vec![port(args.line_b)?],
        interface: args.interface,
        ttl: args.ttl,
    };
    let under = match (args.ours, args.running) {
        (true, _) => Under::Ours(Ours(Program::this()?)),
        (_, true) => Under::Running {
            output: args.output,
        },
        _ => Under::Command {
            command: args.command,
            output: args.output,
        },
    };
    let claimed = |claim| !args.without.contains(&claim);
    Ok(Plan {
        under,
        lines,
        settings: Settings {
            seed: args.seed,
            rate: args.rate,
            skew: Duration::from_millis(args.skew_ms),
            silence: Duration::from_millis(args.silence_ms),
        },
        prefix: args.prefix.to_string(),
        only: args.only,
        once: args.once,
        claims: Claims {
            gap: claimed(Claim::Gap),
            reset: claimed(Claim::Reset),
            end: claimed(Claim::End),
            stale: claimed(Claim::Stale),
        },
        warm_up: args.warm_up_ms.map(Duration::from_millis),
        limit: Duration::from_millis(args.limit_ms),
        keep: args.keep,
    })
}

fn list() -> Result<(), Failure> {
    let lines = ALL.iter();
    let lines = lines.map(|it| format!("{:<18} {:<9} {}\n", it.name, it.matrix, it.about));
    print(&lines.collect::<String>())
}

/// Colour for a terminal, unless its owner wants none (<https://no-color.org>).
fn ink() -> Ink {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match std::io::stdout().is_terminal() && !unwanted {
        true => Ink::Coloured,
        false => Ink::Plain,
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    printed.map_err(|error| Failure::new(RUNTIME, error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::new(RUNTIME, format!("{}: {error}", path.display())))
}
