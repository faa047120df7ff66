//! What does a subscriber get, in the eyes of somebody who does not trust its library?
//!
//! The probe is a process of its own: it subscribes as any application does and checks with code of its
//! own what the library delivers. It answers questions on standard input and output, one JSON object per
//! line, and judges nothing: [`crate::judge`] compares its [`wire::Summary`] with what was sent.
//!
//! ```text
//!  sockets ─► twinfeed-subscriber ─► Check (order, repetition, contents, per epoch)
//!                                  ─► Log (when, which leg, which number; bounded)
//!                                  ─► latencies, events
//!  stdin ─► Question ─► Answer ─► stdout
//! ```
//!
//! Answers are made on the thread that polls, between two polls: ask for a window when it is over.

mod check;
mod client;
pub mod log;
mod serve;
pub mod wire;

pub use client::Probe;
pub use serve::{Settings, serve};
