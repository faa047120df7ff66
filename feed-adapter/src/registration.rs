//! How does an adapter take its seat at stream-admin, keep it, and learn what changed?
//!
//! ```text
//!   seat ──► register ──► renew every third of the lease ──► renew …        thread `lease`
//!                │            │    and at once when a source falls silent, say
//!                │            └── unknown? register again, same incarnation
//!                └──► watch ──► each change, whole                          thread `watch`
//! ```
//!
//! Once a seat is held, one answer ends it: that somebody else sits in it ([`Verdict::Replaced`]). Every
//! other refusal is told once and waited out, as an absence is: data do not depend on stream-admin.
//!
//! Until then one more does: that the living adapter of the other seat converts differently. Who resumed
//! alone has not sat in this life, and stops sending what would be merged with something else.
//!
//! Both threads may block for as long as they like: the data thread does not know them. What the first learns
//! goes to a channel, in [`Learnt`], the newest change to a slot ([`Changes`]); what it means is decided by whoever reads them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};
use twinfeed_control::{
    AdapterId, AdapterStatus, Assignment, Backoff, Client, DataState, Error, OrderReport,
    RENEWALS_PER_LEASE, Register, Renew, Renewed, Sid, StopFlag, TakeOver, TakeoverCause, Watched,
};
use twinfeed_net::clock;
use twinfeed_protocol::Time;

use crate::changes::{Changes, Telling};

/// What the threads of this module have to say.
#[derive(Debug)]
pub enum Learnt {
    /// The answer to a registration: how things stand, whatever was known before.
    Registered {
        /// How things stand.
        assignment: Box<Assignment>,
        /// Whether it was asked for because stream-admin did not know this adapter any more.
        forgotten: bool,
        /// When it was asked for: the lease counts from then at the earliest.
        asked_at: Time,
    },
    /// How things stand, unless something later is known already.
    Changed(Box<Assignment>),
    /// A renewal, asked for at this time, was accepted.
    Renewed(Renewed, Time),
    /// The lease cannot be renewed: stream-admin is absent, or says no. Told once per reason and outage.
    Lost(Error),
    /// It can be renewed again.
    Found,
    /// Somebody else has the seat, for good.
    Replaced(Error),
    /// The first answer in this life: the living peer converts differently.
    Mismatched(Error),
}

/// What an error means for an adapter that sits in its seat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// stream-admin does not know us: register again.
    Forgotten,
    /// Somebody else has the seat: end.
    Replaced,
    /// Say it, go on with the data, ask again later.
    GoOn,
}

impl Verdict {
    /// Of this error.
    #[must_use]
    pub const fn of(error: &Error) -> Self {
        match error {
            Error::UnknownId { .. } => Self::Forgotten,
            Error::Conflict { .. } => Self::Replaced,
            // Somebody's mistake that somebody can correct, or an absence.
            _ => Self::GoOn,
        }
    }
}

/// Who asks for which seat, and where.
#[derive(Clone, Debug)]
pub struct Seat {
    client: Client,
    request: Register,
}

impl Seat {
    /// A seat that nobody has asked for yet.
    #[must_use]
    pub const fn new(client: Client, request: Register) -> Self {
        Self { client, request }
    }

    /// Asks once.
    ///
    /// # Errors
    /// All that a request can meet, [`Error::ConfigMismatch`] and [`Error::Undecided`].
    pub fn attempt(&self) -> Result<Assignment, Error> {
        self.client.register(&self.request)
    }

