//! What does an application get, whatever two legs send it?
//!
//! Nothing is assumed of the legs: they contradict themselves, each other and the clock. Still a record comes in order
//! and once, a gap lies ahead of what came and behind it nothing comes back, nothing is said after the end, every
//! deadline that was met is met, and nothing is allocated once the sources are there.

use std::time::Duration;

use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::{
    Arbiter, CloseReason, Control, Delivered, Event, Handler, Leg, Limits, OrderingClass, Place,
    Policy, Time,
};
use twinfeed_wire::fill::{Fill, FillRange, LONGEST_REQUEST, Reply, Status, Stretch, write_reply};
use twinfeed_wire::{
    Adm, Beat, BodyKind, ContextId, DIGEST_RANGE, Dsn, Epoch, Flags, Generation, Header,
    Incarnation, Msn, Pos, RangeDigest, Record, RecordFlags, Sid, StreamId, Writer,
    mark_retransmitted, write_heartbeat,
};

use crate::datagram::put_right;
use crate::heap;
use crate::input::Input;
use crate::tape::{Tape, alike};

const ORDERED: Sid = Sid(1);
const UNORDERED: Sid = Sid(2);
/// Every bound is small, so that each is met.
pub(crate) const TINY: Limits = Limits {
    policy: Policy::FirstArrival,
    lag_messages: 16,
    lag_time: Duration::from_millis(20),
    reorder_hold: Duration::from_millis(2),
    held_records: 8,
    held_bytes: 2_400,
    window: 64,
    adm_window: 16,
    seen_window: 64,
    half_messages: 2,
    quarantined_datagrams: 4,
    max_datagram: 1_200,
    heartbeat: Duration::from_millis(10),
    missed_heartbeats: 3,
    hold_down: Duration::from_millis(100),
    health_low: 50,
    health_high: 75,
    agreed_ranges: 1,
    pinned_lag_time: Duration::from_millis(50),
    repair: RepairLimits {
        repair_time: Duration::from_millis(20),
        fill_patience: Duration::from_millis(2),
        fill_attempts: 2,
        fill_range: 16,
        fill_datagrams: 2,
        fill_seed: 0,
    },
};

/// Nobody can be asked for what is missing.
pub(crate) fn run(bytes: &[u8]) {
    course(bytes, None);
}

/// Both legs' adapters can be asked, and answer what they like, asked or not.
pub(crate) fn answered(bytes: &[u8]) {
    course(bytes, Some(Servers::default()));
}

