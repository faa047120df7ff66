//! Levels, collars, new issues, imbalances.

use twinfeed_feed_adapter::decode::itch50::Converter;
use twinfeed_feed_adapter::decode::{Decoder, Parts};
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::code::{side, stat};
use twinfeed_wire::record::{RecordRef, StatMsg, UNDEF_ORDER_SIZE, UNDEF_PRICE};

use super::{SINCE_MIDNIGHT, TIME, converter, lines, message};

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
