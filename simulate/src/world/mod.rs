//! Does the promise hold whatever goes wrong?
//!
//! One seed decides everything: what the sources say, what the network does to it, which process dies when.
//! Time is virtual, so a second costs milliseconds and a failure is a number that anybody can replay. The
//! machines are the production ones; everything else here is the world around them.
//!
//! ```text
//!  exchange ─ lines ─► adapters ─ net ─► subscribers ─► oracle
//!      └──────────────────┴────── truth ─────────────────┘
//!  faults ─► any of them         plan: what a seed decides
//! ```
//!
//! **Invariant:** no socket, no thread, no clock, no randomness but [`rng`]. The same seed is the same
//! world for ever, unless a component changes what it draws.

use core::time::Duration;

use twinfeed_protocol::line::{Line, LineAsk};
use twinfeed_protocol::sequencer::Now;
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_protocol::{Leg, OrderingClass};
use twinfeed_wire::{Generation, Sid};

pub mod adapters;
mod agenda;
mod asked;
pub mod clock;
pub mod exchange;
mod eyes;
pub mod facts;
pub mod faults;
mod filled;
pub mod fills;
pub mod ground;
mod joined;
pub mod line_faults;
pub mod lines;
mod long;
mod memory;
pub mod net;
pub mod oracle;
pub mod pair;
pub mod plan;
pub mod plant;
pub mod requests;
pub mod rng;
pub mod snapshots;
pub mod stats;
mod strikes;
pub mod subscribers;
pub mod trace;

pub use plan::{Kind, Plan};

use adapters::{Adapter, State};
use asked::Asked;
use clock::Clock;
use exchange::{Content, Shared, Source};
use faults::Fault;
use fills::Fills;
use ground::{Ground, Happening};
use line_faults::lag::Elders;
use line_faults::{LineFault, Under};
use lines::LinePath;
use net::Flight;
use oracle::Violation;
use pair::{PairEvent, PairWorld};
use requests::Requests;
use rng::Rng;
use snapshots::{Ask, Snapshots, adapter_that_asked};
use stats::Stats;
use subscribers::Subscriber;

use crate::coverage::Coverage;

/// What is on an adapter's disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Disk {
    /// What was written.
    Sound,
    /// Nothing that can be read.
    Empty,
    /// The same, and nothing can be written.
    Full,
}

/// How a world ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Broken promises; at most a few, the first is the one to look at.
    pub violations: Vec<Violation>,
    /// What happened, counted.
    pub stats: Stats,
    /// What was hit of the machines' tables.
    pub coverage: Coverage,
    /// What happened at the end, when it was traced.
    pub trace: Vec<String>,
    /// Virtual time that passed.
    pub lasted: Duration,
}

/// One world at work.
pub struct World {
    ground: Ground,
    sources: Vec<Source>,
    adapters: [Asked<Adapter>; 2],
    paths: [[LinePath; 2]; 2],
    path_rng: Rng,
    subscribers: Vec<Asked<Subscriber>>,
    faults: Vec<Option<Box<dyn Fault>>>,
    violations: Vec<Violation>,
    generation: Generation,
    calm_percent: u64,
    calm: bool,
    end: Option<Time>,
    not_before: Time,
    chance: Rng,
    pair: Option<PairWorld>,
    line_faults: Vec<Box<dyn LineFault>>,
    line_rng: Rng,
    elders: Elders,
    /// What passes the faults of a line, before and behind one of them; empty between two packets.
    under_way: [Vec<Under>; 2],
    /// What each adapter's clocks show.
    clocks: [Clock; 2],
    /// What each subscriber's clock shows.
    watches: Vec<Clock>,
    disks: [Disk; 2],
    lasts: (Duration, Duration),
}

/// Builds the world of `plan` and lets it run to its end; keeps the last `trace` lines of what happened.
#[must_use]
pub fn run(plan: Plan, trace: usize) -> Outcome {
    World::new(plan, trace).run()
}

