//! Who is affected by adapter X or by entitlement Y (RM-6)?

use serde::{Deserialize, Serialize};

use crate::{AdapterId, FeedName, LegIndex, SubscriptionId};

/// The question; exactly one of the two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AffectedBy {
    /// `?adapter=<id>`: everybody who receives this adapter's leg.
    Adapter(AdapterId),
    /// `?entitlement=<principal>:<feed>`: everybody who receives by this entitlement.
    Entitlement {
        /// Whose.
        principal: String,
        /// To what.
        feed: FeedName,
    },
}

/// The answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Affected {
    /// Open subscriptions, by id.
    pub subscriptions: Vec<AffectedSubscription>,
}

/// One subscription that would notice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AffectedSubscription {
    /// Which.
    pub subscription: SubscriptionId,
    /// Whose.
    pub principal: String,
    /// Which application.
    pub application: String,
    /// Of which feed.
    pub feed: FeedName,
    /// Legs it would lose.
    pub legs: Vec<LegIndex>,
}
