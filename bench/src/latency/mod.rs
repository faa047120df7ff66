//! How long is a record on its way from an adapter's outbox to the application?
//!
//! ```text
//!  publisher, one process                                subscriber, one process
//!  due ─► frame ─► leg 0's socket ──── UDP, loopback ───► both sockets in turn ─► arbiter ─► handler: how late?
//!               └► leg 1's socket ──────────────────────►
//! ```
//!
//! Records are sent at a fixed rate, each at its time whatever became of the one before, and how late one is counts from *that* time: a sender
//! that was held up does not hide it (coordinated omission). Three ways take turns within each round: *floor*, bare sockets with datagrams of the same length, both
//! copies sent and drained, the first one of a number counts; *one leg* and *two legs*, the product's framing, sender, receiver and arbiter. Both
//! processes spin, each on a core of its own. What is judged are ratios to the floor of the same round.

mod publisher;
mod subscriber;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use twinfeed_net::affinity;

use crate::error::Error;
use crate::host::Host;
use crate::report::hgrm::{self, histogram};
use crate::stats::Sample;

/// What is sent, how fast, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Records a second.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1000,10000,100000"
    )]
    rates: Vec<u64>,
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
}

/// How records go.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// Bare sockets, both copies.
    Floor,
    /// The product, one leg alone.
    OneLeg,
    /// The product, both legs.
    TwoLegs,
}

impl Way {
    const ALL: [Self; 3] = [Self::Floor, Self::OneLeg, Self::TwoLegs];

    const fn words(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OneLeg => "one leg",
            Self::TwoLegs => "two legs",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OneLeg => "one_leg",
            Self::TwoLegs => "two_legs",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.key() == name)
    }

    /// How many copies of a datagram are sent.
    const fn copies(self) -> usize {
        match self {
            Self::OneLeg => 1,
            Self::Floor | Self::TwoLegs => 2,
        }
    }
}

/// What the subscriber's process says in the end.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Heard {
    /// How late records were: [ns, how many].
    late: Vec<[u64; 2]>,
    /// Numbers that were told, or came first.
    records: u64,
    /// Copies of those.
    copies: u64,
    /// Gaps, resets and whatever else is no record.
    broken: u64,
    /// Datagrams that the kernel dropped, as far as it says.
    dropped: u64,
}

/// One way at one rate, over rounds.
#[derive(Clone, Debug, Serialize)]
struct Row {
    way: Way,
    rate: u64,
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
    /// Records that did not come, in rounds that are counted all the same.
    lost: u64,
    /// Copies of what had come on the other leg.
    copies: u64,
    dropped: u64,
    broken: u64,
    #[serde(skip)]
    late: Vec<[u64; 2]>,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    size: usize,
    datagram: usize,
    rounds: usize,
    round_ms: u64,
    cores: [usize; 2],
    rows: Vec<Row>,
}

/// Runs the bench; returns whether everything came once and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(what) = &args.subscribe {
        return subscriber::run(what).map(|()| true);
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
    let most = |rate: &u64| (1..=2_000_000).contains(rate);
    if args.rates.is_empty() || !args.rates.iter().all(most) {
        return Err(flag("--rates", "1 to 2000000 records a second"));
    }
    let cores = cores(&args.cores)?;
    let host = Host::look();
    let (mut rows, mut datagram) = (Vec::new(), 0);
    for &rate in &args.rates {
        let mut heard = [const { Vec::new() }; 3];
        for round in 0..args.rounds {
            for turn in 0..Way::ALL.len() {
                // Each way comes first, second and last equally often.
                let way = (turn + round) % Way::ALL.len();
                let came = one(Way::ALL[way], rate, args, cores)?;
                datagram = came.1;
                heard[way].push(came.0);
            }
        }
        for (way, rounds) in Way::ALL.into_iter().zip(&heard) {
            rows.push(row(way, rate, rounds, &heard[0], expected(rate, args)));
        }
    }
    let figures = Figures {
        host,
        size: args.size,
        datagram,
        rounds: args.rounds,
        round_ms: args.round_ms,
        cores,
        rows,
    };
    print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
        for row in &figures.rows {
            let beside = path.with_file_name(format!("{}-{}.hgrm", row.way.key(), row.rate));
            let mut bytes = Vec::new();
            hgrm::write(&mut bytes, &row.late).map_err(Error::write(&beside))?;
            std::fs::write(&beside, bytes).map_err(Error::write(&beside))?;
        }
    }
    let sound = |row: &Row| row.broken == 0 && (row.lost == 0 || row.dropped > 0);
    Ok(figures.rows.iter().all(sound))
}

