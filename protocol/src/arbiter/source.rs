//! What does the application get of one source stream?
//!
//! ```text
//!               ┌─ not next, or not this leg's turn ─► hold of that leg ─┐
//!  record ──────┤                                                        ├─► settle ─► Handler
//!               ├─ at or below the cursor ─► duplicate, counted          │   (holes, contexts,
//!               └─ next ─► Handler, straight from the datagram           │    epochs, switches)
//!  heartbeat ─► progress, silence vouched for ───────────────────────────┘
//! ```
//!
//! This file is the way of a datagram. `belief` decides which are taken for true, `cursor` how a record is
//! delivered, `settle` what happens to what could not be delivered at once, `liveness` which legs count.

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Datagram, Epoch, Flags, Header, Record, Sid, StreamId,
};

use super::OrderingClass;
use super::counters::{Counters, LegStatus};
use super::cursor::{Cursor, Standing, behind};
use super::epochs::Retired;
use super::fence::{Fence, GivenUp};
use super::fill::Ask;
use super::health::Rounds;
use super::hold::Entry;
use super::holes::Hole;
use super::leg::{Admission, Hint, LegSide, Succession};
use super::overflow::Overflow;
use super::pin::Pin;
use super::skew::Arrivals;
use super::standby::Owed;
use super::unordered::Seen;
use crate::event::{DiscontinuityCause, Handler, Leg, LegState, Place};
use crate::limits::{Limits, Policy};
use crate::receipt::Trigger;
use crate::repair::{GaveUp, Repair};
use crate::time::Time;

/// What every step needs at hand.
pub(super) struct Out<'a, H: ?Sized> {
    pub(super) now: Time,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut Counters,
    pub(super) handler: &'a mut H,
}

/// Which bound was reached, so that decisions cannot wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pressure {
    /// The hold of a leg has no room for a body of so many bytes.
    Hold(Leg, usize),
    /// A leg has gone on to more epochs than are followed.
    Views(Leg),
}

/// One source stream of a feed.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) sid: Sid,
    pub(super) cursor: Option<Cursor>,
    /// What came, when the source is unordered.
    pub(super) seen: Option<Seen>,
    pub(super) legs: [LegSide; 2],
    pub(super) hole: Option<Hole>,
    /// Asking for what is missing, before it is declared.
    pub(super) repair: Repair,
    /// What is to be asked, for records and for messages, until the driver takes it.
    pub(super) asks: [Option<Ask>; 2],
    /// Why asking for what is declared next was given up.
    pub(super) gave_up: Option<GaveUp>,
    pub(super) retired: Retired,
    /// Where the application left its epoch, if nobody had named the next one as such.
    pub(super) left: Option<Cursor>,
    pub(super) overflow: Overflow,
    pub(super) fence: Fence,
    pub(super) preferred: Leg,
    /// When the legs are judged, and which of them is to be preferred.
    pub(super) rounds: Rounds,
    /// Which leg alone is delivered, when the two differ.
    pub(super) pin: Pin,
    /// To be told before whatever is delivered or declared next.
    pub(super) announce: Option<DiscontinuityCause>,
    /// In which context the application was told last, since that was decided.
    pub(super) told_in: Option<ContextId>,
    /// To be told there, too: what follows counts other administrative messages.
    pub(super) recount: bool,
    /// Whether that is so only because records that count otherwise were to lead, and none was delivered yet.
    pub(super) to_lead_apart: bool,
    /// The count that was given up for that, as long as nobody was told and it may prove needless.
    pub(super) given_up: Option<GivenUp>,
    /// Since when no live leg speaks in the cursor's context.
    pub(super) orphan_since: Option<Time>,
    /// Since when no live leg speaks in the cursor's epoch.
    pub(super) deserted_since: Option<Time>,
    /// Since when every live leg stands far below the cursor.
    pub(super) regress_since: Option<Time>,
    /// Since when a newer numbering is known, and not what it shares with the one in force.
    pub(super) outranked_since: Option<Time>,
    /// Since when administrative messages that were sent are missing.
    pub(super) owed_since: Option<(Time, Adm)>,
    /// Since when messages are counted in an epoch that was left, and how many.
    pub(super) behind: Option<(Time, Adm)>,
    /// Where, up to which number and since when messages were waited for of which some were declared, and one that was held in between
    /// is told.
    pub(super) messages_waited: Option<(Place, Adm, Time)>,
    /// The furthest record that came in front of a join that was not told yet.
    pub(super) in_front_of_join: Option<u64>,
    /// Since when no live leg counts as the numbering in force does, by far.
    pub(super) miscounted_since: Option<Time>,
    pub(super) last_local_drop: Option<Time>,
    pub(super) last_delivery: Time,
    /// When the driver last had read the sockets and asked what is due: waiting is measured up to here, so
    /// that what its pause has kept in the sockets is not taken for missing.
    pub(super) judged_at: Time,
    /// Duplicates dropped when the last receipt was given.
    pub(super) duplicates_told: u64,
    /// A switch that is not told yet, for the other leg is on standby.
    pub(super) owed_switch: Option<Owed>,
    /// The leg that is to be preferred, while the other one may be gone.
    pub(super) ordered: Option<Leg>,
    pub(super) stale: bool,
    pub(super) ended: bool,
    /// The application goes on from an earlier run, and is not where the legs are yet.
    pub(super) catching_up: bool,
    /// What waited for the application was left out, and it is not known yet up to where: of records, and of messages.
    pub(super) skipping: [bool; 2],
    /// Where it joined was moved, and nothing was decided since.
    pub(super) moved: bool,
    /// What needs room, while a bound is reached.
    pub(super) pressure: Option<Pressure>,
    pub(super) arrivals: Arrivals,
    /// Datagrams may take the short ways.
    pub(super) flows: bool,
    /// Copies and next datagrams that did.
    pub(super) short_ways: [u64; 2],
}

