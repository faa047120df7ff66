//! Which interfaces does this host have, and which one does a configuration mean?
//!
//! A line or a leg names its interface by name (`eth1`), by one of its addresses (`10.0.0.7`,
//! `fd00::2`) or by index (`%3`). All three lead to one [`Interface`]; a name that leads nowhere
//! is answered with the list of what there is.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::Error;
use crate::sys::ifaddrs;

/// One network interface, as it is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name, `eth0`.
    pub name: String,
    /// The kernel's index of it, from 1.
    pub index: u32,
    /// Its IPv4 and IPv6 addresses, in the kernel's order.
    pub addresses: Vec<IpAddr>,
    /// Flag `IFF_UP`: somebody has brought it up.
    pub up: bool,
    /// Flag `IFF_LOOPBACK`.
    pub loopback: bool,
    /// Flag `IFF_MULTICAST`. The loopback interface lacks it, yet delivers groups within the
    /// host; see [`Interface::carries_multicast`].
    pub multicast: bool,
}

/// How a configuration names an interface. Parses from any text: an address, `%` and an index,
/// or else a name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Selector {
    /// By name.
    Name(String),
    /// By one of its addresses.
    Address(IpAddr),
    /// By the kernel's index.
    Index(u32),
}

impl Interface {
    /// All interfaces of the host, by index.
    ///
    /// # Errors
    /// If the kernel's list cannot be read.
    pub fn all() -> Result<Vec<Self>, Error> {
        let rows = ifaddrs::rows().map_err(|reason| Error::Interfaces { reason })?;
        let mut all: Vec<Self> = Vec::new();
        for row in rows {
            if let Some(known) = all.iter_mut().find(|known| known.name == row.name) {
                known.addresses.extend(row.address);
                continue;
            }
            // One that vanished since the list was made has no index any more.
            let Some(index) = ifaddrs::index(&row.name) else {
                continue;
            };
            let flag = |bit: libc::c_int| row.flags & bit.cast_unsigned() != 0;
            all.push(Self {
                index,
                addresses: row.address.into_iter().collect(),
                up: flag(libc::IFF_UP),
                loopback: flag(libc::IFF_LOOPBACK),
                multicast: flag(libc::IFF_MULTICAST),
                name: row.name,
            });
        }
        all.sort_by_key(|interface| interface.index);
        Ok(all)
    }

    /// The interface that `selector` means.
    ///
    /// # Errors
    /// [`Error::InterfaceUnknown`], with the list of what there is.
    pub fn find(selector: &Selector) -> Result<Self, Error> {
        let all = Self::all()?;
        let known = describe(&all);
        all.into_iter()
            .find(|interface| interface.matches(selector))
            .ok_or_else(|| Error::InterfaceUnknown {
                selector: selector.clone(),
                known,
            })
    }

    /// The interface that `selector` means, if groups can be joined on it.
    ///
    /// # Errors
    /// As [`Interface::find`]; [`Error::InterfaceDown`]; [`Error::InterfaceWithoutMulticast`].
    pub fn find_for_multicast(selector: &Selector) -> Result<Self, Error> {
        let found = Self::find(selector)?;
        if !found.up {
            return Err(Error::InterfaceDown { name: found.name });
        }
        if !found.carries_multicast() {
            let mut all = Self::all()?;
            all.retain(|interface| interface.up && interface.carries_multicast());
            return Err(Error::InterfaceWithoutMulticast {
                name: found.name,
                capable: describe(&all),
            });
        }
        Ok(found)
    }

    /// Whether groups can be joined on it: it has the flag, or is the loopback interface.
    pub fn carries_multicast(&self) -> bool {
        self.multicast || self.loopback
    }

    fn matches(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Name(name) => self.name == *name,
            Selector::Address(address) => self.addresses.contains(address),
            Selector::Index(index) => self.index == *index,
        }
    }
}

impl fmt::Display for Interface {
    /// The name and the addresses: `eth0 (192.0.2.2, fd00::2)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (place, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if place == 0 { " (" } else { ", " })?;
        }
        f.write_str(if self.addresses.is_empty() { "" } else { ")" })
    }
}

impl FromStr for Selector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let index = text.strip_prefix('%').and_then(|index| index.parse().ok());
        Ok(index.map_or_else(|| Self::Name(text.to_owned()), Self::Index))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
            Self::Index(index) => write!(f, "%{index}"),
        }
    }
}

/// The IPv4 or IPv6 scope of a group address: link-local groups of IPv6 need the interface in
/// the address itself (ipv6(7), `sin6_scope_id`).
pub(crate) fn scoped(address: SocketAddr, interface: &Interface) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if v6.scope_id() == 0 => {
            v6.set_scope_id(interface.index);
            SocketAddr::V6(v6)
        }
        other => other,
    }
}

/// All addresses of the host, for an error's text.
pub(crate) fn describe_addresses() -> String {
    Interface::all().map_or_else(
        |_| "no readable interface list".to_owned(),
        |all| describe(&all),
    )
}

fn describe(interfaces: &[Interface]) -> String {
    if interfaces.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = interfaces.iter().map(ToString::to_string).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_by_name_address_and_index() {
        let by_name = Interface::find(&"lo".parse().unwrap()).unwrap();
        let by_address = Interface::find(&"127.0.0.1".parse().unwrap()).unwrap();
        let by_index = Interface::find(&Selector::Index(by_name.index)).unwrap();
        assert!(by_name.loopback && by_name.up && by_name.carries_multicast());
        assert_eq!(by_name, by_address);
        assert_eq!(by_name, by_index);
    }

    #[test]
    fn an_unknown_interface_is_answered_with_what_there_is() {
        let selector: Selector = "nosuch0".parse().unwrap();
        let error = Interface::find(&selector).unwrap_err();
        assert!(matches!(error, Error::InterfaceUnknown { .. }));
        let text = error.to_string();
        assert!(text.contains("unknown interface `nosuch0`"), "{text}");
        assert!(text.contains("lo (127.0.0.1"), "{text}");
    }

    #[test]
    fn selectors_print_as_they_parse() {
        let table = [
            ("eth0", Selector::Name("eth0".to_owned())),
            ("10.1.2.3", Selector::Address([10, 1, 2, 3].into())),
            ("fd00::2", Selector::Address("fd00::2".parse().unwrap())),
            ("%3", Selector::Index(3)),
            ("%x", Selector::Name("%x".to_owned())),
        ];
        for (text, selector) in table {
            assert_eq!(text.parse(), Ok(selector.clone()));
            assert_eq!(selector.to_string(), text);
        }
    }

    #[test]
    fn a_link_scoped_group_learns_its_interface_once() {
        let lo = Interface::find(&"lo".parse().unwrap()).unwrap();
        let scope = |text: &str| scoped(text.parse().unwrap(), &lo).to_string();
        assert_eq!(scope("[ff02::7]:9"), format!("[ff02::7%{}]:9", lo.index));
        assert_eq!(scope("[ff02::7%77]:9"), "[ff02::7%77]:9");
        assert_eq!(scope("239.1.1.1:9"), "239.1.1.1:9");
    }
}
