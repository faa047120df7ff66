//! The writer's and the reader's steps on words of this process: a table, a naive twin, and every order of threads.

use super::cursor::{Cursor, Taken};
use super::layout::Geometry;
use super::slot;
use crate::sync::AtomicU64;
use crate::sys::memory::{Block, bytes_of};
use crate::sys::shared::Words;

/// Words of this process, as a writer that begins leaves them.
fn words(geometry: &Geometry) -> Vec<AtomicU64> {
    let words: Vec<_> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    slot::begin(&words, geometry);
    words
}

#[cfg(not(twinfeed_loom))]
mod one_thread {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::super::error::Broken;
    use super::super::layout::{HEADER, NEXT_AT};
    use super::super::slot::NO_NUMBER;
    use super::*;
    use crate::sync::Ordering;

    struct Ring {
        geometry: Geometry,
        cells: Vec<AtomicU64>,
        next: u64,
    }

    struct Reading {
        cursor: Cursor,
        own: Vec<Block>,
    }

    impl Ring {
        fn new(slots: usize, longest: usize) -> Self {
            let geometry = Geometry::new(slots, longest).unwrap();
            let (cells, next) = (words(&geometry), 0);
            Self {
                geometry,
                cells,
                next,
            }
        }

        fn write(&mut self, datagram: &[u8]) {
            slot::write(&self.cells, &self.geometry, self.next, datagram);
            self.next += 1;
        }

        fn join(&self) -> Reading {
            let cursor = Cursor::join(Words::of(&self.cells), self.geometry).unwrap();
            let own = vec![Block::ZERO; self.geometry.longest() / 8];
            Reading { cursor, own }
        }

        fn set(&self, at: usize, word: u64) {
            self.cells[at].store(word, Ordering::Relaxed);
        }

        fn take(&self, reading: &mut Reading) -> Result<Option<(Vec<u8>, u64)>, Broken> {
            let taken = reading
                .cursor
                .take(Words::of(&self.cells), &mut reading.own)?;
            Ok(taken
                .map(|Taken { length, lost }| (bytes_of(&reading.own)[..length].to_vec(), lost)))
        }
    }

    fn numbered(number: u8) -> Vec<u8> {
        vec![number; usize::from(number % 17)]
    }

    #[test]
    fn datagrams_of_every_length_come_back_in_order() {
        let mut ring = Ring::new(4, 24);
        let mut reading = ring.join();
        assert_eq!(ring.take(&mut reading), Ok(None));
        for length in 0..=24_u8 {
            let datagram: Vec<u8> = (1..=length).collect();
            ring.write(&datagram);
            assert_eq!(ring.take(&mut reading), Ok(Some((datagram, 0))));
            assert_eq!(ring.take(&mut reading), Ok(None));
        }
    }

    #[test]
    fn who_joins_late_reads_what_is_written_from_then_on() {
        let mut ring = Ring::new(4, 24);
        (0..7).for_each(|number| ring.write(&numbered(number)));
        let mut reading = ring.join();
        assert_eq!(ring.take(&mut reading), Ok(None));
        ring.write(b"8");
        assert_eq!(ring.take(&mut reading), Ok(Some((b"8".to_vec(), 0))));
    }

    #[test]
    fn a_ring_with_two_slots_open_is_full_without_loss_and_one_more_loses_its_older_half() {
        for (written, lost) in [(6, 0), (7, 3), (8, 4), (15, 11), (16, 12), (100, 96)] {
            let mut ring = Ring::new(8, 24);
            let mut reading = ring.join();
            (0..written).for_each(|number| ring.write(&numbered(number)));
            let mut told = u64::from(written);
            for number in u8::try_from(lost).unwrap()..written {
                let told_now = if number == u8::try_from(lost).unwrap() {
                    lost
                } else {
                    0
                };
                let taken = ring.take(&mut reading);
                assert_eq!(taken, Ok(Some((numbered(number), told_now))), "{written}");
                told -= 1 + told_now;
            }
            assert_eq!((ring.take(&mut reading), told), (Ok(None), 0));
        }
    }

