//! Messages about the day, the market as a whole, and auctions.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{AsField, Body, Field, MessageHeader, Price4, Price8, messages};

messages! {
    /// The day's rhythm (1.1).
    SystemEvent(b'S', 12) {
        /// `O` `S` `Q` `M` `E` `C`: messages, system hours, market hours begin; end in reverse.
        event_code @ 11: u8,
    }

    /// Levels of the market-wide circuit breaker (1.2.5.1).
    MwcbDeclineLevel(b'V', 35) {
        /// Index points.
        level_1 @ 11: Price8,
        /// Index points.
        level_2 @ 19: Price8,
        /// Index points.
        level_3 @ 27: Price8,
    }

    /// A level of the market-wide circuit breaker was breached (1.2.5.2).
    MwcbStatus(b'W', 12) {
        /// `1`, `2` or `3`.
        breached_level @ 11: u8,
    }

    /// When quoting of a new issue begins (1.2.6).
    IpoQuotingPeriod(b'K', 28) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// Seconds since midnight.
        ipo_quotation_release_time @ 19: U32,
        /// `A` anticipated, `C` cancelled or postponed.
        ipo_quotation_release_qualifier @ 23: u8,
        /// Price of the issue.
        ipo_price @ 24: Price4,
    }

    /// Bounds of the auction after a limit-up or limit-down pause (1.2.7).
    LuldAuctionCollar(b'J', 35) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// Reference price.
        auction_collar_reference_price @ 19: Price4,
        /// Upper bound.
        upper_auction_collar_price @ 23: Price4,
        /// Lower bound.
        lower_auction_collar_price @ 27: Price4,
        /// How often the auction was extended.
        auction_collar_extension @ 31: U32,
    }

    /// The state of an auction to come (1.6).
    NetOrderImbalance(b'I', 50) {
        /// Shares that match at the current reference price.
        paired_shares @ 11: U64,
        /// Shares that do not.
        imbalance_shares @ 19: U64,
        /// `B` buy, `S` sell, `N` none, `O` too few orders, `P` paused.
        imbalance_direction @ 27: u8,
        /// Symbol.
        stock @ 28: [u8; 8],
        /// Clearing price of auction orders alone; 0 when there is none.
        far_price @ 36: Price4,
        /// Clearing price of auction and continuous orders; 0 when there is none.
        near_price @ 40: Price4,
        /// Price at which the shares are calculated.
        current_reference_price @ 44: Price4,
        /// `O` opening, `C` closing, `H` halted or new issue, `A` extended trading close.
        cross_type @ 48: u8,
        /// Deviation of the near price, in bands.
        price_variation_indicator @ 49: u8,
    }

    /// Retail interest inside the spread (1.7).
    RetailInterest(b'N', 20) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// `B` buy, `S` sell, `A` both, `N` none.
        interest_flag @ 19: u8,
    }

    /// Price range of a direct listing with capital raise (1.8).
    DirectListing(b'O', 48) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// `Y` when it may open.
        open_eligibility_status @ 19: u8,
        /// 20 % below the registration range.
        minimum_allowable_price @ 20: Price4,
        /// 80 % above the registration range.
        maximum_allowable_price @ 24: Price4,
        /// Probable price of the auction.
        near_execution_price @ 28: Price4,
        /// When that price was set, ns since midnight.
        near_execution_time @ 32: U64,
        /// Lower bound of the auction.
        lower_price_range_collar @ 40: Price4,
        /// Upper bound of the auction.
        upper_price_range_collar @ 44: Price4,
    }
}
