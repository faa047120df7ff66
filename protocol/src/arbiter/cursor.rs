//! Where does the application stand, and what moves it on?
//!
//! ```text
//!   delivered or declared | next | held, or not here yet
//!   ──────────────────────┼──────┼──────────────────────►  numbers of one epoch, in one context
//!                         cursor
//! ```
//!
//! The cursor is the next place to deliver. It moves by delivering, by vouched silence, by a declared Gap,
//! and by nothing else. Of an unordered source it is the floor, see `unordered`. What must be told before a record is told here, in front of it.
//!
//! Nothing here knows who waits for what, or for how long.

use twinfeed_wire::{Adm, BodyKind, ContextId, Datagram, Epoch, Generation, Header, Pos, Record};

use super::fence::{Count, Fence};
use super::hold::Entry;
use super::source::{Out, Source};
use super::view::Rank;
use crate::event::{Delivered, DiscontinuityCause, Event, Handler, Leg, Place};

/// The next place to deliver, and what numbers mean there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) epoch: Epoch,
    pub(super) predecessor: Epoch,
    pub(super) context: ContextId,
    pub(super) complete: bool,
    pub(super) rank: Rank,
    pub(super) next: Place,
    /// Number of the record of the source that was delivered last in this epoch; 0: none, or without order.
    pub(super) last: u64,
    /// Administrative messages delivered or declared, in the numbering of `generation`.
    pub(super) adm: Adm,
    pub(super) generation: Generation,
    /// How many that are is not known: what comes next in that numbering says it.
    pub(super) adopts: bool,
    /// Records that count less, or in a numbering that cannot be compared, are delivered: the application was told.
    pub(super) apart: bool,
    /// What the record that was delivered last counts, by itself: in whose numbering, how many.
    pub(super) led: Option<(Generation, Adm)>,
}

/// Where a record stands to the cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    Delivered,
    Next,
    Beyond,
    /// An administrative message that is none in the numbering in force.
    Fenced,
}

impl Cursor {
    /// The next-record rule (RM-14).
    pub(super) fn standing(&self, record: &Entry, fence: &Fence) -> Standing {
        if record.is_message() {
            let here = self.next.part == 0 && record.sseq < self.next.sseq;
            return match fence.standing(self, record) {
                Standing::Next if !here => Standing::Beyond,
                standing => standing,
            };
        }
        if record.place() < self.next {
            return Standing::Delivered;
        }
        if !self.is_at(record) {
            return Standing::Beyond;
        }
        let count = fence.count(self, record.generation, record.adm);
        // No message stands between the parts of one source message: whoever has the rest of one brings it.
        let begun = self.next.part != 0 && count != Count::Ahead;
        match begun || self.counts(count) {
            true => Standing::Next,
            false => Standing::Beyond,
        }
    }

    /// Whether nothing of the source is missing in front of a record that was not delivered.
    pub(super) fn is_at(&self, record: &Entry) -> bool {
        record.place() == self.next || (record.part == 0 && self.is_behind_all(record.prev))
    }

    /// First place that is not missing any more once this record is at hand. The rest of a message that was begun is,
    /// also where a record of a later one claims to follow an earlier one.
    pub(super) fn reach_of(&self, record: &Entry) -> Place {
        let begun = self.next.part != 0 && !record.is_message() && record.sseq > self.next.sseq;
        match begun {
            true => record
                .reach()
                .max(Place::start(self.next.sseq.saturating_add(1))),
            false => record.reach(),
        }
    }

    /// Whether nothing of the source is missing up to number `prev`: every message of it was delivered or declared.
    pub(super) const fn is_behind_all(&self, prev: u64) -> bool {
        self.next.part == 0 && prev < self.next.sseq
    }

    /// Whether a record that counts so many messages may be delivered (RM-25a).
    const fn counts(&self, count: Count) -> bool {
        match count {
            Count::As(adm) => {
                adm.0 == self.adm.0 || self.adopts || self.apart && adm.0 < self.adm.0
            }
            Count::Apart => self.apart,
            Count::Ahead => false,
        }
    }

    /// Whether a record lacks messages that were delivered, or counts some that were not valid: it does not lead.
    pub(super) fn outdoes(&self, count: Count) -> bool {
        match count {
            Count::As(adm) => adm < self.adm,
            Count::Apart => true,
            Count::Ahead => false,
        }
    }

    /// Where an administrative message stands by its own number. The last that can be counted has none behind
    /// it: nobody sends it, and it is never next.
    pub(super) fn standing_by_adm(&self, adm: Adm) -> Standing {
        match adm.cmp(&self.adm) {
            _ if adm.0 == u64::MAX => Standing::Delivered,
            core::cmp::Ordering::Less => Standing::Delivered,
            core::cmp::Ordering::Equal => Standing::Next,
            core::cmp::Ordering::Greater => Standing::Beyond,
        }
    }
}

impl Cursor {
    /// Whether a record says how the numbering in force counts.
    fn says_count(&self, entry: &Entry) -> bool {
        entry.generation == self.generation
    }

    /// Whether a record, or the next message, counts as the application does.
    fn is_counted_by(&self, fence: &Fence, entry: &Entry) -> bool {
        entry.is_message() || fence.count(self, entry.generation, entry.adm) == Count::As(self.adm)
    }

    /// Whether the count goes on elsewhere than records were told to count that cannot say it: messages are missing in
    /// between, and nobody knows which.
    fn leaps_to(&self, entry: &Entry) -> bool {
        self.adopts && self.apart && self.says_count(entry) && entry.adm != self.adm
    }

