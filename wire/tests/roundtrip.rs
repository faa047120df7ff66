//! `emit(parse(b)) == b`, for datagrams we made and for datagrams somebody damaged.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use proptest::prelude::*;
use twinfeed_wire::*;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Clone, Debug)]
struct Owned {
    kind: u8,
    flags: u8,
    part: u16,
    sseq: u64,
    prev: u64,
    adm: u64,
    body: Vec<u8>,
}

impl Owned {
    fn record(&self) -> Record<'_> {
        Record {
            kind: BodyKind::from_code(self.kind),
            flags: RecordFlags(self.flags),
            part: self.part,
            sseq: self.sseq,
            prev: self.prev,
            adm: Adm(self.adm),
            body: &self.body,
        }
    }
}

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let one = (
        any::<u8>(),
        any::<u8>(),
        any::<u16>(),
        0..5_000_u64,
        0..900_u64,
        0..70_u64,
        prop::collection::vec(any::<u8>(), 0..120),
    )
        .prop_map(|(kind, flags, part, ahead, behind, adm, body)| Owned {
            kind,
            flags,
            part,
            sseq: 1_000_000 + ahead,
            prev: 1_000_000 + ahead - behind,
            adm: 40 + adm,
            body,
        });
    prop::collection::vec(one, 0..8)
}

prop_compose! {
    fn headers()(
        flags in any::<u16>(), numbers in any::<[u64; 12]>(), small in any::<[u32; 4]>(),
    ) -> Header {
        Header {
            flags: Flags(flags & !(Flags::HEARTBEAT.0 | Flags::SEALED.0)),
            count: 0,
            stream: StreamId(small[0]),
            generation: Generation(small[1]),
            incarnation: Incarnation(numbers[0]),
            dsn: Dsn(numbers[1]),
            first_msn: Msn(numbers[2]),
            sid: Sid(small[2]),
            abandoned: small[3],
            epoch: Epoch(numbers[3].max(1)),
            context: ContextId(numbers[4]),
            first: numbers[5],
            predecessor: Epoch(numbers[6]),
            base_sseq: 1_000_000,
            base_adm: Adm(40),
            sent_at: numbers[7],
            received_at: numbers[8],
        }
    }
}

fn emit(header: &Header, records: impl Iterator<Item = Owned>) -> Vec<u8> {
    let mut buffer = vec![0xaa; DEFAULT_DATAGRAM];
    let mut writer = Writer::begin(&mut buffer, *header);
    for record in records {
        writer
            .push(&record.record())
            .expect("eight records of 120 bytes fit");
    }
    let length = writer.finish(header.dsn, header.flags, header.sent_at);
    buffer.truncate(length);
    buffer
}

