//! Messages that change the book of a security.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{AsField, Body, Field, MessageHeader, Price4, messages};

messages! {
    /// A new order without attribution (1.3.1).
    AddOrder(b'A', 36) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
        /// `B` or `S`.
        buy_sell_indicator @ 19: u8,
        /// Displayed quantity.
        shares @ 20: U32,
        /// Symbol.
        stock @ 24: [u8; 8],
        /// Limit price.
        price @ 32: Price4,
    }

    /// A new order with the participant's name (1.3.2).
    AddOrderAttributed(b'F', 40) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
        /// `B` or `S`.
        buy_sell_indicator @ 19: u8,
        /// Displayed quantity.
        shares @ 20: U32,
        /// Symbol.
        stock @ 24: [u8; 8],
        /// Limit price.
        price @ 32: Price4,
        /// Market participant.
        attribution @ 36: [u8; 4],
    }

    /// An order was executed, wholly or in part, at its price (1.4.1).
    OrderExecuted(b'E', 31) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
        /// Quantity executed.
        executed_shares @ 19: U32,
        /// The trade's number of the day.
        match_number @ 23: U64,
    }

    /// An order was executed, wholly or in part, at another price (1.4.2).
    OrderExecutedAtPrice(b'C', 36) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
        /// Quantity executed.
        executed_shares @ 19: U32,
        /// The trade's number of the day.
        match_number @ 23: U64,
        /// `Y` when it counts as a trade of its own, `N` when an auction reports it.
        printable @ 31: u8,
        /// Price of the execution.
        execution_price @ 32: Price4,
    }

    /// A part of an order was cancelled (1.4.3).
    OrderCancel(b'X', 23) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
        /// Quantity taken away.
        cancelled_shares @ 19: U32,
    }

    /// An order leaves the book (1.4.4).
    OrderDelete(b'D', 19) {
        /// The order's number of the day.
        order_reference_number @ 11: U64,
    }

    /// An order takes another's place; side, symbol and attribution stay (1.4.5).
    OrderReplace(b'U', 35) {
        /// Number of the order that leaves.
        original_order_reference_number @ 11: U64,
        /// Number of the order that enters.
        new_order_reference_number @ 19: U64,
        /// New displayed quantity.
        shares @ 27: U32,
        /// New limit price.
        price @ 31: Price4,
    }
}
