//! What does one MoldUDP64 packet say?
//!
//! ```text
//!   0 session [u8; 10] | 10 sequence u64 | 18 count u16 | 20 (length u16 | message)*
//! ```
//!
//! Big-endian. The sequence is the number of the first message; a heartbeat (count 0) and an end of
//! session (count 65535) carry no message, and their sequence is the next one to come. All lengths
//! are checked once in [`Packet::parse`]; behind it no accessor can fail. Nothing here knows what a
//! message says, which packet came before, or a socket.
//!
//! Source: Nasdaq, "MoldUDP64 Protocol Specification", version 1.00.

use core::fmt;

use twinfeed_protocol::digest;
use twinfeed_wire::Epoch;
use zerocopy::big_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::decode::TradingDay;

/// Length of the header, bytes.
pub const HEADER_LENGTH: usize = 20;

#[derive(Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    session: [u8; 10],
    sequence: U64,
    count: U16,
}

const _: () = assert!(size_of::<RawHeader>() == HEADER_LENGTH);

/// Length of a request, bytes.
pub const REQUEST_LENGTH: usize = HEADER_LENGTH;

/// Asks a session's request server for `count` messages from number `first` on. The answer is a packet like any other, and may
/// hold fewer.
#[must_use]
pub fn request(session: Session, first: u64, count: u16) -> [u8; REQUEST_LENGTH] {
    let mut bytes = [0; REQUEST_LENGTH];
    bytes[..10].copy_from_slice(&session.0);
    bytes[10..18].copy_from_slice(&first.to_be_bytes());
    bytes[18..].copy_from_slice(&count.to_be_bytes());
    bytes
}

const END_OF_SESSION: u16 = u16::MAX;

/// One session's name: letters and digits, padded with spaces.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Session(pub [u8; 10]);

impl Session {
    /// The epoch that this session is, on a trading day (wire format, section 5).
    ///
    /// The day belongs to it because venues use a session's name again; nothing else does, so that
    /// two adapters derive it from the first packet they hear, whichever it is.
    #[must_use]
    pub fn epoch(self, day: &TradingDay) -> Epoch {
        digest::mold_epoch(&self.0, &day.digits())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.trim_ascii().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({self})")
    }
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It carries messages.
    Messages,
    /// Nothing new; the sender is alive.
    Heartbeat,
    /// The session is over.
    EndOfSession,
}

/// One packet, checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    session: Session,
    sequence: u64,
    kind: Kind,
    count: u16,
    blocks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks a packet as it came out of a datagram.
    ///
    /// # Errors
    ///
    /// [`Malformed`] says what does not fit and where.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let actual = datagram.len();
        let (header, blocks) =
            RawHeader::ref_from_prefix(datagram).map_err(|_| Malformed::Short { actual })?;
        let (kind, count) = match header.count.get() {
            0 => (Kind::Heartbeat, 0),
            END_OF_SESSION => (Kind::EndOfSession, 0),
            count => (Kind::Messages, count),
        };
        let sequence = header.sequence.get();
        if sequence.checked_add(u64::from(count)).is_none() {
            return Err(Malformed::Sequence { sequence });
        }
        let mut rest = blocks;
        for index in 0..count {
            let offset = actual - rest.len();
            (_, rest) = split(rest).ok_or(Malformed::Truncated {
                index,
                count,
                offset,
            })?;
        }
        if !rest.is_empty() {
            return Err(Malformed::Trailing { extra: rest.len() });
        }
        Ok(Self {
            session: Session(header.session),
            sequence,
            kind,
            count,
            blocks,
        })
    }

    /// The messages of what looks like a packet, as far as they are whole; nothing is checked, for who looks ahead.
    #[must_use]
    pub fn glance(datagram: &'a [u8]) -> Option<Messages<'a>> {
        let (header, rest) = RawHeader::ref_from_prefix(datagram).ok()?;
        let count = header.count.get();
        (count != END_OF_SESSION).then(|| Messages {
            sequence: header.sequence.get(),
            left: count,
            rest,
        })
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> Session {
        self.session
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of its first message, or of the next one to come when it carries none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many messages it carries.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Number of the message that follows its last one.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.sequence + u64::from(self.count) // `parse` has checked the sum
    }

    /// Its messages with their numbers, in order. A message may be empty.
    #[must_use]
    pub fn messages(&self) -> Messages<'a> {
        Messages {
            sequence: self.sequence,
            left: self.count,
            rest: self.blocks,
        }
    }
}

/// The messages of one packet.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    sequence: u64,
    left: u16,
    rest: &'a [u8],
}

impl Messages<'_> {
    /// Number of the message that follows the last one.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.sequence.saturating_add(self.left as u64)
    }
}