fn emit_again(datagram: &Datagram<'_>, length: usize) -> Vec<u8> {
    let header = *datagram.header();
    let mut buffer = vec![0xbb; length];
    let emitted = match datagram.heartbeat() {
        Some(heartbeat) => {
            let digests: Vec<_> = heartbeat.digests().collect();
            write_heartbeat(&mut buffer, &header, &heartbeat.beat, &digests)
        }
        None => {
            let mut writer = Writer::begin(&mut buffer, header);
            for record in datagram.records() {
                writer.push(&record).expect("what was read can be written");
            }
            writer.finish(header.dsn, header.flags, header.sent_at)
        }
    };
    assert_eq!(emitted, length);
    buffer
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in headers(), records in records()) {
        let bytes = emit(&header, records.iter().cloned());
        prop_assert_eq!(bytes.len() % 8, 0);
        let datagram = Datagram::parse(&bytes).unwrap();
        prop_assert_eq!(*datagram.header(), Header { count: records.len() as u16, ..header });
        let read: Vec<_> = datagram.records().collect();
        let written: Vec<_> = records.iter().map(Owned::record).collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(emit_again(&datagram, bytes.len()), bytes);
    }

    #[test]
    fn what_is_sent_later_differs_in_what_is_said_of_its_sender(
        header in headers(), records in records(), dsn in any::<u64>(), sent_at in any::<u64>(),
    ) {
        let mut bytes = emit(&header, records.into_iter());
        restamp(&mut bytes, Dsn(dsn), Flags::PEER_LOST, sent_at);
        let before = Header { flags: header.flags.with(Flags::PEER_LOST), dsn: Dsn(dsn), sent_at, ..header };
        let datagram = Datagram::parse(&bytes).unwrap();
        let count = datagram.header().count;
        prop_assert_eq!(*datagram.header(), Header { count, ..before });
        prop_assert_eq!(datagram.records().count(), usize::from(count));
        prop_assert_eq!(emit_again(&datagram, bytes.len()), bytes);
    }

    #[test]
    fn heartbeats_survive(
        header in headers(), next in 1..u64::MAX, back in 1..50_u64, ended in any::<bool>(),
        pred in 0..u64::MAX, known in any::<bool>(), interval_us in any::<u32>(), inherited in any::<u64>(),
        digests in prop::collection::vec(any::<(u64, u64)>(), 0..20),
    ) {
        let beat = Beat {
            next_sseq: next,
            prev: next.saturating_sub(back),
            predecessor_next: if known { pred + 1 } else { 0 },
            predecessor_prev: pred,
            interval_us,
            ended,
            inherited: Adm(inherited),
        };
        let digests: Vec<_> =
            digests.iter().map(|&(range, digest)| RangeDigest { range, digest }).collect();
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let length = write_heartbeat(&mut buffer, &header, &beat, &digests);
        buffer.truncate(length);
        let datagram = Datagram::parse(&buffer).unwrap();
        let heartbeat = datagram.heartbeat().unwrap();
        prop_assert_eq!(heartbeat.beat, beat);
        let newest = &digests[digests.len().saturating_sub(MOST_DIGESTS)..];
        prop_assert_eq!(heartbeat.digests().collect::<Vec<_>>(), newest);
        prop_assert_eq!(emit_again(&datagram, buffer.len()), buffer);
    }

    /// Damage is refused, or it is a datagram that says exactly its own bytes: never a panic, never a
    /// reading that two different byte strings share.
    #[test]
    fn damage_is_refused_or_read_literally(
        header in headers(), records in records(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(), shorten in any::<bool>(),
    ) {
        let mut bytes = emit(&header, records.into_iter());
        for (place, value) in hits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        if bytes.len() >= 128 {
            // What a wrong sender would send, not what a wire would make of it.
            let check = xxh3_64(&bytes[120..]) ^ xxh3_64(&bytes[..112]).rotate_left(32);
            bytes[112..120].copy_from_slice(&check.to_le_bytes());
        }
        if let Ok(datagram) = Datagram::parse(&bytes) {
            let readable = datagram.records().all(|record| {
                record.prev <= record.sseq && record.sseq - record.prev <= u64::from(u32::MAX)
            });
            prop_assert!(readable);
            prop_assert_eq!(datagram.records().count(), usize::from(datagram.header().count));
            prop_assert_eq!(emit_again(&datagram, bytes.len()), bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Datagram::parse(&bytes).is_err());
    }
}

#[test]
fn full_and_far_are_different_reasons() {
    let header = Header {
        epoch: Epoch(1),
        base_sseq: 10,
        base_adm: Adm(5),
        ..Header::default()
    };
    let mut buffer = [0; HEADER_LENGTH + RECORD_HEADER_LENGTH + 8];
    let mut writer = Writer::begin(&mut buffer, header);
    let record = Record {
        kind: BodyKind::Opaque,
        flags: RecordFlags::LAST,
        part: 0,
        sseq: 10,
        prev: 9,
        adm: Adm(5),
        body: b"12345678",
    };
    let far = 10 + (1 << 32);
    assert_eq!(
        writer.push(&Record {
            sseq: 9,
            prev: 8,
            ..record
        }),
        Err(Refused::Offset)
    );
    assert_eq!(
        writer.push(&Record {
            sseq: far,
            prev: far - 1,
            ..record
        }),
        Err(Refused::Offset)
    );
    assert_eq!(
        writer.push(&Record {
            adm: Adm(4),
            ..record
        }),
        Err(Refused::Offset)
    );
    assert_eq!(
        writer.push(&Record {
            adm: Adm(5 + 65_536),
            ..record
        }),
        Err(Refused::Offset)
    );
    assert_eq!(
        writer.push(&Record {
            sseq: far,
            prev: 10,
            ..record
        }),
        Err(Refused::Distance)
    );
    assert_eq!(
        writer.push(&Record { prev: 11, ..record }),
        Err(Refused::Distance)
    );
    assert_eq!(
        writer.push(&Record {
            body: b"123456789",
            ..record
        }),
        Err(Refused::Full)
    );
    assert_eq!(writer.push(&record), Ok(()));
    assert_eq!(
        writer.push(&Record {
            body: b"",
            ..record
        }),
        Err(Refused::Full)
    );
    assert_eq!(writer.header().count, 1);
    assert_eq!(longest_body(DEFAULT_DATAGRAM), 1_328);
}

#[test]
fn no_record_has_the_last_number() {
    let read = |sseq: u64| {
        let mut buffer = [0; DEFAULT_DATAGRAM];
        let header = Header {
            base_sseq: sseq,
            epoch: Epoch(1),
            ..Header::default()
        };
        let mut writer = Writer::begin(&mut buffer, header);
        let record = Record {
            kind: BodyKind::Opaque,
            flags: RecordFlags::LAST,
            part: 0,
            sseq,
            prev: sseq - 1,
            adm: Adm(0),
            body: &[],
        };
        writer.push(&record).unwrap();
        let length = writer.finish(Dsn(1), Flags(0), 0);
        Datagram::parse(&buffer[..length]).map(|datagram| datagram.highest_sseq())
    };
    assert_eq!(read(u64::MAX - 1), Ok(u64::MAX - 1));
    assert_eq!(read(u64::MAX), Err(Malformed::RecordPosition(0)));
}

#[test]
fn a_heartbeats_last_number_is_below_the_next_and_none_is_the_last_of_all() {
    const MAX: u64 = u64::MAX;
    // Next and last number of an epoch; whether a heartbeat may say so.
    let cases = [
        ((5, 4), true),
        ((5, 0), true),
        ((5, 5), false),
        ((5, 6), false),
        ((0, 6), true),
        ((0, MAX - 1), true),
        ((0, MAX), false),
        ((MAX, MAX - 1), true),
        ((MAX, MAX), false),
    ];
    for ((next, prev), allowed) in cases {
        for here in [true, false] {
            let mut beat = Beat {
                next_sseq: 1,
                ..Beat::default()
            };
            match here {
                true => (beat.next_sseq, beat.prev) = (next, prev),
                false => (beat.predecessor_next, beat.predecessor_prev) = (next, prev),
            }
            let header = Header {
                epoch: Epoch(1),
                ..Header::default()
            };
            let mut buffer = [0; DEFAULT_DATAGRAM];
            let length = write_heartbeat(&mut buffer, &header, &beat, &[]);
            let read = Datagram::parse(&buffer[..length]).map(|_| ());
            let expected = allowed.then_some(()).ok_or(Malformed::Heartbeat);
            assert_eq!(read, expected, "{next} {prev} {here}");
        }
    }
}
