//! What follows from an adapter's output, or from what a source says: books, definitions, statuses, and whether that is all?

use std::collections::VecDeque;

use twinfeed_book::{Books, Inconsistency, Settings};
use twinfeed_protocol::retain::{Begun, Doubt, Following, Knowing};
use twinfeed_protocol::{Delivered, Event, Handler, Piece, Place, ResetCause, Tail};
use twinfeed_wire::record::{DbnRecord, InstrumentDefMsg, MboMsg, StatusMsg};
use twinfeed_wire::snapshot::Snapshot;
use twinfeed_wire::{Adm, AdminKind, AdminMessage, BodyKind, Datagram, Epoch, Sid, StreamId};

use super::follower::{Bounds, Lacking};
use super::kept::Kept;
use super::walk::{Abandoned, Walk};

/// What is known of one source stream.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) sid: Sid,
    pub(super) stream: StreamId,
    pub(super) bounds: Bounds,
    pub(super) books: Books,
    pub(super) kept: Kept,
    pub(super) lacking: Option<Lacking>,
    /// Epochs that were left, oldest first: who asks for one of them is told so.
    pub(super) left: VecDeque<Epoch>,
    pub(super) walk: Option<Walk>,
    /// Walks that came to nothing.
    pub(super) abandoned: u64,
    /// Times that an epoch began, or began anew.
    pub(super) begun: u64,
    /// Times that the other adapter's snapshot made this whole.
    pub(super) restored: u64,
    /// Records that found no room before that began.
    full: u64,
    /// Operators may have cleared books in this epoch, which its source does not know: a message that did, or one that did not come here.
    cleared: bool,
    /// What restores this is of the source's making.
    pub(super) of_source: bool,
    /// As of when that began: whether the source does not know all, and whether it was silent.
    apart: (bool, bool),
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(sid: Sid, stream: StreamId, bounds: Bounds) -> Self {
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
            lacking: Some(Lacking::Nothing),
            left: VecDeque::with_capacity(LEFT),
            walk: None,
            abandoned: 0,
            begun: 0,
            restored: 0,
            full: 0,
            cleared: false,
            of_source: false,
            apart: (false, false),
        }
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
        // Some of those in front of the first that came may have been of this epoch, too.
        self.cleared = !begun.whole && begun.adm > Adm(0);
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
        self.cleared |= itself && clears(record.body);
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

    fn passes(&mut self, message: &Delivered<'_>) {
        self.cleared |= clears(message.body);
    }

    fn doubt(&mut self, doubt: Doubt) {
        self.cleared |= doubt == Doubt::Count;
        if doubt == Doubt::Completed {
            // What is known was not of all of the epoch, and there is more now.
            self.lack(Lacking::Beginning);
        }
        if doubt == Doubt::Count && self.books.instruments(self.sid).next().is_none() {
            return; // one of those that did not come here may have been *clear book*, or one that did was none
        }
        self.abandon();
        self.suspect();
    }

    fn missed(&mut self) {
        self.cleared = true;
        self.lack(Lacking::Missed);
    }
}

impl Knowing for Known {
    fn restores(&mut self, joined: &Event) {
        self.abandon();
        self.kept.clear();
        let silent = self.books.is_silent(self.sid);
        self.books.event(joined);
        self.full = self.refused();
        self.apart = (self.of_source && self.cleared, silent);
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
        if self.of_source && matches!(piece, Piece::End { .. }) {
            // Who reads a session hears nothing of its lines.
            self.books.silence(self.sid, self.apart.1);
        }
    }

    fn whole(&mut self) {
        self.restored += 1;
        self.lacking = (self.full != self.refused()).then_some(Lacking::Full);
        if self.apart.0 {
            self.suspect();
        }
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
        if why == Lacking::Full {
            // While it is restored there is a reason already, which ends with that.
            self.full = u64::MAX;
        }
        self.lacking.get_or_insert(why);
    }

    /// These records come next.
    pub(super) fn expect(&self, datagram: &Datagram<'_>) {
        let orders = datagram.records().filter_map(|record| match record.kind {
            BodyKind::Dbn => MboMsg::view(record.body),
            _ => None,
        });
        self.books.touch(self.sid, orders);
    }

    /// Operators may have done to the books what is not known here.
    fn suspect(&mut self) {
        self.books.event(&Event::AdministrativeGap {
            sid: self.sid,
            from: Adm(0),
            until: Adm(0),
            numbering: None,
        });
    }

    pub(super) fn abandon(&mut self) {
        self.abandoned += u64::from(self.walk.take().is_some());
    }
}

fn view<'a, R: DbnRecord>(record: &Delivered<'a>) -> Option<&'a R> {
    match record.kind {
        BodyKind::Dbn => R::view(record.body),
        _ => None,
    }
}

/// Whether this message changes books.
fn clears(body: &[u8]) -> bool {
    AdminMessage::parse(body).is_ok_and(|message| message.kind() == AdminKind::ClearBook)
}

/// Epochs that were left and are remembered.
const LEFT: usize = 64;
