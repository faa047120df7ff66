//! How does a stream go on without being sent, and how is it sent after all?
//!
//! ```text
//!            begin_standby                              end_standby, a generation, a step back, no room
//!  sending ────────────────► records are numbered and ──────────────────────────────────────────────► sending
//!                            withheld, heartbeats say        what is withheld is sent first, in order,
//!                            *standby* and no place          from so many records before what was reported
//! ```
//!
//! The stream is the same in all but when it leaves: msn, positions, the places of administrative messages and the
//! heartbeats that belong to its order are what they would have been. Only the datagrams' numbers are given when
//! they leave, for by them a subscriber finds loss; and their records come packed, without the times of the source's
//! datagrams, so that a replay is no larger than it must be.
//!
//! Who decides when is [`crate::standby`]. What cannot be withheld any longer ends it here: nothing that the active
//! has not reported is ever forgotten.

use twinfeed_wire::{Flags, restamp};

use super::withheld::Withheld;
use super::{Now, Placed, Sequencer, Transmit};
use crate::limits::BadLimit;

/// What a stream on standby keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetainLimits {
    /// So many records before the place that the active reported last are sent again, at least: what it had placed
    /// and not sent yet, or what was lost on its way to somebody.
    pub replay: usize,
    /// Most records withheld, and most datagrams. Full: what the active has reported is forgotten, then the stream is
    /// sent. Memory: 40 bytes each.
    pub records: usize,
    /// Most bytes of datagrams withheld; full: as with `records`.
    pub bytes: usize,
}

impl Default for RetainLimits {
    fn default() -> Self {
        Self {
            replay: 2_000,
            records: 65_536,
            bytes: 8 << 20,
        }
    }
}

impl RetainLimits {
    /// Refuses what no stream could work with whose datagrams have at most `max_datagram` bytes.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that is wrong and what it must satisfy.
    pub fn check(&self, max_datagram: usize) -> Result<(), BadLimit> {
        let rules = [
            (
                "standby_retain",
                "be more than `standby_replay`, at most 16,777,216",
                self.records > self.replay && self.records <= 1 << 24,
            ),
            (
                "standby_retain_bytes",
                "hold four datagrams, and be at most 1 GiB",
                self.bytes >= 4 * max_datagram && self.bytes <= 1 << 30,
            ),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}

/// Why a stream's standby ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StandbyEnd {
    /// [`Sequencer::end_standby`].
    Asked,
    /// A generation began.
    Generation,
    /// The source stepped back within its epoch: places before and after it cannot be told apart.
    SteppedBack,
    /// There was no room for what the active has not reported.
    Full,
}

/// What was sent when standby ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replay {
    /// Why it ended.
    pub end: StandbyEnd,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Records in them.
    pub records: u64,
    /// Whether fewer records before the reported place were left than [`RetainLimits::replay`].
    pub short: bool,
}

/// The state of being on standby.
#[derive(Debug)]
pub(super) struct Standby {
    on: bool,
    limits: RetainLimits,
    withheld: Withheld,
    /// The replay that nobody has asked for yet.
    replay: Option<Replay>,
}

impl Standby {
    /// Forgets what is withheld; none of it is sent any more.
    pub(super) fn stop(&mut self) {
        self.on = false;
        self.withheld.clear();
    }

    /// A stream that is never withheld.
    pub(super) fn never() -> Self {
        let limits = RetainLimits {
            replay: 0,
            records: 0,
            bytes: 0,
        };
        Self::new(limits)
    }

    fn new(limits: RetainLimits) -> Self {
        Self {
            on: false,
            limits,
            withheld: Withheld::new(limits.records, limits.bytes),
            replay: None,
        }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }
}

