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

use twinfeed_protocol::line::{Line, LineAsk, LineLimits, Source};
use twinfeed_protocol::pair::{Link, News, PairLimits, Said};
use twinfeed_protocol::sequencer::{Body, Now, RetainLimits, Sequencer, SequencerConfig, Transmit};
use twinfeed_protocol::standby::StandbyLimits;
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_protocol::{EpochStart, Leg};
use twinfeed_wire::{Adm, BodyKind, Epoch, Generation, Incarnation, Sid, StreamId};

use super::asked::Sleeper;
use super::exchange::{Becomes, MESSAGE_LENGTH, Packet, Shared, becomes};
use super::lines::Ear;
use super::memory::{Memory, mix};
use super::oracle::hearing::Hearing;
use super::pair::end::{Command, End};
use super::rng::Rng;
use crate::coverage::sequencer::{Event as Step, Standing};
use crate::coverage::watch::Undecided;
use crate::coverage::{self, Cell, Coverage};

/// Where datagrams and the truth about them go.
pub trait Output {
    /// The adapter converted a message to these bodies.
    fn converted(&mut self, place: Converted<'_>);
    /// The adapter sent a datagram.
    fn datagram(&mut self, leg: Leg, sid: Sid, bytes: &[u8]);
    /// The adapter finished a datagram and holds it back.
    fn withheld(&mut self, leg: Leg, sid: Sid, bytes: &[u8]);
    /// The adapter asks a source for what no line brought.
    fn asks(&mut self, leg: Leg, sid: Sid, ask: LineAsk);
    /// The adapter said something to its peer.
    fn said(&mut self, leg: Leg, sid: Sid, said: Said);
    /// The adapter said something that not even its end keeps from its peer; `false`: it was not said.
    fn said_for_good(&mut self, leg: Leg, sid: Sid, said: Said) -> bool;
    /// The adapter told its peer that it steps down, or that it goes on after all.
    fn hands(&mut self, leg: Leg, generation: Generation, goes_on: bool);
    /// The rules of its pair told something.
    fn news(&mut self, leg: Leg, sid: Sid, news: News);
    /// The adapter did what it must not.
    fn wrong(&mut self, leg: Leg, sid: Sid, what: String);
    /// Something worth counting happened.
    fn fired(&mut self, name: &'static str);
    /// A machine met something in some state.
    fn met(&mut self, cell: Cell);
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
    pub bodies: &'a Bodies,
}

/// The bodies that one message becomes.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    /// What each is, and where it ends.
    ends: Vec<(BodyKind, usize)>,
    /// One behind the other.
    bytes: Vec<u8>,
}

impl Bodies {
    /// None.
    fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }

    /// One more, of `length` bytes by chance.
    fn draw(&mut self, kind: BodyKind, length: usize, rng: &mut Rng) {
        let end = self.bytes.len() + length;
        for _ in 0..length.div_ceil(8) {
            self.bytes.extend_from_slice(&rng.bits().to_le_bytes());
        }
        self.bytes.truncate(end);
        self.ends.push((kind, end));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (BodyKind, &[u8])> + Clone {
        let mut from = 0;
        self.ends.iter().map(move |&(kind, end)| {
            let bytes = &self.bytes[from..end];
            from = end;
            (kind, bytes)
        })
    }
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
    /// Which lines have a request server of the source.
    pub servers: [bool; 2],
    /// Most packets that wait while the process is stopped, or one stream of it is held.
    pub socket_packets: usize,
    /// The rules of a pair; none: each adapter is alone.
    pub pair: Option<PairLimits>,
    /// Whether a backup of it withholds its stream; none: both transmit.
    pub standby: Option<(StandbyLimits, RetainLimits)>,
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
    /// What the machines of processes that are gone had met.
    met: Coverage,
    /// Whether it converts wrongly.
    wrong: bool,
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
            met: Coverage::default(),
            wrong: false,
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
        self.put_down();
        let incarnation = Incarnation((1 + self.leg.index() as u64) << 32 | self.lives);
        self.desks = self
            .sources
            .iter()
            .map(|&(sid, first)| Desk::new(self.leg, sid, first, incarnation, &self.conduct))
            .collect();
        self.misconvert(self.wrong);
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
        self.put_down();
        self.desks.clear();
        self.socket.clear();
        self.inbox.clear();
    }

