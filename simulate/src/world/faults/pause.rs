//! An application that polls too late.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// One application (drawn by chance) does not poll for a while.
#[derive(Debug)]
pub struct Pause {
    span: Duration,
    paused: Option<usize>,
}

impl Pause {
    /// It polls again after `span`.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        Self { span, paused: None }
    }
}

impl Fault for Pause {
    fn name(&self) -> &'static str {
        if self.paused.is_some() {
            "unpause"
        } else {
            "pause"
        }
    }

    fn begins(&self) -> bool {
        self.paused.is_none()
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.paused {
            Some(subscriber) => {
                world.unpause(subscriber);
                None
            }
            None => {
                self.paused = Some(world.pause_one());
                Some(self.span)
            }
        }
    }
}
