//! An adapter that is stopped while its lines have not decided something.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::coverage::watch::Undecided;
use crate::world::World;

/// The adapter is stopped at that moment, and hears nothing of what came meanwhile: all of the time has passed at once.
#[derive(Debug)]
pub struct StoppedUndecided {
    leg: Leg,
    what: Undecided,
    span: Duration,
    looks: u32,
    step: Step,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Begins,
    Starts,
    Looks,
    Stopped,
}

impl StoppedUndecided {
    /// For so long.
    #[must_use]
    pub fn of(leg: Leg, what: Undecided, span: Duration) -> Self {
        Self {
            leg,
            what,
            span,
            looks: 0,
            step: Step::Begins,
        }
    }
}

impl Fault for StoppedUndecided {
    fn name(&self) -> &'static str {
        match self.step {
            Step::Begins | Step::Looks => "undecided.looked_for",
            Step::Starts => "restart",
            Step::Stopped => "undecided.over",
        }
    }

    fn begins(&self) -> bool {
        false
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.step {
            Step::Begins if self.what == Undecided::Beginning => {
                world.kill(self.leg);
                self.step = Step::Starts;
                Some(PAUSE)
            }
            Step::Begins => {
                self.step = Step::Looks;
                Some(LOOK)
            }
            Step::Starts => {
                world.start(self.leg);
                self.step = Step::Looks;
                Some(LOOK)
            }
            Step::Looks if world.has_undecided(self.leg, self.what) => {
                world.stop_undecided(self.leg, self.span);
                self.step = Step::Stopped;
                Some(self.span)
            }
            Step::Looks => {
                self.looks += 1;
                (self.looks < MOST_LOOKS).then_some(LOOK)
            }
            Step::Stopped => {
                world.resume(self.leg);
                None
            }
        }
    }
}

/// How often it is looked, and how many times at most.
const LOOK: Duration = Duration::from_micros(400);
const MOST_LOOKS: u32 = 4_000;
/// How long a process is away that is to begin.
const PAUSE: Duration = Duration::from_millis(20);
