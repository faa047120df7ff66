//! Kills the active at every place of an administrative message's way, with real processes.
//!
//! `kills --per-case 20 --cases a,b --policy prefer-active` prints one line per kill and a table at the end;
//! `kills --messages 10000` orders that many messages of a busy pair instead. Exits with 1 when a promise was broken.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use twinfeed_control::{Policy, StopFlag};
use twinfeed_harness::Error;
use twinfeed_harness::process::Program;
use twinfeed_tests::kills::{self, CASES, Case, Setting};
use twinfeed_tests::{messages, program};

const USAGE: &str = "usage: kills [--per-case N] [--cases a,b,c,d,e] [--policy first-arrival|prefer-active] [--keep DIR]
       kills --messages N [--rate R] [--operators K] [--policy P] [--keep DIR]

  --per-case N   kills per place and policy (default 20)
  --cases LIST   only these places, by letter (default: all)
  --policy P     only this policy (default: both; for messages first-arrival)
  --messages N   order N messages of a busy pair, and say at which announcement their slots were agreed to
  --rate R       source messages per second (default 20000)
  --operators K  orders at a time (default 8)
  --keep DIR     keep every run's files below DIR
  --program FILE start this `twinfeed`, a debug build (default: the one beside this program, brought up to date)";

struct Options {
    per_case: usize,
    cases: String,
    policies: Vec<Policy>,
    messages: Option<u64>,
    rate: u64,
    operators: usize,
    keep: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Options {
    fn setting<'a>(&self, program: &'a Program, name: &str) -> Setting<'a> {
        Setting {
            program,
            directory: self.keep.as_ref().map(|keep| keep.join(name)),
            stop: StopFlag::new(),
        }
    }
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
    let program = match &options.program {
        Some(path) => Ok(Program::at(path)),
        None => {
            let this = std::env::current_exe().unwrap_or_default();
            program::up_to_date(this.parent().unwrap_or(Path::new(".")))
        }
    };
    let done = program.and_then(|program| {
        let done = match options.messages {
            Some(count) => order(&program, &options, count),
            None => Ok(kill(&program, &options)),
        };
        done.map_err(|error| error.to_string())
    });
    match done {
        Ok(broken) => ExitCode::from(u8::from(broken)),
        Err(error) => {
            eprintln!("kills: {error}");
            ExitCode::from(1)
        }
    }
}

/// Whether a promise was broken. A run that does not come about proves nothing, and is no reason not to begin the next.
fn kill(program: &Program, options: &Options) -> bool {
    let mut letters: Vec<char> = CASES.iter().map(|case| case.letter).collect();
    letters.dedup();
    letters.retain(|letter| options.cases.is_empty() || options.cases.contains(*letter));
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (letter, policy) in letters
        .iter()
        .flat_map(|letter| options.policies.iter().map(move |policy| (letter, *policy)))
    {
        let of_letter: Vec<Case> = CASES
            .into_iter()
            .filter(|case| case.letter == *letter)
            .collect();
        let count = options.per_case * of_letter.len();
        let deaths: Vec<Case> = of_letter.into_iter().cycle().take(count).collect();
        let begun = Instant::now();
        let mut tell = |kill: &kills::Kill| {
            let (number, words, broken) = (kill.number + 1, &kill.words, &kill.broken);
            let (seconds, survivor) = (begun.elapsed().as_secs(), kill.survivor);
            eprintln!(
                "{letter} {policy:?} {number}/{count} {seconds} s: {words} {survivor:?} {broken:?}"
            );
        };
        let setting = options.setting(program, &format!("{letter}-{policy:?}"));
        match kills::run(&setting, policy, &deaths, &mut tell) {
            Ok(outcome) => {
                broken.extend(
                    outcome
                        .broken()
                        .map(|it| format!("{letter} {policy:?}: {it}")),
                );
                rows.extend(outcome.rows);
            }
            Err(error) => broken.push(format!("{letter} {policy:?}: {error}")),
        }
    }
    println!("{}", kills::HEAD);
    for row in &rows {
        println!("{row}");
    }
    for broken in &broken {
        println!("BROKEN: {broken}");
    }
    !broken.is_empty()
}

/// Whether a promise was broken.
fn order(program: &Program, options: &Options, count: u64) -> Result<bool, Error> {
    let plan = messages::Plan {
        messages: count,
        rate: options.rate,
        operators: options.operators,
        policy: options.policies[0],
    };
    let tell = |placed: u64| {
        if placed.is_multiple_of(500) {
            eprintln!("{placed} of {count}");
        }
    };
    let tally = messages::run(&options.setting(program, "messages"), plan, &tell)?;
    let [capable, late, far, unsynchronised, before] = tally.counted;
    println!(
        "{count} messages at {} source messages/s in {:.1} s: first announcement {}, second {}, later {}, alone {}; \
         {:.4} % at the first or second",
        options.rate,
        tally.took.as_secs_f64(),
        tally.first,
        tally.second,
        tally.later,
        tally.alone,
        tally.share() * 100.0
    );
    println!(
        "the active counted: capable {capable}, late {late}, far {far}, unsynchronised {unsynchronised}, \
         placed before the answer {before}"
    );
    for broken in &tally.broken {
        println!("BROKEN: {broken}");
    }
    Ok(tally.share() < messages::SHARE || !tally.broken.is_empty())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        per_case: 20,
        cases: String::new(),
        policies: vec![Policy::FirstArrival, Policy::PreferActive],
        messages: None,
        rate: 20_000,
        operators: 8,
        keep: None,
        program: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or(format!("`{name}` is no option, or lacks its value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("`{name} {value}`: not a number"))
        };
        match name.as_str() {
            "--per-case" => options.per_case = number()? as usize,
            "--keep" => options.keep = Some(value.into()),
            "--program" => options.program = Some(value.into()),
            "--messages" => options.messages = Some(number()?),
            "--rate" => options.rate = number()?,
            "--operators" => options.operators = number()? as usize,
            "--cases" => {
                let known = |letter| CASES.iter().any(|case| case.letter == letter);
                options.cases = value.replace(',', "");
                if let Some(letter) = options.cases.chars().find(|letter| !known(*letter)) {
                    return Err(format!("`{name} {value}`: there is no case {letter}"));
                }
            }
            "--policy" => {
                options.policies = vec![match value.as_str() {
                    "first-arrival" => Policy::FirstArrival,
                    "prefer-active" => Policy::PreferActive,
                    _ => return Err(format!("`{name} {value}`: no policy")),
                }];
            }
            _ => return Err(format!("`{name}` is no option")),
        }
    }
    Ok(options)
}
