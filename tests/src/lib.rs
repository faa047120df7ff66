//! Worlds and end-to-end tests.
#![forbid(unsafe_code)]

pub mod faults;
pub mod kills;
pub mod lab;
pub mod matrix;
pub mod messages;
pub mod program;

pub use twinfeed_simulate::world;
