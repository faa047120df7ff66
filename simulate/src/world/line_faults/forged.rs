//! Packets that the source did not say so.
//!
//! The first copy of a number wins, so a changed one comes only behind the true one on the same line; one with an absurd
//! number is believed by nobody whom nothing else confirms it to.

use core::time::Duration;

use super::{LineFault, Under};
use crate::world::exchange::{Content, Shared};
use crate::world::rng::Rng;

/// Some packets are followed by a copy with other bytes.
#[derive(Debug)]
pub struct Altered {
    once_in: u64,
}

impl Altered {
    /// One in so many.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self { once_in }
    }
}

impl LineFault for Altered {
    fn name(&self) -> &'static str {
        "line_altered_copy"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, under: Under, rng: &mut Rng, on: &mut Vec<Under>) -> bool {
        let comes = rng.one_in(self.once_in);
        on.push(under.clone());
        let Content::Messages(messages) = &under.packet.content else {
            return false;
        };
        if !comes {
            return false;
        }
        let mut packet = (*under.packet).clone();
        let mut messages = messages.clone();
        for message in &mut messages {
            message[0] ^= 1;
        }
        packet.content = Content::Messages(messages);
        packet.genuine = false;
        on.push(Under {
            packet: Shared::new(packet),
            late: under.late + BEHIND,
            ..under
        });
        true
    }
}

/// Some packets are followed by one that cannot be: of number 0, or far away.
#[derive(Debug)]
pub struct Absurd {
    once_in: u64,
}

impl Absurd {
    /// One in so many.
    #[must_use]
    pub fn once_in(once_in: u64) -> Self {
        Self { once_in }
    }
}

impl LineFault for Absurd {
    fn name(&self) -> &'static str {
        "line_absurd"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, under: Under, rng: &mut Rng, on: &mut Vec<Under>) -> bool {
        let comes = rng.one_in(self.once_in);
        on.push(under.clone());
        if !comes {
            return false;
        }
        let mut packet = (*under.packet).clone();
        packet.first = match rng.chance(30) {
            true => 0,
            // No two lines agree about such a number.
            false => rng.between(1 << 32, 1 << 60),
        };
        packet.genuine = false;
        on.push(Under {
            packet: Shared::new(packet),
            late: under.late + BEHIND,
            ..under
        });
        true
    }
}

/// Later than any path holds a packet up: the true one has come before.
const BEHIND: Duration = Duration::from_millis(3);
