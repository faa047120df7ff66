//! Sources, both adapters' halves of them, and two applications that take all of it.
//!
//! ```text
//!  source 1   packet ─► adapter 0 ─► held ─┐             ┌─► arbiter ─► all records
//!                    └► adapter 1 ─► held ─┴─ both legs ─┤
//!  source 2   …                                          └─► arbiter ─► filter ─► half of the instruments
//! ```
//!
//! A lap is [`TURNS`] packets, whichever sources they are from: each source gives one in its turn, which comes alone. So what a lap carries,
//! and what of it lies in the caches, is the same for one source and for many.

use std::fmt;
use std::hint::black_box;

use twinfeed_net::udp::{Datagrams as _, Outbox};
use twinfeed_protocol::{Arbiter, Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};
use twinfeed_subscriber::Filter;
use twinfeed_subscriber::filter::passing;
use twinfeed_wire::{Sid, StreamId};

use crate::breach::is_breach;
use crate::cost;
use crate::decode::flow::{Content, Flow, MOST_TOGETHER, Packets, symbol};
use crate::decode::path::Path;
use crate::error::Error;

/// How large the world is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size {
    pub(super) sources: u32,
    /// Of all sources.
    pub(super) instruments: u32,
    /// Resting orders of all sources.
    pub(super) orders: usize,
}

impl Size {
    /// Why not, if it cannot be.
    pub(super) fn fault(self) -> Option<&'static str> {
        if !(1..=MOST_SOURCES).contains(&self.sources) {
            return Some("1 to 64 sources");
        }
        let each = self.instruments.div_ceil(self.sources);
        match each {
            0 => Some("at least one instrument"),
            // The stock locate of ITCH has 16 bits.
            1..=65_534 => None,
            _ => Some("at most 65534 instruments of each source"),
        }
    }
}

/// What was spent, ns, on so many messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    pub(super) messages: u64,
    /// By one of the adapters.
    pub(super) adapter: u64,
    /// By an application that takes all.
    pub(super) arbiter: u64,
    /// By one that filters.
    pub(super) filtered: u64,
}

impl Spent {
    pub(super) const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.adapter += other.adapter;
        self.arbiter += other.arbiter;
        self.filtered += other.filtered;
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    sources: Vec<Source>,
    arrived: Arrived,
    all: Subscriber,
    half: Subscriber,
}

/// One source, and its streams of both adapters.
#[derive(Debug)]
struct Source {
    flow: Flow,
    packets: Packets,
    adapters: [Path; 2],
}

impl World {
    /// Every instrument was told, and so many orders rest.
    pub(super) fn new(size: Size, seed: u64) -> Result<Self, Error> {
        let each = size.orders / size.sources as usize;
        let instruments = size.instruments.div_ceil(size.sources) as u16;
        // As full as a table becomes, whatever the number of tables.
        let limit = each + each / 8 + 64;
        let source = |sid| Source {
            flow: Flow::new(Content::Mix(each), seed + u64::from(sid)).instruments(instruments),
            packets: Packets::default(),
            adapters: Leg::BOTH.map(|leg| Path::holding((Sid(sid), stream(Sid(sid), leg)), limit)),
        };
        // Those of odd numbers.
        let half = Filter::none().prefix(&char::from(symbol(1)[0]).to_string());
        let half = half.map_err(|error| Error::Flag {
            flag: "--instruments",
            fault: error.to_string(),
        })?;
        let mut world = Self {
            sources: (1..=size.sources).map(source).collect(),
            arrived: Arrived::default(),
            all: Subscriber::new(size.sources, |_| true),
            half: Subscriber::new(size.sources, passing(half)),
        };
        while world.speak(|flow, packets| flow.define(AT_ONCE, packets)) {
            world.take();
        }
        while world.speak(|flow, packets| flow.fill(AT_ONCE, packets)) {
            world.take();
        }
        Ok(world)
    }

