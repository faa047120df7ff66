//! A seeded exchange: what an adapter consumes, made from nothing.
