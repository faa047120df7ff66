//! Which numbers of an unordered source have been seen, over a bounded span?
//!
//! Records of an unordered source are delivered as they come: nothing waits for the number before. What
//! must be remembered is which numbers came, so that the other leg's copies are dropped. The memory is a
//! bitmap above a floor; a number that the floor passes unseen is *lost*, and is always reported.
//!
//! ```text
//!            floor                        floor + span
//!  settled     | . # # . . # . . . . . . . . |   beyond
//!              ^ always a hole, or nothing beyond it was seen either
//! ```
//!
//! Nothing here knows what time it is, who sent a number, or how absurd a jump may be: whoever fears one
//! number far ahead puts it aside before it comes here.

use core::ops::Range;

use crate::event::Place;
use crate::limits::BadLimit;

/// What the window knows about one arriving number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// Further ahead than the window can remember; give up enough with [`Window::advance_to`] first.
    Beyond,
    /// Seen before.
    Duplicate,
    /// First copy.
    Fresh,
    /// Below the floor: seen or given up, and nobody knows which any more.
    Settled,
}

/// The numbers seen of one source within one epoch.
#[derive(Clone, Debug)]
pub struct Window {
    /// Every number below this one is settled.
    floor: u64,
    /// Bit `n mod span` is set when `n`, from the floor on, was seen; all others are clear.
    seen: Box<[u64]>,
    /// How many bits are set.
    count: u64,
}

impl Window {
    /// A window that tells `span` numbers apart, rounded up to a multiple of 64, and waits for `first`.
    ///
    /// # Errors
    /// [`BadLimit`] when `span` is 0.
    pub fn new(span: usize, first: u64) -> Result<Self, BadLimit> {
        if span == 0 {
            return Err(BadLimit {
                name: "window",
                must: "be at least 1",
            });
        }
        Ok(Self {
            floor: first,
            seen: vec![0; span.div_ceil(64)].into_boxed_slice(),
            count: 0,
        })
    }

    /// How many numbers, counted from the floor, the window tells apart.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.seen.len() as u64 * 64
    }

    /// Every number below this one is settled.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Forgets everything and waits for `first`: another epoch.
    pub fn reset(&mut self, first: u64) {
        self.seen.fill(0);
        self.count = 0;
        self.floor = first;
    }

    /// Records that `number` came. `u64::MAX` is beyond every window: nothing follows it.
    pub fn mark(&mut self, number: u64) -> Verdict {
        match self.look(number) {
            Verdict::Fresh => {}
            known => return known,
        }
        let (word, bit) = self.place(number);
        self.seen[word] |= bit;
        self.count += 1;
        self.settle_run();
        Verdict::Fresh
    }

    /// What [`Window::mark`] would say, without recording anything.
    pub fn look(&self, number: u64) -> Verdict {
        let Some(offset) = number.checked_sub(self.floor) else {
            return Verdict::Settled;
        };
        if offset >= self.span() || number == u64::MAX {
            return Verdict::Beyond;
        }
        if self.has(number) {
            Verdict::Duplicate
        } else {
            Verdict::Fresh
        }
    }

    /// Gives up the first unseen range below `target` and returns it; call it until `None`, then everything
    /// below `target` is settled. Every call moves the floor.
    pub fn advance_to(&mut self, target: u64) -> Option<Range<u64>> {
        if target <= self.floor {
            return None;
        }
        let start = self.floor;
        let end = self.next_seen().map_or(target, |seen| seen.min(target));
        self.floor = end;
        self.settle_run();
        Some(start..end)
    }

    /// The first number at or above the floor that was seen.
    fn next_seen(&self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let mut number = self.floor;
        loop {
            let (word, bit) = self.place(number);
            let ahead = self.seen[word] & !(bit - 1);
            if ahead != 0 {
                return Some(
                    number - u64::from(bit.trailing_zeros()) + u64::from(ahead.trailing_zeros()),
                );
            }
            number = number - u64::from(bit.trailing_zeros()) + 64;
        }
    }

    /// Moves the floor over the unbroken run of seen numbers that starts at it.
    fn settle_run(&mut self) {
        while self.count > 0 && self.has(self.floor) {
            let (word, bit) = self.place(self.floor);
            self.seen[word] &= !bit;
            self.count -= 1;
            self.floor += 1;
        }
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = self.place(number);
        self.seen[word] & bit != 0
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let index = number % self.span();
        // Less than the number of words, which is a usize.
        ((index / 64) as usize, 1 << (index % 64))
    }
}

