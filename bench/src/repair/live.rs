//! What does a storm of requests do to the live stream?
//!
//! ```text
//!  data thread ─┬─ UDP, loopback ─► live receiver: how late?
//!               ├─ tap ─► the adapter's fill thread ◄─ UDP ─┐
//!               └─ less a few datagrams ─► clients ─────────┘
//! ```
//!
//! The data thread sends at a steady rate, each datagram at its time, and how late one is counts from that. Three kinds of rounds take
//! turns: *quiet*, nobody loses anything; *storm*, all clients lose the same datagrams again and again, and ask; *load*, nobody loses
//! anything, and at the moments of a storm as much processor time is spent as one costs, by as many threads. Two processors that are shared
//! by five threads make any stream late; what a storm does beyond that is its ratio to the load.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use twinfeed_net::clock;
use twinfeed_wire::Header;

use super::client::Client;
use super::rig::{Feed, LONGEST, Rig};
use crate::error::Error;
use crate::stats::Sample;

/// Of each kind of round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Kinds<T> {
    pub(super) quiet: T,
    pub(super) storm: T,
    pub(super) load: T,
}

/// What the rounds came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Live {
    /// Datagrams a second.
    rate: u64,
    clients: usize,
    /// Storms in a round.
    storms: u64,
    /// The 99th percentile of how late a datagram was, round by round, ns.
    p99: Vec<Kinds<u64>>,
    /// And the median.
    p50: Vec<Kinds<u64>>,
    /// The fill thread's and the clients' processor time for one storm, ns, medians over rounds.
    storm_costs: [u64; 2],
    /// Datagrams that the receiver did not get, in all rounds.
    dropped: u64,
    requests: u64,
    look_ups: u64,
    gaps: u64,
    /// Median over rounds of the storm's p99 by the load's, and the least and the most.
    ratio: [f64; 3],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Quiet,
    Storm,
    Load,
}

/// What one round came to.
#[derive(Debug, Default)]
struct Round {
    late: Vec<u64>,
    dropped: u64,
    /// Processor time of the fill thread and of the clients, ns.
    spent: [u64; 2],
}

/// Measures so many rounds of each kind.
pub(super) fn measure(clients: usize, lost: u32, rounds: u32) -> Result<Live, Error> {
    let mut clients = Client::many(clients)?;
    let addresses = clients.iter().map(Client::address);
    let addresses = addresses.collect::<Result<Vec<_>, Error>>()?;
    let mut rig = Rig::new(&addresses)?;
    rig.until_entitled(&mut clients[0])?;
    let (mut p50, mut p99, mut costs) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    let mut dropped = 0;
    // The first of each is not counted: everything is touched for the first time.
    for number in 0..=rounds {
        let mut round = |kind, costs| one(&mut rig, &mut clients, lost, kind, costs);
        let quiet = round(Kind::Quiet, [0; 2])?;
        let storm = round(Kind::Storm, [0; 2])?;
        let more = |at: usize| storm.spent[at].saturating_sub(quiet.spent[at]) / STORMS;
        let cost = [more(0), more(1)];
        let load = round(Kind::Load, cost)?;
        if number == 0 {
            continue;
        }
        let all = [quiet, storm, load];
        dropped += all.iter().map(|round| round.dropped).sum::<u64>();
        let [quiet, storm, load] = all.map(|round| Sample::new(round.late));
        let at = |percent| {
            let of = |sample: &Sample| sample.percentile(percent).unwrap_or(0);
            Kinds {
                quiet: of(&quiet),
                storm: of(&storm),
                load: of(&load),
            }
        };
        p50.push(at(50.0));
        p99.push(at(99.0));
        for (costs, cost) in costs.iter_mut().zip(cost) {
            costs.push(cost);
        }
    }
    let gaps = clients.iter().map(Client::gaps).sum();
    let requests = clients.iter().map(Client::requests).sum();
    let (counters, _) = rig.finish(requests);
    let mut ratios: Vec<f64> = p99
        .iter()
        .map(|of| of.storm as f64 / of.load.max(1) as f64)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = |values: Vec<u64>| Sample::new(values).percentile(50.0).unwrap_or(0);
    Ok(Live {
        rate: RATE,
        clients: clients.len(),
        storms: STORMS,
        ratio: [
            ratios.get(ratios.len() / 2).copied().unwrap_or(0.0),
            ratios.first().copied().unwrap_or(0.0),
            ratios.last().copied().unwrap_or(0.0),
        ],
        p50,
        p99,
        storm_costs: costs.map(median),
        dropped,
        requests,
        look_ups: counters.server.repairs,
        gaps,
    })
}

