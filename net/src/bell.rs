//! How is a thread woken that sleeps on its sockets?
//!
//! ```text
//!  any thread ── ring ─► one byte in a socket pair ─► the sleeper's wait returns ── silence ─► sleeps again
//! ```
//!
//! Ringing never waits, and a bell that rings already is as good as one that is rung again. Who calls whom, and what there
//! is to be told, is the business of whoever has a queue beside it. A sleeper silences the bell *before* it looks into its
//! queue: what is put in behind its last look rings anew.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

/// The end that rings; clones ring the same bell.
#[derive(Clone, Debug)]
pub struct Bell {
    socket: Arc<UnixDatagram>,
    #[cfg(twinfeed_loom)]
    rung: Arc<crate::sync::AtomicBool>,
}

/// The end that sleeps.
#[derive(Debug)]
pub struct Ear {
    socket: UnixDatagram,
    #[cfg(twinfeed_loom)]
    rung: Arc<crate::sync::AtomicBool>,
}

/// Both ends.
///
/// # Errors
/// If the kernel gives no socket pair.
pub fn bell() -> io::Result<(Bell, Ear)> {
    let (sending, receiving) = UnixDatagram::pair()?;
    sending.set_nonblocking(true)?;
    receiving.set_nonblocking(true)?;
    #[cfg(twinfeed_loom)]
    let rung = Arc::new(crate::sync::AtomicBool::new(false));
    let bell = Bell {
        socket: Arc::new(sending),
        #[cfg(twinfeed_loom)]
        rung: rung.clone(),
    };
    let ear = Ear {
        socket: receiving,
        #[cfg(twinfeed_loom)]
        rung,
    };
    Ok((bell, ear))
}

#[cfg(not(twinfeed_loom))]
impl Bell {
    /// Wakes the sleeper, now or when it next wants to sleep.
    pub fn ring(&self) {
        // A full socket is as good as a byte: there is something to wake for already.
        let _ = self.socket.send(&[1]);
    }
}

#[cfg(not(twinfeed_loom))]
impl Ear {
    /// Takes all ringing away.
    pub fn silence(&self) {
        while self.socket.recv(&mut [0; 8]).is_ok() {}
    }

    /// Whether a sleeper would be woken at once; takes nothing away.
    #[must_use]
    pub fn rings(&self) -> bool {
        use crate::wait::{Interest, wait};
        wait(
            [Interest::readable(self.as_fd())],
            Some(std::time::Duration::ZERO),
        )
        .is_ok_and(|ready| ready.contains(0))
    }
}

/// What the kernel's socket does, as far as two threads can tell.
#[cfg(twinfeed_loom)]
mod model {
    use super::{Bell, Ear};
    use crate::sync::Ordering::AcqRel;

    impl Bell {
        /// Wakes the sleeper.
        pub fn ring(&self) {
            let _ = &self.socket;
            self.rung.swap(true, AcqRel);
        }
    }

    impl Ear {
        /// Takes all ringing away.
        pub fn silence(&self) {
            self.rung.swap(false, AcqRel);
        }

        /// Whether a sleeper would be woken at once; takes nothing away.
        #[must_use]
        pub fn rings(&self) -> bool {
            self.rung.load(crate::sync::Ordering::Acquire)
        }
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_until_it_is_silenced_however_often_it_was_rung() {
        let (bell, ear) = bell().unwrap();
        assert!(!ear.rings());
        for _ in 0..10_000 {
            bell.clone().ring();
        }
        assert!(ear.rings());
        ear.silence();
        assert!(!ear.rings());
        bell.ring();
        assert!(ear.rings());
    }
}
