//! What orders rest, at which prices, in which order – and may it be believed?
//!
//! ```text
//!   MboMsg ─► apply ─► ladder of the instrument ─► levels, best first ─► queue, first in time first
//!               │                 └── orders of all books: one pool, found by number
//!               └─► Findings: what about the record does not fit
//! ```
//!
//! [`Book`] is that of one instrument and needs nothing else of Twinfeed. [`Books`] are those of a feed: a
//! [`twinfeed_protocol::Handler`] that does to every book what the table in the subscriber library's documentation ("What to do with
//! your book") says. Both are asked through a [`View`].
//!
//! # What is checked
//!
//! Every record is held against the book. One that does not fit is an [`Inconsistency`]: applied as far as it can be, counted, given
//! back, and the book is [`Trust::Suspect`] from there on, until it begins afresh. Nothing is passed over in silence, and
//! nothing that a feed says makes a book panic. Whether bid and offer may meet depends on the venue and on the minute; it is judged on
//! demand ([`Settings::judge_crossed`]).
//!
//! # Memory and time
//!
//! The orders of all books of a source stand in one pool, at most [`Settings::max_orders`] of them: an order costs 40 bytes and 12
//! to 24 bytes of an index, a level 32 bytes. After warm-up an order that comes takes the place of one that went, and nothing is
//! allocated.
//!
//! Instructions per record of `subscriber/examples/book_cost.rs` (callgrind, 200,000 records, release; ten instruments, half of the records adds),
//! with levels as they are kept, and as they might be:
//!
//! | | chunks | `BTreeMap` | one sorted vector |
//! |---|---|---|---|
//! | `near`: within 160 prices of the middle, 20,000 orders | 545 | 551 | 511 |
//! | `wide`: half a million prices a side | 871 | 841 | 7,904 |
//!
//! A map costs as much and allocates nodes as prices come and go; a vector moves half of a wide side for each new price.
//!
//! An order that is not entered because the pool is full makes its book suspect, no more.
//!
//! **Invariant:** this crate knows no socket, no clock and no thread; applications (`subscriber::book`) and adapters that give
//! snapshots keep their books with it.
#![forbid(unsafe_code)]

mod apply;
mod body;
mod books;
mod check;
mod convert;
mod gather;
mod inconsistency;
pub mod index;
mod ladder;
mod levels;
mod pool;
mod single;
mod source;
#[cfg(test)]
mod tests;
mod view;

pub use books::Books;
pub use check::Broken;
pub use inconsistency::{Counts, Findings, Inconsistency};
pub use single::Book;
pub use view::View;

/// Orders that rest at a time, unless set: as many as an adapter remembers unless told otherwise.
pub const DEFAULT_MAX_ORDERS: usize = 4_000_000;
/// Instruments of a source stream that have a book, unless set.
pub const DEFAULT_MAX_INSTRUMENTS: usize = 1 << 20;

/// What [`Books`] must be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The number with which the source begins an epoch: who joins there has missed nothing. Default 1, as MoldUDP64.
    pub origin_first: u64,
    /// Most orders that rest at a time in all books of a source stream. An add beyond is [`Inconsistency::OrdersFull`]. Default
    /// [`DEFAULT_MAX_ORDERS`]; each costs 52 to 64 bytes while it rests, and the most that ever rested are kept.
    pub max_orders: usize,
    /// Most instruments of a source stream that have a book. A record of another is [`Inconsistency::InstrumentsFull`]. Default
    /// [`DEFAULT_MAX_INSTRUMENTS`]; each costs some 500 bytes.
    pub max_instruments: usize,
    /// Whether a book that is locked or crossed in continuous trading is [`Inconsistency::Crossed`]. Trading is continuous when the
    /// instrument's last [`twinfeed_wire::record::StatusMsg`] says so and the venue's (instrument 0) does not deny it, and a book is
    /// judged after the last record of an event (`F_LAST`) only. Default `false`: a venue may resume trading before the
    /// executions of its auction are told, message by message, and hidden or conditional orders may let others stand crossed, so
    /// that it is a sign of something wrong at some venues only.
    pub judge_crossed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            origin_first: 1,
            max_orders: DEFAULT_MAX_ORDERS,
            max_instruments: DEFAULT_MAX_INSTRUMENTS,
            judge_crossed: false,
        }
    }
}

/// Whether a book says what the venue's says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// Every record since it was empty was applied, and fitted.
    Sound,
    /// Something is missing, did not fit, or was never seen: right where it was changed since, perhaps wrong
    /// elsewhere.
    #[default]
    Suspect,
}

/// Who wants to buy, and who to sell.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// Buyers; the highest price is best.
    Bid,
    /// Sellers; the lowest price is best.
    Ask,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Bid, Self::Ask];
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
    /// Quantity left.
    pub size: u32,
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
    /// Whether it is out of date because no leg speaks, or the venue itself does not.
    pub stale: bool,
}
