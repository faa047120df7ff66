//! `protocol/tables/lines.md`: where the lines of a source stand, seen from outside × what comes next.
//!
//! [`Watch`] knows what an adapter's driver could know: what came on which line, and what the machine told. Where several
//! of the table's states hold at once, the one that says most is taken.

use core::ops::Range;

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::line::{Line, Lines, LinesState, Source};
use twinfeed_wire::Epoch;

use super::{Cell, Machine, Table, something_happens};
use crate::world::exchange::is_of_a_source;

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

/// Packets of one line in a row that are out of the ordinary in the same way.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    length: u32,
    /// Where the source stood when the first of them came, if the table knows that.
    section: Option<usize>,
    /// Whether that was beyond the window.
    jumped: bool,
    /// Of which epoch they are.
    epoch: Epoch,
    /// What the line brought of it without a hole, last.
    low: u64,
    next: u64,
}

impl Row {
    fn add(&mut self, heard: &Heard, (section, jumped): (Option<usize>, bool)) {
        if self.length == 0 || self.epoch != heard.epoch {
            *self = Self {
                section,
                jumped,
                epoch: heard.epoch,
                low: heard.first,
                ..Self::default()
            };
        } else if heard.first > self.next {
            self.low = heard.first;
        }
        self.length += 1;
        self.next = self.next.max(heard.end());
    }
}

/// One line, as it was heard in the epoch at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Behind the furthest number it spoke of.
    next: u64,
    ended: bool,
    /// Packets with messages.
    packets: u32,
    /// Packets beyond the window.
    jumps: Row,
    /// Packets of another epoch.
    elsewhere: Row,
    /// Packets of an epoch that was left, far behind where it was left.
    late: Row,
    /// Words out of the ordinary that no source said, since it said something ordinary.
    forged: u32,
}

/// What an observer beside the machine knows.
#[derive(Clone, Debug)]
pub struct Watch {
    window: u64,
    epoch: Epoch,
    next: u64,
    /// Epochs that were left, and where.
    left: Vec<(Epoch, u64)>,
    lines: [Seen; 2],
    /// Where the source stood when the packet at hand came, and whether that was beyond the window.
    stood: (Option<usize>, bool),
    /// What came last, if it had its turn then, and where the source stood.
    last: Option<(Heard, usize)>,
}

/// What lines have not decided yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undecided {
    /// Whether to believe the first thing that was heard.
    Beginning,
    /// Whether what is missing comes.
    Hole,
    /// Whether the source has ended, as one line says.
    End,
}

