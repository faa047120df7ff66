//! Does the promise hold whatever goes wrong? One seed is one world, and the same world for ever.
//!
//! ```text
//!  seed ─► Plan ─► World (one thread, virtual time) ─► Outcome: violations, counts, coverage
//!            ▲                                            │
//!           Trim: parts left out ◄── minimise ◄─ failing ─┤
//!                                     Swarm: all cores ◄──┘ sums, what was never hit
//! ```
//!
//! **Invariant:** a world has no thread, no clock, no randomness but its seed's. [`swarm`] is the one module that knows
//! threads and time, and it knows them around worlds.
#![forbid(unsafe_code)]

pub mod coverage;
pub mod minimise;
pub mod swarm;
pub mod trim;
pub mod world;
