//! Starts the real processes, breaks them, judges what came out.
#![forbid(unsafe_code)]

pub mod demo;
pub mod error;
pub mod exchange;
pub mod files;
pub mod input;
pub mod judge;
pub mod ports;
pub mod probe;
pub mod process;
pub mod rig;
pub mod run;
pub mod summary;
pub mod truth;

pub use error::Error;
pub use rig::{Finished, Rig, Seat};
