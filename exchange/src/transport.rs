//! How does a packet reach the destinations of its line?
//!
//! [`Transport`] is all the driver asks for; [`UdpTransport`] is the real one:
//! one socket per line, unicast to each destination or multicast to one group. A
//! destination may be cut off and restored while packets flow, as a cable would
//! be.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use serde::Serialize;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::command::Target;
use crate::config::LineConfig;
use crate::line::LineId;

/// Send buffer asked of the kernel, in bytes: enough for a burst.
const SEND_BUFFER: usize = 4 << 20;

/// Carries packets away.
pub trait Transport {
    /// Sends a packet to every destination of the line that is not cut.
    fn send(&mut self, line: LineId, packet: &[u8]);

    /// Cuts a destination off, or restores it; false if no line has it.
    fn set_cut(&mut self, target: Target, cut: bool) -> bool;

    /// What has been sent so far.
    fn counters(&self) -> TransportCounters;
}

/// What a transport has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TransportCounters {
    /// Datagrams given to the kernel.
    pub datagrams: u64,
    /// Bytes of payload in them.
    pub bytes: u64,
    /// Datagrams not sent because their destination was cut off.
    pub cut: u64,
    /// Datagrams the kernel refused.
    pub refused: u64,
}

/// Why the sockets of a line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No destination for either line.
    #[error(
        "no destination: give `line_a.destinations` or `line_b.destinations`, for example \
         [\"127.0.0.1:15000\"]"
    )]
    NoDestination,
    /// The socket of a line could not be made or set up.
    #[error(
        "line {line}: cannot send through {interface}: {source}; name an interface of this host"
    )]
    Socket {
        /// The line.
        line: LineId,
        /// The interface address in use.
        interface: Ipv4Addr,
        /// What the system said.
        source: io::Error,
    },
}

/// UDP sockets for both lines.
#[derive(Debug)]
pub struct UdpTransport {
    lines: [Outlet; 2],
    counters: TransportCounters,
}

#[derive(Debug)]
struct Outlet {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    destinations: Vec<Destination>,
}

#[derive(Clone, Copy, Debug)]
struct Destination {
    address: SocketAddr,
    cut: bool,
}

impl UdpTransport {
    /// Sockets for the destinations of both lines.
    pub fn open(a: &LineConfig, b: &LineConfig) -> Result<Self, TransportError> {
        if a.destinations.is_empty() && b.destinations.is_empty() {
            return Err(TransportError::NoDestination);
        }
        let outlet = |line, config: &LineConfig| {
            Outlet::open(config).map_err(|source| TransportError::Socket {
                line,
                interface: config.interface,
                source,
            })
        };
        let lines = [outlet(LineId::A, a)?, outlet(LineId::B, b)?];
        Ok(Self {
            lines,
            counters: TransportCounters::default(),
        })
    }
}

impl Transport for UdpTransport {
    fn send(&mut self, line: LineId, packet: &[u8]) {
        let outlet = &self.lines[line.index()];
        for destination in &outlet.destinations {
            if destination.cut {
                self.counters.cut += 1;
                continue;
            }
            match outlet.send_to(packet, destination.address) {
                Ok(_) => {
                    self.counters.datagrams += 1;
                    self.counters.bytes += packet.len() as u64;
                }
                // A destination that does not exist must not hold up the others.
                Err(_) => self.counters.refused += 1,
            }
        }
    }

    fn set_cut(&mut self, target: Target, cut: bool) -> bool {
        let mut found = false;
        for (line, outlet) in LineId::ALL.into_iter().zip(&mut self.lines) {
            let destination = outlet.destinations.get_mut(target.destination);
            if let Some(destination) = destination.filter(|_| target.covers(line)) {
                destination.cut = cut;
                found = true;
            }
        }
        found
    }

    fn counters(&self) -> TransportCounters {
        self.counters
    }
}

impl Outlet {
    fn open(config: &LineConfig) -> io::Result<Self> {
        let any = |v6| config.destinations.iter().any(|to| to.is_ipv6() == v6);
        let destinations = config.destinations.iter().map(|&address| Destination {
            address,
            cut: false,
        });
        Ok(Self {
            v4: any(false).then(|| socket_v4(config)).transpose()?,
            v6: any(true).then(socket_v6).transpose()?,
            destinations: destinations.collect(),
        })
    }

    fn send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<usize> {
        let socket = if to.is_ipv6() { &self.v6 } else { &self.v4 };
        socket
            .as_ref()
            .map_or(Err(io::ErrorKind::NotConnected.into()), |it| {
                it.send_to(packet, to)
            })
    }
}

/// A blocking socket: a full send buffer delays the exchange and loses nothing.
fn socket_v4(config: &LineConfig) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    if config.destinations.iter().any(|to| to.ip().is_multicast()) {
        socket.set_multicast_if_v4(&config.interface)?;
        socket.set_multicast_ttl_v4(config.ttl)?;
        socket.set_multicast_loop_v4(true)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::from((
        Ipv4Addr::UNSPECIFIED,
        0,
    ))))?;
    Ok(socket.into())
}

fn socket_v6() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(socket.into())
}
