//! What does a whole configuration look like?

/// A commented configuration with every key: the text of `twinfeed config init` and of
/// `deploy/feed.toml`.
pub const EXAMPLE: &str = include_str!("../../../deploy/feed.toml");
