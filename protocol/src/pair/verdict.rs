//! Can the backup still place a message at the slot that the active announced?
//!
//! ```text
//!        B = A − 1                B = A − T             B = A − T − 1
//!  late ◄────┐ capable ───────────────────► capable │ far ──────────►
//!  B ≥ A     │  1 ≤ A − B ≤ T                       │  A − B > T
//! ```
//!
//! The whole of the strict rule (RM-25). A is the slot, B the msn most recently processed, T the
//! threshold. Nothing here knows time, and T is none.

use twinfeed_wire::Msn;
pub use twinfeed_wire::link::Verdict;

/// The verdict on slot `a` of a backup that has most recently processed `b`, under `threshold`.
#[must_use]
pub const fn judge(a: Msn, b: Msn, threshold: u64) -> Verdict {
    match a.0.checked_sub(b.0) {
        None | Some(0) => Verdict::Late,
        Some(distance) if distance <= threshold => Verdict::Capable,
        Some(_) => Verdict::Far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boundary table of RM-25, by hand: slot, most recently processed, threshold, verdict.
    const TABLE: [(u64, u64, u64, Verdict); 16] = [
        // B = A − 1: the last moment.
        (100, 99, 10, Verdict::Capable),
        // B = A and beyond: too late.
        (100, 100, 10, Verdict::Late),
        (100, 101, 10, Verdict::Late),
        (100, u64::MAX, 10, Verdict::Late),
        // A − B = T, and one more.
        (100, 90, 10, Verdict::Capable),
        (100, 89, 10, Verdict::Far),
        (100, 91, 10, Verdict::Capable),
        // T = 0: nothing can be synchronised.
        (100, 99, 0, Verdict::Far),
        (100, 100, 0, Verdict::Late),
        // T = 1: only the very next one.
        (100, 99, 1, Verdict::Capable),
        (100, 98, 1, Verdict::Far),
        // Nothing processed yet.
        (1, 0, 1, Verdict::Capable),
        (10, 0, 10, Verdict::Capable),
        (11, 0, 10, Verdict::Far),
        (1, 0, 0, Verdict::Far),
        // No threshold is too great to be worked with.
        (u64::MAX, 0, u64::MAX, Verdict::Capable),
    ];

    #[test]
    fn the_strict_rule_holds_at_every_edge_and_one_beyond() {
        for (a, b, threshold, verdict) in TABLE {
            let said = judge(Msn(a), Msn(b), threshold);
            assert_eq!(said, verdict, "A = {a}, B = {b}, T = {threshold}");
        }
    }

    #[test]
    fn the_rule_is_the_sentence_it_was_written_from() {
        for (a, b, t) in
            (0..8).flat_map(|a| (0..8).flat_map(move |b| (0..8).map(move |t| (a, b, t))))
        {
            let capable = b < a && a - b <= t;
            let late = b >= a;
            let said = judge(Msn(a), Msn(b), t);
            assert_eq!(said == Verdict::Capable, capable, "{a} {b} {t}");
            assert_eq!(said == Verdict::Late, late, "{a} {b} {t}");
        }
    }
}
