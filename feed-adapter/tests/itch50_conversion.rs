//! What does every message become? The table of `docs/formats/itch50.md`, checked by hand.
//!
//! Messages are written byte by byte here, not by an encoder of ours.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{DecodeError, Decoder, Parts, TradingDay};
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::code::{action, flags, reason, side, stat, status};
use twinfeed_wire::record::{
    MboMsg, RecordRef, StatMsg, StatusMsg, UNDEF_ORDER_SIZE, UNDEF_PRICE, UNDEF_TIMESTAMP, text,
};

const LAST: u8 = flags::F_LAST;
const DOUBT: u8 = flags::F_MAYBE_BAD_BOOK;
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
fn messages_without_a_counterpart_pass_as_they_are() {
    let mut converter = converter();
    let broken = message(b'B', &[&51_u64.to_be_bytes()]);
    let position = message(b'L', &[b"ABCDVIXM    YNA"]);
    let interest = message(b'N', &[b"VIXM    B"]);
    for (bytes, expected) in [
        (broken, "opaque B"),
        (position, "opaque L"),
        (interest, "opaque N"),
    ] {
        assert_eq!(lines(&mut converter, &bytes), [expected]);
    }
}

fn status_of(converter: &mut Converter, bytes: &[u8]) -> (u16, u16, [char; 3]) {
    let record: StatusMsg = only!(converter, bytes, 0, Status);
    assert_eq!(record.hd.ts_event.get(), TIME);
    let answers = [
        record.is_trading,
        record.is_quoting,
        record.is_short_sell_restricted,
    ];
    (
        record.action.get(),
        record.reason.get(),
        answers.map(char::from),
    )
}

#[test]
fn trading_status() {
    let mut converter = converter();
    for (event, action, answers) in [
        (b"O", status::PRE_OPEN, ['N', '~', '~']),
        (b"S", status::PRE_OPEN, ['N', '~', '~']),
        (b"Q", status::TRADING, ['Y', 'Y', '~']),
        (b"M", status::POST_CLOSE, ['~', '~', '~']),
        (b"E", status::CLOSE, ['N', 'N', '~']),
        (b"C", status::CLOSE, ['N', 'N', '~']),
    ] {
        let seen = status_of(&mut converter, &message(b'S', &[event]));
        assert_eq!(seen, (action, reason::SCHEDULED, answers));
    }
    for (state, code, action, why, answers) in [
        (
            b"H",
            b"T1  ",
            status::HALT,
            reason::NEWS_PENDING,
            ['N', 'N', '~'],
        ),
        (
            b"P",
            b"LUDP",
            status::PAUSE,
            reason::LULD_PAUSE,
            ['N', 'N', '~'],
        ),
        (
            b"Q",
            b"IPOQ",
            status::QUOTING,
            reason::NEW_SECURITY_OFFERING,
            ['N', 'Y', '~'],
        ),
        (
            b"T",
            b"    ",
            status::TRADING,
            reason::NONE,
            ['Y', 'Y', '~'],
        ),
    ] {
        let bytes = message(b'H', &[b"VIXM    ", state, b" ", code]);
        assert_eq!(status_of(&mut converter, &bytes), (action, why, answers));
        assert_eq!(lines(&mut converter, &bytes), ["rtype 0x12", "opaque H"]);
    }
    for (letter, restricted) in [(b"0", 'N'), (b"1", 'Y'), (b"2", 'Y')] {
        let seen = status_of(&mut converter, &message(b'Y', &[b"VIXM    ", letter]));
        assert_eq!(
            seen,
            (
                status::SSR_CHANGE,
                reason::REGULATORY,
                ['~', '~', restricted]
            )
        );
    }
    for (letter, action, trading) in [(b"H", status::HALT, 'N'), (b"T", status::TRADING, 'Y')] {
        let seen = status_of(&mut converter, &message(b'h', &[b"VIXM    Q", letter]));
        assert_eq!(seen, (action, reason::OPERATIONAL, [trading, '~', '~']));
    }
    for (level, why) in [
        (b"1", reason::MARKET_WIDE_HALT_LEVEL1),
        (b"2", reason::MARKET_WIDE_HALT_LEVEL2),
        (b"3", reason::MARKET_WIDE_HALT_LEVEL3),
    ] {
        let bytes = message(b'W', &[level]);
        assert_eq!(
            status_of(&mut converter, &bytes),
            (status::HALT, why, ['N', 'N', '~'])
        );
        assert_eq!(lines(&mut converter, &bytes), ["rtype 0x12"]);
    }
}

