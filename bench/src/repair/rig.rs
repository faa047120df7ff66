//! Who sends the stream, and gives it once more?

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use twinfeed_control::{Assignment, StopFlag, StreamAssignment};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, Overrides};
use twinfeed_feed_adapter::fills::{BoundFills, FillCounters, Fills};
use twinfeed_feed_adapter::tap::Tap;
use twinfeed_net::clock;
use twinfeed_wire::{
    BodyKind, ContextId, Dsn, Epoch, Generation, Header, Incarnation, Msn, Record, RecordFlags,
    Sid, StreamId, Writer,
};

use super::client::Client;
use crate::error::Error;

pub(super) const SID: Sid = Sid(1);
pub(super) const STREAM: StreamId = StreamId(17);

/// An adapter's data thread and its fill thread.
pub(super) struct Rig {
    server: SocketAddr,
    fills: Fills,
    stop: StopFlag,
    feed: Feed,
}

/// What a data thread writes.
pub(super) struct Feed {
    tap: Tap,
    header: Header,
    /// How long each copy into the tap took, ns.
    copies: Vec<u64>,
}

impl Rig {
    /// An adapter that serves these addresses.
    pub(super) fn new(clients: &[SocketAddr]) -> Result<Self, Error> {
        let config = Config::parse(Role::Active, CONFIG, &Overrides::default())
            .map_err(twinfeed_feed_adapter::AdapterError::from)?;
        let Some(bound) = BoundFills::bind(&config)? else {
            unreachable!("fills are served by default")
        };
        let (server, stop) = (bound.address(), StopFlag::new());
        let streams = [StreamAssignment {
            sid: twinfeed_control::Sid(SID.0),
            stream_id: twinfeed_control::StreamId(STREAM.0),
        }];
        let (fills, tap) = bound.start(&config, &streams, stop.clone())?;
        fills.granted(&assignment(clients));
        let header = Header {
            stream: STREAM,
            generation: Generation(1),
            incarnation: Incarnation(7),
            first_msn: Msn(1),
            sid: SID,
            epoch: Epoch(1),
            context: ContextId(1),
            first: 1,
            base_sseq: 1,
            ..Header::default()
        };
        Ok(Self {
            server,
            fills,
            stop,
            feed: Feed {
                tap,
                header,
                copies: Vec::new(),
            },
        })
    }

    /// Where is asked.
    pub(super) const fn server(&self) -> SocketAddr {
        self.server
    }

    /// What is sent.
    pub(super) const fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Waits until the fill thread has learnt who may ask.
    pub(super) fn until_entitled(&mut self, client: &mut Client) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        let mut nobody = Vec::new();
        let clients = core::slice::from_mut(client);
        while Instant::now() < end {
            self.round(clients, 1, &mut nobody, &mut Vec::new());
            if !nobody.is_empty() {
                self.feed.copies.clear();
                return Ok(());
            }
        }
        Err(Error::Flag {
            flag: "repair",
            fault: "the fill thread answers nobody; is the host overloaded?".to_owned(),
        })
    }

    /// A few datagrams that arrive, some that do not, and one more; then everybody is given what is missing. Adds for each
    /// client how long that took since it asked, and since it noticed.
    pub(super) fn round(
        &mut self,
        clients: &mut [Client],
        lost: u32,
        asked: &mut Vec<u64>,
        noticed: &mut Vec<u64>,
    ) {
        for _ in 0..BETWEEN {
            let bytes = self.feed.send_at(0);
            clients.iter_mut().for_each(|client| client.hear(&bytes));
        }
        for _ in 0..lost {
            self.feed.send_at(0);
        }
        let bytes = self.feed.send_at(0);
        let begun = clock::monotonic_ns();
        clients.iter_mut().for_each(|client| client.hear(&bytes));
        let all = self.feed.header.base_sseq;
        let mut open: Vec<&mut Client> = clients.iter_mut().collect();
        let end = Instant::now() + PATIENCE;
        while !open.is_empty() && Instant::now() < end {
            open.retain_mut(|client| {
                client.turn(self.server);
                let over = client.next() >= all;
                if over && let Some(at) = client.take_asked_at() {
                    let now = clock::monotonic_ns();
                    asked.push(now - at);
                    noticed.push(now - begun);
                }
                !over
            });
        }
    }

    /// What the fill thread counted once it has seen all these requests, and how long each copy into the tap took.
    pub(super) fn finish(self, requests: u64) -> (FillCounters, Vec<u64>) {
        let end = Instant::now() + PATIENCE;
        while self.fills.counters().server.requests < requests && Instant::now() < end {
            std::thread::yield_now();
        }
        let counters = self.fills.counters();
        self.stop.stop();
        (counters, self.feed.copies)
    }
}

impl Feed {
    /// Writes one datagram that is due at `sent_at` (ns), into the tap too, and gives it to whoever is to hear it.
    pub(super) fn send_at(&mut self, sent_at: u64) -> Vec<u8> {
        let mut buffer = vec![0; LONGEST];
        let mut writer = Writer::begin(&mut buffer, self.header);
        let first = self.header.base_sseq;
        for sseq in first..first + MESSAGES {
            let pushed = writer.push(&Record {
                kind: BodyKind::Dbn,
                flags: RecordFlags::LAST,
                part: 0,
                sseq,
                prev: sseq - 1,
                adm: self.header.base_adm,
                body: &[0x5A; 56],
            });
            debug_assert!(pushed.is_ok(), "a few short records fit");
        }
        self.header.dsn = Dsn(self.header.dsn.0 + 1);
        let length = writer.finish(self.header.dsn, self.header.flags, sent_at);
        self.header.first_msn = Msn(self.header.first_msn.0 + MESSAGES);
        self.header.base_sseq += MESSAGES;
        buffer.truncate(length);
        let before = clock::monotonic_ns();
        self.tap.keep(&buffer);
        self.copies.push(clock::monotonic_ns() - before);
        buffer
    }
}

/// What stream-admin would grant: these may ask.
pub(super) fn assignment(clients: &[SocketAddr]) -> Assignment {
    let clients: Vec<_> = clients
        .iter()
        .zip(1..)
        .map(|(address, number)| json!({"subscription": number.to_string(), "sids": "all", "address": address}))
        .collect();
    let assignment = json!({
        "adapter": "bench.active", "incarnation": "7", "generation": 1, "role": "active", "lease_ms": 1_000,
        "streams": [], "destinations": [], "fill_clients": clients, "revision": 1,
        "constraints": {"sources": [], "delivery": "exactly-once", "heartbeat_us": 10_000,
            "missed_heartbeats": 3, "sync_threshold": 20_000, "lag_messages": null, "lag_us": null,
            "reorder_hold_us": null, "reorder_hold_bytes": 1, "max_datagram": 1_472},
    });
    match serde_json::from_value(assignment) {
        Ok(assignment) => assignment,
        Err(wrong) => unreachable!("it is written here: {wrong}"),
    }
}

/// A feed of one source, which is never opened.
const CONFIG: &str = r#"
feed = "bench"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
max_open_orders = 1000
[[source]]
sid = 1
type = "moldudp64"
line.A = { address = "127.0.0.1:0", source = "127.0.0.1" }
line.B = { address = "127.0.0.1:0", source = "127.0.0.1" }
[stream_admin]
url = "http://127.0.0.1:1"
"#;
/// Longest datagram, bytes.
pub(super) const LONGEST: usize = 1_472;
/// Source messages in one datagram, a record of 56 bytes each.
const MESSAGES: u64 = 4;
/// Datagrams between two holes.
const BETWEEN: u32 = 8;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(2);
