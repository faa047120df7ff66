//! How does an operator say which adapter is active, and who became active when, and why?
//!
//! ```text
//!  hand-over                                              takeover
//!  operator ─ RoleOrder ─► stream-admin                   operator ─ RoleOrder ─► stream-admin
//!  stream-admin ─ StepDown, in the assignment ─► active       the next generation, at once, to the named
//!  active ─ "step-down", over the pair link ─► backup         adapter; whoever was active hears that its own
//!  backup ─ TakeOver ─► stream-admin: next generation         is over and comes back as backup
//! ```
//!
//! Every generation that began, and every one that was refused, is a [`RoleChange`] in the feed's history. Asking again
//! with the same key is the same order.

use serde::{Deserialize, Serialize};

use crate::{AdapterId, FeedName, Generation, RoleCause};

/// What an operator wants.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RoleAction {
    /// The active steps down in order and the synchronised backup takes over: nothing stalls, nothing is lost.
    HandOver {
        /// Where the pair is not protected: take over all the same, as [`RoleAction::TakeOver`].
        #[serde(default)]
        force: bool,
    },
    /// This adapter becomes active, synchronised or not, whatever the other one does. What the old active may have
    /// placed alone is not inherited: subscribers that saw it are told of a discontinuity.
    TakeOver {
        /// Which; by default the backup.
        #[serde(default)]
        adapter: Option<AdapterId>,
    },
    /// While this adapter is active nothing but an operator makes the other one active.
    Pin {
        /// Which.
        adapter: AdapterId,
    },
    /// Takes the pin away.
    Unpin,
}

/// `POST /v1/roles`: an operator says which adapter is active.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoleOrder {
    /// Names the order: the same key again is the same order, and is answered by what became of it.
    pub key: String,
    /// Of which feed.
    pub feed: FeedName,
    /// What is wanted.
    pub action: RoleAction,
    /// How long the answer may wait for the outcome, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

/// In the active's assignment: it is to step down in favour of its backup. It goes on when an assignment of the same
/// generation comes without.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepDown {
    /// Its number in the feed's history.
    pub number: u64,
    /// The generation that is handed over.
    pub generation: Generation,
    /// How long the hand-over may take from the order on, in milliseconds.
    pub deadline_ms: u64,
}

/// What became of a change of roles.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RoleOutcome {
    /// The adapters are at it.
    Pending,
    /// It is done.
    Done {
        /// The generation from then on.
        generation: Generation,
        /// Whether the new active inherited everything that the old one had announced, by its own word; `null` while
        /// it has not reported under this generation.
        #[serde(default)]
        seamless: Option<bool>,
    },
    /// The roles are what they were, or what something else made them.
    Refused {
        /// Why.
        reason: String,
    },
}

/// One change of roles, for the history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// Its number in the feed's history.
    pub number: u64,
    /// What the operator called it; `null` when no operator ordered it.
    pub key: Option<String>,
    /// The operator, the adapter that asked, `stream-admin` for what that brings about by itself, or `schedule`.
    pub by: String,
    /// Of which feed.
    pub feed: FeedName,
    /// Why.
    pub cause: RoleCause,
    /// What the operator ordered, if one did.
    pub action: Option<RoleAction>,
    /// Who becomes active, or is pinned; `null` for an adapter's registration that nobody gains by, and when a pin goes.
    pub adapter: Option<AdapterId>,
    /// The generation before.
    pub from: Generation,
    /// When it was asked for, in microseconds since the Unix epoch.
    pub at_unix_us: u64,
    /// What became of it.
    pub outcome: RoleOutcome,
}
