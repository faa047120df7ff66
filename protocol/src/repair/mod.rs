//! Who is asked for what is missing, and when is asking over?
//!
//! ```text
//!                want, somebody can be asked           answered, not all of it; busy; too many faults
//!        Idle ─────────────────────────────► Asking ─────────────────────────────────► Resting
//!         ▲                                   ▲  │ silent                                │  │
//!         │                                   │  └──► the next server, or Resting        │  │
//!         │                                   └──────────────────── its time has come ───┘  │
//!         └── nothing is missing any more; or given up: time over, nobody has it, nobody answers
//! ```
//!
//! One repair of records and one of administrative messages are open at a time per source stream, each with a time of its
//! own: of the hole at the cursor, up to a *goal* that is fixed when it opens.
//! What is asked for in one request may go beyond it, to holes further on: when the cursor comes to one of those its time
//! began with that request. The arbiter says in [`Repair::want`] that it would declare a hole,
//! and is told to wait, to ask, or to give up; everything else only changes what the next `want` answers.
//!
//! A server that answers slowly, refuses, is dead, or says what was not asked for costs so much time, and the next one is
//! asked. What it sends is not believed for its own sake: the arbiter takes it through the same checks as the stream.
//!
//! No chance is in here: waiting is jittered by the seed that the driver gives, so that many subscribers that lost the same
//! do not ask in step.

use core::time::Duration;

use twinfeed_wire::fill::{Reply, Status, Stretch};
use twinfeed_wire::{ContextId, Epoch};

use crate::event::Leg;
use crate::time::{Time, earlier, nanos};

/// Bounds of asking, for one source stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RepairLimits {
    /// How long a hole may be asked for before it is declared; zero: nobody is ever asked.
    pub repair_time: Duration,
    /// How long an answer may take at first; doubled each time every server was asked in vain.
    pub fill_patience: Duration,
    /// Requests in vain to one server before that is not asked any more for a hole.
    pub fill_attempts: u32,
    /// Most source numbers in one range of a request.
    pub fill_range: u64,
    /// Most datagrams that one request asks for.
    pub fill_datagrams: u32,
    /// What waiting is jittered by; another for every subscriber.
    pub fill_seed: u64,
}

impl Default for RepairLimits {
    fn default() -> Self {
        Self {
            repair_time: Duration::from_millis(500),
            fill_patience: Duration::from_millis(5),
            fill_attempts: 12,
            fill_range: 65_536,
            fill_datagrams: 64,
            fill_seed: 0,
        }
    }
}

impl RepairLimits {
    /// Up to where one range of a request goes.
    #[must_use]
    pub fn range_until(&self, wish: &Wish) -> (u64, u16) {
        let furthest = wish.from.0.saturating_add(self.fill_range);
        wish.until.min((furthest, 0))
    }
}

/// What is missing, as far as asking knows it: numbers of records or of administrative messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wish {
    /// Epoch and context of the numbers.
    pub of: (Epoch, ContextId),
    /// Administrative messages, not records.
    pub messages: bool,
    /// First that is missing: its number and part.
    pub from: (u64, u16),
    /// First behind the hole.
    pub until: (u64, u16),
}

/// What to do about a hole that would be declared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Leave it open.
    Wait,
    /// Leave it open, and send this server a request with this number, for what is missing from here on: it has nothing of
    /// what lies in front.
    Ask(Leg, u64, (u64, u16)),
    /// Declare it, up to this place: what lies behind it, if anything does, may still be had.
    GiveUp(GaveUp, (u64, u16)),
}

/// Why nobody is asked any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GaveUp {
    /// Nobody can be asked.
    NoServer,
    /// Whoever was asked does not have it any more.
    NotRetained,
    /// Time or attempts are used up.
    Unanswered,
}

/// What was done so far. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RepairCounters {
    /// Requests sent.
    pub requests: u64,
    /// Repairs opened.
    pub opened: u64,
    /// Of those, the ones that were given up.
    pub given_up: u64,
    /// Requests that stayed without an answer for too long.
    pub silent: u64,
    /// Requests that were put off.
    pub busy: u64,
    /// Requests answered with a range that is not retained, or refused.
    pub lacking: u64,
    /// Answers that were not asked for, of the wrong range, or broken.
    pub faults: u64,
}