    /// Keeps what the machines of this process have met.
    fn put_down(&mut self) {
        for end in self.desks.iter().filter_map(|desk| desk.end.as_ref()) {
            coverage::pair::add(&mut self.met, end.pair.steps());
            coverage::standby::add(&mut self.met, end.standby.steps());
        }
    }

    /// Adds what its machines have met, in all its processes.
    pub fn hand_in(&mut self, coverage: &mut Coverage) {
        self.put_down();
        coverage.add(&core::mem::take(&mut self.met));
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
            let newer = generation > desk.publisher.sequencer.generation();
            let step = match newer {
                true => Step::Generation,
                false => Step::OldGeneration,
            };
            desk.step(step, out, |seq, wire| {
                seq.open_generation(now, generation, Adm(0), wire);
            });
        }
    }

    /// The news that its pair link was reset, or stands again.
    pub fn set_peer_lost(&mut self, now: Now, lost: bool, out: &mut dyn Output) {
        self.peer_lost = lost;
        if self.state != State::Running {
            return; // it will learn when it goes on
        }
        for desk in &mut self.desks {
            desk.set_peer_lost(now, lost, out);
        }
    }

    /// Converts wrongly from here on, or rightly again.
    pub fn misconvert(&mut self, wrong: bool) {
        self.wrong = wrong;
        for desk in &mut self.desks {
            desk.publisher.wrong = wrong;
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

    /// Whether the lines of some source have not decided this.
    #[must_use]
    pub fn has_undecided(&self, what: Undecided) -> bool {
        let mut desks = self.desks.iter();
        desks.any(|desk| desk.ear.undecided() == Some(what))
    }

    /// Announces the end of every stream and goes.
    pub fn step_down(&mut self, now: Now, out: &mut dyn Output) {
        if self.state != State::Running {
            return;
        }
        for desk in &mut self.desks {
            desk.step(Step::EndOfStream, out, |seq, wire| {
                seq.end_of_stream(now, wire);
            });
        }
        self.kill();
    }

    /// A request server of a source answers.
    pub fn hear_answer(
        &mut self,
        now: Now,
        (sid, line): (Sid, Line),
        packet: &Packet,
        out: &mut dyn Output,
    ) {
        if self.state != State::Running {
            return; // what a stopped process is given is as good as lost
        }
        for desk in &mut self.desks {
            if desk.sid == sid && !desk.is_holding() {
                desk.hear_answer(now, line, packet, out);
            }
        }
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
                self.say_step_down(out);
            }
        }
    }

    /// Wakes it.
    pub fn on_deadline(&mut self, now: Now, out: &mut dyn Output) {
        for desk in &mut self.desks {
            desk.listen(now, out);
            desk.turn(now, out);
            // A hold that ended just now kept the lines waiting.
            desk.listen(now, out);
            if is_due(desk.publisher.sequencer.next_deadline(), now.time) {
                desk.step(Step::Deadline, out, |seq, wire| {
                    seq.on_deadline(now, wire);
                });
            }
        }
        self.say_step_down(out);
    }
}

impl Sleeper for Adapter {
    fn next_deadline(&self) -> Option<Time> {
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
        let mut sequencer = Sequencer::new(config).expect("a world's limits are workable");
        if let Some((_, retain)) = conduct.standby {
            let retaining = sequencer.retaining(retain);
            sequencer = retaining.expect("a world's limits are workable");
        }
        let standby = conduct.standby.map(|(limits, _)| limits);
        Self {
            leg,
            sid,
            ear: Ear::new(conduct.lines, conduct.servers, first),
            publisher: Publisher {
                sequencer,
                epoch: Epoch::NONE,
                memory: Memory::default(),
                hearing: Hearing::default(),
                hold: conduct.lines.map_or(Duration::ZERO, |it| it.reorder_hold),
                wrong: false,
                bodies: Bodies::default(),
            },
            deaf_until: Time::ZERO,
            end: conduct.pair.map(|limits| End::new(limits, standby)),
        }
    }

