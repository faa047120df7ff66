//! What can be wrong with a record, as far as a book can tell?
//!
//! A record that does not fit the book is never passed over: it is named, counted under its name, given back to the caller, and
//! makes the book [`super::Trust::Suspect`].

/// A way in which a record does not fit the book.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Inconsistency {
    /// A cancel, a fill or a modify names an order that does not rest. The first two change nothing; a modify enters the order,
    /// for it says all of it.
    UnknownOrder,
    /// An add under the number of an order that rests. The new one takes its place, at the back of its queue.
    DuplicateOrder,
    /// More is taken than rests. The order leaves.
    Oversized,
    /// The record's side is not the order's. A modify moves the order, everything else goes by the number.
    WrongSide,
    /// A cancel's price is not the order's. The number decides.
    WrongPrice,
    /// Side, price or quantity is not stated where it is needed. An add enters nothing, a modify takes the order out, a cancel of
    /// an unknown quantity takes all of it.
    Undefined,
    /// The record speaks of a level and not of an order (`F_TOB`, `F_MBP`). Nothing changes.
    Aggregated,
    /// An action that DBN does not list. Nothing changes.
    UnknownAction,
    /// The record is of another instrument than the book. Nothing changes.
    OtherInstrument,
    /// The adapter says that it lacks something (`F_MAYBE_BAD_BOOK`). What the record says is applied.
    Flagged,
    /// As many orders rest as there is room for. The order is not entered.
    OrdersFull,
    /// As many instruments have a book as there is room for. This one gets none.
    InstrumentsFull,
    /// Bid and offer are locked or crossed, where that is judged. The book stays as it is.
    Crossed,
}

impl Inconsistency {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::UnknownOrder,
        Self::DuplicateOrder,
        Self::Oversized,
        Self::WrongSide,
        Self::WrongPrice,
        Self::Undefined,
        Self::Aggregated,
        Self::UnknownAction,
        Self::OtherInstrument,
        Self::Flagged,
        Self::OrdersFull,
        Self::InstrumentsFull,
        Self::Crossed,
    ];

    /// In metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownOrder => "unknown_order",
            Self::DuplicateOrder => "duplicate_order",
            Self::Oversized => "oversized",
            Self::WrongSide => "wrong_side",
            Self::WrongPrice => "wrong_price",
            Self::Undefined => "undefined",
            Self::Aggregated => "aggregated",
            Self::UnknownAction => "unknown_action",
            Self::OtherInstrument => "other_instrument",
            Self::Flagged => "flagged",
            Self::OrdersFull => "orders_full",
            Self::InstrumentsFull => "instruments_full",
            Self::Crossed => "crossed",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What was found wrong with one record: none, one or several [`Inconsistency`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "a record that does not fit is no secret"]
pub struct Findings(u16);

impl Findings {
    /// Whether the record fits.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is among them.
    #[must_use]
    pub const fn has(self, kind: Inconsistency) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Inconsistency> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let kind = Inconsistency::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1; // without its lowest bit
            Some(*kind)
        })
    }

    pub(super) const fn note(&mut self, kind: Inconsistency) {
        self.0 |= kind.bit();
    }

    pub(super) const fn add(&mut self, more: Self) {
        self.0 |= more.0;
    }
}

impl From<Inconsistency> for Findings {
    fn from(kind: Inconsistency) -> Self {
        Self(kind.bit())
    }
}

/// How many records were found wrong in each way. Counts only grow: they outlast what empties a book.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts([u64; Inconsistency::ALL.len()]);

impl Counts {
    /// How many in this way.
    #[must_use]
    pub const fn of(&self, kind: Inconsistency) -> u64 {
        self.0[kind as usize]
    }

    /// How many in all ways together; a record that is wrong in two ways counts twice.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each way, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Inconsistency, u64)> {
        Inconsistency::ALL.into_iter().zip(self.0)
    }

    pub(super) fn add(&mut self, findings: Findings) {
        for kind in findings.iter() {
            self.0[kind as usize] += 1;
        }
    }

    /// Adds what another count grew by.
    pub(super) fn add_growth(&mut self, before: &Self, after: &Self) {
        for (count, (before, after)) in self.0.iter_mut().zip(before.0.iter().zip(after.0)) {
            *count += after - before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_place_and_word() {
        for (place, kind) in Inconsistency::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            let findings = Findings::from(kind);
            assert_eq!(findings.iter().collect::<Vec<_>>(), [kind]);
            let others = Inconsistency::ALL.into_iter().filter(|it| *it != kind);
            assert!(others.into_iter().all(|it| it.word() != kind.word()));
        }
    }

    #[test]
    fn a_record_that_is_wrong_in_two_ways_counts_twice() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        findings.note(Inconsistency::Flagged);
        findings.add(Inconsistency::Oversized.into());
        let mut counts = Counts::default();
        counts.add(findings);
        counts.add(Inconsistency::Flagged.into());
        assert_eq!((counts.of(Inconsistency::Flagged), counts.total()), (2, 3));
    }
}
