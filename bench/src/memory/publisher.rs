//! The writing side.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::Acquire;

use hdrhistogram::Histogram;
use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::ring::{RingConfig, RingReader, RingWriter};
use twinfeed_net::shared::SharedWords;
use twinfeed_net::udp::{Datagrams as _, Outbox};
use twinfeed_wire::DEFAULT_DATAGRAM;

use super::spsc::Spsc;
use super::ways::{Pace, SLOTS, Way};
use crate::error::Error;
use crate::latency::product::frame;
use crate::latency::publisher::LEAST_SIZE;

/// The number that ends it all, where numbers stand bare; a byte alone does where datagrams are framed.
pub(super) const END: u64 = u64::MAX;

/// Where one copy goes.
#[derive(Debug)]
pub(super) enum Out {
    Spsc(Box<Spsc>),
    Ring(RingWriter),
}

impl Out {
    pub(super) fn create(way: Way, length: usize) -> Result<Self, Error> {
        if way.is_bare() {
            let queue = Spsc::create(SLOTS, length).map_err(Error::Memory)?;
            return Ok(Self::Spsc(Box::new(queue)));
        }
        // As long as datagrams may become, not as these are: what a slot takes is part of what it costs.
        let config = RingConfig::new(7).slots(SLOTS);
        let writer = RingWriter::create(&config);
        writer.map(Self::Ring).map_err(memory)
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        match self {
            Self::Spsc(queue) => queue.memory().as_fd(),
            Self::Ring(writer) => writer.as_fd(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Spsc(queue) => queue.push(bytes),
            // Never longer than a datagram.
            Self::Ring(writer) => drop(writer.push(bytes)),
        }
    }
}

/// Where an answer comes from.
#[derive(Debug)]
pub(super) enum In {
    Spsc(Box<Spsc>),
    Ring(Box<RingReader>),
}

impl In {
    /// The next record's bytes, and how many were lost before it.
    #[inline]
    pub(super) fn receive(&mut self) -> Result<Option<(&[u8], u64)>, Error> {
        match self {
            Self::Spsc(queue) => Ok(queue.receive().map(|bytes| (bytes, 0))),
            Self::Ring(reader) => match reader.receive() {
                Ok(datagram) => Ok(datagram.map(|datagram| (datagram.bytes, datagram.lost))),
                Err(broken) => Err(memory(broken)),
            },
        }
    }
}

pub(super) fn memory(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Memory(std::io::Error::other(error))
}

/// Sends and waits for each to come back: half of how long it took, ns.
pub(super) fn ping_pong(
    out: &mut Out,
    back: &mut In,
    length: usize,
    ns: u64,
) -> Result<Histogram<u64>, Error> {
    let mut halves = crate::report::hgrm::histogram(&[]);
    let mut bytes = vec![0; length];
    let until = monotonic_ns() + ns;
    let mut number = 0_u64;
    loop {
        let sent = monotonic_ns();
        if sent > until {
            break;
        }
        number += 1;
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        out.push(&bytes);
        let mut polls = 0_u64;
        while back.receive()?.is_none() {
            polls += 1;
            if polls.is_multiple_of(PATIENT_POLLS) && monotonic_ns() > until + super::PATIENCE_NS {
                return Err(memory("no answer came"));
            }
            std::hint::spin_loop();
        }
        let took = monotonic_ns() - sent;
        // What is warmed up by the first is not what is measured.
        if number > WARM {
            let _ = halves.record(took / 2);
        }
    }
    bytes[..8].copy_from_slice(&END.to_le_bytes());
    out.push(&bytes);
    Ok(halves)
}

const WARM: u64 = 1_000;
/// Polls between two looks at whether to give up.
pub(super) const PATIENT_POLLS: u64 = 1 << 22;

/// One way: `count` records, each at its time or as fast as they are taken. `push` is given each copy's number and bytes.
pub(super) fn publish(
    way: Way,
    pace: Pace,
    mut push: impl FnMut(usize, &[u8]),
    taken: &SharedWords,
    (count, size, length): (u64, usize, usize),
) -> Result<(), Error> {
    let mut body = vec![0; size];
    let mut bytes = vec![0; length];
    let mut outbox = Outbox::new(1, DEFAULT_DATAGRAM);
    let begin = monotonic_ns() + 1_000_000;
    for number in 0..count {
        // An adapter's datagrams say when its turn began: the clock is read once a turn.
        let mut now = 0;
        let due = match pace {
            Pace::Rate(rate) => {
                let due = begin + number * 1_000_000_000 / rate;
                loop {
                    now = monotonic_ns();
                    if now >= due {
                        break due;
                    }
                    std::hint::spin_loop();
                }
            }
            Pace::Most | Pace::PingPong => {
                // The ring has no way to wait for readers; here they say how far they are, so that nothing is lost.
                let mut polls = 0_u64;
                while number.is_multiple_of(GRAIN)
                    && number > taken.words()[0].load(Acquire) + SLOTS as u64 / 2
                {
                    polls += 1;
                    if polls.is_multiple_of(PATIENT_POLLS)
                        && monotonic_ns() > begin + super::PATIENCE_NS
                    {
                        return Err(memory("the reader takes nothing more"));
                    }
                    std::hint::spin_loop();
                }
                0
            }
        };
        if !way.is_product() {
            bytes[..8].copy_from_slice(&(number + 1).to_le_bytes());
            bytes[8..16].copy_from_slice(&due.to_le_bytes());
            push(0, &bytes);
            continue;
        }
        body[..LEAST_SIZE].copy_from_slice(&due.to_le_bytes());
        for leg in 0..way.copies() {
            let _ = outbox.push_with(DEFAULT_DATAGRAM, |room| {
                frame(leg, number + 1, &body, now, room)
            });
            push(leg, outbox.datagram(0));
            outbox.clear();
        }
    }
    bytes[..8].copy_from_slice(&END.to_le_bytes());
    if !way.is_product() {
        push(0, &bytes);
        return Ok(());
    }
    for leg in 0..way.copies() {
        push(leg, &[0xff]);
    }
    Ok(())
}

/// Records between two words of how far a reader is.
pub(super) const GRAIN: u64 = 256;
