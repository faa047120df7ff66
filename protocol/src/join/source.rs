//! How does one source stream join? The table in the module's documentation, in code.

use twinfeed_wire::{Adm, BodyKind, Epoch, Sid};

use super::cut::{Left, Span, Verdict, begins_at, is_reached, judge, left, opens};
use super::kept::{Full, Item, Kept, Told};
use super::spool::Whole;
use super::through::is_worth_a_snapshot;
use super::{JoinCounters, JoinLimits, Refusal, Wish};
use crate::arbiter::Arbiter;
use crate::cursor::Cursor;
use crate::event::{
    Delivered, DiscontinuityCause, Event, GapCause, Handler, ResetCause, RestartCause,
};
use crate::piece::Piece;
use crate::time::Time;

/// How far it has come.
#[derive(Debug)]
enum State {
    /// What is decided is told.
    Live,
    /// A snapshot is wanted.
    Waiting,
    /// One is here that ends beyond what was kept.
    Ahead(Whole),
    /// One is told.
    Telling(Whole),
    /// What was kept behind it is told.
    Draining,
}

/// A source stream.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) sid: Sid,
    state: State,
    kept: Kept,
    /// Of what is kept, while a snapshot is wanted.
    spans: Vec<Span>,
    /// Behind the last that was decided.
    here: Option<Cursor>,
    /// Where what is kept begins; `None` until something is.
    from: Option<Cursor>,
    /// A snapshot must end here or later: where the last span begins, for what adapters know is of that.
    ask: Option<Cursor>,
    /// Something was dropped in front of what is kept, so that this does not go on from what was told.
    severed: bool,
    /// Joins again when it is live.
    again: bool,
    /// The arbiter stands somewhere, and nothing came yet.
    heard: bool,
    /// Times that it was looked at since a snapshot was asked for while nothing came.
    in_vain: u32,
    /// Whether a gap wants a snapshot.
    on_gap: bool,
    /// The end of the last snapshot, until a record came that stands behind it: a hole may begin in front of it.
    cut: Option<Cursor>,
    unsaid: Unsaid,
    deadline: Option<Time>,
    serial: u64,
    /// The epoch, if its numbers have begun again.
    again_in: Option<Epoch>,
    /// What was asked for with a lower one may be of numbers that have begun again since.
    since: u64,
    refused: Option<Refusal>,
    arrived: usize,
}

/// What a decision is made with.
type With<'a> = (&'a JoinLimits, &'a mut JoinCounters);

