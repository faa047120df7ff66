//! Orders, executions, trades, and what is no message.

use twinfeed_feed_adapter::decode::{DecodeError, Decoder, Parts};
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::code::{action, flags, stat};
use twinfeed_wire::record::{MboMsg, RecordRef, StatMsg};

use super::{add, converter, lines, message};

const LAST: u8 = flags::F_LAST;
const DOUBT: u8 = flags::F_MAYBE_BAD_BOOK;

fn executed(reference: u64, shares: u32) -> Vec<u8> {
    message(
        b'E',
        &[
            &reference.to_be_bytes(),
            &shares.to_be_bytes(),
            &51_u64.to_be_bytes(),
        ],
    )
}

fn executed_at(reference: u64, shares: u32, printable: u8, price: u32) -> Vec<u8> {
    let (reference, shares) = (reference.to_be_bytes(), shares.to_be_bytes());
    let (match_number, price) = (51_u64.to_be_bytes(), price.to_be_bytes());
    message(
        b'C',
        &[&reference, &shares, &match_number, &[printable], &price],
    )
}

fn cancel(reference: u64, shares: u32) -> Vec<u8> {
    message(b'X', &[&reference.to_be_bytes(), &shares.to_be_bytes()])
}

fn delete(reference: u64) -> Vec<u8> {
    message(b'D', &[&reference.to_be_bytes()])
}

fn replace(old: u64, new: u64, shares: u32, price: u32) -> Vec<u8> {
    let (old, new) = (old.to_be_bytes(), new.to_be_bytes());
    message(
        b'U',
        &[&old, &new, &shares.to_be_bytes(), &price.to_be_bytes()],
    )
}

#[test]
fn an_order_s_life() {
    let mut converter = converter();
    let mut step = |message: &[u8], expected: &[&str]| {
        assert_eq!(lines(&mut converter, message), expected);
    };
    step(
        &add(17, b'B', 300, 123_456),
        &["A B #17 300@12345600000 128"],
    );
    step(
        &executed(17, 100),
        &[
            "T A #0 100@12345600000 0",
            "F B #17 100@12345600000 0",
            "C B #17 100@12345600000 128",
            "opaque E",
        ],
    );
    step(
        &executed_at(17, 20, b'Y', 123_400),
        &[
            "T A #0 20@12340000000 0",
            "F B #17 20@12340000000 0",
            "C B #17 20@12345600000 128",
            "opaque C",
        ],
    );
    // Not printable: the auction reports the trade.
    step(
        &executed_at(17, 20, b'N', 123_400),
        &[
            "F B #17 20@12340000000 0",
            "C B #17 20@12345600000 128",
            "opaque C",
        ],
    );
    step(&cancel(17, 60), &["C B #17 60@12345600000 128"]);
    step(
        &replace(17, 18, 50, 123_500),
        &["C B #17 100@12345600000 0", "A B #18 50@12350000000 128"],
    );
    step(&delete(18), &["C B #18 50@12350000000 128"]);
    assert_eq!(converter.open_orders(), 0);
    assert_eq!(converter.faults(), Default::default());
}

#[test]
fn an_attributed_order_of_the_other_side() {
    let mut converter = converter();
    let mut bytes = add(17, b'S', 300, 123_456);
    bytes[0] = b'F';
    bytes.extend(b"NSDQ");
    let expected = ["A A #17 300@12345600000 128", "opaque F"];
    assert_eq!(lines(&mut converter, &bytes), expected);
    assert_eq!(
        lines(&mut converter, &executed(17, 300))[0],
        "T B #0 300@12345600000 0"
    );
    assert_eq!(converter.open_orders(), 0);
}

#[test]
fn orders_that_the_context_lacks_leave_undefined_what_is_not_known() {
    let mut converter = converter();
    let mut step = |message: &[u8], expected: &[&str]| {
        assert_eq!(lines(&mut converter, message), expected);
    };
    step(
        &executed(17, 100),
        &[
            "T N #0 100@? 4",
            "F N #17 100@? 4",
            "C N #17 100@? 132",
            "opaque E",
        ],
    );
    step(
        &executed_at(17, 20, b'Y', 123_400),
        &[
            "T N #0 20@12340000000 4",
            "F N #17 20@12340000000 4",
            "C N #17 20@? 132",
            "opaque C",
        ],
    );
    step(&cancel(17, 60), &["C N #17 60@? 132"]);
    step(&delete(17), &["C N #17 ?@? 132"]);
    // The successor of an unknown order has a price and no side, and stays doubtful.
    step(
        &replace(17, 18, 50, 123_500),
        &["C N #17 ?@? 4", "A N #18 50@12350000000 132"],
    );
    step(&delete(18), &["C N #18 50@12350000000 132"]);
    assert_eq!(converter.faults().unknown_order, 5);
    assert_eq!(DOUBT | LAST, 132);
}

#[test]
fn what_contradicts_the_context_is_flagged_and_counted() {
    let mut converter = converter();
    lines(&mut converter, &add(17, b'B', 100, 10_000));
    let again = lines(&mut converter, &add(17, b'S', 50, 20_000));
    assert_eq!(again, ["A A #17 50@2000000000 132"]);
    let too_much = lines(&mut converter, &cancel(17, 51));
    assert_eq!(too_much, ["C A #17 51@2000000000 132"]);
    let faults = converter.faults();
    assert_eq!((faults.duplicate_order, faults.oversized), (1, 1));
}