impl Heard {
    /// Behind its last number.
    fn end(&self) -> u64 {
        match self.kind {
            Kind::Messages(count, _) => self.first.saturating_add(count),
            Kind::Heartbeat | Kind::End => self.first,
        }
    }
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
            stood: (None, false),
            last: None,
        }
    }

    /// Where the epoch was left that the packet is of.
    fn left(&self, epoch: Epoch) -> Option<u64> {
        let mut all = self.left.iter().rev();
        all.find(|(left, _)| *left == epoch).map(|&(_, next)| next)
    }

    fn horizon(&self) -> u64 {
        self.lines
            .iter()
            .fold(self.next, |all, it| all.max(it.next))
    }

    /// Where the source stands in the eyes of a line that speaks: the table's A is the other one. `None`: nowhere that the
    /// table knows.
    fn section(&self, lines: &Lines, heard: &Heard) -> Option<usize> {
        let own = &self.lines[heard.line.index()];
        let other = &self.lines[1 - heard.line.index()];
        let straggles = self.left(heard.epoch).is_some();
        match lines.state() {
            LinesState::Open if straggles => Some(8),
            _ if straggles || own.elsewhere.length > 0 || own.jumps.length > 0 => None,
            LinesState::Unborn => Some(usize::from(other.elsewhere.length > 0)),
            LinesState::Stale => Some(9),
            LinesState::Ended => Some(10 + usize::from(other.elsewhere.length > 0)),
            LinesState::Open if other.jumps.length > 0 => Some(6),
            LinesState::Open if other.elsewhere.length > 0 => Some(7),
            LinesState::Open if own.ended => None,
            LinesState::Open if other.ended => Some(5),
            LinesState::Open => Some(self.open()),
        }
    }

    /// Of an epoch under way: which lines have passed a hole.
    fn open(&self) -> usize {
        match self.lines.map(|line| line.next > self.next) {
            [true, true] => 4,
            [false, false] => 2,
            _ => 3,
        }
    }

    /// The same when nothing comes but time.
    fn section_in_time(&self, lines: &Lines) -> Option<usize> {
        let any = |what: fn(&Seen) -> bool| self.lines.iter().any(what);
        let elsewhere = any(|line| line.elsewhere.length > 0);
        match lines.state() {
            LinesState::Unborn => Some(usize::from(elsewhere)),
            LinesState::Stale => Some(9),
            LinesState::Ended => Some(10 + usize::from(elsewhere)),
            LinesState::Open if any(|line| line.jumps.length > 0) => Some(6),
            LinesState::Open if elsewhere => Some(7),
            LinesState::Open if self.lines.iter().all(|line| line.ended) => None,
            LinesState::Open if any(|line| line.ended) => Some(5),
            LinesState::Open => Some(match self.open() {
                2 if !self.left.is_empty() => 8,
                open => open,
            }),
        }
    }

    /// What the lines have not decided yet.
    #[must_use]
    pub fn undecided(&self, lines: &Lines) -> Option<Undecided> {
        match self.section_in_time(lines)? {
            1 => Some(Undecided::Beginning),
            3 | 4 => Some(Undecided::Hole),
            5 => Some(Undecided::End),
            _ => None,
        }
    }

    /// What comes, in the table's words. `None`: nothing that the table knows there.
    fn event(&self, lines: &Lines, section: usize, heard: &Heard) -> Option<usize> {
        let row = &self.lines[1 - heard.line.index()].elsewhere;
        if heard.first == 0 {
            return Some(15);
        }
        if lines.state() == LinesState::Unborn && row.length == 0 {
            // Nothing was heard that it could be early for, or a copy of.
            return Some(near(heard, heard.first, heard.first, self.window));
        }
        if let Some(next) = self.left(heard.epoch) {
            return Some(near(heard, next, next, self.window));
        }
        if lines.state() == LinesState::Unborn && heard.epoch == row.epoch {
            return Some(near(heard, row.next, row.next, self.window));
        }
        if heard.epoch == self.epoch {
            return Some(near(heard, self.next, self.horizon(), self.window));
        }
        let known = !matches!(section, 7 | 11) || row.epoch == heard.epoch;
        match heard.kind {
            Kind::Messages(..) if known => Some(12),
            Kind::End if known => Some(14),
            _ => None,
        }
    }

    /// Whether it is the fourth in a row, and where the source stood when the first of them came.
    fn fourth(&self, lines: &Lines, heard: &Heard) -> Option<Cell> {
        let own = &self.lines[heard.line.index()];
        if !matches!(heard.kind, Kind::Messages(..)) || heard.first == 0 {
            return None;
        }
        let goes_on = |row: &Row| row.length >= 3 && row.epoch == heard.epoch;
        if goes_on(&own.elsewhere) {
            let row = &own.elsewhere;
            let same = self.lines[1 - heard.line.index()].elsewhere.epoch == row.epoch;
            let event = match (row.section, row.jumped) {
                (Some(1), true) => 11,
                // The other line spoke of it before.
                (Some(1), false) if same => return None,
                _ => 13,
            };
            return row.section.map(|section| cell(section, event));
        }
        if goes_on(&own.late) {
            return own.late.section.map(|section| cell(section, 11));
        }
        if goes_on(&own.jumps) && heard.first >= own.jumps.low {
            return own.jumps.section.map(|section| cell(section, 11));
        }
        let anew = !self.left.is_empty() && own.packets == 3 && heard.epoch == self.epoch;
        (anew && lines.state() == LinesState::Open).then(|| cell(8, 13))
    }

    /// Whether a packet that the source did not say so would be taken for one: it says something new, and it is not so odd that
    /// it waits to be confirmed by somebody who does not come.
    #[must_use]
    pub fn would_believe(&self, lines: &Lines, heard: &Heard) -> bool {
        if heard.first == 0 || self.left(heard.epoch).is_some() {
            return false;
        }
        let end = heard.end();
        let own = &self.lines[heard.line.index()];
        let other = &self.lines[1 - heard.line.index()];
        let row = &other.elsewhere;
        let repeats = |low: u64, next: u64| match heard.kind {
            Kind::Messages(..) => heard.first >= low && end <= next,
            Kind::Heartbeat => end <= next,
            Kind::End => end < next,
        };
        let made_up = !is_of_a_source(heard.epoch);
        let follows = row.epoch == heard.epoch && row.length > 0 && own.elsewhere.length == 0;
        if lines.state() == LinesState::Unborn {
            // What contradicts the line that spoke is dropped.
            let odd = made_up && row.length > 0 && own.elsewhere.length == 0;
            let believed = !odd || own.forged + other.forged > 0;
            return believed && !(follows && repeats(row.low, row.next));
        }
        if follows {
            return heard.kind != Kind::End || !repeats(row.low, row.next);
        }
        if heard.epoch == self.epoch && repeats(0, self.next) {
            return end.saturating_add(self.window) < own.next && own.forged > 0;
        }
        let ended = lines.state() == LinesState::Ended;
        let far = heard.first > self.horizon().saturating_add(FAR);
        let odd = match heard.epoch == self.epoch {
            true => ended || far,
            false => made_up,
        };
        !odd || own.forged > 1 || other.forged > 0
    }

    /// A packet is about to reach the machine.
    pub fn before(&mut self, lines: &Lines, heard: &Heard) -> Vec<Cell> {
        let fourth = self.fourth(lines, heard);
        let section = self.section(lines, heard);
        let event = section.and_then(|at| Some((at, self.event(lines, at, heard)?)));
        self.stood = (section, event.is_some_and(|(_, event)| event == 10));
        let again = self.last.take().filter(|(last, _)| {
            let same =
                (last.epoch, last.first, last.kind) == (heard.epoch, heard.first, heard.kind);
            same && last.line != heard.line
        });
        self.last = event
            .filter(|&(_, event)| event == 0)
            .map(|(section, _)| (*heard, section));
        let met = event.map(|(section, event)| cell(section, event));
        let both = again.map(|(_, section)| cell(section, 1));
        [met, fourth, both].into_iter().flatten().collect()
    }

    /// A deadline is about to be told.
    #[must_use]
    pub fn before_deadline(&self, lines: &Lines) -> Option<usize> {
        self.section_in_time(lines)
    }

    /// It was told. `silent`: that nobody speaks any more; `ended`: that the source has ended.
    pub fn after_deadline(
        &mut self,
        section: Option<usize>,
        silent: bool,
        ended: bool,
    ) -> Option<Cell> {
        self.last = None;
        // An end that one line says alone is believed when the other one has been silent for long enough.
        let long = silent || ended && section == Some(5);
        section.map(|section| cell(section, if long { 17 } else { 16 }))
    }

    /// It reached the machine.
    pub fn after(&mut self, heard: &Heard, genuine: bool) {
        let (epoch, horizon, window) = (self.epoch, self.horizon(), self.window);
        let (stood, left) = (self.stood, self.left(heard.epoch));
        let line = &mut self.lines[heard.line.index()];
        if heard.first == 0 {
            return;
        }
        if let Some(next) = left {
            if heard.first > next.saturating_add(window) {
                line.late.add(heard, stood);
            }
            return;
        }
        let end = heard.end();
        if !genuine {
            let odd = heard.epoch != epoch || end > horizon;
            line.forged += u32::from(odd);
        } else if heard.epoch != epoch || end >= line.next {
            line.forged = 0;
        }
        if heard.epoch != epoch {
            return line.elsewhere.add(heard, stood);
        }
        if heard.first > horizon.saturating_add(window) {
            return line.jumps.add(heard, stood);
        }
        (line.elsewhere, line.jumps) = (Row::default(), Row::default());
        if genuine || end <= horizon {
            line.next = line.next.max(end);
        }
        line.packets += u32::from(matches!(heard.kind, Kind::Messages(..)));
        line.ended |= heard.kind == Kind::End && end >= horizon;
    }
}

