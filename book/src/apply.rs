//! What does a record do to the book of its instrument?
//!
//! By DBN's conventions, which are said in full in Databento's example "Limit order book construction":
//!
//! | action | the book |
//! |---|---|
//! | add | the order stands behind all others at its price |
//! | cancel | so much of the order leaves; what is left keeps its place in the queue |
//! | modify | another price or a greater quantity: to the back of the queue; otherwise it keeps its place. An order that is not known is added |
//! | clear | all orders leave |
//! | trade, fill, none | nothing: the cancel that follows a fill changes the book |
//!
//! ITCH agrees. A replace becomes a cancel and an add under the new order's number, so that it stands last (Nasdaq TotalView-ITCH 5.0,
//! section 1.4.5); executions and partial cancels (1.4.1, 1.4.2, 1.4.3) become cancels.
//!
//! Every finding is of the record against the book as it stands: an order is known by its number, and what else a record says
//! of it must agree.

use std::hint::black_box;

use twinfeed_wire::record::code::{action, flags, side};
use twinfeed_wire::record::{MboMsg, UNDEF_ORDER_SIZE, UNDEF_PRICE};

use super::ladder::Ladder;
use super::pool::{Pool, Slot};
use super::{Findings, Inconsistency, Order, Side, Trust};

impl Ladder {
    /// Applies one record.
    pub(super) fn apply(&mut self, pool: &mut Pool, record: &MboMsg) -> Findings {
        let mut findings = self.change(pool, record);
        if record.flags & flags::F_MAYBE_BAD_BOOK != 0 {
            findings.note(Inconsistency::Flagged);
        }
        // Between the records of one event a book may be anything.
        if self.continuous && record.flags & flags::F_LAST != 0 && self.is_crossed() {
            findings.note(Inconsistency::Crossed);
        }
        self.find(findings)
    }

    /// Counts what was found, and doubts the book for it.
    pub(super) fn find(&mut self, findings: Findings) -> Findings {
        if !findings.is_empty() {
            self.counts.add(findings);
            self.trust = Trust::Suspect;
        }
        findings
    }

    /// Empties the book and fills it with `orders`, each behind those before it at its price.
    pub(super) fn import(
        &mut self,
        pool: &mut Pool,
        orders: impl IntoIterator<Item = Order>,
        trust: Trust,
    ) -> Findings {
        self.clear(pool);
        self.trust = trust;
        self.append(pool, orders)
    }

    /// Enters `orders`, each behind those before it at its price.
    pub(super) fn append(
        &mut self,
        pool: &mut Pool,
        orders: impl IntoIterator<Item = Order>,
    ) -> Findings {
        let (mut findings, mut orders) = (Findings::default(), orders.into_iter());
        let mut batch = [NO_ORDER; BATCH];
        loop {
            let mut count = 0;
            for (place, order) in batch.iter_mut().zip(orders.by_ref()) {
                *place = order;
                count += 1;
            }
            let batch = &batch[..count];
            if pool.is_large() {
                let touched = batch.iter().map(|order| pool.touch(self.number, order.id));
                black_box(touched.fold(0, |all, slot| all ^ slot));
            }
            for order in batch {
                let found = self.enter(pool, *order);
                findings.add(self.find(found));
            }
            if count < BATCH {
                return findings;
            }
        }
    }

    fn change(&mut self, pool: &mut Pool, record: &MboMsg) -> Findings {
        if record.hd.instrument_id.get() != self.instrument {
            return Inconsistency::OtherInstrument.into();
        }
        let aggregated = record.flags & (flags::F_TOB | flags::F_MBP) != 0;
        match record.action {
            action::CLEAR => {
                self.clear(pool);
                Findings::default()
            }
            action::ADD | action::CANCEL | action::MODIFY | action::FILL if aggregated => {
                Inconsistency::Aggregated.into()
            }
            action::ADD => stated(record).map_or(Inconsistency::Undefined.into(), |order| {
                self.enter(pool, order)
            }),
            action::CANCEL => self.cancel(pool, record),
            action::MODIFY => self.modify(pool, record),
            action::FILL => self.fill(pool, record),
            action::TRADE | action::NONE => Findings::default(),
            _ => Inconsistency::UnknownAction.into(),
        }
    }

