//! Which record stood at which msn?
//!
//! ```text
//!  count mod 8     | 97 | 98 | 99 | 92 | 93 | 94 | 95 | 96 |      the last 8 records, and no others
//! ```
//!
//! Two adapters whose records at equal msn are the same number alike; a comparison of where they stand at one
//! instant would say nothing, for one is always ahead. Kept for every record, so that a peer's report can be
//! judged whenever it arrives.

pub use twinfeed_wire::link::Placed;
use twinfeed_wire::{Adm, ContextId, Msn};

/// The records placed last.
///
/// Counted densely since the start; the numbering in force is an offset, so that another one can be taken
/// over without touching what is remembered.
#[derive(Debug)]
pub(super) struct History {
    ring: Box<[Placed]>,
    /// Records placed since the start.
    count: u64,
    /// The msn of the record placed last, in the numbering in force; 0: none in it.
    last: Msn,
    /// How many were placed before the source stepped back, or lost something: from their places nobody can count on,
    /// for they may come again, or a peer may have what is missing here.
    left: u64,
}

impl History {
    /// Remembers the last `length` records, rounded up to a power of two: every record finds its place by a mask.
    pub(super) fn new(length: usize) -> Self {
        Self {
            ring: vec![Placed::default(); length.next_power_of_two()].into_boxed_slice(),
            count: 0,
            last: Msn(0),
            left: 0,
        }
    }

    /// The next record; its msn follows the one before.
    #[inline(always)]
    pub(super) fn push(&mut self, placed: Placed) {
        let index = self.index(self.count);
        self.ring[index] = placed;
        self.count += 1;
        self.last = placed.msn;
    }

    /// The newest record; its msn is 0 when it was placed before the numbering in force began.
    pub(super) fn newest(&self) -> Option<Placed> {
        let behind = self.count.checked_sub(1)?;
        Some(Placed {
            msn: self.last,
            ..self.ring[self.index(behind)]
        })
    }

    /// The newest record that is no administrative message, and how many of those were placed behind it.
    pub(super) fn newest_of_source(&self) -> Option<(Placed, u64)> {
        let found = (0..).zip(self.backwards(0));
        let mut of_source = found.filter(|(_, placed)| placed.part != Placed::ADMINISTRATIVE);
        of_source.next().map(|(behind, placed)| {
            let msn = Msn(self.last.0.saturating_sub(behind));
            // What was placed before the numbering in force began does not count in it.
            (Placed { msn, ..*placed }, behind.min(self.last.0))
        })
    }

    /// The newest administrative message of this number; its msn is 0 when it was placed before the numbering in force
    /// began.
    pub(super) fn administrative(&self, number: Adm) -> Option<Placed> {
        let remembered = self.count.min(self.ring.len() as u64);
        (0..remembered).find_map(|behind| {
            let placed = self.ring[self.index(self.count - 1 - behind)];
            let found = placed.part == Placed::ADMINISTRATIVE && placed.adm == number;
            let msn = Msn(self.last.0.saturating_sub(behind));
            found.then_some(Placed { msn, ..placed })
        })
    }

    /// The source stepped back or lost something: what was placed until now is found by its number only.
    pub(super) const fn leave(&mut self) {
        self.left = self.count;
    }

    /// How many records were placed since the start.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// What is remembered of the records behind the first `from`, since the source stepped back or lost something, the newest
    /// first; the numbers in it are those at which it was placed.
    fn backwards(&self, from: u64) -> impl Iterator<Item = &Placed> {
        let fresh = self.count.saturating_sub(self.left.max(from));
        let remembered = fresh.min(self.ring.len() as u64);
        (0..remembered).map(|behind| &self.ring[self.index(self.count - 1 - behind)])
    }

    /// The record at `msn`, if it is remembered.
    pub(super) fn at(&self, msn: Msn) -> Option<Placed> {
        let behind = self.last.0.checked_sub(msn.0)?;
        let known = msn.0 != 0 && behind < self.count.min(self.ring.len() as u64);
        known.then(|| Placed {
            msn,
            ..self.ring[self.index(self.count - 1 - behind)]
        })
    }

    /// What was remembered when the same record as `other` was placed, whatever its number here, and how many
    /// records of the source were placed behind it; `None` when it is not remembered, or something was lost behind it.
    /// Does not look at the first `from` records since the start: whoever asks again says how many there were when it
    /// was not among them.
    pub(super) fn since(&self, other: &Placed, from: u64) -> Option<(ContextId, u64)> {
        let mut of_source = 0;
        for placed in self.backwards(from) {
            if placed.is_same_record(other) {
                return Some((placed.context, of_source));
            }
            of_source += u64::from(placed.part != Placed::ADMINISTRATIVE);
        }
        None
    }

