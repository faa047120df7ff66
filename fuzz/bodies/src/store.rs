//! What does stream-admin make of the values in its database?
//!
//! One row per line, `key=value`. A value is refused by its key, or read; what was read is written alike; and a server
//! that starts from all of them works: its status can be shown, its leases lapse, what it writes can be read.

use std::collections::BTreeMap;

use twinfeed_stream_admin::config::FeedConfig;
use twinfeed_stream_admin::grant::Entitlements;
use twinfeed_stream_admin::lease::Now;
use twinfeed_stream_admin::registry::Registry;
use twinfeed_stream_admin::registry::record::{Record, Write};
use twinfeed_stream_admin::store::{Encoded, decode, encode};

use crate::requests::config;

pub(crate) fn run(bytes: &[u8]) {
    let mut rows = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(MOST_ROWS) {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let Ok(key) = std::str::from_utf8(&line[..at]) else {
            continue;
        };
        if let Ok(Some(record)) = decode(key, &line[at + 1..]) {
            let row = written(&Write::Put(record.clone()));
            let value = row.value.unwrap_or_default();
            match decode(&row.key, &value) {
                Ok(Some(again)) => assert_eq!(written(&Write::Put(again)).value, Some(value)),
                other => panic!("{other:?} under {}", row.key),
            }
            // A database has each key once, and what stands there bears it.
            if row.key == key {
                rows.insert(row.key, record);
            }
        }
    }
    start(rows.into_values().collect());
}

/// Most rows of one input.
const MOST_ROWS: usize = 64;

fn start(saved: Vec<Record>) {
    let config = config();
    let feeds: Vec<_> = config.feeds.iter().map(FeedConfig::settings).collect();
    let principals = config.principals.iter();
    let entitlements = principals
        .map(|one| (one.name.clone(), one.feeds.set()))
        .collect();
    let entitlements = Entitlements::new(entitlements);
    let mut registry = Registry::new(config.settings(), feeds, entitlements, saved, Now(0));
    for now in [0, 1, 3_000, 60_000, 100_000_000_000] {
        registry.note_time(now * 1_000);
        let now = Now(now);
        registry.tick(now);
        for name in registry.feeds_with_silent_actives(now) {
            registry.replace_silent_active(&name, now);
        }
        for name in registry.feeds_with_source_news(now) {
            registry.tell_of_sources(&name, now);
        }
        for name in registry.feeds_with_lost_sources(now) {
            registry.hand_over_lost_source(&name, now);
        }
        for name in registry.feeds_to_hand_back(now) {
            registry.hand_back(&name, now);
        }
        assert!(serde_json::to_vec(&registry.status(now)).is_ok());
        let _ = registry.counts();
        for write in registry.take_writes() {
            let row = written(&write);
            if let Some(value) = row.value {
                assert!(decode(&row.key, &value).is_ok(), "{}", row.key);
            }
        }
    }
}

fn written(write: &Write) -> Encoded {
    match encode(write) {
        Ok(row) => row,
        Err(error) => panic!("{write:?} cannot be written: {error}"),
    }
}
