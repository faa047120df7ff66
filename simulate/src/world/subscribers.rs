//! What does an application get?
//!
//! A [`Subscriber`] drives the production arbiter the way the library does: every datagram as it comes,
//! deadlines when they are due, control messages between. It can be absent, and it can pause: then its
//! socket keeps what it has room for and counts the rest.

use std::collections::VecDeque;

use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_protocol::{
    Arbiter, CloseReason, Control, Cursors, Delivered, Event, Handler, Leg, LegState, Limits,
    OrderingClass, Place,
};
use twinfeed_wire::{BodyKind, Datagram, Generation, Record, Sid};

use super::adapters::stream_id;
use super::asked::Sleeper;
use super::eyes::Eyes;
use super::fills::Fills;
use super::net::Flight;
use super::oracle::heard::LegHeard;
use super::oracle::{Assembly, Copied, Ledger, Reader, Told, Violation, Witness, claims, words};
use super::plant::{Plant, Saboteur};
use super::snapshots::{Answer, Ask as Wished, Heard, JoinPlan, Joiner};
use super::stats::Stats;
use super::trace::Trace;
use crate::coverage::Coverage;
use crate::coverage::divergence::Cause;

/// What the application is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It has not subscribed yet.
    Absent,
    /// It polls whenever there is something.
    Polling,
    /// It does not poll.
    Paused,
    /// It has ended.
    Gone,
}

/// Who looks on while a subscriber works.
#[derive(Debug)]
pub struct Watch<'a> {
    /// The truth.
    pub ledger: &'a Ledger,
    /// Where messages that no source said stand for everybody.
    pub assembly: &'a mut Assembly,
    /// What happened.
    pub stats: &'a mut Stats,
    /// What was hit of the machines' tables.
    pub coverage: &'a mut Coverage,
    /// The same as text.
    pub trace: &'a mut Trace,
    /// Who gives what both streams lost, if anybody does.
    pub fills: Option<&'a Fills>,
    /// Broken promises.
    pub violations: &'a mut Vec<Violation>,
}

/// One application with its arbiter and a witness per source stream.
pub struct Subscriber {
    number: usize,
    limits: Limits,
    arbiter: Arbiter,
    state: State,
    witnesses: Vec<Witness>,
    socket: VecDeque<(Leg, Flight)>,
    socket_room: usize,
    dropped: [u64; 2],
    saboteur: Saboteur,
    told: Vec<Told>,
    /// Since when it polls.
    polls_since: Time,
    eyes: Vec<Eyes>,
    sources: Vec<(Sid, OrderingClass)>,
    /// Who is active under which generation, as it was told last.
    roles: Option<(Leg, Generation)>,
    /// Which adapters can be asked for what both streams lost.
    servers: [bool; 2],
    /// Where the application stands, as it would keep it.
    cursors: Cursors,
    kept: Option<Kept>,
    /// How it joins, when that is with snapshots.
    joiner: Option<Joiner>,
    /// What of the decisions reached it then.
    readers: Vec<Reader>,
    /// Whether it was told so.
    closed: bool,
}

/// What an application keeps in one transaction: where it stood, and what it had been told until then.
struct Kept {
    cursors: Cursors,
    witnesses: Vec<Witness>,
}

impl Subscriber {
    /// A subscriber to every one of `sources`, absent so far.
    ///
    /// # Panics
    /// When the world's limits are ones no arbiter works with.
    #[must_use]
    pub fn new(
        number: usize,
        limits: Limits,
        sources: &[(Sid, OrderingClass)],
        room: usize,
        plant: Plant,
    ) -> Self {
        let mut arbiter = Arbiter::new(limits).expect("a world's limits are workable");
        for &(sid, class) in sources {
            arbiter.add_source(sid, class);
            for leg in Leg::BOTH {
                arbiter.set_stream(sid, leg, stream_id(leg, sid));
            }
        }
        Self {
            number,
            limits,
            arbiter,
            state: State::Absent,
            witnesses: sources
                .iter()
                .map(|&(sid, class)| Witness::new(sid, class, limits))
                .collect(),
            socket: VecDeque::new(),
            socket_room: room,
            dropped: [0; 2],
            saboteur: Saboteur::new(plant),
            told: Vec::new(),
            polls_since: Time::ZERO,
            eyes: sources.iter().map(|&(sid, _)| Eyes::of(sid)).collect(),
            sources: sources.to_vec(),
            roles: None,
            servers: [false; 2],
            cursors: Cursors::default(),
            kept: None,
            joiner: None,
            readers: Vec::new(),
            closed: false,
        }
    }

