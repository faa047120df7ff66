//! How does a message that no source sent get its place in the stream?
//!
//! ```text
//!  arm(slot) ─► agenda ─► the numbering reaches the slot, between two messages ─► placed, adm + 1
//!                     └─► the epoch ends first ─► placed behind its last record, in front of the next one's first
//! ```
//!
//! The sequencer places what is armed and asks nobody. Whether the peer places it too is `pair`'s business;
//! here it is one bit, and a message placed without it makes the stream say first that it is unsynchronised.

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Epoch, Flags, Generation, Msn, Record, RecordFlags, Sid, StoredAdmin,
};

use super::agenda::Armed;
use super::{Now, Sequencer, SequencerState, Transmit};

pub use super::agenda::MOST_ARMED;
pub use super::history::Placed;

/// How an active counts administrative messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Numbering {
    /// Its generation.
    pub generation: Generation,
    /// How many messages of generations before are valid in that one.
    pub inherited: Adm,
    /// How many messages stand before the next record.
    pub adm: Adm,
}

impl Sequencer {
    /// Puts `message` on the agenda for `slot`; `agreed`: the peer is known to place it there too. It must
    /// bear the next free number, [`Sequencer::next_number`]. `false`, and nothing happened: it does not, or
    /// [`MOST_ARMED`] wait, or there is no epoch in which it could stand.
    pub fn arm(&mut self, slot: Msn, message: StoredAdmin, agreed: bool) -> bool {
        let possible = self.speaks() && message.number() == self.next_number();
        possible
            && self.agenda.push(Armed {
                slot,
                message,
                agreed,
            })
    }

    /// Moves a waiting message to another slot; `false`: it does not wait any more.
    pub fn reschedule(&mut self, number: Adm, slot: Msn, agreed: bool) -> bool {
        self.agenda.reschedule(number, slot, agreed)
    }

    /// Notes that the peer places a waiting message at the same slot; `false`: it does not wait any more.
    pub fn agree(&mut self, number: Adm) -> bool {
        self.agenda.agree(number)
    }

    /// Forgets every waiting message; returns how many there were.
    pub fn disarm(&mut self) -> usize {
        self.agenda.clear()
    }

