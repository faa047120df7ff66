//! How does a generation pass from an active that lives?
//!
//! ```text
//!  active                                               backup
//!  step down: originates nothing more
//!  everything placed by both ─────── StepDown ────────► in step and lacking nothing: taking over, asks for
//!  goes on with data and reports                        the next generation
//!       │                                                    │
//!       ├─ granted backup of the next one: resynchronises    ├─ granted active: inherits everything
//!       └─ told to go on ─────────── StepDown, 0 ──────►     └─ synchronised again
//! ```
//!
//! The link keeps the order and the active originates nothing behind its word, so a backup that lacks nothing when
//! it hears it lacks nothing for as long as that holds. It holds until stream administration has decided: that grants
//! the next generation or gives the hand-over up, never both. No clock of either end decides.
//!
//! The other way out of a generation is to hear that a later one has its active: whoever was stopped or cut off
//! meanwhile originates nothing more and waits for its grant ([`Pair::on_superseded`]).

use twinfeed_wire::Generation;

use super::active::Announced;
use super::said::Said;
use super::state::{PairInput, PairState};
use super::{Link, News, Pair, Reason};
use crate::sequencer::{Now, Sequencer, Transmit};
use crate::time::Time;

/// How far a hand-over has come at this end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Handover {
    /// None is under way.
    #[default]
    None,
    /// As active: originates nothing more, and has not said so yet.
    Draining,
    /// As active: has said that it steps down.
    Said,
    /// As backup that takes over: the active said so, and lives.
    Heard,
}

impl Pair {
    /// As active: originates nothing more, until another generation is granted or [`Pair::go_on`] is called. Whether
    /// it is the active.
    pub fn step_down(&mut self) -> bool {
        let active = self.state == PairState::Active;
        if active && self.handover == Handover::None {
            self.handover = Handover::Draining;
        }
        active
    }

    /// As active: whether [`Pair::step_down`] was called and the peer has not been told since it is there.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.handover == Handover::Draining
    }

    /// As active: whether a hand-over is under way.
    #[must_use]
    pub const fn steps_down(&self) -> bool {
        matches!(self.handover, Handover::Draining | Handover::Said)
    }

    /// As active that steps down: whether the peer is in step, and every message was placed by both. What was agreed to under
    /// an earlier generation may wait for its slot, which nothing moves.
    #[must_use]
    pub fn is_drained(&self, seq: &Sequencer) -> bool {
        let placed = self.announced.iter().all(Announced::is_bequeathed);
        let by_both = placed && self.proposed.is_none() && self.peer.adm >= seq.adm();
        self.steps_down() && self.is_protected(seq) && by_both
    }

    /// As active: the peer is told, behind everything that was said before, that this end steps down.
    pub fn stepped_down(&mut self) {
        if self.handover == Handover::Draining {
            self.handover = Handover::Said;
        }
    }

    /// As active: the hand-over was given up, nobody else was granted the generation, and the peer is told that this
    /// end goes on. Whether it was stepping down.
    pub fn go_on(&mut self) -> bool {
        let steps_down = matches!(self.handover, Handover::Draining | Handover::Said);
        if steps_down {
            self.handover = Handover::None;
        }
        steps_down
    }

    /// As backup: the active of `generation` steps down; it originates nothing behind this word.
    pub fn on_stepped_down(
        &mut self,
        now: Now,
        generation: Generation,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if generation != self.generation {
            self.counters.other_generation += 1;
            return;
        }
        let able = self.held.is_none() && !self.sought.lacks(seq) && !self.sought.is_upset(seq);
        if self.state == PairState::Synchronised && able {
            self.handover = Handover::Heard;
            self.enter(now, PairInput::SteppedDown, Reason::None, seq, out);
        }
        // Else the active goes on: the backup that it counted on is none.
    }

    /// As backup: the active of `generation` did not step down after all.
    pub fn on_went_on(
        &mut self,
        now: Now,
        generation: Generation,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if generation == self.generation && self.handover == Handover::Heard {
            self.handover = Handover::None;
            self.enter(now, PairInput::WentOn, Reason::None, seq, out);
            self.report(now, seq, out);
        }
    }

    /// As backup that takes over: whether the active stepped down and lives.
    #[must_use]
    pub fn was_handed_over(&self) -> bool {
        self.handover == Handover::Heard
    }

    /// The peer is the active of a later `generation`: whatever this end is, it is not active any more. It originates
    /// nothing from here on, places nothing that waits, and is backup as soon as that generation is granted to it.
    pub fn on_superseded(
        &mut self,
        now: Now,
        generation: Generation,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        if generation <= self.generation || self.state != PairState::Active {
            return;
        }
        self.counters.superseded += 1;
        self.authority = Time::ZERO;
        self.handover = Handover::None;
        self.announced.clear();
        self.proposed = None;
        self.drop_waiting(seq, out);
        out.tell(News::Superseded { by: generation });
        self.enter(now, PairInput::Superseded, Reason::Generation, seq, out);
    }

    /// As backup: whether nothing is known that the active had said and that is missing here, as of when it was last
    /// heard. Unlike [`Pair::is_protected`] this outlives a link that is down.
    #[must_use]
    pub fn lacks_nothing(&self, seq: &Sequencer) -> bool {
        match self.state {
            PairState::Synchronised | PairState::TakingOver => !self.sought.lacks(seq),
            PairState::Unpaired | PairState::Unsynchronised => {
                self.sought.faithful && !self.sought.is_upset(seq)
            }
            PairState::Resyncing | PairState::Active => false,
        }
    }

    /// As active: whether its generation began with everything that the one before had announced.
    #[must_use]
    pub const fn began_seamlessly(&self) -> bool {
        matches!(self.state, PairState::Active) && self.seamless
    }

    /// Whether it counts as the active does, and the active hears that.
    pub(super) fn is_in_step_with_a_living_active(&self) -> bool {
        self.state == PairState::Synchronised || self.handover == Handover::Heard
    }

    /// Whether what an active says while this end takes over contradicts that it is gone, or has stepped down.
    pub(super) fn contradicts_takeover(&self, said: &Said) -> bool {
        match (self.handover, said) {
            // It lives and steps down: that it says where it stands is what it should do.
            (Handover::Heard, Said::Report(report)) => report.cut > self.sought.taken,
            // And what it sends, for its data go on.
            (Handover::Heard, Said::Content(_)) => false,
            _ => true,
        }
    }

    /// The peer's process is gone while this end takes over from an active that had stepped down.
    pub(super) fn lose_the_handing(&mut self, out: &mut impl Link) {
        if self.handover == Handover::Heard {
            self.handover = Handover::None;
            out.tell(News::WantsGeneration);
        }
    }
}
