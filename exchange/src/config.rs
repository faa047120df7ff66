//! What can be asked of an exchange, and what is refused?
//!
//! The whole configuration is read once and checked as a whole; unknown keys are
//! errors. Every key has a default, so an empty document is an exchange: 2,000
//! instruments at 100,000 messages a second, with no destination yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use serde::Deserialize;

mod check;
pub use check::ConfigError;

use crate::flow::FlowConfig;
use crate::line::Faults;
use crate::pace::{Burst, Pace};
use crate::session::{Plan, SessionId};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// Everything an exchange can be told.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ExchangeConfig {
    /// Decides all content and all faults. Default 1.
    pub seed: u64,
    /// What sessions carry. Default: generated flow.
    pub content: ContentConfig,
    /// How fast.
    pub pace: PaceConfig,
    /// How sessions follow one another.
    pub sessions: SessionsConfig,
    /// Packets.
    pub mold: MoldConfig,
    /// The first line.
    pub line_a: LineConfig,
    /// The second line.
    pub line_b: LineConfig,
    /// Messages given again.
    pub requests: RequestsConfig,
    /// SoupBinTCP servers of the session that is on, each its own. Default none.
    pub soup: Vec<SoupConfig>,
    /// SoupBinTCP servers of a snapshot of the market, in the manner of Nasdaq's GLIMPSE. Default none.
    pub glimpse: Vec<SoupConfig>,
    /// How long the driver sleeps when nothing is due, in microseconds; messages
    /// that fall due meanwhile share packets. 0 never sleeps, at the cost of a
    /// core. Default 100.
    pub tick_us: u64,
    /// Announce the first session until the command `start`. Default false.
    pub wait: bool,
    /// File that receives one JSON line per ended session
    /// ([`SessionTruth`](crate::SessionTruth)). Default none.
    pub truth: Option<PathBuf>,
    /// Directory that receives every session's messages as a BinaryFILE
    /// `<session>.itch`. Default none.
    pub sent_dir: Option<PathBuf>,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            content: ContentConfig::default(),
            pace: PaceConfig::default(),
            sessions: SessionsConfig::default(),
            mold: MoldConfig::default(),
            line_a: LineConfig::default(),
            line_b: LineConfig::default(),
            requests: RequestsConfig::default(),
            soup: Vec::new(),
            glimpse: Vec::new(),
            tick_us: 100,
            wait: false,
            truth: None,
            sent_dir: None,
        }
    }
}

/// What sessions carry.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub enum ContentConfig {
    /// Generated order flow.
    Flow(FlowConfig),
    /// The messages of a Nasdaq BinaryFILE, in a loop.
    Binaryfile {
        /// The file.
        path: PathBuf,
    },
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self::Flow(FlowConfig::default())
    }
}

/// How fast.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PaceConfig {
    /// Mean rate in messages per second. Default 100,000.
    pub per_second: NonZeroU64,
    /// Rate in a burst, as a multiple of the mean; 1 for no bursts. Default 1.
    pub burst_factor: NonZeroU32,
    /// Time from burst to burst, in milliseconds. Default 100.
    pub burst_period_ms: u64,
    /// Length of a burst, in milliseconds; times the factor it must be below the
    /// period. Default 10.
    pub burst_length_ms: u64,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            per_second: NonZeroU64::new(100_000).unwrap_or(NonZeroU64::MIN),
            burst_factor: NonZeroU32::MIN,
            burst_period_ms: 100,
            burst_length_ms: 10,
        }
    }
}

