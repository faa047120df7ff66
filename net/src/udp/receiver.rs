//! How is a socket set up so that it receives exactly what was asked for, and says what it got?
//!
//! A multicast socket is bound to its group and takes only the memberships it made itself
//! (`IP_MULTICAST_ALL` = 0): on Linux a socket otherwise gets every group that *any* process of
//! the host has joined on that port. Options that mark datagrams (times, drop counts) are set
//! before the bind, so that the first datagram already has them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::batch::{Batch, BatchState, ReceiverCounters};
use super::buffer::{BufferReport, Direction};
use super::config::{ReceiverConfig, Timestamps};
use super::merging::{Merging, Switch};
use super::pace::Pace;
use super::refusing;
use super::sender::Sender;
use crate::Error;
use crate::clock::monotonic_ns;
use crate::interface::{self, Interface};
use crate::sys::option;
use crate::sys::receive::ReceiveBatch;
use crate::sys::time;
use crate::wait::{Interest, wait};

/// One receiving socket with its preallocated batch.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    batch: ReceiveBatch,
    /// For messages that the kernel has merged, where it may.
    merged: Option<ReceiveBatch>,
    merging: Merging,
    pace: Pace,
    state: BatchState,
    local: SocketAddr,
    buffer: BufferReport,
    user_times: bool,
}

impl Receiver {
    /// Opens the socket, and joins its group if it is one.
    ///
    /// # Errors
    /// Says which setting is wrong and what helps; see [`Error`].
    pub fn open(config: &ReceiverConfig) -> Result<Self, Error> {
        check(config)?;
        let interface = join_interface(config)?;
        let address = match &interface {
            Some(interface) => interface::scoped(config.address, interface),
            None => config.address,
        };
        let socket = socket(address)?;
        let buffer = set_buffer(&socket, config)?;
        set_marks(&socket, config)?;
        if interface.is_some() {
            share_port(&socket, address)?;
        }
        socket
            .bind(&SockAddr::from(address))
            .map_err(|reason| Error::bind(address, reason))?;
        if let Some(interface) = &interface {
            join(&socket, address, interface, config.source)?;
        }
        let merged = config.merging.may_be_on().then(|| {
            let messages = config.batch.min(MERGED_MESSAGES);
            ReceiveBatch::new(messages, ReceiverConfig::MAX_SLOT)
        });
        Ok(Self {
            local: bound_address(&socket, address)?,
            batch: ReceiveBatch::new(config.batch, config.slot.next_multiple_of(8)),
            merged,
            merging: config.merging,
            pace: pace(config, buffer),
            state: BatchState::default(),
            buffer,
            user_times: config.timestamps == Timestamps::User,
            socket,
        })
    }

    /// Receives on the socket of `sender`: answers leave from where requests arrive. `batch` datagrams per call, in
    /// slots of `slot` bytes; no times.
    ///
    /// # Errors
    /// If a number is out of bounds, or the socket cannot be shared.
    pub fn sharing(sender: &Sender, batch: usize, slot: usize) -> Result<Self, Error> {
        let local = sender.local_addr();
        let config = ReceiverConfig::unicast(local).batch(batch).slot(slot);
        check(&config)?;
        let socket = sender.shared_socket()?;
        let doubled = socket.recv_buffer_size();
        let doubled = doubled.map_err(Error::socket("read SO_RCVBUF of", local))?;
        Ok(Self {
            local,
            batch: ReceiveBatch::new(batch, slot.next_multiple_of(8)),
            merged: None,
            merging: Merging::NEVER,
            pace: Pace::new(doubled / 2, slot),
            state: BatchState::default(),
            buffer: BufferReport {
                direction: Direction::Receive,
                requested: None,
                granted: doubled / 2,
            },
            user_times: false,
            socket,
        })
    }