#[test]
fn codes_that_the_specification_lacks_pass_as_they_are() {
    let mut converter = converter();
    for bytes in [
        message(b'S', &[b"?"]),
        message(b'H', &[b"VIXM    ? T1  "]),
        message(b'Y', &[b"VIXM    ?"]),
        message(b'h', &[b"VIXM    Q?"]),
        message(b'W', &[b"?"]),
        message(b'K', &[b"VIXM    ", &[0; 4], b"?", &[0; 4]]),
    ] {
        let expected = [format!("opaque {}", char::from(bytes[0]))];
        assert_eq!(lines(&mut converter, &bytes), expected);
    }
    let expected = ["A N #17 1@100000 128", "opaque A"];
    assert_eq!(lines(&mut converter, &add(17, b'?', 1, 1)), expected);
}

fn stats(converter: &mut Converter, bytes: &[u8]) -> Vec<(u16, i64)> {
    let mut out = Parts::new(1_320);
    converter.convert(7, bytes, &mut out).unwrap();
    out.iter()
        .filter(|part| part.kind == BodyKind::Dbn)
        .map(|part| match RecordRef::parse(part.bytes).unwrap() {
            RecordRef::Stat(record) => (record.stat_type.get(), record.price.get()),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn levels_and_collars_are_statistics() {
    let mut converter = converter();
    let levels = [
        300_000_000_000_u64,
        200_000_000_000,
        i64::MAX as u64 / 10 + 1,
    ];
    let [one, two, three] = levels.map(u64::to_be_bytes);
    let bytes = message(b'V', &[&one, &two, &three]);
    let expected = [
        (stat::MWCB_LEVEL1, 3_000_000_000_000),
        (stat::MWCB_LEVEL2, 2_000_000_000_000),
        (stat::MWCB_LEVEL3, UNDEF_PRICE),
    ];
    assert_eq!(stats(&mut converter, &bytes), expected);
    assert_eq!(lines(&mut converter, &bytes).last().unwrap(), "opaque V");
    let bytes = message(b'V', &[&one, &two, &two]);
    assert_eq!(lines(&mut converter, &bytes), ["rtype 0x18"; 3]);

    let [reference, upper, lower] = [100_u32, 110, 90].map(u32::to_be_bytes);
    let bytes = message(
        b'J',
        &[
            b"VIXM    ",
            &reference,
            &upper,
            &lower,
            &2_u32.to_be_bytes(),
        ],
    );
    let expected = [
        (stat::AUCTION_COLLAR_REFERENCE_PRICE, 10_000_000),
        (stat::AUCTION_COLLAR_UPPER_PRICE, 11_000_000),
        (stat::AUCTION_COLLAR_LOWER_PRICE, 9_000_000),
    ];
    assert_eq!(stats(&mut converter, &bytes), expected);
    assert_eq!(lines(&mut converter, &bytes).last().unwrap(), "opaque J");

    let [low, high, near, bottom, top] = [1_u32, 2, 3, 4, 5].map(u32::to_be_bytes);
    let at = SINCE_MIDNIGHT.to_be_bytes();
    let bytes = message(
        b'O',
        &[b"VIXM    Y", &low, &high, &near, &at, &bottom, &top],
    );
    let expected = [
        (stat::LOWER_PRICE_LIMIT, 100_000),
        (stat::UPPER_PRICE_LIMIT, 200_000),
        (stat::AUCTION_COLLAR_LOWER_PRICE, 400_000),
        (stat::AUCTION_COLLAR_UPPER_PRICE, 500_000),
        (stat::INDICATIVE_OPENING_PRICE, 300_000),
    ];
    assert_eq!(stats(&mut converter, &bytes), expected);
    let near: StatMsg = only!(converter, &bytes, 4, Stat);
    assert_eq!(near.ts_ref.get(), TIME);
}

#[test]
fn a_new_issue_s_price_and_its_withdrawal() {
    let mut converter = converter();
    for (qualifier, update) in [(b"A", 1), (b"C", 2)] {
        let (release, price) = (36_000_u32.to_be_bytes(), 123_456_u32.to_be_bytes());
        let bytes = message(b'K', &[b"VIXM    ", &release, qualifier, &price]);
        let record: StatMsg = only!(converter, &bytes, 0, Stat);
        assert_eq!(record.stat_type.get(), stat::VENUE_SPECIFIC_PRICE_1);
        assert_eq!(
            (record.price.get(), record.update_action),
            (12_345_600_000, update)
        );
        // 10:00 in New York is 15:00 UTC.
        assert_eq!(
            record.ts_ref.get(),
            (1_577_664_000 + 15 * 3_600) * 1_000_000_000
        );
        assert_eq!(lines(&mut converter, &bytes), ["rtype 0x18"]);
    }
}

#[test]
fn an_auction_s_imbalance() {
    let mut converter = converter();
    let bytes = |paired: u64, unpaired: u64, direction: &[u8]| {
        let [far, near, current] = [120_000_u32, 123_456, 125_000].map(u32::to_be_bytes);
        let (paired, unpaired) = (paired.to_be_bytes(), unpaired.to_be_bytes());
        message(
            b'I',
            &[
                &paired,
                &unpaired,
                direction,
                b"VIXM    ",
                &far,
                &near,
                &current,
                b"OL",
            ],
        )
    };
    let record = only!(converter, &bytes(1_000, 100, b"S"), 0, Imbalance);
    assert_eq!(
        record.auct_interest_clr_price.get(),
        12_000_000_000,
        "far: cross orders alone"
    );
    assert_eq!(
        record.cont_book_clr_price.get(),
        12_345_600_000,
        "near: with the book"
    );
    assert_eq!(record.ref_price.get(), 12_500_000_000);
    assert_eq!(
        (record.paired_qty.get(), record.total_imbalance_qty.get()),
        (1_000, 100)
    );
    assert_eq!((record.side, record.auction_type), (side::ASK, b'O'));
    assert_eq!(record.significant_imbalance, b'L');
    assert_eq!(
        lines(&mut converter, &bytes(1_000, 100, b"B")),
        ["rtype 0x14"]
    );
    assert_eq!(
        lines(&mut converter, &bytes(1_000, 0, b"N")),
        ["rtype 0x14"]
    );
    // Too few orders, paused: more than a side can say.
    for direction in [b"O", b"P"] {
        let seen = lines(&mut converter, &bytes(1_000, 0, direction));
        assert_eq!(seen, ["rtype 0x14", "opaque I"]);
    }
    let largest = u64::from(u32::MAX) - 1;
    assert_eq!(
        lines(&mut converter, &bytes(largest, 0, b"N")),
        ["rtype 0x14"]
    );
    for paired in [largest + 1, largest + 2] {
        let bytes = bytes(paired, 0, b"N");
        assert_eq!(lines(&mut converter, &bytes), ["rtype 0x14", "opaque I"]);
        let record = only!(converter, &bytes, 0, Imbalance);
        assert_eq!(record.paired_qty.get(), UNDEF_ORDER_SIZE);
    }
}

#[test]
fn a_security_s_definition_and_symbol() {
    let mut converter = converter();
    let lot = 100_u32.to_be_bytes();
    let leverage = 1_u32.to_be_bytes();
    let bytes = message(b'R', &[b"VIXM    GN", &lot, b"NQZ PN 1Y", &leverage, b"N"]);
    assert_eq!(
        lines(&mut converter, &bytes),
        ["rtype 0x13", "rtype 0x16", "opaque R"]
    );
    converter.reset("2019-12-30".parse().unwrap());

    let definition = only!(converter, &bytes, 0, InstrumentDef);
    assert_eq!(text(&definition.raw_symbol), b"VIXM");
    assert_eq!(definition.min_lot_size_round_lot.get(), 100);
    assert_eq!(
        (text(&definition.group), text(&definition.security_type)),
        (&b"G"[..], &b"QZ"[..])
    );
    assert_eq!(
        (
            definition.instrument_class,
            definition.security_update_action
        ),
        (b'K', b'A')
    );
    assert_eq!(definition.min_price_increment.get(), UNDEF_PRICE);
    let again = only!(converter, &bytes, 0, InstrumentDef);
    assert_eq!(again.security_update_action, b'M');

    let mapping = only!(converter, &bytes, 1, SymbolMapping);
    assert_eq!(text(&mapping.stype_in_symbol), b"VIXM");
    assert_eq!(text(&mapping.stype_out_symbol), b"8381");
    assert_eq!(mapping.start_ts.get(), TIME - SINCE_MIDNIGHT);
    assert_eq!(
        mapping.end_ts.get(),
        TIME - SINCE_MIDNIGHT + 86_400_000_000_000
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
