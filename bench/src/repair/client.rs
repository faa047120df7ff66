//! Who loses something, and asks for it?

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use twinfeed_net::clock;
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::{Arbiter, Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};
use twinfeed_wire::fill::LONGEST_REQUEST;

use super::rig::{SID, STREAM};
use crate::error::Error;

/// One application: an arbiter, and a socket on which it asks.
#[derive(Debug)]
pub(super) struct Client {
    arbiter: Arbiter,
    socket: UdpSocket,
    told: Told,
    buffer: Box<[u8]>,
    requests: u64,
    /// When it asked first since it was last complete.
    asked_at: Option<u64>,
}

#[derive(Debug, Default)]
struct Told {
    /// Behind the last number that was told.
    next: u64,
    gaps: u64,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.next = record.pos.sseq + 1;
    }

    fn event(&mut self, event: &Event) {
        if let Event::Gap { until, .. } = event {
            self.gaps += 1;
            self.next = until.sseq;
        }
    }
}

impl Client {
    fn new(number: usize) -> Result<Self, Error> {
        let limits = Limits {
            repair: RepairLimits {
                fill_seed: number as u64,
                ..RepairLimits::default()
            },
            ..Limits::default()
        };
        let Ok(mut arbiter) = Arbiter::new(limits) else {
            unreachable!("the defaults can be worked with")
        };
        arbiter.add_source(SID, OrderingClass::Ordered);
        arbiter.set_stream(SID, Leg::One, STREAM);
        arbiter.set_fill_server(Leg::One, true);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
        socket.set_nonblocking(true).map_err(Error::Socket)?;
        Ok(Self {
            arbiter,
            socket,
            told: Told::default(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            requests: 0,
            asked_at: None,
        })
    }

    /// So many.
    pub(super) fn many(count: usize) -> Result<Vec<Self>, Error> {
        (0..count).map(Self::new).collect()
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Error> {
        self.socket.local_addr().map_err(Error::Socket)
    }

    pub(super) fn gaps(&self) -> u64 {
        self.told.gaps
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Behind the last number that it was told.
    pub(super) fn next(&self) -> u64 {
        self.told.next
    }

    /// When it first asked for what it was given by now.
    pub(super) fn take_asked_at(&mut self) -> Option<u64> {
        self.asked_at.take()
    }

    /// Hears a datagram of the stream.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let now = Time(clock::monotonic_ns());
        self.arbiter
            .on_datagram(Leg::One, now, bytes, &mut self.told);
    }

    /// Does what is due, sends what is to be asked, takes what has come.
    pub(super) fn turn(&mut self, server: SocketAddr) {
        let now = Time(clock::monotonic_ns());
        if self.arbiter.next_deadline().is_some_and(|due| due <= now) {
            self.arbiter.on_deadline(now, &mut self.told);
        }
        self.ask(server);
        while self.arbiter.is_asking()
            && let Ok((length, _)) = self.socket.recv_from(&mut self.buffer)
        {
            let now = Time(clock::monotonic_ns());
            let bytes = &self.buffer[..length];
            self.arbiter.on_fill(Leg::One, now, bytes, &mut self.told);
            self.ask(server);
        }
    }

    fn ask(&mut self, server: SocketAddr) {
        while let Some(ask) = self.arbiter.poll_request() {
            let mut bytes = [0; LONGEST_REQUEST];
            let length = ask.write(&mut bytes);
            self.asked_at.get_or_insert(clock::monotonic_ns());
            self.requests += 1;
            // What cannot be sent is as good as lost: it is asked for again.
            let _ = self.socket.send_to(&bytes[..length], server);
        }
    }
}

/// Longer than any datagram of the stream.
const BUFFER: usize = 2_048;
