//! What does a kill cost the application, whichever system its redundancy is built on?
//!
//! Each line holds the kills of one system against the sham runs of the same sessions. A difference of percentiles is no percentile of differences: it says how much
//! further out the same share of runs lies.

use serde::Serialize;

use super::model::{CellReport, PeerReport, SettingReport, Spread};
use super::words::{count, maybe, ratio, time};
use crate::failover::cells::Trigger;
use crate::stats::Comparison;

/// One system.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KillLine {
    pub(crate) system: String,
    /// The longest silence after a kill, and after a sham.
    pub(crate) kill_ns: Option<Spread>,
    pub(crate) sham_ns: Option<Spread>,
    /// How much longer it is after a kill.
    pub(crate) excess_ns: Option<Excess>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) messages: u64,
    pub(crate) lost: u64,
    /// Given to the application twice, by whatever merges for it.
    pub(crate) duplicates_delivered: u64,
    pub(crate) duplicates_dropped: u64,
    pub(crate) order_violations: u64,
}

/// Percentiles of the kills less those of the shams, ns.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Excess {
    pub(crate) p50: i64,
    pub(crate) p90: i64,
    /// `null` below [`LEAST_FOR_P99`] runs on either side.
    pub(crate) p99: Option<i64>,
}

impl Excess {
    pub(crate) fn of(kill: Spread, sham: Spread) -> Self {
        // Both are far below 292 years.
        let less = |kill: u64, sham: u64| kill as i64 - sham as i64;
        let enough = kill.count.min(sham.count) >= LEAST_FOR_P99;
        Self {
            p50: less(kill.p50, sham.p50),
            p90: less(kill.p90, sham.p90),
            p99: enough.then(|| less(kill.p99, sham.p99)),
        }
    }
}

/// Fewest runs of which a 99th percentile is shown: ten lie beyond it.
const LEAST_FOR_P99: u64 = 1_000;

/// A line for each setting and each other system with kills.
pub(crate) fn kills(settings: &[SettingReport], peers: &[PeerReport]) -> Vec<KillLine> {
    let ours = settings
        .iter()
        .map(|it| (format!("twinfeed, {}", it.setting), &it.cells[..]));
    let theirs = peers
        .iter()
        .map(|it| (it.peer.word().to_owned(), &it.cells[..]));
    ours.chain(theirs)
        .filter_map(|(system, cells)| line(system, cells))
        .collect()
}

fn line(system: String, cells: &[CellReport]) -> Option<KillLine> {
    let of = |trigger| cells.iter().find(|cell| cell.trigger == trigger);
    let kill = of(Trigger::Kill)?;
    let (kill_ns, sham_ns) = (kill.stall_ns, of(Trigger::Sham).and_then(|it| it.stall_ns));
    let counts = &kill.counts;
    Some(KillLine {
        system,
        kill_ns,
        sham_ns,
        excess_ns: kill_ns
            .zip(sham_ns)
            .map(|(kill, sham)| Excess::of(kill, sham)),
        comparison: kill.comparison,
        messages: counts.messages,
        lost: counts.lost,
        duplicates_delivered: counts.duplicates_delivered,
        duplicates_dropped: counts.duplicates_dropped,
        order_violations: counts.order_violations,
    })
}

/// Column heads of [`KillLine::cells`], behind the system's.
pub(super) const HEADS: [&str; 17] = [
    "kills",
    "sham p50",
    "p90",
    "p99",
    "max",
    "kill p50",
    "p90",
    "p99",
    "max",
    "excess p50",
    "p90",
    "p99",
    "p90 ÷ sham",
    "lost",
    "twice",
    "disorder",
    "dropped",
];

impl KillLine {
    pub(super) fn cells(&self) -> [String; 17] {
        let of = |spread: Option<Spread>, pick: fn(Spread) -> u64| maybe(spread.map(pick));
        let p99 = |spread: Option<Spread>| {
            let enough = spread.filter(|it| it.count >= LEAST_FOR_P99);
            maybe(enough.map(|it| it.p99))
        };
        let excess = |pick: fn(Excess) -> Option<i64>| {
            let ns = self.excess_ns.and_then(pick);
            ns.map_or_else(|| "–".to_owned(), signed)
        };
        [
            self.kill_ns.map_or(0, |it| it.count).to_string(),
            of(self.sham_ns, |it| it.p50),
            of(self.sham_ns, |it| it.p90),
            p99(self.sham_ns),
            of(self.sham_ns, |it| it.max),
            of(self.kill_ns, |it| it.p50),
            of(self.kill_ns, |it| it.p90),
            p99(self.kill_ns),
            of(self.kill_ns, |it| it.max),
            excess(|it| Some(it.p50)),
            excess(|it| Some(it.p90)),
            excess(|it| it.p99),
            self.comparison
                .map_or_else(|| "–".to_owned(), |it| ratio(it.p90_ratio)),
            count(self.lost),
            count(self.duplicates_delivered),
            count(self.order_violations),
            count(self.duplicates_dropped),
        ]
    }
}

/// A time with its sign.
fn signed(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "+" };
    format!("{sign}{}", time(ns.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{run, session};
    use super::*;
    use crate::chance::Chance;
    use crate::failover::outcome::{Session, Standing};
    use crate::failover::peers::Peer;

    fn peer(runs: u64) -> PeerReport {
        let session = |stall| {
            let runs = vec![
                run(Trigger::Sham, 10_000 + stall, Standing::Clean),
                run(Trigger::Kill, 12_000 + stall * 2, Standing::Clean),
            ];
            session(1, runs)
        };
        let sessions: Vec<Session> = (1..=runs).map(session).collect();
        let wanted = [(Trigger::Kill, 3), (Trigger::Sham, 3)];
        PeerReport::new(Peer::Udp, &wanted, &sessions, 100, &mut Chance::seeded(1))
    }

    #[test]
    fn excess_is_the_difference_of_the_same_percentile() {
        let line = &kills(&[], &[peer(10)])[0];
        assert_eq!(line.system, "udp");
        let expected = Excess {
            p50: 12_010 - 10_005,
            p90: 12_018 - 10_009,
            p99: None,
        };
        assert_eq!(line.excess_ns, Some(expected));
        assert_eq!((line.messages, line.lost), (1_000, 10));
        let cells = line.cells();
        assert_eq!(
            (&*cells[0], &*cells[3], &*cells[10]),
            ("10", "–", "+2.01 µs")
        );
    }

    #[test]
    fn a_p99_needs_a_thousand_runs() {
        for (runs, shown) in [(999, false), (1_000, true)] {
            let line = &kills(&[], &[peer(runs)])[0];
            assert_eq!(line.excess_ns.unwrap().p99.is_some(), shown, "{runs}");
            assert_eq!(line.cells()[7] != "–", shown, "{runs}");
        }
    }

    #[test]
    fn less_than_a_sham_is_said_with_a_sign() {
        assert_eq!((&*signed(-1_500), &*signed(0)), ("−1.50 µs", "+0 ns"));
    }
}
