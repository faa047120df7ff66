//! Worlds and end-to-end tests.
#![forbid(unsafe_code)]

pub mod world;
