//! How is a length of time written?
//!
//! A whole number and a unit, `10ms`; nobody has to guess what a bare number means.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time as configuration writes it: `250ns`, `50us`, `10ms`, `1s`, `2m`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ns: u64 = match unit.trim_start() {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            _ => return Err(refusal(text)),
        };
        let count: u64 = number.parse().map_err(|_| refusal(text))?;
        let ns = count.checked_mul(unit_ns).ok_or_else(|| refusal(text))?;
        Ok(Self(Duration::from_nanos(ns)))
    }
}

fn refusal(text: &str) -> String {
    format!(
        "`{text}` is no length of time; write a whole number and ns, us, ms, s or m, as in `10ms`"
    )
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
        for (size, unit) in units {
            if ns >= size && ns.is_multiple_of(size) {
                return write!(f, "{}{unit}", ns / size);
            }
        }
        write!(f, "{ns}ns")
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_print_as_they_parse() {
        for text in ["0ns", "1ns", "999us", "10ms", "1s", "90s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("2m".parse::<Span>().unwrap().to_string(), "120s");
        assert_eq!("1000us".parse::<Span>().unwrap().to_string(), "1ms");
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for wrong in [
            "",
            "10",
            "ms",
            "1.5ms",
            "-1ms",
            "10 min",
            "18446744073709551615s",
        ] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
