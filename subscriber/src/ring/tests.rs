//! A network that lags behind the ring, loses, and falls silent; a reader that comes and goes: does everything reach the application once?

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

const SID: Sid = Sid(1);
const STREAM: StreamId = StreamId(10);
const HEARTBEAT: Duration = Duration::from_millis(10);

/// One adapter: what it sends stands in its ring first.
struct Adapter {
    ring: RingWriter,
    header: Header,
    dsn: u64,
    next: u64,
}

impl Adapter {
    fn new(life: u64, slots: usize) -> Self {
        let ring = RingWriter::create(&RingConfig::new(life).slots(slots).longest(512)).unwrap();
        let header = Header {
            stream: STREAM,
            generation: Generation(1),
            incarnation: Incarnation(life),
            sid: SID,
            epoch: Epoch(77),
            context: ContextId(99),
            first: 1,
            received_at: 1_000,
            ..Header::default()
        };
        Self {
            ring,
            header,
            dsn: 0,
            next: 1,
        }
    }

    /// So many records in one datagram, or a heartbeat.
    fn datagram(&mut self, records: u64) -> Vec<u8> {
        let mut buffer = [0; 512];
        self.dsn += 1;
        let header = Header {
            base_sseq: self.next,
            first_msn: Msn(self.next),
            dsn: Dsn(self.dsn),
            sent_at: 1_001,
            ..self.header
        };
        let length = if records == 0 {
            let beat = Beat {
                next_sseq: self.next,
                prev: self.next - 1,
                interval_us: 10_000,
                ..Beat::default()
            };
            let header = Header {
                received_at: 0,
                ..header
            };
            write_heartbeat(&mut buffer, &header, &beat, &[])
        } else {
            let mut writer = Writer::begin(&mut buffer, header);
            for _ in 0..records {
                let record = Record {
                    kind: BodyKind::Opaque,
                    flags: RecordFlags::LAST,
                    part: 0,
                    sseq: self.next,
                    prev: self.next - 1,
                    adm: Adm(0),
                    body: &self.next.to_le_bytes(),
                };
                writer.push(&record).unwrap();
                self.next += 1;
            }
            writer.finish(Dsn(self.dsn), Flags::default(), 1_001)
        };
        self.ring.push(&buffer[..length]).unwrap();
        buffer[..length].to_vec()
    }
}

#[derive(Default)]
struct Told {
    records: Vec<u64>,
    gaps: Vec<(u64, u64)>,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records.push(record.pos.sseq);
    }

    fn event(&mut self, event: &Event) {
        if let Event::Gap { from, until, .. } = event {
            self.gaps.push((from.sseq, until.sseq));
        }
    }
}

/// A subscriber of one leg, whose socket is a queue.
struct Subscriber {
    arbiter: Arbiter,
    ring: Option<LegRing>,
    received: [LegReceived; 2],
    told: Told,
    at: Time,
}

impl Subscriber {
    fn new() -> Self {
        let limits = limits();
        let mut arbiter = Arbiter::new(limits).unwrap();
        arbiter.add_source(SID, OrderingClass::Ordered);
        arbiter.set_stream(SID, Leg::Zero, STREAM);
        Self {
            arbiter,
            ring: None,
            received: [LegReceived::default(); 2],
            told: Told::default(),
            at: Time(1_000_000_000),
        }
    }

    fn join(&mut self, adapter: &Adapter) {
        let most = RingReader::DEFAULT_MOST_BYTES;
        let reader = RingReader::open(adapter.ring.as_fd(), most).unwrap();
        self.ring = Some(LegRing::new(Leg::Zero, reader, None, &limits()));
    }

