//! Which orders are open, and what does an execution of one of them refer to?
//!
//! ITCH says "order 17 was executed, 100 shares" and nothing more; price and side stand in the
//! message that added the order, maybe hours ago. This table remembers them: bounded, allocated
//! once, and equal on two adapters that saw the same messages, because it neither iterates nor
//! draws random numbers.
//!
//! ```text
//!  order reference ──hash──► slot, slot+1, ...   open addressing, at most two thirds full;
//!                            a removal moves later entries back, so that there are no tombstones
//! ```
//!
//! Nothing here knows a record or a message. What a full table means is the caller's business: the
//! order is simply not remembered, and the answer says so.

use twinfeed_net::memory;
use zerocopy::{FromZeros, Immutable, IntoBytes};

mod copying;

pub use copying::Change;
use copying::Copying;

/// What is remembered of one open order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Order {
    /// Number of the security.
    pub locate: u16,
    /// DBN's code of its side.
    pub side: u8,
    /// Limit price, four implied decimals.
    pub price: u32,
    /// Displayed quantity left.
    pub shares: u32,
}

/// What became of an order that was to be remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Inserted {
    /// It is remembered.
    New,
    /// It is remembered in place of an order of the same number, which the source never removed.
    Replaced(Order),
    /// The table is full: it is not remembered.
    Full,
}

/// What a reduction did to an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reduced {
    /// The order before.
    pub before: Order,
    /// Whether more was taken than there was.
    pub oversized: bool,
}

/// The open orders of one source within one epoch.
#[derive(Debug)]
pub struct Orders {
    /// Length is a power of two.
    slots: Vec<Slot>,
    /// A slot is taken when it bears this stamp. Starting afresh is taking the next stamp.
    stamp: u16,
    open: usize,
    max_open_orders: usize,
    /// How far to shift a hash to the right to get the index of a slot.
    shift: u32,
    copying: Copying,
}

#[derive(Clone, Copy, Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Slot {
    reference: u64,
    price: u32,
    shares: u32,
    locate: u16,
    stamp: u16,
    side: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<Slot>() == 24);

impl Orders {
    /// A table for at most `max_open_orders` orders at a time.
    ///
    /// Takes 36 to 72 bytes per order. They are taken at once, in huge pages, where the host gives such:
    /// orders lie scattered, so that a few hundred touch them all anyway, and first touches are page faults
    /// that no message has to wait for. At the end huge pages are cheap to free, which is a courtesy where
    /// the process has a companion, and how soon its peer hears of its death where it has none (see
    /// [`memory`]). Elsewhere memory is touched as orders arrive.
    ///
    /// # Panics
    ///
    /// When the address space cannot be had; a limit of configuration, met at start.
    #[must_use]
    pub fn with_limit(max_open_orders: usize) -> Self {
        Self::try_with_limit(max_open_orders)
            .unwrap_or_else(|| panic!("max_open_orders = {max_open_orders}: out of memory"))
    }

    /// As [`Orders::with_limit`]; `None` when the address space cannot be had.
    #[must_use]
    pub fn try_with_limit(max_open_orders: usize) -> Option<Self> {
        let length = (max_open_orders.saturating_mul(3) / 2 + 1)
            .next_power_of_two()
            .max(8);
        let mut slots = Slot::new_vec_zeroed(length).ok()?;
        // Without huge pages the table is as good, and dearer to touch and to free.
        let _ = memory::prepare(&mut slots);
        Some(Self {
            slots,
            stamp: 1,
            open: 0,
            max_open_orders,
            shift: 64 - length.trailing_zeros(),
            copying: Copying::new(),
        })
    }

