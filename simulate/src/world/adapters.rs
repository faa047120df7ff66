//! How does a source become two streams?
//!
//! An [`Adapter`] is one process: it hears packets, converts them with a memory of what it heard before,
//! and lets the production `Sequencer` number and frame the records. It can be killed, stopped and
//! started again, and it can be deaf. What it knows of its peer is the news that the pair link brings.
//!
//! ```text
//!  packets ─► ear (one line | two lines) ─► convert ─► Sequencer ─► datagrams
//! ```
//!
//! Conversion depends on the memory: the bytes of a record are drawn from (source message, first number
//! heard, ranges given up). So records of different contexts differ, as those of a real decoder would, and
//! a subscriber that mixes them is caught by their content.

use core::ops::Range;
use core::time::Duration;
use std::collections::VecDeque;

use twinfeed_protocol::line::{Line, LineLimits, Source};
use twinfeed_protocol::pair::{Link, News, PairLimits, Said};
use twinfeed_protocol::sequencer::{Body, Now, Sequencer, SequencerConfig, Transmit};
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_protocol::{EpochStart, Leg};
use twinfeed_wire::{Adm, BodyKind, Epoch, Generation, Incarnation, Sid, StreamId};

use super::exchange::{Becomes, MESSAGE_LENGTH, Packet, Shared, becomes};
use super::lines::Ear;
use super::oracle::hearing::Hearing;
use super::pair::end::{Command, End};
use super::rng::Rng;

/// Where datagrams and the truth about them go.
pub trait Output {
    /// The adapter converted a message to these bodies.
    fn converted(&mut self, place: Converted<'_>);
    /// The adapter sent a datagram.
    fn datagram(&mut self, leg: Leg, sid: Sid, bytes: &[u8]);
    /// The adapter said something to its peer.
    fn said(&mut self, leg: Leg, sid: Sid, said: Said);
    /// The rules of its pair told something.
    fn news(&mut self, leg: Leg, sid: Sid, news: News);
    /// The adapter did what it must not.
    fn wrong(&mut self, leg: Leg, sid: Sid, what: String);
    /// The adapter originated a message.
    fn originated(&mut self, leg: Leg, sid: Sid);
    /// Something worth counting happened.
    fn fired(&mut self, name: &'static str);
}

/// One converted message, as the truth keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Converted<'a> {
    /// By whom.
    pub leg: Leg,
    /// Of which source stream.
    pub sid: Sid,
    /// In which life of its numbering.
    pub epoch: Epoch,
    /// Its number.
    pub sseq: u64,
    /// What it became.
    pub bodies: &'a [(BodyKind, Vec<u8>)],
}

/// What all adapters of a world have in common.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// Longest datagram, bytes.
    pub max_datagram: usize,
    /// Heartbeat interval.
    pub heartbeat: Duration,
    /// Two lines, with these limits; or one that is reliable.
    pub lines: Option<LineLimits>,
    /// Most packets that wait while the process is stopped, or one stream of it is held.
    pub socket_packets: usize,
    /// The rules of a pair; none: each adapter is alone.
    pub pair: Option<PairLimits>,
}

/// The number which stream-admin would have assigned to this leg's stream of `sid`.
#[must_use]
pub fn stream_id(leg: Leg, sid: Sid) -> StreamId {
    StreamId(100 * (1 + leg.index() as u32) + sid.0)
}

/// One adapter process.
#[derive(Debug)]
pub struct Adapter {
    pub(super) leg: Leg,
    conduct: Conduct,
    sources: Vec<(Sid, u64)>,
    generation: Generation,
    pub(super) lives: u64,
    pub(super) desks: Vec<Desk>,
    state: State,
    peer_lost: bool,
    socket: VecDeque<(Line, Shared)>,
    /// What it was told while it was stopped.
    pub(super) inbox: VecDeque<Command>,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// There is none.
    Dead,
    /// It runs.
    Running,
    /// It was stopped and does not know.
    Stopped,
}

