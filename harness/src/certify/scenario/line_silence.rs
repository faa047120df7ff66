//! One line falls silent, heartbeats and all, while the other goes on; then the other way round.

use twinfeed_exchange::LineId;

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "line-silence",
    about: "one line falls silent, heartbeats and all, while the other goes on",
    matrix: "N10",
    first: 1,
    joins_late: false,
    compose,
};

/// Parcels while one line is silent.
const SPELL: u32 = 60;

fn compose(score: &mut Score) {
    score.clean(10);
    for speaks in LineId::ALL {
        for _ in 0..SPELL {
            let parcel = score.parcel();
            score.send(&[speaks], &parcel);
        }
        // Longer than a line may be silent, with the other one alone alive.
        let silence = score.settings().silence;
        score.idle(&[speaks], silence * 5 / 4);
        for _ in 0..SPELL {
            let parcel = score.parcel();
            score.send(&[speaks], &parcel);
        }
        score.clean(10);
    }
}
