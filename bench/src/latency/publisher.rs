//! The sending side: each record at its time, however it goes.

use std::net::SocketAddr;

use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;

#[cfg(any(feature = "nats", feature = "zenoh"))]
use super::peers;
#[cfg(feature = "aeron")]
use super::peers::aeron;
use super::way::Way;
use super::{floor, product};
#[cfg(feature = "aeron")]
use crate::aeron::Media;
use crate::error::Error;

/// When it was due, ns of the monotonic clock, at the head of each record.
pub(crate) const LEAST_SIZE: usize = 8;
/// What fits a datagram with its headers.
pub(crate) const MOST_SIZE: usize = 1_200;
/// The word behind the last record: no record is as short.
pub(super) const END: [u8; 1] = [0xff];

/// How the sending half of a way sends.
///
/// It is opened before its thread is pinned, so that threads of its own may run where they like. Then comes [`Self::send`] for one number after the
/// other from 1, with [`Self::wait`] again and again in between, and [`Self::end`] in the end.
pub(crate) trait Publish {
    /// Sends the record of that number now. What cannot leave is lost, and the other side counts it.
    fn send(&mut self, number: u64, record: &[u8]);

    /// One turn of what it has to do while nothing is due for so long, ns.
    fn wait(&mut self, _left: u64) {
        std::hint::spin_loop();
    }

    /// Says [`END`].
    fn end(&mut self) -> Result<(), Error>;

    /// Bytes of the datagram that carries one record; `None` if there is no such thing.
    fn datagram(&self) -> Option<usize>;
}

/// How records are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Records a second.
    pub(super) rate: u64,
    /// Records in all.
    pub(super) count: u64,
    /// Bytes of each.
    pub(super) size: usize,
    /// The publisher's core.
    pub(super) core: usize,
}

/// Sends at that pace to where the subscriber says that it is; returns how long a datagram was.
pub(super) fn publish(way: Way, to: &[String], pace: Pace) -> Result<Option<usize>, Error> {
    match way {
        Way::Floor => paced(floor::Publisher::open(to, pace.size)?, pace),
        Way::OneLeg => paced(product::Publisher::open(to, 1, pace.size)?, pace),
        Way::TwoLegs | Way::TwoLegsYield | Way::TwoLegsBackoff | Way::TwoLegsBlock => {
            paced(product::Publisher::open(to, 2, pace.size)?, pace)
        }
        #[cfg(feature = "aeron")]
        Way::Aeron => paced(aeron::Publisher::open(Media::ONE, to)?, pace),
        #[cfg(feature = "aeron")]
        Way::AeronTwo => paced(aeron::Publisher::open(Media::TWO, to)?, pace),
        #[cfg(feature = "aeron")]
        Way::AeronIpc => paced(aeron::Publisher::open(Media::Ipc, to)?, pace),
        #[cfg(feature = "zenoh")]
        Way::Zenoh => paced(peers::zenoh::Publisher::open(to)?, pace),
        #[cfg(feature = "nats")]
        Way::Nats => paced(peers::nats::Publisher::open(to)?, pace),
    }
}

fn paced(mut way: impl Publish, pace: Pace) -> Result<Option<usize>, Error> {
    affinity::pin(pace.core).map_err(|error| Error::Flag {
        flag: "--cores",
        fault: error.to_string(),
    })?;
    let mut record = vec![0; pace.size];
    // Both sides are there, and their memory was touched, before the first is due.
    let begin = monotonic_ns() + 5_000_000;
    for number in 0..pace.count {
        let due = begin + number * 1_000_000_000 / pace.rate;
        while let left @ 1.. = due.saturating_sub(monotonic_ns()) {
            way.wait(left);
        }
        record[..LEAST_SIZE].copy_from_slice(&due.to_le_bytes());
        way.send(number + 1, &record);
    }
    way.end()?;
    Ok(way.datagram())
}

/// The addresses in what the subscriber said.
pub(super) fn addresses(to: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let address = |text: &String| {
        let parsed = text.parse();
        parsed.map_err(|error| Error::Subscriber(std::io::Error::other(error)))
    };
    to.iter().map(address).collect()
}
