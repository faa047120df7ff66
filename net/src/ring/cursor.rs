//! Where does a reader stand, and where does it go on when it was lapped?
//!
//! A reader that was lapped goes on in the middle of what the ring still holds: the newer half is kept, and the writer
//! has to write as much again before it comes by once more.
//!
//! ```text
//!        n: passed          next − slots/2                next
//!  lost  ├──────────────────┤ goes on here ├──────────────┤ not written yet
//! ```

use super::error::Broken;
use super::layout::{AHEAD, Geometry, NEXT_AT};
use super::slot::{self, Found, NO_NUMBER};
use crate::sys::memory::Block;
use crate::sys::shared::Words;

/// A reader's place in a ring.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    geometry: Geometry,
    /// The datagram to be read next.
    number: u64,
    /// Datagrams passed over that nobody was told of.
    lost: u64,
    /// Lines of a slot that the datagram before filled.
    lines: usize,
}

/// A datagram that lies in the reader's own memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Taken {
    /// Its bytes.
    pub(super) length: usize,
    /// Datagrams lost between the one before and this one.
    pub(super) lost: u64,
}

impl Cursor {
    /// A reader that joins now: what is written from now on is read.
    pub(super) fn join(words: Words<'_>, geometry: Geometry) -> Result<Self, Broken> {
        let next = words.load(NEXT_AT);
        if next >= NO_NUMBER {
            return Err(Broken::Stamp {
                stamp: next,
                expected: 0,
            });
        }
        Ok(Self {
            geometry,
            number: next,
            lost: 0,
            lines: 0,
        })
    }

    /// The next datagram, if it is there, into `own`, which holds at least the longest.
    #[inline]
    pub(super) fn take(
        &mut self,
        words: Words<'_>,
        own: &mut [Block],
    ) -> Result<Option<Taken>, Broken> {
        // A writer that comes by again and again within one call is not raced: later is as good.
        for _ in 0..TRIES {
            match slot::read(words, &self.geometry, self.number, own)? {
                Found::Whole(length) => {
                    self.number += 1;
                    self.lines = slot::lines(length);
                    let lost = std::mem::take(&mut self.lost);
                    return Ok(Some(Taken { length, lost }));
                }
                Found::Nothing => {
                    slot::fetch(words, &self.geometry, self.number, self.lines);
                    return Ok(None);
                }
                Found::Passed { by } => self.skip(words, by)?,
            }
        }
        Ok(None)
    }

    /// Goes on behind what was passed by datagram `by`.
    #[cold]
    fn skip(&mut self, words: Words<'_>, by: u64) -> Result<(), Broken> {
        // The slot, which is open for `by` or holds it, and this word may be seen in either order; the larger is the newer.
        let next = words.load(NEXT_AT).max(by + 1 - AHEAD);
        if next >= NO_NUMBER {
            return Err(Broken::Stamp {
                stamp: next,
                expected: self.number,
            });
        }
        // `by` is at least a lap ahead, and no more than half of the slots are open, so this is ahead as well.
        let goes_on = next - self.geometry.slots() as u64 / 2;
        self.lost += goes_on - self.number;
        self.number = goes_on;
        Ok(())
    }
}

const TRIES: usize = 3;
