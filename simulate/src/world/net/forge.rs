//! Datagrams that no adapter sent so: damaged, foreign, absurd.
//!
//! A damaged datagram is refused for its check, or for what stands before it in the way; one that still
//! parses would be a finding, and reaches the subscriber as damaged as it is.

use std::rc::Rc;

use twinfeed_wire::{Beat, Datagram, Header, Record, Writer, write_heartbeat};

use super::{Decorator, Flight};
use crate::world::rng::Rng;

/// Some datagrams are damaged on the way.
#[derive(Debug)]
pub struct Corrupt {
    once_in: u64,
}

impl Corrupt {
    /// Damages one in so many datagrams.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self { once_in }
    }
}

impl Decorator for Corrupt {
    fn name(&self) -> &'static str {
        "corruption"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        if !rng.one_in(self.once_in) {
            on.push(flight);
            return false;
        }
        let mut bytes = flight.bytes.to_vec();
        if bytes.is_empty() {
            return false; // noise without a byte: nothing is left to damage
        }
        match rng.below(4) {
            0 => bytes.truncate(rng.below(bytes.len() as u64) as usize),
            1 => {
                let place = rng.pick(&[0, 1, 2, 3, 112, 127]).min(bytes.len() - 1);
                bytes[place] ^= 1 << rng.below(8);
            }
            2 => bytes.extend_from_slice(&[0; 8]),
            _ => {
                for _ in 0..8 {
                    let place = rng.below(bytes.len() as u64) as usize;
                    bytes[place] ^= 1 << rng.below(8);
                }
            }
        }
        // What is damaged twice could be whole again.
        let bytes = if flight.genuine {
            bytes.into()
        } else {
            flight.bytes.clone()
        };
        on.push(Flight {
            bytes,
            genuine: false,
            ..flight
        });
        true
    }
}

/// Other senders use the port too: noise, and whole datagrams of a stream that was never granted.
#[derive(Debug)]
pub struct Foreign {
    once_in: u64,
}

impl Foreign {
    /// One foreign datagram for so many of ours.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self { once_in }
    }
}

impl Decorator for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let comes = rng.one_in(self.once_in);
        if comes {
            let bytes: Rc<[u8]> = if rng.chance(50) {
                (0..rng.below(300)).map(|_| rng.bits() as u8).collect()
            } else {
                forged(&flight.bytes, 0, |header| header.stream.0 |= 0x4000_0000)
            };
            on.push(Flight {
                bytes,
                genuine: false,
                ..flight.clone()
            });
        }
        on.push(flight);
        comes
    }
}

/// A datagram arrives with absurd numbers, or with the name of a life that never was, in place of the
/// one that was sent.
#[derive(Debug)]
pub struct Absurd {
    once_in: u64,
    last_alone: bool,
}

impl Absurd {
    /// Makes one in so many datagrams absurd.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self {
            once_in,
            last_alone: false,
        }
    }

    /// Makes the last record of one in so many datagrams absurd, and nothing before it.
    #[must_use]
    pub fn at_the_end_once_in(once_in: u64) -> Self {
        Self {
            once_in,
            last_alone: true,
        }
    }
}

impl Decorator for Absurd {
    fn name(&self) -> &'static str {
        "absurd"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        if !rng.one_in(self.once_in) || !flight.genuine {
            on.push(flight);
            return false;
        }
        // Anywhere far away: what both legs say of about the same place is believed, and rightly so.
        let far = rng.between(1 << 32, 1 << 60);
        let bytes = if self.last_alone {
            // As far as an offset within a datagram leads, less what the datagram itself spans.
            forged_at_the_end(&flight.bytes, rng.between(1 << 24, 1 << 31))
        } else if rng.chance(70) {
            forged(&flight.bytes, far, |_| {})
        } else {
            forged(&flight.bytes, 0, |header| header.epoch.0 ^= far)
        };
        on.push(Flight {
            bytes,
            genuine: false,
            ..flight
        });
        true
    }
}

/// The datagram once more, its last record's number `far` higher; unchanged when it is a heartbeat.
fn forged_at_the_end(bytes: &[u8], far: u64) -> Rc<[u8]> {
    let Ok(datagram) = Datagram::parse(bytes) else {
        return bytes.into();
    };
    if datagram.heartbeat().is_some() {
        return bytes.into();
    }
    let last = datagram.records().count().saturating_sub(1);
    let records = datagram.records().enumerate().map(|(index, record)| {
        let far = if index == last { far } else { 0 };
        (record, far)
    });
    rewritten(bytes.len(), *datagram.header(), records)
}

/// The datagram once more, with another header and every source number `far` higher, and with a right
/// check: what a faulty sender would say, not what a faulty wire makes of it.
fn forged(bytes: &[u8], far: u64, change: impl FnOnce(&mut Header)) -> Rc<[u8]> {
    let Ok(datagram) = Datagram::parse(bytes) else {
        return bytes.into();
    };
    let mut header = *datagram.header();
    change(&mut header);
    header.base_sseq += far;
    let Some(heartbeat) = datagram.heartbeat() else {
        let records = datagram.records().map(|record| (record, far));
        return rewritten(bytes.len(), header, records);
    };
    let beat = Beat {
        next_sseq: heartbeat.beat.next_sseq + far,
        prev: heartbeat.beat.prev + far,
        ..heartbeat.beat
    };
    let digests: Vec<_> = heartbeat.digests().collect();
    let mut buffer = vec![0; bytes.len()];
    let length = write_heartbeat(&mut buffer, &header, &beat, &digests);
    buffer.truncate(length);
    buffer.into()
}

/// A datagram of `length` bytes at most with these records, each with its number and the one before it so much
/// higher.
fn rewritten<'a>(
    length: usize,
    header: Header,
    records: impl Iterator<Item = (Record<'a>, u64)>,
) -> Rc<[u8]> {
    let mut buffer = vec![0; length];
    let (dsn, flags, sent_at) = (header.dsn, header.flags, header.sent_at);
    let mut writer = Writer::begin(&mut buffer, header);
    for (record, far) in records {
        let moved = Record {
            sseq: record.sseq + far,
            prev: record.prev + far,
            ..record
        };
        writer
            .push(&moved)
            .expect("the same records fit the same length");
    }
    let length = writer.finish(dsn, flags, sent_at);
    buffer.truncate(length);
    buffer.into()
}
