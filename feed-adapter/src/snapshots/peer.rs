//! How is the other adapter of the pair asked for a snapshot?
//!
//! ```text
//!   follower ── errand ─► thread `peer-snapshots`, TCP ─► the other adapter's snapshot server
//!      ▲                        │
//!      └─────── news ◄──────────┘  proven, or why there is none
//! ```
//!
//! As a subscriber asks ([`twinfeed_protocol::join::Spool`] proves what comes), by a thread that may block; an errand at a time. It
//! connects from the address at which this adapter itself is asked, for that is how the other one knows it.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use twinfeed_control::{Backoff, StopFlag};
use twinfeed_net::bell::Bell;
use twinfeed_net::tcp::{Link, LinkOptions, Received};
use twinfeed_net::wait::{Interest, wait};
use twinfeed_protocol::Time;
use twinfeed_protocol::join::{BadSpool, Spool, Step, Whole, Wish};
use twinfeed_wire::snapshot::{LONGEST_FRAME, REQUEST_LENGTH, Reason, Request, Snapshot};
use twinfeed_wire::{Sid, StreamId};

use super::Shared;
use super::follower::Follower;
use super::visitor::SnapshotFrames;
use crate::config::SnapshotsConfig;
use crate::error::AdapterError;

/// Where the other adapter is asked, and as whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    pub(super) server: SocketAddr,
    /// Its stream of each source stream.
    pub(super) streams: Vec<(Sid, StreamId)>,
    /// Where this adapter is asked.
    pub(super) own: SocketAddr,
}

/// What is counted of snapshots that the other adapter was asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerCounters {
    /// Requests.
    pub requests: u64,
    /// Snapshots that came whole.
    pub taken: u64,
    /// Requests to which none came: refused, no connection, torn, silent, or no snapshot.
    pub failed: u64,
    /// Source streams of which what is known was made whole.
    pub restored: u64,
    /// Source streams for which the other adapter is asked at present.
    pub asking: u64,
}

/// One request.
#[derive(Debug)]
struct Errand {
    server: SocketAddr,
    request: Request,
    serial: u64,
    patience: Duration,
    until: Duration,
    bytes: usize,
}

/// What came of it.
#[derive(Debug)]
struct News {
    sid: Sid,
    server: SocketAddr,
    serial: u64,
    what: Result<Whole, Failed>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot be reached: {0}")]
    Unreachable(twinfeed_net::Error),
    #[error("refuses a snapshot: {}", .0.word())]
    Refused(Reason),
    #[error("hung up in the middle of a snapshot")]
    Torn,
    #[error("took longer than {0:?}")]
    Silent(Duration),
    #[error(transparent)]
    Bad(#[from] BadSpool),
}

/// The follower's end.
#[derive(Debug)]
pub(super) struct Asker {
    config: SnapshotsConfig,
    shared: Arc<Shared>,
    peer: Option<Peer>,
    errands: Sender<Errand>,
    news: Receiver<News>,
    /// The thread has an errand.
    is_out: bool,
    stands: Vec<Stand>,
    requests: u64,
    counters: PeerCounters,
}

/// How asking stands for one source stream.
#[derive(Debug)]
struct Stand {
    sid: Sid,
    pause: Backoff,
    /// Nothing is asked before.
    due: Time,
    /// What went wrong last, until something comes.
    trouble: Option<String>,
}

/// Starts the thread, and gives the follower's end of it. `bell` wakes the follower.
pub(super) fn start(
    config: SnapshotsConfig,
    sids: impl Iterator<Item = Sid>,
    shared: Arc<Shared>,
    bell: Bell,
    stop: StopFlag,
) -> Result<Asker, AdapterError> {
    let (errands, errand) = bounded::<Errand>(1);
    let (tell, news) = bounded(1);
    std::thread::Builder::new()
        .name("peer-snapshots".to_owned())
        .spawn(move || run(&errand, &tell, &bell, &stop))
        .map_err(AdapterError::system("start the thread that asks the peer"))?;
    let stands = sids.map(|sid| Stand {
        sid,
        pause: Backoff::with_seed(u64::from(sid.0) ^ u64::from(std::process::id())),
        due: Time::ZERO,
        trouble: None,
    });
    Ok(Asker {
        config,
        shared,
        peer: None,
        errands,
        news,
        is_out: false,
        stands: stands.collect(),
        requests: 0,
        counters: PeerCounters::default(),
    })
}

impl Asker {
    /// One turn for all followers: takes in what came, asks for what is wanted; `held`: of this source stream the source itself is asked, and
    /// nobody else is.
    pub(super) fn turn(&mut self, followers: &mut [Follower], held: Option<Sid>, now: Time) {
        if let Some(peer) = self.shared.take_peer() {
            self.peer = peer;
            for stand in &mut self.stands {
                stand.due = now;
            }
        }
        if let Ok(news) = self.news.try_recv() {
            self.is_out = false;
            self.take(news, followers, held, now);
        }
        for follower in followers.iter_mut() {
            if held != Some(follower.sid()) {
                self.ask(follower, now);
            }
        }
        let asking = followers
            .iter()
            .filter(|it| it.is_asking() && held != Some(it.sid()));
        self.counters.asking = asking.count() as u64;
    }

    /// The peer's snapshot made what is known of this source stream whole.
    pub(super) fn note_restored(&mut self, sid: Sid, times: u64) {
        self.counters.restored += times;
        let stand = self.stands.iter_mut().find(|it| it.sid == sid);
        stand.into_iter().for_each(|it| it.pause.reset());
    }

