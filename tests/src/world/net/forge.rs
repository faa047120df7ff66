//! Datagrams that no adapter sent so: damaged, foreign, absurd.
//!
//! Damage that the framing cannot see would have been caught by the checksum of UDP, so a damaged
//! datagram that still parses counts as lost.

use std::rc::Rc;

use twinfeed_wire::{Datagram, Header};

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
        if Datagram::parse(&bytes).is_err() {
            on.push(Flight {
                bytes: bytes.into(),
                genuine: false,
                ..flight
            });
        }
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
                rewritten(&flight.bytes, |header| header.stream.0 |= 0x4000_0000)
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
}

impl Absurd {
    /// Makes one in so many datagrams absurd.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self { once_in }
    }
}

impl Decorator for Absurd {
    fn name(&self) -> &'static str {
        "absurd"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let heartbeat = Datagram::parse(&flight.bytes).is_ok_and(|d| d.heartbeat().is_some());
        if !rng.one_in(self.once_in) || heartbeat {
            on.push(flight);
            return false;
        }
        let far = 1 << rng.between(32, 60);
        let bytes = if rng.chance(70) {
            rewritten(&flight.bytes, |header| header.base_sseq += far)
        } else {
            rewritten(&flight.bytes, |header| header.epoch.0 ^= far)
        };
        on.push(Flight {
            bytes,
            genuine: false,
            ..flight
        });
        true
    }
}

/// `bytes` with another header.
fn rewritten(bytes: &[u8], change: impl FnOnce(&mut Header)) -> Rc<[u8]> {
    let mut copy = bytes.to_vec();
    if let Ok(mut header) = Header::parse(bytes) {
        change(&mut header);
        let head = header.to_bytes();
        copy[..head.len()].copy_from_slice(&head);
    }
    copy.into()
}
