//! What does an adapter hear of a source?
//!
//! [`Ear`] is either one reliable line, whose only faults are the ones the adapter suffers itself (it was
//! stopped, deaf or dead), or the production arbitration of two lines, each with a [`LinePath`] that
//! loses, repeats and reorders.

use core::time::Duration;

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::line::{Line, LineAsk, LineLimits, Lines, Source, Way};
use twinfeed_protocol::time::Time;
use twinfeed_wire::Epoch;

use super::exchange::{Content, Packet};
use super::rng::Rng;
use crate::coverage::Cell;
use crate::coverage::lines::{Heard, Kind, Overheard};
use crate::coverage::watch::{Undecided, Watch};

/// How an adapter listens.
#[derive(Debug)]
pub enum Ear {
    /// To one reliable line.
    One(Reliable),
    /// To lines A and B.
    Two(Box<Lines>, Box<Watch>),
}

impl Ear {
    /// An ear for a source whose lives begin at `origin`; with `limits`, for two lines of it, with these request servers.
    ///
    /// # Panics
    /// When the world's limits are ones no machine works with.
    #[must_use]
    pub fn new(limits: Option<LineLimits>, servers: [bool; 2], origin: u64) -> Self {
        match limits {
            Some(limits) => {
                let limits = LineLimits {
                    origin_first: origin,
                    ..limits
                };
                let mut lines = Lines::new(limits).expect("a world's limits are workable");
                for line in Line::BOTH {
                    lines.set_server(Way::Packets, line, servers[line.index()]);
                }
                Self::Two(Box::new(lines), Box::new(Watch::new(limits.window)))
            }
            None => Self::One(Reliable {
                origin,
                epoch: Epoch::NONE,
                next: 0,
                ended: false,
            }),
        }
    }

    /// Hears one packet; the answer is what that met in the table of the lines.
    pub fn hear(
        &mut self,
        line: Line,
        now: Time,
        packet: &Packet,
        unix: u64,
        out: &mut impl Source,
    ) -> Vec<Cell> {
        match self {
            Self::One(reliable) => {
                reliable.hear(packet, unix, out);
                Vec::new()
            }
            Self::Two(lines, watch) => {
                let heard = heard(line, packet);
                let met = watch.before(lines, &heard);
                let mut out = Overheard {
                    watch,
                    to: out,
                    stale: false,
                    ended: false,
                };
                hand_over(lines, line, now, packet, unix, &mut out);
                watch.after(&heard, packet.genuine);
                met
            }
        }
    }

    /// What is to be asked of the source.
    pub fn poll_request(&mut self) -> Option<LineAsk> {
        match self {
            Self::One(_) => None,
            Self::Two(lines, _) => lines.poll_request(),
        }
    }

    /// A request server of the source answers; the answer is how many messages that brought.
    pub fn hear_answer(
        &mut self,
        line: Line,
        now: Time,
        packet: &Packet,
        unix: u64,
        out: &mut impl Source,
    ) -> u64 {
        let (Self::Two(lines, _), Content::Messages(messages)) = (self, &packet.content) else {
            return 0;
        };
        let before = lines.counters().recovered;
        let messages = messages.iter().map(<[u8; _]>::as_slice);
        lines.on_answer(
            (Way::Packets, line),
            now,
            packet.epoch,
            packet.first,
            messages,
            unix,
            out,
        );
        lines.counters().recovered - before
    }

    /// Whether a packet that the source did not say so would be taken for one that it said: nothing was heard yet, or not the
    /// number that it changes.
    #[must_use]
    pub fn would_believe(&self, line: Line, packet: &Packet) -> bool {
        match self {
            Self::One(_) => true,
            Self::Two(lines, watch) => watch.would_believe(lines, &heard(line, packet)),
        }
    }

    /// What its lines have not decided yet.
    #[must_use]
    pub fn undecided(&self) -> Option<Undecided> {
        match self {
            Self::One(_) => None,
            Self::Two(lines, watch) => watch.undecided(lines),
        }
    }

