//! `protocol/tables/pair.md`: the state of a pair's end × what happens to it, without the peer and with it.

use twinfeed_protocol::pair::state::{PairInput, next};
use twinfeed_protocol::pair::{PairState, Steps};

use super::{Cell, Coverage, Machine, Table};

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Pair,
    name: "pair",
    cells: STATES * INPUTS * 2,
    label,
    is_transition,
    excuse,
};

const STATES: usize = PairState::ALL.len();
const INPUTS: usize = PairInput::ALL.len();

/// Adds what one end of a pair met.
pub fn add(coverage: &mut Coverage, steps: &Steps) {
    for place in 0..TABLE.cells {
        let (state, input, linked) = at(place);
        let times = u64::from(steps.count(state, input, linked));
        let machine = Machine::Pair;
        coverage.hit_often(Cell { machine, place }, times);
    }
}

fn at(place: usize) -> (PairState, PairInput, bool) {
    let (row, linked) = (place / 2, place % 2 == 1);
    (
        PairState::ALL[row / INPUTS],
        PairInput::ALL[row % INPUTS],
        linked,
    )
}

fn label(place: usize) -> String {
    let (state, input, linked) = at(place);
    let to = next(state, input, linked);
    let peer = if linked { "there" } else { "not there" };
    format!("{state} × {input}, peer {peer} → {to}")
}

fn is_transition(place: usize) -> bool {
    let (state, input, linked) = at(place);
    next(state, input, linked) != state
}

fn excuse(place: usize) -> Option<&'static str> {
    let (state, input, linked) = at(place);
    match (input, linked) {
        (PairInput::LinkUp, false) => Some("the peer is there when the link is up"),
        (PairInput::LinkDown | PairInput::PeerGone, true) => {
            Some("the peer is not there when the link is down")
        }
        (
            PairInput::CutArrived
            | PairInput::SteppedDown
            | PairInput::WentOn
            | PairInput::Superseded,
            false,
        ) => Some("the peer has just said it"),
        (PairInput::LinkUp, true) if state == PairState::Synchronised => {
            Some("a link that comes up was down, which led out of that state")
        }
        (_, true) if state == PairState::Unpaired && input != PairInput::LinkUp => {
            Some("the link's coming up has led out of that state before")
        }
        (PairInput::LinkDown | PairInput::PeerGone, false) => None,
        // Who is gone may have placed what is missing here.
        (PairInput::LostStep, false) if state == PairState::Synchronised => None,
        (PairInput::LostStep, false) if state == PairState::Resyncing => {
            Some("who seeks its place has agreed to nothing that it could lack")
        }
        _ if !linked && matches!(state, PairState::Resyncing | PairState::Synchronised) => {
            Some("the link's end has led out of that state before")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_committed_table() {
        let pages = page(include_str!("../../../protocol/tables/pair.md"));
        let [section] = pages.as_slice() else {
            panic!("{pages:?}");
        };
        let rows: Vec<&str> = section.rows.iter().map(|row| row.0.as_str()).collect();
        let inputs: Vec<String> = PairInput::ALL.map(|input| input.to_string()).into();
        assert_eq!(rows, inputs);
        // 12 rows of 6 states, each twice.
        assert_eq!(TABLE.cells, 144);
        let counted = (0..TABLE.cells).filter(|&place| is_transition(place));
        assert!(counted.count() > 50);
    }
}