/// What comes in the epoch that is looked at, of which `next` is the next number, and nobody spoke beyond `horizon`.
fn near(heard: &Heard, next: u64, horizon: u64, window: u64) -> usize {
    match heard.kind {
        Kind::Messages(_, true) if heard.end() <= next => 4,
        Kind::Messages(..) if heard.first > horizon.saturating_add(window) => 10,
        Kind::Messages(..) if heard.first > next => 2,
        Kind::Messages(..) if heard.end() <= next => 3,
        Kind::Messages(..) => 0,
        Kind::Heartbeat if heard.first > next => 6,
        Kind::Heartbeat => 5,
        Kind::End if heard.first > next => 8,
        Kind::End if heard.first < next => 9,
        Kind::End => 7,
    }
}

/// No genuine number is so far ahead.
const FAR: u64 = 1 << 20;

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
    /// Whether it was told that the source has ended.
    pub ended: bool,
}

impl<S: Source> Source for Overheard<'_, S> {
    fn begin(&mut self, start: EpochStart) {
        let watch = &mut *self.watch;
        if watch.epoch.is_some() && watch.epoch != start.epoch {
            watch.left.push((watch.epoch, watch.next));
        }
        (watch.epoch, watch.next) = (start.epoch, start.first);
        watch.lines = watch.lines.map(|line| {
            let led = line.elsewhere.epoch == start.epoch;
            Seen {
                next: if led { line.elsewhere.next } else { 0 },
                packets: if led { line.elsewhere.length } else { 0 },
                forged: line.forged,
                ..Seen::default()
            }
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
