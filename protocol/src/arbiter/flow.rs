//! Can a datagram be taken without a decision?
//!
//! Nearly all can: a leg goes on where it was, and nothing waits for anything. Then the way of a datagram is short:
//!
//! ```text
//!  copy   every record lies in front of the cursor ──► counted; neither proven nor read     (the leg that is later)
//!  next   the same speaker, nothing undecided ───────► records in a row, straight from the datagram
//!  else   ───────────────────────────────────────────► `source`; from the next one on the short ways again
//! ```
//!
//! What the short ways do is what the long one would do: they leave out what would come to nothing. The one difference is that a *copy* is not
//! checked against corruption. Of what it says only this is believed: that its leg goes on, record by record, from where it stood, and no further than the
//! application has come. A number that was changed on its way leads from nowhere, and the datagram is proven.

use twinfeed_wire::{
    ContextId, Datagram, Epoch, Flags, Generation, Glance, Header, Record, Records, Speaker,
};

use super::cursor::{Cursor, behind};
use super::hold::Entry;
use super::source::{Out, Source};
use crate::event::{Handler, Leg, LegState, Place};

/// Whose datagram a leg brought last, if that was where the application is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    speaker: Speaker,
    generation: Generation,
    epoch: Epoch,
    context: ContextId,
}

/// What may be said all the time, and changes nothing when it is said again.
const USUAL: Flags = Flags::INCOMPLETE
    .with(Flags::UNSYNCHRONISED)
    .with(Flags::SOURCE_STALE);

