//! The role goes to a backup that does not hear of it, and back again.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// An operator forces the role to a backup that was stopped, and back; what the backup hears of when it goes on is that the link is
/// down, and a generation of which it is the backup, too.
#[derive(Debug)]
pub struct ThereAndBack {
    pause: Duration,
    step: u32,
    backup: Leg,
}

impl ThereAndBack {
    /// With so much time between the orders.
    #[must_use]
    pub fn with_pause(pause: Duration) -> Self {
        Self {
            pause,
            step: 0,
            backup: Leg::One,
        }
    }
}

impl Fault for ThereAndBack {
    fn name(&self) -> &'static str {
        match self.step {
            0 => "there_and_back",
            1 | 2 => "forced_takeover",
            _ => "resume",
        }
    }

    fn begins(&self) -> bool {
        self.step == 0
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.step += 1;
        match self.step {
            1 => {
                self.backup = world.active().other();
                world.stop(self.backup);
                Some(world.patience_of_link() + self.pause)
            }
            2 => {
                world.force(self.backup);
                Some(self.pause)
            }
            3 => {
                world.force(self.backup.other());
                world.cut_pair(self.pause * 2);
                Some(self.pause)
            }
            _ => {
                world.resume(self.backup);
                None
            }
        }
    }
}
