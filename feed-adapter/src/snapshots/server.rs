//! Who is given a snapshot, and how fast?
//!
//! One thread, no blocking call but its sleep. At most so many askers are connected; half of them may be of hosts that are not
//! entitled, so that they are told so and keep nobody out. All together are sent so many bytes per second, for the live stream goes the same
//! way. Who does not ask, or does not take what it is given, is hung up on after a time, and its snapshot is free.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use twinfeed_control::StopFlag;
use twinfeed_net::bell::{Bell, Ear};
use twinfeed_net::tcp::Listener;
use twinfeed_net::wait::{Interest, wait};
use twinfeed_protocol::Time;
use twinfeed_wire::snapshot::{Reason, Refused, Request};
use twinfeed_wire::{Sid, StreamId};

use super::thread::{Ask, RETRY_AFTER, Told, now};
use super::visitor::{SnapshotFrames, State, Turned, Visitor};
use super::{Client, Shared};
use crate::config::SnapshotsConfig;

/// What is counted of askers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerCounters {
    /// Requests.
    pub requests: u64,
    /// Snapshots that were taken whole.
    pub given: u64,
    /// Bytes of snapshots that were sent.
    pub bytes: u64,
    /// Refused: none came in time, or too many ask.
    pub busy: u64,
    /// Refused: what is known is not whole.
    pub incomplete: u64,
    /// Refused: no such stream.
    pub no_such_stream: u64,
    /// Refused: not entitled.
    pub unentitled: u64,
    /// Refused: another epoch or context.
    pub other_context: u64,
    /// Hung up on before they said anything: there was no room.
    pub turned_away: u64,
    /// Hung up on: too slow.
    pub slow: u64,
    /// Hung up on: what they said is no request.
    pub malformed: u64,
    /// Askers that are connected at present.
    pub connected: u64,
}

impl ServerCounters {
    fn refused(&mut self, reason: Reason) {
        let count = match reason {
            Reason::Busy => &mut self.busy,
            Reason::NoSuchStream => &mut self.no_such_stream,
            Reason::NotEntitled => &mut self.unentitled,
            Reason::OtherContext => &mut self.other_context,
            _ => &mut self.incomplete,
        };
        *count += 1;
    }
}

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct Server {
    config: SnapshotsConfig,
    listener: Listener,
    streams: Vec<(Sid, StreamId)>,
    asks: Sender<Ask>,
    bell: Bell,
    told: Receiver<Told>,
    ear: Ear,
    shared: Arc<Shared>,
    clients: Vec<Client>,
    visitors: Vec<Visitor>,
    /// Of the next visitor.
    next: u64,
    /// Bytes that may be sent at once, and since when.
    allowance: usize,
    /// How many are given something.
    giving: usize,
    filled: Time,
    counters: ServerCounters,
}