impl Source {
    pub(super) fn new(sid: Sid, class: OrderingClass, limits: &Limits) -> Self {
        Self {
            sid,
            cursor: None,
            seen: (class == OrderingClass::Unordered).then(|| Seen::new(limits)),
            legs: [LegSide::new(limits), LegSide::new(limits)],
            hole: None,
            repair: Repair::new(limits.repair),
            asks: [None; 2],
            gave_up: None,
            retired: Retired::new(),
            left: None,
            overflow: Overflow::new(),
            fence: Fence::new(),
            preferred: Leg::Zero,
            rounds: Rounds::new(),
            pin: Pin::default(),
            announce: None,
            told_in: None,
            recount: false,
            to_lead_apart: false,
            given_up: None,
            orphan_since: None,
            deserted_since: None,
            regress_since: None,
            outranked_since: None,
            owed_since: None,
            behind: None,
            messages_waited: None,
            in_front_of_join: None,
            miscounted_since: None,
            last_local_drop: None,
            last_delivery: Time::ZERO,
            judged_at: Time::ZERO,
            duplicates_told: 0,
            owed_switch: None,
            ordered: None,
            stale: false,
            ended: false,
            catching_up: false,
            skipping: [false; 2],
            moved: false,
            pressure: None,
            arrivals: Arrivals::new(),
            flows: true,
            short_ways: [0; 2],
        }
    }

    pub(super) fn set_stream(&mut self, leg: Leg, stream: StreamId) {
        let side = &mut self.legs[leg.index()];
        (side.stream, side.known) = (Some(stream), None);
        self.note_short_ways();
    }

    #[inline]
    pub(super) fn status(&self, leg: Leg) -> LegStatus {
        let status = self.legs[leg.index()].status(self.sid);
        let apart = self.is_apart(leg);
        let counts = status.state == LegState::Live && !apart;
        LegStatus {
            apart,
            health: if counts { status.health } else { 0 },
            ..status
        }
    }

