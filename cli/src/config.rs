//! `twinfeed config`: write a commented configuration, or check one.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use twinfeed_exchange::ExchangeConfig;
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, EXAMPLE, Overrides};
use twinfeed_subscriber::config::SubscriberConfig;

use crate::failure::{CONFIGURATION, Failure, RUNTIME};

/// Write a commented configuration, or check one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a commented configuration with every key, or write it to a file that does not exist yet.
    Init {
        /// Whose.
        #[arg(value_enum, default_value = "feed")]
        kind: Kind,
        /// The file.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check a configuration; exits with 0 or 78.
    Check {
        /// The file.
        file: PathBuf,
        /// Whose it is; by its keys if left out.
        #[arg(long, value_enum)]
        kind: Option<Kind>,
    },
}

/// Whose configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// Both adapters'.
    Feed,
    /// Stream administration's.
    StreamAdmin,
    /// A subscriber's.
    Subscriber,
    /// The simulated exchange's.
    Exchange,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Init { kind, output: None } => {
            print!("{}", example(*kind));
            Ok(())
        }
        Command::Init {
            kind,
            output: Some(path),
        } => write_new(path, example(*kind)),
        Command::Check { file, kind } => check(file, *kind),
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Feed => EXAMPLE,
        Kind::StreamAdmin => include_str!("../../deploy/stream-admin.toml"),
        Kind::Subscriber => include_str!("../../deploy/subscriber.toml"),
        Kind::Exchange => include_str!("../../deploy/exchange.toml"),
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(RUNTIME, format!("{}: {error}", path.display())))
}

fn check(path: &Path, kind: Option<Kind>) -> Result<(), Failure> {
    let fault = |what: String| Failure::new(CONFIGURATION, format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let kind = kind
        .or_else(|| guess(&table))
        .ok_or_else(|| fault("its keys do not say whose it is; say it with --kind".to_owned()))?;
    match kind {
        Kind::Feed => {
            let read = |role| Config::read(role, path, None, &Overrides::default());
            let of = |error| Failure::new(CONFIGURATION, error);
            let (active, backup) = (
                read(Role::Active).map_err(of)?,
                read(Role::Backup).map_err(of)?,
            );
            if active.digest() != backup.digest() {
                return Err(fault(
                    "the two roles would not pair: their digests differ".to_owned(),
                ));
            }
            println!("{}: ok, digest {:016x}", path.display(), active.digest());
        }
        Kind::StreamAdmin => {
            let config = twinfeed_stream_admin::config::Config::read(path);
            config
                .and_then(|config| config.check())
                .map_err(|error| Failure::new(CONFIGURATION, error))?;
            println!("{}: ok", path.display());
        }
        Kind::Subscriber => {
            let config: SubscriberConfig =
                toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
            println!("{}: ok, feed {}", path.display(), config.feed);
        }
        Kind::Exchange => {
            let config: ExchangeConfig =
                toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
            config.check().map_err(|error| fault(error.to_string()))?;
            println!("{}: ok", path.display());
        }
    }
    Ok(())
}

/// Whose a configuration is, by keys that only one kind has.
fn guess(table: &toml::Table) -> Option<Kind> {
    let has = |key: &str| table.contains_key(key);
    match () {
        () if has("trading_day") || has("source") => Some(Kind::Feed),
        () if has("principal") || has("listen") => Some(Kind::StreamAdmin),
        () if has("sessions") || has("line_a") || has("pace") => Some(Kind::Exchange),
        () if has("feed") => Some(Kind::Subscriber),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_recognised_and_passes_its_own_check() {
        let directory = tempfile::tempdir().unwrap();
        for kind in [
            Kind::Feed,
            Kind::StreamAdmin,
            Kind::Subscriber,
            Kind::Exchange,
        ] {
            let path = directory.path().join(format!("{kind:?}.toml"));
            write_new(&path, example(kind)).unwrap();
            let table: toml::Table = toml::from_str(example(kind)).unwrap();
            assert_eq!(guess(&table), Some(kind));
            check(&path, None).unwrap();
            assert!(write_new(&path, "").is_err(), "a file is never overwritten");
        }
    }
}
