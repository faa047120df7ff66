//! Builds every deliberate fault into one copy of the machines, and demands that the simulated world catches each.
//!
//! Exits with 0 when every mutant is caught by the seed that is written down for it (or, with `--search`, by any), with 1
//! when one survives, with 2 when the list does not fit the sources or the copy cannot be built.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use twinfeed_mutants::caught::{self, Record};
use twinfeed_mutants::list::{self, Mutant};
use twinfeed_mutants::trial::{BROKEN, Bench, KEPT, each};
use twinfeed_mutants::workshop::Workshop;
use twinfeed_mutants::{page, worlds};

/// Deliberate faults in the machines, each of which the simulated world must catch.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    check: Check,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
struct Check {
    /// Search seeds 1 to N of every kind of world for each mutant, and write down which catches it.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20000")]
    search: Option<u64>,
    /// With `--search`: only mutants that the seed written down for them does not catch.
    #[arg(long)]
    missing: bool,
    /// With `--search`: the faults that no seed has caught yet, instead of the list; nothing is written down.
    #[arg(long, requires = "search")]
    uncaught: bool,
    /// Only this mutant; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// So many trials at once [default: one per processor].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tries seeds in this very program, with the mutant that the environment chooses, up to the first that breaks a
    /// promise.
    #[command(name = "try")]
    Try {
        /// Kind of world.
        kind: String,
        /// First seed.
        from: u64,
        /// How many seeds.
        count: u64,
        /// Prints the last N lines of what happens in the first seed, too.
        #[arg(long, value_name = "N", default_value_t = 0)]
        lines: usize,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Try {
            kind,
            from,
            count,
            lines,
        }) => try_seeds(kind, *from, *count, *lines),
        None => check(&options.check),
    };
    match done {
        Ok(code) => code,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::from(2)
        }
    }
}

fn try_seeds(name: &str, from: u64, count: u64, lines: usize) -> Result<ExitCode, String> {
    let kind = worlds::kind(name).ok_or(format!("`{name}` is no kind of world"))?;
    if lines > 0 {
        for line in worlds::trace(kind, from, lines) {
            println!("{line}");
        }
    }
    // The violation says it; a trace of a machine that is wrong on purpose helps nobody.
    std::panic::set_hook(Box::new(|_| {}));
    match worlds::first_broken(kind, from..from.saturating_add(count)) {
        None => println!("{KEPT}"),
        Some((seed, violation)) => println!("{BROKEN} {seed} {}", violation.replace('\n', " ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of one mutant.
enum Fate {
    Caught(caught::Caught),
    Survived,
    Unknown(String),
}

fn check(options: &Check) -> Result<ExitCode, String> {
    let folder = match options.uncaught {
        true => list::uncaught(),
        false => list::folder(),
    };
    let all = list::read(&folder).map_err(|wrong| wrong.to_string())?;
    if let Some(unknown) = options
        .only
        .iter()
        .find(|name| all.iter().all(|it| it.name != **name))
    {
        return Err(format!(
            "`{unknown}` is no mutant: see {}",
            folder.display()
        ));
    }
    let workshop = Workshop::of(&list::root());
    workshop.furnish(&all).map_err(|wrong| wrong.to_string())?;
    let program = workshop.build().map_err(|wrong| wrong.to_string())?;
    let bench = Bench::of(&program);
    let mut record = caught::read(&caught::file())?;
    let wanted = |name: &String| options.only.is_empty() || options.only.contains(name);
    let indexed = all.iter().enumerate();
    let chosen: Vec<(usize, &Mutant)> = indexed.filter(|(_, it)| wanted(&it.name)).collect();
    let threads = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let fates = each(
        &chosen,
        threads,
        |&(index, mutant)| fate(&bench, index, mutant, &record, options),
        |(_, mutant), fate| tell(mutant, fate),
    );
    let caught = fates
        .iter()
        .filter(|it| matches!(it, Fate::Caught(_)))
        .count();
    if options.search.is_some() && !options.uncaught {
        for ((_, mutant), fate) in chosen.iter().zip(&fates) {
            match fate {
                Fate::Caught(by) => record.insert(mutant.name.clone(), by.clone()),
                _ => record.remove(&mutant.name),
            };
        }
        record.retain(|name, _| all.iter().any(|it| it.name == *name));
        write_down(&all, &record)?;
    }
    println!(
        "{caught} of {} mutants caught; without any of them the same seeds keep every promise",
        chosen.len()
    );
    Ok(ExitCode::from(u8::from(caught < chosen.len())))
}

fn fate(bench: &Bench, index: usize, mutant: &Mutant, record: &Record, options: &Check) -> Fate {
    let known = record.get(&mutant.name);
    let known = known.filter(|_| options.search.is_none() || options.missing);
    let by_known = known.map(|by| (by, bench.catches(index, &by.kind, by.seed)));
    let found = match (by_known, options.search) {
        (Some((by, Ok(Some(violation)))), _) => Ok(Some(caught::Caught {
            violation,
            ..by.clone()
        })),
        (Some((_, Err(wrong))), _) => Err(wrong),
        (_, Some(most)) => bench.search(index, most),
        (_, None) => Ok(None),
    };
    match found {
        Ok(Some(by)) => Fate::Caught(by),
        Ok(None) => Fate::Survived,
        Err(wrong) => Fate::Unknown(wrong),
    }
}

fn tell(mutant: &Mutant, fate: &Fate) {
    let name = &mutant.name;
    match fate {
        Fate::Caught(by) => println!("{name:<44} {:<5} {:>6}  {}", by.kind, by.seed, by.violation),
        Fate::Survived => println!("{name:<44} SURVIVED"),
        Fate::Unknown(wrong) => println!("{name:<44} FAILED: {wrong}"),
    }
}

fn write_down(all: &[Mutant], record: &Record) -> Result<(), String> {
    caught::write(&caught::file(), record)?;
    let page = page::file();
    let wrong = |why: std::io::Error| format!("`{}`: {why}", page.display());
    let text = std::fs::read_to_string(&page).map_err(wrong)?;
    let text = page::with_table(&text, &page::table(all, record))?;
    std::fs::write(&page, text).map_err(wrong)
}
