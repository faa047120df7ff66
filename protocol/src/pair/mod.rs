//! How do two adapters make sure that a message which no exchange sent stands at the same place in both
//! streams?
//!
//! ```text
//!  active                                              backup
//!  originate X ─► slot A = ahead of both ── Intent(X, A) ──► latch B, judge A − B against T,
//!       │                                                    arm at A                       one step
//!       │         agreed ◄──────────────── Answer(B) ─────── capable
//!       │         announced again further on ◄────────────── late, far
//!       ▼                                                       ▼
//!  the numbering reaches A: X is placed                the numbering reaches A: X is placed
//! ```
//!
//! A slot means something only while both number alike: the backup takes over the active's numbering by a
//! *cut*, and reports are compared at equal msn from then on. An announced slot is a commitment and nobody waits
//! for an answer: `docs/decisions/0004-slots-are-commitments.md` says why that is safe.
//!
//! **How to drive it.** One [`Pair`] beside one [`Sequencer`], on the thread that sequences. Hand over what the
//! link and stream administration say when it arrives, between batches of messages and never within one; call
//! [`Pair::between_batches`] after every batch and when [`Pair::next_deadline`] has come; send what
//! [`Link::say`] is given, in order, *before* the datagrams that the sequencer hands out in the same call; but what was
//! handed out before a cut goes before that, for whoever takes a numbering over takes what it counts for sent. While
//! [`Pair::is_holding`], hand the sequencer nothing of the source; everything else goes on.
//!
//! `on_link_down` with `gone` says that the peer's *process* is gone, and comes after everything that it had said and
//! the kernel still delivers; so does a grant that follows from it.
//!
//! It does not know what an administrative message says, who may ask for one, what the data are, and nothing of
//! the other streams of the pair. Nothing is allocated but one box per announcement.

mod active;
mod backup;
mod config;
mod content;
mod handover;
mod news;
mod pace;
mod quiet;
mod reason;
mod said;
pub mod state;
mod steps;
mod verdict;

use core::time::Duration;
use std::collections::VecDeque;

use twinfeed_wire::{Adm, Generation};

use crate::sequencer::{MOST_ARMED, Now, Sequencer, Transmit};
use crate::time::{Time, earlier};

pub use active::Refusal;
use active::{Announced, Peer};
use backup::Sought;
pub use config::PairLimits;
use content::Contents;
use handover::Handover;
pub use news::{News, PairCounters, Reason};
use pace::Pace;
use quiet::{Held, Proposed};
pub use said::{Answer, Content, Cut, Intent, Report, Said, Settled};
pub use state::PairState;
use state::{PairInput, next};
pub use steps::Steps;
pub use verdict::{Verdict, judge};

/// Where a pair's words and news go.
pub trait Link {
    /// To the peer, in order; a [`Said::Cut`] behind every datagram handed out so far.
    fn say(&mut self, said: Said);
    /// To the peer, behind everything said before, and for good: `true` once it is where not even the end of this process
    /// keeps it from the peer. `false`: that was not to be had `within` this time, and it is never said.
    fn commit(&mut self, said: Said, within: Duration) -> bool;
    /// To whoever watches.
    fn tell(&mut self, news: News);
}

/// What the two ends do about one stream's administrative messages, seen from one end.
#[derive(Debug)]
pub struct Pair {
    limits: PairLimits,
    state: PairState,
    reason: Reason,
    generation: Generation,
    /// As active: whether its generation began with everything that the one before had announced.
    seamless: bool,
    /// Until when this end may originate.
    authority: Time,
    linked: bool,
    next_report: Time,
    pace: Pace,
    /// As active: what was announced and is not settled.
    announced: VecDeque<Announced>,
    /// As active: a nearer slot that was proposed for the first of them.
    proposed: Option<Proposed>,
    /// As active: no other is proposed before.
    propose_again: Time,
    /// As active: what the backup said of itself.
    peer: Peer,
    /// As active: cuts given in this generation.
    cuts: u32,
    /// As backup: what it needs in order to be synchronised.
    sought: Sought,
    /// As synchronised backup: the slot in front of which the stream is held.
    held: Option<Held>,
    /// What both ends say, range by range.
    contents: Contents,
    /// How far a hand-over has come.
    handover: Handover,
    counters: PairCounters,
    steps: Steps,
}

