//! Messages that change the book.
//!
//! An execution becomes what happened, from three sides: a *trade* of the aggressor, whom Nasdaq
//! does not name, a *fill* of the resting order, and the *cancel* that takes the shares out of the
//! book. Only adds and cancels change the book.
//!
//! An order that the context does not know (the adapter started in mid-session, or the table was
//! full) leaves price and side undefined, and the records say that the book may be wrong.

use twinfeed_wire::record::code::{action, flags::F_MAYBE_BAD_BOOK, side};
use twinfeed_wire::record::{MboMsg, UNDEF_ORDER_SIZE, UNDEF_PRICE};
use zerocopy::little_endian::{I64, U32, U64};

use super::{Converter, Held, Stamp, price4, units};
use crate::decode::Parts;
use crate::decode::itch50::context::{Inserted, Order};
use crate::decode::itch50::message::{
    AddOrder, AddOrderAttributed, OrderCancel, OrderDelete, OrderExecuted, OrderExecutedAtPrice,
    OrderReplace,
};

impl Converter {
    pub(super) fn add_order(&mut self, stamp: &Stamp, body: &AddOrder, out: &mut Parts) -> Held {
        let order = Order {
            locate: stamp.locate,
            side: side_of(body.buy_sell_indicator),
            price: body.price.0.get(),
            shares: body.shares.get(),
        };
        let reference = body.order_reference_number.get();
        out.push_record(&self.enter(stamp, reference, order));
        Held::when(order.side != side::NONE)
    }

    pub(super) fn add_order_attributed(
        &mut self,
        stamp: &Stamp,
        body: &AddOrderAttributed,
        out: &mut Parts,
    ) -> Held {
        let order = Order {
            locate: stamp.locate,
            side: side_of(body.buy_sell_indicator),
            price: body.price.0.get(),
            shares: body.shares.get(),
        };
        let reference = body.order_reference_number.get();
        out.push_record(&self.enter(stamp, reference, order));
        Held::Partly
    }

    pub(super) fn order_executed(
        &mut self,
        stamp: &Stamp,
        body: &OrderExecuted,
        out: &mut Parts,
    ) -> Held {
        let reference = body.order_reference_number.get();
        let resting = self.take(reference, body.executed_shares.get());
        let shares = body.executed_shares.get();
        out.push_record(&resting.trade(stamp, resting.price, shares));
        out.push_record(&resting.fill(stamp, reference, resting.price, shares));
        out.push_record(&resting.cancel(stamp, reference, shares));
        Held::Partly
    }

    /// An execution that an auction reports (not printable) is no trade of its own.
    pub(super) fn order_executed_at_price(
        &mut self,
        stamp: &Stamp,
        body: &OrderExecutedAtPrice,
        out: &mut Parts,
    ) -> Held {
        let reference = body.order_reference_number.get();
        let resting = self.take(reference, body.executed_shares.get());
        let (shares, price) = (body.executed_shares.get(), price4(body.execution_price));
        if body.printable != b'N' {
            out.push_record(&resting.trade(stamp, price, shares));
        }
        out.push_record(&resting.fill(stamp, reference, price, shares));
        out.push_record(&resting.cancel(stamp, reference, shares));
        Held::Partly
    }

    pub(super) fn order_cancel(
        &mut self,
        stamp: &Stamp,
        body: &OrderCancel,
        out: &mut Parts,
    ) -> Held {
        let reference = body.order_reference_number.get();
        let shares = body.cancelled_shares.get();
        let resting = self.take(reference, shares);
        out.push_record(&resting.cancel(stamp, reference, shares));
        Held::Wholly
    }

    pub(super) fn order_delete(
        &mut self,
        stamp: &Stamp,
        body: &OrderDelete,
        out: &mut Parts,
    ) -> Held {
        let reference = body.order_reference_number.get();
        let (resting, shares) = self.leave(reference);
        out.push_record(&resting.cancel(stamp, reference, shares));
        Held::Wholly
    }

