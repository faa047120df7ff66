//! Was one application told the truth about one source stream, the whole truth, once and in order?
//!
//! The witness keeps a cursor: the first place that the application has heard nothing of. A record must
//! stand at the cursor, or behind it by covered numbers alone; a `Gap` must begin there. So nothing can be
//! delivered twice, out of order, inside a declared gap, or be missing without a word. Of an unordered source
//! [`Scattered`] keeps what was told, and the cursor follows it. Whether an event
//! was *called for* is judged in [`super::claims`].

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{
    Cursor, DiscontinuityCause, Event, Leg, Limits, OrderingClass, Place, ResetCause, Tail,
};
use twinfeed_wire::{ContextId, Epoch, Generation, Sid};

use super::administrative::{Spot, Standing, Tally};
use super::claims::SMALL_HOLD;
use super::ledger::Sent;
use super::scattered::Scattered;
use super::{Copied, Heard, Ledger, Told, claims};

/// In place of a generation that is not known: that of no leg.
const NOBODYS: Generation = Generation(u32::MAX);

/// One subscriber and one source stream.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Whose numbers.
    pub sid: Sid,
    /// The arbiter's limits.
    pub limits: Limits,
    /// What reached the subscriber.
    pub heard: Heard,
    /// The epoch the application is in; none before it joined.
    pub epoch: Epoch,
    /// The context the application was told of.
    pub context: ContextId,
    /// The first place it has heard nothing of.
    pub cursor: Place,
    /// What it was told, when the source is unordered.
    pub scattered: Option<Scattered>,
    /// The epochs it was in before.
    past: Vec<Epoch>,
    /// The epoch it left for one that nobody had said to be the next, and up to where it was told.
    guessed: Option<(Epoch, Place)>,
    /// Where it stood before what was declared last, and when that was: what is decided in one moment is decided there.
    pub(super) stood: (Time, u64),
    /// Numbers declared missing in this epoch.
    pub gaps: Vec<(Place, Place)>,
    /// What it was told that no source said.
    pub tally: Tally,
    /// Whether it was told that the epoch ended.
    pub ended: bool,
    /// Whether it was told that nobody speaks.
    pub stale: bool,
    /// Records it got.
    pub records: u64,
    /// Duplicates that receipts account for.
    pub receipt_duplicates: u64,
    /// An operator's order was given.
    pub ordered: bool,
    /// This host dropped datagrams of this subscriber's.
    pub overrun: bool,
    /// The epoch and next number when it first heard anything: what was said before is not owed.
    pub said_before: Option<(Epoch, u64)>,
    /// Whether that is of the first word that an adapter did say.
    pub heard_truth: bool,
    /// The leg that alone is told, since the legs were told to differ.
    pub pinned: Option<Leg>,
    /// It may be another one from the next record on.
    pin_moves: bool,
    /// A bound of the arbiter's was reached and something that had arrived was dropped for it.
    pub overflowed: bool,
    /// What waited for it was left out, and nothing behind that was told yet.
    pub left_out: bool,
    /// When it was last told that administrative messages are counted otherwise from here on.
    pub recounted: Option<Time>,
    /// It goes on from where an earlier process stood.
    pub resumed: bool,
}

/// Why something is wrong.
pub type Judgement = Result<(), String>;

impl Witness {
    /// A witness of a subscriber that has not joined.
    #[must_use]
    pub fn new(sid: Sid, class: OrderingClass, limits: Limits) -> Self {
        let unordered = class == OrderingClass::Unordered;
        Self {
            sid,
            limits,
            heard: Heard::default(),
            epoch: Epoch::NONE,
            context: ContextId(0),
            cursor: Place::start(0),
            scattered: unordered.then(Scattered::default),
            past: Vec::new(),
            guessed: None,
            stood: (Time::ZERO, 0),
            gaps: Vec::new(),
            tally: Tally::default(),
            ended: false,
            stale: false,
            records: 0,
            receipt_duplicates: 0,
            ordered: false,
            overrun: false,
            said_before: None,
            heard_truth: false,
            pinned: None,
            pin_moves: false,
            overflowed: false,
            left_out: false,
            recounted: None,
            resumed: false,
        }
    }

