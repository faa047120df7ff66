//! A pair of legs made by hand, and a log of what the application was told.
#![allow(unreachable_pub, reason = "a module of test binaries")]
#![allow(dead_code, reason = "each test binary uses its own part of the kit")]
#![allow(
    clippy::unwrap_used,
    reason = "a datagram of the kit that does not fit fails the test"
)]

pub mod content;
pub mod feed;

use std::time::Duration;

use twinfeed_protocol::{
    Arbiter, Control, Delivered, Event, GapCause, Handler, Leg, Limits, OrderingClass, Place,
    Receipt, Time,
};
use twinfeed_wire::*;

/// One thing the application was told, in short.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Record(u64, u16, Leg),
    Event(Event),
}

#[derive(Default, Debug)]
pub struct Log(pub Vec<Told>);

impl Handler for Log {
    fn record(&mut self, record: &Delivered<'_>) {
        let expected = body(record.pos.sseq, record.pos.part);
        assert_eq!(record.body, expected, "content of {}", record.pos);
        assert_eq!(
            record.body.as_ptr() as usize % 8,
            0,
            "alignment of {}",
            record.pos
        );
        self.0
            .push(Told::Record(record.pos.sseq, record.pos.part, record.leg));
    }

    fn event(&mut self, event: &Event) {
        self.0.push(Told::Event(*event));
    }
}

pub fn body(sseq: u64, part: u16) -> [u8; 16] {
    let mut body = [0; 16];
    body[..8].copy_from_slice(&sseq.to_le_bytes());
    body[8..10].copy_from_slice(&part.to_le_bytes());
    body
}

/// A record: (sseq, part, last, prev).
pub type R = (u64, u16, bool, u64);

/// Whole messages of one part, each following the one before.
pub fn run(numbers: std::ops::RangeInclusive<u64>) -> Vec<R> {
    numbers.map(|sseq| (sseq, 0, true, sseq - 1)).collect()
}

/// What one adapter's datagrams say of it.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub leg: Leg,
    pub header: Header,
}

impl Sender {
    pub fn new(leg: Leg) -> Self {
        let header = Header {
            stream: StreamId(10 + leg.index() as u32),
            generation: Generation(1),
            incarnation: Incarnation(100 + leg.index() as u64),
            first_msn: Msn(1),
            sid: SID,
            epoch: Epoch(1),
            context: ContextId(1),
            first: 1,
            ..Header::default()
        };
        Self { leg, header }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }

    pub fn records(&mut self, records: &[R]) -> Vec<u8> {
        self.header.dsn.0 += 1;
        let base_sseq = records.iter().map(|r| r.0).min().unwrap();
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let mut writer = Writer::begin(
            &mut buffer,
            Header {
                base_sseq,
                ..self.header
            },
        );
        for &(sseq, part, last, prev) in records {
            let flags = if last {
                RecordFlags::LAST
            } else {
                RecordFlags(0)
            };
            let (kind, adm) = (BodyKind::Dbn, self.header.base_adm);
            let body = &body(sseq, part);
            writer
                .push(&Record {
                    kind,
                    flags,
                    part,
                    sseq,
                    prev,
                    adm,
                    body,
                })
                .unwrap();
        }
        let length = writer.finish(self.header.dsn, self.header.flags, 0);
        self.header.first_msn.0 += records.len() as u64;
        buffer.truncate(length);
        buffer
    }

    /// The administrative message that counts `adm` before it and stands behind the number `behind`.
    pub fn administrative(&mut self, behind: u64, adm: Adm) -> Vec<u8> {
        self.header.dsn.0 += 1;
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let header = Header {
            base_sseq: behind,
            base_adm: adm,
            ..self.header
        };
        let mut writer = Writer::begin(&mut buffer, header);
        writer
            .push(&Record {
                kind: BodyKind::Administrative,
                flags: RecordFlags::LAST,
                part: 0,
                sseq: behind,
                prev: behind,
                adm,
                body: &body(behind, 0),
            })
            .unwrap();
        let length = writer.finish(self.header.dsn, self.header.flags, 0);
        buffer.truncate(length);
        buffer
    }

    pub fn heartbeat(&mut self, beat: Beat) -> Vec<u8> {
        self.header.dsn.0 += 1;
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let length = write_heartbeat(&mut buffer, &self.header, &beat, &[]);
        buffer.truncate(length);
        buffer
    }
}

pub const SID: Sid = Sid(7);

/// An arbiter of one source stream with its application and its clock.
pub struct Kit {
    pub arbiter: Arbiter,
    pub log: Log,
    pub now: Time,
}

impl Kit {
    pub fn new(limits: Limits) -> Self {
        Self::of(OrderingClass::Ordered, limits)
    }

