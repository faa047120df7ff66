//! What a source says, by chance.

use proptest::prelude::*;

use super::R;

/// Fewer than `most` messages of one to three parts; some numbers carry nothing.
pub fn source(most: usize) -> impl Strategy<Value = Vec<R>> {
    prop::collection::vec((1..4_u64, 1..4_u16), 1..most).prop_map(|steps| {
        let mut records = Vec::new();
        let mut prev = 0;
        for (step, parts) in steps {
            let sseq = prev + step;
            for part in 0..parts {
                records.push((sseq, part, part + 1 == parts, prev));
            }
            prev = sseq;
        }
        records
    })
}
