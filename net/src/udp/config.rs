//! What does a caller decide about a UDP socket?
//!
//! Values only; they are checked when the socket is opened, and refused whole.

use std::net::{IpAddr, SocketAddr};

use super::merging::Merging;
use crate::interface::Selector;

/// Which receive time a [`Datagram`](super::Datagram) carries.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Timestamps {
    /// None.
    Off,
    /// One reading of the host's time of day after each receive call, shared by the batch. Costs
    /// a reading of the clock; includes the time the datagram waited for the thread.
    User,
    /// The kernel's, taken when the packet left the driver.
    #[default]
    Kernel,
    /// The network card's where it gives one, else the kernel's; each datagram says which. The
    /// card must have been told to stamp (`hwstamp_ctl -i eth0 -r 1`), and its clock is only as
    /// right as what disciplines it.
    Hardware,
}

/// How to open a [`Receiver`](super::Receiver).
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    pub(super) address: SocketAddr,
    /// Where to join; `None` is unicast.
    pub(super) interface: Option<Selector>,
    pub(super) source: Option<IpAddr>,
    pub(super) receive_buffer: Option<usize>,
    pub(super) batch: usize,
    pub(super) slot: usize,
    pub(super) timestamps: Timestamps,
    pub(super) merging: Merging,
    pub(super) busy_poll_us: u32,
}

impl ReceiverConfig {
    /// Datagrams per call unless set.
    pub const DEFAULT_BATCH: usize = 64;
    /// Most datagrams per call (`UIO_MAXIOV` of the kernel).
    pub const MAX_BATCH: usize = 1_024;
    /// Bytes per slot unless set: an Ethernet MTU and some.
    pub const DEFAULT_SLOT: usize = 2_048;
    /// Most bytes per slot: no UDP datagram is longer.
    pub const MAX_SLOT: usize = 65_536;
    /// Most bytes of receive buffer that can be asked for.
    pub const MAX_BUFFER: usize = 1 << 30;

    /// Receives what is sent to `local`; port 0 lets the kernel choose.
    pub fn unicast(local: SocketAddr) -> Self {
        Self {
            address: local,
            interface: None,
            source: None,
            receive_buffer: None,
            batch: Self::DEFAULT_BATCH,
            slot: Self::DEFAULT_SLOT,
            timestamps: Timestamps::default(),
            merging: Merging::NEVER,
            busy_poll_us: 0,
        }
    }

    /// Receives `group` (address and port) as it arrives on `interface`, from any source.
    pub fn multicast(group: SocketAddr, interface: Selector) -> Self {
        Self {
            interface: Some(interface),
            ..Self::unicast(group)
        }
    }

    /// Narrows a multicast receiver to one source (source-specific multicast, RFC 4607);
    /// refused with unicast.
    #[must_use]
    pub fn from_source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Bytes of kernel buffer to ask for. What was granted is in
    /// [`Receiver::buffer`](super::Receiver::buffer).
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Most datagrams per call, 1 to [`Self::MAX_BATCH`].
    #[must_use]
    pub fn batch(mut self, datagrams: usize) -> Self {
        self.batch = datagrams;
        self
    }

    /// Bytes per slot, 8 to [`Self::MAX_SLOT`], rounded up to a multiple of 8. Longer datagrams
    /// are cut and marked.
    #[must_use]
    pub fn slot(mut self, bytes: usize) -> Self {
        self.slot = bytes;
        self
    }

    /// Which receive times to ask for.
    #[must_use]
    pub fn timestamps(mut self, timestamps: Timestamps) -> Self {
        self.timestamps = timestamps;
        self
    }

    /// Lets the kernel merge datagrams of one sender and length, and splits them again
    /// (`UDP_GRO`, udp(7)). Slots grow to [`Self::MAX_SLOT`]. Split datagrams share one receive
    /// time, and are eight-byte aligned only if their length is a multiple of eight.
    #[must_use]
    pub fn merge(mut self, merge: bool) -> Self {
        self.merging = if merge {
            Merging::ALWAYS
        } else {
            Merging::NEVER
        };
        self
    }