    /// The record placed last counts as `last` from now on, and all before it accordingly.
    pub(super) const fn renumber(&mut self, last: Msn) {
        self.last = last;
    }

    #[inline(always)]
    fn index(&self, count: u64) -> usize {
        // The length is a power of two, and what is below it a usize.
        count as usize & (self.ring.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::Epoch;

    use super::*;

    fn placed(msn: u64, sseq: u64) -> Placed {
        Placed {
            msn: Msn(msn),
            epoch: Epoch(7),
            sseq,
            ..Placed::default()
        }
    }

    fn filled() -> History {
        let mut history = History::new(4);
        (1..=6).for_each(|msn| history.push(placed(msn, 100 + msn)));
        history
    }

    #[test]
    fn the_last_records_are_found_by_number_and_no_others() {
        let history = filled();
        for msn in 0..9 {
            let expected = (3..=6).contains(&msn).then(|| placed(msn, 100 + msn));
            assert_eq!(history.at(Msn(msn)), expected, "{msn}");
        }
        assert_eq!(History::new(4).at(Msn(0)), None);
        assert_eq!(History::new(4).newest(), None);
    }

    #[test]
    fn a_record_is_found_by_its_place() {
        let history = filled();
        let here = |behind| Some((ContextId(0), behind));
        assert_eq!(history.since(&placed(999, 106), 0), here(0));
        assert_eq!(history.since(&placed(999, 103), 0), here(3));
        assert_eq!(history.since(&placed(999, 102), 0), None, "forgotten");
        let elsewhere = Placed {
            epoch: Epoch(8),
            ..placed(999, 106)
        };
        assert_eq!(history.since(&elsewhere, 0), None);
    }

    #[test]
    fn nobody_counts_from_what_was_placed_before_a_loss() {
        let mut history = filled();
        history.leave();
        assert_eq!(history.newest_of_source(), None);
        assert_eq!(history.since(&placed(999, 106), 0), None);
        assert_eq!(history.at(Msn(6)), Some(placed(6, 106)), "by number");
        history.push(placed(7, 108));
        assert_eq!(history.since(&placed(999, 106), 0), None);
        let found = history.since(&placed(999, 108), 0);
        assert_eq!(found, Some((ContextId(0), 0)));
        assert_eq!(history.newest_of_source(), Some((placed(7, 108), 0)));
    }

    #[test]
    fn nobody_looks_twice_at_a_record() {
        let mut history = filled();
        let seen = history.count();
        assert_eq!(history.since(&placed(999, 106), seen), None, "looked at");
        history.push(placed(7, 107));
        assert_eq!(history.since(&placed(999, 106), seen), None);
        let found = history.since(&placed(999, 107), seen);
        assert_eq!(found, Some((ContextId(0), 0)));
        let found = history.since(&placed(999, 106), seen - 1);
        assert_eq!(found, Some((ContextId(0), 1)));
    }

    #[test]
    fn any_length_remembers_as_many_and_finds_what_a_list_finds() {
        for length in 1..20 {
            let mut history = History::new(length);
            let mut twin = Vec::new();
            for msn in 1..=50 {
                history.push(placed(msn, 100 + msn));
                twin.push(placed(msn, 100 + msn));
                let kept = length.next_power_of_two().min(twin.len());
                let forgotten = twin.len() - kept;
                for it in &twin[..forgotten] {
                    assert_eq!(history.at(it.msn), None, "{length}: {it:?}");
                }
                for it in &twin[forgotten..] {
                    assert_eq!(history.at(it.msn), Some(*it), "{length}");
                }
            }
        }
    }

    #[test]
    fn administrative_messages_do_not_count_as_records_of_the_source() {
        let mut history = filled();
        assert_eq!(history.newest_of_source(), Some((placed(6, 106), 0)));
        for msn in [7, 8] {
            history.push(Placed {
                part: Placed::ADMINISTRATIVE,
                ..placed(msn, 106)
            });
        }
        assert_eq!(history.newest_of_source(), Some((placed(6, 106), 2)));
        assert_eq!(history.since(&placed(999, 105), 0), Some((ContextId(0), 1)));
    }

    #[test]
    fn another_numbering_moves_every_number() {
        let mut history = filled();
        history.renumber(Msn(2));
        assert_eq!(history.newest(), Some(placed(2, 106)));
        assert_eq!(history.at(Msn(1)), Some(placed(1, 105)));
        assert_eq!(history.at(Msn(0)), None, "no number is 0");
        assert_eq!(history.at(Msn(6)), None);
        history.push(placed(3, 107));
        assert_eq!(history.at(Msn(2)), Some(placed(2, 106)));
    }
}