    /// It joins with snapshots, of adapters that serve them.
    pub fn join_with_snapshots(&mut self, plan: JoinPlan, known: [bool; 2]) {
        self.joiner = Some(Joiner::new(plan, known, &self.sources, 0));
        self.readers = self.new_readers();
    }

    fn new_readers(&self) -> Vec<Reader> {
        let ordered = |it: &&(Sid, OrderingClass)| it.1 == OrderingClass::Ordered;
        let ordered = self.sources.iter().filter(ordered);
        ordered.map(|(sid, _)| Reader::new(*sid)).collect()
    }

    /// Whether it may have a request for a snapshot to send.
    #[must_use]
    pub fn wants_a_snapshot(&self) -> bool {
        self.state == State::Polling && self.joiner.as_ref().is_some_and(Joiner::is_ready)
    }

    /// A request for a snapshot that is to be sent.
    pub fn poll_wish(&mut self, now: Time) -> Option<Wished> {
        let active = self.roles.map(|(active, _)| active);
        self.joiner.as_mut()?.poll_ask(now, active)
    }

    /// Something came back from a snapshot server.
    pub fn give_snapshot(&mut self, now: Time, answer: Answer, watch: &mut Watch<'_>) {
        let Some(joiner) = &mut self.joiner else {
            return;
        };
        joiner.take(answer);
        if self.state == State::Polling {
            self.judge(now, watch);
        }
    }

    /// It wants a snapshot of everything.
    pub fn refresh(&mut self, now: Time, watch: &mut Watch<'_>) {
        if self.state == State::Polling
            && let Some(joiner) = &mut self.joiner
        {
            joiner.refresh(now);
            self.judge(now, watch);
        }
    }

    /// Says which adapters can be asked for what both streams lost.
    pub fn set_servers(&mut self, known: [bool; 2]) {
        self.servers = known;
        for leg in Leg::BOTH {
            self.arbiter.set_fill_server(leg, known[leg.index()]);
        }
    }

