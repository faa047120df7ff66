//! What stands at a place, when nearly everything is written and read near the last one?
//!
//! The oracle keeps a line for every record of a world. They come in order but for a few, and what is asked about is new,
//! so a sorted row that is searched from its end is quicker than a tree of everything. And who asks for one asks for the
//! next one then: where the last question led is looked at first.
//!
//! ```text
//!  . . . . . . . . . . . . . . .     first the last one, then 2, 4, 8 … from the end, then between the two
//!                ▲       ▲   ▲ ▲
//! ```

use core::cell::Cell;
use core::ops::Range;

/// A map whose keys come nearly in order.
#[derive(Clone, Debug)]
pub struct Sorted<K, V> {
    entries: Vec<(K, V)>,
    /// Where the last question led.
    near: Cell<usize>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            near: Cell::new(0),
        }
    }
}

impl<K: Copy + Ord, V> Sorted<K, V> {
    /// What stands at `key`.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let index = self.find(key).ok()?;
        Some(&self.entries[index].1)
    }

    /// Whether anything does.
    #[must_use]
    pub fn contains(&self, key: K) -> bool {
        self.find(key).is_ok()
    }

    /// Puts `value` at `key`; the answer is what stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.is_behind_all(key) {
            self.entries.push((key, value));
            return None;
        }
        match self.find(key) {
            Ok(index) => Some(core::mem::replace(&mut self.entries[index].1, value)),
            Err(index) => {
                self.entries.insert(index, (key, value));
                None
            }
        }
    }

    /// What stands at `key`.
    #[must_use]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let index = self.find(key).ok()?;
        Some(&mut self.entries[index].1)
    }

    /// What stands at `key`: what `value` gives if nothing did.
    pub fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let found = match self.is_behind_all(key) {
            true => Err(self.entries.len()),
            false => self.find(key),
        };
        let index = found.unwrap_or_else(|index| {
            self.entries.insert(index, (key, value()));
            index
        });
        &mut self.entries[index].1
    }

    /// What stands at `key`: the default if nothing did.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    /// Takes away what stands at `key`.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let index = self.find(key).ok()?;
        Some(self.entries.remove(index).1)
    }

    /// Keeps those whose keys are as `keep` says.
    pub fn retain(&mut self, keep: impl Fn(K) -> bool) {
        self.entries.retain(|entry| keep(entry.0));
    }

    /// Everything, in order.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, value)| (*key, value))
    }

    /// What stands in `range`, in order.
    #[must_use]
    pub fn range(&self, range: Range<K>) -> &[(K, V)] {
        let [from, until] = [range.start, range.end].map(|end| match self.find(end) {
            Ok(index) | Err(index) => index,
        });
        &self.entries[from..until.max(from)]
    }

    /// The highest key.
    #[must_use]
    pub fn last(&self) -> Option<K> {
        self.entries.last().map(|entry| entry.0)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Where `key` is, or would be.
    #[inline]
    fn find(&self, key: K) -> Result<usize, usize> {
        let near = self.near.get();
        for index in [near, near + 1] {
            if self.entries.get(index).is_some_and(|entry| entry.0 == key) {
                self.near.set(index);
                return Ok(index);
            }
        }
        let found = self.search(key);
        let (Ok(index) | Err(index)) = found;
        self.near.set(index);
        found
    }

    fn is_behind_all(&self, key: K) -> bool {
        self.entries.last().is_none_or(|last| last.0 < key)
    }

    fn search(&self, key: K) -> Result<usize, usize> {
        let (mut from, mut until, mut back) = (self.entries.len(), self.entries.len(), 1);
        while from > 0 {
            from = self.entries.len().saturating_sub(back);
            if self.entries[from].0 <= key {
                break;
            }
            (until, back) = (from, back * 2);
        }
        let found = self.entries[from..until].binary_search_by_key(&key, |entry| entry.0);
        found.map(|at| from + at).map_err(|at| from + at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::world::rng::Rng;

    #[test]
    fn it_says_what_a_tree_says() {
        for seed in 0..200 {
            let mut rng = Rng::of(seed, "sorted");
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            let span = rng.between(1, 60);
            for turn in 0..200_u64 {
                let key = (turn + 30).saturating_sub(rng.below(span));
                let other = turn.saturating_sub(rng.below(40));
                match rng.below(3) {
                    0 => assert_eq!(sorted.insert(key, turn), tree.insert(key, turn)),
                    1 => {
                        let there = *tree.entry(key).or_insert(turn);
                        assert_eq!(*sorted.get_or_insert_with(key, || turn), there);
                    }
                    _ if rng.one_in(9) => assert_eq!(sorted.remove(other), tree.remove(&other)),
                    _ => assert_eq!(sorted.get(other), tree.get(&other)),
                }
                assert_eq!(sorted.contains(other), tree.contains_key(&other));
                assert_eq!(sorted.last(), tree.last_key_value().map(|it| *it.0));
                let range = other..other + rng.below(50);
                let of_tree: Vec<_> = tree.range(range.clone()).map(|it| (*it.0, *it.1)).collect();
                assert_eq!(sorted.range(range), of_tree);
            }
            sorted.retain(|key| key % 3 > 0);
            tree.retain(|key, _| key % 3 > 0);
            assert!(sorted.iter().eq(tree.iter().map(|it| (*it.0, it.1))));
            sorted.clear();
            assert_eq!((sorted.last(), sorted.get(1)), (None, None));
        }
    }
}