    /// Counts as the record does that is delivered, unless it lacks what was; returns how many administrative messages
    /// stand before it.
    fn take_count(&mut self, fence: &Fence, entry: &Entry) -> Adm {
        if entry.is_message() {
            self.adopts = false;
            self.adm = Adm(entry.adm.0.saturating_add(1));
            return entry.adm;
        }
        if self.adopts && !self.says_count(entry) {
            self.apart = true;
            return self.adm;
        }
        if self.adopts {
            (self.adopts, self.adm) = (false, entry.adm);
        }
        if self.apart {
            let counted = fence.count(self, entry.generation, entry.adm);
            self.apart = counted != Count::As(self.adm);
        }
        self.adm
    }
}

impl Source {
    pub(super) fn join(&mut self, leg: Leg, header: &Header, next: Place, adm: Adm) {
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
            last: 0,
            adm,
            generation: header.generation,
            adopts: false,
            apart: false,
            led: None,
        });
        (self.recount, self.to_lead_apart) = (false, false);
        self.given_up = None;
        if let Some(seen) = &mut self.seen {
            seen.reset(next.sseq);
        }
        self.announce = Some(DiscontinuityCause::Join);
        self.forget_counted_behind();
        self.messages_waited = None;
        self.in_front_of_join = None;
        self.ended = false;
    }

    /// Joins an unordered source before any record of its first datagram: at the lowest that can begin.
    pub(super) fn join_at_lowest(&mut self, leg: Leg, datagram: &Datagram<'_>) {
        if self.cursor.is_some() || self.seen.is_none() {
            return;
        }
        let begins =
            |record: &Record<'_>| record.part == 0 && record.kind != BodyKind::Administrative;
        let lowest = datagram
            .records()
            .filter(begins)
            .min_by_key(|record| record.sseq);
        if let Some(record) = lowest {
            self.join(
                leg,
                datagram.header(),
                Place::start(record.sseq),
                record.adm,
            );
        }
    }

    /// Moves the cursor over `entry` and tells what must be told before it. The caller hands over the
    /// record itself, so that state is sound whatever the handler does. Returns how many administrative messages stand
    /// before the record for this application.
    pub(super) fn deliver<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        entry: &Entry,
        out: &mut Out<'_, H>,
    ) -> Adm {
        let Some(mut cursor) = self.cursor else {
            return entry.adm;
        };
        self.tell_spoken(out);
        self.tell_recovered(out);
        if core::mem::take(&mut self.to_lead_apart) && cursor.is_counted_by(&self.fence, entry) {
            // What was waited for has come after all, in the very moment that nobody was to wait any longer.
            (cursor.apart, self.recount) = (false, false);
        }
        let ordered = self.seen.is_none();
        // A message that comes when records behind its place were delivered does not count for them.
        self.recount |= entry.is_message() && entry.sseq < cursor.last && !cursor.apart;
        self.recount |= cursor.leaps_to(entry);
        let at = if ordered && !entry.is_message() {
            entry.place()
        } else {
            cursor.next
        };
        self.tell_announced(at, out);
        let before = cursor.take_count(&self.fence, entry);
        if ordered && !entry.is_message() {
            // Nothing is missing in front of it.
            self.skipping = [false; 2];
            // An epoch that goes on behind its end has not ended.
            self.ended = false;
            (cursor.next, cursor.last) = (behind(entry), entry.sseq);
            cursor.led = Some((entry.generation, entry.adm));
        }
        self.cursor = Some(cursor);
        if !ordered && !entry.is_message() {
            self.see(entry, out);
        }
        let silence = out.now.since(self.last_delivery);
        for side in &mut self.legs {
            side.silence = side.silence.max(silence);
        }
        self.last_delivery = out.now;
        self.legs[leg.index()].wins += 1;
        out.counters.records += 1;
        before
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
        if self.seen.is_some() || hole.from == hole.until {
            return; // nothing waited behind it, or for a message only
        }
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
        let Some(cursor) = self.cursor else {
            return;
        };
        let cause = self.announce.take();
        // Where records are yet to lead apart, it is told in front of the first that does.
        let counted_apart = !self.to_lead_apart && core::mem::take(&mut self.recount);
        let recount = counted_apart && cause != Some(DiscontinuityCause::Join);
        let recount = recount.then_some(DiscontinuityCause::Administrative);
        self.given_up = None;
        for cause in [cause, recount].into_iter().flatten() {
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
    }
}

/// The place behind a record.
pub(super) fn behind(entry: &Entry) -> Place {
    if entry.is_last() {
        Place::start(entry.sseq.saturating_add(1))
    } else {
        Place {
            sseq: entry.sseq,
            part: entry.part.saturating_add(1),
        }
    }
}

impl Source {
    /// Gives a record to the application, or skips it when nobody could read it. The application stands behind
    /// it already; `adm`: how many administrative messages stand before it.
    pub(super) fn hand_over<H: Handler + ?Sized>(
        &self,
        (leg, adm): (Leg, Adm),
        entry: &Entry,
        body: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let Some(at) = &self.cursor else {
            return;
        };
        if let BodyKind::Unknown(_) = entry.kind {
            out.counters.skipped_kinds += 1;
            return;
        }
        out.handler.record(&Delivered {
            pos: Pos {
                sid: self.sid,
                epoch: at.epoch,
                sseq: entry.sseq,
                part: entry.part,
            },
            kind: entry.kind,
            flags: entry.flags,
            adm,
            leg,
            body,
            received_at: entry.received_at,
            sent_at: entry.sent_at,
            next: at.next,
            context: at.context,
            complete: at.complete,
            numbering: (!at.adopts).then_some(at.generation),
        });
    }
}