fn course(bytes: &[u8], mut servers: Option<Servers>) {
    let mut input = Input::new(bytes);
    let policy = input.pick(&[Policy::FirstArrival, Policy::PreferActive]);
    let limits = Limits { policy, ..TINY };
    let Ok(mut arbiter) = Arbiter::new(limits) else {
        unreachable!("the limits can be worked with")
    };
    for (sid, class) in [
        (ORDERED, OrderingClass::Ordered),
        (UNORDERED, OrderingClass::Unordered),
    ] {
        arbiter.add_source(sid, class);
        for leg in Leg::BOTH {
            arbiter.set_stream(sid, leg, stream(sid, leg));
            arbiter.set_fill_server(leg, servers.is_some());
        }
    }
    // One that takes every datagram the long way.
    let Ok(mut twin) = Arbiter::new(limits) else {
        unreachable!("the limits can be worked with")
    };
    for (sid, class) in [
        (ORDERED, OrderingClass::Ordered),
        (UNORDERED, OrderingClass::Unordered),
    ] {
        twin.add_source(sid, class);
        for leg in Leg::BOTH {
            twin.set_stream(sid, leg, stream(sid, leg));
            twin.set_fill_server(leg, servers.is_some());
        }
    }
    twin.without_short_ways();
    let mut long = Tape::default();
    let mut watch = Watch::default();
    let mut now = Time(1_000_000_000);
    let mut senders = Senders::default();
    while !input.is_empty() {
        let leg = input.pick(&Leg::BOTH);
        let step = input.byte() % 8;
        let datagram = match step {
            0..=2 => Some(senders.records(leg, &mut input)),
            3 => Some(senders.heartbeat(leg, &mut input)),
            4 => {
                let mut raw = input.run().to_vec();
                put_right(&mut raw);
                Some(raw)
            }
            _ => None,
        };
        let control = (step == 5).then(|| control(leg, &mut input));
        let answer = servers.as_mut().filter(|_| step == 6);
        let answer = answer.map(|servers| servers.answer(leg, &mut senders, &mut input));
        let span = Duration::from_micros(u64::from(input.word()));
        let before = heap::calls();
        watch.allocated = 0;
        let then = now;
        match (&datagram, control, &answer) {
            (Some(datagram), ..) => arbiter.on_datagram(leg, now, datagram, &mut watch),
            (_, Some(control), _) => arbiter.on_control(control, now, &mut watch),
            (_, _, Some(answer)) => arbiter.on_fill(leg, now, answer, &mut watch),
            (None, None, None) => now = pass(&mut arbiter, now, now.after(span), &mut watch),
        }
        let asked = heap::calls() - before - watch.allocated;
        assert_eq!(asked, 0, "the arbiter allocates nothing once it is warm");
        match (&datagram, control, &answer) {
            (Some(datagram), ..) => twin.on_datagram(leg, now, datagram, &mut long),
            (_, Some(control), _) => twin.on_control(control, now, &mut long),
            (_, _, Some(answer)) => twin.on_fill(leg, now, answer, &mut long),
            (None, None, None) => drop(pass(&mut twin, then, then.after(span), &mut long)),
        }
        assert_eq!(watch.tape, long, "what the short ways tell");
        alike(&arbiter, &twin, &[ORDERED, UNORDERED]);
        while let Some(ask) = arbiter.poll_request() {
            let other = twin.poll_request();
            assert_eq!(format!("{other:?}"), format!("{:?}", Some(ask)));
            let Some(servers) = &mut servers else {
                panic!("nobody can be asked: {ask:?}")
            };
            assert!(arbiter.is_asking(), "who asks waits for an answer");
            servers.take(ask);
        }
        assert!(twin.poll_request().is_none(), "nor does it ask for more");
    }
}

/// Who is asked for what is missing.
#[derive(Default)]
struct Servers {
    last: [Option<Ask>; 2],
}

impl Servers {
    fn take(&mut self, ask: Ask) {
        let mut bytes = [0; LONGEST_REQUEST];
        let length = ask.write(&mut bytes);
        match Fill::parse(&bytes[..length]) {
            Ok(Fill::Request(request)) => {
                assert_eq!(request.header(), ask.header());
                assert!(request.ranges().eq(ask.ranges().iter().copied()));
            }
            other => panic!("no server takes {ask:?}: {other:?}"),
        }
        self.last[ask.leg.index()] = Some(ask);
    }

    /// Something that the adapter of `leg` sends to where answers are waited for.
    fn answer(&self, leg: Leg, senders: &mut Senders, input: &mut Input<'_>) -> Vec<u8> {
        let shape = input.byte();
        let asked = self.last[leg.index()];
        match (shape & 7, asked) {
            (0 | 1, Some(ask)) => right(&ask, senders.headers[leg.index()][0].generation, input),
            (2 | 3, Some(ask)) => write_reply(&reply(&ask, input)).to_vec(),
            (4, _) => {
                let mut raw = input.run().to_vec();
                crate::fill::put_right(&mut raw);
                raw
            }
            (5, _) => input.run().to_vec(),
            _ => {
                let mut records = senders.records(leg, input);
                if shape & 8 == 0 {
                    mark_retransmitted(&mut records);
                }
                records
            }
        }
    }
}

