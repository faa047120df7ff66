//! The sending side: each record at its time, framed and sent as an adapter does, or bare.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::udp::{DestinationKey, Destinations, Outbox, Sender, SenderConfig};
use twinfeed_wire::{
    BodyKind, ContextId, DEFAULT_DATAGRAM, Dsn, Epoch, Generation, Header, Incarnation, Msn,
    Record, RecordFlags, Sid, StreamId, Writer,
};

use super::Way;
use crate::error::Error;

/// The one source stream.
pub(super) const SID: Sid = Sid(1);
/// When it was due, ns of the monotonic clock, at the head of each record.
pub(super) const LEAST_SIZE: usize = 8;
/// What fits a datagram with its headers.
pub(super) const MOST_SIZE: usize = 1_200;
/// The word behind the last record: no record is as short.
pub(super) const END: [u8; 1] = [0xff];
/// How often that is said.
const ENDS: usize = 20;

/// The stream of a leg.
pub(super) fn stream(leg: usize) -> StreamId {
    StreamId(10 + leg as u32)
}

/// Sends so many records a second, so many in all; returns how long a datagram was.
pub(super) fn publish(
    way: Way,
    to: [SocketAddr; 2],
    (rate, count): (u64, u64),
    size: usize,
) -> Result<usize, Error> {
    let mut legs = Vec::new();
    for (leg, to) in to.into_iter().enumerate().take(way.copies()) {
        legs.push(match way {
            Way::Floor => Leg::Bare(bare(to)?),
            Way::OneLeg | Way::TwoLegs => Leg::framed(leg, to)?,
        });
    }
    let mut body = vec![0; size];
    let mut buffer = vec![0; DEFAULT_DATAGRAM];
    let length = frame(0, 1, &body, &mut buffer);
    // Both sides are there, and their memory was touched, before the first is due.
    let begin = monotonic_ns() + 5_000_000;
    for number in 0..count {
        let due = begin + number * 1_000_000_000 / rate;
        while monotonic_ns() < due {
            std::hint::spin_loop();
        }
        body[..LEAST_SIZE].copy_from_slice(&due.to_le_bytes());
        for (leg, way) in legs.iter_mut().enumerate() {
            match way {
                Leg::Bare(socket) => {
                    buffer[..8].copy_from_slice(&(number + 1).to_le_bytes());
                    buffer[8..16].copy_from_slice(&due.to_le_bytes());
                    // A full buffer is a drop, which the other side counts.
                    let _ = socket.send(&buffer[..length]);
                }
                Leg::Framed {
                    sender,
                    outbox,
                    destinations,
                } => {
                    let _ = outbox
                        .push_with(DEFAULT_DATAGRAM, |room| frame(leg, number + 1, &body, room));
                    sender.send(outbox, destinations);
                    outbox.clear();
                }
            }
        }
    }
    let last = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    for _ in 0..ENDS {
        // What is behind the last record must not push it out of the buffer.
        std::thread::sleep(std::time::Duration::from_millis(2));
        for to in &to {
            let _ = last.send_to(&END, to);
        }
    }
    Ok(length)
}

/// How one copy leaves.
enum Leg {
    Bare(UdpSocket),
    Framed {
        sender: Box<Sender>,
        outbox: Outbox,
        destinations: Destinations,
    },
}

impl Leg {
    fn framed(leg: usize, to: SocketAddr) -> Result<Self, Error> {
        let net = |error: twinfeed_net::Error| Error::Socket(std::io::Error::other(error));
        let config = SenderConfig::new((Ipv4Addr::LOCALHOST, 0).into()).connect(true);
        let sender = Sender::open(&config).map_err(net)?;
        let mut destinations = sender.destinations(1).map_err(net)?;
        destinations
            .insert(DestinationKey(leg as u64), to)
            .map_err(|error| Error::Socket(std::io::Error::other(error)))?;
        Ok(Self::Framed {
            sender: Box::new(sender),
            outbox: Outbox::new(1, DEFAULT_DATAGRAM),
            destinations,
        })
    }
}

fn bare(to: SocketAddr) -> Result<UdpSocket, Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    socket.connect(to).map_err(Error::Socket)?;
    Ok(socket)
}

/// Writes one datagram with one record; returns its length.
fn frame(leg: usize, number: u64, body: &[u8], room: &mut [u8]) -> usize {
    let header = Header {
        stream: stream(leg),
        generation: Generation(1),
        incarnation: Incarnation(7 + leg as u64),
        first_msn: Msn(number),
        sid: SID,
        epoch: Epoch(1),
        context: ContextId(1),
        first: 1,
        base_sseq: number,
        sent_at: monotonic_ns(),
        ..Header::default()
    };
    let mut writer = Writer::begin(room, header);
    let pushed = writer.push(&Record {
        kind: BodyKind::Opaque,
        flags: RecordFlags::LAST,
        part: 0,
        sseq: number,
        prev: number - 1,
        adm: header.base_adm,
        body,
    });
    debug_assert!(pushed.is_ok(), "one short record fits");
    writer.finish(Dsn(number), header.flags, header.sent_at)
}
