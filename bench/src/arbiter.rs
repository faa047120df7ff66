//! What does it cost to have a message twice and tell it once?
//!
//! ```text
//!  leg 0   d1   d2   d3 …   encoded before, handed over in turn, in one thread, without a socket
//!  leg 1      d1   d2   d3 …
//!            └──► Arbiter ──► a handler that reads each record's number
//! ```
//!
//! Four ways, alternating within each round: *read* (the view alone: every record is read, nothing is decided), *one leg*, *both legs* (each datagram of leg 0, then the same of
//! leg 1), and that with another source between. What the leg costs that loses is the difference of both and one. Messages have one record of 56 bytes, an `MboMsg`. Only the calls are timed: what
//! is handed over is encoded between.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;
use twinfeed_protocol::{
    Arbiter, Delivered, Event, Handler, Leg, Limits, OrderingClass, Policy, Time,
};
use twinfeed_wire::record::{DbnRecord, MboMsg};
use twinfeed_wire::{
    BodyKind, ContextId, DEFAULT_DATAGRAM, Datagram, Dsn, Epoch, Generation, Header, Incarnation,
    Msn, Record, RecordFlags, Sid, StreamId, Writer,
};

use crate::cost::{self, Cost};
use crate::error::Error;
use crate::host::Host;

/// What is handed over, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Messages of each kind in a round.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    messages: u64,
    /// Rounds, in which the kinds take turns.
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: usize,
    /// Records in a datagram.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,4,16"
    )]
    together: Vec<usize>,
    /// Source streams of one arbiter.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,4,16,64"
    )]
    sources: Vec<u32>,
    /// Writes the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// Who is handed what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Read,
    One,
    Both,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    policy: &'static str,
    sources: u32,
    together: usize,
    read: Cost,
    one: Cost,
    both: Cost,
    /// Both legs less one, in the same round.
    loser: Cost,
}

#[derive(Debug, Serialize)]
struct Figures {
    host: Host,
    messages: u64,
    rounds: usize,
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
    let fits = |together: &usize| (1..=MOST_TOGETHER).contains(together);
    if !args.together.iter().all(fits) {
        return Err(flag("--together", "1 to 16 records fit a datagram"));
    }
    if !args
        .sources
        .iter()
        .all(|sources| (1..=1_024).contains(sources))
    {
        return Err(flag("--sources", "1 to 1024"));
    }
    let host = Host::look();
    let (mut rows, mut sound) = (Vec::new(), true);
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        for &sources in &args.sources {
            for &together in &args.together {
                let (row, held) = measure(policy, (sources, together), args);
                rows.push(row);
                sound &= held;
            }
        }
    }
    let figures = Figures {
        host,
        messages: args.messages,
        rounds: args.rounds,
        rows,
    };
    print(&figures);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(path, text).map_err(Error::write(path))?;
    }
    Ok(sound)
}

/// Hands over so many messages of one source, first-arrival, for who counts instructions; how many those were, or `None`
/// when one was not told once and in order.
pub(crate) fn hand_over(both: bool, together: usize, messages: u64) -> Option<u64> {
    let mut stage = Stage::new(Policy::FirstArrival, 1, together);
    let kind = if both { Kind::Both } else { Kind::One };
    let (_, sound) = stage.run(kind, messages);
    sound.then_some(stage.told.records)
}

fn measure(policy: Policy, (sources, together): (u32, usize), args: &Args) -> (Row, bool) {
    let mut of = [const { Vec::new() }; 3];
    let (mut loser, mut sound) = (Vec::new(), true);
    for _ in 0..args.rounds {
        let mut spent = [0; 3];
        for (kind, spent) in [Kind::Read, Kind::One, Kind::Both]
            .into_iter()
            .zip(&mut spent)
        {
            let mut stage = Stage::new(policy, sources, together);
            let (ns, held) = stage.run(kind, args.messages);
            *spent = ns;
            sound &= held;
        }
        let [_, one, both] = spent;
        of.iter_mut().zip(spent).for_each(|(of, ns)| of.push(ns));
        loser.push(both.saturating_sub(one));
    }
    let [read, one, both] = of.map(Cost::of);
    let row = Row {
        policy: match policy {
            Policy::FirstArrival => "first-arrival",
            Policy::PreferActive => "prefer-active",
        },
        sources,
        together,
        read,
        one,
        both,
        loser: Cost::of(loser),
    };
    (row, sound)
}

