//! What does one more subscriber cost the one who sends, and how much later than the first is the last?
//!
//! ```text
//!                           ┌──► subscriber 1      looked at all the time, on a core of its own: how late?
//!  due ─► frame ─► send ────┼──► …                 emptied when those have the record
//!          how long?        └──► subscriber N      looked at all the time: how late?
//! ```
//!
//! One leg of one adapter, over loopback, to each subscriber's own address or to a group. Beside either, in the same rounds, bare sockets with datagrams of the
//! same length. Subscribers are sockets of one process: with two cores, processes that spin would wait for each other and not for what is sent.
//! That one looks at those who have it first and last, as each would on a core of its own, and at the others when those have the record, so that nothing is dropped.
//!
//! What a send over loopback takes has what the receiving hosts do in it: the kernel puts each copy into its socket before the call returns.

mod rows;
mod subscribers;

use hdrhistogram::Histogram;
use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;

use self::rows::{Came, Figures};
use crate::child::Other;
use crate::error::Error;
use crate::host::Host;
use crate::latency::publisher::{LEAST_SIZE, MOST_SIZE, Publish};
use crate::latency::rows::Heard;
use crate::latency::{floor, product};
use crate::report::hgrm;

/// To how many, how fast, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Subscribers; the first number is what the others are held against.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,2,4,8,16,32"
    )]
    subscribers: Vec<usize>,
    /// Which ways, the bare ones among them if there are to be ratios to them; all, if left out.
    #[arg(long, value_name = "WAY,WAY", value_delimiter = ',', value_enum)]
    ways: Vec<Way>,
    /// Records a second, each in a datagram of its own.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u64,
    /// Bytes of a record.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// How long each way is measured in a round, ms.
    #[arg(long, value_name = "MS", default_value_t = 400)]
    round_ms: u64,
    /// Rounds, in which ways and numbers of subscribers take turns.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Cores of the publisher and of the subscribers; the first two that are allowed, if left out.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Writes the figures as JSON, too, and beside it a `.hgrm` of the first and of the last subscriber of each line.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// The subscribers' process: the way, how many, and the core.
    #[arg(long, hide = true, value_name = "JSON")]
    subscribe: Option<String>,
}

/// How records go.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Way {
    /// Bare sockets, one connected to each subscriber.
    BareUnicast,
    /// The product, to each subscriber's address.
    Unicast,
    /// A bare socket, to a group.
    BareMulticast,
    /// The product, to a group.
    Multicast,
}

impl Way {
    fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// What it is held against.
    const fn floor(self) -> Self {
        match self {
            Self::BareUnicast | Self::Unicast => Self::BareUnicast,
            Self::BareMulticast | Self::Multicast => Self::BareMulticast,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::BareUnicast => "bare unicast",
            Self::Unicast => "unicast",
            Self::BareMulticast => "bare multicast",
            Self::Multicast => "multicast",
        }
    }
}

/// One way to so many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
struct Cell {
    way: Way,
    subscribers: usize,
}

/// Runs the bench; returns whether everything of the product's came to everybody once and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(what) = &args.subscribe {
        return subscribers::run(what).map(|()| true);
    }
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if !(LEAST_SIZE..=MOST_SIZE).contains(&args.size) {
        return Err(flag("--size", "8 to 1200 bytes"));
    }
    if args.rounds == 0 || args.round_ms < 10 {
        return Err(flag("--rounds", "at least 1, of at least 10 ms each"));
    }
    if !(1..=MOST_RATE).contains(&args.rate) {
        return Err(flag("--rate", "1 to 10000 records a second"));
    }
    let fits = |count: &usize| (1..=MOST_SUBSCRIBERS).contains(count);
    if args.subscribers.is_empty() || !args.subscribers.iter().all(fits) {
        return Err(flag("--subscribers", "1 to 128"));
    }
    let cores = crate::latency::cores(&args.cores)?;
    let host = Host::look();
    let cells = cells(args);
    let mut came = vec![Vec::new(); cells.len()];
    for round in 0..args.rounds {
        for turn in 0..cells.len() {
            let at = (turn + round) % cells.len();
            came[at].push(one(cells[at], args, cores)?);
        }
    }
    let figures = Figures {
        host,
        rate: args.rate,
        size: args.size,
        datagram: product::datagram(args.size),
        rounds: args.rounds,
        round_ms: args.round_ms,
        cores,
        rows: rows::rows(&cells, &came),
    };
    figures.print();
    if let Some(path) = &args.json {
        figures.write(path)?;
    }
    Ok(figures.rows.iter().all(rows::Row::is_sound))
}

