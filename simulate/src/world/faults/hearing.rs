//! An adapter that does not hear its source.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// One adapter hears nothing for a while; what was said meanwhile, it must give up.
#[derive(Debug)]
pub struct Deaf {
    leg: Leg,
    span: Duration,
}

impl Deaf {
    /// The adapter is deaf for `span`.
    #[must_use]
    pub fn of(leg: Leg, span: Duration) -> Self {
        Self { leg, span }
    }
}

impl Fault for Deaf {
    fn name(&self) -> &'static str {
        "input_cut"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.deafen(self.leg, self.span);
        None
    }
}
