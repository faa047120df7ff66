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
//! Whole is what began with the epoch, in a complete context, or with a snapshot of the other adapter, and was followed without a hole
//! since. A hole that the adapter itself declares, by another context, leaves what is known in doubt and whole: nobody knows more.

use std::collections::VecDeque;

use twinfeed_book::{Books, Inconsistency, Settings};
use twinfeed_protocol::join::{JoinLimits, Whole, Wish};
use twinfeed_protocol::retain::{Begun, Doubt, Follow, Following, Knowing};
use twinfeed_protocol::{Cursor, Delivered, Event, Handler, Piece, Place, ResetCause, Tail, Time};
use twinfeed_wire::record::{DbnRecord, InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::snapshot::Snapshot;
use twinfeed_wire::{Adm, AdminMessage, BodyKind, Datagram, Epoch, Sid, StreamId};

use super::kept::Kept;
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

/// What follows from its output.
#[derive(Debug)]
struct Known {
    sid: Sid,
    stream: StreamId,
    bounds: Bounds,
    books: Books,
    kept: Kept,
    lacking: Option<Lacking>,
    /// Epochs that were left, oldest first: who asks for one of them is told so.
    left: VecDeque<Epoch>,
    walk: Option<Walk>,
    /// Walks that came to nothing.
    abandoned: u64,
    /// Times that an epoch began, or began anew.
    begun: u64,
    /// Times that the other adapter's snapshot made this whole.
    restored: u64,
    /// Records that found no room before that began.
    full: u64,
}

impl Follower {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(sid: Sid, stream: StreamId, bounds: Bounds) -> Self {
        let settings = Settings {
            max_orders: bounds.orders,
            max_instruments: bounds.instruments,
            ..Settings::default()
        };
        Self {
            follow: Follow::new(sid, bounds.join),
            known: Known {
                sid,
                stream,
                bounds,
                books: Books::with_settings(settings),
                kept: Kept::new(bounds.instruments),
                lacking: Some(Lacking::Nothing),
                left: VecDeque::with_capacity(LEFT),
                walk: None,
                abandoned: 0,
                begun: 0,
                restored: 0,
                full: 0,
            },
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
        self.follow.datagram(datagram, now, &mut self.known);
    }

    /// Wants the other adapter's snapshot, where that makes what is known whole; `false` if it does not, or is whole.
    pub fn ask(&mut self, now: Time) -> bool {
        let lacking = self.known.lacking;
        lacking.is_some_and(Lacking::can_be_given) && self.follow.ask(now)
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

impl Following for Known {
    fn begins(&mut self, begun: &Begun) {
        let trust = match begun.whole {
            true => Place::start(Settings::default().origin_first),
            false => Place::start(u64::MAX),
        };
        if let Some(epoch) = begun.left {
            if self.left.len() == LEFT {
                self.left.pop_front();
            }
            self.left.push_back(epoch);
        }
        self.abandon();
        self.begun += 1;
        self.kept.clear();
        self.books.event(&Event::Reset {
            sid: self.sid,
            epoch: begun.epoch,
            at: trust,
            context: begun.context,
            complete: begun.whole,
            cause: ResetCause::Epoch {
                from: begun.left.unwrap_or(Epoch::NONE),
                tail: Tail::Complete,
            },
        });
        self.lacking = (!begun.whole).then_some(Lacking::Beginning);
    }

    fn record(&mut self, record: &Delivered<'_>) {
        let itself = record.kind == BodyKind::Administrative;
        let kept = match record.kind {
            BodyKind::Dbn => self.keep(record.body),
            _ => true,
        };
        let place = match view::<MboMsg>(record) {
            Some(order) => self.books.place(self.sid, order.hd.instrument_id.get()),
            None => None,
        };
        let findings = self.books.deliver(record);
        let full = [Inconsistency::OrdersFull, Inconsistency::InstrumentsFull];
        if !kept || full.into_iter().any(|kind| findings.has(kind)) {
            return self.lack(Lacking::Full);
        }
        let Some(walk) = &mut self.walk else { return };
        let written = match (view::<MboMsg>(record), itself) {
            (Some(order), _) if place.is_some_and(|at| walk.has_passed(at)) => {
                walk.write(&Snapshot::Change(order))
            }
            (None, true) => match AdminMessage::parse(record.body) {
                Ok(message) => walk.write(&Snapshot::Message(message)),
                Err(_) => Err(Abandoned),
            },
            _ => Ok(()),
        };
        if written.is_err() {
            self.abandon();
        }
    }

    fn doubt(&mut self, doubt: Doubt) {
        if doubt == Doubt::Count && self.books.instruments(self.sid).next().is_none() {
            return; // one of those that did not come here may have been *clear book*, or one that did was none
        }
        self.abandon();
        self.books.event(&Event::AdministrativeGap {
            sid: self.sid,
            from: Adm(0),
            until: Adm(0),
            numbering: None,
        });
    }

    fn missed(&mut self) {
        self.lack(Lacking::Missed);
    }
}

impl Knowing for Known {
    fn restores(&mut self, joined: &Event) {
        self.abandon();
        self.kept.clear();
        self.books.event(joined);
        self.full = self.refused();
        // Its reason stays until all of it is there.
        self.lacking.get_or_insert(Lacking::Beginning);
    }

    fn piece(&mut self, piece: &Piece<'_>) {
        self.books.snapshot(self.sid, piece);
        let kept = match piece {
            Piece::Definition(definition) => self.kept.define(definition).is_some(),
            Piece::Status(status) => self.kept.tell(status).is_some(),
            _ => true,
        };
        if !kept {
            self.full = u64::MAX;
        }
    }

    fn whole(&mut self) {
        self.restored += 1;
        self.lacking = (self.full != self.refused()).then_some(Lacking::Full);
    }
}

impl Known {
    /// Orders and books that found no room so far.
    fn refused(&self) -> u64 {
        let counts = self.books.counts(self.sid);
        counts.of(Inconsistency::OrdersFull) + counts.of(Inconsistency::InstrumentsFull)
    }

    /// Notes a definition or a status; `false` if there is no room.
    fn keep(&mut self, body: &[u8]) -> bool {
        let kept = match (InstrumentDefMsg::view(body), StatusMsg::view(body)) {
            (Some(definition), _) => self.kept.define(definition),
            (_, Some(status)) => self.kept.tell(status),
            (None, None) => return true,
        };
        let Some(place) = kept else { return false };
        let Some(walk) = &mut self.walk else {
            return true;
        };
        if !walk.has_passed_kept(place) {
            return true;
        }
        let written = match (InstrumentDefMsg::view(body), StatusMsg::view(body)) {
            (Some(definition), _) => walk.write(&Snapshot::Definition(definition)),
            (_, Some(status)) => walk.write(&Snapshot::Status(status)),
            (None, None) => Ok(()),
        };
        if written.is_err() {
            self.abandon();
        }
        true
    }

    fn lack(&mut self, why: Lacking) {
        self.abandon();
        self.lacking.get_or_insert(why);
    }

    fn abandon(&mut self) {
        self.abandoned += u64::from(self.walk.take().is_some());
    }
}

fn view<'a, R: DbnRecord>(record: &Delivered<'a>) -> Option<&'a R> {
    match record.kind {
        BodyKind::Dbn => R::view(record.body),
        _ => None,
    }
}

/// Epochs that were left and are remembered.
const LEFT: usize = 64;
