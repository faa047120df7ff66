//! How is a subscription written down in a file?
//!
//! The serde form of [`Builder`], for tools and for applications that keep their settings in TOML.
//! Unknown keys are errors; times are written with their unit (`"10ms"`, `"500us"`, `"2s"`); the token
//! stands in a file of its own.
//!
//! ```
//! use twinfeed_subscriber::config::SubscriberConfig;
//!
//! let config: SubscriberConfig = toml::from_str(r#"
//!     stream_admin = "http://127.0.0.1:7400"
//!     feed = "itch"
//!     token_file = "/etc/twinfeed/token"
//!     policy = "prefer-active"
//!     lag_time = "20ms"
//! "#)?;
//! # Ok::<(), toml::de::Error>(())
//! ```

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use twinfeed_control::{self as admin, FeedName};
use twinfeed_net::idle::Idle;
use twinfeed_protocol::{Policy, SlowPolicy};
use twinfeed_wire::Sid;

use crate::builder::{Builder, Profile};
use crate::start;
use crate::tuning::Tuning;

/// One subscription. Keys left out have the builder's defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriberConfig {
    /// Where stream-admin is, `http://HOST:PORT` or `https://HOST:PORT`.
    pub stream_admin: String,
    /// The feed.
    pub feed: FeedName,
    /// File with the token alone on its first line.
    pub token_file: Option<PathBuf>,
    /// PEM file with the certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Source streams; all when left out.
    pub sids: Option<Vec<u32>>,
    /// Name of the application.
    pub application: Option<String>,
    /// `first-arrival` or `prefer-active`.
    pub policy: Option<admin::Policy>,
    /// Source numbers after which an alive leg is abandoned, with `lag_time`.
    pub lag_messages: Option<u64>,
    /// Time after which it is.
    pub lag_time: Option<Span>,
    /// How long a hole is kept open after every live leg has passed it.
    pub reorder_hold: Option<Span>,
    /// Most records held per leg.
    pub held_records: Option<usize>,
    /// Most bytes held per leg.
    pub held_bytes: Option<usize>,
    /// A jump of more source numbers than this is absurd until confirmed.
    pub window: Option<u64>,
    /// Numbers of an unordered source that are told apart.
    pub seen_window: Option<usize>,
    /// Most messages of an unordered source that may be half delivered.
    pub half_messages: Option<usize>,
    /// How long a leg that came back must behave before it is preferred again.
    pub hold_down: Option<Span>,
    /// A leg whose score is below this is degraded.
    pub health_low: Option<u8>,
    /// A degraded leg is fit again once its score was this or more for `hold_down`.
    pub health_high: Option<u8>,
    /// Ranges of 4,096 source numbers in a row that must agree before legs that diverged are merged again.
    pub agreed_ranges: Option<u32>,
    /// How long the leg that is pinned in a divergence may be behind.
    pub pinned_lag_time: Option<Span>,
    /// How long adapters may be asked for a hole before it is declared; `"0ms"`: nobody is asked.
    pub repair_time: Option<Span>,
    /// How long an answer may take at first.
    pub fill_patience: Option<Span>,
    /// Requests in vain before a hole is declared.
    pub fill_attempts: Option<u32>,
    /// Most source numbers in one range of a request.
    pub fill_range: Option<u64>,
    /// Most datagrams that one request asks for.
    pub fill_datagrams: Option<u32>,
    /// Where the application begins: `live` or `snapshot`.
    pub from: Option<FromWord>,
    /// Whether snapshots may be asked for in mid-session.
    pub snapshots: Option<bool>,
    /// Most records and events of a source stream kept while it joins with a snapshot.
    pub join_items: Option<usize>,
    /// Most bytes of them.
    pub join_bytes: Option<usize>,
    /// How long joining may take before the application goes on without a snapshot.
    pub join_time: Option<Span>,
    /// How long nothing may come of a source stream before its snapshot is asked for all the same.
    pub join_quiet: Option<Span>,
    /// Things told in a poll beyond what was kept in it.
    pub join_told: Option<usize>,
    /// Longest snapshot of a source stream, bytes.
    pub snapshot_bytes: Option<usize>,
    /// How long a server of snapshots may say nothing.
    pub snapshot_patience: Option<Span>,
    /// Whether a snapshot is asked for in place of a gap that adapters did not fill, where snapshots may be.
    pub snapshot_on_gap: Option<bool>,
    /// What happens when the application is too slow: `warn`, `skip` or `disconnect`.
    pub slow: Option<SlowWord>,
    /// How long not everything that had come may go untaken before it is.
    pub slow_time: Option<Span>,
    /// Port on which answers are received.
    pub fill_port: Option<u16>,
    /// Interface that faces the adapters: name, address or `%index`.
    pub interface: Option<String>,
    /// Unicast ports of leg 0 and leg 1.
    pub ports: Option<[u16; 2]>,
    /// Kernel buffer per socket, bytes.
    pub receive_buffer: Option<usize>,
    /// `spin`, `yield`, `backoff` or `block`, with their keys.
    pub idle: Option<IdleText>,
    /// Core of the polling thread.
    pub core: Option<usize>,
    /// Directory for the last grant.
    pub state_dir: Option<PathBuf>,
    /// How long a granted leg may be silent before it is reported.
    pub confirm_within: Option<Span>,
    /// Whether legs of this host are read from shared memory, where the thread does not sleep until something comes.
    pub ring: Option<bool>,
    /// User ids whose rings are read, beside one's own and root's.
    pub ring_users: Option<Vec<u32>>,
    /// `shared` or `low-latency`.
    pub profile: Option<ProfileWord>,
}