    /// Lets the stream do something.
    fn step(
        &mut self,
        step: Step,
        out: &mut dyn Output,
        act: impl FnOnce(&mut Sequencer, &mut Wire<'_>),
    ) {
        self.publisher.step((self.leg, self.sid), step, out, act);
    }

    /// The pair link was reset, or stands again.
    pub(super) fn set_peer_lost(&mut self, now: Now, lost: bool, out: &mut dyn Output) {
        let step = if lost { Step::PeerLost } else { Step::PeerBack };
        self.step(step, out, |seq, wire| seq.set_peer_lost(now, lost, wire));
    }

    /// Sends what is under way.
    pub(super) fn flush(&mut self, now: Now, out: &mut dyn Output) {
        self.step(Step::Flush, out, |seq, wire| seq.flush(now, wire));
    }

    pub(super) fn hear(&mut self, now: Now, line: Line, packet: &Packet, out: &mut dyn Output) {
        if now.time < self.deaf_until {
            out.fired("deaf");
            return;
        }
        if !packet.genuine && self.ear.would_believe(line, packet) {
            return; // what is heard first is believed, and rightly so: there is nothing to compare it with
        }
        self.publisher.hearing.note(now.time, packet);
        self.drain(now, out, |ear, publishing| {
            ear.hear(line, now.time, packet, now.unix_ns, publishing)
        });
    }

    /// The lines' deadline, unless the stream is held.
    fn listen(&mut self, now: Now, out: &mut dyn Output) {
        if !self.is_holding() && is_due(self.ear.next_deadline(), now.time) {
            self.drain(now, out, |ear, publishing| {
                ear.on_deadline(now.time, publishing)
            });
            if let Some(ask) = self.ear.poll_request() {
                out.fired("request");
                out.asks(self.leg, self.sid, ask);
            }
        }
    }

    /// A request server of the source answers.
    fn hear_answer(&mut self, now: Now, line: Line, packet: &Packet, out: &mut dyn Output) {
        let mut brought = 0;
        self.drain(now, out, |ear, publishing| {
            brought = ear.hear_answer(line, now.time, packet, now.unix_ns, publishing);
            Vec::new()
        });
        if brought > 0 {
            out.fired("recovered");
        }
    }

    /// Lets the ear speak to the publisher, then ends the batch.
    fn drain(
        &mut self,
        now: Now,
        out: &mut dyn Output,
        act: impl FnOnce(&mut Ear, &mut Publishing<'_>) -> Vec<Cell>,
    ) {
        let (leg, sid) = (self.leg, self.sid);
        let publisher = &mut self.publisher;
        let met = act(
            &mut self.ear,
            &mut Publishing {
                leg,
                sid,
                now,
                publisher,
                out,
            },
        );
        met.into_iter().for_each(|cell| out.met(cell));
        let excused = self.ear.was_pressed();
        if let Err(what) = self.publisher.hearing.settle(excused) {
            out.wrong(leg, sid, what);
        }
        self.tend(now, out);
        self.flush(now, out);
    }
}

/// Conversion and numbering of one source stream.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) sequencer: Sequencer,
    epoch: Epoch,
    /// What conversion remembers.
    memory: Memory,
    /// What it has heard, and must not give up.
    hearing: Hearing,
    /// How long it waits for the other line.
    hold: Duration,
    /// Whether what comes of a message is not what it should be.
    wrong: bool,
    /// Room for what the message in hand becomes.
    bodies: Bodies,
}

impl Publisher {
    /// Lets the stream do something, and notes what that met.
    fn step(
        &mut self,
        (leg, sid): (Leg, Sid),
        step: Step,
        out: &mut dyn Output,
        act: impl FnOnce(&mut Sequencer, &mut Wire<'_>),
    ) {
        let standing = Standing::of(&self.sequencer);
        let refused = self.sequencer.counters().refused;
        act(&mut self.sequencer, &mut Wire::new(leg, sid, out));
        let refused = self.sequencer.counters().refused > refused;
        out.met(standing.meets(step, refused));
    }
}

/// A publisher with the moment and the way out.
pub struct Publishing<'a> {
    leg: Leg,
    sid: Sid,
    now: Now,
    publisher: &'a mut Publisher,
    out: &'a mut dyn Output,
}

impl Publishing<'_> {
    fn step(&mut self, step: Step, act: impl FnOnce(&mut Sequencer, &mut Wire<'_>)) {
        let whose = (self.leg, self.sid);
        self.publisher.step(whose, step, self.out, act);
    }
}

impl Source for Publishing<'_> {
    fn begin(&mut self, start: EpochStart) {
        self.publisher.hearing.closed();
        let again = self.publisher.epoch == start.epoch;
        self.publisher.epoch = start.epoch;
        self.publisher.memory = Memory::new(start.epoch, start.first);
        let step = if again { Step::BeginAgain } else { Step::Begin };
        let now = self.now;
        self.step(step, |seq, wire| seq.begin_epoch(now, start, wire));
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        let Ok(bytes) = bytes.try_into() else { return };
        let memory = self.publisher.memory.digest() ^ u64::from(self.publisher.wrong);
        let mut bodies = core::mem::take(&mut self.publisher.bodies);
        convert(bytes, sseq, memory, &mut bodies);
        self.out.converted(Converted {
            leg: self.leg,
            sid: self.sid,
            epoch: self.publisher.epoch,
            sseq,
            bodies: &bodies,
        });
        let step = match bodies.count() {
            0 => Step::Covered,
            _ => Step::Message,
        };
        let each = bodies.iter().map(|(kind, bytes)| Body { kind, bytes });
        let now = self.now;
        self.step(step, |seq, wire| {
            seq.message(now, sseq, received_at, each, wire);
        });
        self.publisher.bodies = bodies;
    }

