//! Which messages of one session were lost, and what was said of them?

use std::ops::Range;

/// Counted message by message, in rising order; only messages that become records.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    pub(super) messages: u64,
    /// Not delivered.
    pub(super) lost: u64,
    /// Of those, in a gap.
    pub(super) declared: u64,
    /// Delivered, and in a gap all the same.
    pub(super) belied: u64,
    /// Rows of which a part is in gaps and a part is not.
    pub(super) partial: u64,
    row: Row,
    /// All that was lost, in rising order.
    numbers: Vec<u64>,
}

/// Messages lost one after the other, with none delivered in between.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    declared: bool,
    undeclared: bool,
}

impl Losses {
    /// The next message: whether it is `there`, and whether a gap has `told` of it.
    pub(super) fn message(&mut self, sseq: u64, there: bool, told: bool) {
        self.messages += 1;
        match (there, told) {
            (true, _) => {
                self.belied += u64::from(told);
                self.end_row();
            }
            (false, _) => {
                self.lost += 1;
                self.declared += u64::from(told);
                self.row.declared |= told;
                self.row.undeclared |= !told;
                self.numbers.push(sseq);
            }
        }
    }

    /// After the last message.
    pub(super) fn end(mut self) -> Self {
        self.end_row();
        self
    }

    /// Whether any of these numbers was lost.
    pub(super) fn any_in(&self, range: Range<u64>) -> bool {
        let at = self.numbers.partition_point(|&lost| lost < range.start);
        self.numbers.get(at).is_some_and(|&lost| lost < range.end)
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        self.partial += u64::from(row.declared && row.undeclared);
    }
}