/// A handler that looks at what it is told.
#[derive(Debug, Default)]
struct Told {
    records: u64,
    sum: u64,
    out_of_order: u64,
    last: u64,
    events: u64,
    sources: u64,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(record.pos.sseq);
        // Sources take turns with a datagram each: no number is below the one before.
        self.out_of_order += u64::from(self.sources == 1 && record.pos.sseq <= self.last);
        self.last = record.pos.sseq;
    }

    fn event(&mut self, event: &Event) {
        // That both legs are heard, and where they begin, is said once.
        self.events += u64::from(matches!(event, Event::Gap { .. } | Event::Reset { .. }));
    }
}

/// An arbiter, and two legs of each of its sources.
struct Stage {
    arbiter: Arbiter,
    told: Told,
    sources: u32,
    together: usize,
    next: u64,
    dsn: u64,
    now: Time,
    /// Whole datagrams, one after the other, and how long each is.
    bytes: [Vec<u8>; 2],
    lengths: Vec<usize>,
}

impl Stage {
    fn new(policy: Policy, sources: u32, together: usize) -> Self {
        let limits = Limits {
            policy,
            ..Limits::default()
        };
        let Ok(mut arbiter) = Arbiter::new(limits) else {
            unreachable!("the defaults can be worked with")
        };
        for source in 1..=sources {
            arbiter.add_source(Sid(source), OrderingClass::Ordered);
            for leg in Leg::BOTH {
                arbiter.set_stream(Sid(source), leg, stream(source, leg));
            }
        }
        Self {
            arbiter,
            told: Told {
                sources: u64::from(sources),
                ..Told::default()
            },
            sources,
            together,
            next: 1,
            dsn: 0,
            now: Time(1_000_000_000),
            bytes: [Vec::new(), Vec::new()],
            lengths: Vec::new(),
        }
    }

    /// Tells so many messages; tenths of ns a message, and whether each was told once and in order.
    fn run(&mut self, kind: Kind, messages: u64) -> (u64, bool) {
        let (mut spent, mut handed, mut read) = (0, 0, 0);
        while handed < messages {
            handed += self.encode();
            let begun = Instant::now();
            match kind {
                Kind::Read => read += self.read(),
                Kind::One => self.hand_over(&[Leg::Zero]),
                Kind::Both => self.hand_over(&Leg::BOTH),
            }
            spent += begun.elapsed().as_nanos();
        }
        black_box(self.told.sum);
        let told = match kind {
            Kind::Read => read,
            Kind::One | Kind::Both => self.told.records,
        };
        let sound = told == handed && self.told.out_of_order == 0 && self.told.events == 0;
        (cost::tenths(spent, handed), sound)
    }

    /// `bench/instructions` counts what is in here, by this name.
    #[inline(never)]
    fn hand_over(&mut self, legs: &[Leg]) {
        let mut at = 0;
        for length in &self.lengths {
            // Far below any deadline.
            self.now = Time(self.now.0 + 100);
            for leg in legs {
                let bytes = &self.bytes[leg.index()][at..at + length];
                self.arbiter
                    .on_datagram(*leg, self.now, bytes, &mut self.told);
            }
            at += length;
        }
    }

    fn read(&self) -> u64 {
        let (mut at, mut records, mut sum) = (0, 0, 0_u64);
        for length in &self.lengths {
            if let Ok(datagram) = Datagram::parse(&self.bytes[0][at..at + length]) {
                for record in datagram.records() {
                    records += 1;
                    sum = sum.wrapping_add(record.sseq);
                }
            }
            at += length;
        }
        black_box(sum);
        records
    }

