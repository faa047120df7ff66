//! How does an application that joins get a snapshot without anybody waiting for it?
//!
//! ```text
//!   DataPoller ── wishes ──► tf-snapshot (a thread) ── TCP ──► an adapter's snapshot server: the backup's first
//!        ▲                        │
//!        └─────── wholes ◄────────┘  proven, bounded by `snapshot_bytes`
//!   Control ──── where the servers are ──► tf-snapshot
//! ```
//!
//! What joins and how is decided by [`twinfeed_protocol::join`], on the thread that polls. This thread may block: it fetches what is
//! wished for, one source stream after the other, proves that it is whole, and hands it over. A server that refuses, falls silent,
//! hangs up or lies costs time only: the next one is asked, with pauses that grow.

mod client;
mod fetch;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use twinfeed_net::sync::{ArrayQueue, AtomicBool, AtomicU64, Ordering};
use twinfeed_protocol::join::{Whole, Wish};
use twinfeed_protocol::{JoinLimits, Joins, Leg};
use twinfeed_wire::{Sid, StreamId};

use crate::control::MAX_SOURCES;
use crate::error::Error;

/// What fetching a snapshot may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SnapshotSettings {
    /// Longest snapshot of a source stream, bytes.
    pub(crate) bytes: usize,
    /// How long a server may say nothing.
    pub(crate) patience: Duration,
    /// Things told in a poll beyond what came in it.
    pub(crate) told: usize,
    pub(crate) limits: JoinLimits,
}

/// What fetching snapshots came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SnapshotsFetched {
    /// Requests that were sent to a server.
    pub requests: u64,
    /// Servers that could not be reached.
    pub unreachable: u64,
    /// Answers that there is none.
    pub refused: u64,
    /// Answers that ended before their end.
    pub torn: u64,
    /// Servers that said nothing for too long.
    pub silent: u64,
    /// Answers that are no snapshot, or none of what was asked for.
    pub bad: u64,
    /// Snapshots that came whole.
    pub whole: u64,
    /// Bytes of answers.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    unreachable: AtomicU64,
    refused: AtomicU64,
    torn: AtomicU64,
    silent: AtomicU64,
    bad: AtomicU64,
    whole: AtomicU64,
    bytes: AtomicU64,
}

/// What the poller asks for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Wish(Wish),
    /// Nothing is wanted of the source stream any more.
    Enough(Sid),
}

/// Where to ask, as the newest grant says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Servers {
    /// Of leg 0 and leg 1.
    pub(crate) addresses: [Option<SocketAddr>; 2],
    /// Each leg's stream of each source stream.
    pub(crate) streams: Vec<(Sid, Leg, StreamId)>,
    /// Who is asked last.
    pub(crate) active: Option<Leg>,
    /// The address from which fills are asked for: the name under which an adapter knows this subscription.
    pub(crate) fills: Option<SocketAddr>,
}

/// What the three threads share.
#[derive(Debug)]
struct Shared {
    asks: ArrayQueue<Ask>,
    /// One at a time, so that no more than two snapshots are on their way.
    wholes: ArrayQueue<(Sid, Whole)>,
    servers: Mutex<Servers>,
    /// Woken when something is asked.
    sleeper: Mutex<Option<Thread>>,
    over: AtomicBool,
    counters: Counters,
    /// What went wrong last, for people.
    trouble: Mutex<Option<String>>,
    /// Source streams that are to join anew.
    refresh: ArrayQueue<Sid>,
}

/// Most source streams that wait to join anew.
const REFRESHES: usize = MAX_SOURCES;

/// Wants a snapshot in mid-session, from any thread: see [`crate::Control::refresher`].
#[derive(Clone, Debug)]
pub struct Refresher(Arc<Shared>);

impl Refresher {
    /// Wants a snapshot of a source stream at the next poll: what comes from there on waits until it is there, and the application is told
    /// `Discontinuity` with cause `Join`, the snapshot, and the stream behind it. For an application whose books are suspect. One that joins
    /// already is left alone; of an unordered source stream there is none. Returns `false` when as many wait as can.
    pub fn refresh(&self, sid: Sid) -> bool {
        self.0.refresh.push(sid).is_ok()
    }
}

