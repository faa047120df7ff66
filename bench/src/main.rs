//! What do failures and losses cost, measured?
//!
//! `arbiter` measures what deduplication and arbitration cost, `decode` what an adapter's core makes of its source, `scale` whether both cost the same with
//! more sources and instruments. `latency` measures how late records
//! are, against bare sockets and peers, `fanout` how much of that is due to other subscribers, `memory` the same by shared memory, `throughput` how many a second come without a loss. `repair` measures how what both
//! streams lost is given again. `failover` starts the real processes from the `twinfeed` program, hurts the active
//! adapter hundreds of times in every way that matters, and writes down what the application saw.
#![forbid(unsafe_code)]

#[cfg(feature = "aeron")]
mod aeron;
mod arbiter;
mod breach;
mod chance;
mod child;
mod cost;
mod decode;
mod error;
mod failover;
mod fanout;
mod host;
mod instructions;
mod latency;
mod memory;
mod page;
mod program;
mod repair;
mod report;
mod scale;
mod stats;
mod throughput;

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
    /// What one message costs an application's arbiter, on the leg that wins and on the one that loses.
    Arbiter(arbiter::Args),
    /// What one message costs an adapter's core, from the packet to the datagram.
    Decode(decode::Args),
    /// Kill, stop, end and cut off the active adapter, and measure what the application sees.
    Failover(failover::Args),
    /// What one more subscriber costs the one who sends, and how much later than the first the last is.
    Fanout(fanout::Args),
    /// Take one path so often, for `bench/instructions`.
    #[command(hide = true)]
    Instructions(instructions::Args),
    /// How late a record is that two legs bring, by what bare sockets take for the same.
    Latency(latency::Args),
    /// How late a record is that shared memory brings, by what a bare queue in it takes for the same.
    Memory(memory::Args),
    /// Put reports of benches on one page, with pictures.
    Page(page::Args),
    /// Lose the same on both streams, alone and in a storm, and measure how long it takes to be given it.
    Repair(repair::Args),
    /// What one message costs from the packet to the application, with more and more sources and instruments.
    Scale(scale::Args),
    /// How many messages a second reach an application that loses none, by what the same socket calls carry.
    Throughput(throughput::Args),
}

/// Exit codes: 0; 1 a promise broke, or the bench could not be completed; 2 usage.
fn main() -> ExitCode {
    twinfeed_harness::process::die_with_parent();
    let done = match Bench::parse().command {
        Command::Arbiter(args) => arbiter::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Failover(args) => failover::run(&args),
        Command::Fanout(args) => fanout::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Latency(args) => latency::run(&args),
        Command::Memory(args) => memory::run(&args),
        Command::Page(args) => page::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Throughput(args) => throughput::run(&args),
    };
    match done {
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
