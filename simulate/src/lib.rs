//! Does the promise hold whatever goes wrong? One seed is one world, and the same world for ever.
#![forbid(unsafe_code)]

pub mod world;
