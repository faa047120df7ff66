//! How long is a record on its way to a subscriber on the adapter's own host, by shared memory?
//!
//! ```text
//!  publisher, one process                                subscriber, one process
//!  due ─► frame ─► leg 0's ring ═══ shared memory ═══► both rings in turn ─► arbiter ─► handler: how late?
//!               └► leg 1's ring ═════════════════════►
//! ```
//!
//! The floor is a bare queue of one writer and one reader in the same kind of memory, once for the record alone and once
//! for records as long as the product's datagram. Ways take turns within each round, and ratios are to the floor of the
//! same round. Three paces: there and back; at a fixed rate, late counted from when a record was *due* (coordinated
//! omission); and as fast as the reader takes them. Both processes spin, each on a core of its own.

#[cfg(feature = "aeron")]
mod aeron;
mod print;
mod publisher;
mod spsc;
mod subscriber;
mod ways;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};
use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::ring::{Asked, RingOffer};
use twinfeed_net::shared::SharedWords;
use twinfeed_wire::DEFAULT_DATAGRAM;

use crate::child::Other;
use crate::error::Error;
use crate::host::Host;
use crate::latency::product::frame;
use crate::latency::publisher::{LEAST_SIZE, MOST_SIZE};
use crate::report::hgrm;
use print::Figures;
use publisher::{Out, memory};
use ways::{Pace, Way};

/// What is sent, how fast, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Records a second.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "100000,1000000"
    )]
    rates: Vec<u64>,
    /// Bytes of a record.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// How long each way is measured in a round, ms.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    round_ms: u64,
    /// Rounds, in which the ways take turns.
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// Records of a round that are sent as fast as they are taken.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    most: u64,
    /// Cores of the publisher and of the subscriber; the first two that are allowed, if left out.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// The subscriber's process.
    #[arg(long, hide = true, value_name = "WAY:CORE:LENGTH:ECHO:NAME")]
    subscribe: Option<String>,
}

/// What one way in one round has come to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Came {
    /// How late records were, or half of how long they took there and back: [ns, how many].
    late: Vec<[u64; 2]>,
    /// Numbers that were told, or came first.
    records: u64,
    /// Copies of those.
    copies: u64,
    /// Datagrams that a reader was lapped by.
    lost: u64,
    /// Gaps, resets, numbers out of order.
    broken: u64,
    /// From the first record to the last, ns.
    ns: u64,
}

/// How long a process waits for anything before it gives up.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Runs the bench; returns whether everything came once and in order.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(what) = &args.subscribe {
        return subscriber::run(what).map(|()| true);
    }
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if !(2 * LEAST_SIZE..=MOST_SIZE).contains(&args.size) {
        return Err(flag("--size", "16 to 1200 bytes"));
    }
    if args.rounds == 0 || !(10..=5_000).contains(&args.round_ms) || args.most == 0 {
        return Err(flag(
            "--rounds",
            "at least 1, of 10 to 5000 ms each, and a record",
        ));
    }
    if !args
        .rates
        .iter()
        .all(|rate| (1..=20_000_000).contains(rate))
    {
        return Err(flag("--rates", "1 to 20000000 records a second"));
    }
    let cores = crate::latency::cores(&args.cores)?;
    let host = Host::look();
    let mut room = vec![0; DEFAULT_DATAGRAM];
    let datagram = frame(0, 1, &vec![0; args.size], 0, &mut room);
    let mut rows = Vec::new();
    let rates = args.rates.iter().copied().map(Pace::Rate);
    for pace in [Pace::PingPong]
        .into_iter()
        .chain(rates)
        .chain([Pace::Most])
    {
        let all = Way::ALL.iter().copied();
        let ways: Vec<Way> = all.filter(|&way| pace.takes(way)).collect();
        let mut came = vec![Vec::new(); ways.len()];
        for round in 0..args.rounds {
            for turn in 0..ways.len() {
                // Each way comes first, second and last equally often.
                let at = (turn + round) % ways.len();
                came[at].push(one(ways[at], pace, datagram, args, cores)?);
            }
        }
        let of = |way: Way| Some(came[ways.iter().position(|&it| it == way)?].as_slice());
        for &way in &ways {
            let (Some(rounds), Some(floor)) = (of(way), of(way.floor())) else {
                unreachable!("every pace takes the floors")
            };
            let peer = way.peer().and_then(of);
            rows.push(print::row(
                way,
                pace,
                rounds,
                [Some(floor), peer],
                expected(pace, args),
            ));
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
    print::print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
    }
    Ok(figures.rows.iter().all(print::Row::is_sound))
}