    pub(super) const fn counters(&self) -> PeerCounters {
        self.counters
    }

    /// What went wrong with the last request for a source stream.
    pub(super) fn trouble(&self, sid: Sid) -> Option<&str> {
        let stand = self.stands.iter().find(|it| it.sid == sid)?;
        stand.trouble.as_deref()
    }

    fn take(&mut self, news: News, followers: &mut [Follower], held: Option<Sid>, now: Time) {
        let Some(stand) = self.stands.iter_mut().find(|it| it.sid == news.sid) else {
            return;
        };
        let Some(follower) = followers.iter_mut().find(|it| it.sid() == news.sid) else {
            return;
        };
        match news.what {
            Ok(whole) => {
                self.counters.taken += 1;
                stand.trouble = None;
                // If it does not fit, the next one is asked for a little later.
                stand.due = now.after(stand.pause.next_delay());
                let _ = follower.on_snapshot(news.serial, whole);
            }
            Err(failed) => {
                self.counters.failed += 1;
                stand.trouble = Some(format!("{}: {failed}", news.server));
                stand.due = now.after(stand.pause.next_delay());
                let wished = follower.wish().is_some_and(|it| it.serial == news.serial);
                if wished && held != Some(news.sid) {
                    // Until it is asked again nothing is kept.
                    follower.leave();
                }
            }
        }
    }

    fn ask(&mut self, follower: &mut Follower, now: Time) {
        let sid = follower.sid();
        let peer = self.peer.as_ref().and_then(|peer| {
            let (_, stream) = peer.streams.iter().find(|(of, _)| *of == sid)?;
            Some((peer, *stream))
        });
        let Some((peer, stream)) = peer else {
            if follower.wish().is_some() {
                follower.leave(); // nobody will give it
            }
            return;
        };
        let Some(stand) = self.stands.iter_mut().find(|it| it.sid == sid) else {
            return;
        };
        if self.is_out || stand.due > now || !follower.ask(now) {
            return;
        }
        let Some(wish) = follower.wish() else {
            return; // it is here, and waits for its place, or is told
        };
        self.requests += 1;
        let errand = Errand {
            server: peer.server,
            request: asking(&wish, stream, self.requests, peer.own),
            serial: wish.serial,
            patience: self.config.wait + GRACE,
            until: self.config.peer_time,
            bytes: self.config.spool_bytes,
        };
        if self.errands.try_send(errand).is_ok() {
            self.counters.requests += 1;
            self.is_out = true;
        }
    }
}

fn asking(wish: &Wish, stream: StreamId, request: u64, own: SocketAddr) -> Request {
    Request {
        sid: wish.sid,
        stream,
        request,
        fills: own,
        not_before: wish.not_before(),
        context: wish.from.context,
    }
}

fn run(errands: &Receiver<Errand>, news: &Sender<News>, bell: &Bell, stop: &StopFlag) {
    while !stop.is_stopped() {
        let errand = match errands.recv_timeout(LOOK_EVERY) {
            Ok(errand) => errand,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut told = News {
            sid: errand.request.sid,
            server: errand.server,
            serial: errand.serial,
            what: fetch(&errand, stop),
        };
        // There is room: one errand, one word. It goes on without a follower only at the end.
        while let Err(TrySendError::Full(back)) = news.try_send(told) {
            if stop.is_stopped() {
                return;
            }
            told = back;
            std::thread::sleep(LOOK_EVERY);
        }
        bell.ring();
    }
}

fn fetch(errand: &Errand, stop: &StopFlag) -> Result<Whole, Failed> {
    let options = LinkOptions {
        local: Some(errand.request.fills.ip()),
        max_frame: LONGEST_FRAME,
        max_unsent: LONGEST_FRAME,
        connect_timeout: errand.patience,
        ..LinkOptions::default()
    };
    let linked = Link::connect(errand.server, SnapshotFrames, &options);
    let mut link = linked.map_err(Failed::Unreachable)?;
    let mut frame = [0; REQUEST_LENGTH];
    let length = Snapshot::Request(errand.request).emit(&mut frame);
    let _ = link.send(&frame[..length]).map_err(|_| Failed::Torn)?;
    let begun = Instant::now();
    let mut heard = begun;
    let mut spool = Spool::new(errand.request.sid, errand.bytes);
    loop {
        let _ = link.flush();
        match link.receive() {
            Received::Frame(frame) => {
                heard = Instant::now();
                match spool.push(frame)? {
                    Step::More => {}
                    Step::Whole(whole) => return Ok(whole),
                    Step::Refused(refused) => return Err(Failed::Refused(refused.reason)),
                }
            }
            Received::Pending => {
                let for_all = Interest::readable(link.as_fd()).or_writable(link.wants_to_write());
                let _ = wait([for_all], Some(LOOK_EVERY));
            }
            Received::Closed(_) => return Err(Failed::Torn),
        }
        if stop.is_stopped() {
            return Err(Failed::Torn);
        }
        for (since, bound) in [(heard, errand.patience), (begun, errand.until)] {
            if since.elapsed() > bound {
                return Err(Failed::Silent(bound));
            }
        }
    }
}

/// How often the thread looks whether everything is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much longer than its own follower the other adapter's server is waited with.
const GRACE: Duration = Duration::from_secs(2);
