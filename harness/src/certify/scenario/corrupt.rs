//! Bits are wrong in the frame: a message's length, a number beyond all numbers.
//!
//! Wrong bits within a message are no scenario: MoldUDP64 has no check of its own, the datagram's is what guards it.

use twinfeed_exchange::LineId;
use twinfeed_exchange::mold::HEADER_LEN;

use super::super::score::{BOTH, Parcel, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "corrupt",
    about: "packets with wrong lengths and numbers replace good ones, on one line or on both",
    matrix: "N7",
    first: 1,
    joins_late: false,
    compose,
};

/// Packets broken on one line.
const ROUNDS: u32 = 24;

fn compose(score: &mut Score) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        let other = LineId::ALL[1 - line.index()];
        let parcel = score.parcel();
        let bytes = broken(&parcel, round);
        score.send_broken(&[line], &parcel, &bytes, "corrupt");
        score.send(&[other], &parcel);
        // Both copies are broken: what they hold is delivered or declared.
        if round % 6 == 5 {
            let parcel = score.parcel();
            let bytes = broken(&parcel, 0);
            score.send_broken(BOTH, &parcel, &bytes, "corrupt on both lines");
        }
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    score.clean(10);
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
