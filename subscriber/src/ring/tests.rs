//! Two source streams with a socket each, an adapter that starts again, a network that lags behind its ring, a reader that comes and goes:
//! does everything reach the application once?

use std::collections::VecDeque;
use std::os::fd::AsFd as _;

use proptest::prelude::*;
use twinfeed_net::ring::{RingConfig, RingWriter};
use twinfeed_protocol::arbiter::OrderingClass;
use twinfeed_protocol::{Delivered, Event};
use twinfeed_wire::{
    Adm, Beat, BodyKind, ContextId, Dsn, Epoch, Flags, Generation, Msn, Record, RecordFlags,
    StreamId, Writer, write_heartbeat,
};

use super::*;

const SIDS: [Sid; 2] = [Sid(1), Sid(2)];
const HEARTBEAT: Duration = Duration::from_millis(10);
/// Datagrams that a socket's buffer holds.
const BUFFER: usize = 24;

/// One life of an adapter: what it sends stands in its ring first.
struct Adapter {
    life: u64,
    ring: RingWriter,
    dsns: [u64; 2],
    next: [u64; 2],
}

impl Adapter {
    /// Goes on behind these numbers.
    fn new(life: u64, next: [u64; 2]) -> Self {
        let config = RingConfig::new(life).slots(4_096).longest(512);
        Self {
            life,
            ring: RingWriter::create(&config).unwrap(),
            dsns: [0; 2],
            next,
        }
    }

    /// So many records of a source stream in one datagram, or a heartbeat.
    fn datagram(&mut self, of: usize, records: u64) -> Vec<u8> {
        let mut buffer = [0; 512];
        self.dsns[of] += 1;
        let (dsn, next) = (Dsn(self.dsns[of]), self.next[of]);
        let header = Header {
            stream: StreamId(10 + of as u32),
            generation: Generation(1),
            incarnation: Incarnation(self.life),
            sid: SIDS[of],
            epoch: Epoch(77),
            context: ContextId(99),
            first: 1,
            base_sseq: next,
            first_msn: Msn(next),
            dsn,
            sent_at: 1_001,
            received_at: if records == 0 { 0 } else { 1_000 },
            ..Header::default()
        };
        let length = if records == 0 {
            let beat = Beat {
                next_sseq: next,
                prev: next - 1,
                interval_us: 10_000,
                ..Beat::default()
            };
            write_heartbeat(&mut buffer, &header, &beat, &[])
        } else {
            let mut writer = Writer::begin(&mut buffer, header);
            for sseq in next..next + records {
                let record = Record {
                    kind: BodyKind::Opaque,
                    flags: RecordFlags::LAST,
                    part: 0,
                    sseq,
                    prev: sseq - 1,
                    adm: Adm(0),
                    body: &sseq.to_le_bytes(),
                };
                writer.push(&record).unwrap();
            }
            self.next[of] += records;
            writer.finish(dsn, Flags::default(), 1_001)
        };
        self.ring.push(&buffer[..length]).unwrap();
        buffer[..length].to_vec()
    }
}

#[derive(Default)]
struct Told {
    records: [Vec<u64>; 2],
    gaps: u64,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records[record.pos.sid.0 as usize - 1].push(record.pos.sseq);
    }

    fn event(&mut self, event: &Event) {
        self.gaps += u64::from(matches!(event, Event::Gap { .. }));
    }
}

/// A socket: what it is told to refuse it does not keep, and what finds it full is gone.
#[derive(Default)]
struct Socket {
    waiting: VecDeque<Vec<u8>>,
    refused: Option<Incarnation>,
    lost: u64,
}

impl Socket {
    fn arrives(&mut self, datagram: Vec<u8>) {
        let life = Header::parse(&datagram).unwrap().incarnation;
        if self.refused == Some(life) {
            return;
        }
        if self.waiting.len() == BUFFER {
            self.lost += 1;
            return;
        }
        self.waiting.push_back(datagram);
    }
}

