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
    /// Aeron's IPC, the record alone.
    #[cfg(feature = "aeron")]
    AeronRecord,
    /// Aeron's IPC, messages as long as the product's datagram.
    #[cfg(feature = "aeron")]
    Aeron,
}

impl Way {
    pub(super) const ALL: &[Self] = &[
        Self::BareRecord,
        Self::RingRecord,
        #[cfg(feature = "aeron")]
        Self::AeronRecord,
        Self::Bare,
        Self::Ring,
        Self::OneLeg,
        Self::TwoLegs,
        #[cfg(feature = "aeron")]
        Self::Aeron,
    ];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::BareRecord => "spsc, record",
            Self::RingRecord => "ring, record",
            Self::Bare => "spsc",
            Self::Ring => "ring",
            Self::OneLeg => "one leg",
            Self::TwoLegs => "two legs",
            #[cfg(feature = "aeron")]
            Self::AeronRecord => "aeron, record",
            #[cfg(feature = "aeron")]
            Self::Aeron => "aeron",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|way| way.key() == name)
    }

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::BareRecord => "bare_record",
            Self::RingRecord => "ring_record",
            Self::Bare => "bare",
            Self::Ring => "ring",
            Self::OneLeg => "one_leg",
            Self::TwoLegs => "two_legs",
            #[cfg(feature = "aeron")]
            Self::AeronRecord => "aeron_record",
            #[cfg(feature = "aeron")]
            Self::Aeron => "aeron",
        }
    }

    /// Whose times it is held against.
    pub(super) const fn floor(self) -> Self {
        match self {
            Self::BareRecord | Self::RingRecord => Self::BareRecord,
            Self::Bare | Self::Ring | Self::OneLeg | Self::TwoLegs => Self::Bare,
            #[cfg(feature = "aeron")]
            Self::AeronRecord => Self::BareRecord,
            #[cfg(feature = "aeron")]
            Self::Aeron => Self::Bare,
        }
    }

    /// The other system's way that brings the application the same; `None` where there is none to hold it against.
    pub(super) const fn peer(self) -> Option<Self> {
        match self {
            #[cfg(feature = "aeron")]
            Self::RingRecord | Self::OneLeg | Self::TwoLegs => Some(Self::AeronRecord),
            #[cfg(feature = "aeron")]
            Self::Ring => Some(Self::Aeron),
            _ => None,
        }
    }

    /// Whether the record goes without what the product puts around it.
    pub(super) const fn is_record(self) -> bool {
        matches!(self.floor(), Self::BareRecord)
    }

    /// Whether what is sent is framed and goes to an arbiter.
    pub(super) const fn is_product(self) -> bool {
        matches!(self, Self::OneLeg | Self::TwoLegs)
    }

    pub(super) const fn is_bare(self) -> bool {
        matches!(self, Self::BareRecord | Self::Bare)
    }

    /// Whether it is another system, which has memory of its own.
    pub(super) const fn is_peer(self) -> bool {
        match self {
            #[cfg(feature = "aeron")]
            Self::AeronRecord | Self::Aeron => true,
            _ => false,
        }
    }

    /// Memory that the publisher makes and hands over.
    pub(super) const fn copies(self) -> usize {
        match self {
            Self::TwoLegs => 2,
            _ if self.is_peer() => 0,
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

    /// Whether this way is driven so: an arbiter answers nobody, and to another system the way back is a second one.
    pub(super) const fn takes(self, way: Way) -> bool {
        !matches!(self, Self::PingPong) || !(way.is_product() || way.is_peer())
    }
}

/// Slots of every ring and queue.
pub(super) const SLOTS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for &way in Way::ALL {
            assert_eq!(Way::named(way.key()), Some(way));
            assert_eq!(
                serde_json::to_string(&way).unwrap(),
                format!("{:?}", way.key())
            );
        }
        assert_eq!(Way::named("none"), None);
    }

    #[test]
    fn a_way_is_held_against_bare_queues_and_other_systems_with_the_same_bytes_or_the_record_alone()
    {
        for &way in Way::ALL {
            assert!(way.floor().is_bare());
            assert!(!(way.is_bare() || way.is_peer()) || way.peer().is_none());
            if let Some(peer) = way.peer() {
                assert!(peer.is_peer() && (peer.is_record() || !way.is_record()));
            }
        }
    }
}
