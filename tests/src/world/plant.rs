//! Would the oracle notice?
//!
//! A [`Plant`] stands between the arbiter and the application and breaks one promise on purpose. A test
//! plants each of them and demands a violation.

use twinfeed_protocol::Event;

use super::oracle::{Copied, Told};

/// A promise to break, once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// The n-th record is dropped.
    Drop(u64),
    /// The n-th record is delivered twice.
    Double(u64),
    /// The n-th record is delivered behind the next one.
    Swap(u64),
    /// The n-th record has another body.
    Damage(u64),
    /// No gap is told.
    SwallowGaps,
    /// No discontinuity of context is told.
    SwallowDiscontinuities,
    /// No reset is told.
    SwallowResets,
    /// No end is told.
    SwallowEnds,
    /// The n-th record is followed by a gap that claims it.
    FalseGap(u64),
}

/// A plant at work.
#[derive(Debug, Default)]
pub struct Saboteur {
    plant: Plant,
    records: u64,
    kept: Option<Told>,
}

impl Saboteur {
    /// Ready to do what `plant` says.
    #[must_use]
    pub fn new(plant: Plant) -> Self {
        Self {
            plant,
            records: 0,
            kept: None,
        }
    }

    /// Passes on what the arbiter told, or something else.
    pub fn pass(&mut self, told: Told, on: &mut Vec<Told>) {
        match (&told, self.plant) {
            (_, Plant::Nothing) => {}
            (Told::Record(record), _) => return self.record(*record, on),
            (Told::Event(Event::Gap { .. }), Plant::SwallowGaps)
            | (Told::Event(Event::Discontinuity { .. }), Plant::SwallowDiscontinuities)
            | (Told::Event(Event::Reset { .. }), Plant::SwallowResets)
            | (Told::Event(Event::Ended { .. }), Plant::SwallowEnds) => return,
            (Told::Event(_), _) => {}
        }
        on.push(told);
    }

    fn record(&mut self, mut record: Copied, on: &mut Vec<Told>) {
        let place = record.place();
        self.records += 1;
        let now = self.records;
        match self.plant {
            Plant::Drop(n) if n == now => return,
            Plant::Double(n) if n == now => on.push(Told::Record(record)),
            Plant::Damage(n) if n == now => record.content ^= 1,
            Plant::Swap(n) if n == now => {
                self.kept = Some(Told::Record(record));
                return;
            }
            _ => {}
        }
        on.push(Told::Record(record));
        on.extend(self.kept.take());
        if self.plant == Plant::FalseGap(now) {
            on.push(Told::Event(Event::Gap {
                sid: record.pos.sid,
                epoch: record.pos.epoch,
                from: place,
                until: twinfeed_protocol::Place::start(place.sseq + 1),
                cause: twinfeed_protocol::GapCause::LostOnEveryLeg,
            }));
        }
    }
}
