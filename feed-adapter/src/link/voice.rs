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
use std::sync::Arc;

use twinfeed_net::bell::{Bell, Ear, bell};
use twinfeed_net::sync::{ArrayQueue, AtomicBool, AtomicU64, Ordering};
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
    woken: Ear,
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
    /// Whoever sets it rings.
    called: AtomicBool,
    wake: Bell,
}

/// A pair of halves.
///
/// # Errors
/// If the kernel gives no socket pair.
pub fn voice() -> io::Result<(Voice, Spoken)> {
    with_room(MOST_SPOKEN)
}

fn with_room(most: usize) -> io::Result<(Voice, Spoken)> {
    let (wake, woken) = bell()?;
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(most),
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
            self.shared.wake.ring();
        }
    }
}

impl Spoken {
    /// Takes the wake-up away; what is said from here on wakes again.
    pub fn hush(&self) {
        // In this order: a ringing that is taken away behind the flag could be that of somebody who set it anew, and
        // whoever speaks next would take the sleeper for called.
        self.woken.silence();
        self.shared.called.swap(false, Ordering::AcqRel);
    }

    /// What is next in this pairing; what is left of earlier ones is dropped.
    #[must_use]
    pub fn next(&self, pairing: u64) -> Next {
        while !self.is_broken(pairing)
            && let Some((of, frame)) = self.shared.queue.pop()
        {
            // Looked at again: it may have been said behind something that was not taken while this was under way.
            if of == pairing && !self.is_broken(pairing) {
                return Next::Frame(frame);
            }
        }
        if !self.is_broken(pairing) {
            return Next::Nothing;
        }
        while self.shared.queue.pop().is_some() {}
        Next::Broken
    }

    fn is_broken(&self, pairing: u64) -> bool {
        self.shared.broken.load(Ordering::Acquire) == pairing
    }
}

impl AsFd for Spoken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Most frames that wait for the link's thread.
pub const MOST_SPOKEN: usize = 1_024;

#[cfg(all(test, not(twinfeed_loom)))]
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
    fn what_is_said_after_a_hush_wakes_whatever_rang_meanwhile() {
        let (voice, spoken) = voice().unwrap();
        voice.say(1, asked(1));
        assert!(spoken.woken.rings());
        spoken.hush();
        assert!(!spoken.woken.rings());
        assert_eq!(spoken.next(1), Next::Frame(asked(1)));
        // A ringing that comes late, behind the look into the queue, is one too many and no more.
        voice.shared.wake.ring();
        assert!(spoken.woken.rings());
        spoken.hush();
        assert!(!spoken.woken.rings());
        voice.say(1, asked(2));
        assert!(spoken.woken.rings());
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

/// The data thread, the workshop and the link's thread, in every order: see [`twinfeed_net::sync`].
#[cfg(all(test, twinfeed_loom))]
mod loom_tests {
    use super::*;

    fn said(number: u32) -> Frame {
        Frame::CutRequest {
            sid: twinfeed_wire::Sid(1),
            generation: twinfeed_wire::Generation(number),
        }
    }

    /// As the link's thread does once per round.
    fn listen(spoken: &Spoken, pairing: u64) -> Vec<Next> {
        spoken.hush();
        let mut heard = Vec::new();
        loop {
            match spoken.next(pairing) {
                Next::Nothing => return heard,
                Next::Broken => {
                    heard.push(Next::Broken);
                    return heard;
                }
                frame @ Next::Frame(_) => heard.push(frame),
            }
        }
    }

    #[test]
    fn a_link_that_sleeps_lacks_nothing_or_is_woken() {
        loom::model(|| {
            let (voice, spoken) = with_room(4).unwrap();
            let speaker = loom::thread::spawn(move || {
                for number in 1..=2 {
                    voice.say(1, said(number));
                }
                voice
            });
            let mut heard = listen(&spoken, 1);
            let voice = speaker.join().unwrap();
            if heard.len() < 2 {
                assert!(
                    spoken.woken.rings(),
                    "something waits, and nobody would be woken"
                );
                heard.extend(listen(&spoken, 1));
            }
            assert_eq!(heard, [Next::Frame(said(1)), Next::Frame(said(2))]);
            // Now it sleeps: whatever rang, what is said next wakes it.
            spoken.hush();
            voice.say(1, said(3));
            assert!(spoken.woken.rings(), "what is said to a sleeper wakes it");
        });
    }

    #[test]
    fn what_is_said_wakes_although_the_link_was_looking_when_something_was_said_before() {
        loom::model(|| {
            let (voice, spoken) = with_room(4).unwrap();
            let speaker = loom::thread::spawn(move || {
                voice.say(1, said(1));
                voice.say(1, said(2));
                voice.say(1, said(3));
            });
            let mut heard = listen(&spoken, 1);
            heard.extend(listen(&spoken, 1));
            speaker.join().unwrap();
            if heard.len() < 3 {
                assert!(
                    spoken.woken.rings(),
                    "heard {heard:?}, the rest waits, and nobody would be woken"
                );
            }
        });
    }

    #[test]
    fn nothing_is_sent_after_something_that_was_not_taken() {
        loom::model(|| {
            let (voice, spoken) = with_room(1).unwrap();
            voice.say(1, said(0)); // of an earlier pairing, in the way
            let speaker = loom::thread::spawn(move || {
                for number in 1..=2 {
                    voice.say(2, said(number));
                }
            });
            let mut heard = listen(&spoken, 2);
            speaker.join().unwrap();
            if heard.last() != Some(&Next::Broken) {
                heard.extend(listen(&spoken, 2));
            }
            let sent: Vec<_> = heard.iter().filter(|next| **next != Next::Broken).collect();
            let all = [Next::Frame(said(1)), Next::Frame(said(2))];
            assert!(
                sent.iter().zip(&all).all(|(sent, all)| **sent == *all),
                "{heard:?}"
            );
            let broken = heard.last() == Some(&Next::Broken);
            assert!(
                broken || sent.len() == 2,
                "{heard:?}: what is missing is told"
            );
        });
    }
}
