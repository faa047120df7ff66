//! What does the application see when the active adapter is hurt?
//!
//! | module | question |
//! |---|---|
//! | [`cells`] | what is tried, against what, how often? |
//! | [`schedule`] | which trigger is next, and when is a setting done? |
//! | [`moments`] | when in a session does a trigger fall? |
//! | [`fault`] | how is each trigger pulled and mended? |
//! | [`stage`] | what happens in one setting, session after session? |
//! | [`judged`] | what did one session come to? |
//! | [`outcome`] | what is left of one run, and does it count? |

mod args;
pub(crate) mod cells;
mod fault;
mod judged;
mod moments;
pub(crate) mod outcome;
mod schedule;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use twinfeed_control::StopFlag;
use twinfeed_harness::probe::wire::Latency;
use twinfeed_harness::process::Program;

pub(crate) use args::Args;

use crate::chance::Chance;
use crate::error::Error;
use crate::host::Host;
use crate::program;
use crate::report::claims::{Claim, claims};
use crate::report::model::{CellReport, LatencyOf, Report, SettingReport, Spread};
use crate::report::{hgrm, html, table};
use crate::stats::Sample;
use cells::{Matrix, Trigger, matrices};
use outcome::{Counts, Session, Standing};
use schedule::Schedule;
use stage::Stage;

/// Runs the bench; returns whether everything held that makes the exit code 0.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
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
    let chance = Chance::seeded(args.seed());
    let bar = progress(args, &matrices, &chance);
    let mut parts = Vec::new();
    for (index, matrix) in matrices.iter().enumerate() {
        let chance = chance.fork(index as u64 + 1);
        parts.push(play_setting(args, &program, matrix, chance, &stop, &bar));
        if stop.is_stopped() {
            break;
        }
    }
    bar.finish_and_clear();
    let report = summed_up(args, host, options, parts);
    print!("{}", table::table(&report));
    let folder = write(args, &report)?;
    println!("reports: {}", folder.display());
    Ok(report.ok)
}

/// One setting, done.
struct Part {
    report: SettingReport,
    counts: Counts,
    broken: Vec<String>,
    faults: Vec<String>,
}

/// Most sessions in a row that could not be used.
const MOST_UNUSED: u32 = 12;
/// Starting and ending the processes of a setting, for the estimate.
const AROUND: Duration = Duration::from_secs(4);

/// Plays a setting. What keeps it from its end is a fault of the report: what was measured until then is
/// not thrown away.
fn play_setting(
    args: &Args,
    program: &Program,
    matrix: &Matrix,
    mut chance: Chance,
    stop: &StopFlag,
    bar: &ProgressBar,
) -> Part {
    let mut played = Played {
        schedule: Schedule::new(matrix, &mut chance.fork(1)),
        sessions: Vec::new(),
        unused_because: None,
    };
    let chance_of_stage = chance.fork(2);
    let ended = play_sessions(
        args,
        program,
        matrix,
        chance_of_stage,
        stop,
        bar,
        &mut played,
    );
    let (latency, fault) = match ended {
        Ok(latency) => (latency, None),
        Err(error) => (
            Latency::default(),
            Some(format!("{}: {error}", matrix.setting)),
        ),
    };
    let (sessions, wanted) = (&played.sessions, &matrix.wanted);
    let setting = matrix.setting;
    let mut report = SettingReport::new(
        setting,
        wanted,
        sessions,
        &latency,
        args.resamples,
        &mut chance,
    );
    report.unused_because = played.unused_because;
    report.latency_counts = latency.counts;
    let mut part = Part {
        report,
        counts: Counts::default(),
        broken: Vec::new(),
        faults: fault.into_iter().collect(),
    };
    part.sum_up(sessions, &played.schedule);
    part
}

/// What was done in a setting so far.
struct Played {
    schedule: Schedule,
    sessions: Vec<Session>,
    unused_because: Option<String>,
}

/// Session after session until nothing is left; returns the latency over all of them.
fn play_sessions(
    args: &Args,
    program: &Program,
    matrix: &Matrix,
    chance: Chance,
    stop: &StopFlag,
    bar: &ProgressBar,
    done: &mut Played,
) -> Result<Latency, Error> {
    let setup = args.setup(matrix.setting)?;
    let folder = matrix.setting.to_string().replace(", ", "-");
    let keep = args.keep.as_ref().map(|keep| keep.join(folder));
    let mut stage = Stage::open(
        program,
        &setup,
        keep.as_deref(),
        args.window(),
        chance,
        stop,
    )?;
    let mut unused = 0;
    while let Some(plan) = done.schedule.next() {
        let played = stage.play(plan)?;
        for run in &played.session.runs {
            done.schedule
                .ran(run.trigger, run.standing == Standing::Clean);
        }
        done.sessions.push(played.session);
        match played.unused {
            Some(reason) => {
                unused += 1;
                if unused >= MOST_UNUSED {
                    return Err(Error::NoSession {
                        sessions: unused,
                        reason,
                    });
                }
                done.unused_because = Some(reason);
            }
            None => {
                unused = 0;
                bar.inc(1);
            }
        }
        let left = done.schedule.sessions_left();
        bar.set_message(format!("{}: {left} sessions left", matrix.setting));
    }
    Ok(stage.close()?.latency)
}

impl Part {
    fn sum_up(&mut self, sessions: &[Session], schedule: &Schedule) {
        let setting = self.report.setting;
        for session in sessions {
            self.counts.add(&session.counts);
            let trigger = session.belongs_to().map_or("no trigger", Trigger::word);
            let place = format!("{setting}, {trigger}, session {}", session.name);
            let details = session.details();
            let told = session
                .broken
                .iter()
                .map(|what| format!("{place}: {what}{details}"));
            self.broken.extend(told);
            for run in &session.runs {
                if let Standing::Invalid(why) = &run.standing {
                    self.faults.push(format!("{place}: invalid: {why}"));
                }
            }
        }
        for (trigger, clean, wanted) in schedule.short() {
            self.faults.push(format!(
                "{setting}, {trigger}: {clean} clean runs of {wanted}"
            ));
        }
    }
}

fn summed_up(
    args: &Args,
    host: Host,
    options: crate::report::model::Options,
    parts: Vec<Part>,
) -> Report {
    let (mut counts, mut broken, mut faults) = (Counts::default(), Vec::new(), Vec::new());
    let mut settings = Vec::new();
    for part in parts {
        counts.add(&part.counts);
        broken.extend(part.broken);
        faults.extend(part.faults);
        settings.push(part.report);
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
        settings,
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
    for setting in &report.settings {
        let place = setting.setting.to_string().replace(", ", ".");
        histogram(format!("latency.{place}.hgrm"), &setting.latency_counts)?;
        for cell in &setting.cells {
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
fn progress(args: &Args, matrices: &[Matrix], chance: &Chance) -> ProgressBar {
    let sessions = |matrix| Schedule::new(matrix, &mut chance.clone()).sessions_left();
    let sessions: u64 = matrices.iter().map(sessions).sum();
    let seconds = args.session_period().as_secs_f64() * sessions as f64
        + AROUND.as_secs_f64() * matrices.len() as f64;
    eprintln!(
        "{} settings, {sessions} sessions of {:?}: about {:.0} min, more if runs must be repeated",
        matrices.len(),
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