/// A datagram of what was asked for, as far as `input` lets it be.
fn right(ask: &Ask, generation: Generation, input: &mut Input<'_>) -> Vec<u8> {
    let header = ask.header();
    let range = input.pick(ask.ranges());
    let (kind, (sseq, part), adm) = match range {
        FillRange::Records { from, .. } => (BodyKind::Dbn, from, Adm(u64::from(input.byte()))),
        FillRange::Messages { from, .. } => (BodyKind::Administrative, (from.0, 0), from),
    };
    let mut buffer = vec![0; TINY.max_datagram];
    let mut writer = Writer::begin(
        &mut buffer,
        Header {
            stream: header.stream,
            generation,
            incarnation: Incarnation(100 + ask.leg.index() as u64),
            first_msn: Msn(1),
            sid: header.sid,
            epoch: header.epoch,
            context: header.context,
            first: 1,
            base_sseq: sseq,
            base_adm: adm,
            ..Header::default()
        },
    );
    for number in 0..u64::from(1 + input.byte() % 4) {
        let sseq = sseq.saturating_add(number);
        let pushed = writer.push(&Record {
            kind,
            flags: RecordFlags::LAST,
            part: if number == 0 { part } else { 0 },
            sseq,
            prev: sseq.saturating_sub(1),
            adm,
            body: &body(sseq, 0),
        });
        if pushed.is_err() {
            break;
        }
    }
    let length = writer.finish(Dsn(1), Flags(0), 0);
    buffer.truncate(length);
    mark_retransmitted(&mut buffer);
    buffer
}

/// What became of a request, or of another one.
fn reply(ask: &Ask, input: &mut Input<'_>) -> Reply {
    let shape = input.byte();
    Reply {
        sid: ask.header().sid,
        stream: ask.header().stream,
        request: ask.header().request.wrapping_add(u64::from(shape >> 6)),
        status: input.pick(&[Status::Sent, Status::Busy, Status::Refused]),
        lacking: if shape & 1 == 0 {
            0
        } else {
            u32::from(input.word())
        },
        stretch: match shape & 0x10 {
            0 => Stretch::default(),
            _ => Stretch {
                from: (u64::from(input.word()), 0),
                until: (u64::from(input.word()), u16::from(input.byte() % 3)),
            },
        },
        retry_after_us: if shape & 2 == 0 {
            100
        } else {
            input.number() as u32
        },
        sent: u32::from(shape >> 2 & 3),
    }
}

/// Visits every deadline up to `end`.
pub(crate) fn pass(
    arbiter: &mut Arbiter,
    mut now: Time,
    end: Time,
    handler: &mut impl Handler,
) -> Time {
    while let Some(due) = arbiter.next_deadline().filter(|due| *due <= end) {
        now = now.max(due);
        arbiter.on_deadline(now, handler);
        let next = arbiter.next_deadline();
        assert!(
            next.is_none_or(|next| next > now),
            "a deadline that was met is met: {next:?} at {now:?}"
        );
    }
    arbiter.on_deadline(end, handler);
    end
}

pub(crate) const fn stream(sid: Sid, leg: Leg) -> StreamId {
    StreamId(10 * sid.0 + leg.index() as u32)
}

fn control(leg: Leg, input: &mut Input<'_>) -> Control {
    match input.byte() % 16 {
        0..=5 => Control::Roles {
            active: leg,
            generation: Generation(u32::from(input.byte() % 4)),
        },
        6..=9 => Control::LocalDrops {
            leg,
            datagrams: input.number() % 1_000,
        },
        10..=14 => Control::Order { to: leg },
        _ => Control::Close(CloseReason::Revoked),
    }
}

/// What each leg said last of each source, which it mostly goes on from.
#[derive(Default)]
struct Senders {
    headers: [[Header; 2]; 2],
}

