//! Which numbers has an application been given, when it merges two publishers' messages itself?
//!
//! The first copy of a number counts, in whichever order numbers come: nothing is held back. This is what one writes on top of a system that knows nothing of redundancy.

/// A row of bits for the last [`Seen::SPAN`] numbers.
#[derive(Debug)]
pub(super) struct Seen {
    bits: Box<[u64]>,
    highest: u64,
}

impl Seen {
    /// Numbers that are remembered.
    pub(super) const SPAN: u64 = 1 << 20;

    pub(super) fn new() -> Self {
        Self {
            bits: vec![0; (Self::SPAN / 64) as usize].into(),
            highest: 0,
        }
    }

    /// Whether this is the first of its number; numbers begin at 1. What is older than is remembered counts as seen.
    #[inline]
    pub(super) fn is_new(&mut self, number: u64) -> bool {
        if number + Self::SPAN <= self.highest {
            return false;
        }
        // Places between the highest and this one were used by numbers that are forgotten now.
        let forgotten = self.highest + 1..=number;
        if number.saturating_sub(self.highest) >= Self::SPAN {
            self.bits.fill(0);
        } else {
            for number in forgotten {
                let (word, bit) = place(number);
                self.bits[word] &= !bit;
            }
        }
        self.highest = self.highest.max(number);
        let (word, bit) = place(number);
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
}

/// The word and the bit of a number.
const fn place(number: u64) -> (usize, u64) {
    let place = number % Seen::SPAN;
    // Below 2^20.
    ((place / 64) as usize, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_older_than_is_remembered_counts_as_seen() {
        let mut seen = Seen::new();
        assert!(seen.is_new(1) && !seen.is_new(1));
        assert!(seen.is_new(Seen::SPAN + 1));
        assert!(!seen.is_new(1), "its place is another's now");
        assert!(seen.is_new(2), "the oldest that is remembered");
        assert!(seen.is_new(9 * Seen::SPAN) && seen.is_new(9 * Seen::SPAN - 1));
    }

    proptest! {
        /// A set that forgets nothing is the twin, where numbers stay near each other.
        #[test]
        fn each_number_is_new_once(steps in prop::collection::vec((0_u64..40, 0_u64..3), 1..400)) {
            let (mut seen, mut twin) = (Seen::new(), HashSet::new());
            let mut base = Seen::SPAN - 100;
            for (offset, step) in steps {
                base += step;
                let number = base + offset;
                prop_assert_eq!(seen.is_new(number), twin.insert(number), "{}", number);
            }
        }
    }
}
