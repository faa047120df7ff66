//! Adapters that die, stop, or leave, and come back.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// SIGKILL; another process takes its place after a while.
#[derive(Debug)]
pub struct Kill {
    leg: Leg,
    back_in: Option<Duration>,
    dead: bool,
}

impl Kill {
    /// The adapter is back after `span`, remembering nothing.
    #[must_use]
    pub fn for_a_while(leg: Leg, span: Duration) -> Self {
        Self {
            leg,
            back_in: Some(span),
            dead: false,
        }
    }

    /// The adapter is not back before the world is calm.
    #[must_use]
    pub fn for_good(leg: Leg) -> Self {
        Self {
            leg,
            back_in: None,
            dead: false,
        }
    }
}

impl Fault for Kill {
    fn name(&self) -> &'static str {
        if self.dead { "restart" } else { "kill" }
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
        self.back_in
    }
}

/// SIGSTOP, and SIGCONT after a while.
#[derive(Debug)]
pub struct Stop {
    leg: Leg,
    span: Duration,
    stopped: bool,
}

impl Stop {
    /// The adapter goes on after `span` as if nothing had happened.
    #[must_use]
    pub fn for_a_while(leg: Leg, span: Duration) -> Self {
        Self {
            leg,
            span,
            stopped: false,
        }
    }
}

impl Fault for Stop {
    fn name(&self) -> &'static str {
        if self.stopped { "resume" } else { "stop" }
    }

    fn begins(&self) -> bool {
        !self.stopped
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if self.stopped {
            world.resume(self.leg);
            return None;
        }
        self.stopped = true;
        world.stop(self.leg);
        Some(self.span)
    }
}

/// SIGTERM: the end of every stream is announced; another process comes after a while.
#[derive(Debug)]
pub struct StepDown {
    leg: Leg,
    span: Duration,
    gone: bool,
}

impl StepDown {
    /// The adapter is replaced after `span`.
    #[must_use]
    pub fn for_a_while(leg: Leg, span: Duration) -> Self {
        Self {
            leg,
            span,
            gone: false,
        }
    }
}

impl Fault for StepDown {
    fn name(&self) -> &'static str {
        if self.gone { "restart" } else { "step_down" }
    }

    fn begins(&self) -> bool {
        !self.gone
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if self.gone {
            world.start(self.leg);
            return None;
        }
        self.gone = true;
        world.step_down(self.leg);
        Some(self.span)
    }
}
