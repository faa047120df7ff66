//! How does another thread see how the poller is doing, without the poller noticing?
//!
//! ```text
//!   poller ── fills its own ──► ready ◄──► shown (any number of readers, behind their own lock)
//!                 ▲               │
//!                 └───────────────┘      three boxes: the poller's, the one in between, the readers'
//! ```
//!
//! Publishing is a fill and one exchange of a pointer: no lock, no allocation, no system call, no second try, whatever the
//! readers do. Readers see whole values, the newest or one before it, never a mixture. Each end always holds a box and
//! gives it for the one in between, so none is ever missing; a number says whether that one is worth taking.

use std::sync::{Arc, PoisonError};

use twinfeed_net::sync::{AtomicCell, AtomicU64, Mutex, Ordering};

/// The writing end; there is one.
#[derive(Debug)]
pub(crate) struct Publisher<T> {
    shared: Arc<Shared<T>>,
    /// Filled next. There always is one.
    own: Option<Box<Numbered<T>>>,
    /// Number of the value that was published last.
    last: u64,
}

/// The reading end; clones see the same values.
#[derive(Debug)]
pub(crate) struct Reader<T>(Arc<Shared<T>>);

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A value and how many were published before it, and with it.
#[derive(Debug, Default)]
struct Numbered<T> {
    number: u64,
    value: T,
}

struct Shared<T> {
    /// The box in between: the newest value, or one that readers have seen.
    ready: AtomicCell<Option<Box<Numbered<T>>>>,
    /// The number of a value that went into `ready`; that or a newer one is there, or was taken.
    newest: AtomicU64,
    shown: Mutex<Option<Box<Numbered<T>>>>,
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Looking into a cell would take its box away.
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Both ends; readers see `T::default()` until something is published.
pub(crate) fn latest<T: Default>() -> (Publisher<T>, Reader<T>) {
    #[cfg(not(twinfeed_loom))]
    const {
        assert!(AtomicCell::<Option<Box<u8>>>::is_lock_free());
    }
    let shared = Arc::new(Shared {
        ready: AtomicCell::new(Some(Box::default())),
        newest: AtomicU64::new(0),
        shown: Mutex::new(Some(Box::default())),
    });
    let publisher = Publisher {
        shared: Arc::clone(&shared),
        own: Some(Box::default()),
        last: 0,
    };
    (publisher, Reader(shared))
}

impl<T> Publisher<T> {
    /// Lets `fill` overwrite an old value and shows it to readers.
    pub(crate) fn publish(&mut self, fill: impl FnOnce(&mut T)) {
        let Some(own) = &mut self.own else {
            unreachable!("a box is given for a box");
        };
        fill(&mut own.value);
        self.last += 1;
        own.number = self.last;
        let filled = self.own.take();
        self.own = self.shared.ready.swap(filled);
        // Behind the box: who reads this number finds that box, or a newer one, or has had it.
        self.shared.newest.store(self.last, Ordering::Release);
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
        let seen = shown.as_ref().map_or(0, |shown| shown.number);
        if self.0.newest.load(Ordering::Acquire) > seen {
            let old = shown.take();
            *shown = self.0.ready.swap(old);
        }
        let Some(shown) = shown.as_ref() else {
            unreachable!("a box is given for a box");
        };
        look(&shown.value)
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
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

    #[test]
    fn a_fill_that_fails_leaves_what_was_shown_and_the_next_one_works() {
        let (mut publisher, reader) = latest::<u64>();
        publisher.publish(|cell| *cell = 1);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            publisher.publish(|_| panic!("on purpose"));
        }));
        assert!(failed.is_err());
        assert_eq!(reader.read(), 1);
        publisher.publish(|cell| *cell = 2);
        assert_eq!(reader.read(), 2);
    }
}

/// The poller and two readers, in every order: see [`twinfeed_net::sync`].
#[cfg(all(test, twinfeed_loom))]
mod loom_tests {
    use super::*;

    /// Whole values, none older than one that was seen before.
    fn look(reader: &Reader<[u64; 2]>, last: &mut u64) {
        let seen = reader.read();
        assert_eq!(seen[0], seen[1], "a value is whole");
        assert!(seen[0] >= *last, "{seen:?} after {last}");
        *last = seen[0];
    }

    #[test]
    fn readers_see_whole_values_and_never_step_back() {
        loom::model(|| {
            let (mut publisher, reader) = latest::<[u64; 2]>();
            let other = reader.clone();
            let looking = loom::thread::spawn(move || {
                let mut last = 0;
                look(&other, &mut last);
                look(&other, &mut last);
            });
            let writing = loom::thread::spawn(move || {
                for value in 1..=3 {
                    publisher.publish(|cells| *cells = [value; 2]);
                }
            });
            let mut last = 0;
            look(&reader, &mut last);
            writing.join().unwrap();
            looking.join().unwrap();
            assert_eq!(reader.read(), [3; 2], "the newest in the end");
        });
    }
}
