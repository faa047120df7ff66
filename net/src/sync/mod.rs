//! What do threads share, and how is it tried in every order?
//!
//! Atomics, bounded queues and cells between threads come from here: std's and crossbeam's in every build but one. Under
//! `--cfg twinfeed_loom` the atomics are loom's, and crossbeam's structures are models of their contracts, so that a test
//! inside `loom::model` runs through every order in which threads can take their turns, and through every value that an
//! atomic may show. What is tried so is what *we* build on them; crossbeam tries its own.
//!
//! `docs/fuzzing.md` lists what is tried and the command.

#[cfg(twinfeed_loom)]
mod model;

#[cfg(not(twinfeed_loom))]
pub use crossbeam::{atomic::AtomicCell, queue::ArrayQueue};
#[cfg(not(twinfeed_loom))]
pub use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, fence},
};

#[cfg(twinfeed_loom)]
pub use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, fence},
};
#[cfg(twinfeed_loom)]
pub use model::{ArrayQueue, AtomicCell};

pub use std::sync::atomic::Ordering;

/// Waits for another thread for a moment; `look`: how often it was looked for already. At first this thread only
/// breathes, later it lets others run.
pub fn pause(look: u32) {
    #[cfg(twinfeed_loom)]
    {
        let _ = look;
        loom::thread::yield_now();
    }
    #[cfg(not(twinfeed_loom))]
    if look < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// Looks before a thread that waits lets others run.
#[cfg(not(twinfeed_loom))]
const SPINS: u32 = 2_000;