impl Server {
    pub(super) fn new(
        config: SnapshotsConfig,
        listener: Listener,
        streams: Vec<(Sid, StreamId)>,
        (asks, bell): (Sender<Ask>, Bell),
        (told, ear): (Receiver<Told>, Ear),
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            visitors: Vec::with_capacity(config.clients),
            config,
            listener,
            streams,
            asks,
            bell,
            told,
            ear,
            shared,
            clients: Vec::new(),
            next: 0,
            allowance: 0,
            giving: 0,
            filled: now(),
            counters: ServerCounters::default(),
        }
    }

    pub(super) fn run(mut self, stop: &StopFlag) {
        while !stop.is_stopped() {
            self.ear.silence();
            self.turn(now());
            self.sleep();
        }
    }

    fn turn(&mut self, now: Time) {
        if let Some(clients) = self.shared.take_clients() {
            self.clients = clients;
            self.withdraw();
        }
        self.fill(now);
        self.accept(now);
        while let Ok(told) = self.told.try_recv() {
            self.tell(told, now);
        }
        let gives = |it: &&Visitor| matches!(it.state, State::Giving(..));
        self.giving = self.visitors.iter().filter(gives).count();
        let mut at = 0;
        while at < self.visitors.len() {
            match self.visit(at, now) {
                true => at += 1,
                false => drop(self.visitors.swap_remove(at)),
            }
        }
        if !self.visitors.is_empty() {
            // Whoever was the first is the last next time.
            self.visitors.rotate_left(1);
        }
        self.counters.connected = self.visitors.len() as u64;
        self.shared.show_server(self.counters);
    }

    fn sleep(&self) {
        let may_send = self.allowance > 0;
        let visitors = self.visitors.iter().map(|it| it.interest(may_send));
        let own = [self.ear.as_fd(), self.listener.as_fd()].map(Interest::readable);
        // Never more than a wait can name: `clients` is bounded.
        if wait(own.into_iter().chain(visitors), Some(TURN)).is_err() {
            std::thread::sleep(TURN);
        }
    }

    /// What may be sent rises with time, up to a moment's worth.
    fn fill(&mut self, now: Time) {
        let nanos = now.since(self.filled).as_nanos();
        let more = nanos.saturating_mul(u128::from(self.config.rate)) / 1_000_000_000;
        if more > 0 {
            let most = usize::try_from(self.config.rate / MOMENTS).unwrap_or(usize::MAX);
            let more = usize::try_from(more).unwrap_or(usize::MAX);
            self.allowance = self.allowance.saturating_add(more).min(most.max(1));
            self.filled = now;
        }
    }

    fn accept(&mut self, now: Time) {
        // A connection that cannot be set up is the kernel's to end; the next one may be.
        while let Ok(Some(link)) = self.listener.accept(SnapshotFrames) {
            let until = now.after(self.config.wait);
            let visitor = Visitor::new(self.next, link, until);
            self.next += 1;
            let known = |it: &Visitor| self.clients.iter().any(|of| is_host(of.address, it));
            let strangers = self.visitors.iter().filter(|it| !known(it)).count();
            let room = self.visitors.len() < self.config.clients
                && (known(&visitor) || strangers < self.config.clients.div_ceil(2));
            match room {
                true => self.visitors.push(visitor),
                false => self.counters.turned_away += 1,
            }
        }
    }

    fn tell(&mut self, told: Told, now: Time) {
        let Some(visitor) = self.visitors.iter_mut().find(|it| it.id == told.client) else {
            return; // it did not wait
        };
        let State::Waiting(request) = visitor.state else {
            return;
        };
        match told.what {
            Ok(given) => {
                visitor.until = now.after(self.config.client_time);
                visitor.state = State::Giving(request, given, (0, 0));
            }
            Err(reason) => self.refuse(told.client, &request, reason, now),
        }
    }

    /// One visitor's turn; `false`: it is over.
    fn visit(&mut self, at: usize, now: Time) -> bool {
        let share = (self.allowance / self.giving.max(1)).max(LEAST_SHARE);
        let share = share.min(self.allowance);
        let mut left = share;
        let turned = self.visitors[at].turn(&mut left);
        self.allowance -= share - left;
        self.counters.bytes += (share - left) as u64;
        let visitor = &mut self.visitors[at];
        match turned {
            Turned::Stays if visitor.until > now => true,
            Turned::Stays => {
                self.counters.slow += u64::from(visitor.request().is_some());
                false
            }
            Turned::Asks(request) => {
                self.asked(at, request, now);
                true
            }
            Turned::Has => {
                visitor.state = State::Listening;
                visitor.until = now.after(self.config.wait);
                self.counters.given += 1;
                true
            }
            Turned::Gone { malformed } => {
                self.counters.malformed += u64::from(malformed);
                false
            }
        }
    }

    fn asked(&mut self, at: usize, request: Request, now: Time) {
        self.counters.requests += 1;
        let id = self.visitors[at].id;
        if let Some(reason) = self.refusal(at, &request) {
            return self.refuse(id, &request, reason, now);
        }
        // Who asks again has given the first connection up, whatever the network says of it.
        for other in &mut self.visitors {
            let same = |of: &Request| (of.fills, of.sid) == (request.fills, request.sid);
            if other.request().is_some_and(same) {
                other.until = Time::ZERO;
            }
        }
        let ask = Ask {
            client: id,
            sid: request.sid,
            not_before: request.not_before,
            context: request.context,
        };
        if self.asks.try_send(ask).is_err() {
            return self.refuse(id, &request, Reason::Busy, now);
        }
        self.bell.ring();
        let visitor = &mut self.visitors[at];
        visitor.state = State::Waiting(request);
        // The follower ends it before.
        visitor.until = now.after(self.config.wait).after(GRACE);
    }

    fn refusal(&self, at: usize, request: &Request) -> Option<Reason> {
        let visitor = &self.visitors[at];
        let sid = twinfeed_control::Sid(request.sid.0);
        let entitled = self.clients.iter().any(|of| {
            of.address == request.fills && of.sids.contains(sid) && is_host(of.address, visitor)
        });
        match () {
            () if !entitled => Some(Reason::NotEntitled),
            () if !self.streams.contains(&(request.sid, request.stream)) => {
                Some(Reason::NoSuchStream)
            }
            () => None,
        }
    }

    fn refuse(&mut self, id: u64, request: &Request, reason: Reason, now: Time) {
        self.counters.refused(reason);
        let retry_after = match reason {
            Reason::Busy => RETRY_AFTER,
            _ => Duration::ZERO,
        };
        let refused = Refused {
            sid: request.sid,
            stream: request.stream,
            request: request.request,
            reason,
            retry_after_us: retry_after.as_micros() as u32, // half a second
        };
        if let Some(visitor) = self.visitors.iter_mut().find(|it| it.id == id) {
            visitor.refuse(&refused);
            visitor.until = now.after(self.config.wait);
        }
    }

    /// Hangs up on whoever may not ask any more.
    fn withdraw(&mut self) {
        let clients = &self.clients;
        self.visitors.retain(|visitor| {
            let request = visitor.request();
            request.is_none_or(|of| clients.iter().any(|it| it.address == of.fills))
        });
    }
}

fn is_host(address: SocketAddr, visitor: &Visitor) -> bool {
    address.ip().to_canonical() == visitor.host()
}

/// What each may be sent in a turn at least, bytes, as far as anything may be sent.
const LEAST_SHARE: usize = 64 << 10;
/// How long this thread sleeps at most.
const TURN: Duration = Duration::from_millis(5);
/// A moment's worth of the rate may be sent at once: so many moments are a second.
const MOMENTS: u64 = 20;
/// How much longer than the follower an asker is waited with.
const GRACE: Duration = Duration::from_secs(1);