/// A time with its unit: `ns`, `us`, `ms`, `s` or `m`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// An idle strategy as text.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct IdleText(pub Idle);

/// A [`crate::From`] as a word; cursors of an earlier run do not stand in a file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum FromWord {
    /// Where the legs are.
    Live,
    /// With a snapshot.
    Snapshot,
}

/// A [`SlowPolicy`] as a word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum SlowWord {
    /// [`SlowPolicy::Warn`].
    Warn,
    /// [`SlowPolicy::Skip`].
    Skip,
    /// [`SlowPolicy::Disconnect`].
    Disconnect,
}

/// A [`Profile`] as a word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileWord {
    /// [`Profile::Shared`].
    Shared,
    /// [`Profile::LowLatency`].
    LowLatency,
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time: write a whole number and ns, us, ms, s or m");
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let of_seconds = |seconds: u64| number.checked_mul(seconds).map(Duration::from_secs);
        let span = match unit.trim_start() {
            "ns" => Some(Duration::from_nanos(number)),
            "us" | "µs" => Some(Duration::from_micros(number)),
            "ms" => Some(Duration::from_millis(number)),
            "s" => of_seconds(1),
            "m" => of_seconds(60),
            _ => None,
        };
        span.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for IdleText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: twinfeed_net::idle::ParseIdleError| error.to_string())
    }
}

impl SubscriberConfig {
    /// The builder with these settings, for whatever else is to be set in code.
    #[must_use]
    pub fn builder(&self) -> Builder {
        let mut builder = Builder::new(&self.stream_admin, self.feed.clone()).tuning(self.tuning());
        macro_rules! set {
            ($($method:ident: $value:expr),+ $(,)?) => {$(
                if let Some(value) = $value {
                    builder = builder.$method(value);
                }
            )+};
        }
        set! {
            token_file: self.token_file.clone(),
            ca_file: self.ca_file.clone(),
            sids: self.sids.clone().map(|sids| sids.into_iter().map(Sid)),
            application: self.application.clone(),
            // Whatever is no address and no index is a name: parsing cannot fail.
            interface: self.interface.as_ref().and_then(|text| text.parse().ok()),
            ports: self.ports,
            fill_port: self.fill_port,
            receive_buffer: self.receive_buffer,
            idle: self.idle.map(|IdleText(idle)| idle),
            core: self.core,
            state_dir: self.state_dir.clone(),
            confirm_within: self.confirm_within.map(|Span(span)| span),
            from: self.from.map(|word| match word {
                FromWord::Live => start::From::Live,
                FromWord::Snapshot => start::From::Snapshot,
            }),
            snapshots: self.snapshots,
            ring: self.ring,
            ring_users: self.ring_users.clone(),
            profile: self.profile.map(Profile::from),
        }
        builder
    }