    #[test]
    fn what_is_not_written_yet_is_not_there_and_what_it_will_replace_is_lost() {
        let mut ring = Ring::new(4, 24);
        let (mut keeps_up, mut lapped) = (ring.join(), ring.join());
        for number in 0..4 {
            ring.write(&[number]);
            assert_eq!(ring.take(&mut keeps_up), Ok(Some((vec![number], 0))));
        }
        // Its writer dies here, with the next slot open.
        assert_eq!(ring.take(&mut keeps_up), Ok(None));
        assert_eq!(ring.take(&mut lapped), Ok(Some((vec![2], 2))));
        assert_eq!(ring.take(&mut lapped), Ok(Some((vec![3], 0))));
        assert_eq!(ring.take(&mut lapped), Ok(None));
    }

    #[test]
    fn words_that_no_writer_writes_are_told_and_read_nothing_beyond() {
        let lies = |at: &[(usize, u64)]| {
            let mut ring = Ring::new(4, 24);
            let mut reading = ring.join();
            ring.write(b"whole");
            for &(at, word) in at {
                ring.set(at, word);
            }
            ring.take(&mut reading)
        };
        let slot = Ring::new(4, 24).geometry.slot(0);
        let stamp = |stamp| Err(Broken::Stamp { stamp, expected: 0 });
        for length in [25, 1 << 20, u64::MAX] {
            let longest = 24;
            assert_eq!(
                lies(&[(slot + 1, length)]),
                Err(Broken::Length { length, longest })
            );
        }
        // A number that has its place elsewhere, and ones that nobody counts up to.
        assert_eq!(lies(&[(slot, 4)]), stamp(4));
        assert_eq!(lies(&[(slot, u64::MAX)]), stamp(u64::MAX));
        assert_eq!(lies(&[(slot, 2 * NO_NUMBER + 2)]), stamp(2 * NO_NUMBER + 2));
        // Lapped, by its own words; then the header is asked.
        let lapped = [(slot, 10), (NEXT_AT, u64::MAX)];
        assert_eq!(lies(&lapped), stamp(u64::MAX));
        // Lapped by something that the other slots do not know of: nothing is there, for ever.
        assert_eq!(lies(&[(slot, 10), (NEXT_AT, 1 << 40)]), Ok(None));
        let ring = Ring::new(4, 24);
        ring.set(NEXT_AT, NO_NUMBER);
        let joined = Cursor::join(Words::of(&ring.cells), ring.geometry);
        assert!(joined.is_err());
    }

    /// A ring that forgets by hand: the last datagrams, two less than it has slots, with their numbers, and where the reader stands.
    #[derive(Default)]
    struct Twin {
        held: VecDeque<(u64, Vec<u8>)>,
        next: u64,
        stands: u64,
    }

    impl Twin {
        fn write(&mut self, slots: usize, datagram: Vec<u8>) {
            self.held.push_back((self.next, datagram));
            self.next += 1;
            if self.held.len() > slots - 2 {
                self.held.pop_front();
            }
        }

        fn take(&mut self, slots: usize) -> Option<(Vec<u8>, u64)> {
            let oldest = self.held.front()?.0;
            let mut lost = 0;
            if self.stands < oldest {
                lost = self.next - slots as u64 / 2 - self.stands;
                self.stands += lost;
            }
            let found = self.held.iter().find(|held| held.0 == self.stands)?;
            self.stands += 1;
            Some((found.1.clone(), lost))
        }
    }

