//! Was every record of an unordered source told once, or declared lost and never told?
//!
//! No cursor can say that of records in any order, so everything told in an epoch is kept, and everything
//! declared. The witness's cursor then is the first place that neither holds.

use twinfeed_protocol::Place;

use super::sorted::Sorted;
use super::witness::Judgement;

/// What an application was told of one epoch of an unordered source.
#[derive(Clone, Debug, Default)]
pub struct Scattered {
    from: Place,
    /// Every place told, and whether it was the last of its message.
    told: Sorted<Place, bool>,
    lost: Vec<(Place, Place)>,
    /// Whether it went over to another context within the epoch.
    pub went_over: bool,
}

impl Scattered {
    /// The application is owed everything at and behind `from`, and was told nothing of it.
    pub fn start(&mut self, from: Place) {
        *self = Self {
            from,
            ..Self::default()
        };
    }

    /// A record was told.
    pub fn record(&mut self, place: Place, last: bool) -> Judgement {
        if place < self.from {
            return Err(format!("record {place} lies before {}", self.from));
        }
        if let Some(gap) = self.lost.iter().find(|gap| gap.0 <= place && place < gap.1) {
            return Err(format!(
                "record {place} was declared missing ({}, {})",
                gap.0, gap.1
            ));
        }
        let before = place
            .part
            .checked_sub(1)
            .map(|part| Place { part, ..place });
        if before.is_some_and(|before| !self.told.contains(before)) {
            return Err(format!("record {place} without the part before"));
        }
        match self.told.insert(place, last) {
            None => Ok(()),
            Some(_) => Err(format!("record {place} was told before")),
        }
    }

    /// A gap was declared.
    pub fn gap(&mut self, from: Place, until: Place) -> Judgement {
        if from < self.from {
            return Err(format!("Gap {from} to {until} begins before {}", self.from));
        }
        if let Some((place, _)) = self.told.range(from..until).first() {
            return Err(format!("Gap {from} to {until}: {place} was told"));
        }
        if let Some(other) = self.lost.iter().find(|gap| gap.0 < until && from < gap.1) {
            return Err(format!(
                "Gap {from} to {until} overlaps that from {}",
                other.0
            ));
        }
        self.lost.push((from, until));
        Ok(())
    }

    /// The place behind what is known at `place`, when it was told or declared.
    #[must_use]
    pub fn behind(&self, place: Place) -> Option<Place> {
        if let Some(gap) = self.lost.iter().find(|gap| gap.0 <= place && place < gap.1) {
            return Some(gap.1);
        }
        self.told.get(place).map(|last| {
            if *last {
                Place::start(place.sseq + 1)
            } else {
                Place {
                    part: place.part + 1,
                    ..place
                }
            }
        })
    }

    /// Behind the highest number told.
    #[must_use]
    pub fn top(&self) -> u64 {
        let last = self.told.last();
        last.map_or(self.from.sseq, |place| place.sseq + 1)
    }
}
