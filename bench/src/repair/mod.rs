//! What does it cost to be given what both streams lost?
//!
//! ```text
//!  stream ─┬─ tap ─► the adapter's fill thread ◄── UDP, loopback ──┐
//!          └─ less a few datagrams ─► clients: arbiter and socket ─┘
//! ```
//!
//! The fill thread, the retention, the server, the wire and the clients' arbiters are the product's own. The stream itself is
//! handed to the clients in this process: how it travels is another bench's. First one client loses a few datagrams again and
//! again; then all of many lose the same ones at once, over and over. How much the data thread pays is the time of each copy
//! into the tap, while nobody asks and while all do.

mod client;
mod live;
mod rig;
mod rounds;
mod snapshot;

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::host::Host;
use crate::stats::Sample;
use client::Client;
use live::Live;
use rig::Rig;
use snapshot::Size;

/// What is asked for and given back.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Holes of the one client.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    holes: u32,
    /// Storms: holes that all clients have at once.
    #[arg(long, value_name = "N", default_value_t = 200)]
    storms: u32,
    /// Clients in a storm; at most 250.
    #[arg(long, value_name = "N", default_value_t = 50)]
    clients: usize,
    /// Datagrams lost in each hole; at most 60.
    #[arg(long, value_name = "N", default_value_t = 4)]
    lost: u32,
    /// Rounds in which is measured what storms do to a live stream; 0: none.
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: u32,
    /// Snapshots: of so many resting orders, and after so many messages of the smallest number of them; `0`: none.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "10000,100000,1000000,10000000"
    )]
    orders: Vec<u64>,
    #[arg(long, hide = true, value_name = "ORDERS:MESSAGES")]
    measure: Option<String>,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Times in ns.
#[derive(Clone, Debug, Serialize)]
struct Spread {
    count: usize,
    p50: u64,
    p99: u64,
    max: u64,
}

impl Spread {
    fn of(values: Vec<u64>) -> Self {
        let sample = Sample::new(values);
        let at = |percent| sample.percentile(percent).unwrap_or(0);
        Self {
            count: sample.len(),
            p50: at(50.0),
            p99: at(99.0),
            max: sample.max().unwrap_or(0),
        }
    }
}

/// What one part of the bench came to.
#[derive(Debug, Serialize)]
struct Part {
    clients: usize,
    holes: u32,
    /// From the first request to the last record, ns.
    asked_to_filled: Spread,
    /// From the record behind the hole to the last record, ns: with the wait for the other leg.
    noticed_to_filled: Spread,
    /// One copy into the tap, ns.
    tap: Spread,
    /// Requests sent.
    requests: u64,
    /// Look-ups, and requests that shared somebody else's.
    look_ups: u64,
    shared: u64,
    put_off: u64,
    datagrams_given: u64,
    gaps: u64,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    lost_datagrams: u32,
    retained_messages: u64,
    retained_bytes: u64,
    one: Part,
    storm: Part,
    live: Option<Live>,
    snapshots: Vec<Size>,
}

/// Runs the bench; returns whether nothing was declared missing, a storm cost few look-ups, and the live stream bore it.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if let Some(size) = &args.measure {
        return snapshot::measure(size).map(|()| true);
    }
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if !(1..=250).contains(&args.clients) {
        return Err(flag("--clients", "an adapter serves 1 to 250 here"));
    }
    if !(1..=60).contains(&args.lost) {
        return Err(flag("--lost", "1 to 60: what one request asks for"));
    }
    let host = Host::look();
    let one = part(1, args.holes, args.lost)?;
    let storm = part(args.clients, args.storms, args.lost)?;
    let live = match args.rounds {
        0 => None,
        rounds => Some(live::measure(args.clients, args.lost, rounds)?),
    };
    let sizes: Vec<u64> = args.orders.iter().copied().filter(|it| *it > 0).collect();
    let fewest = sizes.iter().copied().min().unwrap_or(0);
    let snapshots = snapshot::sizes(&sizes, fewest)?;
    let figures = Figures {
        host,
        lost_datagrams: args.lost,
        retained_messages: storm.1.0,
        retained_bytes: storm.1.1,
        one: one.0,
        storm: storm.0,
        live,
        snapshots,
    };
    print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
    }
    let few = figures.storm.look_ups * u64::from(MOST_LOOK_UPS_SHARE) <= figures.storm.requests;
    let gaps = figures.one.gaps + figures.storm.gaps;
    let live = figures.live.as_ref().is_none_or(Live::holds);
    Ok(gaps == 0 && live && (few || args.clients < usize::from(MOST_LOOK_UPS_SHARE)))
}

