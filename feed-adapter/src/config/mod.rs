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

mod digest;
mod error;
mod example;
mod file;
mod span;
mod words;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use twinfeed_control::FeedName;
use twinfeed_net::idle::Idle;
use twinfeed_net::interface::Selector;
use twinfeed_protocol::line::{LineLimits, Lines};
use twinfeed_wire::Sid;
use twinfeed_wire::link::Role;
use twinfeed_wire::{DEFAULT_DATAGRAM, LONGEST_DATAGRAM, SMALLEST_MAX_DATAGRAM};

pub use digest::DIGEST_KEYS;
pub use error::ConfigError;
pub use example::EXAMPLE;
pub use span::Span;
pub use words::{Format, Profile, PublishMode, Replay, SourceType};

use crate::decode::TradingDay;
use file::{FeedFile, HostTable, LineLetter, LineTable, LinesTable, SourceTable};

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
    /// The multicast group of each role's stream, active first; only in multicast mode.
    pub group: Option<[SocketAddr; 2]>,
}

/// Where a source's messages come from.
#[derive(Clone, Debug)]
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

/// The pair link.
#[derive(Clone, Debug)]
pub struct PairConfig {
    /// T, in msn: how far the backup may be behind an announced slot.
    pub sync_threshold: u64,
    /// A silent link says that it lives this often.
    pub beat: Duration,
    /// Silent intervals after which the link counts as down.
    pub missed_beats: u32,
    /// Where the peer's end listens, unless stream-admin knows better.
    pub peer: Option<SocketAddr>,
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
    /// Which address streams are sent from.
    pub publish_from: SocketAddr,
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
            build(role, file, &host_table, overrides, base)
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
            build(role, file, &HostTable::default(), overrides, Path::new("."))
                .map_err(|error| error.found_in(name, text))
        })
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

fn build(
    role: Role,
    file: FeedFile,
    host_file: &HostTable,
    overrides: &Overrides,
    base: &Path,
) -> Result<Config, ConfigError> {
    let (own, other) = match role {
        Role::Active => (&file.active, &file.backup),
        Role::Backup => (&file.backup, &file.active),
    };
    let peer = other.link.or(file.host.link);
    let host = file
        .host
        .clone()
        .overridden_by(own)
        .overridden_by(host_file);
    let publish = publish(&file)?;
    let sources = sources(&file.source, &host, publish.mode, base)?;
    let token_file = host.token_file.clone().or(file.stream_admin.token_file);
    let config = Config {
        role,
        format: file.format,
        trading_day: file.trading_day,
        publisher_id: file.publisher_id,
        max_open_orders: file.max_open_orders.unwrap_or(DEFAULT_OPEN_ORDERS),
        profile: file.profile,
        sources,
        publish,
        pair: PairConfig {
            sync_threshold: file.pair.sync_threshold.unwrap_or(64),
            beat: file
                .pair
                .beat
                .map_or(Duration::from_millis(200), |span| span.0),
            missed_beats: file.pair.missed_beats.unwrap_or(5),
            peer: peer.filter(|peer| Some(*peer) != own.link && peer.port() != 0),
        },
        stream_admin: StreamAdminConfig {
            url: overrides
                .stream_admin
                .clone()
                .unwrap_or(file.stream_admin.url),
            token_file: overrides
                .token_file
                .clone()
                .or(token_file.map(|path| base.join(path))),
            ca_file: file.stream_admin.ca_file.map(|path| base.join(path)),
        },
        host: host_config(&file.feed, role, file.profile, host, overrides, base),
        feed: file.feed,
    };
    check(&config)?;
    Ok(config)
}

fn publish(file: &FeedFile) -> Result<PublishConfig, ConfigError> {
    let heartbeat = match file.profile {
        Profile::Default => Duration::from_millis(10),
        Profile::LowLatency => Duration::from_millis(1),
    };
    let table = &file.publish;
    let ttl = table.multicast_ttl.unwrap_or(1);
    Ok(PublishConfig {
        mode: table.mode,
        heartbeat: table.heartbeat.map_or(heartbeat, |span| span.0),
        max_datagram: table.max_datagram.unwrap_or(DEFAULT_DATAGRAM),
        max_destinations: table.max_destinations.unwrap_or(64),
        multicast_ttl: u8::try_from(ttl).map_err(|_| {
            ConfigError::new(
                "publish.multicast_ttl",
                format!("{ttl} hops"),
                "use 0 to 255",
            )
        })?,
    })
}

