//! In which slot stands what has this number?
//!
//! ```text
//!   number, book ──hash──► home, home + 1, …   open addressing, at most two thirds taken;
//!                          a removal moves later entries back, so that there are no tombstones
//! ```
//!
//! An entry keeps the high half of its hash, so that a search looks at a slot only when it is very likely the right one, and
//! neither growth nor removal looks at any. What a slot holds is not known here: whoever searches says whether it fits.

/// No slot.
pub const NONE: u32 = u32::MAX;

/// Slots by the hash of what they hold.
#[derive(Clone, Debug)]
pub struct Index {
    /// Length is a power of two.
    entries: Vec<Entry>,
    len: usize,
    /// How far to shift the high half of a hash to the right to get the home of an entry.
    shift: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    high: u32,
    slot: u32,
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// No entry.
    #[must_use]
    pub fn new() -> Self {
        Self::with_length(SMALLEST)
    }

    fn with_length(length: usize) -> Self {
        Self {
            entries: vec![FREE; length],
            len: 0,
            shift: 32 - length.trailing_zeros(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slot under `hash` that `fits`.
    pub fn find(&self, hash: u64, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let (_, entry) = self.walk(high(hash), fits)?;
        Some(entry.slot)
    }

    /// What stands where a search under `hash` begins: for whoever wants that to be in the caches soon.
    #[must_use]
    pub fn touch(&self, hash: u64) -> u32 {
        self.entries[self.home(high(hash))].slot
    }

    /// Enters a slot; nothing equal is there.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        if (self.len + 1) * 3 > self.entries.len() * 2 {
            self.grow();
        }
        self.enter(Entry {
            high: high(hash),
            slot,
        });
        self.len += 1;
    }

    /// Takes the entry of `slot` out and moves back whoever stands behind it only because it was taken.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let found = self.walk(high(hash), |it| it == slot);
        let Some((mut hole, _)) = found else {
            debug_assert!(false, "invariant: what stands in a slot is in the index");
            return;
        };
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.slot == NONE {
                break;
            }
            let from_home = at.wrapping_sub(self.home(entry.high)) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = FREE;
        self.len -= 1;
    }

    /// Forgets all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.fill(FREE);
        self.len = 0;
    }

    /// Ends because at least a third of the entries is free.
    fn walk(&self, high: u32, fits: impl Fn(u32) -> bool) -> Option<(usize, Entry)> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(high);
        loop {
            let entry = self.entries[at];
            if entry.slot == NONE {
                return None;
            }
            if entry.high == high && fits(entry.slot) {
                return Some((at, entry));
            }
            at = (at + 1) & mask;
        }
    }

    fn enter(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut at = self.home(entry.high);
        while self.entries[at].slot != NONE {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let mut larger = Self::with_length(self.entries.len() * 2);
        for entry in self.entries.iter().filter(|entry| entry.slot != NONE) {
            larger.enter(*entry);
        }
        larger.len = self.len;
        *self = larger;
    }

    fn home(&self, high: u32) -> usize {
        (high >> self.shift) as usize
    }
}

/// The hash of a number within a book. Numbers mostly rise by little: multiplied by the golden ratio they spread
/// evenly. Nothing is random, for the same records must do the same in every process.
#[must_use]
pub fn hash(book: u32, id: u64) -> u64 {
    (id ^ u64::from(book).rotate_right(16)).wrapping_mul(GOLDEN)
}

fn high(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
const SMALLEST: usize = 8;
const FREE: Entry = Entry {
    high: 0,
    slot: NONE,
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn agrees_with_a_map_while_it_grows_and_shrinks() {
        let (mut index, mut twin) = (Index::new(), BTreeMap::new());
        let mut keys: Vec<(u32, u64)> = Vec::new();
        let mut state = 1_u64;
        for step in 0..20_000_u32 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let key = ((state >> 60) as u32, (state >> 40) % 500);
            let of = |slot: u32, keys: &[(u32, u64)]| keys[slot as usize] == key;
            let found = index.find(hash(key.0, key.1), |slot| of(slot, &keys));
            assert_eq!(found, twin.get(&key).copied());
            match found {
                Some(slot) if step % 3 != 0 => {
                    index.remove(hash(key.0, key.1), slot);
                    twin.remove(&key);
                }
                Some(_) => {}
                None => {
                    let slot = keys.len() as u32;
                    keys.push(key);
                    index.insert(hash(key.0, key.1), slot);
                    twin.insert(key, slot);
                }
            }
            assert_eq!(index.len(), twin.len());
        }
        assert!(!twin.is_empty());
        index.clear();
        assert_eq!(index.len(), 0);
        assert!(
            twin.keys()
                .all(|&(book, id)| index.find(hash(book, id), |_| true).is_none())
        );
    }
}