impl Live {
    /// Whether a storm is no worse for the live stream than the load alone, by the median round.
    pub(super) fn holds(&self) -> bool {
        self.gaps == 0 && self.requests > 0 && self.ratio[0] <= MOST
    }

    pub(super) fn print(&self) {
        println!(
            "\nlive stream, {} datagrams a second, {} storms of {} clients in a round, {} rounds of each kind; how late, µs",
            self.rate,
            self.storms,
            self.clients,
            self.p99.len()
        );
        println!("{:<34}{:>12}{:>12}{:>12}", "", "quiet", "storm", "load");
        for (name, rounds) in [("  p50", &self.p50), ("  p99", &self.p99)] {
            let of = |of: fn(&Kinds<u64>) -> u64| {
                let values = Sample::new(rounds.iter().map(of).collect());
                values.percentile(50.0).unwrap_or(0) as f64 / 1_000.0
            };
            println!(
                "{:<34}{:>12.1}{:>12.1}{:>12.1}",
                format!("{name}, median of rounds"),
                of(|it| it.quiet),
                of(|it| it.storm),
                of(|it| it.load)
            );
        }
        let [median, least, most] = self.ratio;
        let [fills, clients] = self.storm_costs.map(|ns| ns as f64 / 1_000.0);
        println!(
            "  p99 in a storm by p99 under the same load: median {median:.2}, {least:.2} to {most:.2}; one storm costs the fill thread \
             {fills:.0} µs and the clients {clients:.0} µs\n  {} requests, {} look-ups, {} gaps, {} datagrams dropped by the receiver's socket",
            self.requests, self.look_ups, self.gaps, self.dropped
        );
    }
}

fn one(
    rig: &mut Rig,
    clients: &mut [Client],
    lost: u32,
    kind: Kind,
    costs: [u64; 2],
) -> Result<Round, Error> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    let to = receiver.local_addr().map_err(Error::Socket)?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    sender.connect(to).map_err(Error::Socket)?;
    let server = rig.server();
    let before = spent_by(FILL_THREAD);
    let feed = rig.feed();
    let (datagrams, heard) = sync_channel(QUEUE);
    let (moments, burns) = sync_channel(QUEUE);
    let mut round = std::thread::scope(|scope| {
        let late = scope.spawn(move || receive(&receiver));
        let hears = scope.spawn(move || hear(clients, server, &heard, (kind, costs[1])));
        scope.spawn(move || burn_at(&burns, costs[0]));
        let sent = send(feed, &sender, (&datagrams, &moments), (kind, lost));
        // The end of the round, for each of them.
        drop((datagrams, moments));
        let _ = sender.send(&[0]);
        let late = late.join().unwrap_or_default();
        Round {
            dropped: sent.saturating_sub(late.len() as u64),
            late,
            spent: [0, hears.join().unwrap_or_default()],
        }
    });
    round.spent[0] = spent_by(FILL_THREAD).saturating_sub(before);
    Ok(round)
}

