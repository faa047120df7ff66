//! The receiving side: a process that hears until the end, however records come, and says how late they were.

use std::time::Instant;

use hdrhistogram::Histogram;
use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;

#[cfg(any(feature = "nats", feature = "zenoh"))]
use super::peers;
#[cfg(feature = "aeron")]
use super::peers::aeron;
use super::publisher::LEAST_SIZE;
use super::way::Way;
use super::{Heard, PATIENCE, floor, ping_pong, product};
#[cfg(feature = "aeron")]
use crate::aeron::Media;
use crate::child::say;
use crate::error::Error;
use crate::report::hgrm;

/// Bytes of kernel buffer that each socket asks for.
pub(super) const BUFFER: usize = 4 << 20;

/// How the receiving half of a way hears.
///
/// It is opened in a thread that is pinned; its doors are told to the publisher; then it takes one turn after the other.
pub(crate) trait Subscribe {
    /// Where the publisher finds it.
    fn doors(&self) -> Result<Vec<String>, Error>;

    /// Takes what is here; returns whether the end was said.
    fn turn(&mut self, told: &mut Told) -> Result<bool, Error>;

    /// Adds what it counted itself.
    fn finish(&mut self, heard: &mut Heard);
}

/// The process: says its doors, hears until the end, says what it heard. `back`: sends it back, too.
pub(super) fn run(what: &str, back: Option<&str>) -> Result<(), Error> {
    let parts: Vec<&str> = what.split(':').collect();
    let flag = || Error::Flag {
        flag: "--subscribe",
        fault: "WAY:CORE".to_owned(),
    };
    let &[way, core] = parts.as_slice() else {
        return Err(flag());
    };
    let way = Way::named(way).ok_or_else(flag)?;
    let core = core.parse().map_err(|_| flag())?;
    affinity::pin(core).map_err(|_| flag())?;
    if let Some(back) = back {
        let back = serde_json::from_str(back).map_err(|_| flag())?;
        return ping_pong::answer(way, &back);
    }
    match way {
        Way::Floor => hear(floor::Subscriber::open()?),
        Way::OneLeg | Way::TwoLegs => hear(product::Subscriber::open()?),
        Way::TwoLegsYield | Way::TwoLegsBackoff | Way::TwoLegsBlock => {
            hear(product::Subscriber::open()?.idling(way.idle()))
        }
        #[cfg(feature = "aeron")]
        Way::Aeron => hear(aeron::Subscriber::open(Media::ONE)?),
        #[cfg(feature = "aeron")]
        Way::AeronTwo => hear(aeron::Subscriber::open(Media::TWO)?),
        #[cfg(feature = "aeron")]
        Way::AeronIpc => hear(aeron::Subscriber::open(Media::Ipc)?),
        #[cfg(feature = "zenoh")]
        Way::Zenoh => hear(peers::zenoh::Subscriber::open()?),
        #[cfg(feature = "nats")]
        Way::Nats => hear(peers::nats::Subscriber::open()?),
    }
}

fn hear(mut way: impl Subscribe) -> Result<(), Error> {
    say(&way.doors()?)?;
    let (mut told, begun) = (Told::new(), Instant::now());
    while !way.turn(&mut told)? {
        if told.heard.records == 0 && begun.elapsed() > PATIENCE {
            break;
        }
    }
    let mut heard = told.finish();
    way.finish(&mut heard);
    say(&heard)
}

/// Counts what comes, and how late.
pub(crate) struct Told {
    late: Histogram<u64>,
    pub(crate) heard: Heard,
    last: u64,
    /// What the application does, if it does not look how late a record is.
    then: Option<Box<Doing>>,
}

/// What is done with a number and its record.
type Doing = dyn FnMut(u64, &[u8]);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = f.debug_struct("Told");
        told.field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Told {
    pub(crate) fn new() -> Self {
        let mut late = hgrm::histogram(&[]);
        // Grown before it is needed.
        let _ = late.record(60_000_000_000);
        late.clear();
        Self {
            late,
            heard: Heard::default(),
            last: 0,
            then: None,
        }
    }

    /// An application that does this with each number and its record, and does not look how late it is.
    pub(super) fn doing(then: impl FnMut(u64, &[u8]) + 'static) -> Self {
        Self {
            then: Some(Box::new(then)),
            ..Self::new()
        }
    }

    /// The number that came last.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Begins anew with times, and with nothing else.
    pub(crate) fn forget_times(&mut self) {
        self.late.clear();
    }

    /// A record that should be the first of its number, and behind the one before.
    pub(crate) fn record(&mut self, number: u64, record: &[u8]) {
        match &mut self.then {
            Some(then) => {
                then(number, record);
                self.count(number);
            }
            None => self.record_at(monotonic_ns(), number, record),
        }
    }

    fn record_at(&mut self, now: u64, number: u64, record: &[u8]) {
        let Some(due) = record.first_chunk::<LEAST_SIZE>() else {
            self.heard.broken += 1;
            return;
        };
        self.count(number);
        let due = u64::from_le_bytes(*due);
        let _ = self.late.record(now.saturating_sub(due));
    }

    fn count(&mut self, number: u64) {
        // Numbers come in order, or something is wrong; one that is missing is counted by who sent it.
        self.heard.broken += u64::from(number <= self.last);
        self.last = number;
        self.heard.records += 1;
    }

    /// A message that comes once, a number and its record, and came then.
    #[cfg(feature = "peers")]
    pub(super) fn only(&mut self, now: u64, message: &[u8]) {
        match message.split_first_chunk() {
            Some((number, record)) => self.record_at(now, u64::from_le_bytes(*number), record),
            None => self.heard.broken += 1,
        }
    }

    /// One of several copies of a message, a number and its record: the first of a number counts.
    pub(super) fn copy(&mut self, message: &[u8]) {
        let Some((number, record)) = message.split_first_chunk() else {
            self.heard.broken += 1;
            return;
        };
        let number = u64::from_le_bytes(*number);
        if number > self.last {
            self.record(number, record);
        } else {
            self.heard.copies += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Heard {
        self.heard.late = hgrm::counts(&self.late);
        self.heard
    }
}
