//! The subscriber library a trading application links.