    /// Keeps the seat from now on. `seated` is the grant if there is one already; without, the seat is
    /// asked for until it is given, and marked as resumed without verification.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn keep(
        mut self,
        seated: Option<Assignment>,
        status: impl Fn() -> AdapterStatus + Send + 'static,
        stop: StopFlag,
        (learnt, changes): (Sender<Learnt>, Changes),
    ) -> io::Result<()> {
        self.request.unverified = seated.is_none();
        let keeper = Keeper {
            seat: self,
            stop,
            learnt,
            changes,
            watched: None,
            sat: seated.is_some(),
            outage: seated.is_none(),
            reasons: Vec::new(),
        };
        thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || keeper.run(seated, &status))?;
        Ok(())
    }

    /// Gives the seat back.
    ///
    /// # Errors
    /// All that a request can meet; the lease ends by itself then.
    pub fn leave(&self, assignment: &Assignment) -> Result<(), Error> {
        self.client
            .leave(&assignment.adapter, self.request.incarnation)
    }

    /// Asks for the next generation as its active, in a thread of its own, until stream-admin answers: the peer's
    /// process is gone or has stepped down, and nothing that it had agreed is missing here. What is granted comes as a
    /// change.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn take_over(
        &self,
        assignment: &Assignment,
        cause: TakeoverCause,
        stop: StopFlag,
        learnt: Sender<Learnt>,
    ) -> io::Result<()> {
        let (seat, adapter) = (self.clone(), assignment.adapter.clone());
        let request = TakeOver {
            incarnation: self.request.incarnation,
            from: assignment.generation,
            cause,
        };
        let ask = move || {
            let told = |error: &Error, _| tracing::warn!("no takeover yet: {error}");
            let asked = seat
                .backoff()
                .retry(&stop, told, || seat.client.take_over(&adapter, &request));
            match asked {
                Ok(Some(assignment)) => drop(learnt.send(Learnt::Changed(Box::new(assignment)))),
                Ok(None) => {}
                Err(error) => tracing::warn!("no takeover: {error}"),
            }
        };
        thread::Builder::new()
            .name("takeover".to_owned())
            .spawn(ask)?;
        Ok(())
    }

    /// Starts a thread that tells stream-admin what became of orders, each until it is answered.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn report_orders(&self, stop: StopFlag) -> io::Result<Sender<(AdapterId, OrderReport)>> {
        let (telling, told) = bounded::<(AdapterId, OrderReport)>(MOST_REPORTS);
        let seat = self.clone();
        let report = move || {
            for (adapter, report) in told {
                let again = |error: &Error, _| tracing::debug!("order not reported yet: {error}");
                let done = seat
                    .backoff()
                    .retry(&stop, again, || seat.client.report_order(&adapter, &report));
                match done {
                    Ok(Some(())) => {}
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(ticket = report.ticket, "order not reported: {error}");
                    }
                }
            }
        };
        thread::Builder::new()
            .name("orders".to_owned())
            .spawn(report)?;
        Ok(telling)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::with_seed(self.request.incarnation.0)
    }
}

struct Keeper {
    seat: Seat,
    stop: StopFlag,
    learnt: Sender<Learnt>,
    changes: Changes,
    /// Ends the present watch.
    watched: Option<StopFlag>,
    /// Whether stream-admin has given this process its seat, ever.
    sat: bool,
    /// Whether the lease could not be renewed last time.
    outage: bool,
    /// Reasons that were told in this outage.
    reasons: Vec<String>,
}

impl Keeper {
    fn run(mut self, seated: Option<Assignment>, status: &dyn Fn() -> AdapterStatus) {
        let (mut seated, mut forgotten) = (seated, false);
        while !self.stop.is_stopped() {
            let assignment = match seated.take() {
                Some(assignment) => assignment,
                None => match self.register(forgotten) {
                    Some(assignment) => assignment,
                    None => break,
                },
            };
            self.follow(&assignment);
            if !self.renew_until_unknown(&assignment, status) {
                break;
            }
            forgotten = true;
        }
        self.end_watch();
    }

    /// Asks until the seat is given; `None` at the end.
    fn register(&mut self, forgotten: bool) -> Option<Assignment> {
        let mut backoff = self.seat.backoff();
        while !self.stop.is_stopped() {
            let asked_at = now();
            let delay = match self.seat.attempt() {
                Ok(assignment) => {
                    self.sat = true;
                    self.found();
                    // What a watch of the seat before says is older, whatever its revision.
                    self.changes.end();
                    self.say(Learnt::Registered {
                        assignment: Box::new(assignment.clone()),
                        forgotten,
                        asked_at,
                    });
                    return Some(assignment);
                }
                Err(error @ Error::ConfigMismatch { .. }) if !self.sat => {
                    self.say(Learnt::Mismatched(error));
                    return None;
                }
                Err(error) => match Verdict::of(&error) {
                    Verdict::Replaced => {
                        self.say(Learnt::Replaced(error));
                        return None;
                    }
                    // No answer to a registration says that it is unknown.
                    Verdict::GoOn | Verdict::Forgotten => {
                        let delay = delay_after(&error, &mut backoff);
                        self.lost(error);
                        delay
                    }
                },
            };
            if self.stop.wait(delay) {
                break;
            }
        }
        None
    }

    /// Renews until stream-admin does not know us (`true`: register again) or it is over (`false`).
    fn renew_until_unknown(
        &mut self,
        assignment: &Assignment,
        status: &dyn Fn() -> AdapterStatus,
    ) -> bool {
        let incarnation = self.seat.request.incarnation;
        let mut lease = Duration::from_millis(assignment.lease_ms);
        let mut told = of_sources(&status());
        while !self.wait_for_news(lease / RENEWALS_PER_LEASE, &told, status) {
            let status = status();
            told = of_sources(&status);
            let renew = Renew {
                incarnation,
                status,
            };
            let asked_at = now();
            match self.seat.client.renew(&assignment.adapter, &renew) {
                Ok(renewed) => {
                    self.found();
                    lease = Duration::from_millis(renewed.lease_ms);
                    // A stream-admin that lost its store must not grant less than this.
                    self.seat.request.generation_held = Some(renewed.generation);
                    self.say(Learnt::Renewed(renewed, asked_at));
                }
                Err(error) => match Verdict::of(&error) {
                    Verdict::Forgotten => return true,
                    Verdict::Replaced => {
                        self.say(Learnt::Replaced(error));
                        return false;
                    }
                    Verdict::GoOn => self.lost(error),
                },
            }
        }
        false
    }