    /// The same of another process of the application, which begins at `cursor`, where this one stood: what reached this one
    /// says nothing of what reaches that. `joins`: what was decided is kept before it is told, and may become void.
    ///
    /// # Errors
    /// When the cursor is not where this one stood.
    pub fn resumed(self, cursor: &Cursor, joins: bool, ledger: &Ledger) -> Result<Self, String> {
        let kept = (cursor.next.epoch, cursor.context);
        // What stands behind numbers that carry nothing says that they do.
        let owed = ledger.owed(self.sid, self.epoch, self.cursor);
        let stood = self.cursor..=owed;
        if kept != (self.epoch, self.context) || !stood.contains(&cursor.place()) {
            return Err(format!(
                "kept {cursor}, but stood at {stood:?} of {} in {}",
                self.epoch, self.context
            ));
        }
        claims::context(&self, cursor.context, cursor.complete, ledger)?;
        let mut heard = Heard::default();
        heard.remember(cursor);
        let mut past = self.past;
        past.retain(|epoch| *epoch == cursor.predecessor);
        let mut tally = self.tally;
        tally.resume(cursor.count.map(|(adm, _)| adm), joins)?;
        Ok(Self {
            epoch: self.epoch,
            context: self.context,
            cursor: cursor.place(),
            resumed: true,
            gaps: self.gaps,
            said_before: self.said_before,
            heard_truth: self.heard_truth,
            heard,
            past,
            tally,
            ..Self::new(self.sid, OrderingClass::Ordered, self.limits)
        })
    }

    /// The application was told nothing of the stream yet, and goes on from here, which is a snapshot's end.
    ///
    /// # Errors
    /// When it was told something, or the cursor's context is not what it claims to be.
    pub fn begin(&mut self, cursor: &Cursor, ledger: &Ledger) -> Result<(), String> {
        if self.epoch.is_some() {
            return Err(format!(
                "goes on from {cursor}, but was told of {}",
                self.epoch
            ));
        }
        (self.epoch, self.context) = (cursor.next.epoch, cursor.context);
        (self.cursor, self.resumed) = (cursor.place(), true);
        self.heard.remember(cursor);
        let last = ledger.spot(self.sid, self.epoch, cursor.last);
        let count = cursor.count.map(|(adm, _)| adm);
        self.tally
            .begin_behind(count, last.filter(|_| cursor.last > 0));
        claims::context(self, cursor.context, cursor.complete, ledger)
    }

    /// Whether `epoch` is an earlier life than the one the application is in: who still speaks of it says
    /// nothing that anybody waits for.
    #[must_use]
    pub fn has_passed(&self, epoch: Epoch, ledger: &Ledger) -> bool {
        self.comes_before(epoch, self.epoch, ledger)
    }

    /// Whether a leg speaks of nothing but what was left, which is no word; what the other leg went on from may be left before
    /// anything can be told of what comes next.
    #[must_use]
    pub fn is_mute(&self, leg: Leg, ledger: &Ledger) -> bool {
        let [epoch, other] = [leg, leg.other()].map(|leg| self.heard.legs[leg.index()].epoch);
        self.has_passed(epoch, ledger)
            || epoch != self.epoch && self.past.contains(&epoch)
            || self.comes_before(epoch, other, ledger)
    }

    /// Whether one life of the source's came before the other.
    fn comes_before(&self, epoch: Epoch, next: Epoch, ledger: &Ledger) -> bool {
        let turn = |epoch| {
            ledger
                .lives(self.sid)
                .iter()
                .position(|life| life.epoch == epoch)
        };
        turn(epoch).is_some() && turn(epoch) < turn(next)
    }

