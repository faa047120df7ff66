//! What the pair's tests share: two ends, one source that both convert at their own pace, and a link that
//! keeps the order. What came out is read back from the datagrams, with no code of the pair's.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

pub(crate) mod quiet;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use twinfeed_protocol::pair::{Link, News, Pair, PairLimits, PairState, Said};
use twinfeed_protocol::sequencer::Sequencer;
use twinfeed_protocol::{Body, EpochStart, Now, SequencerConfig, Time, Transmit};
use twinfeed_wire::{
    AdminKind, BodyKind, Datagram, Epoch, Flags, Generation, Incarnation, Msn, Sid, StreamId,
};

/// Ticks of the virtual clock, 10 µs each.
pub(crate) const fn at(tick: u64) -> Now {
    Now {
        time: Time(1_000_000 + tick * 10_000),
        unix_ns: 1_700_000_000_000_000_000 + tick * 10_000,
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

/// Where an administrative message came out: behind which number of which epoch, and its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Out {
    pub(crate) epoch: u64,
    pub(crate) sseq: u64,
    pub(crate) generation: u32,
    pub(crate) alone: bool,
}

/// What one end sent, said and told.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) said: Vec<Said>,
    pub(crate) news: Vec<News>,
    /// Every placing of every number.
    pub(crate) placed: BTreeMap<u64, Vec<Out>>,
    /// `adm` of every record of the source, by (epoch, sseq, part).
    pub(crate) records: BTreeMap<(u64, u64, u16), u64>,
    pub(crate) unsynchronised: bool,
    /// Whatever carries what is said does not get to it in time.
    pub(crate) cannot_commit: bool,
    /// Numbers whose commitment to a proposed slot had been said, and not carried away, when they were sent.
    pub(crate) committed_first: Vec<u64>,
}

impl Link for Outbox {
    fn say(&mut self, said: Said) {
        self.said.push(said);
    }

    fn commit(&mut self, said: Said, _: Duration) -> bool {
        if self.cannot_commit {
            return false;
        }
        self.say(said);
        true
    }

    fn tell(&mut self, news: News) {
        self.news.push(news);
    }
}

impl Transmit for Outbox {
    fn datagram(&mut self, bytes: &[u8]) {
        let datagram = Datagram::parse(bytes).unwrap();
        let header = datagram.header();
        self.unsynchronised = header.flags.has(Flags::UNSYNCHRONISED);
        for record in datagram.records() {
            if record.kind == BodyKind::Administrative {
                let number = u64::from_le_bytes(record.body[..8].try_into().unwrap());
                let generation = u32::from_le_bytes(record.body[8..12].try_into().unwrap());
                assert_eq!(number, record.adm.0, "a message stands at its own number");
                let committed = |said: &Said| matches!(said, Said::Settled(it) if it.commit && it.number.0 == number);
                if self.said.iter().any(committed) {
                    self.committed_first.push(number);
                }
                self.placed.entry(number).or_default().push(Out {
                    epoch: header.epoch.0,
                    sseq: record.sseq,
                    generation,
                    alone: self.unsynchronised,
                });
            } else {
                let place = (header.epoch.0, record.sseq, record.part);
                let before = self.records.insert(place, record.adm.0);
                assert_eq!(before, None, "no record is sent twice by one end");
            }
        }
    }
}

/// One adapter, as far as it matters here.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) sequencer: Sequencer,
    pub(crate) pair: Pair,
    pub(crate) out: Outbox,
    /// How many acts of the source it has done.
    pub(crate) done: usize,
    /// What is on its way to it, with the tick at which it arrives.
    pub(crate) inbox: VecDeque<(u64, Said)>,
    /// As backup: how many administrative messages stood before the numbering it took over last. Every later one
    /// of the active's is its own as well.
    pub(crate) aligned_at: u64,
    /// What it had processed then; only what follows was placed in step.
    pub(crate) aligned_msn: Msn,
    /// How many of the next messages its lines lose.
    pub(crate) loses: u64,
    /// Its driver goes on while it should hold.
    pub(crate) heedless: bool,
    /// Source numbers whose messages it converts wrongly.
    pub(crate) wrong: Vec<u64>,
    aligned: u64,
    predecessor: Epoch,
}