#[test]
fn a_full_context_goes_on_and_counts() {
    let mut converter = converter();
    for reference in 0..=100 {
        let entered = lines(&mut converter, &add(reference, b'B', 1, 10_000));
        assert_eq!(entered, [format!("A B #{reference} 1@1000000000 128")]);
    }
    assert_eq!(
        (converter.open_orders(), converter.faults().orders_full),
        (100, 1)
    );
    assert_eq!(lines(&mut converter, &delete(100)), ["C N #100 ?@? 132"]);
    assert_eq!(
        lines(&mut converter, &delete(99)),
        ["C B #99 1@1000000000 128"]
    );
}

#[test]
fn a_new_epoch_forgets_orders_and_definitions() {
    let mut converter = converter();
    lines(&mut converter, &add(17, b'B', 1, 10_000));
    converter.reset("2019-12-30".parse().unwrap());
    assert_eq!(lines(&mut converter, &delete(17)), ["C N #17 ?@? 132"]);
}

#[test]
fn trades_outside_the_book() {
    let mut converter = converter();
    let (none, price) = (0_u64.to_be_bytes(), 123_456_u32.to_be_bytes());
    let number = 51_u64.to_be_bytes();
    let trade = message(
        b'P',
        &[
            &none,
            b"B",
            &34_u32.to_be_bytes(),
            b"VIXM    ",
            &price,
            &number,
        ],
    );
    assert_eq!(
        lines(&mut converter, &trade),
        ["T N #0 34@12345600000 128", "opaque P"]
    );

    let cross = |shares: u64, kind: &[u8]| {
        message(
            b'Q',
            &[&shares.to_be_bytes(), b"VIXM    ", &price, &number, kind],
        )
    };
    let expected = ["T N #0 1000@12345600000 128", "rtype 0x18", "opaque Q"];
    assert_eq!(lines(&mut converter, &cross(1_000, b"O")), expected);
    for (kind, statistic) in [
        (b"O", stat::OPENING_PRICE),
        (b"C", stat::CLOSE_PRICE),
        (b"H", stat::UNCROSSING_PRICE),
        (b"I", stat::UNCROSSING_PRICE),
    ] {
        let record: StatMsg = only!(converter, &cross(1 << 32, kind), 1, Stat);
        assert_eq!(record.stat_type.get(), statistic);
        assert_eq!(
            (record.price.get(), record.quantity.get()),
            (12_345_600_000, 1 << 32)
        );
    }
    // 64 bits in a field of 32: not known, not cut.
    assert_eq!(
        lines(&mut converter, &cross(1 << 32, b"O"))[0],
        "T N #0 ?@12345600000 128"
    );
    assert_eq!(
        lines(&mut converter, &cross(0, b"O")),
        ["opaque Q"],
        "no trade took place"
    );
}

#[test]
fn the_sequence_is_the_low_half_of_the_source_s_number() {
    let (mut converter, mut out) = (converter(), Parts::new(1_320));
    converter
        .convert((7 << 32) + 41, &add(1, b'B', 1, 1), &mut out)
        .unwrap();
    let RecordRef::Mbo(record) = RecordRef::parse(out.iter().next().unwrap().bytes).unwrap() else {
        panic!("an order")
    };
    assert_eq!(record.sequence.get(), 41);
    assert_eq!(record.action, action::ADD);
    let _: &MboMsg = record;
}

#[test]
fn unknown_messages_of_a_proven_session_pass_and_are_counted() {
    let (mut converter, mut out) = (converter(), Parts::new(1_320));
    converter.convert(1, &add(1, b'B', 1, 1), &mut out).unwrap();
    // Type Z of 43 bytes is ASX's; in this session it can only be news from Nasdaq.
    let mut news = vec![0; 43];
    news[0] = b'Z';
    let error = converter.convert(2, &news, &mut out).unwrap_err();
    assert!(matches!(error, DecodeError::Itch50(_)) && !error.refuses());
    assert_eq!(
        error.to_string(),
        "TotalView-ITCH 5.0 has no message type 'Z' (43 bytes)"
    );
    let part = out.iter().next().unwrap();
    assert_eq!(
        (part.kind, part.bytes, part.last),
        (BodyKind::Opaque, &news[..], true)
    );
    assert_eq!(converter.faults().unknown_type, 1);
    assert!(converter.convert(3, &[], &mut out).is_err());
    assert_eq!((out.len(), converter.faults().unknown_type), (1, 2));
    // A new epoch has to prove its dialect again.
    converter.reset("2019-12-31".parse().unwrap());
    assert!(converter.convert(1, &news, &mut out).unwrap_err().refuses());
    assert!(out.is_empty());
    let too_long = vec![b'A'; 65_536];
    let error = converter.convert(4, &too_long, &mut out).unwrap_err();
    assert_eq!(error, DecodeError::TooLong { actual: 65_536 });
}
