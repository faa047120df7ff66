//! Another session begins, and both lines lost the end of the one before.

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rollover-unmarked",
    about: "another session begins, both lines lost the end of the one before",
    matrix: "N9",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(40);
    score.next_session();
    score.clean(40);
}
