//! Which administrative messages were ordered, by operators or by stream-admin itself, and what became of them?
//!
//! An order belongs to the generation at hand: only its active may carry it out. Once another generation begins, what
//! the adapter has not reported is *unknown*: it may stand in the stream or not, and nobody carries it out any more.

use std::collections::VecDeque;

use twinfeed_control::{
    AdapterId, FeedName, Generation, MOST_ORDER_PAYLOAD, Order, OrderOutcome, OrderRecord,
    OrderReport, PendingOrder, Problem, ProblemCode,
};

use super::record::{Record, Write};
use super::refusals::{another_order, no_active, not_seated};
use super::{Caller, Registry, check};
use crate::lease::Now;

impl Registry {
    /// Takes an order for the active of the feed; the same key again is the same order.
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `bad-request` with the part at fault, `conflict` when the key names another order,
    /// `limit-reached`, `unavailable` while no active lives that could carry it out, or while it hands over.
    pub fn order(
        &mut self,
        operator: &str,
        request: Order,
        now: Now,
    ) -> Result<OrderRecord, Problem> {
        check_order(&request)?;
        let feed = self.feed(&request.feed)?;
        if let Some(known) = feed.orders.iter().find(|known| known.key == request.key) {
            let same = (known.sid, &known.message) == (request.sid, &request.message);
            return if same {
                Ok(known.clone())
            } else {
                Err(another_order(&request.key))
            };
        }
        self.give_order(operator, request, now)
    }

    /// Gives an order that is sound and none of those known.
    ///
    /// # Errors
    ///
    /// As [`Registry::order`].
    pub(super) fn give_order(
        &mut self,
        by: &str,
        request: Order,
        now: Now,
    ) -> Result<OrderRecord, Problem> {
        // What waits is never among those that go.
        let limit = self.settings.limits.orders_per_feed.max(MOST_PENDING);
        let at_unix_us = self.unix_us;
        let feed = self.feed_mut(&request.feed)?;
        let Some(leg) = feed.living_active(now) else {
            return Err(no_active(&request.feed));
        };
        if let Some(under_way) = &feed.handover {
            return Err(Problem {
                code: ProblemCode::Unavailable,
                message: format!("hand-over {} is under way", under_way.number),
                remedy: "order again when it is done".to_owned(),
                retry_in_ms: None,
            });
        }
        if !feed.streams.contains_key(&(leg, request.sid)) {
            let message = format!("feed {} has no source stream {}", request.feed, request.sid);
            return Err(check::bad(message, "name one of the feed's sids"));
        }
        if pending(&feed.orders).count() >= MOST_PENDING {
            return Err(Problem {
                code: ProblemCode::LimitReached,
                message: format!("{MOST_PENDING} orders wait for the active adapter"),
                remedy: "wait until it reports on them".to_owned(),
                retry_in_ms: None,
            });
        }
        let record = OrderRecord {
            ticket: next_ticket(&feed.orders),
            key: request.key,
            operator: by.to_owned(),
            feed: request.feed.clone(),
            sid: request.sid,
            message: request.message,
            generation: feed.pair.generation(),
            at_unix_us,
            outcome: OrderOutcome::Pending,
        };
        feed.orders.push_back(record.clone());
        let mut writes = vec![Write::Put(Record::Order(Box::new(record.clone())))];
        while feed.orders.len() > limit {
            let oldest = feed.orders.pop_front().map(|record| record.ticket);
            writes.extend(oldest.map(|ticket| Write::DropOrder(request.feed.clone(), ticket)));
        }
        self.writes.extend(writes);
        self.touch(&request.feed);
        Ok(record)
    }

