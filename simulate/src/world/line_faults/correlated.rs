//! Packets that are lost on every line at once: what two lines have in common is where they come from.

use twinfeed_protocol::Leg;

use super::{LineFault, Under};
use crate::world::rng::Rng;

/// Several packets in a row reach no line, of one adapter or of both.
#[derive(Debug)]
pub struct Lost {
    whose: Option<Leg>,
    once_in: u64,
    longest: u64,
    left: u64,
}

impl Lost {
    /// A burst begins once in so many packets and is at most `longest` long; `whose`: of one adapter only.
    #[must_use]
    pub fn on_every_line(whose: Option<Leg>, once_in: u64, longest: u64) -> Self {
        Self {
            whose,
            once_in,
            longest,
            left: 0,
        }
    }
}

impl LineFault for Lost {
    fn name(&self) -> &'static str {
        match self.whose {
            Some(_) => "lines_correlated_loss",
            None => "source_loss",
        }
    }

    fn next(&mut self, rng: &mut Rng) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && rng.one_in(self.once_in) {
            self.left = rng.between(1, self.longest) + 1;
        }
    }

    fn pass(&mut self, under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        let lost = self.left > 0 && self.whose.is_none_or(|leg| leg == under.leg);
        if !lost {
            on.push(under);
        }
        lost
    }
}