impl Adapter {
    /// The adapter of `leg`, not running yet, for sources given as (sid, first number of a life).
    #[must_use]
    pub fn new(leg: Leg, conduct: Conduct, sources: Vec<(Sid, u64)>) -> Self {
        Self {
            leg,
            conduct,
            sources,
            generation: Generation(1),
            lives: 0,
            desks: Vec::new(),
            state: State::Dead,
            peer_lost: false,
            socket: VecDeque::new(),
            inbox: VecDeque::new(),
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Begins a new life of the process: nothing is remembered, the incarnation is new.
    ///
    /// # Panics
    /// When the world's limits are ones no sequencer works with.
    pub fn start(&mut self, now: Now, out: &mut dyn Output) {
        self.lives += 1;
        let incarnation = Incarnation((1 + self.leg.index() as u64) << 32 | self.lives);
        self.desks = self
            .sources
            .iter()
            .map(|&(sid, first)| Desk::new(self.leg, sid, first, incarnation, &self.conduct))
            .collect();
        self.state = State::Running;
        self.peer_lost = false;
        self.socket.clear();
        self.inbox.clear();
        if self.conduct.pair.is_none() {
            self.set_generation(now, self.generation, out);
        }
    }

    /// SIGKILL: nothing more leaves it, not even what it had begun to write.
    pub fn kill(&mut self) {
        self.state = State::Dead;
        self.desks.clear();
        self.socket.clear();
        self.inbox.clear();
    }

    /// SIGSTOP: it neither hears nor speaks until [`Adapter::resume`].
    pub fn stop(&mut self) {
        if self.state == State::Running {
            self.state = State::Stopped;
        }
    }

    /// SIGCONT: it works off what its socket kept.
    pub fn resume(&mut self, now: Now, out: &mut dyn Output) {
        if self.state != State::Stopped {
            return;
        }
        self.state = State::Running;
        if self.conduct.pair.is_some() {
            self.catch_up(now, out);
        } else {
            self.set_generation(now, self.generation, out);
            self.set_peer_lost(now, self.peer_lost, out);
        }
        while let Some((line, packet)) = self.socket.pop_front() {
            self.hear(now, line, &packet, out);
        }
    }

    /// The pair's new generation.
    pub fn set_generation(&mut self, now: Now, generation: Generation, out: &mut dyn Output) {
        self.generation = generation;
        if self.state != State::Running {
            return; // it will learn when it goes on
        }
        for desk in &mut self.desks {
            let mut wire = Wire::new(self.leg, desk.sid, out);
            desk.publisher
                .sequencer
                .open_generation(now, generation, Adm(0), &mut wire);
        }
    }

    /// The news that its pair link was reset, or stands again.
    pub fn set_peer_lost(&mut self, now: Now, lost: bool, out: &mut dyn Output) {
        self.peer_lost = lost;
        if self.state != State::Running {
            return; // it will learn when it goes on
        }
        for desk in &mut self.desks {
            let mut wire = Wire::new(self.leg, desk.sid, out);
            desk.publisher.sequencer.set_peer_lost(now, lost, &mut wire);
        }
    }

    /// Hears nothing before `until`.
    pub fn deafen(&mut self, until: Time) {
        for desk in &mut self.desks {
            desk.deaf_until = until;
        }
    }

    /// Whether it listens to two lines.
    #[must_use]
    pub fn hears_two_lines(&self) -> bool {
        self.conduct.lines.is_some()
    }

    /// Announces the end of every stream and goes.
    pub fn step_down(&mut self, now: Now, out: &mut dyn Output) {
        if self.state != State::Running {
            return;
        }
        for desk in &mut self.desks {
            let mut wire = Wire::new(self.leg, desk.sid, out);
            desk.publisher.sequencer.end_of_stream(now, &mut wire);
        }
        self.kill();
    }

    /// A packet reached the adapter on a line.
    pub fn hear(&mut self, now: Now, line: Line, packet: &Shared, out: &mut dyn Output) {
        match self.state {
            State::Dead => {}
            State::Stopped if self.socket.len() < self.conduct.socket_packets => {
                self.socket.push_back((line, Shared::clone(packet)));
            }
            State::Stopped => out.fired("adapter_overrun"),
            State::Running => {
                let room = self.conduct.socket_packets;
                for desk in self.desks.iter_mut().filter(|desk| desk.sid == packet.sid) {
                    desk.take(now, line, packet, room, out);
                }
            }
        }
    }

    /// When it wants to be woken, if it can be.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.state != State::Running {
            return None;
        }
        self.desks.iter().fold(None, |soonest, desk| {
            earlier(
                earlier(soonest, desk.publisher.sequencer.next_deadline()),
                desk.next_deadline(),
            )
        })
    }

