//! Worlds and end-to-end tests.
#![forbid(unsafe_code)]

pub mod kills;
pub mod messages;
pub mod program;

pub use twinfeed_simulate::world;
