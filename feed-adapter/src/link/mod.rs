//! How do the two adapters of a pair learn of each other's death at once?
//!
//! [`rules`] decides, [`driver`] owns the sockets and the thread. Each end listens and connects; a
//! process that dies takes its connections with it within microseconds, and the thread asleep on them
//! wakes. [`voice`] carries what the data thread has to say.

pub mod driver;
pub mod framing;
pub mod notice;
pub mod rules;
pub mod voice;