impl Pair {
    /// An end that knows of no peer and no generation.
    #[must_use]
    pub fn new(limits: PairLimits) -> Self {
        Self {
            limits,
            state: PairState::Unpaired,
            reason: Reason::None,
            generation: Generation(0),
            seamless: false,
            authority: Time::ZERO,
            linked: false,
            next_report: Time::ZERO,
            pace: Pace::new(),
            announced: VecDeque::with_capacity(MOST_ARMED),
            proposed: None,
            propose_again: Time::ZERO,
            peer: Peer::default(),
            cuts: 0,
            sought: Sought::default(),
            held: None,
            contents: Contents::new(),
            handover: Handover::None,
            counters: PairCounters::default(),
            steps: Steps::default(),
        }
    }

    /// The peer is there, and agrees to pair.
    pub fn on_link_up(&mut self, now: Now, seq: &mut Sequencer, out: &mut (impl Link + Transmit)) {
        self.linked = true;
        self.contents.say_again();
        (self.peer, self.proposed) = (Peer::default(), None);
        self.handover = match self.handover {
            // What was said before the link was down may be lost: it is said again.
            Handover::Draining | Handover::Said => Handover::Draining,
            // It may have gone on, and said so to nobody.
            Handover::None | Handover::Heard => Handover::None,
        };
        self.next_report = now.time;
        self.enter(now, PairInput::LinkUp, Reason::None, seq, out);
    }

    /// The link is down. `gone`: because the peer's process is, or because it left on purpose.
    pub fn on_link_down(
        &mut self,
        now: Now,
        gone: bool,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.linked = false;
        (self.peer, self.proposed) = (Peer::default(), None);
        self.give_up_answers(seq);
        if let Some(held) = self.held.take().filter(|_| gone) {
            self.keep_slot(held, seq);
        }
        self.sought.faithful &= !self.sought.lacks(seq);
        if gone && self.sought.lacks(seq) {
            // It may have placed what we could not.
            self.enter(now, PairInput::LostStep, Reason::Refused, seq, out);
        }
        let (input, reason) = match gone {
            true => (PairInput::PeerGone, Reason::None),
            false => (PairInput::LinkDown, Reason::LinkDown),
        };
        self.enter(now, input, reason, seq, out);
        if gone && self.state == PairState::TakingOver {
            self.lose_the_handing(out);
        }
        if self.state == PairState::Active {
            seq.set_unsynchronised(now, true, out);
        }
    }

    /// Stream administration's word: this end is `active` or backup under `generation`, and as active may
    /// originate until `authority`. The same generation again only prolongs that; a lower one is ignored.
    pub fn on_grant(
        &mut self,
        now: Now,
        (generation, active, authority): (Generation, bool, Time),
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if generation < self.generation {
            self.counters.other_generation += 1;
            return;
        }
        if generation > self.generation {
            let before = self.generation;
            self.generation = generation;
            self.contents.say_again();
            self.handover = Handover::None;
            if active {
                self.contents.lead();
                self.open(now, before, seq, out);
            } else {
                self.announced.clear();
                self.drop_waiting(seq, out);
                self.sought.taken = 0;
                self.enter(now, PairInput::GrantedBackup, Reason::None, seq, out);
            }
        }
        if self.state == PairState::Active && active {
            self.authority = authority;
        }
    }

