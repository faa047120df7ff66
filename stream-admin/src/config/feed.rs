//! Which feeds are there, and what do their constraints say?

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use twinfeed_control::{
    Constraints, DeliveryClass, FeedName, OrderingClass, Sid, SourceConstraint, TakeoverPolicy,
    TransmitMode,
};

use super::{ConfigError, Time, wrong};
use crate::registry::HandBack;
use crate::registry::settings::{FeedSettings, TransportKind};

/// One feed. Its constraints go to both adapters and to every subscriber (RM-5).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Its name, 1 to 64 of `a-z A-Z 0-9 . _ -`.
    pub name: FeedName,
    /// `unicast` or `multicast`. Default unicast.
    #[serde(default)]
    pub transport: TransportConfig,
    /// Its source streams; none: whatever its adapters register, ordered.
    #[serde(default, rename = "source")]
    pub sources: Vec<SourceConfig>,
    /// `exactly-once`, `at-least-once` or `single-leg`. Default exactly-once.
    #[serde(default = "default_delivery")]
    pub delivery: DeliveryClass,
    /// Interval of heartbeats. Default `"10 ms"`; low latency: `"1 ms"`.
    #[serde(default = "default_heartbeat")]
    pub heartbeat: Time,
    /// Silent intervals that make a leg lost. Default 3.
    #[serde(default = "default_missed")]
    pub missed_heartbeats: u32,
    /// T, in msn; both adapters must run with it. Default 1,000.
    #[serde(default = "default_sync_threshold")]
    pub sync_threshold: u64,
    /// Which adapters transmit; both run with it.
    #[serde(default)]
    pub transmit: TransmitMode,
    /// Messages after which an alive leg is abandoned, or `"auto"`. Default auto.
    #[serde(default)]
    pub lag_messages: Auto<u64>,
    /// Time after which an alive leg is abandoned, or `"auto"`. Default auto.
    #[serde(default)]
    pub lag: Auto<Time>,
    /// How long a hole may hold later records back, or `"auto"`. Default auto.
    #[serde(default)]
    pub reorder_hold: Auto<Time>,
    /// How many bytes a hole may hold back. Default 4194304.
    #[serde(default = "default_hold_bytes")]
    pub reorder_hold_bytes: u64,
    /// Longest UDP payload, in bytes, 1200 to 65504, a multiple of 8. Default 1472.
    #[serde(default = "default_max_datagram")]
    pub max_datagram: u16,
    /// Who may make the backup active, beside an operator: `on-peer-lost` (a backup that lacks nothing, when the active's
    /// process is gone; and a synchronised one whose source speaks while the active's is lost), `on-silence` (also when
    /// its lease is over and the backup does not hear it), `operator` (nobody). Default on-peer-lost.
    #[serde(default = "default_takeover")]
    pub takeover: TakeoverPolicy,
    /// Whether subscribers are told, in their streams, when the source falls silent at both adapters and when one of them
    /// hears it again. Default true.
    #[serde(default = "default_source_reports")]
    pub source_reports: bool,
    /// How long adapters must say the same of a source before subscribers are told, or the active hands over; their
    /// next report (a third of `leases.adapter`) is waited for in addition. Shorter: sooner. Longer: a source that
    /// flaps is told of less often. 100 ms to 10 min. Default `"1 s"`.
    #[serde(default = "default_source_hold")]
    pub source_hold: Time,
    /// When the adapter whose binary prefers to be active becomes so again: `commanded` (when an operator says so), or once
    /// a day besides, at `"HH:MM ZONE"` such as `"17:30 America/New_York"`. Default commanded.
    #[serde(default)]
    pub hand_back: HandBack,
}

/// One source stream.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its number.
    pub sid: Sid,
    /// `ordered` or `unordered`. Default ordered.
    #[serde(default = "default_ordering")]
    pub ordering: OrderingClass,
}

/// How the streams of a feed travel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportConfig {
    /// To each subscriber's address.
    #[default]
    Unicast,
    /// To a group.
    Multicast,
}

/// A value, or the word `"auto"`: from what is measured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Auto<T> {
    /// From what is measured.
    #[default]
    Measured,
    /// As stated.
    Stated(T),
}

impl<T> Auto<T> {
    /// The value, unless it is measured.
    #[must_use]
    pub fn stated(self) -> Option<T> {
        match self {
            Self::Measured => None,
            Self::Stated(value) => Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        if value.as_str() == Some("auto") {
            return Ok(Self::Measured);
        }
        T::deserialize(value)
            .map(Self::Stated)
            .map_err(de::Error::custom)
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Measured => to.serialize_str("auto"),
            Self::Stated(value) => value.serialize(to),
        }
    }
}

impl FeedConfig {
    /// For the registry.
    #[must_use]
    pub fn settings(&self) -> FeedSettings {
        let source = |source: &SourceConfig| SourceConstraint {
            sid: source.sid,
            ordering: source.ordering,
        };
        FeedSettings {
            name: self.name.clone(),
            transport: match self.transport {
                TransportConfig::Unicast => TransportKind::Unicast,
                TransportConfig::Multicast => TransportKind::Multicast,
            },
            sids: self.sources.iter().map(|source| source.sid).collect(),
            takeover: self.takeover,
            source_reports: self.source_reports,
            source_hold_ms: self.source_hold.as_ms(),
            hand_back: self.hand_back.clone(),
            constraints: Constraints {
                sources: self.sources.iter().map(source).collect(),
                delivery: self.delivery,
                heartbeat_us: self.heartbeat.as_us(),
                missed_heartbeats: self.missed_heartbeats,
                sync_threshold: self.sync_threshold,
                lag_messages: self.lag_messages.stated(),
                lag_us: self.lag.stated().map(Time::as_us),
                reorder_hold_us: self.reorder_hold.stated().map(Time::as_us),
                reorder_hold_bytes: self.reorder_hold_bytes,
                max_datagram: self.max_datagram,
                transmit: self.transmit,
            },
        }
    }
}

