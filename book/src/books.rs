//! The books of a whole feed, and what every event does to them.

use std::collections::BTreeMap;

use twinfeed_protocol::{Delivered, DiscontinuityCause, Event, Handler, Piece, Place};
use twinfeed_wire::record::{MboMsg, StatusMsg};
use twinfeed_wire::{AdminKind, AdminMessage, BodyKind, Sid};

use super::check::Broken;
use super::source::Source;
use super::{Counts, Findings, Order, Settings, Top, Trust, View};
use crate::body::dbn;

/// The books of all instruments of all source streams of a feed. A [`Handler`]: pass it to whatever tells records and events in
/// order, or call it from your own.
///
/// Every event that touches a book does so here, as the table in the subscriber library's documentation ("What to do with your book")
/// says.
#[derive(Clone, Debug)]
pub struct Books {
    settings: Settings,
    sources: BTreeMap<Sid, Source>,
}

impl Books {
    /// No books yet. `origin_first` is the number with which the source begins an epoch (1 for
    /// MoldUDP64): who joins there has missed nothing.
    #[must_use]
    pub fn new(origin_first: u64) -> Self {
        Self::with_settings(Settings {
            origin_first,
            ..Settings::default()
        })
    }

    /// No books yet, and bounds of one's own.
    #[must_use]
    pub const fn with_settings(settings: Settings) -> Self {
        Self {
            settings,
            sources: BTreeMap::new(),
        }
    }

    /// Best bid and offer of an instrument; `None` before anything was heard of it.
    #[must_use]
    pub fn top(&self, sid: Sid, instrument: u32) -> Option<Top> {
        self.book(sid, instrument).map(View::top)
    }

    /// The book of an instrument; `None` before anything was heard of it.
    #[must_use]
    pub fn book(&self, sid: Sid, instrument: u32) -> Option<View<'_>> {
        self.sources.get(&sid)?.view(instrument)
    }

    /// The books of a source stream, in the order in which its instruments were first heard of.
    pub fn books(&self, sid: Sid) -> impl Iterator<Item = View<'_>> {
        self.sources.get(&sid).into_iter().flat_map(Source::views)
    }

    /// The books of a source stream from a place of that order on: who goes through them in steps, while books begin behind, goes on
    /// where it was. Places are void once the source begins anew.
    pub fn books_from(&self, sid: Sid, place: usize) -> impl Iterator<Item = View<'_>> {
        let source = self.sources.get(&sid).into_iter();
        source.flat_map(move |source| source.views_from(place))
    }

    /// Which place the book of an instrument has in that order; `None` before anything was heard of it.
    #[must_use]
    pub fn place(&self, sid: Sid, instrument: u32) -> Option<usize> {
        self.sources.get(&sid)?.place(instrument)
    }

    /// Instruments of a source stream that have a book, in the order in which they were first heard of.
    pub fn instruments(&self, sid: Sid) -> impl Iterator<Item = u32> {
        self.books(sid).map(View::instrument)
    }

    /// How many orders rest in all books of a source stream.
    #[must_use]
    pub fn orders(&self, sid: Sid) -> usize {
        self.sources.get(&sid).map_or(0, Source::orders)
    }

    /// How many records of a source stream did not fit, and why: all since [`Books::new`], of instruments without a book too.
    #[must_use]
    pub fn counts(&self, sid: Sid) -> Counts {
        let source = self.sources.get(&sid);
        source.map_or(Counts::default(), |source| *source.counts())
    }

    /// Asks for what these records will need, all of it together, so that applying them one after the other waits less. Changes nothing;
    /// worth it only where more orders rest than caches hold, and does nothing where they do not.
    pub fn touch<'a>(&self, sid: Sid, records: impl Iterator<Item = &'a MboMsg>) {
        if let Some(source) = self.sources.get(&sid) {
            source.touch(records);
        }
    }

    /// Applies one order record, and says what about it does not fit.
    pub fn apply(&mut self, sid: Sid, record: &MboMsg) -> Findings {
        self.source(sid).apply(record)
    }

    /// What [`Handler::record`] does, and what about the record does not fit.
    pub fn deliver(&mut self, record: &Delivered<'_>) -> Findings {
        let sid = record.pos.sid;
        if let Some(order) = dbn::<MboMsg>(record) {
            return self.apply(sid, order);
        }
        match record.kind {
            BodyKind::Administrative => self.administer(sid, record.body),
            BodyKind::Dbn => {
                let judged = self.settings.judge_crossed;
                let source = self.source(sid);
                source.silent = false;
                if let Some(status) = dbn::<StatusMsg>(record).filter(|_| judged) {
                    source.status(status);
                }
            }
            BodyKind::Opaque | BodyKind::Unknown(_) => self.source(sid).silent = false,
        }
        Findings::default()
    }

    /// Puts these orders, as [`View::orders`] gives them, in place of those of an instrument; `trust` is what is thought of them.
    pub fn import(
        &mut self,
        (sid, instrument): (Sid, u32),
        orders: impl IntoIterator<Item = Order>,
        trust: Trust,
    ) -> Findings {
        self.source(sid).import(instrument, orders, trust)
    }

    /// Puts these orders behind those of an instrument, each behind those before it at its price: what [`Books::import`] begins may be
    /// brought in pieces.
    pub fn append(
        &mut self,
        (sid, instrument): (Sid, u32),
        orders: impl IntoIterator<Item = Order>,
    ) -> Findings {
        self.source(sid).append(instrument, orders)
    }

    /// What is thought of books of a source stream that begin from here on.
    pub fn expect(&mut self, sid: Sid, trust: Trust) {
        self.source(sid).trust = trust;
    }

    /// What is thought of books of a source stream that begin from here on; before anything was heard of it they are suspect.
    #[must_use]
    pub fn expected(&self, sid: Sid) -> Trust {
        let source = self.sources.get(&sid);
        source.map_or(Trust::Suspect, |source| source.trust)
    }

    /// Whether the venue behind a source stream is silent, as *source stale* and *source restored* say it.
    pub fn silence(&mut self, sid: Sid, silent: bool) {
        self.source(sid).silent = silent;
    }

    /// Whether the venue behind a source stream is silent.
    #[must_use]
    pub fn is_silent(&self, sid: Sid) -> bool {
        self.sources.get(&sid).is_some_and(|source| source.silent)
    }

    /// Counts everything again from the orders, the slow and obvious way.
    ///
    /// # Errors
    /// [`Broken`] says what does not agree; a defect of this library.
    pub fn check(&self) -> Result<(), Broken> {
        self.sources.values().try_for_each(Source::check)
    }

    fn administer(&mut self, sid: Sid, body: &[u8]) {
        match AdminMessage::parse(body) {
            Ok(message) => self.obey(sid, &message),
            // Whatever it was, it may have been meant for the books.
            Err(_) => self.source(sid).doubt(),
        }
    }

    fn obey(&mut self, sid: Sid, message: &AdminMessage<'_>) {
        let source = self.source(sid);
        match message.kind() {
            AdminKind::ClearBook => {
                let mut named = message.instruments().into_iter().flatten().peekable();
                if named.peek().is_none() {
                    source.forget_all();
                }
                named.for_each(|instrument| source.forget(instrument));
            }
            AdminKind::SourceStale => source.silent = true,
            AdminKind::SourceRestored => source.silent = false,
            // They say nothing of a book.
            AdminKind::GenerationOpened
            | AdminKind::DictionarySwitch
            | AdminKind::StepDown
            | AdminKind::TopicClosed
            | AdminKind::OperatorNotice
            | AdminKind::Unknown(_) => {}
        }
    }

    fn source(&mut self, sid: Sid) -> &mut Source {
        let settings = self.settings;
        let source = self.sources.entry(sid);
        source.or_insert_with(|| Source::new(settings))
    }

    fn trust_from(&self, at: Place, complete: bool) -> Trust {
        match complete && at == Place::start(self.settings.origin_first) {
            true => Trust::Sound,
            false => Trust::Suspect,
        }
    }
}

