//! Does a message cost the same, however many sources and instruments there are?
//!
//! What is done with a message from the packet to the application's handler ([`world`]), in one thread and without a socket, for worlds of
//! many sizes. They take turns within each round, and what is judged are ratios to the smallest of the same round. Of everything else there is as much in each
//! world: resting orders, messages in a packet, packets of a lap.

mod world;

use serde::Serialize;

use crate::cost::{self, Cost};
use crate::decode::flow::MOST_TOGETHER;
use crate::error::Error;
use crate::host::Host;
use crate::stats::spread;
use world::{Size, Spent, World};

/// How large, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Sources, of so many instruments as `--among` says.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,4,16,64"
    )]
    sources: Vec<u32>,
    /// Instruments, of two sources: an ITCH source has 65,534 at most.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "100,1000,10000,100000"
    )]
    instruments: Vec<u32>,
    /// Instruments where sources are more and more.
    #[arg(long, value_name = "N", default_value_t = 8_000)]
    among: u32,
    /// Resting orders, of all sources.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    orders: usize,
    /// Messages in a packet.
    #[arg(long, value_name = "N", default_value_t = 8)]
    together: usize,
    /// Messages of each size in a round, at least.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    messages: u64,
    /// Rounds, in which the sizes take turns.
    #[arg(long, value_name = "N", default_value_t = 11)]
    rounds: usize,
    /// What is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// What it costs in one world, by what it costs in the smallest.
#[derive(Clone, Debug, Serialize)]
struct Part {
    cost: Cost,
    /// Of the same round: the least, the median and the most.
    by_smallest: [f64; 3],
    /// Whether that median is at most [`FLAT`].
    flat: bool,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    sources: u32,
    instruments: u32,
    /// Packet to datagram, in one adapter.
    adapter: Part,
    /// Both legs' datagrams to the application's handler.
    arbiter: Part,
    /// The same behind a filter that half of the instruments pass.
    filtered: Part,
    /// Packet to handler: adapter and arbiter.
    whole: Part,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    orders: usize,
    together: usize,
    messages: u64,
    rounds: usize,
    seed: u64,
    rows: Vec<Row>,
}

/// Runs the bench; returns whether every message was told once, and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if args.messages == 0 || args.rounds == 0 {
        return Err(flag("--messages", "and --rounds: at least 1"));
    }
    if !(1..=MOST_TOGETHER).contains(&args.together) {
        return Err(flag("--together", "1 to 27 messages fit a packet"));
    }
    let size = |sources, instruments| Size {
        sources,
        instruments,
        orders: args.orders,
    };
    let of_sources = args.sources.iter().map(|it| size(*it, args.among));
    let of_instruments = args.instruments.iter().map(|it| size(SOURCES, *it));
    let groups = [
        ("--sources", of_sources.collect::<Vec<_>>()),
        ("--instruments", of_instruments.collect()),
    ];
    for (name, sizes) in &groups {
        if let Some(fault) = sizes.iter().find_map(|size| size.fault()) {
            return Err(flag(name, fault));
        }
    }
    let host = Host::look();
    let (mut rows, mut sound) = (Vec::new(), true);
    for (_, sizes) in &groups {
        let (more, held) = measure(sizes, args)?;
        rows.extend(more);
        sound &= held;
    }
    let figures = Figures {
        host,
        orders: args.orders,
        together: args.together,
        messages: args.messages,
        rounds: args.rounds,
        seed: args.seed,
        rows,
    };
    print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
    }
    Ok(sound)
}

/// Worlds of these sizes, of which the first is the smallest; and whether all told every message once and in order.
fn measure(sizes: &[Size], args: &Args) -> Result<(Vec<Row>, bool), Error> {
    let worlds = sizes.iter().map(|size| World::new(*size, args.seed));
    let mut worlds = worlds.collect::<Result<Vec<_>, _>>()?;
    let mut spent = vec![Vec::new(); sizes.len()];
    // The first warms caches up, and is not counted.
    for round in 0..=args.rounds {
        for turn in 0..sizes.len() {
            // Each size comes first and last equally often.
            let at = (turn + round) % sizes.len();
            let mut sum = Spent::default();
            while sum.messages < args.messages {
                sum.add(worlds[at].lap(args.together));
            }
            if round > 0 {
                spent[at].push(sum);
            }
        }
    }
    let row = |(size, here): (&Size, &Vec<Spent>)| row(*size, here, &spent[0]);
    let rows = sizes.iter().zip(&spent).map(row).collect();
    Ok((rows, worlds.iter().all(|world| world.sound().is_some())))
}

