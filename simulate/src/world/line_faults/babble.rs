//! A sender on a line's group that says what nobody confirms.
//!
//! It knows what the source says, and says something else beside it: an end that was passed long ago, another epoch, numbers far away, what
//! goes on behind an end, other bytes under known numbers. It speaks on one line of an adapter only, for what two lines say is true by any
//! rule that there is; what would be believed of a single line is dropped where it arrives.

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
    rng: Rng,
}

impl Babble {
    /// Beside one in so many, on this line of this adapter.
    #[must_use]
    pub fn on(to: (Leg, Line), once_in: u64, rng: Rng) -> Self {
        Self { to, once_in, rng }
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
            3 => (said.content, said.epoch) = (Content::End, Epoch(rng.bits() | 1)),
            4 => (said.content, said.epoch) = (nonsense(rng), Epoch(rng.bits() | 1)),
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
        let babbles = (under.leg, under.line) == self.to && self.rng.one_in(self.once_in);
        if babbles {
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