fn host_config(
    feed: &FeedName,
    role: Role,
    profile: Profile,
    table: HostTable,
    overrides: &Overrides,
    base: &Path,
) -> HostConfig {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let idle = match profile {
        Profile::Default => Idle::default(),
        Profile::LowLatency => Idle::Spin,
    };
    let state_dir = table.state_dir.map(|path| base.join(path));
    let own_state = || base.join("state").join(format!("{feed}.{role}"));
    HostConfig {
        link: overrides.link.or(table.link).unwrap_or(loopback),
        publish_from: overrides
            .publish_from
            .or(table.publish_from)
            .unwrap_or(loopback),
        publish_interface: table.publish_interface,
        operations: overrides.operations.or(table.operations),
        state_dir: overrides
            .state_dir
            .clone()
            .or(state_dir)
            .unwrap_or_else(own_state),
        idle: overrides.idle.or(table.idle).unwrap_or(idle),
        core: overrides.core.or(table.core),
        receive_buffer: table.receive_buffer.unwrap_or(DEFAULT_RECEIVE_BUFFER),
        log: overrides
            .log
            .clone()
            .or(table.log)
            .unwrap_or_else(|| "info".to_owned()),
    }
}

fn sources(
    tables: &[SourceTable],
    host: &HostTable,
    mode: PublishMode,
    base: &Path,
) -> Result<Vec<SourceConfig>, ConfigError> {
    if tables.is_empty() || tables.len() > MOST_SOURCES {
        let fault = format!("{} sources", tables.len());
        let remedy = format!("write 1 to {MOST_SOURCES} tables [[source]]");
        return Err(ConfigError::new("source", fault, remedy));
    }
    let mut sources: Vec<SourceConfig> = Vec::with_capacity(tables.len());
    for table in tables {
        let sid = Sid(table.sid);
        if sources.iter().any(|source| source.sid == sid) {
            let remedy = "give every source its own sid";
            return Err(ConfigError::new(
                "source.sid",
                format!("sid {sid} stands twice"),
                remedy,
            ));
        }
        if mode == PublishMode::Multicast && table.group.is_none() {
            let remedy = "add `group = { active = \"GROUP:PORT\", backup = \"GROUP:PORT\" }`";
            return Err(ConfigError::new("source.group", missing(sid), remedy));
        }
        sources.push(SourceConfig {
            sid,
            input: input(table, host, base)?,
            limits: limits(table)?,
            group: table
                .group
                .as_ref()
                .map(|group| [group.active, group.backup]),
        });
    }
    Ok(sources)
}

fn limits(table: &SourceTable) -> Result<LineLimits, ConfigError> {
    let default = LineLimits::default();
    let span = |given: Option<Span>, default| given.map_or(default, |span| span.0);
    let held_messages = table.held_messages.unwrap_or(default.held_messages);
    let limits = LineLimits {
        origin_first: table.first_sseq.unwrap_or(default.origin_first),
        reorder_hold: span(table.reorder_hold, default.reorder_hold),
        lag_hold: span(table.lag_hold, default.lag_hold),
        silence: span(table.silence, default.silence),
        held_messages,
        held_bytes: table.held_bytes.unwrap_or(default.held_bytes),
        window: table
            .window
            .unwrap_or(default.window.min(held_messages as u64)),
        ..default
    };
    // The machine itself knows best what it can work with.
    Lines::new(limits).map(|_| limits).map_err(|bad| {
        let key = if bad.name == "origin_first" {
            "first_sseq"
        } else {
            bad.name
        };
        ConfigError::new(
            format!("source.{key}"),
            "out of bounds",
            format!("it must {}", bad.must),
        )
    })
}