impl Source {
    pub(super) fn new(sid: Sid, limits: &JoinLimits) -> Self {
        Self {
            sid,
            state: State::Live,
            kept: Kept::new(limits.kept_items, limits.kept_bytes),
            spans: Vec::new(),
            here: None,
            from: None,
            ask: None,
            severed: false,
            again: false,
            heard: false,
            in_vain: 0,
            on_gap: limits.on_gap,
            cut: None,
            unsaid: Unsaid::default(),
            deadline: None,
            serial: 0,
            again_in: None,
            since: 0,
            refused: None,
            arrived: 0,
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub(super) const fn is_telling(&self) -> bool {
        matches!(self.state, State::Telling(_) | State::Draining)
    }

    pub(super) const fn word(&self) -> &'static str {
        match self.state {
            State::Live => "live",
            State::Waiting => "waiting",
            State::Ahead(_) => "ahead",
            State::Telling(_) => "telling",
            State::Draining => "draining",
        }
    }

    pub(super) fn kept(&self) -> (usize, usize) {
        (self.kept.len(), self.kept.bytes())
    }

    pub(super) fn take_arrived(&mut self) -> usize {
        core::mem::take(&mut self.arrived)
    }

    pub(super) fn wish(&self) -> Option<Wish> {
        let mut from = self.ask.filter(|_| matches!(self.state, State::Waiting))?;
        if self.from.is_none() && self.in_vain >= IN_VAIN {
            (from.next.sseq, from.next.part, from.count) = (0, 0, None);
        }
        Some(Wish {
            sid: self.sid,
            serial: self.serial,
            from,
            refused: self.refused,
        })
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Whether [`Source::attend`] has something to look at: nothing came yet, or what came does not say how many messages stand in front of it.
    pub(super) fn wants_attention(&self) -> bool {
        let uncounted = || self.here.is_none_or(|here| here.count.is_none());
        self.is_wanting() && (self.from.is_none() || uncounted())
    }

    /// Nothing came of late. Where nothing came at all a snapshot is wanted from where the arbiter stands; where it was not said how many
    /// messages there are in front of what was kept, the arbiter knows.
    pub(super) fn attend<H: Handler + ?Sized>(
        &mut self,
        arbiter: &Arbiter,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        if !self.is_wanting() {
            return;
        }
        if self.from.is_some() {
            self.learn_count(arbiter);
            return self.place(counters, handler);
        }
        let stands = arbiter.untold(self.sid);
        self.renew(stands);
        match (stands, self.ask) {
            (None, _) => self.heard = false,
            (Some(_), None) if !self.heard => self.heard = true,
            (Some(from), None) => {
                (self.ask, self.in_vain, self.refused) = (Some(from), 0, None);
                self.serial += 1;
            }
            (Some(_), Some(_)) => {
                self.in_vain = self.in_vain.saturating_add(1);
                // Nobody may ever come so far; from where somebody stands the arbiter goes on all the same.
                self.serial += u64::from(self.in_vain == IN_VAIN);
            }
        }
    }

    /// Whatever was asked for while nothing came was of the place where the arbiter stood then. Nobody has it any more where numbers, their
    /// meaning or their count are others now; and where they went back under the same name, what was given before is of the old ones.
    fn renew(&mut self, stands: Option<Cursor>) {
        let Some(ask) = self.ask.filter(|_| self.from.is_none()) else {
            return;
        };
        let adm = |of: &Cursor| of.count.map_or(Adm(0), |(adm, _)| adm);
        let holds = |from: &Cursor| {
            let (new, old) = (
                (from.next.epoch, from.context),
                (ask.next.epoch, ask.context),
            );
            new == old && from.place() >= ask.place() && adm(from) >= adm(&ask)
        };
        if stands.as_ref().is_some_and(holds) {
            return;
        }
        self.outdate(&ask, stands.as_ref());
        (self.ask, self.in_vain) = (stands, 0);
    }

    /// What was asked for from `ask` on is of no use: what is wanted is `from` here on.
    fn outdate(&mut self, ask: &Cursor, from: Option<&Cursor>) {
        self.serial += 1;
        self.refused = None;
        let back = |from: &Cursor| from.next.epoch == ask.next.epoch && from.place() < ask.place();
        if from.is_some_and(back) {
            self.since = self.serial;
        }
    }

    /// All that was kept are events that do not say how many messages stand in front of them. What the arbiter decided last is the last of
    /// them, so that it stands here, too.
    pub(super) fn learn_count(&mut self, arbiter: &Arbiter) {
        let Some(here) = self.here.as_mut().filter(|here| here.count.is_none()) else {
            return;
        };
        if self.from.is_none() {
            return;
        }
        here.count = arbiter.count(self.sid);
        if let (Some(span), Some(count)) = (self.spans.last_mut(), here.count) {
            span.learn(count);
        }
    }

    /// Whether a snapshot is wanted by an application that was told nothing yet, and for which nothing is kept.
    pub(super) fn is_quiet(&self) -> bool {
        let waits = matches!(self.state, State::Waiting) && self.from.is_none();
        waits && self.ask.is_some()
    }

    /// A snapshot from whose end the arbiter goes on.
    pub(super) fn on_quiet_snapshot<H: Handler + ?Sized>(
        &mut self,
        whole: Whole,
        arbiter: &mut Arbiter,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        self.renew(arbiter.untold(self.sid));
        let end = whole.cursor();
        let Some(ask) = self.ask.filter(|_| whole.serial() >= self.since) else {
            counters.ignored += 1;
            self.serial += 1;
            return;
        };
        let of = |epoch: Epoch| epoch == ask.next.epoch;
        let follows = end.predecessor.is_some() && of(end.predecessor);
        let refused = if end.next.sid != self.sid {
            Some(Refusal::Sid)
        } else if !of(end.next.epoch) && !follows {
            Some(Refusal::Epoch)
        } else if end.count.is_none() {
            Some(Refusal::Uncounted)
        } else {
            None
        };
        if let Some(reason) = refused {
            return self.refuse(reason, counters);
        }
        if !arbiter.resume_untold(&end) {
            // It was told something that has no place: what has one will be kept.
            counters.ignored += 1;
            self.serial += 1;
            return;
        }
        self.here = Some(end);
        (self.from, self.ask, self.deadline, self.severed) = (None, None, None, false);
        self.state = State::Telling(whole);
        handler.event(&joined(&end));
    }

    fn refuse(&mut self, reason: Refusal, counters: &mut JoinCounters) {
        counters.refused[reason as usize] += 1;
        self.refused = Some(reason);
        self.serial += 1;
    }

    /// Everything in front of here was told before.
    pub(super) fn resume(&mut self, cursor: &Cursor) {
        self.here.get_or_insert(*cursor);
    }

    /// Wants a snapshot from the first that comes on.
    pub(super) fn wait(&mut self, counters: &mut JoinCounters) {
        counters.begun += 1;
        self.heard = false;
        self.state = State::Waiting;
        self.serial += 1;
        self.refused = None;
    }

    /// Wants one from here on.
    pub(super) fn refresh(&mut self, now: Time, limits: &JoinLimits, counters: &mut JoinCounters) {
        match self.state {
            State::Live => {
                self.wait(counters);
                self.begin(now, limits);
            }
            State::Waiting | State::Ahead(_) => {}
            State::Telling(_) | State::Draining => self.again = true,
        }
    }

    /// What comes next is the first that is kept.
    fn begin(&mut self, now: Time, limits: &JoinLimits) {
        self.kept.clear();
        self.spans.clear();
        // A snapshot may have been ahead of what was decided.
        let cut = self.cut.filter(|cut| {
            let here = self.here.map(|here| (here.next.epoch, here.place()));
            here.is_some_and(|(epoch, place)| epoch == cut.next.epoch && place < cut.place())
        });
        let from = cut.or(self.here);
        (self.from, self.ask) = (from, from);
        if let Some(from) = &from {
            self.spans.push(Span::from_cursor(0, from));
            self.deadline = Some(now.after(limits.time));
        }
    }

    pub(super) fn record<H: Handler + ?Sized>(
        &mut self,
        record: &Delivered<'_>,
        now: Time,
        (limits, counters): With<'_>,
        handler: &mut H,
    ) {
        self.here = Some(Cursor::after_record(self.here.as_ref(), record));
        if self.cut.is_some() && record.kind != BodyKind::Administrative {
            self.cut = None;
        }
        if self.is_live() {
            return handler.record(record);
        }
        if self.is_wanting() && self.spans.is_empty() {
            self.spans.push(Span::of_record(0, record));
            let from = Cursor {
                next: begins_at(record),
                ..record.cursor()
            };
            self.open(from, now, limits);
        }
        let kept = self.kept.record(record);
        let full = kept.is_err();
        self.decide(kept, now, (limits, counters), handler);
        if full {
            self.unsaid.record(record.kind);
        }
    }

    /// An event that has its place in the stream.
    pub(super) fn event<H: Handler + ?Sized>(
        &mut self,
        event: &Event,
        now: Time,
        (limits, counters): With<'_>,
        handler: &mut H,
    ) {
        if let Some(here) = Cursor::after_event(self.here.as_ref(), event) {
            self.here = Some(here);
        }
        if opens(event) {
            // What is missing from here on is another thing than what was missing in front of it.
            self.cut = None;
        }
        let mut event = event;
        let rest;
        match self.cut.map_or(Left::All, |cut| left(event, &cut)) {
            Left::All => {}
            Left::Rest(it) => {
                counters.clipped += 1;
                rest = it;
                event = &rest;
            }
            Left::Nothing => {
                counters.covered += 1;
                return;
            }
        }
        if self.on_gap && is_worth_a_snapshot(event) {
            // The gap is kept with what follows it: a snapshot that stands behind it has what was missed.
            self.refresh(now, limits, counters);
        }
        if let Event::Reset { cause, .. } = event {
            match cause {
                ResetCause::Regress => self.regressed(),
                ResetCause::Epoch { .. } => self.again_in = None,
            }
        }
        if self.is_live() {
            self.unsaid.told(event);
            return handler.event(event);
        }
        if self.is_wanting()
            && let Some(here) = self.here
            && let Some(span) = Span::opened(self.kept.len() + 1, event, &here)
        {
            self.spans.push(span);
            if self.from.is_none() {
                self.open(here, now, limits);
            } else {
                (self.ask, self.refused) = (Some(here), None);
                self.serial += 1;
            }
        }
        let kept = self.kept.event(event);
        let full = kept.is_err();
        self.decide(kept, now, (limits, counters), handler);
        if full {
            // It is void, and holds.
            self.unsaid.event(event);
        }
    }

    /// The numbers begin again under the same name: a snapshot of before cannot be told from one of behind, but by when it was asked for, and by
    /// that it stands beyond what has been heard since.
    fn regressed(&mut self) {
        self.again_in = self.here.map(|here| here.next.epoch);
        if matches!(self.state, State::Ahead(_)) {
            self.state = State::Waiting;
        }
        self.serial += 1;
        self.since = self.serial;
    }

    /// The first that is kept begins here.
    fn open(&mut self, from: Cursor, now: Time, limits: &JoinLimits) {
        if let Some(ask) = self.ask {
            // It was asked for while nothing came.
            self.outdate(&ask, Some(&from));
        }
        (self.from, self.ask) = (Some(from), Some(from));
        self.deadline = Some(now.after(limits.time));
    }

    const fn is_wanting(&self) -> bool {
        matches!(self.state, State::Waiting | State::Ahead(_))
    }

    /// Something was kept, or found no room.
    fn decide<H: Handler + ?Sized>(
        &mut self,
        kept: Result<(), Full>,
        now: Time,
        (limits, counters): With<'_>,
        handler: &mut H,
    ) {
        self.arrived += 1;
        match kept {
            Ok(()) => counters.kept += 1,
            Err(Full) => self.restart(now, (limits, counters), handler),
        }
        let State::Ahead(whole) = &self.state else {
            return;
        };
        let (Some(here), end) = (&self.here, whole.cursor()) else {
            return;
        };
        let passed = here.next.epoch != end.next.epoch;
        let counted = here.count.map(|(adm, _)| adm);
        if passed || is_reached(here, counted, &end) {
            self.place(counters, handler);
        }
    }

    /// All that was kept is void.
    fn restart<H: Handler + ?Sized>(
        &mut self,
        now: Time,
        (limits, counters): With<'_>,
        handler: &mut H,
    ) {
        for item in self.kept.items() {
            match item {
                Item::Event(event) => self.unsaid.event(event),
                Item::Record(head) => self.unsaid.record(head.kind),
            }
        }
        counters.restarted += 1;
        counters.void += self.kept.len() as u64 + 1;
        let deadline = self.deadline.filter(|_| self.is_wanting());
        if !matches!(self.state, State::Ahead(_)) {
            counters.begun += u64::from(!self.is_wanting());
            self.state = State::Waiting;
            self.serial += 1;
            self.refused = None;
        }
        self.severed = true;
        self.begin(now, limits);
        self.deadline = deadline.or(self.deadline);
        let (sid, cause) = (self.sid, RestartCause::Full);
        handler.event(&Event::JoinRestarted { sid, cause });
    }

    pub(super) fn on_snapshot<H: Handler + ?Sized>(
        &mut self,
        whole: Whole,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        match self.state {
            State::Waiting if self.from.is_some() && whole.serial() >= self.since => {
                self.state = State::Ahead(whole);
                self.place(counters, handler);
            }
            // Who gave it is asked no more for this; somebody is, for what it is wanted of now.
            State::Waiting if self.ask.is_some() => {
                counters.ignored += 1;
                self.serial += 1;
            }
            State::Waiting
            | State::Live
            | State::Ahead(_)
            | State::Telling(_)
            | State::Draining => counters.ignored += 1,
        }
    }

    /// Judges where the snapshot that is here belongs.
    fn place<H: Handler + ?Sized>(&mut self, counters: &mut JoinCounters, handler: &mut H) {
        let whole = match core::mem::replace(&mut self.state, State::Waiting) {
            State::Ahead(whole) => whole,
            other => {
                self.state = other;
                return;
            }
        };
        let end = whole.cursor();
        let verdict = match &self.here {
            _ if end.next.sid != self.sid => Verdict::Refused(Refusal::Sid),
            None => Verdict::Ahead,
            Some(here) => judge(&self.kept.items(), &self.spans, here, &end),
        };
        let verdict = match verdict {
            Verdict::Ahead if self.again_in == Some(end.next.epoch) => {
                Verdict::Refused(Refusal::Before)
            }
            other => other,
        };
        match verdict {
            Verdict::Ahead => self.state = State::Ahead(whole),
            Verdict::Refused(reason) => self.refuse(reason, counters),
            Verdict::Cut(covered) => {
                self.cut(covered, &end, counters);
                self.state = State::Telling(whole);
                handler.event(&joined(&end));
            }
        }
    }

    /// Drops what the snapshot has.
    fn cut(&mut self, covered: usize, end: &Cursor, counters: &mut JoinCounters) {
        counters.covered += covered as u64;
        for _ in 0..covered {
            let unsaid = &mut self.unsaid;
            self.kept.pop(|told| match told {
                Told::Event(event) => unsaid.event(event),
                Told::Record(record) => unsaid.record(record.kind),
            });
        }
        for event in self.kept.leading_events() {
            if let Left::Rest(rest) = left(event, end) {
                counters.clipped += 1;
                *event = rest;
            }
        }
        let mut left = self.kept.items().filter_map(Item::event);
        // It is told, and then another snapshot may have it.
        let skipped = |event: &Event| {
            matches!(
                event,
                Event::Gap {
                    cause: GapCause::Skipped,
                    ..
                }
            )
        };
        self.again |= left.any(|event| skipped(event) || self.on_gap && is_worth_a_snapshot(event));
        self.cut = Some(*end).filter(|_| !self.kept.goes_on());
        self.spans.clear();
        (self.from, self.ask, self.deadline, self.severed) = (None, None, None, false);
    }

    /// Tells one thing; returns how much it was.
    pub(super) fn tell<H: Handler + ?Sized>(
        &mut self,
        now: Time,
        limits: &JoinLimits,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) -> usize {
        let told = match &mut self.state {
            State::Live | State::Waiting | State::Ahead(_) => return 0,
            State::Telling(whole) => {
                let Some(piece) = whole.next_piece() else {
                    debug_assert!(false, "invariant: a snapshot has an end");
                    self.state = State::Draining;
                    return 1;
                };
                match &piece {
                    Piece::Instrument { .. } => counters.instruments += 1,
                    Piece::Orders(orders) => counters.orders += orders.len() as u64,
                    _ => {}
                }
                let told = piece.weight();
                if let Piece::End {
                    cursor,
                    trust,
                    silent,
                } = piece
                {
                    // The state is another before the handler is called, so that it is sound whatever the handler does.
                    self.state = State::Draining;
                    counters.joined += 1;
                    let end = Piece::End {
                        cursor,
                        trust,
                        silent,
                    };
                    handler.snapshot(self.sid, &end);
                    self.tell_divergence(&cursor, handler);
                    self.tell_end(&cursor, handler);
                } else {
                    handler.snapshot(self.sid, &piece);
                }
                told
            }
            State::Draining => {
                let unsaid = &mut self.unsaid;
                self.kept.pop(|told| match told {
                    Told::Record(record) => handler.record(record),
                    Told::Event(event) => {
                        unsaid.told(event);
                        handler.event(event);
                    }
                });
                1
            }
        };
        if matches!(self.state, State::Draining) && self.kept.is_empty() {
            self.state = State::Live;
            if core::mem::take(&mut self.again) {
                self.refresh(now, limits, counters);
            }
        }
        told
    }

    /// A snapshot is of one adapter, which need not be the one whose records are delivered.
    fn tell_divergence<H: Handler + ?Sized>(&self, end: &Cursor, handler: &mut H) {
        if let Some(Event::Divergence {
            sid,
            epoch,
            range,
            pinned,
            ..
        }) = self.unsaid.diverged
        {
            handler.event(&Event::Divergence {
                sid,
                epoch: end.next.epoch,
                // Legs that differed in another epoch are not compared in this one yet.
                range: if epoch == end.next.epoch { range } else { 0 },
                at: end.place(),
                pinned,
            });
        }
    }

    /// Nothing more comes of the epoch in which the application stands now, and it was not told so.
    fn tell_end<H: Handler + ?Sized>(&mut self, at: &Cursor, handler: &mut H) {
        if let Some(event) = self.unsaid.ended.take()
            && let Event::Ended {
                epoch, next_sseq, ..
            } = event
            && epoch == at.next.epoch
            && at.next.sseq <= next_sseq
        {
            handler.event(&event);
        }
    }

    pub(super) fn on_deadline<H: Handler + ?Sized>(
        &mut self,
        now: Time,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.give_up(counters, handler);
        }
    }

    /// Goes on with what was kept.
    pub(super) fn give_up<H: Handler + ?Sized>(
        &mut self,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        if !self.is_wanting() {
            return;
        }
        self.state = match self.kept.is_empty() {
            true => State::Live,
            false => State::Draining,
        };
        self.spans.clear();
        self.deadline = None;
        let severed = core::mem::take(&mut self.severed);
        self.ask = None;
        let Some(from) = self.from.take() else {
            return; // nothing was heard, so nothing is missing
        };
        counters.given_up += 1;
        handler.event(&Event::NoSnapshot { sid: self.sid });
        if severed {
            handler.event(&joined(&from));
            self.tell_divergence(&from, handler);
            self.tell_end(&from, handler);
        }
    }

    /// Nothing more will come: what was kept is told, and nothing more is wanted.
    pub(super) fn close<H: Handler + ?Sized>(
        &mut self,
        counters: &mut JoinCounters,
        handler: &mut H,
    ) {
        self.again = false;
        self.give_up(counters, handler);
    }
}

/// What holds where the application stands, or will, and is not of one place alone: it is told behind a snapshot, whatever of it was dropped.
#[derive(Debug, Default)]
struct Unsaid {
    /// The divergence in force: until they converge legs differ, whichever is pinned and whatever begins meanwhile.
    diverged: Option<Event>,
    /// The end of the epoch, if the word of it was dropped.
    ended: Option<Event>,
}

impl Unsaid {
    /// The application is told this.
    fn told(&mut self, event: &Event) {
        match (event, &mut self.diverged) {
            (Event::Divergence { .. }, _) => self.diverged = Some(*event),
            (Event::Converged { .. }, _) => self.diverged = None,
            (
                Event::Discontinuity {
                    cause: DiscontinuityCause::Divergence { from },
                    ..
                },
                Some(Event::Divergence { pinned, .. }),
            ) => *pinned = from.other(),
            _ => {}
        }
    }

    /// This is dropped.
    fn event(&mut self, event: &Event) {
        self.told(event);
        match event {
            Event::Ended { .. } => self.ended = Some(*event),
            Event::Reset { .. } => self.ended = None,
            _ => {}
        }
    }

    /// A record of this kind is dropped. An epoch that goes on behind its end has not ended.
    fn record(&mut self, kind: BodyKind) {
        if kind != BodyKind::Administrative {
            self.ended = None;
        }
    }
}

/// The word that the application stands here, whatever it was told before.
fn joined(at: &Cursor) -> Event {
    Event::Discontinuity {
        sid: at.next.sid,
        epoch: at.next.epoch,
        at: at.place(),
        context: at.context,
        complete: at.complete,
        cause: DiscontinuityCause::Join,
    }
}

/// After so many looks in vain, one each [`JoinLimits::quiet`], any snapshot of the epoch and the context is asked for.
const IN_VAIN: u32 = 10;
