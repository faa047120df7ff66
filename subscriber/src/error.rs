//! What keeps a subscriber from starting, whose fault is it, and what helps?
//!
//! Errors belong to the control half and to setting up. On the data path a refusal is a counter, and
//! what the application must know of its data is an [`crate::Event`].

use std::io;
use std::path::PathBuf;

use twinfeed_net::affinity::AffinityError;
use twinfeed_net::udp::BufferReport;
use twinfeed_protocol::BadLimit;

/// Why a subscriber cannot be set up, or its subscription was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting of the builder or the configuration file.
    #[error("setting `{name}`: {cause}; {remedy}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        cause: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A limit that no arbiter can work with.
    #[error("limit {0}")]
    Limit(#[from] BadLimit),
    /// A socket could not be set up.
    #[error(transparent)]
    Network(#[from] twinfeed_net::Error),
    /// The kernel granted less receive buffer than the low-latency profile insists on.
    #[error("{0}, or leave the low-latency profile, where this is a warning")]
    BufferClamped(BufferReport),
    /// stream-admin refused, or cannot be reached.
    #[error(transparent)]
    Administration(#[from] twinfeed_control::Error),
    /// What was granted cannot be used by this build.
    #[error("grant of feed {feed}: {cause}; {remedy}")]
    Grant {
        /// The feed.
        feed: String,
        /// What is wrong with it.
        cause: String,
        /// What helps.
        remedy: &'static str,
    },
    /// The state directory cannot be used.
    #[error("cannot {action} {}: {reason}; check `state_dir` and its permissions", path.display())]
    State {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        reason: io::Error,
    },
    /// The thread could not be placed.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// The library's own thread could not be started, or ended by a panic.
    #[error("thread `{name}`: {cause}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What happened.
        cause: String,
    },
}

impl Error {
    /// The exit code of a process that ends for this reason: 69 dependency unavailable, 75 try again,
    /// 77 permission, 78 configuration, 1 otherwise.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Setting { .. } | Self::Limit(_) | Self::BufferClamped(_) => 78,
            Self::Network(_) | Self::State { .. } | Self::Affinity(_) => 78,
            Self::Administration(error) => error.exit_code(),
            Self::Grant { .. } | Self::Thread { .. } => 1,
        }
    }
}
