//! Would the oracle notice?
//!
//! A [`Plant`] stands between the arbiter and the application and breaks one promise on purpose. A test
//! plants each of them and demands a violation.

use twinfeed_protocol::{DiscontinuityCause, Event};
use twinfeed_wire::ContextId;

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
    /// The n-th administrative message is dropped.
    DropMessage(u64),
    /// The n-th administrative message is delivered twice.
    DoubleMessage(u64),
    /// The n-th administrative message is delivered behind the record that follows it.
    DelayMessage(u64),
    /// No gap of administrative messages is told.
    SwallowAdministrativeGaps,
    /// A discontinuity of administrative messages is told in front of the n-th record.
    FalseRecount(u64),
}

/// A plant at work.
#[derive(Debug, Default)]
pub struct Saboteur {
    plant: Plant,
    records: u64,
    messages: u64,
    /// The one that was told last.
    context: ContextId,
    kept: Option<Told>,
}

impl Saboteur {
    /// Ready to do what `plant` says.
    #[must_use]
    pub fn new(plant: Plant) -> Self {
        Self {
            plant,
            records: 0,
            messages: 0,
            context: ContextId(0),
            kept: None,
        }
    }

    /// Makes of what the arbiter told what the application is told.
    pub fn pass_all(&mut self, told: &mut Vec<Told>) {
        if self.plant == Plant::Nothing {
            return;
        }
        for each in core::mem::take(told) {
            self.pass(each, told);
        }
    }

    /// Passes on what the arbiter told, or something else.
    fn pass(&mut self, told: Told, on: &mut Vec<Told>) {
        match (&told, self.plant) {
            (_, Plant::Nothing) => {}
            (Told::Record(record), _) if record.admin.is_some() => {
                return self.message(*record, on);
            }
            (Told::Record(record), _) => return self.record(*record, on),
            (Told::Event(Event::Gap { .. }), Plant::SwallowGaps)
            | (Told::Event(Event::AdministrativeGap { .. }), Plant::SwallowAdministrativeGaps)
            | (Told::Event(Event::Discontinuity { .. }), Plant::SwallowDiscontinuities)
            | (Told::Event(Event::Reset { .. }), Plant::SwallowResets)
            | (Told::Event(Event::Ended { .. }), Plant::SwallowEnds) => return,
            (Told::Event(event), _) => {
                if let Event::Discontinuity { context, .. } | Event::Reset { context, .. } = event {
                    self.context = *context;
                }
            }
        }
        on.push(told);
    }

    fn message(&mut self, record: Copied, on: &mut Vec<Told>) {
        self.messages += 1;
        let now = self.messages;
        match self.plant {
            Plant::DropMessage(n) if n == now => return,
            Plant::DoubleMessage(n) if n == now => on.push(Told::Record(record)),
            Plant::DelayMessage(n) if n == now => {
                self.kept = Some(Told::Record(record));
                return;
            }
            _ => {}
        }
        on.push(Told::Record(record));
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
            Plant::FalseRecount(n) if n == now => on.push(Told::Event(Event::Discontinuity {
                sid: record.pos.sid,
                epoch: record.pos.epoch,
                at: place,
                context: self.context,
                complete: true,
                cause: DiscontinuityCause::Administrative,
            })),
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
