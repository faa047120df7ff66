//! Which messages does a source have, when two lines each lose some of them?
//!
//! ```text
//!  line A ──┐  known epoch, near: accept ──► deliver in turn, hold what is early
//!           ├─►                                    │ hole: the other line, or time
//!  line B ──┘  far ahead, far behind, other epoch: quarantine ──► confirmed ──► take over
//! ```
//!
//! [`Lines`] delivers the first copy of every number in order, drops every other copy, and gives a number
//! up once no line can be expected to bring it, nor the source's servers, where it has any. It does not look into a
//! message, and does not know what an epoch's key is made of.
//!
//! **What it promises:** what comes out of one epoch are messages and abandoned ranges that follow each
//! other without a hole, in order, each number once. Nothing is abandoned that came within `reorder_hold`
//! of the last live line that passed it, unless a bound was reached (`hold_full`) or the lines contradicted
//! each other while something waited to be confirmed (`quarantine_dropped`); both are counted.
//!
//! **How long is a hole open?** Until every line that is live has passed it, and `reorder_hold` longer;
//! but no longer than `lag_hold` for a line that is behind. The same rule says when an end marker, a jump
//! and another epoch are believed, only that an end and an epoch have until `silence`: an epoch that still
//! brings new numbers is never left. When one goes on behind its end, it begins again there, once that is
//! confirmed like another epoch.
//!
//! **How to drive it:** one input, then everything that it decided has been handed to your [`Source`];
//! call [`Lines::on_deadline`] when [`Lines::next_deadline`] has come, and when both lines' sockets were
//! read: time passes there alone, so that after a pause nothing is given up that waits to be read. Then send what
//! [`Lines::poll_request`] asks for.
//! Nothing is allocated after [`Lines::new`].

use core::time::Duration;

use twinfeed_wire::Epoch;

use crate::epoch::EpochStart;
use crate::limits::BadLimit;
use crate::time::{Time, earlier};

mod candidate;
mod hold;
mod judge;
mod limits;
mod memory;
mod patience;
mod recovery;
mod retired;
mod run;
mod source;
mod status;

use candidate::{Candidate, Kind};
use judge::Judgement;
pub use limits::LineLimits;
use recovery::Recovery;
pub use recovery::{LineAsk, Way};
use retired::Retired;
use run::{Run, Word};
pub use source::{Line, Source};
use status::Account;
pub use status::{LineCounters, LineState, LineStatus};

/// Where the source stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LinesState {
    /// No epoch began yet.
    Unborn,
    /// An epoch is under way.
    Open,
    /// An epoch is under way, but every line is silent.
    Stale,
    /// The source ended the epoch. Silence is not stale.
    Ended,
}

/// Lines A and B of one source.
#[derive(Debug)]
pub struct Lines {
    limits: LineLimits,
    state: LinesState,
    /// The epoch at hand; meaningless while [`LinesState::Unborn`].
    current: Run,
    /// What is out of the ordinary, and what it brought so far.
    candidate: Option<Candidate>,
    kept: Run,
    retired: Retired,
    recovery: Recovery,
    account: Account,
}