    fn enter(&mut self, pool: &mut Pool, order: Order) -> Findings {
        let mut findings = Findings::default();
        if order.size == 0 || order.size == UNDEF_ORDER_SIZE || order.price == UNDEF_PRICE {
            return Inconsistency::Undefined.into();
        }
        if let Some(at) = pool.find(self.number, order.id) {
            findings.note(Inconsistency::DuplicateOrder);
            self.requeue(pool, at, (order.side, order.price), order.size);
        } else if !self.place(pool, order) {
            findings.note(Inconsistency::OrdersFull);
        }
        findings
    }

    fn cancel(&mut self, pool: &mut Pool, record: &MboMsg) -> Findings {
        let Some(at) = pool.find(self.number, record.order_id.get()) else {
            return Inconsistency::UnknownOrder.into();
        };
        let order = *pool.at(at);
        let mut findings = disagreement(&order, record);
        let (price, taken) = (record.price.get(), record.size.get());
        if price != UNDEF_PRICE && price != order.price {
            findings.note(Inconsistency::WrongPrice);
        }
        if taken == 0 || taken == UNDEF_ORDER_SIZE {
            findings.note(Inconsistency::Undefined);
        } else if taken > order.size {
            findings.note(Inconsistency::Oversized);
        }
        if taken < order.size {
            self.resize(pool, at, order.size - taken);
        } else {
            self.take_out(pool, at);
        }
        findings
    }

    fn modify(&mut self, pool: &mut Pool, record: &MboMsg) -> Findings {
        let Some(at) = pool.find(self.number, record.order_id.get()) else {
            let mut findings = Findings::from(Inconsistency::UnknownOrder);
            findings.add(
                stated(record).map_or(Inconsistency::Undefined.into(), |order| {
                    self.enter(pool, order)
                }),
            );
            return findings;
        };
        let before = *pool.at(at);
        let mut findings = disagreement(&before, record);
        let Some(after) = stated(record).filter(|after| after.size != 0) else {
            self.take_out(pool, at);
            findings.note(Inconsistency::Undefined);
            return findings;
        };
        let stays = (after.side, after.price) == (before.side, before.price);
        if stays && after.size <= before.size {
            self.resize(pool, at, after.size);
        } else {
            self.requeue(pool, at, (after.side, after.price), after.size);
        }
        findings
    }

    /// A fill changes nothing, and says something of an order that must rest. Its price is that of the trade.
    fn fill(&self, pool: &Pool, record: &MboMsg) -> Findings {
        let id = record.order_id.get();
        if id == 0 {
            return Findings::default(); // the venue does not say whose
        }
        let Some(at) = pool.find(self.number, id) else {
            return Inconsistency::UnknownOrder.into();
        };
        let order = pool.at(at);
        let mut findings = disagreement(order, record);
        if record.size.get() > order.size {
            findings.note(Inconsistency::Oversized);
        }
        findings
    }
}

/// Whether the record says another side than the order's.
fn disagreement(order: &Slot, record: &MboMsg) -> Findings {
    match side_of(record.side) {
        Some(side) if side != order.side => Inconsistency::WrongSide.into(),
        _ => Findings::default(),
    }
}

/// The order that a record states, if it states one whole.
fn stated(record: &MboMsg) -> Option<Order> {
    let order = Order {
        id: record.order_id.get(),
        side: side_of(record.side)?,
        price: record.price.get(),
        size: record.size.get(),
    };
    (order.price != UNDEF_PRICE && order.size != UNDEF_ORDER_SIZE).then_some(order)
}

pub(super) fn side_of(code: u8) -> Option<Side> {
    match code {
        side::BID => Some(Side::Bid),
        side::ASK => Some(Side::Ask),
        _ => None,
    }
}

/// Orders that are entered together.
const BATCH: usize = 32;
const NO_ORDER: Order = Order {
    id: 0,
    side: Side::Bid,
    price: 0,
    size: 0,
};
