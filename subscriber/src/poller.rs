//! How does an application get its records, at its own pace and on its own thread?
//!
//! ```text
//!   poll ─► clock, once ─► commands ─► one batch per socket, in turn ─► arbiter ─► handler
//!                                      (again until the budget is used or nothing is there)
//!                       ─► what is due ─► arbiter ─► handler
//! ```
//!
//! A poll takes what is there and returns. After warm-up it allocates nothing, takes no lock, writes no
//! log and makes no system call but the receive. Who waits, and how, is decided between two polls:
//! [`DataPoller::idle`].

use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::panic::resume_unwind;
use std::time::Duration;

use twinfeed_control::StopFlag;
use twinfeed_net::affinity;
use twinfeed_net::clock::Reading;
use twinfeed_net::idle::{Idle, Idler};
use twinfeed_protocol::{Time, time};
use twinfeed_wire::Sid;

use crate::error::Error;
use crate::feed::Feed;
use crate::filter::Filter;
use crate::guard::{FeedHandler, FeedIndex};

/// The data half of one or more subscriptions.
///
/// `Send`, so that it can be made on one thread and polled on another; not `Sync`, because one thread
/// polls. Made by [`crate::Builder::open`].
#[derive(Debug)]
pub struct DataPoller {
    feeds: Vec<Feed>,
    /// The feed that is read first next time.
    turn: usize,
    idler: Idler,
    core: Option<usize>,
    one_thread: PhantomData<Cell<()>>,
}

impl DataPoller {
    pub(crate) fn new(feed: Feed, idle: Idle, core: Option<usize>) -> Self {
        Self {
            feeds: vec![feed],
            turn: 0,
            idler: Idler::new(idle),
            core,
            one_thread: PhantomData,
        }
    }

    /// Takes over the feeds of `other`, so that one thread polls them all; returns the index under which
    /// a [`FeedHandler`] is told of the first of them. The idle strategy and the core stay those of
    /// `self`.
    pub fn join(&mut self, other: Self) -> FeedIndex {
        let first = self.feeds.len();
        self.feeds.extend(other.feeds);
        for (index, feed) in self.feeds.iter_mut().enumerate() {
            feed.set_index(FeedIndex(index));
        }
        FeedIndex(first)
    }

    /// Takes what has arrived, up to about `budget` datagrams of each feed, and delivers what can be
    /// delivered; returns the work done (datagrams, commands and deadlines; 0: nothing was there).
    ///
    /// Every socket is read at least once, in batches of at most [`crate::BATCH`] datagrams, or eight trains of them under load, legs in turn, so that
    /// neither leg starves and the work may exceed the budget by one batch per socket. The clock is read
    /// once: everything in one poll happens at one time.
    ///
    /// # Panics
    /// When `handler` does: the panic goes on after the datagram at hand was taken in whole, and the
    /// poller may be polled again. The record at which it happened counts as delivered, the next poll
    /// goes on behind it, nothing is lost and nothing comes twice.
    pub fn poll(&mut self, budget: usize, handler: &mut impl FeedHandler) -> usize {
        let now = Reading::now();
        let count = self.feeds.len();
        let mut work = 0;
        let first = self.turn;
        self.turn = (first + 1) % count;
        for step in 0..count {
            match self.feeds[(first + step) % count].poll(budget, now, handler) {
                Ok(done) => work += done,
                Err(panic) => resume_unwind(panic),
            }
        }
        work
    }

    /// Delivers of a feed what `filter` wants, from the next record on; other threads have a [`crate::FilterSwitch`] for it. A filter
    /// touches neither the order of things nor their gaps: see [`crate::filter`]. A feed that is not there is left alone.
    pub fn set_filter(&mut self, feed: FeedIndex, filter: Filter) {
        if let Some(feed) = self.feeds.get_mut(feed.0) {
            feed.set_filter(filter);
        }
    }

    /// Wants a snapshot of a source stream of a feed, from the next poll on: see [`crate::Refresher::refresh`]. Returns `false` where there is
    /// no such feed or ordered source stream, or no snapshots are asked for ([`crate::Builder::snapshots`]).
    pub fn refresh(&mut self, feed: FeedIndex, sid: Sid) -> bool {
        let at = Time(twinfeed_net::clock::monotonic_ns());
        let feed = self.feeds.get_mut(feed.0);
        feed.is_some_and(|feed| feed.refresh(sid, at))
    }

    /// Whether a feed may tell snapshots.
    #[cfg(feature = "async")]
    pub(crate) fn tells_snapshots(&self) -> bool {
        self.feeds.iter().any(Feed::tells_snapshots)
    }

    /// Ends a duty cycle that did `work`: with none, waits as the idle strategy says, never beyond the
    /// next deadline, and wakes on an arrival where the strategy is `block`.
    pub fn idle(&mut self, work: usize) {
        let now = Time(twinfeed_net::clock::monotonic_ns());
        let limit = match self.next_deadline() {
            Some(deadline) => deadline.since(now),
            None => Duration::MAX,
        };
        // What a ring brings wakes nobody.
        let rings = self.feeds.iter().any(Feed::reads_rings);
        let limit = if rings { limit.min(RING_NAP) } else { limit };
        let sockets = self.feeds.iter().flat_map(Feed::sockets);
        self.idler.idle_within(work, limit, sockets);
    }

    /// When a poll is due even if nothing arrives, on the monotonic clock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.feeds
            .iter()
            .map(Feed::next_deadline)
            .fold(None, time::earlier)
    }

    /// The sockets read at present, for an event loop of the application's own. They change when grants
    /// do: ask again after every poll that did work. What comes by a ring wakes none of them: where such a loop belongs to an
    /// application that is told to spin, set [`crate::Builder::ring`] to `false`.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.feeds.iter().flat_map(Feed::sockets)
    }

    /// Whether every feed was closed: nothing more will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.feeds.iter().all(Feed::is_closed)
    }

    /// Polls and idles on this thread until every feed is closed or `stop` is raised. Pins the thread
    /// first, if a core is configured.
    ///
    /// # Errors
    /// [`Error::Affinity`] when the thread cannot be pinned.
    ///
    /// # Panics
    /// When `handler` does; see [`DataPoller::poll`].
    pub fn run(&mut self, handler: &mut impl FeedHandler, stop: &StopFlag) -> Result<(), Error> {
        self.pin()?;
        while !self.is_closed() {
            let work = self.poll(RUN_BUDGET, handler);
            if work == 0 && stop.is_stopped() {
                break;
            }
            self.idle(work);
        }
        Ok(())
    }

    /// Pins the calling thread to the configured core, if there is one.
    ///
    /// # Errors
    /// [`Error::Affinity`] names the core and those that would do.
    pub fn pin(&self) -> Result<(), Error> {
        self.core.map_or(Ok(()), |core| Ok(affinity::pin(core)?))
    }
}

/// How long a thread that sleeps may sleep where a ring is read. By itself nobody who sleeps until something comes reads one; a poller that
/// was joined by one who spins may.
const RING_NAP: Duration = Duration::from_micros(100);
/// Datagrams per poll of [`DataPoller::run`].
const RUN_BUDGET: usize = 256;
