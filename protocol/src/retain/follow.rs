//! How does an adapter come to know all of its own output, although it was not there from the beginning?
//!
//! ```text
//!   own datagrams ─► Output ─┬─ nobody is asked ─────────────────────────────────────► Knowing
//!                            └─ asking ─► Joins: kept, in order and bounded ┐             ▲
//!   the other adapter's snapshot ─► Spool ─► Follow::on_snapshot ─► cut ─► pieces, what is behind: `tell`
//! ```
//!
//! A process that began in mid-epoch, or that did not keep up with its own output, does as an application that joins: it keeps what comes,
//! takes a snapshot of the other adapter, which converts the same source by the same memory, and goes on behind it. What fits and where
//! is decided by [`Joins`].
//!
//! **How to drive it.** Give it every datagram of the output. Where what is known is not whole and the output's context is, call
//! [`Follow::ask`]; fetch what [`Follow::wish`] says, another one whenever that has another `serial`; hand the answer to
//! [`Follow::on_snapshot`], and call [`Follow::tell`] until nothing is left to tell, in pieces as long as one likes. Call
//! [`Follow::on_deadline`] now and then while it asks.
//!
//! | | not asking | asking: waiting, ahead | asking: telling, draining |
//! |---|---|---|---|
//! | record of the output | told | kept | kept |
//! | it has no room | – | what was kept is void; asks anew from here | the same; what was told is void, too |
//! | an epoch begins, context or count are in doubt, something was missed | told | told; asks no more | told; asks no more |
//! | a heartbeat counts in another numbering | – | asks no more | asks no more |
//! | a snapshot that was wished for | ignored | pieces, or waits for its end, or next wish | ignored |
//! | told the last of it | – | – | [`Knowing::whole`]; asks no more |
//! | time is over | – | asks no more | – |
//!
//! **Invariant:** at [`Knowing::whole`] whoever was told has everything in front of [`Follow::cursor`], as the snapshot's maker had it, and
//! behind the snapshot each record of the output once and in order.

use super::output::{Begun, Doubt, Following, Output};
use crate::cursor::Cursor;
use crate::event::{Delivered, DiscontinuityCause, Event, Handler};
use crate::join::{JoinLimits, Joins, Whole, Wish};
use crate::piece::Piece;
use crate::time::Time;
use twinfeed_wire::{BodyKind, Datagram, Sid};

/// Whoever is told an output, and a snapshot where the output was not followed.
pub trait Knowing: Following {
    /// A snapshot follows that ends where this [`Event::Discontinuity`] says: what is known is void.
    fn restores(&mut self, joined: &Event);
    /// A piece of it.
    fn piece(&mut self, piece: &Piece<'_>);
    /// All of it was told, and everything behind it: what is known is whole.
    fn whole(&mut self);
}

/// The output of one source stream, followed.
#[derive(Debug)]
pub struct Follow {
    sid: Sid,
    limits: JoinLimits,
    output: Output,
    /// While the other adapter is asked.
    joins: Option<Box<Joins>>,
    /// How often it was.
    asked: u64,
    /// Something was missed, and nothing came since: how far the hole reaches is not known.
    blind: bool,
}

impl Follow {
    /// Nothing was followed yet. `limits` bound what is kept while the other adapter is asked, and for how long it is.
    #[must_use]
    pub const fn new(sid: Sid, limits: JoinLimits) -> Self {
        Self {
            sid,
            limits: JoinLimits {
                on_gap: false,
                ..limits
            },
            output: Output::new(sid),
            joins: None,
            asked: 0,
            blind: false,
        }
    }

    /// The place behind what was followed; `None` before anything was.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.output.cursor()
    }

