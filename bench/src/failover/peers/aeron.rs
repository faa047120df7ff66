//! Aeron: a publication of each publisher to a port of its own, both polled by one thread.
//!
//! Each process has an embedded driver, which works when the process's one thread gives it a turn: behind each datagram's worth of messages, and before each
//! poll. A killed publisher takes its driver along. The subscriber idles as Aeron's own backoff does by default, for there is nothing that it could sleep on.

use twinfeed_net::idle::{Backoff, Idle, Idler};

use super::publisher::{SIZE, Send};
use super::subscriber::Merge;
use crate::aeron::{Media, Publications, Subscriptions, frame};
use crate::child::say;
use crate::error::Error;

/// Fragments that one poll takes at most, as in Aeron's samples.
const FRAGMENTS: usize = 10;
/// Messages of a datagram of Aeron's default MTU.
const TOGETHER: usize = 1_408 / frame(SIZE);
/// Aeron's BackoffIdleStrategy (Agrona): 10 spins, 20 yields, then sleeps of 1 µs to 1 ms.
const IDLE: Idle = Idle::Backoff(Backoff {
    spins: 10,
    yields: 20,
    min_us: 1,
    max_us: 1_000,
});

pub(super) struct Publisher {
    publications: Publications,
    /// Messages since the driver had a turn.
    waiting: usize,
}

impl Publisher {
    pub(super) fn open(leg: usize, doors: &[String]) -> Result<Self, Error> {
        let publications = Publications::of_leg(leg, doors)?;
        let waiting = 0;
        Ok(Self {
            publications,
            waiting,
        })
    }
}

impl Send for Publisher {
    fn put(&mut self, message: &[u8; SIZE]) {
        self.publications.offer(message);
        self.waiting += 1;
        if self.waiting == TOGETHER {
            self.publications.turn_driver();
            self.waiting = 0;
        }
    }

    fn flush(&mut self) {
        self.publications.turn_driver();
        self.publications.turn_client();
        self.waiting = 0;
    }
}

pub(super) fn hear(mut merge: Merge) -> Result<(), Error> {
    let mut subscriptions = Subscriptions::open(Media::TWO)?;
    say(&subscriptions.doors())?;
    let mut idler = Idler::new(IDLE);
    loop {
        let mut work = 0;
        subscriptions.turn(FRAGMENTS, |message| {
            work += 1;
            merge.take(message);
        })?;
        idler.idle(work, []);
    }
}
