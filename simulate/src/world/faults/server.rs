//! Servers of an adapter that are silent, slow, refusing, lying, or die in the middle of an answer.

use core::fmt;
use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;
use crate::world::{fills, snapshots};

/// What a server does that it should not; honest: what it should.
pub trait Played: Copy + fmt::Debug + Default {
    /// How it is counted.
    fn name(self) -> &'static str;
    /// The server of `leg` does this from here on.
    fn play(self, leg: Leg, world: &mut World);
}

impl Played for fills::Trick {
    fn name(self) -> &'static str {
        self.name()
    }

    fn play(self, leg: Leg, world: &mut World) {
        world.play(leg, self);
    }
}

impl Played for snapshots::Trick {
    fn name(self) -> &'static str {
        self.name()
    }

    fn play(self, leg: Leg, world: &mut World) {
        world.play_snapshots(leg, self);
    }
}

/// A server of one adapter does something else than it should for a while.
#[derive(Debug)]
pub struct Server<T> {
    leg: Leg,
    trick: T,
    span: Duration,
    plays: bool,
}

/// The one that gives what both streams lost.
pub type FillServer = Server<fills::Trick>;
/// The one that gives whoever joins a state.
pub type SnapshotServer = Server<snapshots::Trick>;

impl<T> Server<T> {
    /// For `span`.
    #[must_use]
    pub fn of(leg: Leg, trick: T, span: Duration) -> Self {
        Self {
            leg,
            trick,
            span,
            plays: false,
        }
    }
}

impl<T: Played> Fault for Server<T> {
    fn name(&self) -> &'static str {
        match self.plays {
            true => T::default().name(),
            false => self.trick.name(),
        }
    }

    fn begins(&self) -> bool {
        !self.plays
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.plays = !self.plays;
        let trick = if self.plays { self.trick } else { T::default() };
        trick.play(self.leg, world);
        self.plays.then_some(self.span)
    }
}
