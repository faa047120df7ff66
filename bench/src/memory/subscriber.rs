//! The reading side, a process of its own.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering::Release;

use hdrhistogram::Histogram;
use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::ring::{RingOffer, RingReader, RingTake};
use twinfeed_net::shared::SharedWords;
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};

#[cfg(feature = "aeron")]
use super::aeron;
use super::publisher::{END, GRAIN, In, Out, PATIENT_POLLS, memory};
use super::spsc::Spsc;
use super::ways::{SLOTS, Way};
use super::{Came, PATIENCE_NS};
use crate::breach::is_breach;
use crate::child::say;
use crate::error::Error;
use crate::latency::product::{SID, stream};
use crate::latency::publisher::LEAST_SIZE;
use crate::report::hgrm;

/// The process: takes what it is to read from, reads to the end, says what came. `what` is WAY:CORE:LENGTH:ECHO:NAME.
pub(super) fn run(what: &str) -> Result<(), Error> {
    let flag = || Error::Flag {
        flag: "--subscribe",
        fault: "WAY:CORE:LENGTH:ECHO:NAME".to_owned(),
    };
    let parts: Vec<&str> = what.split(':').collect();
    let &[way, core, length, echo, name] = parts.as_slice() else {
        return Err(flag());
    };
    let way = Way::named(way).ok_or_else(flag)?;
    let length = length.parse().map_err(|_| flag())?;
    affinity::pin(core.parse().map_err(|_| flag())?).map_err(|_| flag())?;
    let taken = SharedWords::open(ask(name)?).map_err(Error::Memory)?;
    let mut ins = Vec::new();
    for _ in 0..way.copies() {
        ins.push(open(way, length, ask(name)?)?);
    }
    let came = if way.is_peer() {
        #[cfg(feature = "aeron")]
        let came = aeron::hear(&taken)?;
        #[cfg(not(feature = "aeron"))]
        let came = Came::default();
        came
    } else if echo == "echo" {
        answer(way, length, name, &mut ins[0])?
    } else if way.is_product() {
        product(&taken, &mut ins)?
    } else {
        bare(&taken, &mut ins[0])?
    };
    say(&came)
}

/// Asks for one file.
pub(super) fn ask(name: &str) -> Result<OwnedFd, Error> {
    let until = monotonic_ns() + PATIENCE_NS;
    let take = loop {
        match RingTake::ask(Path::new(name)) {
            Ok(take) => break take,
            Err(error) if monotonic_ns() > until => return Err(memory(error)),
            Err(_) => std::thread::yield_now(),
        }
    };
    loop {
        if let Some(file) = take.poll().map_err(memory)? {
            return Ok(file);
        }
        if monotonic_ns() > until {
            return Err(memory("nothing was handed over"));
        }
        std::thread::yield_now();
    }
}

pub(super) fn open(way: Way, length: usize, file: OwnedFd) -> Result<In, Error> {
    if way.is_bare() {
        let queue = Spsc::open(file, SLOTS, length).map_err(Error::Memory)?;
        return Ok(In::Spsc(Box::new(queue)));
    }
    let reader = RingReader::open(file.as_fd(), RingReader::DEFAULT_MOST_BYTES);
    reader.map(Box::new).map(In::Ring).map_err(memory)
}

/// Sends back what comes, until the end.
fn answer(way: Way, length: usize, name: &str, from: &mut In) -> Result<Came, Error> {
    let mut out = Out::create(way, length)?;
    let offer = RingOffer::bind(Path::new(&format!("{name}-back"))).map_err(memory)?;
    say(&NOTHING)?;
    while offer
        .answer(out.file(), |_| true)
        .map_err(memory)?
        .is_none()
    {
        std::thread::yield_now();
    }
    let (mut polls, mut came) = (0_u64, Came::default());
    let until = monotonic_ns() + 2 * PATIENCE_NS;
    loop {
        let Some((bytes, _)) = from.receive()? else {
            polls += 1;
            if polls.is_multiple_of(PATIENT_POLLS) && monotonic_ns() > until {
                return Err(memory("the end did not come"));
            }
            std::hint::spin_loop();
            continue;
        };
        if number(bytes) == END {
            return Ok(came);
        }
        out.push(bytes);
        came.records += 1;
    }
}

pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word))
}

/// What a subscriber says that needs no doors: all it reads from was handed over.
const NOTHING: [String; 0] = [];

/// Counts what comes, how late, and in what time.
#[derive(Debug)]
pub(super) struct Told {
    late: Histogram<u64>,
    pub(super) came: Came,
    last: u64,
    first_ns: u64,
}

