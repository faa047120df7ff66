//! How do two processes exchange small frames, and learn of each other's death at once?
//!
//! A [`Link`] is one connection that carries whole frames of a bounded length, for a control
//! thread: it never blocks, and says by value why it ended. What a frame's header looks like is
//! the caller's ([`Framing`]); how long a frame may be is the link's.
//!
//! ```text
//! thread ──► wait::wait(&[listener, link, …]) ──► ready.contains(i) ──► link.receive()
//!                                                                        Frame(&[u8])
//!                                                                        Pending
//!                                                                        Closed(reason)
//! ```
//!
//! The end is seen three ways: the peer's process dies and its kernel says so within
//! microseconds ([`Closed::Reset`], [`Closed::EndOfStream`]); its host or the way to it is gone
//! and `TCP_USER_TIMEOUT` or keep-alive says so ([`Closed::TimedOut`]); or it sends what is no
//! frame ([`Closed::Malformed`]).

mod frame;
mod link;
mod listener;
mod options;

pub use frame::{FrameFault, Framing, Gatherer, LengthPrefix};
pub use link::{AtOnce, Closed, Flushed, Link, LinkFull, Received};
pub use listener::Listener;
pub use options::{Keepalive, LinkOptions};
