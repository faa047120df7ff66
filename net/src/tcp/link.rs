//! What has the peer said, is it still there, and has it taken what we said?

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::frame::{FrameFault, Framing, Gatherer};
use super::options::LinkOptions;
use crate::Error;

/// One connection that carries whole frames. Bounded in both directions; never blocks after it
/// was made.
#[derive(Debug)]
pub struct Link<F> {
    socket: Socket,
    peer: SocketAddr,
    framing: F,
    gatherer: Gatherer,
    unsent: Unsent,
    /// Set once; nothing is written afterwards.
    closed: Option<Closed>,
    /// Nothing more can be read.
    heard_all: bool,
}

/// What [`Link::receive`] found.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub enum Received<'l> {
    /// One whole frame, header included. There may be more: ask again.
    Frame(&'l [u8]),
    /// Nothing more for now.
    Pending,
    /// The link has ended; it stays so.
    Closed(Closed),
}

/// How far [`Link::flush`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Flushed {
    /// The kernel has all.
    All,
    /// Some waits; wait for [`Interest::or_writable`](crate::wait::Interest::or_writable).
    Pending,
    /// The link has ended; it stays so.
    Closed(Closed),
}

/// What became of a frame that was to be sent at once, or not at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum AtOnce {
    /// The kernel has all of it.
    Sent,
    /// Nothing of it was sent, and nothing will be; the link is as before.
    NotSent,
    /// A part of it was sent, and nothing will be any more: the link has ended.
    Torn,
}

/// Why a link ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// The peer, or the kernel after its death, closed the connection in order.
    EndOfStream {
        /// Whether it ended within a frame.
        amid_frame: bool,
    },
    /// The peer's host reset the connection: its process died with data unread, or is gone.
    Reset,
    /// The host or the way to it gave no answer in time.
    TimedOut,
    /// The peer sent what is no frame.
    Malformed(FrameFault),
    /// Any other error of the socket.
    Failed {
        /// Its error number.
        errno: i32,
    },
}

/// A frame does not fit into what may wait: the peer does not read fast enough.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the link is full: {waiting} bytes wait, the limit is {limit}")]
pub struct LinkFull {
    /// Bytes that wait.
    pub waiting: usize,
    /// The limit, `max_unsent`.
    pub limit: usize,
}

impl<F: Framing> Link<F> {
    /// Connects to `peer`; blocks for at most the options' `connect_timeout`.
    ///
    /// # Errors
    /// [`Error::Connect`], with what helps.
    pub fn connect(peer: SocketAddr, framing: F, options: &LinkOptions) -> Result<Self, Error> {
        check(options)?;
        let failed = |reason| Error::Connect {
            address: peer,
            reason,
        };
        let kind = Domain::for_address(peer);
        let socket = Socket::new(kind, Type::STREAM, Some(Protocol::TCP)).map_err(failed)?;
        if let Some(local) = options.local {
            let local = SocketAddr::new(local, 0);
            socket.bind(&local.into()).map_err(failed)?;
        }
        let address = SockAddr::from(peer);
        socket
            .connect_timeout(&address, options.connect_timeout)
            .map_err(failed)?;
        Self::over(socket, peer, framing, options)
    }

    /// A link over a connected socket.
    pub(super) fn over(
        socket: Socket,
        peer: SocketAddr,
        framing: F,
        options: &LinkOptions,
    ) -> Result<Self, Error> {
        options
            .apply(&socket)
            .map_err(Error::socket("set up the link to", peer))?;
        Ok(Self {
            socket,
            peer,
            framing,
            gatherer: Gatherer::new(options.max_frame),
            unsent: Unsent::new(options.max_unsent),
            closed: None,
            heard_all: false,
        })
    }

