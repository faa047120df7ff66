//! What can go wrong while sockets are set up, who is to blame, and what helps?
//!
//! Errors of this kind happen at start or on a control path, so they carry text. On the data path
//! nothing here is built: a receive gives `io::Error` from an error number, and a destination
//! that fails is a counter.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::interface::Selector;

/// Why a socket could not be set up as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another socket holds the port.
    #[error(
        "cannot bind {address}: the port is in use; choose another port, or find its holder with \
         `ss -anp 'sport = :{port}'`",
        port = address.port()
    )]
    PortInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this host carries the address.
    #[error(
        "cannot bind {address}: no interface of this host has the address {ip}; this host has {known}",
        ip = address.ip()
    )]
    AddressNotLocal {
        /// The address asked for.
        address: SocketAddr,
        /// The addresses there are.
        known: String,
    },
    /// A port below the unprivileged range.
    #[error(
        "cannot bind {address}: the port is reserved; choose one of 1024 and above, or grant \
         CAP_NET_BIND_SERVICE"
    )]
    PortReserved {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface matches the selector.
    #[error("unknown interface `{selector}`; this host has {known}")]
    InterfaceUnknown {
        /// What was asked for.
        selector: Selector,
        /// The interfaces there are, with their addresses.
        known: String,
    },
    /// The interface exists and is down.
    #[error("interface {name} is down; bring it up with `ip link set dev {name} up`")]
    InterfaceDown {
        /// Its name.
        name: String,
    },
    /// The interface exists and does not carry multicast.
    #[error(
        "interface {name} does not carry multicast (its flag MULTICAST is absent); set it with \
         `ip link set dev {name} multicast on`, or use one of: {capable}"
    )]
    InterfaceWithoutMulticast {
        /// Its name.
        name: String,
        /// Interfaces that do.
        capable: String,
    },
    /// A group was asked for and the address is not one.
    #[error(
        "{address} is not a multicast group; groups are 224.0.0.0/4 and ff00::/8 (drop the \
         interface to receive unicast)"
    )]
    GroupNotMulticast {
        /// The address given as group.
        address: SocketAddr,
    },
    /// A group was given where one host's address belongs.
    #[error("{address} is a multicast group; name the interface to join it on")]
    GroupWithoutInterface {
        /// The address given.
        address: SocketAddr,
    },
    /// A source was given for a unicast address.
    #[error(
        "{address} is not a multicast group, so its receiver cannot be narrowed to the source \
         {source_address}; drop the source, or name a group and an interface"
    )]
    SourceWithoutGroup {
        /// The address given.
        address: SocketAddr,
        /// The source given.
        source_address: IpAddr,
    },
    /// Two addresses of different families in one socket.
    #[error("{one} and {other} are of different families; a socket is IPv4 or IPv6")]
    FamilyMismatch {
        /// The address that fixed the family.
        one: IpAddr,
        /// The address that does not fit.
        other: IpAddr,
    },
    /// The kernel did not let the socket join.
    #[error("cannot join {group} on interface {interface}: {reason}{remedy}", remedy = join_remedy(reason))]
    Join {
        /// The group.
        group: IpAddr,
        /// The interface's name.
        interface: String,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A configured number lies outside its bounds.
    #[error("{name} = {value} is out of bounds; allowed: {min} to {max}")]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        value: u64,
        /// Smallest allowed value.
        min: u64,
        /// Largest allowed value.
        max: u64,
    },
    /// A configured number has to be a power of two.
    #[error("{name} = {value} is not a power of two")]
    NotAPowerOfTwo {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        value: u64,
    },
    /// The kernel refused a socket option.
    #[error("cannot set {option} on {address}: {reason}; {remedy}")]
    OptionRefused {
        /// The option's name in the manual pages.
        option: &'static str,
        /// The socket it was for.
        address: SocketAddr,
        /// What helps.
        remedy: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A connection could not be made.
    #[error("cannot connect to {address}: {reason}{remedy}", remedy = connect_remedy(reason))]
    Connect {
        /// The peer.
        address: SocketAddr,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// Anything else the kernel said.
    #[error("cannot {action} {address}: {reason}")]
    Socket {
        /// What was being done.
        action: &'static str,
        /// The socket it was for.
        address: SocketAddr,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The interface list could not be read.
    #[error("cannot list the interfaces of this host: {reason}")]
    Interfaces {
        /// The kernel's answer.
        reason: io::Error,
    },
}

impl Error {
    /// Names the cause of a failed bind.
    pub(crate) fn bind(address: SocketAddr, reason: io::Error) -> Self {
        match reason.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { address },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotLocal {
                address,
                known: crate::interface::describe_addresses(),
            },
            io::ErrorKind::PermissionDenied => Self::PortReserved { address },
            _ => Self::socket("bind", address)(reason),
        }
    }

    /// For `map_err` of the calls that fail only in extraordinary ways.
    pub(crate) fn socket(
        action: &'static str,
        address: SocketAddr,
    ) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Socket {
            action,
            address,
            reason,
        }
    }

    /// For `map_err` of a socket option.
    pub(crate) fn option(
        option: &'static str,
        address: SocketAddr,
        remedy: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::OptionRefused {
            option,
            address,
            remedy,
            reason,
        }
    }

    /// Refuses a number outside `min..=max`.
    pub(crate) fn bounds(
        name: &'static str,
        value: usize,
        min: usize,
        max: usize,
    ) -> Result<(), Self> {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(Self::OutOfBounds {
            name,
            value: value as u64,
            min: min as u64,
            max: max as u64,
        })
    }
}

fn join_remedy(reason: &io::Error) -> &'static str {
    match reason.raw_os_error() {
        Some(libc::ENOBUFS) => {
            "; the host's limit of memberships or sources is reached: raise \
             net.ipv4.igmp_max_memberships and net.ipv4.igmp_max_msf"
        }
        Some(libc::EADDRINUSE) => "; this socket has joined it already",
        _ => "",
    }
}

fn connect_remedy(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::ConnectionRefused => "; nothing listens there: is the peer started?",
        io::ErrorKind::TimedOut => "; no answer: is the host up and the port open in firewalls?",
        _ => "",
    }
}
