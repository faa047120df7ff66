//! Why does an adapter end, who is to blame, and which exit code says so?
//!
//! Errors of this kind happen at the start or on a control path, so they carry text. On the data path
//! a fault is a counter and a [`Note`](crate::note::Note).

use std::io;
use std::path::PathBuf;

use twinfeed_net::affinity::AffinityError;
use twinfeed_net::udp::BufferReport;
use twinfeed_protocol::BadLimit;
use twinfeed_protocol::line::Line;
use twinfeed_wire::{Incarnation, Sid};

use crate::config::ConfigError;

/// What ends an adapter before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The configuration is refused.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A limit that a machine cannot work with.
    #[error("configuration: {0}")]
    Limit(#[from] BadLimit),
    /// A socket could not be set up.
    #[error("{what}: {error}")]
    Socket {
        /// Which one.
        what: String,
        /// Why, and what helps.
        error: twinfeed_net::Error,
    },
    /// The kernel granted less receive buffer than asked for, under the low-latency profile.
    #[error(
        "source {sid}, line {line:?}: {report}; the low-latency profile does not start without it"
    )]
    BufferClamped {
        /// Of which source.
        sid: Sid,
        /// Of which line.
        line: Line,
        /// Asked for, granted, and the setting to raise.
        report: BufferReport,
    },
    /// The data thread could not be placed.
    #[error("core: {0}")]
    Core(#[from] AffinityError),
    /// Stream administration refused, or is absent and nobody wanted to wait.
    #[error("{0}")]
    StreamAdmin(#[from] twinfeed_control::Error),
    /// Stream administration granted something else than was asked for.
    #[error(
        "stream-admin granted no stream for source {sid}; check the feed's sources in its configuration"
    )]
    NoStream {
        /// The source without a stream.
        sid: Sid,
    },
    /// A newer process has taken this adapter's seat.
    #[error(
        "replaced by incarnation {by}: another process runs with this feed and role; this one ends"
    )]
    Replaced {
        /// Who.
        by: Incarnation,
    },
    /// The grant could not be persisted or read.
    #[error("{0}")]
    State(#[from] crate::state::StateError),
    /// A source's file could not be read.
    #[error("source {sid}: {fault}")]
    SourceFile {
        /// Of which source.
        sid: Sid,
        /// Which file.
        path: PathBuf,
        /// Why, and what helps.
        fault: String,
    },
    /// The ring for subscribers of this host could not be had.
    #[error("{0}; without `ring.enabled` everybody is served by the network")]
    Ring(twinfeed_net::ring::RingError),
    /// The operating system refused something basic.
    #[error("cannot {action}: {error}")]
    System {
        /// What was being done.
        action: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl AdapterError {
    /// Names what was being done.
    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { action, error }
    }

    /// The operations endpoint's error names the address already.
    pub(crate) fn operations(error: io::Error) -> Self {
        Self::System {
            action: "serve",
            error,
        }
    }

    /// Names the socket.
    pub(crate) fn socket(what: impl Into<String>) -> impl FnOnce(twinfeed_net::Error) -> Self {
        let what = what.into();
        move |error| Self::Socket { what, error }
    }

    /// The exit code: 69 dependency unavailable, 75 try again, 77 permission, 78 configuration, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Limit(_)
            | Self::BufferClamped { .. }
            | Self::Core(_)
            | Self::NoStream { .. }
            | Self::SourceFile { .. } => 78,
            Self::Socket { error, .. } => socket_code(error),
            Self::StreamAdmin(error) => error.exit_code(),
            Self::Replaced { .. } => 1,
            Self::State(error) if error.is_permission() => 77,
            Self::System { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => 77,
            Self::System { error, .. } if error.kind() == io::ErrorKind::AddrInUse => 75,
            Self::State(_) | Self::Ring(_) | Self::System { .. } => 1,
        }
    }
}

fn socket_code(error: &twinfeed_net::Error) -> u8 {
    use twinfeed_net::Error as E;
    match error {
        // Whoever holds the port may be on its way out.
        E::PortInUse { .. } => 75,
        E::PortReserved { .. } => 77,
        E::AddressNotLocal { .. }
        | E::InterfaceUnknown { .. }
        | E::InterfaceDown { .. }
        | E::InterfaceWithoutMulticast { .. }
        | E::GroupNotMulticast { .. }
        | E::GroupWithoutInterface { .. }
        | E::FamilyMismatch { .. }
        | E::OutOfBounds { .. } => 78,
        _ => 1,
    }
}
