//! What has this adapter told its subscribers so far, and does it know all of it?
//!
//! ```text
//!   own datagrams ─► Follower ─► Books         what rests
//!                       │   └──► Kept          what instruments are, and whether they trade
//!                       └──────► Cursor        as of which place; or why that is not whole
//! ```
//!
//! One source stream's output is followed as a subscriber with one leg would that loses nothing: in order, each position once. What
//! was withheld on standby is output, and is not handed over again when it is sent after all. So numbers that go back are a source's that
//! steps back within an epoch: it begins anew.
//!
//! Whole is what began with the epoch, in a complete context, and was followed without a hole since. A hole that the adapter itself
//! declares, by another context, leaves what is known in doubt and whole: nobody knows more.

use std::collections::VecDeque;

use twinfeed_book::{Books, Inconsistency, Settings};
use twinfeed_protocol::{Cursor, Delivered, Event, Handler, Leg, Place, ResetCause, Tail};
use twinfeed_wire::record::{DbnRecord, InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::snapshot::Snapshot;
use twinfeed_wire::{
    Adm, AdminMessage, BodyKind, ContextId, Datagram, Epoch, Flags, Generation, Header, Pos,
    Record, Sid, StreamId,
};

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
    sid: Sid,
    stream: StreamId,
    bounds: Bounds,
    books: Books,
    kept: Kept,
    stand: Option<Stand>,
    lacking: Option<Lacking>,
    /// Epochs that were left, oldest first: who asks for one of them is told so.
    left: VecDeque<Epoch>,
    walk: Option<Walk>,
    /// Walks that came to nothing.
    abandoned: u64,
    /// Times that an epoch began, or began anew.
    begun: u64,
}

/// Where the output stands.
#[derive(Clone, Copy, Debug)]
struct Stand {
    epoch: Epoch,
    predecessor: Epoch,
    /// The first number that was converted.
    first: u64,
    context: ContextId,
    complete: bool,
    /// The first place that was not followed yet.
    next: Place,
    last: u64,
    /// Administrative messages, in the numbering of `generation`.
    adm: Adm,
    generation: Generation,
}

