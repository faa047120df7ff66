//! Is somebody still there?
//!
//! Times are milliseconds of this process's monotonic clock, handed in as arguments, so a step of the
//! wall clock ends no lease and prolongs none.

use serde::{Deserialize, Serialize};

/// A moment of the server's monotonic clock, in milliseconds since it started.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Now(pub u64);

impl Now {
    /// How long ago `earlier` was, in milliseconds.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Presence with an end; void until granted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lease {
    /// Never granted, or given back.
    #[default]
    Void,
    /// Valid before this moment.
    Until(Now),
}

impl Lease {
    /// A lease from `now` on.
    #[must_use]
    pub const fn granted(now: Now, length_ms: u64) -> Self {
        Self::Until(Now(now.0.saturating_add(length_ms)))
    }

    /// Whether it is valid; its last moment is not.
    #[must_use]
    pub fn is_valid(self, now: Now) -> bool {
        matches!(self, Self::Until(end) if now < end)
    }

    /// What is left, in milliseconds; `None` without a lease, 0 once lapsed.
    #[must_use]
    pub fn remaining_ms(self, now: Now) -> Option<u64> {
        match self {
            Self::Void => None,
            Self::Until(end) => Some(end.since(now)),
        }
    }

    /// For how long it has been over, in milliseconds; `None` while valid or void.
    #[must_use]
    pub fn lapsed_for_ms(self, now: Now) -> Option<u64> {
        match self {
            Self::Until(end) if now >= end => Some(now.since(end)),
            Self::Until(_) | Self::Void => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_valid_up_to_but_not_at_its_end() {
        let lease = Lease::granted(Now(100), 50);
        assert!(lease.is_valid(Now(149)));
        assert!(!lease.is_valid(Now(150)));
        assert_eq!(lease.remaining_ms(Now(149)), Some(1));
        assert_eq!(lease.lapsed_for_ms(Now(149)), None);
        assert_eq!(lease.lapsed_for_ms(Now(150)), Some(0));
        assert!(!Lease::Void.is_valid(Now(0)));
        assert_eq!(Lease::Void.remaining_ms(Now(0)), None);
    }
}
