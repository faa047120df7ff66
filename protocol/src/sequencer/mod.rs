//! How do converted messages become one numbered stream?
//!
//! ```text
//!            begin_epoch            end_epoch
//!  Unborn ───────────────► Open ───────────────► Ended        any ── end_of_stream ──► Closed
//!                           ▲ ◄── begin_epoch ──── │
//!                           └──────────────────────┘
//! ```
//!
//! A [`Sequencer`] gives every record its msn, its place behind the record before (`prev`) and its
//! datagram, and says in heartbeats what the silence means. It never looks into a body, does not know
//! whether anybody listens, and decides nothing about the source: what is lost, begun or ended it is
//! told. Normative text of what it writes: `docs/wire-format.md`.
//!
//! **How to drive it:** one input, then whatever was finished has been handed to your [`Transmit`]; call
//! [`Sequencer::flush`] when a source datagram or a batch is through, and [`Sequencer::on_deadline`] when
//! [`Sequencer::next_deadline`] has come. Two sequencers that are told the same messages send the same
//! records, whatever their flushes, clocks and datagram lengths.
//!
//! Bounds: one datagram is under way, [`LONGEST_PART`] bytes of a body go into one record, a source
//! message has at most [`MOST_PARTS`] records. Nothing is allocated after [`Sequencer::new`].

use core::ops::Range;

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Dsn, Epoch, Flags, Generation, Msn, Pos, RangeDigest, Record,
};

use crate::digest;
use crate::epoch::EpochStart;
use crate::limits::BadLimit;
use crate::time::Time;

mod agenda;
mod config;
mod datagram;
mod emit;
mod history;
mod parts;
mod run;
mod schedule;
mod slots;
mod standby;
mod withheld;

use agenda::Agenda;
pub use config::{SequencerConfig, SequencerCounters};
use datagram::Outgoing;
use history::History;
pub use parts::{LONGEST_PART, MOST_PARTS};
use run::Run;
use schedule::Schedule;
pub use slots::{MOST_ARMED, Numbering, Placed};
use standby::Standby;
pub use standby::{Replay, RetainLimits, StandbyEnd};

/// How often something that must not be missed is said at once: the beginning and the end of an epoch,
/// the end of a stream.
pub const ANNOUNCEMENTS: u32 = 4;
/// The highest source number that a message can have: the one behind it must exist.
pub const LAST_SSEQ: u64 = u64::MAX - 1;

/// Both clocks' readings in one duty cycle.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// The monotonic clock: decides.
    pub time: Time,
    /// The wall clock, Unix ns: goes on the wire.
    pub unix_ns: u64,
}

/// Where finished datagrams go.
pub trait Transmit {
    /// Sends one datagram; `bytes` are valid during the call only.
    fn datagram(&mut self, bytes: &[u8]);

    /// One datagram with records is finished and held back: it has no number of its own yet. `bytes` are valid during
    /// the call only.
    fn withheld(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// One datagram that was held back is sent after all. What it says was handed over then.
    fn replayed(&mut self, bytes: &[u8]) {
        self.datagram(bytes);
    }

    /// One heartbeat that means something only where it stands is held back, likewise: an epoch begins or ends, or numbers that carry
    /// nothing are vouched for.
    fn withheld_heartbeat(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }
}

/// One record of a source message, converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Body<'a> {
    /// What the bytes are: [`BodyKind::Dbn`] or [`BodyKind::Opaque`].
    pub kind: BodyKind,
    /// The bytes. An opaque body longer than [`LONGEST_PART`] is cut; no other may be longer.
    pub bytes: &'a [u8],
}

/// Where a stream stands; see the picture above.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SequencerState {
    /// No epoch began yet: there is nothing that could be said.
    Unborn,
    /// An epoch is under way.
    Open,
    /// The source ended the epoch; heartbeats say so until another begins.
    Ended,
    /// Nothing is sent any more.
    Closed,
}

/// One adapter's numbered output of one source stream.
#[derive(Debug)]
pub struct Sequencer {
    config: SequencerConfig,
    state: SequencerState,
    /// Meaningless while [`SequencerState::Unborn`].
    run: Run,
    /// In whose numbering `next_msn` and `adm` count.
    generation: Generation,
    inherited: Adm,
    next_msn: Msn,
    /// The msn of the first record of the epoch at hand; `None`: not known, or the numbering began behind it.
    began: Option<Msn>,
    adm: Adm,
    agenda: Agenda,
    history: History,
    /// How often the source stepped back or lost something for good.
    upheavals: u64,
    unsynchronised: bool,
    source_stale: bool,
    outgoing: Outgoing,
    schedule: Schedule,
    standby: Standby,
    counters: SequencerCounters,
}

