//! Which orders will the next messages be about?
//!
//! ```text
//!  packets of a batch   | p1 | p2 | p3 | p4 | p5 | p6 |
//!                         ^ heard now    ^ seen ahead
//! ```
//!
//! An order lies anywhere in a table far larger than a core's caches, and fetching it from memory takes longer than all the
//! rest of a conversion. What it is called stands in packets that were received already: they are looked at some messages before
//! their turn. Nothing is decided here, and what is looked at in vain costs time and nothing else.

use super::moldudp64::{Messages, Packet};

/// The packets of a batch, to be looked at before their turn.
#[derive(Debug)]
pub struct Ahead<I> {
    packets: I,
    /// How many messages were looked at whose turn has not come.
    seen: usize,
}

impl<'p, I: Iterator<Item = &'p [u8]>> Ahead<I> {
    /// All packets of a batch, in order, as they were received.
    pub const fn new(packets: I) -> Self {
        Self { packets, seen: 0 }
    }

    /// A packet of so many messages has its turn: `look` is shown those whose turn comes next.
    #[inline]
    pub fn turn(&mut self, count: u16, mut look: impl FnMut(Messages<'p>)) {
        let count = usize::from(count);
        // No further than needed: what is fetched too early is gone again, and fetches wait for each other.
        while self.seen < count.max(DISTANCE)
            && let Some(packet) = self.packets.next()
        {
            if let Some(messages) = Packet::glance(packet) {
                self.seen += messages.len();
                look(messages);
            }
        }
        // What is malformed has no turn.
        self.seen = self.seen.saturating_sub(count);
    }
}

/// Messages that are looked at together, at least: memory answers within the time that so many take.
const DISTANCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` messages of one byte, their number, from number `first` on.
    fn packet(first: u8, count: u8) -> Vec<u8> {
        let mut bytes = b"S000000001".to_vec();
        bytes.extend_from_slice(&u64::from(first).to_be_bytes());
        bytes.extend_from_slice(&u16::from(count).to_be_bytes());
        (first..first + count).for_each(|number| bytes.extend_from_slice(&[0, 1, number]));
        bytes
    }

    /// How many messages were looked at before each packet had its turn; they are the batch's, in order.
    fn looks(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut ahead = Ahead::new(packets.iter().map(Vec::as_slice));
        let (mut next, mut looked) = (1, Vec::new());
        for packet in packets.iter().flat_map(|bytes| Packet::parse(bytes)) {
            ahead.turn(packet.count(), |messages| {
                for (number, message) in messages {
                    assert_eq!((number, message), (u64::from(next), &[next][..]));
                    next += 1;
                }
            });
            looked.push(next - 1);
        }
        looked
    }

    #[test]
    fn small_packets_are_looked_at_some_messages_before_their_turn() {
        let packets: Vec<_> = (1..=20).map(|first| packet(first, 1)).collect();
        let looked = looks(&packets);
        assert_eq!(looked[..5], [16, 17, 18, 19, 20]);
        assert!(looked[5..].iter().all(|it| *it == 20), "there are no more");
    }

    #[test]
    fn a_large_packet_is_looked_at_in_its_turn() {
        assert_eq!(
            looks(&[packet(1, 40), packet(41, 3), packet(44, 30)]),
            [40, 73, 73]
        );
    }

    #[test]
    fn what_is_no_packet_is_passed_over() {
        let cut = packet(1, 9)[..22].to_vec();
        assert_eq!(looks(&[vec![7; 5], packet(1, 2), cut, packet(3, 2)])[0], 4);
        let mut ended = packet(1, 0);
        ended[18..].fill(255);
        assert!(Packet::glance(&ended).is_none(), "an end has no messages");
    }
}
