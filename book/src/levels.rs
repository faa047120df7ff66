//! Which prices of one side have orders, best first?
//!
//! ```text
//!   chunks   [ worst … ] [ … ] [ … best ]     each sorted, none empty, at most CHUNK levels
//! ```
//!
//! Most changes are near the best price, and there they are a search in one short vector and a move of few bytes. A change far
//! from it moves at most one chunk, so that a book of a million prices costs little more per record than one of ten.
//! Chunks that run empty are kept for splits to come, as many as are in use, and two that are nearly empty become one.
//!
//! Measured against a `BTreeMap` and one sorted vector: [`super`] has the figures.

/// Most levels in a chunk: 4 KiB.
const CHUNK: usize = 128;
/// A chunk of fewer levels joins its neighbour, when both fit in half a chunk.
const FEW: usize = CHUNK / 8;

/// All orders at one price of one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rung {
    /// Rises with how good the price is.
    pub(super) rank: i64,
    /// Quantity of all orders.
    pub(super) size: u64,
    pub(super) orders: u32,
    /// Slot of the order that is first in time.
    pub(super) first: u32,
    /// Slot of the order that is last in time.
    pub(super) last: u32,
}

/// The levels of one side, by rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels {
    chunks: Vec<Vec<Rung>>,
    /// Empty ones, for splits to come; no more than are in use, and one.
    spare: Vec<Vec<Rung>>,
    len: usize,
}

impl Levels {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The best one.
    pub(super) fn best(&self) -> Option<&Rung> {
        self.chunks.last()?.last()
    }

    /// That of `rank`.
    pub(super) fn get(&self, rank: i64) -> Option<&Rung> {
        let chunk = self.chunks.get(self.chunk_of(rank))?;
        chunk.get(search(chunk, rank).ok()?)
    }

    /// That of `rank`, to change.
    pub(super) fn get_mut(&mut self, rank: i64) -> Option<&mut Rung> {
        let at = self.chunk_of(rank);
        let chunk = self.chunks.get_mut(at)?;
        let index = search(chunk, rank).ok()?;
        chunk.get_mut(index)
    }

    /// That of `fresh.rank`, or `fresh` in its place where there is none.
    pub(super) fn get_or_insert(&mut self, fresh: Rung) -> &mut Rung {
        if self.chunks.is_empty() {
            let chunk = self.spare.pop().unwrap_or_default();
            self.chunks.push(chunk);
        }
        let mut at = self.chunk_of(fresh.rank);
        let index = match search(&self.chunks[at], fresh.rank) {
            Ok(index) => return &mut self.chunks[at][index],
            Err(mut index) => {
                if self.chunks[at].len() == CHUNK {
                    self.split(at);
                    if index > CHUNK / 2 {
                        (at, index) = (at + 1, index - CHUNK / 2);
                    }
                }
                index
            }
        };
        self.len += 1;
        let chunk = &mut self.chunks[at];
        chunk.insert(index, fresh);
        &mut chunk[index]
    }

    /// Takes that of `rank` out.
    pub(super) fn remove(&mut self, rank: i64) {
        let at = self.chunk_of(rank);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        let Ok(index) = search(chunk, rank) else {
            return;
        };
        chunk.remove(index);
        self.len -= 1;
        match chunk.len() {
            0 => self.retire(at),
            1..FEW => self.join(at),
            _ => {}
        }
    }

    /// Best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rung> {
        self.chunks
            .iter()
            .rev()
            .flat_map(|chunk| chunk.iter().rev())
    }

    /// The chunk where `rank` is, or would be: the last that begins at or below it.
    fn chunk_of(&self, rank: i64) -> usize {
        let begins = |chunk: &Vec<Rung>| chunk.first().is_some_and(|rung| rung.rank <= rank);
        match self.chunks.split_last() {
            Some((last, rest)) if !begins(last) => rest.partition_point(begins).saturating_sub(1),
            Some((_, rest)) => rest.len(),
            None => 0,
        }
    }

    /// Moves the better half of a full chunk to one of its own.
    fn split(&mut self, at: usize) {
        let mut better = self.spare.pop().unwrap_or_default();
        better.reserve_exact(CHUNK);
        better.extend(self.chunks[at].drain(CHUNK / 2..));
        self.chunks.insert(at + 1, better);
    }

    /// Joins a chunk with few levels to its neighbour, if that has few enough.
    fn join(&mut self, at: usize) {
        let worse = at.saturating_sub(1);
        if let Some([first, second]) = self.chunks.get_mut(worse..worse + 2)
            && first.len() + second.len() <= CHUNK / 2
        {
            first.append(second);
            self.retire(worse + 1);
        }
    }

    /// Takes an empty chunk out.
    fn retire(&mut self, at: usize) {
        self.spare.push(self.chunks.remove(at));
        self.spare.truncate(self.chunks.len() + 1);
        if self.chunks.capacity() > 4 * self.chunks.len() + CHUNK {
            self.chunks.shrink_to(2 * self.chunks.len());
        }
    }
}

fn search(chunk: &[Rung], rank: i64) -> Result<usize, usize> {
    chunk.binary_search_by_key(&rank, |rung| rung.rank)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rung(rank: i64) -> Rung {
        Rung {
            rank,
            size: rank.unsigned_abs(),
            orders: 1,
            first: 0,
            last: 0,
        }
    }

    fn agree(levels: &Levels, twin: &BTreeMap<i64, u64>) {
        let all: Vec<_> = levels.iter().map(|it| (it.rank, it.size)).collect();
        let expected: Vec<_> = twin
            .iter()
            .rev()
            .map(|(&rank, &size)| (rank, size))
            .collect();
        assert_eq!(all, expected);
        assert_eq!(levels.len(), twin.len());
        assert_eq!(levels.best().map(|it| it.rank), twin.keys().last().copied());
        assert!(
            levels
                .chunks
                .iter()
                .all(|it| (1..=CHUNK).contains(&it.len()))
        );
    }

    proptest! {
        /// Runs of insertions and removals, up, down and scattered, so that chunks split, join and run empty.
        #[test]
        fn agrees_with_a_map(runs in prop::collection::vec(
            (any::<bool>(), 0_i64..600, 1_i64..8, 1_i64..300), 1..20,
        )) {
            let (mut levels, mut twin) = (Levels::default(), BTreeMap::new());
            for (insert, from, step, times) in runs {
                for rank in (0..times).map(|time| (from + time * step) % 900) {
                    if insert {
                        levels.get_or_insert(rung(rank)).size = rank as u64 + 7;
                        twin.insert(rank, rank as u64 + 7);
                    } else {
                        levels.remove(rank);
                        twin.remove(&rank);
                    }
                    prop_assert_eq!(levels.get(rank).map(|it| it.size), twin.get(&rank).copied());
                    prop_assert_eq!(levels.get_mut(rank + 1).map(|it| it.size), twin.get(&(rank + 1)).copied());
                }
                agree(&levels, &twin);
            }
        }
    }

    #[test]
    fn what_ran_empty_gives_its_memory_back() {
        let mut levels = Levels::default();
        (0..100_000).for_each(|rank| {
            levels.get_or_insert(rung(rank));
        });
        let most = levels.chunks.capacity();
        (1..100_000).for_each(|rank| levels.remove(rank));
        assert_eq!((levels.len(), levels.chunks.len()), (1, 1));
        assert!(levels.spare.len() <= 2);
        assert!(levels.chunks.capacity() < most / 4);
        assert_eq!(levels.best().map(|it| it.rank), Some(0));
    }
}
