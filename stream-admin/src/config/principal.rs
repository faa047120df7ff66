//! Who may call, by which token, and for which feeds?
//!
//! Tokens are read from files, or given by their SHA-256; this process keeps the hash only. To make
//! one: `openssl rand -hex 32 > token; tr -d '\n' < token | sha256sum`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use twinfeed_control::{FeedName, Secret};

use super::{ConfigError, FeedConfig, wrong};
use crate::grant::FeedSet;

/// Longest principal name, in bytes.
const NAME_LIMIT: usize = 64;

/// One caller.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalConfig {
    /// Its name, in messages and logs.
    pub name: String,
    /// What it may do.
    pub kind: Kind,
    /// For which feeds: `"all"` or a list. Default none.
    #[serde(default)]
    pub feeds: FeedNames,
    /// Where it may have datagrams sent. Default its own address.
    #[serde(default)]
    pub destinations: Destinations,
    /// A file with the token alone on its first line.
    #[serde(default, skip_serializing)]
    pub token_file: Option<PathBuf>,
    /// The token's SHA-256, 64 hexadecimal digits.
    #[serde(default, skip_serializing)]
    pub token_sha256: Option<TokenHash>,
}

/// What a principal may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Subscribe, and look after its own subscriptions.
    Subscriber,
    /// Take and keep an adapter's seat.
    Adapter,
    /// Everything, on every feed.
    Operator,
}

impl Kind {
    /// The word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Subscriber => "subscriber",
            Self::Adapter => "adapter",
            Self::Operator => "operator",
        }
    }
}

/// Where a subscriber may have datagrams sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destinations {
    /// The address that it calls from.
    #[default]
    OwnAddress,
    /// Anywhere: for a caller behind a proxy, or one that subscribes for others.
    Any,
}

/// `"all"` or a list of names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum FeedNames {
    /// The word `all`.
    All(AllWord),
    /// Names.
    Only(BTreeSet<FeedName>),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllWord {
    /// Every feed.
    All,
}

impl Default for FeedNames {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl FeedNames {
    /// For the registry.
    #[must_use]
    pub fn set(&self) -> FeedSet {
        match self {
            Self::All(AllWord::All) => FeedSet::All,
            Self::Only(names) => FeedSet::Only(names.clone()),
        }
    }
}

/// SHA-256 of a token.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

impl TryFrom<String> for TokenHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "token_sha256 is not 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl PrincipalConfig {
    /// The hash of its token, wherever that comes from.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the file cannot be read or holds no token.
    pub fn token_hash(&self) -> Result<TokenHash, ConfigError> {
        let place = format!("principal {:?}", self.name);
        match (&self.token_file, self.token_sha256) {
            (None, Some(hash)) => Ok(hash),
            (Some(path), None) => match Secret::from_file(path) {
                Ok(secret) => Ok(TokenHash::of(secret.expose())),
                Err(error) => Err(wrong(&place, error.to_string(), "see token_file")),
            },
            _ => {
                let cause = "it needs exactly one of token_file and token_sha256";
                Err(wrong(&place, cause, "give one of them"))
            }
        }
    }
}

pub(super) fn check(
    principals: &[PrincipalConfig],
    feeds: &[FeedConfig],
) -> Result<(), ConfigError> {
    let mut names = BTreeSet::new();
    for principal in principals {
        let name = &principal.name;
        let place = format!("principal {name:?}");
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if name.is_empty() || name.len() > NAME_LIMIT || !plain {
            let cause = format!("a name is 1 to {NAME_LIMIT} of a-z A-Z 0-9 . _ -");
            return Err(wrong(&place, cause, "rename it"));
        }
        if !names.insert(name) {
            return Err(wrong(&place, "there are two of this name", "rename one"));
        }
        if principal.token_file.is_some() == principal.token_sha256.is_some() {
            let cause = "it needs exactly one of token_file and token_sha256";
            return Err(wrong(&place, cause, "give one of them"));
        }
        if let FeedNames::Only(wanted) = &principal.feeds {
            let unknown = wanted
                .iter()
                .find(|name| !feeds.iter().any(|feed| feed.name == **name));
            if let Some(feed) = unknown {
                return Err(wrong(
                    &place,
                    format!("there is no feed {feed}"),
                    "add or correct it",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_one_that_sha256sum_prints() {
        let printed = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(
            TokenHash::try_from(printed.to_owned()),
            Ok(TokenHash::of("test"))
        );
        assert!(TokenHash::try_from(printed[1..].to_owned()).is_err());
        assert!(TokenHash::try_from("g".repeat(64)).is_err());
    }

    #[test]
    fn two_principals_of_one_name_and_one_without_token_are_refused() {
        let principal = |name: &str| PrincipalConfig {
            name: name.to_owned(),
            kind: Kind::Subscriber,
            feeds: FeedNames::default(),
            destinations: Destinations::default(),
            token_file: None,
            token_sha256: Some(TokenHash::of(name)),
        };
        assert!(check(&[principal("a"), principal("b")], &[]).is_ok());
        assert!(check(&[principal("a"), principal("a")], &[]).is_err());
        let bare = PrincipalConfig {
            token_sha256: None,
            ..principal("a")
        };
        assert!(check(&[bare], &[]).is_err());
        assert!(check(&[principal("a b")], &[]).is_err());
    }
}
