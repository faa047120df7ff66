//! What does every message become? The table of `docs/formats/itch50.md`, checked by hand.
//!
//! Messages are written byte by byte here, not by an encoder of ours.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{Decoder, Parts, TradingDay};
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::{RecordRef, UNDEF_ORDER_SIZE, UNDEF_PRICE, UNDEF_TIMESTAMP};

/// The single body of a message, which must be an `R`.
macro_rules! only {
    ($converter:expr, $message:expr, $index:expr, $record:ident) => {{
        let mut out = Parts::new(1_320);
        $converter.convert(7, $message, &mut out).unwrap();
        let part = out.iter().nth($index).unwrap();
        match RecordRef::parse(part.bytes).unwrap() {
            RecordRef::$record(record) => *record,
            other => panic!("{other:?}"),
        }
    }};
}

mod auction;
mod order;
mod state;

/// 9:30:00.000000005 on 2019-12-30: five hours behind UTC.
const SINCE_MIDNIGHT: u64 = 34_200_000_000_005;
const TIME: u64 = (1_577_664_000 + 5 * 3_600) * 1_000_000_000 + SINCE_MIDNIGHT;
const LOCATE: u16 = 8_381;

fn converter() -> Converter {
    let day: TradingDay = "2019-12-30".parse().unwrap();
    Converter::new(
        Settings {
            publisher_id: 2,
            max_open_orders: 100,
        },
        day,
    )
}

/// A message: header, then `fields`.
fn message(letter: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![letter];
    bytes.extend(LOCATE.to_be_bytes());
    bytes.extend(9_u16.to_be_bytes());
    bytes.extend(&SINCE_MIDNIGHT.to_be_bytes()[2..]);
    bytes.extend(fields.concat());
    bytes
}

fn add(reference: u64, side: u8, shares: u32, price: u32) -> Vec<u8> {
    let (reference, shares, price) = (
        reference.to_be_bytes(),
        shares.to_be_bytes(),
        price.to_be_bytes(),
    );
    message(b'A', &[&reference, &[side], &shares, b"VIXM    ", &price])
}

/// One body as a line of text.
fn line(bytes: &[u8], kind: BodyKind) -> String {
    if kind == BodyKind::Opaque {
        return format!("opaque {}", bytes[0].escape_ascii());
    }
    let record = RecordRef::parse(bytes).unwrap();
    let header = record.header();
    assert_eq!(
        (header.publisher_id.get(), header.instrument_id.get()),
        (2, u32::from(LOCATE))
    );
    match record {
        RecordRef::Mbo(mbo) => {
            assert_eq!(header.ts_event.get(), TIME);
            assert_eq!(
                (mbo.ts_recv.get(), mbo.ts_in_delta.get()),
                (UNDEF_TIMESTAMP, 0)
            );
            let price = match mbo.price.get() {
                UNDEF_PRICE => "?".to_owned(),
                price => price.to_string(),
            };
            let size = match mbo.size.get() {
                UNDEF_ORDER_SIZE => "?".to_owned(),
                size => size.to_string(),
            };
            let (action, side) = (char::from(mbo.action), char::from(mbo.side));
            format!(
                "{action} {side} #{} {size}@{price} {}",
                mbo.order_id, mbo.flags
            )
        }
        other => format!("rtype {:#04x}", other.header().rtype),
    }
}

/// What a message becomes, line by line.
fn lines(converter: &mut Converter, message: &[u8]) -> Vec<String> {
    let mut out = Parts::new(1_320);
    converter.convert(7, message, &mut out).unwrap();
    out.iter().map(|part| line(part.bytes, part.kind)).collect()
}
