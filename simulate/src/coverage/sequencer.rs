//! `protocol/tables/sequencer.md`: where a stream stands × what its adapter does with it.

use twinfeed_protocol::sequencer::{Sequencer, SequencerState};

use super::{Cell, Machine, Table, something_happens};

const PAGE: &str = include_str!("../../../protocol/tables/sequencer.md");

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Sequencer,
    name: "sequencer",
    cells: SECTIONS.len() * EVENTS.len(),
    label,
    is_transition: |place| something_happens(PAGE, place),
    excuse,
};

const SECTIONS: [&str; 6] = [
    "Unborn",
    "Open",
    "Open, a record under way",
    "Open, 1 covered",
    "Ended at 1",
    "Closed",
];

const EVENTS: [&str; 18] = [
    "message 2",
    "message 2, covered",
    "message 0",
    "abandon 2..4",
    "abandon 0..1",
    "end of the epoch at 2",
    "end of the epoch at 0",
    "epoch 8 begins",
    "epoch 7 begins again",
    "epoch 0 begins",
    "flush",
    "deadline",
    "generation 1",
    "generation 0",
    "peer lost",
    "peer back",
    "source stale",
    "end of stream",
];

/// What an adapter does with a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Event {
    /// A message becomes records.
    Message = 0,
    /// A message becomes nothing.
    Covered = 1,
    /// Numbers are given up.
    Abandon = 3,
    /// The epoch ends.
    End = 5,
    /// An epoch begins.
    Begin = 7,
    /// The same epoch begins again.
    BeginAgain = 8,
    /// What is under way is sent.
    Flush = 10,
    /// A deadline has come.
    Deadline = 11,
    /// A newer generation begins.
    Generation = 12,
    /// The generation at hand, or an older one.
    OldGeneration = 13,
    /// The pair link was reset.
    PeerLost = 14,
    /// It stands again.
    PeerBack = 15,
    /// The source fell silent, or speaks again.
    Stale = 16,
    /// The stream ends.
    EndOfStream = 17,
}

/// Where the stream stands, before the next thing happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Standing(usize);

impl Standing {
    /// As it is now.
    #[must_use]
    pub fn of(seq: &Sequencer) -> Self {
        let covered = seq.next_pos().zip(seq.prev());
        let covered = covered.is_some_and(|(next, prev)| next.sseq > prev + 1);
        Self(match seq.state() {
            SequencerState::Unborn => 0,
            SequencerState::Open if seq.is_under_way() => 2,
            SequencerState::Open if covered => 3,
            SequencerState::Open => 1,
            SequencerState::Ended => 4,
            SequencerState::Closed => 5,
        })
    }

    /// Something happens to it. `refused`: the machine did not do it.
    #[must_use]
    pub fn meets(self, event: Event, refused: bool) -> Cell {
        let event = match (event, refused) {
            (Event::Message | Event::Covered, true) => 2,
            (Event::Abandon, true) => 4,
            (Event::End, true) => 6,
            (Event::Begin | Event::BeginAgain, true) => 9,
            (event, _) => event as usize,
        };
        Cell {
            machine: Machine::Sequencer,
            place: self.0 * EVENTS.len() + event,
        }
    }
}

fn label(place: usize) -> String {
    let (section, event) = (place / EVENTS.len(), place % EVENTS.len());
    format!("{} × {}", SECTIONS[section], EVENTS[event])
}

fn excuse(place: usize) -> Option<&'static str> {
    let (section, event) = (place / EVENTS.len(), place % EVENTS.len());
    match (SECTIONS[section], EVENTS[event]) {
        ("Closed", _) => Some("the process that ended its stream is gone"),
        (_, "message 0" | "abandon 0..1" | "end of the epoch at 0" | "epoch 0 begins") => {
            Some("refused for the caller's mistake, which no driver makes")
        }
        (
            "Unborn" | "Ended at 1",
            "message 2" | "message 2, covered" | "abandon 2..4" | "end of the epoch at 2",
        ) => Some("refused for the caller's mistake, which no driver makes"),
        ("Open, a record under way", "peer back") => {
            Some("what is withheld is sent when the link goes down, before it comes back")
        }
        ("Ended at 1", "source stale") => {
            Some("the silence of a source that has ended is not stale")
        }
        (_, "epoch 7 begins again") => {
            Some("the world's sources do not begin a numbering twice under one name")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_committed_table() {
        let pages = page(include_str!("../../../protocol/tables/sequencer.md"));
        let sections: Vec<&str> = pages.iter().map(|page| page.title.as_str()).collect();
        assert_eq!(sections, SECTIONS);
        for section in pages {
            let events: Vec<&str> = section.rows.iter().map(|row| row.0.as_str()).collect();
            assert_eq!(events, EVENTS);
        }
        assert_eq!(EVENTS[Event::Flush as usize], "flush");
        assert_eq!(EVENTS[Event::EndOfStream as usize], "end of stream");
        assert_eq!(EVENTS[Event::Abandon as usize], "abandon 2..4");
        assert_eq!(EVENTS[Event::End as usize], "end of the epoch at 2");
    }
}
