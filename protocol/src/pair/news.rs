//! What does one end of a pair tell whoever watches, and what does it count?

use twinfeed_wire::{Adm, Generation, Msn};

use super::PairState;
use super::said::Answer;

/// Why a backup is not synchronised.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Reason {
    /// It never was, or is.
    #[default]
    None,
    /// The link is down: the active may place messages alone.
    LinkDown,
    /// The active placed a message that it could not place.
    Refused,
    /// At equal msn the active has another record, or it says that its numbering is another.
    Numbering,
    /// At equal msn the active counts other administrative messages.
    Administrative,
    /// The conversions remember something else.
    Context,
    /// Under the same numbers and with the same memory the active sent something else.
    Content,
    /// The active works under a generation that is not known here yet.
    Generation,
    /// The active that was taken for dead speaks.
    Alive,
    /// It held its stream in front of a proposed slot, and did not hear in time what became of that.
    Unsettled,
}

/// What somebody should know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// Another state.
    State {
        /// The one before.
        from: PairState,
        /// The one at hand.
        to: PairState,
        /// Why, when it is not synchronised.
        reason: Reason,
    },
    /// The active's process is gone, or the active has stepped down, and this end can take over without a trace: a
    /// generation is wanted.
    WantsGeneration,
    /// A generation began at this end as its active.
    Opened {
        /// Which.
        generation: Generation,
        /// Numbers below are of older generations and valid.
        inherited: Adm,
        /// Whether nothing that was agreed is missing.
        seamless: bool,
    },
    /// An attempt was decided: by this end as backup, or by the peer's answer. Proposals are counted only.
    Decided(Answer),
    /// Messages were placed before the peer was known to place them.
    PlacedAlone {
        /// How many.
        messages: u64,
    },
    /// Messages that waited for their slots will not be placed: this end is not, or no more, the one to do it, or its
    /// stream has ended.
    Dropped {
        /// How many.
        messages: u64,
    },
    /// This end was active, and the peer is the active of a later generation: nothing is originated here any more.
    Superseded {
        /// The later one.
        by: Generation,
    },
    /// At equal msn the two ends have different records.
    Diverged {
        /// Where.
        msn: Msn,
        /// In what.
        reason: Reason,
    },
    /// Under the same numbers the two ends send something else: this backup, or its active, converts wrongly.
    Differs {
        /// The first range of source numbers that was found: `range × 4,096` and the 4,095 that follow.
        range: u64,
    },
    /// A backup that differed has sent the same as its active for long enough.
    Agrees {
        /// The last range that was compared.
        range: u64,
    },
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PairCounters {
    /// Messages originated here.
    pub originated: u64,
    /// Announcements after the first of a message.
    pub announced_again: u64,
    /// Verdicts, given as backup or received as active.
    pub capable: u64,
    /// The slot had been passed.
    pub late: u64,
    /// The slot lay further ahead than T.
    pub far: u64,
    /// The backup did not number as the active did, or the message was not the next one.
    pub unsynchronised: u64,
    /// Messages placed before the peer was known to place them.
    pub placed_alone: u64,
    /// Messages that still waited when this end's stream ended.
    pub unplaced: u64,
    /// Messages that waited for their slots and were dropped, for the step with the peer was lost, or its generation is another's
    /// now: who had agreed to one lets its stream pass that slot without it.
    pub dropped: u64,
    /// Numberings taken over.
    pub aligned: u64,
    /// Reports that agreed at equal msn.
    pub compared: u64,
    /// Reports that did not.
    pub diverged: u64,
    /// Reports whose msn is not remembered here any more.
    pub forgotten: u64,
    /// As backup: ranges of source numbers whose content was compared with the active's.
    pub ranges_compared: u64,
    /// As backup: of those, the ones that differed.
    pub ranges_diverged: u64,
    /// What was said under another generation: ignored.
    pub other_generation: u64,
    /// As active: how often it learned from its peer that its generation is over.
    pub superseded: u64,
    /// As active: slots proposed on a quiet feed.
    pub proposed: u64,
    /// As active: of those, committed to.
    pub committed: u64,
    /// As active: of those, withdrawn, because the stream had passed them or the backup had to begin anew.
    pub withdrawn: u64,
    /// As backup: proposals accepted; the stream was held for each.
    pub held: u64,
    /// Proposals refused, as backup or by the peer. That changes nothing.
    pub hold_refused: u64,
    /// As backup: holds that ended without a word of the active's.
    pub hold_expired: u64,
}
