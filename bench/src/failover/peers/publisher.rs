//! One of the two publishers: a process that sends what is due until it is killed.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use twinfeed_exchange::pace::{Burst, Pace};
use twinfeed_net::clock::monotonic_ns;

#[cfg(feature = "aeron")]
use super::aeron;
#[cfg(feature = "dds")]
use super::dds;
#[cfg(feature = "nats")]
use super::nats;
#[cfg(feature = "zenoh")]
use super::zenoh;
use super::{Flow, Peer, udp};
use crate::error::Error;

/// Bytes of a message: number, leg, and what a record has besides.
pub(super) const SIZE: usize = 64;
/// How long the exchange sleeps at least between two looks at what is due (its `tick_us`): messages that fall due meanwhile go together.
const TICK: Duration = Duration::from_micros(100);

/// How the publisher of a peer sends.
pub(super) trait Send {
    /// A message; it may wait for others until [`Self::flush`].
    fn put(&mut self, message: &[u8; SIZE]);

    /// Everything that was put leaves now.
    fn flush(&mut self);
}

pub(super) fn run(peer: Peer, leg: usize, doors: &[String], flow: Flow) -> Result<(), Error> {
    match peer {
        Peer::Udp => send(udp::Publisher::open(leg, doors)?, leg, flow),
        #[cfg(feature = "aeron")]
        Peer::Aeron => send(aeron::Publisher::open(leg, doors)?, leg, flow),
        #[cfg(feature = "zenoh")]
        Peer::Zenoh => send(zenoh::Publisher::open(doors)?, leg, flow),
        #[cfg(feature = "nats")]
        Peer::Nats => send(nats::Publisher::open(doors)?, leg, flow),
        #[cfg(feature = "dds")]
        Peer::Dds10 => Err(dds::send(dds::LEASES[0], leg, flow)),
        #[cfg(feature = "dds")]
        Peer::Dds100 => Err(dds::send(dds::LEASES[1], leg, flow)),
    }
}

fn send(mut way: impl Send, leg: usize, flow: Flow) -> ! {
    let pace = flow.pace();
    let mut message = [0; SIZE];
    // Leg is 0 or 1.
    message[8] = leg as u8;
    // One that comes back goes on with what is due then; the other one sends what is before.
    let mut sent = flow.due(&pace, monotonic_ns());
    loop {
        let due = flow.due(&pace, monotonic_ns());
        for number in sent + 1..=due {
            message[..8].copy_from_slice(&number.to_le_bytes());
            way.put(&message);
        }
        sent = due;
        way.flush();
        let next_ns = flow.begin_ns.saturating_add(pace.time_of(sent));
        let wait = Duration::from_nanos(next_ns.saturating_sub(monotonic_ns()));
        std::thread::sleep(wait.max(TICK));
    }
}

impl Flow {
    fn pace(&self) -> Pace {
        let pace = Pace::steady(NonZeroU64::new(self.rate).unwrap_or(NonZeroU64::MIN));
        let burst = self.burst.and_then(|(factor, period, length)| {
            Burst::new(period, length, NonZeroU32::new(factor)?)
        });
        burst.map_or(pace, |burst| pace.with_burst(burst))
    }

    /// The last number that is due then; 0 before the first.
    fn due(&self, pace: &Pace, now_ns: u64) -> u64 {
        let elapsed = now_ns.checked_sub(self.begin_ns);
        elapsed.map_or(0, |elapsed| pace.due(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_due_when_it_is_waited_for() {
        let burst = twinfeed_harness::run::Burst {
            factor: 2,
            period: Duration::from_millis(100),
            length: Duration::from_millis(15),
        };
        for burst in [None, Some(burst)] {
            let flow = Flow::new(1_000, 100_000, burst);
            let pace = flow.pace();
            assert_eq!((flow.due(&pace, 999), flow.due(&pace, 1_000)), (0, 1));
            for sent in [1, 10, 3_000, 12_345] {
                let next_ns = flow.begin_ns + pace.time_of(sent);
                assert_eq!(flow.due(&pace, next_ns), sent + 1);
                assert_eq!(flow.due(&pace, next_ns - 1), sent);
            }
        }
    }
}
