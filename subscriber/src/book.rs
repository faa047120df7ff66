//! What is the best bid and offer, and may it be believed?
//!
//! A small order book per instrument from [`MboMsg`] records, and with it a worked example of the table in
//! the [crate's documentation](crate#what-to-do-with-your-book): every event that touches a book does so
//! here, in [`Books::event`](Handler::event). It allocates as orders come and is meant to be read, copied
//! and made faster; it is not on the library's data path.

use std::collections::{BTreeMap, HashMap};

use twinfeed_protocol::{Delivered, DiscontinuityCause, Event, Handler, Place};
use twinfeed_wire::Sid;
use twinfeed_wire::record::{
    MboMsg, UNDEF_PRICE,
    code::{action, flags, side},
};

use crate::body::RecordBody;

/// Whether a book says what the venue's says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// Every record since it was empty was applied.
    Sound,
    /// Something is missing, or was never seen: right where it was changed since, perhaps wrong
    /// elsewhere.
    #[default]
    Suspect,
}

/// All resting orders at one price.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Level {
    /// Price, 1e-9.
    pub price: i64,
    /// Quantity of all orders.
    pub size: u64,
    /// How many orders.
    pub orders: u32,
}

/// Best bid and offer of one instrument.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Top {
    /// Highest bid.
    pub bid: Option<Level>,
    /// Lowest offer.
    pub ask: Option<Level>,
    /// Whether it may be believed.
    pub trust: Trust,
    /// Whether it is out of date because no leg speaks.
    pub stale: bool,
}

/// The books of all instruments of all source streams of a feed. A [`Handler`]: pass it to
/// [`crate::DataPoller::poll`], or call it from your own.
#[derive(Clone, Debug)]
pub struct Books {
    origin_first: u64,
    sources: BTreeMap<Sid, Source>,
}

#[derive(Clone, Debug, Default)]
struct Source {
    /// Of instruments that were not seen yet.
    trust: Trust,
    stale: bool,
    books: HashMap<u32, Book>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    trust: Trust,
    orders: HashMap<u64, Order>,
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    bid: bool,
    price: i64,
    size: u32,
}

impl Books {
    /// No books yet. `origin_first` is the number with which the source begins an epoch (1 for
    /// MoldUDP64): who joins there has missed nothing.
    #[must_use]
    pub const fn new(origin_first: u64) -> Self {
        Self {
            origin_first,
            sources: BTreeMap::new(),
        }
    }

    /// Best bid and offer of an instrument; `None` before anything was heard of it.
    #[must_use]
    pub fn top(&self, sid: Sid, instrument: u32) -> Option<Top> {
        let source = self.sources.get(&sid)?;
        let book = source.books.get(&instrument)?;
        Some(Top {
            bid: book.bids.last_key_value().map(|(_, level)| *level),
            ask: book.asks.first_key_value().map(|(_, level)| *level),
            trust: book.trust,
            stale: source.stale,
        })
    }

    /// Instruments of a source stream that have a book.
    pub fn instruments(&self, sid: Sid) -> impl Iterator<Item = u32> {
        let source = self.sources.get(&sid).into_iter();
        source.flat_map(|source| source.books.keys().copied())
    }

    /// Applies one order record.
    pub fn apply(&mut self, sid: Sid, record: &MboMsg) {
        let source = self.sources.entry(sid).or_default();
        let fresh = Book {
            trust: source.trust,
            ..Book::default()
        };
        let instrument = record.hd.instrument_id.get();
        source
            .books
            .entry(instrument)
            .or_insert(fresh)
            .apply(record);
    }

    /// Forgets every order of the source stream; its books are `trust` from here on.
    fn restart(&mut self, sid: Sid, trust: Trust) {
        let source = self.sources.entry(sid).or_default();
        source.trust = trust;
        source.books.clear();
    }

    /// Keeps what is known and doubts it.
    fn doubt(&mut self, sid: Sid) {
        let source = self.sources.entry(sid).or_default();
        source.trust = Trust::Suspect;
        for book in source.books.values_mut() {
            book.trust = Trust::Suspect;
        }
    }

    fn set_stale(&mut self, sid: Sid, stale: bool) {
        self.sources.entry(sid).or_default().stale = stale;
    }

    fn trust_from(&self, at: Place, complete: bool) -> Trust {
        match complete && at == Place::start(self.origin_first) {
            true => Trust::Sound,
            false => Trust::Suspect,
        }
    }
}

impl Handler for Books {
    fn record(&mut self, record: &Delivered<'_>) {
        if let Some(order) = record.dbn::<MboMsg>() {
            self.apply(record.pos.sid, order);
        }
    }

