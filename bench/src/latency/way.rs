//! Which ways are there in this build?

use serde::Serialize;

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
    pub(super) const fn ours(self) -> bool {
        matches!(self, Self::Floor | Self::OneLeg | Self::TwoLegs)
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
