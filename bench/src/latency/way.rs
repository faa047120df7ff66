//! Which ways are there in this build?

use serde::Serialize;
use twinfeed_net::idle::{Backoff, Idle};

/// How records go.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(super) enum Way {
    /// Bare sockets, both copies.
    Floor,
    /// The product, one leg alone.
    OneLeg,
    /// The product, both legs.
    TwoLegs,
    /// The same, whose subscriber offers its core to others while nothing comes.
    TwoLegsYield,
    /// The same, whose subscriber spins, yields and then sleeps, longer each time.
    TwoLegsBackoff,
    /// The same, whose subscriber sleeps until something comes.
    TwoLegsBlock,
    /// Aeron over UDP, one publication.
    #[cfg(feature = "aeron")]
    Aeron,
    /// Aeron over UDP, two publications of the same, merged by number in the application.
    #[cfg(feature = "aeron")]
    AeronTwo,
    /// Aeron in shared memory.
    #[cfg(feature = "aeron")]
    AeronIpc,
    /// Zenoh, two peers over TCP.
    #[cfg(feature = "zenoh")]
    Zenoh,
    /// NATS, through its server, over TCP.
    #[cfg(feature = "nats")]
    Nats,
}

impl Way {
    /// All of them, the floor first.
    pub(super) fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// What `--ways`, the JSON and names of files call it.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OneLeg => "one_leg",
            Self::TwoLegs => "two_legs",
            Self::TwoLegsYield => "two_legs_yield",
            Self::TwoLegsBackoff => "two_legs_backoff",
            Self::TwoLegsBlock => "two_legs_block",
            #[cfg(feature = "aeron")]
            Self::Aeron => "aeron",
            #[cfg(feature = "aeron")]
            Self::AeronTwo => "aeron_two",
            #[cfg(feature = "aeron")]
            Self::AeronIpc => "aeron_ipc",
            #[cfg(feature = "zenoh")]
            Self::Zenoh => "zenoh",
            #[cfg(feature = "nats")]
            Self::Nats => "nats",
        }
    }

    /// Whether it is the product or its floor, and no other system.
    pub(super) fn ours(self) -> bool {
        matches!(self, Self::Floor | Self::OneLeg | Self::TwoLegs) || self.idle().is_some()
    }

    /// Whether it is measured unless others are named.
    pub(super) fn is_usual(self) -> bool {
        self.idle().is_none()
    }

    /// What the subscriber does while nothing comes, where it does not spin.
    pub(super) fn idle(self) -> Option<Idle> {
        match self {
            Self::TwoLegsYield => Some(Idle::Yield),
            Self::TwoLegsBackoff => Some(Idle::Backoff(Backoff::default())),
            Self::TwoLegsBlock => Some(Idle::Block {
                timeout_us: Idle::DEFAULT_TIMEOUT_US,
            }),
            _ => None,
        }
    }

    /// What the table calls it.
    pub(super) fn words(self) -> String {
        self.key().replace('_', " ")
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|way| way.key() == name)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for &way in Way::all() {
            assert_eq!(Way::named(way.key()), Some(way));
            assert_eq!(Way::from_str(way.key(), false), Ok(way));
            let json = serde_json::to_string(&way).unwrap();
            assert_eq!(json, format!("\"{}\"", way.key()));
        }
        assert_eq!(Way::named("both"), None);
    }
}