    /// Whether it waits for an answer, or is about to.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.arbiter.is_asking()
    }

    /// A request that is to be sent.
    pub fn poll_request(&mut self) -> Option<Ask> {
        match self.state {
            State::Polling => self.arbiter.poll_request(),
            State::Absent | State::Paused | State::Gone => None,
        }
    }

    /// Something reached the socket on which it waits for answers.
    pub fn give(&mut self, now: Time, leg: Leg, flight: &Flight, watch: &mut Watch<'_>) {
        // Like the library, it does not look while it waits for nothing.
        if self.state != State::Polling || !self.arbiter.is_asking() {
            return;
        }
        if flight.genuine {
            for witness in &mut self.witnesses {
                witness.heard.note_given(witness.sid, &flight.bytes);
            }
        }
        // No stream said anything: what is decided now is as if time had come.
        self.watched(now, Cause::Deadline, watch.coverage, |arbiter, tap| {
            arbiter.on_fill(leg, now, &flight.bytes, tap);
        });
        self.judge(now, watch);
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its arbiter.
    #[must_use]
    pub fn arbiter(&self) -> &Arbiter {
        &self.arbiter
    }

    /// What it was told, by source stream.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Subscribes.
    pub fn join(&mut self) {
        if self.state == State::Absent {
            self.state = State::Polling;
        }
    }

    /// Ends. What it was told until then adds up, or that is a violation.
    pub fn leave(&mut self, now: Time, watch: &mut Watch<'_>) {
        if matches!(self.state, State::Absent | State::Gone) {
            return;
        }
        self.reckon(now, watch);
        self.control(now, Control::Close(CloseReason::ByApplication), watch);
        if let Some(joiner) = &mut self.joiner {
            joiner.tell_all(now);
            self.hear(now, watch);
            let closed = self.closed;
            self.demand(now, watch, |_| match closed {
                true => Ok(()),
                false => Err("as told: the last word is not Closed".into()),
            });
            self.count_joins(watch);
        }
        self.state = State::Gone;
    }

    /// Another process of it joins and remembers nothing. `false`: it had not ended.
    pub fn come(&mut self) -> bool {
        if self.state != State::Gone {
            return false;
        }
        let (number, mut limits, room) = (self.number, self.limits, self.socket_room);
        limits.repair.fill_seed = limits.repair.fill_seed.rotate_left(17) ^ 1;
        let servers = self.servers;
        let joiner = self.joiner.as_ref().map(|it| it.again(&self.sources, None));
        *self = Self::new(number, limits, &self.sources, room, Plant::Nothing);
        self.set_servers(servers);
        self.joiner = joiner;
        if self.joiner.is_some() {
            self.readers = self.new_readers();
        }
        self.state = State::Polling;
        true
    }

    /// Keeps where it stands.
    pub fn keep(&mut self) {
        if self.state != State::Polling {
            return;
        }
        let joiner = self.joiner.as_ref();
        if joiner.is_some_and(|joiner| !joiner.is_live(&self.sources)) {
            return; // what it was told is behind what was decided
        }
        self.kept = Some(Kept {
            cursors: joiner
                .map_or(&self.cursors, |joiner| &joiner.cursors)
                .clone(),
            witnesses: self.witnesses.clone(),
        });
    }

    /// Another process of it goes on from what was kept. `false`: it had not ended, or had kept nothing.
    pub fn come_back(&mut self, now: Time, watch: &mut Watch<'_>) -> bool {
        let kept = match self.state {
            State::Gone => self.kept.take(),
            State::Absent | State::Polling | State::Paused => None,
        };
        let Some(Kept { cursors, witnesses }) = kept else {
            return false;
        };
        self.come();
        // Without order there is no place to go on from.
        let unordered = |sid| self.sources.contains(&(sid, OrderingClass::Unordered));
        let ordered = cursors.iter().filter(|it| !unordered(it.next.sid));
        let cursors = Cursors::resumed(ordered.copied());
        if let Some(joiner) = &self.joiner {
            self.joiner = Some(joiner.again(&self.sources, Some(cursors.clone())));
            for reader in &mut self.readers {
                if let Some(cursor) = cursors.get(reader.sid) {
                    *reader = Reader::resumed(cursor);
                }
            }
        }
        let joins = self.joiner.is_some();
        for (known, fresh) in witnesses.into_iter().zip(&mut self.witnesses) {
            let sid = known.sid;
            let Some(cursor) = cursors.get(sid) else {
                continue;
            };
            let judged = known.resumed(cursor, joins, watch.ledger);
            let resumed = self.arbiter.resume(cursor).map_err(|it| it.to_string());
            match resumed.and(judged) {
                Ok(witness) => {
                    *fresh = witness;
                    watch.stats.add("subscriber.resumed");
                }
                Err(what) => watch.violations.push(Violation {
                    at: now,
                    subscriber: self.number,
                    sid,
                    what,
                }),
            }
        }
        self.cursors = cursors;
        self.polls_since = now;
        true
    }

    /// Stops polling.
    pub fn pause(&mut self) {
        if self.state == State::Polling {
            self.state = State::Paused;
        }
    }

    /// Polls again: first what the socket kept, then the news of what it did not.
    pub fn unpause(&mut self, now: Time, watch: &mut Watch<'_>) {
        if self.state != State::Paused {
            return;
        }
        self.state = State::Polling;
        self.polls_since = now;
        while let Some((leg, flight)) = self.socket.pop_front() {
            self.arrive(now, leg, flight, watch);
        }
        for leg in Leg::BOTH {
            let datagrams = core::mem::take(&mut self.dropped[leg.index()]);
            if datagrams > 0 {
                watch.stats.add_many("local_drops", datagrams);
                for witness in &mut self.witnesses {
                    witness.overrun = true;
                }
                self.control(now, Control::LocalDrops { leg, datagrams }, watch);
            }
        }
    }

    /// Polls again, and leaves out what the socket kept, as one does that is too slow and wants that.
    pub fn skip(&mut self, now: Time, watch: &mut Watch<'_>) {
        if self.state != State::Paused {
            return;
        }
        self.state = State::Polling;
        self.polls_since = now;
        watch.stats.add("subscriber.skipped");
        watch
            .stats
            .add_many("subscriber.left_out", self.socket.len() as u64);
        self.socket.clear();
        self.dropped = [0; 2];
        for witness in &mut self.witnesses {
            witness.left_out = true;
        }
        self.control(now, Control::Skip, watch);
    }

    /// A datagram reached its socket.
    pub fn arrive(&mut self, now: Time, leg: Leg, flight: Flight, watch: &mut Watch<'_>) {
        match self.state {
            State::Absent | State::Gone => return,
            State::Paused if self.socket.len() < self.socket_room => {
                return self.socket.push_back((leg, flight));
            }
            State::Paused => return self.dropped[leg.index()] += 1,
            State::Polling => {}
        }
        if !flight.genuine && self.would_join_on(&flight) {
            return;
        }
        let from = self.polls_since;
        let asks = watch.fills.is_some();
        self.demand(now, watch, |witness| {
            claims::silence(witness, now, (from, asks))
        });
        self.note_heard(now, leg, &flight, watch.ledger);
        for eyes in &mut self.eyes {
            eyes.arrives(now, leg, &flight.bytes, &self.arbiter, watch.coverage);
        }
        self.watched(now, Cause::Datagram(leg), watch.coverage, |arbiter, tap| {
            arbiter.on_datagram(leg, now, &flight.bytes, tap);
        });
        self.judge(now, watch);
        if let Ok(header) = twinfeed_wire::Header::parse(&flight.bytes)
            && flight.genuine
            && header.stream == stream_id(leg, header.sid)
        {
            self.demand(now, watch, |witness| match witness.sid == header.sid {
                true => claims::farewell(witness, leg, &header),
                false => Ok(()),
            });
        }
    }

    /// Complains of every source for which something is not as it must be.
    fn demand(
        &self,
        now: Time,
        watch: &mut Watch<'_>,
        must: impl Fn(&Witness) -> Result<(), String>,
    ) {
        for witness in &self.witnesses {
            if let Err(what) = must(witness) {
                watch.violations.push(Violation {
                    at: now,
                    subscriber: self.number,
                    sid: witness.sid,
                    what,
                });
            }
        }
    }

    /// Whether a record of this datagram would be the first thing heard of its source stream. The first
    /// record is believed (RM-14), for there is nothing to compare it with: no world begins with nonsense.
    fn would_join_on(&self, flight: &Flight) -> bool {
        let Ok(header) = twinfeed_wire::Header::parse(&flight.bytes) else {
            return false;
        };
        let unheard = |witness: &Witness| witness.sid == header.sid && !witness.epoch.is_some();
        !header.is_heartbeat() && self.witnesses.iter().any(unheard)
    }

    fn note_heard(&mut self, now: Time, leg: Leg, flight: &Flight, ledger: &Ledger) {
        let Ok(header) = twinfeed_wire::Header::parse(&flight.bytes) else {
            return;
        };
        let (sid, bytes) = (header.sid, &flight.bytes);
        if header.stream != stream_id(leg, sid) {
            return;
        }
        for witness in self
            .witnesses
            .iter_mut()
            .filter(|witness| witness.sid == sid)
        {
            let last = ledger.lives(sid).last();
            let said = last.map(|life| (life.epoch, life.next()));
            // What nobody said says nothing of where it is: the first true word does, and of a later part or of a message alone
            // nobody can begin.
            if flight.genuine && !witness.heard_truth {
                let begins = said.is_some() && one_can_begin_with(bytes);
                (witness.said_before, witness.heard_truth) = (said, begins);
            }
            witness.said_before = witness.said_before.or(said);
            let believes = witness.believes(now);
            (witness.heard).note(leg.index(), now, (flight.genuine, believes), bytes);
        }
    }

    /// Wakes it.
    pub fn on_deadline(&mut self, now: Time, watch: &mut Watch<'_>) {
        for eyes in &mut self.eyes {
            eyes.look(now, &self.arbiter, watch.coverage);
        }
        self.watched(now, Cause::Deadline, watch.coverage, |arbiter, tap| {
            arbiter.on_deadline(now, tap);
        });
        self.judge(now, watch);
    }

    /// A control message reached it.
    pub fn control(&mut self, now: Time, control: Control, watch: &mut Watch<'_>) {
        let same = matches!(control, Control::Roles { active, generation }
            if self.roles == Some((active, generation)));
        if let Control::Roles { active, generation } = control {
            self.roles = Some((active, generation));
        }
        if let Control::Order { .. } | Control::Roles { .. } = control
            && !same
        {
            for witness in &mut self.witnesses {
                witness.ordered = true;
            }
        }
        self.watched(
            now,
            Cause::Control(control),
            watch.coverage,
            |arbiter, tap| {
                arbiter.on_control(control, now, tap);
            },
        );
        self.judge(now, watch);
    }

    /// Lets the arbiter do something, and notes what that met.
    fn watched(
        &mut self,
        now: Time,
        cause: Cause,
        coverage: &mut Coverage,
        act: impl FnOnce(&mut Arbiter, &mut Tap<'_>),
    ) {
        for eyes in &mut self.eyes {
            eyes.before(&self.arbiter);
        }
        let (arbiter, told, cursors) = (&mut self.arbiter, &mut self.told, &mut self.cursors);
        match &mut self.joiner {
            Some(joiner) => joiner.through(now, |on| {
                act(arbiter, &mut Tap(told, cursors, Some(on)));
            }),
            None => act(arbiter, &mut Tap(told, cursors, None)),
        }
        for eyes in &mut self.eyes {
            eyes.after(cause, &self.told, &self.arbiter, coverage);
        }
    }

    fn judge(&mut self, now: Time, watch: &mut Watch<'_>) {
        let counters = self.arbiter.counters();
        if counters.hold_overflow + counters.quarantine_overflow > 0 {
            for witness in &mut self.witnesses {
                witness.overflowed = true;
            }
        }
        let mut told = core::mem::take(&mut self.told);
        self.saboteur.pass_all(&mut told);
        let kept = self.judge_told(now, &told, watch);
        told.clear();
        self.told = told;
        if kept {
            self.check_bounds(now, watch);
            self.hear(now, watch);
        }
    }

    /// What reaches the application of what was decided, when it joins with snapshots.
    fn hear(&mut self, now: Time, watch: &mut Watch<'_>) {
        let Some(joiner) = &mut self.joiner else {
            return;
        };
        for cursor in joiner.work(now, &mut self.arbiter) {
            let sid = cursor.next.sid;
            watch.stats.add("join.quiet");
            let mut witnesses = self.witnesses.iter_mut();
            let witness = witnesses.find(|witness| witness.sid == sid);
            if let Some(Err(what)) = witness.map(|it| it.begin(&cursor, watch.ledger)) {
                watch.violations.push(Violation {
                    at: now,
                    subscriber: self.number,
                    sid,
                    what,
                });
                return;
            }
        }
        for heard in core::mem::take(&mut joiner.heard) {
            let sid = match &heard {
                Heard::Told(told) => sid_of(told),
                Heard::Snapshot(sid, _) => Some(*sid),
            };
            let behind = self.closed;
            self.closed |= is_closed(&heard);
            if behind {
                let what = format!("as told: {heard:?} behind Closed");
                watch.violations.push(Violation {
                    at: now,
                    subscriber: self.number,
                    sid: sid.unwrap_or(Sid(0)),
                    what,
                });
                return;
            }
            let Some(sid) = sid else { continue };
            let number = self.number;
            watch
                .trace
                .say(now, || format!("      application {number} <- {heard:?}"));
            let Some(reader) = self.readers.iter_mut().find(|it| it.sid == sid) else {
                continue;
            };
            if let Err(what) = reader.judge(&heard, watch.ledger) {
                watch.violations.push(Violation {
                    at: now,
                    subscriber: number,
                    sid,
                    what,
                });
                return;
            }
        }
    }

    /// What joining came to.
    fn count_joins(&self, watch: &mut Watch<'_>) {
        let Some(joiner) = &self.joiner else { return };
        let counters = joiner.counters();
        for (name, times) in [
            ("join.begun", counters.begun),
            ("join.joined", counters.joined),
            ("join.given_up", counters.given_up),
            ("join.restarted", counters.restarted),
            ("join.ignored", counters.ignored),
            ("join.kept", counters.kept),
            ("join.covered", counters.covered),
            ("join.clipped", counters.clipped),
            ("join.void", counters.void),
            ("join.refused", counters.refused.iter().sum()),
            (
                "join.told_behind",
                self.readers.iter().map(|it| it.behind).sum(),
            ),
        ] {
            watch.stats.add_many(name, times);
        }
    }

    /// Judges what was told; whether every promise was kept.
    fn judge_told(&mut self, now: Time, all: &[Told], watch: &mut Watch<'_>) -> bool {
        for told in all {
            watch.trace.told(now, self.number, told);
            if let Told::Event(event) = told {
                watch.stats.add(words::word(event));
            }
            let sid = sid_of(told);
            for witness in self
                .witnesses
                .iter_mut()
                .filter(|witness| Some(witness.sid) == sid)
            {
                if let Some(name) = unordered_word(witness, told) {
                    watch.stats.add(name);
                }
                if let Told::Event(Event::Reset { epoch, .. }) = told {
                    let mut readers = self.readers.iter_mut();
                    if let Some(reader) = readers.find(|reader| Some(reader.sid) == sid) {
                        reader.note_reset(witness.epoch, *epoch, witness.cursor);
                    }
                }
                let judged = witness.judge(now, told, watch.ledger);
                let judged = judged.and_then(|()| gather(told, watch));
                let since = (self.number, self.polls_since);
                let judged = judged.and_then(|()| within_reach(witness, now, told, since, watch));
                if let Err(what) = judged {
                    let (subscriber, sid) = (self.number, witness.sid);
                    watch.violations.push(Violation {
                        at: now,
                        subscriber,
                        sid,
                        what,
                    });
                    return false; // what follows from a broken promise says nothing new
                }
            }
        }
        true
    }

    fn check_bounds(&self, now: Time, watch: &mut Watch<'_>) {
        for witness in &self.witnesses {
            for leg in Leg::BOTH {
                let held = self
                    .arbiter
                    .leg_status(witness.sid, leg)
                    .map_or(0, |status| status.held);
                if held > self.limits.held_records {
                    let (subscriber, sid) = (self.number, witness.sid);
                    let what = format!("leg {leg} holds {held} records");
                    watch.violations.push(Violation {
                        at: now,
                        subscriber,
                        sid,
                        what,
                    });
                }
            }
        }
    }

    /// What must be true once everything is calm and long done.
    pub fn settle(&self, now: Time, watch: &mut Watch<'_>) {
        if matches!(self.state, State::Absent | State::Gone) {
            return;
        }
        let mut complain = |sid, what: String| {
            watch.violations.push(Violation {
                at: now,
                subscriber: self.number,
                sid,
                what,
            });
        };
        for witness in &self.witnesses {
            if let Err(what) = settled(witness, now, watch.ledger) {
                complain(witness.sid, what);
            }
        }
        for reader in &self.readers {
            let mut witnesses = self.witnesses.iter();
            let witness = witnesses.find(|witness| witness.sid == reader.sid);
            let settled = witness.map_or(Ok(()), |it| reader.settled(it, watch.ledger));
            if let Err(what) = settled {
                complain(reader.sid, what);
            }
        }
        self.count_joins(watch);
        self.reckon(now, watch);
    }

    /// Whether anything waits to be told.
    fn waits(&self, sid: Sid) -> bool {
        let status = |leg| self.arbiter.leg_status(sid, leg);
        let held = Leg::BOTH.into_iter().filter_map(status);
        held.into_iter().any(|status| status.held > 0)
    }

    /// Whether what the arbiter counted is what was told and heard.
    fn reckon(&self, now: Time, watch: &mut Watch<'_>) {
        let mut complain = |sid, what: String| {
            watch.violations.push(Violation {
                at: now,
                subscriber: self.number,
                sid,
                what,
            });
        };
        let counters = self.arbiter.counters();
        let records: u64 = self.witnesses.iter().map(|witness| witness.records).sum();
        // What comes twice behind a hole waits once, and is not counted.
        let again: u64 = self
            .witnesses
            .iter()
            .filter(|witness| !witness.resumed && !self.waits(witness.sid))
            .map(|witness| witness.heard.again)
            .sum();
        let accounted: u64 = self
            .witnesses
            .iter()
            .map(|witness| witness.receipt_duplicates)
            .sum();
        let sid = Sid(0);
        if counters.records != records {
            complain(
                sid,
                format!("{} records counted, {records} told", counters.records),
            );
        }
        if again > 50 && counters.duplicates + counters.replayed + counters.retired_epoch == 0 {
            complain(
                sid,
                format!("{again} records came again, no duplicate was counted"),
            );
        }
        let told = |witness: &Witness| {
            let heard = &witness.heard;
            heard.both_told_ranges(witness.epoch, witness.context)
        };
        if self.witnesses.iter().any(told) && counters.compared_ranges == 0 {
            complain(
                sid,
                "both legs told what ranges hold, and nothing was compared".into(),
            );
        }
        if accounted > counters.duplicates {
            complain(
                sid,
                format!(
                    "receipts claim {accounted} of {} duplicates",
                    counters.duplicates
                ),
            );
        }
        watch.stats.add_many("count.records", counters.records);
        watch
            .stats
            .add_many("count.duplicates", counters.duplicates);
        watch
            .stats
            .add_many("count.quarantined", counters.quarantined);
        watch
            .stats
            .add_many("count.rejected", counters.rejected_total());
        watch
            .stats
            .add_many("count.foreign_stream", counters.foreign_stream);
        watch
            .stats
            .add_many("count.hold_overflow", counters.hold_overflow);
        let repairs = self.arbiter.repairs();
        for (name, times) in [
            ("count.filled", counters.filled),
            ("count.fill_duplicates", counters.fill_duplicates),
            ("count.fill_rejected", counters.fill_rejected),
            ("repair.opened", repairs.opened),
            ("repair.given_up", repairs.given_up),
            ("repair.silent", repairs.silent),
            ("repair.busy", repairs.busy),
            ("repair.lacking", repairs.lacking),
            ("repair.faults", repairs.faults),
        ] {
            watch.stats.add_many(name, times);
        }
        watch.stats.add_many("count.replayed", counters.replayed);
        watch.stats.add_many("count.fenced", counters.fenced);
        watch
            .stats
            .add_many("count.retired_epoch", counters.retired_epoch);
    }
}

impl Sleeper for Subscriber {
    fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Polling => {
                let joiner = self.joiner.as_ref().and_then(Joiner::next_deadline);
                earlier(self.arbiter.next_deadline(), joiner)
            }
            State::Absent | State::Paused | State::Gone => None,
        }
    }
}

