//! Whom does the thread ask for which snapshot, and when?
//!
//! One source stream at a time. The backup's adapter is asked first, for it has less to do; whoever could not give what was asked for is
//! followed by the other one, and once both were asked in vain there is a pause, which grows, with chance in it, so that many
//! subscribers that lost the same server do not come back at once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use twinfeed_control::Backoff;
use twinfeed_net::sync::Ordering;
use twinfeed_protocol::Leg;
use twinfeed_protocol::join::{Whole, Wish};
use twinfeed_wire::Sid;

use super::fetch::{Failed, Server, fetch};
use super::{Ask, Servers, Shared, SnapshotSettings};
use crate::error::Error;

/// Name of the thread.
const THREAD: &str = "tf-snapshot";
/// Longest sleep: stream-admin may name a server meanwhile, or everything may be over.
const NAP: Duration = Duration::from_millis(100);
/// How long a snapshot waits before the poller is looked for again.
const HAND_OVER: Duration = Duration::from_millis(1);

/// What is wanted of one source stream.
#[derive(Debug)]
struct Job {
    wish: Wish,
    /// How many servers were asked.
    asked: usize,
    pause: Backoff,
    /// `None`: a snapshot was handed over, and it is not known yet whether it fits.
    due: Option<Instant>,
}

pub(super) fn spawn(
    shared: Arc<Shared>,
    settings: SnapshotSettings,
    seed: u64,
) -> Result<(), Error> {
    let run = move || {
        *shared
            .sleeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        Client {
            shared,
            settings,
            seed,
            jobs: BTreeMap::new(),
            requests: 0,
        }
        .run();
    };
    let started = thread::Builder::new().name(THREAD.to_owned()).spawn(run);
    started.map(drop).map_err(|error| Error::Thread {
        name: THREAD,
        cause: error.to_string(),
    })
}

struct Client {
    shared: Arc<Shared>,
    settings: SnapshotSettings,
    seed: u64,
    jobs: BTreeMap<Sid, Job>,
    /// The last request's number.
    requests: u64,
}

impl Client {
    fn run(mut self) {
        while !self.shared.is_over() {
            self.take_asks();
            let now = Instant::now();
            let next = self
                .jobs
                .iter()
                .filter_map(|(sid, job)| Some((job.due?, *sid)));
            match next.min() {
                Some((due, sid)) if due <= now => self.attempt(sid),
                Some((due, _)) => thread::park_timeout((due - now).min(NAP)),
                None => thread::park_timeout(NAP),
            }
        }
    }

    fn take_asks(&mut self) {
        while let Some(ask) = self.shared.asks.pop() {
            match ask {
                Ask::Enough(sid) => drop(self.jobs.remove(&sid)),
                Ask::Wish(wish) => {
                    let seed = self.seed ^ u64::from(wish.sid.0);
                    let now = Instant::now();
                    let job = self.jobs.entry(wish.sid).or_insert_with(|| Job {
                        wish,
                        // What came before may have been of the first one, and did not fit.
                        asked: usize::try_from(wish.serial.saturating_sub(1)).unwrap_or(0),
                        pause: pause(seed),
                        due: Some(now),
                    });
                    job.wish = wish;
                    if job.due.is_none() {
                        // What was given did not fit: whoever gave it may not have come far enough.
                        job.due = Some(now + job.pause_behind());
                    }
                }
            }
        }
    }

    /// Asks one server.
    fn attempt(&mut self, sid: Sid) {
        let servers = self.shared.servers().clone();
        let Some(job) = self.jobs.get_mut(&sid) else {
            return;
        };
        let order = order(&servers, sid);
        let Some(server) = order.get(job.asked % order.len().max(1)).copied() else {
            job.due = Some(Instant::now() + NAP);
            *self.shared.trouble() = Some(format!(
                "no adapter is known that serves snapshots of source stream {sid}"
            ));
            return;
        };
        job.asked += 1;
        let both = job.asked % order.len() == 0;
        let wish = job.wish;
        self.requests += 1;
        let request = self.requests;
        let fetched = fetch(server, &wish, request, &self.shared, &self.settings);
        self.take_asks();
        match fetched {
            Ok(whole) => self.hand_over(sid, whole),
            Err(failed) => {
                *self.shared.trouble() = Some(format!("{}: {failed}", server.address));
                let Some(job) = self.jobs.get_mut(&sid) else {
                    return;
                };
                let mut pause = match both {
                    true => job.pause.next_delay(),
                    false => Duration::ZERO,
                };
                if let Failed::Refused {
                    retry_after: Some(after),
                    ..
                } = failed
                {
                    pause = pause.max(if both { after } else { Duration::ZERO });
                }
                job.due = Some(Instant::now() + pause);
            }
        }
    }

    /// Gives the poller a snapshot, when that has taken the one before.
    fn hand_over(&mut self, sid: Sid, whole: Whole) {
        *self.shared.trouble() = None;
        self.shared.counters.whole.fetch_add(1, Ordering::Relaxed);
        let mut it = (sid, whole);
        loop {
            if self.shared.is_over() {
                return;
            }
            let Some(job) = self.jobs.get_mut(&sid) else {
                return; // nobody wants it any more
            };
            // Before it is handed over: the answer to it may come at once.
            job.due = None;
            match self.shared.wholes.push(it) {
                Ok(()) => return,
                Err(back) => it = back,
            }
            thread::park_timeout(HAND_OVER);
            self.take_asks();
        }
    }
}

impl Job {
    /// The pause once every server was asked.
    fn pause_behind(&mut self) -> Duration {
        self.pause.next_delay()
    }
}

fn pause(seed: u64) -> Backoff {
    Backoff::with_seed(seed)
}

/// Who is asked, one after the other: the backup's adapter first.
fn order(servers: &Servers, sid: Sid) -> Vec<Server> {
    let Some(fills) = servers.fills else {
        return Vec::new();
    };
    let first = servers.active.map_or(Leg::One, Leg::other);
    let of = |leg: Leg| {
        let address = servers.addresses[leg.index()]?;
        let mut streams = servers.streams.iter();
        let (_, _, stream) = streams.rfind(|(of, on, _)| (*of, *on) == (sid, leg))?;
        Some(Server {
            address,
            stream: *stream,
            fills,
        })
    };
    [first, first.other()].into_iter().filter_map(of).collect()
}
