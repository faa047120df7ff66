//! Which sockets does a leg arrive on, and what of it may reach the arbiter?
//!
//! ```text
//!   unicast    one socket per leg, bound before stream-admin is asked: nothing sent after the grant
//!              finds no socket
//!   multicast  one socket per group of a leg, joined when the grant names it
//! ```
//!
//! Three things are settled here so that the arbiter need not know sockets: datagrams of a foreign sender
//! and ones that are too long are counted and go no further, and what the kernel dropped is told *before* the
//! datagram behind it, so that a hole is blamed on this host and not on the wire.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use twinfeed_net::interface::Selector;
use twinfeed_net::udp::{BufferReport, Receiver, ReceiverConfig, Timestamps};
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Handler, Leg, Time};
use twinfeed_wire::Incarnation;

use crate::builder::SLOT;
use crate::error::Error;
use crate::ring::RingState;

/// Messages of the kernel taken per receive call, datagrams unless it has merged some under load, and so the grain of a poll's budget.
pub const BATCH: usize = 64;

/// Names a socket between the two halves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct SocketKey(pub(crate) u32);

/// What is common to all sockets of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct SocketSettings {
    /// Interface of multicast groups.
    pub(crate) interface: Selector,
    /// Bytes of kernel buffer to ask for, per socket.
    pub(crate) receive_buffer: usize,
    /// Longest datagram, bytes.
    pub(crate) max_datagram: usize,
    /// Whether a clamped buffer is an error.
    pub(crate) strict_buffer: bool,
}

impl SocketSettings {
    /// Bytes per slot: longer than today's datagrams, so that the feed's limit can rise under way.
    pub(crate) fn slot(&self) -> usize {
        self.max_datagram.max(SLOT)
    }
}

/// Whose datagrams count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Senders {
    /// Nobody's: nothing is granted on this socket yet.
    Nobody,
    /// Everybody's: stream-admin does not know the address.
    Anybody,
    /// These addresses'. Ports are not compared: an adapter that restarts may send from another.
    Only(Box<[IpAddr]>),
}

impl Senders {
    /// The senders behind the addresses that a grant names; an unspecified one admits everybody.
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut all: Vec<IpAddr> = addresses.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        match all.as_slice() {
            [] => Self::Nobody,
            addresses if addresses.iter().any(IpAddr::is_unspecified) => Self::Anybody,
            _ => Self::Only(all.into_boxed_slice()),
        }
    }

    fn admit(&self, sender: SocketAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anybody => true,
            Self::Only(addresses) => addresses.contains(&sender.ip()),
        }
    }
}

/// What the sockets of one leg have seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LegReceived {
    /// Datagrams that reached the arbiter.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams of a sender that the grant does not name.
    pub foreign_senders: u64,
    /// Datagrams longer than the feed's `max_datagram`.
    pub too_long: u64,
    /// Datagrams that the kernel dropped because nobody read them in time.
    pub kernel_drops: u64,
    /// Receive calls that failed.
    pub errors: u64,
    /// Of the datagrams that reached the arbiter, those that its adapter's ring gave.
    pub ring_datagrams: u64,
    /// Datagrams that a ring brings and the kernel was told to drop at the sockets, as far as it said so.
    pub ring_copies: u64,
    /// Datagrams that were overwritten in the ring before they were read.
    pub ring_lost: u64,
    /// Whether it is read from a ring, or from sockets.
    pub ring: RingState,
}

/// Calls that take what comes beside a ring, at once: more than a kernel buffer holds when the ring is gone over to.
const MOST_BESIDE: usize = 1 << 10;
/// Where a datagram names its sender's life (`docs/wire-format.md`).
const INCARNATION_AT: u32 = 16;

/// Batches that are left out at once: more than any kernel buffer holds.
const MOST_DISCARDED: usize = 1 << 16;

/// One socket of one leg.
#[derive(Debug)]
pub(crate) struct LegSocket {
    key: SocketKey,
    leg: Leg,
    receiver: Receiver,
    senders: Senders,
    /// Longest datagram of the feed, bytes.
    longest: usize,
    /// Whose datagrams come by a ring and are not wanted here.
    refused: Option<Incarnation>,
    /// What the kernel dropped since was not wanted, as far as it has not said so yet.
    forgives: bool,
}

impl LegSocket {
    /// A unicast socket at `local`; port 0 lets the kernel choose.
    pub(crate) fn unicast(
        key: SocketKey,
        leg: Leg,
        local: SocketAddr,
        settings: &SocketSettings,
    ) -> Result<Self, Error> {
        let config = ReceiverConfig::unicast(local);
        Self::open(key, leg, config, Senders::Nobody, settings)
    }

