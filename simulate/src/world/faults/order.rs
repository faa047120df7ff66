//! An operator at work.

use core::time::Duration;

use twinfeed_protocol::{Control, Leg};

use super::Fault;
use crate::world::World;

/// Every subscriber is ordered to rely on one leg.
#[derive(Debug)]
pub struct SwitchTo {
    leg: Leg,
}

impl SwitchTo {
    /// To this leg.
    #[must_use]
    pub fn new(leg: Leg) -> Self {
        Self { leg }
    }
}

impl Fault for SwitchTo {
    fn name(&self) -> &'static str {
        "order"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        let to = self.leg;
        world.control(|| Control::Order { to });
        None
    }
}
