//! Which record stood at which msn?
//!
//! ```text
//!  msn mod length  | 97 | 98 | 99 | 92 | 93 | 94 | 95 | 96 |      the last `length` records, and no others
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
    /// How many were placed before the source stepped back: their places may come again.
    left: u64,
}

impl History {
    /// Remembers the last `length` records, at least one.
    pub(super) fn new(length: usize) -> Self {
        Self {
            ring: vec![Placed::default(); length.max(1)].into_boxed_slice(),
            count: 0,
            last: Msn(0),
            left: 0,
        }
    }

    /// The next record; its msn follows the one before.
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
        let found = (0..).zip(self.backwards());
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
        let found = (0..).zip(self.backwards());
        let mut of_number = found
            .filter(|(_, placed)| placed.part == Placed::ADMINISTRATIVE && placed.adm == number);
        of_number.next().map(|(behind, placed)| Placed {
            msn: Msn(self.last.0.saturating_sub(behind)),
            ..*placed
        })
    }

    /// The source stepped back: what was placed until now is found by its number only.
    pub(super) const fn leave(&mut self) {
        self.left = self.count;
    }

    /// What is remembered since the source stepped back, the newest first; the numbers in it are those at which it was placed.
    fn backwards(&self) -> impl Iterator<Item = &Placed> {
        let remembered = (self.count - self.left).min(self.ring.len() as u64);
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
    /// records of the source were placed behind it, all of them with what was remembered then or in a later epoch;
    /// `None` when it is not remembered, or something was lost behind it. Looks through the whole
    /// ring: for a resynchronisation, not for every record.
    pub(super) fn since(&self, other: &Placed) -> Option<(ContextId, u64)> {
        let mut of_source = 0;
        let mut newer: Option<&Placed> = None;
        for placed in self.backwards() {
            if newer.is_some_and(|it| it.epoch == placed.epoch && it.context != placed.context) {
                return None;
            }
            newer = Some(placed);
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

    fn index(&self, count: u64) -> usize {
        // Less than the ring's length, which is a usize.
        (count % self.ring.len() as u64) as usize
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
        assert_eq!(history.since(&placed(999, 106)), here(0));
        assert_eq!(history.since(&placed(999, 103)), here(3));
        assert_eq!(history.since(&placed(999, 102)), None, "forgotten");
        let elsewhere = Placed {
            epoch: Epoch(8),
            ..placed(999, 106)
        };
        assert_eq!(history.since(&elsewhere), None);
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
        assert_eq!(history.since(&placed(999, 105)), Some((ContextId(0), 1)));
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
