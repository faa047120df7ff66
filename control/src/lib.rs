//! What do adapters, subscribers, operators and stream-admin say to each other?
//!
//! ```text
//!   adapter ──register, renew, watch──►┐
//!   subscriber ──subscribe, confirm,   ├── stream-admin ──► status.json, page, metrics
//!                renew, receipts, watch┤
//!   operator ──revoke, grant, affected─┘
//! ```
//!
//! Three things live here, because more than one process needs them: the JSON types of every request
//! and answer, a blocking [`Client`] that speaks them, and (feature `operations`) the small endpoint
//! on which any process shows its health.
//!
//! Requests refuse unknown fields, answers ignore them: a newer server may say more to an older
//! client, while a client's typing error is never silently dropped. 64-bit values that are names and
//! not counts (incarnation, epoch, context id, digest) travel as 16 hexadecimal digits, because half
//! of the languages that read JSON keep 53 bits of a number.
//!
//! Invariant: this crate knows neither the server's store nor a data message.
#![forbid(unsafe_code)]

mod adapter;
mod affected;
mod client;
mod constraints;
mod entitlement;
mod ids;
#[cfg(feature = "operations")]
pub mod operations;
mod order;
mod presence;
mod problem;
mod receipt;
mod ring;
mod role_change;
mod status;
mod subscription;
mod words;

pub use adapter::{
    AdapterStatus, Assignment, COUNTERS_PER_REPORT, Destination, LineStatus, OfferedStream, Peer,
    Register, Renew, Renewed, StreamAssignment, StreamPair, StreamStatus, TakeOver, Transport,
};
pub use affected::{Affected, AffectedBy, AffectedSubscription};
pub use client::{
    Backoff, Client, ClientBuilder, Error, Secret, StopFlag, Turn, Watch, WatchEvent, Watched, sse,
};
pub use constraints::{Constraints, DEFAULT_SYNC_THRESHOLD, SourceConstraint};
pub use entitlement::{EntitlementAnswer, EntitlementChange};
pub use ids::{
    AdapterId, ConfigDigest, ContextId, Epoch, FeedName, Generation, Incarnation, LegIndex, Pos,
    Sid, StreamId, SubscriptionId,
};
pub use order::{
    BY_ITSELF, LONGEST_ORDER_KEY, MOST_ORDER_PAYLOAD, MessagePlace, Order, OrderOutcome,
    OrderRecord, OrderReport, OrderedMessage, PendingOrder,
};
pub use presence::{BACKOFF_CEILING, RENEWALS_PER_LEASE, REQUEST_TIMEOUT, presumption_ms};
pub use problem::{Problem, ProblemCode};
pub use receipt::{Receipt, ReceiptAccepted, ReceiptEnd, Receipts};
pub use ring::{LONGEST_HOST, LONGEST_RING_NAME, OfferedRing};
pub use role_change::{RoleAction, RoleChange, RoleOrder, RoleOutcome, StepDown};
pub use status::{
    FeedStatus, LegStatus, PairStatus, ReceivedReceipt, ServerStatus, Status, SubscriptionView,
};
pub use subscription::{
    Confirm, Grant, GrantedLeg, GrantedStream, LegReport, RenewSubscription, Selection, Subscribe,
    SubscriptionRenewed, SubscriptionState, SubscriptionStatus,
};
pub use words::{
    DataState, DeliveryClass, LegState, LineName, LineState, LinkState, OrderingClass, PairState,
    Policy, Role, RoleCause, TakeoverCause, TakeoverPolicy, TransmitMode, Trigger,
};
