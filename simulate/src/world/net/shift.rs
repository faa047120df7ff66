//! Datagrams that arrive twice, late, or out of order.

use core::time::Duration;

use super::{Decorator, Flight};
use crate::world::rng::Rng;

/// Some datagrams arrive a second time, a little later.
#[derive(Debug)]
pub struct Duplicate {
    percent: u64,
}

impl Duplicate {
    /// Doubles `percent` of the datagrams.
    #[must_use]
    pub fn of_percent(percent: u64) -> Self {
        Self { percent }
    }
}

impl Decorator for Duplicate {
    fn name(&self) -> &'static str {
        "duplication"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let twice = rng.chance(self.percent);
        if twice {
            on.push(Flight {
                late: flight.late + rng.micros(0, 3_000),
                strays: true,
                ..flight.clone()
            });
        }
        on.push(flight);
        twice
    }
}

/// Some datagrams are overtaken by those behind them.
#[derive(Debug)]
pub struct Reorder {
    percent: u64,
    most_us: u64,
}

impl Reorder {
    /// Holds up `percent` of the datagrams, each for at most `most_us` µs.
    #[must_use]
    pub fn of_percent(percent: u64, most_us: u64) -> Self {
        Self { percent, most_us }
    }
}

impl Decorator for Reorder {
    fn name(&self) -> &'static str {
        "reordering"
    }

    fn pass(&mut self, mut flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        let held_up = rng.chance(self.percent);
        if held_up {
            flight.late += rng.micros(1, self.most_us);
            flight.strays = true;
        }
        on.push(flight);
        held_up
    }
}

/// Every datagram takes longer: this leg is the slower one.
#[derive(Debug)]
pub struct Skew {
    by: Duration,
}

impl Skew {
    /// Delays everything by the same span.
    #[must_use]
    pub fn of(by: Duration) -> Self {
        Self { by }
    }
}

impl Decorator for Skew {
    fn name(&self) -> &'static str {
        "skew"
    }

    fn pass(&mut self, mut flight: Flight, _: &mut Rng, on: &mut Vec<Flight>) -> bool {
        flight.late += self.by;
        on.push(flight);
        true
    }
}
