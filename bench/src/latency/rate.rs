//! When is the next record sent?

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::way::Way;

/// When the next record is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Rate {
    /// When the one before is back; half of that way counts. `null` as JSON.
    PingPong,
    /// So many a second, each at its time.
    Fixed(u64),
}

impl Rate {
    /// Whether this way goes so: nobody has taught other systems to answer.
    pub(super) fn takes(self, way: Way) -> bool {
        match self {
            Self::PingPong => way.ours() && way.is_usual(),
            Self::Fixed(_) => true,
        }
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word.parse() {
            Ok(rate @ 1..=MOST) => Ok(Self::Fixed(rate)),
            _ if word == PING_PONG => Ok(Self::PingPong),
            _ => Err("1 to 2000000 records a second, or ping-pong"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PingPong => f.pad(PING_PONG),
            Self::Fixed(rate) => f.pad(&rate.to_string()),
        }
    }
}

const PING_PONG: &str = "ping-pong";
const MOST: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for rate in [Rate::PingPong, Rate::Fixed(1), Rate::Fixed(MOST)] {
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for bad in ["0", "2000001", "ping", ""] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
