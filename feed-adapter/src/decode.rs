//! How does a message of a source become records?
//!
//! One folder per format. A decoder is pure: bytes and a number in, bodies out; it knows no socket,
//! no clock and no configuration file, and two decoders that were built alike and saw the same
//! messages have written the same bytes. That is what makes two adapters comparable.
//!
//! ```text
//!  message ──► Decoder::convert ──► Parts: record, record, ..., opaque
//!                │
//!                └── Err: counted here; Parts hold the source bytes, or nothing if they were refused
//! ```

use core::fmt;

pub mod day;
pub mod itch50;
mod parts;

pub use day::{DayError, TradingDay};
pub use parts::{LONGEST_MESSAGE, MOST_RECORDS, Part, Parts};

/// Turns the messages of one source into bodies.
pub trait Decoder {
    /// Begins a new epoch on a trading day: the context is empty, counts go on.
    fn reset(&mut self, day: TradingDay);

    /// Converts the source message number `sseq`; `out` is cleared first.
    ///
    /// # Errors
    ///
    /// After every error but a refusal ([`DecodeError::refuses`]) `out` holds the source bytes as
    /// an opaque body and is to be published like any other. After a refusal it is empty, the
    /// decoder is as it was, and the source should be stopped: it speaks something else.
    fn convert(&mut self, sseq: u64, message: &[u8], out: &mut Parts) -> Result<(), DecodeError>;

    /// What went wrong so far.
    fn faults(&self) -> Faults;

    /// Visits every message type of the format with its count.
    fn each_count(&self, visit: &mut dyn FnMut(MessageType, u64));
}

/// A message type of a format, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageType {
    /// Its letter.
    pub letter: char,
    /// What the specification calls it.
    pub title: &'static str,
}

/// Counts of what went wrong in conversion.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// Messages of a type that the format does not have; passed on as opaque bytes.
    pub unknown_type: u64,
    /// Messages of a known type and another length; passed on as opaque bytes.
    pub wrong_size: u64,
    /// Messages longer than [`LONGEST_MESSAGE`]; passed on as nothing.
    pub too_long: u64,
    /// Messages of another dialect; refused.
    pub foreign: u64,
    /// Messages about an order that the context does not know.
    pub unknown_order: u64,
    /// Orders that were not remembered because `max_open_orders` were open.
    pub orders_full: u64,
    /// Orders that were added under the number of an open order.
    pub duplicate_order: u64,
    /// Executions and cancels of more shares than the order had left.
    pub oversized: u64,
}

/// Why a message became no records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Another dialect of ITCH: refused.
    Foreign(itch50::Foreign),
    /// Not a message of TotalView-ITCH 5.0; passed on as opaque bytes.
    Itch50(itch50::MessageError),
    /// Longer than any message can be.
    TooLong {
        /// Length at hand, bytes.
        actual: usize,
    },
}

impl DecodeError {
    /// Whether the source speaks something that this decoder must not read.
    #[must_use]
    pub const fn refuses(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(foreign) => foreign.fmt(f),
            Self::Itch50(error) => error.fmt(f),
            Self::TooLong { actual } => {
                write!(
                    f,
                    "a message of {actual} bytes; the longest is {LONGEST_MESSAGE}"
                )
            }
        }
    }
}

impl core::error::Error for DecodeError {}
