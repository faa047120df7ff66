//! What does a book say?

use std::iter;

use super::check::{Broken, check};
use super::gather::Gather;
use super::ladder::Ladder;
use super::pool::Pool;
use super::{Counts, Level, Order, Side, Top, Trust};
use crate::index::NONE;

/// A look into the book of one instrument. Costs nothing; nothing here allocates.
///
/// Equal are two books of the same instrument in which the same orders stand in the same queues, whatever is thought of them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) pool: &'a Pool,
    pub(super) ladder: &'a Ladder,
    pub(super) stale: bool,
}

impl<'a> View<'a> {
    /// Whose book it is: the venue's number.
    #[must_use]
    pub const fn instrument(self) -> u32 {
        self.ladder.instrument
    }

    /// Whether it may be believed.
    #[must_use]
    pub const fn trust(self) -> Trust {
        self.ladder.trust
    }

    /// How many records did not fit, and why.
    #[must_use]
    pub const fn counts(self) -> &'a Counts {
        &self.ladder.counts
    }

    /// Best bid and offer.
    #[must_use]
    pub fn top(self) -> Top {
        Top {
            bid: self.ladder.best(Side::Bid),
            ask: self.ladder.best(Side::Ask),
            trust: self.ladder.trust,
            stale: self.stale,
        }
    }

    /// Whether somebody bids as much as another asks, or more. No error by itself: before the open and in a halt books are
    /// crossed, and so they may be between the records of one event.
    #[must_use]
    pub fn is_crossed(self) -> bool {
        self.ladder.is_crossed()
    }

    /// The levels of a side, best first: take as many as are wanted.
    pub fn levels(self, side: Side) -> impl Iterator<Item = Level> + use<'a> {
        let rungs = self.ladder.levels(side).iter();
        rungs.map(move |rung| rung.level(side))
    }

    /// How many levels a side has.
    #[must_use]
    pub fn depth(self, side: Side) -> usize {
        self.ladder.levels(side).len()
    }

    /// The level at a price (1e-9), if an order stands there.
    #[must_use]
    pub fn level(self, side: Side, price: i64) -> Option<Level> {
        let rung = self.ladder.levels(side).get(side.rank(price))?;
        Some(rung.level(side))
    }

    /// The orders at a price (1e-9), first in time first.
    pub fn queue(self, side: Side, price: i64) -> impl Iterator<Item = Order> + use<'a> {
        let rung = self.ladder.levels(side).get(side.rank(price));
        self.walk(rung.map_or(NONE, |rung| rung.first))
    }

    /// The order of this number.
    #[must_use]
    pub fn order(self, id: u64) -> Option<Order> {
        let at = self.pool.find(self.ladder.number, id)?;
        Some(self.pool.at(at).order())
    }

    /// How many orders rest.
    #[must_use]
    pub const fn len(self) -> usize {
        self.ladder.orders
    }

    /// Whether no order rests.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.ladder.orders == 0
    }

    /// All orders, bids and then asks, each side best price first and each price first in time first: what
    /// [`super::Book::import`] takes. The order is a function of the content alone.
    pub fn orders(self) -> impl Iterator<Item = Order> + use<'a> {
        let sides = Side::BOTH.into_iter();
        let rungs = sides.flat_map(move |side| self.ladder.levels(side).iter());
        let slots = Gather::new(self.pool, rungs);
        slots.map(move |at| self.pool.at(at).order())
    }

    /// Counts everything again from the orders, the slow and obvious way; for tests and for a doubt of one's own.
    ///
    /// # Errors
    /// [`Broken`] says what does not agree; a defect of this library.
    pub fn check(self) -> Result<(), Broken> {
        check(self.pool, self.ladder)
    }

    fn walk(self, first: u32) -> impl Iterator<Item = Order> + use<'a> {
        let taken = |at: u32| (at != NONE).then_some(at);
        let slots = iter::successors(taken(first), move |&at| taken(self.pool.at(at).behind));
        slots.map(move |at| self.pool.at(at).order())
    }
}

impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.instrument() == other.instrument()
            && self.len() == other.len()
            && self.orders().eq(other.orders())
    }
}

impl Eq for View<'_> {}