impl End {
    /// An end that begins with act `done` of the source.
    pub(crate) fn new(incarnation: u64, done: usize, limits: PairLimits) -> Self {
        let config = SequencerConfig {
            stream: StreamId(1),
            sid: Sid(1),
            incarnation: Incarnation(incarnation),
            max_datagram: 1_472,
            heartbeat: Duration::from_millis(10),
            history: 512,
        };
        Self {
            sequencer: Sequencer::new(config).unwrap(),
            pair: Pair::new(limits),
            out: Outbox::default(),
            done,
            inbox: VecDeque::new(),
            aligned_at: 0,
            aligned_msn: Msn(0),
            loses: 0,
            heedless: false,
            wrong: Vec::new(),
            aligned: 0,
            predecessor: Epoch::NONE,
        }
    }

    /// Takes in what has arrived by `tick`.
    pub(crate) fn hear(&mut self, tick: u64) {
        while self.inbox.front().is_some_and(|(due, _)| *due <= tick) {
            let (_, said) = self.inbox.pop_front().unwrap();
            self.pair
                .on_said(at(tick), said, &mut self.sequencer, &mut self.out);
            self.note_alignment();
        }
        self.settle(tick);
    }

    /// Takes in one thing, and nobody looks what that has brought.
    pub(crate) fn hear_one(&mut self, tick: u64, said: Said) {
        self.pair
            .on_said(at(tick), said, &mut self.sequencer, &mut self.out);
        self.note_alignment();
    }

    /// Takes in all that is on its way.
    pub(crate) fn hear_all(&mut self, tick: u64) {
        self.inbox.iter_mut().for_each(|(due, _)| *due = tick);
        self.hear(tick);
    }

    /// Does the next `count` acts as one batch, and none while it holds.
    pub(crate) fn work(&mut self, tick: u64, acts: &[Act], count: usize) {
        if self.heedless || !self.pair.is_holding() {
            self.convert(tick, acts, count);
        }
        self.settle(tick);
    }

    /// Does the next `count` acts as its last batch: they are sent, and it says nothing more.
    pub(crate) fn work_and_die(&mut self, tick: u64, acts: &[Act], count: usize) {
        self.convert(tick, acts, count);
        self.sequencer.flush(at(tick), &mut self.out);
        self.out.said.clear();
    }

    /// Does the next `count` acts, and nobody looks what they have brought.
    pub(crate) fn convert(&mut self, tick: u64, acts: &[Act], count: usize) {
        let until = acts.len().min(self.done + count);
        for act in &acts[self.done.min(until)..until] {
            self.act(tick, *act);
        }
        self.done = self.done.max(until);
    }

    /// A numbering was taken over since this was last asked.
    fn note_alignment(&mut self) {
        let aligned = self.pair.counters().aligned;
        if aligned != self.aligned {
            (self.aligned, self.aligned_at) = (aligned, self.sequencer.adm().0);
            self.aligned_msn = self.sequencer.processed();
        }
    }

    pub(crate) fn settle(&mut self, tick: u64) {
        self.sequencer.flush(at(tick), &mut self.out);
        self.pair
            .between_batches(at(tick), &mut self.sequencer, &mut self.out);
        self.note_alignment();
        self.sequencer.flush(at(tick), &mut self.out);
    }

    fn act(&mut self, tick: u64, act: Act) {
        let (now, seq) = (at(tick), &mut self.sequencer);
        match act {
            Act::Begin(epoch) => {
                self.begin(tick, epoch, 1, true);
            }
            Act::Message(sseq, parts) => {
                if seq.epoch().is_none() {
                    // Started in mid-epoch: conversion begins here.
                    self.begin(tick, u64::MAX, sseq, false);
                }
                if self.loses > 0 {
                    self.loses -= 1;
                    self.sequencer.abandon(now, sseq..sseq + 1, &mut self.out);
                    return;
                }
                let wrong = self.wrong.contains(&sseq);
                let bytes = (if wrong { !sseq } else { sseq }).to_le_bytes();
                let body = Body {
                    kind: BodyKind::Opaque,
                    bytes: &bytes,
                };
                let bodies = vec![body; parts];
                self.sequencer
                    .message(now, sseq, 0, bodies.into_iter(), &mut self.out);
            }
            Act::End(next) => seq.end_epoch(now, next, &mut self.out),
        }
    }

