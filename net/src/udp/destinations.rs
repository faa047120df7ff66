//! Whom does a sender send to, and how does each of them fare?
//!
//! A bounded list: groups and hosts alike, each under a key of the caller's. A destination that
//! fails collects counters; it never delays or fails the others. When to give one up is for the
//! caller to say.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::lone::Lone;
use crate::sys::name::Name;

/// The caller's name for one destination.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DestinationKey(pub u64);

/// How one destination has fared.
///
/// All count datagrams. `taken` is what the kernel accepted; the reports of `refused` and
/// `unreachable` that come back later from the network count on top of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DestinationCounters {
    /// Accepted by the kernel.
    pub taken: u64,
    /// The host answered that nothing listens on the port (`ECONNREFUSED`).
    pub refused: u64,
    /// No way to the host (`EHOSTUNREACH`, `ENETUNREACH`, `EHOSTDOWN`, `ENETDOWN`).
    pub unreachable: u64,
    /// Not sent: the socket's buffer or the device's queue was full (`EAGAIN`, `ENOBUFS`).
    pub blocked: u64,
    /// Not sent: longer than the path allows (`EMSGSIZE`); fragments are never sent.
    pub too_long: u64,
    /// Any other refusal, `last_errno` says which.
    pub other: u64,
    /// The error number of the latest failure; 0 if there was none.
    pub last_errno: i32,
}

impl DestinationCounters {
    /// All failures together.
    pub fn failed(&self) -> u64 {
        self.refused + self.unreachable + self.blocked + self.too_long + self.other
    }

    pub(super) fn fail(&mut self, errno: i32, datagrams: u64) {
        let counter = match errno {
            libc::ECONNREFUSED => &mut self.refused,
            libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => {
                &mut self.unreachable
            }
            libc::EAGAIN | libc::ENOBUFS => &mut self.blocked,
            libc::EMSGSIZE => &mut self.too_long,
            _ => &mut self.other,
        };
        *counter += datagrams;
        self.last_errno = errno;
    }
}

/// Why a destination was not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationError {
    /// The list has reached its limit.
    #[error(
        "cannot add {address}: the limit of {limit} destinations is reached; raise it or use multicast"
    )]
    Full {
        /// The address refused.
        address: SocketAddr,
        /// The limit.
        limit: usize,
    },
    /// The key is taken.
    #[error("cannot add {address}: its key {} belongs to {holder}", key.0)]
    KeyTaken {
        /// The address refused.
        address: SocketAddr,
        /// The key.
        key: DestinationKey,
        /// Who has it.
        holder: SocketAddr,
    },
    /// The sender's socket is of the other family.
    #[error("cannot add {address}: the sender is bound to {local}, of the other family")]
    Family {
        /// The address refused.
        address: SocketAddr,
        /// The sender's own.
        local: IpAddr,
    },
    /// Port 0, or no address: nobody can be there.
    #[error("cannot add {address}: a destination has an address and a port above 0")]
    Unspecified {
        /// The address refused.
        address: SocketAddr,
    },
}

/// A sender's bounded list of destinations; made by
/// [`Sender::destinations`](super::Sender::destinations).
#[derive(Clone, Debug)]
pub struct Destinations {
    local: IpAddr,
    limit: usize,
    /// Invariant: of the same length and order as `entries`; apart from them because the kernel
    /// reads the names while the counters are written.
    pub(super) names: Vec<Name>,
    pub(super) entries: Vec<Entry>,
    /// Invariant: connected to the only entry there is, or not connected.
    pub(super) lone: Lone,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    key: DestinationKey,
    address: SocketAddr,
    pub(super) counters: DestinationCounters,
}

impl Destinations {
    /// Most destinations a list can be made for.
    pub const MAX_LIMIT: usize = 4_096;

    pub(super) fn new(local: IpAddr, limit: usize) -> Self {
        Self {
            local,
            limit,
            names: Vec::with_capacity(limit),
            entries: Vec::with_capacity(limit),
            lone: Lone::Untried,
        }
    }

