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
//! The cursor is the next place to deliver. It moves by delivering, by vouched silence, by a declared Gap,
//! and by nothing else. This file is the way of a datagram; `settle` decides what happens to what could
//! not be delivered at once, `liveness` which legs count.

use core::time::Duration;

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Datagram, Epoch, Flags, Header, Pos, Record, Sid, StreamId,
};

use super::counters::{Counters, LegStatus};
use super::hold::Entry;
use super::leg::{Admission, Hint, LegSide, Rank};
use super::quarantine::Claim;
use crate::event::{Delivered, DiscontinuityCause, Event, Handler, Leg, LegState, Place};
use crate::limits::{Limits, Policy};
use crate::receipt::Trigger;
use crate::time::Time;

/// What every step needs at hand.
pub(super) struct Out<'a, H: ?Sized> {
    pub(super) now: Time,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut Counters,
    pub(super) handler: &'a mut H,
}

/// The next place to deliver, and what numbers mean there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) epoch: Epoch,
    pub(super) predecessor: Epoch,
    pub(super) context: ContextId,
    pub(super) complete: bool,
    pub(super) rank: Rank,
    pub(super) next: Place,
    pub(super) adm: Adm,
}

/// A hole at the cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) from: Place,
    pub(super) until: Place,
    pub(super) opened: Time,
    /// When the last live leg passed it.
    pub(super) passed: Option<Time>,
}

/// Where a record stands to the cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    Delivered,
    Next,
    Beyond,
}

impl Cursor {
    /// The next-record rule (RM-14).
    pub(super) fn standing(&self, record: &Entry) -> Standing {
        if record.kind == BodyKind::Administrative {
            return match record.adm.cmp(&self.adm) {
                core::cmp::Ordering::Less => Standing::Delivered,
                core::cmp::Ordering::Equal
                    if self.next.part == 0 && record.sseq < self.next.sseq =>
                {
                    Standing::Next
                }
                _ => Standing::Beyond,
            };
        }
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        if place < self.next {
            Standing::Delivered
        } else if record.adm != self.adm {
            Standing::Beyond
        } else if place == self.next
            || (self.next.part == 0 && record.part == 0 && record.prev < self.next.sseq)
        {
            Standing::Next
        } else {
            Standing::Beyond
        }
    }
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
    pub(super) legs: [LegSide; 2],
    pub(super) hole: Option<Hole>,
    pub(super) retired: [Epoch; RETIRED_EPOCHS],
    retired_at: usize,
    pub(super) preferred: Leg,
    /// To be told before whatever is delivered or declared next.
    pub(super) announce: Option<DiscontinuityCause>,
    /// Since when no live leg speaks in the cursor's context.
    pub(super) orphan_since: Option<Time>,
    /// Since when no live leg speaks in the cursor's epoch.
    pub(super) deserted_since: Option<Time>,
    /// Since when every live leg stands far below the cursor.
    pub(super) regress_since: Option<Time>,
    pub(super) last_local_drop: Option<Time>,
    pub(super) last_delivery: Time,
    /// When the driver last had read the sockets and asked what is due: waiting is measured up to here, so
    /// that what its pause has kept in the sockets is not taken for missing.
    pub(super) judged_at: Time,
    /// Duplicates dropped when the last receipt was given.
    pub(super) duplicates_told: u64,
    pub(super) stale: bool,
    pub(super) ended: bool,
    /// What needs room, while a bound is reached.
    pub(super) pressure: Option<Pressure>,
    arrivals: [(Place, Time, Leg); KEPT_ARRIVALS],
    arrivals_at: usize,
}

/// Epochs remembered as left; an older one could only return after that many sessions.
const RETIRED_EPOCHS: usize = 64;
/// Deliveries remembered in order to measure by how much one leg is ahead.
const KEPT_ARRIVALS: usize = 64;

impl Source {
    pub(super) fn new(sid: Sid, limits: &Limits) -> Self {
        Self {
            sid,
            cursor: None,
            legs: [LegSide::new(limits), LegSide::new(limits)],
            hole: None,
            retired: [Epoch::NONE; RETIRED_EPOCHS],
            retired_at: 0,
            preferred: Leg::Zero,
            announce: None,
            orphan_since: None,
            deserted_since: None,
            regress_since: None,
            last_local_drop: None,
            last_delivery: Time::ZERO,
            judged_at: Time::ZERO,
            duplicates_told: 0,
            stale: false,
            ended: false,
            pressure: None,
            arrivals: [(Place::start(0), Time::ZERO, Leg::Zero); KEPT_ARRIVALS],
            arrivals_at: 0,
        }
    }