    /// The peer said something.
    pub fn on_said(
        &mut self,
        now: Now,
        said: Said,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if said.generation() != self.generation {
            self.counters.other_generation += 1;
            // Who takes over may hear of its own generation first from its backup to be.
            let to_active = matches!(said, Said::AskCut { .. } | Said::Report(_));
            let in_step = match self.state {
                PairState::TakingOver => !to_active,
                state => state.is_in_step(),
            };
            if said.generation() > self.generation && in_step {
                self.enter(now, PairInput::LostStep, Reason::Generation, seq, out);
            }
            return;
        }
        let from_active = !matches!(said, Said::AskCut { .. } | Said::Answer(_));
        let taking_over = self.state == PairState::TakingOver;
        if taking_over && from_active && self.contradicts_takeover(&said) {
            self.enter(now, PairInput::LostStep, Reason::Alive, seq, out);
        }
        match (self.state, said) {
            (PairState::Active, Said::Report(report)) => {
                self.on_backup_report(now, report, seq, out);
            }
            (PairState::Active, Said::AskCut { .. }) => {
                self.owe_cut(now, seq, out);
            }
            (PairState::Active, Said::Answer(answer)) => {
                self.on_answer(now, answer, seq, out);
            }
            // Of one generation there is one active.
            (
                PairState::Active,
                Said::Cut(_) | Said::Intent(_) | Said::Settled(_) | Said::Content(_),
            ) => {
                self.counters.other_generation += 1;
            }
            (_, Said::Report(report)) => {
                self.on_active_report(now, report, seq, out);
            }
            (_, Said::Cut(cut)) => {
                self.on_cut(now, cut, seq, out);
            }
            (_, Said::Intent(intent)) => {
                self.on_intent(now, *intent, seq, out);
            }
            (_, Said::Settled(settled)) => {
                self.on_settled(now, &settled, seq, out);
            }
            (_, Said::Content(content)) => {
                self.on_content(now, &content, seq, out);
            }
            // Meant for the active, which this end was or will be.
            (_, Said::AskCut { .. } | Said::Answer(_)) => self.counters.other_generation += 1,
        }
    }

    /// What time and progress have brought; after every batch.
    pub fn between_batches(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.pace.on_progress(now.time, seq.processed());
        let messages = seq.counters().unplaced - self.counters.unplaced;
        if messages > 0 {
            self.counters.unplaced += messages;
            out.tell(News::Dropped { messages });
        }
        self.tend_contents(now, seq, out);
        match self.state {
            PairState::Active => {
                self.tend_announced(now, seq, out);
                self.tend_proposal(now, seq, out);
            }
            PairState::Resyncing => self.seek(now, seq, out),
            PairState::Synchronised | PairState::TakingOver => {
                if self.sought.is_upset(seq) {
                    self.enter(now, PairInput::LostStep, Reason::Context, seq, out);
                } else if self.hold_is_over(now, seq) {
                    self.counters.hold_expired += 1;
                    self.enter(now, PairInput::LostStep, Reason::Unsettled, seq, out);
                } else {
                    self.compare_pending(now, seq, out);
                }
            }
            PairState::Unsynchronised if self.contents.apart().is_some() => {}
            PairState::Unsynchronised if self.sought.is_due(now.time, seq) => {
                self.enter(now, PairInput::Retry, self.reason, seq, out);
            }
            PairState::Unpaired | PairState::Unsynchronised => {}
        }
        if self.linked && now.time >= self.next_report {
            self.report(now, seq, out);
        }
    }