    /// A lap of packets of so many messages each.
    pub(super) fn lap(&mut self, together: usize) -> Spent {
        let turns = TURNS.div_ceil(self.sources.len());
        let messages = (turns * together) as u64;
        self.speak(|flow, packets| {
            flow.speak(messages, together, packets);
            true
        });
        self.take()
    }

    /// Whether everything was converted, framed and told to both once, in order and without a gap; how many records that was.
    pub(super) fn sound(&self) -> Option<u64> {
        let framed = |leg: Leg| {
            let path = |source: &Source| {
                let path = &source.adapters[leg.index()];
                path.is_sound(true).then(|| path.records())
            };
            self.sources.iter().map(path).sum::<Option<u64>>()
        };
        let records = framed(Leg::Zero)?;
        let told = |subscriber: &Subscriber| {
            subscriber.told.records == records && subscriber.told.broken == 0
        };
        let halves = self.all.told.passed == records && self.half.told.passed < records;
        let sound = framed(Leg::One) == Some(records) && told(&self.all) && told(&self.half);
        (sound && halves).then_some(records)
    }

    /// Whether any source spoke.
    fn speak(&mut self, mut say: impl FnMut(&mut Flow, &mut Packets) -> bool) -> bool {
        let spoke = |source: &mut Source| say(&mut source.flow, &mut source.packets);
        // Each of them.
        self.sources
            .iter_mut()
            .map(spoke)
            .fold(false, |any, it| any | it)
    }

    /// Takes what the sources said.
    fn take(&mut self) -> Spent {
        let messages = self
            .sources
            .iter()
            .map(|source| source.packets.messages())
            .sum();
        let adapter = timed(|| adapt(&mut self.sources, Leg::Zero));
        adapt(&mut self.sources, Leg::One);
        self.arrived.take(&mut self.sources);
        let arbiter = timed(|| self.all.deliver(&self.arrived));
        let filtered = timed(|| self.half.deliver(&self.arrived));
        Spent {
            messages,
            adapter,
            arbiter,
            filtered,
        }
    }
}

/// An adapter's duty cycles: a packet of each source in turn.
#[inline(never)]
fn adapt(sources: &mut [Source], leg: Leg) {
    let halves = sources.iter_mut().map(|source| {
        let path = &mut source.adapters[leg.index()];
        path.expect(source.packets.messages());
        (source.packets.iter(), path)
    });
    let mut halves: Vec<_> = halves.collect();
    let mut left = true;
    while left {
        left = false;
        for (packets, path) in &mut halves {
            if let Some(packet) = packets.next() {
                path.turn(packet);
                left = true;
            }
        }
    }
}

fn timed(work: impl FnOnce()) -> u64 {
    let begun = cost::thread_ns();
    work();
    cost::thread_ns() - begun
}

fn stream(sid: Sid, leg: Leg) -> StreamId {
    StreamId(2 * sid.0 + leg.index() as u32)
}

/// Datagrams one behind the other, as they would lie in a receiver's slots.
#[derive(Debug, Default)]
struct Arrived {
    bytes: Vec<u8>,
    each: Vec<(Leg, usize)>,
}

impl Arrived {
    /// Takes what adapters hold: a datagram of each source in turn, on both legs.
    fn take(&mut self, sources: &mut [Source]) {
        self.bytes.clear();
        self.each.clear();
        let count = |path: &Path| path.sent().map_or(0, Outbox::count);
        let paths = |source: &Source| source.adapters.iter().map(count).max();
        let most = sources.iter().filter_map(paths).max().unwrap_or(0);
        for at in 0..most {
            for source in &*sources {
                for (leg, path) in Leg::BOTH.into_iter().zip(&source.adapters) {
                    if let Some(sent) = path.sent().filter(|sent| at < sent.count()) {
                        self.bytes.extend_from_slice(sent.datagram(at));
                        self.each.push((leg, sent.datagram(at).len()));
                    }
                }
            }
        }
        for path in sources.iter_mut().flat_map(|source| &mut source.adapters) {
            path.forget();
        }
    }
}

/// An application.
struct Subscriber {
    arbiter: Box<Arbiter>,
    told: Told,
    now: Time,
}

