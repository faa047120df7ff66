//! How does an application in a world join?
//!
//! The decisions are the production machine's ([`Joins`]); whom it asks when, and how much a poll tells, is what the library does
//! (`subscriber/src/joining.rs`, `subscriber/src/snapshots/client.rs`) without its thread.

use core::time::Duration;
use std::collections::BTreeMap;

use twinfeed_protocol::join::{Joins, Spool, Step, Whole, Wish};
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_protocol::{
    Arbiter, Cursor, Cursors, Delivered, Event, Handler, JoinCounters, Leg, OrderingClass, Piece,
};
use twinfeed_wire::Sid;

use super::super::oracle::{Copied, Told};
use super::{Answer, Ask, JoinPlan};

/// What an application was told that joins.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A record or an event.
    Told(Told),
    /// A piece of a snapshot of a source stream.
    Snapshot(Sid, Part),
}

/// What of a piece is kept.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// It begins.
    Begin(Cursor),
    /// Something between.
    Middle,
    /// It ends.
    End(Cursor),
}

/// One application's way into its source streams.
#[derive(Debug)]
pub struct Joiner {
    joins: Joins,
    plan: JoinPlan,
    known: [bool; 2],
    jobs: BTreeMap<Sid, Job>,
    requests: u64,
    /// What came and was not looked at yet.
    inbox: Vec<Answer>,
    /// When it polls again because something waits to be told.
    tells_at: Option<Time>,
    /// What the application was told since the last look.
    pub(in crate::world) heard: Vec<Heard>,
    /// Where the application stands, as it would keep it.
    pub(in crate::world) cursors: Cursors,
}

/// What is wanted of one source stream.
#[derive(Debug)]
struct Job {
    wish: Wish,
    /// How many servers were asked.
    asked: usize,
    /// How long it rests when all were asked in vain.
    pause: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Somebody is asked then.
    Due(Time),
    /// Somebody is asked now.
    Ready,
    /// Somebody was asked, and is waited with until then.
    Open(u64, Time),
    /// A snapshot was handed over.
    Given,
}

impl Joiner {
    /// One that has heard nothing. Its requests are numbered from `requests` on.
    #[must_use]
    pub fn new(
        plan: JoinPlan,
        known: [bool; 2],
        sources: &[(Sid, OrderingClass)],
        requests: u64,
    ) -> Self {
        let mut joins = Joins::new(plan.limits);
        for (sid, class) in sources {
            if *class == OrderingClass::Ordered {
                joins.add_source(*sid, plan.at_first);
            }
        }
        Self {
            joins,
            plan,
            known,
            jobs: BTreeMap::new(),
            requests,
            inbox: Vec::new(),
            tells_at: None,
            heard: Vec::new(),
            cursors: Cursors::default(),
        }
    }

    /// Another process of the application; it goes on from `cursors`, or else joins as at first.
    #[must_use]
    pub fn again(&self, sources: &[(Sid, OrderingClass)], cursors: Option<Cursors>) -> Self {
        let at_first = self.plan.at_first && cursors.is_none();
        let plan = JoinPlan {
            at_first,
            ..self.plan
        };
        let mut joiner = Self::new(plan, self.known, sources, self.requests);
        for cursor in cursors.iter().flat_map(Cursors::iter) {
            joiner.joins.resume(cursor);
        }
        Self {
            // A process after that joins as the first one did.
            plan: self.plan,
            cursors: cursors.unwrap_or_default(),
            ..joiner
        }
    }

    /// Lets `act` decide something, with what stands between the arbiter and the application.
    pub fn through<R>(&mut self, now: Time, act: impl FnOnce(&mut dyn Handler) -> R) -> R {
        let mut collect = Collect(&mut self.heard, &mut self.cursors);
        act(&mut self.joins.through(now, &mut collect))
    }

    /// Wants a snapshot of every source stream that is live.
    pub fn refresh(&mut self, now: Time) {
        self.joins.refresh_all(now);
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &JoinCounters {
        self.joins.counters()
    }

    /// Whether nothing of any source stream waits, and no snapshot is wished for.
    #[must_use]
    pub fn is_live(&self, sources: &[(Sid, OrderingClass)]) -> bool {
        sources.iter().all(|(sid, _)| self.joins.is_live(*sid))
    }

    /// Something came back.
    pub fn take(&mut self, answer: Answer) {
        self.inbox.push(answer);
    }

    /// Takes in what came, tells what is due within the budget, and finds out what is wanted. Returns where the arbiter was told to go on
    /// from.
    pub fn work(&mut self, now: Time, arbiter: &mut Arbiter) -> Vec<Cursor> {
        let mut resumed = Vec::new();
        for answer in core::mem::take(&mut self.inbox) {
            resumed.extend(self.look_at(now, &answer, arbiter));
        }
        let mut collect = Collect(&mut self.heard, &mut self.cursors);
        self.joins.attend(now, arbiter, &mut collect);
        if self.joins.next_deadline().is_some_and(|due| due <= now) {
            self.joins.on_deadline(now, &mut collect);
        }
        let budget = self.joins.take_arrived().saturating_add(self.plan.told);
        let mut told = 0;
        while told < budget {
            match self.joins.tell(now, &mut collect) {
                0 => break,
                more => told += more,
            }
        }
        self.tells_at = self.joins.is_telling().then(|| now.after(SOON));
        self.wish(now);
        resumed
    }

    /// Tells all that is left, as at a close.
    pub fn tell_all(&mut self, now: Time) {
        let mut collect = Collect(&mut self.heard, &mut self.cursors);
        while self.joins.tell(now, &mut collect) > 0 {}
    }

    fn wish(&mut self, now: Time) {
        let Self { joins, jobs, .. } = self;
        jobs.retain(|sid, _| joins.wishes().any(|wish| wish.sid == *sid));
        for wish in joins.wishes() {
            let job = jobs.entry(wish.sid).or_insert_with(|| Job {
                wish,
                asked: usize::try_from(wish.serial.saturating_sub(1)).unwrap_or(0),
                pause: PAUSE,
                stage: Stage::Due(now),
            });
            let before = core::mem::replace(&mut job.wish, wish);
            if before.serial != wish.serial && matches!(job.stage, Stage::Given) {
                // What was given did not fit: whoever gave it may not have come far enough.
                job.stage = Stage::Due(now.after(job.pause));
                job.pause = (job.pause * 2).min(LONGEST_PAUSE);
            }
        }
        let servers = self.known.into_iter().filter(|known| *known).count();
        for job in jobs.values_mut() {
            if matches!(job.stage, Stage::Open(_, until) if until <= now) {
                job.fail(now, servers);
            }
            if matches!(job.stage, Stage::Due(due) if due <= now) {
                job.stage = Stage::Ready;
            }
        }
    }

    /// Whether somebody is to be asked now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut jobs = self.jobs.values();
        jobs.any(|job| matches!(job.stage, Stage::Ready))
    }

