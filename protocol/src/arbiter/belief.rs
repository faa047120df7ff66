//! Is what a datagram claims believed?
//!
//! ```text
//!              absurd: far beyond everything known, or a new epoch
//!  datagram ──┬──────────────────────────────► quarantine ──┬─ confirmed ─► process
//!             │                                             └─ taken back ─► dropped, counted
//!             └─ believed ─► process, and with it what waited and leads no further, each in its sender's turn
//! ```
//!
//! `quarantine` keeps the datagrams; here is decided which of them are in doubt and when they are not any
//! more (RM-14a). Before that no Gap is declared and nothing is delivered for their sake.

use twinfeed_wire::{Datagram, Epoch};

use super::cursor::Cursor;
use super::leg::LegSide;
use super::owed::GENERATION_STRIDE;
use super::quarantine::{Claim, Stride};
use super::source::{Out, Source};
use crate::event::{Handler, Leg};
use crate::limits::Limits;

impl Source {
    /// Whether a datagram of `leg` claims what nobody would believe from one datagram (RM-14a).
    pub(super) fn is_absurd(&self, leg: Leg, claim: &Claim, limits: &Limits) -> bool {
        let Some(cursor) = self.cursor else {
            // Nothing is known but of which epochs somebody speaks, and, where something came at which nothing is joined, where.
            let speaks = |epoch| self.legs.iter().any(|side| side.view(epoch).is_some());
            let anybody = self.legs.iter().any(|side| side.latest().is_some());
            return anybody && (!speaks(claim.epoch) || self.leaps(claim, limits));
        };
        if self.counts_far(&cursor, claim, limits) {
            return true;
        }
        let Some(view) = self.legs[leg.index()].view(claim.epoch) else {
            // An epoch that the other leg has moved to, or is in, is confirmed.
            return claim.epoch != cursor.epoch
                && self.legs[leg.other().index()].view(claim.epoch).is_none()
                || self.is_far(claim, limits);
        };
        let believed = view.next.sseq.saturating_add(self.stride(limits));
        claim.lead > believed && self.is_far(claim, limits)
    }

    /// Whether a datagram counts administrative messages, or generations, beyond everything known.
    pub(super) fn counts_far(&self, cursor: &Cursor, claim: &Claim, limits: &Limits) -> bool {
        let stride = self.strides(limits);
        let newest = self.fence.newest().max(cursor.generation);
        // No leg needs to be looked at for what is as good as always.
        let near = claim.adm.0 <= cursor.adm.0.saturating_add(stride.adm);
        let said = || {
            let views = self.legs.iter().flat_map(LegSide::views);
            views.map(|view| view.beat_adm).max().unwrap_or_default()
        };
        claim.generation.0 > newest.0.saturating_add(stride.generation)
            || !near && claim.adm.0 > said().0.saturating_add(stride.adm)
    }

    /// How far a single datagram is believed.
    fn strides(&self, limits: &Limits) -> Stride {
        Stride {
            sseq: self.stride(limits),
            adm: limits.adm_window,
            generation: GENERATION_STRIDE,
        }
    }

    /// Whether a datagram leads beyond everything known of its epoch by more than the stride.
    fn is_far(&self, claim: &Claim, limits: &Limits) -> bool {
        // Of an unordered source that is the floor: what one absurd record reached proves nothing for the next.
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
        let stride = self.stride(limits);
        known.is_some_and(|known| claim.lead > known.saturating_add(stride))
    }

    /// Whether a datagram leads, by more than the stride, beyond all that has come of its epoch before anything was joined: messages, and
    /// what is left of one that was begun.
    fn leaps(&self, claim: &Claim, limits: &Limits) -> bool {
        let furthest = |side: &LegSide| {
            let turn = side.view(claim.epoch)?.turn;
            let of = side.hold.iter().filter(|entry| entry.turn == turn);
            of.map(|entry| entry.sseq).max()
        };
        let known = self.legs.iter().filter_map(furthest).max();
        let stride = self.stride(limits);
        known.is_some_and(|known| claim.lead > known.saturating_add(stride))
    }

    /// How many numbers beyond the next one a single datagram is believed. Without order a record is
    /// delivered wherever it stands, and one beyond what is remembered would make that forget true numbers.
    fn stride(&self, limits: &Limits) -> u64 {
        match self.seen {
            None => limits.window,
            Some(_) => limits.window.min(limits.seen_window as u64 - 1),
        }
    }

    /// What a datagram claims.
    pub(super) fn claim(&self, datagram: &Datagram<'_>, limits: &Limits) -> Claim {
        let header = datagram.header();
        let sseq = datagram.highest_sseq();
        let lead = last_jump(datagram, self.stride(limits));
        Claim {
            dsn: header.dsn,
            epoch: header.epoch,
            lead,
            sseq,
            heartbeat: header.is_heartbeat(),
            generation: header.generation,
            adm: datagram.highest_adm(),
            before: datagram
                .heartbeat()
                .filter(|_| header.predecessor.is_some())
                .map(|beat| (header.predecessor, beat.beat.predecessor_next)),
        }
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

    pub(super) fn quarantine<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        bytes: &[u8],
        out: &mut Out<'_, H>,
    ) {
        let claim = self.claim(datagram, out.limits);
        let stride = self.strides(out.limits);
        out.counters.quarantined += 1;
        let [this, other] = [leg, leg.other()].map(Leg::index);
        if let Some(dropped) = self.legs[this].quarantine.keep(claim, bytes) {
            if !dropped.heartbeat {
                self.overflow.note(dropped.epoch, dropped.sseq);
            }
            out.counters.quarantine_overflow += 1;
        }
        if self.legs[other].quarantine.agrees_with(&claim, stride)
            || self.legs[this].quarantine.confirms_itself(stride)
        {
            self.release_believed(&Leg::BOTH, &claim, |_| true, out);
        }
    }