impl Source {
    /// Takes in one datagram that says to be of this source stream, by the shortest way there is.
    pub(super) fn on_bytes<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) {
        // Not proven yet, and believed only where it does not matter.
        let goes_on = self.goes_on(leg, bytes);
        if goes_on && self.pass_over(leg, bytes, out) {
            return;
        }
        // Looked at where it was put: it is too large to be moved.
        match &Datagram::parse(bytes) {
            Ok(datagram) => {
                if !(goes_on && self.go_on(leg, datagram, out)) {
                    self.forget_short_ways();
                    self.on_datagram(leg, datagram, bytes, out);
                    self.note_short_ways();
                }
            }
            Err(malformed) => out.counters.rejected[malformed.index()] += 1,
        }
    }

    /// Takes in a datagram of which [`Source::goes_on`] said that it goes on where its leg was, and which brings nothing that was not delivered;
    /// `false` where that is not sure, and nothing has changed.
    pub(super) fn pass_over<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) -> bool {
        let Some((cursor, glance)) = self.cursor.as_ref().zip(Glance::at(bytes)) else {
            return false;
        };
        if glance.first_sseq() >= cursor.next.sseq || glance.adm > cursor.adm.0 {
            return false;
        }
        let side = &self.legs[leg.index()];
        let Some(stretch) = glance.stretch().filter(|_| side.follows(glance.dsn)) else {
            return false;
        };
        // A number that was changed on its way does not join where its leg stood, and is proven first.
        let stands = side.view(cursor.epoch).map(|view| view.next);
        let joins = stands.is_some_and(|stands| {
            let (sseq, part) = stretch.first;
            Place { sseq, part } <= stands
                || part == 0 && stands.part == 0 && stretch.prev < stands.sseq
        });
        let passed = Place::start(stretch.end);
        if !joins || passed > cursor.next {
            return false;
        }
        let epoch = cursor.epoch;
        self.hear_next(leg, out);
        self.short_ways[0] += 1;
        let copies = u64::from(glance.count);
        out.counters.duplicates += copies;
        let side = &mut self.legs[leg.index()];
        side.offered += copies;
        side.duplicates += copies;
        if let Some(view) = side.view_mut(epoch) {
            view.on_record(passed, true);
        }
        self.note_place(leg, stretch.end - 1, out.now);
        true
    }

    /// Takes in a datagram of which [`Source::goes_on`] said that it goes on where its leg was; `false` where it leads or counts too far for that,
    /// and nothing has changed.
    pub(super) fn go_on<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        out: &mut Out<'_, H>,
    ) -> bool {
        let header = datagram.header();
        let (side, Some(cursor)) = (&self.legs[leg.index()], &self.cursor) else {
            return false;
        };
        let Some(place) = side.short else {
            return false;
        };
        let reached = side.views[place].map_or(0, |view| view.next.sseq);
        let most_adm = cursor.adm.0.saturating_add(out.limits.adm_window);
        if !side.follows(header.dsn)
            || datagram.highest_sseq() > reached.saturating_add(out.limits.window)
            || datagram.highest_adm().0 > most_adm
        {
            return false;
        }
        self.hear_next(leg, out);
        self.short_ways[1] += 1;
        let turn = self.legs[leg.index()].views[place].map_or(0, |view| view.turn);
        let left = self.flow(leg, place, (turn, header), datagram.records(), out);
        let Some((first, rest)) = left else {
            self.note_arrival(leg, datagram, out.now);
            return true;
        };
        self.forget_short_ways();
        for record in core::iter::once(first).chain(rest) {
            self.on_record(leg, turn, header, &record, out);
        }
        self.note_arrival(leg, datagram, out.now);
        if self.unsettled(header) {
            self.settle(out);
        }
        if self.owed_switch.is_some() {
            self.tell_owed(out);
        }
        self.note_short_ways();
        true
    }

    /// Whether a datagram comes from where its leg was, and nothing waits for a decision that one could bring about.
    #[inline]
    pub(super) fn goes_on(&self, leg: Leg, bytes: &[u8]) -> bool {
        let side = &self.legs[leg.index()];
        debug_assert!(
            side.short.is_none() || side.short == self.short(leg),
            "what changed was noted"
        );
        let speaks = |known: &Known| known.speaker.speaks_in(bytes);
        side.short.is_some() && side.known.as_ref().is_some_and(speaks)
    }

    /// Nothing is noted of either leg until something is decided: a handler that panics meanwhile leaves no note behind that is no longer true.
    pub(super) fn forget_short_ways(&mut self) {
        self.legs.iter_mut().for_each(|side| side.short = None);
    }

    /// Notes of both legs whether their next datagrams may take short ways: behind everything that can change it, which these ways themselves cannot.
    pub(super) fn note_short_ways(&mut self) {
        for leg in Leg::BOTH {
            self.legs[leg.index()].short = self.short(leg);
        }
    }

    /// Whether the next datagram of a leg may take a short way if it is one of the same speaker, and then of which view it is.
    fn short(&self, leg: Leg) -> Option<usize> {
        let side = &self.legs[leg.index()];
        let (known, cursor) = side.known.as_ref().zip(self.cursor.as_ref())?;
        let place = side.place_of(known.epoch)?;
        let view = side.views[place].as_ref()?;
        let may = known.is_at(cursor)
            && cursor.generation >= self.fence.newest()
            && self.is_calm()
            && side.state == LegState::Live
            && !(side.standby || side.stepped_down)
            && side.counted_behind.is_none()
            && view.context == known.context
            && view.ended.is_none();
        may.then_some(place)
    }

    /// Whether nothing is undecided that a record could decide, and nothing is to be told in front of one.
    fn is_calm(&self) -> bool {
        let held = |leg: Leg| {
            let side = &self.legs[leg.index()];
            !(side.hold.is_empty() && side.quarantine.is_empty())
        };
        let waits = held(Leg::Zero)
            || held(Leg::One)
            || self.hole.is_some()
            || self.owed_since.is_some()
            || self.outranked_since.is_some()
            || self.owed_switch.is_some();
        let to_tell = self.announce.is_some()
            || self.recount
            || self.to_lead_apart
            || self.given_up.is_some()
            || self.stale;
        let apart = self.pin.is_set()
            || self.ended
            || self.catching_up
            || self.skipping != [false; 2]
            || self.ordered.is_some()
            || self.left.is_some()
            || self.seen.is_some()
            || self.pressure.is_some();
        self.flows && !(waits || to_tell || apart)
    }

    /// Remembers whose datagram was taken in the long way, if the next one may take a short one.
    pub(super) fn remember(&mut self, leg: Leg, datagram: &Datagram<'_>, bytes: &[u8]) {
        let header = datagram.header();
        let side = &mut self.legs[leg.index()];
        let usual = header.flags.without(USUAL) == Flags::default();
        side.known = match usual && side.was_next(header) {
            true => Speaker::of(datagram, bytes).map(|speaker| Known {
                speaker,
                generation: header.generation,
                epoch: header.epoch,
                context: header.context,
            }),
            false => None,
        };
    }

    /// Notes that the next datagram of a leg came.
    fn hear_next<H: Handler + ?Sized>(&mut self, leg: Leg, out: &Out<'_, H>) {
        self.legs[leg.index()].hear_next(out.now, out.counters.gap_messages);
        self.legs[leg.other().index()].hint = None;
    }

    /// Delivers and drops records as long as each is the next one, or was delivered; answers the first that is neither, and those behind it.
    fn flow<'d, H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        view: usize,
        (turn, header): (u32, &Header),
        mut records: Records<'d>,
        out: &mut Out<'_, H>,
    ) -> Option<(Record<'d>, Records<'d>)> {
        let relied_on = self.is_relied_on(leg, out.limits);
        loop {
            let record = records.next()?;
            let entry = Entry::of(turn, header, &record, out.now);
            let Some(cursor) = &mut self.cursor else {
                return Some((record, records));
            };
            let next = behind(&entry);
            if entry.is_message() {
                return Some((record, records));
            } else if entry.place() < cursor.next {
                out.counters.duplicates += 1;
                let side = &mut self.legs[leg.index()];
                side.offered += 1;
                side.duplicates += 1;
            } else if relied_on && record.adm == cursor.adm && cursor.is_at(&entry) {
                (cursor.next, cursor.last) = (next, entry.sseq);
                cursor.led = Some((entry.generation, entry.adm));
                let silence = out.now.since(self.last_delivery);
                for side in &mut self.legs {
                    side.silence = side.silence.max(silence);
                }
                self.last_delivery = out.now;
                let side = &mut self.legs[leg.index()];
                side.offered += 1;
                side.wins += 1;
                out.counters.records += 1;
                self.hand_over((leg, entry.adm), &entry, record.body, out);
            } else {
                return Some((record, records));
            }
            if let Some(view) = &mut self.legs[leg.index()].views[view] {
                view.on_record(next, true);
            }
        }
    }
}

impl Known {
    /// Whether the application is there, and counts as its records do.
    fn is_at(&self, cursor: &Cursor) -> bool {
        (self.generation, self.epoch, self.context)
            == (cursor.generation, cursor.epoch, cursor.context)
            && !(cursor.adopts || cursor.apart)
    }
}
