//! What does the application see when the active adapter is hurt?
//!
//! | module | question |
//! |---|---|
//! | [`cells`] | what is tried, against what, how often? |
//! | [`schedule`] | which trigger is next, and when is a setting done? |
//! | [`moments`] | when in a session does a trigger fall? |
//! | [`fault`] | how is each trigger pulled and mended? |
//! | [`part`] | who plays, and what came of it so far? |
//! | [`stage`] | what happens in one setting, session after session? |
//! | [`peers`] | the same of other systems |
//! | [`judged`] | what did one session come to? |
//! | [`outcome`] | what is left of one run, and does it count? |

mod args;
pub(crate) mod cells;
mod fault;
mod judged;
mod moments;
pub(crate) mod outcome;
mod part;
pub(crate) mod peers;
mod schedule;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use twinfeed_control::StopFlag;

pub(crate) use args::Args;

use crate::chance::Chance;
use crate::error::Error;
use crate::host::Host;
use crate::program;
use crate::report::claims::{Claim, claims};
use crate::report::kills::kills;
use crate::report::model::{CellReport, LatencyOf, Report, Spread};
use crate::report::{hgrm, html, table};
use crate::stats::Sample;
use cells::{Matrix, Trigger, matrices};
use outcome::Counts;
use part::{AROUND, Cast, Part, Play, Reported};

/// Runs the bench; returns whether everything held that makes the exit code 0.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(role) = &args.role {
        return peers::play(role).map(|()| true);
    }
    let matrices = matrices(&args.patterns(), args.contents(), args.wanted());
    if matrices.is_empty() {
        let fault = "it leaves no cell; without `--input` there is no `file`".to_owned();
        return Err(Error::Flag {
            flag: "--cells",
            fault,
        });
    }
    // Whatever is wrong with a flag is said before anything is built or started.
    matrices
        .iter()
        .try_for_each(|matrix| args.setup(matrix.setting).map(drop))?;
    let (host, options) = (Host::look(), args.options()?);
    let program = program::find(args.program.as_deref())?;
    let stop = StopFlag::new();
    raise_on_signals(&stop);
    let mut parts = cast(args, matrices);
    let bar = progress(args, &parts);
    let play = Play {
        args,
        program: &program,
        stop: &stop,
        bar: &bar,
    };
    while parts.iter().any(|part| !part.is_over()) && !stop.is_stopped() {
        for part in parts.iter_mut().filter(|part| !part.is_over()) {
            if !stop.is_stopped() {
                part.play(&play, args.turn());
            }
        }
    }
    bar.finish_and_clear();
    parts.retain(Part::has_begun);
    let report = summed_up(args, host, options, parts);
    print!("{}", table::table(&report));
    let folder = write(args, &report)?;
    println!("reports: {}", folder.display());
    Ok(report.ok)
}

/// The product's settings and the other systems, in the order of their turns.
fn cast(args: &Args, matrices: Vec<Matrix>) -> Vec<Part> {
    let kills = args.wanted().of(Trigger::Kill).max(1);
    let peer = |peer| Cast::Peer(peer, vec![(Trigger::Kill, kills), (Trigger::Sham, kills)]);
    let peers = args.peers().into_iter().map(peer);
    let casts = matrices.into_iter().map(Cast::Product).chain(peers);
    let chance = Chance::seeded(args.seed());
    casts
        .zip(1..)
        .map(|(cast, purpose)| Part::new(cast, chance.fork(purpose)))
        .collect()
}

