//! How does a datagram reach the only one who wants it at the least price?
//!
//! A socket that is connected knows its route: no look-up for each datagram, and a plain send(2). It can serve one destination
//! only, so a list with a single one has a socket of its own beside the sender's, at the same address and port:
//!
//! ```text
//!  one destination     connected socket ──► A
//!  two and more        the sender's socket ──► A, B      in one call
//! ```
//!
//! What arrives for that port from there would arrive at the connected socket, so a sender that shares its socket with a receiver has none
//! ([`SenderConfig::connect`](super::SenderConfig::connect)). Groups have none: the kernel looks the route to a group up each time.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};

use socket2::{SockAddr, Socket};

use super::config::SenderConfig;
use super::receiver::socket;
use super::sender::{set_buffer, set_path};
use crate::Error;

/// A list's socket for its only destination.
#[derive(Debug, Default)]
pub(super) enum Lone {
    /// Nobody has asked for it yet.
    #[default]
    Untried,
    /// It cannot be had, or did not work.
    Without,
    /// Connected.
    Connected(Socket),
}

impl Clone for Lone {
    /// A copy of a list has a socket of its own.
    fn clone(&self) -> Self {
        Self::Untried
    }
}

impl Lone {
    /// The socket, if there is one.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Connected(socket) => Some(socket.as_fd()),
            Self::Untried | Self::Without => None,
        }
    }

    /// Opens it beside `main`, which is bound to `local`, unless that was tried.
    pub(super) fn try_once(
        &mut self,
        main: &Socket,
        local: SocketAddr,
        config: &SenderConfig,
        to: SocketAddr,
    ) {
        if matches!(self, Self::Untried) {
            let opened = match config.connect && !to.ip().is_multicast() && !is_broadcast(to.ip()) {
                true => open(main, local, config, to).ok(),
                false => None,
            };
            *self = opened.map_or(Self::Without, Self::Connected);
        }
    }

    /// Gives it up after an error that another socket might not have: an address that has left this host, for instance.
    pub(super) fn failed(&mut self, errno: i32) {
        let usual = [
            libc::EAGAIN,
            libc::ENOBUFS,
            libc::EMSGSIZE,
            libc::ECONNREFUSED,
            libc::EHOSTUNREACH,
            libc::ENETUNREACH,
            libc::EHOSTDOWN,
            libc::ENETDOWN,
        ];
        if !usual.contains(&errno) {
            *self = Self::Without;
        }
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

fn open(
    main: &Socket,
    local: SocketAddr,
    config: &SenderConfig,
    to: SocketAddr,
) -> Result<Socket, Error> {
    let failed = |action| Error::socket(action, local);
    let lone = socket(local)?;
    // As the sender's own is.
    let _ = set_buffer(&lone, config)?;
    set_path(&lone, local)?;
    // Both have to allow it at the moment at which the second is bound; before and after, the port is the sender's alone.
    main.set_reuse_port(true).map_err(failed("share"))?;
    let bound = lone
        .set_reuse_port(true)
        .and_then(|()| lone.bind(&SockAddr::from(local)));
    main.set_reuse_port(false).map_err(failed("share"))?;
    bound.map_err(failed("bind"))?;
    lone.set_reuse_port(false).map_err(failed("share"))?;
    lone.connect(&SockAddr::from(to))
        .map_err(failed("connect"))?;
    Ok(lone)
}
