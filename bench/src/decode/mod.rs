//! How many messages does one core of an adapter take in, from the packet to the datagram?
//!
//! ```text
//!  MoldUDP64 packets of TotalView-ITCH 5.0 ──► decoder, order table ──► DBN records ──► sequencer ──► datagrams
//!  (made before, seeded)                       `path` says how far                              (not sent)
//! ```
//!
//! Each round makes messages, and every way takes the same ones, in turn: what else runs on the host hits all of them. Only
//! what is done with packets that lie in a receive call's slots is timed, by the clock of the thread: time in which another
//! process has the core does not count.

use std::path::{Path as FilePath, PathBuf};

use serde::Serialize;
use twinfeed_feed_adapter::decode::itch50::Settings;
use twinfeed_feed_adapter::source::binaryfile::Reader;

use self::flow::{Content, Flow, MOST_TOGETHER, Packets};
use self::path::{Path, Way};
use crate::cost::Cost;
use crate::error::Error;
use crate::host::Host;

pub(crate) mod flow;
pub(crate) mod path;

/// What is taken in, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Messages of each way in a round.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    messages: u64,
    /// Rounds, in which the ways take turns.
    #[arg(long, value_name = "N", default_value_t = 11)]
    rounds: usize,
    /// Messages in a packet.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,8,27"
    )]
    together: Vec<usize>,
    /// Resting orders, of which a random one is touched.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "10000,100000,1000000,10000000"
    )]
    orders: Vec<usize>,
    /// What is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A folder of sample captures; Nasdaq's is taken in as well, again and again.
    #[arg(long, value_name = "FOLDER", env = "TWINFEED_SAMPLES")]
    samples: Option<PathBuf>,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    content: &'static str,
    orders: usize,
    together: usize,
    /// Records framed, of a message.
    records: f64,
    decoded: Cost,
    framed: Cost,
    whole: Cost,
    /// Each packet on both lines.
    twice: Cost,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    messages: u64,
    rounds: usize,
    seed: u64,
    rows: Vec<Row>,
}