    /// One poll: as many of the socket's datagrams as have come, and the ring's.
    fn poll(&mut self, socket: &mut VecDeque<Vec<u8>>) {
        let sockets = self.ring.as_ref().is_none_or(LegRing::reads_sockets);
        while sockets && let Some(datagram) = socket.pop_front() {
            let (arbiter, told) = (&mut self.arbiter, &mut self.told);
            arbiter.on_datagram(Leg::Zero, self.at, &datagram, told);
        }
        if let Some(ring) = &mut self.ring {
            let (arbiter, told) = (&mut self.arbiter, &mut self.told);
            ring.receive(arbiter, self.at, &mut self.received, told);
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
    /// A datagram of so many records is sent; none: a heartbeat.
    Send(u64),
    /// So many datagrams that were sent arrive at the socket.
    Arrive(usize),
    /// The application polls.
    Poll,
    /// Time passes, ms.
    Pass(u64),
    /// The ring is joined, once more perhaps.
    Join,
    /// The ring is taken away.
    Part,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u64..4).prop_map(Step::Send),
        6 => (0_usize..5).prop_map(Step::Arrive),
        8 => Just(Step::Poll),
        2 => (0_u64..12).prop_map(Step::Pass),
        1 => (30_u64..50).prop_map(Step::Pass),
        1 => Just(Step::Join),
        1 => Just(Step::Part),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing is lost on the way, so nothing is missing, whenever the ring is joined, left, silent, and however far the network is behind it.
    #[test]
    fn what_is_sent_is_told_once_and_in_order_whichever_way_it_comes(
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut adapter = Adapter::new(7, 1_024);
        let mut subscriber = Subscriber::new();
        let (mut network, mut socket) = (VecDeque::new(), VecDeque::new());
        // An epoch begins with heartbeats; the subscriber hears them before it knows of a ring.
        for _ in 0..4 {
            socket.push_back(adapter.datagram(0));
        }
        subscriber.poll(&mut socket);
        for step in steps {
            match step {
                Step::Send(records) => network.push_back(adapter.datagram(records)),
                Step::Arrive(count) => {
                    let count = count.min(network.len());
                    socket.extend(network.drain(..count));
                }
                Step::Poll => subscriber.poll(&mut socket),
                Step::Pass(ms) => {
                    // No network of one host takes as long as a leg may be silent.
                    socket.append(&mut network);
                    subscriber.poll(&mut socket);
                    subscriber.at = Time(subscriber.at.0 + ms * 1_000_000);
                }
                Step::Join => subscriber.join(&adapter),
                Step::Part => {
                    subscriber.ring = None;
                    // What the socket was not asked for meanwhile is still there.
                }
            }
        }
        // The network catches up, and the application with it.
        network.push_back(adapter.datagram(1));
        socket.append(&mut network);
        for _ in 0..4 {
            for _ in 0..20 {
                subscriber.poll(&mut socket);
            }
            subscriber.at = Time(subscriber.at.0 + 31_000_000);
        }
        let whole: Vec<u64> = (1..adapter.next).collect();
        prop_assert_eq!(&subscriber.told.records, &whole);
        prop_assert_eq!(&subscriber.told.gaps, &[]);
    }

    /// A socket in order that loses nothing, and a ring that never falls silent: no more comes both ways than the sockets had beyond the first.
    #[test]
    fn what_comes_both_ways_is_what_the_sockets_were_ahead(
        before in 1_usize..10,
        lag in 0_usize..10,
        after in 1_usize..40,
    ) {
        let mut adapter = Adapter::new(7, 1_024);
        let mut subscriber = Subscriber::new();
        let mut socket: VecDeque<_> = (0..4).map(|_| adapter.datagram(0)).collect();
        let mut network = VecDeque::new();
        for _ in 0..before {
            network.push_back(adapter.datagram(1));
        }
        subscriber.join(&adapter);
        for number in 0..after {
            network.push_back(adapter.datagram(1));
            if network.len() > lag || number + 1 == after {
                let arrived = if number + 1 == after { network.len() } else { 1 };
                socket.extend(network.drain(..arrived));
            }
            subscriber.poll(&mut socket);
        }
        subscriber.poll(&mut socket);
        subscriber.poll(&mut socket);
        prop_assert_eq!(subscriber.state(), RingState::Reading);
        prop_assert_eq!(subscriber.told.records.len() as u64, adapter.next - 1);
        prop_assert!(subscriber.arbiter.counters().replayed < after as u64);
        let whole: Vec<u64> = (1..adapter.next).collect();
        prop_assert_eq!(&subscriber.told.records, &whole);
    }
}

#[test]
fn a_datagram_that_is_too_long_for_the_feed_is_counted_and_goes_no_further() {
    let mut adapter = Adapter::new(7, 64);
    let mut subscriber = Subscriber::new();
    let mut socket: VecDeque<_> = (0..4).map(|_| adapter.datagram(0)).collect();
    subscriber.poll(&mut socket);
    subscriber.join(&adapter);
    socket.push_back(adapter.datagram(1));
    for _ in 0..3 {
        subscriber.poll(&mut socket);
    }
    assert_eq!(subscriber.state(), RingState::Reading);
    let ring = subscriber.ring.as_mut().unwrap();
    ring.set_longest(8);
    let before = subscriber.arbiter.counters().datagrams;
    adapter.datagram(1);
    subscriber.poll(&mut socket);
    assert_eq!(subscriber.received[0].too_long, 1);
    assert_eq!(subscriber.arbiter.counters().datagrams, before);
}
