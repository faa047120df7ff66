//! How late were they, by the floor of the same round?

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rate::Rate;
use super::way::Way;
use crate::error::Error;
use crate::host::Host;
use crate::report::hgrm::{self, histogram};
use crate::stats::Sample;

/// What the subscriber's process says in the end.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Heard {
    /// How late records were: [ns, how many].
    pub(crate) late: Vec<[u64; 2]>,
    /// Numbers that were told, or came first.
    pub(crate) records: u64,
    /// Copies of those.
    pub(crate) copies: u64,
    /// Gaps, resets and whatever else is no record.
    pub(crate) broken: u64,
    /// Datagrams that the kernel dropped, as far as it says.
    pub(crate) dropped: u64,
}

/// One way in one round.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) heard: Heard,
    /// Bytes of the datagram that carried one record, if there was one.
    pub(super) datagram: Option<usize>,
    /// Numbers that were sent.
    pub(super) sent: u64,
}

/// One way at one rate, over rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    way: Way,
    rate: Rate,
    /// Bytes of the datagram that carries one record, if there is one.
    datagram: Option<usize>,
    count: u64,
    /// ns, over all rounds.
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    /// By that of the floor in the same round, if it was measured: the least, the median and the most of the rounds.
    p50_by_floor: Option<[f64; 3]>,
    p99_by_floor: Option<[f64; 3]>,
    /// Records that did not come, in rounds that are counted all the same.
    lost: u64,
    /// Copies of what had come on the other leg.
    copies: u64,
    dropped: u64,
    broken: u64,
    #[serde(skip)]
    late: Vec<[u64; 2]>,
}

/// All of them, and where and how they were measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) host: Host,
    pub(super) size: usize,
    pub(super) every_us: u64,
    pub(super) rounds: usize,
    pub(super) round_ms: u64,
    pub(super) cores: [usize; 2],
    pub(super) rows: Vec<Row>,
}

impl Row {
    /// Of one way at one rate.
    pub(super) fn of((way, rate): (Way, Rate), rounds: &[Came], floor: Option<&[Came]>) -> Self {
        let all = histogram(rounds.iter().flat_map(|came| &came.heard.late));
        let at = |quantile| all.value_at_quantile(quantile);
        let sum = |of: fn(&Heard) -> u64| rounds.iter().map(|came| of(&came.heard)).sum::<u64>();
        let sent: u64 = rounds.iter().map(|came| came.sent).sum();
        Self {
            way,
            rate,
            datagram: rounds.last().and_then(|came| came.datagram),
            count: all.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: all.max(),
            p50_by_floor: floor.map(|floor| ratios(rounds, floor, 0.5)),
            p99_by_floor: floor.map(|floor| ratios(rounds, floor, 0.99)),
            lost: sent.saturating_sub(sum(|heard| heard.records)),
            dropped: sum(|heard| heard.dropped),
            broken: sum(|heard| heard.broken),
            copies: sum(|heard| heard.copies),
            late: hgrm::counts(&all),
        }
    }

    pub(super) fn ours(&self) -> bool {
        self.way.ours()
    }

    /// Whether everything came once and in order, or a socket says why not.
    pub(super) const fn sound(&self) -> bool {
        self.broken == 0 && (self.lost == 0 || self.dropped > 0)
    }
}

/// That quantile by the floor's of the same round: the least, the median and the most.
fn ratios(rounds: &[Came], floor: &[Came], quantile: f64) -> [f64; 3] {
    let of = |came: &Came| histogram(&came.heard.late).value_at_quantile(quantile);
    // In thousandths.
    let ratio = |(here, there)| of(here).saturating_mul(1_000) / of(there).max(1);
    let ratios = Sample::new(rounds.iter().zip(floor).map(ratio).collect());
    [0.0, 50.0, 100.0].map(|at| ratios.percentile(at).unwrap_or(0) as f64 / 1_000.0)
}

impl Figures {
    /// Writes the figures as JSON, and a `.hgrm` of each row beside them.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
        for row in &self.rows {
            let beside = path.with_file_name(format!("{}-{}.hgrm", row.way.key(), row.rate));
            let mut bytes = Vec::new();
            hgrm::write(&mut bytes, &row.late).map_err(Error::write(&beside))?;
            std::fs::write(&beside, bytes).map_err(Error::write(&beside))?;
        }
        Ok(())
    }

    /// Prints the table.
    pub(super) fn print(&self) {
        println!(
            "{}; publisher on core {}, subscriber on core {}",
            self.host, self.cores[0], self.cores[1]
        );
        println!(
            "records of {} bytes, each sent alone, loopback; {} rounds of {} ms each; how late, or half of the way there and back, µs\n",
            self.size, self.rounds, self.round_ms
        );
        println!(
            "{:<17}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>10}{:>24}{:>26}{:>7}",
            "way",
            "a second",
            "datagram",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "p50 by floor's",
            "p99 by floor's",
            "lost"
        );
        for row in &self.rows {
            row.print();
        }
        for row in self.rows.iter().filter(|row| row.dropped + row.broken > 0) {
            println!(
                "{} at {}: {} datagrams dropped by a receiver's socket, {} gaps and the like",
                row.way.words(),
                row.rate,
                row.dropped,
                row.broken
            );
        }
        let _ = std::io::stdout().flush();
    }
}

impl Row {
    fn print(&self) {
        let us = |ns: u64| ns as f64 / 1_000.0;
        let ratio = |ratio: Option<[f64; 3]>| match ratio {
            Some([least, median, most]) => format!("{median:.2} ({least:.2} … {most:.2})"),
            None => "–".to_owned(),
        };
        let datagram = self.datagram.map(|bytes| bytes.to_string());
        println!(
            "{:<17}{:>10}{:>10}{:>9.2}{:>9.2}{:>9.2}{:>9.1}{:>10.1}{:>24}{:>26}{:>7}",
            self.way.words(),
            self.rate,
            datagram.as_deref().unwrap_or("–"),
            us(self.p50),
            us(self.p90),
            us(self.p99),
            us(self.p999),
            us(self.max),
            ratio(self.p50_by_floor),
            ratio(self.p99_by_floor),
            self.lost
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let came = |ns: u64| Came {
            heard: Heard {
                late: vec![[ns, 100]],
                records: 100,
                ..Heard::default()
            },
            datagram: None,
            sent: 101,
        };
        let (floor, here) = ([came(1_000), came(4_000)], [came(2_000), came(4_000)]);
        let row = Row::of((Way::TwoLegs, Rate::Fixed(10)), &here, Some(&floor));
        assert_eq!(row.p50_by_floor, Some([1.0, 1.0, 2.0]));
        assert_eq!((row.count, row.lost, row.max), (200, 2, 4_001));
        let alone = Row::of((Way::TwoLegs, Rate::PingPong), &here, None);
        assert_eq!(alone.p50_by_floor, None);
    }
}
