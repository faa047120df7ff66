//! What does a converted message look like in memory and on the wire?
//!
//! Records of the open DBN encoding, version 3: fixed size, little-endian, without padding, each
//! behind the same 16 bytes. The structs are our own views of those bytes, so that an application
//! links neither a codec nor its release schedule; that they *are* those bytes is proven against
//! crate `dbn` in the workspace's tests.
//!
//! ```text
//!   0 length u8       of the whole record, in 4-byte words
//!   1 rtype u8        which struct this is
//!   2 publisher_id u16
//!   4 instrument_id u32
//!   8 ts_event u64    Unix ns
//!  16 ...             the record's own fields
//! ```
//!
//! Nothing here knows where a record came from, what precedes it in a datagram, or what it does to
//! a book. Source of layouts, sentinels and codes: Databento, "DBN encoding", version 3.

use core::fmt;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub mod code;

mod definition;
mod market;
mod service;
mod state;

pub use definition::{InstrumentDefMsg, SymbolMappingMsg};
pub use market::{BidAskPair, MboMsg, Mbp1Msg, Mbp10Msg, TradeMsg};
pub use service::{ErrorMsg, SystemMsg};
pub use state::{ImbalanceMsg, StatMsg, StatusMsg};

/// A price that is not known or does not apply. Prices are signed, one unit is 1e-9.
pub const UNDEF_PRICE: i64 = i64::MAX;
/// An order quantity that is not known or does not apply.
pub const UNDEF_ORDER_SIZE: u32 = u32::MAX;
/// A time that is not known or does not apply. Times are Unix nanoseconds.
pub const UNDEF_TIMESTAMP: u64 = u64::MAX;
/// A statistic's quantity that is not known or does not apply.
pub const UNDEF_STAT_QUANTITY: i64 = i64::MAX;
/// How many units a price of 1 has.
pub const FIXED_PRICE_SCALE: i64 = 1_000_000_000;
/// Length of a symbol field: 70 bytes and a terminating zero.
pub const SYMBOL_LENGTH: usize = 71;
/// Length of an asset field: 10 bytes and a terminating zero.
pub const ASSET_LENGTH: usize = 11;
/// The longest record, bytes.
pub const MAX_RECORD_LENGTH: usize = size_of::<InstrumentDefMsg>();

/// States size and offsets beside a struct and makes the compiler check them.
macro_rules! layout {
    ($name:ident, $size:literal, { $($field:ident: $offset:literal),+ $(,)? }) => {
        const _: () = {
            assert!(size_of::<$name>() == $size);
            assert!($size % 8 == 0 && $size / 4 <= u8::MAX as usize);
            $(assert!(core::mem::offset_of!($name, $field) == $offset);)+
        };
    };
}
pub(crate) use layout;

/// What stands in front of every record.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct RecordHeader {
    /// Length of the whole record in 4-byte words.
    pub length: u8,
    /// Which record this is: one of [`code::rtype`].
    pub rtype: u8,
    /// Dataset and venue, by configuration.
    pub publisher_id: U16,
    /// The venue's number of the instrument.
    pub instrument_id: U32,
    /// When the matching engine saw the event, Unix ns.
    pub ts_event: U64,
}

const _: () = {
    assert!(size_of::<RecordHeader>() == 16);
    assert!(core::mem::offset_of!(RecordHeader, length) == 0);
    assert!(core::mem::offset_of!(RecordHeader, rtype) == 1);
    assert!(core::mem::offset_of!(RecordHeader, publisher_id) == 2);
    assert!(core::mem::offset_of!(RecordHeader, instrument_id) == 4);
    assert!(core::mem::offset_of!(RecordHeader, ts_event) == 8);
};

impl RecordHeader {
    /// The header of a record `R` of which nothing else is known yet.
    #[must_use]
    pub const fn of<R: DbnRecord>() -> Self {
        Self {
            length: (size_of::<R>() / 4) as u8,
            rtype: R::RTYPE,
            publisher_id: U16::ZERO,
            instrument_id: U32::ZERO,
            ts_event: U64::new(UNDEF_TIMESTAMP),
        }
    }