    /// Adds a destination at the end. Two keys may share an address, which then gets everything
    /// twice; what the network reports about it counts for the first.
    ///
    /// # Errors
    /// See [`DestinationError`]; the list is then as before.
    pub fn insert(
        &mut self,
        key: DestinationKey,
        address: SocketAddr,
    ) -> Result<(), DestinationError> {
        if address.is_ipv4() != self.local.is_ipv4() {
            let local = self.local;
            return Err(DestinationError::Family { address, local });
        }
        if address.port() == 0 || address.ip().is_unspecified() {
            return Err(DestinationError::Unspecified { address });
        }
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            let holder = entry.address;
            return Err(DestinationError::KeyTaken {
                address,
                key,
                holder,
            });
        }
        if self.entries.len() == self.limit {
            let limit = self.limit;
            return Err(DestinationError::Full { address, limit });
        }
        self.lone = Lone::Untried;
        self.names.push(Name::new(address));
        self.entries.push(Entry {
            key,
            address,
            counters: DestinationCounters::default(),
        });
        Ok(())
    }

    /// Takes a destination off the list and gives back its counters; the others keep their order.
    pub fn remove(&mut self, key: DestinationKey) -> Option<DestinationCounters> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        self.lone = Lone::Untried;
        self.names.remove(place);
        Some(self.entries.remove(place).counters)
    }

    /// The counters of one destination.
    pub fn counters(&self, key: DestinationKey) -> Option<DestinationCounters> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(entry.counters)
    }

    /// All destinations with their addresses and counters, in the order they are sent to.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (DestinationKey, SocketAddr, DestinationCounters)> + '_ {
        self.entries
            .iter()
            .map(|entry| (entry.key, entry.address, entry.counters))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is sent to.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The only one there is.
    pub(super) fn only(&self) -> Option<SocketAddr> {
        match self.entries.as_slice() {
            [entry] => Some(entry.address),
            _ => None,
        }
    }

    /// Counts a failure that the network reported later; one of a destination removed meanwhile
    /// counts nowhere.
    pub(super) fn report(entries: &mut [Entry], address: SocketAddr, errno: i32) {
        // Compared without scope and flow: the report does not repeat them.
        let same = |entry: &&mut Entry| {
            (entry.address.ip(), entry.address.port()) == (address.ip(), address.port())
        };
        if let Some(entry) = entries.iter_mut().find(same) {
            entry.counters.fail(errno, 1);
        }
    }
}

/// The error number of a failed call.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(limit: usize) -> Destinations {
        Destinations::new([127, 0, 0, 1].into(), limit)
    }

    #[test]
    fn the_limit_holds_at_the_edge_and_one_beyond_and_a_removal_makes_room() {
        let mut list = list(2);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(list.insert(DestinationKey(1), address(1)), Ok(()));
        assert_eq!(list.insert(DestinationKey(2), address(2)), Ok(()));
        let full = list.insert(DestinationKey(3), address(3)).unwrap_err();
        assert_eq!(
            full.to_string(),
            "cannot add 127.0.0.1:3: the limit of 2 destinations is reached; raise it or use multicast"
        );
        assert!(list.remove(DestinationKey(1)).is_some());
        assert!(list.remove(DestinationKey(1)).is_none());
        assert_eq!(list.insert(DestinationKey(3), address(3)), Ok(()));
        let order: Vec<_> = list.iter().map(|(key, ..)| key.0).collect();
        assert_eq!(order, [2, 3]);
    }

    #[test]
    fn a_destination_that_cannot_be_is_refused_by_its_fault() {
        let mut list = list(4);
        list.insert(DestinationKey(7), "127.0.0.1:9".parse().unwrap())
            .unwrap();
        let table = [
            (8, "[::1]:9", "of the other family"),
            (8, "127.0.0.1:0", "a port above 0"),
            (8, "0.0.0.0:9", "an address"),
            (7, "127.0.0.1:10", "its key 7 belongs to 127.0.0.1:9"),
        ];
        for (key, address, fault) in table {
            let error = list
                .insert(DestinationKey(key), address.parse().unwrap())
                .unwrap_err();
            assert!(error.to_string().contains(fault), "{error}");
        }
    }

    #[test]
    fn every_kind_of_failure_has_its_counter() {
        let mut counters = DestinationCounters::default();
        for errno in [
            libc::ECONNREFUSED,
            libc::EHOSTUNREACH,
            libc::EAGAIN,
            libc::EMSGSIZE,
            libc::EPERM,
        ] {
            counters.fail(errno, 2);
        }
        let expected = DestinationCounters {
            taken: 0,
            refused: 2,
            unreachable: 2,
            blocked: 2,
            too_long: 2,
            other: 2,
            last_errno: libc::EPERM,
        };
        assert_eq!((counters, counters.failed()), (expected, 10));
    }
}
