//! What does each input do in each state of a pair's end? Every state is met with every input, and what comes of
//! it is compared with the committed table `protocol/tables/pair.md`, and the diagram made of it with the one in
//! `docs/failover.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test pair_table`.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod committed;

use std::fmt::Write as _;

use committed::assert_committed;
use twinfeed_protocol::pair::PairState;
use twinfeed_protocol::pair::state::{PairInput, next};

fn table() -> String {
    let mut text = String::from(
        "# A pair's end: state × input\n\nMade by `protocol/tests/pair_table.rs`; `–`: nothing changes. Where it \
         matters whether the peer is there\nafter the input, both answers stand: there / not there.\n\n| |",
    );
    for state in PairState::ALL {
        write!(text, " {state} |").unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(PairState::ALL.len()));
    text.push('\n');
    for input in PairInput::ALL {
        write!(text, "| {input} |").unwrap();
        for state in PairState::ALL {
            let word = |linked| {
                let to = next(state, input, linked);
                if to == state {
                    "–".to_owned()
                } else {
                    to.to_string()
                }
            };
            let (there, absent) = (word(true), word(false));
            if there == absent {
                write!(text, " {there} |").unwrap();
            } else {
                write!(text, " {there} / {absent} |").unwrap();
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_state_meets_every_input_as_the_table_says() {
    assert_committed("pair", &table());
}

/// The same as a diagram: one arrow per pair of states.
fn diagram() -> String {
    let id = |state: PairState| state.to_string().replace(' ', "_");
    let mut text = String::from("```mermaid\nstateDiagram-v2\n");
    for state in PairState::ALL {
        writeln!(text, "    state \"{state}\" as {}", id(state)).unwrap();
    }
    writeln!(text, "    [*] --> {}", id(PairState::Unpaired)).unwrap();
    for from in PairState::ALL {
        for to in PairState::ALL.into_iter().filter(|&to| to != from) {
            let leads = |input| {
                let [there, absent] = [true, false].map(|linked| next(from, input, linked) == to);
                match (there, absent) {
                    (true, true) => Some(input.to_string()),
                    (true, false) => Some(format!("{input} (peer there)")),
                    (false, true) => Some(format!("{input} (peer away)")),
                    (false, false) => None,
                }
            };
            let inputs: Vec<String> = PairInput::ALL.into_iter().filter_map(leads).collect();
            if !inputs.is_empty() {
                let inputs = inputs.join(", ");
                writeln!(text, "    {} --> {}: {inputs}", id(from), id(to)).unwrap();
            }
        }
    }
    text.push_str("```\n");
    text
}

#[test]
fn the_diagram_for_operators_is_made_of_the_same_rules() {
    const BEGIN: &str = "<!-- made by protocol/tests/pair_table.rs -->\n";
    const END: &str = "<!-- end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/failover.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (committed, after) = rest.split_once(END).unwrap();
    let text = diagram();
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(path, [before, BEGIN, &text, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(
        text, committed,
        "the diagram changed: read it, then UPDATE_TABLES=1"
    );
}

#[test]
fn only_a_grant_makes_an_active_and_only_a_grant_or_a_later_active_ends_one() {
    for (state, input) in PairState::ALL
        .into_iter()
        .flat_map(|state| PairInput::ALL.map(|input| (state, input)))
    {
        for linked in [true, false] {
            let to = next(state, input, linked);
            let became = state != PairState::Active && to == PairState::Active;
            let ended = state == PairState::Active && to != PairState::Active;
            assert!(
                !became || input == PairInput::GrantedActive,
                "{state} {input}"
            );
            let over = [PairInput::GrantedBackup, PairInput::Superseded];
            assert!(!ended || over.contains(&input), "{state} {input}");
            // Nobody is synchronised who has not taken a numbering over.
            let synchronised = to == PairState::Synchronised && state != PairState::Synchronised;
            let again = state == PairState::TakingOver && input == PairInput::WentOn;
            assert!(
                !synchronised || again || input == PairInput::Aligned,
                "{state} {input}"
            );
        }
    }
}
