//! What goes wrong between two adapters, and between them and stream-admin.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;
use crate::world::pair::trap::Case;

/// The active dies at a moment that is waited for; another process takes its seat after a while.
#[derive(Debug)]
pub struct Moment {
    case: Case,
    back_in: Duration,
    /// An operator makes the survivor the active before the dead one is back.
    forced_in: Option<Duration>,
    attempts: u32,
    step: Step,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Waits,
    Set(Leg),
    Dead(Leg),
}

impl Moment {
    /// The active dies in this moment and is back after `back_in`.
    #[must_use]
    pub fn of(case: Case, back_in: Duration) -> Self {
        Self {
            case,
            back_in,
            forced_in: None,
            attempts: 0,
            step: Step::Waits,
        }
    }

    /// The same, and an operator forces the takeover after `span`.
    #[must_use]
    pub fn and_forced(mut self, span: Duration) -> Self {
        self.forced_in = Some(span);
        self
    }

    /// Sets the trap, or tries again soon.
    fn set(&mut self, world: &mut World) -> Option<Duration> {
        self.attempts += 1;
        if self.attempts > MOST_ATTEMPTS {
            return None;
        }
        self.step = Step::Waits;
        if let Some(sid) = world.protected() {
            self.step = Step::Set(world.active());
            world.set_trap(self.case, sid);
            return Some(match self.case {
                // The slot that it was agreed to at must not come for a while.
                Case::Committed => QUIET_PATIENCE,
                _ => PATIENCE,
            });
        }
        Some(PAUSE)
    }
}

impl Fault for Moment {
    fn name(&self) -> &'static str {
        match self.step {
            Step::Waits => "moment.sought",
            Step::Set(_) => "moment.set",
            Step::Dead(_) => "moment.over",
        }
    }

    fn begins(&self) -> bool {
        false
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.step {
            Step::Waits => self.set(world),
            Step::Set(leg) if world.take_trap() => {
                self.step = Step::Dead(leg);
                Some(self.forced_in.unwrap_or(self.back_in))
            }
            Step::Set(_) => self.set(world),
            Step::Dead(leg) => {
                if self.forced_in.take().is_some() {
                    world.force(leg.other());
                    return Some(self.back_in);
                }
                world.start(leg);
                None
            }
        }
    }
}

/// The backup dies, and another process takes its seat.
#[derive(Debug)]
pub struct KillBackup {
    back_in: Duration,
    dead: Option<Leg>,
}

impl KillBackup {
    /// It is back after `span`.
    #[must_use]
    pub fn for_a_while(span: Duration) -> Self {
        Self {
            back_in: span,
            dead: None,
        }
    }
}

impl Fault for KillBackup {
    fn name(&self) -> &'static str {
        if self.dead.is_some() {
            "restart"
        } else {
            "kill_backup"
        }
    }

    fn begins(&self) -> bool {
        self.dead.is_none()
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if let Some(leg) = self.dead {
            world.start(leg);
            return None;
        }
        let leg = world.active().other();
        self.dead = Some(leg);
        world.kill(leg);
        Some(self.back_in)
    }
}

/// Nothing passes the pair link for a while, on one way or both.
#[derive(Debug)]
pub struct LinkClosed {
    to: Option<Leg>,
    span: Duration,
}

impl LinkClosed {
    /// To one adapter only, or to both.
    #[must_use]
    pub fn to(to: Option<Leg>, span: Duration) -> Self {
        Self { to, span }
    }
}

impl Fault for LinkClosed {
    fn name(&self) -> &'static str {
        match self.to {
            Some(_) => "pair_link_stalled",
            None => "pair_link_cut",
        }
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.to {
            Some(to) => world.stall_pair(to, self.span),
            None => world.cut_pair(self.span),
        }
        None
    }
}

/// stream-admin answers nobody, or one adapter not.
#[derive(Debug)]
pub struct AdminAway {
    from: Option<Leg>,
    span: Duration,
}

impl AdminAway {
    /// For one adapter only, or for everybody.
    #[must_use]
    pub fn from(from: Option<Leg>, span: Duration) -> Self {
        Self { from, span }
    }
}

impl Fault for AdminAway {
    fn name(&self) -> &'static str {
        "admin_away"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        match self.from {
            Some(leg) => world.cut_off_admin(leg, self.span),
            None => world.lose_admin(self.span),
        }
        None
    }
}

/// An operator makes the backup the active, whatever it lacks.
#[derive(Debug)]
pub struct Forced;

impl Fault for Forced {
    fn name(&self) -> &'static str {
        "forced_takeover"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        let to = world.active().other();
        world.force(to);
        None
    }
}

/// The active loses the link and stream-admin, and another one is made: both think that they are active.
#[derive(Debug)]
pub struct Split {
    span: Duration,
    cut: bool,
}

impl Split {
    /// For so long.
    #[must_use]
    pub fn for_a_while(span: Duration) -> Self {
        Self { span, cut: false }
    }
}

impl Fault for Split {
    fn name(&self) -> &'static str {
        if self.cut {
            "split_forced"
        } else {
            "split_cut"
        }
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        let active = world.active();
        if self.cut {
            world.force(active.other());
            return None;
        }
        self.cut = true;
        world.cut_pair(self.span);
        world.cut_off_admin(active, self.span);
        Some(self.span / 4)
    }
}

/// How often a moment is sought.
const MOST_ATTEMPTS: u32 = 40;
/// How long a trap waits for its moment.
const PATIENCE: Duration = Duration::from_millis(6);
/// The same, where the source must rest as well.
const QUIET_PATIENCE: Duration = Duration::from_millis(250);
/// How long until a pair is looked at again that was not protected.
const PAUSE: Duration = Duration::from_millis(4);
