//! Trades that leave the displayed book as it is.
//!
//! Nobody's order is named: the order number is 0, and the side is not stated (Nasdaq writes `B`
//! for every trade against a non-displayed order). The match number, which a broken trade refers
//! to, has no place in a record; the source bytes follow.

use twinfeed_wire::record::code::{action, stat};
use twinfeed_wire::record::{MboMsg, UNDEF_ORDER_SIZE};
use zerocopy::little_endian::{I64, U32};

use super::{Held, Stamp, price4};
use crate::decode::Parts;
use crate::decode::itch50::message::{CrossTrade, Trade};

pub(super) fn non_cross(stamp: &Stamp, body: &Trade, out: &mut Parts) -> Held {
    out.push_record(&MboMsg {
        price: I64::new(price4(body.price)),
        size: U32::new(body.shares.get()),
        action: action::TRADE,
        ..stamp.mbo()
    });
    Held::Partly
}

/// An auction that matched nothing is reported with 0 shares: that is no trade and has no price.
pub(super) fn cross(stamp: &Stamp, body: &CrossTrade, out: &mut Parts) -> Held {
    let shares = body.shares.get();
    if shares == 0 {
        return Held::Partly;
    }
    let price = price4(body.cross_price);
    out.push_record(&MboMsg {
        price: I64::new(price),
        size: U32::new(small(shares)),
        action: action::TRADE,
        ..stamp.mbo()
    });
    let mut statistic = stamp.stat(
        match body.cross_type {
            b'O' => stat::OPENING_PRICE,
            b'C' => stat::CLOSE_PRICE,
            _ => stat::UNCROSSING_PRICE,
        },
        price,
    );
    if let Ok(shares) = i64::try_from(shares) {
        statistic.quantity = I64::new(shares);
    }
    out.push_record(&statistic);
    Held::Partly
}

/// A quantity of 64 bits in a field of 32: not known when it does not fit.
pub(super) fn small(shares: u64) -> u32 {
    u32::try_from(shares).unwrap_or(UNDEF_ORDER_SIZE)
}
