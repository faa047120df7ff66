//! How does an asynchronous application get its records, and what does it pay?
//!
//! ```text
//!   DataPoller on a thread of its own ──► bounded queue of owned items ──► Stream, in any runtime
//! ```
//!
//! The price per record: one allocation and one copy of the body, one hop between threads, and one wake
//! per poll. Where that is too much, poll. What a filter withholds is no item: a cursor stands behind the last item. When the queue is full the thread waits: datagrams then queue
//! in the sockets, and beyond those the kernel drops, which is told as a gap with cause
//! `receiver_overrun`. Nothing is dropped here.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_core::Stream;
use twinfeed_net::sync::{ArrayQueue, AtomicBool, Mutex, MutexGuard, Ordering};
use twinfeed_protocol::{Delivered, Event};

use crate::body::OwnedRecord;
use crate::error::Error;
use crate::guard::{FeedHandler, FeedIndex};
use crate::poller::DataPoller;

/// Name of the polling thread.
const THREAD: &str = "tf-stream";
/// Datagrams per poll.
const BUDGET: usize = 256;
/// How long the thread sleeps at most while the queue is full; a consumer wakes it earlier.
const FULL_SLEEP: Duration = Duration::from_millis(1);

/// A record or what happened between two, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A record with a body of its own.
    Record(FeedIndex, OwnedRecord),
    /// What happened.
    Event(FeedIndex, Event),
}

/// A poller's records and events as an asynchronous stream. It ends after every feed is closed; dropping
/// it ends the thread.
#[derive(Debug)]
pub struct Records {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    items: ArrayQueue<Item>,
    waker: Mutex<Option<Waker>>,
    /// The producer waits for room.
    waiting: AtomicBool,
    /// The consumer is gone.
    dropped: AtomicBool,
    /// The producer is gone; what is queued is all there will be.
    ended: AtomicBool,
}

impl Records {
    /// Polls `poller` on a thread named `tf-stream`, pinned to the configured core if there is one, at
    /// most `capacity` items ahead of the consumer.
    ///
    /// # Errors
    /// [`Error::Setting`] for a capacity of 0, and for a poller that tells snapshots: they are no items. [`Error::Thread`] when the
    /// thread cannot be started.
    pub fn new(poller: DataPoller, capacity: usize) -> Result<Self, Error> {
        if capacity == 0 {
            return Err(Error::Setting {
                name: "capacity",
                cause: "it is 0".to_owned(),
                remedy: "allow at least one item on its way",
            });
        }
        if poller.tells_snapshots() {
            return Err(Error::Setting {
                name: "from",
                cause: "a snapshot is told to a handler, and an asynchronous stream has none"
                    .to_owned(),
                remedy: "poll, or begin live and without `snapshots`",
            });
        }
        let shared = Arc::new(Shared {
            items: ArrayQueue::new(capacity),
            waker: Mutex::new(None),
            waiting: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let producer = Producer(Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || producer.run(poller))
            .map_err(|error| Error::Thread {
                name: THREAD,
                cause: error.to_string(),
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    fn take(&self) -> Option<Item> {
        let item = self.shared.items.pop();
        if item.is_some()
            && self.shared.waiting.load(Ordering::Acquire)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        item
    }
}

impl Stream for Records {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if let Some(item) = self.take() {
            return Poll::Ready(Some(item));
        }
        *lock(&self.shared.waker) = Some(context.waker().clone());
        // The end is read before the queue: what was queued before it is still found.
        let ended = self.shared.ended.load(Ordering::Acquire);
        // Again, as an item may have come before the waker stood there.
        match self.take() {
            Some(item) => Poll::Ready(Some(item)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// The thread's end; dropping it, by a panic too, ends the stream.
struct Producer(Arc<Shared>);

impl Producer {
    fn run(mut self, mut poller: DataPoller) {
        // A core that is not ours was refused when the configuration was checked; unpinned is slower,
        // not wrong.
        let _ = poller.pin();
        while !poller.is_closed() && !self.0.dropped.load(Ordering::Acquire) {
            let work = poller.poll(BUDGET, &mut self);
            if work > 0 {
                self.wake();
            }
            poller.idle(work);
        }
    }

    fn push(&self, mut item: Item) {
        while let Err(back) = self.0.items.push(item) {
            item = back;
            if self.0.dropped.load(Ordering::Acquire) {
                return;
            }
            self.wake();
            self.0.waiting.store(true, Ordering::Release);
            if self.0.items.is_full() {
                thread::park_timeout(FULL_SLEEP);
            }
            self.0.waiting.store(false, Ordering::Release);
        }
    }

    fn wake(&self) {
        let waker = lock(&self.0.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl FeedHandler for Producer {
    fn record(&mut self, feed: FeedIndex, record: &Delivered<'_>) {
        self.push(Item::Record(feed, record.into()));
    }

    fn event(&mut self, feed: FeedIndex, event: &Event) {
        self.push(Item::Event(feed, *event));
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.wake();
    }
}

fn lock(waker: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    waker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The poller's thread and a consumer, in every order: see [`twinfeed_net::sync`].
#[cfg(all(test, twinfeed_loom))]
mod loom_tests {
    use std::task::Wake;

    use twinfeed_protocol::CloseReason;

    use super::*;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[test]
    fn a_consumer_that_waits_lacks_nothing_or_is_woken() {
        loom::model(|| {
            let shared = Arc::new(Shared {
                items: ArrayQueue::new(2),
                waker: Mutex::new(None),
                waiting: AtomicBool::new(false),
                dropped: AtomicBool::new(false),
                ended: AtomicBool::new(false),
            });
            let producer = Producer(Arc::clone(&shared));
            let mut records = Records {
                shared,
                thread: None,
            };
            let producing = loom::thread::spawn(move || {
                let reason = CloseReason::ByApplication;
                producer.push(Item::Event(FeedIndex::default(), Event::Closed { reason }));
                producer.wake();
                // Its end wakes once more.
            });
            let woken = Arc::new(Woken(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&woken));
            let mut context = Context::from_waker(&waker);
            let mut items = 0;
            let mut ended = false;
            loop {
                match Pin::new(&mut records).poll_next(&mut context) {
                    Poll::Ready(Some(_)) => items += 1,
                    Poll::Ready(None) => {
                        ended = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            producing.join().unwrap();
            if ended {
                assert_eq!(items, 1, "what was queued before the end is found");
            } else {
                assert!(
                    woken.0.load(Ordering::Acquire),
                    "{items} came, and nobody is woken for the rest"
                );
            }
        });
    }
}