/// The command that replays a seed.
#[must_use]
pub fn replay_command(kind: Kind, seed: u64) -> String {
    let option = kind.option();
    format!("cargo run -p twinfeed-tests --bin world -- {option}--seed {seed}")
}

impl World {
    /// The world as it stands at time zero.
    #[must_use]
    pub fn new(plan: Plan, trace: usize) -> Self {
        let seed = plan.seed;
        let sources: Vec<(Sid, u64)> = plan
            .sources
            .iter()
            .map(|shape| (shape.sid, shape.first))
            .collect();
        let classes: Vec<(Sid, OrderingClass)> = plan
            .sources
            .iter()
            .map(|shape| (shape.sid, shape.ordering))
            .collect();
        let mut ground = Ground::new(seed, trace);
        if plan.conduct.standby.is_some() {
            ground.allow_withholding();
        }
        let mut subscribers = Vec::new();
        for (number, application) in plan.subscribers.into_iter().enumerate() {
            ground.add_subscriber(number, application.ways);
            ground.schedule(application.joins, Happening::Join { subscriber: number });
            subscribers.push(Asked::new(Subscriber::new(
                number,
                application.limits,
                &classes,
                application.socket_room,
                application.plant,
            )));
        }
        let subscribers_number = subscribers.len();
        if let Some(fills) = plan.fills {
            let fills = Fills::new(fills, seed);
            for subscriber in &mut subscribers {
                subscriber.set_servers(fills.known());
            }
            ground.set_fills(fills);
        }
        if let Some(of) = plan.snapshots {
            let snapshots = Snapshots::new(of, seed);
            for (subscriber, joins) in subscribers.iter_mut().zip(plan.joins) {
                subscriber.join_with_snapshots(joins, snapshots.known());
            }
            ground.snapshots = Some(snapshots);
        }
        let remembers = plan.requests.is_some();
        ground.requests = plan.requests.map(|requests| Requests::new(requests, seed));
        for leg in Leg::BOTH {
            ground.schedule(plan.starts[leg.index()], Happening::Start { leg });
        }
        let pair = plan.pair.map(|pair| {
            let (world, on_ground) = PairWorld::new(pair, seed);
            ground.set_pair(on_ground);
            ground.schedule(pair.order_every, Happening::Pair(PairEvent::Order));
            world
        });
        for index in 0..sources.len() {
            ground.schedule(
                Duration::from_micros(500),
                Happening::Speak { source: index },
            );
        }
        let mut faults: Vec<Option<Box<dyn Fault>>> = Vec::new();
        for (at, fault) in plan.faults {
            ground.schedule(
                at,
                Happening::Fault {
                    number: faults.len(),
                },
            );
            faults.push(Some(fault));
        }
        Self {
            ground,
            adapters: Leg::BOTH
                .map(|leg| Asked::new(Adapter::new(leg, plan.conduct, sources.clone()))),
            sources: plan
                .sources
                .into_iter()
                .map(|shape| {
                    let mut source = Source::new(shape, seed);
                    if remembers {
                        source.remember_what_is_said();
                    }
                    source
                })
                .collect(),
            paths: plan.paths,
            path_rng: Rng::of(seed, "line paths"),
            subscribers,
            faults,
            violations: Vec::new(),
            generation: Generation(1),
            calm_percent: plan.calm_percent,
            calm: false,
            end: None,
            not_before: Time::ZERO,
            chance: Rng::of(seed, "chance"),
            pair,
            line_faults: plan.line_faults,
            line_rng: Rng::of(seed, "line faults"),
            elders: Elders::default(),
            under_way: [Vec::new(), Vec::new()],
            clocks: [Clock::default(); 2],
            watches: vec![Clock::default(); subscribers_number],
            disks: [Disk::Sound; 2],
            lasts: (plan.at_least, plan.settling),
        }
    }