    fn tuning(&self) -> Tuning {
        let span = |span: Option<Span>| span.map(|Span(span)| span);
        Tuning {
            policy: match self.policy {
                None | Some(admin::Policy::FirstArrival) => Policy::FirstArrival,
                Some(admin::Policy::PreferActive) => Policy::PreferActive,
            },
            lag_messages: self.lag_messages,
            lag_time: span(self.lag_time),
            reorder_hold: span(self.reorder_hold),
            held_records: self.held_records,
            held_bytes: self.held_bytes,
            window: self.window,
            seen_window: self.seen_window,
            half_messages: self.half_messages,
            hold_down: span(self.hold_down),
            health_low: self.health_low,
            health_high: self.health_high,
            agreed_ranges: self.agreed_ranges,
            pinned_lag_time: span(self.pinned_lag_time),
            repair_time: span(self.repair_time),
            fill_patience: span(self.fill_patience),
            fill_attempts: self.fill_attempts,
            fill_range: self.fill_range,
            fill_datagrams: self.fill_datagrams,
            join_items: self.join_items,
            join_bytes: self.join_bytes,
            join_time: span(self.join_time),
            join_quiet: span(self.join_quiet),
            join_told: self.join_told,
            snapshot_bytes: self.snapshot_bytes,
            snapshot_patience: span(self.snapshot_patience),
            snapshot_on_gap: self.snapshot_on_gap,
            slow: match self.slow {
                None | Some(SlowWord::Warn) => SlowPolicy::Warn,
                Some(SlowWord::Skip) => SlowPolicy::Skip,
                Some(SlowWord::Disconnect) => SlowPolicy::Disconnect,
            },
            slow_time: span(self.slow_time),
        }
    }
}

impl From<ProfileWord> for Profile {
    fn from(word: ProfileWord) -> Self {
        match word {
            ProfileWord::Shared => Self::Shared,
            ProfileWord::LowLatency => Self::LowLatency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "stream_admin = \"http://127.0.0.1:1\"\nfeed = \"itch\"\n";

    #[test]
    fn times_have_units() {
        let micros =
            |text: &str| Span::try_from(text.to_owned()).map(|Span(span)| span.as_micros());
        for (text, expected) in [
            ("0us", 0),
            ("500us", 500),
            ("500 µs", 500),
            ("10ms", 10_000),
            ("2s", 2_000_000),
            ("1m", 60_000_000),
            ("3000ns", 3),
        ] {
            assert_eq!(micros(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "10",
            "ms",
            "-1s",
            "1.5s",
            "1h",
            "99999999999999999999s",
            "1 s s",
        ] {
            let error = micros(wrong).unwrap_err();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn a_file_with_every_key_is_taken_and_an_unknown_one_is_named() {
        let every = format!(
            "{LEAST}{}",
            r#"
            token_file = "t"
            ca_file = "c"
            sids = [1, 2]
            application = "a"
            policy = "prefer-active"
            lag_messages = 5
            lag_time = "1ms"
            reorder_hold = "2ms"
            held_records = 10
            held_bytes = 20000
            window = 1000
            seen_window = 4096
            half_messages = 8
            hold_down = "3s"
            health_low = 40
            health_high = 80
            agreed_ranges = 4
            pinned_lag_time = "2s"
            repair_time = "200ms"
            fill_patience = "1ms"
            fill_attempts = 6
            fill_range = 1000
            fill_datagrams = 16
            from = "snapshot"
            snapshots = true
            join_items = 5000
            join_bytes = 70000
            join_time = "9s"
            join_quiet = "50ms"
            join_told = 7
            snapshot_bytes = 80000
            snapshot_patience = "2s"
            snapshot_on_gap = false
            slow = "skip"
            slow_time = "3s"
            fill_port = 0
            interface = "lo"
            ports = [0, 0]
            receive_buffer = 100000
            idle = "backoff:max_us=200"
            core = 0
            state_dir = "s"
            confirm_within = "1s"
            ring = false
            ring_users = [1000]
            profile = "low-latency"
            "#
        );
        let config: SubscriberConfig = toml::from_str(&every).unwrap();
        assert_eq!(config.tuning().policy, Policy::PreferActive);
        assert_eq!(config.tuning().hold_down, Some(Duration::from_secs(3)));
        assert_eq!(config.tuning().health_low, Some(40));
        assert_eq!(config.tuning().health_high, Some(80));
        assert_eq!(config.tuning().seen_window, Some(4_096));
        assert_eq!(config.tuning().agreed_ranges, Some(4));
        assert_eq!(
            config.tuning().pinned_lag_time,
            Some(Duration::from_secs(2))
        );
        assert_eq!(config.tuning().half_messages, Some(8));
        assert_eq!(config.tuning().join_time, Some(Duration::from_secs(9)));
        let quiet = config.tuning().join_quiet;
        assert_eq!(quiet, Some(Duration::from_millis(50)));
        assert_eq!(config.from, Some(FromWord::Snapshot));
        let _ = config.builder();
        let wrong = format!("{LEAST}polisy = \"first-arrival\"\n");
        let error = toml::from_str::<SubscriberConfig>(&wrong).unwrap_err();
        assert!(error.to_string().contains("polisy"), "{error}");
    }

    #[test]
    fn the_least_file_opens() {
        let config: SubscriberConfig = toml::from_str(LEAST).unwrap();
        assert!(config.builder().open().is_ok());
    }
}
