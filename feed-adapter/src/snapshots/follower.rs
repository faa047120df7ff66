//! What has this adapter told its subscribers so far, and does it know all of it?
//!
//! ```text
//!   own datagrams ─► Follower ─► Books         what rests
//!                       │   └──► Kept          what instruments are, and whether they trade
//!                       └──────► Cursor        as of which place; or why that is not whole
//! ```
//!
//! Where the output stands, and what is taken from the other adapter where it was not followed from the beginning, is [`Follow`]'s to
//! say.
//!
//! Whole is what began with the epoch, in a complete context, or with a snapshot, the other adapter's or of the source's account, and was
//! followed without a hole since. A hole that the adapter itself declares, by another context, leaves what is known in doubt and whole: nobody knows more.

use twinfeed_book::Books;
use twinfeed_protocol::join::{JoinLimits, Whole, Wish};
use twinfeed_protocol::retain::Follow;
use twinfeed_protocol::{Cursor, Time};
use twinfeed_wire::{Datagram, Epoch, Sid, StreamId};

use super::kept::Kept;
use super::known::Known;
use super::spool::Spool;
use super::walk::{Abandoned, Walk};

/// Most instruments and orders that a follower remembers of its source stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Orders that rest at a time.
    pub orders: usize,
    /// Instruments that have a book, a definition or a status.
    pub instruments: usize,
    /// Bytes of one snapshot.
    pub spool: usize,
    /// What taking the other adapter's snapshot may cost.
    pub join: JoinLimits,
}

/// Why what is known is not whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lacking {
    /// Nothing was heard yet.
    Nothing,
    /// The adapter's context does not reach back to the beginning of the epoch, or did not when this began.
    Beginning,
    /// Some of the adapter's own output did not come here: the follower did not keep up.
    Missed,
    /// More orders or instruments than there is room for.
    Full,
    /// The active adapter sent something else under the same numbers.
    Differs,
}

impl Lacking {
    /// Whether the other adapter's snapshot has what is missing.
    #[must_use]
    pub const fn can_be_given(self) -> bool {
        match self {
            Self::Beginning | Self::Missed => true,
            // With what came, what is missing would come; what there is no room for has none; what differs goes on to.
            Self::Nothing | Self::Full | Self::Differs => false,
        }
    }

    /// In the status document and in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing heard yet",
            Self::Beginning => "began in mid-epoch",
            Self::Missed => "missed own output",
            Self::Full => "no room",
            Self::Differs => "differs from the active",
        }
    }
}

/// What is known of one source stream.
#[derive(Debug)]
pub struct Follower {
    follow: Follow,
    known: Known,
}

impl Follower {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(sid: Sid, stream: StreamId, bounds: Bounds) -> Self {
        Self {
            follow: Follow::new(sid, bounds.join),
            known: Known::new(sid, stream, bounds),
        }
    }