    fn abandoned(&mut self, range: Range<u64>) {
        self.out.fired("abandoned_range");
        let (now, epoch, hold) = (self.now.time, self.publisher.epoch, self.publisher.hold);
        let hearing = &mut self.publisher.hearing;
        hearing.abandoned(now, epoch, &range, hold);
        self.publisher.memory.give_up(range.clone());
        let now = self.now;
        self.step(Step::Abandon, |seq, wire| seq.abandon(now, range, wire));
    }

    fn ended(&mut self, _: Epoch, next_sseq: u64) {
        self.publisher.hearing.closed();
        let now = self.now;
        self.step(Step::End, |seq, wire| seq.end_epoch(now, next_sseq, wire));
    }

    fn stale(&mut self, stale: bool) {
        self.out.fired("source_stale");
        let now = self.now;
        self.step(Step::Stale, |seq, wire| {
            seq.set_source_stale(now, stale, wire);
        });
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

    fn withheld(&mut self, bytes: &[u8]) {
        self.out.withheld(self.leg, self.sid, bytes);
    }
}

impl Link for Wire<'_> {
    fn say(&mut self, said: Said) {
        self.out.said(self.leg, self.sid, said);
    }

    fn commit(&mut self, said: Said, _: Duration) -> bool {
        self.out.said_for_good(self.leg, self.sid, said)
    }

    fn tell(&mut self, news: News) {
        self.out.news(self.leg, self.sid, news);
    }
}

/// What the message becomes under this memory: a pure function of its arguments.
fn convert(bytes: &[u8; MESSAGE_LENGTH], sseq: u64, memory: u64, bodies: &mut Bodies) {
    let salt = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes are eight bytes"));
    let mut rng = Rng::new(mix(salt, mix(memory, sseq)));
    bodies.clear();
    match becomes(bytes) {
        Becomes::Nothing => {}
        Becomes::Records(count) => {
            for _ in 0..count {
                bodies.draw(BodyKind::Dbn, 56, &mut rng);
            }
        }
        Becomes::Long(length) => {
            bodies.draw(BodyKind::Dbn, 56, &mut rng);
            bodies.draw(BodyKind::Opaque, usize::from(length), &mut rng);
        }
    }
}
