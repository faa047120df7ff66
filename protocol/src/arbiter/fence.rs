//! Whose administrative messages count, when one generation of actives follows another?
//!
//! ```text
//!  generation 1     0  1  2  3  4           as its active numbered them
//!  generation 2     0  1  2 │3' 4' 5'       inherited 3: from there on a number names another message
//! ```
//!
//! An administrative message is named by the generation in whose numbering it stands and its number (RM-27). A datagram
//! says the generation, a heartbeat of that generation how many numbers of older ones it inherited. So two numberings
//! count alike up to the least that any generation behind the older one inherited, and beyond that they cannot be
//! compared at all: equal numbers are different messages there.
//!
//! The numbering in force is the newest one that was heard of. Going over to it is silent while everything that was
//! delivered is inherited, and a `Discontinuity` where it is not. A generation that was missed in between may have
//! inherited nothing: then what follows says where the count goes on.

use twinfeed_wire::{Adm, Generation};

use super::cursor::{Cursor, Standing};
use super::hold::Entry;
use super::source::{Out, Source};
use crate::event::{DiscontinuityCause, Handler};

/// What each generation inherited, as far as it was heard of.
#[derive(Debug)]
pub(super) struct Fence {
    /// The newest that anybody spoke under.
    newest: Generation,
    cuts: [Option<(Generation, Adm)>; KEPT_CUTS],
    at: usize,
}

/// Generations whose cuts are remembered. A leg that speaks under one so many takeovers ago shares no number with those
/// after it.
const KEPT_CUTS: usize = 16;

/// What a count of one numbering is in the numbering in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Count {
    /// The same.
    As(Adm),
    /// It counts messages that are none there.
    Apart,
    /// It is of a generation that was not gone over to yet.
    Ahead,
}

impl Fence {
    pub(super) const fn new() -> Self {
        Self {
            newest: Generation(0),
            cuts: [None; KEPT_CUTS],
            at: 0,
        }
    }

    /// Notes that somebody speaks under `generation`.
    pub(super) fn heard(&mut self, generation: Generation) {
        self.newest = self.newest.max(generation);
    }

    /// Forgets generations above `generation`, and what they were said to inherit: nobody speaks under them.
    pub(super) fn disbelieve(&mut self, generation: Generation) {
        self.newest = self.newest.min(generation);
        for cut in &mut self.cuts {
            *cut = cut.filter(|(of, _)| *of <= generation);
        }
    }

    pub(super) const fn newest(&self) -> Generation {
        self.newest
    }

    /// Notes how many numbers of older generations are valid in `generation`. That never changes.
    pub(super) fn note(&mut self, generation: Generation, inherited: Adm) {
        if generation.0 > 0 && self.inherited(generation).is_none() {
            self.cuts[self.at] = Some((generation, inherited));
            self.at = (self.at + 1) % KEPT_CUTS;
        }
    }

    fn inherited(&self, generation: Generation) -> Option<Adm> {
        let mut known = self.cuts.iter().flatten();
        let cut = known.find(|(of, _)| *of == generation);
        cut.map(|&(_, inherited)| inherited)
    }

    /// How far two numberings count alike; `None`: what a generation between them inherited was never heard.
    pub(super) fn shared(&self, older: Generation, newer: Generation) -> Option<Adm> {
        if newer.0.saturating_sub(older.0) as usize > KEPT_CUTS {
            return None;
        }
        (older.0..newer.0)
            .map(|before| self.inherited(Generation(before + 1)))
            .try_fold(Adm(u64::MAX), |least, cut| cut.map(|cut| least.min(cut)))
    }

    /// What `adm` of `generation` is in the numbering of `cursor`.
    pub(super) fn count(&self, cursor: &Cursor, generation: Generation, adm: Adm) -> Count {
        match generation.cmp(&cursor.generation) {
            core::cmp::Ordering::Equal => Count::As(adm),
            core::cmp::Ordering::Greater => Count::Ahead,
            // Whoever counts nothing counts nothing in any numbering.
            core::cmp::Ordering::Less if adm.0 == 0 => Count::As(adm),
            // What was delivered is not counted in the numbering in force yet, whatever that shares with the older one.
            core::cmp::Ordering::Less if cursor.adopts => Count::Apart,
            core::cmp::Ordering::Less => match self.shared(generation, cursor.generation) {
                Some(shared) if adm <= shared => Count::As(adm),
                _ => Count::Apart,
            },
        }
    }

    /// Where an administrative message stands by its name.
    pub(super) fn standing(&self, cursor: &Cursor, message: &Entry) -> Standing {
        if cursor.adopts && message.generation == cursor.generation {
            return Standing::Next;
        }
        let behind = Adm(message.adm.0.saturating_add(1));
        match self.count(cursor, message.generation, behind) {
            Count::As(_) => cursor.standing_by_adm(message.adm),
            Count::Apart => Standing::Fenced,
            Count::Ahead => Standing::Beyond,
        }
    }
}

/// A count that is not known to hold in the numbering in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    generation: Generation,
    adm: Adm,
    /// The first message that was dropped for it without having been delivered.
    dropped: Adm,
}

impl GivenUp {
    /// A message is dropped that is none in the numbering in force. If it was not delivered before, and proves to be one all
    /// the same, the count that was given up cannot be taken up again.
    pub(super) fn note_fenced(given_up: &mut Option<Self>, message: &Entry) {
        // What one of a generation in between was told to inherit says nothing of it.
        given_up.take_if(|it| message.adm >= it.adm && message.generation > it.generation);
        if let Some(it) = given_up.as_mut().filter(|it| message.adm >= it.adm) {
            it.dropped = it.dropped.min(message.adm);
        }
    }
}

