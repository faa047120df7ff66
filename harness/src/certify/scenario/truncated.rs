//! Datagrams arrive cut off.

use super::super::score::{Parcel, Score};
use super::{Scenario, broken_packets};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "truncated",
    about: "datagrams are cut off, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    broken_packets(
        score,
        ["truncated", "truncated on both lines"],
        Score::parcel,
        |score, parcel, _| cut(score, parcel),
    );
}

/// Anywhere: in the header, in a length, in a message.
fn cut(score: &mut Score, parcel: &Parcel) -> Vec<u8> {
    // A packet is shorter than 1,500 bytes.
    let length = 1 + score.dice.below(parcel.bytes.len() as u32 - 1);
    parcel.bytes[..length as usize].to_vec()
}
