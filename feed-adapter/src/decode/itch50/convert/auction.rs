//! Auctions to come: imbalances, collars, new issues, direct listings.

use twinfeed_wire::record::code::{side, stat, stat_update};
use twinfeed_wire::record::{ImbalanceMsg, StatMsg};
use zerocopy::little_endian::{I64, U16, U32, U64};

use super::trade::small;
use super::{Held, Stamp, price4};
use crate::decode::itch50::message::{
    DirectListing, IpoQuotingPeriod, LuldAuctionCollar, NetOrderImbalance,
};
use crate::decode::{Parts, TradingDay};

/// A price of 0 (none can be calculated yet) stays 0, as in Databento's records.
pub(super) fn imbalance(stamp: &Stamp, body: &NetOrderImbalance, out: &mut Parts) -> Held {
    let (paired, unpaired) = (body.paired_shares.get(), body.imbalance_shares.get());
    let (side, stated) = match body.imbalance_direction {
        b'B' => (side::BID, true),
        b'S' => (side::ASK, true),
        b'N' => (side::NONE, true),
        _ => (side::NONE, false), // too few orders, paused: more than a side can say
    };
    out.push_record(&ImbalanceMsg {
        hd: stamp.header::<ImbalanceMsg>(),
        ref_price: I64::new(price4(body.current_reference_price)),
        cont_book_clr_price: I64::new(price4(body.near_price)),
        auct_interest_clr_price: I64::new(price4(body.far_price)),
        paired_qty: U32::new(small(paired)),
        total_imbalance_qty: U32::new(small(unpaired)),
        auction_type: body.cross_type,
        side,
        significant_imbalance: body.price_variation_indicator,
        ..ImbalanceMsg::default()
    });
    let fits = paired.max(unpaired) < u64::from(u32::MAX);
    Held::when(stated && fits)
}

/// How often the auction was extended has no place in a statistic, so the source bytes follow.
pub(super) fn luld_auction_collar(
    stamp: &Stamp,
    body: &LuldAuctionCollar,
    out: &mut Parts,
) -> Held {
    for (kind, price) in [
        (
            stat::AUCTION_COLLAR_REFERENCE_PRICE,
            body.auction_collar_reference_price,
        ),
        (
            stat::AUCTION_COLLAR_UPPER_PRICE,
            body.upper_auction_collar_price,
        ),
        (
            stat::AUCTION_COLLAR_LOWER_PRICE,
            body.lower_auction_collar_price,
        ),
    ] {
        out.push_record(&stamp.stat(kind, price4(price)));
    }
    Held::Partly
}

/// The price of a new issue, as of the moment its quoting begins; withdrawn when that is cancelled.
pub(super) fn ipo_quoting_period(
    stamp: &Stamp,
    day: &TradingDay,
    body: &IpoQuotingPeriod,
    out: &mut Parts,
) -> Held {
    let update_action = match body.ipo_quotation_release_qualifier {
        b'A' => stat_update::NEW,
        b'C' => stat_update::DELETE,
        _ => return Held::Partly,
    };
    let release = u64::from(body.ipo_quotation_release_time.get()) * 1_000_000_000;
    out.push_record(&StatMsg {
        ts_ref: U64::new(day.unix(release)),
        update_action,
        ..stamp.stat(stat::VENUE_SPECIFIC_PRICE_1, price4(body.ipo_price))
    });
    Held::Wholly
}

/// Whether it may open has no place in a statistic, so the source bytes follow.
pub(super) fn direct_listing(
    stamp: &Stamp,
    day: &TradingDay,
    body: &DirectListing,
    out: &mut Parts,
) -> Held {
    for (kind, price) in [
        (stat::LOWER_PRICE_LIMIT, body.minimum_allowable_price),
        (stat::UPPER_PRICE_LIMIT, body.maximum_allowable_price),
        (
            stat::AUCTION_COLLAR_LOWER_PRICE,
            body.lower_price_range_collar,
        ),
        (
            stat::AUCTION_COLLAR_UPPER_PRICE,
            body.upper_price_range_collar,
        ),
    ] {
        out.push_record(&stamp.stat(kind, price4(price)));
    }
    out.push_record(&StatMsg {
        ts_ref: U64::new(day.unix(body.near_execution_time.get())),
        ..stamp.stat(
            stat::INDICATIVE_OPENING_PRICE,
            price4(body.near_execution_price),
        )
    });
    Held::Partly
}

impl Stamp {
    /// A statistic that is a price.
    pub(super) fn stat(&self, stat_type: u16, price: i64) -> StatMsg {
        StatMsg {
            hd: self.header::<StatMsg>(),
            price: I64::new(price),
            sequence: U32::new(self.sequence),
            stat_type: U16::new(stat_type),
            ..StatMsg::default()
        }
    }
}