    /// Whether a bound was ever reached.
    #[must_use]
    pub fn was_pressed(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Two(lines, _) => {
                let counters = lines.counters();
                counters.hold_full + counters.quarantine_dropped > 0
            }
        }
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        match self {
            Self::One(_) => None,
            Self::Two(lines, _) => lines.next_deadline(),
        }
    }

    /// Wakes it; the answer is what that met.
    pub fn on_deadline(&mut self, now: Time, out: &mut impl Source) -> Vec<Cell> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Two(lines, watch) => {
                let section = watch.before_deadline(lines);
                let mut out = Overheard {
                    watch,
                    to: out,
                    stale: false,
                    ended: false,
                };
                lines.on_deadline(now, &mut out);
                let (stale, ended) = (out.stale, out.ended);
                let met = watch.after_deadline(section, stale, ended);
                met.into_iter().collect()
            }
        }
    }
}

fn hand_over(
    lines: &mut Lines,
    line: Line,
    now: Time,
    packet: &Packet,
    unix: u64,
    out: &mut impl Source,
) {
    let (epoch, first) = (packet.epoch, packet.first);
    match &packet.content {
        Content::Messages(messages) => lines.on_packet(
            line,
            now,
            epoch,
            first,
            messages.len() as u16,
            messages.iter().map(<[u8; _]>::as_slice),
            unix,
            out,
        ),
        Content::Heartbeat => lines.on_heartbeat(line, now, epoch, first, out),
        Content::End => lines.on_end(line, now, epoch, first, out),
    }
}

/// The packet, as an observer beside the lines sees it.
fn heard(line: Line, packet: &Packet) -> Heard {
    let kind = match &packet.content {
        Content::Messages(messages) => Kind::Messages(messages.len() as u64, !packet.genuine),
        Content::Heartbeat => Kind::Heartbeat,
        Content::End => Kind::End,
    };
    Heard {
        line,
        epoch: packet.epoch,
        first: packet.first,
        kind,
    }
}

/// One line that loses nothing while somebody listens.
#[derive(Debug)]
pub struct Reliable {
    origin: u64,
    epoch: Epoch,
    next: u64,
    ended: bool,
}

impl Reliable {
    fn hear(&mut self, packet: &Packet, received_at: u64, out: &mut impl Source) {
        if packet.epoch != self.epoch {
            out.begin(EpochStart {
                epoch: packet.epoch,
                first: packet.first,
                complete: packet.first == self.origin,
                predecessor: self.epoch,
            });
            self.epoch = packet.epoch;
            self.next = packet.first;
            self.ended = false;
        }
        if packet.first > self.next {
            out.abandoned(self.next..packet.first);
            self.next = packet.first;
        }
        match &packet.content {
            Content::Messages(messages) => {
                for bytes in messages {
                    out.message(self.next, bytes, received_at);
                    self.next += 1;
                }
            }
            Content::Heartbeat => {}
            Content::End if self.ended => {}
            Content::End => {
                self.ended = true;
                out.ended(self.epoch, self.next);
            }
        }
    }
}

/// The way of one line into one adapter.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinePath {
    /// Percent of packets lost.
    pub loss_percent: u64,
    /// Percent of packets that arrive a second time.
    pub twice_percent: u64,
    /// Percent of packets held up, for at most 1 ms.
    pub late_percent: u64,
    /// How long a packet takes at least, µs.
    pub delay_us: u64,
}

impl LinePath {
    /// A path drawn by chance.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            loss_percent: rng.pick(&[0, 0, 1, 5, 30]),
            twice_percent: rng.pick(&[0, 5]),
            late_percent: rng.pick(&[0, 5]),
            delay_us: rng.between(20, 400),
        }
    }

    /// The same path without faults.
    #[must_use]
    pub fn calm(self) -> Self {
        Self {
            delay_us: self.delay_us,
            ..Self::default()
        }
    }

    /// How long each copy of a packet takes that arrives at all; at most two.
    pub fn copies(
        &self,
        rng: &mut Rng,
        mut fired: impl FnMut(&'static str),
    ) -> [Option<Duration>; 2] {
        let lost = rng.chance(self.loss_percent);
        let twice = rng.chance(self.twice_percent);
        let late = rng.chance(self.late_percent);
        for (name, happened) in [
            ("line_loss", lost),
            ("line_duplicate", twice),
            ("line_reorder", late),
        ] {
            if happened {
                fired(name);
            }
        }
        let first = Duration::from_micros(self.delay_us + rng.below(1 + 1_000 * u64::from(late)));
        let second = first + rng.micros(1, 500);
        [(!lost).then_some(first), twice.then_some(second)]
    }
}
