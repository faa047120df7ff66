//! Zenoh: two peers that put to one key, and a third that subscribes to it, TCP over loopback.
//!
//! The transport is the default one, which batches what is put together; nobody is scouted for. The callback runs in a thread of Zenoh's.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zenoh::pubsub::Publisher as Put;
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session, Wait};

use super::publisher::{SIZE, Send};
use super::subscriber::Merge;
use crate::child::say;
use crate::error::Error;
use crate::latency::peers::free_port;

const NAME: &str = "Zenoh";
const KEY: &str = "twinfeed/bench";
/// How long a publisher waits for the subscriber.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that listens there, or connects to there.
fn open(listen: &[String], connect: &[String]) -> Result<Session, Error> {
    let config = format!(
        "{{
            mode: 'peer',
            listen: {{ endpoints: {listen:?} }},
            connect: {{ endpoints: {connect:?} }},
            scouting: {{ multicast: {{ enabled: false }}, gossip: {{ enabled: false }} }},
        }}",
    );
    let config = Config::from_json5(&config).map_err(Error::peer(NAME, "the configuration"))?;
    zenoh::open(config)
        .wait()
        .map_err(Error::peer(NAME, "the session"))
}

pub(super) struct Publisher {
    put: Put<'static>,
    _session: Session,
}

impl Publisher {
    pub(super) fn open(doors: &[String]) -> Result<Self, Error> {
        let session = open(&[], doors)?;
        let put = session
            .declare_publisher(KEY)
            .congestion_control(CongestionControl::Block)
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
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Self {
            put,
            _session: session,
        })
    }
}

impl Send for Publisher {
    fn put(&mut self, message: &[u8; SIZE]) {
        let _ = self.put.put(message.as_slice()).wait();
    }

    /// Batches leave by themselves.
    fn flush(&mut self) {}
}

pub(super) fn hear(merge: Merge) -> Result<(), Error> {
    let door = vec![format!("tcp/127.0.0.1:{}", free_port()?)];
    let session = open(&door, &[])?;
    // Each link has a thread, and each calls back.
    let merge = Mutex::new(merge);
    let _subscription = session
        .declare_subscriber(KEY)
        .callback(move |sample| {
            let message = sample.payload().to_bytes();
            let mut merge = merge.lock().unwrap_or_else(PoisonError::into_inner);
            merge.take(&message);
        })
        .wait()
        .map_err(Error::peer(NAME, "the subscriber"))?;
    say(&door)?;
    loop {
        std::thread::park();
    }
}