    /// Wakes it.
    pub fn on_deadline(&mut self, now: Now, out: &mut dyn Output) {
        for desk in &mut self.desks {
            desk.listen(now, out);
            desk.turn(now, out);
            // A hold that ended just now kept the lines waiting.
            desk.listen(now, out);
            if is_due(desk.publisher.sequencer.next_deadline(), now.time) {
                let mut wire = Wire::new(self.leg, desk.sid, out);
                desk.publisher.sequencer.on_deadline(now, &mut wire);
            }
        }
    }
}

fn is_due(deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// The work on one source stream.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) leg: Leg,
    pub(super) sid: Sid,
    pub(super) ear: Ear,
    pub(super) publisher: Publisher,
    deaf_until: Time,
    /// Its end of the pair.
    pub(super) end: Option<End>,
}

impl Desk {
    fn new(leg: Leg, sid: Sid, first: u64, incarnation: Incarnation, conduct: &Conduct) -> Self {
        let config = SequencerConfig {
            stream: stream_id(leg, sid),
            sid,
            incarnation,
            max_datagram: conduct.max_datagram,
            heartbeat: conduct.heartbeat,
            history: 64,
        };
        Self {
            leg,
            sid,
            ear: Ear::new(conduct.lines, first),
            publisher: Publisher {
                sequencer: Sequencer::new(config).expect("a world's limits are workable"),
                epoch: Epoch::NONE,
                memory: 0,
                hearing: Hearing::default(),
                hold: conduct.lines.map_or(Duration::ZERO, |it| it.reorder_hold),
            },
            deaf_until: Time::ZERO,
            end: conduct.pair.map(End::new),
        }
    }

    pub(super) fn hear(&mut self, now: Now, line: Line, packet: &Packet, out: &mut dyn Output) {
        if now.time < self.deaf_until {
            out.fired("deaf");
            return;
        }
        self.publisher.hearing.note(now.time, packet);
        self.drain(now, out, |ear, publishing| {
            ear.hear(line, now.time, packet, now.unix_ns, publishing);
        });
    }

    /// The lines' deadline, unless the stream is held.
    fn listen(&mut self, now: Now, out: &mut dyn Output) {
        if !self.is_holding() && is_due(self.ear.next_deadline(), now.time) {
            self.drain(now, out, |ear, publishing| {
                ear.on_deadline(now.time, publishing);
            });
        }
    }

    /// Lets the ear speak to the publisher, then ends the batch.
    fn drain(
        &mut self,
        now: Now,
        out: &mut dyn Output,
        act: impl FnOnce(&mut Ear, &mut Publishing<'_>),
    ) {
        let (leg, sid) = (self.leg, self.sid);
        let publisher = &mut self.publisher;
        act(
            &mut self.ear,
            &mut Publishing {
                leg,
                sid,
                now,
                publisher,
                out,
            },
        );
        let excused = self.ear.was_pressed();
        if let Err(what) = self.publisher.hearing.settle(excused) {
            out.wrong(leg, sid, what);
        }
        self.tend(now, out);
        self.publisher
            .sequencer
            .flush(now, &mut Wire::new(leg, sid, out));
    }
}

/// Conversion and numbering of one source stream.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) sequencer: Sequencer,
    epoch: Epoch,
    /// Digest of what conversion remembers; any will do that tells two memories apart.
    memory: u64,
    /// What it has heard, and must not give up.
    hearing: Hearing,
    /// How long it waits for the other line.
    hold: Duration,
}

