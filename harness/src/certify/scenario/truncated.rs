//! Datagrams arrive cut off.

use twinfeed_exchange::LineId;

use super::super::score::{BOTH, Parcel, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "truncated",
    about: "datagrams are cut off, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

/// Packets cut on one line.
const ROUNDS: u32 = 24;

fn compose(score: &mut Score) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        let other = LineId::ALL[1 - line.index()];
        let parcel = score.parcel();
        let bytes = cut(score, &parcel);
        score.send_broken(&[line], &parcel, &bytes, "truncated");
        score.send(&[other], &parcel);
        if round % 6 == 5 {
            let parcel = score.parcel();
            let bytes = cut(score, &parcel);
            score.send_broken(BOTH, &parcel, &bytes, "truncated on both lines");
        }
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    score.clean(10);
}

/// Anywhere: in the header, in a length, in a message.
fn cut(score: &mut Score, parcel: &Parcel) -> Vec<u8> {
    // A packet is shorter than 1,500 bytes.
    let length = 1 + score.dice.below(parcel.bytes.len() as u32 - 1);
    parcel.bytes[..length as usize].to_vec()
}