/// So many clients lose the same, so many times.
fn part(clients: usize, holes: u32, lost: u32) -> Result<(Part, (u64, u64)), Error> {
    let mut clients = Client::many(clients)?;
    let addresses = clients.iter().map(Client::address);
    let addresses = addresses.collect::<Result<Vec<_>, Error>>()?;
    let mut rig = Rig::new(&addresses)?;
    rig.until_entitled(&mut clients[0])?;
    let (mut asked, mut noticed) = (Vec::new(), Vec::new());
    for _ in 0..holes {
        rig.round(&mut clients, lost, &mut asked, &mut noticed);
    }
    let gaps = clients.iter().map(Client::gaps).sum();
    let requests: u64 = clients.iter().map(Client::requests).sum();
    let (counters, tap) = rig.finish(requests);
    let part = Part {
        clients: clients.len(),
        holes,
        asked_to_filled: Spread::of(asked),
        noticed_to_filled: Spread::of(noticed),
        tap: Spread::of(tap),
        requests,
        look_ups: counters.server.repairs,
        shared: counters.server.shared,
        put_off: counters.server.busy + counters.server.repeated,
        datagrams_given: counters.server.datagrams,
        gaps,
    };
    Ok((part, (counters.messages, counters.bytes)))
}

fn print(figures: &Figures) {
    println!("{}", figures.host);
    println!(
        "{} datagrams lost in each hole; retained in the end: {} messages in {} bytes\n",
        figures.lost_datagrams, figures.retained_messages, figures.retained_bytes
    );
    println!(
        "{:<34}{:>12}{:>12}{:>12}{:>10}",
        "µs", "p50", "p99", "max", "count"
    );
    let line = |name: &str, of: &Spread| {
        let us = |ns: u64| ns as f64 / 1_000.0;
        println!(
            "{name:<34}{:>12.1}{:>12.1}{:>12.1}{:>10}",
            us(of.p50),
            us(of.p99),
            us(of.max),
            of.count
        );
    };
    for part in [&figures.one, &figures.storm] {
        println!("{} client(s), {} holes each", part.clients, part.holes);
        line("  asked to filled", &part.asked_to_filled);
        line("  noticed to filled", &part.noticed_to_filled);
        line("  one copy into the tap", &part.tap);
        println!(
            "  {} requests, {} look-ups, {} shared, {} put off, {} datagrams given, {} gaps",
            part.requests,
            part.look_ups,
            part.shared,
            part.put_off,
            part.datagrams_given,
            part.gaps
        );
    }
    if let Some(live) = &figures.live {
        live.print();
    }
    print_sizes(&figures.snapshots);
}

/// One line a size: what a snapshot costs, and per order.
fn print_sizes(sizes: &[Size]) {
    println!(
        "\n{:>10}{:>12}{:>14}{:>10}{:>12}{:>12}{:>14}{:>14}{:>12}",
        "orders",
        "messages",
        "bytes",
        "B/order",
        "whole, ms",
        "books, ms",
        "follower, MB",
        "books, MB",
        "ns/message"
    );
    let ms = |ns: u64| ns as f64 / 1e6;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    for size in sizes {
        println!(
            "{:>10}{:>12}{:>14}{:>10.1}{:>12.1}{:>12.1}{:>14.1}{:>14.1}{:>12}",
            size.orders,
            size.messages,
            size.snapshot_bytes,
            size.snapshot_bytes as f64 / size.orders as f64,
            ms(size.whole_ns),
            ms(size.books_ns),
            mb(size.follower_bytes),
            mb(size.books_bytes),
            size.followed_ns
        );
    }
}

/// A storm's requests share look-ups: one look-up for so many of them at least.
const MOST_LOOK_UPS_SHARE: u8 = 10;