fn cores(wanted: &[usize]) -> Result<[usize; 2], Error> {
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

/// One way in one round; also how long a datagram is.
fn one(way: Way, rate: u64, args: &Args, cores: [usize; 2]) -> Result<(Heard, usize), Error> {
    let mut subscriber = Subscriber::start(way, cores[1])?;
    let to = subscriber.addresses()?;
    let publish = || {
        // A thread of its own: what this one is pinned to, the next subscriber would inherit.
        affinity::pin(cores[0]).map_err(|error| Error::Flag {
            flag: "--cores",
            fault: error.to_string(),
        })?;
        publisher::publish(way, to, (rate, expected(rate, args)), args.size)
    };
    let length = std::thread::scope(|scope| scope.spawn(publish).join());
    let length = match length {
        Ok(length) => length?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Ok((subscriber.finish()?, length))
}

/// The subscriber's process.
struct Subscriber {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Subscriber {
    fn start(way: Way, core: usize) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::Subscriber)?;
        let mut child = Command::new(program)
            .args(["latency", "--subscribe"])
            .arg(format!("{}:{core}", way.key()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Subscriber)?;
        let says = child.stdout.take().map(BufReader::new);
        let says = says.ok_or_else(|| Error::Subscriber(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, says })
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.says.read_line(&mut line).map_err(Error::Subscriber)?;
        Ok(line)
    }

    fn addresses(&mut self) -> Result<[SocketAddr; 2], Error> {
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| Error::Subscriber(error.into()))
    }

    fn finish(mut self) -> Result<Heard, Error> {
        let line = self.line()?;
        let heard = serde_json::from_str(&line);
        self.child.wait().map_err(Error::Subscriber)?;
        heard.map_err(|error| Error::Subscriber(error.into()))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It may be waiting for what never comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row(way: Way, rate: u64, rounds: &[Heard], floor: &[Heard], expected: u64) -> Row {
    let all = histogram(rounds.iter().flat_map(|heard| &heard.late));
    let at = |quantile| all.value_at_quantile(quantile);
    let by_floor = |quantile: f64| {
        let of = |heard: &Heard| histogram(&heard.late).value_at_quantile(quantile);
        let ratio = |(here, there): (&Heard, &Heard)| {
            // In thousandths.
            of(here).saturating_mul(1_000) / of(there).max(1)
        };
        let ratios = Sample::new(rounds.iter().zip(floor).map(ratio).collect());
        [0.0, 50.0, 100.0].map(|at| ratios.percentile(at).unwrap_or(0) as f64 / 1_000.0)
    };
    let sum = |of: fn(&Heard) -> u64| rounds.iter().map(of).sum::<u64>();
    Row {
        way,
        rate,
        count: all.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: all.max(),
        p50_by_floor: by_floor(0.5),
        p99_by_floor: by_floor(0.99),
        lost: (expected * rounds.len() as u64).saturating_sub(sum(|heard| heard.records)),
        dropped: sum(|heard| heard.dropped),
        broken: sum(|heard| heard.broken),
        copies: sum(|heard| heard.copies),
        late: hgrm::counts(&all),
    }
}

fn print(figures: &Figures) {
    let host = &figures.host;
    println!(
        "{} cores, {}, load {}, commit {}, {} build; publisher on core {}, subscriber on core {}",
        host.cores,
        host.processor,
        host.load,
        host.commit,
        host.profile,
        figures.cores[0],
        figures.cores[1]
    );
    println!(
        "records of {} bytes, one to a datagram of {} bytes over UDP, loopback; {} rounds of {} ms each; how late, µs\n",
        figures.size, figures.datagram, figures.rounds, figures.round_ms
    );
    println!(
        "{:<10}{:>10}{:>9}{:>9}{:>9}{:>9}{:>10}{:>24}{:>24}{:>7}",
        "way",
        "a second",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "p50 by floor's",
        "p99 by floor's",
        "lost"
    );
    for row in &figures.rows {
        let us = |ns: u64| ns as f64 / 1_000.0;
        let ratio =
            |[least, median, most]: [f64; 3]| format!("{median:.2} ({least:.2} … {most:.2})");
        println!(
            "{:<10}{:>10}{:>9.2}{:>9.2}{:>9.2}{:>9.1}{:>10.1}{:>24}{:>24}{:>7}",
            row.way.words(),
            row.rate,
            us(row.p50),
            us(row.p90),
            us(row.p99),
            us(row.p999),
            us(row.max),
            ratio(row.p50_by_floor),
            ratio(row.p99_by_floor),
            row.lost
        );
    }
    for row in figures
        .rows
        .iter()
        .filter(|row| row.dropped + row.broken > 0)
    {
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

/// How long the subscriber waits for anything before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let heard = |ns: u64| Heard {
            late: vec![[ns, 100]],
            records: 100,
            ..Heard::default()
        };
        let (floor, here) = ([heard(1_000), heard(4_000)], [heard(2_000), heard(4_000)]);
        let row = row(Way::TwoLegs, 10, &here, &floor, 101);
        assert_eq!(row.p50_by_floor, [1.0, 1.0, 2.0]);
        assert_eq!((row.count, row.lost, row.max), (200, 2, 4_001));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for way in Way::ALL {
            assert_eq!(Way::named(way.key()), Some(way));
        }
        assert_eq!(Way::named("both"), None);
    }
}
