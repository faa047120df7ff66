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
//! anything, and the clients' thread spends turn by turn what it spent in the storm before, and another thread what the fill thread did, in those
//! turns in which somebody asked. Two processors that are shared by five threads make any stream late; what a storm does beyond that is its
//! ratio to the load.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;
use twinfeed_net::clock;
use twinfeed_wire::Header;

use super::client::Client;
use super::rig::{Feed, LONGEST, Rig};
use super::rounds::{Pool, compare};
use crate::chance::Chance;
use crate::cost::thread_ns;
use crate::error::Error;
use crate::stats::{RESAMPLES, Sample};

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
    /// How late datagrams were, over all rounds of a kind, ns.
    late: Kinds<Late>,
    /// The 99th percentile round by round, ns.
    p99: Vec<Kinds<u64>>,
    /// The fill thread's and the clients' processor time for one storm, ns, medians over rounds.
    storm_costs: [u64; 2],
    /// Datagrams that the receiver did not get, in all rounds.
    dropped: u64,
    requests: u64,
    look_ups: u64,
    gaps: u64,
    /// The storms' p99 by the loads', over all rounds.
    ratio: f64,
    /// Its 95 % bootstrap interval over rounds.
    interval: [f64; 2],
    /// The storms' p99 by that of quiet rounds, with its interval: what storms cost where the host has processors to spare.
    by_quiet: (f64, [f64; 2]),
    /// The same round by round: the least, the median and the most.
    ratio_of_rounds: [f64; 3],
}

/// How late datagrams were, ns.
#[derive(Clone, Copy, Debug, Serialize)]
struct Late {
    count: usize,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Late {
    fn of(sample: &Sample) -> Self {
        let at = |percent| sample.percentile(percent).unwrap_or(0);
        Self {
            count: sample.len(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: sample.max().unwrap_or(0),
        }
    }
}

/// What one round came to.
#[derive(Debug, Default)]
struct Round {
    late: Vec<u64>,
    dropped: u64,
    /// Processor time of the fill thread, ns.
    fills: u64,
    /// The turns of the clients' thread since each storm's moment.
    storms: Vec<Vec<Turn>>,
}

/// One turn of the clients' thread.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// Processor time, ns.
    spent: u64,
    /// Requests that were sent in it.
    asked: u64,
}

/// What is spent in a round.
#[derive(Clone, Copy, Debug)]
enum Work<'a> {
    /// What comes of itself.
    Own,
    /// What a storm cost before, beyond what turns cost without: the clients' turns, and for each request what it cost the fill thread.
    Again(&'a [Vec<Turn>], u64),
}

/// Measures so many rounds of each kind.
pub(super) fn measure(clients: usize, lost: u32, rounds: u32) -> Result<Live, Error> {
    let mut clients = Client::many(clients)?;
    let addresses = clients.iter().map(Client::address);
    let addresses = addresses.collect::<Result<Vec<_>, Error>>()?;
    let mut rig = Rig::new(&addresses)?;
    rig.until_entitled(&mut clients[0])?;
    let (mut all_late, mut p99) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new());
    let mut costs = [Vec::new(), Vec::new()];
    let mut dropped = 0;
    // The first of each is not counted: everything is touched for the first time.
    for number in 0..=rounds {
        let mut round = |storms, work: Work<'_>| one(&mut rig, &mut clients, (lost, storms), work);
        let quiet = round(false, Work::Own)?;
        let mut storm = round(true, Work::Own)?;
        let usual = quiet.storms.iter().flatten().map(|turn| turn.spent);
        let usual = Sample::new(usual.collect()).percentile(50.0).unwrap_or(0);
        let asked: u64 = storm.storms.iter().flatten().map(|turn| turn.asked).sum();
        let fills = storm.fills.saturating_sub(quiet.fills);
        for turn in storm.storms.iter_mut().flatten() {
            turn.spent = turn.spent.saturating_sub(usual);
        }
        let spent: u64 = storm.storms.iter().flatten().map(|turn| turn.spent).sum();
        let cost = [fills / STORMS, spent / STORMS];
        let again = Work::Again(&storm.storms, fills / asked.max(1));
        let load = round(false, again)?;
        if number == 0 {
            continue;
        }
        let all = [quiet, storm, load];
        dropped += all.iter().map(|round| round.dropped).sum::<u64>();
        for (late, round) in all_late.iter_mut().zip(&all) {
            late.push(round.late.clone());
        }
        let of = |round: Round| Sample::new(round.late).percentile(99.0).unwrap_or(0);
        let [quiet, storm, load] = all.map(of);
        p99.push(Kinds { quiet, storm, load });
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
    let [quiet, storm, load] = all_late.each_ref().map(|rounds| Pool::new(rounds));
    let mut chance = Chance::seeded(u64::from(rounds));
    let (ratio, interval) = compare(&storm, &load, 99.0, RESAMPLES, &mut chance);
    let by_quiet = compare(&storm, &quiet, 99.0, RESAMPLES, &mut chance);
    let [quiet, storm, load] = all_late.map(|late| Late::of(&Sample::new(late.concat())));
    let late = Kinds { quiet, storm, load };
    let median = |values: Vec<u64>| Sample::new(values).percentile(50.0).unwrap_or(0);
    Ok(Live {
        rate: RATE,
        clients: clients.len(),
        storms: STORMS,
        ratio,
        interval,
        by_quiet,
        ratio_of_rounds: [0, ratios.len() / 2, ratios.len().saturating_sub(1)]
            .map(|at| ratios.get(at).copied().unwrap_or(0.0)),
        late,
        p99,
        storm_costs: costs.map(median),
        dropped,
        requests,
        look_ups: counters.server.repairs,
        gaps,
    })
}

impl Live {
    /// Whether storms are no worse for the live stream than the load alone.
    pub(super) fn holds(&self) -> bool {
        self.gaps == 0 && self.requests > 0 && self.ratio <= MOST
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
        let row = |name: &str, of: fn(&Late) -> u64| {
            let us = |late: &Late| of(late) as f64 / 1_000.0;
            let Kinds { quiet, storm, load } = &self.late;
            println!(
                "{:<34}{:>12.1}{:>12.1}{:>12.1}",
                format!("  {name}"),
                us(quiet),
                us(storm),
                us(load)
            );
        };
        row("p50", |it| it.p50);
        row("p90", |it| it.p90);
        row("p99", |it| it.p99);
        row("p99.9", |it| it.p999);
        row("max", |it| it.max);
        let [least, median, most] = self.ratio_of_rounds;
        let [low, high] = self.interval;
        let (quiet, [quiet_low, quiet_high]) = self.by_quiet;
        let [fills, clients] = self.storm_costs.map(|ns| ns as f64 / 1_000.0);
        println!(
            "  p99 with storms by p99 under the same load: {:.2} (95 % interval over rounds {low:.2} to {high:.2}; round by round {least:.2} to {most:.2}, median {median:.2}), \
             by that of quiet rounds {quiet:.2} ({quiet_low:.2} to {quiet_high:.2})\n  one storm costs the fill thread \
             {fills:.0} µs and the clients {clients:.0} µs\n  {} requests, {} look-ups, {} gaps, {} datagrams dropped by the receiver's socket",
            self.ratio, self.requests, self.look_ups, self.gaps, self.dropped
        );
    }
}

fn one(
    rig: &mut Rig,
    clients: &mut [Client],
    (lost, storms): (u32, bool),
    work: Work<'_>,
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
        let hears = scope.spawn(move || hear(clients, server, &heard, (&moments, work)));
        scope.spawn(move || burn_at(&burns));
        let sent = send(feed, &sender, &datagrams, (lost, storms));
        // The end of the round, for each of them.
        drop(datagrams);
        let _ = sender.send(&[0]);
        let late = late.join().unwrap_or_default();
        Round {
            dropped: sent.saturating_sub(late.len() as u64),
            late,
            fills: 0,
            storms: hears.join().unwrap_or_default(),
        }
    });
    round.fills = spent_by(FILL_THREAD).saturating_sub(before);
    Ok(round)
}

