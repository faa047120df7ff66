//! Datagrams of others arrive on the lines: another protocol's, and single packets of sessions that nobody has begun.

use twinfeed_exchange::LineId;

use super::super::score::Score;
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "foreign",
    about: "other protocols' datagrams and single packets of other sessions come in between",
    matrix: "N7, S3",
    first: 1,
    joins_late: false,
    compose,
};

/// Foreign datagrams.
const ROUNDS: u32 = 30;
/// A query of the domain name system for `example.com`.
const DNS: &[u8] = b"\x1a\x2b\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
/// A heartbeat of SoupBinTCP, and text.
const SHORT: [&[u8]; 3] = [b"\0\x01H", b"GET / HTTP/1.1\r\nHost: exchange\r\n\r\n", b""];
/// Longest random datagram, bytes: below any packet that claims a message.
const LONGEST: u32 = 19;

fn compose(score: &mut Score) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = [LineId::ALL[score.dice.below(2) as usize]];
        match round % 4 {
            0 => score.noise(&line, DNS, "another protocol"),
            1 => score.noise(&line, SHORT[round as usize / 4 % 3], "another protocol"),
            2 => {
                let length = 1 + score.dice.below(LONGEST);
                let bytes: Vec<u8> = (0..length).map(|_| score.dice.below(256) as u8).collect();
                score.noise(&line, &bytes, "random bytes");
            }
            _ => {
                let packet = score.foreign_packet();
                score.noise(&line, &packet, "a session that nobody has begun");
            }
        }
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    score.clean(10);
}
