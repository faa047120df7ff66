//! An adapter that converts wrongly and does not know it.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// One adapter sends other bodies under the same numbers for a while, in the memory of the past that both have.
#[derive(Debug)]
pub struct Misconvert {
    leg: Leg,
    span: Duration,
    wrong: bool,
}

impl Misconvert {
    /// For `span`.
    #[must_use]
    pub fn of(leg: Leg, span: Duration) -> Self {
        Self {
            leg,
            span,
            wrong: false,
        }
    }
}

impl Fault for Misconvert {
    fn name(&self) -> &'static str {
        match self.wrong {
            true => "converts_rightly_again",
            false => "misconversion",
        }
    }

    fn begins(&self) -> bool {
        !self.wrong
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.wrong = !self.wrong;
        world.misconvert(self.leg, self.wrong);
        self.wrong.then_some(self.span)
    }
}
