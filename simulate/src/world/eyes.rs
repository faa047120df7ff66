//! What does a subscriber's arbiter meet, leg by leg, in the words of its table?

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Arbiter, Leg, LegState, LegStatus, Place};
use twinfeed_wire::{Flags, Header, Sid};

use super::oracle::Told;
use super::subscribers::sid_of;
use crate::coverage::Coverage;
use crate::coverage::divergence::{self, Before, Cause};
use crate::coverage::leg::{Event, Watch};

/// What is seen of both legs of one source.
#[derive(Debug)]
pub(super) struct Eyes {
    sid: Sid,
    legs: [Watch; 2],
    /// Since when each leg is behind the other one.
    behind: [Option<Time>; 2],
    divergence: divergence::Watch,
    /// How things stood when something was about to reach the arbiter.
    before: Option<Before>,
}

impl Eyes {
    /// On the legs of `sid`.
    pub(super) fn of(sid: Sid) -> Self {
        Self {
            sid,
            legs: [Watch::default(); 2],
            behind: [None; 2],
            divergence: divergence::Watch::of(sid),
            before: None,
        }
    }

    /// Something is about to reach the arbiter.
    pub(super) fn before(&mut self, arbiter: &Arbiter) {
        self.before = self.divergence.before(arbiter);
    }

    /// It has, and this was told.
    pub(super) fn after(
        &mut self,
        cause: Cause,
        told: &[Told],
        arbiter: &Arbiter,
        coverage: &mut Coverage,
    ) {
        let ours = told.iter().filter(|told| sid_of(told) == Some(self.sid));
        let events = ours.filter_map(|told| match told {
            Told::Event(event) => Some(event),
            Told::Record(_) => None,
        });
        let Some(before) = self.before.take() else {
            return;
        };
        let watch = &mut self.divergence;
        watch.after(before, cause, events, arbiter, coverage);
    }

    /// Time has passed; what that met is told.
    pub(super) fn look(&mut self, now: Time, arbiter: &Arbiter, coverage: &mut Coverage) {
        if let Some(both) = &self.both(arbiter) {
            self.look_at(now, both, arbiter, coverage);
        }
    }

    fn look_at(
        &mut self,
        now: Time,
        both: &[LegStatus; 2],
        arbiter: &Arbiter,
        coverage: &mut Coverage,
    ) {
        let limits = arbiter.limits();
        self.compare(now, both);
        for leg in Leg::BOTH {
            let (status, watch) = (&both[leg.index()], &mut self.legs[leg.index()]);
            let interval = match status.heartbeat.is_zero() {
                true => limits.heartbeat,
                false => status.heartbeat,
            };
            for event in watch.silences(now, interval, limits.missed_heartbeats) {
                coverage.hit(watch.meets(limits.policy, status, event));
            }
            let since = &mut self.behind[leg.index()];
            if since.is_some_and(|since| now.since(since) >= limits.lag_time) {
                *since = None;
                coverage.hit(watch.meets(limits.policy, status, Event::Still));
                if watch.never_moved {
                    // It stood still from its first word on, before which it was unheard.
                    coverage.hit(Watch::unheard(limits.policy, Event::Still));
                }
            }
        }
    }

    /// A datagram is about to reach the arbiter.
    pub(super) fn arrives(
        &mut self,
        now: Time,
        leg: Leg,
        bytes: &[u8],
        arbiter: &Arbiter,
        coverage: &mut Coverage,
    ) {
        let Ok(header) = Header::parse(bytes) else {
            return;
        };
        if header.sid != self.sid {
            return;
        }
        let both = self.both(arbiter);
        let Some(both) = &both else {
            return;
        };
        self.look_at(now, both, arbiter, coverage);
        let policy = arbiter.limits().policy;
        let (own, other) = (&both[leg.index()], &both[leg.other().index()]);
        if own.stream != Some(header.stream) {
            return;
        }
        let anew = own.incarnation != header.incarnation || own.state == LegState::Unheard;
        let (watch, flags) = (&mut self.legs[leg.index()], header.flags);
        let brings = match header.is_heartbeat() {
            true => Event::Beat,
            false if anew => Event::Anew,
            false => Event::Record,
        };
        let of_own = [
            Some(brings),
            (brings == Event::Anew && own.state == LegState::Unheard).then_some(Event::Record),
            flags
                .has(Flags::END_OF_STREAM)
                .then_some(Event::EndOfStream),
            flags.has(Flags::SOURCE_STALE).then_some(Event::SourceStale),
        ];
        for event in of_own.into_iter().flatten() {
            coverage.hit(watch.meets(policy, own, event));
        }
        watch.never_moved =
            brings == Event::Beat && (watch.never_moved || own.state == LegState::Unheard);
        let farewell = flags.has(Flags::END_OF_STREAM);
        watch.heard(now, farewell, anew);
        let word = match flags.has(Flags::PEER_LOST) {
            true => Event::PeerLost,
            false => Event::PeerThere,
        };
        coverage.hit(self.legs[leg.other().index()].meets(policy, other, word));
    }

    fn both(&self, arbiter: &Arbiter) -> Option<[LegStatus; 2]> {
        let status = |leg| arbiter.leg_status(self.sid, leg);
        Some([status(Leg::Zero)?, status(Leg::One)?])
    }

    fn compare(&mut self, now: Time, both: &[LegStatus; 2]) {
        let place = |status: &LegStatus| Place {
            sseq: status.next.sseq,
            part: status.next.part,
        };
        let same = both[0].next.epoch == both[1].next.epoch;
        for leg in [0, 1] {
            let behind = same && place(&both[leg]) < place(&both[1 - leg]);
            self.behind[leg] = match behind {
                true => self.behind[leg].or(Some(now)),
                false => None,
            };
        }
    }
}