    pub fn of(class: OrderingClass, limits: Limits) -> Self {
        let mut arbiter = Arbiter::new(limits).unwrap();
        arbiter.add_source(SID, class);
        for leg in Leg::BOTH {
            arbiter.set_stream(SID, leg, StreamId(10 + leg.index() as u32));
        }
        Self {
            arbiter,
            log: Log::default(),
            now: Time(1_000_000_000),
        }
    }

    pub fn give(&mut self, leg: Leg, bytes: &[u8]) {
        self.arbiter
            .on_datagram(leg, self.now, bytes, &mut self.log);
    }

    pub fn records(&mut self, sender: &mut Sender, records: &[R]) {
        let bytes = sender.records(records);
        self.give(sender.leg, &bytes);
    }

    pub fn beat(&mut self, sender: &mut Sender, prev: u64, next_sseq: u64) {
        self.beat_of(
            sender,
            Beat {
                next_sseq,
                prev,
                interval_us: 10_000,
                ..Beat::default()
            },
        );
    }

    pub fn beat_of(&mut self, sender: &mut Sender, beat: Beat) {
        let bytes = sender.heartbeat(beat);
        self.give(sender.leg, &bytes);
    }

    pub fn control(&mut self, control: Control) {
        self.arbiter.on_control(control, self.now, &mut self.log);
    }

    /// Moves the clock, stopping at every deadline on the way.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(due) = self.arbiter.next_deadline().filter(|due| *due <= end) {
            // After a pause it may have been due for a while.
            self.now = self.now.max(due);
            self.arbiter.on_deadline(self.now, &mut self.log);
            let next = self.arbiter.next_deadline();
            assert!(
                next.is_none_or(|due| due > self.now),
                "a deadline that was met is met"
            );
        }
        self.now = end;
        self.arbiter.on_deadline(self.now, &mut self.log);
    }

    /// What was told since the last call, without news of legs.
    pub fn told(&mut self) -> Vec<Told> {
        let mut told = std::mem::take(&mut self.log.0);
        told.retain(|told| !matches!(told, Told::Event(Event::Leg { .. })));
        told
    }

    /// The numbers delivered since the last call; panics when anything but records was told.
    pub fn numbers(&mut self) -> Vec<u64> {
        let only = |told: Told| match told {
            Told::Record(sseq, ..) => sseq,
            Told::Event(event) => panic!("unexpected {event:?}"),
        };
        self.told().into_iter().map(only).collect()
    }

    /// Both legs bring 1..=`last`; the join is consumed.
    pub fn joined(&mut self, zero: &mut Sender, one: &mut Sender, last: u64) {
        self.records(zero, &run(1..=last));
        self.records(one, &run(1..=last));
        let told = self.told();
        assert!(
            matches!(told[0], Told::Event(Event::Discontinuity { .. })),
            "{told:?}"
        );
        assert_eq!(told.len() as u64, last + 1);
    }
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An ordered source and the senders of both legs.
pub fn ordered(limits: Limits) -> (Kit, Sender, Sender) {
    legs(OrderingClass::Ordered, limits)
}

/// The same, without order.
pub fn unordered(limits: Limits) -> (Kit, Sender, Sender) {
    legs(OrderingClass::Unordered, limits)
}

/// The same, after both legs brought and vouched for 1 to 3.
pub fn unordered_joined(limits: Limits) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = unordered(limits);
    kit.joined(&mut zero, &mut one, 3);
    beats(&mut kit, [&mut zero, &mut one], 3, 4);
    (kit, zero, one)
}

pub fn legs(class: OrderingClass, limits: Limits) -> (Kit, Sender, Sender) {
    let kit = Kit::of(class, limits);
    (kit, Sender::new(Leg::Zero), Sender::new(Leg::One))
}

pub fn beats(kit: &mut Kit, senders: [&mut Sender; 2], prev: u64, next: u64) {
    for sender in senders {
        kit.beat(sender, prev, next);
    }
}

/// Both legs vouch for everything up to `last` until nothing waits any more.
pub fn vouch_to_the_end(kit: &mut Kit, [zero, one]: [&mut Sender; 2], last: u64) {
    for _ in 0..20 {
        beats(kit, [zero, one], last, last + 1);
        kit.pass(ms(5));
    }
}

pub fn at(sseq: u64, part: u16) -> Place {
    Place { sseq, part }
}

/// A gap of whole messages in the first epoch.
pub fn gap(from: u64, until: u64, cause: GapCause) -> Told {
    gap_of(at(from, 0), at(until, 0), cause)
}

pub fn gap_of(from: Place, until: Place, cause: GapCause) -> Told {
    Told::Event(Event::Gap {
        sid: SID,
        epoch: Epoch(1),
        from,
        until,
        cause,
    })
}

pub fn lost(from: u64, until: u64) -> Told {
    gap(from, until, GapCause::LostOnEveryLeg)
}

pub fn switches(told: &[Told]) -> Vec<Receipt> {
    told.iter()
        .filter_map(|told| match told {
            Told::Event(Event::Switched(receipt)) => Some(*receipt),
            _ => None,
        })
        .collect()
}
