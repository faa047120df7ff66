//! In which slots do the orders of several queues stand, one queue after the other, without a wait for each of them?
//!
//! ```text
//!   queues     a ─► a ─► a      one step in each, as long as they go on ─►   a a a b b c c c c    told in their order
//!              b ─► b
//!              c ─► c ─► c ─► c
//! ```
//!
//! Only an order's slot says who stands behind it, so that one queue is walked as fast as memory answers, and books larger than the caches are many short queues.
//! Up to [`LANES`] of them are walked side by side: their slots are asked for together. What is longer than the buffer is walked alone.

use super::levels::Rung;
use super::pool::Pool;
use crate::index::NONE;

/// The slots of all orders at these levels.
pub(super) struct Gather<'a, R> {
    pool: &'a Pool,
    rungs: R,
    /// A level that found no room beside those before it.
    left: Option<&'a Rung>,
    slots: [u32; ROOM],
    at: usize,
    len: usize,
    /// The next slot of a queue that is longer than the buffer.
    long: u32,
}

impl<'a, R: Iterator<Item = &'a Rung>> Gather<'a, R> {
    pub(super) const fn new(pool: &'a Pool, rungs: R) -> Self {
        Self {
            pool,
            rungs,
            left: None,
            slots: [NONE; ROOM],
            at: 0,
            len: 0,
            long: NONE,
        }
    }

    /// Walks the next queues; `false`: there are none.
    fn fill(&mut self) -> bool {
        (self.at, self.len) = (0, 0);
        // The next slot of each queue, and between which places its slots go.
        let mut lanes = [(NONE, 0, 0); LANES];
        let mut taken = 0;
        while taken < LANES {
            let Some(rung) = self.left.take().or_else(|| self.rungs.next()) else {
                break;
            };
            let orders = rung.orders as usize;
            if self.len + orders > ROOM {
                match taken {
                    0 => self.long = rung.first,
                    _ => self.left = Some(rung),
                }
                break;
            }
            lanes[taken] = (rung.first, self.len, self.len + orders);
            self.len += orders;
            taken += 1;
        }
        let lanes = &mut lanes[..taken];
        let mut walking = taken > 0;
        while walking {
            walking = false;
            for (next, at, end) in &mut *lanes {
                if *at < *end {
                    self.slots[*at] = *next;
                    *at += 1;
                    if *next != NONE {
                        *next = self.pool.at(*next).behind;
                    }
                    walking = true;
                }
            }
        }
        self.len > 0 || self.long != NONE
    }
}

impl<'a, R: Iterator<Item = &'a Rung>> Iterator for Gather<'a, R> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if self.at < self.len {
                let slot = self.slots[self.at];
                self.at += 1;
                debug_assert!(
                    slot != NONE,
                    "invariant: a level knows how many orders it has"
                );
                if slot != NONE {
                    return Some(slot);
                }
            } else if self.long != NONE {
                let slot = self.long;
                self.long = self.pool.at(slot).behind;
                return Some(slot);
            } else if !self.fill() {
                return None;
            }
        }
    }
}

/// Queues that are walked side by side: about as many as memory is asked for at a time.
const LANES: usize = 16;
/// Most slots that are remembered.
const ROOM: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Order, Side, Trust, ladder::Ladder};

    /// Queues of every length around the bounds, alone and beside each other.
    #[test]
    fn what_is_gathered_is_what_a_walk_of_one_queue_after_the_other_finds() {
        let lengths: [&[usize]; 6] = [
            &[],
            &[1],
            &[ROOM],
            &[ROOM + 1, 3, ROOM - 1, 1, 1],
            &[1; 3 * LANES + 1],
            &[100, 100, 57, 5, 300, 256, 255, 1, 2, 3],
        ];
        for queues in lengths {
            let mut pool = Pool::new(10_000);
            let mut ladder = Ladder::new(1, 7, Trust::Sound);
            let mut waiting: Vec<_> = queues.iter().copied().enumerate().collect();
            let mut id = 0;
            // One order at each price in turn, so that slots of a queue are no neighbours.
            while !waiting.is_empty() {
                for (price, left) in &mut waiting {
                    id += 1;
                    *left -= 1;
                    let price = *price as i64;
                    let (side, size) = (Side::Ask, 1);
                    assert!(ladder.place(
                        &mut pool,
                        Order {
                            id,
                            side,
                            price,
                            size
                        }
                    ));
                }
                waiting.retain(|(_, left)| *left > 0);
            }
            let mut found = Vec::new();
            for rung in ladder.levels(Side::Ask).iter() {
                let mut at = rung.first;
                while at != NONE {
                    found.push(at);
                    at = pool.at(at).behind;
                }
            }
            let gathered: Vec<_> = Gather::new(&pool, ladder.levels(Side::Ask).iter()).collect();
            assert_eq!(gathered, found, "{queues:?}");
            assert_eq!(found.len(), queues.iter().sum::<usize>());
        }
    }
}
