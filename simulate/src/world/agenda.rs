//! What is due next?
//!
//! A heap of times, each with the place at which what is due then lies: so what moves within the heap is small, whatever
//! a happening carries.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use twinfeed_protocol::time::Time;

/// What is due at some time; of two things at one time the one put down first comes first.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    /// When, the how manieth it was to be put down, and where it lies.
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    turns: u64,
    things: Vec<Option<T>>,
    /// Places at which nothing lies.
    free: Vec<usize>,
}

impl<T> Agenda<T> {
    /// Nothing is due.
    pub(super) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            turns: 0,
            things: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Something is due at a time.
    pub(super) fn put(&mut self, at: Time, thing: T) {
        self.turns += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.things.push(None);
            self.things.len() - 1
        });
        self.things[place] = Some(thing);
        self.heap.push(Reverse((at, self.turns, place)));
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|due| due.0.0)
    }

    /// Takes the next thing if it is due by `now`.
    pub(super) fn take(&mut self, now: Time) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.things[place].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_down_first_comes_first_at_one_time_and_nothing_before_its_time() {
        let mut agenda = Agenda::new();
        for (at, thing) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            agenda.put(Time(at), thing);
        }
        let mut taken = Vec::new();
        for now in 0..8 {
            while let Some(thing) = agenda.take(Time(now)) {
                taken.push((now, thing));
            }
        }
        assert_eq!(taken, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd')]);
        agenda.put(Time(8), 'f');
        assert_eq!(agenda.next(), Some(Time(8)));
        let rest = [
            agenda.take(Time(9)),
            agenda.take(Time(9)),
            agenda.take(Time(9)),
        ];
        assert_eq!(rest, [Some('f'), Some('e'), None]);
    }
}
