//! Which epochs were left or passed over, so that none of them returns?
//!
//! The order of epochs is the order in which they were first heard of. When one takes over, everything
//! heard of before it is over: the epoch at hand, and those that never came to be believed.
//!
//! That two lines are as far as each other only an epoch at hand shows. Before the first one a line that was heard of
//! another epoch may be ahead: only what a line said before it came to the one that takes over is over.

use twinfeed_wire::Epoch;

use super::Line;

/// The epochs that are over, the newest of them, and those heard of since the last one began.
#[derive(Debug)]
pub(super) struct Retired {
    /// Those that were at hand: of their own, so that nobody who babbles of others makes them be forgotten.
    left: Ring<Epoch>,
    /// Those that were heard of and passed over.
    over: Ring<Epoch>,
    /// Each with the line that spoke of it first.
    heard: Ring<(Epoch, Line)>,
}

impl Retired {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            left: Ring::new(capacity, Epoch::NONE),
            over: Ring::new(capacity, Epoch::NONE),
            heard: Ring::new(capacity, (Epoch::NONE, Line::A)),
        }
    }

    pub(super) fn contains(&self, epoch: Epoch) -> bool {
        let is = |known: &Epoch| *known == epoch;
        self.left.contains(is) || self.over.contains(is)
    }

    /// Something of `epoch` came on `line`, which is not the one at hand.
    pub(super) fn hear(&mut self, epoch: Epoch, line: Line) {
        if !self.heard.contains(|(heard, _)| *heard == epoch) {
            self.heard.push((epoch, line));
        }
    }

    /// `next`, of which the lines speak that `says` names, takes over from `current`.
    pub(super) fn take_over(&mut self, current: Epoch, next: Epoch, says: impl Fn(Line) -> bool) {
        let first = !current.is_some();
        if !first {
            self.left.push(current);
        }
        // Walked once around, so that what stays is in the order in which it was heard of.
        let mut before = true;
        for _ in 0..self.heard.count {
            let Some((heard, line)) = self.heard.pop() else {
                break;
            };
            if heard == next {
                before = false;
            } else if before && (!first || says(line)) {
                self.over.push(heard);
            } else {
                self.heard.push((heard, line));
            }
        }
    }
}

/// A queue that forgets its oldest when it is full.
#[derive(Debug)]
struct Ring<T> {
    epochs: Box<[T]>,
    /// What stands where none is.
    none: T,
    /// Where the next one goes.
    next: usize,
    count: usize,
}

impl<T: Copy> Ring<T> {
    fn new(capacity: usize, none: T) -> Self {
        Self {
            epochs: vec![none; capacity].into_boxed_slice(),
            none,
            next: 0,
            count: 0,
        }
    }

    fn contains(&self, is: impl Fn(&T) -> bool) -> bool {
        self.epochs.iter().any(is)
    }

    fn push(&mut self, epoch: T) {
        self.epochs[self.next] = epoch;
        self.next = (self.next + 1) % self.epochs.len();
        self.count = (self.count + 1).min(self.epochs.len());
    }

    /// Takes the oldest out.
    fn pop(&mut self) -> Option<T> {
        let capacity = self.epochs.len();
        let oldest = (self.next + capacity - self.count) % capacity;
        self.count = self.count.checked_sub(1)?;
        Some(core::mem::replace(&mut self.epochs[oldest], self.none))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_before_the_successor_is_over_what_came_later_is_not() {
        let mut retired = Retired::new(4);
        for epoch in [2, 3, 2, 4] {
            retired.hear(Epoch(epoch), Line::A);
        }
        retired.take_over(Epoch(1), Epoch(3), |_| false);
        let over = |retired: &Retired| (1..=9).filter(|&e| retired.contains(Epoch(e))).collect();
        let (expected, seen): (Vec<u64>, Vec<u64>) = (vec![1, 2], over(&retired));
        assert_eq!(seen, expected);
        retired.take_over(Epoch(3), Epoch(4), |_| false);
        for epoch in 5..=9 {
            retired.hear(Epoch(epoch), Line::A);
        }
        retired.take_over(Epoch(4), Epoch(9), |_| false);
        let (expected, seen): (Vec<u64>, Vec<u64>) = (vec![1, 2, 3, 4, 6, 7, 8], over(&retired));
        assert_eq!(
            seen, expected,
            "of those passed over four are remembered, the newest"
        );
    }

    #[test]
    fn what_was_only_heard_of_makes_nobody_forget_what_was_left() {
        let mut retired = Retired::new(2);
        for current in 1..=3 {
            for babbled in 0..10 {
                retired.hear(Epoch(100 * current + babbled), Line::A);
            }
            retired.hear(Epoch(current + 1), Line::A);
            retired.take_over(Epoch(current), Epoch(current + 1), |_| true);
        }
        let known = [1, 2, 3].map(|epoch| retired.contains(Epoch(epoch)));
        assert_eq!(known, [false, true, true], "the last two");
    }

    #[test]
    fn before_the_first_one_only_what_its_own_lines_said_is_over() {
        let mut retired = Retired::new(5);
        for (epoch, line) in [
            (3, Line::A),
            (1, Line::B),
            (2, Line::B),
            (4, Line::B),
            (5, Line::A),
        ] {
            retired.hear(Epoch(epoch), line);
        }
        retired.take_over(Epoch::NONE, Epoch(2), |line| line == Line::B);
        assert!(retired.contains(Epoch(1)));
        assert!(!retired.contains(Epoch(3)), "line A is ahead");
        retired.take_over(Epoch(2), Epoch(4), |_| true);
        assert!(retired.contains(Epoch(3)), "heard of before 4");
        assert!(!retired.contains(Epoch(5)), "heard of after 4");
    }
}
