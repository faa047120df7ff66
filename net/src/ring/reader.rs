//! One of those who read.

use std::os::fd::BorrowedFd;

use super::cursor::{Cursor, Taken};
use super::error::{Broken, RingError};
use super::layout::{CLOSED, Geometry, HEADER, STATE_AT};
use crate::sync::{Ordering, fence};
use crate::sys::memory::{Block, bytes_of};
use crate::sys::shared::{self, Mapping, Read};

/// One datagram, in the reader's own memory: nobody writes there until the reader's next call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingDatagram<'r> {
    /// The payload, at an eight-byte aligned address.
    pub bytes: &'r [u8],
    /// Datagrams between the one before and this one that were overwritten before they were read.
    pub lost: u64,
}

/// What a reader has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RingCounters {
    /// Datagrams handed out.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams lost, as far as a later datagram told.
    pub lost: u64,
    /// How often some were.
    pub laps: u64,
}

/// A ring, from the side of one who reads: polls, never waits, makes no system call.
#[derive(Debug)]
pub struct RingReader {
    mapping: Mapping<Read>,
    cursor: Cursor,
    /// Holds the longest datagram.
    own: Box<[Block]>,
    incarnation: u64,
    counters: RingCounters,
}

impl RingReader {
    /// Most bytes that a reader maps unless it allows more: 256 MiB.
    pub const DEFAULT_MOST_BYTES: u64 = 256 << 20;

    /// Opens what was handed over, at the datagram that is written next. Maps `most_bytes` at most. The file is not needed
    /// any more afterwards.
    ///
    /// # Errors
    /// What is not a ring, is not sealed, has sizes that do not fit, is larger, or what the kernel says. Nothing that the
    /// header says is believed before it was held against the file.
    pub fn open(file: BorrowedFd<'_>, most_bytes: u64) -> Result<Self, RingError> {
        // Who could cut the file, or write into it, is none to rely on; a file that has no seals is no file of a ring.
        let seals = shared::seals(file).map_err(|_| RingError::NoRing)?;
        if !seals.contain(shared::SIZE_AND_WRITERS) {
            return Err(RingError::Unsealed);
        }
        let bytes = shared::size(file).map_err(RingError::kernel("look at"))?;
        if bytes > most_bytes {
            let most = most_bytes;
            return Err(RingError::TooLarge { bytes, most });
        }
        if bytes < (HEADER * 8) as u64 || !bytes.is_multiple_of(8) {
            return Err(RingError::NoRing);
        }
        let words = usize::try_from(bytes / 8).map_err(|_| RingError::NoRing)?;
        let mapping = Mapping::<Read>::new(file, words).map_err(RingError::kernel("map"))?;
        // Read once: what the header says later is not asked.
        let (geometry, incarnation) = Geometry::read(mapping.words())?;
        if geometry.words() != mapping.words().len() {
            return Err(RingError::Sizes {
                slots: geometry.slots() as u64,
                longest: geometry.longest() as u64,
            });
        }
        let cursor = Cursor::join(mapping.words(), geometry).map_err(|_| RingError::NoRing)?;
        Ok(Self {
            mapping,
            cursor,
            own: vec![Block::ZERO; geometry.longest() / 8].into_boxed_slice(),
            incarnation,
            counters: RingCounters::default(),
        })
    }

    /// The next datagram, if it is there.
    ///
    /// # Errors
    /// The memory says what no writer of ours says; the next call may say anything. Go on by other means.
    #[inline]
    pub fn receive(&mut self) -> Result<Option<RingDatagram<'_>>, Broken> {
        let Some(Taken { length, lost }) = self.cursor.take(self.mapping.words(), &mut self.own)?
        else {
            return Ok(None);
        };
        let counters = &mut self.counters;
        counters.datagrams += 1;
        counters.bytes += length as u64;
        counters.lost += lost;
        counters.laps += u64::from(lost > 0);
        Ok(Some(RingDatagram {
            bytes: &bytes_of(&self.own)[..length],
            lost,
        }))
    }

    /// Whether the writer has said that nothing more comes. Who sees it and then receives nothing has received all.
    pub fn is_closed(&self) -> bool {
        let closed = self.mapping.words().load(STATE_AT) == CLOSED;
        fence(Ordering::Acquire);
        closed
    }

    /// Who writes.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What was counted so far.
    pub fn counters(&self) -> RingCounters {
        self.counters
    }
}
