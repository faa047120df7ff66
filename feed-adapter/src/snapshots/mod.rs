//! How does this adapter tell who joins what there is, without its live stream noticing?
//!
//! ```text
//!  data thread ─► Tap ─► bounded queue ─► thread `follower`: Books, definitions, statuses, cursor
//!                (full: what is known                │ walk, a bounded piece after each batch
//!                 is not whole)                      ▼
//!                                                  spool ─► thread `snapshots`, TCP ─► whoever asked
//! ```
//!
//! The follower applies what the adapter itself sends, or withholds, to the same books that applications use, and writes a snapshot
//! down while it goes on following (decision 18). A snapshot is written once and given to all who ask for that place or an earlier one.
//! Who may ask is who may ask for fills, from the same host, and the other adapter. Where what is known is not whole, the other adapter is
//! asked itself, and where that does not have it either, the source (decision 21).

mod follower;
mod kept;
mod known;
mod maker;
mod origin;
mod peer;
mod reader;
mod server;
mod spool;
mod thread;
mod visitor;
mod walk;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crossbeam::channel::bounded;
use twinfeed_control::{Assignment, Selection, StopFlag, StreamAssignment};
use twinfeed_net::bell::bell;
use twinfeed_net::tcp::{LinkOptions, Listener};
use twinfeed_protocol::{Cursor, JoinLimits};
use twinfeed_wire::snapshot::{LONGEST_FRAME, REQUEST_LENGTH};
use twinfeed_wire::{Sid, StreamId};

use crate::config::Config;
use crate::error::AdapterError;
use crate::lock::lock;
use crate::tap::{Tap, tap};
use peer::Peer;

pub use follower::{Bounds, Follower, Lacking};
pub use kept::{Entry, Kept};
pub use origin::OriginCounters;
pub use peer::PeerCounters;
pub use server::ServerCounters;
pub use spool::{Given, Spool};
pub use thread::SPOOLS;
pub use walk::{Abandoned, Walk};

/// What is counted of what is known, over all source streams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FollowerCounters {
    /// Snapshots that were written whole.
    pub made: u64,
    /// Snapshots that were begun and came to nothing.
    pub abandoned: u64,
    /// Datagrams that were not followed, for the thread did not keep up.
    pub dropped: u64,
    /// Orders that rest at present.
    pub orders: u64,
    /// Instruments that are known at present.
    pub instruments: u64,
    /// Source streams of which what is known is not whole at present.
    pub incomplete: u64,
    /// Snapshots that live at present.
    pub spools: u64,
    /// Their bytes.
    pub spool_bytes: u64,
    /// Askers that wait for one at present.
    pub waiting: u64,
}

/// What is counted of snapshots.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SnapshotCounters {
    /// What is known.
    pub follower: FollowerCounters,
    /// Who asked.
    pub server: ServerCounters,
    /// What the other adapter was asked for.
    pub peer: PeerCounters,
    /// What the source was asked for.
    pub origin: OriginCounters,
}

/// How what is known of one source stream stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Which.
    pub sid: Sid,
    /// As of which place.
    pub at: Option<Cursor>,
    /// Why it is not whole; `None`: it is.
    pub lacking: Option<Lacking>,
    /// Whether the other adapter is asked for it, and whether the source is.
    pub asks: [bool; 2],
    /// What went wrong with that last, with the other adapter and with the source.
    pub trouble: [Option<String>; 2],
}

/// Somebody who may ask.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Client {
    /// From where it asks for fills.
    address: SocketAddr,
    sids: Selection,
}

/// Both threads, as others see them.
#[derive(Clone, Debug)]
pub struct Giver {
    /// Where this adapter is asked.
    own: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Who may ask, until the server has taken it.
    clients: Mutex<Option<Vec<Client>>>,
    counters: Mutex<SnapshotCounters>,
    standing: Mutex<Vec<Standing>>,
    /// Where the other adapter is asked, until the follower has taken it.
    peer: Mutex<Option<Option<Peer>>>,
    /// Source streams in which the active sent something else, until the follower has taken it.
    differs: Mutex<Vec<Sid>>,
}

/// The socket, listening before stream-admin is told of it.
#[derive(Debug)]
pub struct BoundSnapshots {
    listener: Listener,
}

impl BoundSnapshots {
    /// Listens where this adapter is asked; `None` if it serves no snapshots.
    ///
    /// # Errors
    /// Names the setting at fault.
    pub fn bind(config: &Config) -> Result<Option<Self>, AdapterError> {
        if !config.snapshots.enabled {
            return Ok(None);
        }
        let options = LinkOptions {
            max_frame: REQUEST_LENGTH,
            max_unsent: UNSENT,
            user_timeout: config.snapshots.client_time,
            ..LinkOptions::default()
        };
        let failed = AdapterError::socket("snapshots_from");
        let listener = Listener::bind(config.host.snapshots_from, options).map_err(failed)?;
        Ok(Some(Self { listener }))
    }

