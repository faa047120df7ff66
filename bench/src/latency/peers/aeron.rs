//! Aeron: UDP in one publication, UDP in two whose copies the application merges by number, and IPC.
//!
//! ```text
//!  publisher's process, one thread            subscriber's process, one thread
//!  due ─► offer ─► driver's turn ──── UDP ──► driver's turn ─► poll: how late?
//!  due ─► offer ──── shared memory ──────────────────────────► poll: how late?
//! ```

use std::time::Instant;

use twinfeed_net::clock::monotonic_ns;

use super::super::Heard;
use super::super::publisher::{END, Publish};
use super::super::subscriber::{Subscribe, Told};
use super::QUIET_NS;
use crate::aeron::{Media, Publications, Subscriptions, frame};
use crate::error::Error;

/// Fragments that one poll takes at most, as in Aeron's samples.
const FRAGMENTS: usize = 10;
/// How long the driver goes on behind the last message, for who has to ask for it again.
const LAST_MS: u128 = 40;

/// The sending half.
pub(in super::super) struct Publisher {
    publications: Publications,
    media: Media,
    message: Vec<u8>,
}

impl Publisher {
    pub(in super::super) fn open(media: Media, doors: &[String]) -> Result<Self, Error> {
        Ok(Self {
            publications: Publications::open(media, doors)?,
            media,
            message: Vec::new(),
        })
    }

    /// Offers until it is taken, unless nobody is there any more.
    fn offer(&self, message: &[u8]) {
        self.publications.offer(message);
        // Here it leaves, if it does so through a socket.
        self.publications.turn_driver();
    }
}

impl Publish for Publisher {
    fn send(&mut self, number: u64, record: &[u8]) {
        self.message.clear();
        self.message.extend_from_slice(&number.to_le_bytes());
        self.message.extend_from_slice(record);
        self.offer(&self.message);
        self.publications.turn_client();
    }

    fn wait(&mut self, left: u64) {
        if left > QUIET_NS {
            self.publications.turn_driver();
        }
        std::hint::spin_loop();
    }

    fn end(&mut self) -> Result<(), Error> {
        self.offer(&END);
        let begun = Instant::now();
        while self.publications.driven() && begun.elapsed().as_millis() < LAST_MS {
            self.publications.turn_driver();
            self.publications.turn_client();
        }
        Ok(())
    }

    fn datagram(&self) -> Option<usize> {
        matches!(self.media, Media::Udp { .. }).then(|| frame(self.message.len()))
    }
}

/// The receiving half.
pub(in super::super) struct Subscriber {
    subscriptions: Subscriptions,
    /// Publications that said their end.
    ended: usize,
}

impl Subscriber {
    pub(in super::super) fn open(media: Media) -> Result<Self, Error> {
        Ok(Self {
            subscriptions: Subscriptions::open(media)?,
            ended: 0,
        })
    }
}

impl Subscribe for Subscriber {
    fn doors(&self) -> Result<Vec<String>, Error> {
        Ok(self.subscriptions.doors().to_vec())
    }

    fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
        let copies = self.subscriptions.copies();
        self.subscriptions.turn(FRAGMENTS, |message| {
            if message == END {
                self.ended += 1;
            } else if copies > 1 {
                told.copy(message);
            } else {
                told.only(monotonic_ns(), message);
            }
        })?;
        Ok(self.ended == copies)
    }

    fn finish(&mut self, _heard: &mut Heard) {}
}
