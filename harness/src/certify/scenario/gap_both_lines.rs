//! What both lines lose is lost: every range of it must be declared, exactly, in its place.

use super::super::score::{A, B, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "gap-both-lines",
    about: "the same packets are lost on both lines",
    matrix: "N2, N3",
    first: 1,
    joins_late: false,
    compose,
};

/// Losses.
const ROUNDS: u32 = 12;
/// Most packets lost in a row, on both lines.
const BURST: u32 = 4;

fn compose(score: &mut Score) {
    score.clean(10);
    for _ in 0..ROUNDS {
        // A packet that line A alone loses in front, and one that line B alone loses behind: the ranges differ by
        // line, the truth is what they have in common.
        let front = score.parcel();
        score.send(B, &front);
        for _ in 0..=score.dice.below(BURST) {
            score.parcel();
        }
        let behind = score.parcel();
        score.send(A, &behind);
        let between = 2 + score.dice.below(5);
        score.clean(between);
    }
    score.clean(10);
}
