//! How long is a record on its way there and back?
//!
//! ```text
//!  this process                                    the other process
//!  number, time ─► as ever ──── one or both legs ──► as ever ─► application
//!  application ◄─ as ever ◄──── one or both legs ─── as ever ◄─ the same record
//! ```
//!
//! Both directions are what a publisher and a subscriber of the latency bench do: framed and arbitrated there, framed and arbitrated back. The next record
//! leaves when the last one is here, and not before `--every-us`. Half of the time counts.

use std::time::{Duration, Instant};

use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;

use super::publisher::{LEAST_SIZE, Publish};
use super::rows::{Came, Heard};
use super::subscriber::{Subscribe, Told};
use super::way::Way;
use super::{Args, PATIENCE, floor, product};
use crate::child::{Other, say};
use crate::error::Error;

/// One way in one round.
pub(super) fn one(way: Way, args: &Args, cores: [usize; 2]) -> Result<Came, Error> {
    let size = args.size;
    match way {
        Way::Floor => ask(way, args, cores, floor::Subscriber::open()?, |to| {
            floor::Publisher::open(to, size)
        }),
        Way::OneLeg => ask(way, args, cores, product::Subscriber::open()?, |to| {
            product::Publisher::open(to, 1, size)
        }),
        Way::TwoLegs => ask(way, args, cores, product::Subscriber::open()?, |to| {
            product::Publisher::open(to, 2, size)
        }),
        _ => unreachable!("`Rate::takes` says that they are not asked"),
    }
}

/// The other process, which is pinned: hears until the end, and sends back what it hears.
pub(super) fn answer(way: Way, back: &Back) -> Result<(), Error> {
    let (to, size) = (&back.to, back.size);
    match way {
        Way::Floor => echo(
            floor::Subscriber::open()?,
            floor::Publisher::open(to, size)?,
        ),
        Way::OneLeg => echo(
            product::Subscriber::open()?,
            product::Publisher::open(to, 1, size)?,
        ),
        Way::TwoLegs => echo(
            product::Subscriber::open()?,
            product::Publisher::open(to, 2, size)?,
        ),
        _ => unreachable!("`Rate::takes` says that they are not asked"),
    }
}

/// Where answers go, and how long they are.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub(super) struct Back {
    size: usize,
    to: Vec<String>,
}

/// In a thread of its own, which nothing pins yet: the other process inherits that.
fn ask<P: Publish>(
    way: Way,
    args: &Args,
    cores: [usize; 2],
    mut answers: impl Subscribe,
    publisher: impl FnOnce(&[String]) -> Result<P, Error>,
) -> Result<Came, Error> {
    let back = Back {
        size: args.size,
        to: answers.doors()?,
    };
    let back = serde_json::to_string(&back).unwrap_or_default();
    let what = format!("{}:{}", way.key(), cores[1]);
    let mut other = Other::start(&["latency", "--subscribe", &what, "--back", &back])?;
    let mut out = publisher(&other.hear::<Vec<String>>()?)?;
    affinity::pin(cores[0]).map_err(|error| Error::Flag {
        flag: "--cores",
        fault: error.to_string(),
    })?;
    let mut told = Told::new();
    let mut record = vec![0; args.size];
    let until = monotonic_ns() + args.round_ms * 1_000_000;
    let (every, mut sent) = (args.every_us * 1_000, 0);
    loop {
        let now = monotonic_ns();
        if now > until {
            break;
        }
        sent += 1;
        record[..LEAST_SIZE].copy_from_slice(&now.to_le_bytes());
        out.send(sent, &record);
        loop {
            answers.turn(&mut told)?;
            let back = told.last() == sent;
            let wait = if back { every } else { LOST_NS };
            if monotonic_ns() - now >= wait {
                break;
            }
        }
        if sent == WARM {
            told.forget_times();
        }
    }
    out.end()?;
    let there: Heard = other.finish()?;
    let mut heard = told.finish();
    answers.finish(&mut heard);
    for [ns, _] in &mut heard.late {
        *ns /= 2;
    }
    heard.broken += there.broken;
    heard.dropped += there.dropped;
    Ok(Came {
        heard,
        datagram: out.datagram(),
        sent,
    })
}

fn echo(mut way: impl Subscribe, mut back: impl Publish + 'static) -> Result<(), Error> {
    say(&way.doors()?)?;
    // By the handler, as an application would that waits for nothing else.
    let mut told = Told::doing(move |number, record| back.send(number, record));
    let begun = Instant::now();
    while !way.turn(&mut told)? {
        if told.last() == 0 && begun.elapsed() > PATIENCE {
            break;
        }
    }
    let mut heard = told.finish();
    way.finish(&mut heard);
    say(&heard)
}

/// What is not back by then is lost, which is counted, and the next one leaves.
const LOST_NS: u64 = Duration::from_millis(200).as_nanos() as u64;
/// Records that warm up, whose times do not count.
const WARM: u64 = 1_000;
