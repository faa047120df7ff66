//! What is missing on every leg: who is asked for it, and what becomes of the answer?
//!
//! ```text
//!  a hole would be declared ─► Repair::want ──┬─ Wait ─────► it stays open
//!                                             ├─ Ask ──────► Ask: the hole, and those behind it that every leg has passed
//!                                             └─ GiveUp ───► Gap, up to where nobody has it
//!  answer ─► only what was asked for ─► next: Handler; beyond: the hold ─► settle
//! ```
//!
//! An answer is a datagram of the stream, sent again. It says nothing of its sender: no state, no progress, no numbering
//! follows from it, and what it brings beyond the ranges that were asked for is not looked at. So a server that says
//! anything else changes nothing but its own count of faults.

use twinfeed_wire::fill::{FillRange, MOST_RANGES, Reply, RequestHeader, write_request};
use twinfeed_wire::{Adm, BodyKind, Datagram, Flags, Header, Record};

use super::cursor::{Cursor, Standing, behind};
use super::hold::Entry;
use super::leg::LegSide;
use super::source::{Out, Source};
use crate::event::{Handler, Leg, LegState, Place};
use crate::limits::Limits;
use crate::repair::{Verdict, Wish};

/// A request that is to be sent to one leg's adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Whose adapter is asked.
    pub leg: Leg,
    header: RequestHeader,
    ranges: [FillRange; MOST_RANGES],
    count: usize,
}

impl Ask {
    /// What every range is of.
    #[must_use]
    pub const fn header(&self) -> &RequestHeader {
        &self.header
    }

    /// What is asked for.
    #[must_use]
    pub fn ranges(&self) -> &[FillRange] {
        &self.ranges[..self.count]
    }

    /// Writes the request and returns its length in bytes.
    ///
    /// # Panics
    /// When `buffer` is shorter than [`twinfeed_wire::fill::LONGEST_REQUEST`].
    #[must_use]
    pub fn write(&self, buffer: &mut [u8]) -> usize {
        write_request(buffer, &self.header, self.ranges())
    }
}

/// What would be declared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missing {
    Records(Place, Place),
    Messages(Adm, Adm),
}

impl Missing {
    const fn is_of_messages(self) -> bool {
        matches!(self, Self::Messages(..))
    }

    fn wish(self, cursor: &Cursor) -> Wish {
        let pair = |place: Place| (place.sseq, place.part);
        let (messages, from, until) = match self {
            Self::Records(from, until) => (false, pair(from), pair(until)),
            Self::Messages(from, until) => (true, (from.0, 0), (until.0, 0)),
        };
        Wish {
            of: (cursor.epoch, cursor.context),
            messages,
            from,
            until,
        }
    }

    fn range(self, cursor: &Cursor, limits: &Limits) -> FillRange {
        let wish = self.wish(cursor);
        let until = limits.repair.range_until(&wish);
        match self {
            Self::Records(..) => FillRange::Records {
                from: wish.from,
                until,
            },
            Self::Messages(from, _) => FillRange::Messages {
                from,
                until: Adm(until.0),
            },
        }
    }

    /// What of it begins here.
    const fn from(self, (number, part): (u64, u16)) -> Self {
        match self {
            Self::Records(_, until) => Self::Records(Place { sseq: number, part }, until),
            Self::Messages(_, until) => Self::Messages(Adm(number), until),
        }
    }

    /// First place, or number, behind it.
    pub(super) const fn until(self) -> Place {
        match self {
            Self::Records(_, until) => until,
            Self::Messages(_, until) => Place::start(until.0),
        }
    }
}

impl Source {
    /// Up to which place, or which message's number, what is missing is to be declared now. `due`: it would be if nobody could
    /// be asked for it.
    pub(super) fn given_up_until<H: Handler + ?Sized>(
        &mut self,
        missing: Missing,
        due: bool,
        out: &mut Out<'_, H>,
    ) -> Option<Place> {
        let all = missing.until();
        self.gave_up = None;
        if self.forced() || self.skipping[usize::from(missing.is_of_messages())] {
            self.repair.declared(missing.is_of_messages());
            return Some(all);
        }
        let Some(cursor) = self.cursor.filter(|_| self.repair.can_ask()) else {
            return due.then_some(all);
        };
        let wish = missing.wish(&cursor);
        if !due && !self.repair.covers(&wish) {
            return None;
        }
        let (order, count) = self.whom_to_ask();
        let verdict = self
            .repair
            .want(out.now, self.judged_at, &wish, &order[..count]);
        match verdict {
            Verdict::Wait => None,
            Verdict::Ask(leg, request, from) => {
                let missing = missing.from(from);
                let kind = usize::from(missing.is_of_messages());
                self.asks[kind] = self.asking(leg, request, missing, &cursor, out.limits);
                None
            }
            Verdict::GiveUp(why, (sseq, part)) => {
                self.gave_up = Some(why);
                // A message has no parts, and what has no order is missing whole.
                let whole = missing.is_of_messages() || self.seen.is_some();
                let until = match whole && part > 0 {
                    true => Place::start(sseq.saturating_add(1)),
                    false => Place { sseq, part },
                };
                Some(until.min(all))
            }
        }
    }

