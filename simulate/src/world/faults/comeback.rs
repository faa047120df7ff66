//! An application that goes, and comes back with what it had kept.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// One application (drawn by chance) keeps where it stands, with what it has made of the records so far; ends a moment later,
/// which is then as if it had not been; and another process of it goes on from what was kept.
#[derive(Debug)]
pub struct Comeback {
    unkept: Duration,
    span: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Before,
    Kept(usize),
    Gone(usize),
}

impl Comeback {
    /// It is back after `span`, and what it was told in the last `unkept` is forgotten.
    #[must_use]
    pub fn away_for(span: Duration, unkept: Duration) -> Self {
        Self {
            unkept,
            span,
            stage: Stage::Before,
        }
    }
}

impl Fault for Comeback {
    fn name(&self) -> &'static str {
        match self.stage {
            Stage::Before => "subscriber_keeps",
            Stage::Kept(_) => "subscriber_dies",
            Stage::Gone(_) => "subscriber_resumes",
        }
    }

    fn begins(&self) -> bool {
        self.stage == Stage::Before
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.stage {
            Stage::Before => {
                self.stage = Stage::Kept(world.keep_one());
                Some(self.unkept)
            }
            Stage::Kept(subscriber) => {
                world.send_away(subscriber);
                self.stage = Stage::Gone(subscriber);
                Some(self.span)
            }
            Stage::Gone(subscriber) => {
                world.come_back(subscriber);
                None
            }
        }
    }
}
