//! A pair of legs whose administrative messages have names, and a log of what the application was told.
#![allow(dead_code, reason = "each test binary uses its own part of the kit")]
#![allow(
    clippy::unwrap_used,
    reason = "a datagram of the kit that does not fit fails the test"
)]

#[path = "../dice/mod.rs"]
pub(crate) mod dice;
pub(crate) mod world;

use std::time::Duration;

use twinfeed_protocol::*;
use twinfeed_wire::*;

pub(crate) const SID: Sid = Sid(7);

/// One thing the application was told, in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    /// A record of the source: its number, and how many messages stand before it.
    Data(u64, u64),
    /// An administrative message: the generation that originated it, and its number.
    Message(u32, u64),
    /// Source numbers that are missing.
    Gap(u64, u64),
    /// Administrative messages that are missing.
    Missing(u64, u64),
    Join,
    /// What follows counts other messages.
    Recount,
    /// What follows was converted with another memory.
    Context,
    Reset,
    Recovered(u64, u64),
    Ended,
    Other,
}

#[derive(Debug, Default)]
pub(crate) struct Log(pub(crate) Vec<Told>);

impl Handler for Log {
    fn record(&mut self, record: &Delivered<'_>) {
        self.0.push(match record.kind {
            BodyKind::Administrative => {
                let number = u64::from_le_bytes(record.body[..8].try_into().unwrap());
                assert_eq!(number, record.adm.0, "a message stands at its own number");
                let origin = u32::from_le_bytes(record.body[8..12].try_into().unwrap());
                Told::Message(origin, number)
            }
            _ => Told::Data(record.pos.sseq, record.adm.0),
        });
    }

    fn event(&mut self, event: &Event) {
        self.0.push(match event {
            Event::Gap { from, until, .. } => Told::Gap(from.sseq, until.sseq),
            Event::AdministrativeGap { from, until, .. } => Told::Missing(from.0, until.0),
            Event::Recovered { from, until, .. } => Told::Recovered(from.sseq, until.sseq),
            Event::Discontinuity { cause, .. } => match cause {
                DiscontinuityCause::Join => Told::Join,
                DiscontinuityCause::Context { .. } => Told::Context,
                DiscontinuityCause::Administrative => Told::Recount,
                DiscontinuityCause::Divergence { .. } => Told::Other,
            },
            Event::Reset { .. } => Told::Reset,
            Event::Ended { .. } => Told::Ended,
            _ => Told::Other,
        });
    }
}

/// One adapter's stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapter {
    pub(crate) leg: Leg,
    pub(crate) header: Header,
    /// Number of the next source message.
    pub(crate) next: u64,
    pub(crate) inherited: Adm,
}

impl Adapter {
    pub(crate) fn new(leg: Leg) -> Self {
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
        Self {
            leg,
            header,
            next: 1,
            inherited: Adm(0),
        }
    }

    /// Begins a generation that accepts so many numbers of older ones.
    pub(crate) fn open(&mut self, generation: u32, inherited: u64) {
        self.header.generation = Generation(generation);
        self.inherited = Adm(inherited);
        self.header.base_adm = self.header.base_adm.min(self.inherited);
    }

    /// The next `count` source messages in one datagram.
    pub(crate) fn data(&mut self, count: u64) -> Vec<u8> {
        let first = self.next;
        self.next += count;
        let bodies: Vec<_> = (first..self.next)
            .map(|sseq| (sseq, sseq.to_le_bytes()))
            .collect();
        let adm = self.header.base_adm;
        let records = bodies.iter().map(|(sseq, body)| Record {
            kind: BodyKind::Dbn,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: *sseq,
            prev: sseq - 1,
            adm,
            body,
        });
        self.datagram(&records.collect::<Vec<_>>())
    }

    /// The next administrative message, originated under its own generation unless that number was inherited from `of`.
    pub(crate) fn message_of(&mut self, of: u32) -> Vec<u8> {
        let number = self.header.base_adm;
        let mut body = [0; 16];
        body[..8].copy_from_slice(&number.0.to_le_bytes());
        body[8..12].copy_from_slice(&of.to_le_bytes());
        let behind = self.next - 1;
        let bytes = self.datagram(&[Record {
            kind: BodyKind::Administrative,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: behind,
            prev: behind,
            adm: number,
            body: &body,
        }]);
        self.header.base_adm = Adm(number.0 + 1);
        bytes
    }

    pub(crate) fn message(&mut self) -> Vec<u8> {
        self.message_of(self.header.generation.0)
    }

