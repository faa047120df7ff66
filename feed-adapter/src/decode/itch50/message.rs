//! Which of the 23 TotalView-ITCH 5.0 messages is this, and what does it say?
//!
//! Views of the source's bytes: type and length are checked once in [`Message::parse`], behind it
//! no accessor can fail. All integers are big-endian, letters are ASCII, left justified and padded
//! with spaces. Nothing here knows what a message means for a book, what day it is, or that other
//! dialects of ITCH exist.
//!
//! ```text
//!   0 type u8 | 1 stock locate u16 | 3 tracking number u16 | 5 timestamp u48 | 11 the message's own
//! ```
//!
//! Source: Nasdaq TotalView-ITCH 5.0 specification, sections 1.1 to 1.8; the section of a message
//! stands in its description.

use core::fmt;

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

mod market;
mod order;
mod stock;
mod trade;

pub use market::{
    DirectListing, IpoQuotingPeriod, LuldAuctionCollar, MwcbDeclineLevel, MwcbStatus,
    NetOrderImbalance, RetailInterest, SystemEvent,
};
pub use order::{
    AddOrder, AddOrderAttributed, OrderCancel, OrderDelete, OrderExecuted, OrderExecutedAtPrice,
    OrderReplace,
};
pub use stock::{
    MarketParticipantPosition, OperationalHalt, RegSho, StockDirectory, StockTradingAction,
};
pub use trade::{BrokenTrade, CrossTrade, Trade};

/// What stands in front of every message.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct MessageHeader {
    /// The letter that tells the message.
    pub message_type: u8,
    /// Number of the security, new every day; 0 when the message is about none.
    pub stock_locate: U16,
    /// Nasdaq's internal tracking number.
    pub tracking_number: U16,
    /// Nanoseconds since midnight, New York.
    pub timestamp: Timestamp,
}

/// Length of the header, bytes: no message is shorter than this and one more.
pub const HEADER_LENGTH: usize = size_of::<MessageHeader>();
const _: () = assert!(HEADER_LENGTH == 11);

/// Nanoseconds since midnight on New York's clock, 48 bits.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Timestamp([u8; 6]);

impl Timestamp {
    /// Nanoseconds since midnight.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// A price with four implied decimals.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Price4(pub U32);

/// A price with eight implied decimals.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Price8(pub U64);

/// One field as a reader of logs wants it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field<'a> {
    /// A number as it is on the wire; prices keep their implied decimals.
    Number(u64),
    /// Letters, padding included.
    Text(&'a [u8]),
}

/// A type that can stand in a message.
trait AsField {
    fn as_field(&self) -> Field<'_>;
}

impl AsField for u8 {
    fn as_field(&self) -> Field<'_> {
        Field::Text(core::slice::from_ref(self))
    }
}

impl<const N: usize> AsField for [u8; N] {
    fn as_field(&self) -> Field<'_> {
        Field::Text(self)
    }
}

macro_rules! numbers {
    ($($type:ty: $number:expr),+ $(,)?) => {$(
        impl AsField for $type {
            fn as_field(&self) -> Field<'_> {
                let number: fn(&Self) -> u64 = $number;
                Field::Number(number(self))
            }
        }
    )+};
}
numbers! {
    U16: |n| u64::from(n.get()),
    U32: |n| u64::from(n.get()),
    U64: |n| n.get(),
    Price4: |n| u64::from(n.0.get()),
    Price8: |n| n.0.get(),
    Timestamp: |n| n.nanoseconds(),
}

/// Declares messages: description, letter, length, and every field with its offset.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident($letter:literal, $length:literal) {
        $($(#[$field_doc:meta])* $field:ident @ $offset:literal: $type:ty,)*
    })+) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
            Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            /// What stands in front of every message.
            pub header: MessageHeader,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        const _: () = {
            assert!(size_of::<$name>() == $length);
            $(assert!(core::mem::offset_of!($name, $field) == $offset);)*
        };

        impl Body for $name {
            const TYPE: u8 = $letter;

            fn each_field<'a>(&'a self, visit: &mut dyn FnMut(&'static str, Field<'a>)) {
                visit("stock_locate", self.header.stock_locate.as_field());
                visit("tracking_number", self.header.tracking_number.as_field());
                visit("timestamp", self.header.timestamp.as_field());
                $(visit(stringify!($field), self.$field.as_field());)*
            }
        }
    )+};
}
use messages;

/// Visits the order references in a message that is not checked in any way: for who looks ahead.
#[inline]
pub(super) fn each_reference(bytes: &[u8], mut visit: impl FnMut(u64)) {
    let Some((b'A' | b'C' | b'D' | b'E' | b'F' | b'U' | b'X', behind)) = bytes.split_first() else {
        return;
    };
    let Some((_, references)) = behind.split_first_chunk::<{ HEADER_LENGTH - 1 }>() else {
        return;
    };
    if let Some((reference, behind)) = references.split_first_chunk() {
        visit(u64::from_be_bytes(*reference));
        if bytes[0] == OrderReplace::TYPE
            && let Some(new) = behind.first_chunk()
        {
            visit(u64::from_be_bytes(*new));
        }
    }
}

/// A struct that is one message.
trait Body: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {
    const TYPE: u8;
    fn each_field<'a>(&'a self, visit: &mut dyn FnMut(&'static str, Field<'a>));
}

