//! How does one thread wait for several sockets and react to the first at once?
//!
//! A peer's death closes its sockets within microseconds; a thread asleep in [`wait`] on the
//! other end wakes as soon as the kernel knows. Nothing is registered and nothing is allocated:
//! the list of sockets is an argument.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::sys::poll;

/// Sockets one call can wait for.
pub const MAX_WAIT_SOCKETS: usize = 128;

/// One socket and what makes it ready.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'fd> {
    socket: BorrowedFd<'fd>,
    readable: bool,
    writable: bool,
}

impl<'fd> Interest<'fd> {
    /// Ready when there is something to receive.
    pub fn readable(socket: BorrowedFd<'fd>) -> Self {
        Self {
            socket,
            readable: true,
            writable: false,
        }
    }

    /// Ready as well when there is room to send, if `wanted`.
    #[must_use]
    pub fn or_writable(self, wanted: bool) -> Self {
        Self {
            writable: wanted,
            ..self
        }
    }
}

/// Which sockets are ready, by their place in the list.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Ready {
    any: u128,
    closed: u128,
}

impl Ready {
    /// Whether the socket at `place` has something: data, room, or its end. A read or a write
    /// tells which.
    pub fn contains(self, place: usize) -> bool {
        has(self.any, place)
    }

    /// Whether the kernel says that the peer of the socket at `place` will send no more (reset,
    /// end of stream or error). What arrived before can still be read.
    pub fn closed(self, place: usize) -> bool {
        has(self.closed, place)
    }

    /// Whether the time ran out, or a signal ended the wait, with nothing ready.
    pub fn is_empty(self) -> bool {
        self.any == 0
    }

    /// How many sockets are ready.
    pub fn count(self) -> usize {
        self.any.count_ones() as usize
    }
}

/// Waits until a socket of `interests` is ready or `timeout` has passed; `None` waits for ever.
///
/// # Errors
/// `InvalidInput` with more than [`MAX_WAIT_SOCKETS`]; otherwise what ppoll(2) says.
pub fn wait<'fd>(
    interests: impl IntoIterator<Item = Interest<'fd>>,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    let mut entries = [poll::entry(-1, false, false); MAX_WAIT_SOCKETS];
    let mut count = 0;
    for interest in interests {
        let slot = entries.get_mut(count).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = interest.socket.as_raw_fd();
        *slot = poll::entry(fd, interest.readable, interest.writable);
        count += 1;
    }
    let entries = &mut entries[..count];
    poll::wait(entries, timeout)?;
    let mut ready = Ready::default();
    for (place, entry) in entries.iter().enumerate() {
        ready.any |= u128::from(entry.revents != 0) << place;
        ready.closed |= u128::from(entry.revents & CLOSED != 0) << place;
    }
    Ok(ready)
}

const CLOSED: libc::c_short = libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR;

fn has(set: u128, place: usize) -> bool {
    place < MAX_WAIT_SOCKETS && set >> place & 1 == 1
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn says_which_socket_and_what_of_it() {
        let (a, mut a_peer) = UnixStream::pair().unwrap();
        let (b, b_peer) = UnixStream::pair().unwrap();
        let both = || [Interest::readable(a.as_fd()), Interest::readable(b.as_fd())];
        let now = Some(Duration::ZERO);
        assert!(wait(both(), now).unwrap().is_empty());
        a_peer.write_all(b"x").unwrap();
        let ready = wait(both(), None).unwrap();
        assert!(ready.contains(0) && !ready.closed(0) && !ready.contains(1));
        drop(b_peer);
        let ready = wait(both(), None).unwrap();
        assert!(ready.contains(1) && ready.closed(1));
        assert_eq!(ready.count(), 2);
        assert!(!ready.contains(500));
    }

    #[test]
    fn room_to_send_counts_only_when_wanted() {
        let (a, _peer) = UnixStream::pair().unwrap();
        for wanted in [false, true] {
            let interest = Interest::readable(a.as_fd()).or_writable(wanted);
            let ready = wait([interest], Some(Duration::ZERO)).unwrap();
            assert_eq!(ready.contains(0), wanted);
        }
    }

    #[test]
    fn the_limit_of_sockets_is_kept_at_the_edge_and_one_beyond() {
        let (a, _peer) = UnixStream::pair().unwrap();
        let many = |count| std::iter::repeat_n(Interest::readable(a.as_fd()), count);
        let now = Some(Duration::ZERO);
        assert!(wait(many(MAX_WAIT_SOCKETS), now).is_ok());
        let error = wait(many(MAX_WAIT_SOCKETS + 1), now).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
