//! Does the decoder read real exchange bytes as others read them?
//!
//! Against samples that are not part of the repository: vectors written from the specification,
//! BinaryFILEs with a reference made by another decoder, captures with counted messages, and
//! captures of a dialect that must be refused. Without the samples every test says so and passes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;
use twinfeed_feed_adapter::decode::itch50::message::{Field, MESSAGES, Message, MessageError};
use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{DecodeError, Decoder, Parts, TradingDay};
use twinfeed_feed_adapter::source::{binaryfile, moldudp64, pcap};

/// The samples' folder, if there is one.
fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("TWINFEED_SAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    if folder.join("nasdaq-itch50").is_dir() {
        return Some(folder);
    }
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!(
            "skipped: no samples at {} (set TWINFEED_SAMPLES)\n",
            folder.display()
        ),
    );
    None
}

/// Every file below `folder` that ends like `suffix`, in order.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn day() -> TradingDay {
    "2019-12-30".parse().unwrap()
}

fn converter() -> Converter {
    Converter::new(
        Settings {
            max_open_orders: 10_000,
            ..Settings::default()
        },
        day(),
    )
}

/// The fields of a message by name.
fn fields(message: &Message<'_>) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    message.each_field(&mut |name, field| {
        let value = match field {
            Field::Number(number) => Value::from(number),
            Field::Text(letters) => Value::from(std::str::from_utf8(letters).unwrap()),
        };
        fields.insert(name.to_owned(), value);
    });
    fields
}

#[test]
fn every_vector_is_read_and_its_neighbours_are_refused() {
    let Some(samples) = samples() else { return };
    let mut seen = Vec::new();
    for path in files(&samples.join("nasdaq-itch50/vectors"), ".toml") {
        let vector: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let mut bytes: Vec<u8> = vector["raw_hex"]
            .as_str()
            .unwrap()
            .split(' ')
            .map(|hex| u8::from_str_radix(hex, 16).unwrap())
            .collect();
        let letter = bytes[0];
        let message = Message::parse(&bytes).unwrap();
        let mut expected: BTreeMap<String, Value> = vector["expected_fields"]
            .as_table()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), serde_json::to_value(value).unwrap()))
            .collect();
        let message_type = expected.remove("message_type").unwrap();
        assert_eq!(message_type.as_str().unwrap().as_bytes(), [letter]);
        assert_eq!(fields(&message), expected, "{}", path.display());
        assert_eq!(message.bytes(), bytes);

        let expected = bytes.len();
        assert_eq!(vector["raw_size"].as_integer().unwrap() as usize, expected);
        bytes.push(0);
        for actual in [expected - 1, expected + 1] {
            let error = Message::parse(&bytes[..actual]).unwrap_err();
            assert_eq!(
                error,
                MessageError::WrongSize {
                    message_type: letter,
                    expected,
                    actual
                }
            );
            // After a good message: at the beginning 24 bytes of type X are another dialect's.
            let (mut converter, mut out) = (converter(), Parts::new(1_320));
            converter.convert(1, &bytes[..expected], &mut out).unwrap();
            assert!(converter.convert(2, &bytes[..actual], &mut out).is_err());
            assert_eq!(
                out.iter().next().unwrap().bytes,
                &bytes[..actual],
                "passed on as it was"
            );
            assert_eq!(converter.faults().wrong_size, 1);
        }
        seen.push(letter);
    }
    seen.sort_unstable();
    let mut all: Vec<u8> = MESSAGES.iter().map(|entry| entry.0).collect();
    all.sort_unstable();
    assert_eq!(seen, all, "one vector per message type");
}

/// What the reference decoder calls a message's fields where it differs from the specification.
fn reference_name<'a>(class: &str, name: &'a str) -> &'a str {
    match (class, name) {
        ("OrderReplaceMessage", "original_order_reference_number") => "order_reference_number",
        (_, "luld_reference_price_tier") => "luld_ref",
        (_, "price_variation_indicator") => "variation_indicator",
        _ => name,
    }
}

#[test]
fn both_binaryfiles_equal_their_reference_field_by_field() {
    let Some(samples) = samples() else { return };
    for name in ["12302019_SNIPPET.NASDAQ_ITCH50", "directory_head_1000.itch"] {
        let folder = samples.join("nasdaq-itch50");
        let mut file = binaryfile::Reader::open(&folder.join("binaryfile").join(name)).unwrap();
        let reference = folder.join(format!("reference/{name}.itchfeed-1.6.4.jsonl.gz"));
        let reference = flate2::read::GzDecoder::new(std::fs::File::open(reference).unwrap());
        let mut count = 0;
        for line in BufReader::new(reference).lines() {
            let mut expected: BTreeMap<String, Value> =
                serde_json::from_str(&line.unwrap()).unwrap();
            let class = expected.remove("_class").unwrap();
            assert_eq!(expected.remove("_i").unwrap(), Value::from(count));
            let message = Message::parse(file.next_message().unwrap().unwrap()).unwrap();
            let seen: BTreeMap<String, Value> = fields(&message)
                .into_iter()
                .map(|(name, value)| {
                    (
                        reference_name(class.as_str().unwrap(), &name).to_owned(),
                        value,
                    )
                })
                .collect();
            assert_eq!(seen, expected, "{name}, message {count}");
            count += 1;
        }
        assert_eq!(
            (count, file.next_message().unwrap()),
            (1_000, None),
            "{name}"
        );
    }
}