    /// Sends one datagram from this socket, without waiting: a receiver that asks for something.
    ///
    /// # Errors
    /// What sendto(2) says; nothing was sent then.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(bytes, &SockAddr::from(to)).map(|_| ())
    }

    /// Takes what has arrived, without waiting; an empty batch if nothing has. There may be more than what came: see
    /// [`Self::is_drained`].
    ///
    /// # Errors
    /// What recvmmsg(2) or recvfrom(2) says about the socket itself; never about a datagram's content.
    pub fn receive(&mut self) -> io::Result<Batch<'_>> {
        let socket = self.socket.as_fd();
        let messages = match &mut self.merged {
            Some(merged) if self.merging.is_on() => merged,
            _ => &mut self.batch,
        };
        let count = if !self.merging.is_on() && self.pace.alone() {
            let count = messages.receive_one(socket)?;
            self.pace.took_one(count);
            count
        } else {
            let count = messages.receive(socket)?;
            self.pace.took_batch(count, messages.capacity());
            count
        };
        if self.merging.is_on() {
            // Few of them fill a buffer.
            self.pace.doubt();
        }
        if let Some(to) = self.merging.took(count, self.pace.is_empty(), monotonic_ns) {
            let on = switch(socket, to);
            self.merging.switched(to, on);
        }
        self.state.counters.calls += 1;
        self.state.counters.empty_calls += u64::from(count == 0);
        Ok(Batch {
            user_ns: (self.user_times && count > 0).then(time::realtime_ns),
            messages,
            state: &mut self.state,
            count,
            next: 0,
            merged: None,
        })
    }

    /// Whether the last call took everything that had arrived. From a socket that was empty one datagram is taken alone, and what is
    /// behind it by the next call.
    pub fn is_drained(&self) -> bool {
        self.pace.is_empty()
    }

    /// Lets the kernel drop, from now on, datagrams that have `bytes` at `at` of their payload, and those that end before; what has
    /// arrived stays. They count as dropped. One set of bytes at a time: another one takes its place.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn refuse(&self, at: u32, bytes: [u8; 8]) -> io::Result<()> {
        refusing::refuse(&self.socket, at, bytes)
    }

    /// Takes that back.
    ///
    /// # Errors
    /// What the kernel says: `NotFound`, if nothing was refused.
    pub fn refuse_nothing(&self) -> io::Result<()> {
        refusing::refuse_nothing(&self.socket)
    }

    /// The address it is bound to, with the port the kernel chose if it was to choose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The receive buffer as asked for and as granted.
    pub fn buffer(&self) -> BufferReport {
        self.buffer
    }

    /// What was counted so far.
    pub fn counters(&self) -> ReceiverCounters {
        self.state.counters
    }

    /// Datagrams the kernel has dropped at this socket until now, wrapping. One system call: for
    /// a status page, or to learn of drops after which nothing arrived. The receive path learns
    /// of them from [`Datagram::kernel_drops`](super::Datagram::kernel_drops).
    ///
    /// # Errors
    /// What getsockopt(2) says; kernels before 4.12 do not know `SO_MEMINFO`.
    pub fn kernel_drops_now(&self) -> io::Result<u32> {
        option::drops(self.socket.as_fd())
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn check(config: &ReceiverConfig) -> Result<(), Error> {
    Error::bounds("batch", config.batch, 1, ReceiverConfig::MAX_BATCH)?;
    Error::bounds("slot", config.slot, 8, ReceiverConfig::MAX_SLOT)?;
    if let Some(bytes) = config.receive_buffer {
        Error::bounds("receive_buffer", bytes, 1, ReceiverConfig::MAX_BUFFER)?;
    }
    let address = config.address;
    match (
        &config.interface,
        address.ip().is_multicast(),
        config.source,
    ) {
        (None, true, _) => Err(Error::GroupWithoutInterface { address }),
        (None, false, Some(source_address)) => Err(Error::SourceWithoutGroup {
            address,
            source_address,
        }),
        (Some(_), false, _) => Err(Error::GroupNotMulticast { address }),
        (Some(_), true, Some(other)) if other.is_ipv4() != address.is_ipv4() => {
            let one = address.ip();
            Err(Error::FamilyMismatch { one, other })
        }
        (None, false, None) | (Some(_), true, _) => Ok(()),
    }
}

/// Slots for merged messages: each holds as much as a train of datagrams can, so that few calls are needed, and few bytes of cache.
const MERGED_MESSAGES: usize = 8;

/// Lets the kernel merge, or no more, and answers whether it does. Off it stays only if nothing has come since the socket was seen empty, for what was merged would not be split then.
fn switch(socket: BorrowedFd<'_>, to: Switch) -> bool {
    let set = |on| option::set_int(socket, libc::SOL_UDP, libc::UDP_GRO, on).is_ok();
    match to {
        Switch::On => set(1),
        Switch::Off => !set(0) || has_arrived(socket) && set(1),
    }
}

fn has_arrived(socket: BorrowedFd<'_>) -> bool {
    let waits = wait([Interest::readable(socket)], Some(Duration::ZERO));
    waits.map_or(true, |ready| !ready.is_empty())
}

/// Times and merged datagrams are told by the kernel with each message.
fn pace(config: &ReceiverConfig, buffer: BufferReport) -> Pace {
    match config.timestamps {
        Timestamps::Off | Timestamps::User if config.merging != Merging::ALWAYS => {
            Pace::new(buffer.granted, config.slot)
        }
        _ => Pace::batches(),
    }
}

fn join_interface(config: &ReceiverConfig) -> Result<Option<Interface>, Error> {
    let selector = config.interface.as_ref();
    selector.map(Interface::find_for_multicast).transpose()
}

/// An unbound, non-blocking socket of the address's family alone.
pub(super) fn socket(address: SocketAddr) -> Result<Socket, Error> {
    let failed = |action| Error::socket(action, address);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .map_err(failed("open a socket for"))?;
    socket
        .set_nonblocking(true)
        .map_err(failed("set non-blocking"))?;
    if address.is_ipv6() {
        socket
            .set_only_v6(true)
            .map_err(failed("restrict to IPv6"))?;
    }
    Ok(socket)
}

pub(super) fn bound_address(socket: &Socket, address: SocketAddr) -> Result<SocketAddr, Error> {
    let local = socket
        .local_addr()
        .map_err(Error::socket("read back", address))?;
    Ok(local.as_socket().unwrap_or(address))
}

fn set_buffer(socket: &Socket, config: &ReceiverConfig) -> Result<BufferReport, Error> {
    let address = config.address;
    if let Some(bytes) = config.receive_buffer {
        let set = socket.set_recv_buffer_size(bytes);
        set.map_err(Error::option("SO_RCVBUF", address, "ask for less"))?;
    }
    let doubled = socket.recv_buffer_size();
    let doubled = doubled.map_err(Error::socket("read SO_RCVBUF of", address))?;
    Ok(BufferReport {
        direction: Direction::Receive,
        requested: config.receive_buffer,
        granted: doubled / 2,
    })
}

/// Asks for everything the kernel is to say beside each datagram.
fn set_marks(socket: &Socket, config: &ReceiverConfig) -> Result<(), Error> {
    let set = |level, number, value, name, remedy| {
        option::set_int(socket.as_fd(), level, number, value).map_err(Error::option(
            name,
            config.address,
            remedy,
        ))
    };
    let old_kernel = "it takes a newer kernel";
    set(
        libc::SOL_SOCKET,
        libc::SO_RXQ_OVFL,
        1,
        "SO_RXQ_OVFL",
        old_kernel,
    )?;
    match config.timestamps {
        Timestamps::Off | Timestamps::User => {}
        Timestamps::Kernel => {
            let name = "SO_TIMESTAMPNS";
            set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1, name, old_kernel)?;
        }
        Timestamps::Hardware => {
            let (name, remedy) = ("SO_TIMESTAMPING", "use kernel time stamps");
            set(
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                HARDWARE_TIMES,
                name,
                remedy,
            )?;
        }
    }
    if config.merging == Merging::ALWAYS {
        let remedy = "it takes Linux 5.0; leave `merge` off";
        set(libc::SOL_UDP, libc::UDP_GRO, 1, "UDP_GRO", remedy)?;
    }
    if config.busy_poll_us > 0 {
        let us = libc::c_int::try_from(config.busy_poll_us).unwrap_or(libc::c_int::MAX);
        let remedy = "grant CAP_NET_ADMIN, or raise net.core.busy_read to that many µs";
        set(
            libc::SOL_SOCKET,
            libc::SO_BUSY_POLL,
            us,
            "SO_BUSY_POLL",
            remedy,
        )?;
    }
    Ok(())
}

