//! In which shape do datagrams wait to be sent?
//!
//! Anything that can lend them by index will do: a slice of slices, or an [`Outbox`], which packs
//! them into one preallocated block as they are written.

use std::ops::Range;

/// Datagrams in order, lent by index.
pub trait Datagrams {
    /// How many there are.
    fn count(&self) -> usize;

    /// The payload at `index`, which is below [`Self::count`].
    fn datagram(&self, index: usize) -> &[u8];
}

impl Datagrams for [&[u8]] {
    fn count(&self) -> usize {
        self.len()
    }

    fn datagram(&self, index: usize) -> &[u8] {
        self[index]
    }
}

/// A bounded block of datagrams: written one after the other, sent, cleared.
///
/// ```text
/// bytes │ first ······ │ second ·· │ third ···     │ free
///       0              8·n         8·m             ends at multiples of eight
/// ```
#[derive(Clone, Debug)]
pub struct Outbox {
    bytes: Box<[u8]>,
    used: usize,
    /// Invariant: never grows beyond the capacity it was made with.
    places: Vec<Range<usize>>,
}

/// An outbox has no room; send and clear it first. A datagram that does not fit into an empty
/// outbox never will.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the outbox is full")]
pub struct OutboxFull;

impl Outbox {
    /// Room for `datagrams` of together `bytes`, each rounded up to a multiple of eight.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes.next_multiple_of(8)].into_boxed_slice(),
            used: 0,
            places: Vec::with_capacity(datagrams),
        }
    }

    /// Copies `datagram` in.
    ///
    /// # Errors
    /// [`OutboxFull`] leaves the outbox as it was.
    pub fn push(&mut self, datagram: &[u8]) -> Result<(), OutboxFull> {
        self.push_with(datagram.len(), |room| {
            room.copy_from_slice(datagram);
            datagram.len()
        })
    }

    /// Lets `write` fill `room` bytes and say how many it used. What the room holds before is
    /// unspecified.
    ///
    /// # Errors
    /// [`OutboxFull`] leaves the outbox as it was; `write` is not called.
    ///
    /// # Panics
    /// If `write` claims more than `room`.
    pub fn push_with(
        &mut self,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), OutboxFull> {
        if self.places.len() == self.places.capacity() {
            return Err(OutboxFull);
        }
        let end = self.used.checked_add(room).ok_or(OutboxFull)?;
        let target = self.bytes.get_mut(self.used..end).ok_or(OutboxFull)?;
        let length = write(target);
        assert!(length <= room, "wrote {length} of {room}");
        self.places.push(self.used..self.used + length);
        self.used = (self.used + length).next_multiple_of(8);
        Ok(())
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.places.clear();
        self.used = 0;
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl Datagrams for Outbox {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn datagram(&self, index: usize) -> &[u8] {
        &self.bytes[self.places[index].clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_lends_what_was_pushed_until_it_is_cleared() {
        let mut outbox = Outbox::new(3, 32);
        outbox.push(b"first").unwrap();
        outbox
            .push_with(8, |room| {
                room[..2].copy_from_slice(b"2!");
                2
            })
            .unwrap();
        assert_eq!(outbox.count(), 2);
        assert_eq!(outbox.datagram(0), b"first");
        assert_eq!(outbox.datagram(1), b"2!");
        outbox.clear();
        assert!(outbox.is_empty());
    }

    #[test]
    fn both_limits_hold_at_the_edge_and_one_beyond() {
        let mut outbox = Outbox::new(2, 16);
        assert_eq!(outbox.push(&[1; 17]), Err(OutboxFull));
        assert_eq!(outbox.push(&[1; 16]), Ok(()));
        assert_eq!(outbox.push(&[1]), Err(OutboxFull));
        outbox.clear();
        assert_eq!(outbox.push(&[1]), Ok(()));
        assert_eq!(outbox.push(&[1]), Ok(()));
        assert_eq!(outbox.push(&[]), Err(OutboxFull));
        assert_eq!(outbox.count(), 2);
    }
}
