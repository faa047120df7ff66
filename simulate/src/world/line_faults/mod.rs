//! What goes wrong with a source's packets between the exchange and the adapters?
//!
//! A [`LineFault`] stands in front of every line into every adapter, so it may do to several what happens to them together.
//! One that is added is one struct in one file and one line in [`draw`].
//!
//! ```text
//!  source ─► fault ─► fault ─► LinePath (loss, copies, delay) ─► adapter
//! ```

use core::fmt;
use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::line::Line;

use super::exchange::Shared;
use super::rng::Rng;

pub mod babble;
pub mod correlated;
pub mod forged;
pub mod lag;
pub mod outage;

/// One packet on its way to one line of one adapter.
#[derive(Clone, Debug)]
pub struct Under {
    /// Whose adapter.
    pub leg: Leg,
    /// On which line.
    pub line: Line,
    /// What.
    pub packet: Shared,
    /// How much later than others it comes.
    pub late: Duration,
}

/// A fault of the ways from the exchange.
pub trait LineFault: fmt::Debug {
    /// The name under which it is counted.
    fn name(&self) -> &'static str;
    /// The source says another packet: what is decided once for all lines is decided here.
    fn next(&mut self, rng: &mut Rng);
    /// Passes the packet on (or not, or changed, or more of them) and says whether it did harm.
    fn pass(&mut self, under: Under, rng: &mut Rng, on: &mut Vec<Under>) -> bool;
}

/// A set of faults drawn by chance.
#[must_use]
pub fn draw(rng: &mut Rng) -> Vec<Box<dyn LineFault>> {
    let mut faults: Vec<Box<dyn LineFault>> = Vec::new();
    if rng.chance(60) {
        let whose = rng.pick(&[None, Some(Leg::Zero), Some(Leg::One)]);
        let (once_in, longest) = (rng.between(150, 600), rng.between(1, 6));
        faults.push(Box::new(correlated::Lost::on_every_line(
            whose, once_in, longest,
        )));
    }
    if rng.chance(60) {
        faults.push(Box::new(forged::Altered::once_in(rng.between(20, 200))));
    }
    if rng.chance(60) {
        faults.push(Box::new(forged::Absurd::once_in(rng.between(20, 200))));
    }
    faults
}

/// More of them, for moments that seldom come: each by a generator of its own, all at one adapter.
#[must_use]
pub fn draw_rare(seed: u64) -> Vec<Box<dyn LineFault>> {
    let mut faults: Vec<Box<dyn LineFault>> = Vec::new();
    let mut rng = Rng::of(seed, "rare lines");
    let (leg, babbling, slow) = (
        rng.pick(&Leg::BOTH),
        rng.pick(&Line::BOTH),
        rng.pick(&Line::BOTH),
    );
    let mut rng = Rng::of(seed, "babble");
    if rng.chance(50) {
        let once_in = rng.pick(&[3, 10, 50]);
        let fault = babble::Babble::on((leg, babbling), once_in, rng);
        faults.push(Box::new(fault));
    }
    let mut rng = Rng::of(seed, "outage");
    if rng.chance(60) {
        let (once_in, longest) = (rng.pick(&[15, 50, 200]), rng.pick(&[12, 80, 300]));
        faults.push(Box::new(outage::Outage::of(leg, once_in, longest, rng)));
    }
    let mut rng = Rng::of(seed, "slow line");
    if rng.chance(50) {
        let late = rng.pick(&[1, 3, 3, 12, 12, 60, 300, 300].map(Duration::from_millis));
        faults.push(Box::new(lag::Slow::by(leg, slow, late)));
    }
    let mut rng = Rng::of(seed, "echo");
    if rng.chance(30) {
        let (once_in, latest_us) = (rng.between(50, 300), rng.pick(&[20_000, 4_000_000]));
        faults.push(Box::new(lag::Echo::once_in(once_in, latest_us, rng)));
    }
    faults
}