    /// A socket that has joined `group`, from `source` alone if it is named.
    pub(crate) fn multicast(
        key: SocketKey,
        leg: Leg,
        group: SocketAddr,
        source: Option<IpAddr>,
        settings: &SocketSettings,
    ) -> Result<Self, Error> {
        let config = ReceiverConfig::multicast(group, settings.interface.clone());
        let (config, senders) = match source {
            Some(source) => (config.from_source(source), Senders::of([source])),
            None => (config, Senders::Anybody),
        };
        Self::open(key, leg, config, senders, settings)
    }

    fn open(
        key: SocketKey,
        leg: Leg,
        config: ReceiverConfig,
        senders: Senders,
        settings: &SocketSettings,
    ) -> Result<Self, Error> {
        let config = config
            .receive_buffer(settings.receive_buffer)
            .batch(BATCH)
            .slot(settings.slot())
            .timestamps(Timestamps::Off)
            .merge_under_load();
        let receiver = Receiver::open(&config)?;
        let buffer = receiver.buffer();
        if settings.strict_buffer && buffer.is_clamped() {
            return Err(Error::BufferClamped(buffer));
        }
        Ok(Self {
            key,
            leg,
            receiver,
            senders,
            longest: settings.max_datagram,
            refused: None,
            forgives: false,
        })
    }

    pub(crate) fn key(&self) -> SocketKey {
        self.key
    }

    pub(crate) fn leg(&self) -> Leg {
        self.leg
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.receiver.local_addr()
    }

    pub(crate) fn buffer(&self) -> BufferReport {
        self.receiver.buffer()
    }

    /// What the feed's constraints say, once they are known; no more than the slots hold.
    pub(crate) fn set_longest(&mut self, longest: usize) {
        self.longest = longest;
    }

    pub(crate) fn set_senders(&mut self, senders: Senders) {
        self.senders = senders;
    }

    /// Takes what has come, about a batch at most, and puts it to the arbiter; returns how many datagrams it was.
    pub(crate) fn receive(
        &mut self,
        arbiter: &mut Arbiter,
        now: Time,
        received: &mut [LegReceived; 2],
        handler: &mut impl Handler,
    ) -> usize {
        self.want_all();
        let mut taken = 0;
        loop {
            let more = self.receive_once(arbiter, now, received, handler);
            taken += more;
            // One call may take a single datagram of many, or a few messages.
            if more == 0 || taken >= BATCH || self.receiver.is_drained() {
                return taken;
            }
        }
    }

    /// Takes what comes beside a ring of this life of the leg's adapter, until nothing is there: what the ring brings as well the kernel is told
    /// to drop. Returns how many datagrams it was, and whether another life was heard that takes this one's place.
    pub(crate) fn receive_beside(
        &mut self,
        life: Incarnation,
        arbiter: &mut Arbiter,
        now: Time,
        received: &mut [LegReceived; 2],
        handler: &mut impl Handler,
    ) -> (usize, bool) {
        if self.refused != Some(life) {
            // Where that fails copies come, and are dropped by the arbiter.
            let refused = self.receiver.refuse(INCARNATION_AT, life.0.to_le_bytes());
            received[self.leg.index()].errors += u64::from(refused.is_err());
            (self.refused, self.forgives) = (Some(life), true);
        }
        let (mut taken, before) = (0, arbiter.replacements(self.leg));
        for _ in 0..MOST_BESIDE {
            let more = self.receive_once(arbiter, now, received, handler);
            taken += more;
            if more == 0 || self.receiver.is_drained() {
                break;
            }
        }
        (taken, arbiter.replacements(self.leg) != before)
    }

    /// Everything is wanted here again.
    pub(crate) fn want_all(&mut self) {
        if self.refused.take().is_some() {
            let _ = self.receiver.refuse_nothing();
        }
    }

    fn receive_once(
        &mut self,
        arbiter: &mut Arbiter,
        now: Time,
        received: &mut [LegReceived; 2],
        handler: &mut impl Handler,
    ) -> usize {
        let received = &mut received[self.leg.index()];
        let Ok(batch) = self.receiver.receive() else {
            received.errors += 1;
            return 0;
        };
        let mut taken = 0;
        for datagram in batch {
            taken += 1;
            if datagram.kernel_drops > 0 {
                let datagrams = u64::from(datagram.kernel_drops);
                let leg = self.leg;
                if self.forgives {
                    self.forgives = self.refused.is_some();
                    received.ring_copies += datagrams;
                } else {
                    received.kernel_drops += datagrams;
                    arbiter.on_control(Control::LocalDrops { leg, datagrams }, now, handler);
                }
            }
            if !self.senders.admit(datagram.source) {
                received.foreign_senders += 1;
            } else if datagram.truncated || datagram.bytes.len() > self.longest {
                received.too_long += 1;
            } else {
                received.datagrams += 1;
                received.bytes += datagram.bytes.len() as u64;
                arbiter.on_datagram(self.leg, now, datagram.bytes, handler);
            }
        }
        taken
    }

