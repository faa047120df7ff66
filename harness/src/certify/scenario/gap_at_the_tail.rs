//! The last messages are lost on both lines, and only heartbeats say that they were sent.

use super::super::score::{BOTH, HEARTBEAT, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "gap-at-the-tail",
    about: "the last packets are lost on both lines, heartbeats alone tell",
    matrix: "N11",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(30);
    for _ in 0..3 {
        score.parcel();
    }
    score.idle(BOTH, HEARTBEAT * 4);
}
