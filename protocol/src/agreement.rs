//! Do two ends that number alike also say the same?
//!
//! ```text
//!  one told  (epoch, context) range 7: a ─┐
//!                                         ├─ equal? ─► Agreement:  same ──── one differs ────► apart
//!  other told (epoch, context) range 7: b ┘                          ▲                          │
//!                                                                    └── so many in a row agree ┘
//! ```
//!
//! The rule is one, the places two: the backup compares itself with its active, a subscriber its two legs. What
//! follows from the answer is decided there.

use twinfeed_wire::{ContextId, Epoch, RangeDigest};

/// Digests that one end told, as many as are remembered: how far apart two ends may be and still be compared.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    kept: [(Epoch, ContextId, RangeDigest); KEPT_DIGESTS],
    at: usize,
}

/// Digests remembered per end: twice as many as one heartbeat tells.
const KEPT_DIGESTS: usize = 32;

impl Told {
    pub(crate) const fn new() -> Self {
        let none = RangeDigest {
            range: 0,
            digest: 0,
        };
        Self {
            kept: [(Epoch::NONE, ContextId(0), none); KEPT_DIGESTS],
            at: 0,
        }
    }

    /// Remembers what was told of a range of an epoch, in a context, and returns whether `other` told the same;
    /// `None` when it was told before, or `other` told nothing.
    pub(crate) fn compare(
        &mut self,
        other: &Self,
        (epoch, context): (Epoch, ContextId),
        digest: RangeDigest,
    ) -> Option<bool> {
        let same = |kept: &&(Epoch, ContextId, RangeDigest)| {
            kept.0 == epoch && kept.1 == context && kept.2.range == digest.range
        };
        if self.kept.iter().any(|kept| same(&kept)) {
            return None;
        }
        self.kept[self.at] = (epoch, context, digest);
        self.at = (self.at + 1) % KEPT_DIGESTS;
        let theirs = other.kept.iter().find(same);
        theirs.map(|kept| kept.2.digest == digest.digest)
    }

    /// The source stepped back within `epoch`: its ranges carry other content from here on.
    pub(crate) fn forget(&mut self, epoch: Epoch) {
        for kept in self.kept.iter_mut().filter(|kept| kept.0 == epoch) {
            kept.0 = Epoch::NONE;
        }
    }
}

/// Whether two ends say the same, as far as they were compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agreement {
    /// The range that differed last, while they are apart.
    apart: Option<u64>,
    /// Ranges in a row that agreed since.
    agreed: u32,
    /// How often they came apart.
    episodes: u32,
}

/// What one more comparison has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// They say the same no more.
    Parted,
    /// They have said the same again for long enough.
    Met,
}

impl Agreement {
    pub(crate) const fn new() -> Self {
        Self {
            apart: None,
            agreed: 0,
            episodes: 0,
        }
    }

    /// The range that differed last, while they are apart.
    pub(crate) const fn apart(&self) -> Option<u64> {
        self.apart
    }

    /// Notes that `range` is the `same` at both ends, or not. Ends that are apart meet when `wanted` ranges in a row
    /// agree; twice as many with every further time that they come apart, so that ends which differ now and then
    /// do not meet and part without end.
    pub(crate) fn note(&mut self, range: u64, same: bool, wanted: u32) -> Option<Turn> {
        match (self.apart, same) {
            (None, true) => None,
            (None, false) => {
                self.apart = Some(range);
                self.agreed = 0;
                self.episodes = self.episodes.saturating_add(1);
                Some(Turn::Parted)
            }
            (Some(_), false) => {
                self.apart = Some(range);
                self.agreed = 0;
                None
            }
            (Some(_), true) => {
                self.agreed = self.agreed.saturating_add(1);
                let doublings = self.episodes.saturating_sub(1).min(MOST_DOUBLINGS);
                let met = self.agreed >= wanted.saturating_mul(1 << doublings);
                met.then(|| {
                    self.apart = None;
                    Turn::Met
                })
            }
        }
    }
}

/// The last doubling of how many ranges must agree: by 64.
const MOST_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (Epoch, ContextId) = (Epoch(1), ContextId(2));

    fn digest(range: u64, digest: u64) -> RangeDigest {
        RangeDigest { range, digest }
    }

    #[test]
    fn a_range_is_compared_once_and_only_with_its_own_kind() {
        let (mut one, mut other) = (Told::new(), Told::new());
        assert_eq!(one.compare(&other, HERE, digest(7, 1)), None, "told by one");
        assert_eq!(other.compare(&one, HERE, digest(7, 1)), Some(true));
        assert_eq!(
            other.compare(&one, HERE, digest(7, 2)),
            None,
            "compared before"
        );
        assert_eq!(other.compare(&one, HERE, digest(8, 1)), None);
        assert_eq!(one.compare(&other, HERE, digest(8, 2)), Some(false));
        for elsewhere in [(Epoch(9), HERE.1), (HERE.0, ContextId(9))] {
            assert_eq!(one.compare(&other, elsewhere, digest(8, 5)), None);
        }
        one.forget(HERE.0);
        assert_eq!(other.compare(&one, HERE, digest(9, 1)), None);
        assert_eq!(
            one.compare(&other, HERE, digest(9, 1)),
            Some(true),
            "told afresh"
        );
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut one, mut other) = (Told::new(), Told::new());
        let kept = KEPT_DIGESTS as u64;
        for range in 0..=kept {
            assert_eq!(one.compare(&other, HERE, digest(range, 1)), None);
        }
        assert_eq!(other.compare(&one, HERE, digest(0, 1)), None, "forgotten");
        assert_eq!(other.compare(&one, HERE, digest(1, 1)), Some(true));
    }

    #[test]
    fn ends_meet_when_so_many_in_a_row_agree_and_later_each_time() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.note(0, true, 2), None);
        for doublings in 0..=MOST_DOUBLINGS + 2 {
            assert_eq!(agreement.apart(), None);
            assert_eq!(agreement.note(1, false, 2), Some(Turn::Parted));
            assert_eq!(agreement.note(2, true, 2), None);
            assert_eq!(agreement.note(3, false, 2), None, "told once");
            assert_eq!(agreement.apart(), Some(3));
            let wanted = 2 << doublings.min(MOST_DOUBLINGS);
            for agreed in 1..wanted {
                assert_eq!(agreement.note(3 + agreed, true, 2), None, "{agreed}");
            }
            assert_eq!(agreement.note(3 + wanted, true, 2), Some(Turn::Met));
        }
    }
}
