//! When does a backup hold its stream back, and when does it send it after all?
//!
//! ```text
//!                 nothing suspected          for the hold-down
//!  Transmitting ────────────────► Settling ───────────────────► Standby
//!       ▲                            │                             │
//!       └────── any suspicion ───────┴──── any suspicion: replay ──┘
//! ```
//!
//! Transmitting is safe at any time, for subscribers drop what they have; so the slightest suspicion is enough, and
//! whoever knows nothing transmits. Only a backup that hears the active's own word that it goes on is silent.
//!
//! **Whose word.** Not the link's heartbeats, which another thread sends, and not the active's stream, which would
//! have to be received in order to save its sending: the *reports* of where the active's stream stands. They are made
//! by the thread that sequences, in the same step as its datagrams, and they say how far it has come, which is
//! what a replay counts from. So a thread that hangs is noticed as a process that is gone is, within
//! [`StandbyLimits::missed_reports`]; only what is lost between the active's socket and the subscribers is not, and that
//! a subscriber declares.
//!
//! **How to drive it.** One [`Standby`] beside one [`Pair`](crate::pair::Pair) and its [`Sequencer`], on the thread that sequences, between
//! batches. Tell it what the pair is told, after the pair; call [`Standby::between_batches`] with the pair's.

use core::time::Duration;

use twinfeed_wire::Generation;

use crate::limits::BadLimit;
use crate::pair::Report;
use crate::sequencer::{Now, Placed, Replay, Sequencer, StandbyEnd, Transmit};
use crate::time::Time;

pub mod state;
mod steps;

use state::{StandbyInput, next};
pub use state::{StandbyState, Suspicion};
pub use steps::Steps;

/// Knobs of one end's standby.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandbyLimits {
    /// How often the active reports.
    pub report_every: Duration,
    /// Reports missed before the active is suspected.
    pub missed_reports: u32,
    /// How long nothing must be suspected before the stream is withheld (again).
    pub hold_down: Duration,
}

impl Default for StandbyLimits {
    fn default() -> Self {
        Self {
            report_every: Duration::from_millis(10),
            missed_reports: 3,
            hold_down: Duration::from_secs(1),
        }
    }
}

