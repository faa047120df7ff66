//! What one line loses, the other has: nothing may be lost, and nothing declared.

use twinfeed_exchange::LineId;

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "gap-one-line",
    about: "packets and bursts are lost on one line, never on both",
    matrix: "N1",
    first: 1,
    joins_late: false,
    compose,
};

/// Losses.
const ROUNDS: u32 = 24;
/// Most packets lost in a row.
const BURST: u32 = 5;

fn compose(score: &mut Score) {
    score.clean(10);
    for _ in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        for _ in 0..=score.dice.below(BURST) {
            let parcel = score.parcel();
            score.send(&[line], &parcel);
        }
        let between = score.dice.below(4);
        score.clean(between);
    }
    score.clean(10);
}
