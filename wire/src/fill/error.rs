//! Why is a frame between a subscriber and an adapter that serves fills not understood?

use core::fmt;

/// A frame that cannot be understood; it is dropped and counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadFill {
    /// Not a length that a frame of this kind has.
    Length(usize),
    /// The first two bytes are not "TR".
    Magic(u16),
    /// The other end speaks another version.
    Version {
        /// What it speaks.
        theirs: u8,
        /// What this build speaks.
        ours: u8,
    },
    /// A kind that this version does not know.
    Kind(u8),
    /// A status that is none.
    Status(u8),
    /// The check does not match: a byte was changed on the way.
    Check,
    /// A reserved field is not zero.
    Reserved,
    /// A range that is empty, or of an unknown kind.
    Range,
}

impl fmt::Display for BadFill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length(length) => write!(f, "fill frame of {length} bytes"),
            Self::Magic(magic) => write!(
                f,
                "fill frame starts with {magic:#06x}: its sender is no part of Twinfeed"
            ),
            Self::Version { theirs, ours } => write!(
                f,
                "fill frame of version {theirs}, this end speaks {ours}: upgrade the older one"
            ),
            Self::Kind(kind) => write!(f, "fill frame of unknown kind {kind}"),
            Self::Status(status) => write!(f, "fill frame with unknown status {status}"),
            Self::Check => f.write_str("fill frame was changed on its way"),
            Self::Reserved => f.write_str("fill frame with a reserved field that is not zero"),
            Self::Range => f.write_str("fill frame with a range that is empty or of no known kind"),
        }
    }
}

impl core::error::Error for BadFill {}
