//! The subscriber: a process that hears both publishers, delivers the first of each number, and writes down when.

use twinfeed_net::clock::monotonic_ns;

#[cfg(feature = "aeron")]
use super::aeron;
#[cfg(feature = "dds")]
use super::dds;
use super::ledger::{Delivery, Writer};
#[cfg(feature = "nats")]
use super::nats;
use super::seen::Seen;
#[cfg(feature = "zenoh")]
use super::zenoh;
use super::{Peer, udp};
use crate::error::Error;

/// Says its doors, hears until it is killed.
pub(super) fn run(peer: Peer, ledger: &str) -> Result<(), Error> {
    let merge = || Merge::into(ledger);
    match peer {
        Peer::Udp => udp::hear(merge()?),
        #[cfg(feature = "aeron")]
        Peer::Aeron => aeron::hear(merge()?),
        #[cfg(feature = "zenoh")]
        Peer::Zenoh => zenoh::hear(merge()?),
        #[cfg(feature = "nats")]
        Peer::Nats => nats::hear(merge()?),
        #[cfg(feature = "dds")]
        Peer::Dds10 => Err(dds::hear(dds::LEASES[0], ledger)),
        #[cfg(feature = "dds")]
        Peer::Dds100 => Err(dds::hear(dds::LEASES[1], ledger)),
    }
}

/// What a user writes to have each message once.
#[derive(Debug)]
pub(super) struct Merge {
    ledger: Writer,
    seen: Seen,
}

impl Merge {
    fn into(ledger: &str) -> Result<Self, Error> {
        Ok(Self {
            ledger: Writer::open(ledger)?,
            seen: Seen::new(),
        })
    }

    /// A copy of a message; what is none is nobody's.
    #[inline]
    pub(super) fn take(&mut self, message: &[u8]) {
        let Some((number, &[leg @ 0..=1, ..])) = message.split_first_chunk() else {
            return;
        };
        let (number, leg) = (u64::from_le_bytes(*number), usize::from(leg));
        self.ledger.copy(leg, number);
        if self.seen.is_new(number) {
            let at_ns = monotonic_ns();
            self.ledger.deliver(Delivery { at_ns, number, leg });
        }
    }
}
