//! How do the orders of one book stand in a frame?
//!
//! ```text
//!   0 instrument u32 | count u32
//!   8 orders, 24 bytes each: id u64 | price i64, 1e-9 | size u32 | side u8 'B' or 'A' | reserved 3
//! ```
//!
//! Bids and then asks, each side best price first and each price first in time first: each order stands behind those before it at
//! its price, so that whoever enters them in this order has the venue's queues.

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::raw::seal;
use super::{BadSnapshot, FRAME_HEADER_LENGTH, KIND_ORDERS, LONGEST_BODY, LONGEST_FRAME};
use crate::record::code::side;
use crate::record::layout;

/// Length of an order, bytes.
pub const ORDER_LENGTH: usize = size_of::<RawOrder>();
/// Most orders in one frame.
pub const MOST_ORDERS: usize = (LONGEST_BODY - size_of::<RawHead>()) / ORDER_LENGTH;

/// Who wants to buy, and who to sell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// An order that rests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Order {
    /// The venue's number.
    pub id: u64,
    /// Buyer or seller.
    pub side: Side,
    /// Limit price, 1e-9.
    pub price: i64,
    /// Quantity left; never 0.
    pub size: u32,
}

/// Orders of one book that have proven their form.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'a> {
    instrument: u32,
    orders: &'a [RawOrder],
}

impl<'a> Orders<'a> {
    /// Whose book they are of.
    #[must_use]
    pub const fn instrument(&self) -> u32 {
        self.instrument
    }

    /// Each of them, in the order of the queues: at least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Order> + use<'a> {
        self.orders.iter().map(RawOrder::value)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether there is none; never so of what was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    pub(super) fn read(body: &'a [u8]) -> Result<Self, BadSnapshot> {
        let length = BadSnapshot::Length(FRAME_HEADER_LENGTH + body.len());
        let (head, rest) = RawHead::ref_from_prefix(body).map_err(|_| length)?;
        let orders = <[RawOrder]>::ref_from_bytes(rest).map_err(|_| length)?;
        if orders.is_empty() || orders.len() != head.count.get() as usize {
            return Err(length);
        }
        for order in orders {
            if order.reserved != [0; 3] {
                return Err(BadSnapshot::Reserved);
            }
            if !matches!(order.side, side::BID | side::ASK) {
                return Err(BadSnapshot::Value("side"));
            }
            if order.size.get() == 0 {
                return Err(BadSnapshot::Value("size"));
            }
        }
        Ok(Self {
            instrument: head.instrument.get(),
            orders,
        })
    }
}

impl PartialEq for Orders<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.instrument == other.instrument && self.iter().eq(other.iter())
    }
}

/// Writes the next [`MOST_ORDERS`] of `orders`, or as many as there are, as one frame into `buffer` and returns its length in bytes; 0 where
/// none is left.
///
/// # Panics
/// When `buffer` is shorter than [`LONGEST_FRAME`].
#[must_use]
pub fn write_orders(
    buffer: &mut [u8],
    instrument: u32,
    orders: impl Iterator<Item = Order>,
) -> usize {
    assert!(buffer.len() >= LONGEST_FRAME, "any frame fits the buffer");
    let mut length = FRAME_HEADER_LENGTH + size_of::<RawHead>();
    let mut count = 0_u32;
    for order in orders.take(MOST_ORDERS) {
        let raw = RawOrder::of(&order);
        buffer[length..length + ORDER_LENGTH].copy_from_slice(raw.as_bytes());
        length += ORDER_LENGTH;
        count += 1;
    }
    if count == 0 {
        return 0;
    }
    let head = RawHead {
        instrument: U32::new(instrument),
        count: U32::new(count),
    };
    let body = &mut buffer[FRAME_HEADER_LENGTH..];
    body[..size_of::<RawHead>()].copy_from_slice(head.as_bytes());
    seal(&mut buffer[..length], KIND_ORDERS);
    length
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHead {
    instrument: U32,
    count: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawOrder {
    id: U64,
    price: I64,
    size: U32,
    side: u8,
    reserved: [u8; 3],
}

layout!(RawHead, 8, { instrument: 0, count: 4 });
layout!(RawOrder, 24, { id: 0, price: 8, size: 16, side: 20, reserved: 21 });

impl RawOrder {
    fn of(order: &Order) -> Self {
        Self {
            id: U64::new(order.id),
            price: I64::new(order.price),
            size: U32::new(order.size),
            side: match order.side {
                Side::Bid => side::BID,
                Side::Ask => side::ASK,
            },
            reserved: [0; 3],
        }
    }

    fn value(&self) -> Order {
        Order {
            id: self.id.get(),
            side: match self.side {
                side::BID => Side::Bid,
                _ => Side::Ask, // there is no third
            },
            price: self.price.get(),
            size: self.size.get(),
        }
    }
}
