//! What happens when the application's handler panics in the middle of a datagram?
//!
//! One input to the arbiter may release many records: what was held leaves at once. If a panic were to
//! unwind through the arbiter, the rest of them would be gone. So every callback runs behind a [`Guard`]:
//! a panic is caught at the callback, what the arbiter releases after it is kept, and the panic goes on
//! only when the arbiter is done. The next poll begins with what was kept. The record at which the
//! handler panicked counts as delivered.
//!
//! What is kept is bounded by what the arbiter can release for one input (its held records and one
//! quarantine), and nothing is kept or allocated while handlers do not panic.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use twinfeed_protocol::join::Through;
use twinfeed_protocol::{Delivered, Event, Handler, Piece, Receipt, Trigger};
use twinfeed_wire::Sid;

use crate::body::OwnedRecord;
use crate::filter::Sieve;

/// A feed among those that share one [`crate::DataPoller`]: 0 for the first, in the order of adding.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FeedIndex(pub usize);

/// Where the records and events of several feeds go. A [`Handler`] is one that does not care which feed
/// they belong to.
///
/// Both are called on the thread that polls, in order within a source stream, and never after
/// [`Event::Closed`] of their feed.
pub trait FeedHandler {
    /// A record, exactly once; its body is valid during the call only.
    fn record(&mut self, feed: FeedIndex, record: &Delivered<'_>);
    /// What happened between the record before and the record after.
    fn event(&mut self, feed: FeedIndex, event: &Event);
    /// A record in its place that the [filter](crate::filter) withheld: see [`Handler::withheld`].
    fn withheld(&mut self, feed: FeedIndex, record: &Delivered<'_>) {
        let _ = (feed, record);
    }
    /// A piece of a snapshot of a source stream: see [`Handler::snapshot`].
    fn snapshot(&mut self, feed: FeedIndex, sid: Sid, piece: &Piece<'_>) {
        let _ = (feed, sid, piece);
    }
}

impl<H: Handler + ?Sized> FeedHandler for H {
    fn record(&mut self, _feed: FeedIndex, record: &Delivered<'_>) {
        Handler::record(self, record);
    }

    fn event(&mut self, _feed: FeedIndex, event: &Event) {
        Handler::event(self, event);
    }

    fn withheld(&mut self, _feed: FeedIndex, record: &Delivered<'_>) {
        Handler::withheld(self, record);
    }

    fn snapshot(&mut self, _feed: FeedIndex, sid: Sid, piece: &Piece<'_>) {
        Handler::snapshot(self, sid, piece);
    }
}

/// What a feed counts of its own deliveries, beside the arbiter's counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Callbacks that panicked.
    pub(crate) handler_panics: u64,
    /// `Discontinuity` and `Reset` events.
    pub(crate) discontinuities: u64,
    /// Switches by [`trigger_index`].
    pub(crate) switches: [u64; TRIGGERS.len()],
    /// Whether `Closed` was delivered: nothing follows.
    pub(crate) closed: bool,
}

/// All triggers, in the order of [`trigger_index`].
pub(crate) const TRIGGERS: [Trigger; 8] = [
    Trigger::TransportReset,
    Trigger::HeartbeatSilence,
    Trigger::StepDown,
    Trigger::Lag,
    Trigger::SourceStale,
    Trigger::Outranked,
    Trigger::Order,
    Trigger::Health,
];

const fn trigger_index(trigger: Trigger) -> usize {
    match trigger {
        Trigger::TransportReset => 0,
        Trigger::HeartbeatSilence => 1,
        Trigger::StepDown => 2,
        Trigger::Lag => 3,
        Trigger::SourceStale => 4,
        Trigger::Outranked => 5,
        Trigger::Order => 6,
        Trigger::Health => 7,
    }
}

/// What was released while a handler was in no state to take it, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Kept(VecDeque<Item>);

impl Kept {
    /// Whether nothing is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug)]
enum Item {
    Record(OwnedRecord),
    Event(Event),
}

/// The panic of a handler, to be resumed once the machines are at rest.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Stands between the arbiter and the application's handler for one input.
pub(crate) struct Guard<'a, H, R> {
    feed: FeedIndex,
    handler: &'a mut H,
    kept: &'a mut Kept,
    seen: &'a mut Seen,
    sieve: &'a mut Sieve,
    receipts: R,
    panic: Option<Panic>,
}

