//! A line that is slow, and a network that says again what it said before.

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::line::Line;

use super::{LineFault, Under};
use crate::world::rng::Rng;

/// One line of one adapter is behind the other one.
#[derive(Debug)]
pub struct Slow {
    leg: Leg,
    line: Line,
    late: Duration,
}

impl Slow {
    /// By so much, always.
    #[must_use]
    pub fn by(leg: Leg, line: Line, late: Duration) -> Self {
        Self { leg, line, late }
    }
}

impl LineFault for Slow {
    fn name(&self) -> &'static str {
        "line_slow"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, mut under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        // What the source did not say comes by ways of its own.
        let slow = under.packet.genuine && (under.leg, under.line) == (self.leg, self.line);
        if slow {
            under.late += self.late;
        }
        on.push(under);
        slow
    }
}

/// Some packets come once more, long after.
#[derive(Debug)]
pub struct Echo {
    once_in: u64,
    latest_us: u64,
    rng: Rng,
}

impl Echo {
    /// One in so many, at most so much later.
    #[must_use]
    pub fn once_in(once_in: u64, latest_us: u64, rng: Rng) -> Self {
        Self {
            once_in,
            latest_us,
            rng,
        }
    }
}

impl LineFault for Echo {
    fn name(&self) -> &'static str {
        "line_echo"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        let again = self.rng.one_in(self.once_in);
        if again {
            let late = under.late + self.rng.micros(1_000, self.latest_us);
            on.push(Under {
                late,
                ..under.clone()
            });
        }
        on.push(under);
        again
    }
}