impl Source {
    /// Goes over to the newest numbering that was heard of, once it is known what it shares with the one in force; after
    /// `reorder_hold` all the same, for data do not wait for it.
    pub(super) fn judge_generation<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        if self.count_on() {
            return true;
        }
        let newest = self.fence.newest();
        let Some(cursor) = self.cursor.filter(|cursor| cursor.generation < newest) else {
            self.outranked_since = None;
            return false;
        };
        let shared = match cursor.adm {
            Adm(0) => Some(Adm(0)),
            _ => self.fence.shared(cursor.generation, newest),
        };
        if shared.is_none() {
            let since = *self.outranked_since.get_or_insert(out.now);
            if !self.waited(since, out) {
                return false;
            }
        }
        self.go_over_to(newest, shared, out);
        true
    }

    /// Counts on as before, where the count was given up for a cut that was not known, and is known now, before anybody
    /// was told, and before a message was dropped for it that was inherited.
    fn count_on(&mut self) -> bool {
        let (Some(given_up), Some(cursor)) = (self.given_up, &mut self.cursor) else {
            return false;
        };
        let shared = self.fence.shared(given_up.generation, cursor.generation);
        let inherited = |shared: Adm| given_up.adm <= shared && shared <= given_up.dropped;
        if !shared.is_some_and(inherited) || !cursor.adopts {
            return false;
        }
        (cursor.adm, cursor.adopts, cursor.apart) = (given_up.adm, false, false);
        (self.given_up, self.recount) = (None, false);
        true
    }

    /// Makes the numbering of `generation` the one in force, which shares so many numbers with the one before.
    fn go_over_to<H: Handler + ?Sized>(
        &mut self,
        generation: Generation,
        shared: Option<Adm>,
        out: &mut Out<'_, H>,
    ) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        let before = GivenUp {
            generation: cursor.generation,
            adm: cursor.adm,
            dropped: Adm(u64::MAX),
        };
        let sound = !self.recount && !cursor.adopts && !cursor.apart;
        cursor.generation = generation;
        self.outranked_since = None;
        (self.owed_since, self.messages_waited) = (None, None);
        let inherited = shared.is_some_and(|shared| cursor.adm <= shared);
        if !inherited {
            let unknown = shared.is_none() || self.announce == Some(DiscontinuityCause::Join);
            self.given_up = match shared {
                None if sound => Some(before),
                None => self.given_up,
                Some(_) => None,
            };
            cursor.adopts = unknown;
            cursor.adm = shared.filter(|_| !unknown).unwrap_or_default();
            cursor.apart = false;
            (self.recount, self.to_lead_apart) = (true, false);
        }
        self.drop_fenced(out);
    }

    /// Takes the count of what follows, for the one in force is not that of any leg.
    pub(super) fn count_anew(&mut self, generation: Generation) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        self.fence.disbelieve(generation);
        (cursor.generation, cursor.adm) = (generation, Adm(0));
        (cursor.adopts, cursor.apart) = (true, false);
        self.given_up = None;
        (self.recount, self.to_lead_apart) = (true, false);
        (self.owed_since, self.messages_waited) = (None, None);
        self.forget_counted_behind();
    }

    /// Drops held messages that are none in the numbering in force.
    pub(super) fn drop_fenced<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) {
        let Some(cursor) = self.cursor else {
            return;
        };
        let fence = &self.fence;
        let given_up = &mut self.given_up;
        for side in &mut self.legs {
            if side.hold.messages() > 0 {
                out.counters.fenced += side.hold.drop_where(|entry| {
                    let fenced =
                        entry.is_message() && fence.standing(&cursor, entry) == Standing::Fenced;
                    if fenced {
                        GivenUp::note_fenced(given_up, entry);
                    }
                    fenced
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(cuts: &[(u32, u64)]) -> Fence {
        let mut fence = Fence::new();
        for &(generation, inherited) in cuts {
            fence.note(Generation(generation), Adm(inherited));
        }
        fence
    }

    fn shared(cuts: &[(u32, u64)], older: u32, newer: u32) -> Option<u64> {
        let shared = fence(cuts).shared(Generation(older), Generation(newer));
        shared.map(|adm| adm.0)
    }

    #[test]
    fn numberings_count_alike_up_to_the_least_that_was_inherited_between_them() {
        let cuts = [(2, 5), (3, 3), (4, 7)];
        assert_eq!(shared(&cuts, 1, 2), Some(5));
        assert_eq!(shared(&cuts, 1, 3), Some(3));
        assert_eq!(shared(&cuts, 1, 4), Some(3));
        assert_eq!(shared(&cuts, 3, 4), Some(7));
        assert_eq!(shared(&cuts, 2, 2), Some(u64::MAX));
    }

    #[test]
    fn of_a_generation_that_was_missed_nothing_is_known() {
        let cuts = [(2, 5), (4, 7)];
        assert_eq!(shared(&cuts, 1, 4), None);
        assert_eq!(shared(&cuts, 3, 4), Some(7));
        assert_eq!(shared(&cuts, 0, 2), None);
        assert_eq!(shared(&[], 0, u32::MAX), None, "and nothing is counted");
    }

    #[test]
    fn what_a_generation_inherited_never_changes_and_the_oldest_is_forgotten() {
        let mut fence = fence(&[(2, 5), (2, 9)]);
        assert_eq!(fence.inherited(Generation(2)), Some(Adm(5)));
        for generation in 3..3 + KEPT_CUTS as u32 {
            fence.note(Generation(generation), Adm(1));
        }
        assert_eq!(fence.inherited(Generation(2)), None);
        assert_eq!(fence.inherited(Generation(3)), Some(Adm(1)));
    }
}