impl<'a, H: FeedHandler, R: FnMut(&Receipt)> Guard<'a, H, R> {
    /// Delivers to `handler` what passes `sieve`; `receipts` gets a copy of every receipt.
    pub(crate) fn new(
        feed: FeedIndex,
        handler: &'a mut H,
        (kept, seen, sieve): (&'a mut Kept, &'a mut Seen, &'a mut Sieve),
        receipts: R,
    ) -> Self {
        Self {
            feed,
            handler,
            kept,
            seen,
            sieve,
            receipts,
            panic: None,
        }
    }

    /// Delivers what an earlier panic left behind; returns how much that was.
    pub(crate) fn deliver_kept(&mut self) -> usize {
        let mut delivered = 0;
        while self.panic.is_none() {
            let Some(item) = self.kept.0.pop_front() else {
                break;
            };
            delivered += 1;
            match item {
                Item::Record(record) => self.call_record(&record.as_delivered()),
                Item::Event(event) => self.call_event(&event),
            }
        }
        delivered
    }

    /// Whether a handler has panicked.
    pub(crate) fn panicked(&self) -> bool {
        self.panic.is_some()
    }

    /// The panic that a handler raised, if any.
    pub(crate) fn into_panic(self) -> Option<Panic> {
        self.panic
    }

    // Unwind safety: the handler is the application's, and `poll` documents that it is called again
    // after its own panic; nothing of ours is touched inside the closures.
    fn call_record(&mut self, record: &Delivered<'_>) {
        let passes = self.sieve.passes(record);
        let call = AssertUnwindSafe(|| match passes {
            true => self.handler.record(self.feed, record),
            false => self.handler.withheld(self.feed, record),
        });
        if let Err(panic) = catch_unwind(call) {
            self.raise(panic);
        }
    }

    fn call_event(&mut self, event: &Event) {
        let call = AssertUnwindSafe(|| self.handler.event(self.feed, event));
        if let Err(panic) = catch_unwind(call) {
            self.raise(panic);
        }
    }

    fn call_snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        let call = AssertUnwindSafe(|| self.handler.snapshot(self.feed, sid, piece));
        if let Err(panic) = catch_unwind(call) {
            self.raise(panic);
        }
    }

    #[cold]
    fn raise(&mut self, panic: Panic) {
        self.seen.handler_panics += 1;
        self.panic = Some(panic);
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Discontinuity { .. } | Event::Reset { .. } => self.seen.discontinuities += 1,
            Event::Switched(receipt) => {
                self.seen.switches[trigger_index(receipt.trigger)] += 1;
                (self.receipts)(receipt);
            }
            Event::Closed { .. } => self.seen.closed = true,
            _ => {}
        }
    }
}

impl<H: FeedHandler, R: FnMut(&Receipt)> Handler for Guard<'_, H, R> {
    fn record(&mut self, record: &Delivered<'_>) {
        if self.panic.is_none() && self.kept.0.is_empty() {
            self.call_record(record);
        } else {
            self.kept.0.push_back(Item::Record(record.into()));
        }
    }

    fn event(&mut self, event: &Event) {
        self.count(event);
        if self.panic.is_none() && self.kept.0.is_empty() {
            self.call_event(event);
        } else {
            self.kept.0.push_back(Item::Event(*event));
        }
    }

    /// What the filter withholds of a snapshot is told by the instrument's number. Who tells one stops at a panic: nothing of it is
    /// kept here.
    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        debug_assert!(
            self.panic.is_none() && self.kept.0.is_empty(),
            "invariant: a snapshot is told only while the handler takes it"
        );
        if let Piece::Begin { cursor, .. } = piece {
            self.sieve.begin_snapshot(sid, cursor.next.epoch);
        }
        let passes = match piece {
            Piece::Definition(definition) => {
                self.sieve.define(sid, definition);
                true
            }
            Piece::Instrument { instrument, .. } => {
                let passes = self.sieve.passes_instrument(sid, *instrument);
                if !passes {
                    let instrument = *instrument;
                    self.call_snapshot(sid, &Piece::Withheld { instrument });
                }
                passes
            }
            Piece::Orders(orders) => self.sieve.passes_instrument(sid, orders.instrument()),
            Piece::Change(record) => {
                let number = record.hd.instrument_id.get();
                self.sieve.passes_instrument(sid, number)
            }
            Piece::Status(status) => {
                let number = status.hd.instrument_id.get();
                self.sieve.passes_instrument(sid, number)
            }
            _ => true,
        };
        match piece {
            _ if passes => self.call_snapshot(sid, piece),
            // The filter may be another since the book began: what is left of that is no book.
            Piece::Orders(orders) if self.sieve.has_changed(sid) => {
                let instrument = orders.instrument();
                self.call_snapshot(sid, &Piece::Withheld { instrument });
            }
            Piece::Change(record) if self.sieve.has_changed(sid) => {
                let instrument = record.hd.instrument_id.get();
                self.call_snapshot(sid, &Piece::Withheld { instrument });
            }
            _ => {}
        }
    }
}

/// A handler behind which somebody may have panicked.
pub(crate) trait StoppableHandler: Handler {
    /// Whether it did: nothing more can be told in this poll.
    fn has_panicked(&self) -> bool;
}