impl Senders {
    fn header(&mut self, leg: Leg, input: &mut Input<'_>) -> &mut Header {
        let sid = input.pick(&[ORDERED, UNORDERED]);
        let header = &mut self.headers[leg.index()][usize::from(sid == UNORDERED)];
        if header.sid != sid {
            *header = Header {
                stream: stream(sid, leg),
                generation: Generation(1),
                incarnation: Incarnation(100 + leg.index() as u64),
                first_msn: Msn(1),
                sid,
                epoch: Epoch(1),
                context: ContextId(1),
                first: 1,
                base_sseq: 1,
                ..Header::default()
            };
        }
        let change = input.byte();
        let number = if change & 0x0F == 0 {
            0
        } else {
            input.number()
        };
        // One thing at a time changes, if any does.
        match change & 0x0F {
            1 => header.generation = Generation((number % 5) as u32),
            2 => header.incarnation = Incarnation(number),
            3 => (header.epoch, header.base_sseq) = (Epoch(1 + number % 4), 1),
            4 => header.context = ContextId(number % 4),
            5 => header.first = number,
            6 => header.predecessor = Epoch(number % 5),
            7 => header.base_sseq = number,
            8 => header.base_sseq = header.base_sseq.wrapping_add(number),
            9 => header.base_sseq = header.base_sseq.wrapping_sub(number),
            10 => header.base_adm = Adm(number),
            11 => header.base_adm = Adm(header.base_adm.0.wrapping_add(number % 4)),
            12 => header.first_msn = Msn(number),
            13 => header.abandoned = number as u32,
            14 => header.flags = Flags(number as u16 & !Flags::SEALED.0 & !Flags::HEARTBEAT.0),
            15 => header.dsn = Dsn(number),
            _ => {}
        }
        header.dsn = Dsn(header.dsn.0.wrapping_add(1));
        header
    }

    fn records(&mut self, leg: Leg, input: &mut Input<'_>) -> Vec<u8> {
        let header = self.header(leg, input);
        let mut buffer = vec![0; TINY.max_datagram];
        let mut writer = Writer::begin(&mut buffer, *header);
        let (mut sseq, mut part) = (header.base_sseq, 0);
        let mut adm = header.base_adm;
        for _ in 0..input.byte() % 6 {
            let shape = input.byte();
            let last = shape & 1 == 0;
            let kind = input.pick(&[
                BodyKind::Dbn,
                BodyKind::Opaque,
                BodyKind::Administrative,
                BodyKind::Unknown(9),
            ]);
            sseq = sseq.saturating_add(u64::from(shape >> 6));
            let pushed = writer.push(&Record {
                kind,
                flags: if last {
                    RecordFlags::LAST
                } else {
                    RecordFlags(0)
                },
                part,
                sseq,
                prev: sseq.saturating_sub(u64::from(1 + (shape >> 4 & 3))),
                adm,
                body: &body(sseq, part),
            });
            if pushed.is_err() {
                break;
            }
            match (kind, last) {
                (BodyKind::Administrative, _) => adm = Adm(adm.0.saturating_add(1)),
                (_, true) => (sseq, part) = (sseq.saturating_add(1), 0),
                (_, false) => part += 1,
            }
        }
        let count = writer.header().count;
        let length = writer.finish(header.dsn, header.flags, 0);
        header.first_msn = Msn(header.first_msn.0.wrapping_add(u64::from(count)));
        (header.base_sseq, header.base_adm) = (sseq, adm);
        buffer.truncate(length);
        buffer
    }

    fn heartbeat(&mut self, leg: Leg, input: &mut Input<'_>) -> Vec<u8> {
        let header = self.header(leg, input);
        let shape = input.byte();
        let next_sseq = match shape & 3 {
            0 => header.base_sseq,
            1 => header.base_sseq.saturating_add(input.number()),
            _ => input.number(),
        };
        let beat = Beat {
            next_sseq,
            prev: next_sseq.saturating_sub(1 + u64::from(shape >> 2 & 3)),
            predecessor_next: if shape & 16 == 0 { 0 } else { input.number() },
            predecessor_prev: if shape & 32 == 0 { 0 } else { input.number() },
            interval_us: if shape & 64 == 0 {
                10_000
            } else {
                input.number() as u32
            },
            ended: shape & 128 != 0,
            inherited: Adm(if shape & 16 == 0 { 0 } else { input.number() }),
        };
        let digests = [RangeDigest {
            range: next_sseq / DIGEST_RANGE,
            digest: u64::from(shape >> 6),
        }];
        let mut buffer = vec![0; TINY.max_datagram];
        let count = usize::from(shape & 12 == 12);
        let length = write_heartbeat(&mut buffer, header, &beat, &digests[..count]);
        buffer.truncate(length);
        buffer
    }
}

pub(crate) fn body(sseq: u64, part: u16) -> [u8; 16] {
    let mut body = [0; 16];
    body[..8].copy_from_slice(&sseq.to_le_bytes());
    body[8..10].copy_from_slice(&part.to_le_bytes());
    body
}