/// A subscriber of one leg.
struct Subscriber {
    arbiter: Arbiter,
    ring: Option<LegRing>,
    sockets: [Socket; 2],
    received: [LegReceived; 2],
    told: Told,
    at: Time,
}

impl Subscriber {
    fn new() -> Self {
        let mut arbiter = Arbiter::new(limits()).unwrap();
        for (index, sid) in SIDS.into_iter().enumerate() {
            arbiter.add_source(sid, OrderingClass::Ordered);
            arbiter.set_stream(sid, Leg::Zero, StreamId(10 + index as u32));
        }
        Self {
            arbiter,
            ring: None,
            sockets: Default::default(),
            received: [LegReceived::default(); 2],
            told: Told::default(),
            at: Time(1_000_000_000),
        }
    }

    /// What a grant with this ring, or with none, does.
    fn give(&mut self, adapter: Option<&Adapter>) {
        // First: what arrives from here on is not in the ring for anybody who reads it to its end.
        for socket in &mut self.sockets {
            socket.refused = None;
        }
        if let Some(old) = &mut self.ring {
            old.finish(
                &mut self.arbiter,
                self.at,
                &mut self.received,
                &mut self.told,
            );
        }
        let open = |adapter: &Adapter| {
            let most = RingReader::DEFAULT_MOST_BYTES;
            let reader = RingReader::open(adapter.ring.as_fd(), most).unwrap();
            LegRing::new(Leg::Zero, reader, None, &limits())
        };
        self.ring = adapter.map(open);
    }

    /// Takes at most so many of a socket; whether it is empty.
    fn read(&mut self, of: usize, most: usize) -> bool {
        for _ in 0..most {
            let Some(datagram) = self.sockets[of].waiting.pop_front() else {
                return true;
            };
            let (arbiter, told) = (&mut self.arbiter, &mut self.told);
            arbiter.on_datagram(Leg::Zero, self.at, &datagram, told);
        }
        self.sockets[of].waiting.is_empty()
    }

    /// One poll, as `feed` does it: few datagrams of each socket, and then the ring.
    fn poll(&mut self) {
        let mut all_read = true;
        if self.ring.as_ref().is_none_or(LegRing::reads_sockets) {
            for of in 0..2 {
                self.sockets[of].refused = None;
                all_read &= self.read(of, 3);
            }
        }
        if let Some(mut ring) = self.ring.take() {
            let (arbiter, told) = (&mut self.arbiter, &mut self.told);
            ring.receive(arbiter, self.at, &mut self.received, (all_read, told));
            if ring.looks_beside(self.at) {
                for of in 0..2 {
                    self.sockets[of].refused = Some(ring.life());
                    let before = self.arbiter.replacements(Leg::Zero);
                    self.read(of, usize::MAX);
                    if self.arbiter.replacements(Leg::Zero) != before {
                        ring.outlived(self.at, &mut self.received);
                    }
                }
            }
            self.ring = Some(ring).filter(|ring| ring.state() != RingState::Left);
        }
        if self
            .arbiter
            .next_deadline()
            .is_some_and(|due| due <= self.at)
        {
            self.arbiter.on_deadline(self.at, &mut self.told);
        }
    }

    fn state(&self) -> RingState {
        self.ring.as_ref().map_or(RingState::Absent, LegRing::state)
    }
}

fn limits() -> Limits {
    Limits {
        heartbeat: HEARTBEAT,
        missed_heartbeats: 3,
        ..Limits::default()
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A datagram of a source stream with so many records is sent; none: a heartbeat.
    Send(usize, u64),
    /// So many datagrams that were sent arrive.
    Arrive(usize),
    /// The application polls.
    Poll,
    /// Time passes, ms.
    Pass(u64),
    /// The ring is given, once more perhaps.
    Join,
    /// It is taken away.
    Part,
    /// The adapter dies and starts again; nobody names its ring.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_usize..2, 0_u64..4).prop_map(|(of, records)| Step::Send(of, records)),
        6 => (0_usize..8).prop_map(Step::Arrive),
        8 => Just(Step::Poll),
        2 => (0_u64..12).prop_map(Step::Pass),
        1 => (30_u64..50).prop_map(Step::Pass),
        2 => Just(Step::Join),
        1 => Just(Step::Part),
        1 => Just(Step::Restart),
    ]
}