impl<H: FeedHandler, R: FnMut(&Receipt)> StoppableHandler for Guard<'_, H, R> {
    fn has_panicked(&self) -> bool {
        self.panicked()
    }
}

impl<H: StoppableHandler> StoppableHandler for Through<'_, H> {
    fn has_panicked(&self) -> bool {
        self.handler().has_panicked()
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_protocol::{CloseReason, Leg};
    use twinfeed_wire::{Adm, BodyKind, Pos, RecordFlags, Sid};

    use super::*;
    use crate::filter::Filter;

    /// Panics at every source number in `.1`, and writes down everything it saw first.
    struct Touchy(Vec<u64>, Vec<u64>);

    impl Handler for Touchy {
        fn record(&mut self, record: &Delivered<'_>) {
            self.0.push(record.pos.sseq);
            assert!(
                !self.1.contains(&record.pos.sseq),
                "touchy at {}",
                record.pos.sseq
            );
        }

        fn event(&mut self, _: &Event) {
            self.0.push(0);
        }
    }

    #[test]
    fn what_follows_a_panic_is_kept_in_order_and_comes_first_next_time() {
        let (mut kept, mut seen) = (Kept::default(), Seen::default());
        let mut sieve = Sieve::new(Filter::all());
        let mut touchy = Touchy(Vec::new(), vec![2, 3]);
        let mut input = |numbers: &[u64], touchy: &mut Touchy| {
            let feed = FeedIndex(0);
            let mut guard = Guard::new(feed, touchy, (&mut kept, &mut seen, &mut sieve), |_| {});
            guard.deliver_kept();
            for &number in numbers {
                Handler::record(&mut guard, &record(number));
            }
            Handler::event(&mut guard, &Event::Stale { sid: Sid(1) });
            guard.into_panic().is_some()
        };
        assert!(input(&[1, 2, 3, 4], &mut touchy));
        assert_eq!(touchy.0, [1, 2]);
        assert!(input(&[5], &mut touchy), "3 panics out of what was kept");
        assert_eq!(touchy.0, [1, 2, 3]);
        assert!(!input(&[6], &mut touchy));
        assert_eq!(touchy.0, [1, 2, 3, 4, 0, 5, 0, 6, 0]);
        assert_eq!(seen.handler_panics, 2);
    }

    #[test]
    fn receipts_and_ends_are_counted_once_even_if_the_handler_panics() {
        let (mut kept, mut seen, mut told) = (Kept::default(), Seen::default(), 0);
        let mut sieve = Sieve::new(Filter::all());
        let mut touchy = Touchy(Vec::new(), vec![1]);
        let feed = FeedIndex(0);
        let mut guard = Guard::new(
            feed,
            &mut touchy,
            (&mut kept, &mut seen, &mut sieve),
            |_| told += 1,
        );
        Handler::record(&mut guard, &record(1));
        Handler::event(&mut guard, &Event::Switched(receipt()));
        let reason = CloseReason::Revoked;
        Handler::event(&mut guard, &Event::Closed { reason });
        assert!(guard.into_panic().is_some());
        let mut guard = Guard::new(
            feed,
            &mut touchy,
            (&mut kept, &mut seen, &mut sieve),
            |_| told += 1,
        );
        assert_eq!(guard.deliver_kept(), 2);
        assert!(guard.into_panic().is_none());
        assert_eq!(
            (told, seen.switches.iter().sum::<u64>(), seen.closed),
            (1, 1, true)
        );
    }

    #[test]
    fn every_trigger_has_its_own_place() {
        for (place, trigger) in TRIGGERS.into_iter().enumerate() {
            assert_eq!(trigger_index(trigger), place);
        }
    }

    fn receipt() -> Receipt {
        Receipt {
            sid: Sid(1),
            from_leg: Leg::Zero,
            from: twinfeed_protocol::Side::default(),
            to: twinfeed_protocol::Side::default(),
            trigger: Trigger::Lag,
            duplicates_dropped: 0,
            held: 0,
            filled: 0,
            gaps_left: 0,
            stall: std::time::Duration::ZERO,
            at: twinfeed_protocol::Time::ZERO,
        }
    }

    fn record(sseq: u64) -> Delivered<'static> {
        Delivered {
            pos: Pos {
                sseq,
                ..Pos::default()
            },
            kind: BodyKind::Opaque,
            flags: RecordFlags::LAST,
            adm: Adm(0),
            leg: Leg::Zero,
            body: &[],
            received_at: 0,
            sent_at: 0,
            next: twinfeed_protocol::Place::start(sseq + 1),
            context: twinfeed_wire::ContextId(0),
            complete: true,
            numbering: None,
        }
    }
}