/// What was told of one source.
#[derive(Debug, Default)]
struct Told {
    epoch: Option<Epoch>,
    /// Of an ordered source: nothing below comes any more. The part is wider than on the wire: one behind the last.
    next: (u64, u32),
    /// Of an unordered source: what came since the last reset, and what was given up.
    came: Vec<(u64, u16)>,
    lost: Vec<(Place, Place)>,
}

/// The application.
#[derive(Default)]
struct Watch {
    told: [Told; 2],
    closed: bool,
    /// All that was told.
    tape: Tape,
    /// How often it asked for memory itself.
    allocated: u64,
}

impl Watch {
    fn told(&mut self, sid: Sid) -> &mut Told {
        assert!(!self.closed, "nothing is told after the end");
        match sid {
            ORDERED => &mut self.told[0],
            UNORDERED => &mut self.told[1],
            other => panic!("nobody asked for source {other}"),
        }
    }

    fn took(&mut self, before: u64) {
        self.allocated += heap::calls() - before;
    }
}

impl Handler for Watch {
    fn record(&mut self, record: &Delivered<'_>) {
        let before = heap::calls();
        self.tape.record(record);
        let Pos {
            sid,
            epoch,
            sseq,
            part,
        } = record.pos;
        let told = self.told(sid);
        assert_eq!(
            told.epoch,
            Some(epoch),
            "{}: told of its epoch before",
            record.pos
        );
        assert_eq!(
            record.body.as_ptr() as usize % 8,
            0,
            "{}: aligned",
            record.pos
        );
        if record.kind == BodyKind::Administrative {
            // It stands behind a number and has none of its own.
        } else if sid == ORDERED {
            let place = (sseq, u32::from(part));
            assert!(
                place >= told.next,
                "{} is behind {:?}",
                record.pos,
                told.next
            );
            told.next = (sseq, u32::from(part) + 1);
            if record.flags.has(RecordFlags::LAST) {
                told.next = (sseq.saturating_add(1), 0);
            }
        } else {
            let place = Place { sseq, part };
            let given_up = told
                .lost
                .iter()
                .any(|(from, until)| (*from..*until).contains(&place));
            assert!(!given_up, "{} was given up before", record.pos);
            match told.came.binary_search(&(sseq, part)) {
                Ok(_) => panic!("{} came twice", record.pos),
                Err(at) => told.came.insert(at, (sseq, part)),
            }
        }
        self.took(before);
    }

    fn event(&mut self, event: &Event) {
        let before = heap::calls();
        self.tape.event(event);
        assert!(!self.closed, "nothing is told after the end");
        match *event {
            Event::Gap {
                sid,
                epoch,
                from,
                until,
                ..
            } => {
                let told = self.told(sid);
                assert_eq!(told.epoch, Some(epoch), "{event:?}");
                assert!(from < until, "{event:?}");
                if sid == ORDERED {
                    assert!((from.sseq, u32::from(from.part)) >= told.next, "{event:?}");
                    told.next = (until.sseq, u32::from(until.part));
                } else {
                    told.lost.push((from, until));
                }
            }
            Event::Discontinuity { sid, epoch, at, .. } => {
                let told = self.told(sid);
                let at = (at.sseq, u32::from(at.part));
                assert!(told.epoch.is_none_or(|before| before == epoch), "{event:?}");
                if sid == ORDERED && told.epoch.is_some() {
                    assert!(at >= told.next, "{event:?}: behind {:?}", told.next);
                }
                (told.epoch, told.next) = (Some(epoch), at);
            }
            Event::Reset { sid, epoch, at, .. } => {
                let told = self.told(sid);
                assert!(told.epoch.is_some(), "{event:?}: of what was never joined");
                *told = Told {
                    epoch: Some(epoch),
                    next: (at.sseq, u32::from(at.part)),
                    ..Told::default()
                };
            }
            Event::AdministrativeGap { from, until, .. } => assert!(from < until, "{event:?}"),
            Event::Recovered { from, until, .. } => assert!(from < until, "{event:?}"),
            Event::Closed { .. } => self.closed = true,
            _ => {}
        }
        self.took(before);
    }
}
