//! Which interfaces does the host have? (getifaddrs(3), if_nametoindex(3))

use std::ffi::{CStr, CString};
use std::io;
use std::net::IpAddr;

/// One (interface, address) pair of the kernel's list; an interface without address has one row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `IFF_*` bits (netdevice(7)).
    pub(crate) flags: u32,
    pub(crate) address: Option<IpAddr>,
}

/// All rows, in the kernel's order.
pub(crate) fn rows() -> io::Result<Vec<Row>> {
    let list = List::fetch()?;
    let mut rows = Vec::new();
    let mut next = list.first;
    // SAFETY: `next` is null or a node of the list, which `list` keeps alive until the end.
    while let Some(node) = unsafe { next.as_ref() } {
        rows.push(row(node));
        next = node.ifa_next;
    }
    Ok(rows)
}

/// The index of the interface called `name`; `None` if there is none.
pub(crate) fn index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: `name` is a live, terminated string that is only read.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The kernel's list, freed when dropped.
struct List {
    first: *mut libc::ifaddrs,
}

impl List {
    fn fetch() -> io::Result<Self> {
        let mut first = std::ptr::null_mut();
        // SAFETY: `first` is a live local that receives the head of the list.
        let result = unsafe { libc::getifaddrs(&raw mut first) };
        super::check(result)?;
        Ok(Self { first })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: `first` came from `getifaddrs` and is freed once, here; `rows` copies what it
        // keeps.
        unsafe { libc::freeifaddrs(self.first) };
    }
}

fn row(node: &libc::ifaddrs) -> Row {
    // SAFETY: `ifa_name` is a terminated string that lives as long as the node.
    let name = unsafe { CStr::from_ptr(node.ifa_name) };
    Row {
        name: name.to_string_lossy().into_owned(),
        flags: node.ifa_flags,
        address: address(node.ifa_addr),
    }
}

/// The address behind a pointer that is null or leads to a socket address of any family.
fn address(pointer: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null, or a socket address of the list, which has at least the family.
    let family = unsafe { pointer.as_ref() }?.sa_family;
    match libc::c_int::from(family) {
        libc::AF_INET => {
            // SAFETY: not null (checked above), and the family says that it is a `sockaddr_in`.
            let v4 = unsafe { pointer.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
        }
        libc::AF_INET6 => {
            // SAFETY: not null (checked above), and the family says that it is a `sockaddr_in6`.
            let v6 = unsafe { pointer.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(IpAddr::from(v6.sin6_addr.s6_addr))
        }
        _ => None,
    }
}