    /// One datagram of the output, sent or withheld.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, now: Time, to: &mut impl Knowing) {
        self.blind = false;
        let count = |of: &Self| of.cursor().map(|cursor| cursor.count);
        let before = self.joins.as_ref().map(|_| count(self));
        let joins = &mut self.joins;
        let mut sieve = Sieve { joins, now, to };
        self.output.datagram(datagram, &mut sieve);
        if datagram.heartbeat().is_some() && before.is_some_and(|before| before != count(self)) {
            // Another numbering is in force, and no record says so: what is wanted is of that one.
            self.joins = None;
        }
    }

    /// Some of the output did not come here.
    pub fn missed(&mut self, to: &mut impl Knowing) {
        self.blind = true;
        self.joins = None;
        to.missed();
    }

    /// Wants a snapshot of the other adapter from here on; `false` as with [`Follow::want`], or if that cannot have it, for what
    /// the conversion remembers does not reach back.
    pub fn ask(&mut self, now: Time) -> bool {
        let complete = self.cursor().is_some_and(|it| it.complete);
        self.joins.is_some() || (complete && self.want(now))
    }

    /// Wants a snapshot, whoever makes it, from here on; `false` if nothing was followed yet, or since something was missed.
    pub fn want(&mut self, now: Time) -> bool {
        if self.joins.is_some() {
            return true;
        }
        let Some(cursor) = self.cursor().filter(|_| !self.blind) else {
            return false;
        };
        let mut joins = Joins::new(self.limits);
        joins.add_source(self.sid, false);
        joins.resume(&cursor);
        joins.refresh(self.sid, now);
        self.asked += 1;
        self.joins = Some(Box::new(joins));
        true
    }

    /// Whether the other adapter is asked, or what it said is told.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.joins.is_some()
    }

    /// Asks no more: what was kept is void.
    pub fn leave(&mut self) {
        self.joins = None;
    }

    /// What the other adapter is to be asked for, if anything. Another serial: what was asked for before is of no use any more.
    #[must_use]
    pub fn wish(&self) -> Option<Wish> {
        let wish = self.joins.as_ref()?.wishes().next()?;
        Some(Wish {
            serial: (self.asked << ASKED_AT) + wish.serial,
            ..wish
        })
    }

    /// Takes in what the other adapter gave for the wish with that serial; `false` if that is not wished for any more.
    pub fn on_snapshot(&mut self, serial: u64, whole: Whole, to: &mut impl Knowing) -> bool {
        let wished = self.wish().is_some_and(|wish| wish.serial == serial);
        let Some(joins) = self.joins.as_mut().filter(|_| wished) else {
            return false;
        };
        let whole = whole.asked_for(serial - (self.asked << ASKED_AT));
        joins.on_snapshot(self.sid, whole, &mut Teller::of(to));
        true
    }

    /// Tells about so many things, at least what was kept since the last call; returns how many that were.
    pub fn tell(&mut self, most: usize, now: Time, to: &mut impl Knowing) -> usize {
        let Some(joins) = &mut self.joins else {
            return 0;
        };
        let budget = joins.take_arrived().saturating_add(most);
        let mut told = 0;
        while told < budget && joins.is_telling() {
            match joins.tell(now, &mut Teller::of(to)) {
                0 => break,
                more => told += more,
            }
            if joins.is_live(self.sid) {
                self.joins = None;
                to.whole();
                break;
            }
        }
        told
    }

    /// Asks no more, if time is over.
    pub fn on_deadline(&mut self, now: Time, to: &mut impl Knowing) {
        let Some(joins) = &mut self.joins else {
            return;
        };
        let mut teller = Teller::of(to);
        joins.on_deadline(now, &mut teller);
        if teller.over {
            self.joins = None;
        }
    }
}

/// Stands between the output and whoever is told it.
struct Sieve<'a, K> {
    joins: &'a mut Option<Box<Joins>>,
    now: Time,
    to: &'a mut K,
}

impl<K: Knowing> Following for Sieve<'_, K> {
    fn begins(&mut self, begun: &Begun) {
        *self.joins = None;
        self.to.begins(begun);
    }

    fn record(&mut self, record: &Delivered<'_>) {
        let Some(joins) = self.joins else {
            return self.to.record(record);
        };
        if record.kind == BodyKind::Administrative {
            self.to.passes(record);
        }
        let mut teller = Teller::of(&mut *self.to);
        joins.through(self.now, &mut teller).record(record);
    }

    fn doubt(&mut self, doubt: Doubt) {
        *self.joins = None;
        self.to.doubt(doubt);
    }

    fn missed(&mut self) {
        *self.joins = None;
        self.to.missed();
    }
}

/// Tells what is decided.
struct Teller<'a, K> {
    to: &'a mut K,
    /// There was no snapshot in time.
    over: bool,
}

impl<'a, K> Teller<'a, K> {
    const fn of(to: &'a mut K) -> Self {
        Self { to, over: false }
    }
}

impl<K: Knowing> Handler for Teller<'_, K> {
    fn record(&mut self, record: &Delivered<'_>) {
        self.to.record(record);
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Discontinuity {
                cause: DiscontinuityCause::Join,
                ..
            } => self.to.restores(event),
            Event::NoSnapshot { .. } => self.over = true,
            // What was kept had no room: it goes on by itself.
            _ => {}
        }
    }

    fn snapshot(&mut self, _: Sid, piece: &Piece<'_>) {
        self.to.piece(piece);
    }
}

/// The part of a wish's serial that says which time it is that the other adapter is asked.
const ASKED_AT: u32 = 32;