impl Told {
    pub(super) fn new() -> Self {
        let mut late = hgrm::histogram(&[]);
        // Grown before it is needed.
        let _ = late.record(60_000_000_000);
        late.clear();
        Self {
            late,
            came: Came::default(),
            last: 0,
            first_ns: 0,
        }
    }

    /// A record that came, which the application reads from its first byte to its last: what is handed out in place has not moved before.
    #[inline]
    pub(super) fn take(&mut self, number: u64, due: u64, bytes: &[u8]) {
        let words = bytes.chunks_exact(8);
        std::hint::black_box(words.fold(0, |all, word| all ^ self::number(word)));
        self.came.broken += u64::from(number <= self.last);
        self.last = number;
        self.came.records += 1;
        // Where records have no time, the clock would be what is measured.
        if due > 0 {
            let _ = self.late.record(monotonic_ns().saturating_sub(due));
        } else if self.came.records == 1 {
            self.first_ns = monotonic_ns();
        }
    }

    pub(super) fn finish(mut self) -> Came {
        self.came.late = hgrm::counts(&self.late);
        self.came.ns = monotonic_ns() - self.first_ns;
        self.came
    }
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        let due = record.body.first_chunk::<LEAST_SIZE>();
        self.take(
            record.pos.sseq,
            due.map_or(0, |due| u64::from_le_bytes(*due)),
            record.body,
        );
    }

    fn event(&mut self, event: &Event) {
        self.came.broken += u64::from(is_breach(event));
    }
}

fn bare(taken: &SharedWords, from: &mut In) -> Result<Came, Error> {
    say(&NOTHING)?;
    let (mut told, mut polls) = (Told::new(), 0_u64);
    let until = monotonic_ns() + 2 * PATIENCE_NS;
    loop {
        let Some((bytes, lost)) = from.receive()? else {
            polls += 1;
            if polls.is_multiple_of(PATIENT_POLLS) && monotonic_ns() > until {
                return Err(memory("the end did not come"));
            }
            std::hint::spin_loop();
            continue;
        };
        let number = number(bytes);
        if number == END {
            return Ok(told.finish());
        }
        let due = bytes.get(8..16).map_or(0, self::number);
        told.came.lost += lost;
        told.take(number, due, bytes);
        if number.is_multiple_of(GRAIN) {
            taken.words()[0].store(number, Release);
        }
    }
}

/// The poller's turn written out: the clock, both rings, the arbiter. Of turns without anything one in some looks for what
/// is due.
fn product(taken: &SharedWords, ins: &mut [In]) -> Result<Came, Error> {
    let Ok(mut arbiter) = Arbiter::new(Limits::default()) else {
        unreachable!("the defaults can be worked with")
    };
    arbiter.add_source(SID, OrderingClass::Ordered);
    for leg in Leg::BOTH {
        arbiter.set_stream(SID, leg, stream(leg.index()));
    }
    say(&NOTHING)?;
    let (mut told, mut ended, mut empty) = (Told::new(), 0, 0_u64);
    let until = monotonic_ns() + 2 * PATIENCE_NS;
    while ended < ins.len() {
        // Before it is looked, so that what comes does not wait for the clock.
        let now = Time(monotonic_ns());
        let mut found = false;
        for (from, leg) in ins.iter_mut().zip(Leg::BOTH) {
            for _ in 0..BATCH {
                let Some((bytes, lost)) = from.receive()? else {
                    break;
                };
                found = true;
                if lost > 0 {
                    let datagrams = lost;
                    told.came.lost += datagrams;
                    arbiter.on_control(Control::LocalDrops { leg, datagrams }, now, &mut told);
                }
                if bytes.len() == 1 {
                    ended += 1;
                } else {
                    arbiter.on_datagram(leg, now, bytes, &mut told);
                }
            }
        }
        if found {
            taken.words()[0].store(told.last, Release);
            continue;
        }
        empty += 1;
        if empty.is_multiple_of(EMPTY_TURNS) {
            if arbiter.next_deadline().is_some_and(|due| due <= now) {
                arbiter.on_deadline(now, &mut told);
            }
            if now.0 > until {
                return Err(memory("the end did not come"));
            }
        }
    }
    told.came.copies = arbiter.counters().duplicates;
    Ok(told.finish())
}

/// Datagrams of one ring in one turn.
const BATCH: usize = 64;
/// Turns without anything between two looks for what is due.
const EMPTY_TURNS: u64 = 64;
