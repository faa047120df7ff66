//! How does an application that begins in mid-session get a state and the stream behind it, as one?
//!
//! ```text
//!   arbiter ─► Joins::through ─┬─ live ──────────────────────────────────────────────► Handler
//!                              └─ joining ─► kept, in order and bounded ┐                 ▲
//!   server ─► Spool ─► Whole ─► on_snapshot ─► cut ─► Discontinuity, snapshot, what is behind it: `tell`
//! ```
//!
//! A wrapper around the handler, per source stream. The arbiter joins live as ever; what it decides of a source stream that joins
//! is kept, until a snapshot is there that ends at or behind the first place that was kept. Then the application is told where that
//! stands (`Discontinuity` with cause `Join`), the snapshot, and of what was kept everything behind it (`cut` says what that is). Order,
//! duplicates, holes and switches were decided before: there is no second arbitration.
//!
//! **How to drive it.** Hand [`Joins::through`] to the arbiter in the handler's place. Afterwards call [`Joins::tell`] until a budget is
//! used that is at least [`Joins::take_arrived`], so that what is kept becomes less. Ask the servers for what [`Joins::wishes`] says,
//! another one whenever a wish has another `serial`, and give what they answered to [`Joins::on_snapshot_beside`]. Call
//! [`Joins::on_deadline`] when [`Joins::next_deadline`] has come, and [`Joins::attend`] when [`Joins::attends_at`] has.
//!
//! **Quiet streams.** In a halt nothing comes that has a place, and the snapshot is all there is to know. So where the arbiter has joined by
//! heartbeats alone, and nothing else comes for a while, a snapshot is asked for from there on, and the arbiter goes on from the end of
//! the one that comes, as from an earlier run's cursor: what lies between is a hole as any other. Nothing is kept meanwhile, so there is no
//! hurry, and no time after which it is given up. A snapshot from before numbers went back under the same name is not taken, and one that nobody
//! can give for the place where heartbeats stand is asked for at any.
//!
//! # States and events
//!
//! | | live | waiting | ahead | telling | draining |
//! |---|---|---|---|---|---|
//! | in its place in the stream (a record; [`in_order`] says which events) | told | kept | kept; where the snapshot's end is reached: cut | kept | kept |
//! | of the present (leg, switch, stale, live) | told | told | told | told | told |
//! | there is no room for it | – | void, from here on | void, from here on; cut or ahead | void: `JoinRestarted`, waiting | void: `JoinRestarted`, waiting |
//! | a snapshot that fits | ignored | cut: `Discontinuity`, telling | ignored | ignored | ignored |
//! | one beyond what was kept | ignored | ahead | ignored | ignored | ignored |
//! | one that does not fit | ignored | next wish | ignored | ignored | ignored |
//! | nothing comes, and the arbiter stands somewhere | – | wish, if nothing was kept; the count there, if that was not known | the count there, likewise: cut, if it fits | – | – |
//! | a snapshot while nothing was kept | ignored | the arbiter goes on from its end: `Discontinuity`, telling | – | ignored | ignored |
//! | the end of the snapshot is reached and it does not fit | – | – | next wish, waiting | – | – |
//! | time is over | – | `NoSnapshot`, draining | `NoSnapshot`, draining | – | – |
//! | `refresh` | waiting | nothing | nothing | again when live | again when live |
//! | told the last of it | – | – | – | draining, or live | live |
//! | closed | told | `NoSnapshot`, draining; told last | as waiting | told last | told last |
//!
//! *Void* means that all that was kept is dropped and joining begins again at the next thing that comes, with the same wish's next
//! serial; `JoinRestarted` says so. Time for joining begins with the first that is kept, and anew where something was told since.
//!
//! **Invariant:** what an application is told behind a snapshot's end begins at its cursor; nothing in front of it is told, nothing
//! behind it is told twice, left out without a word, or out of order.

mod cut;
mod kept;
mod source;
mod spool;
mod through;

pub use cut::Refusal;
pub use spool::{BadSpool, Spool, Step, Whole};
pub use through::{Through, in_order};

use core::time::Duration;

use twinfeed_wire::snapshot::NotBefore;
use twinfeed_wire::{Adm, Sid};

use crate::arbiter::Arbiter;
use crate::cursor::Cursor;
use crate::event::{CloseReason, Event, Handler};
use crate::time::{Time, earlier};
use source::Source;

