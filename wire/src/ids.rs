//! Which numbers exist, so that no two of them can be mixed up?
//!
//! A source message is known by its [`Pos`] and by nothing else. An [`Msn`] finds loss on one leg, a
//! [`Dsn`] finds a replayed datagram, a [`Generation`] fences authority, an [`Epoch`] names one life of
//! a source's numbering and a [`ContextId`] says whether two legs mean the same thing by the same
//! `Pos`. None of them converts into another.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $show:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $show, self.0)
            }
        }
    };
}

number!(
    /// Source stream: one channel, session or topic as its origin numbers it; equal on both adapters.
    Sid(u32), "{}"
);
number!(
    /// One adapter's numbered output of one [`Sid`]; assigned by stream-admin, never shared.
    StreamId(u32), "{}"
);
number!(
    /// Number of a pair's role assignment; fences old actives. 0 means none was ever granted.
    Generation(u32), "{}"
);
number!(
    /// One life of a sending process, opaque; a replaced one never returns.
    Incarnation(u64), "{:016x}"
);
number!(
    /// Datagram sequence number: +1 per datagram of any kind, per incarnation and stream.
    Dsn(u64), "{}"
);
number!(
    /// Message sequence number: position in one stream, in one generation and incarnation.
    Msn(u64), "{}"
);
number!(
    /// Digest of the key of one life of a source's numbering. 0 is reserved for "none".
    Epoch(u64), "{:016x}"
);
number!(
    /// Digest of (epoch, first or inherited cut, abandoned ranges): what the conversion remembers.
    ContextId(u64), "{:016x}"
);
number!(
    /// How many administrative messages precede a record in its sid, over epochs and generations.
    Adm(u64), "{}"
);

impl Epoch {
    /// No epoch: the predecessor of the first one, or of one whose predecessor is not known.
    pub const NONE: Self = Self(0);

    /// Whether this names an epoch at all.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

impl Msn {
    /// The number `count` messages further on, at most the highest that there is: who asks for a number beyond all
    /// numbers must get one that is never reached, and not one that has been passed.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// The one durable cursor: dedup key, replay identifier, resume state.
///
/// Compares only within one (`sid`, `epoch`): the derived order is for keys in maps, and
/// [`Pos::compare`] is the honest one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
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

impl Pos {
    /// Order of two positions, or `None` when they do not belong to one (sid, epoch).
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<core::cmp::Ordering> {
        (self.sid == other.sid && self.epoch == other.epoch)
            .then(|| (self.sseq, self.part).cmp(&(other.sseq, other.part)))
    }
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
    fn a_number_beyond_all_numbers_is_the_last_and_no_early_one() {
        assert_eq!(Msn(u64::MAX - 3).plus(3), Msn(u64::MAX));
        assert_eq!(Msn(u64::MAX - 3).plus(4), Msn(u64::MAX));
        assert_eq!(Msn(7).plus(u64::MAX), Msn(u64::MAX));
    }

    #[test]
    fn positions_of_different_epochs_do_not_compare() {
        let here = Pos {
            sid: Sid(1),
            epoch: Epoch(7),
            sseq: 10,
            part: 0,
        };
        let there = Pos {
            epoch: Epoch(8),
            ..here
        };
        assert_eq!(here.compare(&there), None);
        assert_eq!(
            here.compare(&Pos { part: 1, ..here }),
            Some(core::cmp::Ordering::Less)
        );
    }
}
