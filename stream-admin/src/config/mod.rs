//! What did the operator decide, and is it sound?
//!
//! One TOML file, read once and refused whole if anything in it is wrong: unknown keys, lengths of time
//! without a unit, a token that would travel readable. Flags and environment variables override single
//! keys. Every key has its default and its cost beside it; `deploy/stream-admin.toml` shows them all.

mod duration;
mod feed;
mod limits;
mod principal;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use duration::Time;
pub use feed::{Auto, FeedConfig, SourceConfig, TransportConfig};
pub use limits::Limits;
pub use principal::{Destinations, FeedNames, Kind, PrincipalConfig, TokenHash};

use crate::registry::settings::{RegistryLimits, Settings};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to serve on. Default `127.0.0.1:7400`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The file that holds the state; `"memory"` forgets everything at the end. Default
    /// `/var/lib/twinfeed/stream-admin.redb`.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Serve plaintext beyond loopback. Tokens are refused there all the same, so this is for status
    /// pages behind a proxy that ends TLS on this very machine. Default false.
    #[serde(default)]
    pub plaintext_beyond_loopback: bool,
    /// How long connections may finish after SIGTERM. Default `"5 s"`.
    #[serde(default = "default_drain")]
    pub drain: Time,
    /// `text` or `json`, to stderr. Default text.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Certificate and key; without them plaintext.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// How long silence is presence.
    #[serde(default)]
    pub leases: Leases,
    /// Who may read status and metrics without an operator's token.
    #[serde(default)]
    pub status_access: StatusAccess,
    /// How much this server bears.
    #[serde(default)]
    pub limits: Limits,
    /// Who may call.
    #[serde(default, rename = "principal")]
    pub principals: Vec<PrincipalConfig>,
    /// What there is to subscribe to.
    #[serde(default, rename = "feed")]
    pub feeds: Vec<FeedConfig>,
}

/// Files for TLS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: the server's certificate, then those that lead to its root.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

/// How long silence is presence.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leases {
    /// An adapter's. Shorter: a death shows sooner. Longer: fewer renewals. Default `"3 s"`.
    pub adapter: Time,
    /// A subscription's. Default `"10 s"`.
    pub subscription: Time,
    /// How long a lapsed subscription still receives. Default `"60 s"`.
    pub subscription_grace: Time,
    /// How often a watch says that it is there. Default `"1 s"`.
    pub watch_keepalive: Time,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            adapter: Time::ms(3_000),
            subscription: Time::ms(10_000),
            subscription_grace: Time::ms(60_000),
            watch_keepalive: Time::ms(1_000),
        }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// Who may read `/status.json` and `/metrics` without an operator's token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusAccess {
    /// Whoever calls from loopback.
    #[default]
    Loopback,
    /// Everybody who reaches the port.
    Open,
    /// Nobody.
    Token,
}

