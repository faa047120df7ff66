//! Who gives an adapter what both lines of a source lost?
//!
//! ```text
//!  adapter ─ LineAsk ─► way there ─► request server of the source ─► way back ─► adapter
//!                                       └► now and then: nothing, less, late, something else
//! ```
//!
//! A request server of a venue answers with one packet of what it keeps, or not at all. What it never does here is to give
//! other bytes under a number that it was asked for: nobody could tell.

use core::time::Duration;

use twinfeed_protocol::line::LineAsk;
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_wire::Epoch;

use super::exchange::{Content, MESSAGE_LENGTH, Packet, Source};
use super::rng::Rng;

/// The request servers of a world's sources.
#[derive(Clone, Debug)]
pub struct RequestPlan {
    /// Of which lines there is one.
    pub known: [bool; 2],
    /// How adapters ask.
    pub limits: RepairLimits,
    /// Percent of requests, and of answers, that are lost.
    pub loss_percent: u64,
    /// Percent of requests that are answered wrongly.
    pub wrong_percent: u64,
    /// How many of its latest messages a source still has.
    pub kept: usize,
    /// Most messages in one answer.
    pub answer: usize,
}

impl RequestPlan {
    /// One drawn by chance.
    pub(super) fn draw(seed: u64, rng: &mut Rng) -> Self {
        Self {
            known: rng.pick(&[[true; 2], [true, false], [false, true]]),
            limits: RepairLimits {
                repair_time: rng.pick(&[5, 30, 100].map(Duration::from_millis)),
                fill_patience: rng.pick(&[1, 4].map(Duration::from_millis)),
                fill_attempts: rng.pick(&[3, 12]),
                fill_range: rng.pick(&[2, 1_000]),
                fill_datagrams: 1,
                fill_seed: seed,
            },
            loss_percent: rng.pick(&[0, 5, 30]),
            wrong_percent: rng.pick(&[0, 0, 20]),
            kept: rng.pick(&[8, 4_096]),
            answer: rng.pick(&[1, 8, 40]),
        }
    }
}

/// They are asked.
#[derive(Debug)]
pub struct Requests {
    plan: RequestPlan,
    rng: Rng,
}

impl Requests {
    /// As planned.
    #[must_use]
    pub fn new(plan: RequestPlan, seed: u64) -> Self {
        Self {
            plan,
            rng: Rng::of(seed, "request servers"),
        }
    }

    /// How long something is on its way; `None`: it is lost.
    pub fn way(&mut self) -> Option<Duration> {
        let lost = self.rng.chance(self.plan.loss_percent);
        let span = self.rng.micros(20, 400);
        (!lost).then_some(span)
    }

    /// The source's answer, and how much longer it takes; `None`: it says nothing.
    pub fn answer(&mut self, source: &Source, ask: &LineAsk) -> Option<(Packet, Duration)> {
        let most = usize::from(ask.count).min(self.plan.answer);
        let mut said = source.again(ask.epoch, ask.first, most, self.plan.kept);
        let (mut epoch, mut first, mut span) = (ask.epoch, ask.first, Duration::ZERO);
        if self.rng.chance(self.plan.wrong_percent) {
            match self.rng.below(5) {
                0 => return None,
                1 => said.truncate(1),
                2 => (epoch, said) = (Epoch(ask.epoch.0 ^ 2), vec![[7; MESSAGE_LENGTH]; 3]),
                3 => (first, said) = (ask.first + 5_000, vec![[7; MESSAGE_LENGTH]; 3]),
                _ => span = self.rng.micros(1_000, 60_000),
            }
        }
        let genuine = epoch == ask.epoch && first == ask.first;
        (!said.is_empty()).then(|| {
            let packet = Packet {
                sid: source.shape().sid,
                epoch,
                first,
                content: Content::Messages(said),
                genuine,
            };
            (packet, span)
        })
    }

    /// From now on nothing is lost, and every answer is right.
    pub const fn calm(&mut self) {
        (self.plan.loss_percent, self.plan.wrong_percent) = (0, 0);
    }
}
