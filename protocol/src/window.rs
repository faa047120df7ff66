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
    /// A window that tells `span` numbers apart, rounded up to a multiple of 64 and at least 64, and waits for
    /// `first`.
    #[must_use]
    pub fn new(span: usize, first: u64) -> Self {
        Self {
            floor: first,
            seen: vec![0; span.div_ceil(64).max(1)].into_boxed_slice(),
            count: 0,
        }
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
    /// Delivered, silent or given up: drop it, count it.
    Duplicate,
    /// A later part of a source message whose earlier part did not come yet.
    Early,
}

/// Says which records of one unordered source are to be delivered, once each, and what never came.
///
/// A source message of several records is delivered part by part; it counts as seen with its last part. To take a
/// record in: [`Unordered::look`], then [`Unordered::make_room`] until `None`, then [`Unordered::take`]. What is
/// given up is answered range by range, so that every answer can be told before the next one is asked for.
#[derive(Clone, Debug)]
pub struct Unordered {
    window: Window,
    /// Messages of which some parts were delivered, none below the floor: (number, next part).
    partial: Vec<(u64, u16)>,
    most_partial: usize,
    /// Nothing at or above this number was delivered.
    top: u64,
}

impl Unordered {
    /// `span` numbers are told apart, as by [`Window::new`]; `partial` messages (at least one) may be half
    /// delivered at a time.
    #[must_use]
    pub fn new(span: usize, partial: usize, first: u64) -> Self {
        let most_partial = partial.max(1);
        Self {
            window: Window::new(span, first),
            partial: Vec::with_capacity(most_partial),
            most_partial,
            top: first,
        }
    }

    /// Every number below this one was delivered, is silent, or was given up; this one was not.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.window.floor()
    }

    /// Nothing at or above this number was delivered.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top.max(self.floor())
    }

    /// Forgets everything and waits for `first`.
    pub fn reset(&mut self, first: u64) {
        self.window.reset(first);
        self.partial.clear();
        self.top = first;
    }

    /// What to do with a record at `place`.
    pub fn look(&self, place: Place) -> Offer {
        match self.window.look(place.sseq) {
            Verdict::Settled | Verdict::Duplicate => return Offer::Duplicate,
            // No number lies behind it, so no window reaches it.
            Verdict::Beyond if place.sseq == u64::MAX => return Offer::Early,
            Verdict::Beyond | Verdict::Fresh => {}
        }
        match place.part.cmp(&self.next_part(place.sseq)) {
            core::cmp::Ordering::Less => Offer::Duplicate,
            core::cmp::Ordering::Equal => Offer::Deliver,
            core::cmp::Ordering::Greater => Offer::Early,
        }
    }

    /// Gives up what must be forgotten before the record at `place` can be taken; call it until `None`.
    /// Numbers from `silent_from` up to the record's own carry nothing and are not missing.
    pub fn make_room(
        &mut self,
        place: Place,
        last: bool,
        silent_from: u64,
    ) -> Option<Range<Place>> {
        let below = place.sseq.saturating_sub(self.window.span() - 1);
        if let Some(missing) = self.give_up(below.min(silent_from)) {
            return Some(missing);
        }
        let known = self.next_part(place.sseq) > 0;
        let full = self.partial.len() == self.most_partial;
        (full && !last && !known).then(|| self.give_up_partial())?
    }

    /// Takes a record that is to be delivered, after room was made for it.
    pub fn take(&mut self, place: Place, last: bool, silent_from: u64) {
        self.pass_silence(silent_from..place.sseq);
        let known = self.partial.iter().position(|at| at.0 == place.sseq);
        match (known, place.part.checked_add(1)) {
            (Some(index), Some(next)) if !last => self.partial[index].1 = next,
            (None, Some(next)) if !last && self.partial.len() < self.most_partial => {
                self.partial.push((place.sseq, next));
            }
            // Its last part, or as good as: a message cannot have more parts than can be counted.
            (known, _) => {
                if let Some(index) = known {
                    self.partial.swap_remove(index);
                }
                let _ = self.window.mark(place.sseq);
            }
        }
        self.top = self.top.max(place.sseq.saturating_add(1));
        self.drop_settled();
    }

    /// Notes that the numbers of `silent` carry nothing; answers whether the window reached all of them.
    pub fn pass_silence(&mut self, silent: Range<u64>) -> bool {
        let from = silent.start.max(self.floor());
        if from == self.floor() {
            while self.window.advance_to(silent.end).is_some() {}
            self.drop_settled();
            return true;
        }
        let reached = silent
            .end
            .min(self.floor().saturating_add(self.window.span()));
        for number in from..reached {
            let _ = self.window.mark(number);
        }
        reached >= silent.end
    }

    /// Gives up the first missing range below `until`; call it until `None`, then everything below `until` is
    /// settled. A half delivered message is missing from its next part on.
    pub fn give_up(&mut self, until: u64) -> Option<Range<Place>> {
        let floor = self.floor();
        let half = self.partial.iter().map(|at| at.0);
        let cut = half
            .filter(|number| (floor + 1..until).contains(number))
            .min();
        let from = Place {
            sseq: floor,
            part: self.next_part(floor),
        };
        let missing = self.window.advance_to(cut.unwrap_or(until))?;
        self.drop_settled();
        Some(from..Place::start(missing.end))
    }

    /// Gives up the half delivered message with the lowest number: no further part of it is delivered.
    fn give_up_partial(&mut self) -> Option<Range<Place>> {
        let lowest = self.partial.iter().copied().min()?;
        let _ = self.window.mark(lowest.0);
        self.partial.retain(|at| *at != lowest);
        self.drop_settled();
        let from = Place {
            sseq: lowest.0,
            part: lowest.1,
        };
        Some(from..Place::start(lowest.0 + 1))
    }

    fn next_part(&self, sseq: u64) -> u16 {
        let known = self.partial.iter().find(|at| at.0 == sseq);
        known.map_or(0, |at| at.1)
    }

    fn drop_settled(&mut self) {
        let floor = self.floor();
        self.partial.retain(|at| at.0 >= floor);
    }
}
