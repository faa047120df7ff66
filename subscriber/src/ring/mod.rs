//! How is a leg of this host read from its adapter's shared memory?
//!
//! ```text
//!   adapter ─┬─ ring ───────► LegRing ─┐      one of the two at a time, as `course` says
//!            └─ UDP ─► sockets ────────┴─► arbiter
//! ```
//!
//! The same datagrams, the same arbiter, the same guarantees. What the writer came by to overwrite before it was read is told as dropped
//! on this host, before the datagram behind it, as what a kernel's buffer had no room for would be.

mod course;
#[cfg(test)]
mod tests;

use std::time::Duration;

use twinfeed_net::ring::RingReader;
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Handler, Leg, Limits, Time};
use twinfeed_wire::{Header, Incarnation, Sid, sid_in};

use crate::receive::{BATCH, LegReceived};
pub use course::RingState;
use course::{Course, Happening};

/// A leg's ring.
#[derive(Debug)]
pub(crate) struct LegRing {
    leg: Leg,
    reader: RingReader,
    course: Course,
    /// The source streams that are wanted, in order; `None`: all of them.
    only: Option<Box<[Sid]>>,
    /// The first datagram that the ring gave, until the sockets have brought it.
    first: Option<Header>,
    /// Whether the last call took everything that was there.
    drained: bool,
    /// Longest datagram of the feed, bytes.
    longest: usize,
    /// How long a leg may say nothing.
    silence: Duration,
    /// When its sockets are looked at next, beside it.
    look_beside: Time,
}

impl LegRing {
    /// `only`: the source streams that are wanted, `None` for all. A ring has the whole leg.
    pub(crate) fn new(
        leg: Leg,
        reader: RingReader,
        only: Option<Vec<Sid>>,
        limits: &Limits,
    ) -> Self {
        let longest = limits.max_datagram;
        let only = only.map(|mut sids| {
            sids.sort_unstable();
            sids.into_boxed_slice()
        });
        Self {
            leg,
            reader,
            course: Course::new(),
            only,
            first: None,
            drained: true,
            longest,
            silence: limits.heartbeat.saturating_mul(limits.missed_heartbeats),
            look_beside: Time::ZERO,
        }
    }

    pub(crate) const fn leg(&self) -> Leg {
        self.leg
    }

    pub(crate) const fn state(&self) -> RingState {
        self.course.state()
    }

