//! Breaks hosts, cables, processes, disks and neighbours of real processes, and judges what their subscribers got.
//!
//! `faults --per-cell 10` does every fault ten times and prints a table; `faults --soak --minutes 60` does one after the
//! other to one pair, and looks at everybody's memory meanwhile. Exits with 1 when a promise was broken, and with 77 where
//! there can be no hosts.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use twinfeed_control::StopFlag;
use twinfeed_harness::process::Program;
use twinfeed_tests::faults::{self, CELLS, Cell, Setting, soak};
use twinfeed_tests::lab::{Cage, cage};
use twinfeed_tests::program;

const USAGE: &str = "usage: faults [--per-cell N] [--cells NAME,NAME] [--keep DIR] [--program FILE]
       faults --soak [--minutes M] [--every S] [--seed N] [--rate R] [--record DIR] [--keep DIR] [--program FILE]
       faults --list

  --per-cell N   how often each fault is done (default 10)
  --cells LIST   only these
  --list         name them, and say what each does
  --soak         one pair for long, a fault every now and then
  --minutes M    how long (default 60)
  --every S      seconds from one fault to the next (default 10)
  --seed N       decides which (default 1)
  --rate R       source messages per second of a soak (default 4000)
  --record DIR   write report and samples below DIR
  --keep DIR     keep every run's files below DIR; a soak's need room for all that is sent
  --program FILE start this `twinfeed` (default: the one beside this program, brought up to date)

Needs root, or user namespaces for everybody; util-linux, iproute2 and nftables.";

/// There can be no hosts here: nothing was tried.
const SKIPPED: u8 = 77;

struct Options {
    per_cell: usize,
    cells: Vec<Cell>,
    soak: Option<soak::Plan>,
    record: Option<PathBuf>,
    keep: Option<PathBuf>,
    program: Option<PathBuf>,
    list: bool,
}

fn main() -> ExitCode {
    twinfeed_harness::process::die_with_parent();
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    if options.list {
        for cell in &CELLS {
            println!("{:<16} {}", cell.name, cell.what);
        }
        return ExitCode::SUCCESS;
    }
    // Built outside, where there is a network if cargo wants one.
    let program = match &options.program {
        Some(path) => Ok(Program::at(path)),
        None => beside(),
    };
    let program = match program {
        Ok(program) => program,
        Err(error) => return failed(&error),
    };
    let cage = match cage::enter(std::env::args_os().skip(1)) {
        Ok(cage) => cage,
        Err(reason) => {
            println!("skipped: faults on real hosts: {reason}");
            return ExitCode::from(SKIPPED);
        }
    };
    let directory = match &options.keep {
        Some(keep) => Ok(keep.clone()),
        None => cage.scratch(),
    };
    let done = directory.and_then(|directory| {
        let setting = Setting {
            cage: &cage,
            program: &program,
            directory: &directory,
            stop: StopFlag::new(),
        };
        match options.soak {
            Some(plan) => soak(&setting, plan, options.record.as_deref()),
            None => Ok(matrix(&setting, &options)),
        }
    });
    match done {
        Ok(broken) => ExitCode::from(u8::from(broken)),
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("faults: {error}");
    ExitCode::from(1)
}

/// The `twinfeed` beside this program; brought up to date once, before the cage.
fn beside() -> Result<Program, String> {
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let folder = this.parent().unwrap_or(Path::new("."));
    match Cage::is_inside() {
        true => Ok(Program::at(folder.join("twinfeed"))),
        false => program::up_to_date(folder),
    }
}

/// Whether a promise was broken. A cell that does not come about is no reason not to try the next.
fn matrix(setting: &Setting<'_>, options: &Options) -> bool {
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for cell in &options.cells {
        if let Some(line) = faults::skipped(cell) {
            println!("{line}");
            continue;
        }
        let mut tell = |turn: usize, evidence: &[faults::Evidence]| {
            let said = evidence
                .iter()
                .map(|it| format!("{} {}", it.count, it.what));
            let said = said.collect::<Vec<_>>().join(", ");
            eprintln!("{} {}/{}: {said}", cell.name, turn + 1, options.per_cell);
        };
        match faults::run(setting, cell, options.per_cell, &mut tell) {
            Ok(row) => {
                broken.extend(row.broken.iter().map(|it| format!("{}: {it}", cell.name)));
                rows.push(row);
            }
            Err(error) => broken.push(format!("{}: {error}", cell.name)),
        }
        if options.keep.is_none() {
            // In memory; what cannot be removed now goes with the cage.
            let _ = std::fs::remove_dir_all(setting.directory.join(cell.name));
        }
    }
    println!("{}", faults::HEAD);
    for row in &rows {
        println!("{row}");
    }
    for broken in &broken {
        println!("BROKEN: {broken}");
    }
    !broken.is_empty()
}

/// Whether a promise was broken.
fn soak(setting: &Setting<'_>, plan: soak::Plan, record: Option<&Path>) -> Result<bool, String> {
    let mut tell = |at: Duration, name: &str, evidence: &[faults::Evidence]| {
        let said = evidence
            .iter()
            .map(|it| format!("{} {}", it.count, it.what));
        eprintln!(
            "{:>6.1} s {name}: {}",
            at.as_secs_f64(),
            said.collect::<Vec<_>>().join(", ")
        );
    };
    let report = soak::run(setting, plan, &mut tell).map_err(|error| error.to_string())?;
    let text = format!("# Soak\n\n{}\n{}", host(), report.text());
    println!("{text}");
    if let Some(record) = record {
        let folder = record.join(format!(
            "{}-{}-soak",
            said("date", &["-u", "+%F"]),
            commit()
        ));
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| format!("cannot write {}: {error}", path.display()))
        };
        write("report.md", &text)?;
        write("vitals.csv", &report.vitals.csv())?;
        println!("written to {}", folder.display());
    }
    Ok(!report.broken.is_empty())
}

