//! Which source messages came since the transfer began, and are not known to be in it?
//!
//! ```text
//!  ring of bytes   ... | sseq u64 | length u16 | bytes | sseq | length | bytes | ...
//!                      ^ head                                                  ^ head + used
//! ```
//!
//! Bounded and made once, for one transfer after the other. What does not fit is said, and nothing is evicted for it: a
//! buffer with a hole is of no use.

/// Source messages in order.
#[derive(Debug)]
pub struct Kept {
    ring: Box<[u8]>,
    head: usize,
    used: usize,
    /// Where a message is put together.
    message: Vec<u8>,
}

const FRONT: usize = 10;
const LONGEST: usize = u16::MAX as usize;
/// Not zero: the kernel gives zeroes out on promise, and the page when it is written to.
const TOUCHED: u8 = 1;

impl Kept {
    /// Room for so many bytes, 10 of which each message takes for itself. The memory is touched here, so that it is not
    /// later.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            ring: vec![TOUCHED; bytes].into_boxed_slice(),
            head: 0,
            used: 0,
            message: vec![TOUCHED; LONGEST],
        }
    }

    /// Forgets everything.
    pub const fn clear(&mut self) {
        (self.head, self.used) = (0, 0);
    }

    /// Keeps a message; `false`: it does not fit.
    #[must_use]
    pub fn push(&mut self, sseq: u64, bytes: &[u8]) -> bool {
        let needed = FRONT + bytes.len();
        let Ok(length) = u16::try_from(bytes.len()) else {
            return false;
        };
        if needed > self.ring.len() - self.used {
            return false;
        }
        self.write(&sseq.to_le_bytes());
        self.write(&length.to_le_bytes());
        self.write(bytes);
        true
    }

    /// Number of the oldest message.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        (self.used > 0).then(|| {
            let mut number = [0; 8];
            self.read(0, &mut number);
            u64::from_le_bytes(number)
        })
    }

    /// Takes the oldest message; its bytes are good until the next call.
    pub fn take(&mut self) -> Option<(u64, &[u8])> {
        let sseq = self.first()?;
        let length = self.front_length();
        let mut message = std::mem::take(&mut self.message);
        self.read(FRONT, &mut message[..length]);
        self.message = message;
        self.skip(length);
        Some((sseq, &self.message[..length]))
    }

    /// Forgets every message below `sseq`.
    pub fn forget_below(&mut self, sseq: u64) {
        while self.first().is_some_and(|first| first < sseq) {
            let length = self.front_length();
            self.skip(length);
        }
    }

    fn front_length(&self) -> usize {
        let mut length = [0; 2];
        self.read(8, &mut length);
        usize::from(u16::from_le_bytes(length))
    }

    fn skip(&mut self, length: usize) {
        self.head = (self.head + FRONT + length) % self.ring.len();
        self.used -= FRONT + length;
    }

    fn write(&mut self, bytes: &[u8]) {
        let at = (self.head + self.used) % self.ring.len();
        let until_edge = bytes.len().min(self.ring.len() - at);
        let (here, wrapped) = bytes.split_at(until_edge);
        self.ring[at..at + here.len()].copy_from_slice(here);
        self.ring[..wrapped.len()].copy_from_slice(wrapped);
        self.used += bytes.len();
    }

    fn read(&self, behind_head: usize, bytes: &mut [u8]) {
        let at = (self.head + behind_head) % self.ring.len();
        let until_edge = bytes.len().min(self.ring.len() - at);
        let (here, wrapped) = bytes.split_at_mut(until_edge);
        here.copy_from_slice(&self.ring[at..at + here.len()]);
        wrapped.copy_from_slice(&self.ring[..wrapped.len()]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_is_said_and_nothing_is_evicted() {
        let mut kept = Kept::new(32);
        assert!(kept.push(1, &[7; 6]));
        assert!(kept.push(2, &[8; 6]), "exactly full");
        assert!(!kept.push(3, &[]), "one byte too many, and ten");
        assert_eq!(kept.take(), Some((1, &[7; 6][..])));
        assert!(kept.push(3, &[9; 6]));
        assert_eq!(kept.take(), Some((2, &[8; 6][..])));
        assert_eq!(kept.take(), Some((3, &[9; 6][..])));
        assert_eq!(kept.take(), None);
    }

    #[test]
    fn what_was_kept_for_one_transfer_is_not_there_for_the_next() {
        let mut kept = Kept::new(32);
        assert!(kept.push(1, &[7; 6]));
        assert!(kept.push(2, &[8; 6]));
        assert_eq!(kept.take(), Some((1, &[7; 6][..])));
        kept.clear();
        assert_eq!(kept.first(), None);
        assert!(kept.push(3, &[9; 22]), "all of it is free again");
        assert_eq!(kept.take(), Some((3, &[9; 22][..])));
    }

    proptest! {
        #[test]
        fn agrees_with_a_queue(
            size in 24_usize..200,
            steps in prop::collection::vec((0_u8..4, prop::collection::vec(any::<u8>(), 0..40)), 0..200),
        ) {
            let (mut kept, mut twin) = (Kept::new(size), VecDeque::<(u64, Vec<u8>)>::new());
            let mut next = 1;
            for (step, bytes) in steps {
                let used: usize = twin.iter().map(|(_, bytes)| bytes.len() + FRONT).sum();
                match step {
                    0 | 1 => {
                        let fits = used + FRONT + bytes.len() <= size;
                        prop_assert_eq!(kept.push(next, &bytes), fits);
                        if fits {
                            twin.push_back((next, bytes));
                        }
                        next += 1;
                    }
                    2 => {
                        let expected = twin.pop_front();
                        let taken = kept.take().map(|(sseq, bytes)| (sseq, bytes.to_vec()));
                        prop_assert_eq!(taken, expected);
                    }
                    _ => {
                        let below = next.saturating_sub(bytes.len() as u64 / 8);
                        kept.forget_below(below);
                        twin.retain(|(sseq, _)| *sseq >= below);
                    }
                }
                prop_assert_eq!(kept.first(), twin.front().map(|(sseq, _)| *sseq));
            }
        }
    }
}
