//! Messages about trades that leave the displayed book as it is.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{AsField, Body, Field, MessageHeader, Price4, messages};

messages! {
    /// A trade against a non-displayed order (1.5.1).
    Trade(b'P', 44) {
        /// Always 0 since 2010.
        order_reference_number @ 11: U64,
        /// Side of the non-displayed order; `B` by default since 2014, whatever it was.
        buy_sell_indicator @ 19: u8,
        /// Quantity.
        shares @ 20: U32,
        /// Symbol.
        stock @ 24: [u8; 8],
        /// Price.
        price @ 32: Price4,
        /// The trade's number of the day.
        match_number @ 36: U64,
    }

    /// The trade of an auction (1.5.2).
    CrossTrade(b'Q', 40) {
        /// Quantity; 0 when nothing was matched.
        shares @ 11: U64,
        /// Symbol.
        stock @ 19: [u8; 8],
        /// Price; 0 when nothing was matched.
        cross_price @ 27: Price4,
        /// The trade's number of the day.
        match_number @ 31: U64,
        /// `O` opening, `C` closing, `H` halted or new issue, `I` intraday.
        cross_type @ 39: u8,
    }

    /// A trade was broken (1.5.3).
    BrokenTrade(b'B', 19) {
        /// The trade's number of the day.
        match_number @ 11: U64,
    }
}
