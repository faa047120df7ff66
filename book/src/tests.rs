//! What records and events do to books, case by case.

use twinfeed_wire::record::MboMsg;
use zerocopy::little_endian::{I64, U32, U64};

mod feed;
mod records;

/// A record of instrument 7.
fn order(action: u8, id: u64, side: u8, price: i64, size: u32) -> MboMsg {
    let mut record = MboMsg {
        order_id: U64::new(id),
        price: I64::new(price),
        size: U32::new(size),
        action,
        side,
        ..MboMsg::default()
    };
    record.hd.instrument_id = U32::new(7);
    record
}