    /// Waits for this long, or until something else is to be said of the sources than was told. `true`: it is over.
    fn wait_for_news(
        &self,
        longest: Duration,
        told: &[(Sid, DataState)],
        status: &dyn Fn() -> AdapterStatus,
    ) -> bool {
        let begun = Instant::now();
        loop {
            let left = longest.saturating_sub(begun.elapsed());
            if self.stop.wait(left.min(NEWS_INTERVAL)) {
                return true;
            }
            if left <= NEWS_INTERVAL || of_sources(&status()) != told {
                return false;
            }
        }
    }

    /// Starts a watch for this seat, in place of the one before; it ends with this thread, or when its
    /// seat is gone.
    fn follow(&mut self, assignment: &Assignment) {
        self.end_watch();
        let stop = StopFlag::new();
        self.watched = Some(stop.clone());
        let (seat, telling) = (self.seat.clone(), self.changes.begin());
        let adapter = assignment.adapter.clone();
        let started = thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watch(&seat, &adapter, &stop, &telling));
        if let Err(error) = started {
            tracing::error!(%error, "no thread for the watch: changes are seen by renewals only");
        }
    }

    fn end_watch(&mut self) {
        if let Some(watched) = self.watched.take() {
            watched.stop();
        }
    }

    /// Tells a reason that was not told in this outage; beyond [`MOST_REASONS`] it tells none.
    fn lost(&mut self, error: Error) {
        let reason = error.to_string();
        // An outage at the start was told, and why, by whoever started us.
        let known = std::mem::replace(&mut self.outage, true)
            && self.reasons.is_empty()
            && error.is_worth_retrying();
        if self.reasons.len() < MOST_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
            if !known {
                self.say(Learnt::Lost(error));
            }
        }
    }

    fn found(&mut self) {
        self.reasons.clear();
        if std::mem::replace(&mut self.outage, false) {
            self.say(Learnt::Found);
        }
    }

    fn say(&self, learnt: Learnt) {
        // Nobody listens any more: the process is on its way out.
        let _ = self.learnt.send(learnt);
    }
}

/// What a report says of the sources' data: a change is told at once.
fn of_sources(status: &AdapterStatus) -> Vec<(Sid, DataState)> {
    let streams = status.streams.iter();
    streams.map(|stream| (stream.sid, stream.data)).collect()
}

/// How long to wait after a refused registration: not beyond the moment at which it will be decided.
fn delay_after(error: &Error, backoff: &mut Backoff) -> Duration {
    let delay = backoff.next_delay();
    match error {
        Error::Undecided { retry_in, .. } => delay.min(*retry_in).max(SHORTEST_DELAY),
        _ => delay,
    }
}

/// Passes every change on until the seat is gone. What a refusal means is said by the renewals, which are
/// refused as well; the watch is asked for again, since it may be granted again.
fn watch(seat: &Seat, adapter: &AdapterId, stop: &StopFlag, telling: &Telling) {
    let mut pause = seat.backoff();
    loop {
        let (client, incarnation) = (&seat.client, seat.request.incarnation);
        let mut again = false;
        for change in client.watch_adapter(adapter, incarnation, seat.backoff(), stop.clone()) {
            match change {
                Watched::Snapshot(assignment) => {
                    pause.reset();
                    if !telling.tell(assignment) {
                        return;
                    }
                }
                // Told by the lease's thread, which asks more often.
                Watched::Lost(_) => {}
                Watched::Ended(error) => again = Verdict::of(&error) == Verdict::GoOn,
            }
        }
        if !again || stop.wait(pause.next_delay()) {
            return;
        }
    }
}

pub(crate) fn now() -> Time {
    Time(clock::monotonic_ns())
}

/// Most reports on orders that wait for stream-admin.
const MOST_REPORTS: usize = 64;
/// No shorter, whatever moment stream-admin names.
pub(crate) const SHORTEST_DELAY: Duration = Duration::from_millis(50);
/// How late it is noticed that there is something else to tell, and how often it is told at most.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);
/// Most reasons that are told in one outage.
const MOST_REASONS: usize = 16;
