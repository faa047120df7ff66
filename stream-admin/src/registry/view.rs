//! Which documents are drawn from a feed?
//!
//! [`Assignment`] for its adapters, [`Grant`] for its subscribers, [`FeedStatus`] for people. Each is
//! whole: whoever has the latest one needs none of the earlier.

use twinfeed_control::{
    AdapterId, Assignment, Destination, FeedStatus, Grant, GrantedLeg, GrantedStream, Incarnation,
    LegIndex, LegStatus, PairStatus, Peer, Role, SubscriptionState,
};

use super::feed::{Feed, Occupant, preferred_role};
use super::orders;
use super::protection::{self, unprotected_because};
use super::roles::{self, Handover};
use super::settings::Settings;
use super::subscription::Subscription;
use crate::lease::Now;

impl Feed {
    /// What an adapter is to be, as told to one incarnation of it: the one that sits there, or one
    /// that was replaced.
    pub(super) fn assignment(
        &self,
        leg: LegIndex,
        incarnation: Incarnation,
        now: Now,
        settings: &Settings,
    ) -> Assignment {
        let seated = self.pair.incarnation(leg);
        Assignment {
            adapter: self.adapter_id(leg),
            incarnation,
            replaced_by: seated.filter(|seated| *seated != incarnation),
            generation: self.pair.generation(),
            role: self.pair.role(leg).unwrap_or(preferred_role(leg)),
            lease_ms: settings.adapter_lease_ms,
            streams: self.stream_ids(leg),
            peer: self.peer(leg.other(), now),
            destinations: self.destinations(leg),
            fill_clients: self.fill_clients(),
            constraints: self.settings.constraints.clone(),
            orders: match self.pair.role(leg) {
                Some(Role::Active) => orders::for_active(&self.orders, self.pair.generation()),
                _ => Vec::new(),
            },
            step_down: match self.pair.role(leg) {
                Some(Role::Active) => self.handover.as_ref().map(Handover::order),
                _ => None,
            },
            revision: self.revision,
        }
    }

    fn peer(&self, leg: LegIndex, now: Now) -> Option<Peer> {
        let registration = &self.seat(leg)?.registration;
        Some(Peer {
            adapter: self.adapter_id(leg),
            incarnation: registration.incarnation,
            role: self.pair.role(leg)?,
            config_digest: registration.config_digest,
            link_address: registration.link_address,
            snapshots: registration.snapshots,
            alive: self.pair.is_alive(leg, now),
            streams: self.stream_ids(leg),
        })
    }

    fn destinations(&self, leg: LegIndex) -> Vec<Destination> {
        let open = self.open_subscriptions().filter_map(|subscription| {
            let record = &subscription.record;
            Some(Destination {
                subscription: record.subscription.clone(),
                sids: record.request.sids.clone(),
                address: record.request.destinations?[leg.index()],
            })
        });
        open.collect()
    }

    /// Whoever receives a feed may ask for what was lost of it, either adapter.
    fn fill_clients(&self) -> Vec<Destination> {
        let open = self.open_subscriptions().filter_map(|subscription| {
            let record = &subscription.record;
            Some(Destination {
                subscription: record.subscription.clone(),
                sids: record.request.sids.clone(),
                address: record.request.fills?,
            })
        });
        open.collect()
    }

    /// Both legs, or the reason why there are none any more.
    pub(super) fn grant(
        &self,
        subscription: &Subscription,
        now: Now,
        settings: &Settings,
    ) -> Grant {
        let access = subscription.state();
        let legs = match access {
            SubscriptionState::Open => LegIndex::BOTH
                .map(|leg| self.granted_leg(leg, subscription, now))
                .to_vec(),
            SubscriptionState::Closed { .. } => Vec::new(),
        };
        Grant {
            subscription: subscription.record.subscription.clone(),
            feed: self.settings.name.clone(),
            access,
            generation: self.pair.generation(),
            legs,
            constraints: self.settings.constraints.clone(),
            lease_ms: settings.subscription_lease_ms,
            revision: self.revision,
        }
    }

    fn granted_leg(&self, leg: LegIndex, subscription: &Subscription, now: Now) -> GrantedLeg {
        let word = self.leg_word(leg, now);
        let selected = &subscription.record.request.sids;
        let registration = self.seat(leg).map(|seat| &seat.registration);
        let offered = registration.map_or(&[][..], |registration| &registration.streams);
        let streams = offered
            .iter()
            .filter(|stream| selected.contains(stream.sid));
        let granted = streams.filter_map(|stream| {
            Some(GrantedStream {
                sid: stream.sid,
                stream_id: *self.streams.get(&(leg, stream.sid))?,
                transport: stream.transport.clone(),
            })
        });
        GrantedLeg {
            leg,
            preferred_role: preferred_role(leg),
            role: registration.and_then(|_| self.pair.role(leg)),
            adapter: self.adapter_id(leg),
            incarnation: registration.map(|registration| registration.incarnation),
            streams: granted.collect(),
            fills: registration.and_then(|registration| registration.fills),
            snapshots: registration.and_then(|registration| registration.snapshots),
            ring: registration.and_then(|registration| registration.ring.clone()),
            state: word.state,
            reason: word.reason,
        }
    }

