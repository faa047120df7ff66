//! How do other threads see what the data thread counts?
//!
//! The data thread keeps plain cells and, at intervals, hands out a copy of all of them at once; a copy
//! is consistent in itself, and taking it costs the data thread a few hundred bytes of copying. A reader
//! keeps the latest copies on a [`Board`].

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::queue::ArrayQueue;
use twinfeed_protocol::Time;
use twinfeed_protocol::line::{LineCounters, LineStatus};
use twinfeed_protocol::sequencer::SequencerCounters;
use twinfeed_wire::{ContextId, Epoch, Generation, Msn, Pos, Sid, StreamId};

use crate::config::{Config, MOST_SOURCES};
use crate::decode::Faults;
use crate::pairing::PairSnapshot;
use crate::pipeline::{PastCounters, TransferCounters};
use crate::source::live::{HoleCounters, InputCounters, RequestCounters};
use crate::source::soup::Why;

/// Everything that is known of one source and its stream at one moment.
#[derive(Clone, Copy, Debug)]
pub struct SourceSnapshot {
    /// Which source.
    pub sid: Sid,
    /// Its stream.
    pub stream: StreamId,
    /// When this was taken.
    pub at: Time,
    /// The generation it works under.
    pub generation: Generation,
    /// Number of the next record.
    pub next_msn: Msn,
    /// Where the next record will stand; `None` before the first epoch.
    pub next_pos: Option<Pos>,
    /// The current epoch; [`Epoch::NONE`] before the first one.
    pub epoch: Epoch,
    /// What the conversion remembers.
    pub context: ContextId,
    /// Whether the context is complete.
    pub complete: bool,
    /// Whether it is what a snapshot of the source's said, and what followed.
    pub of_snapshot: bool,
    /// Whether every line is silent.
    pub stale: bool,
    /// Whether the source ended its epoch.
    pub ended: bool,
    /// Whether the source is refused.
    pub refused: bool,
    /// How its pair stands.
    pub pair: PairSnapshot,
    /// What the stream counted.
    pub sequencer: SequencerCounters,
    /// What the lines counted together.
    pub lines: LineCounters,
    /// What was asked of the source's request servers.
    pub requests: RequestCounters,
    /// What was asked of the source's servers of the session.
    pub holes: HoleCounters,
    /// Why each line's server of the session gave nothing the last time, A first.
    pub session_faults: [Option<Why>; 2],
    /// What each line counted, A first.
    pub line: [Option<LineSnapshot>; 2],
    /// What went wrong in conversion.
    pub faults: Faults,
    /// Whom the stream is sent to.
    pub destinations: usize,
    /// Datagrams accepted by the kernel, over all destinations.
    pub sent: u64,
    /// Datagrams that failed, over all destinations.
    pub failed: u64,
    /// What was counted of contexts handed over, over all sources.
    pub transfers: TransferCounters,
    /// What was counted of pasts fetched from sources, over all of them.
    pub pasts: PastCounters,
}

/// One line at one moment.
#[derive(Clone, Copy, Debug)]
pub struct LineSnapshot {
    /// What arrived at the socket, or came from the file.
    pub input: InputCounters,
    /// What became of it.
    pub status: LineStatus,
}

/// The way out of the data thread.
#[derive(Clone, Debug)]
pub struct Snapshots {
    queue: Arc<ArrayQueue<SourceSnapshot>>,
}

/// The latest snapshot of every source, for whoever asks.
#[derive(Clone, Debug)]
pub struct Board {
    snapshots: Snapshots,
    latest: Arc<Mutex<Vec<SourceSnapshot>>>,
}

impl Snapshots {
    /// Room for one snapshot of each source, twice.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let room = 2 * config.sources.len().clamp(1, MOST_SOURCES);
        Self {
            queue: Arc::new(ArrayQueue::new(room)),
        }
    }

    /// Hands one out; allocates nothing. What nobody fetched is replaced.
    pub fn publish(&self, snapshot: SourceSnapshot) {
        let _ = self.queue.force_push(snapshot);
    }
}

impl Board {
    /// A board for what comes out there. Only one board gets it.
    #[must_use]
    pub fn new(snapshots: Snapshots) -> Self {
        Self {
            snapshots,
            latest: Arc::default(),
        }
    }

    /// The latest snapshot of every source that has one.
    #[must_use]
    pub fn latest(&self) -> Vec<SourceSnapshot> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(snapshot) = self.snapshots.queue.pop() {
            match latest.iter_mut().find(|known| known.sid == snapshot.sid) {
                Some(known) => *known = snapshot,
                None => latest.push(snapshot),
            }
        }
        latest.clone()
    }
}
