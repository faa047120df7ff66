//! How do many worlds fill all cores?
//!
//! ```text
//!  next seed ─► thread ─► world ─► tally ─┐
//!  next seed ─► thread ─► world ─► tally ─┴─► Report
//! ```
//!
//! Threads share a counter and nothing else; each adds up what its worlds had in them, and the sums are put together at
//! the end. So a report does not depend on how many threads there were, but where the time ended it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::world::facts::{Facts, Sizes};
use crate::world::oracle::Violation;
use crate::world::stats::Census;
use crate::world::{self, Kind, Outcome};

/// Which worlds are tried.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// Of which kinds; each seed is one world of each.
    pub kinds: Vec<Kind>,
    /// The first seed.
    pub from: u64,
    /// How many seeds at most.
    pub seeds: u64,
    /// No world begins later than this after the first.
    pub within: Option<Duration>,
    /// How many threads.
    pub jobs: usize,
    /// No world begins when so many have failed.
    pub most_failures: u64,
}

/// How far a swarm has come; may be read and set while it works.
#[derive(Debug, Default)]
pub struct Progress {
    worlds: AtomicU64,
    failed: AtomicU64,
    simulated_us: AtomicU64,
    news: Mutex<Vec<Failure>>,
    stop: AtomicBool,
}

impl Progress {
    /// Worlds that ended.
    #[must_use]
    pub fn worlds(&self) -> u64 {
        self.worlds.load(Ordering::Relaxed)
    }

    /// Worlds that broke a promise.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Virtual time that passed in all of them.
    #[must_use]
    pub fn simulated(&self) -> Duration {
        Duration::from_micros(self.simulated_us.load(Ordering::Relaxed))
    }

    /// The worlds that broke a promise since this was asked last.
    #[must_use]
    pub fn news(&self) -> Vec<Failure> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        core::mem::take(&mut *news)
    }

    /// No further world begins.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn note(&self, kind: Kind, outcome: &Outcome) {
        let lasted = u64::try_from(outcome.lasted.as_micros()).unwrap_or(u64::MAX);
        self.simulated_us.fetch_add(lasted, Ordering::Relaxed);
        if let Some(failure) = Failure::of(kind, outcome) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            news.push(failure);
        }
        self.worlds.fetch_add(1, Ordering::Relaxed);
    }
}

/// A world that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// Its seed.
    pub seed: u64,
    /// The first promise.
    pub violation: Violation,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "seed {} ({}): {}", self.seed, self.kind, self.violation)
    }
}

impl Failure {
    fn of(kind: Kind, outcome: &Outcome) -> Option<Self> {
        let first = outcome.violations.first()?;
        Some(Self {
            kind,
            seed: outcome.seed,
            violation: first.clone(),
        })
    }
}

/// What came of a swarm.
#[derive(Debug, Default)]
pub struct Report {
    /// What was exercised.
    pub census: Census,
    /// Which transitions of the committed tables.
    pub coverage: Coverage,
    /// How much each world had in it.
    pub sizes: Sizes,
    /// Worlds that broke a promise, by seed.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Virtual time by real time, all threads together.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.sizes.total().simulated.as_secs_f64() / self.took.as_secs_f64().max(1e-9)
    }

    fn take(&mut self, kind: Kind, outcome: &Outcome) {
        self.census.take(&outcome.stats);
        self.coverage.add(&outcome.coverage);
        self.sizes.take(Facts::of(outcome));
        self.failures.extend(Failure::of(kind, outcome));
    }

    fn merge(&mut self, other: Self) {
        self.census.merge(&other.census);
        self.coverage.add(&other.coverage);
        self.sizes.merge(other.sizes);
        self.failures.extend(other.failures);
    }
}

impl Swarm {
    /// Runs the worlds. `progress` is written while it works.
    ///
    /// # Panics
    /// When a world did: that is a defect of the world or of a machine in it, and the message names the seed.
    #[must_use]
    pub fn run(&self, progress: &Progress) -> Report {
        let (began, next) = (Instant::now(), AtomicU64::new(0));
        let worlds = self.seeds.saturating_mul(self.kinds.len() as u64);
        let work = || {
            let mut report = Report::default();
            loop {
                let late = self.within.is_some_and(|within| began.elapsed() >= within);
                let enough = progress.failed() >= self.most_failures;
                if late || enough || progress.stop.load(Ordering::Relaxed) {
                    return report;
                }
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= worlds {
                    return report;
                }
                let (kind, seed) = self.world(number);
                let running = Running { kind, seed };
                let outcome = world::run(kind.draw(seed), 0);
                core::mem::forget(running);
                progress.note(kind, &outcome);
                report.take(kind, &outcome);
            }
        };
        let mut report = Report::default();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                match thread.join() {
                    Ok(part) => report.merge(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        report.failures.sort_by_key(|failure| failure.seed);
        report.took = began.elapsed();
        report
    }

    /// The kind and the seed of the world of that number.
    fn world(&self, number: u64) -> (Kind, u64) {
        let kinds = self.kinds.len() as u64;
        let kind = self.kinds[(number % kinds) as usize];
        (kind, self.from.wrapping_add(number / kinds))
    }
}

/// Says which world it was that panicked.
struct Running {
    kind: Kind,
    seed: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let replay = world::replay_command(self.kind, self.seed);
        eprintln!("a world panicked: {replay}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(jobs: usize) -> Swarm {
        Swarm {
            kinds: vec![Kind::Alone, Kind::Pair],
            from: 5,
            seeds: 10,
            within: None,
            jobs,
            most_failures: 1,
        }
    }

    #[test]
    fn a_report_does_not_depend_on_how_many_threads_there_were() {
        let [one, three] = [1, 3].map(|jobs| swarm(jobs).run(&Progress::default()));
        assert_eq!(one.census.to_string(), three.census.to_string());
        assert_eq!(one.coverage, three.coverage);
        assert_eq!(one.sizes.total(), three.sizes.total());
        assert_eq!(one.sizes.median(), three.sizes.median());
        assert_eq!(one.sizes.worlds(), 20);
    }

    #[test]
    fn a_swarm_that_is_stopped_begins_nothing() {
        let progress = Progress::default();
        progress.stop();
        assert_eq!(swarm(2).run(&progress).sizes.worlds(), 0);
        let late = Swarm {
            within: Some(Duration::ZERO),
            ..swarm(2)
        };
        assert_eq!(late.run(&Progress::default()).sizes.worlds(), 0);
    }
}
