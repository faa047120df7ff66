//! Why is a frame of the pair link not understood?

use core::fmt;

use crate::BadAdmin;

/// A frame that cannot be understood; the link is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadFrame {
    /// The first two bytes are not "TL".
    Magic(u16),
    /// The peer speaks another version.
    Version {
        /// What the peer speaks.
        theirs: u8,
        /// What this build speaks.
        ours: u8,
    },
    /// A length beyond [`super::LONGEST_FRAME`], or not the one of this kind.
    Length(u32),
    /// A kind that this version does not know.
    Kind(u8),
    /// A role that is neither active nor backup.
    Role(u8),
    /// A verdict that is none.
    Verdict(u8),
    /// A reserved field is not zero.
    Reserved,
    /// A report of a record without a number.
    Position,
    /// An intent whose message is none.
    Admin(BadAdmin),
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Magic(magic) => write!(
                f,
                "pair link starts with {magic:#06x}: the peer is not a feed adapter; \
                 check the link address"
            ),
            Self::Version { theirs, ours } => write!(
                f,
                "peer speaks link version {theirs}, this adapter {ours}: upgrade the older one"
            ),
            Self::Length(length) => write!(f, "link frame claims {length} bytes"),
            Self::Kind(kind) => write!(f, "link frame of unknown kind {kind}"),
            Self::Role(role) => write!(f, "link frame with unknown role {role}"),
            Self::Verdict(verdict) => write!(f, "link frame with unknown verdict {verdict}"),
            Self::Position => f.write_str("report of a record without a number"),
            Self::Admin(bad) => write!(f, "intent with an unreadable message: {bad}"),
            Self::Reserved => f.write_str("link frame with a reserved field that is not zero"),
        }
    }
}

impl core::error::Error for BadFrame {}