/// Where it ran: numbers mean nothing without it.
fn host() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} at {}; {cores} cores, Linux {}; {profile} build; load at the end {}\n",
        commit(),
        said("date", &["-u", "+%FT%TZ"]),
        said("uname", &["-r"]),
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}

/// Of the source that this was built from, if it lies where it lay then.
fn commit() -> String {
    let top = twinfeed_tests::matrix::top().display().to_string();
    said("git", &["-C", &top, "rev-parse", "--short=7", "HEAD"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        per_cell: 10,
        cells: CELLS.to_vec(),
        soak: None,
        record: None,
        keep: None,
        program: None,
        list: false,
    };
    let mut plan = soak::Plan {
        span: Duration::from_secs(60 * 60),
        every: Duration::from_secs(10),
        seed: 1,
        rate: 4_000,
    };
    let mut soaks = false;
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--soak" => {
                soaks = true;
                continue;
            }
            "--list" => {
                options.list = true;
                continue;
            }
            _ => {}
        }
        let value = arguments
            .next()
            .ok_or(format!("`{name}` is no option, or lacks its value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("`{name} {value}`: not a number"))
        };
        match name.as_str() {
            "--per-cell" => options.per_cell = number()? as usize,
            "--minutes" => plan.span = Duration::from_secs(60 * number()?),
            "--every" => plan.every = Duration::from_secs(number()?),
            "--seed" => plan.seed = number()?,
            "--rate" => plan.rate = number()?,
            "--record" => options.record = Some(value.into()),
            "--keep" => options.keep = Some(absolute(&value)?),
            "--program" => options.program = Some(absolute(&value)?),
            "--cells" => {
                let find = |name: &str| {
                    let cell = CELLS.into_iter().find(|cell| cell.name == name);
                    cell.ok_or(format!("there is no cell {name}; --list names them"))
                };
                options.cells = value.split(',').map(find).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("`{name}` is no option")),
        }
    }
    options.soak = soaks.then_some(plan);
    Ok(options)
}

/// Processes are started in other folders than this one.
fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{path}: {error}"))
}
