//! Which letters and numbers do DBN records use, and what do they mean?
//!
//! Plain constants, not enums: a record is a view of bytes that somebody else may have written, and
//! an unknown code must stay readable. Source: Databento, "Common fields, enums and types".

/// Which record follows a header.
pub mod rtype {
    /// A trade.
    pub const MBP_0: u8 = 0x00;
    /// Best level.
    pub const MBP_1: u8 = 0x01;
    /// Best ten levels.
    pub const MBP_10: u8 = 0x0A;
    /// Trading status.
    pub const STATUS: u8 = 0x12;
    /// Instrument definition.
    pub const INSTRUMENT_DEF: u8 = 0x13;
    /// Auction imbalance.
    pub const IMBALANCE: u8 = 0x14;
    /// Error of a gateway.
    pub const ERROR: u8 = 0x15;
    /// Symbol of an instrument number.
    pub const SYMBOL_MAPPING: u8 = 0x16;
    /// Remark of a gateway.
    pub const SYSTEM: u8 = 0x17;
    /// Statistic published by the venue.
    pub const STATISTICS: u8 = 0x18;
    /// Event of one order.
    pub const MBO: u8 = 0xA0;
}

/// Bits of a record's `flags`.
pub mod flags {
    /// Last record of the event for its instrument: the book is consistent after it.
    pub const F_LAST: u8 = 1 << 7;
    /// Top-of-book record, not a single order.
    pub const F_TOB: u8 = 1 << 6;
    /// From a replay or snapshot.
    pub const F_SNAPSHOT: u8 = 1 << 5;
    /// Aggregated price level, not a single order.
    pub const F_MBP: u8 = 1 << 4;
    /// `ts_recv` is not exact.
    pub const F_BAD_TS_RECV: u8 = 1 << 3;
    /// A hole was not recovered: the book may be wrong.
    pub const F_MAYBE_BAD_BOOK: u8 = 1 << 2;
    /// Meaning by publisher.
    pub const F_PUBLISHER_SPECIFIC: u8 = 1 << 1;
}

/// What a [`super::MboMsg`] does.
pub mod action {
    /// A new order enters the book.
    pub const ADD: u8 = b'A';
    /// An order leaves the book, wholly or by `size`.
    pub const CANCEL: u8 = b'C';
    /// All orders of the instrument leave the book.
    pub const CLEAR: u8 = b'R';
    /// A resting order was filled; the book changes by the cancel that follows.
    pub const FILL: u8 = b'F';
    /// Price or size of an order changes.
    pub const MODIFY: u8 = b'M';
    /// No effect; carries flags.
    pub const NONE: u8 = b'N';
    /// An aggressing order traded; no effect on the book.
    pub const TRADE: u8 = b'T';
}

/// Side of an order, or of the aggressor of a trade.
pub mod side {
    /// Sell.
    pub const ASK: u8 = b'A';
    /// Buy.
    pub const BID: u8 = b'B';
    /// Not stated.
    pub const NONE: u8 = b'N';
}

/// Three-valued answers in [`super::StatusMsg`].
pub mod tri {
    /// Not stated or not applicable.
    pub const NOT_AVAILABLE: u8 = b'~';
    /// No.
    pub const NO: u8 = b'N';
    /// Yes.
    pub const YES: u8 = b'Y';
}

/// [`super::StatusMsg`]'s `action`.
pub mod status {
    /// No change.
    pub const NONE: u16 = 0;
    /// Before the open.
    pub const PRE_OPEN: u16 = 1;
    /// Quotes but no trades.
    pub const QUOTING: u16 = 3;
    /// Continuous trading.
    pub const TRADING: u16 = 7;
    /// Halted.
    pub const HALT: u16 = 8;
    /// Paused.
    pub const PAUSE: u16 = 9;
    /// Trading has closed.
    pub const CLOSE: u16 = 12;
    /// After the close.
    pub const POST_CLOSE: u16 = 13;
    /// Short-sale restriction changed.
    pub const SSR_CHANGE: u16 = 14;
    /// Closed or halted, which one is not stated.
    pub const NOT_AVAILABLE_FOR_TRADING: u16 = 15;
}

