//! Where do the orders of all books of a source stand?
//!
//! In one slab, each in a slot of 40 bytes that knows its neighbours in the queue of its level. Free slots form a list of their
//! own, so that after warm-up an order that comes takes the place of one that went. One slab for all books, because then
//! the bound on the memory of a source is one number, whichever instruments the orders are of.
//!
//! What a queue or a level is is the business of [`super::ladder`].

use super::{Order, Side};
use crate::index::{Index, NONE, hash};

/// An order, and who stands before and behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) price: i64,
    pub(super) size: u32,
    /// The book that it is of; [`NONE`] where the slot is free.
    pub(super) book: u32,
    /// The slot of the order before it in its queue.
    pub(super) before: u32,
    /// The slot of the order behind it in its queue, or of the next free slot.
    pub(super) behind: u32,
    pub(super) side: Side,
}

const _: () = assert!(size_of::<Slot>() == 40);

impl Slot {
    /// As applications see it.
    pub(super) const fn order(&self) -> Order {
        Order {
            id: self.id,
            side: self.side,
            price: self.price,
            size: self.size,
        }
    }
}

/// The orders of all books of a source.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    index: Index,
    /// The first free slot.
    free: u32,
    max_orders: usize,
}

impl Pool {
    /// Room for `max_orders` at a time; memory is taken as they come.
    pub(super) fn new(max_orders: usize) -> Self {
        Self {
            slots: Vec::new(),
            index: Index::new(),
            free: NONE,
            max_orders: max_orders.min(NONE as usize),
        }
    }

    /// How many orders there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The order `id` of `book`.
    pub(super) fn find(&self, book: u32, id: u64) -> Option<u32> {
        self.index.find(hash(book, id), |at| {
            let slot = self.at(at);
            slot.id == id && slot.book == book
        })
    }

    /// Where a search for the order `id` of `book` begins.
    pub(super) fn touch(&self, book: u32, id: u64) -> u32 {
        self.index.touch(hash(book, id))
    }

    /// Whether there is more than caches hold, so that it pays to ask for much of it together.
    pub(super) fn is_large(&self) -> bool {
        self.len() >= LARGE
    }

    /// A slot that is taken.
    pub(super) fn at(&self, at: u32) -> &Slot {
        &self.slots[at as usize]
    }

    /// A slot, if there is one.
    pub(super) fn get(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)
    }

    pub(super) fn at_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.slots[at as usize]
    }

    /// Gives an order a slot; `None` when there are [`Pool::new`]'s `max_orders`.
    pub(super) fn insert(&mut self, order: Slot) -> Option<u32> {
        if self.len() >= self.max_orders {
            return None;
        }
        let at = self.free;
        let at = if at == NONE {
            self.slots.push(order);
            (self.slots.len() - 1) as u32 // fewer than NONE, as there are no more than `max_orders`
        } else {
            self.free = self.at(at).behind;
            *self.at_mut(at) = order;
            at
        };
        self.index.insert(hash(order.book, order.id), at);
        Some(at)
    }

    /// Frees a slot.
    pub(super) fn remove(&mut self, at: u32) {
        let Slot { book, id, .. } = *self.at(at);
        self.index.remove(hash(book, id), at);
        let free = self.free;
        let slot = self.at_mut(at);
        slot.book = NONE;
        slot.behind = free;
        self.free = at;
    }

    /// Forgets all orders and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.index.clear();
        self.free = NONE;
    }
}

/// So many orders take some 6 MB: about what caches of a core hold.
const LARGE: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(book: u32, id: u64) -> Slot {
        Slot {
            id,
            price: 1,
            size: 1,
            book,
            before: NONE,
            behind: NONE,
            side: Side::Bid,
        }
    }

    #[test]
    fn an_order_takes_the_place_of_one_that_went() {
        let mut pool = Pool::new(2);
        let first = pool.insert(order(1, 7)).unwrap();
        assert_eq!(
            pool.insert(order(2, 7)),
            Some(1),
            "numbers are a book's own"
        );
        assert_eq!(pool.insert(order(1, 8)), None, "full");
        pool.remove(first);
        assert_eq!(pool.find(1, 7), None);
        assert_eq!(pool.insert(order(1, 8)), Some(first));
        assert_eq!((pool.find(1, 8), pool.find(2, 7)), (Some(0), Some(1)));
        assert_eq!(pool.len(), 2);
        pool.clear();
        assert_eq!((pool.len(), pool.find(2, 7)), (0, None));
        assert_eq!(pool.insert(order(3, 1)), Some(0));
    }
}