    /// The next frame, if a whole one has arrived.
    ///
    /// Frames that arrived before the peer's end come first, also where sending has found that end; call until it is not a frame.
    pub fn receive(&mut self) -> Received<'_> {
        loop {
            match self.gatherer.peek(&self.framing) {
                Ok(Some(length)) => return Received::Frame(self.gatherer.take(length)),
                Ok(None) => {}
                Err(fault) => {
                    self.heard_all = true;
                    return Received::Closed(self.close(Closed::Malformed(fault)));
                }
            }
            if let Some(closed) = self.closed.filter(|_| self.heard_all) {
                return Received::Closed(closed);
            }
            match self.socket.read(self.gatherer.room()) {
                Ok(0) => {
                    let amid_frame = self.gatherer.is_amid();
                    self.close(Closed::EndOfStream { amid_frame });
                    self.heard_all = true;
                }
                Ok(count) => self.gatherer.filled(count),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock if self.closed.is_none() => return Received::Pending,
                    // Sending has failed, and nothing was left to be read.
                    io::ErrorKind::WouldBlock => self.heard_all = true,
                    io::ErrorKind::Interrupted => {}
                    _ => {
                        self.close(Closed::by(&error));
                        self.heard_all = true;
                    }
                },
            }
        }
    }

    /// Queues one whole frame, header included, and sends what the kernel takes at once.
    ///
    /// # Errors
    /// [`LinkFull`]; the link is as before, and no part of the frame was queued.
    pub fn send(&mut self, frame: &[u8]) -> Result<Flushed, LinkFull> {
        self.unsent.push(frame)?;
        Ok(self.flush())
    }

    /// Hands one whole frame to the kernel, header included, behind everything that waits, or does not send it at all.
    pub fn send_at_once(&mut self, frame: &[u8]) -> AtOnce {
        if self.flush() != Flushed::All || self.unsent.push(frame).is_err() {
            return AtOnce::NotSent;
        }
        let flushed = self.flush();
        if flushed == Flushed::All {
            return AtOnce::Sent;
        }
        let whole = self.unsent.bytes().len() == frame.len();
        self.unsent.clear();
        if whole {
            return AtOnce::NotSent;
        }
        self.close(Closed::Failed {
            errno: libc::EAGAIN,
        });
        AtOnce::Torn
    }

    /// Sends what waits, as far as the kernel takes it.
    pub fn flush(&mut self) -> Flushed {
        loop {
            if let Some(closed) = self.closed {
                return Flushed::Closed(closed);
            }
            if self.unsent.is_empty() {
                return Flushed::All;
            }
            let unsent = self.unsent.bytes();
            match self.socket.send_with_flags(unsent, libc::MSG_NOSIGNAL) {
                Ok(count) => self.unsent.sent(count),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Flushed::Pending,
                    io::ErrorKind::Interrupted => {}
                    _ => {
                        self.close(Closed::by(&error));
                    }
                },
            }
        }
    }

    /// Whether bytes wait to be sent: then wait for room as well.
    pub fn wants_to_write(&self) -> bool {
        self.closed.is_none() && !self.unsent.is_empty()
    }

    /// Why the link ended; `None` while it has not, as far as was noticed.
    pub fn closed(&self) -> Option<Closed> {
        self.closed
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The first reason stays.
    fn close(&mut self, reason: Closed) -> Closed {
        *self.closed.get_or_insert(reason)
    }
}

impl<F> AsFd for Link<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Closed {
    /// Whether the peer's end closed the connection, in order or not: its process is gone or has
    /// given up the link, and that is certain.
    pub fn is_by_peer(self) -> bool {
        matches!(self, Self::EndOfStream { .. } | Self::Reset)
    }

    fn by(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted => Self::Reset,
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Self::TimedOut,
            _ => Self::Failed {
                errno: error.raw_os_error().unwrap_or(0),
            },
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfStream { amid_frame: false } => f.write_str("the peer closed the link"),
            Self::EndOfStream { amid_frame: true } => {
                f.write_str("the peer closed the link within a frame")
            }
            Self::Reset => f.write_str("the link was reset by the peer's host"),
            Self::TimedOut => f.write_str("the peer's host gave no answer in time"),
            Self::Malformed(fault) => fault.fmt(f),
            Self::Failed { errno } => {
                write!(
                    f,
                    "the link failed: {}",
                    io::Error::from_raw_os_error(*errno)
                )
            }
        }
    }
}

/// Refuses limits that cannot hold one frame.
pub(super) fn check(options: &LinkOptions) -> Result<(), Error> {
    Error::bounds("max_frame", options.max_frame, 8, MAX_BYTES)?;
    Error::bounds(
        "max_unsent",
        options.max_unsent,
        options.max_frame,
        MAX_BYTES,
    )
}

/// Most that either limit of a link can be set to, bytes.
const MAX_BYTES: usize = 1 << 30;

/// Bytes that wait for the kernel.
#[derive(Debug)]
struct Unsent {
    bytes: Vec<u8>,
    start: usize,
    limit: usize,
}

impl Unsent {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            limit,
        }
    }

    fn push(&mut self, frame: &[u8]) -> Result<(), LinkFull> {
        let (waiting, limit) = (self.bytes.len() - self.start, self.limit);
        if frame.len() > limit - waiting {
            return Err(LinkFull { waiting, limit });
        }
        // Moved only when the gap in front is at least what is moved: linear over a link's life.
        if self.start >= waiting {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(frame);
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn sent(&mut self, count: usize) {
        self.start += count;
    }

    fn clear(&mut self) {
        self.start = self.bytes.len();
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}