/// Both of card and kernel, generated and reported: each datagram then tells which it has.
const HARDWARE_TIMES: libc::c_int = (libc::SOF_TIMESTAMPING_RX_HARDWARE
    | libc::SOF_TIMESTAMPING_RAW_HARDWARE
    | libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_SOFTWARE) as libc::c_int;

/// Lets several sockets of the host receive one group, whichever of the two options others use;
/// each gets every datagram. Never for unicast, where a second socket would steal.
fn share_port(socket: &Socket, address: SocketAddr) -> Result<(), Error> {
    let failed = |action| Error::socket(action, address);
    socket.set_reuse_address(true).map_err(failed("share"))?;
    socket.set_reuse_port(true).map_err(failed("share"))?;
    let (level, option, name) = if address.is_ipv4() {
        (libc::SOL_IP, libc::IP_MULTICAST_ALL, "IP_MULTICAST_ALL")
    } else {
        (
            libc::SOL_IPV6,
            libc::IPV6_MULTICAST_ALL,
            "IPV6_MULTICAST_ALL",
        )
    };
    option::set_int(socket.as_fd(), level, option, 0).map_err(Error::option(
        name,
        address,
        "it takes Linux 4.20",
    ))
}

fn join(
    socket: &Socket,
    address: SocketAddr,
    interface: &Interface,
    source: Option<IpAddr>,
) -> Result<(), Error> {
    let group = address.ip();
    option::join(socket.as_fd(), interface.index, group, source).map_err(|reason| Error::Join {
        group,
        interface: interface.name.clone(),
        reason,
    })
}