/// [`super::StatusMsg`]'s `reason`.
pub mod reason {
    /// None given.
    pub const NONE: u16 = 0;
    /// As scheduled.
    pub const SCHEDULED: u16 = 1;
    /// Market surveillance intervened.
    pub const SURVEILLANCE_INTERVENTION: u16 = 2;
    /// Regulatory action.
    pub const REGULATORY: u16 = 10;
    /// The issuer does not comply with listing rules.
    pub const NON_COMPLIANCE: u16 = 12;
    /// The issuer's filings are not current.
    pub const FILINGS_NOT_CURRENT: u16 = 13;
    /// Trading suspended by the regulator.
    pub const SEC_TRADING_SUSPENSION: u16 = 14;
    /// A new issue is available.
    pub const NEW_ISSUE: u16 = 15;
    /// An issue is available.
    pub const ISSUE_AVAILABLE: u16 = 16;
    /// Issues were reviewed.
    pub const ISSUES_REVIEWED: u16 = 17;
    /// Filing requirements are satisfied.
    pub const FILING_REQS_SATISFIED: u16 = 18;
    /// News pending.
    pub const NEWS_PENDING: u16 = 30;
    /// News released.
    pub const NEWS_RELEASED: u16 = 31;
    /// News disseminated, resumption times known.
    pub const NEWS_AND_RESUMPTION_TIMES: u16 = 32;
    /// News did not come.
    pub const NEWS_NOT_FORTHCOMING: u16 = 33;
    /// Limit up or limit down.
    pub const LULD_PAUSE: u16 = 50;
    /// Operational trouble at the venue.
    pub const OPERATIONAL: u16 = 60;
    /// More information was asked for.
    pub const ADDITIONAL_INFORMATION_REQUESTED: u16 = 70;
    /// A merger became effective.
    pub const MERGER_EFFECTIVE: u16 = 80;
    /// An exchange-traded fund's components.
    pub const ETF: u16 = 90;
    /// Corporate action.
    pub const CORPORATE_ACTION: u16 = 100;
    /// A new offering.
    pub const NEW_SECURITY_OFFERING: u16 = 110;
    /// Market-wide circuit breaker, level 1.
    pub const MARKET_WIDE_HALT_LEVEL1: u16 = 120;
    /// Market-wide circuit breaker, level 2.
    pub const MARKET_WIDE_HALT_LEVEL2: u16 = 121;
    /// Market-wide circuit breaker, level 3.
    pub const MARKET_WIDE_HALT_LEVEL3: u16 = 122;
    /// Market-wide halt carried over from the previous day.
    pub const MARKET_WIDE_HALT_CARRYOVER: u16 = 123;
    /// Resumption after a market-wide halt.
    pub const MARKET_WIDE_HALT_RESUMPTION: u16 = 124;
    /// No quotation available.
    pub const QUOTATION_NOT_AVAILABLE: u16 = 130;
}

/// [`super::StatMsg`]'s `stat_type`.
pub mod stat {
    /// Price of the first trade.
    pub const OPENING_PRICE: u16 = 1;
    /// Probable price of the first trade.
    pub const INDICATIVE_OPENING_PRICE: u16 = 2;
    /// Price of the last trade.
    pub const CLOSE_PRICE: u16 = 11;
    /// Price of an auction that is neither the opening nor the closing one.
    pub const UNCROSSING_PRICE: u16 = 16;
    /// Upper price limit.
    pub const UPPER_PRICE_LIMIT: u16 = 17;
    /// Lower price limit.
    pub const LOWER_PRICE_LIMIT: u16 = 18;
    /// Market-wide circuit breaker threshold, level 1, index points.
    pub const MWCB_LEVEL1: u16 = 21;
    /// Market-wide circuit breaker threshold, level 2, index points.
    pub const MWCB_LEVEL2: u16 = 22;
    /// Market-wide circuit breaker threshold, level 3, index points.
    pub const MWCB_LEVEL3: u16 = 23;
    /// Reference price of an auction collar.
    pub const AUCTION_COLLAR_REFERENCE_PRICE: u16 = 24;
    /// Upper price of an auction collar.
    pub const AUCTION_COLLAR_UPPER_PRICE: u16 = 25;
    /// Lower price of an auction collar.
    pub const AUCTION_COLLAR_LOWER_PRICE: u16 = 26;
    /// A price whose meaning the venue's format page says.
    pub const VENUE_SPECIFIC_PRICE_1: u16 = 10_002;
}

/// [`super::StatMsg`]'s `update_action`.
pub mod stat_update {
    /// A new value.
    pub const NEW: u8 = 1;
    /// The value is withdrawn.
    pub const DELETE: u8 = 2;
}

/// [`super::InstrumentDefMsg`]'s codes.
pub mod definition {
    /// `security_update_action`: a new definition.
    pub const ADD: u8 = b'A';
    /// `security_update_action`: a changed definition.
    pub const MODIFY: u8 = b'M';
    /// `instrument_class`: a stock.
    pub const STOCK: u8 = b'K';
    /// `instrument_class`: a bond.
    pub const BOND: u8 = b'B';
    /// `match_algorithm`: first in, first out.
    pub const FIFO: u8 = b'F';
    /// `match_algorithm`: not stated.
    pub const MATCH_UNDEFINED: u8 = b' ';
}

/// [`super::SymbolMappingMsg`]'s symbology types.
pub mod stype {
    /// A numeric instrument id, in decimal.
    pub const INSTRUMENT_ID: u8 = 0;
    /// The venue's own symbol.
    pub const RAW_SYMBOL: u8 = 1;
}
