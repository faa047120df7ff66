//! What does each event do in each state of a stream? Every state is met with every event, and what comes
//! of it is compared with the committed table `protocol/tables/sequencer.md`.
//!
//! After a wanted change: `UPDATE_TABLES=1 cargo test -p twinfeed-protocol --test sequencer_table`.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod committed;
mod sequencer_support;

use std::fmt::Write as _;

use committed::assert_committed;
use sequencer_support::{OPAQUE, Receiver, Sent, at, sequencer, start};
use twinfeed_protocol::{Body, Now, Sequencer, SequencerState};
use twinfeed_wire::{Adm, Flags, Generation};

type Step = fn(&mut Sequencer, Now, &mut Receiver);

fn message(sequencer: &mut Sequencer, now: Now, sseq: u64, count: usize, out: &mut Receiver) {
    let bodies = vec![
        Body {
            kind: OPAQUE,
            bytes: b"x"
        };
        count
    ];
    sequencer.message(now, sseq, 5, bodies.into_iter(), out);
}

const OPEN: Step = |s, now, out| s.begin_epoch(now, start(7, 1, 0), out);

const STATES: [(&str, SequencerState, &[Step]); 6] = [
    ("Unborn", SequencerState::Unborn, &[]),
    ("Open", SequencerState::Open, &[OPEN]),
    (
        "Open, a record under way",
        SequencerState::Open,
        &[OPEN, |s, now, out| message(s, now, 1, 1, out)],
    ),
    (
        "Open, 1 covered",
        SequencerState::Open,
        &[OPEN, |s, now, out| message(s, now, 1, 0, out)],
    ),
    (
        "Ended at 1",
        SequencerState::Ended,
        &[OPEN, |s, now, out| s.end_epoch(now, 1, out)],
    ),
    (
        "Closed",
        SequencerState::Closed,
        &[OPEN, |s, now, out| s.end_of_stream(now, out)],
    ),
];

const EVENTS: [(&str, Step); 18] = [
    ("message 2", |s, now, out| message(s, now, 2, 1, out)),
    ("message 2, covered", |s, now, out| {
        message(s, now, 2, 0, out);
    }),
    ("message 0", |s, now, out| message(s, now, 0, 1, out)),
    ("abandon 2..4", |s, now, out| s.abandon(now, 2..4, out)),
    ("abandon 0..1", |s, now, out| s.abandon(now, 0..1, out)),
    ("end of the epoch at 2", |s, now, out| {
        s.end_epoch(now, 2, out);
    }),
    ("end of the epoch at 0", |s, now, out| {
        s.end_epoch(now, 0, out);
    }),
    ("epoch 8 begins", |s, now, out| {
        s.begin_epoch(now, start(8, 1, 7), out);
    }),
    ("epoch 7 begins again", |s, now, out| {
        s.begin_epoch(now, start(7, 1, 0), out);
    }),
    ("epoch 0 begins", |s, now, out| {
        s.begin_epoch(now, start(0, 1, 7), out);
    }),
    ("flush", |s, now, out| s.flush(now, out)),
    ("deadline", |s, now, out| {
        s.on_deadline(
            Now {
                time: now.time.after(sequencer_support::INTERVAL),
                ..now
            },
            out,
        );
    }),
    ("generation 1", |s, now, out| {
        s.open_generation(now, Generation(1), Adm(0), out);
    }),
    ("generation 0", |s, now, out| {
        s.open_generation(now, Generation(0), Adm(0), out);
    }),
    ("peer lost", |s, now, out| s.set_peer_lost(now, true, out)),
    ("peer back", |s, now, out| s.set_peer_lost(now, false, out)),
    ("source stale", |s, now, out| {
        s.set_source_stale(now, true, out);
    }),
    ("end of stream", |s, now, out| s.end_of_stream(now, out)),
];

#[test]
fn every_state_meets_every_event() {
    let mut table = String::from(
        "# Sequencer: state × event\n\n\
         Written by `cargo test -p twinfeed-protocol --test sequencer_table` with `UPDATE_TABLES=1`; the same test \
         without it\nfails when the machine does anything else. A heartbeat is shown as `prev→next`.\n",
    );
    for (name, state, steps) in STATES {
        writeln!(
            table,
            "\n## {name}\n\n| event | sent | then |\n|---|---|---|"
        )
        .unwrap();
        for (event, step) in EVENTS {
            let (mut sequencer, mut out) = (sequencer(), Receiver::default());
            for step in steps {
                step(&mut sequencer, at(1), &mut out);
            }
            assert_eq!(sequencer.state(), state, "{name}");
            out.sent.clear();
            let refused = sequencer.counters().refused;
            step(&mut sequencer, at(1), &mut out);
            let refused = if sequencer.counters().refused > refused {
                " *refused*"
            } else {
                ""
            };
            let next = sequencer
                .next_pos()
                .map_or(String::new(), |pos| format!(", next {}", pos.sseq));
            writeln!(
                table,
                "| {event} | {}{refused} | {:?}{next} |",
                show(&out.sent),
                sequencer.state()
            )
            .unwrap();
        }
    }
    assert_committed("sequencer", &table);
}

/// Equal datagrams in a row are shown once, with their number.
fn show(sent: &[Sent]) -> String {
    let mut shown: Vec<(String, usize)> = Vec::new();
    for sent in sent {
        let flags = [
            (Flags::END_OF_STREAM, " end of stream"),
            (Flags::PEER_LOST, " peer lost"),
            (Flags::SOURCE_STALE, " source stale"),
            (Flags::INCOMPLETE, " incomplete"),
        ];
        let mut text = match &sent.beat {
            None => format!("{} record", sent.records.len()),
            Some((beat, _)) => {
                let ended = if beat.ended { " ended" } else { "" };
                format!(
                    "epoch {} {}→{}{ended}",
                    sent.header.epoch.0, beat.prev, beat.next_sseq
                )
            }
        };
        for (flag, word) in flags {
            text += if sent.header.flags.has(flag) {
                word
            } else {
                ""
            };
        }
        match shown.last_mut() {
            Some((last, count)) if *last == text => *count += 1,
            _ => shown.push((text, 1)),
        }
    }
    let shown: Vec<String> = shown
        .into_iter()
        .map(|(text, count)| {
            if count == 1 {
                text
            } else {
                format!("{count} × {text}")
            }
        })
        .collect();
    shown.join(", ")
}
