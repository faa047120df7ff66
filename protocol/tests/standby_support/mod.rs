//! What the tests of standby share: two adapters with everything between a source and their datagrams, and a link
//! that keeps the order.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::collections::VecDeque;
use std::time::Duration;

use twinfeed_protocol::pair::{Link, News, Pair, PairLimits, Said};
use twinfeed_protocol::sequencer::{RetainLimits, Sequencer};
use twinfeed_protocol::standby::{Change, Standby, StandbyLimits};
use twinfeed_protocol::{Body, EpochStart, Now, SequencerConfig, Time, Transmit};
use twinfeed_wire::{
    AdminKind, BodyKind, Datagram, Epoch, Flags, Generation, Incarnation, Sid, StreamId,
};

pub(crate) const SID: Sid = Sid(1);
/// Ticks of the virtual clock in a millisecond.
pub(crate) const MS: u64 = 10;

/// Ticks of 100 µs.
pub(crate) const fn at(tick: u64) -> Now {
    Now {
        time: Time(1_000_000_000 + tick * 100_000),
        unix_ns: 1_700_000_000_000_000_000 + tick * 100_000,
    }
}

/// One thing the source does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Begin(u64),
    /// A message of so many records.
    Message(u64, usize),
    End(u64),
}

/// What leaves an adapter.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) said: Vec<Said>,
    pub(crate) wants_generation: bool,
}

impl Transmit for Outbox {
    fn datagram(&mut self, bytes: &[u8]) {
        self.datagrams.push(bytes.to_vec());
    }
}

impl Link for Outbox {
    fn say(&mut self, said: Said) {
        self.said.push(said);
    }

    fn commit(&mut self, said: Said, _: Duration) -> bool {
        self.say(said);
        true
    }

    fn tell(&mut self, news: News) {
        self.wants_generation |= news == News::WantsGeneration;
    }
}

/// Datagrams that carry records.
pub(crate) fn with_records(datagrams: &[Vec<u8>]) -> usize {
    let carries = |bytes: &&Vec<u8>| !Datagram::parse(bytes).unwrap().header().is_heartbeat();
    datagrams.iter().filter(carries).count()
}

/// Source numbers of all records in these datagrams, in order.
pub(crate) fn numbers(datagrams: &[Vec<u8>]) -> Vec<u64> {
    let of = |bytes: &Vec<u8>| -> Vec<u64> {
        let datagram = Datagram::parse(bytes).unwrap();
        datagram.records().map(|record| record.sseq).collect()
    };
    datagrams.iter().flat_map(of).collect()
}

/// Flags of the last datagram.
pub(crate) fn last_flags(datagrams: &[Vec<u8>]) -> Flags {
    Datagram::parse(datagrams.last().unwrap())
        .unwrap()
        .header()
        .flags
}

pub(crate) const RETAIN: RetainLimits = RetainLimits {
    replay: 100,
    records: 4_096,
    bytes: 1 << 20,
};

pub(crate) fn standby_limits() -> StandbyLimits {
    StandbyLimits {
        hold_down: Duration::from_millis(30),
        ..StandbyLimits::default()
    }
}

/// One adapter.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) seq: Sequencer,
    pub(crate) pair: Pair,
    pub(crate) standby: Standby,
    pub(crate) out: Outbox,
    pub(crate) changes: Vec<Change>,
    pub(crate) inbox: VecDeque<(u64, Said)>,
    /// How many acts of the source it has done.
    pub(crate) done: usize,
}

impl Adapter {
    pub(crate) fn new(incarnation: u64, stream: u32, retain: RetainLimits) -> Self {
        let config = SequencerConfig {
            stream: StreamId(stream),
            sid: SID,
            incarnation: Incarnation(incarnation),
            max_datagram: 1_472,
            heartbeat: Duration::from_millis(10),
            history: 4_096,
        };
        Self {
            seq: Sequencer::new(config).unwrap().retaining(retain).unwrap(),
            pair: Pair::new(PairLimits::default()),
            standby: Standby::new(Some(standby_limits())),
            out: Outbox::default(),
            changes: Vec::new(),
            inbox: VecDeque::new(),
            done: 0,
        }
    }

    pub(crate) fn grant(&mut self, tick: u64, generation: u32, active: bool) {
        let (now, generation) = (at(tick), Generation(generation));
        let grant = (generation, active, Time::NEVER);
        self.pair.on_grant(now, grant, &mut self.seq, &mut self.out);
        let change = self
            .standby
            .on_grant(now, (generation, active), &mut self.seq, &mut self.out);
        self.changes.extend(change);
        self.settle(tick);
    }

    pub(crate) fn link_up(&mut self, tick: u64) {
        self.pair.on_link_up(at(tick), &mut self.seq, &mut self.out);
        self.standby.on_link_up();
        self.settle(tick);
    }

    pub(crate) fn link_down(&mut self, tick: u64, gone: bool) {
        self.inbox.clear();
        self.seq.set_peer_lost(at(tick), true, &mut self.out);
        self.pair
            .on_link_down(at(tick), gone, &mut self.seq, &mut self.out);
        let change = self
            .standby
            .on_link_down(at(tick), &mut self.seq, &mut self.out);
        self.changes.extend(change);
        self.settle(tick);
    }

