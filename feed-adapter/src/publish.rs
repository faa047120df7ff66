//! How do one stream's datagrams reach everybody who wants them?
//!
//! ```text
//!  Sequencer ─► Outlet (Transmit) ─► outbox ─┬─► destination
//!                                            ├─► destination      one sendmmsg per batch
//!                                            └─► group
//! ```
//!
//! A datagram stands in the ring for subscribers of this host, if there is one, as soon as it is made.
//! For the network datagrams gather in an outbox and leave at the end of a batch, or earlier when the box is full. A
//! destination that fails costs the others nothing; it is counted. Nothing here knows what a datagram
//! says.

use std::net::SocketAddr;

use twinfeed_net::ring::RingWriter;
use twinfeed_net::udp::{
    DestinationCounters, DestinationKey, Destinations, Outbox, Sender, SenderConfig,
};
use twinfeed_protocol::sequencer::Transmit;
use twinfeed_wire::Sid;

use crate::config::{Config, PublishMode};
use crate::error::AdapterError;
use crate::fault_points;
use crate::mailbox::DestinationPlan;
use crate::note::{News, Notes};
use crate::tap::Tap;

/// Opens the socket that all streams of this adapter are sent from.
///
/// # Errors
/// Names the setting at fault.
pub fn open_sender(config: &Config) -> Result<Sender, AdapterError> {
    let mut setup = SenderConfig::new(config.host.publish_from)
        .hops(config.publish.multicast_ttl)
        .connect(true);
    if let Some(interface) = &config.host.publish_interface {
        setup = setup.interface(interface.clone());
    }
    Sender::open(&setup).map_err(AdapterError::socket("publish_from"))
}

/// What all streams of an adapter leave by.
#[derive(Debug)]
pub struct Exit {
    sender: Sender,
    ring: Option<RingWriter>,
}

impl Exit {
    /// The network, and a ring for subscribers of this host if there is one.
    #[must_use]
    pub const fn new(sender: Sender, ring: Option<RingWriter>) -> Self {
        Self { sender, ring }
    }
}

/// One stream's way out.
#[derive(Debug)]
pub struct Outlet {
    sid: Sid,
    outbox: Outbox,
    destinations: Destinations,
    /// Counters of destinations that are gone.
    gone: DestinationCounters,
    /// Where what is sent is handed over: to who retains it, and to who follows it.
    taps: Vec<Tap>,
}

impl Outlet {
    /// An outlet without destinations, or with the group of this role's stream in multicast mode.
    ///
    /// # Errors
    /// If the limit of destinations is out of bounds, or the group is of another address family than
    /// `publish_from`.
    pub fn new(
        config: &Config,
        sid: Sid,
        group: Option<SocketAddr>,
        exit: &Exit,
        taps: Vec<Tap>,
    ) -> Result<Self, AdapterError> {
        let limit = match config.publish.mode {
            PublishMode::Unicast => config.publish.max_destinations,
            PublishMode::Multicast => 1,
        };
        let mut destinations = exit
            .sender
            .destinations(limit)
            .map_err(AdapterError::socket("publish"))?;
        if let Some(group) = group {
            destinations
                .insert(DestinationKey(0), group)
                .map_err(|error| {
                    let remedy = "give `publish_from` an address of the group's family";
                    crate::config::ConfigError::new("source.group", error.to_string(), remedy)
                })?;
        }
        let outbox = Outbox::new(
            OUTBOX_DATAGRAMS,
            OUTBOX_DATAGRAMS * config.publish.max_datagram,
        );
        Ok(Self {
            sid,
            outbox,
            destinations,
            gone: DestinationCounters::default(),
            taps,
        })
    }

    /// Makes the list of destinations what `plan` says for this stream.
    pub fn apply(&mut self, plan: &DestinationPlan, notes: &Notes) {
        let rows = || plan.rows.iter().filter(|row| row.sid == self.sid);
        loop {
            let left = self
                .destinations
                .iter()
                .map(|(key, ..)| key)
                .find(|key| !rows().any(|row| row.key == key.0));
            let Some(key) = left else { break };
            if let Some(counters) = self.destinations.remove(key) {
                self.gone.taken += counters.taken;
                self.gone.other += counters.failed();
            }
        }
        for row in rows() {
            let key = DestinationKey(row.key);
            if self.destinations.counters(key).is_none()
                && self.destinations.insert(key, row.address).is_err()
            {
                notes.leave(self.sid, News::DestinationRefused(row.address));
            }
        }
    }

    /// Where the sequencer writes to.
    pub const fn through<'a>(&'a mut self, exit: &'a mut Exit) -> Through<'a> {
        Through { outlet: self, exit }
    }

    /// How many are sent to.
    #[must_use]
    pub fn destinations(&self) -> usize {
        self.destinations.len()
    }

    /// Datagrams accepted by the kernel and datagrams that failed, over all destinations.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let start = (self.gone.taken, self.gone.failed());
        self.destinations
            .iter()
            .fold(start, |(taken, failed), (.., counters)| {
                (taken + counters.taken, failed + counters.failed())
            })
    }
}

/// An outlet and what it leaves by, for the time of one call.
#[derive(Debug)]
pub struct Through<'a> {
    outlet: &'a mut Outlet,
    exit: &'a mut Exit,
}

impl Through<'_> {
    /// Sends what has gathered.
    pub fn send(&mut self) {
        if !self.outlet.outbox.is_empty() {
            let Outlet {
                outbox,
                destinations,
                ..
            } = &mut *self.outlet;
            self.exit.sender.send(outbox, destinations);
            self.outlet.outbox.clear();
            fault_points::sent();
        }
    }

    /// Sends what has gathered to everybody, and then this to some of them.
    fn send_to(&mut self, mut some: Destinations, bytes: &[u8]) {
        let Outlet {
            outbox,
            destinations,
            ..
        } = &mut *self.outlet;
        let sender = &mut self.exit.sender;
        sender.send(outbox, destinations);
        outbox.clear();
        let _ = outbox.push(bytes);
        sender.send(outbox, &mut some);
        outbox.clear();
        fault_points::sent();
    }
}

impl Transmit for Through<'_> {
    fn datagram(&mut self, bytes: &[u8]) {
        self.withheld(bytes);
        self.replayed(bytes);
    }

    fn replayed(&mut self, bytes: &[u8]) {
        if let Some(some) = fault_points::reaches_only(bytes, &self.outlet.destinations) {
            return self.send_to(some, bytes);
        }
        if let Some(ring) = &mut self.exit.ring {
            // It was made for datagrams of `max_datagram` bytes, and none is longer.
            let _ = ring.push(bytes);
        }
        if self.outlet.outbox.push(bytes).is_err() {
            self.send();
            // An empty outbox holds any datagram of `max_datagram` bytes, and none is longer.
            let _ = self.outlet.outbox.push(bytes);
        }
    }

    fn withheld_heartbeat(&mut self, bytes: &[u8]) {
        self.withheld(bytes);
    }

    fn withheld(&mut self, bytes: &[u8]) {
        for tap in &self.outlet.taps {
            tap.keep(bytes);
        }
    }
}

/// Datagrams that gather before they are sent.
const OUTBOX_DATAGRAMS: usize = 128;
