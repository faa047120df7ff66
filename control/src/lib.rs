//! The control plane's vocabulary and its client.
