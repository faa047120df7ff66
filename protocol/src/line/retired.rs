//! Which epochs were left or passed over, so that none of them returns?
//!
//! The order of epochs is the order in which they were first heard of. When one takes over, everything
//! heard of before it is over: the epoch at hand, and those that never came to be believed.

use twinfeed_wire::Epoch;

/// The epochs that are over, the newest of them, and those heard of since the last one began.
#[derive(Debug)]
pub(super) struct Retired {
    over: Ring,
    heard: Ring,
}

impl Retired {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            over: Ring::new(capacity),
            heard: Ring::new(capacity),
        }
    }

    pub(super) fn contains(&self, epoch: Epoch) -> bool {
        self.over.contains(epoch)
    }

    /// Something of `epoch` came, which is not the one at hand.
    pub(super) fn hear(&mut self, epoch: Epoch) {
        if !self.heard.contains(epoch) {
            self.heard.push(epoch);
        }
    }

    /// `next` takes over from `current`.
    pub(super) fn take_over(&mut self, current: Epoch, next: Epoch) {
        if current.is_some() {
            self.over.push(current);
        }
        while let Some(oldest) = self.heard.pop() {
            if oldest == next {
                break;
            }
            self.over.push(oldest);
        }
    }
}

/// A queue that forgets its oldest when it is full.
#[derive(Debug)]
struct Ring {
    epochs: Box<[Epoch]>,
    /// Where the next one goes.
    next: usize,
    count: usize,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self {
            epochs: vec![Epoch::NONE; capacity].into_boxed_slice(),
            next: 0,
            count: 0,
        }
    }

    fn contains(&self, epoch: Epoch) -> bool {
        self.epochs.contains(&epoch)
    }

    fn push(&mut self, epoch: Epoch) {
        self.epochs[self.next] = epoch;
        self.next = (self.next + 1) % self.epochs.len();
        self.count = (self.count + 1).min(self.epochs.len());
    }

    /// Takes the oldest out.
    fn pop(&mut self) -> Option<Epoch> {
        let capacity = self.epochs.len();
        let oldest = (self.next + capacity - self.count) % capacity;
        self.count = self.count.checked_sub(1)?;
        Some(core::mem::replace(&mut self.epochs[oldest], Epoch::NONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_before_the_successor_is_over_what_came_later_is_not() {
        let mut retired = Retired::new(4);
        for epoch in [2, 3, 2, 4] {
            retired.hear(Epoch(epoch));
        }
        retired.take_over(Epoch(1), Epoch(3));
        let over = |retired: &Retired| (1..=9).filter(|&e| retired.contains(Epoch(e))).collect();
        let (expected, seen): (Vec<u64>, Vec<u64>) = (vec![1, 2], over(&retired));
        assert_eq!(seen, expected);
        retired.take_over(Epoch(3), Epoch(4));
        for epoch in 5..=9 {
            retired.hear(Epoch(epoch));
        }
        retired.take_over(Epoch(4), Epoch(9));
        let (expected, seen): (Vec<u64>, Vec<u64>) = (vec![4, 6, 7, 8], over(&retired));
        assert_eq!(seen, expected, "four are remembered, the newest");
    }
}
