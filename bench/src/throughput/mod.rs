//! How many messages a second reach an application that loses none?
//!
//! ```text
//!  publisher, one process                                     subscriber, one process
//!  full datagrams ─► leg 0's socket ──── UDP, loopback ──────► both sockets in turn ─► arbiter ─► handler: counts
//!                 └► leg 1's socket ────────────────────────►
//!                 ◄─────────── "taken on both legs: so many" ──────────────────────────────┘
//! ```
//!
//! The publisher goes as fast as the subscriber takes: at most `--window` datagrams of a leg are on their way, so that no buffer overflows and nobody has to look
//! for the rate at which one just does not. Ways take turns within each round. *Floor* makes the same socket calls (`net`: batches, segmentation,
//! merging) with datagrams of the same length that nobody frames, proves or arbitrates: both copies are sent and drained, the first of a number counts. Both processes
//! spin, each on a core of its own. What is judged are ratios to the floor of the same round. Other systems, which have a flow control of their own, are further ways
//! where they are built.

#[cfg(feature = "aeron")]
mod aeron;
mod sides;
mod way;

use std::io::Write;

use serde::{Deserialize, Serialize};
use twinfeed_net::affinity;

use self::way::{Means, Way};
use crate::child::Other;
use crate::error::Error;
use crate::host::Host;
use crate::stats::Sample;

/// What is sent, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Bytes of a record.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "64,256"
    )]
    sizes: Vec<usize>,
    /// Which ways, the floors among them if there are to be ratios; all that this build has, if left out.
    #[arg(long, value_name = "WAY,WAY", value_delimiter = ',', value_enum)]
    ways: Vec<Way>,
    /// How long each way is measured in a round, ms.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    round_ms: u64,
    /// Rounds, in which the ways take turns.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Datagrams of a leg that are on their way at most.
    #[arg(long, value_name = "N", default_value_t = 512)]
    window: u64,
    /// Datagrams that a sender hands to the kernel at once.
    #[arg(long, value_name = "N", default_value_t = 44)]
    batch: usize,
    /// Bytes of Aeron's datagrams at most (Aeron's own default, an Ethernet frame's).
    #[cfg(feature = "aeron")]
    #[arg(long, value_name = "BYTES", default_value_t = 1_408)]
    aeron_mtu: usize,
    /// Cores of the publisher and of the subscriber; the first two that are allowed, if left out.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// The subscriber's process: the way, the core, and where it says what it has taken.
    #[arg(long, hide = true, value_name = "WAY,CORE,ADDRESS")]
    subscribe: Option<String>,
}

/// What the subscriber's process says in the end.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Heard {
    /// Records that came first.
    records: u64,
    /// From the first of them to the last, ns.
    ns: u64,
    copies: u64,
    /// Gaps, resets and what came in no order.
    broken: u64,
    dropped: u64,
}

impl Heard {
    /// Records a second.
    fn rate(&self) -> u64 {
        let per_second = u128::from(self.records) * 1_000_000_000 / u128::from(self.ns.max(1));
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }
}

/// One way with records of one size, over rounds.
#[derive(Clone, Debug, Serialize)]
struct Row {
    way: Way,
    size: usize,
    /// Records that a datagram holds, if there are datagrams.
    together: Option<usize>,
    /// Records a second: the least, the median and the most of the rounds.
    rate: [u64; 3],
    /// By that of the floor in the same round, if it was measured, likewise.
    by_floor: Option<[f64; 3]>,
    /// Rounds in which something was lost, dropped or out of order.
    spoiled: u64,
    lost: u64,
    /// Datagrams that a socket dropped.
    dropped: u64,
    /// Gaps, resets and what came in no order.
    broken: u64,
    copies: u64,
    records: u64,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    rounds: usize,
    round_ms: u64,
    window: u64,
    batch: usize,
    #[cfg(feature = "aeron")]
    aeron_mtu: usize,
    cores: [usize; 2],
    rows: Vec<Row>,
}

