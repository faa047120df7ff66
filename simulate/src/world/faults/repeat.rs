//! stream-admin says again what it has said before.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// Every subscriber is told who is active some times more, as when its watch is opened anew.
#[derive(Debug)]
pub struct SameWord {
    every: Duration,
    left: u32,
}

impl SameWord {
    /// So many times.
    #[must_use]
    pub fn times(left: u32, every: Duration) -> Self {
        Self { every, left }
    }
}

impl Fault for SameWord {
    fn name(&self) -> &'static str {
        "same_word"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.say_roles_again();
        self.left = self.left.saturating_sub(1);
        (self.left > 0).then_some(self.every)
    }
}