    /// Nothing is asked for any more that is not missing.
    pub(super) fn close_repair(&mut self) {
        for messages in [false, true] {
            // What was to be asked for was declared before the driver took it.
            if self.repair.asked_until(messages).is_none() {
                self.asks[usize::from(messages)] = None;
            }
        }
        if !self.repair.is_open() {
            return;
        }
        let waits =
            self.hole.is_some() || self.owed_since.is_some() || self.deserted_since.is_some();
        if !waits {
            self.repair.close();
            self.asks = [None; 2];
        }
    }

    /// Whom to ask first: the adapter that is not the busy active one; one whose stream is lost only after all others.
    fn whom_to_ask(&self) -> ([Leg; 2], usize) {
        let mut order = [self.preferred.other(), self.preferred];
        let speaks = |leg: Leg| {
            let state = self.legs[leg.index()].state;
            matches!(state, LegState::Live | LegState::Stalled)
        };
        if !speaks(order[0]) && speaks(order[1]) {
            order.reverse();
        }
        let usable = |leg: Leg| !self.is_apart(leg) && self.legs[leg.index()].stream.is_some();
        match order.map(usable) {
            [true, true] => (order, 2),
            [true, false] => (order, 1),
            [false, true] => ([order[1], order[0]], 1),
            [false, false] => (order, 0),
        }
    }

    fn asking(
        &mut self,
        leg: Leg,
        request: u64,
        missing: Missing,
        cursor: &Cursor,
        limits: &Limits,
    ) -> Option<Ask> {
        let mut ask = Ask {
            leg,
            header: RequestHeader {
                sid: self.sid,
                stream: self.legs[leg.index()].stream?,
                request,
                epoch: cursor.epoch,
                context: cursor.context,
                datagrams: limits.repair.fill_datagrams,
            },
            ranges: [missing.range(cursor, limits); MOST_RANGES],
            count: 1,
        };
        if let Missing::Records(_, until) = missing
            && self.seen.is_none()
        {
            self.add_further(&mut ask, until, cursor, limits);
        }
        if let FillRange::Records { until, .. } = ask.ranges[ask.count - 1] {
            self.repair.note_asked(until);
        }
        Some(ask)
    }

    /// Adds the holes behind the one at the cursor that every live leg has passed for long enough: all, where none lives.
    fn add_further(&self, ask: &mut Ask, until: Place, cursor: &Cursor, limits: &Limits) {
        let live = self.legs.iter().filter(|side| side.transmits());
        let views = live.filter_map(|side| side.view(cursor.epoch));
        let passed = views
            .filter(|view| view.context == cursor.context)
            .map(|view| view.next)
            .min();
        // Where nobody lives nobody will bring it.
        let deserted = !self.legs.iter().any(LegSide::transmits);
        let furthest = deserted.then_some(Place::start(u64::MAX));
        let Some(passed) = passed.or(furthest) else {
            return;
        };
        let [mut zero, mut one] = Leg::BOTH.map(|leg| {
            let held = self.held_in(leg, cursor, cursor.context);
            held.map(|(_, entry)| entry)
                .filter(|entry| !entry.is_message())
                .peekable()
        });
        let mut at = until;
        for _ in 0..MOST_LOOKED_AT {
            let (first, other) = (zero.peek(), one.peek());
            let turn = match (first, other) {
                (Some(first), Some(other)) => first.place() <= other.place(),
                (first, _) => first.is_some(),
            };
            let entry = match turn {
                true => zero.next(),
                false => one.next(),
            };
            let Some(entry) = entry else { return };
            if entry.place() < at {
                continue;
            }
            let reach = entry.reach();
            if reach > at {
                let young = self.judged_at < entry.held_at.after(limits.reorder_hold);
                if young || reach > passed || ask.count == MOST_RANGES {
                    return;
                }
                ask.ranges[ask.count] = Missing::Records(at, reach).range(cursor, limits);
                ask.count += 1;
            }
            at = at.max(behind(entry));
        }
    }

