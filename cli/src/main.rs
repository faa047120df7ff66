//! The twinfeed program.
fn main() {}
