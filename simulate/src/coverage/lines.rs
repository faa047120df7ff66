//! `protocol/tables/lines.md`: where the lines of a source stand, seen from outside × what comes next.
//!
//! [`Watch`] knows what an adapter's driver could know: what came on which line, and what the machine told. Where several
//! of the table's states hold at once, the one that says most is taken.

use core::ops::Range;

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::line::{Line, Lines, LinesState, Source};
use twinfeed_wire::Epoch;

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

/// One line, as it was heard in the epoch at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    spoke: bool,
    /// Behind the furthest number it spoke of.
    next: u64,
    ended: bool,
    /// Packets in a row that were beyond the window.
    jumped: u32,
    /// Packets in a row of another epoch.
    elsewhere: u32,
}

/// What an observer beside the machine knows.
#[derive(Clone, Debug)]
pub struct Watch {
    window: u64,
    epoch: Epoch,
    next: u64,
    left: Vec<Epoch>,
    lines: [Seen; 2],
}

impl Watch {
    /// Beside a machine with this window.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self {
            window,
            epoch: Epoch::NONE,
            next: 0,
            left: Vec::new(),
            lines: [Seen::default(); 2],
        }
    }

    fn section(&self, lines: &Lines, heard: Option<&Heard>) -> usize {
        let any = |what: fn(&Seen) -> bool| self.lines.iter().any(what);
        let elsewhere = any(|line| line.elsewhere > 0);
        let stragglers = heard.is_some_and(|heard| self.left.contains(&heard.epoch));
        match lines.state() {
            LinesState::Unborn => usize::from(any(|line| line.spoke)),
            LinesState::Stale => 9,
            LinesState::Ended if elsewhere => 11,
            LinesState::Ended => 10,
            LinesState::Open if any(|line| line.jumped > 0) => 6,
            LinesState::Open if elsewhere => 7,
            LinesState::Open if stragglers => 8,
            LinesState::Open if any(|line| line.ended) => 5,
            LinesState::Open => match self.lines.map(|line| line.next > self.next) {
                [true, true] => 4,
                [false, false] if !self.left.is_empty() => 8,
                [false, false] => 2,
                _ => 3,
            },
        }
    }

    /// What comes, in the table's words; a run of packets counts as more than one thing.
    fn events(&self, heard: &Heard) -> Vec<usize> {
        let line = &self.lines[heard.line.index()];
        let foreign = heard.epoch != self.epoch && !self.left.contains(&heard.epoch);
        // A straggler counts from where its epoch ended, which is where nothing more comes.
        let next = if foreign { heard.first } else { self.next };
        let events: &[usize] = match heard.kind {
            _ if heard.first == 0 => &[15],
            Kind::Messages(..) if foreign && line.elsewhere >= 3 => &[12, 13],
            Kind::Messages(..) if foreign && self.epoch.is_some() => &[12],
            Kind::End if foreign && self.epoch.is_some() => &[14],
            Kind::Messages(_, true) => &[4],
            Kind::Messages(..) if heard.first > next.saturating_add(self.window) => {
                match line.jumped >= 3 {
                    true => &[10, 11],
                    false => &[10],
                }
            }
            Kind::Messages(..) if heard.first > next => &[2],
            Kind::Messages(count, _) if heard.first + count <= next => &[3],
            Kind::Messages(..) => match self.lines[1 - heard.line.index()].next > heard.first {
                true => &[0, 1],
                false => &[0],
            },
            Kind::Heartbeat if heard.first > next => &[6],
            Kind::Heartbeat => &[5],
            Kind::End if heard.first > next => &[8],
            Kind::End if heard.first < next => &[9],
            Kind::End => &[7],
        };
        events.to_vec()
    }

    /// Whether a packet that the source did not say so would be taken for one: its numbers are near and not known.
    #[must_use]
    pub fn would_believe(&self, heard: &Heard) -> bool {
        let count = match heard.kind {
            Kind::Messages(count, _) => count,
            Kind::Heartbeat | Kind::End => return true,
        };
        let end = heard.first.saturating_add(count);
        let absurd = heard.first == 0 || heard.first > self.next.saturating_add(1 << 20);
        !absurd && (heard.epoch != self.epoch || end > self.next)
    }

    /// A packet is about to reach the machine.
    pub fn before(&self, lines: &Lines, heard: &Heard) -> Vec<Cell> {
        let section = self.section(lines, Some(heard));
        let cell = |event| cell(section, event);
        self.events(heard).into_iter().map(cell).collect()
    }

    /// A deadline is about to be told.
    pub fn before_deadline(&self, lines: &Lines) -> Cell {
        cell(self.section(lines, None), 16)
    }

    /// The deadline told that nobody speaks: the state of before met a long silence.
    pub fn silence(&self, before: Cell) -> Cell {
        cell(before.place / EVENTS.len(), 17)
    }

    /// It reached the machine.
    pub fn after(&mut self, heard: &Heard) {
        let (epoch, next, window) = (self.epoch, self.next, self.window);
        let line = &mut self.lines[heard.line.index()];
        line.spoke = true;
        if heard.epoch != epoch {
            line.elsewhere += u32::from(!self.left.contains(&heard.epoch));
            return;
        }
        line.elsewhere = 0;
        let end = match heard.kind {
            Kind::Messages(count, _) => heard.first.saturating_add(count),
            Kind::Heartbeat | Kind::End => heard.first,
        };
        if heard.first > next.saturating_add(window) {
            line.jumped += 1;
            return;
        }
        line.jumped = 0;
        line.next = line.next.max(end);
        line.ended |= heard.kind == Kind::End;
    }
}

fn cell(section: usize, event: usize) -> Cell {
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
}

impl<S: Source> Source for Overheard<'_, S> {
    fn begin(&mut self, start: EpochStart) {
        let watch = &mut *self.watch;
        if watch.epoch.is_some() && watch.epoch != start.epoch {
            watch.left.push(watch.epoch);
        }
        (watch.epoch, watch.next) = (start.epoch, start.first);
        watch.lines = watch.lines.map(|line| Seen {
            spoke: line.spoke,
            ..Seen::default()
        });
        self.to.begin(start);
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        self.watch.next = sseq + 1;
        self.to.message(sseq, bytes, received_at);
    }

    fn abandoned(&mut self, range: Range<u64>) {
        self.watch.next = range.end;
        self.to.abandoned(range);
    }

    fn ended(&mut self, epoch: Epoch, next_sseq: u64) {
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
