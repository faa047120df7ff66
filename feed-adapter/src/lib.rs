//! Feed adapters: sources, decoders, publishing.

pub mod decode;
pub mod source;