    /// What became of a request.
    pub(super) fn on_fill_reply<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        reply: &Reply,
        out: &mut Out<'_, H>,
    ) {
        self.repair.on_reply(out.now, leg, reply);
        if self.repair.is_open() {
            self.settle(out);
        }
    }

    /// Something that can be no answer came from a server.
    pub(super) fn on_broken_fill<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        out.counters.fill_rejected += 1;
        if self.repair.has_asked(leg) {
            self.repair.on_fault(leg);
            self.settle(out);
        }
    }

    /// A datagram that was sent again.
    pub(super) fn on_fill<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
        let records = self.repair.asked_until(false);
        let messages = self.repair.asked_until(true);
        let Some(cursor) = self.cursor.filter(|_| self.repair.is_open()) else {
            // It comes too late, or nobody asked for it.
            out.counters.fill_rejected += 1;
            return;
        };
        let marked = header.flags.has(Flags::RETRANSMITTED) && !header.is_heartbeat();
        let own = Some(header.stream) == self.legs[leg.index()].stream;
        let here = header.epoch == cursor.epoch;
        if marked && own && (!here || header.context != cursor.context) {
            // Of a hole that was left with its epoch or context: late, and no fault. Messages may come in another context.
            let message = |record: Record<'_>| record.kind == BodyKind::Administrative;
            if !here || !datagram.records().any(message) {
                out.counters.fill_rejected += 1;
                return;
            }
        }
        let of_it = own && here;
        // A fill opens no generation, and counts no further than a stream would be believed (RM-14a).
        let ahead = header.generation > cursor.generation.max(self.fence.newest());
        let far = ahead || self.counts_far(&cursor, &self.claim(datagram, out.limits), out.limits);
        // What a message counts does not depend on how records were converted.
        let records = records.filter(|_| header.context == cursor.context);
        let most = cursor.adm.0.saturating_add(MOST_MESSAGES);
        let wanted = |record: &Record<'_>| match record.kind {
            BodyKind::Administrative => {
                // Where it stands is its own word: no further than what is believed of a stream at once (RM-14a).
                let near = record.sseq <= cursor.next.sseq.saturating_add(out.limits.window);
                near && messages.is_some_and(|until| record.adm.0 < until.0)
                    // It stands behind every part of its number.
                    || record.adm.0 < most && records.is_some_and(|until| record.sseq < until.0)
            }
            _ => records.is_some_and(|until| (record.sseq, record.part) < until),
        };
        let right = datagram.records().any(|record| wanted(&record));
        let told = marked && of_it && right && !far;
        if !(told && self.repair.has_asked(leg)) || self.is_apart(leg) {
            return self.on_broken_fill(leg, out);
        }
        let mut brought = false;
        for record in datagram.records().filter(wanted) {
            brought |= self.take_fill(leg, header, &record, out);
        }
        if brought {
            self.repair.on_progress(leg);
        }
        self.settle(out);
    }

    /// Takes in one record that was missing; answers whether it still was.
    fn take_fill<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        header: &Header,
        record: &Record<'_>,
        out: &mut Out<'_, H>,
    ) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        // Whoever was never heard in this epoch has no place in which to hold anything.
        let home = [leg, leg.other()].into_iter().find_map(|home| {
            let view = self.legs[home.index()].view(cursor.epoch)?;
            (!self.is_apart(home)).then_some((home, view.turn))
        });
        let (home, turn) = home.unwrap_or((leg, 0));
        let entry = Entry {
            given_by: (home != leg).then_some(leg),
            ..Entry::of(turn, header, record, out.now)
        };
        // Who lacks messages may close a hole whose sides count alike. To lead from there is for its stream alone, which
        // says how it counts on (RM-25a).
        if self.seen.is_none()
            && self.lacks(&cursor, &entry)
            && !self.stands_alike(leg, &cursor, &entry)
        {
            out.counters.fill_rejected += 1;
            return false;
        }
        let brought = match self.standing(&cursor, &entry) {
            Standing::Delivered | Standing::Fenced => false,
            Standing::Next => {
                let adm = self.deliver(leg, &entry, out);
                // It is not this leg's stream that brought it.
                self.legs[leg.index()].wins -= 1;
                self.count_filled(leg, out);
                self.hand_over((leg, adm), &entry, record.body, out);
                return true;
            }
            Standing::Beyond => {
                let hold = &mut self.legs[home.index()].hold;
                hold.insert(entry, record.body) == Ok(true)
            }
        };
        match brought {
            true => self.count_filled(leg, out),
            false => out.counters.fill_duplicates += 1,
        }
        brought
    }

    fn count_filled<H: Handler + ?Sized>(&mut self, leg: Leg, out: &mut Out<'_, H>) {
        out.counters.filled += 1;
        self.legs[leg.index()].filled += 1;
    }
}

/// Held records that are looked at for one request.
const MOST_LOOKED_AT: usize = 8_192;
/// Administrative messages beyond the next one that may come with missing records.
const MOST_MESSAGES: u64 = 256;