/// Whether the application has heard the whole story of the source.
fn settled(witness: &Witness, now: Time, ledger: &Ledger) -> Result<(), String> {
    let lives = ledger.lives(witness.sid);
    let Some(last) = lives.last() else {
        return Ok(());
    };
    if !witness.epoch.is_some() && came_after_all(witness, ledger) {
        return Ok(());
    }
    let told = witness.tally.next();
    if witness.epoch != last.epoch {
        return Err(format!(
            "in the end still in epoch {}, not {}",
            witness.epoch, last.epoch
        ));
    }
    let owed = ledger.owed(witness.sid, witness.epoch, witness.cursor);
    if owed.sseq < last.next() {
        return Err(format!(
            "in the end {owed} is neither delivered nor declared"
        ));
    }
    if witness.ended != last.ended {
        return Err(format!(
            "in the end ended is {}, not {}",
            witness.ended, last.ended
        ));
    }
    if witness.stale {
        return Err("in the end still stale".into());
    }
    let newest = witness.heard.generation();
    let counts =
        |leg: &&LegHeard| leg.state == LegState::Live && !leg.standby && leg.adm.1 == newest;
    // What was said a moment ago may wait for the leg that is preferred.
    let patience = witness.limits.lag_time + witness.limits.reorder_hold;
    let told_of = |leg: &&LegHeard| now.since(leg.counted_at) > patience;
    let counting = witness.heard.legs.iter().filter(counts).filter(told_of);
    let mut counted = counting.map(|leg| leg.adm.0);
    let known = told.is_some() && counted.clone().next().is_some();
    // Who speaks under a newer one in an epoch that was left, and is mute, may have been believed.
    let spoken = witness.heard.spoken();
    let newer = |leg: &LegHeard| leg.adm.1 == spoken && Some(leg.adm.0) <= told;
    let outranked = spoken > newest && witness.heard.legs.iter().any(newer);
    if known && !outranked && !counted.any(|adm| Some(adm) <= told) {
        let adms = witness.heard.legs.each_ref().map(|leg| leg.adm);
        return Err(format!(
            "in the end {told:?} administrative messages were told or declared, the legs count {adms:?}"
        ));
    }
    Ok(())
}