impl RepairCounters {
    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            opened: self.opened + other.opened,
            given_up: self.given_up + other.given_up,
            silent: self.silent + other.silent,
            busy: self.busy + other.busy,
            lacking: self.lacking + other.lacking,
            faults: self.faults + other.faults,
        }
    }
}

/// Where asking stands; see the picture above.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepairState {
    /// Nothing is asked for.
    Idle,
    /// This server was asked.
    Asking(Leg),
    /// Nobody is asked until a time has come.
    Resting,
}

/// Asking for one source stream.
#[derive(Debug)]
pub struct Repair {
    limits: RepairLimits,
    known: [bool; 2],
    /// What is missing is much, and known to be: as long as some of it comes it is asked for.
    patient: bool,
    /// Requests in a row that each server did not answer.
    mute: [u32; 2],
    /// Of records, and of administrative messages: what is missing of both at a time is asked for side by side.
    open: [Option<Open>; 2],
    /// Number of the last request.
    request: u64,
    counters: RepairCounters,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    of: (Epoch, ContextId),
    messages: bool,
    /// Number of its last request.
    request: u64,
    /// It was wanted since the last look at everything that is missing.
    wanted: bool,
    /// Since when it is not: a stream may bring it after all, and its time stands still.
    unwanted_since: Option<Time>,
    /// What was missing when it was last looked at.
    from: (u64, u16),
    goal: (u64, u16),
    /// First range of the last request.
    range: Stretch,
    /// End of the last range that was asked for.
    asked: (u64, u16),
    /// When that was.
    asked_at: Time,
    /// Since when what lies before the goal is asked for.
    since: Time,
    /// When what servers said and did before was forgotten.
    forgiven: Time,
    state: State,
    servers: [Server; 2],
    /// Some of it was given up.
    gave_up: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The answer is waited for until then.
    Asking(Leg, Time),
    Resting(Time),
}

/// A server, as this repair knows it.
#[derive(Clone, Copy, Debug, Default)]
struct Server {
    asked: bool,
    /// How often it was asked since something came.
    turns: u32,
    /// The same, but for requests that it put off.
    attempts: u32,
    /// It said that it does not have this.
    lacks: Stretch,
    faults: u32,
    /// It is not to be asked before.
    not_before: Time,
    /// Something came since it was asked.
    brought: bool,
}

impl Server {
    /// From where on it may have some of what is missing.
    fn may_have_from(&self, wish: &Wish) -> (u64, u16) {
        match self.lacks.has(wish.from) {
            true => self.lacks.until,
            false => wish.from,
        }
    }

    fn may_have(&self, wish: &Wish) -> bool {
        self.may_have_from(wish) < wish.until
    }

    /// It lacks this, too. What it lacks of what is missing first, at `from`, is remembered as one stretch.
    fn note_lacking(&mut self, said: &Stretch, from: (u64, u16)) {
        if !self.lacks.has(from) {
            self.lacks = *said;
        } else if said.from <= self.lacks.until {
            self.lacks.until = self.lacks.until.max(said.until);
        }
    }
}

impl Repair {
    /// Nobody is known who could be asked.
    #[must_use]
    pub fn new(limits: RepairLimits) -> Self {
        Self {
            limits,
            known: [false; 2],
            patient: false,
            mute: [0; 2],
            open: [None; 2],
            // An answer to whoever had this address before is no answer to this one. Room is left to count on.
            request: spread(limits.fill_seed) >> 1,
            counters: RepairCounters::default(),
        }
    }

    /// Whether this leg's adapter can be asked.
    pub fn set_server(&mut self, leg: Leg, known: bool) {
        self.known[leg.index()] = known;
    }

    /// Whether `repair_time` is the time without any progress, and not that of a whole hole.
    pub const fn set_patient(&mut self, patient: bool) {
        self.patient = patient;
    }

