//! What was this adapter told to do?
//!
//! ```text
//!  feed file ─┬─ conversion-relevant keys ─► digest          equal on both adapters, or no pair
//!             ├─ publish, pair, stream_admin
//!             └─ [host] ◄─ [active] or [backup] ◄─ host file ◄─ environment and flags
//! ```
//!
//! One file per feed, shared by both adapters. What differs per host stands in `[host]` (both),
//! `[active]` or `[backup]` (one role), in a file of the host's own, in the environment or in flags;
//! the later one wins, key by key. A configuration is read once and refused whole if anything in it
//! is wrong.
//!
//! Nothing here opens a socket: that an address is free is found out by whoever binds it.

mod build;
mod digest;
mod error;
mod example;
mod file;
mod snapshots;
mod soup;
mod span;
mod words;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use twinfeed_control::{FeedName, TransmitMode};
use twinfeed_net::idle::Idle;
use twinfeed_net::interface::Selector;
use twinfeed_protocol::line::LineLimits;
use twinfeed_protocol::retain::{RetentionLimits, ServerLimits};
use twinfeed_protocol::sequencer::RetainLimits;
use twinfeed_protocol::standby::StandbyLimits;
use twinfeed_wire::Sid;
use twinfeed_wire::link::Role;

pub use digest::DIGEST_KEYS;
pub use error::ConfigError;
pub use example::EXAMPLE;
pub use snapshots::SnapshotsConfig;
pub use soup::{GlimpseConfig, SoupConfig};
pub use span::Span;
pub use words::{Format, Profile, PublishMode, Replay, SourceType};

use crate::decode::{TradingDay, itch50};
use file::HostTable;

/// Most sources that one adapter converts.
pub const MOST_SOURCES: usize = 32;

/// Everything one adapter was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The feed's name, as stream-admin knows it.
    pub feed: FeedName,
    /// The role of the binary; the granted generation decides what it does.
    pub role: Role,
    /// The sources' format.
    pub format: Format,
    /// The day to which nanoseconds since midnight belong.
    pub trading_day: TradingDay,
    /// DBN's `publisher_id` in every record.
    pub publisher_id: u16,
    /// Most orders that one source's context remembers; memory is set aside at the start.
    pub max_open_orders: usize,
    /// Latency against the host's other work.
    pub profile: Profile,
    /// One stream each.
    pub sources: Vec<SourceConfig>,
    /// How streams leave.
    pub publish: PublishConfig,
    /// What subscribers are given that they missed.
    pub fills: FillsConfig,
    /// What subscribers that join are told.
    pub snapshots: SnapshotsConfig,
    /// What subscribers on this host may read instead of the network.
    pub ring: RingConfig,
    /// The pair link.
    pub pair: PairConfig,
    /// Stream administration.
    pub stream_admin: StreamAdminConfig,
    /// What belongs to this host alone.
    pub host: HostConfig,
}

/// One source: its lines, or the file that stands for them.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its id, equal on both adapters.
    pub sid: Sid,
    /// Where its messages come from.
    pub input: InputConfig,
    /// How its two lines are arbitrated.
    pub limits: LineLimits,
    /// How its SoupBinTCP servers are asked, if a line has one.
    pub soup: Option<SoupConfig>,
    /// How its snapshot servers are asked, if a line has one.
    pub glimpse: Option<GlimpseConfig>,
    /// The multicast group of each role's stream, active first; only in multicast mode.
    pub group: Option<[SocketAddr; 2]>,
}

/// Where a source's messages come from.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are few sources, and each is read once"
)]
pub enum InputConfig {
    /// MoldUDP64 packets from sockets; line A first, line B may be absent.
    Live([Option<LineConfig>; 2]),
    /// A file.
    File {
        /// Capture or BinaryFILE.
        kind: SourceType,
        /// Its path.
        path: PathBuf,
        /// How fast it is replayed.
        speed: Replay,
        /// How long to wait before the first packet, so that subscribers can join.
        start_delay: Duration,
        /// Which packets of a capture belong to which line, by destination; `None`: all to line A.
        lines: [Option<SocketAddr>; 2],
    },
}

/// One line of a live source.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// Group and port, or the unicast address to bind.
    pub address: SocketAddr,
    /// Where to join the group.
    pub interface: Option<Selector>,
    /// The only sender believed; packets of others are counted as foreign.
    pub source: Option<IpAddr>,
    /// The exchange's request server for this line's packets; asked for what no line brought.
    pub requests: Option<SocketAddr>,
    /// The exchange's SoupBinTCP server of this line's session; asked for what request servers have not got, and for a
    /// session's past.
    pub soup: Option<SocketAddr>,
    /// The exchange's GLIMPSE server of this line's session; asked for what is open, by an adapter that began in mid-session.
    pub glimpse: Option<SocketAddr>,
}

/// How streams leave.
#[derive(Clone, Debug)]
pub struct PublishConfig {
    /// Unicast or multicast.
    pub mode: PublishMode,
    /// A silent stream says that it lives this often.
    pub heartbeat: Duration,
    /// Longest UDP payload, bytes.
    pub max_datagram: usize,
    /// Most unicast destinations per stream.
    pub max_destinations: usize,
    /// Hops that a multicast datagram survives.
    pub multicast_ttl: u8,
}

/// What subscribers are given that they missed.
#[derive(Clone, Copy, Debug)]
pub struct FillsConfig {
    /// Whether anything is retained and given.
    pub enabled: bool,
    /// What is retained of each stream.
    pub retention: RetentionLimits,
    /// Who is given how much.
    pub server: ServerLimits,
    /// Datagrams that wait to be retained; what finds no room is not retained.
    pub queue: usize,
}