    fn event(&mut self, event: &Event) {
        match *event {
            Event::Gap { sid, .. }
            | Event::AdministrativeGap { sid, .. }
            | Event::Divergence { sid, .. } => self.doubt(sid),
            Event::Discontinuity {
                sid,
                at,
                complete,
                cause: DiscontinuityCause::Join,
                ..
            }
            | Event::Reset {
                sid, at, complete, ..
            } => {
                let trust = self.trust_from(at, complete);
                self.restart(sid, trust);
            }
            Event::Discontinuity { sid, .. } => self.restart(sid, Trust::Suspect),
            Event::Stale { sid } => self.set_stale(sid, true),
            Event::Live { sid } => self.set_stale(sid, false),
            Event::Closed { .. } => self.sources.clear(),
            // A hole that was closed, a switch, a leg's state and an end leave every book as it is.
            Event::Recovered { .. }
            | Event::Converged { .. }
            | Event::Switched(_)
            | Event::Leg { .. }
            | Event::ConstraintKept { .. }
            | Event::Ended { .. } => {}
            // An event of a later version: what it asks for is not known.
            _ => {
                let sids: Vec<Sid> = self.sources.keys().copied().collect();
                sids.into_iter().for_each(|sid| self.doubt(sid));
            }
        }
    }
}

impl Book {
    fn apply(&mut self, record: &MboMsg) {
        if record.flags & flags::F_MAYBE_BAD_BOOK != 0 {
            self.trust = Trust::Suspect;
        }
        let id = record.order_id.get();
        match record.action {
            action::ADD => self.add(id, record),
            action::CANCEL => self.cancel(id, record.size.get()),
            action::MODIFY => {
                self.cancel(id, u32::MAX);
                self.add(id, record);
            }
            action::CLEAR => {
                self.orders.clear();
                self.bids.clear();
                self.asks.clear();
            }
            // Trades and fills say what happened; the cancel that follows changes the book.
            _ => {}
        }
    }

    fn add(&mut self, id: u64, record: &MboMsg) {
        let (price, size) = (record.price.get(), record.size.get());
        let bid = match record.side {
            side::BID => true,
            side::ASK => false,
            _ => return self.trust = Trust::Suspect,
        };
        if price == UNDEF_PRICE || size == 0 {
            self.trust = Trust::Suspect;
            return;
        }
        if self.orders.contains_key(&id) {
            self.cancel(id, u32::MAX);
            self.trust = Trust::Suspect;
        }
        self.orders.insert(id, Order { bid, price, size });
        let level = self.side(bid).entry(price).or_insert(Level {
            price,
            ..Level::default()
        });
        level.size += u64::from(size);
        level.orders += 1;
    }

    /// Takes up to `size` away from an order; one that is not known is doubt about the book.
    fn cancel(&mut self, id: u64, size: u32) {
        let Some(order) = self.orders.get_mut(&id) else {
            self.trust = Trust::Suspect;
            return;
        };
        let taken = order.size.min(size);
        order.size -= taken;
        let (bid, price, gone) = (order.bid, order.price, order.size == 0);
        if gone {
            self.orders.remove(&id);
        }
        let side = self.side(bid);
        if let Some(level) = side.get_mut(&price) {
            level.size -= u64::from(taken);
            level.orders -= u32::from(gone);
            if level.orders == 0 {
                side.remove(&price);
            }
        }
    }