    /// How many orders are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no order is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Forgets every order: a new epoch begins.
    pub fn clear(&mut self) {
        self.copying.end();
        self.open = 0;
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.slots.as_mut_slice().zero();
            self.stamp = 1;
        }
    }

    /// Remembers an order.
    pub fn insert(&mut self, reference: u64, order: Order) -> Inserted {
        let index = match self.find(reference) {
            Ok(index) => {
                let before = self.slots[index].order();
                self.slots[index] = Slot::new(reference, order, self.stamp);
                self.copying.note(reference, Some(order));
                return Inserted::Replaced(before);
            }
            Err(free) => free,
        };
        if self.open >= self.max_open_orders {
            return Inserted::Full;
        }
        self.slots[index] = Slot::new(reference, order, self.stamp);
        self.open += 1;
        self.copying.note(reference, Some(order));
        Inserted::New
    }

    /// What is remembered of an order.
    #[must_use]
    pub fn get(&self, reference: u64) -> Option<Order> {
        self.find(reference)
            .ok()
            .map(|index| self.slots[index].order())
    }

    /// An order will be asked for, or entered, very soon: begins to fetch what is remembered of it.
    #[inline]
    pub fn foresee(&self, reference: u64) {
        let home = self.home(reference);
        memory::prefetch(&self.slots[home]);
        // Who looks for a free place, or fills one that a removal leaves, looks at the slot behind; it may be on another line.
        memory::prefetch(&self.slots[self.after(home)]);
    }

    /// Takes `shares` from an order and forgets it when nothing is left.
    pub fn reduce(&mut self, reference: u64, shares: u32) -> Option<Reduced> {
        let index = self.find(reference).ok()?;
        let before = self.slots[index].order();
        if shares >= before.shares {
            self.vacate(index);
        } else {
            self.slots[index].shares = before.shares - shares;
            self.copying
                .note(reference, Some(self.slots[index].order()));
        }
        Some(Reduced {
            before,
            oversized: shares > before.shares,
        })
    }

    /// Forgets an order and says what it was.
    pub fn remove(&mut self, reference: u64) -> Option<Order> {
        let index = self.find(reference).ok()?;
        let order = self.slots[index].order();
        self.vacate(index);
        Some(order)
    }

    /// The slot of an order, or the free slot where it would stand.
    ///
    /// Ends because at least a third of the slots is free.
    fn find(&self, reference: u64) -> Result<usize, usize> {
        let mut index = self.home(reference);
        loop {
            let slot = &self.slots[index];
            if slot.stamp != self.stamp {
                return Err(index);
            }
            if slot.reference == reference {
                return Ok(index);
            }
            index = self.after(index);
        }
    }

    /// Frees a slot and moves back whoever stands behind it only because it was taken.
    fn vacate(&mut self, mut hole: usize) {
        self.copying.note(self.slots[hole].reference, None);
        let mask = self.slots.len() - 1;
        let mut index = hole;
        loop {
            index = self.after(index);
            let slot = self.slots[index];
            if slot.stamp != self.stamp {
                break;
            }
            let home = self.home(slot.reference);
            let from_home = index.wrapping_sub(home) & mask;
            let from_hole = index.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.copying.note_move(index, hole, &slot);
                self.slots[hole] = slot;
                hole = index;
            }
        }
        self.slots[hole].stamp = 0;
        self.open -= 1;
    }

    fn home(&self, reference: u64) -> usize {
        (reference.wrapping_mul(GOLDEN) >> self.shift) as usize
    }

    fn after(&self, index: usize) -> usize {
        (index + 1) & (self.slots.len() - 1)
    }
}

impl Slot {
    fn new(reference: u64, order: Order, stamp: u16) -> Self {
        let Order {
            locate,
            side,
            price,
            shares,
        } = order;
        Self {
            reference,
            price,
            shares,
            locate,
            stamp,
            side,
            reserved: [0; 3],
        }
    }

    fn order(&self) -> Order {
        let Self {
            locate,
            side,
            price,
            shares,
            ..
        } = *self;
        Order {
            locate,
            side,
            price,
            shares,
        }
    }
}