fn row(size: Size, rounds: &[Spent], smallest: &[Spent]) -> Row {
    let part = |of: fn(&Spent) -> u64| {
        let tenths = |spent: &Spent| cost::tenths(u128::from(of(spent)), spent.messages);
        let ratio = |(here, there)| tenths(here) as f64 / tenths(there).max(1) as f64;
        let by_smallest = spread(rounds.iter().zip(smallest).map(ratio));
        Part {
            cost: Cost::of(rounds.iter().map(tenths).collect()),
            by_smallest,
            flat: by_smallest[1] <= FLAT,
        }
    };
    Row {
        sources: size.sources,
        instruments: size.instruments,
        adapter: part(|spent| spent.adapter),
        arbiter: part(|spent| spent.arbiter),
        filtered: part(|spent| spent.filtered),
        whole: part(|spent| spent.adapter + spent.arbiter),
    }
}

impl Row {
    /// The parts that are dearer than that.
    fn steep(&self) -> String {
        let parts = [
            ("adapter", &self.adapter),
            ("arbiter", &self.arbiter),
            ("filter", &self.filtered),
            ("whole", &self.whole),
        ];
        let steep = parts.into_iter().filter(|(_, part)| !part.flat);
        steep.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }
}

fn print(figures: &Figures) {
    println!("{}", figures.host);
    println!(
        "{} messages, {} to a packet, {} resting orders, {} rounds of each size in turn, seed {}",
        figures.messages, figures.together, figures.orders, figures.rounds, figures.seed
    );
    println!(
        "ns of a core a message: median (least … most), and by that of the smallest in the same round\n"
    );
    println!(
        "{:>7}{:>12}{:>30}{:>30}{:>30}{:>30}  not flat",
        "sources", "instruments", "adapter", "arbiter, both legs", "and filter", "whole"
    );
    let words = |part: &Part| {
        let Cost {
            median,
            least,
            most,
        } = part.cost;
        let ratio = part.by_smallest[1];
        format!("{median:.1} ({least:.1} … {most:.1}) ×{ratio:.2}")
    };
    for row in &figures.rows {
        println!(
            "{:>7}{:>12}{:>30}{:>30}{:>30}{:>30}  {}",
            row.sources,
            row.instruments,
            words(&row.adapter),
            words(&row.arbiter),
            words(&row.filtered),
            words(&row.whole),
            row.steep()
        );
    }
}

/// Where instruments are more and more: so many hold 100,000.
const SOURCES: u32 = 2;
/// By how much dearer still counts as flat.
const FLAT: f64 = 1.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_dearer_than_the_smallest_of_the_same_round_is_flat_and_more_is_not() {
        let size = Size {
            sources: 1,
            instruments: 1,
            orders: 0,
        };
        let spent = |adapter, arbiter| Spent {
            messages: 100,
            adapter,
            arbiter,
            filtered: 2 * arbiter,
        };
        let smallest = [
            spent(10_000, 10_000),
            spent(30_000, 10_000),
            spent(10_000, 10_000),
        ];
        let at = |adapter| {
            let rounds = smallest.map(|it| spent(it.adapter * adapter / 100, it.arbiter));
            row(size, &rounds, &smallest)
        };
        // The second round is dearer for both, so that its ratio is another.
        assert_eq!(at(140).whole.by_smallest, [1.2, 1.2, 1.3]);
        assert!(at(140).whole.flat && !at(141).whole.flat);
        assert_eq!(at(140).steep(), "adapter");
        assert_eq!(at(141).steep(), "adapter, whole");
        assert_eq!(at(100).steep(), "");
        assert_eq!(at(140).filtered.by_smallest, [1.0; 3]);
        assert_eq!(at(100).adapter.cost.median, 100.0);
        assert_eq!(at(100).whole.cost.most, 400.0);
    }
}