    /// Everything an operator sees of the feed.
    pub(super) fn status(&self, now: Now) -> FeedStatus {
        let (mut open, closed): (Vec<_>, Vec<_>) = self
            .subscriptions
            .values()
            .partition(|subscription| subscription.is_open());
        open.extend(closed.into_iter().rev());
        FeedStatus {
            feed: self.settings.name.clone(),
            revision: self.revision,
            pair: self.pair_status(now),
            legs: LegIndex::BOTH.map(|leg| self.leg_status(leg, now)).to_vec(),
            constraints: self.settings.constraints.clone(),
            subscriptions: open
                .into_iter()
                .map(|subscription| subscription.view(now))
                .collect(),
            receipts: self
                .receipts
                .iter()
                .rev()
                .map(|record| record.received.clone())
                .collect(),
            orders: self
                .orders
                .iter()
                .rev()
                .take(ORDERS_SHOWN)
                .cloned()
                .collect(),
            roles: roles::latest(&self.roles),
        }
    }

    /// Why the pair is not protected; `None` when it is.
    pub(super) fn unprotected(&self, now: Now) -> Option<String> {
        let words = LegIndex::BOTH.map(|leg| self.leg_word(leg, now));
        let legs = LegIndex::BOTH.map(|leg| protection::Leg {
            state: words[leg.index()].state,
            reason: &words[leg.index()].reason,
            role: self.pair.role(leg),
            config_digest: self.seat(leg).map(|seat| seat.registration.config_digest),
            report: self.seat(leg).and_then(|seat| seat.last_report()),
        });
        let constraints = &self.settings.constraints;
        let common = (constraints.sync_threshold, constraints.transmit);
        unprotected_because(self.pair.generation(), common, legs)
    }

    pub(super) fn pair_status(&self, now: Now) -> PairStatus {
        let reports = LegIndex::BOTH.map(|leg| self.seat(leg).and_then(Occupant::last_report));
        let in_force = reports.map(|report| report.map(|report| report.sync_threshold));
        let mut reason = self.unprotected(now);
        if let (Some(reason), Some(Err(why))) = (&mut reason, self.silent_actives_heir(now)) {
            reason.push_str("; its backup does not take over by itself: ");
            reason.push_str(why);
        }
        let source_lost = self.source_lost(now).unwrap_or_default();
        if let (Some(reason), false) = (&mut reason, source_lost.is_empty()) {
            reason.push_str("; ");
            reason.push_str(&source_lost);
        }
        PairStatus {
            generation: self.pair.generation(),
            protected: reason.is_none(),
            reason: reason.unwrap_or_default(),
            sync_threshold: in_force[0].filter(|one| in_force[1] == Some(*one)),
            pinned: self.pair.pinned().map(|leg| self.adapter_id(leg)),
            takeover: Some(self.settings.takeover),
            source_lost,
            hand_back: self.hand_back_word(),
        }
    }

    fn leg_status(&self, leg: LegIndex, now: Now) -> LegStatus {
        let word = self.leg_word(leg, now);
        let seat = self.seat(leg);
        let registration = seat.map(|seat| &seat.registration);
        let report = seat.and_then(|seat| seat.report.as_ref());
        LegStatus {
            leg,
            adapter: self.adapter_id(leg),
            preferred_role: preferred_role(leg),
            role: registration.and_then(|_| self.pair.role(leg)),
            incarnation: registration.map(|registration| registration.incarnation),
            config_digest: registration.map(|registration| registration.config_digest),
            state: word.state,
            data: word.data,
            reason: word.reason,
            unverified: seat.is_some_and(|seat| seat.unverified),
            lease_remaining_ms: self.pair.lease(leg).remaining_ms(now),
            report_age_ms: report.map(|(at, _)| now.since(*at)),
            operations_address: registration.and_then(|known| known.operations_address.clone()),
            streams: self.stream_ids(leg),
            report: report.map(|(_, report)| report.clone()),
        }
    }

    /// The leg that an adapter id names, when it is one of this feed.
    pub(super) fn leg_named(&self, id: &AdapterId) -> Option<LegIndex> {
        LegIndex::BOTH
            .into_iter()
            .find(|leg| self.adapter_id(*leg) == *id)
    }
}

/// How many of the latest orders an operator sees at a glance; all that are kept are asked for by themselves.
const ORDERS_SHOWN: usize = 16;
