//! What goes wrong besides the network?
//!
//! A [`Fault`] strikes at a time that the plan gives it, and again when it says so (most faults end, too).
//! A fault added to the world is one struct in one file here and one line in [`draw`].

use core::fmt;
use core::time::Duration;

use twinfeed_protocol::Leg;

use super::World;
use super::rng::Rng;

pub mod hearing;
pub mod order;
pub mod partition;
pub mod pause;
pub mod process;

/// Something that goes wrong at a given time.
pub trait Fault: fmt::Debug {
    /// The name under which it is counted.
    fn name(&self) -> &'static str;
    /// Goes wrong; the span is the time until it wants to be called again.
    fn strike(&mut self, world: &mut World) -> Option<Duration>;
}

/// A fault drawn by chance.
#[must_use]
pub fn draw(rng: &mut Rng) -> Box<dyn Fault> {
    let leg = rng.pick(&Leg::BOTH);
    let soon = rng.micros(500, 20_000);
    let later = rng.micros(10_000, 120_000);
    match rng.below(12) {
        0 | 1 => Box::new(process::Kill::for_a_while(leg, later)),
        2 => Box::new(process::Kill::for_a_while(leg, soon)),
        3 => Box::new(process::Stop::for_a_while(leg, later)),
        4 => Box::new(process::Stop::for_a_while(leg, soon)),
        5 => Box::new(process::StepDown::for_a_while(leg, later)),
        6 => Box::new(partition::Cut::of(leg, rng.pick(&[soon, later]))),
        7 => Box::new(partition::PairLink::for_a_while(later)),
        8 | 9 => Box::new(hearing::Deaf::of(leg, rng.pick(&[soon, later]))),
        10 => Box::new(pause::Pause::of(rng.pick(&[soon, later]))),
        _ => Box::new(order::SwitchTo::new(leg)),
    }
}