/// Nothing is declared missing that an adapter within reach would have given.
fn within_reach(
    witness: &Witness,
    now: Time,
    told: &Told,
    (subscriber, polls_since): (usize, Time),
    watch: &mut Watch<'_>,
) -> Result<(), String> {
    let (Some(fills), Told::Event(event)) = (watch.fills, told) else {
        return Ok(());
    };
    let &Event::Gap {
        sid,
        epoch,
        from,
        until,
        cause,
    } = event
    else {
        return Ok(());
    };
    let window = claims::reach(&witness.limits);
    if !claims::waits_for_fills(witness, cause) || polls_since.after(window) > now {
        return Ok(());
    }
    let unsaid = witness.tally.next().is_none() && witness.recounted.is_some();
    if unsaid || witness.recounted == Some(now) {
        return Ok(()); // who has it counts other messages than the numbering that was gone over to (RM-25a)
    }
    watch.stats.add("fill.gap_judged");
    let of = (sid, epoch, witness.context);
    let range = ((from, until), witness.tally.next());
    match fills.could_give(now, window, subscriber, of, range) {
        Some(leg) => Err(format!(
            "Gap {from} to {until} ({}): adapter {leg} has had it for {window:?}, within reach",
            cause.word()
        )),
        None => Ok(()),
    }
}

