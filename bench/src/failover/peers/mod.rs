//! What does an application see when it builds redundancy on another system, and one of its publishers is killed?
//!
//! ```text
//!  publisher of leg 0, a process ══╗
//!                                  ╠══ what the peer has in between ══► subscriber, a process: the first of a number counts
//!  publisher of leg 1, a process ══╝                                       ╚═ ledger ═► the bench
//! ```
//!
//! Both publishers send the same numbers at the same times, those of the product's flow: [`Pace`](twinfeed_exchange::pace::Pace), looked at as often
//! as the exchange looks, so that what is due meanwhile goes together. No source and no link is between them: the clock is what they share. The subscriber
//! merges by number, as its user has to, and tells the bench by memory that both have.
//!
//! | module | question |
//! |---|---|
//! | [`stage`] | what happens to a peer, session after session? |
//! | [`publisher`], [`subscriber`] | what do its processes do? |
//! | [`udp`], `aeron`, `zenoh`, `nats`, `dds` | how does a message go? |
//! | [`seen`] | is it the first of its number? |
//! | [`ledger`] | what was delivered when? |
//! | [`share`] | what was lost, or came twice? |

#[cfg(feature = "aeron")]
mod aeron;
#[cfg(feature = "dds")]
mod dds;
mod ledger;
#[cfg(feature = "nats")]
mod nats;
mod publisher;
mod seen;
mod share;
mod stage;
mod subscriber;
mod udp;
#[cfg(feature = "zenoh")]
mod zenoh;

use serde::{Deserialize, Serialize};
use twinfeed_harness::run::Burst;

pub(super) use stage::Stage;

use crate::error::Error;

/// Which systems are in this build.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Peer {
    /// Bare sockets: the floor.
    Udp,
    /// Aeron over UDP.
    #[cfg(feature = "aeron")]
    Aeron,
    /// Zenoh over TCP.
    #[cfg(feature = "zenoh")]
    Zenoh,
    /// NATS, through one server.
    #[cfg(feature = "nats")]
    Nats,
    /// CycloneDDS, exclusive ownership, a lease of 10 ms.
    #[cfg(feature = "dds")]
    Dds10,
    /// The same, of 100 ms.
    #[cfg(feature = "dds")]
    Dds100,
}

impl Peer {
    /// All of them.
    pub(crate) fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// What tables and names of files call it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            #[cfg(feature = "aeron")]
            Self::Aeron => "aeron",
            #[cfg(feature = "zenoh")]
            Self::Zenoh => "zenoh",
            #[cfg(feature = "nats")]
            Self::Nats => "nats",
            #[cfg(feature = "dds")]
            Self::Dds10 => "dds10",
            #[cfg(feature = "dds")]
            Self::Dds100 => "dds100",
        }
    }

    /// How two publishers are merged on it.
    pub(crate) const fn means(self) -> &'static str {
        match self {
            Self::Udp => "two bare sockets, merged by number",
            #[cfg(feature = "aeron")]
            Self::Aeron => "two publications to two ports, merged by number",
            #[cfg(feature = "zenoh")]
            Self::Zenoh => "two publishers of one key, merged by number",
            #[cfg(feature = "nats")]
            Self::Nats => "two publishers of one subject at one server, merged by number",
            #[cfg(feature = "dds")]
            Self::Dds10 => {
                "two writers with exclusive ownership and a lease of 10 ms, nothing merged"
            }
            #[cfg(feature = "dds")]
            Self::Dds100 => "the same with a lease of 100 ms",
        }
    }
}

/// What a process of the bench is to do, as the flag `--role` says it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Role {
    /// Say the doors, hear until killed.
    Subscriber { peer: Peer, ledger: String },
    /// Send until killed.
    Publisher {
        peer: Peer,
        leg: usize,
        doors: Vec<String>,
        flow: Flow,
    },
}

/// Which messages are due when.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Flow {
    /// When number 1 is due, ns of the monotonic clock.
    pub(super) begin_ns: u64,
    /// Messages a second.
    pub(super) rate: u64,
    /// Factor, period and length of bursts, ns.
    burst: Option<(u32, u64, u64)>,
}

impl Flow {
    pub(super) fn new(begin_ns: u64, rate: u64, burst: Option<Burst>) -> Self {
        // Far below 584 years.
        let ns = |span: std::time::Duration| span.as_nanos() as u64;
        let burst = burst.map(|it| (it.factor, ns(it.period), ns(it.length)));
        Self {
            begin_ns,
            rate,
            burst,
        }
    }
}

/// The process: plays the role until it is killed.
pub(super) fn play(role: &str) -> Result<(), Error> {
    let role = serde_json::from_str(role).map_err(|error| Error::Flag {
        flag: "--role",
        fault: error.to_string(),
    })?;
    match role {
        Role::Subscriber { peer, ledger } => subscriber::run(peer, &ledger),
        Role::Publisher {
            peer,
            leg,
            doors,
            flow,
        } => publisher::run(peer, leg, &doors, flow),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_role_is_read_as_it_is_written() {
        let flow = Flow::new(7, 100_000, None);
        let doors = vec!["127.0.0.1:1".to_owned()];
        let (peer, leg) = (Peer::Udp, 1);
        let role = Role::Publisher {
            peer,
            leg,
            doors,
            flow,
        };
        let text = serde_json::to_string(&role).unwrap();
        assert_eq!(serde_json::from_str::<Role>(&text).unwrap(), role);
    }

    #[test]
    fn peers_are_read_as_they_are_written() {
        for &peer in Peer::all() {
            assert_eq!(Peer::from_str(peer.word(), false), Ok(peer));
            let json = serde_json::to_string(&peer).unwrap();
            assert_eq!(json, format!("{:?}", peer.word()));
        }
    }
}