    /// Which source stream it follows.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.known.sid
    }

    /// The number under which the adapter sends it.
    #[must_use]
    pub const fn stream(&self) -> StreamId {
        self.known.stream
    }

    /// Why what is known is not whole; `None`: it is.
    #[must_use]
    pub const fn lacking(&self) -> Option<Lacking> {
        self.known.lacking
    }

    /// The books, as of [`Follower::cursor`].
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.known.books
    }

    /// What is known of instruments beside their books.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.known.kept
    }

    /// Walks that came to nothing so far: an epoch began, something was missed or doubted, or the spool was full.
    #[must_use]
    pub const fn abandoned(&self) -> u64 {
        self.known.abandoned
    }

    /// The place as of which all this is; `None` before anything was heard.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.follow.cursor()
    }

    /// Times that an epoch began, or the one at hand began anew: what was known before is of another past.
    #[must_use]
    pub const fn begun(&self) -> u64 {
        self.known.begun
    }

    /// The active sent something else under the same numbers: for the rest of the epoch its account counts, not this one.
    pub fn differs(&mut self) {
        self.follow.leave();
        self.known.abandon();
        // Whatever else is missing: what the other adapter gives would be gone on from with what differs.
        self.known.lacking = Some(Lacking::Differs);
    }

    /// Whether this epoch is over.
    #[must_use]
    pub fn has_left(&self, epoch: Epoch) -> bool {
        self.known.left.contains(&epoch)
    }

    /// Some of the output did not come here.
    pub fn missed(&mut self) {
        self.follow.missed(&mut self.known);
    }

    /// One datagram of the stream, sent or withheld.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, now: Time) {
        self.known.expect(datagram);
        self.follow.datagram(datagram, now, &mut self.known);
    }

    /// Wants the other adapter's snapshot, where that makes what is known whole; `false` if it does not, or is whole.
    pub fn ask(&mut self, now: Time) -> bool {
        let lacking = self.known.lacking;
        lacking.is_some_and(Lacking::can_be_given) && self.follow.ask(now)
    }

    /// Wants the source's own account, where that makes what is known whole.
    pub fn want(&mut self, now: Time) -> bool {
        let lacking = self.known.lacking;
        lacking.is_some_and(Lacking::can_be_given) && self.follow.want(now)
    }

    /// Whether the other adapter is asked, or what it gave is taken in.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.follow.is_asking()
    }

    /// The other adapter is asked no more.
    pub fn leave(&mut self) {
        self.follow.leave();
    }

    /// What the other adapter is to be asked for now, if anything.
    #[must_use]
    pub fn wish(&self) -> Option<Wish> {
        self.follow.wish()
    }

    /// What the other adapter gave for the wish with that serial; `false` if that is not wished for any more.
    pub fn on_snapshot(&mut self, serial: u64, whole: Whole) -> bool {
        self.take_in((serial, whole), false)
    }

    /// What the source's own account comes to, for the wish with that serial; `false` as above. It counts as many administrative messages as
    /// the wish did, and if operators may have cleared a book before that, books are suspect behind it.
    pub fn on_sources_snapshot(&mut self, serial: u64, whole: Whole) -> bool {
        self.take_in((serial, whole), true)
    }

    fn take_in(&mut self, (serial, whole): (u64, Whole), of_source: bool) -> bool {
        if self.wish().is_none_or(|wish| wish.serial != serial) {
            return false;
        }
        // Before it is told, in whole or in part.
        self.known.of_source = of_source;
        self.follow.on_snapshot(serial, whole, &mut self.known)
    }

    /// Takes about so many orders more of what the other adapter gave; returns how many, 0: nothing is there to take.
    pub fn restore(&mut self, orders: usize, now: Time) -> usize {
        self.follow.tell(orders, now, &mut self.known)
    }

    /// Asks no more, if it has taken too long.
    pub fn on_deadline(&mut self, now: Time) {
        self.follow.on_deadline(now, &mut self.known);
    }

    /// Times that the other adapter's snapshot made what is known whole.
    #[must_use]
    pub const fn restored(&self) -> u64 {
        self.known.restored
    }

    /// Whether what made it whole last was the source's own account.
    #[must_use]
    pub const fn is_of_source(&self) -> bool {
        self.known.of_source
    }

    /// Begins to write a snapshot down; `false` if what is known is not whole. One that is under way is left.
    pub fn walk(&mut self) -> bool {
        let Some(cursor) = self.cursor().filter(|_| self.lacking().is_none()) else {
            return false;
        };
        let known = &mut self.known;
        let spool = Spool::new(known.bounds.spool);
        known.walk = Walk::begin((known.sid, known.stream), cursor, &known.books, spool);
        known.abandoned += u64::from(known.walk.is_none());
        known.walk.is_some()
    }

    /// Whether a snapshot is being written down.
    #[must_use]
    pub const fn is_walking(&self) -> bool {
        self.known.walk.is_some()
    }

    /// Writes down so many orders more, or one book where it has more; `None` while there is more to write, or nothing is being written.
    pub fn step(&mut self, orders: usize) -> Option<super::spool::Given> {
        let cursor = self.cursor()?;
        let known = &mut self.known;
        let mut walk = known.walk.take()?;
        match walk.step(orders, &known.books, &known.kept) {
            Ok(false) => known.walk = Some(walk),
            Ok(true) => match walk.end(cursor, &known.books) {
                Ok(given) => return Some(given),
                Err(Abandoned) => known.abandoned += 1,
            },
            Err(Abandoned) => known.abandoned += 1,
        }
        None
    }
}
