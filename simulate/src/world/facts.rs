//! How much was in a world?

use core::time::Duration;

use super::Outcome;

/// What one world had in it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Virtual time.
    pub simulated: Duration,
    /// Messages that its sources said.
    pub source_messages: u64,
    /// How often a source began a numbering anew.
    pub epoch_changes: u64,
    /// Kinds of faults that struck, or did harm on a way.
    pub fault_kinds: u64,
    /// Messages that adapters placed and no source said.
    pub administrative: u64,
    /// How often another adapter became the active.
    pub role_changes: u64,
}

impl Facts {
    /// Those of one world.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let stats = &outcome.stats;
        Self {
            simulated: outcome.lasted,
            source_messages: stats.count("source.messages"),
            epoch_changes: stats.count("source.epoch_changes"),
            fault_kinds: stats.fault_kinds() as u64,
            administrative: stats.count("pair.message_placed"),
            role_changes: stats.count("roles.changed"),
        }
    }

    /// Source messages by simulated second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let seconds = self.simulated.as_secs_f64().max(1e-9);
        (self.source_messages as f64 / seconds) as u64
    }
}

/// The facts of many worlds.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    all: Vec<Facts>,
}

impl Sizes {
    /// One more world.
    pub fn take(&mut self, facts: Facts) {
        self.all.push(facts);
    }

    /// Those of `other`, too.
    pub fn merge(&mut self, other: Self) {
        self.all.extend(other.all);
    }

    /// How many worlds.
    #[must_use]
    pub fn worlds(&self) -> u64 {
        self.all.len() as u64
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> Facts {
        self.all.iter().fold(Facts::default(), |sum, one| Facts {
            simulated: sum.simulated + one.simulated,
            source_messages: sum.source_messages + one.source_messages,
            epoch_changes: sum.epoch_changes + one.epoch_changes,
            fault_kinds: sum.fault_kinds.max(one.fault_kinds),
            administrative: sum.administrative + one.administrative,
            role_changes: sum.role_changes + one.role_changes,
        })
    }

    /// The median of each fact by itself.
    #[must_use]
    pub fn median(&self) -> Facts {
        Facts {
            simulated: self.middle(|facts| facts.simulated),
            source_messages: self.middle(|facts| facts.source_messages),
            epoch_changes: self.middle(|facts| facts.epoch_changes),
            fault_kinds: self.middle(|facts| facts.fault_kinds),
            administrative: self.middle(|facts| facts.administrative),
            role_changes: self.middle(|facts| facts.role_changes),
        }
    }

    /// The median of the source messages by simulated second.
    #[must_use]
    pub fn median_rate(&self) -> u64 {
        self.middle(Facts::rate)
    }

    /// The shortest world's virtual time.
    #[must_use]
    pub fn shortest(&self) -> Duration {
        let spans = self.all.iter().map(|facts| facts.simulated);
        spans.min().unwrap_or_default()
    }

    fn middle<T: Copy + Default + Ord>(&self, of: impl Fn(&Facts) -> T) -> T {
        let mut all: Vec<T> = self.all.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
}
