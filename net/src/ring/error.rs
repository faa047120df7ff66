//! Why is there no ring, and why is one given up?

use std::io;

/// Why a ring could not be made, offered, taken or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// A size that was asked for.
    #[error(transparent)]
    Bounds(#[from] crate::Error),
    /// The kernel refused.
    #[error("cannot {action} the ring: {reason}")]
    Kernel {
        /// What was being done.
        action: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// What was handed over may yet shrink, or be written by others.
    #[error(
        "what was handed over as a ring is not sealed against shrinking, growing and other writers; it is not the work of a \
         twinfeed adapter"
    )]
    Unsealed,
    /// It is larger than the reader allows.
    #[error(
        "the ring has {bytes} bytes, and this reader maps at most {most}; have fewer slots at the adapter"
    )]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// The reader's own limit.
        most: u64,
    },
    /// The file is another one.
    #[error("what was handed over is no ring")]
    NoRing,
    /// A ring of another version.
    #[error(
        "the ring's version is {version}, and this reader knows version 1; use the same release on one host"
    )]
    Version {
        /// What its header says.
        version: u64,
    },
    /// Sizes that cannot be.
    #[error(
        "the ring's header says {slots} slots of up to {longest} bytes, which is no ring of this file's size"
    )]
    Sizes {
        /// What its header says.
        slots: u64,
        /// What its header says.
        longest: u64,
    },
    /// The other side closed without handing anything over.
    #[error("the adapter refuses this user its ring; it admits by user id")]
    Refused,
}

impl RingError {
    /// For `map_err`.
    pub(super) fn kernel(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Kernel { action, reason }
    }
}

/// A datagram is longer than the ring was made for; nothing of it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the datagram has {length} bytes, and the ring takes at most {longest}")]
pub struct TooLong {
    /// Its bytes.
    pub length: usize,
    /// The ring's limit, bytes.
    pub longest: usize,
}

/// The memory says what no writer of ours says; whoever reads there goes on by other means.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// A datagram longer than any.
    #[error("a datagram of {length} bytes in a ring for at most {longest}")]
    Length {
        /// What stands there.
        length: u64,
        /// The ring's limit, bytes.
        longest: usize,
    },
    /// A number that has no place in this slot, or that nobody counts up to.
    #[error("the stamp {stamp} where datagram {expected} belongs")]
    Stamp {
        /// What stands there.
        stamp: u64,
        /// The datagram that was looked for.
        expected: u64,
    },
}
