//! A line that is slow, and a network that says again what it said before.

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::line::Line;
use twinfeed_protocol::time::Time;
use twinfeed_wire::{Epoch, Sid};

use super::{LineFault, Under};
use crate::world::exchange::Packet;
use crate::world::rng::Rng;

/// One line of one adapter is behind the other one.
#[derive(Debug)]
pub struct Slow {
    leg: Leg,
    line: Line,
    late: Duration,
}

impl Slow {
    /// By so much, always.
    #[must_use]
    pub fn by(leg: Leg, line: Line, late: Duration) -> Self {
        Self { leg, line, late }
    }
}

impl LineFault for Slow {
    fn name(&self) -> &'static str {
        "line_slow"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, mut under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        // What the source did not say comes by ways of its own.
        let slow = under.packet.genuine && (under.leg, under.line) == (self.leg, self.line);
        if slow {
            under.late += self.late;
        }
        on.push(under);
        slow
    }
}

/// Some packets come once more, long after.
#[derive(Debug)]
pub struct Echo {
    once_in: u64,
    latest_us: u64,
    rng: Rng,
}

impl Echo {
    /// One in so many, at most so much later.
    #[must_use]
    pub fn once_in(once_in: u64, latest_us: u64, rng: Rng) -> Self {
        Self {
            once_in,
            latest_us,
            rng,
        }
    }
}

impl LineFault for Echo {
    fn name(&self) -> &'static str {
        "line_echo"
    }

    fn next(&mut self, _: &mut Rng) {}

    fn pass(&mut self, under: Under, _: &mut Rng, on: &mut Vec<Under>) -> bool {
        let again = self.rng.one_in(self.once_in);
        if again {
            let late = under.late + self.rng.micros(1_000, self.latest_us);
            on.push(Under {
                late,
                ..under.clone()
            });
        }
        on.push(under);
        again
    }
}

/// Which packets are of a life that was long over when the process began that hears them, or of which it had heard nothing when that
/// was over? Nothing tells it that they are old: to it that life is a new one.
#[derive(Debug, Default)]
pub struct Elders {
    /// The lives of each source, oldest first, and since when.
    lives: Vec<(Sid, Epoch, Time)>,
    /// When each adapter's process began.
    born: [Time; 2],
    /// Of which lives each heard something, and on which line.
    heard: [Vec<(Sid, Epoch, Line)>; 2],
}

/// How long after its end a life is still heard of on the slowest line.
const STRAGGLES: Duration = Duration::from_millis(350);

impl Elders {
    /// The source is in this life.
    pub fn note_life(&mut self, sid: Sid, epoch: Epoch, now: Time) {
        if !self
            .lives
            .iter()
            .any(|life| (life.0, life.1) == (sid, epoch))
        {
            self.lives.push((sid, epoch, now));
        }
    }

    /// The adapter of `leg` starts.
    pub fn note_birth(&mut self, leg: Leg, now: Time) {
        self.born[leg.index()] = now;
        self.heard[leg.index()].clear();
    }

    /// The adapter of `leg` hears this packet.
    pub fn note_heard(&mut self, (leg, line): (Leg, Line), packet: &Packet) {
        let (heard, life) = (
            &mut self.heard[leg.index()],
            (packet.sid, packet.epoch, line),
        );
        // Nearly always the one that was heard last.
        if packet.genuine && heard.last() != Some(&life) && !heard.contains(&life) {
            heard.push(life);
        }
    }

    /// Whether the adapter of `leg` could not know that this packet is old. Of a life that it has not heard of a slow line may say what
    /// is left of it, before it goes on to the next one.
    #[must_use]
    pub fn is_of_one(&self, (leg, line): (Leg, Line), packet: &Packet, now: Time) -> bool {
        let lives = self.lives.iter().filter(|(sid, ..)| *sid == packet.sid);
        // The life behind that of the packet began when that was over.
        let next = lives.skip_while(|life| life.1 != packet.epoch).nth(1);
        let heard = &self.heard[leg.index()];
        let of_it = |it: &&(Sid, Epoch, Line)| (it.0, it.1) == (packet.sid, packet.epoch);
        next.is_some_and(|&(_, next, since)| {
            let unknown = self.born[leg.index()] > since || !heard.iter().any(|it| of_it(&it));
            let on = heard.contains(&(packet.sid, next, line));
            unknown && (on || now > since.after(STRAGGLES))
        })
    }
}