    /// Messages that wait for their slots.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.agenda.len()
    }

    /// The waiting messages in order, each with its slot and whether the peer agreed to it.
    pub fn waiting(&self) -> impl Iterator<Item = (Msn, &StoredAdmin, bool)> {
        let waiting = self.agenda.iter();
        waiting.map(|armed| (armed.slot, &armed.message, armed.agreed))
    }

    /// Slot of a waiting message.
    #[must_use]
    pub fn slot(&self, number: Adm) -> Option<Msn> {
        self.agenda.slot(number)
    }

    /// Slot of the last waiting message; none may be announced before it.
    #[must_use]
    pub fn last_slot(&self) -> Option<Msn> {
        self.agenda.last_slot()
    }

    /// The source stream that is carried.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.config.sid
    }

    /// Whether every line of the source is silent.
    #[must_use]
    pub const fn is_source_stale(&self) -> bool {
        self.source_stale
    }

    /// Administrative messages placed so far.
    #[must_use]
    pub const fn adm(&self) -> Adm {
        self.adm
    }

    /// The number that the next administrative message will bear.
    #[must_use]
    pub fn next_number(&self) -> Adm {
        Adm(self.adm.0 + self.agenda.len() as u64)
    }

    /// B: number of the record processed last, 0 before the first.
    #[must_use]
    pub const fn processed(&self) -> Msn {
        Msn(self.next_msn.0 - 1)
    }

    /// The record processed last; its msn is 0 when that was before the numbering in force began.
    #[must_use]
    pub fn last_placed(&self) -> Option<Placed> {
        self.history.newest()
    }

    /// The last record of a source message, or the beginning of an epoch that has none yet, and how many
    /// administrative messages were placed behind it; `None` while the source has lost something, or stepped back, and
    /// nothing followed.
    #[must_use]
    pub fn last_of_source(&self) -> Option<(Placed, u64)> {
        let untouched = |begun: &ContextId| self.run.records == 0 && *begun == self.run.context_id;
        if let Some(context) = self.run.begun.filter(untouched) {
            let (processed, behind) = (self.processed(), self.run.administrative);
            let beginning = Placed {
                msn: Msn(processed.0.saturating_sub(behind)),
                epoch: self.run.start.epoch,
                context,
                sseq: self.run.start.first - 1,
                part: Placed::BEGINNING,
                adm: Adm(self.adm.0.saturating_sub(behind)),
            };
            // What was placed before the numbering in force began does not count in it.
            return Some((beginning, behind.min(processed.0)));
        }
        self.history.newest_of_source()
    }

    /// Whether one more message may wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.agenda.len() < MOST_ARMED
    }

    /// Whether `epoch` is the one before the epoch at hand.
    #[must_use]
    pub fn was_in(&self, epoch: Epoch) -> bool {
        epoch.is_some() && self.run.start.predecessor == epoch
    }

    /// How many administrative messages of generations before [`Sequencer::generation`] are valid in it.
    #[must_use]
    pub const fn inherited(&self) -> Adm {
        self.inherited
    }

    /// How often the source stepped back within an epoch, or lost something for good, or the conversion took over
    /// what its peer's remembers: whoever numbered alike before need not do so after.
    #[must_use]
    pub const fn upheavals(&self) -> u64 {
        self.upheavals
    }

    /// Whether an administrative message of this number stands at this msn.
    #[must_use]
    pub fn stands_at(&self, number: Adm, msn: Msn) -> bool {
        let placed = self.history.at(msn);
        placed.is_some_and(|it| it.part == Placed::ADMINISTRATIVE && it.adm == number)
    }

    /// Where the administrative message of this number stands, if it was placed and is remembered. Looks through the
    /// whole ring: for an operator's answer, not for every record.
    #[must_use]
    pub fn place_of(&self, number: Adm) -> Option<Placed> {
        self.history.administrative(number)
    }

    /// Whether an administrative message of this number stands where `slot` leads: at it, or behind the source message
    /// that straddles it and the messages of lower numbers.
    #[must_use]
    pub fn stands_for(&self, number: Adm, slot: Msn) -> bool {
        let mut msn = slot;
        while let Some(placed) = self.history.at(msn) {
            let administrative = placed.part == Placed::ADMINISTRATIVE;
            if administrative && placed.adm == number {
                return true;
            }
            if placed.part == 0 || administrative && placed.adm > number {
                return false;
            }
            msn = msn.plus(1);
        }
        false
    }

    /// The record at `msn`, if it is remembered.
    #[must_use]
    pub fn placed_at(&self, msn: Msn) -> Option<Placed> {
        self.history.at(msn)
    }

    /// With what memory of the conversion the same record as `other` was placed here, and how many records of
    /// the source behind it; `None`: it is not remembered, or not placed yet, or something was lost behind it.
    ///
    /// `looked`: of how many records since the start it is known that none is the one, 0 for a new question. It is
    /// brought up to date, so that asking after every batch looks at every record once.
    pub fn placed_since(&self, other: &Placed, looked: &mut u64) -> Option<(ContextId, u64)> {
        if other.part == Placed::BEGINNING {
            let run = &self.run;
            let place = (run.start.epoch, run.start.first - 1);
            let whole = run.begun.filter(|begun| *begun == run.context_id);
            return whole
                .filter(|_| place == (other.epoch, other.sseq))
                .map(|context| (context, run.records));
        }
        let found = self.history.since(other, *looked);
        *looked = self.history.count();
        found
    }

    /// Takes over another numbering: the record processed last counts as `processed`. What waits is forgotten.
    /// [`super::ANNOUNCEMENTS`] heartbeats say so at once when it is another generation's.
    pub fn take_over(
        &mut self,
        now: Now,
        processed: Msn,
        numbering: Numbering,
        out: &mut impl Transmit,
    ) {
        self.send_records(now, out);
        self.agenda.clear();
        self.next_msn = processed.plus(1);
        self.began = self
            .began
            .and_then(|_| self.next_msn.0.checked_sub(self.run.records))
            .filter(|&began| began > 0)
            .map(Msn);
        self.history.renumber(processed);
        self.adm = numbering.adm;
        self.inherited = numbering.inherited;
        if self.generation != numbering.generation {
            self.generation = numbering.generation;
            self.announce(now, out);
        }
    }

    /// The msn of the first record of the epoch at hand, whether it was placed or not. Two ends that saw the epoch begin in
    /// one numbering, and have not the same, lost unequal parts of the epoch before. `None`: not known, or the numbering
    /// began behind it.
    #[must_use]
    pub const fn began(&self) -> Option<Msn> {
        self.began
    }

    /// The numbering was taken over within the epoch at hand: how it began is not known in it.
    pub const fn forget_beginning(&mut self) {
        self.began = None;
    }

    /// Whether administrative messages stand here where they stand at the peer. A change is said at once.
    pub fn set_unsynchronised(&mut self, now: Now, unsynchronised: bool, out: &mut impl Transmit) {
        if self.unsynchronised == unsynchronised {
            return;
        }
        self.send_records(now, out);
        self.unsynchronised = unsynchronised;
        self.send_heartbeat(now, Flags::default(), out);
    }

    /// Whether the stream says that it is unsynchronised.
    #[must_use]
    pub const fn is_unsynchronised(&self) -> bool {
        self.unsynchronised
    }

    /// Places what is due, for a record follows.
    pub(super) fn place_due(&mut self, now: Now, out: &mut impl Transmit) {
        while self.agenda.next() <= self.next_msn && self.place_next(now, out) {}
    }

    /// Places what is due although no record follows, so far.
    pub(super) fn place_at_rest(&mut self, now: Now, out: &mut impl Transmit) {
        let nothing_follows = self.state == SequencerState::Ended;
        while (nothing_follows || self.agenda.next() <= self.next_msn) && self.place_next(now, out)
        {
        }
    }

    /// Places everything that waits: no slot of this epoch will come any more.
    pub(super) fn place_all(&mut self, now: Now, out: &mut impl Transmit) {
        while self.place_next(now, out) {}
    }

    /// `false`: nothing waits.
    fn place_next(&mut self, now: Now, out: &mut impl Transmit) -> bool {
        let Some(armed) = self.agenda.take() else {
            return false;
        };
        if !armed.agreed {
            // Said by the very datagram that carries it.
            self.unsynchronised = true;
            self.counters.placed_alone += 1;
        }
        let record = Record {
            kind: BodyKind::Administrative,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: self.run.prev,
            prev: self.run.prev,
            adm: self.adm,
            body: armed.message.bytes(),
        };
        let received_at = self.outgoing.received_at();
        self.append(now, received_at, &record, Placed::ADMINISTRATIVE, out);
        self.run.administrative += 1;
        self.counters.records += 1;
        self.adm = Adm(self.adm.0 + 1);
        self.counters.administrative += 1;
        true
    }
}
