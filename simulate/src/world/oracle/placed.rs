//! How many messages stand in front of a place?
//!
//! Messages have their numbers by the order in which they were placed, and stand behind one another nearly always. Kept
//! beside each is the furthest place up to it, which never falls; so the first message that does not stand in front of a
//! place is found without a look at each.

use twinfeed_wire::AdminId;

use super::administrative::Spot;

/// Messages by number, each with where it stands; none where only the number is known.
#[derive(Debug, Default)]
pub(super) struct Placed {
    messages: Vec<One>,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct One {
    stands: Option<(AdminId, Spot)>,
    /// The furthest place of it and of all before it.
    furthest: Option<Spot>,
}

impl Placed {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.messages.len() as u64
    }

    /// What is known of the message of that number.
    pub(super) fn at(&self, number: u64) -> Option<(AdminId, Spot)> {
        let index = usize::try_from(number).ok()?;
        self.messages.get(index)?.stands
    }

    /// How many stand before `spot`: those in front of the first that is known not to.
    pub(super) fn before(&self, spot: Spot) -> u64 {
        match self.messages.last() {
            Some(last) if last.furthest >= Some(spot) => {
                let before = |it: &One| it.furthest < Some(spot);
                self.messages.partition_point(before) as u64
            }
            _ => self.count(),
        }
    }

    /// One more.
    pub(super) fn push(&mut self, stands: Option<(AdminId, Spot)>) {
        let before = self.messages.last().and_then(|last| last.furthest);
        let furthest = before.max(stands.map(|(_, spot)| spot));
        self.messages.push(One { stands, furthest });
    }

    /// Keeps the first `count`.
    pub(super) fn truncate(&mut self, count: u64) {
        self.messages
            .truncate(usize::try_from(count).unwrap_or(usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::{Adm, Generation};

    use super::*;
    use crate::world::rng::Rng;

    #[test]
    fn it_counts_up_to_the_first_message_that_does_not_stand_before() {
        let mut rng = Rng::of(1, "placed");
        let (mut placed, mut list) = (Placed::default(), Vec::new());
        for turn in 0..2_000_u64 {
            let spot = Spot {
                turn: rng.below(3) as usize,
                sseq: rng.below(20),
            };
            let named = AdminId {
                generation: Generation(1),
                number: Adm(turn),
            };
            let message = rng.chance(70).then_some((named, spot));
            placed.push(message);
            list.push(message);
            if rng.one_in(10) {
                let kept = rng.below(list.len() as u64 + 2);
                placed.truncate(kept);
                list.truncate(kept as usize);
            }
            let asked = Spot {
                turn: rng.below(4) as usize,
                sseq: rng.below(20),
            };
            let before = |it: &&Option<(AdminId, Spot)>| it.is_none_or(|(_, at)| at < asked);
            let count = list.iter().take_while(before).count();
            assert_eq!(placed.before(asked), count as u64);
            assert_eq!(placed.count(), list.len() as u64);
            assert_eq!(
                placed.at(turn / 2),
                list.get(turn as usize / 2).copied().flatten()
            );
        }
    }
}