    /// The next datagrams of every source, in turn, the same on both legs; returns how many messages that is.
    fn encode(&mut self) -> u64 {
        let order = MboMsg::default();
        let body = bytes_of(&order);
        self.bytes.iter_mut().for_each(Vec::clear);
        self.lengths.clear();
        let mut messages = 0;
        for _ in 0..AT_ONCE / u64::from(self.sources) / self.together as u64 + 1 {
            self.dsn += 1;
            for source in 1..=self.sources {
                for leg in Leg::BOTH {
                    let mut buffer = [0; DEFAULT_DATAGRAM];
                    let header = Header {
                        stream: stream(source, leg),
                        generation: Generation(1),
                        incarnation: Incarnation(7 + leg.index() as u64),
                        first_msn: Msn(self.next),
                        sid: Sid(source),
                        epoch: Epoch(1),
                        context: ContextId(1),
                        first: 1,
                        base_sseq: self.next,
                        ..Header::default()
                    };
                    let mut writer = Writer::begin(&mut buffer, header);
                    for sseq in self.next..self.next + self.together as u64 {
                        let pushed = writer.push(&Record {
                            kind: BodyKind::Dbn,
                            flags: RecordFlags::LAST,
                            part: 0,
                            sseq,
                            prev: sseq - 1,
                            adm: header.base_adm,
                            body,
                        });
                        debug_assert!(pushed.is_ok(), "a few short records fit");
                    }
                    let length = writer.finish(Dsn(self.dsn), header.flags, 0);
                    self.bytes[leg.index()].extend_from_slice(&buffer[..length]);
                    if leg == Leg::Zero {
                        self.lengths.push(length);
                    }
                }
                messages += self.together as u64;
            }
            self.next += self.together as u64;
        }
        messages
    }
}

fn stream(source: u32, leg: Leg) -> StreamId {
    StreamId(source * 2 + leg.index() as u32)
}

fn bytes_of(record: &impl DbnRecord) -> &[u8] {
    record.as_bytes()
}

fn print(figures: &Figures) {
    println!("{}", figures.host);
    println!(
        "{} messages of one 56-byte record, {} rounds of each kind in turn; ns a message: median (least … most)\n",
        figures.messages, figures.rounds
    );
    println!(
        "{:<15}{:>8}{:>10}{:>22}{:>22}{:>22}{:>22}",
        "policy", "sources", "together", "read alone", "one leg", "both legs", "the leg that loses"
    );
    for row in &figures.rows {
        let cost = |of: &Cost| format!("{:.1} ({:.1} … {:.1})", of.median, of.least, of.most);
        println!(
            "{:<15}{:>8}{:>10}{:>22}{:>22}{:>22}{:>22}",
            row.policy,
            row.sources,
            row.together,
            cost(&row.read),
            cost(&row.one),
            cost(&row.both),
            cost(&row.loser)
        );
    }
}

/// Messages that are encoded at once, at least: what is handed over stays in the caches of a core as what a socket gives does.
const AT_ONCE: u64 = 1_024;
/// Records that fit [`DEFAULT_DATAGRAM`].
const MOST_TOGETHER: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_told_once_whoever_brings_it() {
        for policy in [Policy::FirstArrival, Policy::PreferActive] {
            for (sources, together) in [(1, 1), (3, 16), (64, 4)] {
                for kind in [Kind::Read, Kind::One, Kind::Both] {
                    let mut stage = Stage::new(policy, sources, together);
                    let (_, sound) = stage.run(kind, 5_000);
                    assert!(
                        sound,
                        "{policy:?} {sources} {together} {kind:?} {:?}",
                        stage.told
                    );
                    let duplicates = stage.arbiter.counters().duplicates;
                    assert_eq!(kind == Kind::Both, duplicates > 0, "{duplicates}");
                }
            }
        }
    }
}
