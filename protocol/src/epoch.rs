//! How does one life of a source's numbering begin?

use twinfeed_wire::Epoch;

/// What is known of an epoch when it begins, as far as one adapter can know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EpochStart {
    /// Digest of the epoch key, see [`crate::digest::epoch`]. Never [`Epoch::NONE`].
    pub epoch: Epoch,
    /// First source number that this adapter converts in it. Never 0.
    pub first: u64,
    /// Whether `first` is the source's own first number of the epoch.
    pub complete: bool,
    /// The epoch before it, or [`Epoch::NONE`] when not known.
    pub predecessor: Epoch,
}