/// A publisher with the moment and the way out.
pub struct Publishing<'a> {
    leg: Leg,
    sid: Sid,
    now: Now,
    publisher: &'a mut Publisher,
    out: &'a mut dyn Output,
}

impl Source for Publishing<'_> {
    fn begin(&mut self, start: EpochStart) {
        self.publisher.hearing.closed();
        self.publisher.epoch = start.epoch;
        self.publisher.memory = mix(start.epoch.0, start.first);
        let mut wire = Wire::new(self.leg, self.sid, self.out);
        self.publisher
            .sequencer
            .begin_epoch(self.now, start, &mut wire);
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        let Ok(bytes) = bytes.try_into() else { return };
        let bodies = convert(bytes, sseq, self.publisher.memory);
        self.out.converted(Converted {
            leg: self.leg,
            sid: self.sid,
            epoch: self.publisher.epoch,
            sseq,
            bodies: &bodies,
        });
        let mut wire = Wire::new(self.leg, self.sid, self.out);
        let bodies = bodies
            .iter()
            .map(|(kind, bytes)| Body { kind: *kind, bytes });
        self.publisher
            .sequencer
            .message(self.now, sseq, received_at, bodies, &mut wire);
    }

    fn abandoned(&mut self, range: Range<u64>) {
        self.out.fired("abandoned_range");
        let (now, epoch, hold) = (self.now.time, self.publisher.epoch, self.publisher.hold);
        let hearing = &mut self.publisher.hearing;
        hearing.abandoned(now, epoch, &range, hold);
        self.publisher.memory = mix(self.publisher.memory, mix(range.start, range.end));
        let mut wire = Wire::new(self.leg, self.sid, self.out);
        self.publisher.sequencer.abandon(self.now, range, &mut wire);
    }

    fn ended(&mut self, _: Epoch, next_sseq: u64) {
        self.publisher.hearing.closed();
        let mut wire = Wire::new(self.leg, self.sid, self.out);
        self.publisher
            .sequencer
            .end_epoch(self.now, next_sseq, &mut wire);
    }

    fn stale(&mut self, stale: bool) {
        self.out.fired("source_stale");
        let mut wire = Wire::new(self.leg, self.sid, self.out);
        self.publisher
            .sequencer
            .set_source_stale(self.now, stale, &mut wire);
    }
}

/// The way of datagrams and words out of the process.
pub(super) struct Wire<'a> {
    leg: Leg,
    sid: Sid,
    out: &'a mut dyn Output,
}

impl<'a> Wire<'a> {
    pub(super) fn new(leg: Leg, sid: Sid, out: &'a mut dyn Output) -> Self {
        Self { leg, sid, out }
    }
}

impl Transmit for Wire<'_> {
    fn datagram(&mut self, bytes: &[u8]) {
        self.out.datagram(self.leg, self.sid, bytes);
    }
}

impl Link for Wire<'_> {
    fn say(&mut self, said: Said) {
        self.out.said(self.leg, self.sid, said);
    }

    fn tell(&mut self, news: News) {
        self.out.news(self.leg, self.sid, news);
    }
}

/// What the message becomes under this memory: a pure function of its arguments.
fn convert(bytes: &[u8; MESSAGE_LENGTH], sseq: u64, memory: u64) -> Vec<(BodyKind, Vec<u8>)> {
    let salt = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes are eight bytes"));
    let mut rng = Rng::new(mix(salt, mix(memory, sseq)));
    let mut body = |kind, length: usize| {
        let words = (0..length.div_ceil(8)).flat_map(|_| rng.bits().to_le_bytes());
        (kind, words.take(length).collect::<Vec<u8>>())
    };
    match becomes(bytes) {
        Becomes::Nothing => Vec::new(),
        Becomes::Records(count) => (0..count).map(|_| body(BodyKind::Dbn, 56)).collect(),
        Becomes::Long(length) => vec![
            body(BodyKind::Dbn, 56),
            body(BodyKind::Opaque, usize::from(length)),
        ],
    }
}

fn mix(one: u64, other: u64) -> u64 {
    (one.rotate_left(29) ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