/// Every wanted way, each once, to as many as are wanted.
fn cells(args: &Args) -> Vec<Cell> {
    let all = Way::all().iter().copied();
    let ways = all.filter(|way| args.ways.is_empty() || args.ways.contains(way));
    let to = |way| {
        let cell = move |&subscribers| Cell { way, subscribers };
        args.subscribers.iter().map(cell)
    };
    ways.flat_map(to).collect()
}

/// One way to so many in one round.
fn one(cell: Cell, args: &Args, cores: [usize; 2]) -> Result<Came, Error> {
    let what = serde_json::to_string(&(cell, cores[1])).unwrap_or_default();
    let mut other = Other::start(&["fanout", "--subscribe", &what])?;
    let doors: Vec<String> = other.hear()?;
    let publish = || {
        // A thread of its own: what this one is pinned to, the next process would inherit.
        affinity::pin(cores[0]).map_err(|error| Error::Flag {
            flag: "--cores",
            fault: error.to_string(),
        })?;
        match cell.way {
            Way::BareUnicast | Way::BareMulticast => {
                send(floor::Publisher::open(&doors, args.size)?, args)
            }
            Way::Unicast | Way::Multicast => {
                send(product::Publisher::to_all(&doors, args.size)?, args)
            }
        }
    };
    let spent = std::thread::scope(|scope| scope.spawn(publish).join());
    let spent = spent.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let heard: Vec<Heard> = other.finish()?;
    Ok(Came {
        spent,
        sent: count(args),
        heard,
    })
}

/// Sends each record at its time; how long each send took, ns.
fn send(mut out: impl Publish, args: &Args) -> Result<Histogram<u64>, Error> {
    let (mut spent, mut record) = (hgrm::histogram(&[]), vec![0; args.size]);
    // Everybody is there, and their memory was touched, before the first is due.
    let begin = monotonic_ns() + 5_000_000;
    for number in 0..count(args) {
        let due = begin + number * 1_000_000_000 / args.rate;
        let mut now = monotonic_ns();
        while now < due {
            std::hint::spin_loop();
            now = monotonic_ns();
        }
        record[..LEAST_SIZE].copy_from_slice(&due.to_le_bytes());
        out.send(number + 1, &record);
        let _ = spent.record(monotonic_ns() - now);
    }
    out.end()?;
    Ok(spent)
}

/// Records of one round.
fn count(args: &Args) -> u64 {
    (args.rate * args.round_ms / 1_000).max(1)
}

/// So many subscribers are emptied between two records.
const MOST_RATE: u64 = 10_000;
/// Each is a socket on either side, and asks for 4 MiB of buffer.
const MOST_SUBSCRIBERS: usize = 128;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn ways_are_measured_to_as_many_as_are_wanted_each_once() {
        let line = ["fanout", "--ways", "multicast,bare_unicast,multicast"];
        let line = Line::parse_from(line.into_iter().chain(["--subscribers", "1,3"]));
        let cell = |way, subscribers| Cell { way, subscribers };
        let expected = [
            cell(Way::BareUnicast, 1),
            cell(Way::BareUnicast, 3),
            cell(Way::Multicast, 1),
            cell(Way::Multicast, 3),
        ];
        assert_eq!(cells(&line.args), expected);
    }

    #[test]
    fn a_floor_is_its_own_floor() {
        for way in Way::all() {
            assert_eq!(way.floor().floor(), way.floor());
        }
    }
}
