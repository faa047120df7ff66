//! Who wants to be linked to us?

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::frame::Framing;
use super::link::{Link, check};
use super::options::LinkOptions;
use crate::Error;

/// A listening socket that makes [`Link`]s; never blocks.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local: SocketAddr,
    options: LinkOptions,
}

impl Listener {
    /// Connections that may wait to be accepted.
    pub const BACKLOG: i32 = 64;

    /// Listens at `local`; port 0 lets the kernel choose. A port that a process of ours left a
    /// moment ago is free at once (`SO_REUSEADDR`); one that somebody listens on is not.
    ///
    /// # Errors
    /// Says which setting is wrong and what helps; see [`Error`].
    pub fn bind(local: SocketAddr, options: LinkOptions) -> Result<Self, Error> {
        check(&options)?;
        let failed = |action| Error::socket(action, local);
        let socket = Socket::new(
            Domain::for_address(local),
            Type::STREAM,
            Some(Protocol::TCP),
        )
        .map_err(failed("open a socket for"))?;
        socket.set_reuse_address(true).map_err(failed("reuse"))?;
        if local.is_ipv6() {
            socket
                .set_only_v6(true)
                .map_err(failed("restrict to IPv6"))?;
        }
        let bound = socket.bind(&SockAddr::from(local));
        bound.map_err(|reason| Error::bind(local, reason))?;
        // Two sockets may bind with SO_REUSEADDR; it is the second `listen` that is refused.
        let listening = socket.listen(Self::BACKLOG);
        listening.map_err(|reason| Error::bind(local, reason))?;
        socket
            .set_nonblocking(true)
            .map_err(failed("set non-blocking"))?;
        let address = socket.local_addr().map_err(failed("read back"))?;
        Ok(Self {
            local: address.as_socket().unwrap_or(local),
            socket,
            options,
        })
    }

    /// The next link, if somebody waits.
    ///
    /// # Errors
    /// What the kernel says about the listening socket (a limit of descriptors, say), or about
    /// the setup of this one connection; listening goes on in both cases.
    pub fn accept<F: Framing>(&self, framing: F) -> Result<Option<Link<F>>, Error> {
        loop {
            let (socket, address) = match self.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    // The one that waited has left again: ask for the next.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => return Err(Error::socket("accept at", self.local)(error)),
                },
            };
            let peer = address.as_socket().unwrap_or(self.local);
            return Link::over(socket, peer, framing, &self.options).map(Some);
        }
    }

    /// The address it listens at, with the port the kernel chose if it was to choose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