    /// Up to which number of the application's epoch one datagram is believed (RM-14a).
    #[must_use]
    pub fn believes(&self, now: Time) -> (Epoch, u64) {
        let span = self.limits.window.min(claims::remembered(self));
        let (at, stood) = self.stood;
        let stood = if at == now { stood } else { self.cursor.sseq };
        (self.epoch, stood.saturating_add(span))
    }

    /// Judges what the application was told next.
    ///
    /// # Errors
    /// The promise that was broken, in words.
    pub fn judge(&mut self, now: Time, told: &Told, ledger: &Ledger) -> Judgement {
        match told {
            Told::Record(record) => self.record(record, ledger),
            Told::Event(event) => self.event(now, event, ledger),
        }
    }

    fn record(&mut self, record: &Copied, ledger: &Ledger) -> Judgement {
        let place = record.place();
        if record.pos.epoch != self.epoch {
            return Err(format!(
                "record {place} of epoch {} without Reset",
                record.pos.epoch
            ));
        }
        if record.kind == twinfeed_wire::BodyKind::Administrative {
            return self.message(record, ledger);
        }
        if self.scattered.is_none() {
            self.reaches(place, ledger, "record")?;
            self.left_out = false;
        }
        let context = ledger.context(self.sid, self.epoch, self.context);
        let what = Sent {
            kind: record.kind,
            flags: record.flags,
            content: record.content,
        };
        let Some(sent) = context.and_then(|context| context.sent(record.leg, place, what)) else {
            return Err(format!(
                "record {place} was never sent in context {}",
                self.context
            ));
        };
        if !sent {
            return Err(format!(
                "record {place} is not what context {} sent",
                self.context
            ));
        }
        self.is_of_the_pinned(record)?;
        if !self.heard.has(self.epoch, self.context, place) {
            return Err(format!(
                "record {place} never arrived in context {}",
                self.context
            ));
        }
        if let Some(spot) = ledger.spot(self.sid, self.epoch, place.sseq) {
            let here = self.standing(spot, ledger);
            self.tally.record(record, here)?;
        }
        if self.stale {
            return Err(format!("record {place} while Stale"));
        }
        let last = record.flags.has(twinfeed_wire::RecordFlags::LAST);
        if let Some(scattered) = &mut self.scattered {
            scattered.record(place, last)?;
            self.pass_told(ledger);
            self.records += 1;
            return Ok(());
        }
        self.cursor = if last {
            Place::start(place.sseq + 1)
        } else {
            Place {
                sseq: place.sseq,
                part: place.part + 1,
            }
        };
        self.records += 1;
        Ok(())
    }

