//! Trading status, definitions, and what has no counterpart.

use twinfeed_feed_adapter::decode::{Decoder, Parts};
use twinfeed_wire::record::code::{reason, status};
use twinfeed_wire::record::{RecordRef, StatusMsg, UNDEF_PRICE, text};

use super::{SINCE_MIDNIGHT, TIME, add, converter, lines, message};
use twinfeed_feed_adapter::decode::itch50::Converter;

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
