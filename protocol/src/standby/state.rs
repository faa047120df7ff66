//! Where can a backup stand, what is a suspicion, and what follows?

use core::fmt;

/// Whether a backup transmits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StandbyState {
    /// It transmits, and does not mean to stop.
    Transmitting,
    /// It transmits; nothing has been suspected of the active for less than the hold-down.
    Settling,
    /// It numbers its stream and withholds it.
    Standby,
}

/// What is held against withholding a stream. The first that holds is the one that is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Suspicion {
    /// The pair is configured so that both transmit, or no memory was set aside.
    Hot,
    /// This end is the active, or nobody said that it is backup.
    NotBackup,
    /// There is no link to the active.
    LinkDown,
    /// The active's reports, which its sequencing thread makes, stay away.
    Silence,
    /// The active hears nothing from its source, and this end does.
    SourceStale,
    /// The active reports, and stands still while this end has gone on.
    Behind,
    /// This end's context is complete and the active's is another one: it is outranked.
    Context,
    /// The stream ended its standby itself: it had no room for what the active has not reported.
    Full,
    /// The stream ended its standby itself: a generation began, or the source stepped back.
    Upheaval,
}

/// What happens to a backup.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StandbyInput {
    /// Something is suspected.
    Suspected(Suspicion),
    /// Nothing is.
    Calm,
    /// Nothing was for as long as the hold-down.
    HeldDown,
}

impl StandbyState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Transmitting, Self::Settling, Self::Standby];
}

impl Suspicion {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Hot,
        Self::NotBackup,
        Self::LinkDown,
        Self::Silence,
        Self::SourceStale,
        Self::Behind,
        Self::Context,
        Self::Full,
        Self::Upheaval,
    ];
}

/// The state that follows.
#[must_use]
pub const fn next(state: StandbyState, input: StandbyInput) -> StandbyState {
    match (state, input) {
        (_, StandbyInput::Suspected(_)) => StandbyState::Transmitting,
        (StandbyState::Transmitting, StandbyInput::Calm) => StandbyState::Settling,
        (StandbyState::Settling, StandbyInput::HeldDown) => StandbyState::Standby,
        (state, StandbyInput::Calm | StandbyInput::HeldDown) => state,
    }
}

impl fmt::Display for StandbyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transmitting => "transmitting",
            Self::Settling => "settling",
            Self::Standby => "standby",
        })
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "both adapters transmit by configuration",
            Self::NotBackup => "this end is not the backup",
            Self::LinkDown => "the pair link is down",
            Self::Silence => "the active's reports stay away",
            Self::SourceStale => "the active hears nothing from its source",
            Self::Behind => "the active stands still while the source goes on",
            Self::Context => "the active's context is outranked by this end's",
            Self::Full => "there was no room for what the active has not reported",
            Self::Upheaval => "a generation began, or the source stepped back",
        })
    }
}

impl fmt::Display for StandbyInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspected(suspicion) => suspicion.fmt(f),
            Self::Calm => f.write_str("nothing is suspected"),
            Self::HeldDown => f.write_str("nothing was for the hold-down"),
        }
    }
}