    /// While the legs differ, records are of one of them.
    fn is_of_the_pinned(&mut self, record: &Copied) -> Judgement {
        let moves = core::mem::take(&mut self.pin_moves);
        match &mut self.pinned {
            Some(pinned) if moves => *pinned = record.leg,
            Some(pinned) if *pinned != record.leg => {
                let (place, leg) = (record.place(), record.leg);
                return Err(format!(
                    "record {place} is of leg {leg} while {pinned} is pinned"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, record: &Copied, ledger: &Ledger) -> Judgement {
        let Some(spot) = ledger.spot(self.sid, self.epoch, record.pos.sseq) else {
            return Err(format!("record {} stands nowhere", record.place()));
        };
        if self.stale {
            return Err(format!("message {} while Stale", record.adm));
        }
        self.records += 1;
        let here = self.standing(spot, ledger);
        self.tally.message(record, here)
    }

    fn standing<'a>(&self, spot: Spot, ledger: &'a Ledger) -> Standing<'a> {
        Standing {
            sid: self.sid,
            spot,
            roll: ledger.roll(),
            generation: if self.heard.misses_a_cut() {
                NOBODYS
            } else {
                self.heard.generation()
            },
            vouched: self
                .tally
                .next()
                .is_some_and(|next| self.heard.counts(self.epoch, next)),
            ordered: self.scattered.is_none(),
            owed: ledger.owed(self.sid, self.epoch, self.cursor),
        }
    }

    /// Moves the cursor over everything told, declared or covered.
    fn pass_told(&mut self, ledger: &Ledger) {
        let Some(scattered) = &self.scattered else {
            return;
        };
        let owed = |place| ledger.owed(self.sid, self.epoch, place);
        while let Some(behind) = scattered.behind(owed(self.cursor)) {
            self.cursor = behind;
        }
    }

    /// The application is owed everything from `cursor` on.
    fn start(&mut self, cursor: Place) {
        self.cursor = cursor;
        self.gaps.clear();
        if let Some(scattered) = &mut self.scattered {
            scattered.start(cursor);
        }
    }

    /// Behind the furthest that was told.
    #[must_use]
    pub fn reached(&self) -> u64 {
        let top = self.scattered.as_ref().map(Scattered::top);
        top.map_or(self.cursor.sseq, |top| top.max(self.cursor.sseq))
    }

    /// Whether nothing but covered numbers stands between the cursor and `place`.
    fn reaches(&self, place: Place, ledger: &Ledger, what: &str) -> Judgement {
        let owed = ledger.owed(self.sid, self.epoch, self.cursor);
        match place.cmp(&owed) {
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Less if place >= self.cursor => Ok(()),
            core::cmp::Ordering::Less => {
                let inside = self
                    .gaps
                    .iter()
                    .any(|&(from, until)| from <= place && place < until);
                let why = if inside {
                    "was declared missing"
                } else {
                    "was passed before"
                };
                Err(format!("{what} {place}: {why} (at {})", self.cursor))
            }
            core::cmp::Ordering::Greater => Err(format!(
                "{what} {place}, but {owed} is missing without a word"
            )),
        }
    }

    fn event(&mut self, now: Time, event: &Event, ledger: &Ledger) -> Judgement {
        match *event {
            Event::Gap {
                epoch,
                from,
                until,
                cause,
                ..
            } => {
                if epoch != self.epoch {
                    return Err(format!("Gap of epoch {epoch} while in {}", self.epoch));
                }
                if until <= from {
                    return Err(format!("Gap {from} to {until} is empty"));
                }
                if self.scattered.is_none() {
                    self.reaches(from, ledger, "Gap from")?;
                }
                claims::gap(self, now, from, until, cause, ledger)?;
                if self.stood.0 != now {
                    self.stood = (now, self.cursor.sseq);
                }
                if let Some(scattered) = &mut self.scattered {
                    scattered.gap(from, until)?;
                    self.pass_told(ledger);
                    return Ok(());
                }
                self.gaps.push((from, until));
                self.cursor = until;
                Ok(())
            }
            Event::Recovered {
                epoch, from, until, ..
            } => self.recovered(epoch, from, until),
            Event::Switched(receipt) => {
                self.receipt_duplicates += receipt.duplicates_dropped;
                self.pin_moves = true;
                claims::switched(self, now, &receipt, ledger)
            }
            Event::Discontinuity {
                epoch,
                at,
                context,
                complete,
                cause,
                ..
            } => {
                self.discontinuity(now, epoch, at, context, cause, ledger)?;
                claims::context(self, context, complete, ledger)
            }
            Event::Reset {
                epoch,
                at,
                context,
                complete,
                cause,
                ..
            } => {
                self.reset(epoch, at, context, cause, ledger)?;
                claims::context(self, context, complete, ledger)
            }
            Event::Leg { leg, state, .. } => {
                let known = &mut self.heard.legs[leg.index()].state;
                if *known == state {
                    return Err(format!("leg {leg} is {} once more", state.word()));
                }
                *known = state;
                claims::leg(self, now, leg, state, ledger)
            }
            Event::Stale { .. } if self.stale => Err("Stale while Stale".into()),
            Event::Stale { .. } => {
                self.stale = true;
                claims::stale(self, now, ledger)
            }
            Event::Live { .. } if !self.stale => Err("Live without Stale".into()),
            Event::Live { .. } => {
                self.stale = false;
                Ok(())
            }
            Event::Ended {
                epoch, next_sseq, ..
            } => self.end(epoch, next_sseq, ledger),
            Event::Divergence {
                range,
                epoch,
                pinned,
                ..
            } => {
                self.pinned = Some(pinned);
                match ledger.differ_in(self.sid, epoch, range) {
                    true => Ok(()),
                    false => Err(format!("Divergence in range {range}")),
                }
            }
            Event::Converged { .. } if self.pinned.is_none() => {
                Err("Converged without Divergence".into())
            }
            Event::Converged { .. } => {
                self.pinned = None;
                Ok(())
            }
            Event::AdministrativeGap { from, until, .. } => {
                let here = (self.epoch, self.context, self.heard.generation());
                let arrived = self.heard.admins.get(&here);
                // What a full hold decides, it decides before the rest of a datagram is looked at. What was sent under an older
                // generation is nothing to count on while it is not known what a later one inherited of it.
                let pressed = self.overflowed
                    || self.left_out
                    || self.limits.held_records < SMALL_HOLD
                    || self.heard.misses_a_cut();
                let arrived = arrived.filter(|_| !pressed);
                let came = |number| arrived.is_some_and(|it| it.contains(&number));
                self.tally.gap(from.0, until.0, came)
            }
            Event::Closed { .. } => Ok(()),
            _ => Err(format!(
                "{event:?} is an event that this oracle does not know"
            )),
        }
    }

    fn recovered(&self, epoch: Epoch, from: Place, until: Place) -> Judgement {
        if self.scattered.is_some() {
            return Err("Recovered, but nothing waits behind an unordered hole".into());
        }
        if epoch != self.epoch || until <= from {
            return Err(format!("Recovered {from} to {until} of epoch {epoch}"));
        }
        match self.gaps.iter().find(|gap| gap.0 < until && from < gap.1) {
            Some(gap) => Err(format!(
                "Recovered {from} to {until}, but {} is lost",
                gap.0
            )),
            None => Ok(()),
        }
    }

    fn discontinuity(
        &mut self,
        now: Time,
        epoch: Epoch,
        at: Place,
        context: ContextId,
        cause: DiscontinuityCause,
        ledger: &Ledger,
    ) -> Judgement {
        self.pin_moves = true;
        match cause {
            DiscontinuityCause::Join if self.epoch.is_some() => Err("joined twice".into()),
            DiscontinuityCause::Join => {
                self.epoch = epoch;
                self.context = context;
                self.start(at);
                self.tally.begin(true);
                Ok(())
            }
            DiscontinuityCause::Context { from } => {
                if from != self.context || context == from || epoch != self.epoch {
                    return Err(format!(
                        "Discontinuity from {from} while in {}",
                        self.context
                    ));
                }
                let owed = ledger.owed(self.sid, self.epoch, self.cursor);
                if self.scattered.is_none() {
                    self.reaches(at, ledger, "Discontinuity at")?;
                } else if at > owed {
                    return Err(format!("Discontinuity at {at}, but {owed} is open"));
                }
                claims::outranks(self, now, context, ledger)?;
                self.context = context;
                self.tally.elsewhere();
                if let Some(scattered) = &mut self.scattered {
                    scattered.went_over = true;
                }
                Ok(())
            }
            DiscontinuityCause::Administrative => {
                if epoch != self.epoch || context != self.context {
                    return Err(format!(
                        "Discontinuity in {context} while in {}",
                        self.context
                    ));
                }
                let known = !self.heard.misses_a_cut();
                let newest = known.then(|| self.heard.generation());
                self.tally
                    .discontinuity((self.sid, at), newest, ledger.roll());
                self.recounted = Some(now);
                Ok(())
            }
            DiscontinuityCause::Divergence { from } if self.pinned == Some(from) => {
                if self.scattered.is_none() {
                    self.reaches(at, ledger, "Discontinuity at")?;
                }
                self.pinned = Some(from.other());
                self.pin_moves = false;
                if context != self.context {
                    self.context = context;
                    self.tally.elsewhere();
                    if let Some(scattered) = &mut self.scattered {
                        scattered.went_over = true;
                    }
                }
                Ok(())
            }
            DiscontinuityCause::Divergence { from } => Err(format!(
                "Discontinuity from leg {from}, which was not pinned"
            )),
        }
    }

    fn reset(
        &mut self,
        epoch: Epoch,
        at: Place,
        context: ContextId,
        cause: ResetCause,
        ledger: &Ledger,
    ) -> Judgement {
        self.pin_moves = true;
        let ResetCause::Epoch { from, tail } = cause else {
            claims::regress(self, at, ledger)?;
            // What came before the step back came for another count.
            self.heard.step_back(epoch);
            self.context = context;
            self.ended = false;
            self.start(at);
            self.tally.begin(false);
            return Ok(());
        };
        if from != self.epoch || epoch == from {
            return Err(format!("Reset from {from} while in {}", self.epoch));
        }
        let place_of = |epoch| {
            ledger
                .lives(self.sid)
                .iter()
                .position(|life| life.epoch == epoch)
        };
        let (old, new) = (place_of(from), place_of(epoch));
        // Who joins with a leg that is ahead, and is left with the one that lags, cannot know which came first; but goes on
        // where it was when it comes back.
        let excused = old.is_some() && new.is_some() && !self.heard.says_order(epoch, from);
        let forward = old.is_some() && old < new;
        let left = self.guessed.filter(|(left, _)| *left == epoch);
        if !(forward || excused) || left.is_none() && self.past.contains(&epoch) {
            return Err(format!("Reset from {from} back to {epoch}"));
        }
        let owed = ledger.owed(self.sid, from, self.cursor);
        let end = ledger
            .life(self.sid, from)
            .map_or(0, crate::world::exchange::Life::next);
        if tail == Tail::Complete && owed.sseq < end {
            return Err(format!(
                "Reset claims a complete tail, but {owed} is missing"
            ));
        }
        let reached = Place::start(self.reached()).max(self.cursor);
        if !forward {
            // What the application was told last lies ahead of what it goes to.
            self.tally.begin(false);
        }
        if left.is_some() {
            // What came of it while it was left may have been refused: nobody could know that it would be come back to.
            self.heard.admins.retain(|(of, ..), _| *of != epoch);
        }
        self.past.push(from);
        self.guessed = match self.heard.says_order(from, epoch) {
            true => self.guessed.filter(|(left, _)| *left != epoch),
            false => Some((from, reached)),
        };
        self.epoch = epoch;
        self.context = context;
        self.ended = false;
        let told = left.map_or(Place::start(0), |(_, told)| told);
        // The epoch begins for this application where its context begins.
        let first = ledger.context(self.sid, epoch, context);
        self.start(Place::start(first.map_or(0, |c| c.first)).max(told));
        self.reaches(at, ledger, "Reset at")
    }

    fn end(&mut self, epoch: Epoch, next: u64, ledger: &Ledger) -> Judgement {
        if epoch != self.epoch || self.ended {
            return Err(format!("Ended of epoch {epoch} while in {}", self.epoch));
        }
        let life = ledger.life(self.sid, epoch).filter(|life| life.ended);
        if life.map(crate::world::exchange::Life::next) != Some(next) {
            return Err(format!("Ended at {next}, which the source did not say"));
        }
        self.ended = true;
        self.reaches(Place::start(next), ledger, "Ended at")
    }
}
