//! What follows from a leg that says that it is silent on purpose?
//!
//! Of a leg on standby two things are known: that it lives, and that it is silent. Where it stands it does not say, so
//! nothing waits for it, nothing is declared for its sake, it is neither behind nor the one that goes on, and its
//! context is nobody's. What it brings when it transmits after all is its stream, late: then it is a leg as any other.
//!
//! A switch to it is told when it has brought something: before that nobody goes on. `Stale` is told when it does not in
//! time.

use twinfeed_wire::{Datagram, Flags, Header, Heartbeat};

use super::leg::{Hint, LegSide};
use super::source::{Out, Source};
use crate::event::{DiscontinuityCause, Handler, Leg, LegState};
use crate::limits::Limits;
use crate::receipt::Trigger;
use crate::time::Time;

/// A switch to a leg on standby, which is told once that leg goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) from: Leg,
    pub(super) trigger: Trigger,
    pub(super) hint: Option<Hint>,
    /// Records delivered from the other leg when it was decided.
    pub(super) wins: u64,
}

impl LegSide {
    /// Whether it lives and sends what it has.
    pub(super) fn transmits(&self) -> bool {
        self.state == LegState::Live && !self.standby
    }
}

impl Source {
    /// A leg says that it lives and is silent.
    pub(super) fn on_standby<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        datagram: &Datagram<'_>,
        late: bool,
        out: &mut Out<'_, H>,
    ) {
        let header = datagram.header();
        self.heard(leg, header, late, out);
        if late {
            return;
        }
        let side = &mut self.legs[leg.index()];
        side.standby = true;
        side.counted_behind = None;
        side.generation = header.generation;
        side.source_stale = header.flags.has(Flags::SOURCE_STALE);
        if let Some(heartbeat) = datagram.heartbeat() {
            side.note_interval(&heartbeat);
            self.compare_digests(leg, header, &heartbeat, out);
        }
        if header.flags.has(Flags::END_OF_STREAM) {
            self.legs[leg.index()].stepped_down = true;
            self.lose(leg, Trigger::StepDown, out);
        }
        self.settle(out);
    }

    /// Compares what a leg says of whole ranges with what the other one said.
    pub(super) fn compare_digests<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        header: &Header,
        heartbeat: &Heartbeat<'_>,
        out: &mut Out<'_, H>,
    ) {
        let elsewhere = self.cursor.is_none_or(|it| it.epoch != header.epoch);
        if elsewhere && self.announce == Some(DiscontinuityCause::Join) {
            // Where it joined may be nobody's, and nothing is told there for this end's sake. What ranges hold is said again.
            return;
        }
        for digest in heartbeat.digests() {
            let [zero, one] = &mut self.legs;
            let (this, other) = if leg == Leg::Zero {
                (zero, one)
            } else {
                (one, zero)
            };
            let of = (header.epoch, header.context);
            if let Some(same) = this.digests.compare(&other.digests, of, digest) {
                self.compared(same, (header.epoch, digest.range), out);
            }
        }
    }

    /// Until when a leg on standby is expected to go on, now that the other one is lost: both its adapter and this
    /// end wait for as many intervals before they miss it.
    pub(super) fn standby_due(&self, limits: &Limits) -> Option<Time> {
        let waits = |leg: &Leg| {
            let lost = self.legs[leg.other().index()].state == LegState::Lost;
            let side = &self.legs[leg.index()];
            lost && side.standby && side.state == LegState::Live
        };
        let lost = Leg::BOTH.into_iter().find(waits)?.other();
        let side = &self.legs[lost.index()];
        let patience = side.heartbeat * limits.missed_heartbeats;
        Some(side.last_heard.after(patience * 2))
    }

    /// Tells the switch that is owed, once the leg that was on standby goes on.
    pub(super) fn tell_owed<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        let goes_on = |owed: &mut Owed| self.legs[owed.from.other().index()].wins > owed.wins;
        if let Some(owed) = self.owed_switch.take_if(|owed| goes_on(owed)) {
            self.switch(owed.from, owed.trigger, owed.hint, out);
        }
    }
}