/// What to do with an arriving record of an unordered source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Offer {
    /// Deliver it now: nothing waits for it and it waits for nothing.
    Deliver,
    /// Known: drop it, count it.
    Duplicate,
    /// A later part of a source message whose earlier part did not come: drop it; the other leg may bring
    /// all of it, otherwise the message is reported lost.
    Early,
}

/// Delivers the records of one unordered source once each, and reports what never came.
///
/// A source message of several records is delivered part by part; it counts as seen with its last part.
#[derive(Debug)]
pub struct Unordered {
    window: Window,
    /// Messages of which some parts were delivered: (number, next part).
    partial: Vec<(u64, u16)>,
    most_partial: usize,
}

impl Unordered {
    /// `span` numbers are told apart, `partial` messages may be half delivered at a time.
    ///
    /// # Errors
    /// [`BadLimit`] when a bound is 0.
    pub fn new(span: usize, partial: usize, first: u64) -> Result<Self, BadLimit> {
        if partial == 0 {
            return Err(BadLimit {
                name: "partial",
                must: "be at least 1",
            });
        }
        Ok(Self {
            window: Window::new(span, first)?,
            partial: Vec::with_capacity(partial),
            most_partial: partial,
        })
    }

    /// Every number below this one was delivered or reported lost.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.window.floor()
    }

    /// Another epoch begins at `first`; what is missing of the one before is reported by
    /// [`Unordered::settle`].
    pub fn reset(&mut self, first: u64) {
        self.window.reset(first);
        self.partial.clear();
    }

    /// A record at `place` came, the last of its message or not. Numbers that must be forgotten for its
    /// sake, and were never wholly seen, go to `lost` before it may be delivered.
    pub fn offer(&mut self, place: Place, last: bool, mut lost: impl FnMut(Range<u64>)) -> Offer {
        let Place { sseq, part } = place;
        match self.window.look(sseq) {
            Verdict::Settled | Verdict::Duplicate => return Offer::Duplicate,
            Verdict::Fresh => {}
            Verdict::Beyond if sseq == u64::MAX => return Offer::Early,
            Verdict::Beyond => self.settle(sseq + 1 - self.window.span(), &mut lost),
        }
        let known = self.partial.iter().position(|&(number, _)| number == sseq);
        let next = known.map_or(0, |index| self.partial[index].1);
        if part != next {
            return if part < next {
                Offer::Duplicate
            } else {
                Offer::Early
            };
        }
        match (known, part.checked_add(1)) {
            (known, _) if last => {
                if let Some(index) = known {
                    self.partial.swap_remove(index);
                }
                let _ = self.window.mark(sseq);
            }
            (Some(index), Some(next)) => self.partial[index].1 = next,
            (None, Some(next)) => self.begin_partial(sseq, next, &mut lost),
            // 65,536 parts and no last one: no such message can be made.
            (_, None) => return Offer::Early,
        }
        Offer::Deliver
    }

    /// Nothing below `until` will come any more: what is missing there goes to `lost`.
    pub fn settle(&mut self, until: u64, mut lost: impl FnMut(Range<u64>)) {
        while let Some(range) = self.window.advance_to(until) {
            lost(range);
        }
        let floor = self.window.floor();
        self.partial.retain(|&(number, _)| number >= floor);
    }

    /// Remembers a half delivered message. Full: the one with the lowest number is given up, and counts as
    /// seen, so that no part of it is delivered twice.
    fn begin_partial(&mut self, sseq: u64, next: u16, lost: &mut impl FnMut(Range<u64>)) {
        if self.partial.len() == self.most_partial {
            let lowest = self
                .partial
                .iter()
                .enumerate()
                .min_by_key(|(_, (number, _))| *number);
            if let Some((index, &(number, _))) = lowest {
                self.partial.swap_remove(index);
                let _ = self.window.mark(number);
                lost(number..number + 1);
            }
        }
        self.partial.push((sseq, next));
    }
}
