//! What does the holder of a generation do for its administrative messages?
//!
//! ```text
//!  announced ──► agreed ───────────────► placed at A by both
//!      │  └─ late or far, and A not reached: announced again further on, at most `attempts` times
//!      └────────────────────────────────► placed at A alone: unprotected until the answer decides
//! ```

use core::fmt;

use twinfeed_wire::{Adm, AdminId, AdminKind, Generation, Msn, StoredAdmin};

use super::handover::Handover;
use super::said::{Answer, Cut, Intent, Report, Said};
use super::state::{PairInput, PairState};
use super::verdict::Verdict;
use super::{Link, News, Pair, Reason};
use crate::sequencer::{MOST_ARMED, Now, Placed, Sequencer, Transmit};
use crate::time::Time;

/// What was announced and is not settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) number: Adm,
    /// Number of the attempt said last, proposals among them.
    attempt: u8,
    /// Attempts that were no proposals.
    tries: u8,
    slot: Msn,
    /// When it was said or, if it is agreed to, answered.
    pub(super) at: Time,
    /// Whether this attempt waits for its answer.
    open: bool,
    /// The slot that the backup has agreed to; in force until it agrees to another.
    bound: Option<Msn>,
    /// Agreed with an active that is gone, or with a backup before this cut, which may have placed it there: not even a refusal
    /// moves it.
    pinned: bool,
}

impl Announced {
    /// Whether it waits for a slot that was agreed to under an earlier generation, and now again.
    pub(super) const fn is_bequeathed(&self) -> bool {
        self.pinned && self.bound.is_some() && !self.open
    }

    /// Whether the backup has agreed to its slot, and nothing else is known to stand against another one.
    pub(super) fn is_agreed(&self) -> bool {
        self.bound.is_some() && !self.open && !self.pinned
    }
}

/// What the backup said of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    /// Whether it counts itself as synchronised, and we know of nothing against it.
    pub(super) synchronised: bool,
    /// What it had processed when it last said so, in our numbering.
    pub(super) processed: Msn,
    /// When that was heard.
    pub(super) processed_at: Time,
    /// How many administrative messages it had placed then, or took over with its numbering.
    pub(super) adm: Adm,
    /// A cut it asked for, when there was nothing yet to begin behind.
    pub(super) wants_cut: bool,
    /// Whether it was given, or asked for, a cut since the link is up.
    met: bool,
}

/// Why nothing was originated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// This end is not the active of its generation.
    NotActive,
    /// The lease that came with the generation is over.
    NoAuthority,
    /// The generation is being handed over.
    SteppingDown,
    /// Too many messages wait for their slots.
    Full,
    /// There is no epoch yet in which it could stand.
    NoEpoch,
    /// The payload is none of its kind, or longer than an administrative message may be.
    Payload,
    /// The link to the peer does not take it: it could stand here, and be known to nobody who goes on after an end of this process.
    Unsaid,
}

