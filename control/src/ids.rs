//! Which names and numbers does the control plane use, and how do they look in JSON?
//!
//! The same words as in the data plane's framing; here they carry their JSON form. The inner value is
//! public, so a driver moves between the two without ceremony and without this crate knowing the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest feed or principal name, in bytes.
const NAME_LIMIT: usize = 64;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! hexadecimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let plain = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
                match (plain, u64::from_str_radix(text, 16)) {
                    (true, Ok(value)) => Ok(Self(value)),
                    _ => Err(format!("{text:?} is not 1 to 16 hexadecimal digits")),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "pattern": "^[0-9a-fA-F]{1,16}$",
                    "description": "64 bits as hexadecimal digits",
                })
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                checked_name(stringify!($name), text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

number!(
    /// Source stream: one channel, session or topic as its origin numbers it; equal on both adapters.
    Sid(u32)
);
number!(
    /// One adapter's numbered output of one sid; assigned by stream-admin, stable per
    /// (feed, seat, sid), never shared by two.
    StreamId(u32)
);
number!(
    /// Number of a pair's role assignment; fences old actives. 0 means none was ever granted.
    Generation(u32)
);
hexadecimal!(
    /// One life of a process, opaque; a replaced one never returns.
    Incarnation
);
hexadecimal!(
    /// Digest of the key of one life of a source's numbering; 0 is "none".
    Epoch
);
hexadecimal!(
    /// What the conversion remembers; legs merge record by record only while theirs are equal.
    ContextId
);
hexadecimal!(
    /// Digest of the conversion-relevant configuration; equal on both adapters of a pair.
    ConfigDigest
);
name!(
    /// A feed, as configured at stream-admin: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    FeedName
);
name!(
    /// A registered adapter's seat, `<feed>.<preferred role>`; survives restarts of the adapter.
    AdapterId
);
name!(
    /// One subscription, issued by stream-admin, never reused.
    SubscriptionId
);

fn checked_name(what: &str, text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let limit = if what == "FeedName" {
        NAME_LIMIT
    } else {
        2 * NAME_LIMIT
    };
    if text.is_empty() || text.len() > limit || !text.bytes().all(plain) {
        return Err(format!(
            "{text:?} is no {what}: use 1 to {limit} of a-z A-Z 0-9 . _ -"
        ));
    }
    Ok(text.to_owned())
}

/// Which of a pair's two outputs: leg 0 is the preferred active's, leg 1 the preferred backup's.
///
/// A leg keeps its index for ever; roles move between legs, indexes do not.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct LegIndex(u8);

impl LegIndex {
    /// The preferred active's output.
    pub const ACTIVE: Self = Self(0);
    /// The preferred backup's output.
    pub const BACKUP: Self = Self(1);
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::ACTIVE, Self::BACKUP];

    /// 0 or 1, for an array of two.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The twin.
    #[must_use]
    pub const fn other(self) -> Self {
        Self(1 - self.0)
    }
}

impl fmt::Display for LegIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u8> for LegIndex {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, String> {
        match value {
            0 | 1 => Ok(Self(value)),
            _ => Err(format!("{value} is no leg: a pair has leg 0 and leg 1")),
        }
    }
}

impl From<LegIndex> for u8 {
    fn from(leg: LegIndex) -> Self {
        leg.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for LegIndex {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LegIndex".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": 0, "maximum": 1,
            "description": "0 is the preferred active's output, 1 the preferred backup's",
        })
    }
}

/// The one durable cursor, as reported; compares only within one (sid, epoch).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pos {
    /// Source stream.
    pub sid: Sid,
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// The origin's own number of the source message.
    pub sseq: u64,
    /// Index of the record within its source message.
    pub part: u16,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}.{}", self.sid, self.epoch, self.sseq, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_64_bits_survive_a_reader_with_53() {
        let json = serde_json::to_string(&Incarnation(u64::MAX)).unwrap();
        assert_eq!(json, "\"ffffffffffffffff\"");
        assert_eq!(
            serde_json::from_str::<Incarnation>(&json).unwrap(),
            Incarnation(u64::MAX)
        );
        for wrong in ["\"\"", "\"+1\"", "\"xyz\"", "\"11112222333344445\"", "17"] {
            assert!(
                serde_json::from_str::<Incarnation>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_name_is_refused_at_both_edges() {
        let longest = "a".repeat(NAME_LIMIT);
        assert!(longest.parse::<FeedName>().is_ok());
        for wrong in [
            String::new(),
            longest + "a",
            "a/b".into(),
            "a b".into(),
            "é".into(),
        ] {
            assert!(wrong.parse::<FeedName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_pair_has_two_legs() {
        assert_eq!(
            serde_json::from_str::<LegIndex>("1").unwrap(),
            LegIndex::BACKUP
        );
        assert!(serde_json::from_str::<LegIndex>("2").is_err());
        assert_eq!(LegIndex::BACKUP.other(), LegIndex::ACTIVE);
    }
}
