//! How does a subscriber get both legs, say which of them it hears, and learn of changes?
//!
//! ```text
//!   subscribe ──► Grant (both legs, constraints)     watch ──► Grant, whole, at every change
//!       │ open sockets, join, listen
//!   confirm {heard, silent} ──► renew … renew … ──► delete
//!                                  │ 404: the subscription is gone – subscribe again
//! ```
//!
//! The subscriber names the addresses on which it already listens (unicast), one per leg, so that
//! nothing published after the grant can miss it for want of a socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    AdapterId, Constraints, DataState, FeedName, Generation, Incarnation, LegIndex, LegState,
    OfferedRing, Policy, Pos, Role, Sid, StreamId, SubscriptionId, Transport,
};

/// Which source streams of a feed.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Whatever the feed has, now and later.
    #[default]
    All,
    /// Exactly these.
    Only(Vec<Sid>),
}

impl Selection {
    /// Whether the source stream is selected.
    #[must_use]
    pub fn contains(&self, sid: Sid) -> bool {
        match self {
            Self::All => true,
            Self::Only(sids) => sids.contains(&sid),
        }
    }
}

/// `POST /v1/subscriptions`: this application wants both legs of a feed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The feed.
    pub feed: FeedName,
    /// Which of its source streams.
    #[serde(default)]
    pub sids: Selection,
    /// Name of the application, for people; at most 64 bytes.
    pub application: String,
    /// Where leg 0 and leg 1 receive, for unicast; `null` when the feed is multicast.
    #[serde(default)]
    pub destinations: Option<[SocketAddr; 2]>,
    /// From where it asks adapters for what it missed, and where answers are received; `null`: it never asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fills: Option<SocketAddr>,
    /// Which leg it delivers from.
    pub policy: Policy,
}

/// Whether a subscription gives access.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SubscriptionState {
    /// Both legs are granted.
    Open,
    /// Both legs ended; it never opens again.
    Closed {
        /// Why.
        reason: String,
    },
}

/// Both legs and what to do with them: the answer to a subscription, and each watch event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grant {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The feed.
    pub feed: FeedName,
    /// Whether it gives access; a closed one has no legs.
    pub access: SubscriptionState,
    /// The pair's generation; 0 while no adapter ever registered.
    pub generation: Generation,
    /// Leg 0 and leg 1, in order; empty once closed.
    pub legs: Vec<GrantedLeg>,
    /// What the middleware enforces locally.
    pub constraints: Constraints,
    /// Renew within this time.
    pub lease_ms: u64,
    /// Rises with every change of the feed, over restarts of stream-admin.
    pub revision: u64,
}

/// One leg, as brokered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantedLeg {
    /// Which.
    pub leg: LegIndex,
    /// The role its binary prefers; fixed per leg.
    pub preferred_role: Role,
    /// The role it plays in the current generation, once somebody sits there.
    pub role: Option<Role>,
    /// Who sends.
    pub adapter: AdapterId,
    /// Which life of it.
    pub incarnation: Option<Incarnation>,
    /// What it sends; empty while pending.
    pub streams: Vec<GrantedStream>,
    /// Where its adapter is asked for what was missed, if it serves that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fills: Option<SocketAddr>,
    /// Where its adapter is asked for what there is (TCP), if it serves that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SocketAddr>,
    /// Where subscribers of its adapter's host take its ring, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<OfferedRing>,
    /// What stream-admin knows of it.
    pub state: LegState,
    /// Why it is not live.
    pub reason: String,
}

/// One stream of a leg.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantedStream {
    /// Source stream.
    pub sid: Sid,
    /// The number its datagrams carry.
    pub stream_id: StreamId,
    /// How it travels.
    pub transport: Transport,
}

/// `POST /v1/subscriptions/{id}/confirm`: which legs a first datagram or heartbeat came from (RM-3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Legs that were heard.
    pub heard: Vec<LegIndex>,
    /// Legs that stayed silent.
    #[serde(default)]
    pub silent: Vec<LegIndex>,
}

/// `POST /v1/subscriptions/{id}/renew`: still here, and this is how it goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewSubscription {
    /// How it goes.
    pub status: SubscriptionStatus,
}

/// How a subscriber does, in its own words.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubscriptionStatus {
    /// Leg by leg.
    pub legs: Vec<LegReport>,
    /// Last position delivered, per source stream.
    #[serde(default)]
    pub delivered: Vec<Pos>,
    /// Records delivered.
    #[serde(default)]
    pub records: u64,
    /// Source messages declared lost.
    #[serde(default)]
    pub lost: u64,
    /// Gaps declared.
    #[serde(default)]
    pub gaps: u64,
    /// Discontinuities and resets delivered.
    #[serde(default)]
    pub discontinuities: u64,
    /// Switches counted.
    #[serde(default)]
    pub switches: u64,
    /// Datagrams that the kernel dropped before this process could read them, both legs.
    #[serde(default)]
    pub kernel_drops: u64,
    /// Anything else that counts up, by metric name without prefix.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
}

/// One leg as its subscriber sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LegReport {
    /// Which.
    pub leg: LegIndex,
    /// What it does.
    pub state: LegState,
    /// What is known of its data.
    pub data: DataState,
    /// Why it is not live and good.
    #[serde(default)]
    pub reason: String,
    /// Median lead over the twin in microseconds; negative when behind.
    #[serde(default)]
    pub lead_us: Option<i64>,
    /// Records of which this leg brought the first copy.
    #[serde(default)]
    pub first_arrivals: u64,
    /// Records dropped because the twin was first.
    #[serde(default)]
    pub duplicates: u64,
    /// Holes seen on this leg alone.
    #[serde(default)]
    pub gaps: u64,
    /// Last position received, per source stream.
    #[serde(default)]
    pub last_pos: Vec<Pos>,
    /// Datagrams that the kernel dropped on this leg's sockets.
    #[serde(default)]
    pub kernel_drops: u64,
    /// Its score, 0 to 100: the lowest of its source streams.
    #[serde(default)]
    pub health: Option<u8>,
}

/// Answer to a subscriber's confirmation or renewal.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubscriptionRenewed {
    /// Renew within this time.
    pub lease_ms: u64,
    /// The pair's generation.
    pub generation: Generation,
    /// Of the feed.
    pub revision: u64,
}
