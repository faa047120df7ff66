//! How does a socket address look to the kernel?
//!
//! Layouts of `sockaddr_in` and `sockaddr_in6` (ip(7), ipv6(7)): the family in host order, the
//! port in network order. Written and read as bytes, so this file needs no `unsafe`.
//!
//! ```text
//! v4  0 family │ 2 port │ 4 address (4) │ 8 zero (8)                          16 bytes
//! v6  0 family │ 2 port │ 4 flow info   │ 8 address (16)      │ 24 scope id   28 bytes
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// One socket address in the kernel's form, aligned as the kernel's own type is.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Name {
    bytes: [u8; Name::CAPACITY],
}

const V4_LENGTH: usize = 16;
const V6_LENGTH: usize = 28;

impl Name {
    /// Room for the longer of the two forms, rounded up to the alignment.
    pub(super) const CAPACITY: usize = 32;
    /// No address yet; the kernel will write one.
    pub(super) const EMPTY: Self = Self {
        bytes: [0; Self::CAPACITY],
    };

    /// The kernel's form of `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let family = match address {
            SocketAddr::V4(v4) => {
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                libc::AF_INET
            }
            SocketAddr::V6(v6) => {
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                libc::AF_INET6
            }
        };
        bytes[..2].copy_from_slice(&family_bytes(family));
        Self { bytes }
    }

    /// How many bytes of the form the kernel is to read.
    pub(super) fn length(&self) -> libc::socklen_t {
        let long = self.bytes[..2] == family_bytes(libc::AF_INET6);
        (if long { V6_LENGTH } else { V4_LENGTH }) as libc::socklen_t
    }

    /// Back to an address; `None` for a family that is neither IPv4 nor IPv6.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let family = i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]));
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match family {
            libc::AF_INET => {
                let octets = array::<4>(&self.bytes, 4);
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port))
            }
            libc::AF_INET6 => {
                let flow = u32::from_ne_bytes(array(&self.bytes, 4));
                let ip = Ipv6Addr::from(array::<16>(&self.bytes, 8));
                let scope = u32::from_ne_bytes(array(&self.bytes, 24));
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => None,
        }
    }

    /// The bytes, for a `sockaddr_storage` inside a larger structure.
    pub(crate) fn as_bytes(&self) -> &[u8; Self::CAPACITY] {
        &self.bytes
    }
}

fn family_bytes(family: libc::c_int) -> [u8; 2] {
    (family as libc::sa_family_t).to_ne_bytes()
}

fn array<const N: usize>(bytes: &[u8; Name::CAPACITY], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

// The documented layouts are the platform's: a port of this file to another one fails here.
const _: () = {
    assert!(size_of::<libc::sockaddr_in>() == V4_LENGTH);
    assert!(std::mem::offset_of!(libc::sockaddr_in, sin_port) == 2);
    assert!(std::mem::offset_of!(libc::sockaddr_in, sin_addr) == 4);
    assert!(size_of::<libc::sockaddr_in6>() == V6_LENGTH);
    assert!(std::mem::offset_of!(libc::sockaddr_in6, sin6_flowinfo) == 4);
    assert!(std::mem::offset_of!(libc::sockaddr_in6, sin6_addr) == 8);
    assert!(std::mem::offset_of!(libc::sockaddr_in6, sin6_scope_id) == 24);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went_in() {
        for text in [
            "127.0.0.1:0",
            "239.1.2.3:65535",
            "[::1]:9",
            "[fe80::1%3]:77",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::new(address).address(), Some(address), "{text}");
        }
    }

    #[test]
    fn agrees_with_socket2() {
        for text in ["192.0.2.1:5000", "[2001:db8::7]:5000"] {
            let address: SocketAddr = text.parse().unwrap();
            let (ours, theirs) = (Name::new(address), socket2::SockAddr::from(address));
            assert_eq!(ours.length(), theirs.len(), "{text}");
        }
    }

    #[test]
    fn an_unknown_family_is_no_address() {
        assert_eq!(Name::EMPTY.address(), None);
    }
}
