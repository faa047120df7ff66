//! What does an operator see?
//!
//! `GET /status.json`: one document, whole, from which the status page and the metrics are drawn.

use serde::{Deserialize, Serialize};

use crate::{
    AdapterId, AdapterStatus, ConfigDigest, Constraints, DataState, FeedName, Generation,
    Incarnation, LegIndex, LegReport, LegState, OrderRecord, Policy, Receipt, Role, RoleChange,
    Selection, StreamAssignment, SubscriptionId, SubscriptionState, SubscriptionStatus,
    TakeoverPolicy,
};

/// Everything.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// This stream-admin.
    pub server: ServerStatus,
    /// Feed by feed, in configured order.
    pub feeds: Vec<FeedStatus>,
}

/// The server itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerStatus {
    /// Version of the program.
    pub version: String,
    /// Time since it started, in milliseconds.
    pub uptime_ms: u64,
    /// When this document was made, in microseconds since the Unix epoch.
    pub at_unix_us: u64,
    /// Whether it serves; not while draining or while the store fails.
    pub ready: bool,
    /// Why it does not.
    pub reason: String,
    /// Whether the last write reached the disk.
    pub store_up: bool,
    /// How often it attended to nobody for more than half a second: stopped, without a core, or waiting for its disk.
    #[serde(default)]
    pub stalls: u64,
    /// For how long altogether, in milliseconds. No lease ended meanwhile.
    #[serde(default)]
    pub stalled_ms: u64,
}

/// One feed: its pair, its legs, its subscribers, its history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedStatus {
    /// Its name.
    pub feed: FeedName,
    /// Rises with every change.
    pub revision: u64,
    /// Both adapters together.
    pub pair: PairStatus,
    /// Leg 0 and leg 1.
    pub legs: Vec<LegStatus>,
    /// What was granted.
    pub constraints: Constraints,
    /// Open subscriptions, then recently closed ones.
    pub subscriptions: Vec<SubscriptionView>,
    /// Recent switches, newest first.
    pub receipts: Vec<ReceivedReceipt>,
    /// Recent orders of operators, newest first.
    #[serde(default)]
    pub orders: Vec<OrderRecord>,
    /// Recent changes of roles, newest first.
    #[serde(default)]
    pub roles: Vec<RoleChange>,
}

/// Whether the death of one adapter would be invisible.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PairStatus {
    /// The granted generation; 0 while no adapter ever registered.
    pub generation: Generation,
    /// Both legs live, link up at both ends, equal epoch and context id for every source stream.
    pub protected: bool,
    /// Why it is not protected; empty when it is.
    pub reason: String,
    /// T in force, in msn; `null` while adapters disagree or are silent.
    pub sync_threshold: Option<u64>,
    /// The adapter to which the roles are pinned.
    #[serde(default)]
    pub pinned: Option<AdapterId>,
    /// Who may make the backup active, beside an operator; `null` from a server that does not say.
    #[serde(default)]
    pub takeover: Option<TakeoverPolicy>,
    /// That the active has lost a source which its backup has, and why it does not hand over all the same; empty while
    /// there is no such source.
    #[serde(default)]
    pub source_lost: String,
    /// At which time of the day the adapter whose binary prefers to be active becomes so again by itself, and what keeps
    /// that waiting; `null` when only an operator says so.
    #[serde(default)]
    pub hand_back: Option<String>,
}

/// One leg, as stream-admin knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LegStatus {
    /// Which.
    pub leg: LegIndex,
    /// The seat.
    pub adapter: AdapterId,
    /// The role its binary prefers.
    pub preferred_role: Role,
    /// The role it plays in the current generation.
    pub role: Option<Role>,
    /// Who sits there.
    pub incarnation: Option<Incarnation>,
    /// Digest of its conversion-relevant configuration.
    pub config_digest: Option<ConfigDigest>,
    /// What it does.
    pub state: LegState,
    /// What is known of its data: the worst of its streams.
    pub data: DataState,
    /// Why it is not live and good.
    pub reason: String,
    /// It resumed by itself during an outage and has not registered since.
    pub unverified: bool,
    /// What is left of its lease, in milliseconds; `null` when there is none.
    pub lease_remaining_ms: Option<u64>,
    /// Age of its last report, in milliseconds.
    pub report_age_ms: Option<u64>,
    /// Where it serves its own metrics.
    pub operations_address: Option<String>,
    /// Its stream ids.
    pub streams: Vec<StreamAssignment>,
    /// Its last report.
    pub report: Option<AdapterStatus>,
}

/// One subscription, as stream-admin knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubscriptionView {
    /// Which.
    pub subscription: SubscriptionId,
    /// Whose.
    pub principal: String,
    /// Which application.
    pub application: String,
    /// Which source streams.
    pub sids: Selection,
    /// How it delivers.
    pub policy: Policy,
    /// Whether it gives access.
    pub access: SubscriptionState,
    /// Whether its lease is valid.
    pub alive: bool,
    /// Legs it confirmed to hear.
    pub heard: Vec<LegIndex>,
    /// Legs it reported silent.
    pub silent: Vec<LegIndex>,
    /// Age of its last report, in milliseconds.
    pub report_age_ms: Option<u64>,
    /// Its last report.
    pub report: Option<SubscriptionStatus>,
}

impl SubscriptionView {
    /// What the subscriber last said of a leg.
    #[must_use]
    pub fn leg(&self, leg: LegIndex) -> Option<&LegReport> {
        self.report
            .as_ref()?
            .legs
            .iter()
            .find(|report| report.leg == leg)
    }
}

/// A receipt and who sent it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivedReceipt {
    /// Whose switch.
    pub subscription: SubscriptionId,
    /// Which application.
    pub application: String,
    /// What happened.
    pub receipt: Receipt,
}
