//! One line is behind the other, then the other one; what the early line loses comes late.

use std::time::Duration;

use twinfeed_exchange::LineId;

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "skew",
    about: "one line is behind, the early one loses packets; then the other way round",
    matrix: "N6",
    first: 1,
    joins_late: false,
    compose,
};

/// Parcels while one line is behind.
const SPELL: u32 = 60;
/// Of so many packets the early line loses one.
const LOSES_ONE_OF: u32 = 5;

fn compose(score: &mut Score) {
    score.clean(10);
    let skew = score.settings().skew;
    for late in [LineId::B, LineId::A, LineId::B] {
        let early = LineId::ALL[1 - late.index()];
        for _ in 0..SPELL {
            let parcel = score.parcel();
            if score.dice.below(LOSES_ONE_OF) > 0 {
                score.send(&[early], &parcel);
            }
            // Not all equally late, yet in order: the line drifts.
            let drift = skew.mul_f64(0.75) + Duration::from_micros(u64::from(parcel.count));
            score.send_later(&[late], &parcel, drift);
        }
        score.rest(skew * 2);
    }
    score.clean(10);
}