fn is_closed(heard: &Heard) -> bool {
    matches!(heard, Heard::Told(Told::Event(Event::Closed { .. })))
}

/// Where a message that no source said stands for everybody.
fn gather(told: &Told, watch: &mut Watch<'_>) -> Result<(), String> {
    let Told::Record(record) = told else {
        return Ok(());
    };
    if record.admin.is_none() {
        return Ok(());
    }
    watch.stats.add("pair.message_told");
    let (sid, pos) = (record.pos.sid, record.pos);
    let spot = watch.ledger.spot(sid, pos.epoch, pos.sseq);
    watch.assembly.told(record, spot, watch.ledger.roll())
}

/// Whether it says where its stream stands: a heartbeat, or the first part of a message.
fn one_can_begin_with(bytes: &[u8]) -> bool {
    Datagram::parse(bytes).is_ok_and(|datagram| {
        let begins = |it: Record<'_>| it.part == 0 && it.kind != BodyKind::Administrative;
        datagram.heartbeat().is_some() || datagram.records().any(begins)
    })
}

/// Whether no adapter sent a record of what the source said since the subscriber came: it carries none, or nobody was there to
/// convert it. Who has heard of nothing but heartbeats joins with the first record (RM-14): of a life that is over, and of which no record
/// reached it, it has missed nothing that it would know of.
fn came_after_all(witness: &Witness, ledger: &Ledger) -> bool {
    let Some((epoch, next)) = witness.said_before else {
        return false;
    };
    let lives = ledger.lives(witness.sid);
    let Some(at) = lives.iter().position(|life| life.epoch == epoch) else {
        return false;
    };
    let last = lives.last().map(|life| life.epoch);
    lives[at..].iter().all(|life| {
        let from = if life.epoch == epoch { next } else { 0 };
        let over = Some(life.epoch) != last && !witness.heard.has_any(life.epoch);
        over || !ledger.is_sent_from(witness.sid, life.epoch, Place::start(from))
    })
}

