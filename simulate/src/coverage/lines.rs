//! `protocol/tables/lines.md`: where the lines of a source stand, seen from outside × what comes next.
//!
//! [`Watch`] knows what an adapter's driver could know: what came on which line, and what the machine told. Where several
//! of the table's states hold at once, the one that says most is taken.

use core::ops::Range;

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::line::{Line, Source};
use twinfeed_wire::Epoch;

use super::watch::Watch;
use super::{Cell, Machine, Table, something_happens};

const PAGE: &str = include_str!("../../../protocol/tables/lines.md");

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Lines,
    name: "lines",
    cells: SECTIONS.len() * EVENTS.len(),
    label,
    is_transition: |place| something_happens(PAGE, place),
    excuse,
};

const SECTIONS: [&str; 12] = [
    "Unborn",
    "Unborn, A spoke",
    "Open",
    "Open, hole",
    "Open, both passed the hole",
    "Open, A said the end",
    "Open, A jumped",
    "Open, A in epoch 8",
    "Open after epoch 7",
    "Stale",
    "Ended",
    "Ended, A in epoch 8",
];

const EVENTS: [&str; 19] = [
    "next packet on B",
    "next packet on both lines",
    "early packet on B",
    "copy on B",
    "copy with other bytes on B",
    "heartbeat on B",
    "heartbeat ahead on B",
    "end on B",
    "end ahead on B",
    "end below on B",
    "jump on B",
    "four after a jump on B",
    "epoch 8 on B",
    "four of epoch 8 on B",
    "end of epoch 8 on B",
    "number 0 on B",
    "2 ms pass",
    "a minute passes",
    "close",
];

/// What a packet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Messages, so many; whether a copy of them has been changed.
    Messages(u64, bool),
    /// The source is alive.
    Heartbeat,
    /// The epoch ends.
    End,
}

/// What comes on a line.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// On which.
    pub line: Line,
    /// Of which epoch.
    pub epoch: Epoch,
    /// Its first number; in a heartbeat or an end, the next one.
    pub first: u64,
    /// What it is.
    pub kind: Kind,
}

impl Heard {
    /// Behind its last number.
    pub(super) fn end(&self) -> u64 {
        match self.kind {
            Kind::Messages(count, _) => self.first.saturating_add(count),
            Kind::Heartbeat | Kind::End => self.first,
        }
    }
}

pub(super) fn cell(section: usize, event: usize) -> Cell {
    Cell {
        machine: Machine::Lines,
        place: section * EVENTS.len() + event,
    }
}

/// What the machine tells, on its way to whoever converts.
pub struct Overheard<'a, S> {
    /// Who learns of it.
    pub watch: &'a mut Watch,
    /// Who converts.
    pub to: &'a mut S,
    /// Whether it was told that nobody speaks.
    pub stale: bool,
    /// Whether it was told that the source has ended.
    pub ended: bool,
}

impl<S: Source> Source for Overheard<'_, S> {
    fn begin(&mut self, start: EpochStart) {
        self.watch.begin(start);
        self.to.begin(start);
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        self.watch.reaches(sseq + 1);
        self.to.message(sseq, bytes, received_at);
    }

    fn abandoned(&mut self, range: Range<u64>) {
        self.watch.reaches(range.end);
        self.to.abandoned(range);
    }

    fn ended(&mut self, epoch: Epoch, next_sseq: u64) {
        self.ended = true;
        self.to.ended(epoch, next_sseq);
    }

    fn stale(&mut self, stale: bool) {
        self.stale |= stale;
        self.to.stale(stale);
    }
}

fn label(place: usize) -> String {
    let (section, event) = (place / EVENTS.len(), place % EVENTS.len());
    format!("{} × {}", SECTIONS[section], EVENTS[event])
}

fn excuse(place: usize) -> Option<&'static str> {
    let (section, event) = (place / EVENTS.len(), place % EVENTS.len());
    match (SECTIONS[section], EVENTS[event]) {
        (_, "close") => Some("for captures: a live adapter ends without closing its lines"),
        (
            "Unborn",
            "early packet on B"
            | "copy on B"
            | "copy with other bytes on B"
            | "heartbeat ahead on B"
            | "end ahead on B"
            | "end below on B"
            | "jump on B"
            | "four after a jump on B"
            | "epoch 8 on B"
            | "end of epoch 8 on B",
        ) => Some("nothing was heard that it could be early for, far from, or a copy of"),
        (
            "Ended" | "Ended, A in epoch 8",
            "next packet on both lines" | "four after a jump on B",
        )
        | ("Open, A said the end", "four after a jump on B") => {
            Some("no source of a world goes on behind the end that it has stated")
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
        let pages = page(include_str!("../../../protocol/tables/lines.md"));
        let sections: Vec<&str> = pages.iter().map(|page| page.title.as_str()).collect();
        assert_eq!(sections, SECTIONS);
        for section in pages {
            let rows = section.rows.iter().map(|row| row.0.as_str());
            // Each is followed by a script in backticks.
            let events: Vec<&str> = rows
                .map(|row| row.split(" `").next().unwrap_or(row))
                .collect();
            assert_eq!(events, EVENTS);
        }
    }
}
