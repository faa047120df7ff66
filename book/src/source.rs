//! The books of one source stream: one pool of orders, and a ladder per instrument.

use twinfeed_wire::record::code::tri;
use twinfeed_wire::record::{MboMsg, StatusMsg};

use super::apply::side_of;
use super::check::Broken;
use super::ladder::Ladder;
use super::pool::Pool;
use super::{Counts, Findings, Inconsistency, Order, Settings, Trust, View};
use crate::index::{Index, NONE, hash};
use std::hint::black_box;

/// The books of one source stream.
#[derive(Clone, Debug)]
pub(super) struct Source {
    settings: Settings,
    /// Of instruments that were not seen yet.
    pub(super) trust: Trust,
    /// No leg speaks.
    pub(super) stale: bool,
    /// The venue does not speak.
    pub(super) silent: bool,
    /// A snapshot is told, and not to its end yet.
    telling: Option<Telling>,
    /// The venue said that nothing trades.
    closed: bool,
    pool: Pool,
    ladders: Vec<Ladder>,
    /// Ladders by instrument.
    index: Index,
    /// Whether an instrument's trading is continuous, by ladder.
    trading: Vec<bool>,
    counts: Counts,
}

/// A snapshot that is told.
#[derive(Clone, Copy, Debug)]
struct Telling {
    /// How many orders rest at its end.
    orders: u64,
    /// Whether all of them were told.
    all: bool,
}

impl Source {
    /// No books, and what is not known makes them suspect.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            trust: Trust::Suspect,
            stale: false,
            silent: false,
            telling: None,
            closed: false,
            pool: Pool::new(settings.max_orders),
            ladders: Vec::new(),
            index: Index::new(),
            trading: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn orders(&self) -> usize {
        self.pool.len()
    }

