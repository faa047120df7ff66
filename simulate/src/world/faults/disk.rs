//! An adapter that dies, and a disk that does not say what it was told.
//!
//! What an adapter keeps on its disk are the destinations of its streams: with them it speaks to its subscribers from its
//! first moment, without them only once stream-admin has answered.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disk {
    /// Nothing: what was written is there.
    Kept,
    /// It is another one, and empty.
    Lost,
    /// The last write was torn: what it left is refused.
    Torn,
    /// Nothing can be written from here on, either.
    Full,
}

/// SIGKILL; another process comes after a while, on such a disk.
#[derive(Debug)]
pub struct Restart {
    leg: Leg,
    disk: Disk,
    span: Duration,
    dead: bool,
}

impl Restart {
    /// After `span`.
    #[must_use]
    pub fn of(leg: Leg, disk: Disk, span: Duration) -> Self {
        Self {
            leg,
            disk,
            span,
            dead: false,
        }
    }
}

impl Fault for Restart {
    fn name(&self) -> &'static str {
        match (self.dead, self.disk) {
            (true, _) => "restart",
            (false, Disk::Kept) => "kill_disk_kept",
            (false, Disk::Lost) => "kill_disk_lost",
            (false, Disk::Torn) => "kill_torn_write",
            (false, Disk::Full) => "kill_disk_full",
        }
    }

    fn begins(&self) -> bool {
        !self.dead
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if self.dead {
            world.start(self.leg);
            return None;
        }
        self.dead = true;
        world.kill(self.leg);
        match self.disk {
            Disk::Kept => {}
            Disk::Lost | Disk::Torn => world.lose_disk(self.leg, false),
            Disk::Full => world.lose_disk(self.leg, true),
        }
        Some(self.span)
    }
}
