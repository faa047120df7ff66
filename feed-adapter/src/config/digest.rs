//! Which settings must two adapters share, so that they convert alike?
//!
//! The digest is taken over a text of `key=value` lines, one per key in a fixed order, so that what
//! is in it can be read. Everything else in a configuration is about where and how fast, not about
//! what comes out.
//!
//! The mode of transmission is in it where it is not the ordinary one: whoever is silent on purpose relies on a peer
//! that knows of it.

use std::fmt::Write as _;

use twinfeed_control::FeedName;
use xxhash_rust::xxh3::xxh3_64;

use super::{Config, InputConfig, SourceType};

/// The keys that the digest covers. `source.type` counts as the numbering it yields: `moldudp64` and a
/// `pcap` of it agree, a `binaryfile` is numbered by us.
pub const DIGEST_KEYS: &[&str] = &[
    "format",
    "trading_day",
    "publisher_id",
    "max_open_orders",
    "publish.max_datagram",
    "pair.sync_threshold",
    "pair.transmit",
    "source.sid",
    "source.type",
    "source.first_sseq",
];

/// Version of this text; it rises when the conversion itself changes its output.
const CONVERSION: u32 = 1;

pub(super) fn of(config: &Config) -> u64 {
    xxh3_64(text(config).as_bytes())
}

pub(super) fn of_name(feed: &FeedName) -> u64 {
    xxh3_64(feed.as_str().as_bytes())
}

fn text(config: &Config) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{key}={value}");
    };
    line("conversion", &CONVERSION);
    line("format", &config.format);
    line("trading_day", &config.trading_day);
    line("publisher_id", &config.publisher_id);
    line("max_open_orders", &config.max_open_orders);
    line("publish.max_datagram", &config.publish.max_datagram);
    line("pair.sync_threshold", &config.pair.sync_threshold);
    if let Some(standby) = config.pair.standby() {
        // A backup on standby relies on how often its active reports.
        line("pair.transmit", &config.pair.transmit);
        line("report_every_us", &standby.limits.report_every.as_micros());
    }
    let mut sources: Vec<_> = config.sources.iter().collect();
    sources.sort_by_key(|source| source.sid);
    for source in sources {
        let numbering = match &source.input {
            InputConfig::Live(_) => SourceType::Moldudp64,
            InputConfig::File {
                kind: SourceType::Binaryfile,
                ..
            } => SourceType::Binaryfile,
            InputConfig::File { .. } => SourceType::Moldudp64,
        };
        line("source.sid", &source.sid);
        line("source.type", &numbering);
        line("source.first_sseq", &source.limits.origin_first);
    }
    text
}
