//! Starts the real processes, breaks them, judges what came out.