struct World {
    adapter: Adapter,
    subscriber: Subscriber,
    network: VecDeque<(usize, Vec<u8>)>,
}

impl World {
    /// Both source streams have begun, and the subscriber has heard so.
    fn new() -> Self {
        let mut world = Self {
            adapter: Adapter::new(7, [1; 2]),
            subscriber: Subscriber::new(),
            network: VecDeque::new(),
        };
        world.begin();
        world.settle();
        world
    }

    fn send(&mut self, of: usize, records: u64) {
        let datagram = self.adapter.datagram(of, records);
        self.network.push_back((of, datagram));
    }

    fn begin(&mut self) {
        for of in [0, 1, 0, 1, 0, 1, 0, 1] {
            self.send(of, 0);
        }
    }

    /// So many datagrams arrive; an application that is about to lose some polls.
    fn arrive(&mut self, count: usize) {
        for _ in 0..count.min(self.network.len()) {
            let Some((of, datagram)) = self.network.pop_front() else {
                return;
            };
            for _ in 0..BUFFER {
                if self.subscriber.sockets[of].waiting.len() < BUFFER {
                    break;
                }
                // A buffer holds more than comes in a millisecond.
                self.subscriber.at = self.subscriber.at.after(LOOK_BESIDE);
                self.subscriber.poll();
            }
            self.subscriber.sockets[of].arrives(datagram);
        }
    }