    /// Lets the kernel merge them while there is a backlog, and only then: a datagram that comes alone is cheaper if none is merged. Where the kernel does
    /// not know how (before Linux 5.0), nothing is merged. There are few slots of [`Self::MAX_SLOT`] beside the others.
    #[must_use]
    pub fn merge_under_load(mut self) -> Self {
        self.merging = Merging::UNDER_LOAD;
        self
    }

    /// Microseconds the kernel polls the card before an empty receive returns (`SO_BUSY_POLL`,
    /// socket(7)); 0 is off. Above `net.core.busy_read` it takes CAP_NET_ADMIN.
    #[must_use]
    pub fn busy_poll_us(mut self, us: u32) -> Self {
        self.busy_poll_us = us;
        self
    }
}

/// How to open a [`Sender`](super::Sender).
#[derive(Clone, Debug)]
pub struct SenderConfig {
    pub(super) local: SocketAddr,
    pub(super) interface: Option<Selector>,
    pub(super) hops: u8,
    pub(super) loop_back: bool,
    pub(super) send_buffer: Option<usize>,
    pub(super) batch: usize,
    pub(super) segment: bool,
    pub(super) connect: bool,
}

impl SenderConfig {
    /// Datagrams, and messages to the kernel, per call unless set.
    pub const DEFAULT_BATCH: usize = 256;
    /// Most of them per call (`UIO_MAXIOV` of the kernel).
    pub const MAX_BATCH: usize = 1_024;
    /// Send buffer to ask for unless set, bytes. An unresolved neighbour may hold about 208 KiB
    /// of it (`net.ipv4.neigh.default.unres_qlen_bytes`); the rest must be enough for the others.
    pub const DEFAULT_SEND_BUFFER: usize = 4 << 20;
    /// Hops of multicast unless set: the local network only.
    pub const DEFAULT_HOPS: u8 = 1;

    /// Sends from `local`; port 0 lets the kernel choose, and an unspecified address lets its
    /// routes choose.
    pub fn new(local: SocketAddr) -> Self {
        Self {
            local,
            interface: None,
            hops: Self::DEFAULT_HOPS,
            loop_back: true,
            send_buffer: Some(Self::DEFAULT_SEND_BUFFER),
            batch: Self::DEFAULT_BATCH,
            segment: true,
            connect: false,
        }
    }

    /// Multicast leaves through `interface`; without this the routes decide.
    #[must_use]
    pub fn interface(mut self, interface: Selector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// How many routers multicast may pass, plus one (TTL, hop limit); 0 stays on the host.
    #[must_use]
    pub fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// Whether this host's own receivers get the multicast too.
    #[must_use]
    pub fn loop_back(mut self, loop_back: bool) -> Self {
        self.loop_back = loop_back;
        self
    }

    /// Bytes of kernel buffer to ask for; `None` keeps the host's default.
    #[must_use]
    pub fn send_buffer(mut self, bytes: Option<usize>) -> Self {
        self.send_buffer = bytes;
        self
    }

    /// Most datagrams, and most messages to the kernel, per call: 1 to [`Self::MAX_BATCH`].
    #[must_use]
    pub fn batch(mut self, datagrams: usize) -> Self {
        self.batch = datagrams;
        self
    }

    /// Whether runs of datagrams of one length go to the kernel as one message to be cut there
    /// (`UDP_SEGMENT`, udp(7)). A path that refuses this turns it off by itself.
    #[must_use]
    pub fn segment(mut self, segment: bool) -> Self {
        self.segment = segment;
        self
    }

    /// Whether a list with a single destination, which is no group, has a connected socket of its own at the same address and port: it saves
    /// the look-up of the route for each datagram. Nothing can be received on a port from which this is done, so
    /// [`Receiver::sharing`](super::Receiver::sharing) refuses such a sender.
    #[must_use]
    pub fn connect(mut self, connect: bool) -> Self {
        self.connect = connect;
        self
    }
}