/// Sends every datagram at its time; returns how many. The clients get those that they do not lose, and `None` where a storm begins, or would.
fn send(
    feed: &mut Feed,
    socket: &UdpSocket,
    datagrams: &SyncSender<Option<Vec<u8>>>,
    (lost, storms): (u32, bool),
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
        if place == u64::from(lost) {
            let _ = datagrams.try_send(None);
        }
        if !storms || place >= u64::from(lost) {
            // What the clients' thread has no room for it loses, and asks for.
            let _ = datagrams.try_send(Some(bytes));
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

/// The clients' thread; returns its turns since each storm's moment.
fn hear(
    clients: &mut [Client],
    server: std::net::SocketAddr,
    heard: &Receiver<Option<Vec<u8>>>,
    (burns, work): (&SyncSender<u64>, Work<'_>),
) -> Vec<Vec<Turn>> {
    let mut storms: Vec<Vec<Turn>> = Vec::new();
    let mut left = LAST_TURNS;
    loop {
        let came = heard.recv_timeout(TURN);
        let begun = thread_ns();
        let before: u64 = clients.iter().map(Client::requests).sum();
        match came {
            Ok(Some(bytes)) => clients.iter_mut().for_each(|client| client.hear(&bytes)),
            Ok(None) => storms.push(Vec::with_capacity(2 * BETWEEN as usize)),
            Err(RecvTimeoutError::Timeout) => {}
            // What was asked for last is waited for.
            Err(RecvTimeoutError::Disconnected) if left > 0 => {
                std::thread::sleep(TURN);
                left -= 1;
            }
            Err(RecvTimeoutError::Disconnected) => return storms,
        }
        for client in &mut *clients {
            client.turn(server);
            client.take_asked_at();
        }
        if let Work::Again(before, cost) = work
            && let Some(turn) = storms.len().checked_sub(1).and_then(|storm| {
                let turns = before.get(storm)?;
                turns.get(storms[storm].len())
            })
        {
            if turn.asked > 0 {
                let _ = burns.try_send(turn.asked * cost);
            }
            burn(turn.spent);
        }
        let asked = clients.iter().map(Client::requests).sum::<u64>() - before;
        if let Some(turns) = storms.last_mut() {
            turns.push(Turn {
                spent: thread_ns() - begun,
                asked,
            });
        }
    }
}

/// Spends what it is told to.
fn burn_at(costs: &Receiver<u64>) {
    while let Ok(cost) = costs.recv() {
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
/// How many turns they take behind the last datagram.
const LAST_TURNS: u32 = 500;
/// How much worse a storm may be for the live stream than the load alone: the product's own bound.
const MOST: f64 = 1.2;
/// The fill thread, as the kernel names it.
const FILL_THREAD: &str = "fills";
