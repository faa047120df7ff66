//! What came out, line by line.

use std::fmt;

use super::scene::End;
use super::{Cell, Evidence, Owed};

/// One cell.
#[derive(Debug)]
pub struct Row {
    /// What was done.
    pub cell: Cell,
    /// How often.
    pub turns: usize,
    /// What shows that it happened, summed over all turns.
    pub evidence: Vec<Evidence>,
    /// What came out.
    pub end: End,
    /// What was promised and not kept, or not done.
    pub broken: Vec<String>,
}

impl Row {
    pub(super) fn new(cell: Cell) -> Self {
        Self {
            cell,
            turns: 0,
            evidence: Vec::new(),
            end: End::default(),
            broken: Vec::new(),
        }
    }

    pub(super) fn take_turn(&mut self, turn: usize, evidence: &[Evidence]) {
        self.turns += 1;
        if evidence.is_empty() {
            self.broken
                .push(format!("turn {turn}: nothing shows that it happened"));
        }
        for it in evidence {
            if it.count == 0 {
                self.broken.push(format!("turn {turn}: no {}", it.what));
            }
            match self.evidence.iter_mut().find(|sum| sum.what == it.what) {
                Some(sum) => sum.count += it.count,
                None => self.evidence.push(*it),
            }
        }
    }

    pub(super) fn take_end(&mut self, mut end: End) {
        self.broken.append(&mut end.broken);
        if self.cell.owed == Owed::ToldOfGaps && end.declared + end.filled == 0 {
            self.broken
                .push("nothing was declared missing or filled: nothing was lost".to_owned());
        }
        self.end = end;
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self
            .evidence
            .iter()
            .map(|it| format!("{} {}", it.count, it.what));
        let dropped: u64 = self.end.duplicates_dropped.iter().sum();
        write!(
            f,
            "| {} | {} | {} | {} | {dropped} | {} | {}, {} | {} |",
            self.cell.name,
            self.turns,
            evidence.collect::<Vec<_>>().join(", "),
            self.end.messages,
            self.end.switches,
            self.end.declared,
            self.end.filled,
            self.broken.len()
        )
    }
}

/// Names the columns.
pub const HEAD: &str = "| cell | turns | what shows that it happened | source messages | duplicates dropped | switches | declared missing, or filled, where lost | broken promises |\n|---|---|---|---|---|---|---|---|";