    pub(crate) fn beat(&mut self) -> Vec<u8> {
        self.beat_of(false)
    }

    pub(crate) fn beat_of(&mut self, ended: bool) -> Vec<u8> {
        self.header.dsn.0 += 1;
        let beat = Beat {
            next_sseq: self.next,
            prev: self.next - 1,
            interval_us: 10_000,
            ended,
            inherited: self.inherited,
            ..Beat::default()
        };
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let length = write_heartbeat(&mut buffer, &self.header, &beat, &[]);
        buffer.truncate(length);
        buffer
    }

    fn datagram(&mut self, records: &[Record<'_>]) -> Vec<u8> {
        self.header.dsn.0 += 1;
        let mut buffer = vec![0; DEFAULT_DATAGRAM];
        let header = Header {
            base_sseq: records[0].sseq,
            ..self.header
        };
        let mut writer = Writer::begin(&mut buffer, header);
        for record in records {
            writer.push(record).unwrap();
        }
        let length = writer.finish(self.header.dsn, self.header.flags, 0);
        buffer.truncate(length);
        buffer
    }
}

/// An arbiter of one source stream with its application and its clock.
pub(crate) struct Scene {
    pub(crate) arbiter: Arbiter,
    pub(crate) log: Log,
    pub(crate) now: Time,
}

impl Scene {
    pub(crate) fn new(class: OrderingClass, limits: Limits) -> Self {
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

    pub(crate) fn give(&mut self, leg: Leg, bytes: &[u8]) {
        self.arbiter
            .on_datagram(leg, self.now, bytes, &mut self.log);
    }

    pub(crate) fn data(&mut self, from: &mut Adapter, count: u64) {
        let bytes = from.data(count);
        self.give(from.leg, &bytes);
    }

    pub(crate) fn beat(&mut self, from: &mut Adapter) {
        let bytes = from.beat();
        self.give(from.leg, &bytes);
    }

    pub(crate) fn message(&mut self, from: &mut Adapter) {
        let bytes = from.message();
        self.give(from.leg, &bytes);
    }

    /// Moves the clock, stopping at every deadline on the way.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(due) = self.arbiter.next_deadline().filter(|due| *due <= end) {
            assert!(due > self.now, "a deadline that was met is met");
            self.now = due;
            self.arbiter.on_deadline(self.now, &mut self.log);
        }
        self.now = end;
        self.arbiter.on_deadline(self.now, &mut self.log);
    }

    /// What was told since the last call, without news of legs and switches.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        let mut told = std::mem::take(&mut self.log.0);
        told.retain(|told| *told != Told::Other);
        told
    }
}

pub(crate) const POLICIES: [Policy; 2] = [Policy::FirstArrival, Policy::PreferActive];

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn limits(policy: Policy) -> Limits {
    Limits {
        policy,
        ..Limits::default()
    }
}

/// Generation 1: both legs have brought one record, `common` messages, and another record. Leg 0 is the active.
pub(crate) fn paired(policy: Policy, common: u64) -> (Scene, Adapter, Adapter) {
    let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
    let mut legs = [Adapter::new(Leg::Zero), Adapter::new(Leg::One)];
    for leg in &mut legs {
        scene.beat(leg);
        scene.data(leg, 1);
        for _ in 0..common {
            scene.message(leg);
        }
        scene.data(leg, 1);
        scene.beat(leg);
    }
    let mut expected = vec![Told::Join, Told::Data(1, 0)];
    expected.extend((0..common).map(|number| Told::Message(1, number)));
    expected.push(Told::Data(2, common));
    assert_eq!(scene.told(), expected);
    let [zero, one] = legs;
    (scene, zero, one)
}

/// The same, and leg 0 alone has placed `alone` more: leg 1 lost step, and leg 0 dies.
pub(crate) fn out_of_step(policy: Policy, common: u64, alone: u64) -> (Scene, Adapter, Adapter) {
    let (mut scene, mut zero, one) = paired(policy, common);
    for _ in 0..alone {
        scene.message(&mut zero);
    }
    let expected: Vec<_> = (common..common + alone)
        .map(|number| Told::Message(1, number))
        .collect();
    assert_eq!(scene.told(), expected);
    (scene, zero, one)
}

/// Leg 1 speaks for so many ms, and leg 0 does not.
pub(crate) fn leg_0_is_silent(scene: &mut Scene, one: &mut Adapter, span: u64) {
    for _ in 0..span / 5 {
        scene.pass(ms(5));
        scene.beat(one);
    }
}