    /// Runs to the end: everything said, every fault over, and time enough since for the last word.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        while self.violations.is_empty() {
            let soonest = self.next_deadline();
            let deadline = soonest.map(|deadline| deadline.max(self.not_before));
            let Some(next) = earlier(self.ground.next(), deadline) else {
                break;
            };
            if self.end.is_some_and(|end| next > end) {
                break;
            }
            self.ground.advance(next);
            if soonest.is_some_and(|soonest| soonest <= next) {
                self.fire_deadlines();
            }
            if let Some(happening) = self.ground.take_due() {
                self.happen(happening);
            }
            self.look_at_pair();
            self.look_at_requests();
            self.look_at_wishes();
            if let Some(fault) = self.ground.ledger().faults().first() {
                let what = fault.clone();
                self.complain(what);
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        if self.violations.is_empty() {
            let now = self.ground.now();
            for subscriber in &self.subscribers {
                subscriber.settle(now, &mut self.ground.watch(&mut self.violations));
            }
        }
        if self.violations.is_empty() && self.ground.times(STUCK_DEADLINE) > 0 {
            let times = self.ground.times(STUCK_DEADLINE);
            self.complain(format!(
                "woken {times} times without letting go of its deadline"
            ));
        }
        if self.pair.is_some() {
            self.ground.count_messages();
        }
        self.count_sources();
        for adapter in &mut self.adapters {
            adapter.hand_in(self.ground.coverage_mut());
        }
        // Nothing happens between the last event and the end, and that time passes too.
        if let Some(end) = self.end.filter(|_| self.violations.is_empty()) {
            let end = end.max(self.ground.now());
            self.ground.advance(end);
        }
        self.ground.finish(self.violations)
    }

    fn count_sources(&mut self) {
        for source in &self.sources {
            let lives = source.lives();
            let said: usize = lives.iter().map(|life| life.speaks.len()).sum();
            self.ground.count_many("source.messages", said as u64);
            let changes = lives.len() as u64 - 1;
            self.ground.count_many("source.epoch_changes", changes);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Speak { source } => self.speak(source),
            Happening::Packet { leg, line, packet } => {
                if self
                    .elders
                    .is_of_one((leg, line), &packet, self.ground.now())
                {
                    return self.ground.harm("line_echo_to_a_newborn");
                }
                self.elders.note_heard((leg, line), &packet);
                self.say_line(leg, line, &packet);
                let now = self.now_of(leg);
                self.adapters[leg.index()].hear(now, line, &packet, &mut self.ground);
            }
            Happening::Datagram {
                subscriber,
                leg,
                flight,
            } => {
                self.arrive(subscriber, leg, flight);
            }
            Happening::Request {
                subscriber,
                leg,
                flight,
            } => self.hear_request(subscriber, leg, &flight),
            Happening::FillTurn { leg } => self.answer_requests(leg),
            Happening::Fill {
                subscriber,
                leg,
                flight,
            } => self.give(subscriber, leg, &flight),
            Happening::SnapshotAsk { subscriber, ask } => self.hear_wish(subscriber, ask),
            Happening::SnapshotTurn { leg } => self.give_snapshots(leg),
            Happening::SnapshotAnswer { subscriber, answer }
                if let Some(leg) = adapter_that_asked(subscriber) =>
            {
                match self.adapters[leg.index()].state() {
                    State::Running => self.ground.answer_adapter(leg, &answer),
                    State::Dead => {}
                    State::Stopped => {
                        let again = Happening::SnapshotAnswer { subscriber, answer };
                        self.ground.schedule(STOPPED_TURN, again);
                    }
                }
            }
            Happening::SnapshotAnswer { subscriber, answer } => {
                let now = self.time_of(subscriber);
                let mut watch = self.ground.watch(&mut self.violations);
                self.subscribers[subscriber].give_snapshot(now, answer, &mut watch);
            }
            Happening::SourceAsk { leg, sid, ask } => self.answer_source_request(leg, sid, &ask),
            Happening::SourceAnswer { leg, line, packet } => {
                let (now, at) = (self.now_of(leg), (packet.sid, line));
                self.adapters[leg.index()].hear_answer(now, at, &packet, &mut self.ground);
            }
            Happening::Join { subscriber } => self.subscribers[subscriber].join(),
            Happening::Start { leg } => self.start_first(leg),
            Happening::PeerNews { leg, lost } => self.tell_of_peer(leg, lost),
            Happening::Pair(event) => self.on_pair(event),
            Happening::Fault { number } => self.strike(number),
        }
    }

