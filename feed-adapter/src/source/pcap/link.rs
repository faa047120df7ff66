//! Is this packet a UDP datagram, and whose?
//!
//! Walks from the link layer to the UDP payload. Every length is taken from the packet and checked
//! against what is there; a packet of which the capture kept too little is told apart from one that
//! is something else.
//!
//! Sources: RFC 791, RFC 8200, RFC 768, IEEE 802.1Q; link types at tcpdump.org.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pcap_parser::Linktype;

/// What a packet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content<'a> {
    /// A whole UDP datagram.
    Udp {
        source: SocketAddr,
        destination: SocketAddr,
        payload: &'a [u8],
    },
    /// A part of an IP datagram.
    Fragment,
    /// The capture holds only its beginning.
    CutShort,
    /// Something else.
    NotUdp,
    /// The link layer is not understood.
    UnknownLink,
}

/// Raw IP, as some systems number it in files.
const RAW_BSD: Linktype = Linktype(12);
const RAW_OPENBSD: Linktype = Linktype(14);

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
/// 802.1Q, 802.1ad, and the tag used before it.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88A8, 0x9100];
const UDP: u8 = 17;

/// Looks into a packet of link type `link`.
pub(super) fn content(link: Linktype, packet: &[u8]) -> Content<'_> {
    match link {
        Linktype::ETHERNET => ethernet(packet),
        Linktype::LINUX_SLL => after(packet, 16, |rest| typed(be16(packet, 14), rest)),
        Linktype::LINUX_SLL2 => after(packet, 20, |rest| typed(be16(packet, 0), rest)),
        // Four bytes of address family, in the byte order of whoever wrote them; the IP version
        // that follows says the same.
        Linktype::NULL | Linktype::LOOP => after(packet, 4, ip),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | RAW_BSD | RAW_OPENBSD => ip(packet),
        _ => Content::UnknownLink,
    }
}

fn ethernet(packet: &[u8]) -> Content<'_> {
    let mut offset = 12;
    while let Some(ethertype) = be16(packet, offset) {
        if !ETHERTYPES_VLAN.contains(&ethertype) {
            return after(packet, offset + 2, |rest| typed(Some(ethertype), rest));
        }
        offset += 4;
    }
    Content::CutShort
}

fn typed(ethertype: Option<u16>, packet: &[u8]) -> Content<'_> {
    match ethertype {
        Some(ETHERTYPE_IPV4 | ETHERTYPE_IPV6) => ip(packet),
        Some(_) => Content::NotUdp,
        None => Content::CutShort,
    }
}

fn ip(packet: &[u8]) -> Content<'_> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        Some(_) => Content::NotUdp,
        None => Content::CutShort,
    }
}

fn ipv4(packet: &[u8]) -> Content<'_> {
    let Some(header) = packet.first_chunk::<20>() else {
        return Content::CutShort;
    };
    let header_length = usize::from(header[0] & 0x0F) * 4;
    if header_length < 20 {
        return Content::NotUdp;
    }
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let addresses = (
        IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
    );
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if header[9] != UDP {
        return Content::NotUdp;
    }
    // More fragments, or not the first one.
    if fragment & 0x3FFF != 0 {
        return Content::Fragment;
    }
    after(packet, header_length, |rest| udp(addresses, rest))
}

fn ipv6(packet: &[u8]) -> Content<'_> {
    let Some(header) = packet.first_chunk::<40>() else {
        return Content::CutShort;
    };
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    let addresses = (
        IpAddr::V6(Ipv6Addr::from(source)),
        IpAddr::V6(Ipv6Addr::from(destination)),
    );
    let (mut next, mut rest) = (header[6], &packet[40..]);
    loop {
        match next {
            UDP => return udp(addresses, rest),
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => {
                let Some(extension) = rest.first_chunk::<2>() else {
                    return Content::CutShort;
                };
                let length = 8 + usize::from(extension[1]) * 8;
                let Some(tail) = rest.get(length..) else {
                    return Content::CutShort;
                };
                (next, rest) = (extension[0], tail);
            }
            44 => {
                let Some(extension) = rest.first_chunk::<8>() else {
                    return Content::CutShort;
                };
                if u16::from_be_bytes([extension[2], extension[3]]) & 0xFFF9 != 0 {
                    return Content::Fragment;
                }
                // A fragment header on a datagram that is whole (RFC 6946).
                (next, rest) = (extension[0], &rest[8..]);
            }
            _ => return Content::NotUdp,
        }
    }
}

fn udp((source, destination): (IpAddr, IpAddr), packet: &[u8]) -> Content<'_> {
    let Some(&[s0, s1, d0, d1, l0, l1, _, _]) = packet.first_chunk::<8>() else {
        return Content::CutShort;
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < 8 {
        return Content::NotUdp;
    }
    // What follows the datagram is padding of the link layer.
    match packet.get(8..length) {
        Some(payload) => Content::Udp {
            source: SocketAddr::new(source, u16::from_be_bytes([s0, s1])),
            destination: SocketAddr::new(destination, u16::from_be_bytes([d0, d1])),
            payload,
        },
        None => Content::CutShort,
    }
}

/// What `then` says of the bytes after the first `length`.
fn after<'a>(
    packet: &'a [u8],
    length: usize,
    then: impl FnOnce(&'a [u8]) -> Content<'a>,
) -> Content<'a> {
    packet.get(length..).map_or(Content::CutShort, then)
}

fn be16(packet: &[u8], offset: usize) -> Option<u16> {
    let bytes = packet.get(offset..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}
