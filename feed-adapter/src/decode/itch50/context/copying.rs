//! How is the table copied while it changes?
//!
//! ```text
//!  slots   | visited              | not yet          |
//!                                 ^ cursor
//!  copy    order, order, changed, order, gone, ...
//! ```
//!
//! A cursor walks the slots, a few at a time, and every change is noted, wherever it stands. Whoever applies what comes
//! out in the order in which it came has, whenever the cursor has reached the end, exactly the orders of that moment:
//! of an order that changed the last note says so, of one that did not the visit. An order that a removal moves from
//! behind the cursor to before it would not be visited; it is noted as if it had changed.

use super::{Order, Orders, Slot};

/// What became of one order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// Which.
    pub reference: u64,
    /// What is remembered of it now; `None`: it is gone.
    pub order: Option<Order>,
}

/// A copy under way, or none.
#[derive(Debug)]
pub(super) struct Copying {
    under_way: bool,
    /// Slots below were visited.
    cursor: usize,
    /// What changed since it was last taken.
    changes: Vec<Change>,
}

/// Most changes between two calls of [`Orders::take_changes`]: far more than one message makes.
const MOST_CHANGES: usize = 64;

impl Copying {
    pub(super) fn new() -> Self {
        Self {
            under_way: false,
            cursor: 0,
            changes: Vec::with_capacity(MOST_CHANGES),
        }
    }

    pub(super) fn end(&mut self) {
        self.under_way = false;
        self.changes.clear();
    }

    /// An order changed, or is gone.
    pub(super) fn note(&mut self, reference: u64, order: Option<Order>) {
        if self.under_way {
            self.push(reference, order);
        }
    }

    /// An order is moved from slot `from` to slot `to`.
    pub(super) fn note_move(&mut self, from: usize, to: usize, slot: &Slot) {
        if self.under_way && to < self.cursor && from >= self.cursor {
            self.push(slot.reference, Some(slot.order()));
        }
    }

    #[cold]
    fn push(&mut self, reference: u64, order: Option<Order>) {
        if self.changes.len() < MOST_CHANGES {
            self.changes.push(Change { reference, order });
        } else {
            // Nobody takes them: a copy with a hole is none.
            self.end();
        }
    }
}

impl Orders {
    /// Begins a copy anew: from here on every change is noted until [`Orders::end_copy`] or [`Orders::clear`]. The
    /// caller takes the changes after every message.
    pub fn begin_copy(&mut self) {
        self.copying.end();
        (self.copying.under_way, self.copying.cursor) = (true, 0);
    }

    /// Whether a copy is under way.
    #[must_use]
    pub const fn is_copied(&self) -> bool {
        self.copying.under_way
    }

    /// Visits the orders in the next so many slots. `true`: all were visited.
    pub fn copy_on(&mut self, slots: usize, mut visit: impl FnMut(Change)) -> bool {
        let from = self.copying.cursor;
        let until = from.saturating_add(slots).min(self.slots.len());
        for slot in &self.slots[from..until] {
            if slot.stamp == self.stamp {
                visit(Change {
                    reference: slot.reference,
                    order: Some(slot.order()),
                });
            }
        }
        self.copying.cursor = until;
        until == self.slots.len()
    }

    /// Takes what changed since the last call, in order.
    pub fn take_changes(&mut self, visit: impl FnMut(Change)) {
        self.copying.changes.drain(..).for_each(visit);
    }

    /// Ends the copy.
    pub fn end_copy(&mut self) {
        self.copying.end();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ORDER: Order = Order {
        locate: 7,
        side: b'B',
        price: 1,
        shares: 9,
    };

    /// Eight slots, five orders: whatever is removed, others move, and at some place of the cursor across it.
    #[test]
    fn no_order_escapes_the_copy_by_moving_past_the_cursor() {
        let mut moved = 0;
        for seed in 0..500_u64 {
            let references = [1, 2, 3, 4, 5].map(|n| (seed * 5 + n).wrapping_mul(0x1_0000_0001));
            for visited in 0..=8 {
                for gone in references {
                    let mut orders = Orders::with_limit(5);
                    for reference in references {
                        let _ = orders.insert(reference, ORDER);
                    }
                    let mut copy = BTreeMap::new();
                    let mut apply = |change: Change| match change.order {
                        Some(order) => drop(copy.insert(change.reference, order)),
                        None => drop(copy.remove(&change.reference)),
                    };
                    orders.begin_copy();
                    orders.copy_on(visited, &mut apply);
                    let _ = orders.remove(gone);
                    moved += orders.copying.changes.len() - 1;
                    orders.take_changes(&mut apply);
                    assert!(orders.copy_on(8, &mut apply));
                    let left = references.into_iter().filter(|it| *it != gone);
                    let expected: BTreeMap<_, _> = left.map(|it| (it, ORDER)).collect();
                    assert_eq!(copy, expected, "{references:?}, {visited}, {gone}");
                }
            }
        }
        assert!(moved > 100, "{moved}");
    }
}
