//! Which socket options does `socket2` not name?
//!
//! Thin, typed calls of setsockopt(2) and getsockopt(2); what an option is good for stands where
//! it is used.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::name::Name;

/// Sets an option whose value is an `int`.
pub(crate) fn set_int(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set(socket, level, option, &value)
}

/// Reads an option whose value is an `int`.
pub(crate) fn int(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<libc::c_int> {
    let mut value: [libc::c_int; 1] = [0];
    read(socket, level, option, &mut value)?;
    Ok(value[0])
}

/// Lets IPv4 multicast leave through the interface with `index` (ip(7), `IP_MULTICAST_IF`); 0
/// leaves it to the routes.
pub(crate) fn set_multicast_interface_v4(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let any = libc::in_addr { s_addr: 0 };
    let request = libc::ip_mreqn {
        imr_multiaddr: any,
        imr_address: any,
        imr_ifindex: index.cast_signed(),
    };
    set(socket, libc::SOL_IP, libc::IP_MULTICAST_IF, &request)
}

/// Datagrams the socket has dropped in its life, read now (`SO_MEMINFO`, socket(7)).
pub(crate) fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut values = [0_u32; MEMINFO_VALUES];
    read(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut values)?;
    Ok(values[MEMINFO_DROPS])
}

/// `SK_MEMINFO_VARS` and `SK_MEMINFO_DROPS` of `linux/sock_diag.h`.
const MEMINFO_VALUES: usize = 9;
const MEMINFO_DROPS: usize = 8;

/// Joins `group` on the interface with `index`, from any source or from one (RFC 3678 §5.1).
pub(crate) fn join(
    socket: BorrowedFd<'_>,
    index: u32,
    group: IpAddr,
    source: Option<IpAddr>,
) -> io::Result<()> {
    let level = match group {
        IpAddr::V4(_) => libc::SOL_IP,
        IpAddr::V6(_) => libc::SOL_IPV6,
    };
    let (interface, group) = (index, storage(group));
    match source.map(storage) {
        None => set(
            socket,
            level,
            MCAST_JOIN_GROUP,
            &GroupRequest { interface, group },
        ),
        Some(source) => {
            let request = GroupSourceRequest {
                interface,
                group,
                source,
            };
            set(socket, level, MCAST_JOIN_SOURCE_GROUP, &request)
        }
    }
}

/// `linux/in.h`; the same numbers serve both families.
const MCAST_JOIN_GROUP: libc::c_int = 42;
const MCAST_JOIN_SOURCE_GROUP: libc::c_int = 46;

/// `struct group_req`: the interface's index, then a `sockaddr_storage` at its alignment.
#[repr(C)]
struct GroupRequest {
    interface: u32,
    group: Storage,
}

/// `struct group_source_req`.
#[repr(C)]
struct GroupSourceRequest {
    interface: u32,
    group: Storage,
    source: Storage,
}

/// A `sockaddr_storage`, filled as bytes.
#[repr(C, align(8))]
struct Storage([u8; 128]);

const _: () = {
    assert!(size_of::<Storage>() == size_of::<libc::sockaddr_storage>());
    assert!(align_of::<Storage>() == align_of::<libc::sockaddr_storage>());
};

fn storage(ip: IpAddr) -> Storage {
    let mut bytes = [0; 128];
    bytes[..Name::CAPACITY].copy_from_slice(Name::new(SocketAddr::new(ip, 0)).as_bytes());
    Storage(bytes)
}

fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: `value` is a live borrow of exactly the length passed, and is only read.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    super::check(result).map(|_| ())
}

/// Integers of four bytes, of which every pattern is a value.
trait Integer {}
impl Integer for u32 {}
impl Integer for libc::c_int {}

fn read<T: Integer>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    values: &mut [T],
) -> io::Result<()> {
    let mut length = size_of_val(values) as libc::socklen_t;
    // SAFETY: `values` is an exclusive borrow of `length` bytes of integers, for which any bytes
    // the kernel writes are valid; the kernel writes at most `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    super::check(result).map(|_| ())
}
