//! What was exercised, and in how many seeds?

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// Names of faults and events with how often they occurred.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    counts: BTreeMap<&'static str, u64>,
    faults: BTreeSet<&'static str>,
}

impl Stats {
    /// It happened once more.
    pub fn add(&mut self, name: &'static str) {
        self.add_many(name, 1);
    }

    /// It happened so many times more.
    pub fn add_many(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            *self.counts.entry(name).or_default() += times;
        }
    }

    /// A fault struck, or did harm.
    pub fn fault(&mut self, name: &'static str) {
        self.add(name);
        self.faults.insert(name);
    }

    /// How many kinds of faults there were.
    #[must_use]
    pub fn fault_kinds(&self) -> usize {
        self.faults.len()
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Every name with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(&name, &count)| (name, count))
    }
}

/// The same over many seeds.
#[derive(Clone, Debug, Default)]
pub struct Census {
    seeds: u64,
    kinds: BTreeMap<&'static str, (u64, u64)>,
}

impl Census {
    /// One more seed.
    pub fn take(&mut self, stats: &Stats) {
        self.seeds += 1;
        for (name, count) in stats.iter() {
            let (seeds, total) = self.kinds.entry(name).or_default();
            *seeds += u64::from(count > 0);
            *total += count;
        }
    }

    /// Those of `other`, too.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        for (name, (seeds, total)) in &other.kinds {
            let mine = self.kinds.entry(name).or_default();
            mine.0 += seeds;
            mine.1 += total;
        }
    }

    /// Every name with the number of seeds in which it happened, and how often it did.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let kinds = self.kinds.iter();
        kinds.map(|(&name, &(seeds, total))| (name, seeds, total))
    }

    /// In how many seeds it happened.
    #[must_use]
    pub fn seeds_with(&self, name: &str) -> u64 {
        self.kinds.get(name).map_or(0, |&(seeds, _)| seeds)
    }

    /// How often it happened.
    #[must_use]
    pub fn times(&self, name: &str) -> u64 {
        self.kinds.get(name).map_or(0, |&(_, total)| total)
    }

    /// Those of `names` that never happened.
    #[must_use]
    pub fn missing(&self, names: &[&'static str]) -> Vec<&'static str> {
        names
            .iter()
            .copied()
            .filter(|name| self.seeds_with(name) == 0)
            .collect()
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<40} {:>10} {:>12}", "what", "seeds", "times")?;
        for (name, (seeds, total)) in &self.kinds {
            writeln!(f, "{name:<40} {seeds:>10} {total:>12}")?;
        }
        write!(f, "{:<40} {:>10}", "seeds", self.seeds)
    }
}
