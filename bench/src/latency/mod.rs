//! How long is a record on its way from an adapter's outbox to the application?
//!
//! ```text
//!  publisher, one process                                subscriber, one process
//!  due ─► frame ─► leg 0's socket ──── UDP, loopback ───► both sockets in turn ─► arbiter ─► handler: how late?
//!               └► leg 1's socket ──────────────────────►
//! ```
//!
//! Records are sent at a fixed rate, each at its time whatever became of the one before, and how late one is counts from *that* time: a sender
//! that was held up does not hide it (coordinated omission). The ways take turns within each round: *floor*, bare sockets with datagrams of the same length, both
//! copies sent and drained, the first one of a number counts; *one leg* and *two legs*, the product's framing, sender, receiver and arbiter. Both
//! processes spin, each on a core of its own. What is judged are ratios to the floor of the same round. *Ping-pong* is another rate: [`ping_pong`].

pub(crate) mod floor;
#[cfg(feature = "peers")]
pub(crate) mod peers;
mod ping_pong;
pub(crate) mod product;
pub(crate) mod publisher;
mod rate;
pub(crate) mod rows;
pub(crate) mod subscriber;
mod way;

use std::time::Duration;

use twinfeed_net::affinity;

use self::publisher::Pace;
use self::rate::Rate;
use self::rows::{Came, Figures, Heard, Row};
use self::way::Way;
use crate::child::Other;
use crate::error::Error;
use crate::host::Host;

/// What is sent, how fast, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Records a second; `ping-pong`: the next when the last is back.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "ping-pong,1000,10000,100000"
    )]
    rates: Vec<Rate>,
    /// Which ways, the floor among them if there are to be ratios; all that this build has whose subscribers spin, if left out.
    #[arg(long, value_name = "WAY,WAY", value_delimiter = ',', value_enum)]
    ways: Vec<Way>,
    /// Ping-pong: µs from record to record at least; 0: as soon as the last one is back, while its other copies are on their way.
    #[arg(long, value_name = "US", default_value_t = 0)]
    every_us: u64,
    /// Bytes of a record.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// How long each way is measured in a round, ms.
    #[arg(long, value_name = "MS", default_value_t = 1_500)]
    round_ms: u64,
    /// Rounds, in which the ways take turns.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Cores of the publisher and of the subscriber; the first two that are allowed, if left out.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Writes the figures as JSON, too, and beside it a `.hgrm` of each way and rate.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// The subscriber's process: the way and the core.
    #[arg(long, hide = true, value_name = "WAY:CORE")]
    subscribe: Option<String>,
    /// Where that process sends back what it hears, if it does.
    #[arg(long, hide = true, value_name = "JSON")]
    back: Option<String>,
}

/// Runs the bench; returns whether everything came once and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(what) = &args.subscribe {
        return subscriber::run(what, args.back.as_deref()).map(|()| true);
    }
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if !(publisher::LEAST_SIZE..=publisher::MOST_SIZE).contains(&args.size) {
        return Err(flag("--size", "8 to 1200 bytes"));
    }
    if args.rounds == 0 || args.round_ms < 10 {
        return Err(flag("--rounds", "at least 1, of at least 10 ms each"));
    }
    let cores = cores(&args.cores)?;
    let wanted = ways(&args.ways);
    let mut figures = Figures {
        host: Host::look(),
        size: args.size,
        every_us: args.every_us,
        rounds: args.rounds,
        round_ms: args.round_ms,
        cores,
        rows: Vec::new(),
    };
    for &rate in &args.rates {
        let takes = |way: &Way| rate.takes(*way);
        let ways: Vec<Way> = wanted.iter().copied().filter(takes).collect();
        let mut came = vec![Vec::new(); ways.len()];
        for round in 0..args.rounds {
            for turn in 0..ways.len() {
                // Each way comes first, second and last equally often.
                let at = (turn + round) % ways.len();
                came[at].push(one(ways[at], rate, args, cores)?);
            }
        }
        let floor = ways.iter().position(|way| *way == Way::Floor);
        let floor = floor.map(|at| came[at].as_slice());
        let rows = ways.iter().zip(&came);
        let rows = rows.map(|(way, rounds)| Row::of((*way, rate), rounds, floor));
        figures.rows.extend(rows);
    }
    figures.print();
    if let Some(path) = &args.json {
        figures.write(path)?;
    }
    // What another system loses is said, and no promise of ours.
    let sound = |row: &Row| row.sound() || !row.ours();
    Ok(figures.rows.iter().all(sound))
}

/// Those that are wanted, each once, in their usual order.
fn ways(wanted: &[Way]) -> Vec<Way> {
    let all = Way::all().iter().copied();
    all.filter(|way| wanted.contains(way) || (wanted.is_empty() && way.is_usual()))
        .collect()
}

pub(crate) fn cores(wanted: &[usize]) -> Result<[usize; 2], Error> {
    let flag = |fault: String| Error::Flag {
        flag: "--cores",
        fault,
    };
    match *wanted {
        [publisher, subscriber] => Ok([publisher, subscriber]),
        [] => match *affinity::allowed_cores().map_err(|error| flag(error.to_string()))? {
            [first, second, ..] => Ok([first, second]),
            _ => Err(flag("two cores are needed, and one is allowed".to_owned())),
        },
        _ => Err(flag("the publisher's and the subscriber's".to_owned())),
    }
}

/// Records of one way in one round.
const fn expected(rate: u64, args: &Args) -> u64 {
    let all = rate * args.round_ms / 1_000;
    if all == 0 { 1 } else { all }
}

/// One way in one round.
fn one(way: Way, rate: Rate, args: &Args, cores: [usize; 2]) -> Result<Came, Error> {
    // A thread of its own: what this one is pinned to, the next subscriber would inherit.
    let came = std::thread::scope(|scope| {
        let measure = || match rate {
            Rate::PingPong => ping_pong::one(way, args, cores),
            Rate::Fixed(rate) => at_rate(way, rate, args, cores),
        };
        scope.spawn(measure).join()
    });
    came.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn at_rate(way: Way, rate: u64, args: &Args, cores: [usize; 2]) -> Result<Came, Error> {
    let what = format!("{}:{}", way.key(), cores[1]);
    let mut subscriber = Other::start(&["latency", "--subscribe", &what])?;
    let doors: Vec<String> = subscriber.hear()?;
    let pace = Pace {
        rate,
        count: expected(rate, args),
        size: args.size,
        core: cores[0],
    };
    let datagram = publisher::publish(way, &doors, pace)?;
    Ok(Came {
        heard: subscriber.finish()?,
        datagram,
        sent: pace.count,
    })
}

/// How long the subscriber waits for anything before it gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_measured_once_each_and_all_of_them_unless_some_are_named() {
        let usual = ways(&[]);
        assert_eq!(usual.len(), Way::all().len() - 3);
        assert!(usual.iter().all(|way| way.idle().is_none()));
        let sleeper = [Way::TwoLegsBlock];
        assert_eq!(ways(&sleeper), sleeper);
        let some = [Way::TwoLegs, Way::Floor, Way::TwoLegs];
        assert_eq!(ways(&some), [Way::Floor, Way::TwoLegs]);
    }
}
