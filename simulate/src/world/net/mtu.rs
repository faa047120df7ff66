//! A way on which long datagrams do not pass any more.

use super::{Decorator, Flight};
use crate::world::rng::Rng;

/// Now and then the way has a smaller MTU for a while: what is longer is dropped, as with the don't-fragment bit.
#[derive(Debug)]
pub struct Mtu {
    longest: usize,
    once_in: u64,
    lasts: u64,
    left: u64,
}

impl Mtu {
    /// Of so many bytes; that begins once in so many datagrams and lasts for at most `lasts` of them.
    #[must_use]
    pub fn of(longest: usize, once_in: u64, lasts: u64) -> Self {
        Self {
            longest,
            once_in,
            lasts,
            left: 0,
        }
    }
}

impl Decorator for Mtu {
    fn name(&self) -> &'static str {
        "mtu"
    }

    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool {
        if self.left == 0 && rng.one_in(self.once_in) {
            self.left = rng.between(1, self.lasts);
        }
        self.left = self.left.saturating_sub(1);
        let lost = self.left > 0 && flight.bytes.len() > self.longest;
        if !lost {
            on.push(flight);
        }
        lost
    }
}
