//! `protocol/tables/standby.md`: whether a backup transmits × what is suspected of its active.

use twinfeed_protocol::standby::state::{StandbyInput, StandbyState, next};
use twinfeed_protocol::standby::{Steps, Suspicion};

use super::{Cell, Coverage, Machine, Table};

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Standby,
    name: "standby",
    cells: STATES * INPUTS,
    label,
    is_transition,
    excuse,
};

const STATES: usize = StandbyState::ALL.len();
const INPUTS: usize = Suspicion::ALL.len() + 2;

/// Adds what one backup met.
pub fn add(coverage: &mut Coverage, steps: &Steps) {
    for place in 0..TABLE.cells {
        let (state, input) = at(place);
        let times = u64::from(steps.count(state, input));
        let machine = Machine::Standby;
        coverage.hit_often(Cell { machine, place }, times);
    }
}

fn at(place: usize) -> (StandbyState, StandbyInput) {
    let input = match place % INPUTS {
        calm if calm == Suspicion::ALL.len() => StandbyInput::Calm,
        held if held > Suspicion::ALL.len() => StandbyInput::HeldDown,
        suspicion => StandbyInput::Suspected(Suspicion::ALL[suspicion]),
    };
    (StandbyState::ALL[place / INPUTS], input)
}

fn label(place: usize) -> String {
    let (state, input) = at(place);
    format!("{state} × {input} → {}", next(state, input))
}

fn is_transition(place: usize) -> bool {
    let (state, input) = at(place);
    next(state, input) != state
}

fn excuse(place: usize) -> Option<&'static str> {
    match at(place) {
        (_, StandbyInput::Suspected(Suspicion::Hot)) => {
            Some("a pair that is configured so decides nothing")
        }
        (StandbyState::Standby, StandbyInput::Suspected(Suspicion::NotBackup)) => Some(
            "who becomes active opens a generation, for which the stream itself ends its standby",
        ),
        (
            StandbyState::Settling,
            StandbyInput::Suspected(Suspicion::Full | Suspicion::Upheaval),
        ) => Some("only a stream that is withheld ends that by itself"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_committed_table() {
        let pages = page(include_str!("../../../protocol/tables/standby.md"));
        let [section] = pages.as_slice() else {
            panic!("{pages:?}");
        };
        let rows: Vec<&str> = section.rows.iter().map(|row| row.0.as_str()).collect();
        let inputs: Vec<String> = (0..INPUTS).map(|place| at(place).1.to_string()).collect();
        assert_eq!(rows, inputs);
    }
}
