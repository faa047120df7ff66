//! Which epochs were left, so that none of them returns?

use twinfeed_wire::Epoch;

/// The epochs left most recently.
#[derive(Debug)]
pub(super) struct Retired {
    epochs: Box<[Epoch]>,
    /// Where the next one goes: over the oldest.
    next: usize,
}

impl Retired {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            epochs: vec![Epoch::NONE; capacity].into_boxed_slice(),
            next: 0,
        }
    }

    pub(super) fn contains(&self, epoch: Epoch) -> bool {
        self.epochs.contains(&epoch)
    }

    pub(super) fn push(&mut self, epoch: Epoch) {
        self.epochs[self.next] = epoch;
        self.next = (self.next + 1) % self.epochs.len();
    }
}
