//! Fill servers that are silent, slow, refusing, lying, or die in the middle of an answer.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;
use crate::world::fills::Trick;

/// One adapter's fill server does something else than it should for a while.
#[derive(Debug)]
pub struct FillServer {
    leg: Leg,
    trick: Trick,
    span: Duration,
    plays: bool,
}

impl FillServer {
    /// For `span`.
    #[must_use]
    pub fn of(leg: Leg, trick: Trick, span: Duration) -> Self {
        Self {
            leg,
            trick,
            span,
            plays: false,
        }
    }
}

impl Fault for FillServer {
    fn name(&self) -> &'static str {
        match self.plays {
            true => Trick::Honest.name(),
            false => self.trick.name(),
        }
    }

    fn begins(&self) -> bool {
        !self.plays
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.plays = !self.plays;
        match self.plays {
            true => world.play(self.leg, self.trick),
            false => world.play(self.leg, Trick::Honest),
        }
        self.plays.then_some(self.span)
    }
}