    fn side(&mut self, bid: bool) -> &mut BTreeMap<i64, Level> {
        if bid { &mut self.bids } else { &mut self.asks }
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_protocol::{CloseReason, GapCause, ResetCause, Tail};
    use twinfeed_wire::{ContextId, Epoch};
    use zerocopy::little_endian::{I64, U32, U64};

    use super::*;

    const SID: Sid = Sid(1);

    fn order(action: u8, id: u64, side: u8, price: i64, size: u32) -> MboMsg {
        let mut record = MboMsg {
            order_id: U64::new(id),
            price: I64::new(price),
            size: U32::new(size),
            action,
            side,
            ..MboMsg::default()
        };
        record.hd.instrument_id = U32::new(7);
        record
    }

    fn reset(complete: bool) -> Event {
        Event::Reset {
            sid: SID,
            epoch: Epoch(2),
            at: Place::start(1),
            context: ContextId(1),
            complete,
            cause: ResetCause::Epoch {
                from: Epoch(1),
                tail: Tail::Complete,
            },
        }
    }

    fn gap() -> Event {
        Event::Gap {
            sid: SID,
            epoch: Epoch(2),
            from: Place::start(5),
            until: Place::start(6),
            cause: GapCause::LostOnEveryLeg,
        }
    }

    #[test]
    fn the_best_prices_follow_the_orders() {
        let mut books = Books::new(1);
        books.event(&reset(true));
        let level = |price, size, orders| {
            Some(Level {
                price,
                size,
                orders,
            })
        };
        let steps = [
            (
                order(action::ADD, 1, side::BID, 100, 5),
                level(100, 5, 1),
                None,
            ),
            (
                order(action::ADD, 2, side::BID, 101, 7),
                level(101, 7, 1),
                None,
            ),
            (
                order(action::ADD, 3, side::BID, 101, 1),
                level(101, 8, 2),
                None,
            ),
            (
                order(action::ADD, 4, side::ASK, 103, 9),
                level(101, 8, 2),
                level(103, 9, 1),
            ),
            (
                order(action::TRADE, 0, side::ASK, 101, 2),
                level(101, 8, 2),
                level(103, 9, 1),
            ),
            (
                order(action::FILL, 2, side::BID, 101, 2),
                level(101, 8, 2),
                level(103, 9, 1),
            ),
            (
                order(action::CANCEL, 2, side::BID, 101, 2),
                level(101, 6, 2),
                level(103, 9, 1),
            ),
            (
                order(action::CANCEL, 2, side::BID, 101, 5),
                level(101, 1, 1),
                level(103, 9, 1),
            ),
            (
                order(action::MODIFY, 4, side::ASK, 102, 3),
                level(101, 1, 1),
                level(102, 3, 1),
            ),
            (
                order(action::CANCEL, 3, side::BID, 101, 1),
                level(100, 5, 1),
                level(102, 3, 1),
            ),
            (
                order(action::CLEAR, 0, side::NONE, UNDEF_PRICE, 0),
                None,
                None,
            ),
        ];
        for (number, (record, bid, ask)) in steps.iter().enumerate() {
            books.apply(SID, record);
            let top = books.top(SID, 7).unwrap();
            assert_eq!((top.bid, top.ask), (*bid, *ask), "after step {number}");
            assert_eq!(top.trust, Trust::Sound, "after step {number}");
        }
    }

    #[test]
    fn each_event_does_to_the_book_what_the_table_says() {
        let join = |at, complete| Event::Discontinuity {
            sid: SID,
            epoch: Epoch(2),
            at: Place::start(at),
            context: ContextId(1),
            complete,
            cause: DiscontinuityCause::Join,
        };
        let context = Event::Discontinuity {
            sid: SID,
            epoch: Epoch(2),
            at: Place::start(9),
            context: ContextId(2),
            complete: true,
            cause: DiscontinuityCause::Context { from: ContextId(1) },
        };
        let (kept, gone) = (true, false);
        let (sound, suspect) = (Trust::Sound, Trust::Suspect);
        let table = [
            (gap(), kept, suspect),
            (join(1, true), gone, sound),
            (join(2, true), gone, suspect),
            (join(1, false), gone, suspect),
            (context, gone, suspect),
            (reset(true), gone, sound),
            (reset(false), gone, suspect),
            (Event::Stale { sid: SID }, kept, sound),
            (Event::Live { sid: SID }, kept, sound),
        ];
        for (event, keeps, trust) in table {
            let mut books = Books::new(1);
            books.event(&reset(true));
            books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
            books.event(&event);
            books.apply(SID, &order(action::ADD, 2, side::BID, 99, 5));
            let top = books.top(SID, 7).unwrap();
            let best = if keeps { 100 } else { 99 };
            assert_eq!(top.bid.unwrap().price, best, "{event:?}");
            assert_eq!(top.trust, trust, "{event:?}");
            assert_eq!(top.stale, matches!(event, Event::Stale { .. }), "{event:?}");
        }
    }

    #[test]
    fn doubt_lasts_until_the_numbering_starts_afresh() {
        let mut books = Books::new(1);
        books.event(&reset(true));
        books.event(&gap());
        books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
        assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Suspect);
        books.event(&reset(true));
        books.apply(SID, &order(action::ADD, 1, side::BID, 100, 5));
        assert_eq!(books.top(SID, 7).unwrap().trust, Trust::Sound);
        let reason = CloseReason::Revoked;
        books.event(&Event::Closed { reason });
        assert_eq!(books.top(SID, 7), None);
    }

    #[test]
    fn what_cannot_be_applied_is_doubt_about_its_instrument_alone() {
        let mut flagged = order(action::NONE, 0, side::NONE, UNDEF_PRICE, 0);
        flagged.flags = flags::F_MAYBE_BAD_BOOK;
        let wrong = [
            flagged,
            order(action::CANCEL, 9, side::BID, 100, 1),
            order(action::ADD, 9, side::NONE, 100, 1),
            order(action::ADD, 9, side::BID, UNDEF_PRICE, 1),
        ];
        for record in wrong {
            let mut books = Books::new(1);
            books.event(&reset(true));
            let mut other = order(action::ADD, 1, side::BID, 100, 1);
            other.hd.instrument_id = U32::new(8);
            books.apply(SID, &other);
            books.apply(SID, &record);
            assert_eq!(
                books.top(SID, 7).unwrap().trust,
                Trust::Suspect,
                "{record:?}"
            );
            assert_eq!(books.top(SID, 8).unwrap().trust, Trust::Sound, "{record:?}");
        }
    }
}
