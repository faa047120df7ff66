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

#[cfg(test)]
#[cfg(not(any(twinfeed_loom, miri)))]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};

    use super::super::layout::{LONGEST_AT, NEXT_AT, SLOTS_AT};
    use super::*;
    use crate::sys::shared::{SIZE, SIZE_AND_WRITERS, Seals, Write};

    const MOST: u64 = RingReader::DEFAULT_MOST_BYTES;

    /// A file as a writer would leave it, of so many bytes more or less, with these words changed and sealed so.
    fn file(more: i64, lies: &[(usize, u64)], seals: Option<Seals>) -> OwnedFd {
        let geometry = Geometry::new(4, 64).unwrap();
        let bytes = (geometry.words() as u64 * 8)
            .checked_add_signed(more)
            .unwrap();
        let file = shared::create(c"twinfeed-test", bytes).unwrap();
        shared::seal(file.as_fd(), SIZE).unwrap();
        let mapping = Mapping::<Write>::new(file.as_fd(), (bytes / 8) as usize).unwrap();
        for (at, word) in geometry.header(7).into_iter().chain(lies.iter().copied()) {
            if let Some(cell) = mapping.cells().get(at) {
                cell.store(word, Ordering::Relaxed);
            }
        }
        if let Some(seals) = seals {
            shared::seal(file.as_fd(), seals).unwrap();
        }
        file
    }

    #[test]
    fn a_header_that_lies_is_held_against_the_file() {
        let open = |more, lies: &[(usize, u64)]| {
            RingReader::open(file(more, lies, Some(SIZE_AND_WRITERS)).as_fd(), MOST)
        };
        assert_eq!(open(0, &[]).unwrap().incarnation(), 7);
        let sizes = |opened: Result<RingReader, RingError>| match opened {
            Err(RingError::Sizes { slots, longest }) => Some((slots, longest)),
            _ => None,
        };
        assert_eq!(sizes(open(0, &[(SLOTS_AT, 8)])), Some((8, 64)));
        assert_eq!(sizes(open(0, &[(SLOTS_AT, 1 << 60)])), Some((1 << 60, 64)));
        assert_eq!(sizes(open(0, &[(LONGEST_AT, 65_536)])), Some((4, 65_536)));
        assert_eq!(sizes(open(8, &[])), Some((4, 64)));
        assert_eq!(sizes(open(-8, &[])), Some((4, 64)));
        for (more, lies) in [
            (4, vec![]),
            (-8 * 4 * 24 - 8, vec![]),
            (0, vec![(0, 0)]),
            (0, vec![(NEXT_AT, u64::MAX)]),
        ] {
            let opened = open(more, &lies);
            assert!(matches!(opened, Err(RingError::NoRing)), "{more} {lies:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_or_cut_is_not_opened() {
        for (file, sealed) in [
            (file(0, &[], None), false),
            (file(0, &[], Some(SIZE)), false),
            (file(0, &[], Some(SIZE_AND_WRITERS)), true),
        ] {
            match RingReader::open(file.as_fd(), MOST) {
                Ok(_) => assert!(sealed),
                Err(error) => assert!(!sealed && matches!(error, RingError::Unsealed), "{error}"),
            }
        }
    }

    #[test]
    fn a_writer_that_lies_later_is_broken_and_nothing_more() {
        let geometry = Geometry::new(4, 64).unwrap();
        let file = file(0, &[], None);
        let writing = Mapping::<Write>::new(file.as_fd(), geometry.words()).unwrap();
        shared::seal(file.as_fd(), SIZE_AND_WRITERS).unwrap();
        let mut reader = RingReader::open(file.as_fd(), MOST).unwrap();
        // The sizes are not asked a second time; the slots are looked at one by one.
        writing.cells()[SLOTS_AT].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(reader.receive(), Ok(None));
        let slot = geometry.slot(0);
        writing.cells()[slot + 1].store(65, Ordering::Relaxed);
        writing.cells()[slot].store(2, Ordering::Relaxed);
        let (length, longest) = (65, 64);
        assert_eq!(reader.receive(), Err(Broken::Length { length, longest }));
        assert_eq!(reader.counters(), RingCounters::default());
    }
}
