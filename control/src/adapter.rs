//! How does an adapter take its seat, keep it, and learn whom to send to?
//!
//! ```text
//!   register ──► Assignment ──► renew … renew …        watch ──► Assignment, whole, at every change
//!      ▲                          │ 409: replaced by a newer incarnation – stop
//!      └── lease lapsed, or       │ 404: never heard of you – register
//!          stream-admin lost it ◄─┘
//! ```
//!
//! A registration is refused while a living adapter in the other seat converts by another configuration:
//! two legs must mean the same by the same numbers.
//!
//! A feed has two seats, named by the role that their binary prefers. The seat is durable, who sits in
//! it is an [`Incarnation`], and which role it plays is decided by the granted [`Generation`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{
    AdapterId, ConfigDigest, Constraints, ContextId, DataState, FeedName, Generation, Incarnation,
    LineName, LineState, LinkState, OfferedRing, PairState, PendingOrder, Pos, Role, Selection,
    Sid, StepDown, StreamId, SubscriptionId, TakeoverCause, TransmitMode,
};

/// `POST /v1/adapters/register`: this process wants the seat of its preferred role.
///
/// Registering again with the same incarnation within the lease changes nothing but the addresses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The feed whose seat is wanted.
    pub feed: FeedName,
    /// The role that the binary is named after; names the seat, does not decide the role.
    pub preferred_role: Role,
    /// This life of the process.
    pub incarnation: Incarnation,
    /// Digest of the conversion-relevant configuration; both ends of a pair must agree.
    pub config_digest: ConfigDigest,
    /// What this adapter will send, one stream per source stream.
    pub streams: Vec<OfferedStream>,
    /// Where the peer reaches this adapter's end of the pair link (TCP).
    pub link_address: SocketAddr,
    /// Where subscribers ask this adapter for what they missed (UDP), if it serves that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fills: Option<SocketAddr>,
    /// Where subscribers that join ask this adapter for what there is (TCP), if it serves that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SocketAddr>,
    /// Where subscribers of its host take its ring, if it has one. A stream-admin that does not know of rings refuses whoever names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<OfferedRing>,
    /// Where this process serves `/metrics` and `/status.json`, if anywhere.
    #[serde(default)]
    pub operations_address: Option<String>,
    /// The generation persisted from an earlier grant, if any; the answer is never below it.
    #[serde(default)]
    pub generation_held: Option<Generation>,
    /// Whether it resumed from that grant by itself because stream-admin could not be reached.
    #[serde(default)]
    pub unverified: bool,
}

/// One stream that an adapter offers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OfferedStream {
    /// Source stream.
    pub sid: Sid,
    /// How it is sent.
    pub transport: Transport,
}

/// How a stream travels to its subscribers.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Transport {
    /// One datagram per subscriber, to the address that the subscriber named.
    Unicast {
        /// The address it is sent from; anything else is a foreign sender.
        source: SocketAddr,
    },
    /// One datagram for all who joined.
    Multicast {
        /// Group and port.
        group: SocketAddr,
        /// The address it is sent from, for a source-specific join.
        #[serde(default)]
        source: Option<IpAddr>,
        /// Interface on which a subscriber finds it, where the network has a convention for that.
        #[serde(default)]
        interface: Option<String>,
    },
}

/// What an adapter is to be and whom it sends to: the answer to a registration, and each watch event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Assignment {
    /// The seat.
    pub adapter: AdapterId,
    /// Who sits in it.
    pub incarnation: Incarnation,
    /// Set once a newer incarnation took the seat: this one stops and never returns.
    #[serde(default)]
    pub replaced_by: Option<Incarnation>,
    /// The granted generation; persist it together with the destinations.
    pub generation: Generation,
    /// The granted role.
    pub role: Role,
    /// Renew well within this time; authority ends a drift margin earlier.
    pub lease_ms: u64,
    /// Stream id per source stream.
    pub streams: Vec<StreamAssignment>,
    /// The other seat, once somebody took it.
    #[serde(default)]
    pub peer: Option<Peer>,
    /// Everybody to whom unicast streams go; empty for multicast.
    pub destinations: Vec<Destination>,
    /// Who may ask for what they missed, and from where: every open subscription that asks. They may ask for snapshots, too, from
    /// the same hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fill_clients: Vec<Destination>,
    /// What holds for the feed.
    pub constraints: Constraints,
    /// What operators ordered of the active and it has not reported on yet, oldest first.
    #[serde(default)]
    pub orders: Vec<PendingOrder>,
    /// Set while the active is to hand its generation over.
    #[serde(default)]
    pub step_down: Option<StepDown>,
    /// Rises with every change of the feed, over restarts of stream-admin.
    pub revision: u64,
}

/// The number under which a stream is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamAssignment {
    /// Source stream.
    pub sid: Sid,
    /// Goes into every datagram of the stream.
    pub stream_id: StreamId,
}

/// The other adapter of the pair.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peer {
    /// Its seat.
    pub adapter: AdapterId,
    /// Who sits in it.
    pub incarnation: Incarnation,
    /// Its role in the current generation.
    pub role: Role,
    /// Digest of its conversion-relevant configuration.
    pub config_digest: ConfigDigest,
    /// Where its end of the pair link listens.
    pub link_address: SocketAddr,
    /// Where it is asked for snapshots, if it serves them; its twin may ask, from where that one is asked itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SocketAddr>,
    /// Whether its lease is valid.
    pub alive: bool,
    /// Its stream ids.
    pub streams: Vec<StreamAssignment>,
}

