//! What does an observer beside two lines know, without looking into the machine?
//!
//! [`Watch`] sees what comes on which line, and what the machine tells. It says where the source stands and what comes, in the words of
//! `protocol/tables/lines.md`; of a row of four packets it remembers where the source stood when the first came. It says, too, what lines
//! would believe of a packet that no source has said.

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::line::{Lines, LinesState};
use twinfeed_wire::Epoch;

use super::Cell;
use super::lines::{Heard, Kind, cell};
use crate::world::exchange::is_of_a_source;

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
    /// The epoch that it spoke of last, other than the one at hand, and how far the source had come in it.
    ahead: (Epoch, u64),
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

    /// An epoch begins.
    pub(super) fn begin(&mut self, start: EpochStart) {
        if self.epoch.is_some() && self.epoch != start.epoch {
            self.left.push((self.epoch, self.next));
        }
        (self.epoch, self.next) = (start.epoch, start.first);
        self.lines = self.lines.map(|line| {
            let led = line.elsewhere.epoch == start.epoch;
            let ahead = line.ahead.0 == start.epoch;
            Seen {
                next: if ahead { line.ahead.1 } else { 0 },
                packets: if led { line.elsewhere.length } else { 0 },
                forged: line.forged,
                ..Seen::default()
            }
        });
    }

    /// Everything below `next` was told or given up.
    pub(super) fn reaches(&mut self, next: u64) {
        self.next = next;
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
            if genuine {
                let before = line.ahead.1 * u64::from(line.ahead.0 == heard.epoch);
                line.ahead = (heard.epoch, end.max(before));
            }
            line.jumps = Row::default();
            return line.elsewhere.add(heard, stood);
        }
        if heard.first > horizon.saturating_add(window) {
            line.elsewhere = Row::default();
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

#[cfg(test)]
mod tests {
    use twinfeed_protocol::line::{Line, LineLimits};

    use super::*;

    /// In epoch 7, of which 19 was the last number.
    fn watch() -> Watch {
        let mut watch = Watch::new(8);
        watch.begin(EpochStart {
            epoch: Epoch(7),
            first: 1,
            complete: true,
            predecessor: Epoch::NONE,
        });
        watch.reaches(20);
        watch
    }

    fn says(line: Line, epoch: u64, first: u64, kind: Kind) -> Heard {
        let epoch = Epoch(epoch);
        Heard {
            line,
            epoch,
            first,
            kind,
        }
    }

    #[test]
    fn a_copy_and_an_end_that_was_passed_deceive_nobody_and_the_next_number_would() {
        let watch = watch();
        let lines = stale();
        for (first, kind, believed) in [
            (18, Kind::Messages(2, true), false),
            (19, Kind::Messages(2, true), true),
            (19, Kind::End, false),
            (20, Kind::End, true),
            (20, Kind::Heartbeat, false),
            (21, Kind::Heartbeat, true),
            (0, Kind::Messages(1, true), false),
            (FAR + 100, Kind::Messages(1, true), false),
        ] {
            let heard = says(Line::A, 7, first, kind);
            let would = watch.would_believe(&lines, &heard);
            assert_eq!(would, believed, "{first} {kind:?}");
        }
    }

    #[test]
    fn what_no_source_says_is_not_let_in_so_often_that_it_confirms_itself() {
        let mut watch = watch();
        let lines = stale();
        let mut let_in = 0;
        for number in 0..10 {
            let heard = says(Line::A, 8, 1 + number, Kind::Messages(1, true));
            if !watch.would_believe(&lines, &heard) {
                let_in += 1;
                watch.after(&heard, false);
            }
        }
        assert_eq!(let_in, 2); // four would confirm it
        let other = says(Line::B, 8, 1, Kind::Messages(1, true));
        assert!(watch.would_believe(&lines, &other)); // and so would both lines
        let named = says(Line::A, 9, 1, Kind::Messages(1, true));
        assert!(watch.would_believe(&lines, &named)); // a name that a source may have
    }

    #[test]
    fn the_fourth_packet_in_a_row_counts_where_the_first_came() {
        let mut watch = watch();
        let lines = stale();
        let mut met = Vec::new();
        for number in 0..4 {
            let heard = says(Line::A, 9, 1 + number, Kind::Messages(1, false));
            met = watch.before(&lines, &heard);
            watch.after(&heard, true);
        }
        assert_eq!(met, [cell(9, 13)]);
    }

    /// Lines whose source fell silent in epoch 7.
    fn stale() -> Lines {
        struct Nobody;
        impl twinfeed_protocol::line::Source for Nobody {
            fn begin(&mut self, _: EpochStart) {}
            fn message(&mut self, _: u64, _: &[u8], _: u64) {}
            fn abandoned(&mut self, _: core::ops::Range<u64>) {}
            fn ended(&mut self, _: Epoch, _: u64) {}
            fn stale(&mut self, _: bool) {}
        }
        let mut lines = Lines::new(LineLimits::default()).expect("the limits are workable");
        let now = twinfeed_protocol::time::Time::ZERO;
        for line in Line::BOTH {
            lines.on_heartbeat(line, now, Epoch(7), 1, &mut Nobody);
        }
        lines.on_deadline(now.after(LineLimits::default().silence), &mut Nobody);
        assert_eq!(lines.state(), LinesState::Stale);
        lines
    }
}
