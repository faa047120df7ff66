//! What is known of one feed: its pair, its seats' last words, its subscribers, its history.
//!
//! The documents drawn from it are in `view`; what may change it, and who must be told, is in the
//! parent module.

use std::collections::{BTreeMap, VecDeque};

use twinfeed_control::{
    AdapterId, AdapterStatus, ConfigDigest, DataState, LegIndex, LegState, OrderRecord, Register,
    Role, RoleCause, RoleChange, Sid, StreamAssignment, StreamId, SubscriptionId, Trigger,
    presumption_ms,
};

use super::hand_back::Turn;
use super::hearing::Hearing;
use super::pair::Pair;
use super::record::{FeedRecord, ReceiptRecord};
use super::roles::Handover;
use super::settings::FeedSettings;
use super::sources::Source;
use super::subscription::Subscription;
use crate::lease::Now;

#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) settings: FeedSettings,
    pub(super) pair: Pair,
    pub(super) seats: [Option<Occupant>; 2],
    pub(super) streams: BTreeMap<(LegIndex, Sid), StreamId>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Closed ones, oldest first.
    pub(super) closed: VecDeque<SubscriptionId>,
    /// Oldest first.
    pub(super) receipts: VecDeque<ReceiptRecord>,
    /// Oldest first.
    pub(super) orders: VecDeque<OrderRecord>,
    /// Oldest first.
    pub(super) roles: VecDeque<RoleChange>,
    pub(super) handover: Option<Handover>,
    /// Until when no hand-over is begun for a source that the active has lost.
    pub(super) source_rest_until: Now,
    /// What is told of each source's silence.
    pub(super) sources: BTreeMap<Sid, Source>,
    /// How far today's hand-back has come.
    pub(super) turn: Turn,
    /// When generations were taken over without an operator within the last minute, oldest first.
    pub(super) automatic: VecDeque<Now>,
    /// Settled changes of roles since this server started, by cause and outcome.
    pub(super) role_counts: BTreeMap<(RoleCause, &'static str), u64>,
    /// Messages about silent sources since this server started, by kind and outcome.
    pub(super) source_counts: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) revision: u64,
    /// What watchers were last told of the legs; a difference is a new revision.
    pub(super) shown: [(LegState, String); 2],
    /// Since this server started.
    pub(super) takeovers: u64,
    /// Since this server started.
    pub(super) switches: BTreeMap<Trigger, u64>,
}

/// Whoever sits in a seat, in its own words.
#[derive(Clone, Debug)]
pub(super) struct Occupant {
    pub(super) registration: Register,
    /// Saved by an earlier run of this server, and not heard of in this one.
    pub(super) presumed: bool,
    /// Resumed by itself, and has not yet acted under a generation granted here.
    pub(super) unverified: bool,
    /// The last report, and when; none since this server started, or since it registered.
    pub(super) report: Option<(Now, AdapterStatus)>,
    /// Since when its reports have said what the last one says of its sources.
    pub(super) hearing: Hearing,
}

/// What stream-admin says of a leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LegWord {
    pub(super) state: LegState,
    pub(super) data: DataState,
    pub(super) reason: String,
}

impl Feed {
    pub(super) fn new(settings: FeedSettings) -> Self {
        Self {
            settings,
            pair: Pair::default(),
            seats: [None, None],
            streams: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            closed: VecDeque::new(),
            receipts: VecDeque::new(),
            orders: VecDeque::new(),
            roles: VecDeque::new(),
            handover: None,
            source_rest_until: Now(0),
            sources: BTreeMap::new(),
            turn: Turn::Resting,
            automatic: VecDeque::new(),
            role_counts: BTreeMap::new(),
            source_counts: BTreeMap::new(),
            revision: 0,
            shown: LegIndex::BOTH.map(|_| (LegState::Pending, String::new())),
            takeovers: 0,
            switches: BTreeMap::new(),
        }
    }

    /// Takes over what was saved; whoever held a seat has [`presumption_ms`] to say that it still does.
    pub(super) fn restore(&mut self, record: FeedRecord, now: Now, lease_ms: u64) {
        self.pair = record.pair;
        self.pair.presume_alive(now, presumption_ms(lease_ms));
        let presumed = |registration| Occupant {
            presumed: true,
            ..Occupant::of(registration)
        };
        self.seats = record.registrations.map(|saved| saved.map(presumed));
        self.streams = record
            .streams
            .into_iter()
            .map(|(leg, sid, id)| ((leg, sid), id))
            .collect();
        self.sources = record
            .sources
            .into_iter()
            .map(|saved| (saved.sid, Source::restored(saved)))
            .collect();
    }

    pub(super) fn record(&self) -> FeedRecord {
        FeedRecord {
            feed: self.settings.name.clone(),
            pair: self.pair.clone(),
            registrations: self
                .seats
                .clone()
                .map(|seat| seat.map(|who| who.registration)),
            streams: self
                .streams
                .iter()
                .map(|(&(leg, sid), &id)| (leg, sid, id))
                .collect(),
            sources: self
                .sources
                .values()
                .map(|source| source.record().clone())
                .collect(),
        }
    }

