//! Messages about one security: what it is and whether it trades.

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{AsField, Body, Field, MessageHeader, messages};

messages! {
    /// What a security is (1.2.1).
    StockDirectory(b'R', 39) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// Listing market.
        market_category @ 19: u8,
        /// Regulatory state of the issuer.
        financial_status_indicator @ 20: u8,
        /// Shares of a round lot.
        round_lot_size @ 21: U32,
        /// `Y` when only round lots may be entered.
        round_lots_only @ 25: u8,
        /// Class of the security.
        issue_classification @ 26: u8,
        /// Subclass of the security.
        issue_sub_type @ 27: [u8; 2],
        /// `P` production, `T` test.
        authenticity @ 29: u8,
        /// Reg SHO threshold list: `Y`, `N` or space.
        short_sale_threshold_indicator @ 30: u8,
        /// New issue: `Y`, `N` or space.
        ipo_flag @ 31: u8,
        /// `1`, `2` or space.
        luld_reference_price_tier @ 32: u8,
        /// Exchange-traded product: `Y`, `N` or space.
        etp_flag @ 33: u8,
        /// Leverage of an exchange-traded product.
        etp_leverage_factor @ 34: U32,
        /// Inverse product: `Y` or `N`.
        inverse_indicator @ 38: u8,
    }

    /// Whether a security trades (1.2.2).
    StockTradingAction(b'H', 25) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// `H` halted, `P` paused, `Q` quoted only, `T` trading.
        trading_state @ 19: u8,
        /// Reserved.
        reserved @ 20: u8,
        /// Reason code.
        reason @ 21: [u8; 4],
    }

    /// Whether short sales are restricted (1.2.3).
    RegSho(b'Y', 20) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// `0` no, `1` since today, `2` still.
        reg_sho_action @ 19: u8,
    }

    /// How a market participant takes part (1.2.4).
    MarketParticipantPosition(b'L', 26) {
        /// Market participant.
        mpid @ 11: [u8; 4],
        /// Symbol.
        stock @ 15: [u8; 8],
        /// `Y` or `N`.
        primary_market_maker @ 23: u8,
        /// `N` normal, `P` passive, `S` syndicate, `R` pre-syndicate, `L` penalty.
        market_maker_mode @ 24: u8,
        /// `A` active, `E` excused, `W` withdrawn, `S` suspended, `D` deleted.
        market_participant_state @ 25: u8,
    }

    /// Operational trouble on one market (1.2.8).
    OperationalHalt(b'h', 21) {
        /// Symbol.
        stock @ 11: [u8; 8],
        /// `Q` Nasdaq, `B` BX, `X` PSX.
        market_code @ 19: u8,
        /// `H` halted, `T` trading again.
        operational_halt_action @ 20: u8,
    }
}