pub(super) fn check(feeds: &[FeedConfig]) -> Result<(), ConfigError> {
    let mut names = BTreeSet::new();
    for feed in feeds {
        let place = |key: &str| format!("feed {} {key}", feed.name);
        if !names.insert(&feed.name) {
            return Err(wrong(
                &place("name"),
                "there are two of this name",
                "rename one",
            ));
        }
        let mut sids = BTreeSet::new();
        if let Some(twice) = feed.sources.iter().find(|source| !sids.insert(source.sid)) {
            let cause = format!("sid {} stands there twice", twice.sid);
            return Err(wrong(&place("source"), cause, "name each once"));
        }
        if feed.heartbeat.as_us() == 0 || feed.missed_heartbeats == 0 {
            let cause = "0 would make every leg lost at once";
            return Err(wrong(
                &place("heartbeat, missed_heartbeats"),
                cause,
                "raise it",
            ));
        }
        if !(Time::ms(100)..=Time::ms(600_000)).contains(&feed.source_hold) {
            let cause = format!("{} is not within 100 ms and 10 min", feed.source_hold);
            return Err(wrong(&place("source_hold"), cause, "give it seconds"));
        }
        if feed.takeover == TakeoverPolicy::Operator && feed.hand_back != HandBack::Commanded {
            return Err(wrong(
                &place("hand_back"),
                "with takeover = \"operator\" nothing hands over by itself",
                "leave it out, or choose another takeover",
            ));
        }
        let size = feed.max_datagram;
        if !(1_200..=65_504).contains(&size) || !size.is_multiple_of(8) {
            let cause = format!("{size} is not a multiple of 8 within 1200..=65504");
            return Err(wrong(
                &place("max_datagram"),
                cause,
                "1472 suits Ethernet and IPv4",
            ));
        }
    }
    Ok(())
}

const fn default_delivery() -> DeliveryClass {
    DeliveryClass::ExactlyOnce
}

const fn default_ordering() -> OrderingClass {
    OrderingClass::Ordered
}

const fn default_heartbeat() -> Time {
    Time::ms(10)
}

const fn default_missed() -> u32 {
    3
}

const fn default_sync_threshold() -> u64 {
    twinfeed_control::DEFAULT_SYNC_THRESHOLD
}

const fn default_hold_bytes() -> u64 {
    4 << 20
}

const fn default_takeover() -> TakeoverPolicy {
    TakeoverPolicy::OnPeerLost
}

const fn default_source_reports() -> bool {
    true
}

const fn default_source_hold() -> Time {
    Time::ms(1_000)
}

const fn default_max_datagram() -> u16 {
    1_472
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &str) -> Result<FeedConfig, String> {
        let text = format!("name = \"itch\"\n{text}");
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn constraints_carry_their_units_and_auto_is_none() {
        let stated = feed("lag = \"5 ms\"\nlag_messages = 100\nheartbeat = \"1 ms\"").unwrap();
        let constraints = stated.settings().constraints;
        assert_eq!(constraints.lag_us, Some(5_000));
        assert_eq!(constraints.lag_messages, Some(100));
        assert_eq!(constraints.heartbeat_us, 1_000);
        let auto = feed("lag = \"auto\"").unwrap().settings().constraints;
        assert_eq!(
            (auto.lag_us, auto.lag_messages, auto.reorder_hold_us),
            (None, None, None)
        );
        assert!(feed("lag = 5").is_err());
        assert!(feed("lag = \"5\"").is_err());
    }

    #[test]
    fn a_source_hold_is_judged_at_both_edges() {
        for (hold, sound) in [
            ("99 ms", false),
            ("100 ms", true),
            ("10 min", true),
            ("600001 ms", false),
        ] {
            let config = feed(&format!("source_hold = \"{hold}\"")).unwrap();
            assert_eq!(check(&[config]).is_ok(), sound, "{hold}");
        }
        let plain = feed("").unwrap().settings();
        assert_eq!((plain.source_reports, plain.source_hold_ms), (true, 1_000));
    }

    #[test]
    fn a_hand_back_is_commanded_or_a_time_with_its_zone() {
        let parsed = |text: &str| feed(text).map(|it| it.settings().hand_back);
        assert_eq!(parsed(""), Ok(HandBack::Commanded));
        assert_eq!(parsed("hand_back = \"commanded\""), Ok(HandBack::Commanded));
        let daily = "hand_back = \"17:30 America/New_York\"";
        let told = feed(daily).unwrap();
        assert!(toml::to_string(&told).unwrap().contains(daily));
        assert!(matches!(told.hand_back, HandBack::Daily(_)));
        let error = parsed("hand_back = \"17:30\"").unwrap_err();
        assert!(error.contains("17:30 America/New_York"), "{error}");
        for (takeover, sound) in [("operator", false), ("on-peer-lost", true)] {
            let one = feed(&format!("{daily}\ntakeover = \"{takeover}\"")).unwrap();
            assert_eq!(check(&[one]).is_ok(), sound, "{takeover}");
        }
    }

    #[test]
    fn a_datagram_size_is_judged_at_both_edges() {
        for (size, sound) in [
            (1_192, false),
            (1_200, true),
            (1_204, false),
            (65_504, true),
            (65_512, false),
        ] {
            let config = feed(&format!("max_datagram = {size}")).unwrap();
            assert_eq!(check(&[config]).is_ok(), sound, "{size}");
        }
    }
}
