//! What does a backup do in order to be synchronised, and how does it answer?
//!
//! ```text
//!  ask ──► cut: "record r has my msn m" ──► r not here yet: wait   r here, k records ago: our last is m + k
//!                                           r forgotten: ask again        └─► synchronised
//! ```

use std::collections::VecDeque;

use twinfeed_wire::{Adm, Epoch, Msn};

use super::active::difference;
use super::said::{Answer, Cut, Intent, Report, Said};
use super::state::{PairInput, PairState};
use super::verdict::{Verdict, judge};
use super::{Link, News, Pair, Reason};
use crate::sequencer::{MOST_ARMED, Now, Numbering, Placed, Sequencer, SequencerState, Transmit};
use crate::time::Time;

/// What a backup waits for.
#[derive(Debug, Default)]
pub(super) struct Sought {
    /// The numbering that was offered, until the stream has reached its place.
    cut: Option<Cut>,
    /// How many records were looked at for its place.
    looked: u64,
    /// What was announced behind that cut: judged once its numbering is ours.
    intents: VecDeque<Intent>,
    /// Number of the cut taken over last.
    pub(super) taken: u32,
    /// What had been processed then, in the numbering taken over: nothing up to there can be compared.
    aligned: Msn,
    /// Numbers below were announced in this numbering: those that are neither placed nor armed are lacking.
    told: Adm,
    /// A message that the active may have placed at another slot than the one agreed to.
    doubt: Option<Adm>,
    /// Since the numbering was taken over it lacked nothing and was never contradicted: it is still the active's,
    /// should the link have been down meanwhile.
    pub(super) faithful: bool,
    /// The source's upheavals when the numbering was taken over.
    upheavals: u64,
    /// A report of the active's on a record that is not placed here yet.
    report: Option<Placed>,
    /// When to ask (again).
    pub(super) ask_at: Time,
    /// The epoch in which step was lost, and the source's upheavals then; others are a reason to ask at once.
    pub(super) lost_in: (Option<Epoch>, u64),
}

impl Sought {
    /// Whether it is time to ask again.
    pub(super) fn is_due(&self, now: Time, seq: &Sequencer) -> bool {
        now >= self.ask_at || self.lost_in != (seq.epoch(), seq.upheavals())
    }

    /// Whether the active may have placed what this end has not, or not there.
    pub(super) fn lacks(&self, seq: &Sequencer) -> bool {
        self.doubt.is_some() || seq.next_number() < self.told
    }

    /// Whether the source stepped back or lost something since the numbering was taken over.
    pub(super) const fn is_upset(&self, seq: &Sequencer) -> bool {
        self.upheavals != seq.upheavals()
    }

    pub(super) const fn note_upheavals(&mut self, seq: &Sequencer) {
        self.upheavals = seq.upheavals();
    }

    /// Forgets what it waited for.
    fn begin_anew(&mut self, cut: Option<Cut>, ask_at: Time) {
        self.intents.clear();
        (self.cut, self.looked) = (cut, 0);
        (self.report, self.ask_at) = (None, ask_at);
        (self.told, self.doubt) = (Adm(0), None);
    }

    /// Whether the place of the cut lies ahead of this end, so that it need only be waited for.
    fn awaits(&self, seq: &Sequencer) -> bool {
        let place = |placed: &Placed| (placed.sseq, placed.part);
        match (&self.cut, seq.last_of_source()) {
            // A beginning that is not ours never will be.
            (Some(cut), Some((ours, _))) if cut.last.part != Placed::BEGINNING => {
                cut.last.epoch == ours.epoch && place(&cut.last) > place(&ours)
            }
            _ => false,
        }
    }
}

impl Pair {
    /// Asks the active for its numbering.
    pub(super) fn ask_cut(&mut self, now: Now, seq: &Sequencer, out: &mut impl Link) {
        let ask_at = now.time.after(self.limits.resync_retry);
        self.sought.begin_anew(None, ask_at);
        out.say(Said::AskCut {
            sid: seq.sid(),
            generation: self.generation,
        });
    }

    /// The active says its numbering, asked or not: what we had is not it.
    pub(super) fn on_cut(
        &mut self,
        now: Now,
        cut: Cut,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let unfit = match self.contents.apart() {
            Some(_) => Some(Reason::Content),
            None => (!leaves_room(&cut)).then_some(Reason::Numbering),
        };
        if let Some(reason) = unfit {
            self.enter(now, PairInput::LostStep, reason, seq, out);
            return;
        }
        self.enter(now, PairInput::CutArrived, self.reason, seq, out);
        if self.state == PairState::Resyncing {
            seq.disarm();
            let ask_at = now.time.after(self.limits.resync_retry);
            self.sought.begin_anew(Some(cut), ask_at);
            self.seek(now, seq, out);
        }
    }

