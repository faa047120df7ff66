//! What does the origin say, and how does it number it?
//!
//! A [`Source`] is one source stream: lives of its numbering one after another, each a run of numbered
//! messages in packets, with pauses, heartbeats and (usually) an end marker. It knows nothing of
//! adapters; what it said is the truth that the oracle holds everybody to.
//!
//! ```text
//!  life 1: 1 2 3 . . n  END END END    life 2: 1 2 3 . .     (a life may end without its marker)
//! ```

use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use twinfeed_protocol::OrderingClass;
use twinfeed_protocol::time::Time;
use twinfeed_wire::{Epoch, Sid};

use super::rng::Rng;

/// What a source does, decided once per seed.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its identity.
    pub sid: Sid,
    /// The number of the first message of every life.
    pub first: u64,
    /// How many messages each life has.
    pub lives: Vec<u64>,
    /// Most messages in one packet.
    pub batch: u64,
    /// Percent of messages that convert to nothing.
    pub covered_percent: u64,
    /// Percent of messages that convert to an opaque body longer than a datagram.
    pub long_percent: u64,
    /// Percent of packets behind which the source pauses for tens of milliseconds.
    pub pause_percent: u64,
    /// Percent of lives whose end is announced.
    pub marked_percent: u64,
    /// Whether the last life ends too.
    pub ends: bool,
    /// Whether subscribers need its order.
    pub ordering: OrderingClass,
    /// It speaks in bursts, with rests between; none: now quickly and now not.
    pub burst: Option<Burst>,
    /// Whether it says in longer rests that it is alive.
    pub beats: bool,
    /// How many times it says, between two lives, that the first is over, or that it is alive.
    pub idles: u64,
}

/// How a source speaks that speaks in bursts.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Packets in a burst.
    pub packets: u64,
    /// The rest behind it, on average, µs.
    pub rest_us: u64,
}

impl Shape {
    /// A source without surprises: one life of `messages`, nothing covered, nothing long.
    #[must_use]
    pub fn plain(sid: Sid, messages: u64) -> Self {
        Self {
            sid,
            first: 1,
            lives: vec![messages],
            batch: 4,
            covered_percent: 0,
            long_percent: 0,
            pause_percent: 0,
            marked_percent: 100,
            ends: false,
            ordering: OrderingClass::Ordered,
            burst: None,
            beats: false,
            idles: 0,
        }
    }

    /// A source drawn by chance.
    #[must_use]
    pub fn draw(sid: Sid, rng: &mut Rng) -> Self {
        let lives = 1 + rng.below(3);
        let total = rng.between(120, 360);
        Self {
            sid,
            first: rng.pick(&[1, 1, 1, 3_990, 1_000_001]),
            lives: (0..lives)
                .map(|_| (total / lives).max(10) + rng.below(20))
                .collect(),
            batch: rng.pick(&[1, 4, 12, 40]),
            covered_percent: rng.pick(&[0, 5, 30]),
            long_percent: rng.pick(&[0, 0, 2, 8]),
            pause_percent: rng.pick(&[0, 2, 6]),
            marked_percent: rng.pick(&[0, 70, 100]),
            ends: rng.chance(50),
            ..Self::plain(sid, 1)
        }
    }
}

/// One packet of a source, as it travels on its lines.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Whose.
    pub sid: Sid,
    /// Life of the numbering.
    pub epoch: Epoch,
    /// Number of its first message; in a heartbeat or end marker, of the next one.
    pub first: u64,
    /// What it carries.
    pub content: Content,
    /// Whether the source said it so.
    pub genuine: bool,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub enum Content {
    /// Messages, numbered on from the packet's first.
    Messages(Vec<[u8; MESSAGE_LENGTH]>),
    /// Nothing: the source is alive.
    Heartbeat,
    /// Nothing more will come in this life.
    End,
}

/// How many of its latest messages a source remembers.
const MOST_REMEMBERED: usize = 4_096;
/// Length of every source message, bytes: salt, shape, padding.
pub const MESSAGE_LENGTH: usize = 16;

/// What a message is to become, readable from its bytes alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Becomes {
    /// Nothing: its number is covered.
    Nothing,
    /// So many short records.
    Records(u8),
    /// One record, and an opaque body of so many bytes.
    Long(u16),
}

/// Reads what the message `bytes` is to become.
#[must_use]
pub fn becomes(bytes: &[u8; MESSAGE_LENGTH]) -> Becomes {
    match bytes[8] {
        0 => Becomes::Nothing,
        255 => Becomes::Long(u16::from_le_bytes([bytes[9], bytes[10]])),
        records => Becomes::Records(records),
    }
}

