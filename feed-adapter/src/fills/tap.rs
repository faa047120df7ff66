//! How does what is sent get to the thread that retains it, if that is slow?
//!
//! Two queues of the same buffers: those that are free, and those that are full. The data thread takes a free one,
//! copies, and hands it over; there is none when the other thread has not kept up, and then nothing is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use crate::config::Config;

/// A datagram on its way.
#[derive(Debug)]
struct Slot {
    bytes: Box<[u8]>,
    length: usize,
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

/// The retaining thread's end.
#[derive(Debug)]
pub struct Tapped {
    queues: Arc<Queues>,
}

/// Both ends, with all their memory.
#[must_use]
pub fn tap(config: &Config) -> (Tap, Tapped) {
    let (count, longest) = (config.fills.queue, config.publish.max_datagram);
    let queues = Arc::new(Queues {
        full: ArrayQueue::new(count),
        free: ArrayQueue::new(count),
        dropped: AtomicU64::new(0),
    });
    for _ in 0..count {
        let slot = Slot {
            bytes: vec![0; longest].into_boxed_slice(),
            length: 0,
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
    /// Hands a datagram over for retention, if there is a free buffer.
    pub fn keep(&self, bytes: &[u8]) {
        let Some(mut slot) = self.queues.free.pop() else {
            self.queues.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match slot.bytes.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                slot.length = bytes.len();
                // There is room for every buffer in either queue.
                let _ = self.queues.full.push(slot);
            }
            None => {
                let _ = self.queues.free.push(slot);
            }
        }
    }
}

impl Tapped {
    /// Gives what waits to `keep`, oldest first; returns how many datagrams that was.
    pub fn drain(&self, mut keep: impl FnMut(&[u8])) -> usize {
        let mut drained = 0;
        while let Some(slot) = self.queues.full.pop() {
            keep(&slot.bytes[..slot.length]);
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
    use crate::config::{EXAMPLE, Overrides};
    use twinfeed_wire::link::Role;

    #[test]
    fn what_finds_no_free_buffer_is_counted_and_the_rest_comes_in_order() {
        let mut config = Config::parse(Role::Active, EXAMPLE, &Overrides::default()).unwrap();
        config.fills.queue = 2;
        let (tap, tapped) = tap(&config);
        for byte in 1..=3 {
            tap.keep(&[byte; 8]);
        }
        let mut seen = Vec::new();
        assert_eq!(tapped.drain(|bytes| seen.push(bytes.to_vec())), 2);
        assert_eq!(seen, [vec![1; 8], vec![2; 8]]);
        assert_eq!(tapped.dropped(), 1);
        tap.keep(&[4; 8]);
        assert_eq!(tapped.drain(|bytes| assert_eq!(bytes, [4; 8])), 1);
        assert_eq!(tapped.dropped(), 1, "what was drained is free again");
    }
}
