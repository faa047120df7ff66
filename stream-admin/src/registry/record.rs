//! What must be on the disk before an answer leaves?
//!
//! Generations, seats, stream ids, subscriptions, entitlements, receipts, changes of roles, and what subscribers were
//! told of silent sources. Leases and reports are not: after a restart no adapter is believed alive for longer than
//! [`twinfeed_control::presumption_ms`] without saying so.

use serde::{Deserialize, Serialize};
use twinfeed_control::{
    FeedName, Generation, LegIndex, OrderRecord, ReceivedReceipt, Register, RoleChange, Sid,
    StreamId, Subscribe, SubscriptionId,
};

use super::pair::Pair;
use crate::grant::Override;

/// One change of the durable state.
#[derive(Clone, Debug)]
pub enum Write {
    /// Insert or replace.
    Put(Record),
    /// Remove a subscription.
    DropSubscription(SubscriptionId),
    /// Remove a receipt.
    DropReceipt(FeedName, u64),
    /// Remove an order.
    DropOrder(FeedName, u64),
    /// Remove a change of roles.
    DropRole(FeedName, u64),
}

/// One durable value.
#[derive(Clone, Debug)]
pub enum Record {
    /// The server itself.
    Server(ServerRecord),
    /// A feed.
    Feed(Box<FeedRecord>),
    /// A subscription.
    Subscription(Box<SubscriptionRecord>),
    /// An operator's word.
    Override(Override),
    /// A receipt.
    Receipt(Box<ReceiptRecord>),
    /// An operator's order.
    Order(Box<OrderRecord>),
    /// A change of roles.
    Role(Box<RoleChange>),
}

/// Counters that must never count twice.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerRecord {
    /// How often the server started; the upper half of every revision.
    pub runs: u32,
    /// The last stream id assigned.
    pub last_stream_id: u32,
    /// The last subscription number assigned.
    pub last_subscription: u64,
}

/// One feed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FeedRecord {
    /// Its name.
    pub feed: FeedName,
    /// Generation, roles, incarnations.
    pub pair: Pair,
    /// The last registration of each seat.
    pub registrations: [Option<Register>; 2],
    /// Stream ids, for ever.
    pub streams: Vec<(LegIndex, Sid, StreamId)>,
    /// What subscribers were told of sources.
    #[serde(default)]
    pub sources: Vec<SourceRecord>,
}

/// What subscribers of one source stream were told of its silence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceRecord {
    /// Which source stream.
    pub sid: Sid,
    /// The last generation with whose numbering `told` was compared.
    pub generation: Generation,
    /// What stands in the stream, oldest first; the last ones only.
    pub told: Vec<SourceWord>,
    /// The order that is on its way.
    pub ordered: Option<SourceOrder>,
}

/// *Source stale*, or *source restored*, in a stream.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceWord {
    /// Which of the two.
    pub stale: bool,
    /// The generation that originated it.
    pub generation: Generation,
    /// How many administrative messages of the stream come before it.
    pub number: u64,
    /// An operator's, and the adapters have not said the same since.
    pub by_operator: bool,
}

/// An order of such a message that is not settled yet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceOrder {
    /// Its number among the feed's orders.
    pub ticket: u64,
    /// The message, with the number that it gets if it is placed.
    pub word: SourceWord,
}

/// One subscription.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SubscriptionRecord {
    /// Its id.
    pub subscription: SubscriptionId,
    /// Whose.
    pub principal: String,
    /// What was asked for.
    pub request: Subscribe,
    /// The highest receipt number accepted.
    pub last_receipt: u64,
    /// Why it ended, once it did.
    pub closed: Option<Closure>,
}

/// Why a subscription ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Closure {
    /// An operator took the entitlement away.
    Revoked(String),
    /// The subscriber ended it.
    Unsubscribed,
    /// Its lease lapsed and its grace passed.
    Lapsed,
    /// The same principal asked for the same addresses again.
    ReplacedBy(SubscriptionId),
}

impl Closure {
    /// For people.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Revoked(reason) => format!("access was revoked: {reason}"),
            Self::Unsubscribed => "the subscriber ended it".to_owned(),
            Self::Lapsed => "no renewal arrived within its lease and grace".to_owned(),
            Self::ReplacedBy(newer) => {
                format!("subscription {newer} took over its addresses")
            }
        }
    }
}

/// One receipt, by its place in the feed's history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReceiptRecord {
    /// Of which feed.
    pub feed: FeedName,
    /// Its place in the history.
    pub place: u64,
    /// The receipt and who sent it.
    pub received: ReceivedReceipt,
}
