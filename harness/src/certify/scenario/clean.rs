//! No fault at all: a handler that fails here fails for another reason than the lines.

use super::super::score::{BOTH, HEARTBEAT, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "clean",
    about: "both lines carry everything",
    matrix: "",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(60);
    score.idle(BOTH, HEARTBEAT * 2);
    score.clean(60);
}
