//! Feed adapters: sources, decoders, publishing.
