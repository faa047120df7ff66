//! What does a conversion remember?
//!
//! What an adapter makes of a message is drawn from its [`Memory`]: two that remember different things make different
//! records of it, as a real decoder would. Any digest will do that tells them apart.

use core::ops::Range;

use twinfeed_wire::Epoch;

/// What was heard of an epoch: from where on, and what of it was given up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Memory {
    /// Everything but the last range that was given up.
    settled: u64,
    /// That one: it may still grow.
    last: Option<Range<u64>>,
}

impl Memory {
    /// Of a conversion that begins with number `first` of `epoch`.
    #[must_use]
    pub(super) const fn new(epoch: Epoch, first: u64) -> Self {
        Self {
            settled: mix(epoch.0, first),
            last: None,
        }
    }

    /// The numbers of `range` will never be heard. One that touches the range before it makes that longer: nothing was
    /// converted in between, and no decoder is told in how many steps its lines gave a hole up. One adapter may do so number
    /// by number, the other at once, and both remember the same.
    pub(super) fn give_up(&mut self, range: Range<u64>) {
        match &mut self.last {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => {
                self.settled = self.digest();
                self.last = Some(range);
            }
        }
    }

    /// Tells it from every other.
    #[must_use]
    pub(super) fn digest(&self) -> u64 {
        self.last.as_ref().map_or(self.settled, |last| {
            mix(self.settled, mix(last.start, last.end))
        })
    }
}

/// Both numbers in one.
#[must_use]
pub(super) const fn mix(one: u64, other: u64) -> u64 {
    (one.rotate_left(29) ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up(ranges: &[Range<u64>]) -> u64 {
        let mut memory = Memory::new(Epoch(1), 1);
        ranges
            .iter()
            .for_each(|range| memory.give_up(range.clone()));
        memory.digest()
    }

    #[test]
    fn in_how_many_steps_a_hole_is_given_up_does_not_matter() {
        let once = given_up(&[3..5, 40..46]);
        assert_eq!(given_up(&[3..5, 40..41, 41..45, 45..46]), once);
        assert_eq!(given_up(&[3..4, 4..5, 40..46]), once);
    }

    #[test]
    fn who_has_heard_another_number_remembers_something_else() {
        let others = [[3..5, 40..45], [3..5, 41..46], [3..6, 40..46]];
        for other in others {
            assert_ne!(given_up(&other), given_up(&[3..5, 40..46]), "{other:?}");
        }
        assert_ne!(Memory::new(Epoch(1), 2).digest(), given_up(&[]));
        assert_ne!(Memory::new(Epoch(2), 1).digest(), given_up(&[]));
    }
}
