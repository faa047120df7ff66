//! What does a switch leave behind?
//!
//! Every switch yields one receipt: an event to the application, a metric, and a line in the
//! operator's history. This is the third.

use serde::{Deserialize, Serialize};

use crate::{Generation, LegIndex, Pos, StreamId, Trigger};

/// `POST /v1/subscriptions/{id}/receipts`: switches since the last report, oldest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// At most 64 per request.
    pub receipts: Vec<Receipt>,
}

/// One switch, as the subscriber lived it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// +1 per switch of this subscription; a repeated number is a repeated report and is dropped.
    pub number: u64,
    /// The leg no longer relied on.
    pub from: ReceiptEnd,
    /// The leg relied on now.
    pub to: ReceiptEnd,
    /// What made it so.
    pub trigger: Trigger,
    /// Records of the other leg dropped as already delivered, since the switch before this one.
    pub duplicates_dropped: u64,
    /// Records that stood in the held window.
    pub held: u64,
    /// Of the holes, how many source messages were filled.
    pub filled: u64,
    /// Gaps declared in spite of it.
    pub gaps_left: u64,
    /// Longest silence towards the application around the switch, in nanoseconds.
    pub stall_ns: u64,
    /// When, in microseconds since the Unix epoch.
    pub at_unix_us: u64,
    /// Anything worth a sentence.
    #[serde(default)]
    pub note: String,
}

/// One side of a switch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReceiptEnd {
    /// Which leg.
    pub leg: LegIndex,
    /// Its stream, where the switch concerns one.
    #[serde(default)]
    pub stream_id: Option<StreamId>,
    /// The generation it sent under.
    pub generation: Generation,
    /// Where it stood, per source stream.
    #[serde(default)]
    pub pos: Vec<Pos>,
}

/// Answer to receipts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptAccepted {
    /// How many were new.
    pub accepted: u64,
}
