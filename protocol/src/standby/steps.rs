//! Which inputs came in which states?

use super::state::{StandbyInput, StandbyState, Suspicion};

/// How often each input came in each state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Steps {
    counts: [[u32; INPUTS]; StandbyState::ALL.len()],
}

/// One for each suspicion, one for calm, one for a hold-down that is over.
const INPUTS: usize = Suspicion::ALL.len() + 2;

const fn place(input: StandbyInput) -> usize {
    match input {
        StandbyInput::Suspected(suspicion) => suspicion as usize,
        StandbyInput::Calm => Suspicion::ALL.len(),
        StandbyInput::HeldDown => Suspicion::ALL.len() + 1,
    }
}

impl Steps {
    pub(super) fn note(&mut self, state: StandbyState, input: StandbyInput) {
        let count = &mut self.counts[state as usize][place(input)];
        *count = count.saturating_add(1);
    }

    /// How often `input` came in `state`.
    #[must_use]
    pub const fn count(&self, state: StandbyState, input: StandbyInput) -> u32 {
        self.counts[state as usize][place(input)]
    }
}
