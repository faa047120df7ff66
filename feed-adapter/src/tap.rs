//! How does what is sent get to a thread that makes something of it, if that is slow?
//!
//! Two queues of the same buffers: those that are free, and those that are full. The data thread takes a free one,
//! copies, and hands it over; there is none when the other thread has not kept up, and then nothing is copied, and what comes next says
//! so. One tap for each thread: `fills` retains what was sent, `snapshots` follows what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

/// A datagram on its way.
#[derive(Debug)]
struct Slot {
    bytes: Box<[u8]>,
    length: usize,
    /// How many found no buffer before this one.
    lost: u64,
}

#[derive(Debug)]
struct Queues {
    full: ArrayQueue<Slot>,
    free: ArrayQueue<Slot>,
    dropped: AtomicU64,
}

/// The data thread's end.
#[derive(Clone, Debug)]
pub struct Tap {
    queues: Arc<Queues>,
}

/// The other thread's end.
#[derive(Debug)]
pub struct Tapped {
    queues: Arc<Queues>,
}

/// Both ends, with all their memory: so many datagrams of at most so many bytes may wait.
#[must_use]
pub fn tap(count: usize, longest: usize) -> (Tap, Tapped) {
    let queues = Arc::new(Queues {
        full: ArrayQueue::new(count),
        free: ArrayQueue::new(count),
        dropped: AtomicU64::new(0),
    });
    for _ in 0..count {
        let slot = Slot {
            bytes: vec![0; longest].into_boxed_slice(),
            length: 0,
            lost: 0,
        };
        // As many as there is room for.
        let _ = queues.free.push(slot);
    }
    let tapped = Tapped {
        queues: Arc::clone(&queues),
    };
    (Tap { queues }, tapped)
}

impl Tap {
    /// Hands a datagram over, if there is a free buffer. One thread does so.
    pub fn keep(&self, bytes: &[u8]) {
        let Some(mut slot) = self.queues.free.pop() else {
            self.queues.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match slot.bytes.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                slot.length = bytes.len();
                slot.lost = self.queues.dropped.load(Ordering::Relaxed);
                // There is room for every buffer in either queue.
                let _ = self.queues.full.push(slot);
            }
            None => {
                self.queues.dropped.fetch_add(1, Ordering::Relaxed);
                let _ = self.queues.free.push(slot);
            }
        }
    }

    /// Whether nothing waits at the other end.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queues.full.is_empty()
    }
}

impl Tapped {
    /// Gives what waits to `keep`, oldest first, each with how many were dropped before it, and no more than there is room for at a
    /// time; returns how many datagrams that was.
    pub fn drain(&self, mut keep: impl FnMut(&[u8], u64)) -> usize {
        let mut drained = 0;
        while drained < self.queues.full.capacity()
            && let Some(slot) = self.queues.full.pop()
        {
            keep(&slot.bytes[..slot.length], slot.lost);
            let _ = self.queues.free.push(slot);
            drained += 1;
        }
        drained
    }

    /// Datagrams for which there was no free buffer.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queues.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_free_buffer_is_counted_and_the_rest_comes_in_order() {
        let (tap, tapped) = tap(2, 64);
        for byte in 1..=3 {
            tap.keep(&[byte; 8]);
        }
        let mut seen = Vec::new();
        assert_eq!(
            tapped.drain(|bytes, lost| seen.push((bytes.to_vec(), lost))),
            2
        );
        assert_eq!(seen, [(vec![1; 8], 0), (vec![2; 8], 0)]);
        assert_eq!(tapped.dropped(), 1);
        tap.keep(&[4; 8]);
        let next = |bytes: &[u8], lost| assert_eq!((bytes, lost), (&[4; 8][..], 1));
        assert_eq!(
            tapped.drain(next),
            1,
            "it says that one is missing before it"
        );
        assert_eq!(tapped.dropped(), 1, "what was drained is free again");
        tap.keep(&[5; 65]);
        assert_eq!(tapped.dropped(), 2, "what no buffer holds is missing, too");
    }
}