    pub(super) fn order_replace(
        &mut self,
        stamp: &Stamp,
        body: &OrderReplace,
        out: &mut Parts,
    ) -> Held {
        let old = body.original_order_reference_number.get();
        let (resting, shares) = self.leave(old);
        out.push_record(&resting.cancel(stamp, old, shares));
        let order = Order {
            locate: stamp.locate,
            side: resting.side,
            price: body.price.0.get(),
            shares: body.shares.get(),
        };
        let new = body.new_order_reference_number.get();
        let mut add = self.enter(stamp, new, order);
        add.flags |= resting.flags;
        out.push_record(&add);
        Held::Wholly
    }

    /// Remembers an order and makes the record of its entry.
    fn enter(&mut self, stamp: &Stamp, reference: u64, order: Order) -> MboMsg {
        let inserted = self.memory.orders.insert(reference, order);
        let flags = match inserted {
            Inserted::New => 0,
            Inserted::Replaced(_) => {
                self.faults.duplicate_order += 1;
                F_MAYBE_BAD_BOOK
            }
            Inserted::Full => {
                self.faults.orders_full += 1;
                0
            }
        };
        MboMsg {
            order_id: U64::new(reference),
            price: I64::new(units(order.price)),
            size: U32::new(order.shares),
            action: action::ADD,
            side: order.side,
            flags,
            ..stamp.mbo()
        }
    }

    /// Takes shares from an order.
    fn take(&mut self, reference: u64, shares: u32) -> Resting {
        match self.memory.orders.reduce(reference, shares) {
            Some(reduced) => {
                self.faults.oversized += u64::from(reduced.oversized);
                Resting::known(reduced.before, reduced.oversized)
            }
            None => self.unknown(),
        }
    }

    /// Takes an order out of the book; also says how many shares it had left.
    fn leave(&mut self, reference: u64) -> (Resting, u32) {
        match self.memory.orders.remove(reference) {
            Some(order) => (Resting::known(order, false), order.shares),
            None => (self.unknown(), UNDEF_ORDER_SIZE),
        }
    }

    fn unknown(&mut self) -> Resting {
        self.faults.unknown_order += 1;
        Resting {
            price: UNDEF_PRICE,
            side: side::NONE,
            flags: F_MAYBE_BAD_BOOK,
        }
    }
}

/// What is known of the order in the book that a message is about.
#[derive(Clone, Copy, Debug)]
struct Resting {
    /// Units of 1e-9.
    price: i64,
    side: u8,
    flags: u8,
}

impl Resting {
    fn known(order: Order, doubtful: bool) -> Self {
        // The successor of an unknown order has a price but no side.
        let doubtful = doubtful || order.side == side::NONE;
        let flags = if doubtful { F_MAYBE_BAD_BOOK } else { 0 };
        Self {
            price: units(order.price),
            side: order.side,
            flags,
        }
    }

    /// The aggressor's trade.
    fn trade(&self, stamp: &Stamp, price: i64, shares: u32) -> MboMsg {
        let side = match self.side {
            side::BID => side::ASK,
            side::ASK => side::BID,
            _ => side::NONE,
        };
        MboMsg {
            price: I64::new(price),
            size: U32::new(shares),
            action: action::TRADE,
            side,
            flags: self.flags,
            ..stamp.mbo()
        }
    }

    /// The resting order's fill.
    fn fill(&self, stamp: &Stamp, reference: u64, price: i64, shares: u32) -> MboMsg {
        MboMsg {
            order_id: U64::new(reference),
            price: I64::new(price),
            size: U32::new(shares),
            action: action::FILL,
            side: self.side,
            flags: self.flags,
            ..stamp.mbo()
        }
    }

    /// What leaves the book.
    fn cancel(&self, stamp: &Stamp, reference: u64, shares: u32) -> MboMsg {
        MboMsg {
            order_id: U64::new(reference),
            price: I64::new(self.price),
            size: U32::new(shares),
            action: action::CANCEL,
            side: self.side,
            flags: self.flags,
            ..stamp.mbo()
        }
    }
}

impl Stamp {
    /// An event of the book about which nothing is known but when and where.
    pub(super) fn mbo(&self) -> MboMsg {
        MboMsg {
            hd: self.header::<MboMsg>(),
            sequence: U32::new(self.sequence),
            ..MboMsg::default()
        }
    }
}

/// DBN's code of ITCH's letter.
fn side_of(letter: u8) -> u8 {
    match letter {
        b'B' => side::BID,
        b'S' => side::ASK,
        _ => side::NONE,
    }
}
