//! Ways that are cut: between an adapter and subscribers, and between the adapters.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::Fault;
use crate::world::World;

/// Nothing of one leg reaches anybody for a while.
#[derive(Debug)]
pub struct Cut {
    leg: Leg,
    span: Duration,
}

impl Cut {
    /// The leg is cut off for `span`.
    #[must_use]
    pub fn of(leg: Leg, span: Duration) -> Self {
        Self { leg, span }
    }
}

impl Fault for Cut {
    fn name(&self) -> &'static str {
        "cut"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.cut(self.leg, self.span);
        None
    }
}

/// Nothing of one leg reaches one subscriber (drawn by chance) for a while.
#[derive(Debug)]
pub struct CutOne {
    leg: Leg,
    span: Duration,
}

impl CutOne {
    /// For `span`.
    #[must_use]
    pub fn of(leg: Leg, span: Duration) -> Self {
        Self { leg, span }
    }
}

impl Fault for CutOne {
    fn name(&self) -> &'static str {
        "cut_one"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        world.cut_one(self.leg, self.span);
        None
    }
}

/// Nothing of either leg reaches anybody for a while.
#[derive(Debug)]
pub struct Blackout {
    span: Duration,
}

impl Blackout {
    /// For `span`.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        Self { span }
    }
}

impl Fault for Blackout {
    fn name(&self) -> &'static str {
        "blackout"
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        for leg in Leg::BOTH {
            world.cut(leg, self.span);
        }
        None
    }
}

/// The pair link is reset although both adapters live: each calls the other gone.
#[derive(Debug)]
pub struct PairLink {
    span: Duration,
    down: bool,
}

impl PairLink {
    /// The link stands again after `span`.
    #[must_use]
    pub fn for_a_while(span: Duration) -> Self {
        Self { span, down: false }
    }
}

impl Fault for PairLink {
    fn name(&self) -> &'static str {
        if self.down {
            "pair_link_back"
        } else {
            "pair_link_reset"
        }
    }

    fn begins(&self) -> bool {
        !self.down
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        self.down = !self.down;
        for leg in Leg::BOTH {
            world.tell_of_peer(leg, self.down);
        }
        self.down.then_some(self.span)
    }
}
