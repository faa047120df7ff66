//! How does an operator put a message of his own into a stream, and learn what became of it?
//!
//! ```text
//!  operator ── Order ──► stream-admin ── PendingOrder, in the active's assignment ──► active adapter
//!     ▲                      │  ▲                                                        │
//!     └──── OrderRecord ─────┘  └────────────── OrderReport ─────────────────────────────┘
//! ```
//!
//! An order is numbered by a *ticket* and belongs to the generation at hand: an adapter carries it out at most once,
//! and only while it is the active of that generation. Asking again with the same key is the same order.
//!
//! That a source is stale, or restored, stream-admin orders in the same way by itself ([`BY_ITSELF`]).

use serde::{Deserialize, Serialize};

use crate::{FeedName, Generation, Incarnation, Sid};

/// What the message says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrderedMessage {
    /// Forget the books of these instruments.
    ClearBook {
        /// Instrument ids; none: all.
        instruments: Vec<u32>,
    },
    /// Every line of the source is silent.
    SourceStale,
    /// The source speaks again.
    SourceRestored,
    /// What follows is converted with another dictionary.
    DictionarySwitch {
        /// Its name.
        text: String,
    },
    /// The topic ends.
    TopicClosed {
        /// Why.
        text: String,
    },
    /// A notice to whoever reads it.
    OperatorNotice {
        /// The notice.
        text: String,
    },
}

/// `POST /v1/orders`: an operator orders one administrative message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Names the order: the same key again is the same order, and is answered by what became of it.
    pub key: String,
    /// In which feed.
    pub feed: FeedName,
    /// In which of its source streams.
    pub sid: Sid,
    /// What it says.
    pub message: OrderedMessage,
    /// How long the answer may wait for the adapter, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

/// An order on its way to the active adapter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PendingOrder {
    /// Its number in the feed; a later order has a higher one.
    pub ticket: u64,
    /// The generation whose active may carry it out.
    pub generation: Generation,
    /// In which source stream.
    pub sid: Sid,
    /// What it says.
    pub message: OrderedMessage,
}

/// Where an administrative message stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessagePlace {
    /// The generation that originated it.
    pub generation: Generation,
    /// How many administrative messages of the stream came before it.
    pub number: u64,
    /// A, the slot: its msn in the active's numbering.
    pub slot: u64,
    /// B: what the backup had processed when it decided; 0 when it did not.
    pub processed: u64,
    /// The source number that it stands behind.
    pub sseq: u64,
    /// How often it was announced.
    pub attempts: u32,
    /// Whether the backup agreed to the slot. If not, a failover right behind it is a discontinuity.
    pub agreed: bool,
}

/// What became of an order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrderOutcome {
    /// The adapter has not said yet.
    Pending,
    /// It stands in the stream.
    Placed {
        /// Where.
        place: MessagePlace,
    },
    /// Nothing was placed.
    Refused {
        /// Why.
        reason: String,
    },
    /// Another generation began before the adapter reported: it may stand in the stream or not, and is not carried out
    /// any more.
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// `POST /v1/adapters/{id}/orders`: an adapter says what became of an order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderReport {
    /// Who says so.
    pub incarnation: Incarnation,
    /// Of which order.
    pub ticket: u64,
    /// What became of it.
    pub outcome: OrderOutcome,
}

/// One order, for the history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderRecord {
    /// Its number in the feed.
    pub ticket: u64,
    /// What the operator called it.
    pub key: String,
    /// Whose order: an operator's, or `stream-admin` for what that orders by itself.
    pub operator: String,
    /// In which feed.
    pub feed: FeedName,
    /// In which source stream.
    pub sid: Sid,
    /// What it says.
    pub message: OrderedMessage,
    /// The generation whose active was to carry it out.
    pub generation: Generation,
    /// When it was given, in microseconds since the Unix epoch.
    pub at_unix_us: u64,
    /// What became of it.
    pub outcome: OrderOutcome,
}

impl OrderedMessage {
    /// The kind's word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ClearBook { .. } => "clear-book",
            Self::SourceStale => "source-stale",
            Self::SourceRestored => "source-restored",
            Self::DictionarySwitch { .. } => "dictionary-switch",
            Self::TopicClosed { .. } => "topic-closed",
            Self::OperatorNotice { .. } => "operator-notice",
        }
    }

    /// Its payload as it stands in the stream, bytes.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        match self {
            Self::ClearBook { instruments } => instruments
                .iter()
                .flat_map(|instrument| instrument.to_le_bytes())
                .collect(),
            Self::SourceStale | Self::SourceRestored => Vec::new(),
            Self::DictionarySwitch { text }
            | Self::TopicClosed { text }
            | Self::OperatorNotice { text } => text.clone().into_bytes(),
        }
    }
}

/// Who orders what no operator did, in the histories of messages and of roles.
pub const BY_ITSELF: &str = "stream-admin";
/// Longest payload of an administrative message, bytes (`docs/wire-format.md`, section 3).
pub const MOST_ORDER_PAYLOAD: usize = 1_024;
/// Longest key of an order, bytes.
pub const LONGEST_ORDER_KEY: usize = 64;