    /// Length of the whole record, bytes.
    #[must_use]
    pub const fn record_length(&self) -> usize {
        self.length as usize * 4
    }

    /// The header of the record that starts at `bytes`, if there is room for one.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }
}

/// A struct that is one DBN record.
pub trait DbnRecord: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {
    /// The [`RecordHeader::rtype`] that announces it.
    const RTYPE: u8;

    /// What stands in front of it.
    fn header(&self) -> &RecordHeader;

    /// The same, to fill in.
    fn header_mut(&mut self) -> &mut RecordHeader;

    /// `bytes` as this record, if they are exactly one of it.
    fn view(bytes: &[u8]) -> Option<&Self> {
        let record = Self::ref_from_bytes(bytes).ok()?;
        let header = record.header();
        (header.rtype == Self::RTYPE && header.record_length() == bytes.len()).then_some(record)
    }
}

/// Implements [`DbnRecord`] for structs whose first field is `hd`.
macro_rules! record {
    ($($name:ident => $rtype:ident),+ $(,)?) => {$(
        impl crate::record::DbnRecord for $name {
            const RTYPE: u8 = crate::record::code::rtype::$rtype;

            fn header(&self) -> &crate::record::RecordHeader {
                &self.hd
            }

            fn header_mut(&mut self) -> &mut crate::record::RecordHeader {
                &mut self.hd
            }
        }
    )+};
}
pub(crate) use record;

