//! What is measured: which way a record goes, and how it is driven.

use serde::Serialize;

/// How records go.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// A bare queue of one writer and one reader, the record alone.
    BareRecord,
    /// The product's ring, the record alone.
    RingRecord,
    /// A bare queue, records as long as the product's datagram.
    Bare,
    /// The product's ring, datagrams as long, nothing in front and behind.
    Ring,
    /// The product, framing to arbiter, one leg.
    OneLeg,
    /// The product, two legs in two rings.
    TwoLegs,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::BareRecord,
        Self::RingRecord,
        Self::Bare,
        Self::Ring,
        Self::OneLeg,
        Self::TwoLegs,
    ];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::BareRecord => "spsc, record",
            Self::RingRecord => "ring, record",
            Self::Bare => "spsc",
            Self::Ring => "ring",
            Self::OneLeg => "one leg",
            Self::TwoLegs => "two legs",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.key() == name)
    }

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::BareRecord => "bare_record",
            Self::RingRecord => "ring_record",
            Self::Bare => "bare",
            Self::Ring => "ring",
            Self::OneLeg => "one_leg",
            Self::TwoLegs => "two_legs",
        }
    }

    /// Whose times it is held against.
    pub(super) const fn floor(self) -> Self {
        match self {
            Self::BareRecord | Self::RingRecord => Self::BareRecord,
            Self::Bare | Self::Ring | Self::OneLeg | Self::TwoLegs => Self::Bare,
        }
    }

    /// Whether what is sent is framed and goes to an arbiter.
    pub(super) const fn is_product(self) -> bool {
        matches!(self, Self::OneLeg | Self::TwoLegs)
    }

    pub(super) const fn is_bare(self) -> bool {
        matches!(self, Self::BareRecord | Self::Bare)
    }

    pub(super) const fn copies(self) -> usize {
        match self {
            Self::TwoLegs => 2,
            _ => 1,
        }
    }
}

/// How records are driven.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pace {
    /// There and back, the next when the last is back; half of it counts.
    PingPong,
    /// So many a second, each at its time.
    Rate(u64),
    /// As fast as the reader keeps up.
    Most,
}

impl Pace {
    pub(super) fn words(self) -> String {
        match self {
            Self::PingPong => "ping-pong".to_owned(),
            Self::Rate(rate) => format!("{rate}/s"),
            Self::Most => "most".to_owned(),
        }
    }

    /// Whether this way is driven so: an arbiter answers nobody.
    pub(super) const fn takes(self, way: Way) -> bool {
        !matches!(self, Self::PingPong) || !way.is_product()
    }
}

/// Slots of every ring and queue.
pub(super) const SLOTS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for way in Way::ALL {
            assert_eq!(Way::named(way.key()), Some(way));
            assert!(way.floor().is_bare());
        }
        assert_eq!(Way::named("none"), None);
    }
}
