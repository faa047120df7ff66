//! A backup whose active is gone, and that cannot ask for the role.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// The active dies while its backup is out of stream-admin's reach; when it is back, an operator forces the role to it.
#[derive(Debug)]
pub struct Orphaned {
    span: Duration,
    deaf: bool,
    cut: bool,
    step: u32,
    active: Leg,
}

impl Orphaned {
    /// For so long. `deaf`: the backup misses something of its source meanwhile; `cut`: the link does not come up again.
    #[must_use]
    pub fn for_a_while(span: Duration, deaf: bool, cut: bool) -> Self {
        Self {
            span,
            deaf,
            cut,
            step: 0,
            active: Leg::Zero,
        }
    }
}

impl Fault for Orphaned {
    fn name(&self) -> &'static str {
        match self.step {
            0 => "orphaned",
            1 => "restart",
            _ => "forced_takeover",
        }
    }

    fn begins(&self) -> bool {
        self.step == 0
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.step += 1;
        match self.step {
            1 => {
                self.active = world.active();
                let backup = self.active.other();
                world.cut_off_admin(backup, self.span * 3);
                world.kill(self.active);
                if self.deaf {
                    world.deafen(backup, self.span / 2);
                }
                Some(self.span)
            }
            2 => {
                world.start(self.active);
                if self.cut {
                    world.cut_pair(self.span * 2);
                }
                Some(self.span)
            }
            3 => {
                world.force(self.active);
                Some(self.span / 2)
            }
            _ => {
                world.order_message();
                None
            }
        }
    }
}