    fn look_at(&mut self, now: Time, answer: &Answer, arbiter: &mut Arbiter) -> Option<Cursor> {
        let known = self.known.into_iter().filter(|known| *known).count();
        let job = self.jobs.get_mut(&answer.sid)?;
        if !matches!(job.stage, Stage::Open(request, _) if request == answer.request) {
            return None;
        }
        match read(answer) {
            Some(whole) => {
                job.stage = Stage::Given;
                let whole = whole.asked_for(job.wish.serial);
                let (end, untold) = (whole.cursor(), arbiter.untold(answer.sid));
                let mut collect = Collect(&mut self.heard, &mut self.cursors);
                self.joins
                    .on_snapshot_beside(answer.sid, whole, arbiter, &mut collect);
                let moved = untold.is_some() && arbiter.untold(answer.sid).is_none();
                moved.then_some(end)
            }
            None => {
                job.fail(now, known);
                None
            }
        }
    }

    /// A request that is to be sent; the server of the leg that is not active is asked first.
    pub fn poll_ask(&mut self, now: Time, active: Option<Leg>) -> Option<Ask> {
        let first = active.map_or(Leg::One, Leg::other);
        let order: Vec<Leg> = [first, first.other()]
            .into_iter()
            .filter(|leg| self.known[leg.index()])
            .collect();
        for job in self.jobs.values_mut() {
            if !matches!(job.stage, Stage::Ready) {
                continue;
            }
            let leg = *order.get(job.asked % order.len().max(1))?;
            job.asked += 1;
            self.requests += 1;
            job.stage = Stage::Open(self.requests, now.after(self.plan.patience));
            return Some(Ask {
                leg,
                request: self.requests,
                wish: job.wish,
            });
        }
        None
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let jobs = self.jobs.values().map(|job| match job.stage {
            Stage::Due(at) | Stage::Open(_, at) => Some(at),
            Stage::Ready | Stage::Given => None,
        });
        let joins = earlier(self.joins.next_deadline(), self.joins.attends_at());
        let own = earlier(self.tells_at, joins);
        jobs.fold(own, earlier)
    }
}

impl Job {
    /// Whoever was asked last gave nothing.
    fn fail(&mut self, now: Time, servers: usize) {
        let all = self.asked.is_multiple_of(servers.max(1));
        let pause = if all { self.pause } else { Duration::ZERO };
        if all {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.stage = Stage::Due(now.after(pause));
    }
}

/// The snapshot, if it is one.
pub(super) fn read(answer: &Answer) -> Option<Whole> {
    let mut spool = Spool::new(answer.sid, MOST_BYTES);
    for frame in answer.frames.iter() {
        match spool.push(frame) {
            Ok(Step::More) => {}
            Ok(Step::Whole(whole)) => return Some(whole),
            Ok(Step::Refused(_)) | Err(_) => return None,
        }
    }
    None
}

/// Keeps what the application is told.
struct Collect<'a>(&'a mut Vec<Heard>, &'a mut Cursors);

impl Handler for Collect<'_> {
    fn record(&mut self, record: &Delivered<'_>) {
        self.0.push(Heard::Told(Told::Record(Copied::of(record))));
        self.1.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.0.push(Heard::Told(Told::Event(*event)));
        self.1.event(event);
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        let part = match *piece {
            Piece::Begin { cursor, .. } => Part::Begin(cursor),
            Piece::End { cursor, .. } => Part::End(cursor),
            _ => Part::Middle,
        };
        self.0.push(Heard::Snapshot(sid, part));
        self.1.snapshot(sid, piece);
    }
}

/// How soon it polls again when something waits to be told.
const SOON: Duration = Duration::from_micros(20);
/// How long it rests when all servers were asked in vain, at first and at most.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);
/// Longest snapshot, bytes.
const MOST_BYTES: usize = 1 << 20;
