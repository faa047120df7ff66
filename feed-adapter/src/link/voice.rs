//! How does the data thread say something to the peer without waiting for anybody?
//!
//! ```text
//!  data thread ── say ─────► queue ── wake ─► pair-link thread ─► the connection at hand
//!              ── commit ──►   „      „          takes it in time ─► the kernel has it: so is told
//!              ◄─ not said ─────────────────── or not: it is never said
//! ```
//!
//! A bounded queue and a wake-up. Everything said belongs to one *pairing*: the count of times that the two ends
//! began to talk. What was said in an earlier one is not sent in a later one. When something cannot be taken,
//! nothing after it may be sent either: the pairing is broken, and the ends begin anew.
//!
//! What was said waits in this process, and dies with it. A *commitment* must not: what it says is done as soon as
//! it is said. So the data thread waits for it, on a quiet feed and for so long at most; who is late takes it no more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use twinfeed_net::bell::{Bell, Ear, bell};
use twinfeed_net::sync::{self, ArrayQueue, AtomicBool, AtomicU64, Ordering};
use twinfeed_wire::link::Frame;

/// The data thread's half.
#[derive(Debug)]
pub struct Voice {
    shared: Arc<Shared>,
    commitment: Arc<Commitment>,
    /// Commitments so far.
    committed: u64,
}

/// The link thread's half.
#[derive(Debug)]
pub struct Spoken {
    shared: Arc<Shared>,
    woken: Ear,
}

/// What is next to be sent.
#[derive(Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a plain value without a heap, taken from a queue made at the start"
)]
pub enum Next {
    /// This.
    Frame(Frame),
    /// This, for good: whoever said it waits for [`Taken::settle`].
    Commitment(Frame, Taken),
    /// Nothing, for now.
    Nothing,
    /// Something was not taken: the pairing is broken.
    Broken,
}

/// Which commitment: whose, and its count from 1.
#[derive(Clone, Debug)]
struct Ticket {
    of: Arc<Commitment>,
    number: u64,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.of, &other.of) && self.number == other.number
    }
}

/// The commitment that one voice said last: its number and its [`Progress`]. There is one at a time, for whoever says it
/// waits for it.
#[derive(Debug)]
struct Commitment(AtomicU64);

/// What was said.
#[derive(Clone, Debug)]
struct Word {
    pairing: u64,
    frame: Frame,
    /// Whether somebody waits for it to be sent.
    ticket: Option<Ticket>,
}

/// How far a commitment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// It waits in the queue; both ends may decide.
    Waits = 0,
    /// The link's thread has it in hand.
    Taken = 1,
    /// The kernel has it.
    Written = 2,
    /// It is not sent, and never will be.
    Void = 3,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Word>,
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
    let voice = Voice::of(shared.clone());
    Ok((voice, Spoken { shared, woken }))
}

impl Clone for Voice {
    /// Another one who speaks: what it commits to is its own.
    fn clone(&self) -> Self {
        Self::of(self.shared.clone())
    }
}

impl Voice {
    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            commitment: Arc::new(Commitment(AtomicU64::new(0))),
            committed: 0,
        }
    }

    /// Says it in this pairing; never waits, allocates nothing.
    pub fn say(&self, pairing: u64, frame: Frame) {
        let ticket = None;
        self.put(Word {
            pairing,
            frame,
            ticket,
        });
    }

    /// Says it in this pairing, behind everything said before, and waits until the kernel has it: `within` this time at most,
    /// and as long as the link's thread has it in hand. `false`: it was not sent and never will be.
    #[must_use]
    pub fn commit(&mut self, pairing: u64, frame: Frame, within: Duration) -> bool {
        self.committed += 1;
        let ticket = Ticket {
            of: self.commitment.clone(),
            number: self.committed,
        };
        ticket.begin();
        self.put(Word {
            pairing,
            frame,
            ticket: Some(ticket.clone()),
        });
        let begun = Instant::now();
        for look in 0_u32.. {
            match ticket.progress() {
                Progress::Written => return true,
                Progress::Void => return false,
                // Whoever takes it first has decided.
                Progress::Waits if begun.elapsed() >= within => {
                    if ticket.step(Progress::Waits, Progress::Void) {
                        return false;
                    }
                }
                Progress::Waits | Progress::Taken => sync::pause(look),
            }
        }
        false
    }

    fn put(&self, word: Word) {
        let pairing = word.pairing;
        if let Err(word) = self.shared.queue.push(word) {
            self.shared.broken.fetch_max(pairing, Ordering::AcqRel);
            word.give_up();
        }
        if !self.shared.called.swap(true, Ordering::AcqRel) {
            self.shared.wake.ring();
        }
    }
}

impl Ticket {
    /// What it stands for while it is in the state `progress`.
    const fn value(&self, progress: Progress) -> u64 {
        self.number << 2 | progress as u64
    }

    fn begin(&self) {
        let waits = self.value(Progress::Waits);
        self.of.0.store(waits, Ordering::Release);
    }

    /// How far it is; a commitment that another has followed is over.
    fn progress(&self) -> Progress {
        let value = self.of.0.load(Ordering::Acquire);
        match (value >> 2 == self.number, value & 3) {
            (true, 0) => Progress::Waits,
            (true, 1) => Progress::Taken,
            (true, 2) => Progress::Written,
            _ => Progress::Void,
        }
    }

