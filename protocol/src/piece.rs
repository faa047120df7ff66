//! What is a snapshot, told to an application?
//!
//! ```text
//!   Begin ─► { Instrument or Withheld, Orders.. }.. ─► End
//!             Definition, Status, Change, Message: anywhere in between
//! ```
//!
//! What was there is copied while it changes (`docs/decisions/0018`): whoever
//! applies every piece in its order has what was there at the end, and the cursor of [`Piece::Begin`] and [`Piece::End`] is
//! that of the end. Until then it is half of a state and nothing to act on.

use twinfeed_wire::AdminMessage;
use twinfeed_wire::record::{InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::snapshot::{Orders, Trust};

use crate::cursor::Cursor;

/// A piece of the snapshot of one source stream; what it borrows is valid during the call only.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Piece<'a> {
    /// Forget what is known of the source stream: all of it follows.
    Begin {
        /// Where the stream goes on behind the snapshot.
        cursor: Cursor,
        /// How many instruments have a book, once all of it is applied.
        instruments: u64,
        /// How many orders rest in them then.
        orders: u64,
    },
    /// A book begins: whatever was said of its orders before is void, and its orders follow at once.
    Instrument {
        /// The venue's number.
        instrument: u32,
        /// What is thought of its book.
        trust: Trust,
    },
    /// A book that is there and not wanted: its orders are not told. Only a filter of the application's own says so.
    Withheld {
        /// The venue's number.
        instrument: u32,
    },
    /// What an instrument is, in place of what was said of it before.
    Definition(&'a InstrumentDefMsg),
    /// Whether an instrument (or with number 0 all of them) trades. What it does not say holds on.
    Status(&'a StatusMsg),
    /// Orders of the book that has begun, behind those before them: bids and then asks, each side best price first and each price
    /// first in time first.
    Orders(Orders<'a>),
    /// A record that came while the snapshot was made, to apply to a book that was said before.
    Change(&'a MboMsg),
    /// An administrative message that came while the snapshot was made, to apply to all books that were said before.
    Message(AdminMessage<'a>),
    /// All was told. What is delivered from here on stands behind the cursor.
    End {
        /// Where the stream goes on.
        cursor: Cursor,
        /// What is thought of books of instruments that were not named.
        trust: Trust,
        /// Whether the venue itself is silent.
        silent: bool,
    },
}

impl Piece<'_> {
    /// How many things it tells.
    #[must_use]
    pub const fn weight(&self) -> usize {
        match self {
            Self::Orders(orders) => orders.len(),
            _ => 1,
        }
    }
}