impl StandbyLimits {
    /// Refuses what no backup could work with.
    ///
    /// # Errors
    /// [`BadLimit`] names the first knob that is wrong and what it must satisfy.
    pub fn check(&self) -> Result<(), BadLimit> {
        let rules = [
            (
                "report_every",
                "be longer than zero",
                !self.report_every.is_zero(),
            ),
            ("missed_reports", "be at least 1", self.missed_reports >= 1),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }

    /// How long the active may say nothing.
    fn patience(&self) -> Duration {
        self.report_every * self.missed_reports
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The stream is withheld from here on.
    Withholds,
    /// It is sent again.
    Transmits {
        /// Why.
        suspicion: Suspicion,
        /// What was sent of what had been withheld.
        replay: Replay,
    },
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StandbyCounters {
    /// Times the stream went on standby.
    pub standbys: u64,
    /// Times it left it, and something of it was sent again.
    pub replays: u64,
    /// Records sent then.
    pub replayed_records: u64,
    /// Replays that had less before the reported place than they should have.
    pub short: u64,
    /// Replays for want of room.
    pub full: u64,
}

/// What was heard of the active in this generation and on this link.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Time,
    last: Option<Placed>,
    source_stale: bool,
}

/// One end of a pair of which only the active transmits.
#[derive(Debug)]
pub struct Standby {
    /// `None`: both transmit.
    limits: Option<StandbyLimits>,
    state: StandbyState,
    /// Why it transmits, as far as it does.
    suspicion: Suspicion,
    generation: Generation,
    backup: bool,
    linked: bool,
    heard: Option<Heard>,
    /// Since when the active stands still behind this end.
    still_since: Option<Time>,
    /// Since when nothing is suspected.
    calm_since: Time,
    counters: StandbyCounters,
    steps: Steps,
}

impl Standby {
    /// An end that transmits; for ever, without `limits`.
    #[must_use]
    pub fn new(limits: Option<StandbyLimits>) -> Self {
        let suspicion = match limits {
            None => Suspicion::Hot,
            Some(_) => Suspicion::NotBackup,
        };
        Self {
            limits,
            state: StandbyState::Transmitting,
            suspicion,
            generation: Generation(0),
            backup: false,
            linked: false,
            heard: None,
            still_since: None,
            calm_since: Time::ZERO,
            counters: StandbyCounters::default(),
            steps: Steps::default(),
        }
    }

    /// Stream administration's word, as the pair is given it.
    pub fn on_grant(
        &mut self,
        now: Now,
        (generation, active): (Generation, bool),
        seq: &mut Sequencer,
        out: &mut impl Transmit,
    ) -> Option<Change> {
        if generation < self.generation {
            return None;
        }
        if generation > self.generation {
            self.generation = generation;
            self.backup = !active;
            self.forget();
        }
        self.decide(now, seq, out)
    }

    /// The peer is there, and agrees to pair.
    pub const fn on_link_up(&mut self) {
        self.linked = true;
        self.forget();
    }

    /// The link is down, whyever: the first suspicion there is.
    pub fn on_link_down(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut impl Transmit,
    ) -> Option<Change> {
        self.linked = false;
        self.forget();
        self.decide(now, seq, out)
    }

    /// The peer says where its stream stands.
    pub fn on_report(
        &mut self,
        now: Now,
        report: &Report,
        seq: &mut Sequencer,
        out: &mut impl Transmit,
    ) -> Option<Change> {
        if report.generation != self.generation || self.limits.is_none() {
            return None;
        }
        let stands = self.heard.is_some_and(|heard| heard.last == report.last);
        self.still_since = if stands && is_ahead(seq, report.last.as_ref()) {
            self.still_since.or(Some(now.time))
        } else {
            None
        };
        self.heard = Some(Heard {
            at: now.time,
            last: report.last,
            source_stale: report.source_stale,
        });
        if let Some(place) = &report.last {
            seq.note_reported(place);
        }
        self.decide(now, seq, out)
    }

    /// What time and progress have brought; after every batch.
    pub fn between_batches(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut impl Transmit,
    ) -> Option<Change> {
        self.decide(now, seq, out)
    }

    /// When [`Standby::between_batches`] wants to be called although nothing arrived.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let limits = self.limits.as_ref()?;
        let overdue = self.heard.map(|heard| heard.at.after(limits.patience()));
        match self.state {
            StandbyState::Transmitting => None,
            StandbyState::Settling => Some(self.calm_since.after(limits.hold_down)),
            StandbyState::Standby => overdue,
        }
    }

    /// Whether this end transmits.
    #[must_use]
    pub const fn state(&self) -> StandbyState {
        self.state
    }

    /// Why it transmits; without meaning while it does not.
    #[must_use]
    pub const fn suspicion(&self) -> Suspicion {
        self.suspicion
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &StandbyCounters {
        &self.counters
    }

    /// Which inputs came in which states.
    #[must_use]
    pub const fn steps(&self) -> &Steps {
        &self.steps
    }

    const fn forget(&mut self) {
        (self.heard, self.still_since) = (None, None);
    }

    fn decide(&mut self, now: Now, seq: &mut Sequencer, out: &mut impl Transmit) -> Option<Change> {
        let limits = self.limits?;
        let suspicion = self.suspect(now.time, &limits, seq);
        let input = match suspicion {
            Some(suspicion) => StandbyInput::Suspected(suspicion),
            None if now.time >= self.calm_since.after(limits.hold_down) => StandbyInput::HeldDown,
            None => StandbyInput::Calm,
        };
        // Calm begins now, whatever the time says of another calm before.
        let input = match (self.state, input) {
            (StandbyState::Transmitting, StandbyInput::HeldDown) => StandbyInput::Calm,
            (_, input) => input,
        };
        self.steps.note(self.state, input);
        let (from, to) = (self.state, next(self.state, input));
        self.state = to;
        if let Some(suspicion) = suspicion {
            self.suspicion = suspicion;
        }
        match (from, to) {
            (StandbyState::Transmitting, StandbyState::Settling) => {
                self.calm_since = now.time;
                None
            }
            (StandbyState::Settling, StandbyState::Standby) => {
                let reported = self.heard.and_then(|heard| heard.last);
                if seq.begin_standby(now, reported.as_ref(), out) {
                    self.counters.standbys += 1;
                    Some(Change::Withholds)
                } else {
                    self.state = StandbyState::Transmitting;
                    None
                }
            }
            (StandbyState::Standby, StandbyState::Transmitting) => {
                seq.end_standby(now, out);
                let replay = seq.take_replay()?;
                self.counters.replays += 1;
                self.counters.replayed_records += replay.records;
                self.counters.short += u64::from(replay.short);
                self.counters.full += u64::from(replay.end == StandbyEnd::Full);
                Some(Change::Transmits {
                    suspicion: self.suspicion,
                    replay,
                })
            }
            _ => None,
        }
    }

    /// What is held against withholding the stream.
    fn suspect(&self, now: Time, limits: &StandbyLimits, seq: &Sequencer) -> Option<Suspicion> {
        if self.state == StandbyState::Standby && !seq.is_on_standby() {
            return Some(match seq.replay().map(|replay| replay.end) {
                Some(StandbyEnd::Full) => Suspicion::Full,
                _ => Suspicion::Upheaval,
            });
        }
        if !self.backup {
            return Some(Suspicion::NotBackup);
        }
        if !self.linked {
            return Some(Suspicion::LinkDown);
        }
        let expired = |since: Time| now.since(since) >= limits.patience();
        let Some(heard) = self.heard.filter(|heard| !expired(heard.at)) else {
            return Some(Suspicion::Silence);
        };
        if heard.source_stale && !seq.is_source_stale() {
            return Some(Suspicion::SourceStale);
        }
        if self.still_since.is_some_and(expired) {
            return Some(Suspicion::Behind);
        }
        let outranks = |last: &Placed| {
            seq.is_complete()
                && seq.epoch() == Some(last.epoch)
                && seq.context_id() != Some(last.context)
        };
        if heard.last.as_ref().is_some_and(outranks) {
            return Some(Suspicion::Context);
        }
        None
    }
}

/// Whether this end has gone on behind what the active placed last.
fn is_ahead(seq: &Sequencer, theirs: Option<&Placed>) -> bool {
    match (seq.last_placed(), theirs) {
        (Some(ours), Some(theirs)) if ours.epoch == theirs.epoch => ours.sseq > theirs.sseq,
        (Some(_), Some(theirs)) => seq.was_in(theirs.epoch),
        // An active that has placed nothing may never have heard its source; a numbering begins with nothing placed at
        // both ends.
        (Some(ours), None) => ours.msn.0 > 0,
        (None, _) => false,
    }
}
