//! An adapter whose next process begins in the middle of something.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// The adapter dies, and its next process begins while a source speaks quickly, or as a life of it ends.
#[derive(Debug)]
pub struct Born {
    leg: Leg,
    moment: Moment,
    wait: Duration,
    looks: u32,
    step: Step,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Lives,
    Dead,
    Begins,
}

/// When the next process begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// In a burst of packets.
    InBurst,
    /// When a life comes to its end.
    AtEnd,
    /// When the next one has begun.
    BehindEnd,
}

impl Born {
    /// So long after that moment.
    #[must_use]
    pub fn at(leg: Leg, moment: Moment, wait: Duration) -> Self {
        Self {
            leg,
            moment,
            wait,
            looks: 0,
            step: Step::Lives,
        }
    }
}

impl Fault for Born {
    fn name(&self) -> &'static str {
        match self.step {
            Step::Lives | Step::Dead => "born.looked_for",
            Step::Begins => "born",
        }
    }

    fn begins(&self) -> bool {
        false
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.looks += 1;
        match self.step {
            Step::Lives => {
                if self.moment != Moment::InBurst && !world.says_at_most(NEAR) {
                    return Some(WATCH);
                }
                world.kill(self.leg);
                (self.step, self.looks) = (Step::Dead, 0);
                Some(LOOK)
            }
            Step::Dead => {
                let now = match self.moment {
                    Moment::InBurst => world.is_in_burst(),
                    Moment::AtEnd => world.says_at_most(LAST),
                    Moment::BehindEnd => world.has_begun_anew(NEAR),
                };
                if now || self.looks > MOST_LOOKS {
                    self.step = Step::Begins;
                    return Some(self.wait);
                }
                Some(LOOK)
            }
            Step::Begins => {
                world.start(self.leg);
                None
            }
        }
    }
}

/// Near an end: so many messages are left.
const NEAR: u64 = 150;
/// At it.
const LAST: u64 = 16;
/// How often it is looked for the end, and then for the moment, and how many times at most.
const WATCH: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_micros(300);
const MOST_LOOKS: u32 = 8_000;
