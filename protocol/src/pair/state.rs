//! In which state is one end of a pair, for one stream?
//!
//! ```text
//!              link up                cut, aligned
//!  Unpaired ──────────► Resyncing ─────────────────► Synchronised ─ peer gone, stepped down ─► TakingOver
//!     ▲                   ▲    ▲                          │                                        │
//!     │                   │    └── asks again ◄── Unsynchronised ◄── refused, diverged, link down  │
//!     └── link down ──────┴────────────────────────────── any ── granted active ──► Active ◄───────┘
//! ```
//!
//! The one table: every state × every input, in [`next`]. What an input means (is a report a divergence? is a
//! cut reached?) is decided before it comes here; what follows from a new state, after.

use core::fmt;

/// Where one end stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PairState {
    /// Nobody to be synchronised with.
    Unpaired,
    /// Backup: has asked for the active's numbering.
    Resyncing,
    /// Backup: numbers as the active does, and places what it agreed to.
    Synchronised,
    /// Backup: knows that it does not, and why; will ask for the numbering again.
    Unsynchronised,
    /// Backup that was synchronised when the active's process went, or when the active stepped down: waits for its
    /// generation. Data do not.
    TakingOver,
    /// Holds the generation: originates administrative messages.
    Active,
}

/// What happens to an end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PairInput {
    /// The peer is there.
    LinkUp,
    /// The link is down and nobody knows why.
    LinkDown,
    /// The peer's process is gone, or it left on purpose.
    PeerGone,
    /// A new generation, as its active.
    GrantedActive,
    /// A new generation, as its backup.
    GrantedBackup,
    /// Another numbering was offered.
    CutArrived,
    /// The numbering was taken over at the place of the cut.
    Aligned,
    /// It does not number as the peer does (any more).
    LostStep,
    /// It waited long enough for what it asked for, or since it lost step.
    Retry,
    /// The active steps down, and nothing that it said is lacking.
    SteppedDown,
    /// The active that stepped down goes on.
    WentOn,
    /// The peer is the active of a later generation.
    Superseded,
}

impl PairState {
    /// All, in order.
    pub const ALL: [Self; 6] = [
        Self::Unpaired,
        Self::Resyncing,
        Self::Synchronised,
        Self::Unsynchronised,
        Self::TakingOver,
        Self::Active,
    ];

    /// Whether a takeover from here inherits everything that was agreed. Not from [`Self::Synchronised`]: the
    /// active may still have said something that did not arrive.
    #[must_use]
    pub const fn inherits(self) -> bool {
        matches!(self, Self::TakingOver | Self::Active)
    }

    /// Whether administrative messages stand in this end's stream where they stand in the active's, or did until
    /// that was gone.
    #[must_use]
    pub const fn is_in_step(self) -> bool {
        matches!(self, Self::Synchronised | Self::TakingOver)
    }
}

impl PairInput {
    /// All, in order.
    pub const ALL: [Self; 12] = [
        Self::LinkUp,
        Self::LinkDown,
        Self::PeerGone,
        Self::GrantedActive,
        Self::GrantedBackup,
        Self::CutArrived,
        Self::Aligned,
        Self::LostStep,
        Self::Retry,
        Self::SteppedDown,
        Self::WentOn,
        Self::Superseded,
    ];
}

/// The state that follows. `linked`: whether the peer is there, after the input.
#[must_use]
pub const fn next(state: PairState, input: PairInput, linked: bool) -> PairState {
    use PairInput::{
        Aligned, CutArrived, GrantedActive, GrantedBackup, LinkDown, LinkUp, LostStep, PeerGone,
        Retry, SteppedDown, Superseded, WentOn,
    };
    use PairState::{Active, Resyncing, Synchronised, TakingOver, Unpaired, Unsynchronised};
    match (state, input) {
        (_, GrantedActive) => Active,
        (_, GrantedBackup) if linked => Resyncing,
        (_, GrantedBackup) => Unpaired,
        // Whoever holds the generation holds it until another one is granted, to it or to somebody else.
        (Active, Superseded) if linked => Unsynchronised,
        (Active, Superseded) => Unpaired,
        (Active, _) => Active,
        // What it knew of the active's stream was not all.
        (TakingOver, LostStep) => Unsynchronised,
        // It said nothing in between.
        (TakingOver, WentOn) => Synchronised,
        // A peer that comes back before the grant has a new numbering; what was agreed is inherited still.
        (TakingOver, _) => TakingOver,
        (Synchronised, PeerGone | SteppedDown) => TakingOver,
        // A peer that nobody hears may place messages alone.
        (Synchronised, LinkDown) => Unsynchronised,
        (_, LinkDown | PeerGone) => Unpaired,
        (_, LinkUp | CutArrived) => Resyncing,
        (Resyncing, Aligned) => Synchronised,
        (Resyncing | Synchronised, LostStep) => Unsynchronised,
        (Resyncing | Unsynchronised, Retry) if linked => Resyncing,
        (Unsynchronised, Retry) => Unpaired,
        (Unpaired | Synchronised | Resyncing, Retry)
        | (Unpaired | Synchronised | Unsynchronised, Aligned)
        | (Unpaired | Unsynchronised, LostStep)
        | (Unpaired | Resyncing | Unsynchronised, SteppedDown)
        | (_, WentOn | Superseded) => state,
    }
}

impl fmt::Display for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpaired => "unpaired",
            Self::Resyncing => "resyncing",
            Self::Synchronised => "synchronised",
            Self::Unsynchronised => "unsynchronised",
            Self::TakingOver => "taking over",
            Self::Active => "active",
        })
    }
}

impl fmt::Display for PairInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkUp => "link up",
            Self::LinkDown => "link down",
            Self::PeerGone => "peer gone",
            Self::GrantedActive => "granted active",
            Self::GrantedBackup => "granted backup",
            Self::CutArrived => "cut arrived",
            Self::Aligned => "aligned",
            Self::LostStep => "lost step",
            Self::Retry => "retry",
            Self::SteppedDown => "stepped down",
            Self::WentOn => "went on",
            Self::Superseded => "superseded",
        })
    }
}
