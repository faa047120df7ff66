//! An application whose state is in doubt.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// One application (drawn by chance) wants a snapshot of everything in mid-session.
#[derive(Debug)]
pub struct Refresh;

impl Fault for Refresh {
    fn name(&self) -> &'static str {
        "subscriber_refreshes"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.refresh_one();
        None
    }
}