impl Sequencer {
    /// Sets memory aside so that the stream can be on standby.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn retaining(mut self, limits: RetainLimits) -> Result<Self, BadLimit> {
        limits.check(self.config.max_datagram)?;
        self.standby = Standby::new(limits);
        Ok(self)
    }

    /// From here on the stream is withheld; `reported` is where the active stands by its own word. Said at once by a
    /// heartbeat. `false`, and nothing happened: no memory was set aside, or the stream is closed.
    pub fn begin_standby(
        &mut self,
        now: Now,
        reported: Option<&Placed>,
        out: &mut impl Transmit,
    ) -> bool {
        let closed = self.state == super::SequencerState::Closed;
        if self.standby.on || closed || !self.standby.withheld.has_place() {
            return self.standby.on;
        }
        self.send_records(now, out);
        self.standby.withheld.clear();
        self.standby.on = true;
        if let Some(place) = reported {
            self.note_reported(place);
        }
        self.send_heartbeat(now, Flags::default(), out);
        true
    }

    /// The active says that it has placed everything up to here.
    pub fn note_reported(&mut self, place: &Placed) {
        self.standby.withheld.cover(place);
    }

    /// Sends what is withheld, as far as the active may not have sent it, and everything that follows. Nothing
    /// happens when the stream is not on standby.
    pub fn end_standby(&mut self, now: Now, out: &mut impl Transmit) {
        self.leave_standby(now, StandbyEnd::Asked, out);
    }

    /// Whether the stream is withheld.
    #[must_use]
    pub const fn is_on_standby(&self) -> bool {
        self.standby.on
    }

    /// Records that are withheld.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.standby.withheld.records()
    }

    /// What was sent when standby ended, as long as nobody took it.
    #[must_use]
    pub const fn replay(&self) -> Option<&Replay> {
        self.standby.replay.as_ref()
    }

    /// What was sent when standby ended, once.
    pub const fn take_replay(&mut self) -> Option<Replay> {
        self.standby.replay.take()
    }

    pub(super) fn leave_standby(&mut self, now: Now, end: StandbyEnd, out: &mut impl Transmit) {
        if !self.standby.on {
            return;
        }
        self.standby.on = false;
        let rest = self.standby.withheld.rest(self.standby.limits.replay);
        let more = self.flags().without(Flags::INCOMPLETE);
        let (mut datagrams, mut bytes) = (0, 0);
        for index in rest.first.. {
            let Some(datagram) = self.standby.withheld.get_mut(index) else {
                break;
            };
            restamp(datagram, self.outgoing.take_dsn(), more, now.unix_ns);
            datagrams += 1;
            bytes += datagram.len() as u64;
            out.replayed(datagram);
        }
        self.standby.withheld.clear();
        self.counters.datagrams += datagrams;
        self.counters.bytes += bytes;
        self.counters.replayed += datagrams;
        self.standby.replay = Some(Replay {
            end,
            datagrams,
            records: rest.records as u64,
            short: rest.short,
        });
        self.send_records(now, out);
        // Not here: this may be between two records of one source message.
        self.schedule.owe_heartbeat();
    }

    /// Keeps the datagram under way, if there is one; `false`: there is no room, and it still is under way.
    pub(super) fn withhold_records(&mut self, out: &mut impl Transmit) -> bool {
        let Some((records, length)) = self.outgoing.begun() else {
            return true;
        };
        if !self.standby.withheld.make_room(records, length) {
            return false;
        }
        let last = self.history.newest().map_or(0, |placed| placed.sseq);
        let flags = self.lasting_flags();
        if let Some(datagram) = self.outgoing.finish_unnumbered(flags) {
            let epoch = self.run.start.epoch;
            self.standby.withheld.push(datagram, records, epoch, last);
            self.counters.withheld += 1;
            out.withheld(datagram);
        }
        true
    }

    /// Keeps a heartbeat that belongs to the stream's order; no records are under way. `false`: there is no room.
    pub(super) fn withhold_heartbeat(&mut self, out: &mut impl Transmit) -> bool {
        let flags = self.lasting_flags();
        let (header, beat) = self.stand(flags);
        let datagram = self
            .outgoing
            .heartbeat(&header, &beat, self.run.ranges.finished());
        if !self.standby.withheld.make_room(0, datagram.len()) {
            return false;
        }
        let (epoch, last) = (self.run.start.epoch, self.run.prev);
        self.standby.withheld.push(datagram, 0, epoch, last);
        self.counters.withheld += 1;
        out.withheld_heartbeat(datagram);
        true
    }

    /// What a datagram says of its records, whenever it is sent.
    fn lasting_flags(&self) -> Flags {
        Flags::default().with_if(!self.run.is_complete(), Flags::INCOMPLETE)
    }
}
