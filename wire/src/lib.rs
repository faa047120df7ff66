//! Twinfeed's framing: bytes to values and back, nothing else.