impl Pair {
    /// Originates an administrative message: announces it to the peer, if there is one, and puts it on the
    /// agenda. The caller calls [`Pair::between_batches`] or [`Sequencer::flush`] next.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    pub fn originate(
        &mut self,
        now: Now,
        kind: AdminKind,
        payload: &[u8],
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) -> Result<AdminId, Refusal> {
        if self.state != PairState::Active {
            return Err(Refusal::NotActive);
        }
        if now.time >= self.authority {
            return Err(Refusal::NoAuthority);
        }
        if self.handover != Handover::None {
            return Err(Refusal::SteppingDown);
        }
        if seq.armed() >= MOST_ARMED || self.announced.len() >= MOST_ARMED {
            return Err(Refusal::Full);
        }
        let id = AdminId {
            generation: self.generation,
            number: seq.next_number(),
        };
        let message = StoredAdmin::new(id, kind, payload).map_err(|_| Refusal::Payload)?;
        let slot = match self.linked && self.peer.synchronised {
            true => self.slot_ahead(now.time, seq),
            // Nobody to wait for. Whoever is there hears of it all the same, and may yet be in time.
            false => seq.processed().plus(1),
        };
        if !seq.speaks() {
            return Err(Refusal::NoEpoch);
        }
        let mut announced = Announced {
            number: id.number,
            attempt: 0,
            tries: 0,
            slot,
            at: now.time,
            open: false,
            bound: None,
            pinned: false,
        };
        if self.linked {
            // The stream may be at the slot by now, and this process at its end.
            let intent = self.intent(&mut announced, &message, false, seq);
            if !intent.is_some_and(|said| self.announces(said, out)) {
                return Err(Refusal::Unsaid);
            }
            (announced.tries, announced.open) = (1, true);
        }
        let armed = seq.arm(slot, message, false);
        debug_assert!(armed, "invariant: there is room and an epoch");
        self.counters.originated += 1;
        self.announced.push_back(announced);
        Ok(id)
    }

    /// Begins the new generation as its active: what it inherits, and from which numbers on its own count.
    ///
    /// `before`: the generation that was granted to this end, or its peer, before.
    pub(super) fn open(
        &mut self,
        now: Now,
        before: Generation,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        // Of a generation in between, and of one whose numbering was never taken over, it is not known which messages
        // its subscribers know by the numbers that are used here.
        let follows = self.generation.0 == before.0.saturating_add(1);
        let shared = follows && seq.generation() == before;
        let seamless = self.state.inherits() && shared;
        if !seamless {
            self.drop_waiting(seq, out);
        }
        let inherited = match shared {
            true => seq.next_number(),
            false => Adm(0),
        };
        self.seamless = seamless;
        (self.peer, self.cuts) = (Peer::default(), 0);
        (self.proposed, self.propose_again) = (None, Time::ZERO);
        // The slots keep their distances in the numbering that begins.
        seq.open_generation(now, self.generation, inherited, out);
        self.announced.clear();
        self.announced
            .extend(seq.waiting().map(|(slot, message, _)| Announced {
                number: message.number(),
                attempt: 0,
                tries: 0,
                slot,
                at: now.time,
                open: false,
                bound: Some(slot),
                pinned: true,
            }));
        for it in &self.announced {
            seq.reschedule(it.number, it.slot, true);
        }
        self.pace.begin_anew(now.time, seq.processed());
        self.sought.note_upheavals(seq);
        self.enter(now, PairInput::GrantedActive, Reason::None, seq, out);
        seq.set_unsynchronised(now, true, out);
        out.tell(News::Opened {
            generation: self.generation,
            inherited,
            seamless,
        });
    }

    /// Whether a message was placed whose fate at the peer is not known, or will be without it.
    pub(super) fn owes_answers(&self, seq: &Sequencer) -> bool {
        self.announced.iter().any(|it| {
            let placed = seq.slot(it.number).is_none();
            placed && it.open || !it.open && it.bound.is_none()
        })
    }

    /// The link is down: nobody answers any more, and who has not agreed will not. What was agreed to is in force.
    pub(super) fn give_up_answers(&mut self, seq: &mut Sequencer) {
        self.announced.retain(|it| seq.slot(it.number).is_some());
        for it in &mut self.announced {
            it.open = false;
            it.slot = it.bound.unwrap_or(it.slot);
            seq.reschedule(it.number, it.slot, it.bound.is_some());
        }
    }

    /// Number of the cut that whoever counts as this end does has taken over. One that is owed counts: nobody has it.
    pub(super) const fn cut_in_force(&self) -> u32 {
        match self.state {
            PairState::Active => self.cuts.saturating_add(self.peer.wants_cut as u32),
            _ => self.sought.taken,
        }
    }

    /// The backup wants our numbering; it gets it now or with our next record, and hears at once that it has to wait.
    pub(super) fn owe_cut(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.withdraw(seq, out);
        self.peer.synchronised = false;
        if self.handover == Handover::Said {
            // Whoever was to take over was not in step, and may be when it is told again.
            self.handover = Handover::Draining;
        }
        (self.peer.wants_cut, self.peer.met) = (self.linked, true);
        self.give_cut(now, seq, out);
        if self.peer.wants_cut {
            self.report(now, seq, out);
        }
        self.show_step(now, seq, out);
    }

    /// The backup says where it stands.
    pub(super) fn on_backup_report(
        &mut self,
        now: Now,
        report: Report,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if report.synchronised && !self.peer.met {
            // It did not notice that the link was down, and what was said meanwhile is lost.
            self.owe_cut(now, seq, out);
            return;
        }
        // What it said before it took over our last cut, or while we owe it one, holds for another numbering.
        self.peer.synchronised =
            report.synchronised && report.cut == self.cuts && self.cuts > 0 && !self.peer.wants_cut;
        if self.peer.synchronised {
            (self.peer.processed, self.peer.processed_at) = (report.processed, now.time);
            let placed = report.last.map_or(Adm(0), |last| {
                let itself = u64::from(last.part == Placed::ADMINISTRATIVE);
                Adm(last.adm.0.saturating_add(itself))
            });
            self.peer.adm = self.peer.adm.max(placed);
        }
        let Some(theirs) = report.last.filter(|_| self.peer.synchronised) else {
            self.show_step(now, seq, out);
            return;
        };
        // Beyond our own last record, it will be compared by the backup when we report; while the peer owes an
        // answer, a difference says only what that answer will say.
        let settled = !self.owes_answers(seq);
        if let Some(ours) = seq.placed_at(theirs.msn).filter(|_| settled) {
            if ours == theirs {
                self.counters.compared += 1;
            } else {
                self.counters.diverged += 1;
                let reason = difference(&ours, &theirs);
                out.tell(News::Diverged {
                    msn: theirs.msn,
                    reason,
                });
                self.owe_cut(now, seq, out);
            }
        }
        self.show_step(now, seq, out);
    }

    /// The backup's verdict on one attempt.
    pub(super) fn on_answer(
        &mut self,
        now: Now,
        answer: Answer,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if self.on_proposal_answered(now, &answer, seq, out) {
            return;
        }
        let same =
            |it: &Announced| it.number == answer.number && it.attempt == answer.attempt && it.open;
        let Some(index) = self.announced.iter().position(same) else {
            self.counters.other_generation += 1;
            return;
        };
        self.count(answer.verdict);
        out.tell(News::Decided(answer));
        self.pace
            .on_answer(now.time.since(self.announced[index].at));
        self.announced[index].open = false;
        if answer.verdict != Verdict::Unsynchronised && answer.processed > self.peer.processed {
            (self.peer.processed, self.peer.processed_at) = (answer.processed, now.time);
        }
        if answer.verdict == Verdict::Capable {
            self.announced[index].bound = Some(answer.slot);
            self.announced[index].at = now.time;
            if !seq.agree(answer.number) {
                // Placed before the answer came, at the very slot it agrees to.
                self.announced.remove(index);
            }
        } else {
            self.on_refusal(now, index, seq, out);
        }
        self.show_step(now, seq, out);
    }

    /// An attempt was refused: another one, the agreement before it, or the loss of step.
    fn on_refusal(
        &mut self,
        now: Now,
        index: usize,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let Announced {
            number,
            tries,
            pinned,
            ..
        } = self.announced[index];
        let waits = seq.slot(number).is_some();
        if !waits {
            // It stands here and not there.
            self.announced.remove(index);
            self.owe_cut(now, seq, out);
        } else if !pinned && tries < self.limits.attempts {
            let slot = self.slot_ahead(now.time, seq);
            seq.reschedule(number, slot, false);
            self.announce(now, number, slot, seq, out);
        }
        // Else it stays committed to its last slot, and the peer will lack it.
    }

    /// Cuts that are owed, messages that were placed.
    pub(super) fn tend_announced(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if self.sought.is_upset(seq) {
            // What the peer has need not be what is here any more.
            self.sought.note_upheavals(seq);
            self.owe_cut(now, seq, out);
        }
        if self.peer.wants_cut {
            self.give_cut(now, seq, out);
        }
        let mut index = 0;
        while let Some(it) = self.announced.get(index).copied() {
            let placed = seq.slot(it.number).is_none();
            if placed && !it.open {
                if it.bound.is_none() && self.linked {
                    // Refused in every attempt.
                    self.owe_cut(now, seq, out);
                    return;
                }
                self.announced.remove(index);
                continue;
            }
            index += 1;
        }
        if seq.counters().placed_alone > self.counters.placed_alone {
            let messages = seq.counters().placed_alone - self.counters.placed_alone;
            self.counters.placed_alone += messages;
            out.tell(News::PlacedAlone { messages });
        }
    }

    /// Tells the subscribers whether administrative messages stand at the peer where they stand here.
    fn show_step(&self, now: Now, seq: &mut Sequencer, out: &mut impl Transmit) {
        let protected = self.is_protected(seq);
        seq.set_unsynchronised(now, !protected, out);
    }

    /// Says the next attempt at `number`, for `slot`. One that is not said is as good as refused.
    fn announce(&mut self, now: Now, number: Adm, slot: Msn, seq: &Sequencer, out: &mut impl Link) {
        let mut announced = self.announced.iter();
        let Some(place) = announced.position(|it| it.number == number) else {
            return;
        };
        let mut waiting = seq.waiting();
        let Some((_, message, _)) = waiting.find(|(_, message, _)| message.number() == number)
        else {
            return;
        };
        let mut it = self.announced[place];
        it.tries = it.tries.saturating_add(1);
        (it.slot, it.at) = (slot, now.time);
        self.counters.announced_again += u64::from(it.tries > 1);
        let intent = self.intent(&mut it, message, false, seq);
        it.open = intent.is_some_and(|said| self.announces(said, out));
        self.announced[place] = it;
    }

    /// Says a message at a nearer slot, proposed. Returns the number of the attempt; `None`: it does not wait any more.
    pub(super) fn say_proposal(
        &mut self,
        number: Adm,
        slot: Msn,
        seq: &Sequencer,
        out: &mut impl Link,
    ) -> Option<u8> {
        let mut announced = self.announced.iter();
        let place = announced.position(|it| it.number == number)?;
        let mut waiting = seq.waiting();
        let (_, message, _) = waiting.find(|(_, message, _)| message.number() == number)?;
        let mut it = self.announced[place];
        let kept = core::mem::replace(&mut it.slot, slot);
        out.say(self.intent(&mut it, message, true, seq)?);
        it.slot = kept;
        self.announced[place] = it;
        Some(it.attempt)
    }

    /// The next attempt at a message, for its slot, in words.
    fn intent(
        &self,
        it: &mut Announced,
        message: &StoredAdmin,
        hold: bool,
        seq: &Sequencer,
    ) -> Option<Said> {
        let epoch = seq.epoch()?;
        it.attempt = it.attempt.checked_add(1).unwrap_or(1);
        Some(Said::Intent(Box::new(Intent {
            sid: seq.sid(),
            generation: self.generation,
            epoch,
            began: seq.began().unwrap_or(Msn(0)),
            slot: it.slot,
            attempt: it.attempt,
            hold,
            message: *message,
        })))
    }

    /// Says it so that not even the end of this process keeps it from the peer. Nobody holds a stream for it, so there is more time than for a
    /// commitment to a slot.
    fn announces(&self, said: Said, out: &mut impl Link) -> bool {
        out.commit(said, self.limits.slot_hold * HOLDS_PER_ANNOUNCEMENT)
    }

    /// Says our numbering, and announces anew what waits in it, if there is a record to begin behind.
    fn give_cut(&mut self, now: Now, seq: &mut Sequencer, out: &mut (impl Link + Transmit)) {
        // What was lost behind the last record can be told from the next one only.
        let Some((last, behind)) = seq.last_of_source().filter(|_| self.peer.wants_cut) else {
            return;
        };
        // The peer takes what a cut counts for sent, and never sends it.
        seq.send(now, out);
        self.peer.wants_cut = false;
        self.cuts += 1;
        self.peer.adm = seq.adm();
        out.say(Said::Cut(Cut {
            sid: seq.sid(),
            generation: self.generation,
            number: self.cuts,
            last,
            behind,
            adm: seq.adm(),
            inherited: seq.inherited(),
        }));
        // What was placed is in the cut, whatever its answer would have been.
        self.announced.retain(|it| seq.slot(it.number).is_some());
        for index in 0..self.announced.len() {
            let it = &mut self.announced[index];
            // Whoever agreed may have placed it there since, and been ahead of this place: where it stands is then told.
            it.pinned |= it.bound.take().is_some();
            let Announced { number, slot, .. } = *it;
            seq.reschedule(number, slot, false);
            self.announce(now, number, slot, seq, out);
        }
    }

    /// A slot ahead of both ends (RM-25b), behind every slot that was given before.
    fn slot_ahead(&self, now: Time, seq: &Sequencer) -> Msn {
        let (ours, theirs) = (seq.processed(), self.peer.processed);
        let ahead = ours
            .max(theirs)
            .plus(1)
            .plus(self.pace.lead(self.limits.least_lead));
        let ahead = ahead.min(self.farthest(now, ours)).max(ours.plus(1));
        let behind = seq.last_slot().map_or(Msn(0), |last| last.plus(1));
        ahead.max(behind)
    }

    /// How far ahead a slot may lie and still not be too far for the peer. B only grows: T from what was last heard of
    /// it never is. It has gone on since as this end has, most likely: a quarter of T is left for what it is behind of that,
    /// and who is further behind refuses, and is asked again.
    fn farthest(&self, now: Time, ours: Msn) -> Msn {
        let threshold = self.limits.sync_threshold;
        let Peer {
            processed,
            processed_at,
            ..
        } = self.peer;
        let gone_on = self.pace.records_in(now.since(processed_at));
        let expected = processed.plus(gone_on).min(ours);
        let safe = processed.plus(threshold);
        safe.max(expected.plus(threshold - threshold / 4))
    }

    pub(super) const fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Capable => self.counters.capable += 1,
            Verdict::Late => self.counters.late += 1,
            Verdict::Far => self.counters.far += 1,
            Verdict::Unsynchronised => self.counters.unsynchronised += 1,
        }
    }
}

/// So many of the backup's holds an announcement waits for the link at most, 20 ms unless configured otherwise: it is rare, and an order that is
/// refused has to be given again.
const HOLDS_PER_ANNOUNCEMENT: u32 = 4;

/// In what two records at equal msn differ.
pub(super) fn difference(ours: &Placed, theirs: &Placed) -> Reason {
    if !ours.is_same_record(theirs) {
        Reason::Numbering
    } else if ours.context != theirs.context {
        Reason::Context
    } else {
        Reason::Administrative
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotActive => "this adapter is not the active one of its generation",
            Self::NoAuthority => {
                "the lease of the generation is over: stream-admin must renew it before anything is originated"
            }
            Self::SteppingDown => {
                "this adapter is handing its generation over: order again when that is done"
            }
            Self::Full => "too many administrative messages wait for their slots",
            Self::NoEpoch => "the source has not begun an epoch: there is no place for it yet",
            Self::Payload => "the payload is not one of its kind, or longer than 1,024 bytes",
            Self::Unsaid => {
                "the link to the other adapter does not take the message, and the backup would lack it: order again when the link is up, or down"
            }
        })
    }
}

impl core::error::Error for Refusal {}