    pub(super) fn adapter_id(&self, leg: LegIndex) -> AdapterId {
        let name = format!("{}.{}", self.settings.name, preferred_role(leg));
        name.parse()
            .expect("a feed name, a dot and a role are within the limit of an id")
    }

    pub(super) fn seat(&self, leg: LegIndex) -> Option<&Occupant> {
        self.seats[leg.index()].as_ref()
    }

    /// Who lives in the other seat and converts by another configuration than `digest`.
    pub(super) fn contradicted_by(
        &self,
        leg: LegIndex,
        digest: ConfigDigest,
        now: Now,
    ) -> Option<&Occupant> {
        let other = leg.other();
        let living = self.seat(other).filter(|_| self.pair.is_alive(other, now));
        living.filter(|peer| peer.registration.config_digest != digest)
    }

    pub(super) fn stream_ids(&self, leg: LegIndex) -> Vec<StreamAssignment> {
        let offered = self
            .seat(leg)
            .map_or(&[][..], |who| &who.registration.streams);
        let assigned = offered.iter().filter_map(|stream| {
            let stream_id = *self.streams.get(&(leg, stream.sid))?;
            Some(StreamAssignment {
                sid: stream.sid,
                stream_id,
            })
        });
        assigned.collect()
    }

    pub(super) fn open_subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions
            .values()
            .filter(|subscription| subscription.is_open())
    }

    /// State word, data state and reason of a leg.
    pub(super) fn leg_word(&self, leg: LegIndex, now: Now) -> LegWord {
        let word = |state, reason: &str| LegWord {
            state,
            data: DataState::Unknown,
            reason: reason.to_owned(),
        };
        let Some(occupant) = self.seat(leg) else {
            return word(LegState::Pending, "no adapter has registered");
        };
        let lease = self.pair.lease(leg);
        if !self.pair.is_joined(leg) {
            return word(LegState::Lapsed, "it has not registered in this generation");
        }
        match (
            lease.is_valid(now),
            lease.remaining_ms(now),
            &occupant.report,
        ) {
            (false, None, _) => word(LegState::Closed, "its adapter left"),
            (false, Some(_), _) => word(LegState::Lapsed, "its adapter's lease was not renewed"),
            (true, _, None) => word(LegState::Joining, "its adapter has not reported yet"),
            (true, _, Some((_, report))) => reported(report),
        }
    }
}

impl Occupant {
    pub(super) fn of(registration: Register) -> Self {
        let unverified = registration.unverified;
        Self {
            registration,
            presumed: false,
            unverified,
            report: None,
            hearing: Hearing::default(),
        }
    }

    /// Takes a report. Behind a silence of more than `lease_ms` nothing of what was said before goes on.
    pub(super) fn note(&mut self, report: AdapterStatus, now: Now, lease_ms: u64) {
        let before = self.report.as_ref().map(|(at, _)| now.since(*at));
        if before.is_none_or(|silent_ms| silent_ms > lease_ms) {
            self.hearing = Hearing::default();
        }
        self.hearing.note(&report.streams, now);
        self.report = Some((now, report));
    }

    pub(super) fn last_report(&self) -> Option<&AdapterStatus> {
        self.report.as_ref().map(|(_, report)| report)
    }
}

/// The role after which the binary of a leg is named.
pub(super) const fn preferred_role(leg: LegIndex) -> Role {
    match leg.index() {
        0 => Role::Active,
        _ => Role::Backup,
    }
}

/// The leg whose binary is named after a role.
pub(super) const fn leg_of(preferred: Role) -> LegIndex {
    match preferred {
        Role::Active => LegIndex::ACTIVE,
        Role::Backup => LegIndex::BACKUP,
    }
}

fn reported(report: &AdapterStatus) -> LegWord {
    let silent = report.streams.iter().find(|stream| !stream.sending);
    let worst = report
        .streams
        .iter()
        .max_by_key(|stream| severity(stream.data));
    let data = worst.map_or(DataState::Unknown, |stream| stream.data);
    let (state, mut reason) = match silent {
        _ if report.streams.is_empty() => (LegState::Silent, "it sends no stream".to_owned()),
        Some(stream) => {
            let (sid, reason) = (stream.sid, &stream.reason);
            (
                LegState::Silent,
                format!("sid {sid} is not sent {reason}")
                    .trim_end()
                    .to_owned(),
            )
        }
        None if report.draining => (LegState::Live, "it is leaving".to_owned()),
        None => (LegState::Live, report.reason.clone()),
    };
    if let Some(stream) = worst.filter(|stream| reason.is_empty() && !stream.reason.is_empty()) {
        reason = format!("sid {}: {}", stream.sid, stream.reason);
    }
    LegWord {
        state,
        data,
        reason,
    }
}

/// Later is worse: what one sees of a leg is its worst stream.
pub(super) const fn severity(data: DataState) -> u8 {
    match data {
        DataState::Good => 0,
        DataState::Ended => 1,
        DataState::Unknown => 2,
        DataState::Incomplete => 3,
        DataState::Stale => 4,
    }
}
