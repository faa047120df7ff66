//! What does the fill thread do in one turn?
//!
//! It takes over what was sent since the last one, learns who may ask, takes the requests that have come, and answers
//! them together: those that ask for the same cost one look-up. It sleeps on its socket in between, so that a request
//! is answered at once and what was sent waits a few milliseconds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use twinfeed_control::StopFlag;
use twinfeed_control::StreamAssignment;
use twinfeed_net::clock;
use twinfeed_net::idle::{Idle, Idler};
use twinfeed_net::udp::{Receiver, Sender};
use twinfeed_protocol::Time;
use twinfeed_protocol::retain::{Asker, Retained, RetentionCounters, Server};
use twinfeed_wire::fill::{Fill, LONGEST_REQUEST};
use twinfeed_wire::{Header, Sid, StreamId};

use super::answer::Out;
use super::{Client, FillCounters, Fills};
use crate::config::{Config, ConfigError};
use crate::error::AdapterError;
use crate::tap::Tapped;

/// One stream's retention.
#[derive(Debug)]
struct Stream {
    sid: Sid,
    id: StreamId,
    retained: Retained,
}

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct FillThread {
    streams: Vec<Stream>,
    server: Server,
    receiver: Receiver,
    out: Out,
    tapped: Tapped,
    fills: Fills,
    /// Who has which index.
    clients: Vec<Option<Client>>,
    addresses: Vec<Option<SocketAddr>>,
    places: HashMap<SocketAddr, usize>,
    unentitled: u64,
    malformed: u64,
}

impl FillThread {
    pub(super) fn new(
        config: &Config,
        streams: &[StreamAssignment],
        (sender, receiver): (Sender, Receiver),
        tapped: Tapped,
        fills: Fills,
    ) -> Result<Self, AdapterError> {
        let wrong = |bad: twinfeed_protocol::BadLimit| {
            let (key, must) = (
                format!("fills.{}", bad.name),
                format!("it must {}", bad.must),
            );
            AdapterError::from(ConfigError::new(key, "out of bounds", must))
        };
        let limits = config.fills.retention;
        let streams = streams.iter().map(|of| {
            Ok(Stream {
                sid: Sid(of.sid.0),
                id: StreamId(of.stream_id.0),
                retained: Retained::new(&limits).map_err(wrong)?,
            })
        });
        let most = config.fills.server.clients;
        Ok(Self {
            streams: streams.collect::<Result<_, AdapterError>>()?,
            server: Server::new(config.fills.server).map_err(wrong)?,
            receiver,
            out: Out::new(sender, config.publish.max_datagram)?,
            tapped,
            fills,
            clients: vec![None; most],
            addresses: vec![None; most],
            places: HashMap::with_capacity(most),
            unentitled: 0,
            malformed: 0,
        })
    }

    pub(super) fn run(mut self, stop: &StopFlag) {
        let mut idler = Idler::new(Idle::Block {
            timeout_us: TURN_US,
        });
        while !stop.is_stopped() {
            let requests = self.turn();
            idler.idle(requests, [self.receiver.as_fd()]);
        }
    }

    /// One turn; returns how many requests were taken.
    fn turn(&mut self) -> usize {
        if let Some(clients) = self.fills.take_clients() {
            self.admit(clients);
        }
        self.retain();
        let requests = self.ask();
        if requests > 0 {
            // What a request is about may have been sent just before it.
            self.retain();
            self.answer();
        }
        self.out.take_reports();
        self.fills.show(self.counters());
        requests
    }

    fn retain(&mut self) {
        let streams = &mut self.streams;
        self.tapped.drain(|bytes, _| {
            let Ok(header) = Header::parse(bytes) else {
                return;
            };
            if let Some(stream) = streams.iter_mut().find(|it| it.sid == header.sid)
                && !header.is_heartbeat()
            {
                stream.retained.keep(bytes);
            }
        });
    }

    fn ask(&mut self) -> usize {
        let now = Time(clock::monotonic_ns());
        let Self {
            receiver,
            server,
            out,
            clients,
            addresses,
            places,
            unentitled,
            malformed,
            ..
        } = self;
        // What the network reported of an earlier answer is no request.
        let Ok(batch) = receiver.receive() else {
            return 0;
        };
        let mut taken = 0;
        let mut to = out.to(addresses);
        for datagram in batch {
            taken += 1;
            let Ok(Fill::Request(request)) = Fill::parse(datagram.bytes) else {
                *malformed += 1;
                continue;
            };
            let place = places.get(&datagram.source).copied();
            let client = place.and_then(|place| clients[place].as_ref());
            let sid = twinfeed_control::Sid(request.header().sid.0);
            match (place, client) {
                (Some(place), Some(client)) if client.sids.contains(sid) => {
                    server.ask(now, Asker(place), &request, &mut to);
                }
                _ => *unentitled += 1,
            }
        }
        taken
    }

    fn answer(&mut self) {
        let now = Time(clock::monotonic_ns());
        let (streams, mut to) = (&self.streams, self.out.to(&self.addresses));
        let of = |header: &twinfeed_wire::fill::RequestHeader| {
            let found = streams
                .iter()
                .find(|it| (it.sid, it.id) == (header.sid, header.stream));
            found.map(|it| &it.retained)
        };
        self.server.answer(now, of, &mut to);
        to.send();
    }

    /// Who is in the list keeps the index, and so the quota; who is not loses it.
    fn admit(&mut self, mut wanted: Vec<Client>) {
        for (place, slot) in self.clients.iter_mut().enumerate() {
            let Some(client) = slot else { continue };
            match wanted.iter().position(|it| it.address == client.address) {
                Some(at) => *client = wanted.swap_remove(at),
                None => {
                    self.places.remove(&client.address);
                    *slot = None;
                    self.addresses[place] = None;
                    self.server.forget(Asker(place));
                }
            }
        }
        for client in wanted {
            let free = self.clients.iter().position(Option::is_none);
            let Some(place) = free.filter(|_| !self.places.contains_key(&client.address)) else {
                continue;
            };
            self.places.insert(client.address, place);
            self.addresses[place] = Some(client.address);
            self.clients[place] = Some(client);
        }
    }

    fn counters(&self) -> FillCounters {
        let mut retention = RetentionCounters::default();
        let (mut messages, mut bytes) = (0, 0);
        for stream in &self.streams {
            let one = stream.retained.counters();
            retention.kept += one.kept;
            retention.overwritten += one.overwritten;
            retention.again += one.again;
            let (records, used) = stream.retained.held();
            messages += records as u64;
            bytes += used as u64;
        }
        FillCounters {
            server: *self.server.counters(),
            retention,
            messages,
            bytes,
            dropped: self.tapped.dropped(),
            unentitled: self.unentitled,
            malformed: self.malformed,
        }
    }
}

/// Requests taken per call.
pub(super) const BATCH: usize = 64;
/// Bytes per request: what is longer is none.
pub(super) const SLOT: usize = LONGEST_REQUEST.next_multiple_of(8);
/// How long the thread sleeps at most, µs; what is sent meanwhile waits in the tap.
const TURN_US: u32 = 5_000;
