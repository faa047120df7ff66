//! One program for people, and for programs that start the whole product from one binary.
//!
//! One file per subcommand; none of them decides anything about the product. Called as
//! `active-feed-adapter`, `backup-feed-adapter` or `stream-admin` (a link of that name to this program),
//! it is that program.
#![forbid(unsafe_code)]

mod admin;
mod certify;
mod config;
mod connect;
mod convert;
mod dbn_text;
mod demo;
mod event;
mod exchange;
mod failure;
mod output;
mod policy;
mod position;
mod probe;
mod progress;
mod roles;
mod simulate;
mod status;
mod tail;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use twinfeed_feed_adapter::Role;

/// Redundant market data with failover.
///
/// Exit codes: 0; 1 failed at run time, or a promise broke; 2 usage; 69 something it depends on is
/// unavailable; 75 try again; 77 permission; 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "twinfeed", version, max_term_width = 100)]
struct Twinfeed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill the active adapter in mid-burst, twice, and count what a subscriber loses.
    Demo(demo::Args),
    /// Run the adapter that prefers to be active.
    ActiveFeedAdapter(twinfeed_feed_adapter::Args),
    /// Run the adapter that prefers to be backup.
    BackupFeedAdapter(twinfeed_feed_adapter::Args),
    /// Run stream administration.
    StreamAdmin(twinfeed_stream_admin::Args),
    /// Simulate an exchange: ITCH order flow, or a recording, over MoldUDP64 lines A and B.
    Exchange(exchange::Args),
    /// Subscribe to a feed and print records and events in order.
    Tail(tail::Args),
    /// Record a feed into a DBN file and its sidecar.
    Record(tail::RecordArgs),
    /// Convert a capture or BinaryFILE offline, by the adapters' own decoder.
    Convert(convert::Args),
    /// Play line faults to a feed handler, ours or another's, and judge what comes out.
    Certify(certify::Args),
    /// Show how every feed stands.
    Status(status::Args),
    /// Put an operator's message into a stream, hand the active role over, and see what became of it.
    Admin(admin::Args),
    /// Try the promise against simulated worlds under every fault, or replay one.
    Simulate(simulate::Args),
    /// Write a commented configuration, or check one.
    Config(config::Args),
    /// Subscribe, measure, and answer questions on standard input (for harnesses).
    #[command(hide = true)]
    Probe(probe::Args),
}

fn main() -> ExitCode {
    twinfeed_harness::process::die_with_parent();
    let given = arguments(std::env::args_os());
    if let Some(name) = given.get(1).and_then(|name| name.to_str())
        && NAMES.contains(&name)
    {
        twinfeed_harness::process::be_apart(name, given[2..].iter().cloned());
    }
    match Twinfeed::parse_from(given).command {
        Command::Demo(args) => failure::report(demo::run(&args)),
        Command::ActiveFeedAdapter(args) => twinfeed_feed_adapter::run(Role::Active, &args),
        Command::BackupFeedAdapter(args) => twinfeed_feed_adapter::run(Role::Backup, &args),
        Command::StreamAdmin(args) => twinfeed_stream_admin::run(&args),
        Command::Exchange(args) => failure::report(exchange::run(&args)),
        Command::Tail(args) => failure::report(tail::run(&args)),
        Command::Record(args) => failure::report(tail::record(&args)),
        Command::Convert(args) => failure::report(convert::run(&args)),
        Command::Certify(args) => failure::report(certify::run(args)),
        Command::Admin(args) => failure::report(admin::run(args)),
        Command::Status(args) => failure::report(status::run(&args)),
        Command::Simulate(args) => failure::report(simulate::run(&args)),
        Command::Config(args) => failure::report(config::run(&args)),
        Command::Probe(args) => failure::report(probe::run(&args)),
    }
}

/// The command line, with the subcommand that the program's own name stands for.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(name) = called
        .and_then(|name| name.to_str())
        .filter(|name| NAMES.contains(name))
    {
        let subcommand = name.to_owned().into();
        arguments.insert(1, subcommand);
    }
    arguments
}

/// Names under which this program is one of its subcommands.
const NAMES: [&str; 3] = ["active-feed-adapter", "backup-feed-adapter", "stream-admin"];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Twinfeed::command().debug_assert();
    }

    #[test]
    fn a_link_named_like_a_subcommand_is_that_subcommand() {
        let called = |name: &str| {
            let given = [name, "--config", "x"].map(OsString::from);
            let parsed = Twinfeed::try_parse_from(arguments(given.into_iter()));
            parsed.map(|parsed| parsed.command)
        };
        assert!(matches!(
            called("/usr/bin/stream-admin"),
            Ok(Command::StreamAdmin(_))
        ));
        assert!(matches!(
            called("active-feed-adapter"),
            Ok(Command::ActiveFeedAdapter(_))
        ));
        assert!(called("twinfeed").is_err());
    }
}
