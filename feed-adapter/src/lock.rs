//! What becomes of a lock whose holder panicked?
//!
//! What it protects is replaced or read whole, so it is taken all the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