    /// Whether this has brought it from one step to the next.
    fn step(&self, from: Progress, to: Progress) -> bool {
        let (from, to) = (self.value(from), self.value(to));
        let stepped = (self.of.0).compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        stepped.is_ok()
    }
}

/// A commitment in the hands of whoever sends it; one that is dropped was not sent.
#[derive(Debug, PartialEq)]
pub struct Taken(Ticket);

impl Taken {
    /// What became of it: whether the kernel has it.
    pub fn settle(self, written: bool) {
        if written {
            self.0.step(Progress::Taken, Progress::Written);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.step(Progress::Taken, Progress::Void);
    }
}

impl Word {
    /// It is not sent: nobody waits for it any longer.
    fn give_up(&self) {
        if let Some(ticket) = &self.ticket {
            ticket.step(Progress::Waits, Progress::Void);
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
            && let Some(word) = self.shared.queue.pop()
        {
            // Looked at again: it may have been said behind something that was not taken while this was under way.
            if word.pairing != pairing || self.is_broken(pairing) {
                word.give_up();
                continue;
            }
            match word.ticket {
                None => return Next::Frame(word.frame),
                Some(ticket) if ticket.step(Progress::Waits, Progress::Taken) => {
                    return Next::Commitment(word.frame, Taken(ticket));
                }
                // Whoever said it waits no more.
                Some(_) => {}
            }
        }
        if !self.is_broken(pairing) {
            return Next::Nothing;
        }
        while let Some(word) = self.shared.queue.pop() {
            word.give_up();
        }
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

    /// Commits to it on a thread of its own, and waits without end.
    fn commits(voice: &Voice, generation: u32) -> std::thread::JoinHandle<bool> {
        let mut voice = voice.clone();
        std::thread::spawn(move || voice.commit(1, asked(generation), Duration::MAX))
    }

    /// What comes next, once it does.
    fn wait_for(spoken: &Spoken, pairing: u64) -> Next {
        loop {
            match spoken.next(pairing) {
                Next::Nothing => std::thread::yield_now(),
                next => return next,
            }
        }
    }

    #[test]
    fn whoever_commits_learns_whether_the_kernel_has_it() {
        let (voice, spoken) = voice().unwrap();
        voice.say(1, asked(1));
        for written in [true, false] {
            let waits = commits(&voice, 2);
            let mut next = wait_for(&spoken, 1);
            if next == Next::Frame(asked(1)) {
                next = wait_for(&spoken, 1);
            }
            let Next::Commitment(frame, ticket) = next else {
                panic!("{next:?}");
            };
            assert_eq!(frame, asked(2));
            assert!(!waits.is_finished(), "nobody has said what became of it");
            ticket.settle(written);
            assert_eq!(waits.join().unwrap(), written);
        }
    }

    #[test]
    fn a_commitment_that_nobody_takes_in_time_is_never_sent_and_does_not_hold_up_what_follows() {
        let (mut voice, spoken) = voice().unwrap();
        assert!(!voice.commit(1, asked(1), Duration::ZERO));
        assert!(!voice.commit(1, asked(2), Duration::ZERO));
        voice.say(1, asked(3));
        assert_eq!(spoken.next(1), Next::Frame(asked(3)));
        assert_eq!(spoken.next(1), Next::Nothing);
    }

    #[test]
    fn a_commitment_that_is_let_go_of_was_not_sent() {
        let (voice, spoken) = voice().unwrap();
        let waits = commits(&voice, 1);
        drop(wait_for(&spoken, 1));
        assert!(!waits.join().unwrap());
    }

    #[test]
    fn a_commitment_in_an_earlier_pairing_or_a_broken_one_is_given_up_at_once() {
        let (voice, spoken) = voice().unwrap();
        let waits = commits(&voice, 1);
        while !waits.is_finished() {
            assert_eq!(spoken.next(2), Next::Nothing);
        }
        assert!(!waits.join().unwrap());
        for generation in 0..=MOST_SPOKEN {
            voice.say(1, asked(u32::try_from(generation).unwrap()));
        }
        assert!(!commits(&voice, 2).join().unwrap(), "there is no room");
        assert_eq!(spoken.next(1), Next::Broken);
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
                Next::Commitment(frame, ticket) => {
                    heard.push(Next::Frame(frame));
                    ticket.settle(true);
                }
            }
        }
    }

    #[test]
    fn whoever_commits_and_whoever_sends_agree_on_what_became_of_it() {
        for within in [Duration::ZERO, Duration::MAX] {
            loom::model(move || {
                let (mut voice, spoken) = with_room(2).unwrap();
                let speaker = loom::thread::spawn(move || {
                    let committed = voice.commit(1, said(1), within);
                    voice.say(1, said(2));
                    committed
                });
                let mut heard = listen(&spoken, 1);
                while within == Duration::MAX && heard.is_empty() {
                    loom::thread::yield_now();
                    heard = listen(&spoken, 1);
                }
                let committed = speaker.join().unwrap();
                heard.extend(listen(&spoken, 1));
                match committed {
                    true => assert_eq!(heard, [Next::Frame(said(1)), Next::Frame(said(2))]),
                    false => assert_eq!(heard, [Next::Frame(said(2))]),
                }
                assert!(committed || within == Duration::ZERO);
            });
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