    /// Everything arrives and is taken.
    fn settle(&mut self) {
        self.arrive(usize::MAX);
        for _ in 0..30 {
            self.subscriber.poll();
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send(of, records) => self.send(of, records),
            Step::Arrive(count) => self.arrive(count),
            Step::Poll => self.subscriber.poll(),
            Step::Pass(ms) => {
                // No network of one host takes as long as a leg may be silent.
                self.settle();
                self.subscriber.at = Time(self.subscriber.at.0 + ms * 1_000_000);
            }
            Step::Join => self.subscriber.give(Some(&self.adapter)),
            Step::Part => self.subscriber.give(None),
            Step::Restart => {
                let next = Adapter::new(self.adapter.life + 1, self.adapter.next);
                let old = std::mem::replace(&mut self.adapter, next);
                drop(old);
                self.begin();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Nothing is lost on the way, so nothing is missing, whenever the ring is joined, left, silent or replaced, and however far the network is
    /// behind it; and no socket runs over while the application takes what it is to take.
    #[test]
    fn what_is_sent_is_told_once_and_in_order_whichever_way_it_comes(
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        for of in 0..2 {
            world.send(of, 1);
        }
        for _ in 0..4 {
            world.settle();
            world.subscriber.at = Time(world.subscriber.at.0 + 31_000_000);
        }
        let lost: u64 = world.subscriber.sockets.iter().map(|it| it.lost).sum();
        prop_assert_eq!(lost, 0, "a socket ran over");
        for of in 0..2 {
            let whole: Vec<u64> = (1..world.adapter.next[of]).collect();
            prop_assert_eq!(&world.subscriber.told.records[of], &whole);
        }
        prop_assert_eq!(world.subscriber.told.gaps, 0);
    }

    /// After the hand-over no more comes both ways than the sockets had beyond the first.
    #[test]
    fn what_comes_both_ways_is_what_the_sockets_were_ahead(after in 1_u64..40) {
        let mut world = World::new();
        world.subscriber.give(Some(&world.adapter));
        for number in 0..after {
            world.send((number % 2) as usize, 1);
            world.arrive(usize::MAX);
            world.subscriber.poll();
        }
        world.settle();
        prop_assert_eq!(world.subscriber.state(), RingState::Reading);
        prop_assert!(world.subscriber.arbiter.counters().replayed < after);
        let told = world.subscriber.told.records.iter().map(Vec::len).sum::<usize>();
        prop_assert_eq!(told as u64, after);
    }
}

/// A world whose leg is read from its ring.
fn reading() -> World {
    let mut world = World::new();
    world.subscriber.give(Some(&world.adapter));
    for of in 0..2 {
        world.send(of, 1);
        world.settle();
    }
    assert_eq!(world.subscriber.state(), RingState::Reading);
    world
}

#[test]
fn the_ring_is_met_when_no_socket_of_the_leg_has_anything_left() {
    let mut world = World::new();
    // One socket has a backlog, and the other one brings the first of the ring.
    for _ in 0..BUFFER {
        world.send(0, 1);
    }
    world.subscriber.give(Some(&world.adapter));
    world.send(1, 1);
    world.arrive(usize::MAX);
    world.subscriber.poll();
    world.subscriber.poll();
    assert_eq!(world.subscriber.state(), RingState::Meeting);
    world.settle();
    assert_eq!(world.subscriber.state(), RingState::Reading);
    assert_eq!(world.subscriber.told.records[0].len(), BUFFER);
}

#[test]
fn another_life_is_heard_although_the_one_that_was_stopped_goes_on() {
    let mut world = reading();
    // It stands still; another one takes its place, and speaks of one source stream only.
    world.subscriber.at = Time(world.subscriber.at.0 + 31_000_000);
    world.subscriber.poll();
    assert_eq!(world.subscriber.state(), RingState::Quiet);
    let next = Adapter::new(8, world.adapter.next);
    let mut stopped = std::mem::replace(&mut world.adapter, next);
    for _ in 0..4 {
        world.send(0, 0);
    }
    world.send(0, 1);
    world.settle();
    assert_eq!(world.subscriber.state(), RingState::Absent, "it was left");
    // What goes on is of the other source stream at first.
    for _ in 0..5 {
        let _ = stopped.datagram(1, 0);
        world.send(0, 1);
        world.settle();
    }
    assert_eq!(world.subscriber.told.records[0].len(), 1 + 6);
}

#[test]
fn one_that_is_read_and_goes_on_does_not_hide_another_life() {
    let mut world = reading();
    let next = Adapter::new(8, world.adapter.next);
    let mut other = std::mem::replace(&mut world.adapter, next);
    // Both speak: the old one into its ring, the new one into sockets.
    for round in 0..50 {
        let _ = other.datagram(1, 0);
        world.send(0, u64::from(round >= 4));
        world.arrive(usize::MAX);
        world.subscriber.poll();
        world.subscriber.at = Time(world.subscriber.at.0 + 2_000_000);
    }
    assert_eq!(world.subscriber.state(), RingState::Absent);
    assert_eq!(world.subscriber.told.records[0].len(), 1 + 46);
}

#[test]
fn what_a_ring_still_has_is_told_before_it_is_replaced() {
    let mut world = reading();
    for _ in 0..200 {
        world.send(0, 1);
    }
    // The network brings nothing of it.
    world.network.clear();
    world.subscriber.give(None);
    assert_eq!(world.subscriber.told.records[0].len(), 1 + 200);
}

#[test]
fn a_datagram_that_is_too_long_for_the_feed_is_counted_and_goes_no_further() {
    let mut world = reading();
    let ring = world.subscriber.ring.as_mut().unwrap();
    ring.set_longest(8);
    let before = world.subscriber.arbiter.counters().datagrams;
    world.send(0, 1);
    world.subscriber.poll();
    assert_eq!(world.subscriber.received[0].too_long, 1);
    assert_eq!(world.subscriber.arbiter.counters().datagrams, before);
}
