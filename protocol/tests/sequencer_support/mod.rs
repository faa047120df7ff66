//! What the sequencer's tests share: a receiver that checks every datagram's numbers and puts the source
//! messages together again, with no code of the sequencer's.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use twinfeed_protocol::{EpochStart, Now, Sequencer, SequencerConfig, Time, Transmit};
use twinfeed_wire::{
    Beat, BodyKind, DIGEST_RANGE, Datagram, Epoch, Header, Incarnation, RecordFlags, Sid, StreamId,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One datagram, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) header: Header,
    pub(crate) length: usize,
    pub(crate) records: Vec<Taken>,
    pub(crate) beat: Option<(Beat, BTreeMap<u64, u64>)>,
}

/// One record as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub(crate) epoch: u64,
    pub(crate) context: u64,
    pub(crate) msn: u64,
    pub(crate) sseq: u64,
    pub(crate) part: u16,
    pub(crate) prev: u64,
    pub(crate) kind: u8,
    pub(crate) flags: RecordFlags,
    pub(crate) received_at: u64,
    pub(crate) body: Vec<u8>,
}

/// Takes datagrams apart and checks dsn and msn on the way.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) sent: Vec<Sent>,
    next_dsn: u64,
    generation: u32,
    next_msn: u64,
}

impl Transmit for Receiver {
    fn datagram(&mut self, bytes: &[u8]) {
        let datagram = Datagram::parse(bytes).unwrap();
        let header = *datagram.header();
        self.next_dsn += 1;
        assert_eq!(header.dsn.0, self.next_dsn, "dsn is dense");
        if header.generation.0 != self.generation || self.next_msn == 0 {
            assert!(header.generation.0 >= self.generation);
            (self.generation, self.next_msn) = (header.generation.0, 1);
        }
        assert_eq!(header.first_msn.0, self.next_msn, "msn is dense");
        let records: Vec<Taken> = (self.next_msn..)
            .zip(datagram.records())
            .map(|(msn, record)| Taken {
                epoch: header.epoch.0,
                context: header.context.0,
                msn,
                sseq: record.sseq,
                part: record.part,
                prev: record.prev,
                kind: record.kind.code(),
                flags: record.flags,
                received_at: header.received_at,
                body: record.body.to_vec(),
            })
            .collect();
        assert!(
            records.is_empty() == header.is_heartbeat(),
            "nothing empty is sent"
        );
        self.next_msn += records.len() as u64;
        let beat = datagram.heartbeat().map(|heartbeat| {
            let digests = heartbeat
                .digests()
                .map(|digest| (digest.range, digest.digest));
            (heartbeat.beat, digests.collect())
        });
        self.sent.push(Sent {
            header,
            length: bytes.len(),
            records,
            beat,
        });
    }
}

impl Receiver {
    /// Takes what was sent since the last time.
    pub(crate) fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Taken> {
        self.sent.iter().flat_map(|sent| &sent.records)
    }

    /// Every digest that was reported, by epoch and range.
    pub(crate) fn digests(&self) -> BTreeMap<(u64, u64), u64> {
        let mut all = BTreeMap::new();
        for sent in &self.sent {
            for (&range, &digest) in sent.beat.iter().flat_map(|(_, digests)| digests) {
                let before = all.insert((sent.header.epoch.0, range), digest);
                assert!(
                    before.is_none_or(|before| before == digest),
                    "a digest is final"
                );
            }
        }
        all
    }
}

/// The digest of one range by its definition in `docs/wire-format.md`, section 5.
pub(crate) fn digest_of<'t>(records: impl Iterator<Item = &'t Taken>, range: u64) -> u64 {
    let sum = records
        .filter(|record| record.sseq / DIGEST_RANGE == range)
        .map(|record| {
            let mut bytes = vec![record.kind, record.flags.0];
            bytes.extend(&record.body);
            let seed = record
                .sseq
                .wrapping_mul(65_536)
                .wrapping_add(u64::from(record.part));
            xxh3_64_with_seed(&bytes, seed)
        })
        .fold(0_u64, u64::wrapping_add);
    sum.max(1)
}

/// A source message put together again: number, and kind and bytes of each body.
pub(crate) type Message = (u64, Vec<(u8, Vec<u8>)>);

/// Puts messages together again and checks parts, flags and the prev chain; `abandoned` are the last
/// numbers of ranges given up, which a record may follow as well.
pub(crate) fn messages(records: &[Taken], first: u64, abandoned: &[u64]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let (mut tip, mut open, mut continued) = (first - 1, None, false);
    for record in records {
        if record.part == 0 {
            assert_eq!(
                open, None,
                "{record:?}: the message before has no last record"
            );
            let follows =
                record.prev == tip || record.prev > tip && abandoned.contains(&record.prev);
            assert!(
                follows && record.prev < record.sseq,
                "{record:?} behind {tip}"
            );
            messages.push((record.sseq, Vec::new()));
        } else {
            assert_eq!(
                open,
                Some((record.sseq, record.part, record.prev)),
                "{record:?}"
            );
        }
        let bodies = &mut messages.last_mut().unwrap().1;
        if continued {
            bodies.last_mut().unwrap().1.extend(&record.body);
        } else {
            bodies.push((record.kind, record.body.clone()));
        }
        continued = record.flags.has(RecordFlags::CONTINUED);
        open = if record.flags.has(RecordFlags::LAST) {
            assert!(!continued);
            tip = record.sseq;
            None
        } else {
            Some((record.sseq, record.part + 1, record.prev))
        };
    }
    assert_eq!(open, None, "the last message has no last record");
    messages
}

pub(crate) const INTERVAL: Duration = Duration::from_millis(10);

pub(crate) fn config() -> SequencerConfig {
    SequencerConfig {
        stream: StreamId(17),
        sid: Sid(1),
        incarnation: Incarnation(99),
        max_datagram: 1_472,
        heartbeat: INTERVAL,
        history: 64,
    }
}

pub(crate) fn sequencer() -> Sequencer {
    Sequencer::new(config()).unwrap()
}

pub(crate) fn at(ms: u64) -> Now {
    Now {
        time: Time(ms * 1_000_000),
        unix_ns: 1_700_000_000_000_000_000 + ms * 1_000_000,
    }
}

pub(crate) fn start(epoch: u64, first: u64, predecessor: u64) -> EpochStart {
    EpochStart {
        epoch: Epoch(epoch),
        first,
        complete: first == 1,
        predecessor: Epoch(predecessor),
    }
}

pub(crate) const OPAQUE: BodyKind = BodyKind::Opaque;