fn missing(sid: Sid) -> String {
    format!("missing in source {sid}")
}

fn input(table: &SourceTable, host: &HostTable, base: &Path) -> Result<InputConfig, ConfigError> {
    let sid = Sid(table.sid);
    let LinesTable { a, b } = &table.line;
    match (table.kind, &table.file) {
        (SourceType::Moldudp64, None) => {
            let of = |letter, line: &Option<LineTable>| {
                line.as_ref()
                    .map(|line| line_config(sid, letter, line, host))
            };
            let lines = [of(LineLetter::A, a), of(LineLetter::B, b)];
            if lines[0].is_none() {
                let remedy = "add `line.A = { address = \"ADDRESS:PORT\" }`; line.B may follow";
                return Err(ConfigError::new("source.line.A", missing(sid), remedy));
            }
            Ok(InputConfig::Live(lines))
        }
        (SourceType::Moldudp64, Some(_)) => {
            let remedy = "remove `file`, or use the type `pcap` or `binaryfile`";
            Err(ConfigError::new(
                "source.file",
                "a live source reads no file",
                remedy,
            ))
        }
        (_, None) => {
            let remedy = "name the capture or BinaryFILE to replay";
            Err(ConfigError::new("source.file", missing(sid), remedy))
        }
        (kind, Some(path)) => Ok(InputConfig::File {
            kind,
            path: base.join(path),
            speed: table.replay,
            start_delay: table.start_delay.map_or(Duration::ZERO, |span| span.0),
            lines: [a, b].map(|line| line.as_ref().map(|line| line.address)),
        }),
    }
}

fn line_config(sid: Sid, letter: LineLetter, line: &LineTable, host: &HostTable) -> LineConfig {
    let mut config = LineConfig {
        address: line.address,
        interface: line.interface.clone(),
        source: line.source,
    };
    let ours = host
        .line
        .iter()
        .filter(|other| other.sid == sid.0 && other.line == letter);
    for other in ours {
        config.address = other.address.unwrap_or(config.address);
        config.interface = other.interface.clone().or(config.interface);
    }
    config
}

/// What the values must be to each other, and to the limits.
fn check(config: &Config) -> Result<(), ConfigError> {
    let length = config.publish.max_datagram;
    let lengths = SMALLEST_MAX_DATAGRAM..=LONGEST_DATAGRAM;
    let host = &config.host;
    let rules = [
        (
            "publish.max_datagram",
            "be a multiple of 8 between 1200 and 65504",
            lengths.contains(&length) && length.is_multiple_of(8),
        ),
        (
            "publish.heartbeat",
            "be between 10us and 10s",
            (Duration::from_micros(10)..=Duration::from_secs(10))
                .contains(&config.publish.heartbeat),
        ),
        (
            "publish.max_destinations",
            "be between 1 and 4096",
            (1..=4_096).contains(&config.publish.max_destinations),
        ),
        (
            "max_open_orders",
            "be between 1 and 268435456",
            (1..=1 << 28).contains(&config.max_open_orders),
        ),
        (
            "pair.beat",
            "be between 1ms and 60s",
            (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&config.pair.beat),
        ),
        (
            "pair.missed_beats",
            "be at least 1",
            config.pair.missed_beats >= 1,
        ),
        (
            "link",
            "name an address that the peer can reach, not 0.0.0.0 or [::]",
            !host.link.ip().is_unspecified(),
        ),
        (
            "publish_from",
            "name the address that subscribers see, not 0.0.0.0 or [::]",
            !host.publish_from.ip().is_unspecified(),
        ),
        (
            "receive_buffer",
            "be at least 4096",
            host.receive_buffer >= 4_096,
        ),
    ];
    match rules.iter().find(|(_, _, holds)| !holds) {
        Some((key, must, _)) => Err(ConfigError::new(
            *key,
            "out of bounds",
            format!("it must {must}"),
        )),
        None => Ok(()),
    }
}

const DEFAULT_OPEN_ORDERS: usize = 4 << 20;
const DEFAULT_RECEIVE_BUFFER: usize = 8 << 20;