    /// The adapter that was to carry an order out says what became of it. What was said first holds; what was placed alone, and
    /// said so when another generation had begun, stays unknown.
    ///
    /// # Errors
    ///
    /// `unknown-id`: no such order, or the caller does not sit there.
    pub fn report_order(
        &mut self,
        caller: &Caller<'_>,
        id: &AdapterId,
        report: OrderReport,
    ) -> Result<OrderRecord, Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        let feed = self.feed_mut(&name)?;
        if feed.pair.incarnation(leg) != Some(report.incarnation) {
            return Err(not_seated(feed, leg, report.incarnation));
        }
        let ours = feed.pair.generation();
        let known = feed
            .orders
            .iter_mut()
            .find(|order| order.ticket == report.ticket);
        let Some(order) = known else {
            return Err(Problem {
                code: ProblemCode::UnknownId,
                message: format!("feed {name} knows no order {}", report.ticket),
                remedy: "nothing: it is not kept any more".to_owned(),
                retry_in_ms: None,
            });
        };
        let open = matches!(
            order.outcome,
            OrderOutcome::Pending | OrderOutcome::Unknown { .. }
        );
        let answer = if open {
            order.outcome = match order.generation == ours {
                true => report.outcome,
                false => told_late(report.outcome, ours),
            };
            let order = order.clone();
            let record = Box::new(order.clone());
            self.writes.push(Write::Put(Record::Order(record)));
            self.note_operators_word(&order);
            self.touch(&name);
            order
        } else {
            order.clone()
        };
        Ok(answer)
    }

    /// The orders of a feed that are kept, newest first.
    ///
    /// # Errors
    ///
    /// `unknown-feed`.
    pub fn orders(&self, name: &FeedName) -> Result<Vec<OrderRecord>, Problem> {
        Ok(self.feed(name)?.orders.iter().rev().cloned().collect())
    }

    /// One order.
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `unknown-id` when it is not kept any more.
    pub fn order_by_ticket(&self, name: &FeedName, ticket: u64) -> Result<OrderRecord, Problem> {
        let mut orders = self.feed(name)?.orders.iter();
        let found = orders.find(|order| order.ticket == ticket).cloned();
        found.ok_or_else(|| Problem {
            code: ProblemCode::UnknownId,
            message: format!("feed {name} knows no order {ticket}"),
            remedy: "ask for the feed's orders".to_owned(),
            retry_in_ms: None,
        })
    }

    /// Another generation began: whoever was to carry these out is not its active any more.
    pub(super) fn abandon_orders(&mut self, name: &FeedName) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let ours = feed.pair.generation();
        let stale = |order: &&mut OrderRecord| {
            order.outcome == OrderOutcome::Pending && order.generation != ours
        };
        for order in feed.orders.iter_mut().filter(stale) {
            order.outcome = OrderOutcome::Unknown {
                reason: format!(
                    "generation {ours} began before the active of {} said what became of it",
                    order.generation
                ),
            };
            let record = Box::new(order.clone());
            self.writes.push(Write::Put(Record::Order(record)));
        }
    }
}

/// What the active of this generation is to carry out, oldest first.
pub(super) fn for_active(
    orders: &VecDeque<OrderRecord>,
    generation: Generation,
) -> Vec<PendingOrder> {
    let ours = pending(orders).filter(|order| order.generation == generation);
    ours.map(|order| PendingOrder {
        ticket: order.ticket,
        generation,
        sid: order.sid,
        message: order.message.clone(),
    })
    .collect()
}

/// The number that the next order gets.
pub(super) fn next_ticket(orders: &VecDeque<OrderRecord>) -> u64 {
    orders.back().map_or(1, |last| last.ticket + 1)
}

/// What an adapter's word means when another generation than the order's is at hand. A message that the backup had agreed to
/// is inherited. One that was placed alone need not be, and subscribers that had heard of the new generation dropped it.
fn told_late(outcome: OrderOutcome, ours: Generation) -> OrderOutcome {
    match outcome {
        OrderOutcome::Placed { place } if !place.agreed => OrderOutcome::Unknown {
            reason: format!(
                "the active of generation {} placed it alone, as message {}, and said so when generation {ours} had \
                 begun",
                place.generation, place.number
            ),
        },
        outcome => outcome,
    }
}

/// What the active has not reported on yet, oldest first.
pub(super) fn pending(orders: &VecDeque<OrderRecord>) -> impl Iterator<Item = &OrderRecord> {
    orders
        .iter()
        .filter(|order| order.outcome == OrderOutcome::Pending)
}

fn check_order(request: &Order) -> Result<(), Problem> {
    check::order_key(&request.key)?;
    let length = request.message.payload().len();
    if length > MOST_ORDER_PAYLOAD {
        return Err(check::bad(
            format!("the message has {length} bytes of payload"),
            "at most 1,024 bytes of text, or 256 instruments, go into one",
        ));
    }
    Ok(())
}

/// Most orders of a feed that wait for its active adapter: as many messages as may wait for their slots.
const MOST_PENDING: usize = 16;

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
