//! Why was a datagram or frame refused?
//!
//! Every variant names the culprit. The type is `Copy` and allocates nothing: it lives on the data path,
//! where a refusal is a counter, and becomes a sentence only when somebody logs it.

use core::fmt;

/// A datagram that is not ours, not of our version, or contradicts itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than the fixed header, or longer than a UDP payload can be.
    Length(usize),
    /// The length is not a multiple of eight, so bodies behind it would lose their alignment.
    NotMultipleOfEight(usize),
    /// The first two bytes are not [`crate::MAGIC`]: a foreign sender.
    Magic(u16),
    /// Another version of the framing.
    Version {
        /// What the sender speaks.
        theirs: u8,
        /// What this build speaks.
        ours: u8,
    },
    /// The header length field is not the one of this version.
    HeaderLength(u8),
    /// The datagram is sealed and this receiver holds no key.
    Sealed,
    /// A reserved field or a padding byte is not zero.
    Reserved,
    /// Record number `.0` (0-based) does not end inside the datagram.
    RecordOverrun(u16),
    /// Record number `.0` has a position below zero or beyond 64 bits.
    RecordPosition(u16),
    /// Bytes follow the last record or the last digest.
    TrailingBytes(usize),
    /// A heartbeat that claims records, or whose digests do not fit.
    Heartbeat,
    /// The check does not match: a byte was changed on the way.
    Check,
    /// The epoch digest is 0, which names no epoch.
    NoEpoch,
}

impl Malformed {
    /// All label values, in the order of [`Malformed::index`].
    pub const LABELS: [&'static str; 13] = [
        "length",
        "alignment",
        "magic",
        "version",
        "header_length",
        "sealed",
        "reserved",
        "record_overrun",
        "record_position",
        "trailing_bytes",
        "heartbeat",
        "no_epoch",
        "check",
    ];

    /// A small dense number for per-reason counters; a label for metrics is `LABELS[index]`.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Length(_) => 0,
            Self::NotMultipleOfEight(_) => 1,
            Self::Magic(_) => 2,
            Self::Version { .. } => 3,
            Self::HeaderLength(_) => 4,
            Self::Sealed => 5,
            Self::Reserved => 6,
            Self::RecordOverrun(_) => 7,
            Self::RecordPosition(_) => 8,
            Self::TrailingBytes(_) => 9,
            Self::Heartbeat => 10,
            Self::NoEpoch => 11,
            Self::Check => 12,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length(length) => write!(
                f,
                "datagram of {length} bytes: a Twinfeed datagram has 128 to 65,504; \
                 is another protocol sending to this port?"
            ),
            Self::NotMultipleOfEight(length) => {
                write!(
                    f,
                    "datagram of {length} bytes: the length must be a multiple of 8"
                )
            }
            Self::Magic(magic) => write!(
                f,
                "datagram starts with {magic:#06x}, not {:#06x}: a foreign sender on this port",
                crate::MAGIC
            ),
            Self::Version { theirs, ours } => write!(
                f,
                "sender speaks framing version {theirs}, this receiver version {ours}: \
                 upgrade the older of the two"
            ),
            Self::HeaderLength(words) => {
                write!(
                    f,
                    "header of {words} words, version 1 has {}",
                    crate::HEADER_WORDS
                )
            }
            Self::Sealed => f.write_str("datagram is sealed and this receiver holds no key"),
            Self::Reserved => f.write_str("a reserved field or padding byte is not zero"),
            Self::RecordOverrun(index) => {
                write!(f, "record {index} does not end inside its datagram")
            }
            Self::RecordPosition(index) => {
                write!(
                    f,
                    "record {index} has a position below zero or beyond 64 bits"
                )
            }
            Self::TrailingBytes(bytes) => write!(f, "{bytes} bytes follow the last record"),
            Self::Heartbeat => {
                f.write_str("heartbeat with records or with digests that do not fit")
            }
            Self::Check => f.write_str("the check does not match: a byte was changed on the way"),
            Self::NoEpoch => f.write_str("epoch 0 names no epoch"),
        }
    }
}

impl core::error::Error for Malformed {}
