//! Who may see which feed?
//!
//! The configuration entitles principals; operators override it, one (feed, principal) at a time, and
//! their word survives restarts and changes of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twinfeed_control::FeedName;

/// Feeds that the configuration names for one principal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FeedSet {
    /// Whatever feeds there are.
    All,
    /// Exactly these.
    Only(BTreeSet<FeedName>),
}

/// An operator's last word on one (feed, principal).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Override {
    /// Which feed.
    pub feed: FeedName,
    /// Which principal.
    pub principal: String,
    /// Granted or revoked.
    pub entitled: bool,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Configured entitlements and the operators' overrides.
#[derive(Clone, Debug, Default)]
pub struct Entitlements {
    configured: BTreeMap<String, FeedSet>,
    overrides: BTreeMap<(FeedName, String), Override>,
}

impl Entitlements {
    /// Those of the configuration alone.
    #[must_use]
    pub fn new(configured: BTreeMap<String, FeedSet>) -> Self {
        Self {
            configured,
            overrides: BTreeMap::new(),
        }
    }

    /// Whether the principal may see the feed.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, principal: &str, feed: &FeedName) -> Result<(), String> {
        let key = (feed.clone(), principal.to_owned());
        if let Some(word) = self.overrides.get(&key) {
            return match word.entitled {
                true => Ok(()),
                false => Err(format!("access was revoked: {}", word.reason)),
            };
        }
        match self.configured.get(principal) {
            Some(FeedSet::All) => Ok(()),
            Some(FeedSet::Only(feeds)) if feeds.contains(feed) => Ok(()),
            Some(FeedSet::Only(_)) | None => Err("it was never entitled".to_owned()),
        }
    }

    /// Whether the configuration has this principal.
    #[must_use]
    pub fn knows(&self, principal: &str) -> bool {
        self.configured.contains_key(principal)
    }

    /// Records an operator's word; false when it is what already holds for the same reason.
    pub fn set(&mut self, word: Override) -> bool {
        let key = (word.feed.clone(), word.principal.clone());
        let holds = self.check(&word.principal, &word.feed).is_ok() == word.entitled;
        self.overrides.insert(key, word);
        !holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entitlements() -> Entitlements {
        let only = FeedSet::Only(BTreeSet::from(["itch".parse().unwrap()]));
        Entitlements::new(BTreeMap::from([
            ("desk".to_owned(), only),
            ("all".to_owned(), FeedSet::All),
        ]))
    }

    fn word(principal: &str, entitled: bool) -> Override {
        Override {
            feed: "itch".parse().unwrap(),
            principal: principal.to_owned(),
            entitled,
            reason: "contract ended".to_owned(),
        }
    }

    #[test]
    fn the_configuration_entitles_by_name() {
        let (itch, other) = ("itch".parse().unwrap(), "other".parse().unwrap());
        let entitlements = entitlements();
        assert!(entitlements.check("desk", &itch).is_ok());
        assert!(entitlements.check("desk", &other).is_err());
        assert!(entitlements.check("all", &other).is_ok());
        assert!(entitlements.check("nobody", &itch).is_err());
    }

    #[test]
    fn the_operators_last_word_holds_and_repeating_it_changes_nothing() {
        let itch = "itch".parse().unwrap();
        let mut entitlements = entitlements();
        assert!(entitlements.set(word("desk", false)));
        assert!(!entitlements.set(word("desk", false)));
        let reason = entitlements.check("desk", &itch).unwrap_err();
        assert!(reason.contains("contract ended"), "{reason}");
        assert!(entitlements.set(word("desk", true)));
        assert!(entitlements.check("desk", &itch).is_ok());
    }
}