/// Runs the bench; returns whether every message was converted once and framed.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    let flag = |flag, fault: &str| Error::Flag {
        flag,
        fault: fault.to_owned(),
    };
    if args.messages == 0 || args.rounds == 0 {
        return Err(flag("--messages", "and --rounds: at least 1"));
    }
    let fits = |together: &usize| (1..=MOST_TOGETHER).contains(together);
    if !args.together.iter().all(fits) {
        return Err(flag("--together", "1 to 27 messages fit a packet"));
    }
    if args.orders.iter().any(|orders| *orders > MOST_ORDERS) {
        return Err(flag("--orders", "at most 20,000,000"));
    }
    let host = Host::look();
    let (mut rows, mut sound) = (Vec::new(), true);
    let contents = [Content::Trades, Content::NoOrder].into_iter();
    for content in contents.chain(args.orders.iter().copied().map(Content::Mix)) {
        sound &= measure(content, args, &mut rows);
    }
    if let Some(samples) = &args.samples {
        let messages = read_capture(&samples.join(SNIPPET))?;
        sound &= repeat(&messages, args, &mut rows);
    }
    let figures = Figures {
        host,
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

/// Takes trades in, in full packets, for who counts instructions; how many those were, or `None` when one was not framed.
pub(crate) fn take_trades(messages: u64) -> Option<u64> {
    take(Content::Trades, messages)
}

/// A mix, with 100,000 resting orders, likewise.
pub(crate) fn take_mix(messages: u64) -> Option<u64> {
    take(Content::Mix(100_000), messages)
}

fn take(content: Content, messages: u64) -> Option<u64> {
    let mut path = Path::new(Way::Whole, Settings::MAX_OPEN_ORDERS, false);
    let (mut flow, mut packets) = (Flow::new(content, 1), Packets::default());
    while flow.fill(messages, &mut packets) {
        path.prepare(&packets);
    }
    flow.speak(1_000, 1, &mut packets);
    path.prepare(&packets);
    flow.speak(messages, MOST_TOGETHER, &mut packets);
    path.take_counted(&packets);
    path.is_sound(true).then_some(packets.messages())
}

fn measure(content: Content, args: &Args, rows: &mut Vec<Row>) -> bool {
    let (name, orders) = match content {
        Content::Trades => ("trades", 0),
        Content::NoOrder => ("no order", 0),
        Content::Mix(orders) => ("mix", orders),
    };
    // What an adapter is configured with, unless that is too few.
    let limit = (orders + orders / 8).max(Settings::MAX_OPEN_ORDERS);
    let mut paths = Way::ALL.map(|way| Path::new(way, limit, false));
    let (mut flow, mut packets) = (Flow::new(content, args.seed), Packets::default());
    while flow.fill(args.messages, &mut packets) {
        for path in &mut paths {
            path.take(&packets);
        }
    }
    // A source is believed after some packets, and caches are warm after some messages.
    flow.speak(args.messages.min(50_000), 1, &mut packets);
    for path in &mut paths {
        path.take(&packets);
    }
    for &together in &args.together {
        let mut speak = |packets: &mut Packets| flow.speak(args.messages, together, packets);
        rows.push(take_turns(
            (name, orders, together),
            &mut paths,
            args.rounds,
            &mut speak,
        ));
    }
    paths.iter().all(|path| path.is_sound(true))
}

/// The messages of a capture again and again: orders that it adds and does not delete come again as well, and those of before
/// it are not known.
fn repeat(messages: &[Vec<u8>], args: &Args, rows: &mut Vec<Row>) -> bool {
    let mut paths = Way::ALL.map(|way| Path::new(way, Settings::MAX_OPEN_ORDERS, false));
    let (mut all, mut next, mut packets) = (messages.iter().cycle(), 1, Packets::default());
    flow::pack(&mut all, &mut next, (50_000, 1), &mut packets);
    for path in &mut paths {
        path.take(&packets);
    }
    for &together in &args.together {
        let mut speak = |packets: &mut Packets| {
            flow::pack(&mut all, &mut next, (args.messages, together), packets);
        };
        rows.push(take_turns(
            ("capture", 0, together),
            &mut paths,
            args.rounds,
            &mut speak,
        ));
    }
    paths.iter().all(|path| path.is_sound(false))
}

fn take_turns(
    (content, orders, together): (&'static str, usize, usize),
    paths: &mut [Path; 4],
    rounds: usize,
    speak: &mut impl FnMut(&mut Packets),
) -> Row {
    let mut packets = Packets::default();
    let mut of = [const { Vec::new() }; 4];
    let records = |paths: &[Path; 4]| paths[2].records();
    let (before, mut messages) = (records(paths), 0);
    for _ in 0..rounds {
        speak(&mut packets);
        messages += packets.messages();
        for (path, of) in paths.iter_mut().zip(&mut of) {
            of.push(path.take(&packets));
        }
    }
    let [decoded, framed, whole, twice] = of.map(Cost::of);
    Row {
        content,
        orders,
        together,
        records: (records(paths) - before) as f64 / messages as f64,
        decoded,
        framed,
        whole,
        twice,
    }
}

fn read_capture(path: &FilePath) -> Result<Vec<Vec<u8>>, Error> {
    let fault = |error: &dyn std::fmt::Display| Error::Flag {
        flag: "--samples",
        fault: format!("{error}; leave it out, or name a folder that holds {SNIPPET}"),
    };
    let mut reader = Reader::open(path).map_err(|error| fault(&error))?;
    let mut messages = Vec::new();
    while let Some(message) = reader.next_message().map_err(|error| fault(&error))? {
        messages.push(message.to_vec());
    }
    match messages.is_empty() {
        true => Err(fault(&"it holds no message")),
        false => Ok(messages),
    }
}

fn print(figures: &Figures) {
    println!("{}", figures.host);
    println!(
        "{} messages, {} rounds of each way in turn, seed {}; ns of a core a message: median (least … most)\n",
        figures.messages, figures.rounds, figures.seed
    );
    println!(
        "{:<10}{:>10}{:>10}{:>9}{:>23}{:>23}{:>23}{:>12}{:>23}",
        "content",
        "orders",
        "together",
        "records",
        "decoded",
        "and framed",
        "from a line",
        "million/s",
        "from both lines"
    );
    for row in &figures.rows {
        let cost = |of: &Cost| format!("{:.1} ({:.1} … {:.1})", of.median, of.least, of.most);
        println!(
            "{:<10}{:>10}{:>10}{:>9.2}{:>23}{:>23}{:>23}{:>12.1}{:>23}",
            row.content,
            row.orders,
            row.together,
            row.records,
            cost(&row.decoded),
            cost(&row.framed),
            cost(&row.whole),
            1_000.0 / row.whole.median,
            cost(&row.twice)
        );
    }
}

/// The capture, in the folder of samples.
const SNIPPET: &str = "nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50";
/// Four tables of 96 bytes an order.
const MOST_ORDERS: usize = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_converted_once_and_framed_whichever_way() {
        for content in [
            Content::Trades,
            Content::NoOrder,
            Content::Mix(0),
            Content::Mix(1),
            Content::Mix(1_000),
        ] {
            let mut paths = Way::ALL.map(|way| Path::new(way, 4_000, true));
            let (mut flow, mut packets) = (Flow::new(content, 7), Packets::default());
            while flow.fill(300, &mut packets) {
                for path in &mut paths {
                    path.take(&packets);
                }
            }
            for together in [1, 3, MOST_TOGETHER] {
                flow.speak(5_000, together, &mut packets);
                for path in &mut paths {
                    path.take(&packets);
                }
                let records = paths.each_ref().map(Path::records);
                assert!(records.iter().all(|it| *it == records[0]), "{records:?}");
                assert!(records[0] > 0);
                for path in &paths {
                    assert!(path.is_sound(true), "{content:?} {together} {path:?}");
                }
            }
        }
    }

    #[test]
    fn the_same_seed_says_the_same() {
        let said = |seed| {
            let (mut flow, mut packets) = (Flow::new(Content::Mix(100), seed), Packets::default());
            flow.speak(1_000, 8, &mut packets);
            packets.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(said(3), said(3));
        assert_ne!(said(3), said(4));
    }
}
