//! What do we ask the kernel that no safe crate asks for us?
//!
//! Every `unsafe` block of the product's Rust core stands below this module. Each file wraps one
//! family of system calls and hands up plain values; nothing here knows what a group, a leg or a
//! destination is, and no raw pointer leaves it.
//!
//! ```text
//! memory   arrays at fixed addresses that headers of the kernel's batches may point into; madvise
//! receive  recvmmsg              control  ancillary bytes ⇄ values (safe code)
//! send     sendmmsg, error queue name     socket addresses ⇄ bytes (safe code)
//! option   get/setsockopt        poll     ppoll
//! time     clock_gettime         sched    affinity, thread names
//! ifaddrs  the interface list    parting  a process that shares the memory
//! shared   memory of a sealed file that other processes map
//! pass     a file handed to another process, and who that is
//! prefetch a hint to the processor
//! lines    words that others access meanwhile, copied a line at a time
//! ```
//!
//! Invariant: one operation per `unsafe` block, with the proof of its conditions above it.
#![allow(
    unsafe_code,
    reason = "the one home of system calls that no safe crate wraps"
)]

pub(crate) mod control;
pub(crate) mod ifaddrs;
pub(crate) mod lines;
pub(crate) mod memory;
pub(crate) mod name;
pub(crate) mod option;
pub(crate) mod parting;
pub(crate) mod pass;
pub(crate) mod poll;
pub(crate) mod prefetch;
pub(crate) mod receive;
pub(crate) mod sched;
pub(crate) mod send;
pub(crate) mod shared;
pub(crate) mod time;

use std::io;

/// Turns the `-1` convention of system calls into a `Result`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
