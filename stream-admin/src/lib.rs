//! The stream administration server.
