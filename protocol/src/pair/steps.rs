//! Which inputs came in which states?

use super::state::{PairInput, PairState};

/// How often each input came in each state, without the peer and with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Steps {
    counts: [[[u32; 2]; PairInput::ALL.len()]; PairState::ALL.len()],
}

impl Steps {
    pub(super) fn note(&mut self, state: PairState, input: PairInput, linked: bool) {
        let count = &mut self.counts[state as usize][input as usize][usize::from(linked)];
        *count = count.saturating_add(1);
    }

    /// How often `input` came in `state`; `linked`: the times that the peer was there after it.
    #[must_use]
    pub const fn count(&self, state: PairState, input: PairInput, linked: bool) -> u32 {
        self.counts[state as usize][input as usize][linked as usize]
    }
}