    pub(crate) fn begin(&mut self, tick: u64, epoch: u64, first: u64, complete: bool) {
        let start = EpochStart {
            epoch: Epoch(epoch),
            first,
            complete,
            predecessor: self.predecessor,
        };
        self.predecessor = Epoch(epoch);
        self.sequencer.begin_epoch(at(tick), start, &mut self.out);
    }

    pub(crate) fn grant(&mut self, tick: u64, generation: u32, active: bool) {
        self.pair.on_grant(
            at(tick),
            (Generation(generation), active, Time::NEVER),
            &mut self.sequencer,
            &mut self.out,
        );
        self.settle(tick);
    }

    pub(crate) fn link_up(&mut self, tick: u64) {
        self.pair
            .on_link_up(at(tick), &mut self.sequencer, &mut self.out);
    }

    pub(crate) fn link_down(&mut self, tick: u64, gone: bool) {
        self.pair
            .on_link_down(at(tick), gone, &mut self.sequencer, &mut self.out);
        self.settle(tick);
    }

    /// Originates one message; whether that was taken.
    pub(crate) fn originate(&mut self, tick: u64) -> bool {
        let taken = self
            .pair
            .originate(
                at(tick),
                AdminKind::OperatorNotice,
                b"notice",
                &mut self.sequencer,
                &mut self.out,
            )
            .is_ok();
        self.settle(tick);
        taken
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.pair.is_protected(&self.sequencer)
    }

    pub(crate) fn state(&self) -> PairState {
        self.pair.state()
    }
}

/// Hands over what `from` said, to arrive `delay` ticks later, in order.
pub(crate) fn carry(tick: u64, delay: u64, from: &mut End, to: &mut End) {
    for said in from.out.said.drain(..) {
        let last = to.inbox.back().map_or(0, |(due, _)| *due);
        to.inbox.push_back(((tick + delay).max(last), said));
    }
}

/// A pair under generation 1 that has said hello; nothing is converted yet.
pub(crate) fn pair(limits: PairLimits) -> [End; 2] {
    let mut ends = [End::new(1, 0, limits), End::new(2, 0, limits)];
    ends[0].grant(0, 1, true);
    ends[1].grant(0, 1, false);
    ends.iter_mut().for_each(|end| end.link_up(0));
    ends
}

/// Numbers placed by both ends at different places, with both places.
pub(crate) fn misplaced(one: &End, other: &End) -> Vec<(u64, Out, Out)> {
    let place = |out: &Out| (out.epoch, out.sseq, out.generation);
    let mut wrong = Vec::new();
    for (number, ours) in &one.out.placed {
        for (a, b) in ours.iter().flat_map(|a| {
            other
                .out
                .placed
                .get(number)
                .into_iter()
                .flatten()
                .map(move |b| (a, b))
        }) {
            if place(a) != place(b) {
                wrong.push((*number, a.clone(), b.clone()));
            }
        }
    }
    wrong
}

/// One epoch of `count` messages of one record each.
pub(crate) fn acts(count: u64) -> Vec<Act> {
    let messages = (1..=count).map(|sseq| Act::Message(sseq, 1));
    std::iter::once(Act::Begin(7)).chain(messages).collect()
}

/// Lets both hear each other, at once, until nothing is said.
pub(crate) fn talk(tick: u64, [one, other]: &mut [End; 2]) {
    for round in 0.. {
        if one.out.said.is_empty() && other.out.said.is_empty() {
            return;
        }
        assert!(
            round < 100,
            "they never stop: {:?} {:?}",
            one.out.said,
            other.out.said
        );
        carry(tick, 0, one, other);
        carry(tick, 0, other, one);
        one.hear(tick);
        other.hear(tick);
    }
}

/// Both have done `done` acts and the backup is synchronised.
pub(crate) fn synchronised(limits: PairLimits, acts: &[Act], done: usize) -> [End; 2] {
    let mut ends = pair(limits);
    for end in &mut ends {
        end.work(1, acts, done);
    }
    talk(1, &mut ends);
    assert_eq!(ends[1].state(), PairState::Synchronised);
    assert!(ends.iter().all(End::is_protected));
    ends
}

/// Whether the last takeover of `end` said that nothing was missing.
pub(crate) fn seamless(end: &End) -> Option<bool> {
    end.out.news.iter().rev().find_map(|news| match news {
        News::Opened { seamless, .. } => Some(*seamless),
        _ => None,
    })
}