impl<'a> Iterator for Messages<'a> {
    /// Number and bytes.
    type Item = (u64, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (message, rest) = split(self.rest)?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.rest = rest;
        Some((sequence, message))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Messages<'_> {}

/// The first length-prefixed block and what follows it.
#[inline]
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Why a datagram is not a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Shorter than a header.
    Short {
        /// Length at hand, bytes.
        actual: usize,
    },
    /// A message reaches beyond the datagram.
    Truncated {
        /// Which message, from 0.
        index: u16,
        /// How many were announced.
        count: u16,
        /// Where its length stands, bytes from the start.
        offset: usize,
    },
    /// Bytes after the last message.
    Trailing {
        /// How many.
        extra: usize,
    },
    /// The numbers of its messages pass 2^64.
    Sequence {
        /// The number of the first one.
        sequence: u64,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { actual } => write!(
                f,
                "a datagram of {actual} bytes is no MoldUDP64 packet (header of 20): is another \
                 protocol sent to this group and port?"
            ),
            Self::Truncated {
                index,
                count,
                offset,
            } => {
                write!(
                    f,
                    "message {index} of {count} at offset {offset} reaches beyond the packet"
                )
            }
            Self::Trailing { extra } => write!(f, "{extra} bytes after the last message"),
            Self::Sequence { sequence } => write!(f, "sequence {sequence} is too near 2^64"),
        }
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(sequence: u64, count: u16, blocks: &[u8]) -> Vec<u8> {
        let mut bytes = b"000010059B".to_vec();
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(blocks);
        bytes
    }

    #[test]
    fn messages_are_numbered_from_the_packets_sequence() {
        let bytes = packet(41, 3, b"\0\x01A\0\0\0\x02BC");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.kind(), Kind::Messages);
        assert_eq!(packet.session().to_string(), "000010059B");
        let messages: Vec<_> = packet.messages().collect();
        assert_eq!(messages, [(41, &b"A"[..]), (42, b""), (43, b"BC")]);
        assert_eq!(packet.next_sequence(), 44);
    }

    #[test]
    fn heartbeat_and_end_carry_the_next_number() {
        let bytes = packet(7, 0, b"");
        let heartbeat = Packet::parse(&bytes).unwrap();
        assert_eq!(
            (heartbeat.kind(), heartbeat.next_sequence()),
            (Kind::Heartbeat, 7)
        );
        let bytes = packet(u64::MAX, 0xFFFF, b"");
        let end = Packet::parse(&bytes).unwrap();
        assert_eq!(
            (end.kind(), end.next_sequence()),
            (Kind::EndOfSession, u64::MAX)
        );
        assert_eq!(end.messages().count(), 0);
    }

    #[test]
    fn malformed_packets_say_where() {
        let error = |bytes: &[u8]| Packet::parse(bytes).unwrap_err();
        assert_eq!(
            error(&packet(1, 0, b"")[..19]),
            Malformed::Short { actual: 19 }
        );
        assert_eq!(
            error(&packet(1, 2, b"\0\x01A\0\x02B")),
            Malformed::Truncated {
                index: 1,
                count: 2,
                offset: 23
            }
        );
        assert_eq!(
            error(&packet(1, 2, b"\0\x01A\0")),
            Malformed::Truncated {
                index: 1,
                count: 2,
                offset: 23
            }
        );
        assert_eq!(
            error(&packet(1, 1, b"\0\x01AB")),
            Malformed::Trailing { extra: 1 }
        );
        assert_eq!(error(&packet(1, 0, b"B")), Malformed::Trailing { extra: 1 });
        assert_eq!(
            error(&packet(u64::MAX, 1, b"\0\0")),
            Malformed::Sequence { sequence: u64::MAX }
        );
    }

    #[test]
    fn an_epoch_is_a_session_on_a_day() {
        let day: TradingDay = "2019-12-30".parse().unwrap();
        let next: TradingDay = "2019-12-31".parse().unwrap();
        let (one, two) = (Session(*b"000010059B"), Session(*b"000010059C"));
        assert_eq!(one.epoch(&day), one.epoch(&day));
        assert_ne!(one.epoch(&day), two.epoch(&day));
        assert_ne!(one.epoch(&day), one.epoch(&next));
        // The documented bytes, written out.
        let digest = xxhash_rust::xxh3::xxh3_64(b"mold000010059B20191230");
        assert_eq!(one.epoch(&day), Epoch(digest));
    }

    proptest! {
        /// Whatever bytes arrive, either they are refused or they are read without a failure, and
        /// what was read is what was sent.
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert_eq!(packet.messages().count(), usize::from(packet.count()));
            }
        }

        #[test]
        fn what_was_framed_is_read(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
            sequence in 1..u64::MAX / 2,
        ) {
            let mut blocks = Vec::new();
            for message in &messages {
                blocks.extend((message.len() as u16).to_be_bytes());
                blocks.extend(message);
            }
            let bytes = packet(sequence, messages.len() as u16, &blocks);
            let packet = Packet::parse(&bytes).unwrap();
            let read: Vec<_> = packet.messages().map(|(_, message)| message.to_vec()).collect();
            prop_assert_eq!(read, messages);
        }
    }
}