    proptest! {
        /// Whatever is written and read in whichever order, each datagram is read once, whole and in order, or counted lost.
        #[test]
        fn agrees_with_a_twin_that_forgets_by_hand(
            slots in prop::sample::select(vec![4_usize, 8, 16]),
            steps in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=40), 1_usize..12),
                0..120,
            ),
        ) {
            let mut ring = Ring::new(slots, 40);
            let mut reading = ring.join();
            let mut twin = Twin::default();
            let mut accounted = 0;
            for (writes, datagram, times) in steps {
                for _ in 0..times {
                    if writes {
                        ring.write(&datagram);
                        twin.write(slots, datagram.clone());
                    } else {
                        let taken = ring.take(&mut reading).unwrap();
                        prop_assert_eq!(&taken, &twin.take(slots));
                        accounted += taken.map_or(0, |(_, lost)| 1 + lost);
                    }
                }
            }
            while let Some((_, lost)) = ring.take(&mut reading).unwrap() {
                accounted += 1 + lost;
            }
            prop_assert_eq!(accounted, ring.next);
        }

        /// Nothing that can stand in the memory makes a reader read beyond it, loop or panic.
        #[test]
        fn any_words_at_all_are_survived(
            written in prop::collection::vec((0_usize..4, any::<u64>()), 0..40),
            header in any::<[u64; 3]>(),
        ) {
            let mut ring = Ring::new(4, 24);
            let mut reading = ring.join();
            ring.write(b"whole");
            for (round, (slot, word)) in written.into_iter().enumerate() {
                let at = HEADER + slot * ring.geometry.slot_words() + round % 3;
                // Small words are stamps and lengths that may pass.
                ring.set(at, if round % 2 == 0 { word } else { word % 32 });
                ring.set(NEXT_AT, header[round % 3] >> (word % 64));
                let _ = ring.take(&mut reading);
            }
        }
    }

    /// Words of a datagram: several lines.
    const WORDS: usize = 32;

    /// Miri runs this with both threads' accesses in orders that weak memory allows.
    #[test]
    fn a_reader_beside_a_writer_reads_whole_datagrams_and_counts_the_rest() {
        const COUNT: u64 = if cfg!(miri) { 200 } else { 200_000 };
        let geometry = Geometry::new(8, 8 * WORDS).unwrap();
        let cells = words(&geometry);
        let mut cursor = Cursor::join(Words::of(&cells), geometry).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COUNT {
                    let word = number.to_ne_bytes();
                    let datagram = [word; WORDS].concat();
                    slot::write(&cells, &geometry, number, &datagram);
                }
            });
            let (mut own, mut number) = (vec![Block::ZERO; WORDS], 0);
            while number < COUNT {
                let taken = cursor.take(Words::of(&cells), &mut own).unwrap();
                let Some(Taken { length, lost }) = taken else {
                    std::thread::yield_now();
                    continue;
                };
                number += lost;
                assert_eq!(
                    bytes_of(&own)[..length],
                    [number.to_ne_bytes(); WORDS].concat()
                );
                number += 1;
            }
        });
    }
}

/// A writer and its readers, in every order: see [`crate::sync`].
#[cfg(twinfeed_loom)]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;

    /// Datagrams of one or two words, which are their numbers.
    fn datagram(number: u64) -> Vec<u8> {
        [number.to_ne_bytes(), number.to_ne_bytes()].concat()[..8 + 8 * (number as usize % 2)]
            .to_vec()
    }

    /// Takes as often, and looks at all of it; returns where it stands.
    fn read(cells: &[AtomicU64], cursor: &mut Cursor, takes: usize, mut stands: u64) -> u64 {
        let mut own = [Block::ZERO; 2];
        for _ in 0..takes {
            let taken = cursor.take(Words::of(cells), &mut own);
            let Some(Taken { length, lost }) = taken.expect("an honest writer breaks nothing")
            else {
                continue;
            };
            stands += lost;
            assert_eq!(bytes_of(&own)[..length], datagram(stands), "whole");
            stands += 1;
        }
        stands
    }

    fn model(written: u64, takes: usize) {
        loom::model(move || {
            let geometry = Geometry::new(2, 16).unwrap();
            let cells = Arc::new(words(&geometry));
            let mut cursor = Cursor::join(Words::of(&cells), geometry).unwrap();
            let writing = {
                let cells = Arc::clone(&cells);
                loom::thread::spawn(move || {
                    for number in 0..written {
                        slot::write(&cells, &geometry, number, &datagram(number));
                    }
                })
            };
            let stands = read(&cells, &mut cursor, takes, 0);
            writing.join().unwrap();
            let stands = read(&cells, &mut cursor, written as usize, stands);
            assert_eq!(stands, written, "each is read or counted in the end");
        });
    }

    #[test]
    fn a_reader_reads_whole_datagrams_before_it_is_lapped() {
        model(2, 2);
    }

    #[test]
    fn a_reader_that_is_lapped_while_it_reads_knows() {
        model(3, 2);
    }

    #[test]
    fn a_reader_that_is_lapped_twice_counts_all() {
        model(4, 1);
    }
}
