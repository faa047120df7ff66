//! How is everything written down while it goes on changing?
//!
//! ```text
//!   definitions, statuses      books, in the order in which they began
//!   ├────────────┤ kept        ├──────┤ books
//!    written; a later one       written; a record of one of these is written too,
//!    is written again           as it is applied
//! ```
//!
//! Both rows only grow at their end, so that a place says whether something was passed. A step writes so many orders, or one book
//! whole where that has more. Once both places are at the end, everything written, applied in that order, is what there is at
//! this moment (decision 18).

use twinfeed_book::{Books, View};
use twinfeed_protocol::Cursor;
use twinfeed_wire::snapshot::{self, Begin, End, Instrument, Snapshot};
use twinfeed_wire::{Sid, StreamId};

use super::kept::Kept;
use super::spool::{Given, Spool};

/// There is no room for what would have to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Abandoned;

/// A snapshot that is being written.
#[derive(Debug)]
pub struct Walk {
    sid: Sid,
    spool: Spool,
    /// Places in front of which everything was written.
    kept: usize,
    books: usize,
}

impl Walk {
    /// Begins to write; `None` if there is no room for that.
    #[must_use]
    pub fn begin(
        (sid, stream): (Sid, StreamId),
        cursor: Cursor,
        books: &Books,
        mut spool: Spool,
    ) -> Option<Self> {
        let begin = Begin {
            cursor: cursor.into(),
            stream,
            instruments: books.instruments(sid).count() as u64,
            orders: books.orders(sid) as u64,
        };
        spool.push(&Snapshot::Begin(begin)).ok()?;
        Some(Self {
            sid,
            spool,
            kept: 0,
            books: 0,
        })
    }

    /// Whether the book with this place was written.
    #[must_use]
    pub const fn has_passed(&self, place: usize) -> bool {
        place < self.books
    }

    /// Whether what is known of the instrument with this place was written.
    #[must_use]
    pub const fn has_passed_kept(&self, place: usize) -> bool {
        place < self.kept
    }

    /// Writes something that changed.
    ///
    /// # Errors
    /// [`Abandoned`] if there is no room.
    pub fn write(&mut self, frame: &Snapshot<'_>) -> Result<(), Abandoned> {
        self.spool.push(frame)
    }

    /// Writes so many orders more; whether that was all.
    ///
    /// # Errors
    /// [`Abandoned`] if there is no room.
    pub fn step(&mut self, orders: usize, books: &Books, kept: &Kept) -> Result<bool, Abandoned> {
        let mut left = orders.max(1);
        while let Some(entry) = kept.entry(self.kept) {
            if left == 0 {
                return Ok(false);
            }
            if let Some(definition) = entry.definition() {
                self.spool.push(&Snapshot::Definition(definition))?;
            }
            for status in entry.statuses() {
                self.spool.push(&Snapshot::Status(status))?;
            }
            self.kept += 1;
            left = left.saturating_sub(COST_OF_KEPT);
        }
        for book in books.books_from(self.sid, self.books) {
            if left == 0 {
                return Ok(false);
            }
            self.book(book)?;
            self.books += 1;
            left = left.saturating_sub(1 + book.len());
        }
        Ok(true)
    }

    /// Ends with what there is at this moment.
    ///
    /// # Errors
    /// [`Abandoned`] if there is no room.
    pub fn end(mut self, cursor: Cursor, books: &Books) -> Result<Given, Abandoned> {
        let digest = self.spool.digest();
        let cursor = snapshot::Cursor::from(cursor);
        self.spool.push(&Snapshot::End(End {
            cursor,
            trust: books.expected(self.sid).into(),
            silent: books.is_silent(self.sid),
            instruments: books.instruments(self.sid).count() as u64,
            orders: books.orders(self.sid) as u64,
            frames: digest.frames(),
            digest: digest.value(),
        }))?;
        Ok(self.spool.finish(self.sid, cursor))
    }

    fn book(&mut self, book: View<'_>) -> Result<(), Abandoned> {
        let id = book.instrument();
        self.spool.push(&Snapshot::Instrument(Instrument {
            id,
            trust: book.trust().into(),
            orders: book.len() as u64,
        }))?;
        self.spool.push_orders(id, book.orders().map(Into::into))
    }
}

/// What a definition and its statuses cost, in orders.
const COST_OF_KEPT: usize = 24;