    /// When [`Pair::between_batches`] wants to be called although nothing arrived.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let report = self.linked.then_some(self.next_report);
        let own = match self.state {
            PairState::Unsynchronised if self.contents.apart().is_some() => None,
            PairState::Resyncing | PairState::Unsynchronised => Some(self.sought.ask_at),
            PairState::Active => self.proposes_at(),
            PairState::Synchronised => self.held.map(|held| held.until),
            PairState::Unpaired | PairState::TakingOver => None,
        };
        earlier(report, own)
    }

    /// Where this end stands.
    #[must_use]
    pub const fn state(&self) -> PairState {
        self.state
    }

    /// Why it is not synchronised, if it is not.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// As backup: the range of source numbers in which this end differed last from its active, while it counts as
    /// differing.
    #[must_use]
    pub fn differs_in(&self) -> Option<u64> {
        let apart = self.contents.apart();
        apart.filter(|_| self.state != PairState::Active)
    }

    /// The generation at hand.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether an administrative message of this end's is announced and not settled: not placed, or not answered.
    #[must_use]
    pub fn awaits(&self, number: Adm) -> bool {
        self.announced.iter().any(|it| it.number == number)
    }

    /// Whether both ends would place the next administrative message, as far as this one knows.
    #[must_use]
    pub fn is_protected(&self, seq: &Sequencer) -> bool {
        match self.state {
            PairState::Active => self.linked && self.peer.synchronised && !self.owes_answers(seq),
            PairState::Synchronised => !self.sought.lacks(seq),
            _ => false,
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &PairCounters {
        &self.counters
    }

    /// Which inputs came in which states.
    #[must_use]
    pub const fn steps(&self) -> &Steps {
        &self.steps
    }

    fn drop_waiting(&mut self, seq: &mut Sequencer, out: &mut impl Link) {
        let messages = seq.disarm() as u64;
        if messages > 0 {
            self.counters.dropped += messages;
            out.tell(News::Dropped { messages });
        }
    }

    /// Says where the stream stands.
    fn report(&mut self, now: Now, seq: &Sequencer, out: &mut impl Link) {
        self.next_report = now.time.after(self.limits.report_every);
        out.say(Said::Report(Report {
            sid: seq.sid(),
            generation: self.generation,
            processed: seq.processed(),
            last: self.comparable(seq),
            synchronised: self.is_in_step_with_a_living_active() && !self.sought.lacks(seq),
            cut: self.cut_in_force(),
            source_stale: seq.is_source_stale(),
        }));
    }

    /// Goes on to the state that follows, and does what it asks for.
    fn enter(
        &mut self,
        now: Now,
        input: PairInput,
        reason: Reason,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.steps.note(self.state, input, self.linked);
        let (from, to) = (self.state, next(self.state, input, self.linked));
        self.sought.faithful &= !matches!(
            input,
            PairInput::LostStep | PairInput::GrantedBackup | PairInput::Superseded
        );
        self.state = to;
        if to != PairState::Synchronised {
            self.held = None;
        }
        if self.handover == Handover::Heard && to != PairState::TakingOver {
            self.handover = Handover::None;
        }
        self.reason = match to {
            PairState::Unsynchronised | PairState::Resyncing => reason,
            _ => Reason::None,
        };
        if from != to {
            out.tell(News::State {
                from,
                to,
                reason: self.reason,
            });
        }
        match to {
            PairState::Resyncing if input != PairInput::CutArrived => self.ask_cut(now, seq, out),
            PairState::Unsynchronised if from != to => {
                let hopeless = reason == Reason::Context;
                let patience = if hopeless { CONTEXT_PATIENCE } else { 1 };
                self.sought.ask_at = now.time.after(self.limits.resync_retry * patience);
                self.sought.lost_in = (seq.epoch(), seq.upheavals());
            }
            PairState::TakingOver if from != to => out.tell(News::WantsGeneration),
            _ => {}
        }
        if from != to && to != PairState::Active {
            seq.set_unsynchronised(now, !to.is_in_step(), out);
        }
        if from.is_in_step() && to == PairState::Unsynchronised {
            // What was agreed to is placed by the active; here it would stand elsewhere.
            self.drop_waiting(seq, out);
            if self.linked {
                self.report(now, seq, out);
            }
        }
    }
}

/// How many times longer a backup waits before it asks again when only another epoch, or the state of its
/// peer, can help.
const CONTEXT_PATIENCE: u32 = 10;
