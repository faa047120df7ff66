//! Where in the memory does what stand?
//!
//! ```text
//! word 0 magic │ 1 version │ 2 slots │ 3 longest │ 4 incarnation │ … │ 16 next │ … │ 32 state │ …    512 words of header
//! then slots, each an odd number of lines of eight words:  0 stamp │ 1 length │ 2 … the datagram, zero to the word's end
//! ```
//!
//! All of it in the host's own byte order: who maps it runs on the same host. What never changes, what changes with every
//! datagram and what changes once stand in lines of their own, two lines apart, since processors fetch lines in pairs. The
//! number of lines per slot is odd so that the slots' beginnings spread over all sets of a cache.

use super::error::RingError;
use crate::sys::shared::Words;

/// `TWINRING`.
const MAGIC: u64 = u64::from_ne_bytes(*b"TWINRING");
const VERSION: u64 = 1;

pub(super) const MAGIC_AT: usize = 0;
pub(super) const VERSION_AT: usize = 1;
pub(super) const SLOTS_AT: usize = 2;
pub(super) const LONGEST_AT: usize = 3;
pub(super) const INCARNATION_AT: usize = 4;
/// The number of the datagram that is written next.
pub(super) const NEXT_AT: usize = 16;
/// [`OPEN`] or [`CLOSED`].
pub(super) const STATE_AT: usize = 32;

pub(super) const OPEN: u64 = 0;
pub(super) const CLOSED: u64 = 1;

/// Words of the header: a page; in a model of threads, which tracks each word, no more than are used.
pub(super) const HEADER: usize = if cfg!(twinfeed_loom) { 40 } else { 512 };
/// Words of a slot before its datagram.
pub(super) const SLOT_HEADER: usize = 2;
/// Words of a cache line.
pub(super) const LINE: usize = 8;

/// Slots that are open: the next datagram's and those behind it.
pub(super) const AHEAD: u64 = if cfg!(twinfeed_loom) { 1 } else { 2 };

/// Slots of the smallest ring, of which half can be open.
pub(super) const LEAST_SLOTS: usize = 2 * AHEAD as usize;
/// Slots of the largest ring.
pub(super) const MOST_SLOTS: usize = 1 << 20;
/// Longest datagram of the narrowest ring, bytes.
pub(super) const LEAST_LONGEST: usize = 8;
/// Longest datagram of the widest ring, bytes: no UDP datagram is longer.
pub(super) const MOST_LONGEST: usize = 1 << 16;

/// The sizes of a ring, which fit each other and their bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Geometry {
    slots: usize,
    longest: usize,
    slot_words: usize,
}

impl Geometry {
    /// Of so many slots, a power of two, for datagrams of up to `longest` bytes, a multiple of eight; `None` if they are
    /// none or out of bounds.
    pub(super) fn new(slots: usize, longest: usize) -> Option<Self> {
        let sound = slots.is_power_of_two()
            && (LEAST_SLOTS..=MOST_SLOTS).contains(&slots)
            && longest.is_multiple_of(8)
            && (LEAST_LONGEST..=MOST_LONGEST).contains(&longest);
        let lines = (SLOT_HEADER + longest / 8).div_ceil(LINE);
        sound.then_some(Self {
            slots,
            longest,
            slot_words: (lines | 1) * LINE,
        })
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Words in all. The largest ring has 2^33, which 64 bits hold.
    pub(super) fn words(&self) -> usize {
        HEADER + self.slots * self.slot_words
    }

    /// The first word of the slot of datagram `number`.
    #[inline]
    pub(super) fn slot(&self, number: u64) -> usize {
        // The remainder is below `slots`, which is a usize.
        HEADER + (number & (self.slots as u64 - 1)) as usize * self.slot_words
    }

    /// Words of a slot.
    #[inline]
    pub(super) fn slot_words(&self) -> usize {
        self.slot_words
    }

    /// The words of the header that never change, with their places.
    pub(super) fn header(&self, incarnation: u64) -> [(usize, u64); 5] {
        [
            (MAGIC_AT, MAGIC),
            (VERSION_AT, VERSION),
            (SLOTS_AT, self.slots as u64),
            (LONGEST_AT, self.longest as u64),
            (INCARNATION_AT, incarnation),
        ]
    }

    /// What the header says, if it is one and says what can be; also the writer's incarnation.
    ///
    /// `words` are at least [`HEADER`].
    pub(super) fn read(words: Words<'_>) -> Result<(Self, u64), RingError> {
        if words.load(MAGIC_AT) != MAGIC {
            return Err(RingError::NoRing);
        }
        match words.load(VERSION_AT) {
            VERSION => {}
            version => return Err(RingError::Version { version }),
        }
        let (slots, longest) = (words.load(SLOTS_AT), words.load(LONGEST_AT));
        usize::try_from(slots)
            .ok()
            .zip(usize::try_from(longest).ok())
            .and_then(|(slots, longest)| Self::new(slots, longest))
            .map(|geometry| (geometry, words.load(INCARNATION_AT)))
            .ok_or(RingError::Sizes { slots, longest })
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    #[test]
    fn sizes_hold_at_the_edge_and_one_beyond() {
        let sound = |slots, longest| Geometry::new(slots, longest).is_some();
        assert!(sound(LEAST_SLOTS, LEAST_LONGEST) && sound(MOST_SLOTS, MOST_LONGEST));
        assert!(!sound(LEAST_SLOTS / 2, 64) && !sound(MOST_SLOTS * 2, 64));
        assert!(!sound(3, 64) && !sound(0, 64));
        assert!(!sound(4, 0) && !sound(4, 9) && !sound(4, MOST_LONGEST + 8));
    }

    #[test]
    fn slots_are_an_odd_number_of_lines_and_do_not_overlap() {
        for (longest, lines) in [(8, 1), (48, 1), (56, 3), (176, 3), (184, 5), (1_472, 25)] {
            let geometry = Geometry::new(4, longest).unwrap();
            assert_eq!(geometry.slot_words(), lines * LINE, "{longest}");
            assert!(geometry.slot_words() >= SLOT_HEADER + longest / 8);
            assert_eq!(geometry.slot(5), HEADER + geometry.slot_words());
            assert_eq!(
                geometry.words(),
                geometry.slot(3) + geometry.slot_words(),
                "the last slot ends the memory"
            );
        }
    }

    #[test]
    fn a_header_says_what_was_written_or_is_refused() {
        let geometry = Geometry::new(8, 64).unwrap();
        let read = |changed: Option<(usize, u64)>| {
            let words: Vec<AtomicU64> = (0..HEADER).map(|_| AtomicU64::new(0)).collect();
            for (at, word) in geometry.header(77).into_iter().chain(changed) {
                words[at].store(word, crate::sync::Ordering::Relaxed);
            }
            Geometry::read(Words::of(&words))
        };
        assert_eq!(read(None).unwrap(), (geometry, 77));
        assert!(matches!(read(Some((MAGIC_AT, 1))), Err(RingError::NoRing)));
        let version = read(Some((VERSION_AT, 2)));
        assert!(matches!(version, Err(RingError::Version { version: 2 })));
        for lie in [
            (SLOTS_AT, 0),
            (SLOTS_AT, 7),
            (SLOTS_AT, u64::MAX),
            (SLOTS_AT, 1 << 63),
            (LONGEST_AT, 0),
            (LONGEST_AT, 65),
            (LONGEST_AT, u64::MAX - 7),
        ] {
            let refused = read(Some(lie));
            assert!(matches!(refused, Err(RingError::Sizes { .. })), "{lie:?}");
        }
    }
}