impl Lines {
    /// Allocates everything that will ever be needed.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(limits: LineLimits) -> Result<Self, BadLimit> {
        limits.check()?;
        Ok(Self {
            state: LinesState::Unborn,
            current: Run::new(&limits),
            candidate: None,
            kept: Run::new(&limits),
            retired: Retired::new(limits.retired_epochs),
            recovery: Recovery::new([limits.recovery, limits.sessions]),
            account: Account::default(),
            limits,
        })
    }

    /// A packet of `count` messages, the first of which is number `first`. When `messages` yields fewer,
    /// the others count as lost on this line. `received_at` is Unix ns, 0 when not known.
    #[allow(clippy::too_many_arguments, reason = "a packet's header, taken apart")]
    pub fn on_packet<'m>(
        &mut self,
        line: Line,
        now: Time,
        epoch: Epoch,
        first: u64,
        count: u16,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        received_at: u64,
        out: &mut impl Source,
    ) {
        let word = Word {
            line,
            now,
            epoch,
            first,
            count: u64::from(count),
            received_at,
            end: false,
        };
        self.hear(&word, messages, out);
    }

    /// The source says that `next` is the number of its next message.
    pub fn on_heartbeat(
        &mut self,
        line: Line,
        now: Time,
        epoch: Epoch,
        next: u64,
        out: &mut impl Source,
    ) {
        self.on_packet(line, now, epoch, next, 0, core::iter::empty(), 0, out);
    }

    /// The source says that the epoch is over and `next` would have been the next number.
    pub fn on_end(
        &mut self,
        line: Line,
        now: Time,
        epoch: Epoch,
        next: u64,
        out: &mut impl Source,
    ) {
        let word = Word {
            line,
            now,
            epoch,
            first: next,
            count: 0,
            received_at: 0,
            end: true,
        };
        self.hear(&word, core::iter::empty(), out);
    }

    /// The time that [`Lines::next_deadline`] named has come, and what came until then was heard.
    pub fn on_deadline(&mut self, now: Time, out: &mut impl Source) {
        self.settle(now, out);
        if self.stale_at().is_some_and(|at| now >= at) {
            self.state = LinesState::Stale;
            out.stale(true);
        }
    }

    /// Nothing will follow on any line (the end of a file): what waits for confirmation and stands
    /// uncontradicted is believed, every hole is given up, everything held is delivered.
    pub fn on_close(&mut self, now: Time, out: &mut impl Source) {
        match &self.candidate {
            Some(candidate) if candidate.is_vouched_for() => self.take_over(now, out),
            Some(_) => self.discard(),
            None => {}
        }
        self.close_current(out);
    }

    /// When [`Lines::on_deadline`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let decided = earlier(self.hole_until(), self.end_until());
        earlier(earlier(decided, self.take_over_at()), self.stale_at())
    }

    /// Where the source stands.
    #[must_use]
    pub const fn state(&self) -> LinesState {
        self.state
    }

    /// The epoch at hand, ended or not.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.current.epoch.is_some().then_some(self.current.epoch)
    }

    /// How many messages wait behind a hole or in quarantine.
    #[must_use]
    pub const fn held(&self) -> usize {
        // What is no candidate any more lies there until the next one needs the room.
        let kept = if self.candidate.is_some() {
            self.kept.held()
        } else {
            0
        };
        self.current.held() + kept
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &LineCounters {
        &self.account.counters
    }

    /// One line's account.
    #[must_use]
    pub fn status(&self, line: Line, now: Time) -> LineStatus {
        let speaker = &self.account.speakers[line.index()];
        LineStatus {
            state: speaker.state(now, self.limits.silence),
            packets: speaker.packets,
            first_arrivals: speaker.first_arrivals,
            duplicates: speaker.duplicates,
            missed: speaker.missed,
            last_heard: speaker.last_heard,
            next: self.current.lines[line.index()],
        }
    }

    fn hear<'m>(
        &mut self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        out: &mut impl Source,
    ) {
        let possible = word.first >= 1 && word.first.checked_add(word.count).is_some();
        if !possible || !word.epoch.is_some() {
            self.account.counters.malformed += 1;
            return;
        }
        let judgement = self.judge(word, messages.clone());
        if word.epoch == self.current.epoch {
            self.current.postpone_end(word);
        }
        match judgement {
            Judgement::Retired => self.account.counters.retired += 1,
            Judgement::Ordinary => self.accept(word, messages, out),
            Judgement::Repeated => {
                self.current.accept(word, messages, &mut self.account, out);
            }
            Judgement::Odd(Kind::Reopen) => self.go_on_behind_end(word, messages),
            Judgement::Odd(kind) => self.quarantine(kind, word, messages),
        }
        let speaker = self.account.speaker(word.line);
        speaker.last_heard = Some(word.now);
        speaker.packets += 1;
        // Nothing here is done because time has passed: the other line's socket may not have been read.
        self.reach_jump(word.now, out);
        if self.at_once().is_some() {
            self.take_over(word.now, out);
        }
    }

    fn accept<'m>(
        &mut self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
        out: &mut impl Source,
    ) {
        if self.state == LinesState::Stale {
            self.state = LinesState::Open;
            out.stale(false);
        }
        let line = word.line.index();
        if word.next() >= self.current.lines[line] {
            self.retract(word.line);
        }
        self.current.hear(word);
        if self.state == LinesState::Open {
            self.current.withdraw_end(word);
            if word.end && word.next() >= self.current.horizon {
                self.current.state_end(word);
            }
        }
        self.current.accept(word, messages, &mut self.account, out);
    }

    /// The source goes on where it had stated its end: what it repeats from before is left out.
    fn go_on_behind_end<'m>(&mut self, word: &Word, messages: impl Iterator<Item = &'m [u8]>) {
        let first = word.first.max(self.current.next);
        let behind = Word {
            first,
            count: word.next() - first,
            ..*word
        };
        self.account.counters.after_end += behind.count;
        let known = word.count - behind.count;
        // At most 65,535: a packet's count.
        self.quarantine(Kind::Reopen, &behind, messages.skip(known as usize));
    }

    fn quarantine<'m>(
        &mut self,
        kind: Kind,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
    ) {
        self.account.counters.quarantined += 1;
        if kind == Kind::Epoch {
            self.retired.hear(word.epoch, word.line);
        }
        let agrees = |candidate: &Candidate| {
            candidate.kind == kind
                && self.kept.epoch == word.epoch
                && candidate.is_near(word, self.limits.window)
        };
        let disagrees = !self.candidate.as_ref().is_none_or(agrees);
        if disagrees && let Some(candidate) = &mut self.candidate {
            // Where nothing was begun yet, nothing is worth protecting.
            let lately = self.state != LinesState::Unborn
                && word.now < candidate.said.after(self.limits.silence);
            let confirmations = self.limits.confirmations;
            let stands = candidate.contradict(word.line, confirmations, lately);
            // Who was in the epoch at hand goes on to the next one; what may have been before it is in nobody's way.
            let was_here = self.current.lines[word.line.index()] != 0;
            let outdone = kind == Kind::Epoch
                && was_here
                && self
                    .candidate
                    .as_ref()
                    .is_some_and(|it| self.may_be_older(it));
            if stands && !outdone {
                self.account.counters.quarantine_dropped += word.count;
                return;
            }
            self.discard();
        }
        if self.candidate.is_none() {
            let predecessor = match kind {
                Kind::Epoch if self.state == LinesState::Unborn => Epoch::NONE,
                Kind::Epoch => self.current.epoch,
                Kind::Jump | Kind::Regress | Kind::Reopen => self.current.predecessor,
            };
            let first = match kind {
                // What lies between the end and here is missing, unless that is absurdly much.
                Kind::Reopen if word.first - self.current.next <= self.limits.window => {
                    self.current.next
                }
                _ => word.first,
            };
            self.kept.reset(word.epoch, predecessor, first);
        }
        let candidate = self.candidate.get_or_insert(Candidate::new(kind, word));
        candidate.vote(word, self.limits.confirmations);
        self.kept.keep(word, messages, &mut self.account);
        if word.end {
            self.kept.state_end(word);
        }
    }

    /// The line no longer vouches for what waits to be confirmed.
    fn retract(&mut self, line: Line) {
        let confirmations = self.limits.confirmations;
        if let Some(candidate) = &mut self.candidate
            && !candidate.retract(line, confirmations)
        {
            self.discard();
        }
    }

    /// Nobody vouches for what was kept aside.
    fn discard(&mut self) {
        self.candidate = None;
        self.account.counters.quarantine_dropped += self.kept.held() as u64;
    }

    /// Does what time has made due.
    fn settle(&mut self, now: Time, out: &mut impl Source) {
        loop {
            self.expire(now, out);
            if self.end_until().is_some_and(|until| now >= until) {
                self.close_current(out);
            }
            self.reach_jump(now, out);
            if self.take_over_at().is_none_or(|at| now < at) {
                return;
            }
            self.take_over(now, out);
        }
    }

    /// Gives up the holes whose time is over.
    fn expire(&mut self, now: Time, out: &mut impl Source) {
        while self.hole_until().is_some_and(|until| now >= until) {
            let behind = |line: Line| self.current.lines[line.index()] <= self.current.next;
            for line in Line::BOTH {
                let speaker = &mut self.account.speakers[line.index()];
                speaker.lagging |= speaker.last_heard.is_some() && behind(line);
            }
            let until = self.due_until(now, Duration::ZERO);
            let Some(until) = self.given_up_until(now, until) else {
                return;
            };
            self.current.give_up_all(until, &mut self.account, out);
        }
        if self.current.hole().is_none() {
            self.recovery.close();
        }
    }

    /// The end of the furthest hole whose time is over for so long, no further than one request reaches where somebody can be
    /// asked. The oldest one's is.
    fn due_until(&self, now: Time, since: Duration) -> u64 {
        let is_due = |number: u64| {
            let passed = |line: Line| self.current.lines[line.index()] > number;
            let missing = self.current.missing_since(number)?;
            let due = self.patience(missing, self.limits.lag_hold, passed);
            Some(now >= due.after(since))
        };
        let mut until = self.current.next;
        if !self.recovery.can_ask() {
            while is_due(until) == Some(true) {
                until += 1;
            }
            return until;
        }
        let furthest = until.saturating_add(self.recovery.range());
        for number in until..furthest.min(self.current.horizon) {
            match is_due(number) {
                Some(true) => until = number + 1,
                Some(false) => break,
                // Held: what is asked for goes on behind it.
                None => {}
            }
        }
        until
    }

    /// The numbers in between came after all: what waits behind the jump waits behind a hole.
    fn reach_jump(&mut self, now: Time, out: &mut impl Source) {
        let jumps = matches!(&self.candidate, Some(candidate) if candidate.kind == Kind::Jump);
        let reach = self.current.next.saturating_add(self.current.span());
        if jumps && self.kept.horizon <= reach && self.is_speaking() {
            self.candidate = None;
            self.current
                .absorb(&mut self.kept, now, &mut self.account, out);
        }
    }

    /// What waited to be confirmed is the truth.
    fn take_over(&mut self, now: Time, out: &mut impl Source) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        match candidate.kind {
            Kind::Jump => {
                self.account.counters.jumps += 1;
                self.current.forget_end();
                self.current
                    .give_up_all(self.kept.next, &mut self.account, out);
                self.current
                    .absorb(&mut self.kept, now, &mut self.account, out);
            }
            Kind::Epoch => {
                self.account.counters.epochs += 1;
                self.close_current(out);
                let says = |line: Line| candidate.has_voted(line);
                self.retired
                    .take_over(self.current.epoch, self.kept.epoch, says);
                self.begin_kept(out);
            }
            Kind::Regress | Kind::Reopen => {
                self.account.counters.regressions += 1;
                self.close_current(out);
                self.begin_kept(out);
            }
        }
    }

    /// Delivers and gives up whatever the epoch at hand still has, and tells its end if it is known.
    fn close_current(&mut self, out: &mut impl Source) {
        if !self.is_speaking() {
            return;
        }
        let until = self.current.stated_end().unwrap_or(self.current.horizon);
        self.current.give_up_all(until, &mut self.account, out);
        if self.current.is_settled() {
            if self.state == LinesState::Stale {
                // What has ended may be silent.
                out.stale(false);
            }
            self.state = LinesState::Ended;
            // Nothing lies beyond an end.
            if matches!(&self.candidate, Some(candidate) if candidate.kind == Kind::Jump) {
                self.discard();
            }
            out.ended(self.current.epoch, until);
        }
    }

    /// Goes on with what was kept aside.
    fn begin_kept(&mut self, out: &mut impl Source) {
        core::mem::swap(&mut self.current, &mut self.kept);
        self.kept.reset(Epoch::NONE, Epoch::NONE, 1);
        self.recovery.close();
        if self.state == LinesState::Stale {
            out.stale(false);
        }
        self.state = LinesState::Open;
        self.current.first = self.current.next;
        out.begin(EpochStart {
            epoch: self.current.epoch,
            first: self.current.first,
            complete: self.current.first == self.limits.origin_first,
            predecessor: self.current.predecessor,
        });
        self.current.drain(&mut self.account, out);
    }

    /// Whether an epoch is under way.
    fn is_speaking(&self) -> bool {
        match self.state {
            LinesState::Open | LinesState::Stale => true,
            LinesState::Unborn | LinesState::Ended => false,
        }
    }
}