    pub(super) fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.views_from(0)
    }

    /// Those from this place on, in the order in which they began.
    pub(super) fn views_from(&self, at: usize) -> impl Iterator<Item = View<'_>> {
        let ladders = self.ladders.get(at..).unwrap_or_default();
        ladders.iter().map(|ladder| self.view_of(ladder))
    }

    /// Which place the book of an instrument has in that order.
    pub(super) fn place(&self, instrument: u32) -> Option<usize> {
        self.find(instrument)
    }

    pub(super) fn view(&self, instrument: u32) -> Option<View<'_>> {
        Some(self.view_of(&self.ladders[self.find(instrument)?]))
    }

    /// Applies one order record.
    pub(super) fn apply(&mut self, record: &MboMsg) -> Findings {
        self.silent = false;
        let Some(at) = self.find_or_begin(record.hd.instrument_id.get()) else {
            return self.no_room();
        };
        let findings = self.ladders[at].apply(&mut self.pool, record);
        self.counts.add(findings);
        findings
    }

    /// Puts these orders in place of those of an instrument.
    pub(super) fn import(
        &mut self,
        instrument: u32,
        orders: impl IntoIterator<Item = Order>,
        trust: Trust,
    ) -> Findings {
        self.enter(instrument, |ladder, pool| {
            ladder.import(pool, orders, trust)
        })
    }

    /// Puts these orders behind those of an instrument.
    pub(super) fn append(
        &mut self,
        instrument: u32,
        orders: impl IntoIterator<Item = Order>,
    ) -> Findings {
        self.enter(instrument, |ladder, pool| ladder.append(pool, orders))
    }

    fn enter(
        &mut self,
        instrument: u32,
        entered: impl FnOnce(&mut Ladder, &mut Pool) -> Findings,
    ) -> Findings {
        let Some(at) = self.find_or_begin(instrument) else {
            return self.no_room();
        };
        let before = self.ladders[at].counts;
        let findings = entered(&mut self.ladders[at], &mut self.pool);
        self.counts.add_growth(&before, &self.ladders[at].counts);
        findings
    }

    /// A snapshot begins: no books, and those that it does not name are empty. So many orders rest at its end.
    pub(super) fn begin_snapshot(&mut self, orders: u64) {
        self.restart(Trust::Sound);
        self.telling = Some(Telling { orders, all: true });
    }

    /// The orders of an instrument are not told.
    pub(super) fn pass_over(&mut self, instrument: u32) {
        if let Some(telling) = &mut self.telling {
            telling.all = false;
        }
        self.leave(instrument);
    }

    /// It was told to its end; of books that it did not name `trust` is thought.
    pub(super) fn end_snapshot(&mut self, trust: Trust, silent: bool) {
        if trust == Trust::Suspect {
            self.trust = Trust::Suspect;
        }
        self.silent = silent;
        let there = self.pool.len() as u64;
        let telling = self.telling.take();
        if telling.is_none_or(|told| told.all && told.orders != there) {
            self.doubt();
        }
    }

    /// What was told since the last beginning is void.
    pub(super) fn break_off(&mut self) {
        match self.telling {
            Some(_) => self.restart(Trust::Suspect),
            None => self.doubt(),
        }
    }

    /// Forgets every order of every instrument; books are `trust` from here on.
    pub(super) fn restart(&mut self, trust: Trust) {
        self.trust = trust;
        (self.closed, self.telling) = (false, None);
        self.pool.clear();
        self.ladders.clear();
        self.index.clear();
        self.trading.clear();
    }

    /// Keeps what is known and doubts it.
    pub(super) fn doubt(&mut self) {
        self.trust = Trust::Suspect;
        for ladder in &mut self.ladders {
            ladder.trust = Trust::Suspect;
        }
    }

    /// Forgets the orders of one instrument: what rests at the venue is not known.
    pub(super) fn forget(&mut self, instrument: u32) {
        if let Some(at) = self.find_or_begin(instrument) {
            let ladder = &mut self.ladders[at];
            ladder.clear(&mut self.pool);
            ladder.trust = Trust::Suspect;
        }
    }

    /// Follows an instrument no longer.
    pub(super) fn leave(&mut self, instrument: u32) {
        match self.find(instrument).map(|at| &self.ladders[at]) {
            Some(ladder) if ladder.orders == 0 && ladder.trust == Trust::Suspect => {}
            Some(_) => self.forget(instrument),
            None if self.ladders.len() < self.settings.max_instruments => self.forget(instrument),
            // Which one it was is not remembered: any that gets a book later may be it.
            None => self.trust = Trust::Suspect,
        }
    }

    /// Forgets the orders of all instruments; which there are is kept.
    pub(super) fn forget_all(&mut self) {
        self.doubt();
        for ladder in &mut self.ladders {
            ladder.clear(&mut self.pool);
        }
    }

    /// Notes whether trading is continuous, of one instrument or (0) of all.
    pub(super) fn status(&mut self, status: &StatusMsg) {
        let trades = match status.is_trading {
            tri::YES => true,
            tri::NO => false,
            _ => return,
        };
        let instrument = status.hd.instrument_id.get();
        if instrument == 0 {
            self.closed = !trades;
        } else if let Some(at) = self.find_or_begin(instrument) {
            self.trading[at] = trades;
        }
        for (ladder, trades) in self.ladders.iter_mut().zip(&self.trading) {
            ladder.continuous = *trades && !self.closed;
        }
    }

    /// Checks every book and what they share.
    pub(super) fn check(&self) -> Result<(), Broken> {
        self.views().try_for_each(View::check)?;
        let orders: usize = self.ladders.iter().map(|ladder| ladder.orders).sum();
        if orders == self.pool.len() {
            return Ok(());
        }
        let there = self.pool.len();
        let what = format!("{orders} orders stand in them, and {there} in the pool");
        Err(Broken {
            instrument: None,
            what,
        })
    }

    fn view_of<'a>(&'a self, ladder: &'a Ladder) -> View<'a> {
        View {
            pool: &self.pool,
            ladder,
            stale: self.stale || self.silent || self.telling.is_some(),
        }
    }

    /// Asks for what these records will need, all of it together.
    pub(super) fn touch<'a>(&self, records: impl Iterator<Item = &'a MboMsg>) {
        if !self.pool.is_large() {
            return;
        }
        let mut slots = [NONE; 2 * TOUCHED];
        let (mut count, mut seen) = (0, 0);
        for record in records.take(TOUCHED) {
            let Some(at) = self.find(record.hd.instrument_id.get()) else {
                continue;
            };
            let ladder = &self.ladders[at];
            let (id, price) = (record.order_id.get(), record.price.get());
            slots[count] = self.pool.touch(ladder.number, id);
            slots[count + 1] =
                side_of(record.side).map_or(NONE, |side| ladder.last_at(side, price));
            count += 2;
        }
        for at in &slots[..count] {
            seen ^= self.pool.get(*at).map_or(0, |slot| slot.behind);
        }
        black_box(seen);
    }

    fn find(&self, instrument: u32) -> Option<usize> {
        let fits = |at: u32| self.ladders[at as usize].instrument == instrument;
        let at = self.index.find(hash(0, u64::from(instrument)), fits)?;
        Some(at as usize)
    }

    fn find_or_begin(&mut self, instrument: u32) -> Option<usize> {
        if let Some(at) = self.find(instrument) {
            return Some(at);
        }
        let at = self.ladders.len();
        let number = u32::try_from(at).ok()?;
        if at >= self.settings.max_instruments {
            return None;
        }
        self.ladders
            .push(Ladder::new(number, instrument, self.trust));
        self.trading.push(false);
        self.index.insert(hash(0, u64::from(instrument)), number);
        Some(at)
    }

    fn no_room(&mut self) -> Findings {
        let findings = Findings::from(Inconsistency::InstrumentsFull);
        self.counts.add(findings);
        findings
    }
}

/// Most records that are looked at together: more than a datagram has.
const TOUCHED: usize = 64;
