//! Which ports may the processes of a run use, when others must know them before they are bound?
//!
//! A port that the operating system assigns is best, where the process can say which one it got. The
//! lines of an adapter and the addresses in a feed's file must be known beforehand, and must still be
//! the same after a restart; those come from here. They lie below the range from which the kernel
//! assigns, so that no socket bound to port 0 takes one between two lives of its owner.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;

/// First port that is tried.
const FIRST: u32 = 20_000;
/// How many ports are tried from there; Linux assigns from 32,768 upwards unless told otherwise.
const COUNT: u32 = 12_000;

/// A port of the loopback interface that is free for UDP and for TCP now, and that this process has
/// not given out before (until all of them were).
///
/// # Errors
/// [`Error::NoPort`] when every port of the range is taken.
pub fn loopback() -> Result<SocketAddr, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run side by side start at different places.
    let start = std::process::id().wrapping_mul(977);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        // FIRST + COUNT is below 65,536.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Error::NoPort {
        first: FIRST,
        count: COUNT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_given_out_once() {
        let one = loopback().unwrap();
        let taken = UdpSocket::bind(one).unwrap();
        let two = loopback().unwrap();
        assert_ne!(one, two);
        assert!(TcpListener::bind(two).is_ok());
        drop(taken);
    }
}
