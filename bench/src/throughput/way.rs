//! Which ways are there in this build?

use serde::{Deserialize, Serialize};

#[cfg(feature = "aeron")]
use crate::aeron::Media;

/// How records go. The floors come first: each is what the others with as many legs, merged alike, are held against.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(super) enum Way {
    /// Bare sockets, one copy.
    FloorOne,
    /// Bare sockets, both copies.
    FloorTwo,
    /// The product, one leg alone.
    OneLeg,
    /// The product, both legs.
    TwoLegs,
    /// Bare sockets, one copy, merged on arrival.
    FloorOneMerged,
    /// Bare sockets, both copies, merged on arrival.
    FloorTwoMerged,
    /// The product, one leg alone, merged on arrival.
    OneLegMerged,
    /// The product, both legs, merged on arrival.
    TwoLegsMerged,
    /// Aeron over UDP, one publication.
    #[cfg(feature = "aeron")]
    Aeron,
    /// Aeron over UDP, two publications of the same, merged by number in the application.
    #[cfg(feature = "aeron")]
    AeronTwo,
    /// Aeron in shared memory.
    #[cfg(feature = "aeron")]
    AeronIpc,
}

/// What carries them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Means {
    /// Our sockets.
    Sockets(Sockets),
    /// Aeron.
    #[cfg(feature = "aeron")]
    Aeron(Media),
}

/// How our sockets are used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sockets {
    /// Framed, proven, arbitrated; a floor is neither.
    pub(super) product: bool,
    /// How many copies are sent.
    pub(super) legs: usize,
    /// Whether the kernel merges datagrams on arrival (`UDP_GRO`).
    pub(super) merge: bool,
}

impl Way {
    /// All of them.
    fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// Those that are wanted, each once, in their usual order; all, if none is.
    pub(super) fn wanted(wanted: &[Self]) -> Vec<Self> {
        let all = Self::all().iter().copied();
        all.filter(|way| wanted.is_empty() || wanted.contains(way))
            .collect()
    }

    pub(super) const fn means(self) -> Means {
        const fn sockets(product: bool, legs: usize, merge: bool) -> Means {
            Means::Sockets(Sockets {
                product,
                legs,
                merge,
            })
        }
        match self {
            Self::FloorOne => sockets(false, 1, false),
            Self::FloorTwo => sockets(false, 2, false),
            Self::OneLeg => sockets(true, 1, false),
            Self::TwoLegs => sockets(true, 2, false),
            Self::FloorOneMerged => sockets(false, 1, true),
            Self::FloorTwoMerged => sockets(false, 2, true),
            Self::OneLegMerged => sockets(true, 1, true),
            Self::TwoLegsMerged => sockets(true, 2, true),
            #[cfg(feature = "aeron")]
            Self::Aeron => Means::Aeron(Media::ONE),
            #[cfg(feature = "aeron")]
            Self::AeronTwo => Means::Aeron(Media::TWO),
            #[cfg(feature = "aeron")]
            Self::AeronIpc => Means::Aeron(Media::Ipc),
        }
    }

    /// What it is held against: as many copies, merged alike; another system's are not merged, and what has no sockets is held against one copy.
    pub(super) const fn floor(self) -> Self {
        match self {
            Self::FloorOne | Self::OneLeg => Self::FloorOne,
            Self::FloorTwo | Self::TwoLegs => Self::FloorTwo,
            Self::FloorOneMerged | Self::OneLegMerged => Self::FloorOneMerged,
            Self::FloorTwoMerged | Self::TwoLegsMerged => Self::FloorTwoMerged,
            #[cfg(feature = "aeron")]
            Self::Aeron | Self::AeronIpc => Self::FloorOne,
            #[cfg(feature = "aeron")]
            Self::AeronTwo => Self::FloorTwo,
        }
    }

    /// Whether it is the product or its floor, and no other system.
    pub(super) const fn ours(self) -> bool {
        matches!(self.means(), Means::Sockets(_))
    }

    /// What the table calls it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::FloorOne => "floor, one leg",
            Self::FloorTwo => "floor, two legs",
            Self::OneLeg => "twinfeed, one leg",
            Self::TwoLegs => "twinfeed, two legs",
            Self::FloorOneMerged => "floor, one leg, merged",
            Self::FloorTwoMerged => "floor, two legs, merged",
            Self::OneLegMerged => "twinfeed, one leg, merged",
            Self::TwoLegsMerged => "twinfeed, two legs, merged",
            #[cfg(feature = "aeron")]
            Self::Aeron => "aeron",
            #[cfg(feature = "aeron")]
            Self::AeronTwo => "aeron, two",
            #[cfg(feature = "aeron")]
            Self::AeronIpc => "aeron ipc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(way: Way) -> Option<Sockets> {
        match way.means() {
            Means::Sockets(sockets) => Some(sockets),
            #[cfg(feature = "aeron")]
            Means::Aeron(_) => None,
        }
    }

    #[test]
    fn a_floor_has_as_many_legs_and_is_merged_alike() {
        for &way in Way::all().iter().filter(|way| way.ours()) {
            let (here, floor) = (sockets(way).unwrap(), sockets(way.floor()).unwrap());
            let bare = Sockets {
                product: false,
                ..here
            };
            assert_eq!(floor, bare);
        }
    }

    #[cfg(feature = "aeron")]
    #[test]
    fn the_floor_of_aeron_has_as_many_legs_and_nothing_merged() {
        for (way, legs) in [(Way::Aeron, 1), (Way::AeronTwo, 2), (Way::AeronIpc, 1)] {
            let floor = sockets(way.floor()).unwrap();
            assert_eq!(
                (floor.product, floor.legs, floor.merge),
                (false, legs, false)
            );
        }
    }

    #[test]
    fn ways_are_measured_once_each_and_all_of_them_unless_some_are_named() {
        assert_eq!(Way::wanted(&[]), Way::all());
        let some = [Way::TwoLegs, Way::FloorTwo, Way::TwoLegs];
        assert_eq!(Way::wanted(&some), [Way::FloorTwo, Way::TwoLegs]);
    }
}
