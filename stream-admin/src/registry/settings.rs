//! What must the registry be told before it can judge anything?

use std::collections::BTreeSet;

use twinfeed_control::{Constraints, FeedName, Sid, TakeoverPolicy, Transport};

use super::hand_back::HandBack;

/// Times and limits; every one of them is a key of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an adapter's lease is.
    pub adapter_lease_ms: u64,
    /// How long a subscription's lease is.
    pub subscription_lease_ms: u64,
    /// How long after its lease a subscription is kept, before it is closed.
    pub subscription_grace_ms: u64,
    /// How long a hand-over may take.
    pub handover_ms: u64,
    /// Bounds.
    pub limits: RegistryLimits,
}

/// How much the registry holds.
#[derive(Clone, Debug)]
pub struct RegistryLimits {
    /// Open subscriptions, over all feeds.
    pub subscriptions: usize,
    /// Open subscriptions of one principal.
    pub subscriptions_per_principal: usize,
    /// Closed subscriptions kept per feed, to tell why.
    pub closed_subscriptions_per_feed: usize,
    /// Receipts kept per feed.
    pub receipts_per_feed: usize,
    /// Operators' orders kept per feed.
    pub orders_per_feed: usize,
    /// Changes of roles kept per feed.
    pub role_changes_per_feed: usize,
    /// Takeovers of a feed within a minute that no operator ordered.
    pub takeovers_per_minute: usize,
    /// Messages about one source's silence within a minute.
    pub source_reports_per_minute: usize,
    /// Streams of one adapter, and sids of one subscription.
    pub streams: usize,
}

/// One configured feed.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// Its name.
    pub name: FeedName,
    /// How its streams travel.
    pub transport: TransportKind,
    /// Its source streams; empty: whatever its adapters register.
    pub sids: BTreeSet<Sid>,
    /// What adapters and subscribers enforce.
    pub constraints: Constraints,
    /// Who may make the backup active, beside an operator.
    pub takeover: TakeoverPolicy,
    /// Whether subscribers are told that a source is stale, and that it is restored.
    pub source_reports: bool,
    /// How long the adapters must say the same of a source before it is acted upon.
    pub source_hold_ms: u64,
    /// When the adapter whose binary prefers to be active becomes so again by itself.
    pub hand_back: HandBack,
}

/// How the streams of a feed travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransportKind {
    /// To each subscriber's address.
    Unicast,
    /// To a group.
    Multicast,
}

impl TransportKind {
    /// The word in configuration and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Multicast => "multicast",
        }
    }

    /// What kind an offered transport is.
    #[must_use]
    pub const fn of(transport: &Transport) -> Self {
        match transport {
            Transport::Unicast { .. } => Self::Unicast,
            Transport::Multicast { .. } => Self::Multicast,
        }
    }
}
