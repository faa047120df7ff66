//! How do trading status, auctions and statistics look?

use zerocopy::little_endian::{I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    RecordHeader, UNDEF_ORDER_SIZE, UNDEF_PRICE, UNDEF_STAT_QUANTITY, UNDEF_TIMESTAMP, code,
    layout, record,
};

/// A change of trading status.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct StatusMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// What changed: one of [`super::code::status`].
    pub action: U16,
    /// Why: one of [`super::code::reason`].
    pub reason: U16,
    /// Further information; 0 is none.
    pub trading_event: U16,
    /// Whether it trades: one of [`super::code::tri`].
    pub is_trading: u8,
    /// Whether it is quoted: one of [`super::code::tri`].
    pub is_quoting: u8,
    /// Whether short sales are restricted: one of [`super::code::tri`].
    pub is_short_sell_restricted: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

layout!(StatusMsg, 40, {
    hd: 0,
    ts_recv: 16,
    action: 24,
    reason: 26,
    trading_event: 28,
    is_trading: 30,
    is_quoting: 31,
    is_short_sell_restricted: 32,
    reserved: 33,
});

impl Default for StatusMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            action: U16::new(code::status::NONE),
            reason: U16::new(code::reason::NONE),
            trading_event: U16::ZERO,
            is_trading: code::tri::NOT_AVAILABLE,
            is_quoting: code::tri::NOT_AVAILABLE,
            is_short_sell_restricted: code::tri::NOT_AVAILABLE,
            reserved: [0; 7],
        }
    }
}

/// The state of an auction.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ImbalanceMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// Price at which the quantities are calculated, 1e-9.
    pub ref_price: I64,
    /// Projected time of the auction, Unix ns.
    pub auction_time: U64,
    /// Clearing price of cross and continuous orders together, 1e-9.
    pub cont_book_clr_price: I64,
    /// Clearing price of cross orders alone, 1e-9.
    pub auct_interest_clr_price: I64,
    /// Price at which restricted short sales are filed, 1e-9.
    pub ssr_filling_price: I64,
    /// Price at which most shares would trade, 1e-9.
    pub ind_match_price: I64,
    /// Upper limit of the auction collar, 1e-9.
    pub upper_collar: I64,
    /// Lower limit of the auction collar, 1e-9.
    pub lower_collar: I64,
    /// Shares that match at `ref_price`.
    pub paired_qty: U32,
    /// Shares that do not match at `ref_price`.
    pub total_imbalance_qty: U32,
    /// Imbalance of market orders.
    pub market_imbalance_qty: U32,
    /// Unpaired shares at `ref_price` or better.
    pub unpaired_qty: U32,
    /// The venue's code of the auction; `~` is none.
    pub auction_type: u8,
    /// Side of the imbalance: one of [`super::code::side`].
    pub side: u8,
    /// The venue's code; 0 is none.
    pub auction_status: u8,
    /// The venue's code; 0 is none.
    pub freeze_status: u8,
    /// How often the halt was extended.
    pub num_extensions: u8,
    /// Side of `unpaired_qty`: one of [`super::code::side`].
    pub unpaired_side: u8,
    /// The venue's code; Nasdaq: price variation indicator; `~` is none.
    pub significant_imbalance: u8,
    /// Zero.
    pub reserved: [u8; 1],
}

layout!(ImbalanceMsg, 112, {
    hd: 0,
    ts_recv: 16,
    ref_price: 24,
    auction_time: 32,
    cont_book_clr_price: 40,
    auct_interest_clr_price: 48,
    ssr_filling_price: 56,
    ind_match_price: 64,
    upper_collar: 72,
    lower_collar: 80,
    paired_qty: 88,
    total_imbalance_qty: 92,
    market_imbalance_qty: 96,
    unpaired_qty: 100,
    auction_type: 104,
    side: 105,
    auction_status: 106,
    freeze_status: 107,
    num_extensions: 108,
    unpaired_side: 109,
    significant_imbalance: 110,
    reserved: 111,
});

impl Default for ImbalanceMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ref_price: I64::new(UNDEF_PRICE),
            auction_time: U64::new(UNDEF_TIMESTAMP),
            cont_book_clr_price: I64::new(UNDEF_PRICE),
            auct_interest_clr_price: I64::new(UNDEF_PRICE),
            ssr_filling_price: I64::new(UNDEF_PRICE),
            ind_match_price: I64::new(UNDEF_PRICE),
            upper_collar: I64::new(UNDEF_PRICE),
            lower_collar: I64::new(UNDEF_PRICE),
            paired_qty: U32::new(UNDEF_ORDER_SIZE),
            total_imbalance_qty: U32::new(UNDEF_ORDER_SIZE),
            market_imbalance_qty: U32::new(UNDEF_ORDER_SIZE),
            unpaired_qty: U32::new(UNDEF_ORDER_SIZE),
            auction_type: b'~',
            side: code::side::NONE,
            auction_status: 0,
            freeze_status: 0,
            num_extensions: 0,
            unpaired_side: code::side::NONE,
            significant_imbalance: b'~',
            reserved: [0; 1],
        }
    }
}

/// A statistic that the venue publishes.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct StatMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// What moment the value refers to, Unix ns.
    pub ts_ref: U64,
    /// Value as a price, 1e-9.
    pub price: I64,
    /// Value as a quantity.
    pub quantity: I64,
    /// The source's own number, low 32 bits.
    pub sequence: U32,
    /// From sending at the venue to `ts_recv`, ns.
    pub ts_in_delta: I32,
    /// Which statistic: one of [`super::code::stat`].
    pub stat_type: U16,
    /// Channel within the feed; 65535 when it has none.
    pub channel_id: U16,
    /// New or withdrawn: one of [`super::code::stat_update`].
    pub update_action: u8,
    /// The venue's bits.
    pub stat_flags: u8,
    /// Zero.
    pub reserved: [u8; 18],
}

layout!(StatMsg, 80, {
    hd: 0,
    ts_recv: 16,
    ts_ref: 24,
    price: 32,
    quantity: 40,
    sequence: 48,
    ts_in_delta: 52,
    stat_type: 56,
    channel_id: 58,
    update_action: 60,
    stat_flags: 61,
    reserved: 62,
});

impl Default for StatMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            ts_ref: U64::new(UNDEF_TIMESTAMP),
            price: I64::new(UNDEF_PRICE),
            quantity: I64::new(UNDEF_STAT_QUANTITY),
            sequence: U32::ZERO,
            ts_in_delta: I32::ZERO,
            stat_type: U16::ZERO,
            channel_id: U16::MAX_VALUE,
            update_action: code::stat_update::NEW,
            stat_flags: 0,
            reserved: [0; 18],
        }
    }
}

record!(StatusMsg => STATUS, ImbalanceMsg => IMBALANCE, StatMsg => STATISTICS);
