//! What does a failure of the active adapter cost, measured?
//!
//! `twinfeed-bench failover` starts the real processes from the `twinfeed` program, hurts the active
//! adapter hundreds of times in every way that matters, and writes down what the application saw.
#![forbid(unsafe_code)]

mod chance;
mod error;
mod failover;
mod host;
mod program;
mod report;
mod stats;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks of twinfeed.
#[derive(Debug, Parser)]
#[command(name = "twinfeed-bench", version, max_term_width = 100)]
struct Bench {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill, stop, end and cut off the active adapter, and measure what the application sees.
    Failover(failover::Args),
}

/// Exit codes: 0; 1 a promise broke, or the bench could not be completed; 2 usage.
fn main() -> ExitCode {
    let Command::Failover(args) = Bench::parse().command;
    match failover::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("twinfeed-bench: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Bench::command().debug_assert();
    }
}
