//! On which hosts do the processes of a run stand?
//!
//! All of them on this one, over loopback, unless somebody has made network namespaces that stand for hosts: then
//! every process enters the one that is meant for it, lines and streams may go to groups, and stream-admin speaks TLS,
//! because nobody sends a token in plaintext beyond loopback.
//!
//! ```text
//!  exchange   stream-admin   active   backup   probe   probe-2   probe-3
//!     │            │            │        │       │        │         │      a namespace and an address each
//!     └────────────┴────────────┴────────┴───────┴────────┴─────────┘
//! ```
//!
//! Who makes namespaces, and what is done to the wires between them, is not known here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::error::Error;
use crate::ports;

/// Ports of a host that is nobody else's: from here on, below those that the kernel assigns.
const FIRST_PORT: u16 = 20_000;

/// One host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Host {
    /// Its address.
    pub address: IpAddr,
    /// The process whose network namespace it is; `None`: this process's own.
    pub namespace: Option<u32>,
}

impl Host {
    /// This host, over loopback.
    pub const THIS: Self = Self {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        namespace: None,
    };
}

/// Where everybody stands.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The exchanges'.
    pub exchange: Host,
    /// stream-admin's.
    pub stream_admin: Host,
    /// The adapters', active first.
    pub adapters: [Host; 2],
    /// The probes', in the order in which they are started; those beyond stand at the last one.
    pub probes: Vec<Host>,
    /// Groups of lines A and B; `None`: each adapter gets its own copy.
    pub lines: Option<[SocketAddr; 2]>,
    /// Groups of the two adapters' streams; `None`: each subscriber gets its own copy.
    pub streams: Option<[SocketAddr; 2]>,
    /// stream-admin's certificate and key, PEM files; `None`: plaintext, which loopback alone allows.
    pub tls: Option<[PathBuf; 2]>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            exchange: Host::THIS,
            stream_admin: Host::THIS,
            adapters: [Host::THIS; 2],
            probes: vec![Host::THIS],
            lines: None,
            streams: None,
            tls: None,
        }
    }
}

impl Hosts {
    /// Of the probe that is started as number `index`, from 0.
    #[must_use]
    pub fn probe(&self, index: usize) -> Host {
        let last = self.probes.len().saturating_sub(1);
        let host = self.probes.get(index.min(last));
        host.copied().unwrap_or(Host::THIS)
    }
}

/// Gives out addresses: on this host ports that are free, elsewhere the next one.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    given: u16,
}

impl Addresses {
    /// Another one of `host`.
    ///
    /// # Errors
    /// [`Error::NoPort`] when this host has none left.
    pub(crate) fn of(&mut self, host: Host) -> Result<SocketAddr, Error> {
        if host.namespace.is_none() {
            return ports::loopback();
        }
        self.given += 1;
        Ok(SocketAddr::new(host.address, FIRST_PORT + self.given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_their_own_have_addresses_of_their_own_and_probes_beyond_the_last_share_its() {
        let host = |last| Host {
            address: Ipv4Addr::new(10, 0, 0, last).into(),
            namespace: Some(u32::from(last)),
        };
        let mut addresses = Addresses::default();
        let [one, two] = [host(1), host(2)].map(|host| addresses.of(host).unwrap());
        assert_eq!(one.ip(), host(1).address);
        assert_ne!(one.port(), two.port());
        assert!(addresses.of(Host::THIS).unwrap().ip().is_loopback());
        let hosts = Hosts {
            probes: vec![host(1), host(2)],
            ..Hosts::default()
        };
        assert_eq!(
            [0, 1, 5].map(|at| hosts.probe(at)),
            [host(1), host(2), host(2)]
        );
        assert_eq!(Hosts::default().probe(3), Host::THIS);
    }
}
