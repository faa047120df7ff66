//! Why is a frame of a snapshot not understood?

use core::fmt;

use crate::BadAdmin;

/// A frame that cannot be understood: the connection on which it came is of no more use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadSnapshot {
    /// Not a length that a frame of this kind has, or more than [`super::LONGEST_BODY`].
    Length(usize),
    /// The first two bytes are not "TS".
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
    /// The check does not match: a byte was changed on the way.
    Check,
    /// A reserved field is not zero.
    Reserved,
    /// A field, which is named, has a value that it cannot have.
    Value(&'static str),
    /// The body is not the DBN record that its kind says.
    Record {
        /// Type of the record that was expected.
        rtype: u8,
        /// Length of the body, bytes.
        length: usize,
    },
    /// The body is no administrative message.
    Message(BadAdmin),
}

impl fmt::Display for BadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length(length) => write!(f, "snapshot frame of {length} bytes"),
            Self::Magic(magic) => write!(
                f,
                "snapshot frame starts with {magic:#06x}: its sender is no part of Twinfeed"
            ),
            Self::Version { theirs, ours } => write!(
                f,
                "snapshot frame of version {theirs}, this end speaks {ours}: upgrade the older one"
            ),
            Self::Kind(kind) => write!(f, "snapshot frame of unknown kind {kind}"),
            Self::Check => f.write_str("snapshot frame was changed on its way"),
            Self::Reserved => f.write_str("snapshot frame with a reserved field that is not zero"),
            Self::Value(field) => write!(f, "snapshot frame whose {field} cannot be"),
            Self::Record { rtype, length } => write!(
                f,
                "snapshot frame of {length} bytes that is no record of type {rtype:#04x}"
            ),
            Self::Message(bad) => write!(f, "snapshot frame: {bad}"),
        }
    }
}

impl core::error::Error for BadSnapshot {}