/// Runs the bench; returns whether everything came once and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(what) = &args.subscribe {
        return sides::subscribe(what).map(|()| true);
    }
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    let fits = |size: &usize| (8..=1_200).contains(size);
    if args.sizes.is_empty() || !args.sizes.iter().all(fits) {
        return Err(flag("--sizes", "8 to 1200 bytes"));
    }
    if args.rounds == 0 || args.round_ms < 10 {
        return Err(flag("--rounds", "at least 1, of at least 10 ms each"));
    }
    if !(1..=256).contains(&args.batch) || args.window < args.batch as u64 {
        return Err(flag("--batch", "1 to 256, and no more than `--window`"));
    }
    #[cfg(feature = "aeron")]
    if !(1_408..=65_504).contains(&args.aeron_mtu) || !args.aeron_mtu.is_multiple_of(32) {
        return Err(flag("--aeron-mtu", "1408 to 65504 bytes, a multiple of 32"));
    }
    let cores = crate::latency::cores(&args.cores)?;
    let ways = Way::wanted(&args.ways);
    let host = Host::look();
    let mut rows = Vec::new();
    for &size in &args.sizes {
        rows.extend(measure(&ways, size, args, cores)?);
    }
    let figures = Figures {
        host,
        rounds: args.rounds,
        round_ms: args.round_ms,
        window: args.window,
        batch: args.batch,
        #[cfg(feature = "aeron")]
        aeron_mtu: args.aeron_mtu,
        cores,
        rows,
    };
    print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
    }
    // What another system loses is said, and no promise of ours.
    let sound = |row: &Row| row.spoiled == 0 || !row.way.ours();
    Ok(figures.rows.iter().all(sound))
}

/// All the rounds with records of one size.
fn measure(ways: &[Way], size: usize, args: &Args, cores: [usize; 2]) -> Result<Vec<Row>, Error> {
    let mut heard = vec![Vec::new(); ways.len()];
    for round in 0..args.rounds {
        for turn in 0..ways.len() {
            let place = (turn + round) % ways.len();
            heard[place].push(one(ways[place], size, args, cores)?);
        }
    }
    let row = |(&way, rounds): (&Way, &Vec<_>)| {
        let together = match way.means() {
            Means::Sockets(_) => Some(sides::together(size)),
            #[cfg(feature = "aeron")]
            Means::Aeron(media) => aeron::together(media, size, args.aeron_mtu),
        };
        let floor = ways.iter().position(|other| *other == way.floor());
        let floor = floor.map(|at| heard[at].as_slice());
        row(way, (size, together), rounds, floor)
    };
    Ok(ways.iter().zip(&heard).map(row).collect())
}

