//! The session ends, behind heartbeats and behind packets that one line alone has.

use super::super::score::{A, B, BOTH, HEARTBEAT, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "end-of-session",
    about: "the session ends behind packets that one line alone has",
    matrix: "N9",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(40);
    score.idle(BOTH, HEARTBEAT * 2);
    let parcel = score.parcel();
    score.send(B, &parcel);
    let parcel = score.parcel();
    score.send(A, &parcel);
    score.end_session(BOTH);
}
