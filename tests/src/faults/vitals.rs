//! Does a process grow?
//!
//! Resident memory and open descriptors of every process, looked at while the run goes on. A process is judged life by
//! life: what is behind its warm-up is cut into quarters, and the median of the last must not exceed that of the first by
//! more than a twentieth.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::lab::limit::descriptors;

/// What a life needs behind its warm-up before anything is said of it.
const LEAST: Duration = Duration::from_secs(60);
/// Growth allowed: one part in so many.
const ALLOWED: u64 = 20;

/// One look at one process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample {
    /// Since the run began.
    pub at: Duration,
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// All looks, by process and life.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    lives: BTreeMap<(String, u32), Vec<Sample>>,
}

/// What is said of one life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// Which process.
    pub name: String,
    /// Its id.
    pub pid: u32,
    /// Its warm-up, of which nothing is said.
    pub warm_up: Duration,
    /// How long it was looked at behind that.
    pub span: Duration,
    /// Resident memory at the beginning and at the end of that, KiB.
    pub resident_kib: [u64; 2],
    /// Open descriptors likewise.
    pub descriptors: [u64; 2],
}

impl Vitals {
    /// Looks at a process; one that is gone is not there.
    pub fn look(&mut self, name: &str, pid: u32, at: Duration) {
        let sample = resident_kib(pid).zip(descriptors(pid));
        if let Some((resident_kib, descriptors)) = sample {
            let life = self.lives.entry((name.to_owned(), pid)).or_default();
            life.push(Sample {
                at,
                resident_kib,
                descriptors: descriptors as u64,
            });
        }
    }

    /// Every life that was long enough to say something of; `warm_up` says of a process' name how long it fills what is
    /// filled once.
    #[must_use]
    pub fn judged(&self, warm_up: impl Fn(&str) -> Duration) -> Vec<Judged> {
        let lives = self.lives.iter();
        lives
            .filter_map(|((name, pid), life)| judge(name, *pid, life, warm_up(name)))
            .collect()
    }

    /// All samples, as a table for machines.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = "process,pid,at_s,resident_kib,descriptors\n".to_owned();
        for ((name, pid), life) in &self.lives {
            for it in life {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "{name},{pid},{:.1},{},{}",
                    it.at.as_secs_f64(),
                    it.resident_kib,
                    it.descriptors
                );
            }
        }
        text
    }
}

impl Judged {
    /// What grew.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let (name, pid) = (&self.name, self.pid);
        let grown = |[first, last]: [u64; 2], what: &str, least: u64| {
            let most = first + (first / ALLOWED).max(least);
            (last > most).then(|| format!("{name} ({pid}): {what} grew from {first} to {last}"))
        };
        let memory = grown(self.resident_kib, "resident KiB", 0);
        // A connection more or less in the moment of a look.
        let open = grown(self.descriptors, "descriptors", 1);
        memory.into_iter().chain(open).collect()
    }
}

fn judge(name: &str, pid: u32, life: &[Sample], warm_up: Duration) -> Option<Judged> {
    let born = life.first()?.at;
    let warm = life.partition_point(|it| it.at < born + warm_up);
    let rest = life.get(warm..).filter(|rest| rest.len() >= 8)?;
    let span = rest.last()?.at - rest.first()?.at;
    if span < LEAST {
        return None;
    }
    let quarter = rest.len() / 4;
    let ends = [&rest[..quarter], &rest[rest.len() - quarter..]];
    Some(Judged {
        name: name.to_owned(),
        pid,
        warm_up,
        span,
        resident_kib: ends.map(|end| median(end, |it| it.resident_kib)),
        descriptors: ends.map(|end| median(end, |it| it.descriptors)),
    })
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// `VmRSS` of proc_pid_status(5).
fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(of: impl Fn(u64) -> (u64, u64)) -> Vitals {
        let samples = (0..200).map(|second| {
            let (resident_kib, descriptors) = of(second);
            Sample {
                at: Duration::from_secs(second),
                resident_kib,
                descriptors,
            }
        });
        Vitals {
            lives: [(("p".to_owned(), 1), samples.collect())].into(),
        }
    }

    fn broken(of: impl Fn(u64) -> (u64, u64)) -> usize {
        let judged = life(of).judged(|_| Duration::from_secs(60));
        assert_eq!(judged.len(), 1);
        judged[0].broken().len()
    }

    #[test]
    fn what_grows_behind_its_warm_up_is_found_and_what_only_warms_up_is_not() {
        assert_eq!(broken(|_| (10_000, 20)), 0);
        assert_eq!(broken(|second| (10_000 * second.min(50), 20)), 0);
        // By 4 and by 9 of 100 from the middle of the first quarter to that of the last.
        assert_eq!(broken(|second| (10_000 + second * 4, 20)), 0);
        assert_eq!(broken(|second| (10_000 + second * 9, 20)), 1);
        assert_eq!(broken(|second| (10_000, 20 + second / 40)), 1);
        assert_eq!(broken(|second| (10_000 + second * 9, 20 + second / 40)), 2);
        // One that comes and goes.
        assert_eq!(broken(|second| (10_000, 20 + second % 2)), 0);
    }

    #[test]
    fn a_process_is_judged_behind_its_own_warm_up() {
        // Fills for 90 of 200 s, as one does whose name says so, and not as any other.
        let Vitals { lives } = life(|second| (10_000 * second.clamp(45, 90), 20));
        let samples = lives.into_values().next().unwrap_or_default();
        let of = |name: &str| (name.to_owned(), 1);
        let vitals = Vitals {
            lives: [(of("slow"), samples.clone()), (of("swift"), samples)].into(),
        };
        let judged = vitals.judged(|name| match name {
            "slow" => Duration::from_secs(90),
            _ => Duration::from_secs(60),
        });
        let broken = judged.iter().map(|it| (&*it.name, it.broken().len()));
        assert_eq!(broken.collect::<Vec<_>>(), [("slow", 0), ("swift", 1)]);
    }

    #[test]
    fn of_a_short_life_nothing_is_said() {
        let judged = life(|_| (1, 1)).judged(|_| Duration::from_secs(150));
        assert_eq!(judged, Vec::new());
    }
}
