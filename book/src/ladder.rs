//! How do the orders of one instrument stand in queues, the queues at levels, and the levels on two sides?
//!
//! ```text
//!   side ─► levels, best first ─► a level: quantity, orders, first and last of its queue
//!                                     first ⇄ … ⇄ last        slots of the pool
//! ```
//!
//! The four things that can happen to an order, and nothing else: it is placed behind all others at its price, shrinks where it
//! stands, moves to the back of a queue, or leaves. What a record asks for, and whether it may, is said in [`super::apply`].

use super::levels::{Levels, Rung};
use super::pool::{Pool, Slot};
use super::{Counts, Level, Order, Side, Trust};
use crate::index::NONE;

/// The book of one instrument, but for the orders, which stand in a pool.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Of the book in the pool.
    pub(super) number: u32,
    pub(super) instrument: u32,
    pub(super) trust: Trust,
    pub(super) counts: Counts,
    /// Whether a crossed book is wrong at present.
    pub(super) continuous: bool,
    /// How many orders there are.
    pub(super) orders: usize,
    bids: Levels,
    asks: Levels,
}

impl Ladder {
    /// The empty book `number` of a pool.
    pub(super) fn new(number: u32, instrument: u32, trust: Trust) -> Self {
        Self {
            number,
            instrument,
            trust,
            counts: Counts::default(),
            continuous: false,
            orders: 0,
            bids: Levels::default(),
            asks: Levels::default(),
        }
    }

    pub(super) fn levels(&self, side: Side) -> &Levels {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn levels_mut(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// The slot of the last order in the queue at a price; [`NONE`] where there is none.
    pub(super) fn last_at(&self, side: Side, price: i64) -> u32 {
        let rung = self.levels(side).get(side.rank(price));
        rung.map_or(NONE, |rung| rung.last)
    }

    /// The best level of a side.
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).best().map(|rung| rung.level(side))
    }

    /// Whether somebody bids as much as another asks, or more.
    pub(super) fn is_crossed(&self) -> bool {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Places a new order behind all others at its price; `false` when the pool is full.
    pub(super) fn place(&mut self, pool: &mut Pool, order: Order) -> bool {
        let slot = Slot {
            id: order.id,
            price: order.price,
            size: order.size,
            book: self.number,
            before: NONE,
            behind: NONE,
            side: order.side,
        };
        let Some(at) = pool.insert(slot) else {
            return false;
        };
        self.orders += 1;
        self.queue_up(pool, at);
        true
    }

    /// Gives the order in slot `at` another quantity where it stands.
    pub(super) fn resize(&mut self, pool: &mut Pool, at: u32, size: u32) {
        let slot = pool.at_mut(at);
        let before = std::mem::replace(&mut slot.size, size);
        let (side, rank) = (slot.side, slot.side.rank(slot.price));
        if let Some(rung) = self.levels_mut(side).get_mut(rank) {
            rung.size = rung.size - u64::from(before) + u64::from(size);
        }
    }

    /// Sends the order in slot `at` to the back of the queue where it belongs from now on.
    pub(super) fn requeue(
        &mut self,
        pool: &mut Pool,
        at: u32,
        (side, price): (Side, i64),
        size: u32,
    ) {
        self.unqueue(pool, at);
        let slot = pool.at_mut(at);
        (slot.side, slot.price, slot.size) = (side, price, size);
        self.queue_up(pool, at);
    }

    /// Takes the order in slot `at` out of the book.
    pub(super) fn take_out(&mut self, pool: &mut Pool, at: u32) {
        self.unqueue(pool, at);
        pool.remove(at);
        self.orders -= 1;
    }

    /// Takes all orders out.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        for side in Side::BOTH {
            for rung in self.levels(side).iter() {
                let mut at = rung.first;
                while at != NONE {
                    let behind = pool.at(at).behind;
                    pool.remove(at);
                    at = behind;
                }
            }
        }
        self.orders = 0;
        self.bids = Levels::default();
        self.asks = Levels::default();
    }

    fn queue_up(&mut self, pool: &mut Pool, at: u32) {
        let Slot {
            side, price, size, ..
        } = *pool.at(at);
        let rung = self.levels_mut(side).get_or_insert(Rung {
            rank: side.rank(price),
            size: 0,
            orders: 0,
            first: at,
            last: NONE,
        });
        rung.size += u64::from(size);
        rung.orders += 1;
        let before = std::mem::replace(&mut rung.last, at);
        if before != NONE {
            pool.at_mut(before).behind = at;
        }
        let slot = pool.at_mut(at);
        (slot.before, slot.behind) = (before, NONE);
    }

    fn unqueue(&mut self, pool: &mut Pool, at: u32) {
        let Slot {
            side,
            price,
            size,
            before,
            behind,
            ..
        } = *pool.at(at);
        let rank = side.rank(price);
        if before != NONE {
            pool.at_mut(before).behind = behind;
        }
        if behind != NONE {
            pool.at_mut(behind).before = before;
        }
        let levels = self.levels_mut(side);
        let Some(rung) = levels.get_mut(rank) else {
            debug_assert!(false, "invariant: an order stands at a level");
            return;
        };
        if rung.orders == 1 {
            return levels.remove(rank);
        }
        rung.size -= u64::from(size);
        rung.orders -= 1;
        if before == NONE {
            rung.first = behind;
        }
        if behind == NONE {
            rung.last = before;
        }
    }
}

impl Rung {
    /// As applications see it.
    pub(super) fn level(&self, side: Side) -> Level {
        Level {
            price: side.price(self.rank),
            size: self.size,
            orders: self.orders,
        }
    }
}

impl Side {
    /// A number that rises with how good a price is.
    pub(super) const fn rank(self, price: i64) -> i64 {
        match self {
            Self::Bid => price,
            Self::Ask => !price, // falls as the price rises, for every i64
        }
    }

    /// The price of a rank.
    pub(super) const fn price(self, rank: i64) -> i64 {
        self.rank(rank) // its own inverse
    }
}
