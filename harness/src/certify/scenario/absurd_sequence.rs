//! A packet claims a number far ahead, once, on one line: nothing that follows is a duplicate because of it, and nothing
//! in between is lost.

use twinfeed_exchange::LineId;

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "absurd-sequence",
    about: "single packets and heartbeats on one line claim numbers far ahead",
    matrix: "N15",
    first: 1,
    joins_late: false,
    compose,
};

/// Such packets.
const ROUNDS: u64 = 16;
/// How far ahead.
const FAR: u64 = 1_000_000_000;

fn compose(score: &mut Score) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = [LineId::ALL[score.dice.below(2) as usize]];
        let parcel = score.parcel();
        let mut bytes = match round % 2 {
            0 => parcel.bytes.clone(),
            _ => score.heartbeat(),
        };
        let number = parcel.first + FAR * (round + 1);
        bytes[10..18].copy_from_slice(&number.to_be_bytes());
        score.send(&LineId::ALL, &parcel);
        score.noise(&line, &bytes, "a number far ahead");
        let between = 2 + score.dice.below(4);
        score.clean(between);
    }
    score.clean(10);
}
