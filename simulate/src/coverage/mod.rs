//! Which transitions of the machines' tables did the worlds hit, and which never?
//!
//! A machine's table is committed where the machine is; here stands, per table, which of its cells a moment in a world is.
//! Two tables are kept by their machines themselves (which input came in which state); for the others an observer beside
//! the machine sees the state from outside, and what comes.
//!
//! ```text
//!  machine ── what it counted ──┐
//!  observer ── Cell ────────────┴─► Coverage (one per world) ─► sum ─► what was never hit
//! ```
//!
//! A table added here is one file, one line in [`TABLES`], and a test that its labels are those of the committed page.

pub mod divergence;
pub mod leg;
pub mod lines;
pub mod pair;
pub mod sequencer;
pub mod standby;
pub mod watch;

/// A table of a machine.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Machine {
    /// `protocol/tables/pair.md`.
    Pair,
    /// `protocol/tables/standby.md`.
    Standby,
    /// `protocol/tables/sequencer.md`.
    Sequencer,
    /// `protocol/tables/lines.md`.
    Lines,
    /// `protocol/tables/arbiter.md`.
    Leg,
    /// `protocol/tables/divergence.md`.
    Divergence,
}

/// What is known of a table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Which.
    pub machine: Machine,
    /// Its name, as its file's.
    pub name: &'static str,
    /// How many cells it has.
    pub cells: usize,
    /// What a cell is called.
    pub label: fn(usize) -> String,
    /// Whether something can happen there: a machine changes, says something, or refuses.
    pub is_transition: fn(usize) -> bool,
    /// Why no world can come there.
    pub excuse: fn(usize) -> Option<&'static str>,
}

/// Every table, in order.
pub const TABLES: [Table; 6] = [
    pair::TABLE,
    standby::TABLE,
    sequencer::TABLE,
    lines::TABLE,
    leg::TABLE,
    divergence::TABLE,
];

/// One moment: which cell of which table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cell {
    /// Of which table.
    pub machine: Machine,
    /// Its place.
    pub place: usize,
}

/// How often each cell was hit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        let cells = TABLES.iter().map(|table| table.cells).sum();
        Self {
            counts: vec![0; cells],
        }
    }
}

/// How a table was covered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Covered {
    /// Its name.
    pub table: &'static str,
    /// Transitions that a world can come to.
    pub transitions: usize,
    /// Of those, the ones that were hit.
    pub hit: usize,
    /// The others.
    pub never: Vec<String>,
    /// Transitions to which no world can come, with the reason, and how often one did all the same.
    pub excused: Vec<(String, &'static str, u64)>,
}

impl Coverage {
    /// Something happened there.
    pub fn hit(&mut self, cell: Cell) {
        self.hit_often(cell, 1);
    }

    /// The same so many times.
    pub fn hit_often(&mut self, cell: Cell, times: u64) {
        self.counts[offset(cell.machine) + cell.place] += times;
    }

    /// How often.
    #[must_use]
    pub fn count(&self, cell: Cell) -> u64 {
        self.counts[offset(cell.machine) + cell.place]
    }

    /// What another one hit, too.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// How each table was covered.
    #[must_use]
    pub fn tables(&self) -> Vec<Covered> {
        TABLES.iter().map(|table| self.covered(table)).collect()
    }

    fn covered(&self, table: &Table) -> Covered {
        let mut covered = Covered {
            table: table.name,
            transitions: 0,
            hit: 0,
            never: Vec::new(),
            excused: Vec::new(),
        };
        for place in (0..table.cells).filter(|&place| (table.is_transition)(place)) {
            let count = self.count(Cell {
                machine: table.machine,
                place,
            });
            let label = (table.label)(place);
            if let Some(reason) = (table.excuse)(place) {
                covered.excused.push((label, reason, count));
                continue;
            }
            covered.transitions += 1;
            if count > 0 {
                covered.hit += 1;
            } else {
                covered.never.push(label);
            }
        }
        covered
    }
}

fn offset(machine: Machine) -> usize {
    let before = TABLES.iter().take_while(|table| table.machine != machine);
    before.map(|table| table.cells).sum()
}

/// A part of a committed page: under a heading of level 2, or the whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its heading.
    pub(crate) title: String,
    /// What stands above the columns but the first.
    pub(crate) columns: Vec<String>,
    /// The first cell of each row, and the others.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// The tables of a committed page.
pub(crate) fn page(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push(Section {
                title: heading.to_owned(),
                ..Section::default()
            });
        }
        let (Some(row), Some(section)) = (line.strip_prefix("| "), sections.last_mut()) else {
            continue;
        };
        let mut cells = row.trim_end_matches(" |").split(" | ").map(str::to_owned);
        let first = cells.next().unwrap_or_default();
        if first == "event" || first == "|" || first.starts_with("| ") {
            section.columns = cells.collect();
        } else {
            section.rows.push((first, cells.collect()));
        }
    }
    sections.retain(|section| !section.rows.is_empty());
    sections
}

/// Of a page with a section per state and columns for what is said and for the state behind: whether anything happens in a
/// row, counted over all sections.
pub(crate) fn something_happens(text: &str, place: usize) -> bool {
    let rows = page(text).into_iter().flat_map(|section| {
        let state = first_word(&section.title);
        let rows = section.rows.into_iter();
        rows.map(move |(_, cells)| {
            let [said, then] = cells.as_slice() else {
                return true;
            };
            !said.trim().is_empty() || first_word(then) != state
        })
    });
    rows.collect::<Vec<bool>>()[place]
}

fn first_word(text: &str) -> String {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_place_of_its_own() {
        let mut coverage = Coverage::default();
        for table in TABLES {
            for place in 0..table.cells {
                let machine = table.machine;
                coverage.hit(Cell { machine, place });
            }
        }
        assert!(coverage.counts.iter().all(|&count| count == 1));
        assert!(coverage.tables().iter().all(|it| it.never.is_empty()));
    }
}
