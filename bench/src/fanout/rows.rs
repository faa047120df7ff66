//! What a send cost, and how late the first and the last subscriber were.

use std::io::Write as _;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Cell, Way};
use crate::cost::{self, Cost};
use crate::error::Error;
use crate::host::Host;
use crate::latency::rows::Heard;
use crate::report::hgrm::{self, histogram};
use crate::stats::spread;

/// One way to so many in one round.
#[derive(Clone, Debug)]
pub(super) struct Came {
    /// How long each send took, ns.
    pub(super) spent: Histogram<u64>,
    pub(super) sent: u64,
    /// What each subscriber heard.
    pub(super) heard: Vec<Heard>,
}

/// How late, ns.
#[derive(Clone, Debug, Serialize)]
struct Late {
    p50: u64,
    p99: u64,
    p999: u64,
    /// p50 by that of the bare sockets in the same round, if they were measured: the least, the median and the most of the rounds.
    p50_by_floor: Option<[f64; 3]>,
    #[serde(skip)]
    all: Vec<[u64; 2]>,
}

/// One way to so many, over rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    way: Way,
    subscribers: usize,
    /// ns of a send to all, the median of each round.
    send: Cost,
    /// By that of the bare sockets in the same round, likewise.
    send_by_floor: Option<[f64; 3]>,
    /// A subscriber's part of it by that of the fewest subscribers, of the same way and round.
    part_by_fewest: [f64; 3],
    first: Late,
    last: Late,
    /// Records that did not come, summed over subscribers.
    lost: u64,
    /// Datagrams that a receiver's socket dropped, as far as it says: bare sockets do not.
    dropped: u64,
    broken: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) host: Host,
    pub(super) rate: u64,
    pub(super) size: usize,
    pub(super) datagram: usize,
    pub(super) rounds: usize,
    pub(super) round_ms: u64,
    pub(super) cores: [usize; 2],
    pub(super) rows: Vec<Row>,
}

/// A row of each cell; of each way the first cell has the fewest subscribers.
pub(super) fn rows(cells: &[Cell], came: &[Vec<Came>]) -> Vec<Row> {
    let find = |wanted: Cell| {
        let at = cells.iter().position(|cell| *cell == wanted)?;
        Some(came[at].as_slice())
    };
    let row = |(cell, rounds): (&Cell, &Vec<Came>)| {
        let floor = find(Cell {
            way: cell.way.floor(),
            ..*cell
        });
        let fewest = cells.iter().find(|other| other.way == cell.way);
        let fewest = *fewest.unwrap_or(cell);
        let there = find(fewest).unwrap_or(rounds);
        row(*cell, rounds, floor, (fewest.subscribers, there))
    };
    cells.iter().zip(came).map(row).collect()
}

fn row(
    cell: Cell,
    rounds: &[Came],
    floor: Option<&[Came]>,
    (fewest, there): (usize, &[Came]),
) -> Row {
    let send = |came: &Came| came.spent.value_at_quantile(0.5);
    let ratio = |here: u64, there: u64| here as f64 / there.max(1) as f64;
    let sends = |there: &[Came]| {
        let pairs = rounds.iter().zip(there);
        spread(pairs.map(|(here, there)| ratio(send(here), send(there))))
    };
    let sum = |of: fn(&Heard) -> u64| {
        let heard = rounds.iter().flat_map(|came| &came.heard);
        heard.map(of).sum::<u64>()
    };
    let sent: u64 = rounds.iter().map(|came| came.sent).sum();
    let late = |of: fn(&Came) -> Histogram<u64>| {
        let median = |came: &Came| of(came).value_at_quantile(0.5);
        let mut all = histogram(&[]);
        for came in rounds {
            // A resizing histogram takes every other.
            let _ = all.add(of(came));
        }
        let by_floor = |floor: &[Came]| {
            let pairs = rounds.iter().zip(floor);
            spread(pairs.map(|(here, there)| ratio(median(here), median(there))))
        };
        Late {
            p50: all.value_at_quantile(0.5),
            p99: all.value_at_quantile(0.99),
            p999: all.value_at_quantile(0.999),
            p50_by_floor: floor.map(by_floor),
            all: hgrm::counts(&all),
        }
    };
    let part = fewest as f64 / cell.subscribers as f64;
    Row {
        way: cell.way,
        subscribers: cell.subscribers,
        send: Cost::of(
            rounds
                .iter()
                .map(|came| cost::tenths(send(came).into(), 1))
                .collect(),
        ),
        send_by_floor: floor.map(sends),
        part_by_fewest: sends(there).map(|ratio| ratio * part),
        first: late(|came| ends(came)[0].clone()),
        last: late(|came| ends(came)[1].clone()),
        lost: (sent * cell.subscribers as u64).saturating_sub(sum(|heard| heard.records)),
        dropped: sum(|heard| heard.dropped),
        broken: sum(|heard| heard.broken),
    }
}

/// How late the earliest and the latest of those were who were looked at.
fn ends(came: &Came) -> [Histogram<u64>; 2] {
    let late = came.heard.iter().map(|heard| histogram(&heard.late));
    let mut late: Vec<_> = late.filter(|late| !late.is_empty()).collect();
    late.sort_by_key(|late| late.value_at_quantile(0.5));
    let end = |late: Option<&Histogram<u64>>| late.cloned().unwrap_or_else(|| histogram(&[]));
    [end(late.first()), end(late.last())]
}