    /// Takes the numbering over once the stream has reached its place; asks again when that does not happen.
    pub(super) fn seek(&mut self, now: Now, seq: &mut Sequencer, out: &mut (impl Link + Transmit)) {
        if let Some(cut) = self.sought.cut
            && let Some((context, behind)) = seq.placed_since(&cut.last, &mut self.sought.looked)
        {
            self.sought.cut = None;
            if context != cut.last.context {
                self.enter(now, PairInput::LostStep, Reason::Context, seq, out);
                while let Some(intent) = self.sought.intents.pop_front() {
                    self.judge_intent(now, &intent, seq, out);
                }
                return;
            }
            self.align(now, cut, behind, seq, out);
        } else if now.time >= self.sought.ask_at && self.sought.awaits(seq) {
            self.sought.ask_at = now.time.after(self.limits.resync_retry);
        } else if now.time >= self.sought.ask_at {
            self.enter(now, PairInput::Retry, self.reason, seq, out);
        }
    }

    /// Takes over the numbering of `cut`; `behind` records of the source were placed behind its place here. What
    /// messages were placed there in step with nobody, and which ones the active placed, only `cut` counts.
    fn align(
        &mut self,
        now: Now,
        cut: Cut,
        behind: u64,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if !(self.sought.faithful && continues(&cut, self.sought.aligned, seq)) {
            let processed = cut.last.msn.plus(cut.behind).plus(behind);
            let numbering = Numbering {
                generation: cut.generation,
                inherited: cut.inherited,
                adm: cut.adm,
            };
            seq.take_over(now, processed, numbering, out);
            if seq.epoch() == Some(cut.last.epoch) {
                seq.forget_beginning();
            }
            self.sought.aligned = processed;
            self.pace.begin_anew(now.time, processed);
        }
        (self.sought.taken, self.sought.told) = (cut.number, seq.adm());
        self.sought.faithful = true;
        self.sought.note_upheavals(seq);
        self.counters.aligned += 1;
        self.enter(now, PairInput::Aligned, Reason::None, seq, out);
        while let Some(intent) = self.sought.intents.pop_front() {
            self.compare_beginning(now, &intent, seq, out);
            self.judge_intent(now, &intent, seq, out);
        }
        self.report(now, seq, out);
    }

    /// The active says where it stands.
    pub(super) fn on_active_report(
        &mut self,
        now: Now,
        report: Report,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if self.state == PairState::Synchronised && report.cut > self.sought.taken {
            // It lost something, say, and cannot tell its numbering before a record follows.
            self.enter(now, PairInput::LostStep, Reason::Numbering, seq, out);
            return;
        }
        let fit = self.sought.report.is_none() && !self.sought.lacks(seq);
        if self.state == PairState::Synchronised && fit {
            let aligned = self.sought.aligned;
            self.sought.report = report.last.filter(|last| last.msn > aligned);
            self.compare_pending(now, seq, out);
        }
    }

    /// The record processed last, if a peer could find the same at that msn.
    pub(super) fn comparable(&self, seq: &Sequencer) -> Option<Placed> {
        let own = self.state == PairState::Active;
        seq.last_placed()
            .filter(|last| last.msn.0 > 0 && (own || last.msn > self.sought.aligned))
    }

    /// Compares at equal msn, once we have placed that record too.
    pub(super) fn compare_pending(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let Some(theirs) = self.sought.report else {
            return;
        };
        if self.sought.lacks(seq) {
            // The cut that follows will say in what we differ.
            self.sought.report = None;
            return;
        }
        if theirs.msn > seq.processed() {
            return;
        }
        self.sought.report = None;
        match seq.placed_at(theirs.msn) {
            None => self.counters.forgotten += 1,
            Some(ours) if ours == theirs => self.counters.compared += 1,
            Some(ours) => {
                self.counters.diverged += 1;
                let reason = difference(&ours, &theirs);
                out.tell(News::Diverged {
                    msn: theirs.msn,
                    reason,
                });
                self.enter(now, PairInput::LostStep, reason, seq, out);
            }
        }
    }

    /// The active announces a message. While its numbering is not ours yet, that must wait for its place.
    pub(super) fn on_intent(
        &mut self,
        now: Now,
        intent: Intent,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.compare_beginning(now, &intent, seq, out);
        if intent.hold {
            self.judge_proposal(now, &intent, seq, out);
            return;
        }
        let aligning = self.state == PairState::Resyncing && self.sought.cut.is_some();
        if !aligning {
            self.judge_intent(now, &intent, seq, out);
        } else if self.sought.intents.len() < MOST_ARMED {
            self.sought.intents.push_back(intent);
        } else {
            self.ask_cut(now, seq, out);
        }
    }

