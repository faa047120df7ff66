//! How does an adapter take its seat at stream-admin, keep it, and learn what changed?
//!
//! ```text
//!   seat ──► register ──► renew every third of the lease ──► renew …        thread `lease`
//!                │            └── unknown? register again, same incarnation
//!                └──► watch ──► each change, whole                          thread `watch`
//! ```
//!
//! Both threads may block for as long as they like: the data thread does not know them. What they learn
//! goes to one channel, in [`Learnt`]; what it means is decided by whoever reads that.

use std::io;
use std::thread;
use std::time::Duration;

use crossbeam::channel::Sender;
use twinfeed_control::{
    AdapterStatus, Assignment, Backoff, Client, Error, Register, Renew, Renewed, StopFlag, Watched,
};

/// What the threads of this module have to say.
#[derive(Debug)]
pub enum Learnt {
    /// The answer to a registration: how things stand, whatever was known before.
    Registered(Box<Assignment>),
    /// A change: how things stand, unless something later is known already.
    Changed(Box<Assignment>),
    /// A renewal was accepted.
    Renewed(Renewed),
    /// stream-admin cannot be reached, and why; told once per outage.
    Lost(String),
    /// It can be reached again.
    Found,
    /// It refused for good.
    Refused(Error),
}

/// Who asks for which seat, and where.
#[derive(Clone, Debug)]
pub struct Seat {
    client: Client,
    request: Register,
}

/// How the first attempt went.
#[derive(Debug)]
pub enum FirstAttempt {
    /// The seat is ours.
    Seated(Box<Assignment>),
    /// stream-admin is absent, or cannot serve now.
    Absent(Error),
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
    /// What waiting would not mend: a token that is nobody's, an unknown feed.
    pub fn attempt(&self) -> Result<FirstAttempt, Error> {
        match self.client.register(&self.request) {
            Ok(assignment) => Ok(FirstAttempt::Seated(Box::new(assignment))),
            Err(error) if error.is_worth_retrying() => Ok(FirstAttempt::Absent(error)),
            Err(error) => Err(error),
        }
    }

    /// Asks until stream-admin answers; `None` if `stop` was raised before. `told` hears of every
    /// failure.
    ///
    /// # Errors
    /// As [`Seat::attempt`].
    pub fn wait(
        &self,
        stop: &StopFlag,
        told: impl FnMut(&Error, Duration),
    ) -> Result<Option<Assignment>, Error> {
        self.backoff()
            .retry(stop, told, || self.client.register(&self.request))
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
        learnt: Sender<Learnt>,
    ) -> io::Result<()> {
        self.request.unverified = seated.is_none();
        let keeper = Keeper {
            seat: self,
            stop,
            learnt,
            outage: seated.is_none(),
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

    fn backoff(&self) -> Backoff {
        Backoff::with_seed(self.request.incarnation.0)
    }
}

struct Keeper {
    seat: Seat,
    stop: StopFlag,
    learnt: Sender<Learnt>,
    /// Whether the present outage was told.
    outage: bool,
}

impl Keeper {
    fn run(mut self, seated: Option<Assignment>, status: &dyn Fn() -> AdapterStatus) {
        let mut seated = seated;
        while !self.stop.is_stopped() {
            let assignment = match seated.take() {
                Some(assignment) => assignment,
                None => match self.register() {
                    Some(assignment) => assignment,
                    None => return,
                },
            };
            self.follow(&assignment);
            if !self.renew_until_unknown(&assignment, status) {
                return;
            }
        }
    }

    /// Asks until the seat is given; `None` at the end.
    fn register(&mut self) -> Option<Assignment> {
        let (stop, seat) = (self.stop.clone(), self.seat.clone());
        let answer = seat.wait(&stop, |error, _| self.lost(error));
        match answer {
            Ok(Some(assignment)) => {
                self.found();
                self.say(Learnt::Registered(Box::new(assignment.clone())));
                Some(assignment)
            }
            Ok(None) => None,
            Err(error) => {
                self.say(Learnt::Refused(error));
                None
            }
        }
    }

    /// Renews until stream-admin does not know us (`true`: register again) or it is over (`false`).
    fn renew_until_unknown(
        &mut self,
        assignment: &Assignment,
        status: &dyn Fn() -> AdapterStatus,
    ) -> bool {
        let incarnation = self.seat.request.incarnation;
        let mut lease = Duration::from_millis(assignment.lease_ms);
        while !self.stop.wait(lease / RENEWALS_PER_LEASE) {
            let renew = Renew {
                incarnation,
                status: status(),
            };
            match self.seat.client.renew(&assignment.adapter, &renew) {
                Ok(renewed) => {
                    self.found();
                    lease = Duration::from_millis(renewed.lease_ms);
                    // A stream-admin that lost its store must not grant less than this.
                    self.seat.request.generation_held = Some(renewed.generation);
                    self.say(Learnt::Renewed(renewed));
                }
                Err(Error::UnknownId { .. }) => return true,
                Err(error) if error.is_worth_retrying() => self.lost(&error),
                Err(error) => {
                    self.say(Learnt::Refused(error));
                    return false;
                }
            }
        }
        false
    }

    /// Starts a watch for this seat; it ends with the process, or when its seat is gone.
    fn follow(&self, assignment: &Assignment) {
        let Seat { client, request } = &self.seat;
        let (backoff, stop) = (self.seat.backoff(), self.stop.clone());
        let watch = client.watch_adapter(&assignment.adapter, request.incarnation, backoff, stop);
        let learnt = self.learnt.clone();
        let started = thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                for change in watch {
                    // Losses are told by the lease's thread, which asks more often; an end is followed by
                    // a renewal that says why.
                    if let Watched::Snapshot(assignment) = change
                        && learnt.send(Learnt::Changed(Box::new(assignment))).is_err()
                    {
                        return;
                    }
                }
            });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for the watch: changes are seen by renewals only");
        }
    }

    fn lost(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.outage, true) {
            self.say(Learnt::Lost(error.to_string()));
        }
    }

    fn found(&mut self) {
        if std::mem::replace(&mut self.outage, false) {
            self.say(Learnt::Found);
        }
    }

    fn say(&self, learnt: Learnt) {
        // Nobody listens any more: the process is on its way out.
        let _ = self.learnt.send(learnt);
    }
}

/// How often a lease is renewed before it would end.
const RENEWALS_PER_LEASE: u32 = 3;