/// Whether an epoch's name may be a source's: those are odd.
#[must_use]
pub const fn is_of_a_source(epoch: Epoch) -> bool {
    epoch.0 & 1 == 1
}

/// One life of a numbering, as it really was.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its name.
    pub epoch: Epoch,
    /// The life before it.
    pub predecessor: Epoch,
    /// Its first number.
    pub first: u64,
    /// Whether each number, counted from the first, converts to anything.
    pub speaks: Vec<bool>,
    /// Whether the source announced its end.
    pub ended: bool,
}

impl Life {
    /// The number behind its last one so far.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.speaks.len() as u64
    }

    /// Whether `number` was said and converts to something.
    #[must_use]
    pub fn speaks_at(&self, number: u64) -> bool {
        number >= self.first && self.speaks.get((number - self.first) as usize) == Some(&true)
    }

    /// Whether `number` was said and converts to nothing.
    #[must_use]
    pub fn is_covered(&self, number: u64) -> bool {
        number >= self.first && self.speaks.get((number - self.first) as usize) == Some(&false)
    }
}

/// One source stream at work.
#[derive(Debug)]
pub struct Source {
    shape: Shape,
    rng: Rng,
    lives: Vec<Life>,
    markers_left: u8,
    marked: bool,
    /// Packets said in this burst.
    in_burst: u64,
    /// What is left of a rest in which it says that it is alive.
    resting: Duration,
    /// How many times it still says something before the next life begins.
    idles_left: u64,
    /// What it said last, the oldest first; empty where nobody asks for it again.
    said: VecDeque<(Epoch, u64, [u8; MESSAGE_LENGTH])>,
    remembers: bool,
}

impl Source {
    /// The source that `shape` describes, in the world of `seed`.
    #[must_use]
    pub fn new(shape: Shape, seed: u64) -> Self {
        let rng = Rng::of(seed, &format!("source {}", shape.sid));
        let mut source = Self {
            shape,
            rng,
            lives: Vec::new(),
            markers_left: 0,
            marked: false,
            in_burst: 0,
            resting: Duration::ZERO,
            idles_left: 0,
            said: VecDeque::new(),
            remembers: false,
        };
        source.begin_life();
        source
    }

    /// What it is.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Every life so far, oldest first; never empty.
    #[must_use]
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// Whether it is within a burst.
    #[must_use]
    pub fn is_in_burst(&self) -> bool {
        self.in_burst > 0
    }

    /// Whether its life is about to end, with so many messages to be said at most.
    #[must_use]
    pub fn says_at_most(&self, messages: u64) -> bool {
        self.left() <= messages && !self.is_spent()
    }

    /// Whether a life that is not its first has said something, but not more than so much.
    #[must_use]
    pub fn has_begun_anew(&self, messages: u64) -> bool {
        let said = self.life().speaks.len() as u64;
        self.lives.len() > 1 && (1..=messages).contains(&said)
    }