    /// Writes down what comes on a line.
    fn say_line(&mut self, leg: Leg, line: Line, packet: &Shared) {
        let (epoch, first) = (packet.epoch, packet.first);
        self.ground.say(|| {
            let what = match &packet.content {
                Content::Messages(messages) => format!("{} messages", messages.len()),
                Content::Heartbeat => "heartbeat".to_owned(),
                Content::End => "end".to_owned(),
            };
            let whose = if packet.genuine { "" } else { ", of no source" };
            let sid = packet.sid;
            format!("adapter {leg} line {line:?} sid {sid} epoch {epoch} {first}: {what}{whose}")
        });
    }

    fn speak(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let (packet, rest) = source.speak(self.ground.now());
        self.ground.note_lives(packet.sid, source.lives());
        let now = self.ground.now();
        self.elders.note_life(packet.sid, packet.epoch, now);
        let packet = Shared::new(packet);
        for fault in &mut self.line_faults {
            fault.next(&mut self.line_rng);
        }
        for leg in Leg::BOTH {
            self.carry(leg, &packet);
        }
        self.ground
            .schedule(rest, Happening::Speak { source: index });
        self.look_for_calm();
    }

    /// Sends a packet over the lines into one adapter.
    fn carry(&mut self, leg: Leg, packet: &Shared) {
        let two = self.adapters[leg.index()].hears_two_lines();
        for (index, line) in [Line::A, Line::B]
            .into_iter()
            .enumerate()
            .take(1 + usize::from(two))
        {
            let path = self.paths[leg.index()][index];
            let path = if two && !self.calm { path } else { path.calm() };
            self.pass_line_faults(leg, line, packet);
            let mut passed = core::mem::take(&mut self.under_way[0]);
            for under in passed.drain(..) {
                let ground = &mut self.ground;
                let copies = path.copies(&mut self.path_rng, |name| ground.harm(name));
                for delay in copies.into_iter().flatten() {
                    let (line, packet) = (under.line, Shared::clone(&under.packet));
                    let happening = Happening::Packet { leg, line, packet };
                    self.ground.schedule(delay + under.late, happening);
                }
            }
            self.under_way[0] = passed;
        }
    }

    /// Puts under way what the faults of the lines make of a packet.
    fn pass_line_faults(&mut self, leg: Leg, line: Line, packet: &Shared) {
        let [all, on] = &mut self.under_way;
        all.push(Under {
            leg,
            line,
            packet: Shared::clone(packet),
            late: Duration::ZERO,
        });
        let harms = !self.calm && self.adapters[leg.index()].hears_two_lines();
        for fault in self.line_faults.iter_mut().filter(|_| harms) {
            for under in all.drain(..) {
                if fault.pass(under, &mut self.line_rng, on) {
                    self.ground.harm(fault.name());
                }
            }
            core::mem::swap(all, on);
        }
    }

    fn arrive(&mut self, subscriber: usize, leg: Leg, flight: Flight) {
        let now = self.time_of(subscriber);
        if self.subscribers[subscriber].state() == subscribers::State::Polling {
            self.ground.say_heard(
                || format!("  subscriber {subscriber} hears"),
                leg,
                &flight.bytes,
            );
        }
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[subscriber].arrive(now, leg, flight, &mut watch);
    }

    /// What subscribers ask for since the last look.
    fn look_at_requests(&mut self) {
        if self.ground.fills_mut().is_none() {
            return;
        }
        for number in 0..self.subscribers.len() {
            // Who is not had in hand need not be asked for its deadline again.
            if !self.subscribers[number].is_asking() {
                continue;
            }
            while let Some(ask) = self.subscribers[number].poll_request() {
                self.ground.ask(number, &ask);
            }
        }
    }

