//! What may stand in a feed's file and in a host's file?
//!
//! The shapes of the text alone: every value is of its type behind this gate, and unknown keys are
//! refused with the line they stand on. What the values must be to each other is the business of
//! the parent module.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use twinfeed_control::{FeedName, TransmitMode};
use twinfeed_net::idle::Idle;
use twinfeed_net::interface::Selector;

use super::{Format, Profile, PublishMode, Replay, SourceType, Span};
use crate::decode::TradingDay;

/// The file that both adapters of a feed share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedFile {
    pub(super) feed: FeedName,
    pub(super) format: Format,
    #[serde(deserialize_with = "day")]
    pub(super) trading_day: TradingDay,
    pub(super) publisher_id: u16,
    pub(super) max_open_orders: Option<usize>,
    #[serde(default)]
    pub(super) profile: Profile,
    #[serde(default)]
    pub(super) source: Vec<SourceTable>,
    #[serde(default)]
    pub(super) publish: PublishTable,
    #[serde(default)]
    pub(super) fills: FillsTable,
    #[serde(default)]
    pub(super) snapshots: SnapshotsTable,
    #[serde(default)]
    pub(super) ring: RingTable,
    #[serde(default)]
    pub(super) pair: PairTable,
    pub(super) stream_admin: StreamAdminTable,
    #[serde(default)]
    pub(super) host: HostTable,
    #[serde(default)]
    pub(super) active: HostTable,
    #[serde(default)]
    pub(super) backup: HostTable,
}

/// `[[source]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    pub(super) sid: u32,
    #[serde(rename = "type")]
    pub(super) kind: SourceType,
    pub(super) first_sseq: Option<u64>,
    #[serde(default)]
    pub(super) line: LinesTable,
    pub(super) file: Option<PathBuf>,
    #[serde(default)]
    pub(super) replay: Replay,
    pub(super) start_delay: Option<Span>,
    pub(super) reorder_hold: Option<Span>,
    pub(super) lag_hold: Option<Span>,
    pub(super) silence: Option<Span>,
    pub(super) request_time: Option<Span>,
    pub(super) request_patience: Option<Span>,
    pub(super) request_messages: Option<u64>,
    pub(super) window: Option<u64>,
    pub(super) held_messages: Option<usize>,
    pub(super) held_bytes: Option<usize>,
    pub(super) soup: Option<SoupTable>,
    pub(super) glimpse: Option<GlimpseTable>,
    pub(super) group: Option<GroupTable>,
}

/// `line.A`, `line.B`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesTable {
    #[serde(rename = "A")]
    pub(super) a: Option<LineTable>,
    #[serde(rename = "B")]
    pub(super) b: Option<LineTable>,
}

/// One line of a source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineTable {
    pub(super) address: SocketAddr,
    #[serde(default, deserialize_with = "selector")]
    pub(super) interface: Option<Selector>,
    pub(super) source: Option<IpAddr>,
    pub(super) requests: Option<SocketAddr>,
    pub(super) soup: Option<SocketAddr>,
    pub(super) glimpse: Option<SocketAddr>,
}

/// `[source.soup]`: what is asked of the lines' SoupBinTCP servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SoupTable {
    pub(super) user: String,
    pub(super) password_file: Option<PathBuf>,
    pub(super) time: Option<Span>,
    pub(super) patience: Option<Span>,
    pub(super) messages: Option<u64>,
    pub(super) answer_time: Option<Span>,
    pub(super) answer_bytes: Option<usize>,
    pub(super) past: Option<bool>,
    pub(super) past_after: Option<Span>,
    pub(super) past_time: Option<Span>,
    pub(super) past_messages: Option<u64>,
}

/// `[source.glimpse]`: what is asked of the lines' snapshot servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GlimpseTable {
    pub(super) user: String,
    pub(super) password_file: Option<PathBuf>,
    pub(super) any_session: Option<bool>,
    pub(super) after: Option<Span>,
    pub(super) time: Option<Span>,
    pub(super) messages: Option<u64>,
}

/// `group.active`, `group.backup`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupTable {
    pub(super) active: SocketAddr,
    pub(super) backup: SocketAddr,
}

/// `[publish]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishTable {
    #[serde(default)]
    pub(super) mode: PublishMode,
    pub(super) heartbeat: Option<Span>,
    pub(super) max_datagram: Option<usize>,
    pub(super) max_destinations: Option<usize>,
    pub(super) multicast_ttl: Option<u32>,
}