/// A setting at fault.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}; {remedy}")]
pub struct ConfigError {
    /// The file and key, or the flag.
    pub place: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl Config {
    /// Reads the file; nothing is judged beyond its form.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with file, line and key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: place.clone(),
            cause: error.to_string(),
            remedy: "name a readable file with --config; deploy/stream-admin.toml is one to copy"
                .into(),
        })?;
        Self::parse(&text).map_err(|error| ConfigError { place, ..error })
    }

    /// Reads text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with line and key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError {
            place: "configuration".to_owned(),
            cause: error.to_string().trim_end().to_owned(),
            remedy: "correct that key; every key is shown in deploy/stream-admin.toml".to_owned(),
        })
    }

    /// Judges what the form alone cannot say; call it after the overrides.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the key at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.tls.is_none() && !self.listen.ip().is_loopback() && !self.plaintext_beyond_loopback
        {
            return Err(wrong(
                "listen",
                format!("{} is beyond loopback and there is no [tls]", self.listen),
                "configure certificate and key, or listen on loopback",
            ));
        }
        let shortest = Time::ms(100);
        for (key, time) in [
            ("leases.adapter", self.leases.adapter),
            ("leases.subscription", self.leases.subscription),
            ("leases.watch_keepalive", self.leases.watch_keepalive),
        ] {
            if time < shortest {
                let cause = format!("{time} is shorter than {shortest}");
                return Err(wrong(key, cause, "give it more time"));
            }
        }
        if self.limits.connection_idle <= self.leases.watch_keepalive {
            let cause = "a watch would be idle for too long between two signs of life".to_owned();
            return Err(wrong(
                "limits.connection_idle",
                cause,
                "exceed leases.watch_keepalive",
            ));
        }
        self.limits.check()?;
        principal::check(&self.principals, &self.feeds)?;
        feed::check(&self.feeds)
    }

    /// What the registry must know of it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            adapter_lease_ms: self.leases.adapter.as_ms(),
            subscription_lease_ms: self.leases.subscription.as_ms(),
            subscription_grace_ms: self.leases.subscription_grace.as_ms(),
            handover_ms: self.limits.handover.as_ms(),
            limits: RegistryLimits {
                subscriptions: self.limits.subscriptions,
                subscriptions_per_principal: self.limits.subscriptions_per_principal,
                closed_subscriptions_per_feed: self.limits.closed_subscriptions_per_feed,
                receipts_per_feed: self.limits.receipts_per_feed,
                orders_per_feed: self.limits.orders_per_feed,
                role_changes_per_feed: self.limits.role_changes_per_feed,
                takeovers_per_minute: self.limits.takeovers_per_minute,
                source_reports_per_minute: self.limits.source_reports_per_minute,
                streams: self.limits.streams,
            },
        }
    }

    /// The effective configuration as TOML; tokens are not in it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when it cannot be written as TOML.
    pub fn redacted(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| {
            wrong(
                "configuration",
                error.to_string(),
                "report this as a defect",
            )
        })
    }
}

/// A key at fault.
fn wrong(key: &str, cause: impl Into<String>, remedy: &str) -> ConfigError {
    ConfigError {
        place: key.to_owned(),
        cause: cause.into(),
        remedy: remedy.to_owned(),
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7400))
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/twinfeed/stream-admin.redb")
}

const fn default_drain() -> Time {
    Time::ms(5_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        for text in [
            "lisen = \"127.0.0.1:1\"",
            "[limits]\nconections = 1",
            "[[feed]]\nname = \"x\"\nfoo = 1",
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn the_sample_shows_the_defaults() {
        let sample = Config::parse(include_str!("../../../deploy/stream-admin.toml")).unwrap();
        sample.check().unwrap();
        let bare = Config::parse("").unwrap();
        assert_eq!(format!("{:?}", sample.limits), format!("{:?}", bare.limits));
        assert_eq!(format!("{:?}", sample.leases), format!("{:?}", bare.leases));
        let feed = |config: Config| config.feeds[0].settings().constraints;
        let plain = Config::parse("[[feed]]\nname = \"itch\"\n[[feed.source]]\nsid = 1").unwrap();
        assert_eq!(feed(sample), feed(plain));
    }

    #[test]
    fn plaintext_beyond_loopback_needs_a_decision() {
        let mut config = Config::parse("listen = \"0.0.0.0:7400\"").unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("listen: "), "{error}");
        config.plaintext_beyond_loopback = true;
        config.check().unwrap();
    }

    #[test]
    fn the_effective_configuration_shows_no_token() {
        let text = "[[principal]]\nname = \"desk\"\nkind = \"subscriber\"\nfeeds = \"all\"\n\
                    token_file = \"/run/secrets/desk\"\n\
                    [[principal]]\nname = \"ops\"\nkind = \"operator\"\ntoken_sha256 = \
                    \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";
        let config = Config::parse(text).unwrap();
        config.check().unwrap();
        let shown = config.redacted().unwrap();
        assert!(
            shown.contains("desk") && !shown.contains("9f86d081"),
            "{shown}"
        );
        let again = Config::parse(&shown).unwrap();
        assert!(again.check().is_err(), "a redacted principal has no token");
    }
}