    /// Whether anybody can be asked.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.limits.repair_time.is_zero() && self.known != [false; 2]
    }

    /// Whether something is being asked for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.iter().any(Option::is_some)
    }

    /// Whether `leg`'s adapter was asked in a repair that is open.
    #[must_use]
    pub fn has_asked(&self, leg: Leg) -> bool {
        let mut open = self.open.iter().flatten();
        open.any(|open| open.servers[leg.index()].asked)
    }

    /// The request for records that [`Verdict::Ask`] asked for reaches up to here.
    pub fn note_asked(&mut self, until: (u64, u16)) {
        if let Some(open) = &mut self.open[RECORDS] {
            open.asked = open.asked.max(until);
        }
    }

    /// Up to where records, or administrative messages, are asked for; `None`: none are.
    #[must_use]
    pub fn asked_until(&self, messages: bool) -> Option<(u64, u16)> {
        let open = self.open[usize::from(messages)].as_ref();
        open.map(|open| open.asked.max(open.goal))
    }

    /// Whether the repair that is open is of what begins at `from`.
    #[must_use]
    pub fn covers(&self, wish: &Wish) -> bool {
        let open = self.open[usize::from(wish.messages)].as_ref();
        open.is_some_and(|open| open.covers(wish))
    }

    /// Nothing is missing any more.
    pub const fn close(&mut self) {
        self.open = [None; 2];
    }

    /// What is missing of one kind was declared.
    pub fn declared(&mut self, messages: bool) {
        self.open[usize::from(messages)] = None;
    }

    /// Everything that is missing is looked at: what is not wanted from here on waits for nothing, and its time stands still.
    pub fn look(&mut self, now: Time) {
        for open in self.open.iter_mut().flatten() {
            if !open.wanted && open.unwanted_since.is_none() {
                open.unwanted_since = Some(now);
            }
            open.wanted = false;
        }
    }

    /// This would be declared missing: what is to be done? `judged`: up to when what came was read, so that the driver's
    /// pause is not taken for a server's silence. `order`: whom to ask first; who is not in it is not asked.
    pub fn want(&mut self, now: Time, judged: Time, wish: &Wish, order: &[Leg]) -> Verdict {
        let kind = usize::from(wish.messages);
        if !self.can_ask() {
            self.open[kind] = None;
            return Verdict::GiveUp(GaveUp::NoServer, wish.until);
        }
        let mut open = match self.open[kind].filter(|open| open.covers(wish)) {
            Some(open) => open,
            None => {
                self.counters.opened += 1;
                Open::new(now, wish)
            }
        };
        open.note_wanted(now);
        if open.note_progress(wish) && self.patient {
            open.since = now;
        }
        if judged >= open.forgiven.after(self.limits.repair_time) {
            // It may last longer, where something comes, or a stream was waited for: who lacked what is missing, refused, or lied, may give
            // it by now.
            open.forgiven = judged;
            for server in &mut open.servers {
                (server.lacks, server.faults) = (Stretch::default(), 0);
            }
        }
        let verdict = self.decide(now, judged, &mut open, wish, order);
        let mut stays = true;
        if let Verdict::GiveUp(_, until) = verdict {
            self.counters.given_up += u64::from(!open.gave_up);
            open.gave_up = true;
            stays = until < wish.until;
        }
        self.open[kind] = Some(open).filter(|_| stays);
        verdict
    }

    fn decide(
        &mut self,
        now: Time,
        judged: Time,
        open: &mut Open,
        wish: &Wish,
        order: &[Leg],
    ) -> Verdict {
        let (known, mute, most) = (self.known, self.mute, self.limits.fill_attempts);
        let servers = open.servers;
        let usable = |leg: &&Leg| {
            let server = &servers[leg.index()];
            // Whoever has not answered for long is not waited for again and again.
            let mute = mute[leg.index()] >= MOST_SILENT && server.turns > 0;
            let spent = server.attempts >= most;
            known[leg.index()]
                && server.may_have(wish)
                && server.faults < MOST_FAULTS
                && !(mute || spent)
        };
        if judged >= open.since.after(self.limits.repair_time) {
            return Verdict::GiveUp(open.why(wish), wish.until);
        }
        let lacks = |leg: &Leg| servers[leg.index()].lacks.has(wish.from);
        if order.iter().filter(usable).all(lacks) && order.iter().any(|leg| usable(&leg)) {
            // Nobody has the first of it; the rest goes on.
            return Verdict::GiveUp(GaveUp::NotRetained, open.lacked_until(wish));
        }
        match open.state {
            State::Asking(leg, until) if judged < until && usable(&&leg) => return Verdict::Wait,
            State::Asking(leg, until) if judged >= until => {
                self.counters.silent += 1;
                self.mute[leg.index()] = self.mute[leg.index()].saturating_add(1);
                // Whatever came of it before: its word that this is all did not, and another server may be quicker.
                open.servers[leg.index()].turns += 1;
            }
            State::Asking(..) => {}
            State::Resting(until) if judged < until => return Verdict::Wait,
            State::Resting(_) => {}
        }
        let count = order.iter().filter(usable).count();
        if count == 0 {
            open.state = State::Resting(now);
            return Verdict::GiveUp(open.why(wish), open.lacked_until(wish));
        }
        // Whoever was asked least often; among equals as `order` says.
        let ready = |leg: &&Leg| open.servers[leg.index()].not_before <= judged;
        let next = order.iter().filter(usable).filter(ready);
        let Some(&leg) = next.min_by_key(|leg| open.servers[leg.index()].turns) else {
            let wakes = order.iter().filter(usable);
            let at = wakes.map(|leg| open.servers[leg.index()].not_before).min();
            open.state = State::Resting(at.unwrap_or(now));
            return Verdict::Wait;
        };
        self.request += 1;
        open.request = self.request;
        self.counters.requests += 1;
        let patience = self.patience(open.servers[leg.index()].attempts);
        open.state = State::Asking(leg, now.after(patience));
        open.asked_at = now;
        let server = &mut open.servers[leg.index()];
        let from = server.may_have_from(wish);
        let wish = Wish { from, ..*wish };
        open.range = Stretch {
            from,
            until: self.limits.range_until(&wish),
        };
        (server.asked, server.brought) = (true, false);
        server.turns += 1;
        server.attempts += 1;
        Verdict::Ask(leg, self.request, from)
    }

    /// How long an answer is waited for: doubled with each request in vain, and up to a quarter more by the seed.
    fn patience(&self, attempts: u32) -> Duration {
        let doublings = attempts.min(MOST_DOUBLINGS);
        let span = nanos(self.limits.fill_patience).saturating_mul(1 << doublings);
        let jitter = spread(self.limits.fill_seed ^ self.request) % (span / 4).max(1);
        Duration::from_nanos(span.saturating_add(jitter))
    }

    /// A server says what became of a request.
    pub fn on_reply(&mut self, now: Time, leg: Leg, reply: &Reply) {
        let (request, limits) = (reply.request, self.limits);
        self.mute[leg.index()] = 0;
        let awaits = |open: &&mut Open| {
            let asked = matches!(open.state, State::Asking(of, _) if of == leg);
            asked && open.request == request
        };
        let Some(open) = self.open.iter_mut().flatten().find(awaits) else {
            // It was given up for silent, and asked no more: what it says is old.
            return;
        };
        let pause = nanos(limits.fill_patience) / 4;
        let pause = Duration::from_nanos(pause + spread(limits.fill_seed ^ request) % pause.max(1));
        let range = open.range;
        let server = &mut open.servers[leg.index()];
        match reply.status {
            Status::Busy => {
                self.counters.busy += 1;
                let after = Duration::from_micros(u64::from(reply.retry_after_us));
                server.not_before = now.after(after).after(pause / 4);
                server.attempts = server.attempts.saturating_sub(1);
            }
            Status::Refused => {
                self.counters.lacking += 1;
                server.lacks = Stretch::ALL;
            }
            Status::Sent if reply.lacking & 1 != 0 => {
                self.counters.lacking += 1;
                let said = match reply.stretch.is_empty() {
                    true => range,
                    false => reply.stretch.within(&range),
                };
                server.note_lacking(&said, open.from);
                if !server.brought {
                    server.not_before = now.after(pause);
                }
            }
            // What it sent was lost on the way, or was not all: nobody asks it again at once unless it brings something.
            Status::Sent if !server.brought => server.not_before = now.after(pause),
            Status::Sent => {}
        }
        open.state = State::Resting(now);
    }

    /// Something that is missing came from a server.
    pub fn on_progress(&mut self, leg: Leg) {
        self.mute[leg.index()] = 0;
        let asked = |open: &&mut Open| open.servers[leg.index()].asked;
        for open in self.open.iter_mut().flatten().filter(asked) {
            open.servers[leg.index()].brought = true;
            for server in &mut open.servers {
                (server.turns, server.attempts) = (0, 0);
            }
        }
    }

    /// A server said what was not asked for, or what cannot be.
    pub fn on_fault(&mut self, leg: Leg) {
        self.counters.faults += 1;
        let asked = |open: &&mut Open| open.servers[leg.index()].asked;
        for open in self.open.iter_mut().flatten().filter(asked) {
            open.servers[leg.index()].faults += 1;
        }
    }

    /// When [`Repair::want`] must be called again although nothing came.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let wanted = self.open.iter().flatten().filter(|open| open.wanted);
        let due = wanted.map(|open| {
            let (State::Asking(_, until) | State::Resting(until)) = open.state;
            Some(until.min(open.since.after(self.limits.repair_time)))
        });
        due.fold(None, earlier)
    }

    /// Where asking for records, or else for administrative messages, stands.
    #[must_use]
    pub fn state(&self) -> RepairState {
        let mut open = self.open.iter().flatten();
        match open.next().map(|open| open.state) {
            None => RepairState::Idle,
            Some(State::Asking(leg, _)) => RepairState::Asking(leg),
            Some(State::Resting(_)) => RepairState::Resting,
        }
    }

    /// Bounds in force.
    #[must_use]
    pub const fn limits(&self) -> &RepairLimits {
        &self.limits
    }

    /// What was done so far.
    #[must_use]
    pub const fn counters(&self) -> &RepairCounters {
        &self.counters
    }
}

