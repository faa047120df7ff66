//! How may subscribers that join be told what there is?

use std::time::Duration;

use twinfeed_net::wait::MAX_WAIT_SOCKETS;
use twinfeed_wire::snapshot::LONGEST_FRAME;

use super::file::SnapshotsTable;
use super::{ConfigError, Span};

/// What subscribers that join are told.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotsConfig {
    /// Whether the adapter's own output is followed, and what it comes to given.
    pub enabled: bool,
    /// Datagrams that wait to be followed; when one finds no room, what is known is not whole for
    /// the rest of the epoch.
    pub queue: usize,
    /// Most instruments of a source stream that are known; with more, what is known is not whole.
    pub instruments: usize,
    /// Orders that are written after each batch of the stream; a book is written whole.
    pub turn: usize,
    /// Longest snapshot, bytes; at most two live at a time.
    pub spool_bytes: usize,
    /// How long a snapshot is kept for who asks a moment later.
    pub keep: Duration,
    /// Most askers that are connected.
    pub clients: usize,
    /// How long somebody waits for a snapshot, and may be connected without asking.
    pub wait: Duration,
    /// How long somebody may take what it is given.
    pub client_time: Duration,
    /// Bytes per second that all are sent.
    pub rate: u64,
    /// Whether the other adapter is asked where what is known is not whole.
    pub from_peer: bool,
    /// Whether the source is asked where the other adapter does not have it: its session, where `soup.past` says that it may be fetched, or
    /// its snapshot server.
    pub from_source: bool,
    /// How long an attempt to take a snapshot may last, once the adapter's own output is kept for it.
    pub peer_time: Duration,
    /// Most bytes of the adapter's own output, of one source stream, that are kept during such an attempt; with more it begins again.
    pub kept_bytes: usize,
}

impl Default for SnapshotsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            queue: 4_096,
            instruments: 131_072,
            turn: 20_000,
            spool_bytes: 256 << 20,
            keep: Duration::from_secs(2),
            clients: 16,
            wait: Duration::from_secs(10),
            client_time: Duration::from_secs(60),
            rate: 64 << 20,
            from_peer: true,
            from_source: true,
            peer_time: Duration::from_secs(60),
            kept_bytes: 256 << 20,
        }
    }
}

pub(super) fn snapshots(table: &SnapshotsTable) -> Result<SnapshotsConfig, ConfigError> {
    let default = SnapshotsConfig::default();
    let span = |given: Option<Span>, default| given.map_or(default, |span| span.0);
    let config = SnapshotsConfig {
        enabled: table.enabled.unwrap_or(default.enabled),
        queue: table.queue.unwrap_or(default.queue),
        instruments: table.instruments.unwrap_or(default.instruments),
        turn: table.turn.unwrap_or(default.turn),
        spool_bytes: table.spool_bytes.unwrap_or(default.spool_bytes),
        keep: span(table.keep, default.keep),
        clients: table.clients.unwrap_or(default.clients),
        wait: span(table.wait, default.wait),
        client_time: span(table.client_time, default.client_time),
        rate: table.rate.unwrap_or(default.rate),
        from_peer: table.from_peer.unwrap_or(default.from_peer),
        from_source: table.from_source.unwrap_or(default.from_source),
        peer_time: span(table.peer_time, default.peer_time),
        kept_bytes: table.kept_bytes.unwrap_or(default.kept_bytes),
    };
    let within = |span: Duration| (SHORTEST..=LONGEST).contains(&span);
    let rules = [
        (
            "queue",
            "be between 1 and 1048576",
            (1..=1 << 20).contains(&config.queue),
        ),
        (
            "instruments",
            "be between 1 and 16777216",
            (1..=1 << 24).contains(&config.instruments),
        ),
        (
            "turn",
            "be between 1 and 10000000",
            (1..=10_000_000).contains(&config.turn),
        ),
        (
            "spool_bytes",
            "be between 131104 and 17179869184",
            (2 * LONGEST_FRAME..=16 << 30).contains(&config.spool_bytes),
        ),
        ("keep", "be at most 60m", config.keep <= LONGEST),
        (
            "clients",
            "be between 1 and 120",
            (1..=MAX_WAIT_SOCKETS - OWN_SOCKETS).contains(&config.clients),
        ),
        ("wait", "be between 1ms and 60m", within(config.wait)),
        (
            "client_time",
            "be between 1ms and 60m",
            within(config.client_time),
        ),
        ("rate", "be at least 4096", config.rate >= 4_096),
        (
            "peer_time",
            "be between 1ms and 60m",
            within(config.peer_time),
        ),
        (
            "kept_bytes",
            "be between 65536 and 17179869184",
            (1 << 16..=16 << 30).contains(&config.kept_bytes),
        ),
    ];
    match rules.iter().find(|(_, _, holds)| !holds) {
        None => Ok(config),
        Some((key, must, _)) => Err(ConfigError::new(
            format!("snapshots.{key}"),
            "out of bounds",
            format!("it must {must}"),
        )),
    }
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Sockets that the thread for snapshots waits for beside its askers, and some to spare.
const OWN_SOCKETS: usize = 8;
