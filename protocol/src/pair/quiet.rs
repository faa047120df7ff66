//! How does an agreed message get its place when no record comes that would reach its slot?
//!
//! ```text
//!  active: next msn is A′                                backup: B = A′ − 1
//!  A not reached within admin_hold ── Intent(X, A′, hold) ──► the very next slot: holds its stream in front of it
//!  ◄──────────────────────────────── capable ─────────────────┘
//!  next msn still A′: Settled(commit), X at A′ ─────────────► X at A′, goes on
//!  A′ passed meanwhile: Settled(no commit), X stays at A ───► X stays at A, goes on
//!                                                             neither within slot_hold: out of step
//! ```
//!
//! The active holds nothing, and slot A is in force until it has said that it commits to A′: before the datagram that
//! carries X, and so that not even its end keeps it from the backup ([`Link::commit`]; if that is not to be had soon, X stays
//! at A). So an end of the active's process that the backup hears without a commit before it says that X is
//! nowhere but at A, where the active may have placed it: its last batch may have gone past A′, and past A, before it
//! could say so. The backup keeps A and loses nothing; only where it cannot know what the active did is it out
//! of step. One proposal is on its way at a time, so that each has its answer before the next.

use twinfeed_wire::{Adm, Msn};

use super::handover::Handover;
use super::said::{Answer, Intent, Said, Settled};
use super::state::{PairInput, PairState};
use super::verdict::Verdict;
use super::{Link, Pair, Reason};
use crate::sequencer::{Now, Sequencer, Transmit};
use crate::time::Time;

/// As active: a slot that was proposed and not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposed {
    number: Adm,
    attempt: u8,
    slot: Msn,
    at: Time,
    /// Settled before its answer came, which decides nothing any more.
    over: bool,
}

/// As backup: a proposed slot in front of which the stream is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    number: Adm,
    attempt: u8,
    slot: Msn,
    /// The slot that was agreed to before, in force until the active has said otherwise.
    kept: Msn,
    pub(super) until: Time,
}

impl Pair {
    /// Whether the backup holds its stream in front of a slot that the active proposed: the driver hands the
    /// sequencer no message of the source, and no deadline of its lines, until this is `false` again. That is after
    /// [`super::PairLimits::slot_hold`] at the latest, when [`Pair::next_deadline`] is kept. What is handed over all the
    /// same ends the hold as its time does.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// As active: when the first message that waits is proposed for a nearer slot.
    pub(super) fn proposes_at(&self) -> Option<Time> {
        let first = self.announced.front()?;
        let idle = self.proposed.is_none() && self.handover != Handover::Said;
        let able = self.linked && self.peer.synchronised && idle;
        let patience = self.limits.admin_hold;
        (able && first.is_agreed()).then(|| first.at.after(patience).max(self.propose_again))
    }

    /// As active: proposals that were passed, and the next one.
    pub(super) fn tend_proposal(&mut self, now: Now, seq: &Sequencer, out: &mut impl Link) {
        if self.proposed.is_some_and(|it| !it.is_open(seq)) {
            self.withdraw(seq, out);
        }
        if self.proposes_at().is_some_and(|due| now.time >= due) {
            self.propose(now, seq, out);
        }
    }

    fn propose(&mut self, now: Now, seq: &Sequencer, out: &mut impl Link) {
        self.propose_again = now.time.after(self.limits.admin_hold);
        let slot = seq.next_msn();
        let Some((agreed_to, message, true)) = seq.waiting().next() else {
            return;
        };
        if agreed_to <= slot {
            // It is due, and placed with the next flush.
            return;
        }
        let number = message.number();
        if let Some(attempt) = self.say_proposal(number, slot, seq, out) {
            self.counters.proposed += 1;
            self.proposed = Some(Proposed {
                number,
                attempt,
                slot,
                at: now.time,
                over: false,
            });
        }
    }

    /// As active: the proposal that is open, if one is, is over, and the slot before it stays in force.
    pub(super) fn withdraw(&mut self, seq: &Sequencer, out: &mut impl Link) {
        if let Some(it) = self.proposed.as_mut().filter(|it| !it.over) {
            it.over = true;
            let it = *it;
            self.counters.withdrawn += 1;
            out.say(self.settled(it, false, seq));
        }
    }

    /// As active: the backup's answer, if it is one to a proposal. Its refusal changes nothing.
    pub(super) fn on_proposal_answered(
        &mut self,
        now: Now,
        answer: &Answer,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) -> bool {
        let of = (answer.number, answer.attempt, answer.slot);
        let same = |it: &Proposed| (it.number, it.attempt, it.slot) == of;
        let Some(it) = self.proposed.filter(same) else {
            return false;
        };
        self.pace.on_answer(now.time.since(it.at));
        self.propose_again = now.time.after(self.limits.admin_hold);
        if answer.verdict != Verdict::Capable {
            self.counters.hold_refused += 1;
        } else if it.is_open(seq) {
            self.commit(now, it, seq, out);
        } else {
            self.withdraw(seq, out);
        }
        self.proposed = None;
        true
    }

