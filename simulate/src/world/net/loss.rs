//! Datagrams that never arrive: one by one, in bursts, every n-th, or the same ones on every way.

use twinfeed_wire::Datagram;

use super::{Decorator, Flight};
use crate::world::rng::Rng;

/// Each datagram is lost with the same chance, whatever happened before.
#[derive(Debug)]
pub struct Independent {
    percent: u64,
}

impl Independent {
    /// Loses `percent` of the datagrams.
    #[must_use]
    pub fn of_percent(percent: u64) -> Self {
        Self { percent }
    }
}

impl Decorator for Independent {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let lost = rng.chance(self.percent);
        if !lost {
            on.push(flight);
        }
        lost
    }
}

/// Several datagrams in a row are lost.
#[derive(Debug)]
pub struct Burst {
    once_in: u64,
    longest: u64,
    left: u64,
}

impl Burst {
    /// A burst begins once in so many datagrams and is at most `longest` long.
    #[must_use]
    pub fn once_in(once_in: u64, longest: u64) -> Self {
        Self {
            once_in,
            longest,
            left: 0,
        }
    }
}

impl Decorator for Burst {
    fn name(&self) -> &'static str {
        "burst_loss"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        if self.left == 0 && rng.one_in(self.once_in) {
            self.left = rng.between(1, self.longest);
        }
        if self.left == 0 {
            on.push(flight);
            return false;
        }
        self.left -= 1;
        true
    }
}

/// Every n-th datagram is lost.
#[derive(Debug)]
pub struct EveryNth {
    n: u64,
    seen: u64,
}

impl EveryNth {
    /// Loses datagram n, 2n, 3n …
    #[must_use]
    pub fn new(n: u64) -> Self {
        Self { n, seen: 0 }
    }
}

impl Decorator for EveryNth {
    fn name(&self) -> &'static str {
        "nth_loss"
    }

    fn pass(&mut self, flight: Flight, _: &mut Rng, on: &mut Vec<Flight>) -> bool {
        self.seen += 1;
        let lost = self.seen.is_multiple_of(self.n);
        if !lost {
            on.push(flight);
        }
        lost
    }
}

/// Exactly the datagrams whose numbers (counted from 0 on this link) are listed are lost.
#[derive(Debug)]
pub struct Listed {
    numbers: Vec<u64>,
    seen: u64,
}

impl Listed {
    /// Loses the datagrams called `numbers`.
    #[must_use]
    pub fn new(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self {
            numbers: numbers.into_iter().collect(),
            seen: 0,
        }
    }
}

impl Decorator for Listed {
    fn name(&self) -> &'static str {
        "listed_loss"
    }

    fn pass(&mut self, flight: Flight, _: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let lost = self.numbers.contains(&self.seen);
        self.seen += 1;
        if !lost {
            on.push(flight);
        }
        lost
    }
}

/// Of both legs the same is lost: whether a datagram with records arrives is decided by the number of its first one.
#[derive(Debug)]
pub struct Alike {
    percent: u64,
}

impl Alike {
    /// Loses `percent` of the datagrams with records.
    #[must_use]
    pub fn of_percent(percent: u64) -> Self {
        Self { percent }
    }
}

impl Decorator for Alike {
    fn name(&self) -> &'static str {
        "alike_loss"
    }

    fn pass(&mut self, flight: Flight, _: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let lost = Datagram::parse(&flight.bytes).is_ok_and(|datagram| {
            let first = datagram.records().next();
            first.is_some_and(|record| {
                let epoch = datagram.header().epoch.0;
                let scattered = (record.sseq ^ epoch).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                scattered % 100 < self.percent
            })
        });
        if !lost {
            on.push(flight);
        }
        lost
    }
}
