//! What must the middleware enforce locally, so that nobody asks stream-admin on the data path?
//!
//! Both adapters and every subscriber of a feed receive the same [`Constraints`] (RM-5).

use serde::{Deserialize, Serialize};

use crate::{DeliveryClass, OrderingClass, Sid, TransmitMode};

/// T where nothing else is configured, msn: 20 ms, the least lead of an announcement, at a million messages a second.
pub const DEFAULT_SYNC_THRESHOLD: u64 = 20_000;

/// What holds for one feed, as configured at stream-admin.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Constraints {
    /// Per source stream; an sid that is not listed is ordered.
    pub sources: Vec<SourceConstraint>,
    /// What a subscriber may expect of repetition.
    pub delivery: DeliveryClass,
    /// Interval after which a silent stream sends a heartbeat, in microseconds.
    pub heartbeat_us: u64,
    /// How many intervals of silence make a leg lost.
    pub missed_heartbeats: u32,
    /// T: how far the backup may be behind an announced slot, in msn.
    pub sync_threshold: u64,
    /// Messages after which an alive leg is abandoned; `null`: from measured skew.
    pub lag_messages: Option<u64>,
    /// Time after which an alive leg is abandoned, in microseconds; `null`: from measured skew.
    pub lag_us: Option<u64>,
    /// How long a hole may hold later records back, in microseconds; `null`: from measured skew.
    pub reorder_hold_us: Option<u64>,
    /// How many bytes a hole may hold back.
    pub reorder_hold_bytes: u64,
    /// Longest UDP payload of the feed, in bytes.
    pub max_datagram: u16,
    /// Which adapters transmit. A leg on standby says so in its heartbeats; it is neither dead nor behind.
    #[serde(default)]
    pub transmit: TransmitMode,
}

/// What holds for one source stream.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceConstraint {
    /// Source stream.
    pub sid: Sid,
    /// Whether its numbers order its messages.
    pub ordering: OrderingClass,
}

impl Constraints {
    /// The ordering class of one source stream; `Ordered` where nothing else is said.
    #[must_use]
    pub fn ordering(&self, sid: Sid) -> OrderingClass {
        let stated = self.sources.iter().find(|source| source.sid == sid);
        stated.map_or(OrderingClass::Ordered, |source| source.ordering)
    }
}