/// Records of one way in one round; `None`: as many as come back.
fn expected(pace: Pace, args: &Args) -> Option<u64> {
    match pace {
        Pace::PingPong => None,
        Pace::Rate(rate) => Some((rate * args.round_ms / 1_000).max(1)),
        Pace::Most => Some(args.most),
    }
}

/// One way in one round.
fn one(
    way: Way,
    pace: Pace,
    datagram: usize,
    args: &Args,
    cores: [usize; 2],
) -> Result<Came, Error> {
    let length = if way.is_record() { args.size } else { datagram };
    let name = format!("@twinfeed-bench-{}-{}", std::process::id(), monotonic_ns());
    let taken = SharedWords::create(8).map_err(Error::Memory)?;
    let mut outs = Vec::new();
    for _ in 0..way.copies() {
        outs.push(Out::create(way, length)?);
    }
    let offer = RingOffer::bind(Path::new(&name)).map_err(memory)?;
    let echo = match pace {
        Pace::PingPong => "echo",
        _ => "take",
    };
    let what = format!("{}:{}:{length}:{echo}:{name}", way.key(), cores[1]);
    let mut subscriber = Other::start(&["memory", "--subscribe", &what])?;
    for file in [taken.as_fd()]
        .into_iter()
        .chain(outs.iter().map(Out::file))
    {
        hand_over(&offer, file)?;
    }
    let doors: Vec<String> = subscriber.hear()?;
    // To what was handed over there is no door.
    debug_assert!(doors.is_empty() != way.is_peer(), "{doors:?}");
    let publish = || -> Result<_, Error> {
        // Another system's threads, if it has any, run where they like.
        #[cfg(feature = "aeron")]
        let offers = way.is_peer().then(|| aeron::Offers::open(&doors));
        #[cfg(feature = "aeron")]
        let offers = offers.transpose()?;
        // A thread of its own: what this one is pinned to, the next subscriber would inherit.
        affinity::pin(cores[0]).map_err(|error| Error::Flag {
            flag: "--cores",
            fault: error.to_string(),
        })?;
        let Some(count) = expected(pace, args) else {
            let back = subscriber::ask(&format!("{name}-back"))?;
            let mut back = subscriber::open(way, length, back)?;
            let ns = args.round_ms * 1_000_000;
            let halves = publisher::ping_pong(&mut outs[0], &mut back, length, ns)?;
            return Ok(Some(halves));
        };
        let what = (count, args.size, length);
        #[cfg(feature = "aeron")]
        if let Some(mut offers) = offers {
            let push = |_, bytes: &[u8]| offers.push(bytes);
            publisher::publish(way, pace, push, &taken, what)?;
            return Ok(None);
        }
        let push = |leg: usize, bytes: &[u8]| outs[leg].push(bytes);
        publisher::publish(way, pace, push, &taken, what)?;
        Ok(None)
    };
    let published = std::thread::scope(|scope| scope.spawn(publish).join());
    let halves = match published {
        Ok(published) => published?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let mut came: Came = subscriber.finish()?;
    if let Some(halves) = halves {
        came.late = hgrm::counts(&halves);
    }
    Ok(came)
}

fn hand_over(offer: &RingOffer, file: BorrowedFd<'_>) -> Result<(), Error> {
    let until = monotonic_ns() + PATIENCE_NS;
    loop {
        match offer.answer(file, |_| true).map_err(memory)? {
            Some(Asked::Given(_)) => return Ok(()),
            _ if monotonic_ns() > until => return Err(memory("nobody asked")),
            _ => std::thread::yield_now(),
        }
    }
}