    /// Snapshots that applications wish for since the last look.
    fn look_at_wishes(&mut self) {
        if self.ground.snapshots.is_none() {
            return;
        }
        for number in 0..self.subscribers.len() {
            if !self.subscribers[number].wants_a_snapshot() {
                continue;
            }
            let now = self.time_of(number);
            while let Some(ask) = self.subscribers[number].poll_wish(now) {
                self.ground.wish(number, ask);
            }
        }
    }

    fn hear_wish(&mut self, subscriber: usize, ask: Ask) {
        match self.adapters[ask.leg.index()].state() {
            State::Running => self.ground.take_wish(subscriber, ask),
            // The kernel takes the connection, and the process looks at it when it goes on.
            State::Stopped => {
                let again = Happening::SnapshotAsk { subscriber, ask };
                self.ground.schedule(STOPPED_TURN, again);
            }
            State::Dead => self.ground.refuse_wish(subscriber, &ask),
        }
    }

    fn give_snapshots(&mut self, leg: Leg) {
        match self.adapters[leg.index()].state() {
            // Of a process that is no more nobody waits.
            State::Running | State::Dead => self.ground.give_snapshots(leg),
            State::Stopped => {
                let again = Happening::SnapshotTurn { leg };
                self.ground.schedule(STOPPED_TURN, again);
            }
        }
    }

    /// A request reaches the server of a source.
    fn answer_source_request(&mut self, leg: Leg, sid: Sid, ask: &LineAsk) {
        let source = self.sources.iter().find(|source| source.shape().sid == sid);
        let (Some(source), Some(requests)) = (source, &mut self.ground.requests) else {
            return;
        };
        let Some((packet, longer)) = requests.answer(source, ask) else {
            return;
        };
        let Some(span) = requests.way() else { return };
        let line = ask.line;
        let packet = Shared::new(packet);
        let arrives = Happening::SourceAnswer { leg, line, packet };
        self.ground.schedule(span + longer, arrives);
    }

    fn hear_request(&mut self, subscriber: usize, leg: Leg, flight: &Flight) {
        let (now, at) = (self.ground.now(), self.now_of(leg).time);
        if self.adapters[leg.index()].state() == State::Running {
            self.ground.take_request(at, subscriber, leg, &flight.bytes);
        } else if let Some(fills) = self.ground.fills_mut() {
            fills.note_unheard(now, subscriber, leg);
        }
    }

    fn answer_requests(&mut self, leg: Leg) {
        let (now, at) = (self.ground.now(), self.now_of(leg).time);
        match self.adapters[leg.index()].state() {
            State::Running => self.ground.answer_requests(at, leg),
            // Its thread stands still, too.
            State::Stopped => {
                let again = Happening::FillTurn { leg };
                self.ground.schedule(STOPPED_TURN, again);
                if let Some(fills) = self.ground.fills_mut() {
                    fills.note_trouble(now, leg);
                }
            }
            State::Dead => {}
        }
    }

    fn give(&mut self, subscriber: usize, leg: Leg, flight: &Flight) {
        let now = self.time_of(subscriber);
        self.ground.say_heard(
            || format!("  subscriber {subscriber} is given"),
            leg,
            &flight.bytes,
        );
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[subscriber].give(now, leg, flight, &mut watch);
    }