/// The place of the repair of records.
const RECORDS: usize = 0;
/// Faults after which a server is not asked again in the same repair.
pub const MOST_FAULTS: u32 = 3;
/// Requests in a row that stay without an answer before a server is asked but once per repair. Where one in twenty datagrams
/// is lost, fewer would often say so of one that lives.
const MOST_SILENT: u32 = 8;
/// How often the patience with servers is doubled at most.
const MOST_DOUBLINGS: u32 = 6;

impl Open {
    fn new(now: Time, wish: &Wish) -> Self {
        Self {
            of: wish.of,
            messages: wish.messages,
            request: 0,
            wanted: true,
            unwanted_since: None,
            from: wish.from,
            goal: wish.until,
            range: Stretch::default(),
            asked: wish.from,
            asked_at: now,
            since: now,
            forgiven: now,
            state: State::Resting(now),
            servers: [Server::default(); 2],
            gave_up: false,
        }
    }

    fn covers(&self, wish: &Wish) -> bool {
        let same = self.of == wish.of && self.messages == wish.messages;
        same && (self.from..self.goal.max(self.asked)).contains(&wish.from)
    }

    /// What nobody wanted for a while may be asked for so much longer.
    fn note_wanted(&mut self, now: Time) {
        self.wanted = true;
        if let Some(since) = self.unwanted_since.take() {
            let pause = now.since(since);
            self.since = self.since.after(pause);
            self.asked_at = self.asked_at.after(pause);
        }
    }

