//! How do orders and trades look?
//!
//! One struct per record that says something about a book. What a record does to the book is said
//! by its `action`; applying it is the reader's business.

use zerocopy::little_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{RecordHeader, UNDEF_PRICE, UNDEF_TIMESTAMP, code, layout, record};

/// An event of one order, or a trade.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct MboMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// The venue's number of the order; 0 when the venue does not say.
    pub order_id: U64,
    /// Price of the order or trade, 1e-9.
    pub price: I64,
    /// Quantity: of the order, of the trade, or taken away by a cancel.
    pub size: U32,
    /// Bits of [`super::code::flags`].
    pub flags: u8,
    /// Channel within the feed; 255 when it has none.
    pub channel_id: u8,
    /// What happened: one of [`super::code::action`].
    pub action: u8,
    /// Whose side: one of [`super::code::side`].
    pub side: u8,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// From sending at the venue to `ts_recv`, ns.
    pub ts_in_delta: I32,
    /// The source's own number, low 32 bits.
    pub sequence: U32,
}

layout!(MboMsg, 56, {
    hd: 0,
    order_id: 16,
    price: 24,
    size: 32,
    flags: 36,
    channel_id: 37,
    action: 38,
    side: 39,
    ts_recv: 40,
    ts_in_delta: 48,
    sequence: 52,
});

impl Default for MboMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            order_id: U64::ZERO,
            price: I64::new(UNDEF_PRICE),
            size: U32::ZERO,
            flags: 0,
            channel_id: u8::MAX,
            action: code::action::NONE,
            side: code::side::NONE,
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ts_in_delta: I32::ZERO,
            sequence: U32::ZERO,
        }
    }
}

/// A trade.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct TradeMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// Price of the order or trade, 1e-9.
    pub price: I64,
    /// Quantity of the order or trade.
    pub size: U32,
    /// What happened: one of [`super::code::action`].
    pub action: u8,
    /// Whose side: one of [`super::code::side`].
    pub side: u8,
    /// Bits of [`super::code::flags`].
    pub flags: u8,
    /// Book level of the event, 0 is the best.
    pub depth: u8,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// From sending at the venue to `ts_recv`, ns.
    pub ts_in_delta: I32,
    /// The source's own number, low 32 bits.
    pub sequence: U32,
}

layout!(TradeMsg, 48, {
    hd: 0,
    price: 16,
    size: 24,
    action: 28,
    side: 29,
    flags: 30,
    depth: 31,
    ts_recv: 32,
    ts_in_delta: 40,
    sequence: 44,
});

impl Default for TradeMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            price: I64::new(UNDEF_PRICE),
            size: U32::ZERO,
            action: code::action::NONE,
            side: code::side::NONE,
            flags: 0,
            depth: 0,
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ts_in_delta: I32::ZERO,
            sequence: U32::ZERO,
        }
    }
}

/// Both sides of one price level.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BidAskPair {
    /// Bid price, 1e-9.
    pub bid_px: I64,
    /// Ask price, 1e-9.
    pub ask_px: I64,
    /// Bid quantity.
    pub bid_sz: U32,
    /// Ask quantity.
    pub ask_sz: U32,
    /// Orders on the bid.
    pub bid_ct: U32,
    /// Orders on the ask.
    pub ask_ct: U32,
}

layout!(BidAskPair, 32, {
    bid_px: 0,
    ask_px: 8,
    bid_sz: 16,
    ask_sz: 20,
    bid_ct: 24,
    ask_ct: 28,
});

impl Default for BidAskPair {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            bid_px: I64::new(UNDEF_PRICE),
            ask_px: I64::new(UNDEF_PRICE),
            bid_sz: U32::ZERO,
            ask_sz: U32::ZERO,
            bid_ct: U32::ZERO,
            ask_ct: U32::ZERO,
        }
    }
}

/// An event and the best level after it.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Mbp1Msg {
    /// The common header.
    pub hd: RecordHeader,
    /// Price of the order or trade, 1e-9.
    pub price: I64,
    /// Quantity of the order or trade.
    pub size: U32,
    /// What happened: one of [`super::code::action`].
    pub action: u8,
    /// Whose side: one of [`super::code::side`].
    pub side: u8,
    /// Bits of [`super::code::flags`].
    pub flags: u8,
    /// Book level of the event, 0 is the best.
    pub depth: u8,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// From sending at the venue to `ts_recv`, ns.
    pub ts_in_delta: I32,
    /// The source's own number, low 32 bits.
    pub sequence: U32,
    /// The best level.
    pub levels: [BidAskPair; 1],
}

layout!(Mbp1Msg, 80, {
    hd: 0,
    price: 16,
    size: 24,
    action: 28,
    side: 29,
    flags: 30,
    depth: 31,
    ts_recv: 32,
    ts_in_delta: 40,
    sequence: 44,
    levels: 48,
});

impl Default for Mbp1Msg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            price: I64::new(UNDEF_PRICE),
            size: U32::ZERO,
            action: code::action::NONE,
            side: code::side::NONE,
            flags: 0,
            depth: 0,
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ts_in_delta: I32::ZERO,
            sequence: U32::ZERO,
            levels: [BidAskPair::default(); 1],
        }
    }
}

/// An event and the best ten levels after it.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Mbp10Msg {
    /// The common header.
    pub hd: RecordHeader,
    /// Price of the order or trade, 1e-9.
    pub price: I64,
    /// Quantity of the order or trade.
    pub size: U32,
    /// What happened: one of [`super::code::action`].
    pub action: u8,
    /// Whose side: one of [`super::code::side`].
    pub side: u8,
    /// Bits of [`super::code::flags`].
    pub flags: u8,
    /// Book level of the event, 0 is the best.
    pub depth: u8,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// From sending at the venue to `ts_recv`, ns.
    pub ts_in_delta: I32,
    /// The source's own number, low 32 bits.
    pub sequence: U32,
    /// The best ten levels, best first.
    pub levels: [BidAskPair; 10],
}

layout!(Mbp10Msg, 368, {
    hd: 0,
    price: 16,
    size: 24,
    action: 28,
    side: 29,
    flags: 30,
    depth: 31,
    ts_recv: 32,
    ts_in_delta: 40,
    sequence: 44,
    levels: 48,
});

impl Default for Mbp10Msg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            price: I64::new(UNDEF_PRICE),
            size: U32::ZERO,
            action: code::action::NONE,
            side: code::side::NONE,
            flags: 0,
            depth: 0,
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ts_in_delta: I32::ZERO,
            sequence: U32::ZERO,
            levels: [BidAskPair::default(); 10],
        }
    }
}

record!(MboMsg => MBO, TradeMsg => MBP_0, Mbp1Msg => MBP_1, Mbp10Msg => MBP_10);
