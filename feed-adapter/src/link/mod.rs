//! How do the two adapters of a pair learn of each other's death at once?
//!
//! [`rules`] decides, [`driver`] owns the sockets and the thread. Each end listens and connects; a
//! process that dies takes its connections with it within microseconds, and the thread asleep on them
//! wakes.

pub mod driver;
pub mod rules;