/// Sends every datagram at its time; returns how many.
fn send(
    feed: &mut Feed,
    socket: &UdpSocket,
    (datagrams, moments): (&SyncSender<Option<Vec<u8>>>, &SyncSender<()>),
    (kind, lost): (Kind, u32),
) -> u64 {
    let begin = clock::monotonic_ns();
    let total = STORMS * BETWEEN;
    for number in 0..total {
        let due = begin + number * 1_000_000_000 / RATE;
        let now = clock::monotonic_ns();
        if due > now {
            std::thread::sleep(Duration::from_nanos(due - now));
        }
        let bytes = feed.send_at(due);
        // A full buffer is a drop, which is counted.
        let _ = socket.send(&bytes);
        let place = number % BETWEEN;
        let storms = kind == Kind::Storm && place < u64::from(lost);
        let moment = place == u64::from(lost);
        if moment && kind == Kind::Load {
            let _ = moments.try_send(());
        }
        let burns = moment && kind == Kind::Load;
        // What the clients' thread has no room for it loses, and asks for.
        let _ = datagrams.try_send((!storms).then_some(bytes));
        if burns {
            let _ = datagrams.try_send(None);
        }
    }
    total
}

/// How late each datagram was, ns.
fn receive(socket: &UdpSocket) -> Vec<u64> {
    let mut late = Vec::with_capacity((STORMS * BETWEEN) as usize);
    let mut buffer = [0; LONGEST];
    while let Ok(length) = socket.recv(&mut buffer) {
        let now = clock::monotonic_ns();
        let Ok(header) = Header::parse(&buffer[..length]) else {
            break;
        };
        late.push(now.saturating_sub(header.sent_at));
    }
    late
}

/// The clients' thread; returns the processor time that it took, ns.
fn hear(
    clients: &mut [Client],
    server: std::net::SocketAddr,
    heard: &Receiver<Option<Vec<u8>>>,
    (kind, cost): (Kind, u64),
) -> u64 {
    let begun = thread_ns();
    // What is still to be burnt: a storm is answered one client after the other, not in one piece.
    let mut owed = 0;
    let mut over: VecDeque<u32> = VecDeque::from([LAST_TURNS]);
    loop {
        match heard.recv_timeout(TURN) {
            Ok(Some(bytes)) => clients.iter_mut().for_each(|client| client.hear(&bytes)),
            Ok(None) if kind == Kind::Load => owed += cost,
            Ok(None) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                // What was asked for last is waited for.
                std::thread::sleep(TURN);
                match over.pop_front() {
                    Some(left) if left > 0 => over.push_back(left - 1),
                    _ => break,
                }
            }
        }
        let slice = owed.min(cost / SLICES);
        burn(slice);
        owed -= slice;
        for client in &mut *clients {
            client.turn(server);
            client.take_asked_at();
        }
    }
    thread_ns() - begun
}

/// Spends `cost` at each moment.
fn burn_at(moments: &Receiver<()>, cost: u64) {
    while moments.recv().is_ok() {
        burn(cost);
    }
}

/// Spends so much processor time, ns.
fn burn(cost: u64) {
    let until = thread_ns() + cost;
    while thread_ns() < until {
        core::hint::spin_loop();
    }
}

/// Processor time of this thread, ns.
fn thread_ns() -> u64 {
    let at = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanos
}

/// Processor time of this process's thread of that name, ns: the first field of its `schedstat`.
fn spent_by(name: &str) -> u64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let read = |path: std::path::PathBuf, file: &str| {
        std::fs::read_to_string(path.join(file)).unwrap_or_default()
    };
    let named = tasks
        .flatten()
        .filter(|task| read(task.path(), "comm").trim() == name);
    let spent = named.filter_map(|task| {
        let text = read(task.path(), "schedstat");
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    spent.sum()
}

/// Datagrams a second.
const RATE: u64 = 10_000;
/// Storms in a round.
const STORMS: u64 = 60;
/// Datagrams from one to the next.
const BETWEEN: u64 = 250;
/// Datagrams and moments that a thread may lag behind.
const QUEUE: usize = 4_096;
/// How often the clients look for answers when nothing comes.
const TURN: Duration = Duration::from_micros(200);
/// In so many turns the clients' thread burns what one storm costs it.
const SLICES: u64 = 32;
/// How many turns they take behind the last datagram.
const LAST_TURNS: u32 = 500;
/// How much worse a storm may be for the live stream than the load alone: the product's own bound.
const MOST: f64 = 1.2;
/// The fill thread, as the kernel names it.
const FILL_THREAD: &str = "fills";
