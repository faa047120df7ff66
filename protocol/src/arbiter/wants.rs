//! When does an arbiter want to be called again, and does it wait for answers, without asking each of its sources?
//!
//! A driver asks this once in each turn, and most turns touch no source, or one. What a source wants is remembered, and it is asked again only
//! after something has come to it; so a turn costs the same whether there is one source or many.

use std::cell::RefCell;

use super::source::Source;
use crate::limits::Limits;
use crate::time::Time;

/// What each source wants, as far as it was not touched since.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Behind a cell, for who asks changes nothing that can be seen.
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    each: Vec<Want>,
    /// Sources that were touched. Invariant: each once, marked in `each`; room for all.
    touched: Vec<usize>,
    /// Soonest of all that were not touched when it was last asked.
    soonest: Option<Time>,
    asking: bool,
}

#[derive(Clone, Copy, Debug)]
struct Want {
    /// [`Time`], or `u64::MAX`: none.
    deadline: u64,
    asking: bool,
    touched: bool,
}

impl Wants {
    /// One more source, of which nothing is known.
    pub(super) fn add(&mut self) {
        let known = self.known.get_mut();
        let place = known.each.len();
        known.each.push(Want {
            deadline: u64::MAX,
            asking: false,
            touched: true,
        });
        known
            .touched
            .reserve(known.each.len() - known.touched.len());
        known.touched.push(place);
    }

    /// Something comes to the source at `place`.
    #[inline]
    pub(super) fn touch(&mut self, place: usize) {
        self.known.get_mut().touch(place);
    }

    /// Something comes to all of them.
    pub(super) fn touch_all(&mut self) {
        let known = self.known.get_mut();
        (0..known.each.len()).for_each(|place| known.touch(place));
    }

    /// The soonest deadline of all.
    #[inline]
    pub(super) fn deadline(&self, sources: &[Source], limits: &Limits) -> Option<Time> {
        let mut known = self.known.borrow_mut();
        known.look(sources, limits);
        known.soonest
    }

    /// Whether any waits for an answer.
    #[inline]
    pub(super) fn is_asking(&self, sources: &[Source], limits: &Limits) -> bool {
        let mut known = self.known.borrow_mut();
        known.look(sources, limits);
        known.asking
    }
}

impl Known {
    fn touch(&mut self, place: usize) {
        let want = &mut self.each[place];
        if !want.touched {
            want.touched = true;
            self.touched.push(place);
        }
    }

    fn look(&mut self, sources: &[Source], limits: &Limits) {
        if self.touched.is_empty() {
            return;
        }
        for place in self.touched.drain(..) {
            let source = &sources[place];
            self.each[place] = Want {
                deadline: source.next_deadline(limits).map_or(u64::MAX, |due| due.0),
                asking: source.repair.is_open(),
                touched: false,
            };
        }
        let all = || self.each.iter();
        let soonest = all().map(|want| want.deadline).fold(u64::MAX, u64::min);
        self.soonest = (soonest != u64::MAX).then_some(Time(soonest));
        self.asking = all().any(|want| want.asking);
    }
}