    /// Whether the last call took everything that had come.
    pub(crate) fn is_drained(&self) -> bool {
        self.receiver.is_drained()
    }

    /// Takes what waits and looks at nothing of it; returns how many datagrams that was. Who sends faster than this is not waited for.
    pub(crate) fn discard(&mut self, received: &mut [LegReceived; 2]) -> u64 {
        let received = &mut received[self.leg.index()];
        let mut discarded = 0;
        for _ in 0..MOST_DISCARDED {
            let Ok(batch) = self.receiver.receive() else {
                received.errors += 1;
                break;
            };
            let mut taken = 0_u64;
            for datagram in batch {
                taken += 1;
                received.kernel_drops += u64::from(datagram.kernel_drops);
            }
            discarded += taken;
            if self.receiver.is_drained() {
                break;
            }
        }
        discarded
    }
}

impl AsFd for LegSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Handler for Nobody {
        fn record(&mut self, _: &twinfeed_protocol::Delivered<'_>) {}
        fn event(&mut self, _: &twinfeed_protocol::Event) {}
    }

    /// A leg's socket that takes what anybody sends, who sends to it, and who is told.
    fn stage() -> (LegSocket, std::net::UdpSocket, Arbiter, [LegReceived; 2]) {
        let settings = crate::testing::socket_settings();
        let local = "127.0.0.1:0".parse().unwrap();
        let mut socket = LegSocket::unicast(SocketKey(0), Leg::Zero, local, &settings).unwrap();
        socket.set_senders(Senders::Anybody);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let arbiter = Arbiter::new(twinfeed_protocol::Limits::default()).unwrap();
        (socket, sender, arbiter, [LegReceived::default(); 2])
    }

    #[test]
    fn a_sender_counts_by_its_address_whatever_its_port() {
        let senders = Senders::of(["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]);
        for (sender, admitted) in [
            ("10.0.0.1:1", true),
            ("10.0.0.1:2", true),
            ("10.0.0.2:1", true),
            ("10.0.0.3:1", false),
            ("[::1]:1", false),
        ] {
            assert_eq!(senders.admit(sender.parse().unwrap()), admitted, "{sender}");
        }
    }

    #[test]
    fn a_socket_has_room_for_a_limit_that_rises_under_way() {
        let (mut socket, sender, mut arbiter, mut received) = stage();
        for (longest, length) in [(1_472, 1_480), (SLOT, SLOT), (SLOT, SLOT + 8)] {
            socket.set_longest(longest);
            sender.send_to(&vec![0; length], socket.local()).unwrap();
            // Loopback: it is there when the call returns.
            socket.receive(&mut arbiter, Time(1), &mut received, &mut Nobody);
        }
        assert_eq!((received[0].datagrams, received[0].too_long), (1, 2));
    }

    #[test]
    fn what_waits_is_taken_at_once_however_few_a_call_takes() {
        let (mut socket, sender, mut arbiter, mut received) = stage();
        // Lengths differ, so that nothing is merged, and a backlog of a hundred is.
        for burst in [1, 1, 8, 1, 40, 100, 20, 1, 14] {
            let mut taken = 0;
            for number in 0..burst {
                let length = 8 + number % 7;
                sender.send_to(&vec![0; length], socket.local()).unwrap();
            }
            // Loopback: it is there when the call returns.
            for turn in 0..=burst / BATCH {
                taken += socket.receive(&mut arbiter, Time(1), &mut received, &mut Nobody);
                let last = turn == burst / BATCH;
                assert_eq!(socket.is_drained(), last, "{taken} of {burst}");
            }
            assert_eq!(taken, burst);
        }
    }

    #[test]
    fn no_address_admits_nobody_and_the_unspecified_one_everybody() {
        let sender = "10.0.0.3:1".parse().unwrap();
        assert_eq!(Senders::of([]), Senders::Nobody);
        assert!(!Senders::Nobody.admit(sender));
        let anybody = Senders::of(["10.0.0.1".parse().unwrap(), "0.0.0.0".parse().unwrap()]);
        assert!(anybody.admit(sender));
    }
}
