//! The handler is started in mid-session: it owes everything from then on, and of what was before nothing.

use super::super::score::{A, B, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "late-start",
    about: "the handler is started in mid-session",
    matrix: "N12",
    first: 1,
    joins_late: true,
    compose,
};

fn compose(score: &mut Score) {
    score.clean(40);
    score.handler_starts();
    // The first that it hears comes on one line alone, then on the other.
    let parcel = score.parcel();
    score.send(B, &parcel);
    let parcel = score.parcel();
    score.send(A, &parcel);
    score.clean(60);
}