impl Row {
    /// Whether everything came to everybody once and in order, or a socket says why not. Of bare sockets nothing is promised.
    pub(super) fn is_sound(&self) -> bool {
        let promised = self.way != self.way.floor();
        !promised || self.broken == 0 && (self.lost == 0 || self.dropped > 0)
    }

    fn print(&self) {
        let us = |ns: u64| ns as f64 / 1_000.0;
        let [least, median, most] =
            [self.send.least, self.send.median, self.send.most].map(|ns| ns / 1_000.0);
        let by_floor = |ratio: Option<[f64; 3]>| ratio.map_or("–".to_owned(), words);
        println!(
            "{:<15}{:>6}{:>24}{:>7.2}{:>21}{:>21}{:>8.2}{:>8.2}{:>21}{:>8.2}{:>8.2}{:>21}{:>7}",
            self.way.words(),
            self.subscribers,
            format!("{median:.2} ({least:.2} … {most:.2})"),
            median / self.subscribers as f64,
            words(self.part_by_fewest),
            by_floor(self.send_by_floor),
            us(self.first.p50),
            us(self.first.p99),
            by_floor(self.first.p50_by_floor),
            us(self.last.p50),
            us(self.last.p99),
            by_floor(self.last.p50_by_floor),
            self.lost
        );
    }
}

fn words([least, median, most]: [f64; 3]) -> String {
    format!("{median:.2} ({least:.2} … {most:.2})")
}

impl Figures {
    pub(super) fn print(&self) {
        println!(
            "{}; publisher on core {}, subscribers on core {}",
            self.host, self.cores[0], self.cores[1]
        );
        println!(
            "records of {} bytes, each in a datagram of {} bytes, {} a second, loopback; {} rounds of {} ms each; µs\n",
            self.size, self.datagram, self.rate, self.rounds, self.round_ms
        );
        println!(
            "{:<15}{:>6}{:>24}{:>7}{:>21}{:>21}{:>8}{:>8}{:>21}{:>8}{:>8}{:>21}{:>7}",
            "way",
            "to",
            "send, p50",
            "each",
            "each by fewest's",
            "send by floor's",
            "first",
            "p99",
            "p50 by floor's",
            "last",
            "p99",
            "p50 by floor's",
            "lost"
        );
        for row in &self.rows {
            row.print();
        }
        for row in self.rows.iter().filter(|row| row.dropped + row.broken > 0) {
            println!(
                "{} to {}: {} datagrams dropped by receivers' sockets, {} gaps and the like",
                row.way.words(),
                row.subscribers,
                row.dropped,
                row.broken
            );
        }
        let _ = std::io::stdout().flush();
    }

    /// Writes the figures as JSON, and a `.hgrm` of the first and the last subscriber of each row beside them.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
        for row in &self.rows {
            for (end, late) in [("first", &row.first), ("last", &row.last)] {
                let way = row.way.words().replace(' ', "_");
                let beside = format!("{way}-{}-{end}.hgrm", row.subscribers);
                let beside = path.with_file_name(beside);
                let mut bytes = Vec::new();
                hgrm::write(&mut bytes, &late.all).map_err(Error::write(&beside))?;
                std::fs::write(&beside, bytes).map_err(Error::write(&beside))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends of so many ns to subscribers that were so late.
    fn came(spent: u64, late: &[u64]) -> Came {
        let heard = |ns: &u64| Heard {
            late: vec![[*ns, 10]],
            records: 10,
            ..Heard::default()
        };
        Came {
            spent: histogram(&[[spent, 10]]),
            sent: 10,
            heard: late.iter().map(heard).collect(),
        }
    }

    #[test]
    fn a_send_is_held_against_the_floor_and_its_parts_against_the_fewest() {
        let cell = |way, subscribers| Cell { way, subscribers };
        let cells = [
            cell(Way::BareUnicast, 1),
            cell(Way::BareUnicast, 2),
            cell(Way::Unicast, 1),
            cell(Way::Unicast, 2),
        ];
        let rounds = [
            vec![came(100, &[100]), came(200, &[100])],
            vec![came(100, &[100, 100]), came(400, &[100, 100])],
            vec![came(200, &[200]), came(200, &[200])],
            vec![came(200, &[300, 200]), came(400, &[300, 200])],
        ];
        let rows = rows(&cells, &rounds);
        let last = &rows[3];
        assert_eq!(last.send_by_floor, Some([1.0, 1.0, 2.0]));
        assert_eq!(last.part_by_fewest, [0.5, 0.5, 1.0]);
        assert_eq!((last.first.p50, last.last.p50), (200, 300));
        assert_eq!(last.last.p50_by_floor, Some([3.0; 3]));
        assert!(rows.iter().all(|row| row.lost == 0 && row.is_sound()));
    }

    #[test]
    fn what_one_of_several_did_not_hear_is_lost() {
        let cell = Cell {
            way: Way::Multicast,
            subscribers: 2,
        };
        let mut round = came(100, &[100, 100]);
        round.heard[1].records = 9;
        // Nobody looked at it.
        round.heard[1].late.clear();
        let alone = |round: &Came| rows(&[cell], &[vec![round.clone()]]).remove(0);
        assert_eq!(alone(&round).lost, 1);
        assert_eq!(alone(&round).last.p50, 100);
        assert!(!alone(&round).is_sound());
        assert_eq!(alone(&round).send_by_floor, None);
        round.heard[1].dropped = 1;
        assert!(alone(&round).is_sound(), "a socket says why");
    }
}