    /// Where this adapter is asked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Starts both threads; what goes through the tap is followed.
    ///
    /// # Errors
    /// If a thread cannot be had, or what it sleeps on.
    pub fn start(
        self,
        config: &Config,
        streams: &[StreamAssignment],
        stop: &StopFlag,
    ) -> Result<(Giver, Tap), AdapterError> {
        let own = self.address();
        let (tap, tapped) = tap(config.snapshots.queue, config.publish.max_datagram);
        let shared = Arc::<Shared>::default();
        let streams = ids(streams);
        let bounds = Bounds {
            orders: config.max_open_orders,
            instruments: config.snapshots.instruments,
            spool: config.snapshots.spool_bytes,
            join: JoinLimits {
                kept_items: config.snapshots.kept_bytes / LEAST_KEPT,
                kept_bytes: config.snapshots.kept_bytes,
                time: config.snapshots.peer_time,
                ..JoinLimits::default()
            },
        };
        let failed = || AdapterError::system("make a socket pair");
        let (asking, ear) = bell().map_err(failed())?;
        let (telling, heard) = bell().map_err(failed())?;
        let wakes = asking.clone();
        let most = 2 * config.snapshots.clients;
        let ((asks, asked), (told, hearing)) = (bounded(most), bounded(most));
        let asker = match config.snapshots.from_peer {
            true => Some(peer::start(
                config.snapshots,
                streams.iter().map(|(sid, _)| *sid),
                Arc::clone(&shared),
                wakes.clone(),
                stop.clone(),
            )?),
            false => None,
        };
        let origin = match config.snapshots.from_source {
            true => origin::start(config, bounds, wakes, stop.clone())?,
            false => None,
        };
        let follow = thread::FollowThread::new(
            config.snapshots,
            streams
                .iter()
                .map(|(sid, stream)| Follower::new(*sid, *stream, bounds))
                .collect(),
            tapped,
            (asked, ear),
            (told, telling),
            (asker, origin),
            Arc::clone(&shared),
        );
        let server = server::Server::new(
            config.snapshots,
            self.listener,
            streams,
            (asks, asking),
            (hearing, heard),
            Arc::clone(&shared),
        );
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("follower".to_owned())
            .spawn(move || follow.run(&stopped))
            .map_err(AdapterError::system("start the follower's thread"))?;
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || server.run(&stopped))
            .map_err(AdapterError::system("start the thread for snapshots"))?;
        Ok((Giver { own, shared }, tap))
    }
}

impl Giver {
    /// What stream-admin granted.
    pub fn granted(&self, assignment: &Assignment) {
        let clients = assignment.fill_clients.iter().map(|to| Client {
            address: to.address,
            sids: to.sids.clone(),
        });
        let peer = assignment.peer.as_ref();
        let asked = peer.and_then(|peer| {
            Some(Peer {
                server: peer.snapshots.filter(|_| peer.alive)?,
                streams: ids(&peer.streams),
                own: self.own,
            })
        });
        // It asks as the one that is asked there.
        let peer = peer.and_then(|peer| peer.snapshots).map(|address| Client {
            address,
            sids: Selection::All,
        });
        *lock(&self.shared.clients) = Some(clients.chain(peer).collect());
        *lock(&self.shared.peer) = Some(asked);
    }

    /// The active sent something else of this source stream under the same numbers.
    pub fn differs(&self, sid: Sid) {
        let mut differs = lock(&self.shared.differs);
        if !differs.contains(&sid) {
            differs.push(sid);
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> SnapshotCounters {
        *lock(&self.shared.counters)
    }

    /// Of which source streams what is known is whole, and why not of the others.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        lock(&self.shared.standing).clone()
    }
}

impl Shared {
    fn take_clients(&self) -> Option<Vec<Client>> {
        lock(&self.clients).take()
    }

    fn take_differs(&self) -> Vec<Sid> {
        core::mem::take(&mut *lock(&self.differs))
    }

    fn take_peer(&self) -> Option<Option<Peer>> {
        lock(&self.peer).take()
    }

    fn show_follower(
        &self,
        counters: FollowerCounters,
        (peer, origin): (PeerCounters, OriginCounters),
        standing: Vec<Standing>,
    ) {
        let mut shown = lock(&self.counters);
        (shown.follower, shown.peer, shown.origin) = (counters, peer, origin);
        drop(shown);
        *lock(&self.standing) = standing;
    }

    fn show_server(&self, counters: ServerCounters) {
        lock(&self.counters).server = counters;
    }
}

fn ids(streams: &[StreamAssignment]) -> Vec<(Sid, StreamId)> {
    let ids = |of: &StreamAssignment| (Sid(of.sid.0), StreamId(of.stream_id.0));
    streams.iter().map(ids).collect()
}

/// What a record takes at least while it is kept, bytes.
const LEAST_KEPT: usize = 128;
/// Most bytes of one asker that wait outside the kernel.
const UNSENT: usize = 2 * LONGEST_FRAME;
