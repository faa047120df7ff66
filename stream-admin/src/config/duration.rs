//! A length of time with its unit: `"10 ms"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A whole number and one of `us`, `ms`, `s`, `min`, `h`. A number without a unit is refused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Time(pub Duration);

impl Time {
    /// So many milliseconds.
    #[must_use]
    pub const fn ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// In whole milliseconds.
    #[must_use]
    pub fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// In whole microseconds.
    #[must_use]
    pub fn as_us(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Units, longest last, in microseconds.
const UNITS: [(&str, u64); 5] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
];

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no length of time: write it as \"10 ms\" (us, ms, s, min, h)");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .ok_or_else(wrong)?;
        Ok(Self(Duration::from_micros(
            number.checked_mul(unit.1).ok_or_else(wrong)?,
        )))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.as_us();
        let fits = |(_, factor): &&(&str, u64)| us > 0 && us.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[1]);
        write!(f, "{} {unit}", us / factor)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        for (text, us) in [
            ("10 ms", 10_000),
            ("250us", 250),
            ("3 s", 3_000_000),
            ("2 min", 120_000_000),
        ] {
            assert_eq!(text.parse::<Time>().unwrap().as_us(), us, "{text}");
        }
        for wrong in [
            "10",
            "ms",
            "",
            "1.5 s",
            "-1 s",
            "10 weeks",
            "99999999999999999999 s",
            "9999999999999999 h",
        ] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_prints_as_it_was_written() {
        for text in ["10 ms", "250 us", "3 s", "2 min", "1 h", "0 ms"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
    }
}
