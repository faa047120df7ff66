//! How does a thread sleep until one of its sockets has something?

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Waits until one of `entries` is ready or `timeout` has passed (ppoll(2)); `None` waits for
/// ever. An interrupted wait ends early with nothing ready.
pub(crate) fn wait(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    let spec = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `entries` is an exclusive borrow of the count passed, `spec` is null or a live
    // local, and a null signal mask is allowed.
    let result = unsafe {
        libc::ppoll(
            entries.as_mut_ptr(),
            entries.len() as libc::nfds_t,
            spec,
            std::ptr::null(),
        )
    };
    match super::check(result) {
        Ok(count) => Ok(count as usize),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            entries.iter_mut().for_each(|entry| entry.revents = 0);
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// One entry to wait for.
pub(crate) fn entry(fd: RawFd, readable: bool, writable: bool) -> libc::pollfd {
    let mut events = libc::POLLRDHUP;
    if readable {
        events |= libc::POLLIN;
    }
    if writable {
        events |= libc::POLLOUT;
    }
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}
