//! Snapshot servers that are silent, slow, busy or lie, and applications whose state is in doubt.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;
use crate::world::snapshots::Trick;

/// One adapter's snapshot server does something else than it should for a while.
#[derive(Debug)]
pub struct SnapshotServer {
    leg: Leg,
    trick: Trick,
    span: Duration,
    plays: bool,
}

impl SnapshotServer {
    /// For `span`.
    #[must_use]
    pub fn of(leg: Leg, trick: Trick, span: Duration) -> Self {
        Self {
            leg,
            trick,
            span,
            plays: false,
        }
    }
}

impl Fault for SnapshotServer {
    fn name(&self) -> &'static str {
        match self.plays {
            true => Trick::Honest.name(),
            false => self.trick.name(),
        }
    }

    fn begins(&self) -> bool {
        !self.plays
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.plays = !self.plays;
        let trick = if self.plays {
            self.trick
        } else {
            Trick::Honest
        };
        world.play_snapshots(self.leg, trick);
        self.plays.then_some(self.span)
    }
}

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