/// What joining may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JoinLimits {
    /// Most records and events kept per source stream. Full: joining begins again, and says so.
    pub kept_items: usize,
    /// Most bytes kept per source stream, records' heads included. Full: as above.
    pub kept_bytes: usize,
    /// How long joining may take before the application goes on without a snapshot.
    pub time: Duration,
    /// How long nothing may come of a source stream that lives before a snapshot is asked for all the same; at most twice that.
    pub quiet: Duration,
    /// Whether a snapshot is wanted in place of a gap that somebody may know more of: of each that is declared in order, unless every
    /// adapter, or the source itself, gave the range up.
    pub on_gap: bool,
}

impl Default for JoinLimits {
    fn default() -> Self {
        Self {
            kept_items: 1 << 20,
            kept_bytes: 256 << 20,
            time: Duration::from_secs(30),
            quiet: Duration::from_millis(100),
            on_gap: false,
        }
    }
}

/// What happened so far, over all source streams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JoinCounters {
    /// Times that a source stream began to join.
    pub begun: u64,
    /// Snapshots that were told to their end.
    pub joined: u64,
    /// Times that time was over.
    pub given_up: u64,
    /// Times that what was kept found no room, and joining began again.
    pub restarted: u64,
    /// Snapshots that did not fit, by [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Snapshots that came while none was wanted.
    pub ignored: u64,
    /// Records and events that were kept.
    pub kept: u64,
    /// Of those, how many the snapshot had already.
    pub covered: u64,
    /// Holes that the snapshot closed in part.
    pub clipped: u64,
    /// Of those that were kept, how many became void.
    pub void: u64,
    /// Orders that snapshots told.
    pub orders: u64,
    /// Books that snapshots told.
    pub instruments: u64,
}

/// A snapshot that is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Of which source stream.
    pub sid: Sid,
    /// Another number: what was asked for before is of no use any more, so ask somebody else.
    pub serial: u64,
    /// It must end here or later: where what was kept last begins to go on, in epoch and context.
    pub from: Cursor,
    /// Why the last one did not fit.
    pub refused: Option<Refusal>,
}

impl Wish {
    /// The place that a server's snapshot must have reached.
    #[must_use]
    pub fn not_before(&self) -> NotBefore {
        let from = &self.from;
        NotBefore {
            epoch: from.next.epoch,
            sseq: from.next.sseq,
            part: from.next.part,
            adm: from.count.map_or(Adm(0), |(adm, _)| adm),
        }
    }
}

/// The source streams of a feed that join with snapshots, or may.
#[derive(Debug)]
pub struct Joins {
    limits: JoinLimits,
    sources: Vec<Source>,
    /// The source stream that is told next.
    turn: usize,
    /// Told once all else is.
    closing: Option<CloseReason>,
    /// When to look whether a source stream that waits is quiet, if one does.
    attend_at: Time,
    counters: JoinCounters,
}

impl Joins {
    /// No source stream joins: everything is told as it comes.
    #[must_use]
    pub const fn new(limits: JoinLimits) -> Self {
        Self {
            limits,
            sources: Vec::new(),
            turn: 0,
            closing: None,
            attend_at: Time::ZERO,
            counters: JoinCounters {
                begun: 0,
                joined: 0,
                given_up: 0,
                restarted: 0,
                refused: [0; Refusal::ALL.len()],
                ignored: 0,
                kept: 0,
                covered: 0,
                clipped: 0,
                void: 0,
                orders: 0,
                instruments: 0,
            },
        }
    }

    /// Minds an ordered source stream, from its first record on: `joins` with a snapshot, or else live until [`Joins::refresh`].
    /// Adding it again changes nothing.
    pub fn add_source(&mut self, sid: Sid, joins: bool) {
        if self.sources.iter().all(|source| source.sid != sid) {
            let mut source = Source::new(sid, &self.limits);
            if joins {
                source.wait(&mut self.counters);
            }
            self.sources.push(source);
        }
    }

    /// The application goes on in a source stream that is minded from where it stood, as the arbiter does: whatever comes first
    /// stands behind that.
    pub fn resume(&mut self, cursor: &Cursor) {
        let sid = cursor.next.sid;
        if let Some(source) = self.sources.iter_mut().find(|source| source.sid == sid) {
            source.resume(cursor);
        }
    }