/// 2^64 divided by the golden ratio: spreads consecutive numbers evenly over the high bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn order(shares: u32) -> Order {
        Order {
            locate: 7,
            side: b'B',
            price: 123_456,
            shares,
        }
    }

    #[test]
    fn an_order_lives_until_its_last_share() {
        let mut orders = Orders::with_limit(4);
        assert_eq!(orders.insert(17, order(100)), Inserted::New);
        assert_eq!(orders.reduce(17, 99).unwrap().before, order(100));
        assert_eq!(orders.get(17), Some(order(1)));
        assert_eq!(
            orders.reduce(17, 1),
            Some(Reduced {
                before: order(1),
                oversized: false
            })
        );
        assert_eq!(orders.get(17), None);
        assert_eq!(orders.reduce(17, 1), None);
        assert_eq!(orders.insert(18, order(1)), Inserted::New);
        assert_eq!(
            orders.reduce(18, 2),
            Some(Reduced {
                before: order(1),
                oversized: true
            })
        );
        assert!(orders.is_empty());
    }

    #[test]
    fn a_full_table_refuses_and_goes_on() {
        let mut orders = Orders::with_limit(2);
        assert_eq!(orders.insert(1, order(1)), Inserted::New);
        assert_eq!(orders.insert(2, order(2)), Inserted::New);
        assert_eq!(orders.insert(3, order(3)), Inserted::Full);
        assert_eq!(orders.insert(2, order(9)), Inserted::Replaced(order(2)));
        assert_eq!(orders.get(3), None);
        assert_eq!(orders.remove(1), Some(order(1)));
        assert_eq!(orders.insert(3, order(3)), Inserted::New);
        assert_eq!(orders.len(), 2);
    }

    #[test]
    fn a_new_epoch_knows_nothing_even_after_all_stamps() {
        let mut orders = Orders::with_limit(2);
        for _ in 0..=2 * usize::from(u16::MAX) {
            assert_eq!(orders.insert(1, order(1)), Inserted::New);
            orders.clear();
            assert_eq!(orders.get(1), None);
        }
    }

    #[test]
    fn a_large_table_is_ready_before_its_first_order() {
        let mut orders = Orders::with_limit(1 << 20);
        let huge = memory::prepare::<u8>(&mut []).unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let middle = orders.slots.as_ptr().addr() + size_of_val(&orders.slots[..]) / 2;
        let bounds = |line: &str| {
            let (from, until) = line.split_once(' ')?.0.split_once('-')?;
            let bound = |text| usize::from_str_radix(text, 16).ok();
            Some(bound(from)?..bound(until)?)
        };
        let ours = |line: &&str| bounds(line).is_some_and(|range| range.contains(&middle));
        let mut lines = maps.lines().skip_while(|line| !ours(line));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:"));
        let kib = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        let kib: usize = kib.unwrap().parse().unwrap();
        assert!(
            !huge || kib << 10 >= size_of_val(&orders.slots[..]) - (4 << 20),
            "{kib} KiB"
        );
        assert_eq!(orders.insert(1, order(1)), Inserted::New);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u32),
        Reduce(u64, u32),
        Remove(u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few references, so that they meet; far apart, so that hashing matters.
        let reference = (0_u64..40).prop_map(|n| n * 0x1_0000_0001);
        let step = prop_oneof![
            10 => (reference.clone(), 1_u32..9).prop_map(|(r, s)| Step::Insert(r, s)),
            6 => (reference.clone(), 1_u32..9).prop_map(|(r, s)| Step::Reduce(r, s)),
            4 => reference.prop_map(Step::Remove),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        /// The table must agree with a map that has no limit but the same number of orders.
        #[test]
        fn agrees_with_a_plain_map(steps in steps(), limit in 1_usize..30) {
            let (mut orders, mut twin) = (Orders::with_limit(limit), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(reference, shares) => {
                        let expected = match twin.get(&reference) {
                            Some(&before) => Inserted::Replaced(before),
                            None if twin.len() == limit => Inserted::Full,
                            None => Inserted::New,
                        };
                        if expected != Inserted::Full {
                            twin.insert(reference, order(shares));
                        }
                        prop_assert_eq!(orders.insert(reference, order(shares)), expected);
                    }
                    Step::Reduce(reference, shares) => {
                        let before = twin.get(&reference).copied();
                        let seen = orders.reduce(reference, shares);
                        prop_assert_eq!(seen.map(|reduced| reduced.before), before);
                        if let Some(before) = before {
                            if before.shares > shares {
                                twin.insert(reference, order(before.shares - shares));
                            } else {
                                twin.remove(&reference);
                            }
                        }
                    }
                    Step::Remove(reference) => {
                        prop_assert_eq!(orders.remove(reference), twin.remove(&reference));
                    }
                    Step::Clear => {
                        orders.clear();
                        twin.clear();
                    }
                }
                prop_assert_eq!(orders.len(), twin.len());
                for (&reference, &order) in &twin {
                    prop_assert_eq!(orders.get(reference), Some(order));
                }
            }
        }
    }
}
