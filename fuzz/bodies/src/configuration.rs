//! What do programs make of their configuration files?
//!
//! Refused with a reason, or read; what was read can be worked with as far as no socket is needed, and the same text is
//! the same digest. The first byte names the program.

use twinfeed_exchange::ExchangeConfig;
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, Overrides};
use twinfeed_stream_admin::config::{Config as AdminConfig, FeedConfig};
use twinfeed_subscriber::config::SubscriberConfig;

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let program = input.byte();
    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return;
    };
    match program % 4 {
        0 => adapter(text),
        1 => stream_admin(text),
        2 => {
            if let Ok(config) = toml::from_str::<SubscriberConfig>(text) {
                assert!(!format!("{:?}", config.builder()).is_empty());
            }
        }
        _ => {
            if let Ok(config) = toml::from_str::<ExchangeConfig>(text)
                && let Err(error) = config.check()
            {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

fn adapter(text: &str) {
    let of = |role| Config::parse(role, text, &Overrides::default());
    match of(Role::Active) {
        Ok(config) => {
            assert_eq!(
                of(Role::Active).ok().map(|again| again.digest()),
                Some(config.digest())
            );
            if let Ok(backup) = of(Role::Backup) {
                assert_eq!(backup.digest(), config.digest(), "one file, one digest");
                assert_eq!(backup.feed_digest(), config.feed_digest());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn stream_admin(text: &str) {
    let config = match AdminConfig::parse(text) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    if let Err(error) = config.check() {
        assert!(!error.to_string().is_empty());
        return;
    }
    let feeds: Vec<_> = config.feeds.iter().map(FeedConfig::settings).collect();
    assert_eq!(feeds.len(), config.feeds.len());
    let _ = config.settings();
    match config.redacted() {
        Ok(shown) => assert!(
            AdminConfig::parse(&shown).is_ok(),
            "what is shown can be read"
        ),
        Err(error) => panic!("{error}"),
    }
}
