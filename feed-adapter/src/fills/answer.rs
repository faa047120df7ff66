//! How does an answer reach those who asked?
//!
//! Datagrams gather until the askers change or the box is full, and leave in one call to all of them; a reply leaves
//! behind them, alone.

use std::net::SocketAddr;

use twinfeed_net::udp::{DestinationKey, Destinations, Outbox, Sender};
use twinfeed_protocol::retain::{Answer, Asker};
use twinfeed_wire::fill::{Reply, write_reply};

use crate::error::AdapterError;

/// The way out.
#[derive(Debug)]
pub(super) struct Out {
    sender: Sender,
    outbox: Outbox,
    /// To whom what has gathered goes.
    askers: Vec<Asker>,
    nobody: Destinations,
}

impl Out {
    pub(super) fn new(sender: Sender, max_datagram: usize) -> Result<Self, AdapterError> {
        let nobody = sender.destinations(1);
        Ok(Self {
            nobody: nobody.map_err(AdapterError::socket("fills_from"))?,
            sender,
            outbox: Outbox::new(GATHERED, GATHERED * max_datagram),
            askers: Vec::new(),
        })
    }

    /// Takes away what the network has reported of answers: a subscriber that is gone is no reason to wake up.
    pub(super) fn take_reports(&mut self) {
        self.sender.take_reports(&mut self.nobody);
    }

    /// For as long as addresses stay what they are.
    pub(super) fn to<'a>(&'a mut self, addresses: &'a [Option<SocketAddr>]) -> To<'a> {
        To {
            out: self,
            addresses,
        }
    }
}

/// The way out, and who is where.
#[derive(Debug)]
pub(super) struct To<'a> {
    out: &'a mut Out,
    addresses: &'a [Option<SocketAddr>],
}

impl To<'_> {
    /// Sends what has gathered.
    pub(super) fn send(&mut self) {
        if !self.out.outbox.is_empty()
            && let Some(mut all) = self.destinations(&self.out.askers)
        {
            self.out.sender.send(&self.out.outbox, &mut all);
        }
        self.out.outbox.clear();
    }

    /// An address that is gone, or of the other family, gets nothing.
    fn destinations(&self, askers: &[Asker]) -> Option<Destinations> {
        let mut all = self.out.sender.destinations(askers.len().max(1)).ok()?;
        for asker in askers {
            if let Some(Some(address)) = self.addresses.get(asker.0) {
                let _ = all.insert(DestinationKey(asker.0 as u64), *address);
            }
        }
        Some(all)
    }
}

impl Answer for To<'_> {
    fn datagram(&mut self, askers: &[Asker], bytes: &[u8]) {
        if self.out.askers != askers {
            self.send();
            self.out.askers.clear();
            self.out.askers.extend_from_slice(askers);
        }
        if self.out.outbox.push(bytes).is_err() {
            self.send();
            // An empty outbox holds any datagram.
            let _ = self.out.outbox.push(bytes);
        }
    }

    fn reply(&mut self, asker: Asker, reply: &Reply) {
        self.send();
        let bytes = write_reply(reply);
        if let Some(mut one) = self.destinations(&[asker]) {
            self.out.sender.send(&[&bytes[..]][..], &mut one);
        }
    }
}

/// Datagrams that gather before they are sent.
const GATHERED: usize = 64;