    pub(crate) fn set_longest(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// Whether the leg's sockets are read as ever: it does not come by the ring, or not yet.
    pub(crate) const fn reads_sockets(&self) -> bool {
        self.course.state().reads_sockets()
    }

    /// Whose datagrams it brings.
    pub(crate) fn life(&self) -> Incarnation {
        Incarnation(self.reader.incarnation())
    }

    /// Whether the last call took everything that the ring had.
    pub(crate) const fn is_drained(&self) -> bool {
        self.drained
    }

    /// Takes what the ring has, a batch at most, and puts it to the arbiter where that is this leg's way; returns how many datagrams it was.
    /// `all_read`: the leg's sockets were read just before, and nothing is left in them.
    pub(crate) fn receive(
        &mut self,
        arbiter: &mut Arbiter,
        at: Time,
        received: &mut [LegReceived; 2],
        (all_read, handler): (bool, &mut impl Handler),
    ) -> usize {
        let received = &mut received[self.leg.index()];
        self.drained = true;
        match self.state() {
            RingState::Absent | RingState::Left => 0,
            RingState::Joined => {
                self.look(at, received);
                0
            }
            RingState::Meeting => {
                self.meet(arbiter, (at, all_read), received);
                0
            }
            RingState::Reading | RingState::Quiet => self.read(arbiter, at, received, handler),
        }
    }

    /// Takes everything that it still has, where it is this leg's way: it is replaced, and what it brought the sockets did not.
    pub(crate) fn finish(
        &mut self,
        arbiter: &mut Arbiter,
        at: Time,
        received: &mut [LegReceived; 2],
        handler: &mut impl Handler,
    ) {
        for _ in 0..MOST_DISCARDED / BATCH as u64 {
            let taken = self.receive(arbiter, at, received, (false, handler));
            if taken == 0 {
                break;
            }
        }
    }

    /// Whether it is time to look what comes by the sockets beside it; once more after that, later.
    pub(crate) fn looks_beside(&mut self, at: Time) -> bool {
        let due = match self.state() {
            RingState::Reading => at >= self.look_beside,
            state => state == RingState::Quiet,
        };
        if due {
            self.look_beside = at.after(LOOK_BESIDE);
        }
        due && self.drained
    }

    /// Another life of the adapter was heard beside it.
    pub(crate) fn outlived(&mut self, at: Time, received: &mut [LegReceived; 2]) {
        self.note(Happening::Over, at, &mut received[self.leg.index()]);
    }

    /// Is there a first one?
    fn look(&mut self, at: Time, received: &mut LegReceived) {
        for _ in 0..BATCH {
            let happening = match self.reader.receive() {
                Ok(None) => Happening::Nothing,
                Err(_) => Happening::Over,
                Ok(Some(datagram)) if !is_wanted(&self.only, datagram.bytes) => continue,
                Ok(Some(datagram)) => match Header::parse(datagram.bytes) {
                    Ok(header) if datagram.bytes.len() <= self.longest => {
                        self.first = Some(header);
                        Happening::Gave
                    }
                    // The sockets bring it as well, and say so.
                    _ => continue,
                },
            };
            self.note(happening, at, received);
            return;
        }
        self.drained = false;
    }

    /// Are the sockets as far? All of them: what stands in front of the first one in the ring was sent before it, by another socket perhaps.
    fn meet(
        &mut self,
        arbiter: &Arbiter,
        (at, all_read): (Time, bool),
        received: &mut LegReceived,
    ) {
        let met = self
            .first
            .is_some_and(|header| arbiter.has_come(self.leg, &header));
        let happening = match met {
            true if all_read => Happening::Met,
            // They are under way.
            true => return,
            false => Happening::Nothing,
        };
        self.note(happening, at, received);
        // What has gathered behind it meanwhile is read in the next call.
        self.drained = !met;
    }

    fn read(
        &mut self,
        arbiter: &mut Arbiter,
        at: Time,
        received: &mut LegReceived,
        handler: &mut impl Handler,
    ) -> usize {
        let (mut taken, mut quiet) = (0, self.state() == RingState::Quiet);
        // A silent ring gives nothing before it gives what is wanted, of a life that nobody took the place of.
        let mut happening = Happening::Nothing;
        while taken < BATCH {
            let Self {
                reader,
                leg,
                only,
                longest,
                ..
            } = self;
            let datagram = match reader.receive() {
                Ok(Some(datagram)) => datagram,
                Ok(None) => break,
                Err(_) => {
                    happening = Happening::Over;
                    break;
                }
            };
            taken += 1;
            if datagram.lost > 0 {
                received.ring_lost += datagram.lost;
                let (leg, datagrams) = (*leg, datagram.lost);
                arbiter.on_control(Control::LocalDrops { leg, datagrams }, at, handler);
            }
            if !is_wanted(only, datagram.bytes) {
                if !quiet {
                    happening = Happening::Gave;
                }
                continue;
            }
            if quiet
                && let Ok(header) = Header::parse(datagram.bytes)
                && is_outlived(arbiter, *leg, &header)
            {
                happening = Happening::Over;
                break;
            }
            (happening, quiet) = (Happening::Gave, false);
            if datagram.bytes.len() > *longest {
                received.too_long += 1;
                continue;
            }
            received.ring_datagrams += 1;
            received.datagrams += 1;
            received.bytes += datagram.bytes.len() as u64;
            arbiter.on_datagram(*leg, at, datagram.bytes, handler);
        }
        self.drained = taken < BATCH;
        self.note(happening, at, received);
        taken
    }

    /// Takes what waits and looks at nothing of it, where this is the leg's way; returns how many datagrams that was.
    pub(crate) fn discard(&mut self, received: &mut [LegReceived; 2]) -> u64 {
        let received = &mut received[self.leg.index()];
        let mut discarded = 0;
        if self.reads_sockets() {
            return discarded;
        }
        while discarded < MOST_DISCARDED {
            match self.reader.receive() {
                Ok(Some(datagram)) => {
                    received.ring_lost += datagram.lost;
                    discarded += 1;
                }
                // What is wrong with it is found again by whoever reads next.
                Ok(None) | Err(_) => break,
            }
        }
        self.drained = true;
        discarded
    }

    fn note(&mut self, happening: Happening, at: Time, received: &mut LegReceived) {
        self.course.on(happening, at, self.silence);
        received.ring = self.state();
    }
}

fn is_wanted(only: &Option<Box<[Sid]>>, bytes: &[u8]) -> bool {
    match only {
        None => true,
        // What has no header is for the arbiter to refuse.
        Some(only) => sid_in(bytes).is_none_or(|sid| only.binary_search(&sid).is_ok()),
    }
}

/// Whether another life than the one that wrote this was heard since.
fn is_outlived(arbiter: &Arbiter, leg: Leg, header: &Header) -> bool {
    let speaker: Option<Incarnation> = arbiter.speaker(header.sid, leg);
    speaker.is_some_and(|speaker| speaker != header.incarnation)
}

/// How often a leg's sockets are looked at while it is read from its ring: another life of its adapter is heard so late at most.
const LOOK_BESIDE: Duration = Duration::from_millis(1);
/// Datagrams that are left out at once: more than most rings hold.
const MOST_DISCARDED: u64 = 1 << 16;
