//! How much does one stream-admin bear? Every limit has its name here, and in the refusal it causes.

use serde::{Deserialize, Serialize};

use super::{ConfigError, Time, wrong};

/// Bounds, each with its default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at a time, watches included; the next one waits. Default 1024.
    pub connections: usize,
    /// How long a connection may move no byte. Default `"30 s"`.
    pub connection_idle: Time,
    /// How long a TLS handshake may take. Default `"5 s"`.
    pub handshake: Time,
    /// Watches at a time; the next one is refused. Default 768.
    pub watches: usize,
    /// Longest request body, in bytes. Default 262144.
    pub request_bytes: usize,
    /// Open subscriptions. Default 4096.
    pub subscriptions: usize,
    /// Open subscriptions of one principal. Default 256.
    pub subscriptions_per_principal: usize,
    /// Closed subscriptions kept per feed, to tell why. Default 64.
    pub closed_subscriptions_per_feed: usize,
    /// Receipts kept per feed. Default 128.
    pub receipts_per_feed: usize,
    /// Operators' orders kept per feed, at least 16. Default 1000.
    pub orders_per_feed: usize,
    /// Changes of roles (takeovers, hand-overs, pins) kept per feed. Default 200.
    pub role_changes_per_feed: usize,
    /// Takeovers of a feed within a minute that no operator ordered; beyond it they are refused, and shown, so that
    /// adapters that end again and again do not pass the role to and fro. At least 1. Default 30.
    pub takeovers_per_minute: usize,
    /// Messages *source stale* and *source restored* of one source within a minute; beyond it nothing is told before the
    /// minute is over, and then how the source stands. At least 2. Default 6.
    pub source_reports_per_minute: usize,
    /// How long a commanded hand-over may take before the active goes on. Default `"2 s"`.
    pub handover: Time,
    /// Streams of one adapter, sids of one subscription. Default 1024.
    pub streams: usize,
    /// Wrong tokens per minute from one address; beyond it they are refused unheard, and not logged. A
    /// right token always passes. Default 60.
    pub auth_failures_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connection_idle: Time::ms(30_000),
            handshake: Time::ms(5_000),
            watches: 768,
            request_bytes: 256 << 10,
            subscriptions: 4096,
            subscriptions_per_principal: 256,
            closed_subscriptions_per_feed: 64,
            receipts_per_feed: 128,
            orders_per_feed: 1000,
            role_changes_per_feed: 200,
            takeovers_per_minute: 30,
            source_reports_per_minute: 6,
            handover: Time::ms(2_000),
            streams: 1024,
            auth_failures_per_minute: 60,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("limits.connections", self.connections),
            ("limits.watches", self.watches),
            ("limits.request_bytes", self.request_bytes),
            ("limits.streams", self.streams),
            ("limits.takeovers_per_minute", self.takeovers_per_minute),
            ("limits.role_changes_per_feed", self.role_changes_per_feed),
        ] {
            if value == 0 {
                return Err(wrong(key, "0 would refuse everything", "raise it"));
            }
        }
        if self.source_reports_per_minute < 2 {
            let cause = "a source that is stale and restored is two messages";
            return Err(wrong(
                "limits.source_reports_per_minute",
                cause,
                "raise it, or set source_reports = false in the feed",
            ));
        }
        if !(Time::ms(10)..=Time::ms(600_000)).contains(&self.handover) {
            let cause = format!("{} is not within 10 ms and 10 min", self.handover);
            return Err(wrong("limits.handover", cause, "give it seconds"));
        }
        if self.watches >= self.connections {
            let cause = format!("{} watches could take every connection", self.watches);
            return Err(wrong(
                "limits.watches",
                cause,
                "stay below limits.connections",
            ));
        }
        Ok(())
    }
}