impl Stand {
    /// Whether an epoch begins, or the one at hand begins anew.
    fn is_left_by(&self, datagram: &Datagram<'_>) -> bool {
        let header = datagram.header();
        let first = match datagram.heartbeat() {
            Some(beat) => Some(Place::start(beat.beat.next_sseq)),
            // A message has the number of a record before it.
            None => datagram
                .records()
                .find(|it| it.kind != BodyKind::Administrative)
                .map(|it| Place {
                    sseq: it.sseq,
                    part: it.part,
                }),
        };
        let steps_back = first.is_some_and(|first| first < self.next);
        header.epoch != self.epoch || header.first != self.first || steps_back
    }
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
            sid,
            stream,
            bounds,
            books: Books::with_settings(settings),
            kept: Kept::new(bounds.instruments),
            stand: None,
            lacking: Some(Lacking::Nothing),
            left: VecDeque::with_capacity(LEFT),
            walk: None,
            abandoned: 0,
            begun: 0,
        }
    }

    /// Which source stream it follows.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// The number under which the adapter sends it.
    #[must_use]
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// Why what is known is not whole; `None`: it is.
    #[must_use]
    pub const fn lacking(&self) -> Option<Lacking> {
        self.lacking
    }

    /// The books, as of [`Follower::cursor`].
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// What is known of instruments beside their books.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Walks that came to nothing so far: an epoch began, something was missed or doubted, or the spool was full.
    #[must_use]
    pub const fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// The place as of which all this is; `None` before anything was heard.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let stand = self.stand?;
        let counted = stand.generation != Generation(0) || stand.adm != Adm(0);
        Some(Cursor {
            next: self.pos(&stand, stand.next),
            last: stand.last,
            context: stand.context,
            complete: stand.complete,
            count: counted.then_some((stand.adm, stand.generation)),
            predecessor: stand.predecessor,
        })
    }

    /// Times that an epoch began, or the one at hand began anew: what was known before is of another past.
    #[must_use]
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// The active sent something else under the same numbers: for the rest of the epoch its account counts, not this one.
    pub fn differs(&mut self) {
        self.lack(Lacking::Differs);
    }

    /// Whether this epoch is over.
    #[must_use]
    pub fn has_left(&self, epoch: Epoch) -> bool {
        self.left.contains(&epoch)
    }

    /// Some of the output did not come here.
    pub fn missed(&mut self) {
        self.lack(Lacking::Missed);
    }

    /// One datagram of the stream, sent or withheld.
    pub fn datagram(&mut self, datagram: &Datagram<'_>) {
        let header = *datagram.header();
        if self.stand.is_none_or(|stand| stand.is_left_by(datagram)) {
            self.begin_epoch(datagram);
        }
        if let Some(beat) = datagram.heartbeat() {
            return self.beat(&header, (beat.beat.next_sseq, beat.beat.prev));
        }
        for record in datagram.records() {
            self.record(&header, &record);
        }
    }

    /// Begins to write a snapshot down; `false` if what is known is not whole. One that is under way is left.
    pub fn walk(&mut self) -> bool {
        let Some(cursor) = self.cursor().filter(|_| self.lacking.is_none()) else {
            return false;
        };
        let spool = Spool::new(self.bounds.spool);
        let of = (self.sid, self.stream);
        self.walk = Walk::begin(of, cursor, &self.books, spool);
        self.abandoned += u64::from(self.walk.is_none());
        self.walk.is_some()
    }

    /// Whether a snapshot is being written down.
    #[must_use]
    pub const fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Writes down so many orders more, or one book where it has more; `None` while there is more to write, or nothing is being written.
    pub fn step(&mut self, orders: usize) -> Option<super::spool::Given> {
        let mut walk = self.walk.take()?;
        let cursor = self.cursor()?;
        match walk.step(orders, &self.books, &self.kept) {
            Ok(false) => self.walk = Some(walk),
            Ok(true) => match walk.end(cursor, &self.books) {
                Ok(given) => return Some(given),
                Err(Abandoned) => self.abandoned += 1,
            },
            Err(Abandoned) => self.abandoned += 1,
        }
        None
    }

    fn begin_epoch(&mut self, datagram: &Datagram<'_>) {
        let header = datagram.header();
        let complete = !header.flags.has(Flags::INCOMPLETE);
        let before = datagram.heartbeat().map(|beat| beat.beat.prev);
        let before = before.or_else(|| datagram.records().next().map(|record| record.prev));
        let from_the_beginning = complete && before.is_some_and(|prev| prev < header.first);
        let trust = match from_the_beginning {
            true => Place::start(Settings::default().origin_first),
            false => Place::start(u64::MAX),
        };
        let left = self.stand.map(|stand| stand.epoch);
        let left = left.filter(|left| *left != header.epoch);
        if let Some(epoch) = left {
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
            epoch: header.epoch,
            at: trust,
            context: header.context,
            complete: from_the_beginning,
            cause: ResetCause::Epoch {
                from: left.unwrap_or(Epoch::NONE),
                tail: Tail::Complete,
            },
        });
        self.lacking = (!from_the_beginning).then_some(Lacking::Beginning);
        let next = before.map_or(header.first, |prev| prev.saturating_add(1));
        self.stand = Some(Stand {
            epoch: header.epoch,
            predecessor: match header.predecessor {
                Epoch::NONE => left.unwrap_or(Epoch::NONE),
                said => said,
            },
            first: header.first,
            context: header.context,
            complete,
            next: Place::start(next),
            last: 0,
            adm: header.base_adm,
            generation: header.generation,
        });
    }

    fn beat(&mut self, header: &Header, (next, prev): (u64, u64)) {
        let Some(mut stand) = self.stand else { return };
        let changed = self.follow_context(&mut stand, header);
        if stand.next.part != 0 || prev >= stand.next.sseq && !changed {
            self.lack(Lacking::Missed);
        }
        stand.next = stand.next.max(Place::start(next));
        let newer = header.generation > stand.generation;
        if newer || header.base_adm > stand.adm {
            self.count(&mut stand, (header.base_adm, header.generation));
        }
        self.stand = Some(stand);
    }

    fn record(&mut self, header: &Header, record: &Record<'_>) {
        let Some(mut stand) = self.stand else { return };
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        if record.kind == BodyKind::Administrative {
            self.message(&mut stand, header, record);
            return;
        }
        if place < stand.next {
            return;
        }
        let changed = self.follow_context(&mut stand, header);
        let is_next = place == stand.next
            || record.part == 0 && stand.next.part == 0 && record.prev < stand.next.sseq;
        if !is_next && !changed {
            // Its own adapter passed numbers over without saying so: they were said, and did not come here.
            self.lack(Lacking::Missed);
        }
        if (record.adm, header.generation) != (stand.adm, stand.generation) {
            self.count(&mut stand, (record.adm, header.generation));
        }
        stand.last = record.sseq;
        stand.next = match record.is_last() {
            true => Place::start(record.sseq.saturating_add(1)),
            false => Place {
                part: record.part.saturating_add(1),
                ..place
            },
        };
        self.stand = Some(stand);
        self.apply(&stand, header, record);
    }

    fn message(&mut self, stand: &mut Stand, header: &Header, record: &Record<'_>) {
        self.follow_context(stand, header);
        // It vouches for the numbers up to the one that it stands behind.
        let behind = Place::start(record.sseq.saturating_add(1));
        stand.next = stand.next.max(behind);
        if record.adm != stand.adm {
            self.count(stand, (record.adm, header.generation));
        }
        stand.last = stand.last.max(record.sseq);
        stand.adm = Adm(record.adm.0.saturating_add(1));
        stand.generation = header.generation;
        self.stand = Some(*stand);
        self.apply(stand, header, record);
    }

    /// What the numbers of a record count is not what was counted here.
    fn count(&mut self, stand: &mut Stand, (adm, generation): (Adm, Generation)) {
        if adm != stand.adm && self.books.instruments(self.sid).next().is_some() {
            // One of those that did not come here may have been *clear book*, or one that did was none.
            self.doubt();
        }
        (stand.adm, stand.generation) = (adm, generation);
    }

    /// What the numbers are of in a record is not what they were; returns whether that is so.
    fn follow_context(&mut self, stand: &mut Stand, header: &Header) -> bool {
        let complete = !header.flags.has(Flags::INCOMPLETE);
        if stand.context == header.context {
            return false;
        }
        (stand.context, stand.complete) = (header.context, complete);
        self.doubt();
        true
    }

    fn apply(&mut self, stand: &Stand, header: &Header, record: &Record<'_>) {
        let itself = record.kind == BodyKind::Administrative;
        let delivered = Delivered {
            pos: Pos {
                sid: self.sid,
                epoch: stand.epoch,
                sseq: record.sseq,
                part: record.part,
            },
            kind: record.kind,
            flags: record.flags,
            adm: record.adm,
            leg: Leg::Zero,
            body: record.body,
            received_at: header.received_at,
            sent_at: header.sent_at,
            next: stand.next,
            context: stand.context,
            complete: stand.complete,
            numbering: Some(stand.generation),
        };
        let kept = match record.kind {
            BodyKind::Dbn => self.keep(record.body),
            _ => true,
        };
        let place = match view::<MboMsg>(record) {
            Some(order) => self.books.place(self.sid, order.hd.instrument_id.get()),
            None => None,
        };
        let findings = self.books.deliver(&delivered);
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

    /// Keeps what is known, and doubts it.
    fn doubt(&mut self) {
        self.abandon();
        let sid = self.sid;
        self.books.event(&Event::AdministrativeGap {
            sid,
            from: Adm(0),
            until: Adm(0),
            numbering: None,
        });
    }

    fn lack(&mut self, why: Lacking) {
        self.abandon();
        self.lacking.get_or_insert(why);
    }

    fn abandon(&mut self) {
        self.abandoned += u64::from(self.walk.take().is_some());
    }

    fn pos(&self, stand: &Stand, at: Place) -> Pos {
        Pos {
            sid: self.sid,
            epoch: stand.epoch,
            sseq: at.sseq,
            part: at.part,
        }
    }
}

fn view<'a, R: DbnRecord>(record: &Record<'a>) -> Option<&'a R> {
    match record.kind {
        BodyKind::Dbn => R::view(record.body),
        _ => None,
    }
}

/// Epochs that were left and are remembered.
const LEFT: usize = 64;
