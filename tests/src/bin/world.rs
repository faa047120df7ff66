//! Tries the promise against many seeds, or replays one.
//!
//! `world --seeds 10000 --from 1` tries seeds 1 to 10,000; `world --seed 77 --verbose` replays one with the
//! last lines of what happened. Exits with 1 when a promise was broken.

use std::io::Write;
use std::process::ExitCode;

use twinfeed_simulate::coverage::Coverage;
use twinfeed_tests::world::facts::{Facts, Sizes};
use twinfeed_tests::world::{self, Kind, Outcome, stats::Census};

const USAGE: &str =
    "usage: world [--pair | --filled | --long] [--seeds N] [--from S] | [--seed S [--lines N]] [--verbose]

  --pair       worlds whose adapters are a pair
  --filled     worlds whose adapters can be asked for what both streams lost
  --long       the same as --pair for a minute and more each
  --seeds N    try N seeds (default 10000)
  --from S     starting with seed S (default 1)
  --seed S     replay one seed and print what happened
  --lines N    how many of the last lines to print (default 200)
  --verbose    print every failing seed's violations and trace, and go on";

struct Options {
    kind: Kind,
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    lines: usize,
    verbose: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    match options.seed {
        Some(seed) => replay(options.kind, seed, options.lines),
        None => sweep(&options),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        kind: Kind::Alone,
        seeds: 10_000,
        from: 1,
        seed: None,
        lines: 200,
        verbose: false,
    };
    while let Some(name) = arguments.next() {
        if name == "--verbose" {
            options.verbose = true;
            continue;
        }
        if let "--pair" | "--filled" | "--long" | "--slow" | "--joined" = name.as_str() {
            options.kind = match name.as_str() {
                "--pair" => Kind::Pair,
                "--filled" => Kind::Filled,
                "--slow" => Kind::Slow,
                "--joined" => Kind::Joined,
                _ => Kind::Long,
            };
            continue;
        }
        let value = arguments
            .next()
            .ok_or(format!("`{name}` is no option, or lacks its value"))?;
        let number: u64 = value
            .parse()
            .map_err(|_| format!("`{name} {value}`: not a number"))?;
        match name.as_str() {
            "--seeds" => options.seeds = number,
            "--from" => options.from = number,
            "--seed" => options.seed = Some(number),
            "--lines" => options.lines = number as usize,
            _ => return Err(format!("`{name}` is no option")),
        }
    }
    Ok(options)
}

fn replay(kind: Kind, seed: u64, lines: usize) -> ExitCode {
    let outcome = world::run(kind.draw(seed), lines);
    show(&outcome);
    let mut census = Census::default();
    census.take(&outcome.stats);
    println!("{census}");
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

fn sweep(options: &Options) -> ExitCode {
    let (mut census, mut coverage) = (Census::default(), Coverage::default());
    let mut sizes = Sizes::default();
    let mut failed = Vec::new();
    let mut lasted = 0.0;
    for number in 0..options.seeds {
        let seed = options.from + number;
        let outcome = world::run(options.kind.draw(seed), 0);
        census.take(&outcome.stats);
        coverage.add(&outcome.coverage);
        sizes.take(Facts::of(&outcome));
        lasted += outcome.lasted.as_secs_f64();
        if let Some(violation) = outcome.violations.first() {
            println!("\rseed {seed}: {violation}");
            if options.verbose {
                show(&world::run(options.kind.draw(seed), options.lines));
            }
            failed.push(seed);
        }
        if number.is_multiple_of(100) {
            eprint!(
                "\r{number} of {} seeds, {} failed",
                options.seeds,
                failed.len()
            );
            // A progress line that cannot be written harms nobody.
            let _ = std::io::stderr().flush();
        }
    }
    eprintln!(
        "\r{} seeds, {} failed, {lasted:.0} s of virtual time",
        options.seeds,
        failed.len()
    );
    println!("{census}");
    for table in coverage.tables() {
        let (hit, all) = (table.hit, table.transitions);
        println!("{}: {hit} of {all} transitions", table.table);
        for label in &table.never {
            println!("    never: {label}");
        }
    }
    let (median, rate) = (sizes.median(), sizes.median_rate());
    println!("median: {median:?}, {rate} messages a second");
    if let Some(seed) = failed.first() {
        println!("replay: {}", world::replay_command(options.kind, *seed));
    }
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn show(outcome: &Outcome) {
    for line in &outcome.trace {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
    println!(
        "seed {}, {:?} of virtual time",
        outcome.seed, outcome.lasted
    );
}
