//! Which source numbers of one epoch?

use std::ops::Range;

/// Source numbers of one epoch: ranges in rising order that neither touch nor overlap.
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) fn of(ranges: impl Iterator<Item = Range<u64>>) -> Self {
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Self(ranges)
    }

    pub(super) fn contains(&self, sseq: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= sseq);
        self.0.get(at).is_some_and(|range| range.contains(&sseq))
    }
}
