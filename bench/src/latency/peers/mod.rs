//! Other systems, each with the same records, the same times and the same counting; built only where they are asked for.
//!
//! A message is the number, eight bytes, and the record behind it: who wants to know what is missing, or to merge two streams, brings a number along.

#[cfg(feature = "aeron")]
pub(super) mod aeron;