/// Counts by letter, as `INDEX.md` writes them: `{A:5, 'D': 167}`.
fn counted(index: &str, file: &str) -> BTreeMap<char, u64> {
    let row = index
        .lines()
        .find(|line| line.starts_with(&format!("| {file} |")))
        .unwrap();
    let Some(start) = row.find("msgs {") else {
        return BTreeMap::new();
    };
    let list = &row[start + 6..];
    list[..list.find('}').unwrap()]
        .split(',')
        .map(|entry| {
            let (letter, count) = entry.rsplit_once(':').unwrap();
            let letter = letter.trim().trim_matches('\'').chars().next().unwrap();
            (letter, count.trim().parse().unwrap())
        })
        .collect()
}

fn counts(converter: &Converter) -> BTreeMap<char, u64> {
    let mut counts = BTreeMap::new();
    converter.each_count(&mut |kind, count| {
        if count > 0 {
            counts.insert(kind.letter, count);
        }
    });
    counts
}

/// Converts a capture packet by packet and stops at the first error.
fn convert_capture(path: &Path, converter: &mut Converter) -> (u64, Option<DecodeError>) {
    let mut capture = pcap::Reader::open(path).unwrap();
    let (mut out, mut messages) = (Parts::new(1_320), 0);
    while let Some(datagram) = capture.next_datagram().unwrap() {
        let packet = moldudp64::Packet::parse(datagram.payload).unwrap();
        for (sseq, message) in packet.messages() {
            messages += 1;
            if let Err(error) = converter.convert(sseq, message, &mut out) {
                return (messages, Some(error));
            }
            assert!(!out.is_empty(), "nothing is dropped silently");
        }
    }
    assert_eq!(capture.skipped(), pcap::Skipped::default());
    (messages, None)
}

#[test]
fn every_nasdaq_sample_has_the_messages_that_were_counted() {
    let Some(samples) = samples() else { return };
    let index = std::fs::read_to_string(samples.join("INDEX.md")).unwrap();
    let folder = samples.join("nasdaq-itch50");
    let captures = files(&folder.join("cap"), ".pcap");
    assert_eq!(captures.len(), 22);
    for path in captures {
        let mut converter = converter();
        let (messages, error) = convert_capture(&path, &mut converter);
        assert_eq!(error, None, "{}", path.display());
        let expected = counted(
            &index,
            path.strip_prefix(&folder).unwrap().to_str().unwrap(),
        );
        assert_eq!(counts(&converter), expected, "{}", path.display());
        assert_eq!(messages, expected.values().sum::<u64>());
    }
    for name in ["12302019_SNIPPET.NASDAQ_ITCH50", "directory_head_1000.itch"] {
        let mut file = binaryfile::Reader::open(&folder.join("binaryfile").join(name)).unwrap();
        let (mut converter, mut out) = (converter(), Parts::new(1_320));
        let mut sseq = 1_000_001;
        while let Some(message) = file.next_message().unwrap() {
            converter.convert(sseq, message, &mut out).unwrap();
            sseq += 1;
        }
        assert_eq!(
            counts(&converter),
            counted(&index, &format!("binaryfile/{name}"))
        );
    }
}

#[test]
fn every_asx_capture_is_refused_by_name_and_nothing_comes_out() {
    let Some(samples) = samples() else { return };
    let folder = samples.join("moldudp64-itch-family");
    let index = std::fs::read_to_string(samples.join("INDEX.md")).unwrap();
    let captures = files(&folder, ".pcap");
    assert_eq!(captures.len(), 21);
    let mut refused = 0;
    for path in captures {
        let mut converter = converter();
        let (messages, error) = convert_capture(&path, &mut converter);
        let expected = counted(
            &index,
            path.strip_prefix(&folder).unwrap().to_str().unwrap(),
        );
        if expected.is_empty() {
            assert_eq!(
                (messages, error),
                (0, None),
                "{} is a heartbeat",
                path.display()
            );
            continue;
        }
        let error = error.unwrap();
        let text = error.to_string();
        assert!(error.refuses());
        assert!(
            text.contains("ASX ITCH (NTP)"),
            "{}: {text}",
            path.display()
        );
        assert!(text.contains("TotalView-ITCH 5.0 has"), "{text}");
        assert_eq!((messages, converter.faults().foreign), (1, 1));
        assert_eq!(counts(&converter), BTreeMap::new(), "nothing was read");
        refused += 1;

        // Every further message is refused as well, and leaves no body behind.
        let mut capture = pcap::Reader::open(&path).unwrap();
        let mut out = Parts::new(1_320);
        while let Some(datagram) = capture.next_datagram().unwrap() {
            let packet = moldudp64::Packet::parse(datagram.payload).unwrap();
            for (sseq, message) in packet.messages() {
                assert!(
                    converter
                        .convert(sseq, message, &mut out)
                        .unwrap_err()
                        .refuses()
                );
                assert!(out.is_empty());
            }
        }
    }
    assert_eq!(refused, 20);
}

#[test]
fn a_sample_cut_anywhere_is_an_error_that_names_the_place() {
    let Some(samples) = samples() else { return };
    let path = samples.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50");
    let bytes = std::fs::read(path).unwrap();
    for cut in [bytes.len() - 1, 20_001, 1] {
        let mut file = binaryfile::Reader::new(&bytes[..cut], "cut.itch");
        let error = loop {
            match file.next_message() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a cut at {cut} went unnoticed"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(
            error.starts_with("cut.itch: truncated: the message at offset"),
            "{error}"
        );
    }
}
