//! A line that brings nothing for a while, alone or with the other one.
//!
//! What two lines have in common may fail on both, but hardly to the same packet: one is back before the other.

use twinfeed_protocol::Leg;
use twinfeed_protocol::line::Line;

use super::{LineFault, Under};
use crate::world::rng::Rng;

/// The lines of one adapter, or one of them, are dead for many packets in a row.
#[derive(Debug)]
pub struct Outage {
    leg: Leg,
    once_in: u64,
    longest: u64,
    /// For how many packets each line goes on as it is, and then is dead.
    lines: [(u64, u64); 2],
    /// Whether a packet is lost before, too.
    stutters: bool,
    rng: Rng,
}

impl Outage {
    /// An outage begins once in so many packets and is at most about `longest` long.
    #[must_use]
    pub fn of(leg: Leg, once_in: u64, longest: u64, rng: Rng) -> Self {
        Self {
            leg,
            once_in,
            longest,
            lines: [(0, 0); 2],
            stutters: false,
            rng,
        }
    }

    fn begin(&mut self) {
        let length = match self.rng.one_in(3) {
            true => self.rng.between(1, self.longest),
            false => self.rng.between(1, self.longest.min(12)),
        };
        let apart = self.rng.pick(&[1, 4, 12, 60]);
        self.stutters = self.rng.one_in(2);
        let one = self.rng.chance(40).then(|| self.rng.below(2));
        for (line, dead) in self.lines.iter_mut().enumerate() {
            if one.is_none_or(|one| one == line as u64) {
                *dead = (
                    STUTTER + self.rng.below(apart),
                    length + self.rng.below(apart),
                );
            }
        }
    }
}

impl LineFault for Outage {
    fn name(&self) -> &'static str {
        "line_outage"
    }

    fn next(&mut self, _: &mut Rng) {
        for (begins_in, left) in &mut self.lines {
            match *begins_in {
                0 => *left = left.saturating_sub(1),
                _ => *begins_in -= 1,
            }
        }
        let over = self.lines.iter().all(|(_, left)| *left == 0);
        if over && self.rng.one_in(self.once_in) {
            self.begin();
        }
    }

    fn pass(&mut self, under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        let (begins_in, left) = self.lines[match under.line {
            Line::A => 0,
            Line::B => 1,
        }];
        let dead = begins_in == 0 && left > 0;
        let stutters = self.stutters && begins_in == STUTTER;
        // What the source did not say comes by ways of its own.
        let lost = under.leg == self.leg && under.packet.genuine && (dead || stutters);
        if !lost {
            on.push(under);
        }
        lost
    }
}

/// A packet so far before the first of an outage is lost, too.
const STUTTER: u64 = 2;