/// The poller's end.
#[derive(Debug)]
pub(crate) struct PollerSnapshots {
    shared: Arc<Shared>,
    /// Wishes that the thread was told of, by serial.
    told: Vec<(Sid, u64)>,
}

/// The control half's end; the thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlSnapshots {
    shared: Arc<Shared>,
    settings: SnapshotSettings,
}

/// Both ends.
pub(crate) fn snapshots(settings: SnapshotSettings) -> (PollerSnapshots, ControlSnapshots) {
    let shared = Arc::new(Shared {
        asks: ArrayQueue::new(2 * MAX_SOURCES),
        wholes: ArrayQueue::new(1),
        servers: Mutex::default(),
        sleeper: Mutex::default(),
        over: AtomicBool::new(false),
        counters: Counters::default(),
        trouble: Mutex::default(),
        refresh: ArrayQueue::new(REFRESHES),
    });
    let poller = PollerSnapshots {
        shared: Arc::clone(&shared),
        told: Vec::with_capacity(MAX_SOURCES),
    };
    (poller, ControlSnapshots { shared, settings })
}

impl PollerSnapshots {
    /// The next source stream that is to join anew.
    pub(crate) fn refresh(&self) -> Option<Sid> {
        self.shared.refresh.pop()
    }

    /// The next snapshot that came.
    pub(crate) fn whole(&self) -> Option<(Sid, Whole)> {
        self.shared.wholes.pop()
    }

    /// Tells the thread what is wished for now, where that is something else than before; returns whether anything is.
    pub(crate) fn wish(&mut self, joins: &Joins) -> bool {
        let Self { shared, told } = self;
        let (mut any, mut asked) = (false, false);
        for wish in joins.wishes() {
            any = true;
            let known = told.iter_mut().find(|(sid, _)| *sid == wish.sid);
            if known
                .as_ref()
                .is_some_and(|(_, serial)| *serial == wish.serial)
            {
                continue;
            }
            // Where there is no room it is told with the next poll.
            if shared.asks.push(Ask::Wish(wish)).is_ok() {
                asked = true;
                match known {
                    Some(known) => known.1 = wish.serial,
                    None => told.push((wish.sid, wish.serial)),
                }
            }
        }
        told.retain(|(sid, _)| {
            let wished = joins.wishes().any(|wish| wish.sid == *sid);
            let ended = !wished && shared.asks.push(Ask::Enough(*sid)).is_ok();
            !ended
        });
        if asked {
            shared.wake();
        }
        any
    }

    /// What fetching came to.
    pub(crate) fn fetched(&self) -> SnapshotsFetched {
        let it = &self.shared.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SnapshotsFetched {
            requests: read(&it.requests),
            unreachable: read(&it.unreachable),
            refused: read(&it.refused),
            torn: read(&it.torn),
            silent: read(&it.silent),
            bad: read(&it.bad),
            whole: read(&it.whole),
            bytes: read(&it.bytes),
        }
    }
}

impl Drop for PollerSnapshots {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl ControlSnapshots {
    /// Says where servers are from now on.
    pub(crate) fn set_servers(&self, servers: Servers) {
        *self.shared.servers() = servers;
        self.shared.wake();
    }

    /// What wants snapshots, for other threads.
    pub(crate) fn refresher(&self) -> Refresher {
        Refresher(Arc::clone(&self.shared))
    }

    /// What went wrong with the last attempt, `None` once one succeeded.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared.trouble().clone()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Thread`] when it cannot be started.
    pub(crate) fn spawn(&self, seed: u64) -> Result<(), Error> {
        client::spawn(Arc::clone(&self.shared), self.settings, seed)
    }
}

impl Drop for ControlSnapshots {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Shared {
    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.wake();
    }

    /// Held for an instant and hardly ever, by either side.
    fn wake(&self) {
        let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sleeper) = &*sleeper {
            sleeper.unpark();
        }
    }
}