    /// Stands between the arbiter and the handler for one input.
    pub fn through<'a, H: Handler + ?Sized>(
        &'a mut self,
        now: Time,
        handler: &'a mut H,
    ) -> Through<'a, H> {
        Through::new(self, now, handler)
    }

    /// Wants a snapshot of a source stream that is live: what comes from here on is kept until it is there. Returns whether the source stream
    /// is minded.
    pub fn refresh(&mut self, sid: Sid, now: Time) -> bool {
        let (limits, counters) = (&self.limits, &mut self.counters);
        let closing = self.closing.is_some();
        let source = self.sources.iter_mut().find(|source| source.sid == sid);
        source.is_some_and(|source| {
            if closing {
                return true; // nothing more comes behind which a snapshot could stand
            }
            source.refresh(now, limits, counters);
            true
        })
    }

    /// Wants a snapshot of every source stream that is minded.
    pub fn refresh_all(&mut self, now: Time) {
        if self.closing.is_none() {
            for source in &mut self.sources {
                source.refresh(now, &self.limits, &mut self.counters);
            }
        }
    }

    /// Asks for snapshots of source streams that are quiet, where the arbiter stands; to be called after what came was read.
    pub fn attend<H: Handler + ?Sized>(&mut self, now: Time, arbiter: &Arbiter, handler: &mut H) {
        if self.attends_at().is_none_or(|due| due > now) {
            return;
        }
        self.attend_at = now.after(self.limits.quiet);
        for source in &mut self.sources {
            source.attend(arbiter, &mut self.counters, handler);
        }
    }

    /// Snapshots that are wanted now.
    pub fn wishes(&self) -> impl Iterator<Item = Wish> {
        self.sources.iter().filter_map(Source::wish)
    }

    /// Takes in a snapshot that is whole, with the arbiter at hand: of a source stream of which nothing came yet that goes on from it.
    pub fn on_snapshot_beside<H: Handler + ?Sized>(
        &mut self,
        sid: Sid,
        whole: Whole,
        arbiter: &mut Arbiter,
        handler: &mut H,
    ) {
        let source = self.sources.iter_mut().find(|source| source.sid == sid);
        match source {
            Some(source) if source.is_quiet() => {
                source.on_quiet_snapshot(whole, arbiter, &mut self.counters, handler);
            }
            Some(source) => {
                source.learn_count(arbiter);
                source.on_snapshot(whole, &mut self.counters, handler);
            }
            None => self.counters.ignored += 1,
        }
    }

    /// Takes in a snapshot that is whole, without an arbiter.
    pub fn on_snapshot<H: Handler + ?Sized>(&mut self, sid: Sid, whole: Whole, handler: &mut H) {
        let counters = &mut self.counters;
        match self.sources.iter_mut().find(|source| source.sid == sid) {
            Some(source) => source.on_snapshot(whole, counters, handler),
            None => counters.ignored += 1,
        }
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn is_telling(&self) -> bool {
        self.sources.iter().any(Source::is_telling) || self.closing.is_some()
    }

    /// Tells one thing, of each source stream in turn; returns how much it was, 0: there is none.
    pub fn tell<H: Handler + ?Sized>(&mut self, now: Time, handler: &mut H) -> usize {
        let count = self.sources.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let told = self.sources[at].tell(now, &self.limits, &mut self.counters, handler);
            if told > 0 {
                self.turn = (at + 1) % count;
                return told;
            }
        }
        match self.closing {
            Some(reason) if self.sources.iter().all(Source::is_live) => {
                self.closing = None;
                handler.event(&Event::Closed { reason });
                1
            }
            _ => 0,
        }
    }

    /// How much was kept since the last call: tell more than that, and what is kept becomes less.
    pub fn take_arrived(&mut self) -> usize {
        let arrived = self.sources.iter_mut().map(Source::take_arrived);
        arrived.sum()
    }

    /// Decides what is due.
    pub fn on_deadline<H: Handler + ?Sized>(&mut self, now: Time, handler: &mut H) {
        for source in &mut self.sources {
            source.on_deadline(now, &mut self.counters, handler);
        }
    }

    /// When [`Joins::on_deadline`] wants to be called next, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = self.sources.iter().map(Source::deadline);
        deadlines.fold(None, earlier)
    }

    /// When [`Joins::attend`] wants to be called next, if ever.
    #[must_use]
    pub fn attends_at(&self) -> Option<Time> {
        let mut sources = self.sources.iter();
        sources
            .any(Source::wants_attention)
            .then_some(self.attend_at)
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &JoinCounters {
        &self.counters
    }

    /// How much is kept now: records and events, and bytes.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        let kept = self.sources.iter().map(Source::kept);
        kept.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Whether everything of a source stream is told as it comes; so it is of one that is not minded.
    #[must_use]
    pub fn is_live(&self, sid: Sid) -> bool {
        let source = self.sources.iter().find(|source| source.sid == sid);
        source.is_none_or(Source::is_live)
    }

    /// The word for the state of a source stream, for people and tables.
    #[must_use]
    pub fn state(&self, sid: Sid) -> Option<&'static str> {
        let source = self.sources.iter().find(|source| source.sid == sid);
        source.map(Source::word)
    }
}