/// Declares the enum of all messages and everything that treats them alike.
macro_rules! all_messages {
    ($($(#[$doc:meta])* $name:ident $title:literal,)+) => {
        /// One message, checked.
        #[derive(Clone, Copy, Debug)]
        pub enum Message<'a> {
            $($(#[$doc])* $name(&'a $name),)+
        }

        /// Letter, length in bytes and title of every message of TotalView-ITCH 5.0.
        pub const MESSAGES: &[(u8, usize, &str)] = &[
            $((<$name as Body>::TYPE, size_of::<$name>(), $title),)+
        ];

        impl<'a> Message<'a> {
            /// Checks type and length.
            ///
            /// # Errors
            ///
            /// [`MessageError`] names the type, the length it has and the length it should have.
            #[inline(always)]
            pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
                let Some(&message_type) = bytes.first() else {
                    return Err(MessageError::Empty);
                };
                match message_type {
                    $(<$name as Body>::TYPE => exact(bytes).map(Self::$name),)+
                    _ => Err(MessageError::UnknownType { message_type, actual: bytes.len() }),
                }
            }

            /// What stands in front of it.
            #[must_use]
            pub fn header(&self) -> &'a MessageHeader {
                match *self {
                    $(Self::$name(body) => &body.header,)+
                }
            }

            /// Its bytes, as the source sent them.
            #[must_use]
            pub fn bytes(&self) -> &'a [u8] {
                match *self {
                    $(Self::$name(body) => body.as_bytes(),)+
                }
            }

            /// The specification's title of it.
            #[must_use]
            pub fn title(&self) -> &'static str {
                match *self {
                    $(Self::$name(_) => $title,)+
                }
            }

            /// Visits every field but the type, in the order of the specification.
            pub fn each_field(&self, visit: &mut dyn FnMut(&'static str, Field<'a>)) {
                match *self {
                    $(Self::$name(body) => body.each_field(visit),)+
                }
            }
        }
    };
}

all_messages! {
    /// The day's rhythm.
    SystemEvent "System Event",
    /// What a security is.
    StockDirectory "Stock Directory",
    /// Whether a security trades.
    StockTradingAction "Stock Trading Action",
    /// Whether short sales of a security are restricted.
    RegSho "Reg SHO Short Sale Price Test Restricted Indicator",
    /// How a market participant takes part in a security.
    MarketParticipantPosition "Market Participant Position",
    /// Levels of the market-wide circuit breaker.
    MwcbDeclineLevel "MWCB Decline Level",
    /// A level of the market-wide circuit breaker was breached.
    MwcbStatus "MWCB Status",
    /// When quoting of a new issue begins.
    IpoQuotingPeriod "Quoting Period Update",
    /// Bounds of the auction after a limit-up or limit-down pause.
    LuldAuctionCollar "Limit Up – Limit Down Auction Collar",
    /// Operational trouble with a security on one market.
    OperationalHalt "Operational Halt",
    /// A new order.
    AddOrder "Add Order – No MPID Attribution",
    /// A new order with the participant's name.
    AddOrderAttributed "Add Order – MPID Attribution",
    /// An order was executed at its price.
    OrderExecuted "Order Executed",
    /// An order was executed at another price.
    OrderExecutedAtPrice "Order Executed With Price",
    /// A part of an order was cancelled.
    OrderCancel "Order Cancel",
    /// An order leaves the book.
    OrderDelete "Order Delete",
    /// An order takes another's place and loses its priority.
    OrderReplace "Order Replace",
    /// A trade against a non-displayed order.
    Trade "Trade Message (Non-Cross)",
    /// The trade of an auction.
    CrossTrade "Cross Trade",
    /// A trade was broken.
    BrokenTrade "Broken Trade",
    /// The state of an auction to come.
    NetOrderImbalance "Net Order Imbalance Indicator",
    /// Retail interest inside the spread.
    RetailInterest "Retail Price Improvement Indicator",
    /// Price range of a direct listing with capital raise.
    DirectListing "Direct Listing with Capital Raise Price Discovery",
}

/// The length that TotalView-ITCH 5.0 gives messages of this type, if it has the type.
#[must_use]
pub fn length_of(message_type: u8) -> Option<usize> {
    MESSAGES
        .iter()
        .find(|entry| entry.0 == message_type)
        .map(|entry| entry.1)
}

/// `bytes` as a `T`, whose type has been checked.
fn exact<T: Body>(bytes: &[u8]) -> Result<&T, MessageError> {
    T::ref_from_bytes(bytes).map_err(|_| MessageError::WrongSize {
        message_type: T::TYPE,
        expected: size_of::<T>(),
        actual: bytes.len(),
    })
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageError {
    /// Not even a type.
    Empty,
    /// A type that TotalView-ITCH 5.0 does not have.
    UnknownType {
        /// The letter.
        message_type: u8,
        /// Length at hand, bytes.
        actual: usize,
    },
    /// A known type of another length.
    WrongSize {
        /// The letter.
        message_type: u8,
        /// Length in the specification, bytes.
        expected: usize,
        /// Length at hand, bytes.
        actual: usize,
    },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("a message of no bytes has no type"),
            Self::UnknownType {
                message_type,
                actual,
            } => write!(
                f,
                "TotalView-ITCH 5.0 has no message type '{}' ({actual} bytes)",
                message_type.escape_ascii()
            ),
            Self::WrongSize {
                message_type,
                expected,
                actual,
            } => write!(
                f,
                "message type '{}' has {actual} bytes, TotalView-ITCH 5.0 has {expected}",
                message_type.escape_ascii()
            ),
        }
    }
}

impl core::error::Error for MessageError {}
