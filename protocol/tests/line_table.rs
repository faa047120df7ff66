//! What does each event do in each state? Every state is met with every event, and what comes of it is
//! compared with the committed table `protocol/tables/lines.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test line_table`.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod committed;
mod line_support;

use std::fmt::Write as _;

use committed::assert_committed;
use line_support::{Notes, limits, run};
use twinfeed_protocol::{Lines, LinesState};

/// Scripts in the words of `line_cases.rs` that lead into every state worth telling apart.
const STATES: [(&str, LinesState, &str); 12] = [
    ("Unborn", LinesState::Unborn, "+0"),
    ("Unborn, A spoke", LinesState::Unborn, "A 7 1 a b"),
    ("Open", LinesState::Open, "A 7 1 a b; B 7 1 a b"),
    (
        "Open, hole",
        LinesState::Open,
        "A 7 1 a b; B 7 1 a b; A 7 4 d",
    ),
    (
        "Open, both passed the hole",
        LinesState::Open,
        "A 7 1 a b; B 7 1 a b; A 7 4 d; B 7 4 d",
    ),
    (
        "Open, A said the end",
        LinesState::Open,
        "A 7 1 a b; B 7 1 a b; A 7 end 3",
    ),
    (
        "Open, A jumped",
        LinesState::Open,
        "A 7 1 a b; B 7 1 a b; A 7 50 x",
    ),
    (
        "Open, A in epoch 8",
        LinesState::Open,
        "A 7 1 a b; B 7 1 a b; A 8 1 x",
    ),
    (
        "Open after epoch 7",
        LinesState::Open,
        "A 7 1 a; A 7 end 2; +9; A 8 1 x; B 8 1 x; A 8 2 y; +9",
    ),
    ("Stale", LinesState::Stale, "A 7 1 a b; B 7 1 a b; +3000"),
    (
        "Ended",
        LinesState::Ended,
        "A 7 1 a b; B 7 1 a b; A 7 end 3; B 7 end 3; +2",
    ),
    (
        "Ended, A in epoch 8",
        LinesState::Ended,
        "A 7 1 a b; B 7 1 a b; A 7 end 3; B 7 end 3; +2; A 8 1 x",
    ),
];

const EVENTS: [(&str, &str); 19] = [
    ("next packet on B", "B 7 3 c"),
    ("next packet on both lines", "A 7 3 c; B 7 3 c"),
    ("early packet on B", "B 7 5 e"),
    ("copy on B", "B 7 2 b"),
    ("copy with other bytes on B", "B 7 2 X"),
    ("heartbeat on B", "B 7 hb 3"),
    ("heartbeat ahead on B", "B 7 hb 5"),
    ("end on B", "B 7 end 3"),
    ("end ahead on B", "B 7 end 5"),
    ("end below on B", "B 7 end 2"),
    ("jump on B", "B 7 50 x"),
    (
        "four after a jump on B",
        "B 7 50 w; B 7 51 x; B 7 52 y; B 7 53 z",
    ),
    ("epoch 8 on B", "B 8 1 x"),
    ("four of epoch 8 on B", "B 8 1 x; B 8 2 y; B 8 3 z; B 8 4 w"),
    ("end of epoch 8 on B", "B 8 end 1"),
    ("number 0 on B", "B 7 0 x"),
    ("2 ms pass", "+2"),
    ("a minute passes", "+60000"),
    ("close", "close"),
];

#[test]
fn every_state_meets_every_event() {
    let mut table = String::from(
        "# Lines: state × event\n\n\
         Written by `cargo test -p twinfeed-protocol --test line_table` with `UPDATE_TABLES=1`; the same test \
         without it\nfails when the machine does anything else. Numbers and times as in `tests/line_cases.rs`: \
         `3c` is message 3, `lost 3..4`\na range given up. In every state but the first two, messages 1 and 2 of \
         epoch 7 were delivered.\n",
    );
    for (name, state, script) in STATES {
        writeln!(
            table,
            "\n## {name}\n\n`{script}`\n\n| event | told | then |\n|---|---|---|"
        )
        .unwrap();
        for (event, input) in EVENTS {
            let mut lines = Lines::new(limits()).unwrap();
            let mut notes = Notes::default();
            run(&mut lines, &mut notes, script);
            assert_eq!(lines.state(), state, "{name}");
            notes.told.clear();
            let before = *lines.counters();
            run(&mut lines, &mut notes, input);
            let told: Vec<String> = notes
                .told
                .iter()
                .map(|(_, told)| told.to_string())
                .collect();
            let counted = counted(&format!("{before:?}"), &format!("{:?}", lines.counters()));
            let held = if lines.held() > 0 {
                format!(", {} held", lines.held())
            } else {
                String::new()
            };
            let wait = match lines.next_deadline() {
                None => String::new(),
                Some(at) => format!(", acts in {} ms", at.since(notes.now).as_millis()),
            };
            writeln!(
                table,
                "| {event} `{input}` | {}{counted} | {:?}{held}{wait} |",
                told.join(", "),
                lines.state()
            )
            .unwrap();
        }
    }
    assert_committed("lines", &table);
}

/// The names of the counters that went up, apart from those that the table shows anyway.
fn counted(before: &str, after: &str) -> String {
    let fields = |text: &str| -> Vec<String> {
        let inner = text
            .trim_start_matches("LineCounters { ")
            .trim_end_matches(" }");
        inner.split(", ").map(str::to_owned).collect()
    };
    let changed = fields(before)
        .into_iter()
        .zip(fields(after))
        .filter(|(before, after)| before != after);
    let names: Vec<String> = changed
        .map(|(_, after)| after.split(':').next().unwrap().to_owned())
        .filter(|name| !["messages", "gaps", "abandoned", "epochs"].contains(&name.as_str()))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" *{}*", names.join(", "))
    }
}