/// One unicast subscriber of this adapter's leg.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destination {
    /// On whose behalf.
    pub subscription: SubscriptionId,
    /// Which source streams.
    pub sids: Selection,
    /// Where its leg receives.
    pub address: SocketAddr,
}

/// `POST /v1/adapters/{id}/renew`: still here, and this is how it goes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Who renews; another one than the seat's is refused.
    pub incarnation: Incarnation,
    /// How it goes.
    pub status: AdapterStatus,
}

/// Answer to a renewal; a revision beyond the last watch event means that a change is on its way.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Renewed {
    /// Renew well within this time.
    pub lease_ms: u64,
    /// The granted generation.
    pub generation: Generation,
    /// The granted role.
    pub role: Role,
    /// Of the feed.
    pub revision: u64,
}

/// An adapter asks for the next generation as its active: its peer's process is gone, or has stepped down, and nothing
/// that the two had agreed is missing here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// Who asks.
    pub incarnation: Incarnation,
    /// The generation whose active is gone.
    pub from: Generation,
    /// Why.
    #[serde(default = "peer_gone")]
    pub cause: TakeoverCause,
}

const fn peer_gone() -> TakeoverCause {
    TakeoverCause::PeerGone
}

/// How an adapter does, in its own words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdapterStatus {
    /// The generation it acts under.
    pub generation: Generation,
    /// The role it acts in.
    pub role: Role,
    /// T in force, in msn.
    pub sync_threshold: u64,
    /// Which adapters of the pair transmit, as far as this one was told.
    #[serde(default)]
    pub transmit: TransmitMode,
    /// Its end of the pair link.
    pub link: LinkState,
    /// Why the link is not up, or anything else worth a sentence.
    #[serde(default)]
    pub reason: String,
    /// Whether it announces that its peer is lost.
    #[serde(default)]
    pub peer_lost: bool,
    /// Whether it is on its way out.
    #[serde(default)]
    pub draining: bool,
    /// Per source stream.
    pub streams: Vec<StreamStatus>,
    /// Per line of each source stream.
    #[serde(default)]
    pub lines: Vec<LineStatus>,
    /// Datagrams that the kernel dropped before this process could read them.
    #[serde(default)]
    pub kernel_drops: u64,
    /// Anything else that counts up, by metric name without prefix; at most [`COUNTERS_PER_REPORT`] in a request.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
}

/// Most free counters in one report to stream-admin. Builds of both sides meet: who has more leaves some out.
pub const COUNTERS_PER_REPORT: usize = 64;

/// One stream of an adapter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamStatus {
    /// Source stream.
    pub sid: Sid,
    /// Whether it transmits: records or heartbeats.
    pub sending: bool,
    /// Whether it is on standby: records are numbered and withheld, and heartbeats say so.
    #[serde(default)]
    pub standby: bool,
    /// Why the backup of a standby pair transmits nevertheless; empty when it does not.
    #[serde(default)]
    pub suspicion: String,
    /// The msn that the next record will carry.
    pub next_msn: u64,
    /// The position that comes next.
    pub next_pos: Pos,
    /// Administrative messages so far.
    #[serde(default)]
    pub adm: u64,
    /// What the conversion remembers.
    pub context_id: ContextId,
    /// Whether it remembers everything since the epoch's first number.
    pub complete: bool,
    /// What is known of the data.
    pub data: DataState,
    /// Why it is not good.
    #[serde(default)]
    pub reason: String,
    /// How its pair stands.
    #[serde(default)]
    pub pair: StreamPair,
}

/// How one end of a pair stands with a stream's administrative messages.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamPair {
    /// This end's state.
    pub state: PairState,
    /// Why it is not synchronised; empty when it is.
    pub reason: String,
    /// Whether both ends would place the next administrative message, as far as this one knows.
    pub protected: bool,
    /// How many administrative messages of older generations are valid.
    pub inherited: u64,
    /// As active: whether its generation began with everything that the one before had announced.
    #[serde(default)]
    pub seamless: bool,
    /// As backup: whether it lacks nothing that the active had said when it was last heard.
    #[serde(default)]
    pub lacks_nothing: bool,
    /// Messages that wait for their slots.
    pub waiting: u64,
    /// What was counted, by the names of the adapter's metrics without `pair_`.
    pub counters: BTreeMap<String, u64>,
    /// As backup: the range of source numbers (`range × 4,096` and the 4,095 that follow) in which it last sent other
    /// content than its active, while it counts as differing.
    #[serde(default)]
    pub diverged_range: Option<u64>,
}

impl Default for StreamPair {
    fn default() -> Self {
        Self {
            state: PairState::Unknown,
            reason: String::new(),
            protected: false,
            inherited: 0,
            seamless: false,
            lacks_nothing: false,
            waiting: 0,
            counters: BTreeMap::new(),
            diverged_range: None,
        }
    }
}

/// One line of one source stream into an adapter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LineStatus {
    /// Source stream.
    pub sid: Sid,
    /// Which transport.
    pub line: LineName,
    /// What it does.
    pub state: LineState,
    /// Packets received.
    pub packets: u64,
    /// Source messages of which this line brought the first copy.
    #[serde(default)]
    pub first_arrivals: u64,
    /// Holes seen on this line alone.
    #[serde(default)]
    pub gaps: u64,
    /// Age of the last packet, in milliseconds.
    #[serde(default)]
    pub last_packet_age_ms: Option<u64>,
    /// Datagrams that the kernel dropped on this line's socket.
    #[serde(default)]
    pub kernel_drops: u64,
}
