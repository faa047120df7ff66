//! What is said of it in the end.

use std::io::Write as _;

use serde::Serialize;

use super::Came;
use super::ways::{Pace, Way};
use crate::host::Host;
use crate::report::hgrm::histogram;
use crate::stats::spread;

/// One way at one pace, over rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    way: Way,
    pace: Pace,
    count: u64,
    /// ns, over all rounds.
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    /// By that of the floor in the same round: the least, the median and the most of the rounds.
    p50_by_floor: [f64; 3],
    p99_by_floor: [f64; 3],
    /// By that of the other system in the same round, if one is in this build.
    p50_by_peer: Option<[f64; 3]>,
    /// Million records a second, where they went as fast as they were taken: of the rounds, likewise.
    million_a_second: Option<[f64; 3]>,
    million_by_floor: Option<[f64; 3]>,
    lost: u64,
    /// Copies of what had come on the other leg.
    copies: u64,
    broken: u64,
    missing: u64,
}

impl Row {
    /// Whether all came, or is told as lost.
    pub(super) fn is_sound(&self) -> bool {
        self.broken == 0 && (self.missing == 0 || self.lost > 0)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) host: Host,
    pub(super) size: usize,
    pub(super) datagram: usize,
    pub(super) rounds: usize,
    pub(super) round_ms: u64,
    pub(super) cores: [usize; 2],
    pub(super) rows: Vec<Row>,
}

/// `others` are the floor's rounds and another system's; a way without a floor is its own.
pub(super) fn row(
    way: Way,
    pace: Pace,
    rounds: &[Came],
    others: [Option<&[Came]>; 2],
    expected: Option<u64>,
) -> Row {
    let all = histogram(rounds.iter().flat_map(|came| &came.late));
    let at = |quantile| all.value_at_quantile(quantile);
    let [floor, peer] = others;
    let floor = floor.unwrap_or(rounds);
    let by = |other: &[Came], quantile: f64| {
        let of = |came: &Came| histogram(&came.late).value_at_quantile(quantile) as f64;
        let pairs = rounds.iter().zip(other);
        spread(pairs.map(|(here, there)| of(here) / of(there).max(1.0)))
    };
    let speed = |came: &Came| came.records as f64 * 1_000.0 / came.ns.max(1) as f64;
    let fastest = pace == Pace::Most;
    let sum = |of: fn(&Came) -> u64| rounds.iter().map(of).sum::<u64>();
    let expected = expected.map_or(0, |each| each * rounds.len() as u64);
    Row {
        way,
        pace,
        count: all.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: all.max(),
        p50_by_floor: by(floor, 0.5),
        p99_by_floor: by(floor, 0.99),
        p50_by_peer: peer.filter(|_| !fastest).map(|peer| by(peer, 0.5)),
        million_a_second: fastest.then(|| spread(rounds.iter().map(speed))),
        million_by_floor: fastest.then(|| {
            let pairs = rounds.iter().zip(floor);
            spread(pairs.map(|(here, there)| speed(here) / speed(there)))
        }),
        lost: sum(|came| came.lost),
        copies: sum(|came| came.copies),
        broken: sum(|came| came.broken),
        missing: expected.saturating_sub(sum(|came| came.records)),
    }
}

pub(super) fn print(figures: &Figures) {
    println!(
        "{}; publisher on core {}, subscriber on core {}",
        figures.host, figures.cores[0], figures.cores[1]
    );
    println!(
        "records of {} bytes, one to a datagram of {} bytes, shared memory; {} rounds of {} ms each; how late, ns\n",
        figures.size, figures.datagram, figures.rounds, figures.round_ms
    );
    println!(
        "{:<14}{:>12}{:>9}{:>9}{:>9}{:>11}{:>12}{:>28}{:>28}{:>28}{:>9}",
        "way",
        "pace",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "p50 by floor's",
        "p99 by floor's",
        "p50 by Aeron's",
        "lost"
    );
    let words = |[least, median, most]: [f64; 3]| format!("{median:.2} ({least:.2} … {most:.2})");
    for row in &figures.rows {
        let (way, pace) = (row.way.words(), row.pace.words());
        if let (Some(speed), Some(by_floor)) = (row.million_a_second, row.million_by_floor) {
            println!(
                "{way:<14}{pace:>12}  {} million a second, by floor's {}; lost {}",
                words(speed),
                words(by_floor),
                row.lost
            );
            continue;
        }
        println!(
            "{way:<14}{pace:>12}{:>9}{:>9}{:>9}{:>11}{:>12}{:>28}{:>28}{:>28}{:>9}",
            row.p50,
            row.p90,
            row.p99,
            row.p999,
            row.max,
            words(row.p50_by_floor),
            words(row.p99_by_floor),
            row.p50_by_peer.map_or_else(|| "–".to_owned(), words),
            row.lost
        );
    }
    for row in figures.rows.iter().filter(|row| !row.is_sound()) {
        let (way, pace) = (row.way.words(), row.pace.words());
        println!(
            "{way} at {pace}: {} missing, {} gaps and the like",
            row.missing, row.broken
        );
    }
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let came = |ns: u64| Came {
            late: vec![[ns, 100]],
            records: 100,
            ns: 1_000,
            ..Came::default()
        };
        let (floor, here) = ([came(1_000), came(4_000)], [came(2_000), came(4_000)]);
        let of = |pace| {
            row(
                Way::Ring,
                pace,
                &here,
                [Some(&floor), Some(&here)],
                Some(101),
            )
        };
        let paced = of(Pace::Rate(100));
        assert_eq!(paced.p50_by_floor, [1.0, 1.0, 2.0]);
        assert_eq!(paced.p50_by_peer, Some([1.0; 3]));
        let row = of(Pace::Most);
        assert_eq!((row.p50_by_floor, row.p50_by_peer), ([1.0, 1.0, 2.0], None));
        assert_eq!((row.count, row.missing), (200, 2));
        assert_eq!(row.million_a_second, Some([100.0; 3]));
        assert!(!row.is_sound());
    }
}