    pub(super) fn set_stream(&mut self, leg: Leg, stream: StreamId) {
        self.legs[leg.index()].stream = Some(stream);
    }

    pub(super) fn status(&self, leg: Leg) -> LegStatus {
        self.legs[leg.index()].status(self.sid)
    }

    pub(super) fn on_datagram<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
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
        if self.retired.contains(&header.epoch) {
            out.counters.retired_epoch += 1;
            return;
        }
        self.heard(leg, header, late, out);
        if self.is_absurd(leg, &claim(datagram), out.limits) {
            self.quarantine(leg, datagram, bytes, out);
        } else {
            self.judge_waiting(leg, datagram, out);
            self.process(leg, datagram, late, out);
            self.release_believed(leg.other(), &claim(datagram), out);
        }
    }

    /// Takes in a datagram whose numbers are believed.
    fn process<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
        let late = self.legs[leg.index()].believe(header) || late;
        self.rejoin_if_far(datagram, out.limits);
        let known = self.legs[leg.index()].view(header.epoch).is_some();
        if !known && self.legs[leg.index()].crowded() {
            self.relieve(Pressure::Views(leg), out);
        }
        // What was overtaken opens a view only of an epoch that can lie but ahead of the leg's latest.
        let at = self.legs[leg.index()].latest().map(|view| view.epoch);
        let behind = at.is_some() && at != self.cursor.map(|cursor| cursor.epoch);
        if !late || !known && !behind {
            self.legs[leg.index()].refresh(header);
        }
        self.tell_live(out);
        let Some(view) = self.legs[leg.index()].view(header.epoch) else {
            out.counters.retired_epoch += 1;
            return;
        };
        let turn = view.turn;
        if let Some(heartbeat) = datagram.heartbeat() {
            if !late {
                self.on_heartbeat(leg, header, &heartbeat, out);
            }
        } else {
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

    /// Joins anew when the join was never told and stands far beyond what a leg says.
    fn rejoin_if_far(&mut self, datagram: &Datagram<'_>, limits: &Limits) {
        let far = self.cursor.is_some_and(|cursor| {
            cursor.epoch == datagram.header().epoch
                && cursor.next.sseq > datagram.highest_sseq().saturating_add(limits.window)
        });
        if far && self.announce == Some(DiscontinuityCause::Join) {
            self.cursor = None;
            self.hole = None;
            for side in &mut self.legs {
                side.disbelieve(datagram.header().epoch);
            }
        }
    }

    /// Whether anything waits for a decision; the steady state of two equal legs is that nothing does.
    fn unsettled(&self, header: &Header) -> bool {
        let settled = self
            .cursor
            .is_some_and(|cursor| cursor.context == header.context && cursor.epoch == header.epoch);
        !settled
            || self.hole.is_some()
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
        if heartbeat.beat.interval_us != 0 {
            side.heartbeat = Duration::from_micros(u64::from(heartbeat.beat.interval_us));
        }
        if let Some(view) = side.view_mut(header.epoch) {
            view.on_beat(&heartbeat.beat, header.base_adm);
        }
        for digest in heartbeat.digests() {
            let [zero, one] = &mut self.legs;
            let (this, other) = if leg == Leg::Zero {
                (zero, one)
            } else {
                (one, zero)
            };
            if this.compare_digest(other, header.epoch, header.context, digest) {
                out.counters.divergences += 1;
                out.handler.event(&Event::Divergence {
                    sid: self.sid,
                    epoch: header.epoch,
                    range: digest.range,
                });
            }
        }
        if self.cursor.is_none() {
            self.join(
                leg,
                header,
                Place::start(heartbeat.beat.next_sseq),
                header.base_adm,
            );
        }
    }

    fn on_record<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        turn: u32,
        header: &Header,
        record: &Record<'_>,
        out: &mut Out<'_, H>,
    ) {
        let entry = Entry {
            turn,
            sseq: record.sseq,
            part: record.part,
            prev: record.prev,
            adm: record.adm,
            kind: record.kind,
            flags: record.flags,
            context: header.context,
            received_at: header.received_at,
            sent_at: header.sent_at,
            held_at: out.now,
        };
        self.legs[leg.index()].offered += 1;
        if self.cursor.is_none() {
            if record.part != 0 || record.kind == BodyKind::Administrative {
                return;
            }
            self.join(leg, header, Place::start(record.sseq), record.adm);
        }
        let cursor = self
            .cursor
            .as_ref()
            .filter(|cursor| cursor.epoch == header.epoch);
        let standing = cursor.map_or(Standing::Beyond, |cursor| cursor.standing(&entry));
        let same = cursor.is_some_and(|cursor| cursor.context == header.context);
        match standing {
            Standing::Delivered => {
                out.counters.duplicates += 1;
                self.legs[leg.index()].duplicates += 1;
            }
            Standing::Next if same && self.is_relied_on(leg, out.limits) => {
                self.deliver(leg, &entry, out);
                hand_over(self.sid, header.epoch, leg, &entry, record.body, out);
            }
            Standing::Next | Standing::Beyond => self.keep(leg, entry, record.body, out),
        }
        // Only now has the leg passed this record: what a full hold decides in between must not take it
        // for missing.
        if record.kind != BodyKind::Administrative
            && let Some(view) = self.legs[leg.index()].view_mut(header.epoch)
            && view.context == header.context
        {
            view.next = view.next.max(behind(&entry));
        }
    }

    /// Whether the policy lets this leg's records through as they come.
    pub(super) fn is_relied_on(&self, leg: Leg, limits: &Limits) -> bool {
        limits.policy == Policy::FirstArrival
            || leg == self.preferred
            || !self.is_usable(self.preferred)
    }

    /// Whether prefer-active can deliver `leg`: live, unsuspected, and meaning the same by its numbers.
    fn is_usable(&self, leg: Leg) -> bool {
        let side = &self.legs[leg.index()];
        let speaks_of_it = self.cursor.is_some_and(|cursor| {
            side.view(cursor.epoch)
                .is_some_and(|view| view.context == cursor.context)
        });
        side.state == LegState::Live && side.hint.is_none() && !side.source_stale && speaks_of_it
    }

    fn join(&mut self, leg: Leg, header: &Header, next: Place, adm: Adm) {
        let Some(view) = self.legs[leg.index()].view(header.epoch) else {
            return;
        };
        self.cursor = Some(Cursor {
            epoch: header.epoch,
            predecessor: header.predecessor,
            context: header.context,
            complete: header.is_complete(),
            rank: view.rank,
            next,
            adm,
        });
        self.announce = Some(DiscontinuityCause::Join);
        self.ended = false;
    }

    /// Puts a record into its leg's hold; a full hold forces decisions first.
    fn keep<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        entry: Entry,
        body: &[u8],
        out: &mut Out<'_, H>,
    ) {
        match self.legs[leg.index()].hold.insert(entry, body) {
            Ok(true) => out.counters.held += 1,
            Ok(false) => {
                out.counters.duplicates += 1;
                self.legs[leg.index()].duplicates += 1;
            }
            Err(_) if !self.legs[leg.index()].hold.can_hold(body.len()) => {
                out.counters.hold_overflow += 1;
            }
            Err(_) => {
                self.force(leg, body.len(), out);
                match self.legs[leg.index()].hold.insert(entry, body) {
                    Ok(true) => out.counters.held += 1,
                    Ok(false) => out.counters.duplicates += 1,
                    Err(_) => out.counters.hold_overflow += 1,
                }
            }
        }
    }

    /// Moves the cursor over `entry` and tells what must be told before it. The caller hands over the
    /// record itself, so that state is sound whatever the handler does.
    pub(super) fn deliver<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        entry: &Entry,
        out: &mut Out<'_, H>,
    ) {
        let Some(mut cursor) = self.cursor else {
            return;
        };
        self.tell_recovered(out);
        self.tell_announced(
            Place {
                sseq: entry.sseq,
                part: entry.part,
            },
            out,
        );
        if entry.kind == BodyKind::Administrative {
            cursor.adm = Adm(entry.adm.0 + 1);
        } else {
            cursor.next = behind(entry);
        }
        self.cursor = Some(cursor);
        let silence = out.now.since(self.last_delivery);
        for side in &mut self.legs {
            side.silence = side.silence.max(silence);
        }
        self.last_delivery = out.now;
        self.legs[leg.index()].wins += 1;
        out.counters.records += 1;
    }

    /// Says that a hole was closed, once the cursor has passed it.
    pub(super) fn tell_recovered<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        let (Some(cursor), Some(hole)) = (self.cursor, self.hole) else {
            return;
        };
        if cursor.next < hole.until {
            return;
        }
        self.hole = None;
        out.counters.recovered += 1;
        out.handler.event(&Event::Recovered {
            sid: self.sid,
            epoch: cursor.epoch,
            from: hole.from,
            until: hole.until,
        });
    }

    /// Tells a discontinuity that was decided, now that something follows it.
    pub(super) fn tell_announced<H: Handler + ?Sized>(&mut self, at: Place, out: &mut Out<'_, H>) {
        let (Some(cursor), Some(cause)) = (self.cursor, self.announce.take()) else {
            return;
        };
        out.counters.discontinuities += 1;
        out.handler.event(&Event::Discontinuity {
            sid: self.sid,
            epoch: cursor.epoch,
            at,
            context: cursor.context,
            complete: cursor.complete,
            cause,
        });
    }

    pub(super) fn retire(&mut self, epoch: Epoch) {
        self.retired[self.retired_at] = epoch;
        self.retired_at = (self.retired_at + 1) % RETIRED_EPOCHS;
    }

    /// Whether a datagram of `leg` claims what nobody would believe from one datagram (RM-14a).
    fn is_absurd(&self, leg: Leg, claim: &Claim, limits: &Limits) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let Some(view) = self.legs[leg.index()].view(claim.epoch) else {
            // An epoch that the other leg has moved to, or is in, is confirmed.
            return claim.epoch != cursor.epoch
                && self.legs[leg.other().index()].view(claim.epoch).is_none()
                || self.is_far(claim, limits);
        };
        claim.from > view.next.sseq.saturating_add(limits.window) && self.is_far(claim, limits)
    }

    /// Whether a datagram begins beyond everything known of its epoch by more than the window.
    fn is_far(&self, claim: &Claim, limits: &Limits) -> bool {
        let cursor = self
            .cursor
            .filter(|cursor| cursor.epoch == claim.epoch)
            .map(|cursor| cursor.next.sseq);
        let known = self
            .legs
            .iter()
            .filter_map(|side| side.view(claim.epoch))
            .map(|view| view.next.sseq.max(view.first))
            .chain(self.told_end(claim.epoch))
            .chain(cursor)
            .max();
        known.is_some_and(|known| claim.from > known.saturating_add(limits.window))
    }

    /// Where an epoch ended, as those say who have gone on to the next one.
    fn told_end(&self, epoch: Epoch) -> Option<u64> {
        self.legs
            .iter()
            .flat_map(LegSide::views)
            .filter(|view| view.predecessor == epoch)
            .filter_map(|view| view.predecessor_end)
            .map(|end| end.next)
            .max()
    }

    fn quarantine<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let claim = claim(datagram);
        let window = out.limits.window;
        out.counters.quarantined += 1;
        let [this, other] = [leg, leg.other()].map(Leg::index);
        out.counters.quarantine_overflow += self.legs[this].quarantine.keep(claim, bytes);
        if self.legs[other].quarantine.agrees_with(&claim, window)
            || self.legs[this].quarantine.confirms_itself(window)
        {
            self.release_believed(leg, &claim, out);
            self.release_believed(leg.other(), &claim, out);
        }
    }

    /// Processes in order of arrival what waited and is covered by `confirmed`, or is not absurd any more
    /// for what has become known meanwhile; the rest goes on waiting.
    fn release_believed<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        confirmed: &Claim,
        out: &mut Out<'_, H>,
    ) {
        let window = out.limits.window;
        loop {
            let believed = |waiting: &Claim| {
                waiting.is_covered_by(confirmed, window)
                    || !self.is_absurd(leg, waiting, out.limits)
            };
            let first = self.legs[leg.index()]
                .quarantine
                .claims()
                .position(believed);
            let Some(slot) = first.and_then(|index| self.legs[leg.index()].quarantine.take(index))
            else {
                return;
            };
            let buffer = self.legs[leg.index()].quarantine.lend(slot);
            if let Ok(datagram) = Datagram::parse(&buffer)
                && !self.retired.contains(&datagram.header().epoch)
            {
                self.process(leg, &datagram, false, out);
            }
            self.legs[leg.index()].quarantine.give_back(slot, buffer);
        }
    }

    /// Decides about what waited, now that its sender goes on: believed with this datagram when it leads no
    /// further, dropped when the sender goes on as if it had never said it. Who goes on to another epoch takes
    /// back nothing of the one before.
    fn judge_waiting<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        out: &mut Out<'_, H>,
    ) {
        if self.legs[leg.index()].quarantine.newest().is_none() {
            return;
        }
        let claim = claim(datagram);
        self.release_believed(leg, &claim, out);
        let left = self.cursor.map(|cursor| cursor.epoch);
        let left = left.filter(|epoch| *epoch != claim.epoch);
        let quarantine = &mut self.legs[leg.index()].quarantine;
        if quarantine.newest().is_some_and(|newest| claim.dsn > newest) {
            let dropped = quarantine.retain(|waiting| Some(waiting.epoch) == left);
            out.counters.quarantine_dropped += dropped;
        }
    }

    /// Arrivals of numbers that mean something else from here on are no measure.
    pub(super) fn forget_arrivals(&mut self) {
        self.arrivals = [(Place::start(0), Time::ZERO, Leg::Zero); KEPT_ARRIVALS];
    }

    /// Measures by how much the legs are apart: the same place brought by both.
    fn note_arrival(&mut self, leg: Leg, datagram: &Datagram<'_>, now: Time) {
        let place = Place::start(datagram.highest_sseq());
        let newest = (self.arrivals_at + KEPT_ARRIVALS - 1) % KEPT_ARRIVALS;
        if self.arrivals[newest].0 < place {
            self.arrivals[self.arrivals_at] = (place, now, leg);
            self.arrivals_at = (self.arrivals_at + 1) % KEPT_ARRIVALS;
            return;
        }
        let first = self
            .arrivals
            .iter()
            .find(|(known, _, by)| *known == place && *by != leg);
        if let Some(&(_, at, by)) = first {
            // A moving average over 16 measurements.
            let lead = crate::time::nanos(now.since(at));
            let ahead = &mut self.legs[by.index()].lead_ns;
            *ahead = *ahead - *ahead / 16 + lead / 16;
            let behind = &mut self.legs[leg.index()].lead_ns;
            *behind -= *behind / 16;
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

/// What a datagram claims.
fn claim(datagram: &Datagram<'_>) -> Claim {
    let header = datagram.header();
    Claim {
        dsn: header.dsn,
        epoch: header.epoch,
        from: datagram
            .heartbeat()
            .map_or(header.base_sseq, |heartbeat| heartbeat.beat.next_sseq),
        sseq: datagram.highest_sseq(),
        heartbeat: header.is_heartbeat(),
    }
}

/// The place behind a record.
pub(super) fn behind(entry: &Entry) -> Place {
    if entry.flags.has(twinfeed_wire::RecordFlags::LAST) {
        Place::start(entry.sseq.saturating_add(1))
    } else {
        Place {
            sseq: entry.sseq,
            part: entry.part.saturating_add(1),
        }
    }
}

/// Gives a record to the application, or skips it when nobody could read it.
pub(super) fn hand_over<H: Handler + ?Sized>(
    sid: Sid,
    epoch: Epoch,
    leg: Leg,
    entry: &Entry,
    body: &[u8],
    out: &mut Out<'_, H>,
) {
    if let BodyKind::Unknown(_) = entry.kind {
        out.counters.skipped_kinds += 1;
        return;
    }
    out.handler.record(&Delivered {
        pos: Pos {
            sid,
            epoch,
            sseq: entry.sseq,
            part: entry.part,
        },
        kind: entry.kind,
        flags: entry.flags,
        adm: entry.adm,
        leg,
        body,
        received_at: entry.received_at,
        sent_at: entry.sent_at,
    });
}