impl Handler for Books {
    fn record(&mut self, record: &Delivered<'_>) {
        // What does not fit is counted and doubted; who wants to be told calls `deliver`.
        let _ = self.deliver(record);
    }

    /// A book of which orders were withheld is none: it is forgotten, and suspect.
    fn withheld(&mut self, record: &Delivered<'_>) {
        let source = self.source(record.pos.sid);
        source.silent = false;
        if let Some(order) = dbn::<MboMsg>(record) {
            source.leave(order.hd.instrument_id.get());
        }
    }

    /// Puts what the snapshot tells in place of what was there. Until its end books are stale.
    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        let judged = self.settings.judge_crossed;
        let source = self.source(sid);
        match *piece {
            Piece::Begin { orders, .. } => source.begin_snapshot(orders),
            Piece::Instrument { instrument, trust } => {
                let _ = source.import(instrument, [], trust.into());
            }
            Piece::Withheld { instrument } => source.pass_over(instrument),
            // What does not fit is counted and doubted.
            Piece::Orders(orders) => {
                let _ = source.append(orders.instrument(), orders.iter().map(Order::from));
            }
            Piece::Change(record) => {
                let _ = source.apply(record);
            }
            Piece::Message(message) => self.obey(sid, &message),
            Piece::Status(status) if judged => source.status(status),
            Piece::End { trust, silent, .. } => source.end_snapshot(trust.into(), silent),
            // They say nothing of a book. What a later version tells may.
            Piece::Definition(_) | Piece::Status(_) => {}
            _ => source.doubt(),
        }
    }

    fn event(&mut self, event: &Event) {
        match *event {
            Event::Gap { sid, .. }
            | Event::AdministrativeGap { sid, .. }
            | Event::Divergence { sid, .. } => self.source(sid).doubt(),
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
                self.source(sid).restart(trust);
            }
            Event::Discontinuity { sid, .. } => self.source(sid).restart(Trust::Suspect),
            Event::JoinRestarted { sid, .. } => self.source(sid).break_off(),
            Event::Stale { sid } => self.source(sid).stale = true,
            Event::Live { sid } => self.source(sid).stale = false,
            Event::Closed { .. } => self.sources.clear(),
            // A hole that was closed, a switch, a leg's state and an end leave every book as it is.
            Event::Recovered { .. }
            | Event::Converged { .. }
            | Event::Switched(_)
            | Event::Leg { .. }
            | Event::Slow { .. }
            | Event::ConstraintKept { .. }
            | Event::NoSnapshot { .. }
            | Event::Ended { .. } => {}
            // An event of a later version: what it asks for is not known.
            _ => self.sources.values_mut().for_each(Source::doubt),
        }
    }
}