/// Any record, told apart by its rtype.
#[derive(Clone, Copy, Debug)]
pub enum RecordRef<'a> {
    /// An event of one order, or a trade.
    Mbo(&'a MboMsg),
    /// A trade.
    Trade(&'a TradeMsg),
    /// An event with the best level after it.
    Mbp1(&'a Mbp1Msg),
    /// An event with the best ten levels after it.
    Mbp10(&'a Mbp10Msg),
    /// A change of trading status.
    Status(&'a StatusMsg),
    /// What an instrument is.
    InstrumentDef(&'a InstrumentDefMsg),
    /// The state of an auction.
    Imbalance(&'a ImbalanceMsg),
    /// A statistic published by the venue.
    Stat(&'a StatMsg),
    /// Which symbol an instrument number stands for.
    SymbolMapping(&'a SymbolMappingMsg),
    /// A remark of a gateway.
    System(&'a SystemMsg),
    /// A complaint of a gateway.
    Error(&'a ErrorMsg),
    /// A record of a kind that this build has no struct for.
    Other(&'a RecordHeader, &'a [u8]),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordError {
    /// The header's length and the bytes disagree.
    Length {
        /// The announced record type.
        rtype: u8,
        /// Length that the header states, bytes.
        stated: usize,
        /// Length at hand, bytes.
        actual: usize,
    },
    /// The record's struct has another length.
    Size {
        /// The announced record type.
        rtype: u8,
        /// Length of the struct in DBN version 3, bytes.
        expected: usize,
        /// Length at hand, bytes.
        actual: usize,
    },
    /// Shorter than a record header.
    Short {
        /// Length at hand, bytes.
        actual: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length {
                rtype,
                stated,
                actual,
            } => {
                write!(
                    f,
                    "record type {rtype:#04x} states {stated} bytes but has {actual}"
                )
            }
            Self::Size {
                rtype,
                expected,
                actual,
            } => write!(
                f,
                "record type {rtype:#04x} has {actual} bytes, DBN version 3 has {expected}: \
                 upgrade older records with crate `dbn` first"
            ),
            Self::Short { actual } => {
                write!(f, "{actual} bytes are too few for a record header of 16")
            }
        }
    }
}

impl core::error::Error for RecordError {}

impl<'a> RecordRef<'a> {
    /// Checks that `bytes` are exactly one record; afterwards no accessor can fail.
    ///
    /// # Errors
    ///
    /// [`RecordError`] names the type and both lengths.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let actual = bytes.len();
        let header = RecordHeader::peek(bytes).ok_or(RecordError::Short { actual })?;
        let (rtype, stated) = (header.rtype, header.record_length());
        if stated != actual {
            return Err(RecordError::Length {
                rtype,
                stated,
                actual,
            });
        }
        match rtype {
            code::rtype::MBO => exact(bytes).map(Self::Mbo),
            code::rtype::MBP_0 => exact(bytes).map(Self::Trade),
            code::rtype::MBP_1 => exact(bytes).map(Self::Mbp1),
            code::rtype::MBP_10 => exact(bytes).map(Self::Mbp10),
            code::rtype::STATUS => exact(bytes).map(Self::Status),
            code::rtype::INSTRUMENT_DEF => exact(bytes).map(Self::InstrumentDef),
            code::rtype::IMBALANCE => exact(bytes).map(Self::Imbalance),
            code::rtype::STATISTICS => exact(bytes).map(Self::Stat),
            code::rtype::SYMBOL_MAPPING => exact(bytes).map(Self::SymbolMapping),
            code::rtype::SYSTEM => exact(bytes).map(Self::System),
            code::rtype::ERROR => exact(bytes).map(Self::Error),
            _ => Ok(Self::Other(header, bytes)),
        }
    }

    /// What stands in front of the record.
    #[must_use]
    pub fn header(&self) -> &'a RecordHeader {
        match *self {
            Self::Mbo(record) => &record.hd,
            Self::Trade(record) => &record.hd,
            Self::Mbp1(record) => &record.hd,
            Self::Mbp10(record) => &record.hd,
            Self::Status(record) => &record.hd,
            Self::InstrumentDef(record) => &record.hd,
            Self::Imbalance(record) => &record.hd,
            Self::Stat(record) => &record.hd,
            Self::SymbolMapping(record) => &record.hd,
            Self::System(record) => &record.hd,
            Self::Error(record) => &record.hd,
            Self::Other(header, _) => header,
        }
    }
}

/// `bytes` as an `R`, whose rtype and stated length have been checked.
fn exact<R: DbnRecord>(bytes: &[u8]) -> Result<&R, RecordError> {
    R::ref_from_bytes(bytes).map_err(|_| RecordError::Size {
        rtype: R::RTYPE,
        expected: size_of::<R>(),
        actual: bytes.len(),
    })
}

/// A text field without its terminating zeros; bytes after the first zero are not text.
#[must_use]
pub fn text(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// A text field of `N` bytes; what does not fit before the terminating zero is cut.
#[must_use]
pub fn field<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    let length = text.len().min(N.saturating_sub(1));
    field[..length].copy_from_slice(&text[..length]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_viewed_only_as_what_it_is() {
        let mbo = MboMsg::default();
        let bytes = mbo.as_bytes();
        assert_eq!(MboMsg::view(bytes), Some(&mbo));
        assert!(TradeMsg::view(bytes).is_none());
        assert!(MboMsg::view(&bytes[..55]).is_none());
        assert!(matches!(RecordRef::parse(bytes), Ok(RecordRef::Mbo(seen)) if *seen == mbo));
    }

    #[test]
    fn lengths_that_disagree_are_named() {
        let mut bytes = [0_u8; 64];
        bytes[..56].copy_from_slice(MboMsg::default().as_bytes());
        let error = RecordRef::parse(&bytes).unwrap_err();
        assert_eq!(
            error,
            RecordError::Length {
                rtype: 0xA0,
                stated: 56,
                actual: 64
            }
        );
        bytes[0] = 16;
        let error = RecordRef::parse(&bytes).unwrap_err();
        assert_eq!(
            error,
            RecordError::Size {
                rtype: 0xA0,
                expected: 56,
                actual: 64
            }
        );
        bytes[1] = 0x7F;
        assert!(
            matches!(RecordRef::parse(&bytes), Ok(RecordRef::Other(header, _)) if header.rtype == 0x7F)
        );
        assert_eq!(
            RecordRef::parse(&bytes[..15]).unwrap_err(),
            RecordError::Short { actual: 15 }
        );
    }

    #[test]
    fn text_ends_at_its_zero_and_never_fills_the_field() {
        assert_eq!(field::<5>(b"AAPL"), *b"AAPL\0");
        assert_eq!(field::<5>(b"AAPLE"), *b"AAPL\0");
        assert_eq!(text(b"AA\0PL"), b"AA");
        assert_eq!(text(b"AAPL"), b"AAPL");
    }
}
