//! The header's message count is not how many messages follow: more, fewer, none.
//!
//! A handler that believes the header takes numbers for delivered that were not, and drops what brings them.

use super::super::score::{Parcel, Score};
use super::{Scenario, broken_packets};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "count-lies",
    about: "the header counts more, fewer or no messages than follow, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    broken_packets(
        score,
        ["the count lies", "the count lies on both lines"],
        |score| score.parcel_of(3),
        |_, parcel, round| lying(parcel, round),
    );
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
