//! What do a file's values mean together, and may they?
//!
//! Tables override each other key by key, defaults fill what nobody said, and every bound is checked
//! here, once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use twinfeed_control::FeedName;
use twinfeed_net::idle::Idle;
use twinfeed_protocol::BadLimit;
use twinfeed_protocol::line::{LineLimits, Lines};
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::retain::{RetentionLimits, ServerLimits};
use twinfeed_protocol::sequencer::RetainLimits;
use twinfeed_protocol::standby::StandbyLimits;
use twinfeed_wire::link::Role;
use twinfeed_wire::{DEFAULT_DATAGRAM, LONGEST_DATAGRAM, SMALLEST_MAX_DATAGRAM, Sid};

use super::file::{
    FeedFile, FillsTable, HostTable, LineLetter, LineTable, LinesTable, PairTable, RingTable,
    SoupTable, SourceTable,
};
use super::snapshots::snapshots;
use super::soup::{glimpse, soup};
use super::{
    Config, ConfigError, FillsConfig, HostConfig, InputConfig, LineConfig, MOST_SOURCES, Overrides,
    PairConfig, Profile, PublishConfig, PublishMode, RingConfig, SourceConfig, SourceType, Span,
    StandbyConfig, StreamAdminConfig,
};

/// Everything together, checked.
pub(super) fn build(
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
    let peer = other.link_advertised.or(other.link).or(file.host.link);
    let host = file
        .host
        .clone()
        .overridden_by(own)
        .overridden_by(host_file);
    let publish = publish(&file)?;
    let standby = standby(&file.pair, &publish)?;
    let fills = fills(&file.fills, &publish)?;
    let ring = ring(&file.ring, publish.max_datagram, base)?;
    let snapshots = snapshots(&file.snapshots)?;
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
        fills,
        ring,
        snapshots,
        pair: PairConfig {
            sync_threshold: file
                .pair
                .sync_threshold
                .unwrap_or(twinfeed_control::DEFAULT_SYNC_THRESHOLD),
            beat: file
                .pair
                .beat
                .map_or(Duration::from_millis(200), |span| span.0),
            missed_beats: file.pair.missed_beats.unwrap_or(5),
            least_lead: (file.pair.least_lead).map_or(Duration::from_millis(20), |span| span.0),
            transmit: file.pair.transmit,
            standby,
            peer: peer.filter(|peer| Some(*peer) != own.link && peer.port() != 0),
            context_transfer: file.pair.context_transfer.unwrap_or(true),
            context_buffer: file.pair.context_buffer.unwrap_or(DEFAULT_CONTEXT_BUFFER),
            context_queue: file.pair.context_queue.unwrap_or(DEFAULT_CONTEXT_QUEUE),
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

fn fills(table: &FillsTable, publish: &PublishConfig) -> Result<FillsConfig, ConfigError> {
    let (retention, server) = (RetentionLimits::default(), ServerLimits::default());
    let span = |given: Option<Span>, default| given.map_or(default, |span| span.0);
    let retention = RetentionLimits {
        messages: table.messages.unwrap_or(retention.messages),
        bytes: table.bytes.unwrap_or(retention.bytes),
        max_datagram: publish.max_datagram,
    };
    let server = ServerLimits {
        clients: table.clients.unwrap_or(server.clients),
        moment: span(table.moment, server.moment),
        answer: table.answer.unwrap_or(server.answer),
        client_rate: table.client_rate.unwrap_or(server.client_rate),
        total_rate: table.total_rate.unwrap_or(server.total_rate),
        burst: span(table.burst, server.burst),
        ..server
    };
    let queue = table.queue.unwrap_or(DEFAULT_FILL_QUEUE);
    let sound = retention.check().and(server.check());
    let sound = sound.and(match (1..=1 << 20).contains(&queue) {
        true => Ok(()),
        false => Err(BadLimit {
            name: "queue",
            must: "be between 1 and 1048576",
        }),
    });
    match sound {
        Ok(()) => Ok(FillsConfig {
            enabled: table.enabled.unwrap_or(true),
            retention,
            server,
            queue,
        }),
        Err(bad) => Err(ConfigError::new(
            format!("fills.{}", bad.name),
            "out of bounds",
            format!("it must {}", bad.must),
        )),
    }
}

fn ring(table: &RingTable, longest: usize, base: &Path) -> Result<RingConfig, ConfigError> {
    use twinfeed_net::ring::{RingConfig as Setup, RingReader};

    let slots = table.slots.unwrap_or(Setup::DEFAULT_SLOTS);
    let bounds = Setup::LEAST_SLOTS..=Setup::MOST_SLOTS;
    if !bounds.contains(&slots) || !slots.is_power_of_two() {
        let (least, most) = bounds.into_inner();
        let remedy = format!("it must be a power of two between {least} and {most}");
        return Err(ConfigError::new("ring.slots", slots.to_string(), remedy));
    }
    let (bytes, most) = (
        slots as u64 * longest as u64,
        RingReader::DEFAULT_MOST_BYTES,
    );
    // A slot is a little longer than its datagram.
    if bytes > most / 8 * 7 {
        let fault = format!("{slots} slots of {longest} bytes are {bytes} bytes");
        let remedy = format!("subscribers map {most} bytes at most: have fewer slots");
        return Err(ConfigError::new("ring.slots", fault, remedy));
    }
    let directory = table.directory.as_ref().map(|path| {
        // Subscribers look from where they are.
        std::path::absolute(base.join(path)).map_err(|error| {
            let remedy = "give it from the root on";
            ConfigError::new("ring.directory", error.to_string(), remedy)
        })
    });
    Ok(RingConfig {
        enabled: table.enabled.unwrap_or(false),
        slots,
        users: table.users.clone().unwrap_or_default(),
        directory: directory.transpose()?,
    })
}

fn standby(table: &PairTable, publish: &PublishConfig) -> Result<StandbyConfig, ConfigError> {
    let (retain, limits) = (RetainLimits::default(), StandbyLimits::default());
    let retain = RetainLimits {
        replay: table.standby_replay.unwrap_or(retain.replay),
        records: table.standby_retain.unwrap_or(retain.records),
        bytes: table.standby_retain_bytes.unwrap_or(retain.bytes),
    };
    let limits = StandbyLimits {
        // The active's word is heard as often as its stream's.
        report_every: publish.heartbeat.min(limits.report_every),
        missed_reports: table
            .standby_missed_reports
            .unwrap_or(limits.missed_reports),
        hold_down: table
            .standby_hold_down
            .map_or(limits.hold_down, |span| span.0),
    };
    let sound = retain.check(publish.max_datagram).and(limits.check());
    match sound {
        Ok(()) => Ok(StandbyConfig { retain, limits }),
        Err(bad) => {
            let key = match bad.name {
                "missed_reports" => "standby_missed_reports",
                name => name,
            };
            Err(ConfigError::new(
                format!("pair.{key}"),
                "out of bounds",
                format!("it must {}", bad.must),
            ))
        }
    }
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
    let publish_from = overrides
        .publish_from
        .or(table.publish_from)
        .unwrap_or(loopback);
    HostConfig {
        link: overrides.link.or(table.link).unwrap_or(loopback),
        link_advertised: table.link_advertised,
        publish_from,
        fills_from: table
            .fills_from
            .unwrap_or(SocketAddr::new(publish_from.ip(), 0)),
        snapshots_from: table
            .snapshots_from
            .unwrap_or(SocketAddr::new(publish_from.ip(), 0)),
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
            soup: soup(table, base)?,
            glimpse: glimpse(table, base)?,
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
    let recovery = RepairLimits {
        repair_time: span(table.request_time, default.recovery.repair_time),
        fill_patience: span(table.request_patience, default.recovery.fill_patience),
        fill_range: table
            .request_messages
            .unwrap_or(default.recovery.fill_range),
        fill_seed: u64::from(std::process::id()),
        ..default.recovery
    };
    let soup = table.soup.as_ref();
    let of_soup = |of: fn(&SoupTable) -> Option<Span>| soup.and_then(of);
    let sessions = RepairLimits {
        repair_time: span(of_soup(|soup| soup.time), default.sessions.repair_time),
        fill_patience: span(
            of_soup(|soup| soup.patience),
            default.sessions.fill_patience,
        ),
        fill_range: soup
            .and_then(|soup| soup.messages)
            .unwrap_or(default.sessions.fill_range),
        fill_seed: recovery.fill_seed,
        ..default.sessions
    };
    let limits = LineLimits {
        recovery,
        sessions,
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
        requests: line.requests,
        soup: line.soup,
        glimpse: line.glimpse,
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
            "pair.least_lead",
            "be at most 1s",
            config.pair.least_lead <= Duration::from_secs(1),
        ),
        (
            "pair.missed_beats",
            "be at least 1",
            config.pair.missed_beats >= 1,
        ),
        (
            "pair.context_buffer",
            "be between 262144 and 4294967296",
            (1 << 18..=1_u64 << 32).contains(&(config.pair.context_buffer as u64)),
        ),
        (
            "pair.context_queue",
            "be between 262144 and 4294967296",
            (1 << 18..=1_u64 << 32).contains(&(config.pair.context_queue as u64)),
        ),
        (
            "link",
            "name an address that the peer can reach, not 0.0.0.0 or [::], or say with `link_advertised` which",
            !host.link.ip().is_unspecified() || host.link_advertised.is_some(),
        ),
        (
            "link_advertised",
            "name the address and port at which the peer reaches this adapter, not 0.0.0.0, [::] or port 0",
            host.link_advertised
                .is_none_or(|at| !at.ip().is_unspecified() && at.port() != 0),
        ),
        (
            "publish_from",
            "name the address that subscribers see, not 0.0.0.0 or [::]",
            !host.publish_from.ip().is_unspecified(),
        ),
        (
            "fills_from",
            "name the address at which subscribers reach it, not 0.0.0.0 or [::]",
            !host.fills_from.ip().is_unspecified(),
        ),
        (
            "snapshots_from",
            "name the address at which subscribers reach it, not 0.0.0.0 or [::]",
            !host.snapshots_from.ip().is_unspecified(),
        ),
        (
            "receive_buffer",
            "be at least 4096",
            host.receive_buffer >= 4_096,
        ),
    ];
    ConfigError::check(&rules)
}

const DEFAULT_OPEN_ORDERS: usize = 4 << 20;
/// 150,000 messages of ITCH: the giver may be as far behind, or the link as slow.
const DEFAULT_CONTEXT_BUFFER: usize = 8 << 20;
/// 190,000 changes of orders: what a burst may bring beyond what the link carries.
const DEFAULT_CONTEXT_QUEUE: usize = 4 << 20;
/// 60 ms of a stream of a million messages per second.
const DEFAULT_FILL_QUEUE: usize = 4_096;
const DEFAULT_RECEIVE_BUFFER: usize = 8 << 20;