    pub(super) fn on_datagram<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
        self.legs[leg.index()].known = None;
        if self.legs[leg.index()].stream != Some(header.stream) {
            out.counters.foreign_stream += 1;
            return;
        }
        let late = match self.legs[leg.index()].admit(header) {
            Admission::Newest => false,
            Admission::Late => true,
            Admission::Replayed => {
                out.counters.replayed += 1;
                return;
            }
            Admission::Replaced => {
                out.counters.stale_incarnation += 1;
                return;
            }
        };
        if header.flags.has(Flags::STANDBY.with(Flags::HEARTBEAT)) {
            return self.on_standby(leg, datagram, late, out);
        }
        if !late {
            self.legs[leg.index()].standby = false;
        }
        // What is late leads nobody back.
        let known = !late || self.legs[leg.index()].view(header.epoch).is_some();
        let over = !known || self.is_over(leg, header.epoch, header.predecessor);
        if over && self.is_left(header.epoch) {
            out.counters.retired_epoch += 1;
            self.note_refused(datagram);
            return self.on_retired(leg, datagram, late, out);
        }
        self.heard(leg, header, late, out);
        let claim = self.claim(datagram, out.limits);
        if self.is_absurd(leg, &claim, out.limits) {
            self.quarantine(leg, datagram, bytes, out);
        } else {
            self.judge_waiting(leg, datagram, out);
            self.release_in_front(leg.other(), &claim, out);
            self.process(leg, datagram, late, out);
            self.release_believed(&Leg::BOTH, &claim, |_| true, out);
            self.remember(leg, datagram, bytes);
        }
        if self.owed_switch.is_some() {
            self.tell_owed(out);
        }
    }

    /// Takes in a datagram whose numbers are believed.
    pub(super) fn process<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
        self.judge_left(header, out);
        let follows = self.legs[leg.index()].believe(header);
        let late = late || follows != Succession::Next;
        self.note_numbering(datagram);
        self.rejoin_if_far(datagram, out.limits);
        let known = self.legs[leg.index()].view(header.epoch).is_some();
        let crowded = !known && self.legs[leg.index()].crowded();
        if crowded {
            self.make_room(leg, header, late, out);
        }
        // What is late opens a view only of an epoch that can lie but ahead of the leg's latest.
        let at = self.legs[leg.index()].latest().map(|view| view.epoch);
        let behind = follows == Succession::Overtaken
            || at.is_some() && at != self.cursor.map(|cursor| cursor.epoch);
        if !late || !known && !behind {
            let side = &mut self.legs[leg.index()];
            side.counted_behind = None;
            side.refresh(header);
        }
        if self.catching_up {
            self.learn_context();
        }
        self.tell_live(out);
        self.judge_generation(out);
        if matches!(
            self.announce,
            Some(DiscontinuityCause::Context { .. } | DiscontinuityCause::Divergence { .. })
        ) {
            // What was left and not yet told may be back with this very datagram.
            self.choose_context(out);
        }
        let Some(view) = self.legs[leg.index()].view(header.epoch) else {
            let crowded_out = self.legs[leg.index()].crowded();
            if !header.is_heartbeat() && (crowded_out || !self.is_left(header.epoch)) {
                // It has arrived, and is not kept: nobody lost it.
                self.overflow.note(header.epoch, datagram.highest_sseq());
            }
            if crowded_out {
                out.counters.hold_overflow += u64::from(header.count);
            } else {
                out.counters.retired_epoch += 1;
            }
            if crowded {
                // What made room left the rest undecided.
                self.settle(out);
            }
            return;
        };
        let turn = view.turn;
        if let Some(heartbeat) = datagram.heartbeat() {
            if !late {
                self.on_heartbeat(leg, header, &heartbeat, out);
            }
        } else {
            self.join_at_lowest(leg, datagram);
            for record in datagram.records() {
                self.on_record(leg, turn, header, &record, out);
            }
            self.note_arrival(leg, datagram, out.now);
        }
        if header.flags.has(Flags::END_OF_STREAM) && !late {
            self.legs[leg.index()].stepped_down = true;
            self.lose(leg, Trigger::StepDown, out);
        }
        if header.is_heartbeat() || self.unsettled(header) {
            self.settle(out);
        }
    }

    /// Makes room for a further epoch of a leg of which as many are kept as can be.
    fn make_room<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        header: &Header,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let at = |epoch| self.cursor.is_some_and(|cursor| cursor.epoch == epoch);
        // It comes to the application's epoch, or goes on from there and was not heard in it.
        let passes =
            at(header.predecessor) && self.legs[leg.index()].view(header.predecessor).is_none();
        if !late && (at(header.epoch) || passes) {
            out.counters.retired_epoch += self.legs[leg.index()].catch_up(header.epoch);
        }
        if self.legs[leg.index()].crowded()
            && let Some(cursor) = self.cursor
        {
            // What it spoke of before it came to the application's epoch lies behind: who joined there never left it.
            out.counters.retired_epoch += self.legs[leg.index()].go_on_to(cursor.epoch, |_| false);
        }
        if self.legs[leg.index()].crowded() {
            self.relieve(Pressure::Views(leg), out);
        }
    }

    /// An epoch that was left is over; the numbering in which its sender counts is not.
    fn on_retired<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let claim = self.claim(datagram, out.limits);
        let absurd = |cursor| self.counts_far(&cursor, &claim, out.limits);
        if self.cursor.is_some_and(absurd) {
            return;
        }
        // Nor does what came before it return.
        let before = datagram.header().predecessor;
        if before.is_some() && self.cursor.is_none_or(|cursor| cursor.epoch != before) {
            self.retired.add(before);
        }
        self.note_numbering(datagram);
        let missing = !late && self.note_counted_behind(leg, datagram);
        if self.judge_generation(out) || missing {
            self.settle(out);
        }
    }

    /// Notes under which generation somebody speaks, and what that inherited: always the same, whoever says it, in
    /// whatever epoch and however late.
    fn note_numbering(&mut self, datagram: &Datagram<'_>) {
        let generation = datagram.header().generation;
        self.fence.heard(generation);
        if let Some(heartbeat) = datagram.heartbeat() {
            self.fence.note(generation, heartbeat.beat.inherited);
        }
    }

    /// Joins anew when the join was never told and stands far beyond what a leg says.
    fn rejoin_if_far(&mut self, datagram: &Datagram<'_>, limits: &Limits) {
        let far = self.cursor.is_some_and(|cursor| {
            cursor.epoch == datagram.header().epoch
                && cursor.next.sseq > datagram.highest_sseq().saturating_add(limits.window)
        });
        if far && self.announce == Some(DiscontinuityCause::Join) {
            self.cursor = None;
            self.hole = None;
            let epoch = datagram.header().epoch;
            if let Some(furthest) = self.in_front_of_join.take() {
                // It has arrived, and was not kept, for it was in front of all that was to be told.
                self.overflow.note(epoch, furthest);
            }
            for side in &mut self.legs {
                side.disbelieve(epoch);
            }
        }
    }

    /// Whether anything waits for a decision; the steady state of two equal legs is that nothing does.
    pub(super) fn unsettled(&self, header: &Header) -> bool {
        let settled = self.cursor.is_some_and(|cursor| {
            cursor.context == header.context
                && cursor.epoch == header.epoch
                && cursor.generation >= header.generation
        });
        !settled
            || self.hole.is_some()
            || self.owed_since.is_some()
            || !self.legs[0].hold.is_empty()
            || !self.legs[1].hold.is_empty()
    }

    fn on_heartbeat<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        header: &Header,
        heartbeat: &twinfeed_wire::Heartbeat<'_>,
        out: &mut Out<'_, H>,
    ) {
        let side = &mut self.legs[leg.index()];
        side.note_interval(heartbeat);
        if let Some(view) = side.view_mut(header.epoch) {
            view.on_beat(&heartbeat.beat, header);
        }
        if self.cursor.is_none() {
            self.join(
                leg,
                header,
                Place::start(heartbeat.beat.next_sseq),
                header.base_adm,
            );
        }
        self.compare_digests(leg, header, heartbeat, out);
    }

    pub(super) fn on_record<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        turn: u32,
        header: &Header,
        record: &Record<'_>,
        out: &mut Out<'_, H>,
    ) {
        let entry = Entry::of(turn, header, record, out.now);
        self.legs[leg.index()].offered += 1;
        if self.cursor.is_none() {
            if record.part != 0 || record.kind == BodyKind::Administrative {
                // Nothing is joined here; but what comes first need not be what was sent first, and the join
                // may yet be before it.
                return self.keep(leg, header.epoch, entry, record.body, out);
            }
            self.join(leg, header, Place::start(record.sseq), record.adm);
        }
        let cursor = self
            .cursor
            .as_ref()
            .filter(|cursor| cursor.epoch == header.epoch);
        let standing = cursor.map_or(Standing::Beyond, |cursor| self.standing(cursor, &entry));
        // An administrative message means the same whatever the conversion remembers.
        let same = !self.is_apart(leg)
            && (entry.is_message() || cursor.is_some_and(|it| it.context == header.context));
        match standing {
            Standing::Delivered => {
                if self.announce == Some(DiscontinuityCause::Join) {
                    self.in_front_of_join = self.in_front_of_join.max(Some(entry.sseq));
                }
                out.counters.duplicates += 1;
                self.legs[leg.index()].duplicates += 1;
            }
            Standing::Fenced => {
                out.counters.fenced += 1;
                GivenUp::note_fenced(&mut self.given_up, &entry);
            }
            Standing::Next if same && self.is_relied_on(leg, out.limits) => {
                let adm = self.deliver(leg, &entry, out);
                self.hand_over((leg, adm), &entry, record.body, out);
            }
            Standing::Next | Standing::Beyond => {
                self.keep(leg, header.epoch, entry, record.body, out);
            }
        }
        let ordered = self.seen.is_none();
        // Only now has the leg passed this record: what a full hold decides in between must not take it
        // for missing.
        if let Some(view) = self.legs[leg.index()].view_mut(header.epoch)
            && view.context == header.context
        {
            match entry.is_message() {
                true => view.on_message(entry.sseq),
                false => view.on_record(behind(&entry), ordered),
            }
        }
    }

    /// The policy in force: without order there is no turn to wait for.
    pub(super) fn policy(&self, limits: &Limits) -> Policy {
        match self.seen {
            Some(_) => Policy::FirstArrival,
            None => limits.policy,
        }
    }

    /// Whether the policy lets this leg's records through as they come.
    pub(super) fn is_relied_on(&self, leg: Leg, limits: &Limits) -> bool {
        self.policy(limits) == Policy::FirstArrival
            || leg == self.preferred
            || !self.is_usable(self.preferred)
    }

    /// Whether prefer-active can deliver `leg`: live, unsuspected, and meaning the same by its numbers.
    pub(super) fn is_usable(&self, leg: Leg) -> bool {
        let side = &self.legs[leg.index()];
        let speaks_of_it = self.cursor.is_some_and(|cursor| {
            side.view(cursor.epoch)
                .is_some_and(|view| view.context == cursor.context)
        });
        let unsuspected = side.hint.is_none() && !self.is_apart(leg);
        side.transmits() && unsuspected && !side.source_stale && speaks_of_it
    }

    /// Puts a record into its leg's hold; a full hold forces decisions first.
    fn keep<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        epoch: Epoch,
        entry: Entry,
        body: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let mut kept = self.legs[leg.index()].hold.insert(entry, body);
        let asked_for = self.catching_up && self.repair.can_ask();
        if kept.is_err() && !asked_for && self.legs[leg.index()].hold.can_hold(body.len()) {
            self.force(leg, body.len(), out);
            kept = self.legs[leg.index()].hold.insert(entry, body);
        }
        match kept {
            Ok(true) => out.counters.held += 1,
            Ok(false) => {
                out.counters.duplicates += 1;
                self.legs[leg.index()].duplicates += 1;
            }
            Err(_) => {
                self.overflow.note(epoch, entry.sseq);
                out.counters.hold_overflow += 1;
            }
        }
    }

    /// Delivers what a leg holds and may now be delivered; returns how many of its records that were.
    pub(super) fn release<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) -> u64 {
        let before = self.legs[leg.index()].wins;
        self.deliver_held(out);
        self.legs[leg.index()].wins - before
    }

    /// A hint from `survivor` about its peer: stop preferring it, still listen to it.
    pub(super) fn on_peer_lost<H: Handler + ?Sized>(
        &mut self,
        survivor: Leg,
        out: &mut Out<'_, H>,
    ) {
        let gone = survivor.other();
        let side = &self.legs[gone.index()];
        if side.hint.is_some() || matches!(side.state, LegState::Unheard | LegState::Lost) {
            return;
        }
        let held = self.legs[survivor.index()].hold.len() as u64;
        self.legs[gone.index()].hint = Some(Hint { held, filled: 0 });
        let filled = self.release(survivor, out);
        self.legs[gone.index()].hint = Some(Hint { held, filled });
    }
}
