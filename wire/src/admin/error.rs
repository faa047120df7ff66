//! Why is something no administrative message?

use core::fmt;

use super::{AdminKind, MOST_ADMIN_PAYLOAD};
use crate::Adm;

/// Why something is no administrative message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadAdmin {
    /// The body has another length than its header states.
    Length(usize),
    /// A payload longer than [`MOST_ADMIN_PAYLOAD`], bytes.
    TooLong(usize),
    /// A padding byte is not zero.
    Reserved,
    /// The payload is none of this kind.
    Payload(AdminKind),
    /// The number is not the adm of the record that carries the message.
    Number {
        /// What the message says.
        message: Adm,
        /// What its record says.
        record: Adm,
    },
}

impl fmt::Display for BadAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length(length) => write!(
                f,
                "administrative message of {length} bytes, which is not what its header states"
            ),
            Self::TooLong(length) => write!(
                f,
                "administrative message with a payload of {length} bytes; at most {MOST_ADMIN_PAYLOAD} fit"
            ),
            Self::Reserved => f.write_str("administrative message with padding that is not zero"),
            Self::Payload(kind) => write!(
                f,
                "payload of an administrative message is none of kind {} ({})",
                kind.code(),
                kind.word()
            ),
            Self::Number { message, record } => write!(
                f,
                "administrative message {message} in a record that stands behind {record} of them"
            ),
        }
    }
}

impl core::error::Error for BadAdmin {}