    /// The backup stands in front of the slot as we do: it is the message's.
    fn commit(
        &mut self,
        now: Now,
        it: Proposed,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let commitment = self.settled(it, true, seq);
        if !out.commit(commitment, self.limits.slot_hold / HOLDS_PER_COMMITMENT) {
            self.withdraw(seq, out);
            return;
        }
        self.counters.committed += 1;
        seq.reschedule(it.number, it.slot, true);
        seq.flush(now, out);
        self.announced.retain(|known| known.number != it.number);
    }

    const fn settled(&self, it: Proposed, commit: bool, seq: &Sequencer) -> Said {
        Said::Settled(Settled {
            sid: seq.sid(),
            generation: self.generation,
            number: it.number,
            attempt: it.attempt,
            slot: it.slot,
            commit,
        })
    }

    /// As backup: judges a proposal, and holds the stream if it is accepted: one step. Until it is settled nobody knows here
    /// that the active places the message at the slot before: what passes that in spite of the hold says so.
    pub(super) fn judge_proposal(
        &mut self,
        now: Now,
        intent: &Intent,
        seq: &mut Sequencer,
        out: &mut impl Link,
    ) {
        let (number, processed) = (intent.message.number(), seq.processed());
        let verdict = self.verdict_on_proposal(intent, processed, seq);
        let agreed_to = first_agreed(number, seq).filter(|_| verdict == Verdict::Capable);
        if let Some(kept) = agreed_to {
            self.counters.held += 1;
            seq.reschedule(number, kept, false);
            self.held = Some(Held {
                number,
                attempt: intent.attempt,
                slot: intent.slot,
                kept,
                until: now.time.after(self.limits.slot_hold),
            });
        } else {
            self.counters.hold_refused += 1;
        }
        out.say(Said::Answer(Answer {
            sid: seq.sid(),
            generation: self.generation,
            number,
            attempt: intent.attempt,
            slot: intent.slot,
            processed,
            verdict,
        }));
    }

    fn verdict_on_proposal(&self, intent: &Intent, processed: Msn, seq: &Sequencer) -> Verdict {
        let number = intent.message.number();
        if self.state != PairState::Synchronised || self.sought.lacks(seq) {
            return Verdict::Unsynchronised;
        }
        if number < seq.adm() {
            return Verdict::Late;
        }
        // A message that is held for already is in doubt, and not agreed to.
        let agreed_to = first_agreed(number, seq);
        if agreed_to.is_none_or(|slot| slot <= intent.slot) {
            return Verdict::Unsynchronised;
        }
        // Nothing but the very next slot can be held.
        let threshold = self.limits.sync_threshold.min(1);
        Self::verdict_by_place(intent, processed, threshold, seq)
    }

    /// As backup: the active says what became of its proposal.
    pub(super) fn on_settled(
        &mut self,
        now: Now,
        settled: &Settled,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let of = (settled.number, settled.attempt, settled.slot);
        let held = self
            .held
            .take_if(|it| (it.number, it.attempt, it.slot) == of);
        match held {
            Some(held) if !settled.commit => {
                self.keep_slot(held, seq);
                seq.set_unsynchronised(now, self.sought.lacks(seq), out);
            }
            Some(held) if held.is_kept(seq) && !self.sought.is_upset(seq) => {
                seq.reschedule(held.number, held.slot, true);
                seq.flush(now, out);
            }
            // A commitment to a slot that was not held, or not to its end.
            _ if settled.commit && self.state == PairState::Synchronised => {
                self.enter(now, PairInput::LostStep, Reason::Unsettled, seq, out);
            }
            _ => {}
        }
    }

    /// As backup: the active has not committed, and will not: the slot that both had agreed to is the message's.
    pub(super) fn keep_slot(&self, held: Held, seq: &mut Sequencer) {
        let agreed = !self.sought.is_upset(seq);
        seq.reschedule(held.number, held.kept, agreed);
    }

    /// As backup: whether the hold ended without a word of the active's, by its time or by a driver that did not keep it.
    pub(super) fn hold_is_over(&self, now: Now, seq: &Sequencer) -> bool {
        self.held
            .is_some_and(|it| now.time >= it.until || !it.is_kept(seq))
    }
}

impl Proposed {
    /// Whether the slot can still become the message's.
    fn is_open(&self, seq: &Sequencer) -> bool {
        !self.over && seq.next_msn() == self.slot && first_agreed(self.number, seq).is_some()
    }
}

impl Held {
    /// Whether nothing was placed since, and the message still waits.
    fn is_kept(&self, seq: &Sequencer) -> bool {
        let mut waiting = seq.waiting();
        let first = waiting.next().map(|(_, message, _)| message.number());
        seq.next_msn() == self.slot && first == Some(self.number)
    }
}

/// The slot of `number`, if it is the first message that waits and both ends place it there.
fn first_agreed(number: Adm, seq: &Sequencer) -> Option<Msn> {
    let (slot, message, agreed) = seq.waiting().next()?;
    (agreed && message.number() == number).then_some(slot)
}

/// A commitment that is not said within this part of the backup's hold would come too late.
const HOLDS_PER_COMMITMENT: u32 = 4;
