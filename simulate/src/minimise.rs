//! What is the least that still goes wrong?
//!
//! A failing world is tried again with less in it: shorter lives first, then without halves of its parts, then without
//! quarters, and so on down to single ones. Whatever fails in the same way stays out. The effort is bounded; what is left
//! when it ends is not the smallest world, but one that fails.

use crate::trim::{Part, Trim};
use crate::world::oracle::Violation;
use crate::world::{self, Kind};

/// What is left of a failing world.
#[derive(Clone, Debug)]
pub struct Smallest {
    /// What was left out.
    pub trim: Trim,
    /// The promise that it breaks.
    pub violation: Violation,
    /// Worlds that were run for it.
    pub runs: usize,
    /// Parts that the whole world had.
    pub parts: usize,
}

/// Leaves out of the world of `seed` what does not matter to how it fails; runs at most `effort` worlds. `None`: it does
/// not fail.
#[must_use]
pub fn minimise(kind: Kind, seed: u64, effort: usize) -> Option<Smallest> {
    let mut search = Search {
        kind,
        seed,
        effort,
        runs: 0,
        alike: None,
    };
    let trim = Trim::default();
    let violation = search.fails(&trim)?;
    search.alike = Some(shape(&violation));
    let parts = Trim::parts_of(&kind.draw(seed));
    let mut smallest = Smallest {
        trim,
        violation,
        runs: 0,
        parts: parts.len(),
    };
    search.shorten(&mut smallest);
    search.leave_out(parts, &mut smallest);
    smallest.runs = search.runs;
    Some(smallest)
}

struct Search {
    kind: Kind,
    seed: u64,
    effort: usize,
    runs: usize,
    /// How it must fail.
    alike: Option<String>,
}

impl Search {
    fn fails(&mut self, trim: &Trim) -> Option<Violation> {
        if self.runs >= self.effort {
            return None;
        }
        self.runs += 1;
        let plan = trim.apply(self.kind.draw(self.seed));
        let violation = world::run(plan, 0).violations.into_iter().next()?;
        let alike = self.alike.as_ref();
        alike
            .is_none_or(|alike| *alike == shape(&violation))
            .then_some(violation)
    }

    fn shorten(&mut self, smallest: &mut Smallest) {
        for percent in [50, 25, 12, 6] {
            let trim = smallest.trim.keeping(percent);
            let Some(violation) = self.fails(&trim) else {
                return;
            };
            (smallest.trim, smallest.violation) = (trim, violation);
        }
    }

    fn leave_out(&mut self, mut parts: Vec<Part>, smallest: &mut Smallest) {
        let mut size = parts.len().div_ceil(2);
        while size > 0 && self.runs < self.effort {
            let mut kept = Vec::new();
            for chunk in parts.chunks(size) {
                let trim = smallest.trim.and(chunk);
                match self.fails(&trim) {
                    Some(violation) => (smallest.trim, smallest.violation) = (trim, violation),
                    None => kept.extend_from_slice(chunk),
                }
            }
            parts = kept;
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
}

/// A violation without its numbers: what two worlds have in common that fail alike.
fn shape(violation: &Violation) -> String {
    let mut shape = String::new();
    let mut words = violation.what.split_inclusive(' ');
    for word in &mut words {
        if word.contains(|letter: char| letter.is_ascii_digit()) {
            if !shape.ends_with('#') {
                shape.push('#');
            }
        } else {
            shape.push_str(word);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use twinfeed_protocol::time::Time;
    use twinfeed_wire::Sid;

    use super::*;

    fn violation(what: &str) -> Violation {
        Violation {
            at: Time::ZERO,
            subscriber: 0,
            sid: Sid(1),
            what: what.into(),
        }
    }

    #[test]
    fn a_promise_is_known_without_its_numbers() {
        let one = shape(&violation("record 12.0 was told before"));
        assert_eq!(one, shape(&violation("record 4711.2 was told before")));
        assert_ne!(one, shape(&violation("record 12.0 lies before 13.0")));
    }

    #[test]
    fn a_world_that_keeps_its_promises_has_nothing_to_be_minimised() {
        assert!(minimise(Kind::Alone, 1, 10).is_none());
    }
}
