//! Does offline conversion see every message of the samples, and refuse what it must not read?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::io;
use std::path::PathBuf;

use twinfeed_feed_adapter::config::Format;
use twinfeed_feed_adapter::convert::{ConvertError, Converted, Job, Sink, convert};

#[derive(Default)]
struct Count {
    records: u64,
    order: Vec<(u64, u16, bool)>,
}

impl Sink for Count {
    fn record(&mut self, record: &Converted<'_>) -> io::Result<()> {
        self.records += 1;
        self.order.push((record.sseq, record.part, record.last));
        Ok(())
    }
}

fn samples() -> Option<PathBuf> {
    let stated = std::env::var_os("TWINFEED_SAMPLES").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let found = stated.or(Some(beside)).filter(|path| path.is_dir());
    if found.is_none() {
        let _ = io::Write::write_fmt(
            &mut io::stderr(),
            format_args!("skipped: no sample data; set TWINFEED_SAMPLES\n"),
        );
    }
    found
}

fn job(input: PathBuf, day: Option<&str>) -> Job {
    Job {
        input,
        format: Format::Itch50,
        trading_day: day.map(|day| day.parse().unwrap()),
        publisher_id: 2,
        max_open_orders: 10_000,
        first_sseq: 1_000_001,
    }
}

#[test]
fn a_binary_file_is_converted_whole_and_in_order() {
    let Some(samples) = samples() else { return };
    let path = samples.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50");
    let mut sink = Count::default();
    let summary = convert(&job(path, Some("2019-12-30")), &mut sink).unwrap();
    assert_eq!(summary.messages, 1_000);
    assert_eq!(summary.records + summary.opaque, sink.records);
    // Counts per type as the sample's index states them.
    let counts = [
        ('D', 167),
        ('E', 28),
        ('S', 1),
        ('U', 225),
        ('A', 367),
        ('F', 193),
        ('I', 4),
        ('P', 4),
        ('C', 1),
        ('Q', 4),
        ('X', 6),
    ];
    let seen: Vec<_> = summary
        .types
        .iter()
        .map(|(letter, (_, count))| (*letter, *count))
        .collect();
    let mut expected = counts.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    assert!(
        sink.order
            .is_sorted_by_key(|(sseq, part, _)| (*sseq, *part))
    );
    assert_eq!(
        (sink.order[0].0, sink.order.last().unwrap().0),
        (1_000_001, 1_001_000)
    );
}

#[test]
fn a_binary_file_needs_a_day_and_a_capture_has_its_own() {
    let Some(samples) = samples() else { return };
    let file = samples.join("nasdaq-itch50/binaryfile/directory_head_1000.itch");
    let error = convert(&job(file, None), &mut Count::default()).unwrap_err();
    assert!(
        matches!(error, ConvertError::NoTradingDay { .. }),
        "{error}"
    );
    let capture = samples.join(
        "nasdaq-itch50/cap/Nasdaq/Nasdaq.Equities.TotalView.Itch.v5.0/OrderDeleteMessage.pcap",
    );
    let summary = convert(&job(capture, None), &mut Count::default()).unwrap();
    assert_eq!((summary.packets, summary.messages), (1, 1));
    assert_eq!(summary.types[&'D'].1, 1);
}

#[test]
fn another_dialect_is_refused_by_name() {
    let Some(samples) = samples() else { return };
    let path = samples.join("moldudp64-itch-family/cap/Asx/Ntp.Itch.v1.05/AddOrderMessage.pcap");
    let error = convert(&job(path, None), &mut Count::default()).unwrap_err();
    assert!(matches!(error, ConvertError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("ASX"), "{error}");
}
