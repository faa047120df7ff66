//! Packets come again: at once, and after others, on the line that had them and on both.

use std::time::Duration;

use twinfeed_exchange::LineId;

use super::super::score::{BOTH, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "duplicate",
    about: "packets are repeated, at once and late, on one line and on both",
    matrix: "N4",
    first: 1,
    joins_late: false,
    compose,
};

/// Rounds, one of each kind of repetition.
const ROUNDS: u32 = 20;

fn compose(score: &mut Score) {
    score.clean(10);
    let late = score.settings().skew;
    for _ in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        let parcel = score.parcel();
        score.send(BOTH, &parcel);
        score.repeat(&[line], &parcel, Duration::ZERO);
        let parcel = score.parcel();
        score.send(BOTH, &parcel);
        score.repeat(BOTH, &parcel, late);
        // Of this one each line has what the other repeats.
        let parcel = score.parcel();
        score.send(&[line], &parcel);
        score.repeat(&[line], &parcel, late / 2);
        score.clean(2);
    }
    score.clean(10);
}