/// How sessions follow one another.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SessionsConfig {
    /// Begins every session's id; the session's number fills it up to ten
    /// characters. Default `S`.
    pub prefix: String,
    /// Number of the first session. Default 1.
    pub first_number: u64,
    /// Sequence number of every session's first message; above 1 for content that
    /// is a slice of a day. Default 1.
    pub first_sequence: u64,
    /// How many sessions; none for no end. Default none.
    pub count: Option<u64>,
    /// Messages of a session. Default none: as many as `length_ms` holds.
    pub messages: Option<NonZeroU64>,
    /// Length of a session in milliseconds, if `messages` is not given. Default
    /// 10,000.
    pub length_ms: u64,
    /// How long a session is announced before it opens, in milliseconds. Default
    /// 1,000.
    pub pause_ms: u64,
    /// End-of-session packets. Default 3.
    pub end_packets: u32,
    /// Time between them, in milliseconds. Default 50.
    pub end_interval_ms: u64,
    /// How long servers of messages, sessions and snapshots answer when there is no further session, in milliseconds; another
    /// `stop`, or `kill`, ends it. Default 0.
    pub linger_ms: u64,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            prefix: "S".to_owned(),
            first_number: 1,
            first_sequence: 1,
            count: None,
            messages: None,
            length_ms: 10_000,
            pause_ms: 1_000,
            end_packets: 3,
            end_interval_ms: 50,
            linger_ms: 0,
        }
    }
}

/// Packets.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct MoldConfig {
    /// Largest UDP payload in bytes, 128 to 65,507. Default 1,400.
    pub max_payload: usize,
    /// Silence after which a heartbeat is sent, in milliseconds. Default 1,000.
    pub heartbeat_ms: u64,
}

impl Default for MoldConfig {
    fn default() -> Self {
        Self {
            max_payload: 1_400,
            heartbeat_ms: 1_000,
        }
    }
}

/// One line: where it goes, and what it does to packets on the way.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LineConfig {
    /// Unicast addresses, or one multicast group. Default none.
    pub destinations: Vec<SocketAddr>,
    /// Address of the interface a multicast group is sent through. Default
    /// 127.0.0.1, so that nothing leaves the host unasked.
    pub interface: Ipv4Addr,
    /// Hops a multicast packet may take. Default 1.
    pub ttl: u32,
    /// Probability that a packet is lost, 0 to 1. Default 0.
    pub loss: f64,
    /// Probability that a packet is sent twice, 0 to 1. Default 0.
    pub duplicate: f64,
    /// Probability that a packet is overtaken by later ones, 0 to 1. Default 0.
    pub reorder: f64,
    /// By how many later packets, at most. Default 3.
    pub reorder_depth: NonZeroU32,
    /// Delay of every packet in microseconds; the difference between the lines is
    /// their skew. Default 0.
    pub delay_us: u64,
    /// Most packets delayed at once; more are lost and counted. Default 65,536.
    pub max_queued: usize,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            interface: Ipv4Addr::LOCALHOST,
            ttl: 1,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_depth: NonZeroU32::MIN.saturating_add(2),
            delay_us: 0,
            max_queued: 65_536,
        }
    }
}

/// A MoldUDP64 request server: whoever lost messages is given them again.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RequestsConfig {
    /// Where it listens. Default none: nothing is given again.
    pub address: Option<SocketAddr>,
    /// How many of a session's latest messages are kept, for SoupBinTCP as well; up to 100 million. Default 1,000,000.
    pub messages: usize,
    /// Probability that a request gets no answer, 0 to 1. Default 0.
    pub ignore: f64,
}

impl Default for RequestsConfig {
    fn default() -> Self {
        Self {
            address: None,
            messages: 1_000_000,
            ignore: 0.0,
        }
    }
}

/// A SoupBinTCP server, and how it fails on purpose.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SoupConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may log in; up to 6 characters. Default `TWIN`.
    #[serde(default = "default_user")]
    pub user: String,
    /// With which password; up to 10 characters. Default empty.
    #[serde(default)]
    pub password: String,
    /// Most clients at a time; further ones are disconnected. Default 16.
    #[serde(default = "default_clients")]
    pub max_clients: usize,
    /// Reject every login for this reason: `not-authorised` or `no-session`. Default none.
    pub reject: Option<Reject>,
    /// How long a login waits for its answer, in milliseconds. Default 0.
    #[serde(default)]
    pub delay_ms: u64,
    /// Break every connection after so many messages. Default never.
    pub break_after: Option<u64>,
}

