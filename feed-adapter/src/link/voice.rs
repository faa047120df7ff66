//! How does the data thread say something to the peer without waiting for anybody?
//!
//! ```text
//!  data thread ── say ─► queue ── wake ─► pair-link thread ─► the connection at hand
//! ```
//!
//! A bounded queue and a wake-up. Everything said belongs to one *pairing*: the count of times that the two ends
//! began to talk. What was said in an earlier one is not sent in a later one. When something cannot be taken,
//! nothing after it may be sent either: the pairing is broken, and the ends begin anew.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use twinfeed_wire::link::Frame;

/// The data thread's half.
#[derive(Clone, Debug)]
pub struct Voice {
    shared: Arc<Shared>,
}

/// The link thread's half.
#[derive(Debug)]
pub struct Spoken {
    shared: Arc<Shared>,
    woken: UnixDatagram,
}

/// What is next to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a plain value without a heap, taken from a queue made at the start"
)]
pub enum Next {
    /// This.
    Frame(Frame),
    /// Nothing, for now.
    Nothing,
    /// Something was not taken: the pairing is broken.
    Broken,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<(u64, Frame)>,
    /// The latest pairing in which something could not be taken.
    broken: AtomicU64,
    called: AtomicBool,
    wake: UnixDatagram,
}

/// A pair of halves.
///
/// # Errors
/// If the kernel gives no socket pair.
pub fn voice() -> io::Result<(Voice, Spoken)> {
    let (wake, woken) = UnixDatagram::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(MOST_SPOKEN),
        broken: AtomicU64::new(0),
        called: AtomicBool::new(false),
        wake,
    });
    let voice = Voice {
        shared: shared.clone(),
    };
    Ok((voice, Spoken { shared, woken }))
}

impl Voice {
    /// Says it in this pairing; never waits, allocates nothing.
    pub fn say(&self, pairing: u64, frame: Frame) {
        if self.shared.queue.push((pairing, frame)).is_err() {
            self.shared.broken.fetch_max(pairing, Ordering::AcqRel);
        }
        if !self.shared.called.swap(true, Ordering::AcqRel) {
            // A full socket is as good as a byte: there is something to wake for already.
            let _ = self.shared.wake.send(&[1]);
        }
    }
}

impl Spoken {
    /// Takes the wake-up away; what is said from here on wakes again.
    pub fn hush(&self) {
        if self.shared.called.swap(false, Ordering::AcqRel) {
            while self.woken.recv(&mut [0; 8]).is_ok() {}
        }
    }

    /// What is next in this pairing; what is left of earlier ones is dropped.
    #[must_use]
    pub fn next(&self, pairing: u64) -> Next {
        if self.shared.broken.load(Ordering::Acquire) == pairing {
            while self.shared.queue.pop().is_some() {}
            return Next::Broken;
        }
        while let Some((of, frame)) = self.shared.queue.pop() {
            if of == pairing {
                return Next::Frame(frame);
            }
        }
        Next::Nothing
    }
}

impl AsFd for Spoken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Most frames that wait for the link's thread.
pub const MOST_SPOKEN: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(generation: u32) -> Frame {
        Frame::CutRequest {
            sid: twinfeed_wire::Sid(1),
            generation: twinfeed_wire::Generation(generation),
        }
    }

    #[test]
    fn what_was_said_in_an_earlier_pairing_is_not_sent_in_a_later_one() {
        let (voice, spoken) = voice().unwrap();
        for (pairing, generation) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
            voice.say(pairing, asked(generation));
        }
        spoken.hush();
        assert_eq!(spoken.next(2), Next::Frame(asked(3)));
        assert_eq!(spoken.next(2), Next::Frame(asked(4)));
        assert_eq!(spoken.next(2), Next::Nothing);
    }

    #[test]
    fn a_pairing_in_which_something_was_not_taken_is_broken_and_the_next_is_not() {
        let (voice, spoken) = voice().unwrap();
        for generation in 0..=MOST_SPOKEN {
            voice.say(7, asked(u32::try_from(generation).unwrap()));
        }
        assert_eq!(spoken.next(7), Next::Broken);
        voice.say(8, asked(1));
        assert_eq!(spoken.next(8), Next::Frame(asked(1)));
    }
}
