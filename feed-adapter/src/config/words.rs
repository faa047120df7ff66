//! Which words may a configuration choose from?

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// The source's format.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Format {
    /// Nasdaq TotalView-ITCH 5.0.
    #[serde(rename = "itch50")]
    Itch50,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Itch50 => "itch50",
        })
    }
}

/// How a source's messages reach the adapter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// MoldUDP64 on one or two lines, live.
    Moldudp64,
    /// A capture of MoldUDP64 packets, replayed.
    Pcap,
    /// A Nasdaq BinaryFILE, replayed; its messages are numbered from `first_sseq`.
    Binaryfile,
}

impl fmt::Display for SourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moldudp64 => "moldudp64",
            Self::Pcap => "pcap",
            Self::Binaryfile => "binaryfile",
        })
    }
}

/// Which trade between latency and the host's other work.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Kind to a laptop: blocks when idle, 10 ms heartbeats, warns of a clamped receive buffer.
    #[default]
    Default,
    /// Spins, 1 ms heartbeats, refuses to start with a clamped receive buffer.
    LowLatency,
}

/// How streams reach subscribers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// One datagram per subscriber, to addresses that stream-admin hands out.
    #[default]
    Unicast,
    /// One datagram per stream, to the group of the role.
    Multicast,
}

/// How fast a capture is replayed: `original`, `max`, or a factor such as `10x`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Replay {
    /// As it was captured.
    #[default]
    Original,
    /// As fast as it can be read.
    Max,
    /// This many times as fast as captured.
    Times(f64),
}

impl std::str::FromStr for Replay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "original" => return Ok(Self::Original),
            "max" => return Ok(Self::Max),
            _ => {}
        }
        let factor = text
            .strip_suffix('x')
            .and_then(|number| number.parse().ok());
        match factor {
            Some(factor) if factor > 0.0 && f64::is_finite(factor) => Ok(Self::Times(factor)),
            _ => Err(format!(
                "`{text}` is no replay speed; write `original`, `max` or a factor such as `10x`"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Replay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}
