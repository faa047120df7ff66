//! What do the worlds say of the machines that are built in?
//!
//! Runs in the copy, where the machines have choices; built from the sources as they are, it says what the worlds say of
//! those.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};

use twinfeed_simulate::world::{self, Kind};

/// Every kind of world: the name under which it is asked for, and how many seeds of the shortest kind take as long as one
/// of its own.
pub const KINDS: [(&str, Kind, u64); 5] = [
    ("alone", Kind::Alone, 1),
    ("pair", Kind::Pair, 1),
    ("filled", Kind::Filled, 2),
    ("joined", Kind::Joined, 2),
    ("long", Kind::Long, 20),
];

/// The kind of that name.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    let mut known = KINDS.into_iter().filter(|(of, ..)| *of == name);
    known.next().map(|(_, kind, _)| kind)
}

/// The last lines of what happens in the world of one seed.
#[must_use]
pub fn trace(kind: Kind, seed: u64, lines: usize) -> Vec<String> {
    world::run(kind.draw(seed), lines).trace
}

/// The first of `seeds` whose world breaks a promise, and which; no more than that one is run.
#[must_use]
pub fn first_broken(kind: Kind, seeds: core::ops::Range<u64>) -> Option<(u64, String)> {
    let (said, heard) = channel();
    let all = seeds.clone();
    // A machine may spin for ever under a fault; it must not take everything else with it.
    std::thread::spawn(move || {
        for seed in all {
            let broken = broken_by(kind, seed);
            let last = broken.is_some();
            if said.send(broken).is_err() || last {
                return;
            }
        }
    });
    for seed in seeds {
        match heard.recv_timeout(PATIENCE) {
            Ok(None) => {}
            Ok(Some(broken)) => return Some((seed, broken)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Some((seed, format!("no answer within {PATIENCE:?}")));
            }
        }
    }
    None
}

/// The promise that the world of one seed breaks, if it breaks one.
fn broken_by(kind: Kind, seed: u64) -> Option<String> {
    let run = || world::run(kind.draw(seed), 0);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome.violations.first().map(ToString::to_string),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

/// A world takes milliseconds. Who has not answered after so long spins.
const PATIENCE: Duration = Duration::from_secs(60);
