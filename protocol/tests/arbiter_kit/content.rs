//! Heartbeats that say what was sent under a range.

use twinfeed_protocol::Leg;
use twinfeed_wire::*;

use super::{Kit, Sender, Told};

/// A heartbeat that vouches for everything up to `last` and says these digests.
pub fn beat(sender: &mut Sender, last: u64, digests: &[(u64, u64)]) -> Vec<u8> {
    sender.header.dsn.0 += 1;
    let digests: Vec<_> = digests
        .iter()
        .map(|&(range, digest)| RangeDigest { range, digest })
        .collect();
    let beat = Beat {
        next_sseq: last + 1,
        prev: last,
        interval_us: 10_000,
        ..Beat::default()
    };
    let mut buffer = vec![0; DEFAULT_DATAGRAM];
    let length = write_heartbeat(&mut buffer, &sender.header, &beat, &digests);
    buffer.truncate(length);
    buffer
}

impl Kit {
    pub fn says(&mut self, sender: &mut Sender, last: u64, digests: &[(u64, u64)]) {
        let bytes = beat(sender, last, digests);
        self.give(sender.leg, &bytes);
    }
}

/// The legs of the records told, in order.
pub fn brought_by(told: &[Told]) -> Vec<Leg> {
    let legs = told.iter().filter_map(|told| match told {
        Told::Record(_, _, leg) => Some(*leg),
        Told::Event(_) => None,
    });
    legs.collect()
}
