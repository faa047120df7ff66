//! A sender on a line's group that says what nobody confirms.
//!
//! It knows what the source says, and says something else beside it: an end that was passed long ago, another epoch, numbers far away, what
//! goes on behind an end, other bytes under known numbers. It speaks on one line of an adapter only (of what is over, on both), for what two
//! lines say is true by any rule that there is; what would be believed all the same is dropped where it arrives.

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::line::Line;
use twinfeed_wire::Epoch;

use super::{LineFault, Under};
use crate::world::exchange::{Content, MESSAGE_LENGTH, Packet, Shared};
use crate::world::rng::Rng;

/// Beside some packets comes one that the source did not say.
#[derive(Debug)]
pub struct Babble {
    to: (Leg, Line),
    once_in: u64,
    /// The epoch at hand and the one before, and behind which number each was left.
    epochs: [(Epoch, u64); 2],
    /// Packets said since the epoch at hand began.
    said: u64,
    rng: Rng,
}

impl Babble {
    /// Beside one in so many, on this line of this adapter.
    #[must_use]
    pub fn on(to: (Leg, Line), once_in: u64, rng: Rng) -> Self {
        Self {
            to,
            once_in,
            epochs: [(Epoch::NONE, 0); 2],
            said: 0,
            rng,
        }
    }

    fn note(&mut self, packet: &Packet) {
        let count = match &packet.content {
            Content::Messages(messages) => messages.len() as u64,
            Content::Heartbeat | Content::End => 0,
        };
        self.said += 1;
        if packet.epoch != self.epochs[1].0 {
            self.epochs.rotate_left(1);
            self.said = 0;
        }
        self.epochs[1] = (packet.epoch, packet.first + count);
    }

    /// Of an epoch that has just been over, on one line: what goes on behind its end.
    fn behind_an_end(&mut self, under: &Under, on: &mut Vec<Under>) {
        let (epoch, next) = self.epochs[0];
        if !epoch.is_some() {
            return;
        }
        let mut packet = (*under.packet).clone();
        let message: [u8; MESSAGE_LENGTH] = core::array::from_fn(|_| self.rng.below(256) as u8);
        let messages = Content::Messages(vec![message]);
        let near = next + self.rng.between(1, 12);
        packet.epoch = epoch;
        (packet.content, packet.first) = match self.rng.below(6) {
            0 => (messages, next),
            1 => (messages, near),
            2 => (messages, near + (1 << 24)),
            3 => (Content::End, near),
            4 => {
                packet.epoch = under.packet.epoch;
                (Content::End, under.packet.first)
            }
            _ => (Content::Heartbeat, near),
        };
        packet.genuine = false;
        let latest = self.rng.pick(&[500, 500, 50_000]);
        on.push(Under {
            packet: Shared::new(packet),
            late: self.rng.micros(0, latest),
            ..under.clone()
        });
    }

    /// Of an epoch that is over, on both lines: what goes on behind its end, and what is far behind it.
    fn of_the_past(&mut self, under: &Under, on: &mut Vec<Under>) {
        let (epoch, next) = self.epochs[0];
        if !epoch.is_some() {
            return;
        }
        let message: [u8; MESSAGE_LENGTH] = core::array::from_fn(|_| self.rng.below(256) as u8);
        let far = next + self.rng.between(1 << 12, 1 << 16);
        let firsts = [next, far, far + 1, far + 2, far + 3];
        for (place, first) in firsts.into_iter().enumerate() {
            let mut packet = (*under.packet).clone();
            packet.content = Content::Messages(vec![message]);
            (packet.epoch, packet.first, packet.genuine) = (epoch, first, false);
            let packet = Shared::new(packet);
            let late = under.late + Duration::from_micros(1_000 + 2_000 * place as u64);
            for line in Line::BOTH {
                let packet = Shared::clone(&packet);
                on.push(Under {
                    leg: under.leg,
                    line,
                    packet,
                    late,
                });
            }
        }
    }

    /// What is said beside `packet`.
    fn beside(&mut self, packet: &Packet) -> Packet {
        let rng = &mut self.rng;
        let near = rng.between(1, 12);
        let nonsense = |rng: &mut Rng| {
            let message: [u8; MESSAGE_LENGTH] = core::array::from_fn(|_| rng.below(256) as u8);
            Content::Messages(vec![message; rng.between(1, 4) as usize])
        };
        let mut said = packet.clone();
        said.genuine = false;
        match rng.below(12) {
            0 => said.first = 0,
            1 => {
                (said.content, said.first) =
                    (Content::End, packet.first.saturating_sub(near).max(1));
            }
            2 => {
                said.content = Content::Heartbeat;
                said.first = packet.first.saturating_sub(near).max(1);
            }
            3 => (said.content, said.epoch) = (Content::End, made_up(rng)),
            4 => (said.content, said.epoch) = (nonsense(rng), made_up(rng)),
            5 => {
                said.content = nonsense(rng);
                said.first = packet.first.saturating_add(rng.between(1 << 24, 1 << 40));
            }
            6 => said.content = nonsense(rng),
            7 => (said.content, said.first) = (nonsense(rng), packet.first + near),
            8 => (said.content, said.first) = (Content::End, packet.first + near),
            9 => (said.content, said.first) = (Content::Heartbeat, packet.first + near),
            _ => {
                if let Content::Messages(messages) = &mut said.content {
                    messages.iter_mut().for_each(|message| message[0] ^= 1);
                }
            }
        }
        said
    }
}

impl LineFault for Babble {
    fn name(&self) -> &'static str {
        "line_babble"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        let to = (under.leg, under.line) == self.to;
        if to && under.packet.genuine {
            self.note(&under.packet);
        }
        let once_in = match &under.packet.content {
            Content::Messages(_) => self.once_in,
            // Rests are few.
            Content::Heartbeat | Content::End => self.once_in.div_ceil(8),
        };
        let babbles = to && self.rng.one_in(once_in);
        let early = self.said < EARLY;
        if to && self.said < FIRST {
            // Before enough has come of the new epoch to confirm it.
            self.behind_an_end(&under, on);
        }
        if babbles && early && self.rng.one_in(2) {
            self.behind_an_end(&under, on);
        } else if babbles && self.rng.one_in(12) {
            self.of_the_past(&under, on);
        } else if babbles {
            let packet = Shared::new(self.beside(&under.packet));
            let latest = self.rng.pick(&[500, 3_000, 200_000, 2_000_000]);
            on.push(Under {
                packet,
                late: under.late + self.rng.micros(0, latest),
                ..under.clone()
            });
        }
        on.push(under);
        babbles
    }
}

/// The name of an epoch that no source has.
fn made_up(rng: &mut Rng) -> Epoch {
    Epoch((rng.bits() | 2) & !1)
}

/// So many packets long an epoch is young.
const EARLY: u64 = 40;
/// So many, and it may wait to be confirmed.
const FIRST: u64 = 2;