    /// In step at the end of one epoch need not be in step in the next: where each end lost another part of the tail, no
    /// slot of the next one is the same place for both.
    fn compare_beginning(
        &mut self,
        now: Now,
        intent: &Intent,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let ours = seq.began().filter(|_| Some(intent.epoch) == seq.epoch());
        let differs = ours.is_some_and(|began| intent.began.0 > 0 && intent.began != began);
        if differs && self.state == PairState::Synchronised {
            self.counters.diverged += 1;
            out.tell(News::Diverged {
                msn: intent.began,
                reason: Reason::Numbering,
            });
            self.enter(now, PairInput::LostStep, Reason::Numbering, seq, out);
        }
    }

    /// Latches B, judges the slot, and arms the message if that can be: one step.
    fn judge_intent(
        &mut self,
        now: Now,
        intent: &Intent,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let (number, slot) = (intent.message.number(), intent.slot);
        let processed = seq.processed();
        let verdict = self.verdict_on(intent, processed, seq);
        let synchronised = self.state == PairState::Synchronised;
        let capable = verdict == Verdict::Capable;
        if capable && !seq.stands_for(number, slot) {
            let moved = seq.reschedule(number, slot, true);
            let armed = moved || seq.arm(slot, intent.message, true);
            debug_assert!(armed, "the verdict looked at number and room");
        }
        if synchronised {
            self.sought.told = self.sought.told.max(Adm(number.0.saturating_add(1)));
            if capable && self.sought.doubt == Some(number) {
                self.sought.doubt = None;
            } else if !capable && number < seq.next_number() {
                // Armed or placed at another slot than this one, which the active may have used.
                self.sought.doubt = self.sought.doubt.or(Some(number));
            }
        }
        self.count(verdict);
        let answer = Answer {
            sid: seq.sid(),
            generation: self.generation,
            number,
            attempt: intent.attempt,
            slot,
            processed,
            verdict,
        };
        out.say(Said::Answer(answer));
        out.tell(News::Decided(answer));
        if synchronised {
            seq.set_unsynchronised(now, self.sought.lacks(seq), out);
        }
    }

    fn verdict_on(&self, intent: &Intent, processed: Msn, seq: &Sequencer) -> Verdict {
        let speaks = matches!(seq.state(), SequencerState::Open | SequencerState::Ended);
        if self.state != PairState::Synchronised || !speaks {
            return Verdict::Unsynchronised;
        }
        let number = intent.message.number();
        let known = seq.slot(number).is_some();
        if !known && number < seq.adm() {
            // Placed here already: where that is the slot, it is where both have it.
            let there = seq.stands_for(number, intent.slot);
            return if there {
                Verdict::Capable
            } else {
                Verdict::Late
            };
        }
        if !known && (number != seq.next_number() || !seq.has_room()) {
            return Verdict::Unsynchronised;
        }
        Self::verdict_by_place(intent, processed, self.limits.sync_threshold, seq)
    }

    /// The strict rule, within one epoch.
    pub(super) fn verdict_by_place(
        intent: &Intent,
        processed: Msn,
        threshold: u64,
        seq: &Sequencer,
    ) -> Verdict {
        if Some(intent.epoch) != seq.epoch() {
            // Their epoch is behind ours, or ours behind theirs: no distance can be told.
            let ahead = seq.was_in(intent.epoch);
            return if ahead { Verdict::Late } else { Verdict::Far };
        }
        judge(intent.slot, processed, threshold)
    }
}

/// Whether numbers are left behind this cut for as long as anybody will count.
fn leaves_room(cut: &Cut) -> bool {
    let numbers = [cut.last.msn.0, cut.behind, cut.adm.0, cut.inherited.0];
    numbers.iter().all(|&number| number <= u64::MAX / 4)
}

/// Whether the numbering of `cut` is the one that this end has had all the time: it lost sight of its peer, not step.
/// What was placed up to `aligned` counts other administrative messages, and the same records.
fn continues(cut: &Cut, aligned: Msn, seq: &Sequencer) -> bool {
    let same = |ours: Placed| {
        let adm = if ours.msn <= aligned {
            cut.last.adm
        } else {
            ours.adm
        };
        Placed { adm, ..ours } == cut.last
    };
    let behind = (1..=cut.behind).all(|ahead| {
        let number = Adm(cut.last.adm.0.saturating_add(ahead - 1));
        seq.stands_at(number, cut.last.msn.plus(ahead))
    });
    behind && seq.placed_at(cut.last.msn).is_some_and(same)
}
