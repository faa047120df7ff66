//! Worlds and end-to-end tests.
#![forbid(unsafe_code)]

pub mod faults;
pub mod kills;
pub mod lab;
pub mod matrix;
pub mod messages;
pub mod program;
mod small_run;

pub use small_run::small_run;
pub use twinfeed_simulate::world;