impl Sequencer {
    /// Allocates the one datagram that is ever under way.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(config: SequencerConfig) -> Result<Self, BadLimit> {
        config.check()?;
        Ok(Self {
            config,
            state: SequencerState::Unborn,
            run: Run::none(),
            generation: Generation(0),
            inherited: Adm(0),
            next_msn: Msn(1),
            began: None,
            adm: Adm(0),
            agenda: Agenda::new(),
            history: History::new(config.history),
            upheavals: 0,
            unsynchronised: true,
            source_stale: false,
            outgoing: Outgoing::new(config.max_datagram),
            schedule: Schedule::new(config.heartbeat),
            standby: Standby::never(),
            counters: SequencerCounters::default(),
        })
    }

    /// Opens a generation: its msn begins at 1, and of the administrative messages that were placed or wait here those
    /// below `inherited` are valid in it. What was placed beyond does not count any more. [`ANNOUNCEMENTS`] heartbeats
    /// say so at once. An equal generation changes nothing, a lower one is refused.
    pub fn open_generation(
        &mut self,
        now: Now,
        generation: Generation,
        inherited: Adm,
        out: &mut impl Transmit,
    ) {
        if generation <= self.generation || self.state == SequencerState::Closed {
            self.counters.refused += u64::from(generation != self.generation);
            return;
        }
        self.leave_standby(now, StandbyEnd::Generation, out);
        self.send_records(now, out);
        self.generation = generation;
        self.inherited = inherited;
        self.adm = self.adm.min(inherited);
        self.agenda.renumber(self.next_msn, Msn(1));
        self.next_msn = Msn(1);
        self.began = None;
        self.history.renumber(Msn(0));
        self.announce(now, out);
    }

    /// An epoch begins, or the source stepped back within one (then `start.epoch` is the one at hand).
    /// What the epoch before left unsaid is said first; [`ANNOUNCEMENTS`] heartbeats follow at once.
    ///
    /// Administrative messages that wait follow the last record of the epoch before. Where the source did not end that
    /// one, its last record is not known here, and they stand in front of this epoch's first.
    pub fn begin_epoch(&mut self, now: Now, start: EpochStart, out: &mut impl Transmit) {
        let possible = start.epoch.is_some() && (1..=LAST_SSEQ).contains(&start.first);
        if self.state == SequencerState::Closed || !possible {
            self.counters.refused += 1;
            return;
        }
        let steps_back = self.epoch() == Some(start.epoch);
        if steps_back {
            self.leave_standby(now, StandbyEnd::SteppedBack, out);
        }
        // Where an epoch ended that the source did not end is not known here: more of its records may have come to
        // the peer, which then has what waits behind them, or among them.
        let end_is_known = self.state == SequencerState::Ended || steps_back;
        if end_is_known {
            self.place_all(now, out);
        }
        self.vouch(now, out);
        if steps_back {
            self.upset();
        }
        self.run = self
            .run
            .succeeded_by(start, self.state == SequencerState::Ended);
        self.state = SequencerState::Open;
        self.announce(now, out);
        // Behind the last record of the epoch before, whichever that was, and in front of all of this one.
        self.place_all(now, out);
        self.began = (!steps_back).then_some(self.next_msn);
    }

    /// The records of source message `sseq`; without any, the message is covered. Numbers skipped since the
    /// message before carry nothing: what is *lost* must be said by [`Sequencer::abandon`].
    ///
    /// `received_at` is the time of the source datagram, Unix ns, 0 when not known.
    pub fn message<'a>(
        &mut self,
        now: Now,
        sseq: u64,
        received_at: u64,
        bodies: impl Iterator<Item = Body<'a>> + Clone,
        out: &mut impl Transmit,
    ) {
        let possible = (self.run.next_sseq..=LAST_SSEQ).contains(&sseq);
        if self.state != SequencerState::Open || !possible {
            self.counters.refused += 1;
            return;
        }
        let Some(count) = parts::count(bodies.clone()) else {
            self.counters.inexpressible += 1;
            self.abandon(now, sseq..sseq + 1, out);
            return;
        };
        if self.agenda.next() <= self.next_msn {
            self.place_due(now, out);
        }
        // What is withheld is packed, whatever datagrams it came in.
        let received_at = if self.standby.is_on() { 0 } else { received_at };
        self.counters.messages += 1;
        if count.parts == 0 {
            self.counters.covered += 1;
            self.run.next_sseq = sseq + 1;
            return;
        }
        if sseq - self.run.prev > u64::from(u32::MAX) {
            // No record can point back that far; saying "lost" is the one honest thing left.
            let silent = self.run.prev + 1..sseq;
            self.give_up(now, silent, out);
        }
        if self.outgoing.received_at() != received_at {
            self.send_records(now, out);
        }
        let (prev, adm) = (self.run.prev, self.adm);
        let mut digest = 0_u64;
        parts::cut(bodies, count, |part, kind, flags, body| {
            let record = Record {
                kind,
                flags,
                part,
                sseq,
                prev,
                adm,
                body,
            };
            self.append(now, received_at, &record, u32::from(part), out);
            if let Some(added) = digest::of_record(sseq, part, kind, flags, body) {
                digest = digest.wrapping_add(added);
            }
        });
        self.run.ranges.add(sseq, digest);
        self.run.records += count.parts as u64;
        self.counters.records += count.parts as u64;
        self.run.prev = sseq;
        self.run.next_sseq = sseq + 1;
    }

    /// The source lost these numbers for good: the context changes, and the next record's `prev` says that
    /// it does not follow what was sent before. What lies below the next number expected is ignored.
    pub fn abandon(&mut self, now: Now, range: Range<u64>, out: &mut impl Transmit) {
        let range = range.start.max(self.run.next_sseq)..range.end;
        if self.state != SequencerState::Open || range.is_empty() {
            self.counters.refused += 1;
            return;
        }
        self.place_due(now, out);
        self.vouch(now, out);
        self.give_up(now, range, out);
    }

    /// The conversion took over what its peer's remembers: from the next number on records are of that context, which
    /// began with `start`, complete, and whose last record below that number is number `prev`. Or, where `start` is not
    /// complete, what a snapshot of the source's says of everything from `start.first` on. Whoever numbered alike
    /// before need not do so after. `false`, and nothing happened: it cannot be, or this context is worth as much itself.
    pub fn inherit(
        &mut self,
        now: Now,
        start: EpochStart,
        prev: u64,
        out: &mut impl Transmit,
    ) -> bool {
        let next = self.run.next_sseq;
        let possible = start.epoch == self.run.start.epoch
            && (start.complete || self.run.is_worth_less_than_a_snapshot(start.first))
            && (1..=next).contains(&start.first)
            && (start.first - 1..next).contains(&prev);
        if self.state != SequencerState::Open || !possible || self.run.is_complete() {
            self.counters.refused += 1;
            return false;
        }
        self.place_due(now, out);
        self.vouch(now, out);
        self.upset();
        self.run.inherit(start, prev);
        self.announce(now, out);
        true
    }

    /// The source ended the epoch; `next_sseq` would have been its next number. Announced by
    /// [`ANNOUNCEMENTS`] heartbeats at once and by every one that follows.
    pub fn end_epoch(&mut self, now: Now, next_sseq: u64, out: &mut impl Transmit) {
        if self.state != SequencerState::Open || next_sseq < self.run.next_sseq {
            self.counters.refused += 1;
            return;
        }
        self.place_all(now, out);
        self.send_records(now, out);
        self.run.next_sseq = next_sseq;
        self.run.ranges.end(next_sseq);
        self.state = SequencerState::Ended;
        self.announce(now, out);
    }

    /// Sends what is under way in the middle of a batch.
    pub fn send(&mut self, now: Now, out: &mut impl Transmit) {
        if !self.standby.is_on() {
            self.send_records(now, out);
        }
    }

    /// Sends what is under way: the end of a source datagram or of a batch. On a busy stream the heartbeat
    /// that is due follows.
    pub fn flush(&mut self, now: Now, out: &mut impl Transmit) {
        if self.speaks() {
            self.place_at_rest(now, out);
        }
        let is_due = self.schedule.is_due(now.time);
        if is_due || !self.standby.is_on() {
            self.send_records(now, out);
        }
        if self.schedule.is_due(now.time) {
            self.send_heartbeat(now, Flags::default(), out);
        }
    }

    /// The pair link was reset, or stands again. A reset is said at once, in every datagram as long as it
    /// lasts, and in three heartbeats at least.
    pub fn set_peer_lost(&mut self, now: Now, lost: bool, out: &mut impl Transmit) {
        self.send_records(now, out);
        if self.schedule.set_peer_lost(lost) && lost {
            self.send_heartbeat(now, Flags::default(), out);
        }
    }

    /// Every line of the source is silent, or one speaks again. A change is said at once.
    pub fn set_source_stale(&mut self, now: Now, stale: bool, out: &mut impl Transmit) {
        if self.source_stale == stale {
            return;
        }
        self.send_records(now, out);
        self.source_stale = stale;
        self.send_heartbeat(now, Flags::default(), out);
    }

    /// Nothing follows from this incarnation; said [`ANNOUNCEMENTS`] times at once.
    ///
    /// A message whose slot has not come is not placed before it: the peer may have agreed to that slot, and places it
    /// there. It is counted as [`SequencerCounters::unplaced`].
    pub fn end_of_stream(&mut self, now: Now, out: &mut impl Transmit) {
        if self.speaks() {
            self.place_at_rest(now, out);
        }
        self.counters.unplaced += self.agenda.clear() as u64;
        self.send_records(now, out);
        for _ in 0..ANNOUNCEMENTS {
            self.send_heartbeat(now, Flags::END_OF_STREAM, out);
        }
        // Nothing follows: not what was withheld either.
        self.standby.stop();
        self.state = SequencerState::Closed;
    }

    /// The time that [`Sequencer::next_deadline`] named has come.
    pub fn on_deadline(&mut self, now: Now, out: &mut impl Transmit) {
        self.flush(now, out);
    }

    /// When [`Sequencer::on_deadline`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.speaks().then(|| self.schedule.deadline())
    }

    /// Where the stream stands.
    #[must_use]
    pub const fn state(&self) -> SequencerState {
        self.state
    }

    /// Number of the next record.
    #[must_use]
    pub const fn next_msn(&self) -> Msn {
        self.next_msn
    }

    /// Number of the next datagram.
    #[must_use]
    pub const fn next_dsn(&self) -> Dsn {
        self.outgoing.next_dsn()
    }

    /// Whether records are numbered and not sent yet.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.outgoing.is_begun()
    }

    /// Where the next record stands at the earliest; `None` before the first epoch.
    #[must_use]
    pub fn next_pos(&self) -> Option<Pos> {
        self.epoch().map(|epoch| Pos {
            sid: self.config.sid,
            epoch,
            sseq: self.run.next_sseq,
            part: 0,
        })
    }

    /// Source number of the last record, or of the last number given up; what the next record's `prev`
    /// will say. `None` before the first epoch.
    #[must_use]
    pub fn prev(&self) -> Option<u64> {
        self.epoch().map(|_| self.run.prev)
    }

    /// The newest ranges of source numbers that are over, oldest first, with the epoch and the context that they are
    /// of; what heartbeats say. `None` before the first epoch.
    #[must_use]
    pub fn contents(&self) -> Option<(Epoch, ContextId, &[RangeDigest])> {
        let (epoch, context) = (self.epoch()?, self.run.context_id);
        Some((epoch, context, self.run.ranges.finished()))
    }

    /// What the conversion remembers; `None` before the first epoch.
    #[must_use]
    pub fn context_id(&self) -> Option<ContextId> {
        self.epoch().map(|_| self.run.context_id)
    }

    /// The epoch at hand, ended or not; `None` before the first one.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.run
            .start
            .epoch
            .is_some()
            .then_some(self.run.start.epoch)
    }

    /// How the epoch at hand began, as far as the conversion remembers it; `None` before the first one.
    #[must_use]
    pub fn start(&self) -> Option<EpochStart> {
        self.epoch().map(|_| self.run.start)
    }

    /// The generation in whose numbering this stream counts; 0: in none yet. A backup's may be older than the one that
    /// it was granted, until it has taken over a numbering of that one.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether the context reaches back to the source's own first number without a hole.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.run.is_complete()
    }

    /// Whether the context is what a snapshot of the source's said, and what followed it without a hole.
    #[must_use]
    pub const fn is_of_snapshot(&self) -> bool {
        self.run.is_of_snapshot()
    }

    /// Whether a snapshot of the source's, of everything from `first` on, would say more than is remembered.
    #[must_use]
    pub const fn lacks_a_snapshot(&self, first: u64) -> bool {
        self.run.is_worth_less_than_a_snapshot(first)
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &SequencerCounters {
        &self.counters
    }

    pub(crate) fn speaks(&self) -> bool {
        match self.state {
            SequencerState::Open | SequencerState::Ended => true,
            SequencerState::Unborn | SequencerState::Closed => false,
        }
    }
}
