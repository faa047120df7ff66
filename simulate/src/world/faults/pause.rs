//! An application that polls too late.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// One application (drawn by chance) does not poll for a while.
#[derive(Debug)]
pub struct Pause {
    span: Duration,
    skips: bool,
    paused: Option<usize>,
}

impl Pause {
    /// It polls again after `span`.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        Self {
            span,
            skips: false,
            paused: None,
        }
    }

    /// It polls again after `span`, and leaves out what waited until then.
    #[must_use]
    pub fn that_skips(span: Duration) -> Self {
        Self {
            skips: true,
            ..Self::of(span)
        }
    }
}

impl Fault for Pause {
    fn name(&self) -> &'static str {
        match (self.paused, self.skips) {
            (None, _) => "pause",
            (Some(_), false) => "unpause",
            (Some(_), true) => "skip",
        }
    }

    fn begins(&self) -> bool {
        self.paused.is_none()
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.paused {
            Some(subscriber) => {
                match self.skips {
                    true => world.skip(subscriber),
                    false => world.unpause(subscriber),
                }
                None
            }
            None => {
                self.paused = Some(world.pause_one());
                Some(self.span)
            }
        }
    }
}
