//! What keeps a bench from ending?
//!
//! A promise that broke is not among this: it is a result.

use std::path::PathBuf;

/// Why a bench did not come about, or could not be seen through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The processes.
    #[error(transparent)]
    Harness(#[from] twinfeed_harness::Error),
    /// Stream administration.
    #[error(transparent)]
    Administration(#[from] twinfeed_control::Error),
    /// An adapter's part.
    #[error(transparent)]
    Adapter(#[from] twinfeed_feed_adapter::AdapterError),
    /// A socket of a client.
    #[error("a client's socket on 127.0.0.1: {0}")]
    Socket(std::io::Error),
    /// Memory that is shared.
    #[error("shared memory: {0}")]
    Memory(std::io::Error),
    /// The subscriber's process of a bench.
    #[error(
        "the bench's own subscriber process: {0}; run it again, and look for what else ended it"
    )]
    Subscriber(std::io::Error),
    /// Another system that is measured along with ours.
    #[cfg(feature = "peers")]
    #[error("{name}: {fault}; leave it out with `--ways` or `--peers`")]
    Peer {
        /// Which.
        name: &'static str,
        /// What it said.
        fault: String,
    },
    /// No session of many could be used.
    #[error(
        "{sessions} sessions in a row could not be used; the last one because {reason}; give sessions \
         more time with `--session-ms`, or the host less to do with `--rate`"
    )]
    NoSession {
        /// How many.
        sessions: u32,
        /// Why not the last one.
        reason: String,
    },
    /// A flag.
    #[error("`{flag}`: {fault}")]
    Flag {
        /// Which.
        flag: &'static str,
        /// What is wrong, and what helps.
        fault: String,
    },
    /// A report that was written before.
    #[error("{}: {fault}; name reports that benches have written with `--json`", path.display())]
    Report {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A report.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: names the file.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    /// For `map_err`: which other system, and what it was about.
    #[cfg(feature = "peers")]
    pub(crate) fn peer<E: std::fmt::Display>(
        name: &'static str,
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Peer {
            name,
            fault: format!("{what}: {error}"),
        }
    }

    /// Exit code: 2 usage, 69 something it depends on is unavailable, otherwise 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Flag { .. } | Self::Report { .. } => 2,
            Self::Administration(error) => error.exit_code(),
            #[cfg(feature = "peers")]
            Self::Peer { .. } => 69,
            Self::Harness(_)
            | Self::Adapter(_)
            | Self::Socket(_)
            | Self::Memory(_)
            | Self::Subscriber(_)
            | Self::NoSession { .. }
            | Self::Write { .. } => 1,
        }
    }
}
