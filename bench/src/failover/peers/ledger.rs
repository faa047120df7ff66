//! How does the bench know at once what a subscriber in another process has delivered?
//!
//! ```text
//! word 0 delivered │ 8, 16 signs of leg 0 and 1 │ 24, 32 their newest numbers │ 40 copies │ 48 … entries: when, number × 2 + leg
//! ```
//!
//! Memory of both, a ring: the subscriber writes an entry for each delivery, the bench reads what is new. Whoever reads too seldom is told so.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use twinfeed_net::shared::SharedWords;

use crate::error::Error;

/// Deliveries that it holds: some seconds of them.
const ENTRIES: usize = 1 << 21;
const DELIVERED: usize = 0;
const HEARD: [usize; 2] = [8, 16];
const NEWEST: [usize; 2] = [24, 32];
const COPIES: usize = 40;
const ENTRIES_AT: usize = 48;

/// A delivery to the application: the first of its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Delivery {
    pub(super) at_ns: u64,
    pub(super) number: u64,
    /// Whose copy it was.
    pub(super) leg: usize,
}

/// The subscriber's end.
#[derive(Debug)]
pub(super) struct Writer {
    words: SharedWords,
    delivered: u64,
    heard: [u64; 2],
}

impl Writer {
    /// The ledger that another process made; `door` is [`Reader::door`].
    pub(super) fn open(door: &str) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(door);
        let words = file.and_then(|file| SharedWords::open(file.into()));
        Ok(Self {
            words: words.map_err(Error::Memory)?,
            delivered: 0,
            heard: [0; 2],
        })
    }

    /// A copy came, whether it is the first of its number or not.
    #[inline]
    pub(super) fn copy(&mut self, leg: usize, number: u64) {
        self.heard[leg] += 1;
        let words = self.words.words();
        words[HEARD[leg]].store(self.heard[leg], Relaxed);
        words[NEWEST[leg]].store(number, Relaxed);
        words[COPIES].store(self.heard[0] + self.heard[1], Relaxed);
    }

    #[inline]
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let words = self.words.words();
        let at = ENTRIES_AT + self.delivered as usize % ENTRIES * 2;
        words[at].store(delivery.at_ns, Relaxed);
        words[at + 1].store(delivery.number << 1 | delivery.leg as u64, Relaxed);
        self.delivered += 1;
        words[DELIVERED].store(self.delivered, Release);
    }
}

/// The bench's end.
#[derive(Debug)]
pub(super) struct Reader {
    words: SharedWords,
    read: u64,
}

impl Reader {
    pub(super) fn new() -> Result<Self, Error> {
        let words = SharedWords::create(ENTRIES_AT + 2 * ENTRIES).map_err(Error::Memory)?;
        Ok(Self { words, read: 0 })
    }

    /// Where a process of the same user finds it.
    pub(super) fn door(&self) -> String {
        let file = self.words.as_fd().as_raw_fd();
        format!("/proc/{}/fd/{file}", std::process::id())
    }

    /// Signs of each leg so far: one for each copy, where copies of both come.
    pub(super) fn heard(&self) -> [u64; 2] {
        HEARD.map(|at| self.words.words()[at].load(Relaxed))
    }

    /// The newest number of each leg. Each comes in order, so that nothing older is on its way there.
    pub(super) fn newest(&self) -> [u64; 2] {
        NEWEST.map(|at| self.words.words()[at].load(Relaxed))
    }

    /// Copies that came so far, of both legs.
    pub(super) fn copies(&self) -> u64 {
        self.words.words()[COPIES].load(Relaxed)
    }

    /// Hands over what is new; returns whether something was overwritten before it was read.
    pub(super) fn read(&mut self, mut take: impl FnMut(Delivery)) -> bool {
        let words = self.words.words();
        let delivered = words[DELIVERED].load(Acquire);
        // Half of it, so that nothing is overwritten while it is read.
        let late = delivered - self.read > ENTRIES as u64 / 2;
        if late {
            self.read = delivered - ENTRIES as u64 / 2;
        }
        for entry in self.read..delivered {
            let at = ENTRIES_AT + entry as usize % ENTRIES * 2;
            let word = words[at + 1].load(Relaxed);
            take(Delivery {
                at_ns: words[at].load(Relaxed),
                number: word >> 1,
                leg: (word & 1) as usize,
            });
        }
        self.read = delivered;
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_writes_the_other_reads_once() {
        let mut reader = Reader::new().unwrap();
        let mut writer = Writer::open(&reader.door()).unwrap();
        let delivery = |number| Delivery {
            at_ns: number * 10,
            number,
            leg: (number % 2) as usize,
        };
        for number in 1..=5 {
            writer.copy(delivery(number).leg, number);
            writer.deliver(delivery(number));
        }
        let mut read = Vec::new();
        assert!(!reader.read(|delivery| read.push(delivery)));
        assert_eq!(read, (1..=5).map(delivery).collect::<Vec<_>>());
        assert!(!reader.read(|_| panic!("nothing is new")));
        assert_eq!((reader.heard(), reader.copies()), ([2, 3], 5));
        assert_eq!(reader.newest(), [4, 5]);
    }

    #[test]
    fn who_reads_too_seldom_is_told_so() {
        let mut reader = Reader::new().unwrap();
        let mut writer = Writer::open(&reader.door()).unwrap();
        let count = ENTRIES as u64 / 2 + 1;
        for number in 1..=count {
            let (at_ns, leg) = (number, 0);
            writer.deliver(Delivery { at_ns, number, leg });
        }
        let mut first = None;
        let late = reader.read(|delivery| {
            first.get_or_insert(delivery.number);
        });
        assert!(late);
        assert_eq!(first, Some(2));
    }
}
