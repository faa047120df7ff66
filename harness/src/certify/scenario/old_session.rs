//! A session is over and another one is on; then packets of the old one come again, as of a sender that was stopped
//! and goes on: some that were delivered, and one that never was.

use std::time::Duration;

use twinfeed_exchange::LineId;

use super::super::score::{BOTH, Parcel, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "old-session",
    about: "packets of the session before come again while the next one is on",
    matrix: "N8",
    first: 1,
    joins_late: false,
    compose,
};

/// How many of them.
const ROUNDS: usize = 20;

fn compose(score: &mut Score) {
    let mut old: Vec<Parcel> = Vec::new();
    for _ in 0..ROUNDS {
        let parcel = score.parcel();
        score.send(BOTH, &parcel);
        old.push(parcel);
    }
    let heartbeat = score.heartbeat();
    score.end_session(BOTH);
    score.next_session();
    score.clean(10);
    for parcel in &old {
        let line = LineId::ALL[score.dice.below(2) as usize];
        score.repeat(&[line], parcel, Duration::ZERO);
        score.noise(BOTH, &heartbeat, "of the session before");
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    // Messages behind what was its end.
    let last = old
        .last()
        .map_or(0, |parcel| parcel.first + u64::from(parcel.count));
    for parcel in &old[..4] {
        let mut bytes = parcel.bytes.clone();
        bytes[10..18].copy_from_slice(&last.to_be_bytes());
        score.noise(BOTH, &bytes, "behind the end of the session before");
        score.clean(1);
    }
    score.clean(10);
}