/// What subscribers on this host may read instead of the network: this leg, in shared memory.
#[derive(Clone, Debug)]
pub struct RingConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Datagrams that it holds, a power of two; a reader that is so many behind has lost some.
    pub slots: usize,
    /// Users who may read it, beside this process's own and root.
    pub users: Vec<u32>,
    /// Where its socket is; `None`: without a file, for whoever shares the network namespace.
    pub directory: Option<PathBuf>,
}

/// The pair link.
#[derive(Clone, Debug)]
pub struct PairConfig {
    /// T, in msn: how far the backup may be behind an announced slot.
    pub sync_threshold: u64,
    /// A silent link says that it lives this often.
    pub beat: Duration,
    /// Silent intervals after which the link counts as down.
    pub missed_beats: u32,
    /// How long before it is reached a slot is announced at least.
    pub least_lead: Duration,
    /// Which adapters transmit.
    pub transmit: TransmitMode,
    /// How, if only the active does.
    pub standby: StandbyConfig,
    /// Where the peer's end listens, unless stream-admin knows better.
    pub peer: Option<SocketAddr>,
    /// Whether an incomplete context is taken over from the peer, and a complete one handed to it.
    pub context_transfer: bool,
    /// Most bytes of source messages kept while a context is taken over; resident from the start, unless none ever is.
    pub context_buffer: usize,
    /// Most bytes of a context, and of what changes in it, that wait to be handed over.
    pub context_queue: usize,
}

/// A pair of which only the active transmits.
#[derive(Clone, Copy, Debug)]
pub struct StandbyConfig {
    /// What the backup's stream keeps, and how much of it is sent again; per source.
    pub retain: RetainLimits,
    /// When the active is suspected, and when no more.
    pub limits: StandbyLimits,
}

impl PairConfig {
    /// How only the active transmits; `None`: both do.
    #[must_use]
    pub fn standby(&self) -> Option<StandbyConfig> {
        (self.transmit == TransmitMode::Standby).then_some(self.standby)
    }
}

/// Stream administration.
#[derive(Clone, Debug)]
pub struct StreamAdminConfig {
    /// Its base URL.
    pub url: String,
    /// The file that holds this adapter's token.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust; without one, the public web's.
    pub ca_file: Option<PathBuf>,
}

/// What belongs to this host alone.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where this end of the pair link listens.
    pub link: SocketAddr,
    /// Where the peer reaches it, behind a port forwarding or a relay; `None`: there.
    pub link_advertised: Option<SocketAddr>,
    /// Which address streams are sent from.
    pub publish_from: SocketAddr,
    /// On which address subscribers ask for what they missed.
    pub fills_from: SocketAddr,
    /// On which address subscribers that join ask for what there is.
    pub snapshots_from: SocketAddr,
    /// On which interface multicast streams leave.
    pub publish_interface: Option<Selector>,
    /// Where `/metrics` and `/status.json` are served; `None`: nowhere.
    pub operations: Option<SocketAddr>,
    /// Where the grant is persisted.
    pub state_dir: PathBuf,
    /// What the data thread does when there is nothing to do.
    pub idle: Idle,
    /// The core that the data thread is pinned to.
    pub core: Option<usize>,
    /// Receive buffer asked for per line, bytes.
    pub receive_buffer: usize,
    /// What is logged: a level, or `tracing` directives.
    pub log: String,
}

/// What the environment and flags say; later than every file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// See [`HostConfig::link`].
    pub link: Option<SocketAddr>,
    /// See [`HostConfig::publish_from`].
    pub publish_from: Option<SocketAddr>,
    /// See [`HostConfig::operations`].
    pub operations: Option<SocketAddr>,
    /// See [`HostConfig::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// See [`HostConfig::idle`].
    pub idle: Option<Idle>,
    /// See [`HostConfig::core`].
    pub core: Option<usize>,
    /// See [`HostConfig::log`].
    pub log: Option<String>,
    /// See [`StreamAdminConfig::token_file`].
    pub token_file: Option<PathBuf>,
    /// See [`StreamAdminConfig::url`].
    pub stream_admin: Option<String>,
}

impl Config {
    /// Reads the feed's file and, if there is one, the host's.
    ///
    /// # Errors
    /// [`ConfigError`] names file, line, key and remedy of the first fault.
    pub fn read(
        role: Role,
        feed_file: &Path,
        host_file: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let text = read(feed_file)?;
        let host_table = match host_file {
            None => HostTable::default(),
            Some(path) => parse(path, &read(path)?)?,
        };
        let base = feed_file.parent().unwrap_or(Path::new("."));
        parse(feed_file, &text).and_then(|file| {
            build::build(role, file, &host_table, overrides, base)
                .map_err(|error| error.found_in(feed_file, &text))
        })
    }

    /// As [`Config::read`], from a text that is in no file; for tests and generated set-ups.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(role: Role, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let name = Path::new("feed.toml");
        parse(name, text).and_then(|file| {
            build::build(role, file, &HostTable::default(), overrides, Path::new("."))
                .map_err(|error| error.found_in(name, text))
        })
    }

    /// What the ITCH 5.0 decoder is told.
    #[must_use]
    pub const fn itch50_settings(&self) -> itch50::Settings {
        itch50::Settings {
            publisher_id: self.publisher_id,
            max_open_orders: self.max_open_orders,
        }
    }

    /// Digest of the conversion-relevant keys ([`DIGEST_KEYS`]); adapters pair only while theirs are
    /// equal.
    #[must_use]
    pub fn digest(&self) -> u64 {
        digest::of(self)
    }

    /// Digest of the feed's name: two feeds never pair by a wrong address.
    #[must_use]
    pub fn feed_digest(&self) -> u64 {
        digest::of_name(&self.feed)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::unparsable(path, text, &error))
}
