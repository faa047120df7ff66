//! Does a follower know of real exchange data what a subscriber knows?

use std::io;
use std::path::PathBuf;

use twinfeed_book::Books;
use twinfeed_feed_adapter::config::Format;
use twinfeed_feed_adapter::convert::{Converted, Job, Sink, convert};
use twinfeed_protocol::{Arbiter, Leg, Limits, OrderingClass, Time};
use twinfeed_wire::{Adm, BodyKind, DEFAULT_DATAGRAM, Dsn, Record, RecordFlags, Writer};

use super::stream::{BOUNDS, SID, STREAM, Stream, follow};
use super::taker::{assert_same, snapshot};
use twinfeed_feed_adapter::snapshots::{Bounds, Follower};

/// Everything that was converted.
#[derive(Default)]
struct All(Vec<(u64, u16, bool, BodyKind, Vec<u8>)>);

impl Sink for All {
    fn record(&mut self, record: &Converted<'_>) -> io::Result<()> {
        let Converted {
            sseq, part, last, ..
        } = *record;
        self.0
            .push((sseq, part, last, record.kind, record.bytes.to_vec()));
        Ok(())
    }
}

#[test]
fn a_real_session_is_known_as_a_subscriber_knows_it() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let samples = std::env::var_os("TWINFEED_SAMPLES").map_or(beside, PathBuf::from);
    let input = samples.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50");
    if !input.is_file() {
        let text = format_args!("skipped: no sample data; set TWINFEED_SAMPLES\n");
        let _ = io::Write::write_fmt(&mut io::stderr(), text);
        return;
    }
    let job = Job {
        input,
        format: Format::Itch50,
        trading_day: Some("2019-12-30".parse().unwrap()),
        publisher_id: 2,
        max_open_orders: 10_000,
        first_sseq: 1,
    };
    let mut all = All::default();
    convert(&job, &mut all).unwrap();
    let bounds = Bounds {
        instruments: 65_536,
        ..BOUNDS
    };
    let stream = Stream::new();
    let mut follower = Follower::new(SID, STREAM, bounds);
    let (mut arbiter, mut books) = (Arbiter::new(Limits::default()).unwrap(), Books::new(1));
    arbiter.add_source(SID, OrderingClass::Ordered);
    arbiter.set_stream(SID, Leg::Zero, STREAM);
    let mut taken_at = Vec::new();
    let mut dsn = 0;
    let mut told = |bytes: &[u8], follower: &mut Follower, books: &mut Books| {
        arbiter.on_datagram(Leg::Zero, Time(dsn + 1), bytes, books);
        follow(follower, bytes);
        dsn += 1;
    };
    told(&stream.heartbeat(), &mut follower, &mut books);
    let mut prev = 0;
    let mut msn = 1;
    for (at, batch) in all.0.chunk_by(|one, other| one.0 == other.0).enumerate() {
        let mut header = stream.header;
        header.dsn = Dsn(at as u64 + 2);
        header.first_msn = twinfeed_wire::Msn(msn);
        header.base_sseq = batch[0].0;
        let mut buffer = [0; DEFAULT_DATAGRAM];
        let mut writer = Writer::begin(&mut buffer, header);
        for (sseq, part, last, kind, body) in batch {
            let record = Record {
                kind: *kind,
                flags: if *last {
                    RecordFlags::LAST
                } else {
                    RecordFlags(0)
                },
                part: *part,
                sseq: *sseq,
                prev,
                adm: Adm(0),
                body,
            };
            writer.push(&record).unwrap();
        }
        let length = writer.finish(header.dsn, header.flags, 0);
        (prev, msn) = (batch[0].0, msn + batch.len() as u64);
        told(&buffer[..length], &mut follower, &mut books);
        if at % 300 == 299 {
            let taken = snapshot(&mut follower, 100);
            assert_same(&taken.books, &books);
            taken_at.push(taken.end.orders);
        }
    }
    assert_eq!(follower.lacking(), None);
    let taken = snapshot(&mut follower, 7);
    assert_same(&taken.books, &books);
    assert_same(follower.books(), &books);
    assert!(taken.end.orders > 100, "{}", taken.end.orders);
    assert_eq!(taken_at.len(), 3);
}
