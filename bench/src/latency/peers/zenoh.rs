//! Zenoh: two peers, TCP over loopback, its low-latency transport.
//!
//! ```text
//!  publisher's thread                          subscriber's process: a thread of Zenoh's
//!  due ─► put ─► encoded, written ─── TCP ───► read ─► callback: how late?
//! ```
//!
//! The transport that neither queues nor batches, and what goes with it: `lowlatency` without `qos` (DEFAULT_CONFIG.json5), and `express`. Nobody is scouted for. The callback runs in
//! Zenoh's own thread, which sleeps until the kernel wakes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use twinfeed_net::clock::monotonic_ns;
use zenoh::pubsub::{Publisher as Put, Subscriber as Subscription};
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session, Wait};

use super::super::publisher::{END, Publish};
use super::super::subscriber::{Subscribe, Told};
use super::super::{Heard, PATIENCE};
use super::{free_port, message};
use crate::error::Error;

const NAME: &str = "Zenoh";
const KEY: &str = "twinfeed/bench";
/// How often what was heard is counted, and how long the end is waited for.
const OFTEN: Duration = Duration::from_millis(20);

/// A peer that listens there, or connects to there.
fn open(listen: Option<&str>, connect: Option<&str>) -> Result<Session, Error> {
    let config = format!(
        "{{
            mode: 'peer',
            listen: {{ endpoints: {:?} }},
            connect: {{ endpoints: {:?} }},
            scouting: {{ multicast: {{ enabled: false }}, gossip: {{ enabled: false }} }},
            transport: {{ unicast: {{ lowlatency: true, qos: {{ enabled: false }} }} }},
        }}",
        Vec::from_iter(listen),
        Vec::from_iter(connect),
    );
    let config = Config::from_json5(&config).map_err(Error::peer(NAME, "the configuration"))?;
    zenoh::open(config)
        .wait()
        .map_err(Error::peer(NAME, "the session"))
}

/// The sending half.
pub(in super::super) struct Publisher {
    put: Put<'static>,
    _session: Session,
}

impl Publisher {
    pub(in super::super) fn open(doors: &[String]) -> Result<Self, Error> {
        let session = open(None, doors.first().map(String::as_str))?;
        let put = session
            .declare_publisher(KEY)
            .congestion_control(CongestionControl::Block)
            .express(true)
            .wait()
            .map_err(Error::peer(NAME, "the publisher"))?;
        let begun = Instant::now();
        loop {
            let status = put.matching_status().wait();
            if status
                .map_err(Error::peer(NAME, "a subscriber"))?
                .matching()
            {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::peer(NAME, "a subscriber")("nobody came"));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(Self {
            put,
            _session: session,
        })
    }
}

impl Publish for Publisher {
    fn send(&mut self, number: u64, record: &[u8]) {
        let _ = self.put.put(message(number, record)).wait();
    }

    fn end(&mut self) -> Result<(), Error> {
        let said = self.put.put(END.as_slice()).wait();
        said.map_err(Error::peer(NAME, "the end"))?;
        // What was handed over is read before the session closes behind it.
        sleep(2 * OFTEN);
        Ok(())
    }

    fn datagram(&self) -> Option<usize> {
        None
    }
}

/// What the callback heard, and the counting thread has not counted: when, and the head of each message.
#[derive(Debug, Default)]
struct Arrivals {
    heads: Vec<(u64, [u8; 16])>,
    ended: bool,
}

/// The receiving half.
pub(in super::super) struct Subscriber {
    arrivals: Arc<Mutex<Arrivals>>,
    /// Empty; its room is for what comes next.
    spare: Vec<(u64, [u8; 16])>,
    door: String,
    _subscription: Subscription<()>,
    _session: Session,
}

impl Subscriber {
    pub(in super::super) fn open() -> Result<Self, Error> {
        let door = format!("tcp/127.0.0.1:{}", free_port()?);
        let session = open(Some(&door), None)?;
        let room = || Vec::with_capacity(1 << 16);
        let arrivals = Arc::new(Mutex::new(Arrivals {
            heads: room(),
            ended: false,
        }));
        let arrived = Arc::clone(&arrivals);
        let subscription = session
            .declare_subscriber(KEY)
            .callback(move |sample| {
                let now = monotonic_ns();
                let message = sample.payload().to_bytes();
                let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                match message.first_chunk() {
                    Some(head) => arrived.heads.push((now, *head)),
                    None => arrived.ended = true,
                }
            })
            .wait()
            .map_err(Error::peer(NAME, "the subscriber"))?;
        Ok(Self {
            arrivals,
            spare: room(),
            door,
            _subscription: subscription,
            _session: session,
        })
    }
}

impl Subscribe for Subscriber {
    fn doors(&self) -> Result<Vec<String>, Error> {
        Ok(vec![self.door.clone()])
    }

    fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
        sleep(OFTEN);
        let mut arrived = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut arrived.heads, &mut self.spare);
        let ended = arrived.ended;
        drop(arrived);
        for (now, head) in self.spare.drain(..) {
            told.only(now, &head);
        }
        Ok(ended)
    }

    fn finish(&mut self, _heard: &mut Heard) {}
}
