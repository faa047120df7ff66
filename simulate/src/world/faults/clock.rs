//! Clocks that are wrong.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// Whose clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// An adapter's.
    Adapter(Leg),
    /// One subscriber's, drawn by chance.
    Subscriber,
}

/// A process's time runs a little fast or slow from here on.
#[derive(Debug)]
pub struct Drift {
    whose: Whose,
    fast_ppm: i64,
}

impl Drift {
    /// So many parts of a million fast; slow, when below 0.
    #[must_use]
    pub fn of(whose: Whose, fast_ppm: i64) -> Self {
        Self { whose, fast_ppm }
    }
}

impl Fault for Drift {
    fn name(&self) -> &'static str {
        "clock_drift"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.drift(self.whose, self.fast_ppm);
        None
    }
}

/// An adapter's wall clock is set.
#[derive(Debug)]
pub struct Step {
    leg: Leg,
    by: Duration,
    back: bool,
}

impl Step {
    /// Forward, or back, by so much.
    #[must_use]
    pub fn of(leg: Leg, by: Duration, back: bool) -> Self {
        Self { leg, by, back }
    }
}

impl Fault for Step {
    fn name(&self) -> &'static str {
        "clock_step"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.step_clock(self.leg, self.by, self.back);
        None
    }
}
