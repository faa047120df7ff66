//! How do the processes of a run get hosts of their own on one machine?
//!
//! ```text
//!   cage: a network namespace and a mount namespace that this program made for itself ([`cage`])
//!     br0 ──┬── veth ── eth0  exchange        each host a network namespace within the cage, which lives
//!           ├── veth ── eth0  stream-admin    as long as its holder and the processes that entered it
//!           ├── veth ── eth0  active …
//! ```
//!
//! No namespace has a name and nothing is mounted outside the cage, so whatever ends this program, SIGKILL too, takes all
//! of it away: holders end when their standard input does, processes when their parent does, and the kernel removes the
//! namespaces, the cables and the file systems behind the last of them.
//!
//! **Invariant:** nothing here knows what is broken, or why.

pub mod cage;
pub mod filter;
pub mod host;
pub mod limit;
pub mod volume;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use twinfeed_harness::Error;
use twinfeed_harness::hosts::Hosts;

pub use cage::Cage;
pub use filter::Filter;
pub use host::Namespace;
pub use volume::Volume;

/// How the adapters' streams travel; lines are groups always, as an exchange's are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Streams {
    /// A copy to each subscriber.
    Unicast,
    /// To a group per adapter.
    Multicast,
}

/// Hosts with a cable each to one switch.
#[derive(Debug)]
pub struct Lab {
    /// Where the exchange is.
    pub exchange: Namespace,
    /// Where stream-admin is.
    pub stream_admin: Namespace,
    /// Where the adapters are, active first.
    pub adapters: [Namespace; 2],
    /// Where the subscribers are.
    pub subscribers: [Namespace; SUBSCRIBERS],
    /// A host that is nobody's.
    pub stranger: Namespace,
    tls: [std::path::PathBuf; 2],
    streams: Streams,
    /// Goes last, with all cables.
    _switch: host::Switch,
}

impl Lab {
    /// Makes switch, hosts and cables, and stream-admin's certificate in `directory`.
    ///
    /// # Errors
    /// With what `ip` or the kernel says.
    pub fn build(_cage: &Cage, directory: &Path, streams: Streams) -> Result<Self, Error> {
        let switch = host::Switch::start()?;
        let stream_admin = Namespace::start("stream-admin", 3)?;
        Ok(Self {
            exchange: Namespace::start("exchange", 2)?,
            tls: certificate(directory, stream_admin.address())?,
            stream_admin,
            adapters: [
                Namespace::start("active", 4)?,
                Namespace::start("backup", 5)?,
            ],
            subscribers: [
                Namespace::start("subscriber-1", 6)?,
                Namespace::start("subscriber-2", 7)?,
                Namespace::start("subscriber-3", 8)?,
            ],
            stranger: Namespace::start("stranger", 9)?,
            streams,
            _switch: switch,
        })
    }

    /// For a rig.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        Hosts {
            exchange: self.exchange.host(),
            stream_admin: self.stream_admin.host(),
            adapters: [self.adapters[0].host(), self.adapters[1].host()],
            probes: self.subscribers.iter().map(Namespace::host).collect(),
            lines: Some(LINES),
            streams: (self.streams == Streams::Multicast).then_some(STREAMS),
            tls: Some(self.tls.clone()),
        }
    }

    /// How the adapters' streams travel.
    #[must_use]
    pub const fn streams(&self) -> Streams {
        self.streams
    }
}

/// Subscribers, each on a host of its own.
pub const SUBSCRIBERS: usize = 3;
/// Groups of lines A and B.
pub const LINES: [SocketAddr; 2] = [group(1, 26_400), group(2, 26_401)];
/// Groups of the adapters' streams, where they have any.
pub const STREAMS: [SocketAddr; 2] = [group(11, 7_101), group(12, 7_102)];

/// Administratively scoped (RFC 2365): no other network is meant.
const fn group(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(239, 195, 7, last)), port)
}

/// A certificate that trusts itself, and its key.
fn certificate(directory: &Path, of: Ipv4Addr) -> Result<[std::path::PathBuf; 2], Error> {
    let bad = |fault: String| Error::Run { key: "tls", fault };
    let made = rcgen::generate_simple_self_signed([of.to_string()])
        .map_err(|error| bad(error.to_string()))?;
    let paths = ["stream-admin.pem", "stream-admin.key"].map(|name| directory.join(name));
    let texts = [made.cert.pem(), made.signing_key.serialize_pem()];
    for (path, text) in paths.iter().zip(texts) {
        std::fs::write(path, text).map_err(|source| Error::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
    }
    Ok(paths)
}
