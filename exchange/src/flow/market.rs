//! Which orders are open, and where is the price?
//!
//! Each instrument has a middle that is nobody's price: bids stand below it,
//! offers above, always. It moves by a tick, and only to where that stays true,
//! so the touch has to be traded away before the price can follow.
//!
//! Orders of all instruments lie in one slab, `depth` places each; the open ones
//! come first. Nothing is allocated after construction.

use crate::itch::{Side, Stock};
use crate::rng::Rng;

/// One cent, in units of 1/10,000 dollar.
const TICK: u32 = 100;
/// The middle stays between $1 and $190,000, so that every passive price is
/// above 0 and below the format's limit of $200,000.
const MIN_MIDDLE: u32 = 10_000;
const MAX_MIDDLE: u32 = 1_900_000_000;
/// Passive orders stand up to this many ticks from the middle; fewer than
/// `MIN_MIDDLE` is worth.
const MAX_DISTANCE: u32 = 40;

/// An open order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) reference: u64,
    pub(super) shares: u32,
    pub(super) price: u32,
    pub(super) side: Side,
}

/// Where an order is in the slab; valid until the instrument changes.
pub(super) type Place = usize;

#[derive(Clone, Copy, Debug)]
struct Instrument {
    stock: Stock,
    middle: u32,
    /// Open orders: the first this many of its places.
    open: u16,
    halted: bool,
    halted_elsewhere: bool,
}

/// All instruments with their open orders.
#[derive(Debug)]
pub(super) struct Market {
    instruments: Vec<Instrument>,
    slab: Vec<Resting>,
    depth: u16,
}

impl Market {
    pub(super) fn new(instruments: u16, depth: u16, rng: &mut Rng) -> Self {
        let (instruments, depth) = (instruments.max(1), depth.max(1));
        let nobody = Resting {
            reference: 0,
            shares: 0,
            price: 0,
            side: Side::Buy,
        };
        Self {
            slab: vec![nobody; usize::from(instruments) * usize::from(depth)],
            instruments: (0..instruments)
                .map(|index| Instrument::new(index, rng))
                .collect(),
            depth,
        }
    }

    pub(super) fn stock(&self, instrument: u16) -> Stock {
        self.at(instrument).stock
    }

    pub(super) fn middle(&self, instrument: u16) -> u32 {
        self.at(instrument).middle
    }

    pub(super) fn is_empty(&self, instrument: u16) -> bool {
        self.at(instrument).open == 0
    }

    pub(super) fn is_full(&self, instrument: u16) -> bool {
        self.at(instrument).open == self.depth
    }

    pub(super) fn halt(&mut self, instrument: u16) {
        self.at_mut(instrument).halted = true;
    }

    /// Ends a halt; false if there was none.
    pub(super) fn resume(&mut self, instrument: u16) -> bool {
        std::mem::take(&mut self.at_mut(instrument).halted)
    }

    /// Changes whether another market halts the instrument, and returns the new state.
    pub(super) fn toggle_halt_elsewhere(&mut self, instrument: u16) -> bool {
        let instrument = self.at_mut(instrument);
        instrument.halted_elsewhere = !instrument.halted_elsewhere;
        instrument.halted_elsewhere
    }

    /// Adds an order; the instrument must not be full.
    pub(super) fn insert(&mut self, instrument: u16, order: Resting) {
        let place = self.first(instrument) + usize::from(self.at(instrument).open);
        self.slab[place] = order;
        self.at_mut(instrument).open += 1;
    }

    /// Any open order; the instrument must have one.
    pub(super) fn pick(&self, instrument: u16, rng: &mut Rng) -> (Place, Resting) {
        let nth = rng.below(u32::from(self.at(instrument).open)) as usize;
        let place = self.first(instrument) + nth;
        (place, self.slab[place])
    }

    /// The best order of a side, or of the other if that side is empty; the
    /// instrument must have an order.
    pub(super) fn touch(&self, instrument: u16, side: Side) -> (Place, Resting) {
        let other = if side == Side::Buy {
            Side::Sell
        } else {
            Side::Buy
        };
        let place = self
            .best(instrument, side)
            .or_else(|| self.best(instrument, other))
            .unwrap_or_else(|| self.first(instrument));
        (place, self.slab[place])
    }

    /// Takes shares off an order, and the order off the book when none are left.
    pub(super) fn reduce(&mut self, instrument: u16, (place, order): (Place, Resting), by: u32) {
        let left = order.shares.saturating_sub(by);
        if left > 0 {
            self.slab[place].shares = left;
            return;
        }
        let open = self.at(instrument).open - 1;
        self.at_mut(instrument).open = open;
        let last = self.first(instrument) + usize::from(open);
        self.slab[place] = self.slab[last];
    }

    pub(super) fn replace(&mut self, place: Place, order: Resting) {
        self.slab[place] = order;
    }

    /// A price on the passive side of the middle, close to it more often than far.
    pub(super) fn passive_price(&self, instrument: u16, side: Side, rng: &mut Rng) -> u32 {
        let distance = TICK * (1 + rng.skewed_below(MAX_DISTANCE));
        match side {
            Side::Buy => self.middle(instrument) - distance,
            Side::Sell => self.middle(instrument) + distance,
        }
    }

    /// Moves the middle by a tick, if no order stands there.
    pub(super) fn drift(&mut self, instrument: u16, up: bool) {
        let side = if up { Side::Sell } else { Side::Buy };
        let middle = self.middle(instrument);
        let wanted = if up { middle + TICK } else { middle - TICK };
        let taken = self
            .best(instrument, side)
            .map(|place| self.slab[place].price)
            .is_some_and(|price| if up { price <= wanted } else { price >= wanted });
        if !taken && (MIN_MIDDLE..=MAX_MIDDLE).contains(&wanted) {
            self.at_mut(instrument).middle = wanted;
        }
    }

    /// The place of the best order of a side; the earliest of equals.
    fn best(&self, instrument: u16, side: Side) -> Option<Place> {
        let first = self.first(instrument);
        let open = &self.slab[first..first + usize::from(self.at(instrument).open)];
        let orders = open
            .iter()
            .enumerate()
            .filter(|(_, order)| order.side == side);
        let best = match side {
            Side::Buy => orders.min_by_key(|(_, order)| (u32::MAX - order.price, order.reference)),
            Side::Sell => orders.min_by_key(|(_, order)| (order.price, order.reference)),
        };
        best.map(|(nth, _)| first + nth)
    }

    fn first(&self, instrument: u16) -> Place {
        usize::from(instrument) * usize::from(self.depth)
    }

    // An instrument's number is drawn below the count, once, in `Flow`.
    fn at(&self, instrument: u16) -> &Instrument {
        &self.instruments[usize::from(instrument)]
    }

    fn at_mut(&mut self, instrument: u16) -> &mut Instrument {
        &mut self.instruments[usize::from(instrument)]
    }
}

impl Instrument {
    /// `ZAAAA`, `ZAAAB`, …: symbols that begin with Z as test symbols do. Prices
    /// from $2 to $602, low ones more often.
    fn new(index: u16, rng: &mut Rng) -> Self {
        let mut stock = *b"ZAAAA   ";
        let mut rest = index;
        for letter in stock[1..5].iter_mut().rev() {
            // Below 26.
            *letter += (rest % 26) as u8;
            rest /= 26;
        }
        let middle = 20_000 + TICK * rng.skewed_below(60_000);
        Self {
            stock,
            middle,
            open: 0,
            halted: false,
            halted_elsewhere: false,
        }
    }
}
