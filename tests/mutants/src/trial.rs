//! Is a mutant caught?
//!
//! Each trial is one run of the copy's program, whose environment chooses the mutant: over the seed that is written down,
//! or over seeds until one catches it.

use core::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::caught::Caught;
use crate::inject::number;
use crate::workshop::CHOSEN;
use crate::worlds::KINDS;

/// What the program says of seeds: `broken <seed> <violation>`, or this.
pub const KEPT: &str = "kept";
/// See [`KEPT`].
pub const BROKEN: &str = "broken";
/// The command of the program that tries seeds.
pub const TRY: &str = "try";

/// The program of a copy.
#[derive(Clone, Debug)]
pub struct Bench {
    program: PathBuf,
}

/// Spans of seeds that are searched one after the other, in every kind of world: most mutants need a few.
const SPANS: [u64; 5] = [40, 400, 2_000, 8_000, u64::MAX];

impl Bench {
    /// With the program at `program`.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
        }
    }

    /// The first of `seeds` that breaks a promise under the mutant at `index` of the list, or under none.
    ///
    /// # Errors
    /// The program did not answer.
    pub fn first_broken(
        &self,
        mutant: Option<usize>,
        kind: &str,
        seeds: Range<u64>,
    ) -> Result<Option<(u64, String)>, String> {
        let chosen = mutant.map_or(0, number);
        let (from, count) = (seeds.start, seeds.end - seeds.start);
        let ran = Command::new(&self.program)
            .args([TRY, kind, &from.to_string(), &count.to_string()])
            .env(CHOSEN, chosen.to_string())
            .output();
        let output = ran.map_err(|why| format!("`{}`: {why}", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let mut words = said.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(KEPT), None, None) => Ok(None),
            (Some(BROKEN), Some(seed), Some(violation)) => {
                let seed = seed.parse().map_err(|_| format!("`{said}` is no answer"))?;
                Ok(Some((seed, violation.to_owned())))
            }
            _ => Err(format!(
                "mutant number {chosen}, {kind} worlds from seed {from}: {}, it said `{said}{}`",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    /// Whether the world of a seed breaks a promise under the mutant, and keeps it without: what it says first.
    ///
    /// # Errors
    /// The program did not answer.
    pub fn catches(&self, mutant: usize, kind: &str, seed: u64) -> Result<Option<String>, String> {
        let only = seed..seed + 1;
        let Some((_, violation)) = self.first_broken(Some(mutant), kind, only.clone())? else {
            return Ok(None);
        };
        let without = self.first_broken(None, kind, only)?;
        Ok(without.is_none().then_some(violation))
    }

    /// A seed that catches the mutant: the lowest of the first kind of world that has one among so many, up to `most` (or
    /// as many as take the same time).
    ///
    /// # Errors
    /// The program did not answer.
    pub fn search(&self, mutant: usize, most: u64) -> Result<Option<Caught>, String> {
        let mut searched = 0;
        for span in SPANS {
            let until = searched.max(span.min(most));
            for (kind, _, cost) in KINDS {
                let seeds = searched / cost + 1..until / cost + 1;
                if let Some(found) = self.search_in(mutant, kind, seeds)? {
                    return Ok(Some(found));
                }
            }
            searched = until;
        }
        Ok(None)
    }

    fn search_in(
        &self,
        mutant: usize,
        kind: &str,
        seeds: Range<u64>,
    ) -> Result<Option<Caught>, String> {
        let mut from = seeds.start;
        while from < seeds.end {
            let broken = self.first_broken(Some(mutant), kind, from..seeds.end)?;
            let Some((seed, violation)) = broken else {
                break;
            };
            // A seed that breaks a promise anyhow says nothing of the mutant.
            if self.first_broken(None, kind, seed..seed + 1)?.is_none() {
                let kind = kind.to_owned();
                return Ok(Some(Caught {
                    kind,
                    seed,
                    violation,
                }));
            }
            from = seed + 1;
        }
        Ok(None)
    }
}

/// Does `work` for every item, on so many threads at once; the answers are in the order of the items. `done` hears of each
/// answer as it comes.
pub fn each<T: Sync, A: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> A + Sync,
    done: impl Fn(&T, &A) + Sync,
) -> Vec<A> {
    let next = Mutex::new(0..items.len());
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let turn = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(index) = turn() {
                    let answer = work(&items[index]);
                    done(&items[index], &answer);
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.push((index, answer));
                }
            });
        }
    });
    let answers = answers.into_inner();
    let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|&(index, _)| index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_the_order_of_what_was_asked_however_many_work() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            let answers = each(&items, threads, |it| it * 2, |_, _| ());
            assert!(
                answers
                    .iter()
                    .zip(&items)
                    .all(|(answer, it)| *answer == it * 2)
            );
            assert_eq!(answers.len(), items.len());
        }
    }
}
