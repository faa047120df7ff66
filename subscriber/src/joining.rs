//! What does a poll do for source streams that join with a snapshot?
//!
//! The decisions are those of [`twinfeed_protocol::join`], fetching is that of [`crate::snapshots`]; this file knows the order of things
//! and the budget.

use std::time::Duration;

use twinfeed_protocol::arbiter::OrderingClass;
use twinfeed_protocol::join::Through;
use twinfeed_protocol::{Arbiter, Cursor, Handler, JoinCounters, Joins, Time, time};
use twinfeed_wire::Sid;

use crate::guard::StoppableHandler;
use crate::snapshots::{PollerSnapshots, SnapshotSettings, SnapshotsFetched};

/// How joining with snapshots went and goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JoiningShown {
    /// What was decided.
    pub counters: JoinCounters,
    /// Records and events that are kept now.
    pub kept_items: usize,
    /// Bytes of them.
    pub kept_bytes: usize,
    /// What fetching came to.
    pub fetched: SnapshotsFetched,
}

/// Source streams of a feed that join, or may.
#[derive(Debug)]
pub(crate) struct Joining {
    joins: Joins,
    /// Absent where no snapshots are asked for: then everything is told as it comes.
    snapshots: Option<PollerSnapshots>,
    /// Whether source streams join with a snapshot from the beginning.
    at_first: bool,
    /// Things told in a poll beyond what was kept in it.
    told: usize,
    /// When to look for a snapshot again.
    look_at: Option<Time>,
}

/// How soon a poll looks for a snapshot that is wished for, when nothing else wakes it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Joining {
    /// `at_first`: with a snapshot from the beginning, otherwise when one is asked for.
    pub(crate) const fn new(
        settings: &SnapshotSettings,
        snapshots: Option<PollerSnapshots>,
        at_first: bool,
    ) -> Self {
        Self {
            joins: Joins::new(settings.limits),
            snapshots,
            at_first,
            told: settings.told,
            look_at: None,
        }
    }

    /// An unordered source stream has no place at which a snapshot could stand.
    pub(crate) fn add_source(&mut self, sid: Sid, class: OrderingClass) {
        if self.snapshots.is_some() && class == OrderingClass::Ordered {
            self.joins.add_source(sid, self.at_first);
        }
    }

    /// The application goes on from where it stood.
    pub(crate) fn resume(&mut self, cursor: &Cursor) {
        self.joins.resume(cursor);
    }

    /// Stands between the arbiter and the application.
    pub(crate) fn through<'a, H: Handler>(
        &'a mut self,
        at: Time,
        handler: &'a mut H,
    ) -> Through<'a, H> {
        self.joins.through(at, handler)
    }

    /// Whether snapshots are asked for, or may be.
    #[cfg(feature = "async")]
    pub(crate) const fn is_asked_for(&self) -> bool {
        self.snapshots.is_some()
    }

    pub(crate) fn refresh(&mut self, sid: Sid, at: Time) -> bool {
        self.joins.refresh(sid, at)
    }

    /// Wants a snapshot of every source stream that can have one.
    pub(crate) fn refresh_all(&mut self, at: Time) {
        self.joins.refresh_all(at);
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.joins.is_telling() {
            return Some(Time::ZERO);
        }
        let joins = time::earlier(self.joins.next_deadline(), self.joins.attends_at());
        time::earlier(joins, self.look_at)
    }

    /// Takes in what came, tells what is due within the budget, and asks for what is wanted; returns the work done.
    pub(crate) fn work(
        &mut self,
        at: Time,
        arbiter: Option<&mut Arbiter>,
        handler: &mut impl StoppableHandler,
    ) -> usize {
        let (Some(snapshots), Some(arbiter)) = (&mut self.snapshots, arbiter) else {
            return 0; // without a plan there is no source stream, either
        };
        let mut work = 0;
        while let Some(sid) = snapshots.refresh() {
            self.joins.refresh(sid, at);
        }
        if !handler.has_panicked()
            && let Some((sid, whole)) = snapshots.whole()
        {
            work += 1;
            self.joins.on_snapshot_beside(sid, whole, arbiter, handler);
        }
        if !handler.has_panicked() {
            self.joins.attend(at, arbiter, handler);
        }
        let due = self.joins.next_deadline();
        if due.is_some_and(|deadline| deadline <= at) {
            work += 1;
            self.joins.on_deadline(at, handler);
        }
        let budget = self.joins.take_arrived().saturating_add(self.told);
        let mut told = 0;
        while told < budget && !handler.has_panicked() {
            match self.joins.tell(at, handler) {
                0 => break,
                more => told += more,
            }
        }
        let wanted = snapshots.wish(&self.joins);
        self.look_at = wanted.then(|| at.after(LOOK_EVERY));
        work + told
    }

    pub(crate) fn show(&self, shown: &mut JoiningShown) {
        let (kept_items, kept_bytes) = self.joins.kept();
        let fetched = self.snapshots.as_ref().map(PollerSnapshots::fetched);
        *shown = JoiningShown {
            counters: *self.joins.counters(),
            kept_items,
            kept_bytes,
            fetched: fetched.unwrap_or_default(),
        };
    }
}