/// One way in one round: what was heard, and how many records were sent.
fn one(way: Way, size: usize, args: &Args, cores: [usize; 2]) -> Result<(Heard, u64), Error> {
    let credit = sides::Credit::open()?;
    let what = serde_json::to_string(&(way, cores[1], credit.address()?)).unwrap_or_default();
    let mut subscriber = Other::start(&["throughput", "--subscribe", &what])?;
    let doors: Vec<String> = subscriber.hear()?;
    let publish = || {
        // A thread of its own: what this one is pinned to, the next subscriber would inherit.
        affinity::pin(cores[0]).map_err(|error| Error::Flag {
            flag: "--cores",
            fault: error.to_string(),
        })?;
        match way.means() {
            Means::Sockets(way) => sides::publish(way, &doors, size, args, credit),
            #[cfg(feature = "aeron")]
            Means::Aeron(media) => aeron::publish(media, &doors, size, args, credit),
        }
    };
    let sent = std::thread::scope(|scope| scope.spawn(publish).join());
    let sent = match sent {
        Ok(sent) => sent?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Ok((subscriber.finish()?, sent))
}

fn row(
    way: Way,
    (size, together): (usize, Option<usize>),
    rounds: &[(Heard, u64)],
    floor: Option<&[(Heard, u64)]>,
) -> Row {
    let three = |sample: &Sample| [0.0, 50.0, 100.0].map(|at| sample.percentile(at).unwrap_or(0));
    let rates = Sample::new(rounds.iter().map(|(heard, _)| heard.rate()).collect());
    let thousandths = |((here, _), (there, _)): (&(Heard, u64), &(Heard, u64))| {
        here.rate().saturating_mul(1_000) / there.rate().max(1)
    };
    let by_floor = floor.map(|floor| {
        let ratios = Sample::new(rounds.iter().zip(floor).map(thousandths).collect());
        three(&ratios).map(|ratio| ratio as f64 / 1_000.0)
    });
    let lost = |(heard, sent): &(Heard, u64)| sent.saturating_sub(heard.records);
    let spoils = |round: &&(Heard, u64)| lost(round) + round.0.broken + round.0.dropped > 0;
    Row {
        way,
        size,
        together,
        rate: three(&rates),
        by_floor,
        spoiled: rounds.iter().filter(spoils).count() as u64,
        lost: rounds.iter().map(lost).sum(),
        dropped: rounds.iter().map(|(heard, _)| heard.dropped).sum(),
        broken: rounds.iter().map(|(heard, _)| heard.broken).sum(),
        copies: rounds.iter().map(|(heard, _)| heard.copies).sum(),
        records: rounds.iter().map(|(heard, _)| heard.records).sum(),
    }
}

fn print(figures: &Figures) {
    println!(
        "{}; publisher on core {}, subscriber on core {}",
        figures.host, figures.cores[0], figures.cores[1]
    );
    println!(
        "UDP over loopback, {} datagrams at once, at most {} of a leg on their way; {} rounds of {} ms each; million records a second\n",
        figures.batch, figures.window, figures.rounds, figures.round_ms
    );
    #[cfg(feature = "aeron")]
    println!(
        "Aeron: datagrams of {} bytes at most, by Aeron's own window\n",
        figures.aeron_mtu
    );
    println!(
        "{:<28}{:>6}{:>10}{:>26}{:>24}{:>9}{:>8}",
        "way", "bytes", "together", "median (least … most)", "by floor's", "spoiled", "lost"
    );
    for row in &figures.rows {
        let millions = row.rate.map(|rate| rate as f64 / 1e6);
        let [least, median, most] = millions;
        let rate = format!("{median:.2} ({least:.2} … {most:.2})");
        let ratio =
            |[least, median, most]: [f64; 3]| format!("{median:.2} ({least:.2} … {most:.2})");
        let ratio = row.by_floor.map_or("–".to_owned(), ratio);
        let together = row
            .together
            .map_or("–".to_owned(), |count| count.to_string());
        println!(
            "{:<28}{:>6}{together:>10}{rate:>26}{ratio:>24}{:>9}{:>8}",
            row.way.words(),
            row.size,
            row.spoiled,
            row.lost
        );
    }
    for row in figures
        .rows
        .iter()
        .filter(|row| row.dropped + row.broken > 0)
    {
        println!(
            "{}, {} bytes: {} datagrams dropped by a receiver's socket, {} gaps and the like",
            row.way.words(),
            row.size,
            row.dropped,
            row.broken
        );
    }
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_by_the_time_that_records_took_and_its_ratio_is_of_the_same_round() {
        let heard = |records, ns| {
            (
                Heard {
                    records,
                    ns,
                    ..Heard::default()
                },
                records,
            )
        };
        let (here, floor) = (
            [heard(100, 1_000), heard(400, 1_000)],
            [heard(200, 1_000), heard(500, 1_000)],
        );
        let row = row(Way::OneLeg, (64, Some(14)), &here, Some(&floor));
        assert_eq!(row.rate, [100_000_000, 100_000_000, 400_000_000]);
        assert_eq!(row.by_floor, Some([0.5, 0.5, 0.8]));
        assert_eq!((row.spoiled, row.lost), (0, 0));
    }

    #[test]
    fn a_round_that_lost_something_is_marked() {
        let whole = Heard {
            records: 10,
            ns: 5,
            ..Heard::default()
        };
        let rounds = [
            (whole, 10),
            (whole, 11),
            (Heard { broken: 1, ..whole }, 10),
            (
                Heard {
                    dropped: 1,
                    ..whole
                },
                10,
            ),
        ];
        let row = row(Way::OneLeg, (64, Some(14)), &rounds, None);
        assert_eq!((row.spoiled, row.lost, row.by_floor), (3, 1, None));
    }
}
