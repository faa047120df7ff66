//! Who may see which feed, and how is that taken away?

use serde::{Deserialize, Serialize};

use crate::FeedName;

/// `POST /v1/entitlements/revoke` and `/grant`: an operator changes one principal's access to a feed.
///
/// Repeating either changes nothing. A revocation closes both legs of every subscription of that
/// principal to that feed; a later grant allows new subscriptions and resurrects none (RM-7).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EntitlementChange {
    /// Whose access.
    pub principal: String,
    /// To what.
    pub feed: FeedName,
    /// Why: told to the subscriber and written to the audit log.
    pub reason: String,
}

/// What an entitlement change did.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntitlementAnswer {
    /// Whether anything changed.
    pub changed: bool,
    /// How many subscriptions it closed.
    pub closed_subscriptions: u64,
    /// Of the feed, after the change.
    pub revision: u64,
}
