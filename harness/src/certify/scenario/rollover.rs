//! Sessions follow each other; of the second one's end one line alone tells.

use super::super::score::{A, BOTH, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rollover",
    about: "three sessions follow each other; one line loses the second's end",
    matrix: "N9",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(30);
    score.end_session(BOTH);
    score.next_session();
    score.clean(30);
    score.end_session(A);
    score.next_session();
    score.clean(40);
}
