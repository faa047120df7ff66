//! An adapter whose first words nobody hears.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// An adapter steps down, and what the next process of it says first reaches nobody.
#[derive(Debug)]
pub struct Unheard {
    leg: Leg,
    away: Duration,
    unheard: Duration,
    gone: bool,
}

impl Unheard {
    /// It is away for `away`, and then not heard for so long.
    #[must_use]
    pub fn of(leg: Leg, away: Duration, unheard: Duration) -> Self {
        Self {
            leg,
            away,
            unheard,
            gone: false,
        }
    }
}

impl Fault for Unheard {
    fn name(&self) -> &'static str {
        if self.gone {
            "restart"
        } else {
            "step_down_unheard"
        }
    }

    fn begins(&self) -> bool {
        !self.gone
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if self.gone {
            world.cut(self.leg, self.unheard);
            world.start(self.leg);
            return None;
        }
        self.gone = true;
        world.step_down(self.leg);
        Some(self.away)
    }
}
