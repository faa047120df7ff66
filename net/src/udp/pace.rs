//! When may a datagram be taken alone, at half the price, without what the kernel says beside it?
//!
//! Only recvmmsg(2) tells what the socket dropped (`SO_RXQ_OVFL`), and a hole must be blamed on this host *before* the
//! datagram behind it is looked at. A socket drops what comes when its buffer is full; so between two moments at which it was
//! seen empty, it dropped nothing if what was taken in between does not fill the buffer:
//!
//! ```text
//!  empty ─► alone ─► batch ─► batch ─► empty ─► alone …       little was taken: nothing can have been dropped
//!  empty ─► alone ─► batch … (much) … ─► empty ─► batch ─► …  a buffer full was taken: the next one may tell of drops
//! ```
//!
//! The kernel drops for other reasons, too (a wrong checksum, a filter, the host's memory): that is told at the latest
//! [`MOST_ALONE`] datagrams later.

/// What is known of one socket's queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pace {
    /// Datagrams that fit the kernel's buffer whatever they look like; `None`: none is ever taken alone.
    fit: Option<usize>,
    /// Taken since the socket was last seen empty.
    taken: usize,
    /// Whether the last call saw it empty.
    empty: bool,
    /// Whether something may have been dropped of which no datagram has told yet.
    unheard: bool,
    /// Taken alone since the kernel was last heard.
    alone: usize,
}

/// Datagrams that are taken alone before the kernel is heard again.
const MOST_ALONE: usize = 64;

/// Bytes of the kernel's buffer that one datagram may take beyond its slot: a page and its descriptor, twice what drivers take
/// for a short one.
const BESIDE: usize = 4_096;

impl Pace {
    /// For a socket with so many bytes of buffer, as socket(7) counts them, and slots of so many bytes.
    pub(super) fn new(granted: usize, slot: usize) -> Self {
        // Twice what was granted is what datagrams with all that belongs to them may take (socket(7)).
        let each = slot.next_multiple_of(BESIDE) + BESIDE;
        Self {
            fit: Some(granted.saturating_mul(2) / each),
            taken: 0,
            // Nothing is known yet.
            empty: false,
            unheard: true,
            alone: 0,
        }
    }

    /// For a socket of which the kernel has to say something with each datagram.
    pub(super) fn batches() -> Self {
        Self {
            fit: None,
            ..Self::new(0, 0)
        }
    }

    /// Whether the next call may take one datagram alone.
    pub(super) fn alone(&self) -> bool {
        self.fit.is_some() && self.empty && !self.unheard && self.alone < MOST_ALONE
    }

    /// Whether the last call saw the socket empty.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// One was taken alone, or none was there.
    pub(super) fn took_one(&mut self, count: usize) {
        self.taken += count;
        self.alone += count;
        self.empty = false;
        if count == 0 {
            self.saw_empty();
        }
    }

    /// So many were taken by a call that might have taken `most`.
    pub(super) fn took_batch(&mut self, count: usize, most: usize) {
        if count > 0 {
            self.unheard = false;
            self.alone = 0;
        }
        self.taken += count;
        self.empty = false;
        if count < most {
            self.saw_empty();
        }
    }

    /// Something may have been dropped of which nobody has told, whatever was taken.
    pub(super) fn doubt(&mut self) {
        self.unheard = true;
    }

    fn saw_empty(&mut self) {
        self.empty = true;
        // As many as fit may have stood there all at once, and the next one behind them was dropped.
        self.unheard |= self.fit.is_none_or(|fit| self.taken >= fit);
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A buffer that holds 10.
    fn pace() -> Pace {
        let mut pace = Pace::new(10 * 2 * BESIDE / 2, 100);
        assert!(!pace.alone(), "nothing is known");
        pace.took_batch(1, 64);
        pace
    }

    #[test]
    fn one_is_taken_alone_where_the_socket_was_empty() {
        let mut pace = pace();
        for _ in 0..3 {
            assert!(pace.alone());
            pace.took_one(0);
        }
        pace.took_one(1);
        assert!(!pace.alone(), "there may be more");
        pace.took_batch(64, 64);
        assert!(!pace.alone(), "there may be more");
    }

    #[test]
    fn after_a_buffer_full_the_kernel_is_heard_first() {
        for (taken, alone) in [(8, true), (9, false), (10, false)] {
            let mut pace = pace();
            pace.took_one(1);
            pace.took_batch(taken, 64);
            assert_eq!(pace.alone(), alone, "{taken}");
            // Nothing came, so nothing has told yet.
            pace.took_batch(0, 64);
            assert_eq!(pace.alone(), alone, "{taken}");
            pace.took_batch(1, 64);
            assert!(pace.alone());
        }
    }

    #[test]
    fn the_kernel_is_heard_now_and_then() {
        let mut pace = pace();
        for _ in 0..MOST_ALONE {
            assert!(pace.alone());
            pace.took_one(1);
            pace.took_batch(0, 64);
        }
        assert!(!pace.alone());
        pace.took_batch(1, 64);
        assert!(pace.alone());
    }

    #[test]
    fn a_socket_that_says_something_with_each_is_never_asked_for_one() {
        let mut pace = Pace::batches();
        for count in [1, 0, 64] {
            pace.took_batch(count, 64);
            assert!(!pace.alone());
        }
    }

    /// A queue of 10 beside it: what is taken alone has nothing dropped in front of it that was not told.
    fn follow(steps: &[usize]) -> Result<(), TestCaseError> {
        let (mut queue, mut dropped, mut told) = (std::collections::VecDeque::new(), 0, 0);
        let mut pace = pace();
        for arrive in steps {
            for _ in 0..*arrive {
                if queue.len() < 10 {
                    queue.push_back(dropped);
                } else {
                    dropped += 1;
                }
            }
            if pace.alone() {
                let one = queue.pop_front();
                if let Some(before) = one {
                    prop_assert_eq!(before, told);
                }
                pace.took_one(usize::from(one.is_some()));
            } else {
                let count = queue.len().min(4);
                if let Some(before) = queue.drain(..count).next_back() {
                    told = before;
                }
                pace.took_batch(count, 4);
            }
        }
        Ok(())
    }

    #[test]
    fn exactly_a_buffer_full_may_have_had_one_dropped_behind_it() {
        follow(&[1, 10, 0, 0, 11, 0, 0, 1]).expect("told");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn drops_are_told_with_the_first_datagram_behind_them(
            steps in prop::collection::vec(prop_oneof![3 => 0_usize..3, 1 => 9_usize..13, 1 => 0_usize..25], 1..200),
        ) {
            follow(&steps)?;
        }
    }
}