    /// Processes what waited of these legs, is `wanted`, and is covered by `confirmed`, or is not absurd any
    /// more for what has become known meanwhile; the rest goes on waiting. Of each leg in the order in which it was sent:
    /// whatever overtook another while it waited could leave no room for that, or lead on to another context, and what is at
    /// hand would be declared missing. Of two legs whoever begins further back comes first, and what is of another epoch than
    /// the one that is confirmed, for the same reason.
    pub(super) fn release_believed<H: Handler + ?Sized>(
        &mut self,
        legs: &[Leg],
        confirmed: &Claim,
        wanted: impl Fn(&Claim) -> bool,
        out: &mut Out<'_, H>,
    ) {
        let stride = self.strides(out.limits);
        loop {
            let first = |&leg: &Leg| {
                let believed = |waiting: &Claim| {
                    waiting.is_covered_by(confirmed, stride)
                        || !self.is_absurd(leg, waiting, out.limits)
                };
                let mut first: Option<(&Claim, usize)> = None;
                let waiting = self.legs[leg.index()].quarantine.claims();
                for (index, claim) in waiting.enumerate() {
                    // Most stand in order: what comes behind one that was found needs no further look.
                    let sooner = first.is_none_or(|(it, _)| claim.dsn < it.dsn);
                    if sooner && wanted(claim) && believed(claim) {
                        first = Some((claim, index));
                    }
                }
                first.map(|(claim, index)| {
                    let at = (claim.epoch == confirmed.epoch, claim.lead, claim.sseq);
                    (at, leg, index)
                })
            };
            let next = legs.iter().filter_map(first).min();
            let Some((_, leg, index)) = next else { return };
            let Some(slot) = self.legs[leg.index()].quarantine.take(index) else {
                return;
            };
            let buffer = self.legs[leg.index()].quarantine.lend(slot);
            if let Ok(datagram) = Datagram::parse(&buffer) {
                let header = datagram.header();
                if !self.is_over(leg, header.epoch, header.predecessor) {
                    self.process(leg, &datagram, false, out);
                }
            }
            self.legs[leg.index()].quarantine.give_back(slot, buffer);
        }
    }

    /// Processes what waited of `leg`, of another epoch, and is confirmed by what the other one says: the end of the epoch
    /// before, to which that leads, would call it missing.
    pub(super) fn release_in_front<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        confirmed: &Claim,
        out: &mut Out<'_, H>,
    ) {
        if self.legs[leg.index()].quarantine.newest().is_some() {
            let in_front = |waiting: &Claim| waiting.epoch != confirmed.epoch;
            self.release_believed(&[leg], confirmed, in_front, out);
        }
    }

    /// Decides about what waited and was sent before this datagram, now that its sender goes on: believed with it when it
    /// leads no further, dropped when the sender goes on as if it had never said it. Who goes on to another epoch takes
    /// back nothing of those it was in before.
    pub(super) fn judge_waiting<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        out: &mut Out<'_, H>,
    ) {
        if self.legs[leg.index()].quarantine.newest().is_none() {
            return;
        }
        let claim = self.claim(datagram, out.limits);
        self.release_believed(&[leg], &claim, |waiting| waiting.dsn < claim.dsn, out);
        let at = self.cursor.map(|cursor| cursor.epoch);
        let side = &mut self.legs[leg.index()];
        if side.quarantine.newest().is_none_or(|it| claim.dsn <= it) {
            return;
        }
        let was_in = |epoch| side.views.iter().flatten().any(|view| view.epoch == epoch);
        let stays = |waiting: &Claim| {
            waiting.epoch != claim.epoch && (Some(waiting.epoch) == at || was_in(waiting.epoch))
        };
        // Who goes on to another epoch may have spoken in one that nothing has confirmed by then: it has arrived.
        let left = side.quarantine.claims();
        let left = left.filter(|waiting| {
            waiting.epoch != claim.epoch && !waiting.heartbeat && !stays(waiting)
        });
        for waiting in left {
            self.overflow.note(waiting.epoch, waiting.sseq);
        }
        let dropped = side.quarantine.retain(stays);
        out.counters.quarantine_dropped += dropped;
        side.faults.doubted += dropped;
    }
}

/// The number behind the last hole that a datagram opens: its lowest, for the hole in front of it, unless one leaps by
/// more than `stride` beyond every other that is below. Whoever goes there in small steps leaps nowhere, in whatever order.
fn last_jump(datagram: &Datagram<'_>, stride: u64) -> u64 {
    if datagram.header().is_heartbeat() {
        return datagram.highest_sseq();
    }
    let base = datagram.header().base_sseq;
    if datagram.highest_sseq() - base <= stride {
        return base; // as good as always: no record needs to be looked at
    }
    let leaps = |number: u64| {
        let near = |other: u64| other < number && number - other <= stride;
        !near(base) && !datagram.records().any(|record| near(record.sseq))
    };
    let numbers = datagram.records().map(|record| record.sseq);
    numbers
        .filter(|number| *number > base && leaps(*number))
        .max()
        .unwrap_or(base)
}