/// The source stream that something told is about.
pub(super) fn sid_of(told: &Told) -> Option<Sid> {
    match told {
        Told::Record(record) => Some(record.pos.sid),
        Told::Event(event) => match event {
            Event::Switched(receipt) => Some(receipt.sid),
            Event::Gap { sid, .. }
            | Event::AdministrativeGap { sid, .. }
            | Event::Recovered { sid, .. }
            | Event::Discontinuity { sid, .. }
            | Event::Reset { sid, .. }
            | Event::Divergence { sid, .. }
            | Event::Converged { sid, .. }
            | Event::Leg { sid, .. }
            | Event::Stale { sid }
            | Event::Live { sid }
            | Event::JoinRestarted { sid, .. }
            | Event::NoSnapshot { sid }
            | Event::Ended { sid, .. } => Some(*sid),
            _ => None,
        },
    }
}

/// What is counted of unordered sources apart.
fn unordered_word(witness: &Witness, told: &Told) -> Option<&'static str> {
    witness.scattered.as_ref()?;
    match told {
        Told::Record(record) if record.place() > witness.cursor => Some("unordered.ahead"),
        Told::Record(_) => Some("unordered.record"),
        Told::Event(Event::Gap { .. }) => Some("unordered.gap"),
        Told::Event(Event::Reset { .. }) => Some("unordered.reset"),
        Told::Event(Event::Discontinuity { .. }) => Some("unordered.discontinuity"),
        Told::Event(_) => None,
    }
}

/// Collects what the arbiter tells, follows it, and hands it on to whatever stands before the application.
struct Tap<'a>(
    &'a mut Vec<Told>,
    &'a mut Cursors,
    Option<&'a mut dyn Handler>,
);

impl Handler for Tap<'_> {
    fn record(&mut self, record: &Delivered<'_>) {
        self.0.push(Told::Record(Copied::of(record)));
        self.1.record(record);
        if let Some(on) = &mut self.2 {
            on.record(record);
        }
    }

    fn event(&mut self, event: &Event) {
        self.0.push(Told::Event(*event));
        self.1.event(event);
        if let Some(on) = &mut self.2 {
            on.event(event);
        }
    }
}
