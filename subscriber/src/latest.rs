//! How does another thread see how the poller is doing, without the poller noticing?
//!
//! ```text
//!   poller ──publish──► ready ──refresh──► shown (any number of readers, behind their own lock)
//!      ▲                                     │
//!      └──────────────── spare ◄─────────────┘      three boxes go round for ever
//! ```
//!
//! Publishing is a fill and a few swaps of a pointer: no lock, no allocation, no system call, whatever the
//! readers do. Readers see whole values, the newest or one before it, never a mixture.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::atomic::AtomicCell;

/// The writing end; there is one.
#[derive(Debug)]
pub(crate) struct Publisher<T> {
    shared: Arc<Shared<T>>,
    /// Filled next, unless a reader gave one back.
    own: Option<Box<T>>,
}

/// The reading end; clones see the same values.
#[derive(Debug)]
pub(crate) struct Reader<T>(Arc<Shared<T>>);

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<T> {
    ready: AtomicCell<Option<Box<T>>>,
    spare: AtomicCell<Option<Box<T>>>,
    shown: Mutex<Box<T>>,
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Looking into a cell would take its box away.
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Both ends; readers see `T::default()` until something is published.
pub(crate) fn latest<T: Default>() -> (Publisher<T>, Reader<T>) {
    const {
        assert!(AtomicCell::<Option<Box<u8>>>::is_lock_free());
    }
    let shared = Arc::new(Shared {
        ready: AtomicCell::new(None),
        spare: AtomicCell::new(Some(Box::default())),
        shown: Mutex::default(),
    });
    let publisher = Publisher {
        shared: Arc::clone(&shared),
        own: Some(Box::default()),
    };
    (publisher, Reader(shared))
}

impl<T> Publisher<T> {
    /// Lets `fill` overwrite an old value and shows it to readers.
    pub(crate) fn publish(&mut self, fill: impl FnOnce(&mut T)) {
        let mut value = self.free();
        fill(&mut value);
        self.own = self.shared.ready.swap(Some(value));
    }

    /// A box that no reader holds. Of the three one is shown and one may be on its way from a reader, so
    /// one is here, spare, or ready and unread. A second round is taken only if a reader moved boxes
    /// between two of the looks, and readers move one at a time.
    fn free(&mut self) -> Box<T> {
        loop {
            let own = self.own.take();
            let spare = own.or_else(|| self.shared.spare.take());
            if let Some(value) = spare.or_else(|| self.shared.ready.take()) {
                return value;
            }
        }
    }
}

impl<T: Clone> Reader<T> {
    /// The newest value.
    pub(crate) fn read(&self) -> T {
        self.with(T::clone)
    }

    /// Looks at the newest value.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let mut shown = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = self.0.ready.take() {
            let old = std::mem::replace(&mut *shown, ready);
            self.0.spare.store(Some(old));
        }
        look(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_newest_value_however_many_it_missed() {
        let (mut publisher, reader) = latest::<u64>();
        assert_eq!(reader.read(), 0);
        for value in 1..=5 {
            publisher.publish(|cell| *cell = value);
        }
        assert_eq!((reader.read(), reader.clone().read()), (5, 5));
        publisher.publish(|cell| *cell = 6);
        assert_eq!(reader.read(), 6);
    }

    #[test]
    fn values_are_whole_and_never_step_back() {
        let (mut publisher, reader) = latest::<[u64; 8]>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 {
                    let seen = reader.read();
                    assert!(seen.iter().all(|&cell| cell == seen[0]), "{seen:?}");
                    assert!(seen[0] >= last);
                    last = seen[0];
                }
            });
            for value in 1..=20_000_u64 {
                publisher.publish(|cells| *cells = [value; 8]);
            }
        });
    }
}