/// `[fills]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FillsTable {
    pub(super) enabled: Option<bool>,
    pub(super) messages: Option<usize>,
    pub(super) bytes: Option<usize>,
    pub(super) queue: Option<usize>,
    pub(super) clients: Option<usize>,
    pub(super) answer: Option<u32>,
    pub(super) client_rate: Option<u32>,
    pub(super) total_rate: Option<u32>,
    pub(super) burst: Option<Span>,
    pub(super) moment: Option<Span>,
}

/// `[snapshots]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotsTable {
    pub(super) enabled: Option<bool>,
    pub(super) queue: Option<usize>,
    pub(super) instruments: Option<usize>,
    pub(super) turn: Option<usize>,
    pub(super) spool_bytes: Option<usize>,
    pub(super) keep: Option<Span>,
    pub(super) clients: Option<usize>,
    pub(super) wait: Option<Span>,
    pub(super) client_time: Option<Span>,
    pub(super) rate: Option<u64>,
    pub(super) from_peer: Option<bool>,
    pub(super) from_source: Option<bool>,
    pub(super) peer_time: Option<Span>,
    pub(super) kept_bytes: Option<usize>,
}

/// `[ring]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RingTable {
    pub(super) enabled: Option<bool>,
    pub(super) slots: Option<usize>,
    pub(super) users: Option<Vec<u32>>,
    pub(super) directory: Option<PathBuf>,
}

/// `[pair]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairTable {
    pub(super) sync_threshold: Option<u64>,
    pub(super) beat: Option<Span>,
    pub(super) missed_beats: Option<u32>,
    pub(super) least_lead: Option<Span>,
    #[serde(default)]
    pub(super) transmit: TransmitMode,
    pub(super) standby_replay: Option<usize>,
    pub(super) standby_retain: Option<usize>,
    pub(super) standby_retain_bytes: Option<usize>,
    pub(super) standby_missed_reports: Option<u32>,
    pub(super) standby_hold_down: Option<Span>,
    pub(super) context_transfer: Option<bool>,
    pub(super) context_buffer: Option<usize>,
    pub(super) context_queue: Option<usize>,
}

/// `[stream_admin]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamAdminTable {
    pub(super) url: String,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
}

/// `[host]`, `[active]`, `[backup]`, and the whole of a host's file: what differs per host or role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTable {
    pub(super) link: Option<SocketAddr>,
    pub(super) link_advertised: Option<SocketAddr>,
    pub(super) publish_from: Option<SocketAddr>,
    pub(super) fills_from: Option<SocketAddr>,
    pub(super) snapshots_from: Option<SocketAddr>,
    #[serde(default, deserialize_with = "selector")]
    pub(super) publish_interface: Option<Selector>,
    pub(super) operations: Option<SocketAddr>,
    pub(super) state_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "idle")]
    pub(super) idle: Option<Idle>,
    pub(super) core: Option<usize>,
    pub(super) receive_buffer: Option<usize>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) log: Option<String>,
    #[serde(default)]
    pub(super) line: Vec<LineOverride>,
}

/// `[[line]]` in a host's table: where this host finds a line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineOverride {
    pub(super) sid: u32,
    pub(super) line: LineLetter,
    pub(super) address: Option<SocketAddr>,
    #[serde(default, deserialize_with = "selector")]
    pub(super) interface: Option<Selector>,
}

/// A line's letter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(super) enum LineLetter {
    A,
    B,
}

impl HostTable {
    /// `self`, save where `other` says something: later tables win, key by key.
    pub(super) fn overridden_by(mut self, other: &Self) -> Self {
        let other = other.clone();
        self.line.extend(other.line);
        Self {
            link: other.link.or(self.link),
            link_advertised: other.link_advertised.or(self.link_advertised),
            publish_from: other.publish_from.or(self.publish_from),
            fills_from: other.fills_from.or(self.fills_from),
            snapshots_from: other.snapshots_from.or(self.snapshots_from),
            publish_interface: other.publish_interface.or(self.publish_interface),
            operations: other.operations.or(self.operations),
            state_dir: other.state_dir.or(self.state_dir),
            idle: other.idle.or(self.idle),
            core: other.core.or(self.core),
            receive_buffer: other.receive_buffer.or(self.receive_buffer),
            token_file: other.token_file.or(self.token_file),
            log: other.log.or(self.log),
            line: self.line,
        }
    }
}

fn selector<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Selector>, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse() {
        Ok(selector) => Ok(Some(selector)),
        Err(never) => match never {},
    }
}

fn idle<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Idle>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

fn day<'de, D: Deserializer<'de>>(from: D) -> Result<TradingDay, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|error| {
        de::Error::custom(format!(
            "`{text}` is no trading day: {error}; write it as in `2019-12-30`"
        ))
    })
}
