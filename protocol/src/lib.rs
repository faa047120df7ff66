//! Twinfeed's rules as state machines without I/O.
