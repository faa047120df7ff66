//! Aeron's IPC, held against our ring and a bare queue: the same records at the same times, the same two pinned processes.
//!
//! ```text
//!  due ─► offer ─► term buffer (shared memory) ─► poll: how late?
//! ```
//!
//! The driver makes the memory and passes no message on. It is embedded in the subscriber's process, and gets a turn there once in 1,024 polls; the publisher's
//! client gets one for every [`GRAIN`] records.

use std::sync::atomic::Ordering::Release;

use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::shared::SharedWords;

use super::publisher::{END, GRAIN, PATIENT_POLLS, memory};
use super::subscriber::{Told, number};
use super::{Came, PATIENCE_NS};
use crate::aeron::{Media, Publications, Subscriptions};
use crate::child::say;
use crate::error::Error;

/// Fragments that one poll takes at most, as in Aeron's samples.
const FRAGMENTS: usize = 10;

/// The writing side, in the thread that opened it.
pub(super) struct Offers {
    publications: Publications,
    offered: u64,
}

impl Offers {
    pub(super) fn open(doors: &[String]) -> Result<Self, Error> {
        Ok(Self {
            publications: Publications::open(Media::Ipc, doors)?,
            offered: 0,
        })
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.publications.offer(bytes);
        self.offered += 1;
        if self.offered.is_multiple_of(GRAIN) {
            self.publications.turn_client();
        }
    }
}

/// The reading side: says its doors, hears until the end.
pub(super) fn hear(taken: &SharedWords) -> Result<Came, Error> {
    let mut subscriptions = Subscriptions::open(Media::Ipc)?;
    say(&subscriptions.doors())?;
    let (mut told, mut ended, mut polls) = (Told::new(), false, 0_u64);
    let until = monotonic_ns() + 2 * PATIENCE_NS;
    while !ended {
        subscriptions.turn(FRAGMENTS, |message| {
            let number = number(message);
            if number == END {
                ended = true;
                return;
            }
            told.take(number, message.get(8..16).map_or(0, self::number), message);
            if number.is_multiple_of(GRAIN) {
                taken.words()[0].store(number, Release);
            }
        })?;
        polls += 1;
        if polls.is_multiple_of(PATIENT_POLLS) && monotonic_ns() > until {
            return Err(memory("the end did not come"));
        }
    }
    Ok(told.finish())
}
