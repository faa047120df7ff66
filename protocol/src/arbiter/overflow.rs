//! What was dropped for want of room?
//!
//! A gap that reaches such a number says so: that nobody has sent it would be untrue. Of each epoch the furthest number
//! is remembered, for the last few epochs in which that happened.

use twinfeed_wire::Epoch;

/// The furthest number that was dropped, by epoch.
#[derive(Debug)]
pub(super) struct Overflow {
    furthest: [(Epoch, u64); KEPT_EPOCHS],
    at: usize,
}

/// More than can be ahead of the application at any time.
const KEPT_EPOCHS: usize = 8;

impl Overflow {
    pub(super) const fn new() -> Self {
        Self {
            furthest: [(Epoch::NONE, 0); KEPT_EPOCHS],
            at: 0,
        }
    }

    /// Notes that something up to `sseq` was dropped.
    pub(super) fn note(&mut self, epoch: Epoch, sseq: u64) {
        let known = self.furthest.iter_mut().find(|(of, _)| *of == epoch);
        if let Some((_, furthest)) = known {
            *furthest = sseq.max(*furthest);
        } else {
            self.furthest[self.at] = (epoch, sseq);
            self.at = (self.at + 1) % KEPT_EPOCHS;
        }
    }

    /// Forgets the epoch: its numbering began anew.
    pub(super) fn forget(&mut self, epoch: Epoch) {
        let known = self.furthest.iter_mut().filter(|(of, _)| *of == epoch);
        known.for_each(|it| *it = (Epoch::NONE, 0));
    }

    /// Whether something was dropped at `sseq` or beyond.
    pub(super) fn reaches(&self, epoch: Epoch, sseq: u64) -> bool {
        let mut furthest = self.furthest.iter();
        furthest.any(|(of, furthest)| *of == epoch && sseq <= *furthest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_number_of_the_last_epochs_is_remembered() {
        let mut overflow = Overflow::new();
        assert!(!overflow.reaches(Epoch(1), 0));
        overflow.note(Epoch(1), 9);
        overflow.note(Epoch(1), 7);
        assert!(overflow.reaches(Epoch(1), 9));
        assert!(!overflow.reaches(Epoch(1), 10));
        assert!(!overflow.reaches(Epoch(2), 9));
        overflow.forget(Epoch(1));
        assert!(!overflow.reaches(Epoch(1), 9));
        overflow.note(Epoch(1), 9);
        for epoch in 2..2 + KEPT_EPOCHS as u64 {
            overflow.note(Epoch(epoch), 1);
        }
        assert!(!overflow.reaches(Epoch(1), 9));
        assert!(overflow.reaches(Epoch(2), 1));
    }
}