    fn strike(&mut self, number: usize) {
        if self.calm {
            return;
        }
        let Some(mut fault) = self.faults[number].take() else {
            return;
        };
        if fault.begins() {
            self.ground.fault(fault.name());
        } else {
            self.ground.fault_ends(fault.name());
        }
        if let Some(again) = fault.strike(self) {
            self.ground.schedule(again, Happening::Fault { number });
            self.faults[number] = Some(fault);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let mut soonest = None;
        for (adapter, clock) in self.adapters.iter().zip(&self.clocks) {
            soonest = earlier(soonest, adapter.next_deadline().map(|it| clock.world(it)));
        }
        for (subscriber, clock) in self.subscribers.iter().zip(&self.watches) {
            soonest = earlier(
                soonest,
                subscriber.next_deadline().map(|it| clock.world(it)),
            );
        }
        soonest
    }

    fn fire_deadlines(&mut self) {
        let now = self.now();
        let due = |deadline: Option<Time>, now| deadline.is_some_and(|deadline| deadline <= now);
        for (adapter, clock) in self.adapters.iter_mut().zip(&self.clocks) {
            let now = clock.read(now);
            if due(adapter.next_deadline(), now.time) {
                adapter.on_deadline(now, &mut self.ground);
            }
        }
        for (subscriber, clock) in self.subscribers.iter_mut().zip(&self.watches) {
            let now = clock.time(now.time);
            if due(subscriber.next_deadline(), now) {
                subscriber.on_deadline(now, &mut self.ground.watch(&mut self.violations));
            }
        }
        if due(self.next_deadline(), now.time) {
            // A driver would spin. Go on, to see what else is wrong; the count is judged in the end.
            self.ground.count(STUCK_DEADLINE);
            let adapters = self.adapters.each_ref().map(Asked::next_deadline);
            let all = self.subscribers.iter();
            let subscribers: Vec<_> = all.map(Asked::next_deadline).collect();
            self.ground
                .say(|| format!("stuck: adapters {adapters:?}, subscribers {subscribers:?}"));
            self.not_before = now.time.after(Duration::from_micros(100));
        }
    }

    /// Ends every fault once enough was said, and the world a while after all was said.
    fn look_for_calm(&mut self) {
        let said: u64 = self
            .sources
            .iter()
            .flat_map(|source| source.lives().iter().map(|life| life.speaks.len() as u64))
            .sum();
        let all: u64 = self
            .sources
            .iter()
            .flat_map(|source| &source.shape().lives)
            .sum();
        let spent = self.sources.iter().all(Source::is_spent);
        if !self.calm && said * 100 >= all * self.calm_percent && self.linger_over(spent) {
            self.make_calm();
        }
        if self.calm && spent && self.end.is_none() {
            let (at_least, settling) = self.lasts;
            let end = self.ground.now().after(settling);
            self.end = Some(end.max(Time::ZERO.after(at_least)));
        }
    }

    /// Faults that last beyond the last message see the heartbeats behind it, too.
    fn linger_over(&mut self, spent: bool) -> bool {
        !spent || self.chance.one_in(3)
    }

    fn make_calm(&mut self) {
        self.calm = true;
        self.ground.calm();
        for leg in Leg::BOTH {
            match self.adapters[leg.index()].state() {
                State::Dead => self.start(leg),
                State::Stopped => self.resume(leg),
                State::Running => {}
            }
            self.deafen(leg, Duration::ZERO);
            self.adapters[leg.index()].misconvert(false);
            self.disks[leg.index()] = Disk::Sound;
            self.ground.set_addressed(leg, true);
            if self.pair.is_none() {
                self.tell_of_peer(leg, false);
            }
        }
        self.calm_pair();
        for subscriber in 0..self.subscribers.len() {
            self.come(subscriber);
            self.unpause(subscriber);
        }
    }

    fn complain(&mut self, what: String) {
        let at = self.ground.now();
        self.violations.push(Violation {
            at,
            subscriber: usize::MAX,
            sid: Sid(0),
            what,
        });
    }

    fn now(&self) -> Now {
        self.ground.now_twice()
    }

    /// The time, as the adapter of `leg` reads it.
    fn now_of(&self, leg: Leg) -> Now {
        self.clocks[leg.index()].read(self.now())
    }

    /// The time, as a subscriber reads it.
    fn time_of(&self, subscriber: usize) -> Time {
        self.watches[subscriber].time(self.ground.now())
    }
}

/// How often the turn of a process that is stopped is looked at again.
const STOPPED_TURN: Duration = Duration::from_millis(1);
/// A machine was woken at its deadline and wants to be woken at the same moment again.
const STUCK_DEADLINE: &str = "stuck_deadline";