    /// Once some of it came, or was given up, attempts count anew; answers whether it did. What lies behind the goal is
    /// another hole, for which was asked with it.
    fn note_progress(&mut self, wish: &Wish) -> bool {
        let progress = wish.from > self.from;
        if progress {
            self.from = wish.from;
            for server in &mut self.servers {
                server.attempts = 0;
            }
        }
        if wish.from >= self.goal {
            (self.goal, self.since) = (wish.until, self.asked_at);
        }
        progress
    }

    fn why(&self, wish: &Wish) -> GaveUp {
        let lacks = |server: &Server| server.lacks.has(wish.from);
        match self.servers.iter().any(lacks) {
            true => GaveUp::NotRetained,
            false => GaveUp::Unanswered,
        }
    }

    /// Up to where somebody lacks what is missing first; all of it where nobody said so.
    fn lacked_until(&self, wish: &Wish) -> (u64, u16) {
        let lacks = self.servers.iter().map(|server| &server.lacks);
        let lacks = lacks.filter(|lacks| lacks.has(wish.from));
        let until = lacks.map(|lacks| lacks.until).min();
        until.unwrap_or(wish.until).min(wish.until)
    }
}

/// A number that looks like chance, always the same for the same seed (SplitMix64, Steele, Lea, Flood 2014).
const fn spread(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
