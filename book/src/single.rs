//! One instrument's book, alone.

use std::fmt;

use twinfeed_wire::record::MboMsg;

use super::check::Broken;
use super::ladder::Ladder;
use super::pool::Pool;
use super::{DEFAULT_MAX_ORDERS, Findings, Level, Order, Side, Top, Trust, View};

/// The order book of one instrument, made of [`MboMsg`] records, wherever they come from: neither a subscription nor anything else of
/// this library is needed. [`super::Books`] keeps those of a whole feed.
///
/// Equal are two books of the same instrument in which the same orders stand in the same queues, whatever is thought of them.
///
/// ```
/// use twinfeed_book::{Book, Side};
/// use twinfeed_wire::record::{MboMsg, code};
///
/// let mut book = Book::new(7);
/// let mut record = MboMsg {
///     order_id: 1.into(),
///     price: 101_500_000_000.into(), // 101.5
///     size: 200.into(),
///     action: code::action::ADD,
///     side: code::side::BID,
///     ..MboMsg::default()
/// };
/// record.hd.instrument_id = 7.into();
/// assert!(book.apply(&record).is_empty(), "it fits");
///
/// assert_eq!(book.top().bid.map(|level| level.size), Some(200));
/// for level in book.levels(Side::Bid).take(10) {
///     println!("{} in {} orders @ {}", level.size, level.orders, level.price);
/// }
/// ```
#[derive(Clone)]
pub struct Book {
    pool: Pool,
    ladder: Ladder,
}

impl Book {
    /// The empty book of an instrument, with room for [`DEFAULT_MAX_ORDERS`] orders. It is [`Trust::Sound`]: whoever begins in
    /// the middle says so by [`Book::doubt`].
    #[must_use]
    pub fn new(instrument: u32) -> Self {
        Self::with_max_orders(instrument, DEFAULT_MAX_ORDERS)
    }

    /// The same with room for this many orders.
    #[must_use]
    pub fn with_max_orders(instrument: u32, max_orders: usize) -> Self {
        Self {
            pool: Pool::new(max_orders),
            ladder: Ladder::new(0, instrument, Trust::Sound),
        }
    }

    /// Applies one record, and says what about it does not fit.
    pub fn apply(&mut self, record: &MboMsg) -> Findings {
        self.ladder.apply(&mut self.pool, record)
    }

    /// Something may be missing.
    pub const fn doubt(&mut self) {
        self.ladder.trust = Trust::Suspect;
    }

    /// Forgets every order; what is thought of the book from here on is `trust`.
    pub fn restart(&mut self, trust: Trust) {
        self.ladder.clear(&mut self.pool);
        self.ladder.trust = trust;
    }

    /// Begins with these orders in place of whatever was there: those of [`Book::orders`] of another book, or of a snapshot.
    /// `trust` is what is thought of them; any that does not fit is found and doubted.
    pub fn import(&mut self, orders: impl IntoIterator<Item = Order>, trust: Trust) -> Findings {
        self.ladder.import(&mut self.pool, orders, trust)
    }

    /// Whether trading is continuous from here on, so that a locked or crossed book is [`super::Inconsistency::Crossed`]. Not judged
    /// unless said; see [`super::Settings::judge_crossed`] for what speaks against it.
    pub const fn set_continuous(&mut self, continuous: bool) {
        self.ladder.continuous = continuous;
    }

    /// Everything that can be asked.
    #[must_use]
    pub const fn view(&self) -> View<'_> {
        View {
            pool: &self.pool,
            ladder: &self.ladder,
            stale: false,
        }
    }

    /// See [`View::top`].
    #[must_use]
    pub fn top(&self) -> Top {
        self.view().top()
    }

    /// See [`View::trust`].
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.view().trust()
    }

    /// See [`View::levels`].
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> {
        self.view().levels(side)
    }

    /// See [`View::queue`].
    pub fn queue(&self, side: Side, price: i64) -> impl Iterator<Item = Order> {
        self.view().queue(side, price)
    }

    /// See [`View::order`].
    #[must_use]
    pub fn order(&self, id: u64) -> Option<Order> {
        self.view().order(id)
    }

    /// See [`View::orders`].
    pub fn orders(&self) -> impl Iterator<Item = Order> {
        self.view().orders()
    }

    /// See [`View::check`].
    ///
    /// # Errors
    /// [`Broken`] says what does not agree; a defect of this library.
    pub fn check(&self) -> Result<(), Broken> {
        self.view().check()
    }
}

impl PartialEq for Book {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Book {}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book")
            .field("instrument", &self.ladder.instrument)
            .field("trust", &self.ladder.trust)
            .field("orders", &self.orders().collect::<Vec<_>>())
            .finish()
    }
}
