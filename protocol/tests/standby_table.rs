//! What does each input do in each state of a backup? Every state is met with every input, and what comes of it is
//! compared with the committed table `protocol/tables/standby.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test standby_table`.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod committed;

use std::fmt::Write as _;

use committed::assert_committed;
use twinfeed_protocol::standby::state::{StandbyInput, StandbyState, Suspicion, next};

fn inputs() -> impl Iterator<Item = StandbyInput> {
    Suspicion::ALL
        .into_iter()
        .map(StandbyInput::Suspected)
        .chain([StandbyInput::Calm, StandbyInput::HeldDown])
}

fn table() -> String {
    let mut text = String::from(
        "# A backup's transmission: state × input\n\nMade by `protocol/tests/standby_table.rs`; `–`: nothing changes. \
         From *standby* to *transmitting* what\nis withheld is sent first. Of several suspicions the topmost is told; \
         the last two, which the stream itself\nends its standby for, come before them.\n\n| |",
    );
    for state in StandbyState::ALL {
        write!(text, " {state} |").unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(StandbyState::ALL.len()));
    text.push('\n');
    for input in inputs() {
        write!(text, "| {input} |").unwrap();
        for state in StandbyState::ALL {
            let to = next(state, input);
            if to == state {
                text.push_str(" – |");
            } else {
                write!(text, " {to} |").unwrap();
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_state_meets_every_input_as_the_table_says() {
    assert_committed("standby", &table());
}

#[test]
fn whoever_suspects_transmits_and_only_a_hold_down_ends_that() {
    for state in StandbyState::ALL {
        for input in inputs() {
            let to = next(state, input);
            if let StandbyInput::Suspected(_) = input {
                assert_eq!(to, StandbyState::Transmitting, "{state} {input}");
            }
            let withholds = state != StandbyState::Standby && to == StandbyState::Standby;
            let held = state == StandbyState::Settling && input == StandbyInput::HeldDown;
            assert!(!withholds || held, "{state} {input}");
        }
    }
}
