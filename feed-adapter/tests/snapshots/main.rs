//! Is whoever joins told what there is: exactly, while it changes, over a real socket, and nobody else?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

mod capture;
mod follower;
mod output;
mod server;
mod source;
mod stream;
mod taker;
mod walk;