fn summed_up(
    args: &Args,
    host: Host,
    options: crate::report::model::Options,
    parts: Vec<Part>,
) -> Report {
    let (mut counts, mut broken, mut faults) = (Counts::default(), Vec::new(), Vec::new());
    let (mut settings, mut peers) = (Vec::new(), Vec::new());
    for part in parts {
        let finished = part.finish(args.resamples);
        broken.extend(finished.broken);
        faults.extend(finished.faults);
        match finished.report {
            Reported::Product(setting, sums) => {
                counts.add(&sums);
                settings.push(*setting);
            }
            Reported::Peer(peer) => peers.push(*peer),
        }
    }
    let cells = settings.iter().flat_map(|setting| &setting.cells);
    let real: Vec<_> = cells
        .filter(|cell| cell.trigger != Trigger::Sham)
        .flat_map(CellReport::clean)
        .collect();
    let stalls = Sample::new(real.iter().map(|run| run.stall_ns).collect());
    let gaps = Sample::new(real.iter().filter_map(|run| run.failover_gap_ns).collect());
    let claims: Vec<Claim> = settings.iter().flat_map(claims).collect();
    let refuted = claims.iter().any(|claim| claim.holds == Some(false));
    Report {
        bench: "failover",
        version: 1,
        host,
        options,
        counts,
        stall_ns: Spread::of(&stalls),
        failover_gap_ns: Spread::of(&gaps),
        latency_ns: LatencyOf::merged(settings.iter().map(|it| &it.latency_counts[..])),
        ok: broken.is_empty() && faults.is_empty() && !(args.strict && refuted),
        broken,
        faults,
        claims,
        kills: kills(&settings, &peers),
        settings,
        peers,
    }
}

/// Writes `report.json`, `report.html`, and one `.hgrm` per distribution; returns the folder.
fn write(args: &Args, report: &Report) -> Result<PathBuf, Error> {
    let folder = match args.record {
        true => Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/record"))
            .join(report.host.record_name()),
        false => args.output.clone(),
    };
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(Error::write(&path))
    };
    // Every key is a string and every number finite or written as null.
    let json = serde_json::to_vec_pretty(report).unwrap_or_default();
    put("report.json", &json)?;
    put("report.html", html::page(report).as_bytes())?;
    put("report.txt", table::table(report).as_bytes())?;
    let histogram = |name: String, counts: &[[u64; 2]]| {
        let mut text = Vec::new();
        // Writing to a Vec cannot fail.
        let _ = hgrm::write(&mut text, counts);
        put(&name, &text)
    };
    let mut cells: Vec<(String, &[CellReport])> = Vec::new();
    for setting in &report.settings {
        let place = setting.setting.to_string().replace(", ", ".");
        histogram(format!("latency.{place}.hgrm"), &setting.latency_counts)?;
        cells.push((place, &setting.cells));
    }
    let peers = report.peers.iter();
    cells.extend(peers.map(|it| (it.peer.word().to_owned(), &it.cells[..])));
    for (place, cells) in cells {
        for cell in cells {
            let trigger = cell.trigger;
            let stalls: Vec<_> = cell.clean().map(|run| [run.stall_ns, 1]).collect();
            histogram(format!("stall.{place}.{trigger}.hgrm"), &stalls)?;
            if trigger != Trigger::Sham {
                let gaps = cell.clean().filter_map(|run| run.failover_gap_ns);
                let gaps: Vec<_> = gaps.map(|gap| [gap, 1]).collect();
                histogram(format!("failover-gap.{place}.{trigger}.hgrm"), &gaps)?;
            }
        }
    }
    Ok(folder)
}

/// Says how long it will take, and shows how far it is.
fn progress(args: &Args, parts: &[Part]) -> ProgressBar {
    let sessions: u64 = parts.iter().map(Part::sessions_left).sum();
    let turns = |part: &Part| part.sessions_left().div_ceil(u64::from(args.turn()));
    let turns: u64 = parts.iter().map(turns).sum();
    let seconds =
        args.session_period().as_secs_f64() * sessions as f64 + AROUND.as_secs_f64() * turns as f64;
    eprintln!(
        "{} settings, {sessions} sessions of {:?}: about {:.0} min, more if runs must be repeated",
        parts.len(),
        args.session_period(),
        (seconds / 60.0).ceil()
    );
    let bar = ProgressBar::new(sessions);
    let style =
        ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len}, {eta} left  {msg}");
    // The template is a constant that the crate understands; its default is as good.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Ctrl-C and TERM end the bench in order: every process that was started is ended too.
fn raise_on_signals(stop: &StopFlag) {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else {
        // Then a signal ends this process, and the kernel ends those it started.
        return;
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            stop.stop();
        }
    });
}
