//! The one who writes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::error::{RingError, TooLong};
use super::layout::{
    CLOSED, Geometry, LEAST_LONGEST, LEAST_SLOTS, MOST_LONGEST, MOST_SLOTS, OPEN, STATE_AT,
};
use super::slot;
use crate::Error;
use crate::sync::Ordering;
use crate::sys::shared::{self, Mapping, Write};
use crate::udp::Datagrams;

/// How to make a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingConfig {
    slots: usize,
    longest: usize,
    incarnation: u64,
}

impl RingConfig {
    /// Slots unless set: 8,192, which is 82 ms of 100,000 datagrams a second.
    pub const DEFAULT_SLOTS: usize = 8_192;
    /// Fewest slots of a ring.
    pub const LEAST_SLOTS: usize = LEAST_SLOTS;
    /// Most slots of a ring.
    pub const MOST_SLOTS: usize = MOST_SLOTS;
    /// Longest datagram unless set, bytes: what fits an Ethernet frame.
    pub const DEFAULT_LONGEST: usize = 1_472;
    /// Most bytes of a datagram that a ring can be made for.
    pub const MOST_LONGEST: usize = MOST_LONGEST;

    /// A ring of the writer with this identity; a writer that was restarted has another one, and another ring.
    pub fn new(incarnation: u64) -> Self {
        Self {
            slots: Self::DEFAULT_SLOTS,
            longest: Self::DEFAULT_LONGEST,
            incarnation,
        }
    }

    /// How many slots, each for one datagram of whatever length: a power of two, [`Self::LEAST_SLOTS`] to
    /// [`Self::MOST_SLOTS`]. Two are always open for what comes next: a reader that is one less than so many datagrams
    /// behind has lost some.
    #[must_use]
    pub fn slots(mut self, datagrams: usize) -> Self {
        self.slots = datagrams;
        self
    }

    /// Longest datagram, 8 to [`Self::MOST_LONGEST`] bytes, rounded up to a multiple of 8. It decides how much memory a
    /// slot takes, not how much of it is touched.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    fn geometry(&self) -> Result<Geometry, Error> {
        let longest = self.longest.max(LEAST_LONGEST);
        Error::bounds("ring longest", longest, LEAST_LONGEST, MOST_LONGEST)?;
        Error::bounds("ring slots", self.slots, LEAST_SLOTS, MOST_SLOTS)?;
        // Within bounds, so what is left to be refused is that it is no power of two.
        Geometry::new(self.slots, longest.next_multiple_of(8)).ok_or(Error::NotAPowerOfTwo {
            name: "ring slots",
            value: self.slots as u64,
        })
    }
}

/// What became of the datagrams of one call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Published {
    /// Written.
    pub taken: usize,
    /// Longer than the ring was made for, and left out: readers do not hear of them.
    pub too_long: usize,
}

/// A ring, from the side of the one who writes. Never waits, makes no system call, and reads nothing that others write.
///
/// Dropping it says to readers that nothing more comes. A process that dies says nothing: its readers see silence.
#[derive(Debug)]
pub struct RingWriter {
    mapping: Mapping<Write>,
    geometry: Geometry,
    incarnation: u64,
    /// The number of the next datagram.
    next: u64,
    file: OwnedFd,
}

impl RingWriter {
    /// Makes a ring, all of whose memory is there when this returns.
    ///
    /// # Errors
    /// Which size is wrong, or what the kernel says; it is out of memory, most likely, or older than Linux 5.1.
    pub fn create(config: &RingConfig) -> Result<Self, RingError> {
        let geometry = config.geometry()?;
        let words = geometry.words();
        let bytes = words as u64 * 8;
        let file =
            shared::create(c"twinfeed-ring", bytes).map_err(RingError::kernel("give memory to"))?;
        shared::seal(file.as_fd(), shared::SIZE).map_err(RingError::kernel("seal the size of"))?;
        let mapping =
            Mapping::<Write>::new(file.as_fd(), words).map_err(RingError::kernel("map"))?;
        for (at, word) in geometry.header(config.incarnation) {
            mapping.cells()[at].store(word, Ordering::Relaxed);
        }
        mapping.cells()[STATE_AT].store(OPEN, Ordering::Relaxed);
        slot::begin(mapping.cells(), &geometry);
        // Behind the mapping that writes, so that it stays the only one.
        shared::seal(file.as_fd(), shared::SIZE_AND_WRITERS)
            .map_err(RingError::kernel("seal against other writers"))?;
        Ok(Self {
            mapping,
            geometry,
            incarnation: config.incarnation,
            next: 0,
            file,
        })
    }

    /// Writes one datagram.
    ///
    /// # Errors
    /// It is longer than the ring was made for; nothing is written.
    #[inline]
    pub fn push(&mut self, datagram: &[u8]) -> Result<(), TooLong> {
        let (length, longest) = (datagram.len(), self.geometry.longest());
        if length > longest {
            return Err(TooLong { length, longest });
        }
        slot::write(self.mapping.cells(), &self.geometry, self.next, datagram);
        self.next += 1;
        Ok(())
    }

    /// Writes all datagrams, in order.
    pub fn publish<D: Datagrams + ?Sized>(&mut self, datagrams: &D) -> Published {
        let mut published = Published::default();
        for index in 0..datagrams.count() {
            match self.push(datagrams.datagram(index)) {
                Ok(()) => published.taken += 1,
                Err(TooLong { .. }) => published.too_long += 1,
            }
        }
        published
    }

    /// How many datagrams were written.
    pub fn written(&self) -> u64 {
        self.next
    }

    /// Who writes.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Most bytes of a datagram.
    pub fn longest(&self) -> usize {
        self.geometry.longest()
    }
}

impl AsFd for RingWriter {
    /// The file to hand to readers: whoever has it can map it for reading and do nothing else with it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for RingWriter {
    fn drop(&mut self) {
        // Release: who sees it sees all datagrams before it.
        self.mapping.cells()[STATE_AT].store(CLOSED, Ordering::Release);
    }
}
