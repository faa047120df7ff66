//! What keeps a run from being a run?
//!
//! Whatever fails here is the harness's or the host's matter; a promise of the product that broke is a
//! [`crate::judge::Verdict`], never an error.

use std::path::PathBuf;
use std::time::Duration;

/// Why a run did not come about, or could not be seen through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No port is left.
    #[error(
        "no free loopback port among {first}..{end}; end what holds them",
        end = first + count
    )]
    NoPort {
        /// First one tried.
        first: u32,
        /// How many were tried.
        count: u32,
    },
    /// A file or directory of the run.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process could not be started or reached.
    #[error("cannot {action} {process}: {source}")]
    Process {
        /// What was being done.
        action: &'static str,
        /// With which process.
        process: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process ended although nobody told it to.
    #[error("{process} ended ({status}) although it should run; its last words:\n{tail}")]
    Ended {
        /// Which one.
        process: String,
        /// Its exit status.
        status: String,
        /// The end of its log.
        tail: String,
    },
    /// Something that was to become true did not.
    #[error("after {waited:?}, still not: {what}; {state}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// How things stood.
        state: String,
    },
    /// A process said something that is no answer.
    #[error("{process} said {line:?}, which is no answer: {fault}")]
    NoAnswer {
        /// Which one.
        process: String,
        /// What it said.
        line: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The stream administration's answer.
    #[error(transparent)]
    Administration(#[from] twinfeed_control::Error),
    /// What the exchange wrote down cannot be read or decoded.
    #[error("{}: {fault}", path.display())]
    Truth {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// A run that cannot be described so.
    #[error("`{key}`: {fault}")]
    Run {
        /// The key of the description.
        key: &'static str,
        /// What is wrong with it, and what helps.
        fault: String,
    },
}

impl Error {
    /// For `map_err`: names the file.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// For `map_err`: names the process.
    pub(crate) fn process(
        action: &'static str,
        process: &str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let process = process.to_owned();
        move |source| Self::Process {
            action,
            process,
            source,
        }
    }
}
