//! The header's message count is not how many messages follow: more, fewer, none.
//!
//! A handler that believes the header takes numbers for delivered that were not, and drops what brings them.

use twinfeed_exchange::LineId;

use super::super::score::{BOTH, Parcel, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "count-lies",
    about: "the header counts more, fewer or no messages than follow, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

/// Lies on one line.
const ROUNDS: u32 = 24;

fn compose(score: &mut Score) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        let other = LineId::ALL[1 - line.index()];
        let parcel = score.parcel_of(3);
        let bytes = lying(&parcel, round);
        score.send_broken(&[line], &parcel, &bytes, "the count lies");
        score.send(&[other], &parcel);
        if round % 6 == 5 {
            let parcel = score.parcel_of(3);
            let bytes = lying(&parcel, 0);
            score.send_broken(BOTH, &parcel, &bytes, "the count lies on both lines");
        }
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    score.clean(10);
}

fn lying(parcel: &Parcel, round: u32) -> Vec<u8> {
    let count = match round % 3 {
        0 => parcel.count + 4,
        1 => parcel.count - 1,
        _ => 0,
    };
    let mut bytes = parcel.bytes.clone();
    bytes[18..20].copy_from_slice(&count.to_be_bytes());
    bytes
}
