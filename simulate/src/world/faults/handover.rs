//! An operator hands the active role over, in order.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// The active is told to step down; what is not decided after a while is given up.
#[derive(Debug)]
pub struct HandOver {
    patience: Duration,
}

impl HandOver {
    /// Given up after `patience`.
    #[must_use]
    pub fn within(patience: Duration) -> Self {
        Self { patience }
    }
}

impl Fault for HandOver {
    fn name(&self) -> &'static str {
        "hand_over"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.hand_over(self.patience);
        None
    }
}
