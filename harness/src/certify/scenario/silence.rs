//! Both lines fall silent, heartbeats and all, then go on where they were: nothing was sent, so nothing is lost.

use super::super::score::{BOTH, HEARTBEAT, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "silence",
    about: "both lines fall silent, heartbeats and all, then go on",
    matrix: "N10",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(30);
    score.silence();
    score.idle(BOTH, HEARTBEAT * 2);
    score.clean(30);
}
