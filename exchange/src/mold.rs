//! How do messages become MoldUDP64 packets?
//!
//! Layout from "MoldUDP64 Protocol Specification V 1.00" (2009-07-07), all
//! numbers big-endian:
//!
//! ```text
//!  0          10               18       20
//!  ├─ session ┼─ first number ─┼ count ─┼─ count × { length u16 │ message }
//!     10 alnum       u64          u16       count 0: heartbeat, 0xFFFF: end of
//!                                           session; the number is the next one
//! ```
//!
//! Refuses to know when a packet leaves and what a message means.

use crate::session::SessionId;

/// Bytes before the first message.
pub const HEADER_LEN: usize = 20;
/// Bytes before each message.
pub const BLOCK_HEADER_LEN: usize = 2;
/// Message count of an end-of-session packet.
pub const END_OF_SESSION: u16 = 0xFFFF;
/// Smallest payload limit that is accepted: a header, and room for any one
/// TotalView-ITCH message.
pub const MIN_PAYLOAD: usize = 128;
/// Largest payload of one IPv4 UDP datagram.
pub const MAX_PAYLOAD: usize = 65_507;

/// Packs messages into one packet at a time, in one reused buffer.
///
/// Call order: [`begin`](Self::begin), then [`push`](Self::push) until it
/// returns false or nothing is left, then [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Packer {
    buffer: Vec<u8>,
    max_payload: usize,
    count: u16,
}

impl Packer {
    /// A packer for packets of at most `max_payload` bytes, clamped to
    /// [`MIN_PAYLOAD`]`..=`[`MAX_PAYLOAD`].
    pub fn new(max_payload: usize) -> Self {
        let max_payload = max_payload.clamp(MIN_PAYLOAD, MAX_PAYLOAD);
        Self {
            buffer: Vec::with_capacity(max_payload),
            max_payload,
            count: 0,
        }
    }

    /// The longest message that fits a packet of its own.
    pub const fn max_message(max_payload: usize) -> usize {
        max_payload.saturating_sub(HEADER_LEN + BLOCK_HEADER_LEN)
    }

    /// Starts a packet whose first message has number `first`.
    pub fn begin(&mut self, session: SessionId, first: u64) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&header(session, first, 0));
        self.count = 0;
    }

    /// Adds a message; false, and no change, when the packet has no room for it.
    pub fn push(&mut self, message: &[u8]) -> bool {
        let Ok(length) = u16::try_from(message.len()) else {
            return false;
        };
        let after = self.buffer.len() + BLOCK_HEADER_LEN + message.len();
        if after > self.max_payload || self.count == END_OF_SESSION - 1 {
            return false;
        }
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(message);
        self.count += 1;
        true
    }

    /// How many messages the packet holds.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Completes the packet: its bytes, valid until the next `begin`.
    pub fn finish(&mut self) -> &[u8] {
        if let Some(count) = self.buffer.get_mut(18..HEADER_LEN) {
            count.copy_from_slice(&self.count.to_be_bytes());
        }
        &self.buffer
    }
}

/// A packet without messages: "alive, and `next` comes next".
pub fn heartbeat(session: SessionId, next: u64) -> [u8; HEADER_LEN] {
    header(session, next, 0)
}

/// The packet that ends a session whose next number would have been `next`.
pub fn end_of_session(session: SessionId, next: u64) -> [u8; HEADER_LEN] {
    header(session, next, END_OF_SESSION)
}

fn header(session: SessionId, number: u64, count: u16) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..10].copy_from_slice(session.as_bytes());
    bytes[10..18].copy_from_slice(&number.to_be_bytes());
    bytes[18..].copy_from_slice(&count.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        SessionId::numbered("S", 1).unwrap()
    }

    #[test]
    fn a_packet_of_two_messages_byte_by_byte() {
        let mut packer = Packer::new(1_400);
        packer.begin(session(), 1_000_001);
        assert!(packer.push(b"ab"));
        assert!(packer.push(b""));
        let expected: &[u8] = &[
            b'S', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'1', // session
            0, 0, 0, 0, 0, 0x0F, 0x42, 0x41, // 1,000,001
            0, 2, // count
            0, 2, b'a', b'b', // first
            0, 0, // second, empty: legal
        ];
        assert_eq!(packer.finish(), expected);
    }

    #[test]
    fn heartbeat_and_end_of_session_byte_by_byte() {
        assert_eq!(
            &heartbeat(session(), 7),
            b"S000000001\0\0\0\0\0\0\0\x07\0\0"
        );
        assert_eq!(
            &end_of_session(session(), 7),
            b"S000000001\0\0\0\0\0\0\0\x07\xFF\xFF"
        );
    }

    #[test]
    fn the_last_byte_is_used_and_not_one_more() {
        let mut packer = Packer::new(MIN_PAYLOAD);
        let room = Packer::max_message(MIN_PAYLOAD);
        packer.begin(session(), 1);
        assert!(!packer.push(&vec![0; room + 1]));
        assert_eq!(packer.count(), 0);
        assert!(packer.push(&vec![0; room]));
        assert_eq!(packer.finish().len(), MIN_PAYLOAD);
        assert!(!packer.push(b""));
    }

    #[test]
    fn a_full_count_is_not_mistaken_for_the_end_of_session() {
        let mut packer = Packer {
            max_payload: usize::MAX,
            ..Packer::new(MAX_PAYLOAD)
        };
        packer.begin(session(), 1);
        let pushed = (0..70_000).take_while(|_| packer.push(b"")).count();
        assert_eq!(pushed, 0xFFFE);
    }
}
