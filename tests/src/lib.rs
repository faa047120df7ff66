//! Worlds and end-to-end tests.
