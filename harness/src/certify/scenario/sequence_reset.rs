//! The exchange restarts and numbers the same session afresh.
//!
//! MoldUDP64 does not provide for that, so a handler needs evidence: both lines stand far below what was delivered, in
//! heartbeats as well as in data. The step is as wide as no reordering is.

use super::super::score::{BOTH, HEARTBEAT, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "sequence-reset",
    about: "the same session begins again at number 1",
    matrix: "N13, N15",
    first: 1_000_001,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(40);
    score.begin_again(1);
    score.idle(BOTH, HEARTBEAT * 2);
    score.clean(60);
}
