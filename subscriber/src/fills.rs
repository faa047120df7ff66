//! How are adapters asked for what was missed, and where do their answers come in?
//!
//! One socket beside those of the legs, so that an answer never takes a place in a leg's kernel buffer. It is read only
//! while something is asked for: with nothing missing it costs nothing.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use twinfeed_net::udp::{Receiver, ReceiverConfig, Timestamps};
use twinfeed_protocol::arbiter::{Arbiter, Ask};
use twinfeed_protocol::{Handler, Leg, Time};
use twinfeed_wire::fill::LONGEST_REQUEST;

use crate::error::Error;
use crate::receive::{BATCH, SocketSettings};

/// What went over the socket for fills.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FillsReceived {
    /// Requests sent.
    pub requests: u64,
    /// Requests that could not be sent.
    pub unsent: u64,
    /// Datagrams and replies that reached the arbiter.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams of senders that were not asked.
    pub foreign_senders: u64,
    /// Datagrams that the kernel dropped because nobody read them in time.
    pub kernel_drops: u64,
    /// Receive calls that failed.
    pub errors: u64,
}

/// The socket, and whom to ask.
#[derive(Debug)]
pub(crate) struct FillSocket {
    receiver: Receiver,
    servers: [Option<SocketAddr>; 2],
    received: FillsReceived,
}

impl FillSocket {
    /// A socket at `local`; port 0 lets the kernel choose.
    pub(crate) fn open(local: SocketAddr, settings: &SocketSettings) -> Result<Self, Error> {
        let config = ReceiverConfig::unicast(local)
            .receive_buffer(settings.receive_buffer)
            .batch(BATCH)
            .slot(settings.slot())
            .timestamps(Timestamps::Off);
        Ok(Self {
            receiver: Receiver::open(&config)?,
            servers: [None; 2],
            received: FillsReceived::default(),
        })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.receiver.local_addr()
    }

    pub(crate) fn set_servers(&mut self, servers: [Option<SocketAddr>; 2]) {
        self.servers = servers;
    }

    pub(crate) const fn received(&self) -> FillsReceived {
        self.received
    }

    /// Takes one batch and puts it to the arbiter; returns how many datagrams it was.
    pub(crate) fn receive(
        &mut self,
        arbiter: &mut Arbiter,
        now: Time,
        handler: &mut impl Handler,
    ) -> usize {
        let received = &mut self.received;
        let Ok(batch) = self.receiver.receive() else {
            received.errors += 1;
            return 0;
        };
        let mut taken = 0;
        for datagram in batch {
            taken += 1;
            received.kernel_drops += u64::from(datagram.kernel_drops);
            let asked = |leg: &Leg| self.servers[leg.index()] == Some(datagram.source);
            let Some(leg) = Leg::BOTH.into_iter().find(asked) else {
                received.foreign_senders += 1;
                continue;
            };
            received.datagrams += 1;
            received.bytes += datagram.bytes.len() as u64;
            // What was cut does not pass its own check.
            arbiter.on_fill(leg, now, datagram.bytes, handler);
        }
        taken
    }

    /// Sends a request; one that cannot be sent is as good as lost.
    pub(crate) fn ask(&mut self, ask: &Ask) {
        let mut buffer = [0; LONGEST_REQUEST];
        let length = ask.write(&mut buffer);
        let sent = self.servers[ask.leg.index()]
            .is_some_and(|to| self.receiver.send_to(&buffer[..length], to).is_ok());
        match sent {
            true => self.received.requests += 1,
            false => self.received.unsent += 1,
        }
    }
}

impl AsFd for FillSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