    /// Takes in what has arrived.
    pub(crate) fn hear(&mut self, tick: u64) {
        while self.inbox.front().is_some_and(|(due, _)| *due <= tick) {
            let (_, said) = self.inbox.pop_front().unwrap();
            let report = match &said {
                Said::Report(report) => Some(*report),
                _ => None,
            };
            self.pair
                .on_said(at(tick), said, &mut self.seq, &mut self.out);
            if let Some(report) = report {
                let change =
                    self.standby
                        .on_report(at(tick), &report, &mut self.seq, &mut self.out);
                self.changes.extend(change);
            }
        }
        self.settle(tick);
    }

    /// Converts the next acts.
    pub(crate) fn convert(&mut self, tick: u64, acts: &[Act], count: usize) {
        let until = acts.len().min(self.done + count);
        for act in &acts[self.done.min(until)..until] {
            self.act(tick, *act);
        }
        self.done = until;
    }

    pub(crate) fn work(&mut self, tick: u64, acts: &[Act], count: usize) {
        if !self.pair.is_holding() {
            self.convert(tick, acts, count);
        }
        self.settle(tick);
    }

    pub(crate) fn settle(&mut self, tick: u64) {
        let now = at(tick);
        self.pair.between_batches(now, &mut self.seq, &mut self.out);
        let change = self
            .standby
            .between_batches(now, &mut self.seq, &mut self.out);
        self.changes.extend(change);
        self.seq.flush(now, &mut self.out);
    }

    pub(crate) fn act(&mut self, tick: u64, act: Act) {
        let now = at(tick);
        match act {
            Act::Begin(epoch) => {
                let predecessor = self.seq.epoch().unwrap_or(Epoch::NONE);
                let start = EpochStart {
                    epoch: Epoch(epoch),
                    first: 1,
                    complete: true,
                    predecessor,
                };
                self.seq.begin_epoch(now, start, &mut self.out);
            }
            Act::Message(sseq, parts) => {
                if self.seq.epoch().is_none() {
                    let start = EpochStart {
                        epoch: Epoch(1),
                        first: sseq,
                        complete: false,
                        predecessor: Epoch::NONE,
                    };
                    self.seq.begin_epoch(now, start, &mut self.out);
                }
                let bytes = sseq.to_le_bytes();
                let body = Body {
                    kind: BodyKind::Opaque,
                    bytes: &bytes,
                };
                let bodies = vec![body; parts];
                self.seq
                    .message(now, sseq, 0, bodies.into_iter(), &mut self.out);
            }
            Act::End(next) => self.seq.end_epoch(now, next, &mut self.out),
        }
    }

    /// Originates one message; whether that was taken.
    pub(crate) fn originate(&mut self, tick: u64) -> bool {
        let taken = self
            .pair
            .originate(
                at(tick),
                AdminKind::OperatorNotice,
                b"notice",
                &mut self.seq,
                &mut self.out,
            )
            .is_ok();
        self.settle(tick);
        taken
    }

    pub(crate) fn is_on_standby(&self) -> bool {
        self.seq.is_on_standby()
    }

    pub(crate) fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out.datagrams)
    }
}

/// Hands over what `from` said, to arrive `delay` ticks later, in order.
pub(crate) fn carry(tick: u64, delay: u64, from: &mut Adapter, to: &mut Adapter) {
    for said in from.out.said.drain(..) {
        let last = to.inbox.back().map_or(0, |(due, _)| *due);
        to.inbox.push_back(((tick + delay).max(last), said));
    }
}

/// Both ends say to each other what they have to say.
pub(crate) fn talk(tick: u64, ends: &mut [Adapter; 2]) {
    let [one, other] = ends;
    carry(tick, 0, one, other);
    carry(tick, 0, other, one);
    one.hear(tick);
    other.hear(tick);
}

/// A pair under generation 1 that has said hello.
pub(crate) fn pair(retain: RetainLimits) -> [Adapter; 2] {
    let mut ends = [Adapter::new(1, 10, retain), Adapter::new(2, 11, retain)];
    ends[0].grant(0, 1, true);
    ends[1].grant(0, 1, false);
    ends.iter_mut().for_each(|end| end.link_up(0));
    ends
}

/// Lets both ends do `each` acts per tick until `until`, with a link that needs no time.
pub(crate) fn run(
    ends: &mut [Adapter; 2],
    ticks: std::ops::RangeInclusive<u64>,
    acts: &[Act],
    each: usize,
) {
    for tick in ticks {
        ends.iter_mut().for_each(|end| end.work(tick, acts, each));
        talk(tick, ends);
    }
}

/// One epoch of `count` messages of one record each.
pub(crate) fn acts(count: u64) -> Vec<Act> {
    let messages = (1..=count).map(|sseq| Act::Message(sseq, 1));
    std::iter::once(Act::Begin(1)).chain(messages).collect()
}
