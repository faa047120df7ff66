//! Bits are wrong in the frame: a message's length, a number beyond all numbers.
//!
//! Wrong bits within a message are no scenario: MoldUDP64 has no check of its own, the datagram's is what guards it.

use twinfeed_exchange::mold::HEADER_LEN;

use super::super::score::{Parcel, Score};
use super::{Scenario, broken_packets};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "corrupt",
    about: "packets with wrong lengths and numbers replace good ones, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

fn compose(score: &mut Score) {
    broken_packets(
        score,
        ["corrupt", "corrupt on both lines"],
        Score::parcel,
        |_, parcel, round| broken(parcel, round),
    );
}

fn broken(parcel: &Parcel, round: u32) -> Vec<u8> {
    let mut bytes = parcel.bytes.clone();
    match round % 3 {
        // The first message reaches beyond the packet.
        0 => bytes[HEADER_LEN] |= 0x40,
        // Its number and those behind it pass 2^64.
        1 => bytes[10..18].copy_from_slice(&u64::MAX.to_be_bytes()),
        // Something stands behind the last message.
        _ => bytes.extend_from_slice(b"\xA5\x5A\xA5"),
    }
    bytes
}
