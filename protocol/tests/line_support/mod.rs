//! What the lines' tests share: a sink that writes down what it is told, and a clock that visits every
//! deadline on its way.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use std::ops::Range;

use std::time::Duration;

use twinfeed_protocol::{EpochStart, Line, LineLimits, Lines, Source, Time};
use twinfeed_wire::Epoch;

/// What came out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Begin(EpochStart),
    Message(u64, Vec<u8>, u64),
    Abandoned(Range<u64>),
    Ended(Epoch, u64),
    Stale(bool),
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begin(start) => write!(
                f,
                "begin {} at {}{} after {}",
                start.epoch.0,
                start.first,
                if start.complete { " complete" } else { "" },
                start.predecessor.0
            ),
            Self::Message(sseq, bytes, _) => {
                write!(f, "{sseq}{}", String::from_utf8_lossy(bytes))
            }
            Self::Abandoned(range) => write!(f, "lost {}..{}", range.start, range.end),
            Self::Ended(epoch, next) => write!(f, "ended {} at {next}", epoch.0),
            Self::Stale(stale) => write!(f, "{}", if *stale { "stale" } else { "fresh" }),
        }
    }
}

/// Writes down what it is told, and when.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) now: Time,
    pub(crate) told: Vec<(Time, Told)>,
}

impl Source for Notes {
    fn begin(&mut self, start: EpochStart) {
        self.told.push((self.now, Told::Begin(start)));
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        self.told
            .push((self.now, Told::Message(sseq, bytes.to_vec(), received_at)));
    }

    fn abandoned(&mut self, range: Range<u64>) {
        self.told.push((self.now, Told::Abandoned(range)));
    }

    fn ended(&mut self, epoch: Epoch, next_sseq: u64) {
        self.told.push((self.now, Told::Ended(epoch, next_sseq)));
    }

    fn stale(&mut self, stale: bool) {
        self.told.push((self.now, Told::Stale(stale)));
    }
}

/// Lets the time until `until` pass, deadline by deadline.
pub(crate) fn pass(lines: &mut Lines, notes: &mut Notes, until: Time) {
    let mut visits = 0;
    while let Some(deadline) = lines.next_deadline().filter(|&deadline| deadline <= until) {
        notes.now = notes.now.max(deadline);
        lines.on_deadline(notes.now, notes);
        visits += 1;
        assert!(
            visits < 100_000,
            "a deadline that does not go away: {deadline}"
        );
    }
    notes.now = notes.now.max(until);
}

/// Bounds small enough to reach.
pub(crate) fn limits() -> LineLimits {
    LineLimits {
        held_messages: 16,
        held_bytes: 1_024,
        window: 8,
        ..LineLimits::default()
    }
}

/// Plays a script; see `line_cases.rs` for its words.
pub(crate) fn run(lines: &mut Lines, notes: &mut Notes, script: &str) {
    for step in script.split(';').map(str::trim) {
        let words: Vec<&str> = step.split_whitespace().collect();
        let now = notes.now;
        match words.as_slice() {
            ["close"] => lines.on_close(now, notes),
            [wait] if wait.starts_with('+') => {
                let span = Duration::from_millis(wait[1..].parse().unwrap());
                pass(lines, notes, now.after(span));
            }
            [line, epoch, rest @ ..] => {
                let line = if *line == "A" { Line::A } else { Line::B };
                let epoch = Epoch(epoch.parse().unwrap());
                match rest {
                    ["hb", next] => lines.on_heartbeat(line, now, epoch, number(next), notes),
                    ["end", next] => lines.on_end(line, now, epoch, number(next), notes),
                    [first, messages @ ..] => lines.on_packet(
                        line,
                        now,
                        epoch,
                        number(first),
                        messages.len() as u16,
                        messages
                            .iter()
                            .map(|text| text.trim_matches('_').as_bytes()),
                        0,
                        notes,
                    ),
                    [] => panic!("{step}: what?"),
                }
            }
            other => panic!("{other:?}: what?"),
        }
    }
}

fn number(text: &str) -> u64 {
    if let Some(below) = text.strip_prefix("max-") {
        u64::MAX - below.parse::<u64>().unwrap()
    } else {
        text.parse().unwrap()
    }
}