    /// Whether every message of every life has been said.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.lives.len() == self.shape.lives.len() && self.left() == 0
    }

    /// Says the next thing; the span is the time until it speaks again.
    pub fn speak(&mut self, _now: Time) -> (Packet, Duration) {
        if !self.resting.is_zero() {
            let rest = self.rest_on();
            return (self.packet(Content::Heartbeat), rest);
        }
        if self.left() > 0 {
            return self.messages();
        }
        if self.markers_left > 0 {
            self.markers_left -= 1;
            self.life_mut().ended = true;
            return (self.packet(Content::End), Duration::from_micros(500));
        }
        if self.lives.len() < self.shape.lives.len() && self.idles_left == 0 {
            self.begin_life();
            return self.messages();
        }
        self.idles_left = self.idles_left.saturating_sub(1);
        let content = if self.marked {
            Content::End
        } else {
            Content::Heartbeat
        };
        let idle = match self.shape.burst {
            Some(_) => BEAT,
            None => Duration::from_millis(10),
        };
        (self.packet(content), idle)
    }

    fn messages(&mut self) -> (Packet, Duration) {
        let count = self.rng.between(1, self.shape.batch).min(self.left());
        let first = self.life().next();
        let mut messages = Vec::new();
        for _ in 0..count {
            let message = self.message();
            let speaks = becomes(&message) != Becomes::Nothing;
            self.life_mut().speaks.push(speaks);
            messages.push(message);
        }
        if self.remembers {
            self.remember(first, &messages);
        }
        let mut packet = self.packet(Content::Messages(messages));
        packet.first = first;
        if self.left() == 0 {
            let last = self.lives.len() == self.shape.lives.len();
            self.marked =
                (!last || self.shape.ends) && self.rng.chance(self.shape.marked_percent.max(1));
            self.markers_left = if self.marked { 3 } else { 0 };
            self.idles_left = self.shape.idles;
        }
        let rest = match self.is_spent() {
            // It has told everything: from here on it says that it lives, or has ended.
            true => self.rest().min(BEAT),
            false => self.rest(),
        };
        if self.shape.beats {
            self.resting = rest;
            return (packet, self.rest_on());
        }
        (packet, rest)
    }

    /// It can be asked for what it said.
    pub const fn remember_what_is_said(&mut self) {
        self.remembers = true;
    }

    fn remember(&mut self, first: u64, messages: &[[u8; MESSAGE_LENGTH]]) {
        let epoch = self.life().epoch;
        for (number, message) in (first..).zip(messages) {
            if self.said.len() == MOST_REMEMBERED {
                self.said.pop_front();
            }
            self.said.push_back((epoch, number, *message));
        }
    }

    /// At most `most` messages of `epoch` from number `first` on, of the last `kept` ones.
    #[must_use]
    pub fn again(
        &self,
        epoch: Epoch,
        first: u64,
        most: usize,
        kept: usize,
    ) -> Vec<[u8; MESSAGE_LENGTH]> {
        let kept = self.said.iter().rev().take(kept).rev();
        let from = kept.skip_while(|(of, number, _)| (*of, *number) != (epoch, first));
        let of_it = from.take(most).take_while(|(of, ..)| *of == epoch);
        of_it.map(|(.., message)| *message).collect()
    }

    /// Rests until it says that it is alive, or speaks again.
    fn rest_on(&mut self) -> Duration {
        let now = self.resting.min(BEAT);
        self.resting -= now;
        now
    }

    fn rest(&mut self) -> Duration {
        if let Some(burst) = self.shape.burst {
            self.in_burst += 1;
            if self.in_burst < burst.packets {
                return self.rng.micros(5, 300);
            }
            self.in_burst = 0;
            return self.rng.micros(burst.rest_us / 2, burst.rest_us * 3 / 2);
        }
        if self.rng.chance(self.shape.pause_percent) {
            self.rng.micros(10_000, 60_000)
        } else if self.rng.chance(70) {
            self.rng.micros(5, 100)
        } else {
            // Seven of ten packets come in bursts; the pauses between make up for the batch's size.
            self.rng.micros(100, 1_000 * self.shape.batch.clamp(2, 16))
        }
    }

    fn message(&mut self) -> [u8; MESSAGE_LENGTH] {
        let mut bytes = [0; MESSAGE_LENGTH];
        bytes[..8].copy_from_slice(&self.rng.bits().to_le_bytes());
        if self.rng.chance(self.shape.covered_percent) {
            bytes[8] = 0;
        } else if self.rng.chance(self.shape.long_percent) {
            let length = self.rng.between(1_000, 5_000) as u16;
            bytes[8] = 255;
            bytes[9..11].copy_from_slice(&length.to_le_bytes());
        } else {
            bytes[8] = self.rng.pick(&[1, 1, 1, 2, 3]);
        }
        bytes
    }

    fn begin_life(&mut self) {
        let predecessor = self.lives.last().map_or(Epoch::NONE, |life| life.epoch);
        self.lives.push(Life {
            epoch: Epoch(self.rng.bits() | 1),
            predecessor,
            first: self.shape.first,
            speaks: Vec::new(),
            ended: false,
        });
        self.marked = false;
    }

    fn packet(&self, content: Content) -> Packet {
        Packet {
            sid: self.shape.sid,
            epoch: self.life().epoch,
            first: self.life().next(),
            content,
            genuine: true,
        }
    }

    fn left(&self) -> u64 {
        self.shape.lives[self.lives.len() - 1] - self.life().speaks.len() as u64
    }

    fn life(&self) -> &Life {
        self.lives
            .last()
            .expect("a source has begun its first life")
    }

    fn life_mut(&mut self) -> &mut Life {
        self.lives
            .last_mut()
            .expect("a source has begun its first life")
    }
}

/// A packet shared by everybody who hears it.
pub type Shared = Rc<Packet>;

/// How often a source says in a rest that it is alive.
const BEAT: Duration = Duration::from_millis(100);
