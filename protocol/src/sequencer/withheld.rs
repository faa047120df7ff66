//! What was numbered and not sent?
//!
//! ```text
//!          covered: at or before what the active reported     it may not have sent
//!  bytes   | d1 | d2 | d3 |                                  | d4 | d5 | d6 |   free   |
//!            └ makes room when there is none                   └ never given up: full is an answer
//! ```
//!
//! A ring of finished datagrams, oldest first, in memory that is set aside once. It knows of each how many records are
//! in it and where its last one stands, and nothing else of what they say.

use std::collections::VecDeque;

use twinfeed_wire::Epoch;

use super::Placed;

/// Datagrams that wait to be sent, or to be forgotten.
#[derive(Debug)]
pub(super) struct Withheld {
    bytes: Box<[u8]>,
    entries: VecDeque<Entry>,
    most: usize,
    /// Records in all entries.
    records: usize,
    /// How many entries at the front stand before the place reported last.
    covered: usize,
    /// Whether something made room since [`Withheld::clear`].
    forgot: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    length: usize,
    records: usize,
    epoch: Epoch,
    last: u64,
}

/// Which part of what is withheld is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rest {
    /// Index of the first datagram.
    pub(super) first: usize,
    /// Records from there on.
    pub(super) records: usize,
    /// Whether less is left before the place reported last than was wanted.
    pub(super) short: bool,
}

impl Withheld {
    /// Room for `most` records, for as many datagrams, and for `bytes` bytes; 0: for nothing.
    pub(super) fn new(most: usize, bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            entries: VecDeque::with_capacity(most),
            most,
            records: 0,
            covered: 0,
            forgot: false,
        }
    }

    /// Whether anything can ever be kept.
    pub(super) const fn has_place(&self) -> bool {
        self.most > 0
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        (self.records, self.covered, self.forgot) = (0, 0, false);
    }

    /// Makes room for a datagram of so many records and bytes, by forgetting what the active has reported; `false`:
    /// nothing more may be forgotten.
    pub(super) fn make_room(&mut self, records: usize, length: usize) -> bool {
        loop {
            let room = self.entries.len() < self.most && self.records + records <= self.most;
            if room && self.place(length).is_some() {
                return true;
            }
            if self.covered == 0 {
                return false;
            }
            self.covered -= 1;
            self.forgot = true;
            if let Some(entry) = self.entries.pop_front() {
                self.records -= entry.records;
            }
        }
    }

    /// Keeps a datagram for which room was made: so many records, the last of them at `last` of `epoch`.
    pub(super) fn push(&mut self, datagram: &[u8], records: usize, epoch: Epoch, last: u64) {
        let Some(at) = self.place(datagram.len()) else {
            debug_assert!(false, "room was made");
            return;
        };
        let length = datagram.len();
        self.bytes[at..at + length].copy_from_slice(datagram);
        self.records += records;
        self.entries.push_back(Entry {
            at,
            length,
            records,
            epoch,
            last,
        });
    }

    /// The active has come to this place: what stands before it may be forgotten. A place that is not among what is
    /// kept, nor behind it in the same epoch, says nothing.
    pub(super) fn cover(&mut self, place: &Placed) {
        if self.entries.back().map(|entry| entry.epoch) != Some(place.epoch) {
            return;
        }
        let before = |entry: &Entry| entry.epoch != place.epoch || entry.last < place.sseq;
        while self.entries.get(self.covered).is_some_and(before) {
            self.covered += 1;
        }
    }

    /// What is to be sent so that at least `wanted` records before the place reported last are among it.
    pub(super) fn rest(&self, wanted: usize) -> Rest {
        let (mut first, mut before) = (self.covered, 0);
        while first > 0 && before < wanted {
            first -= 1;
            before += self.entries[first].records;
        }
        Rest {
            first,
            records: self.entries.range(first..).map(|entry| entry.records).sum(),
            short: self.forgot && before < wanted,
        }
    }

    /// The datagram at this index.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let entry = self.entries.get(index)?;
        Some(&mut self.bytes[entry.at..entry.at + entry.length])
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Where `length` bytes go, in one piece.
    fn place(&self, length: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.entries.front(), self.entries.back()) else {
            return (length <= self.bytes.len()).then_some(0);
        };
        let (tail, head) = (oldest.at, newest.at + newest.length);
        if head <= tail {
            (head + length <= tail).then_some(head)
        } else if head + length <= self.bytes.len() {
            Some(head)
        } else {
            (length <= tail).then_some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(7);

    fn reported(epoch: Epoch, sseq: u64) -> Placed {
        Placed {
            epoch,
            sseq,
            ..Placed::default()
        }
    }

    /// Datagrams of ten bytes with one record each.
    fn filled(most: usize, bytes: usize, numbers: core::ops::RangeInclusive<u64>) -> Withheld {
        let mut withheld = Withheld::new(most, bytes);
        for sseq in numbers {
            assert!(withheld.make_room(1, 10), "{sseq}");
            withheld.push(&[sseq as u8; 10], 1, EPOCH, sseq);
        }
        withheld
    }

    #[test]
    fn what_nobody_reported_is_never_forgotten() {
        let mut by_count = filled(4, 1_000, 1..=4);
        assert!(!by_count.make_room(1, 10), "four records are all");
        let mut by_bytes = filled(100, 45, 1..=4);
        assert!(!by_bytes.make_room(1, 10), "a datagram lies in one piece");
        by_bytes.cover(&reported(EPOCH, 3));
        assert!(by_bytes.make_room(1, 10));
        by_bytes.push(&[9; 10], 1, EPOCH, 5);
        assert_eq!(by_bytes.get_mut(0), Some(&mut [2; 10][..]));
        assert_eq!(by_bytes.get_mut(3), Some(&mut [9; 10][..]));
        assert!(by_bytes.make_room(1, 10), "2 stands before 3, too");
        assert!(!by_bytes.make_room(1, 20), "3 itself does not");
    }

    #[test]
    fn so_many_records_before_the_reported_place_are_among_the_rest() {
        let mut withheld = filled(10, 1_000, 1..=8);
        let all = Rest {
            first: 0,
            records: 8,
            short: false,
        };
        assert_eq!(withheld.rest(0), all, "nothing is reported: everything");
        withheld.cover(&reported(EPOCH, 6));
        let rest = |first, short| Rest {
            first,
            records: 8 - first,
            short,
        };
        assert_eq!(withheld.rest(0), rest(5, false));
        assert_eq!(withheld.rest(2), rest(3, false));
        assert_eq!(withheld.rest(100), rest(0, false), "nothing was forgotten");
        assert!(withheld.make_room(4, 10), "two are forgotten");
        assert_eq!(withheld.rest(3).first, 0);
        assert!(!withheld.rest(3).short && withheld.rest(4).short);
    }

    #[test]
    fn a_place_of_an_epoch_that_is_not_reached_says_nothing() {
        let mut withheld = filled(10, 1_000, 1..=3);
        withheld.cover(&reported(Epoch(8), 1));
        assert_eq!(withheld.rest(0).first, 0);
        assert!(withheld.make_room(1, 10));
        withheld.push(&[0; 10], 1, Epoch(8), 1);
        withheld.cover(&reported(Epoch(8), 1));
        assert_eq!(withheld.rest(0).first, 3, "the epoch before is over");
        withheld.cover(&reported(EPOCH, 2));
        assert_eq!(
            withheld.rest(0).first,
            3,
            "an old report takes nothing back"
        );
    }
}