impl SoupConfig {
    /// A sound server there, with the defaults.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            user: default_user(),
            password: String::new(),
            max_clients: default_clients(),
            reject: None,
            delay_ms: 0,
            break_after: None,
        }
    }
}

fn default_user() -> String {
    "TWIN".to_owned()
}

const fn default_clients() -> usize {
    16
}

/// Why a login is rejected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Reject {
    /// Wrong user or password.
    NotAuthorised,
    /// No such session.
    NoSession,
}

impl Reject {
    /// As the protocol says it.
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::NotAuthorised => b'A',
            Self::NoSession => b'S',
        }
    }
}

impl ExchangeConfig {
    /// The rate, as a function of time.
    pub fn pace(&self) -> Result<Pace, ConfigError> {
        let PaceConfig {
            per_second,
            burst_factor,
            burst_period_ms,
            burst_length_ms,
        } = self.pace;
        let steady = Pace::steady(per_second);
        if burst_factor == NonZeroU32::MIN {
            return Ok(steady);
        }
        let period_ns = burst_period_ms.saturating_mul(MS);
        let length_ns = burst_length_ms.saturating_mul(MS);
        match Burst::new(period_ns, length_ns, burst_factor) {
            Some(burst) => Ok(steady.with_burst(burst)),
            None => Err(ConfigError::Burst {
                factor: burst_factor.get(),
                length_ms: burst_length_ms,
                period_ms: burst_period_ms,
            }),
        }
    }

    /// The sessions, in nanoseconds and messages.
    pub fn plan(&self) -> Result<Plan, ConfigError> {
        let sessions = &self.sessions;
        let length_ns = sessions.length_ms.saturating_mul(MS);
        let by_length = self.pace()?.due(length_ns.saturating_sub(1));
        Ok(Plan {
            messages: sessions.messages.map_or(by_length, NonZeroU64::get),
            sessions: sessions.count,
            pause_ns: sessions.pause_ms.saturating_mul(MS),
            heartbeat_ns: self.mold.heartbeat_ms.saturating_mul(MS),
            end_packets: sessions.end_packets,
            end_interval_ns: sessions.end_interval_ms.saturating_mul(MS),
            wait: self.wait,
        })
    }

    /// What lines A and B do to packets.
    pub fn faults(&self) -> Result<[Faults; 2], ConfigError> {
        Ok([
            faults("line_a", &self.line_a)?,
            faults("line_b", &self.line_b)?,
        ])
    }

    /// The id of session `index`, counted from 0; a number that no longer fits
    /// ten characters starts over at 0.
    pub fn session_id(&self, index: u64) -> Option<SessionId> {
        let prefix = &self.sessions.prefix;
        // At most 10^10 with an empty prefix.
        let numbers = 10_u64.pow(10_u32.checked_sub(u32::try_from(prefix.len()).ok()?)?);
        let number = self.sessions.first_number.checked_add(index)? % numbers;
        SessionId::numbered(prefix, number)
    }
}

impl RequestsConfig {
    /// How many requests in a million get no answer.
    pub(crate) fn ignore_ppm(&self) -> Result<u32, ConfigError> {
        ppm("requests", "ignore", self.ignore)
    }
}

fn ppm(table: &str, key: &str, probability: f64) -> Result<u32, ConfigError> {
    if (0.0..=1.0).contains(&probability) {
        // Between 0 and 1,000,000.
        Ok((probability * 1e6).round() as u32)
    } else {
        Err(ConfigError::Probability {
            key: format!("{table}.{key}"),
        })
    }
}

fn faults(name: &str, line: &LineConfig) -> Result<Faults, ConfigError> {
    Ok(Faults {
        loss_ppm: ppm(name, "loss", line.loss)?,
        duplicate_ppm: ppm(name, "duplicate", line.duplicate)?,
        reorder_ppm: ppm(name, "reorder", line.reorder)?,
        reorder_depth: line.reorder_depth.get(),
        delay_ns: line.delay_us.saturating_mul(US),
        max_queued: line.max_queued,
    })
}