impl Subscriber {
    fn new(sources: u32, passes: impl FnMut(&Delivered<'_>) -> bool + 'static) -> Self {
        let Ok(mut arbiter) = Arbiter::new(Limits::default()) else {
            unreachable!("the defaults can be worked with")
        };
        for sid in (1..=sources).map(Sid) {
            arbiter.add_source(sid, OrderingClass::Ordered);
            for leg in Leg::BOTH {
                arbiter.set_stream(sid, leg, stream(sid, leg));
            }
        }
        Self {
            arbiter: Box::new(arbiter),
            told: Told {
                passes: Box::new(passes),
                records: 0,
                passed: 0,
                sum: 0,
                last: vec![0; sources as usize + 1],
                broken: 0,
            },
            now: Time(1_000_000_000),
        }
    }

    #[inline(never)]
    fn deliver(&mut self, arrived: &Arrived) {
        let mut rest = &arrived.bytes[..];
        for (leg, length) in &arrived.each {
            // Far below any deadline.
            self.now = Time(self.now.0 + 100);
            let (bytes, behind) = rest.split_at(*length);
            rest = behind;
            self.arbiter
                .on_datagram(*leg, self.now, bytes, &mut self.told);
        }
        black_box(self.told.sum);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("records", &self.told.records)
            .field("passed", &self.told.passed)
            .field("broken", &self.told.broken)
            .finish_non_exhaustive()
    }
}

/// A handler that looks at what passes.
struct Told {
    passes: Box<dyn FnMut(&Delivered<'_>) -> bool>,
    records: u64,
    passed: u64,
    sum: u64,
    /// The last number of each source.
    last: Vec<u64>,
    broken: u64,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records += 1;
        let last = &mut self.last[record.pos.sid.0 as usize];
        // A message may be several records.
        self.broken += u64::from(record.pos.sseq < *last);
        *last = record.pos.sseq;
        if (self.passes)(record) {
            self.passed += 1;
            self.sum = self.sum.wrapping_add(record.pos.sseq);
        }
    }

    fn event(&mut self, event: &Event) {
        self.broken += u64::from(is_breach(event));
    }
}

/// Packets of a lap: each of the most sources has four turns, so that its state is in the caches as on a busy core.
const TURNS: usize = 4 * MOST_SOURCES as usize;
const MOST_SOURCES: u32 = 64;
/// Messages of a source at once while there is nothing to measure: what is held of them has room.
const AT_ONCE: u64 = 10 * MOST_TOGETHER as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_told_once_to_both_and_the_filter_withholds_some() {
        for (sources, instruments) in [(1, 1_000), (2, 2), (3, 100), (64, 6_400)] {
            let size = Size {
                sources,
                instruments: instruments + sources,
                orders: 2_000,
            };
            let mut world = World::new(size, 7).unwrap();
            let before = world.sound().unwrap();
            let messages: u64 = (0..20).map(|_| world.lap(8).messages).sum();
            assert!(messages >= 20 * TURNS as u64 * 8, "{messages}");
            let records = world.sound();
            assert!(
                records.is_some_and(|it| it >= before + messages),
                "{world:?}"
            );
        }
    }

    #[test]
    fn a_lap_carries_the_same_whatever_the_number_of_sources() {
        let messages = |sources| {
            let size = Size {
                sources,
                instruments: 640,
                orders: 640,
            };
            World::new(size, 7).unwrap().lap(8).messages
        };
        assert_eq!([1, 2, 4, 16, 64].map(messages), [TURNS as u64 * 8; 5]);
    }

    #[test]
    fn a_locate_of_16_bits_bounds_the_instruments_of_a_source() {
        let size = |sources, instruments| Size {
            sources,
            instruments,
            orders: 0,
        };
        assert_eq!(size(1, 65_534).fault(), None);
        assert_eq!(size(2, 100_000).fault(), None);
        for bad in [size(1, 65_535), size(1, 0), size(0, 1), size(65, 65)] {
            assert!(bad.fault().is_some(), "{bad:?}");
        }
    }
}
