//! What does the conversion remember, and how is that handed to another process?
//!
//! ```text
//!  1 | reference u64 | price u32 | shares u32 | locate u16 | side u8     an open order, new or changed
//!  2 | reference u64                                                     an order is gone
//!  3 | index u16 | bits u64                                              locates that were defined
//!  4                                                                     the dialect is proven
//! ```
//!
//! Items, little-endian, each of a length that its first byte tells: there is no length in it that could lie. Applied in
//! order they make, in an empty memory, what they were taken from. Normative text: `docs/wire-format.md`, section 6.

use super::context::{Change, Inserted, Order, Orders};

/// Version of the items.
pub const MEMORY_VERSION: u16 = 1;
/// Longest item, bytes.
pub const LONGEST_ITEM: usize = 20;

/// All that conversion remembers of an epoch.
#[derive(Debug)]
pub struct Memory {
    pub(super) orders: Orders,
    pub(super) defined: Defined,
    /// Whether a message of this epoch has proven that the source speaks TotalView-ITCH 5.0.
    pub(super) proven: bool,
}

/// Why items were not taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadItems {
    /// An item that this version does not know.
    Unknown(u8),
    /// The last item is not all there.
    Cut,
    /// There are no such locates.
    Locates(u16),
    /// More orders than there is room for.
    TooManyOrders,
}

impl Memory {
    /// An empty one for so many orders; `None` when the address space cannot be had.
    #[must_use]
    pub fn try_new(max_open_orders: usize) -> Option<Self> {
        Some(Self {
            orders: Orders::try_with_limit(max_open_orders)?,
            defined: Defined::default(),
            proven: false,
        })
    }

    /// An empty one for so many orders.
    ///
    /// # Panics
    /// As [`Orders::with_limit`].
    #[must_use]
    pub fn new(max_open_orders: usize) -> Self {
        Self {
            orders: Orders::with_limit(max_open_orders),
            defined: Defined::default(),
            proven: false,
        }
    }

    /// Forgets everything, and ends a copy.
    pub(super) fn clear(&mut self) {
        self.orders.clear();
        self.defined = Defined::default();
        self.proven = false;
    }

    /// How many orders are remembered.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.orders.len()
    }

    /// Begins a copy: from here on [`Memory::copy_changes`] is called after every message.
    pub fn begin_copy(&mut self) {
        self.orders.begin_copy();
    }

    /// Whether a copy is under way; what was forgotten in between ends it.
    #[must_use]
    pub const fn is_copied(&self) -> bool {
        self.orders.is_copied()
    }

    /// Goes on with the copy by so many slots of the order table. `true`: it has reached the end.
    pub fn copy_on(&mut self, slots: usize, item: &mut impl FnMut(&[u8])) -> bool {
        self.orders
            .copy_on(slots, |change| write_order(change, item))
    }

    /// What changed since the last call.
    pub fn copy_changes(&mut self, item: &mut impl FnMut(&[u8])) {
        self.orders.take_changes(|change| write_order(change, item));
    }

    /// What is not in the order table. The copy is over.
    pub fn end_copy(&mut self, item: &mut impl FnMut(&[u8])) {
        for (index, bits) in (0_u16..).zip(self.defined.0) {
            if bits != 0 {
                let mut bytes = [0; 11];
                bytes[0] = LOCATES;
                bytes[1..3].copy_from_slice(&index.to_le_bytes());
                bytes[3..].copy_from_slice(&bits.to_le_bytes());
                item(&bytes);
            }
        }
        if self.proven {
            item(&[PROVEN]);
        }
        self.orders.end_copy();
    }

    /// Gives the copy up.
    pub fn drop_copy(&mut self) {
        self.orders.end_copy();
    }

    /// Takes items in that another memory gave.
    ///
    /// # Errors
    /// [`BadItems`]; what came before it was taken in.
    pub fn take_in(&mut self, items: &[u8]) -> Result<(), BadItems> {
        let mut rest = items;
        while let Some((&first, behind)) = rest.split_first() {
            rest = match first {
                ORDER => {
                    let (bytes, rest) = behind.split_first_chunk::<19>().ok_or(BadItems::Cut)?;
                    let (reference, order) = read_order(bytes);
                    if self.orders.insert(reference, order) == Inserted::Full {
                        return Err(BadItems::TooManyOrders);
                    }
                    rest
                }
                GONE => {
                    let (bytes, rest) = behind.split_first_chunk().ok_or(BadItems::Cut)?;
                    // It may have come and gone before it was visited.
                    let _ = self.orders.remove(u64::from_le_bytes(*bytes));
                    rest
                }
                LOCATES => {
                    let (index, rest) = behind.split_first_chunk().ok_or(BadItems::Cut)?;
                    let (bits, rest) = rest.split_first_chunk().ok_or(BadItems::Cut)?;
                    let index = u16::from_le_bytes(*index);
                    let word = self.defined.0.get_mut(usize::from(index));
                    *word.ok_or(BadItems::Locates(index))? = u64::from_le_bytes(*bits);
                    rest
                }
                PROVEN => {
                    self.proven = true;
                    behind
                }
                unknown => return Err(BadItems::Unknown(unknown)),
            };
        }
        Ok(())
    }
}

fn write_order(change: Change, item: &mut impl FnMut(&[u8])) {
    let mut bytes = [0; LONGEST_ITEM];
    bytes[1..9].copy_from_slice(&change.reference.to_le_bytes());
    match change.order {
        None => {
            bytes[0] = GONE;
            item(&bytes[..9]);
        }
        Some(order) => {
            bytes[0] = ORDER;
            bytes[9..13].copy_from_slice(&order.price.to_le_bytes());
            bytes[13..17].copy_from_slice(&order.shares.to_le_bytes());
            bytes[17..19].copy_from_slice(&order.locate.to_le_bytes());
            bytes[19] = order.side;
            item(&bytes);
        }
    }
}

fn read_order(bytes: &[u8; 19]) -> (u64, Order) {
    let [a, b, c, d, e, f, g, h, price @ .., _, _, _, _, _, _, _] = *bytes;
    let [.., i, j, k, l, m, n, side] = *bytes;
    let order = Order {
        price: u32::from_le_bytes(price),
        shares: u32::from_le_bytes([i, j, k, l]),
        locate: u16::from_le_bytes([m, n]),
        side,
    };
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), order)
}

/// Which locates were defined in this epoch, one bit each.
#[derive(Debug)]
pub(super) struct Defined([u64; 1_024]);

impl Default for Defined {
    fn default() -> Self {
        Self([0; 1_024])
    }
}

impl Defined {
    /// Notes a definition and says whether there was one before.
    pub(super) fn note(&mut self, locate: u16) -> bool {
        let word = &mut self.0[usize::from(locate) / 64];
        let bit = 1 << (locate % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}

const ORDER: u8 = 1;
const GONE: u8 = 2;
const LOCATES: u8 = 3;
const PROVEN: u8 = 4;
