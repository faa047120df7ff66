//! What do crossbeam's queue and cell promise?
//!
//! Each call is one step, in an order that every thread sees alike, and what was put in before is seen by whoever takes it
//! out. A mutex promises a little more than crossbeam does (of a refused push, for one): an order that only that forbids
//! is not tried here.

use std::collections::VecDeque;
use std::sync::PoisonError;

use loom::sync::Mutex;

/// A bounded queue.
#[derive(Debug)]
pub struct ArrayQueue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
}

impl<T> ArrayQueue<T> {
    /// Room for so many.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            capacity,
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        work(&mut self.items.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts one in, if there is room.
    ///
    /// # Errors
    /// The one that found none.
    pub fn push(&self, item: T) -> Result<(), T> {
        self.with(|items| {
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        })
    }

    /// Puts one in, and takes the oldest out if there is no room.
    pub fn force_push(&self, item: T) -> Option<T> {
        self.with(|items| {
            let oldest = (items.len() == self.capacity).then(|| items.pop_front());
            items.push_back(item);
            oldest.flatten()
        })
    }

    /// Takes the oldest out.
    pub fn pop(&self) -> Option<T> {
        self.with(VecDeque::pop_front)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.with(|items| items.len())
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }
}

/// A cell whose value is exchanged in one step.
#[derive(Debug)]
pub struct AtomicCell<T>(Mutex<T>);

impl<T> AtomicCell<T> {
    /// A cell that holds it.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Puts one in and takes the other out.
    pub fn swap(&self, value: T) -> T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, value)
    }
}
