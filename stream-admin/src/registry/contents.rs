//! Whose streams came apart in content since the last report?
//!
//! The backup compares what it sends with what its active sends, and says so in its status; what is shown and
//! counted is drawn from there. Here is only what a report changes, for the audit log.

use twinfeed_control::{AdapterId, AdapterStatus, Sid};

use super::Registry;

/// What a report says of a stream's content that the one before it did not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentChange {
    /// Which source stream.
    pub sid: Sid,
    /// The range of source numbers in which the adapter differs from its active; `None`: it does not any more.
    pub diverged_range: Option<u64>,
}

impl Registry {
    /// What `status` would change of what is known of the adapter's contents; nothing for an unknown one.
    #[must_use]
    pub fn content_changes(&self, id: &AdapterId, status: &AdapterStatus) -> Vec<ContentChange> {
        let mut seats = self.feeds.values().filter_map(|feed| {
            let leg = feed.leg_named(id)?;
            Some(feed.seat(leg)?.last_report())
        });
        let Some(before) = seats.next() else {
            return Vec::new();
        };
        let streams = before.map_or(&[][..], |report| &report.streams);
        let differed = |sid: Sid| {
            let known = streams.iter().find(|stream| stream.sid == sid);
            known.is_some_and(|stream| stream.pair.diverged_range.is_some())
        };
        let changed = status
            .streams
            .iter()
            .filter(|stream| differed(stream.sid) != stream.pair.diverged_range.is_some());
        let change = changed.map(|stream| ContentChange {
            sid: stream.sid,
            diverged_range: stream.pair.diverged_range,
        });
        change.collect()
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_control::{Incarnation, Renew, Role};

    use super::super::tests::{ADAPTER, offer, started};
    use super::*;
    use crate::lease::Now;

    /// A report on streams that differ from their active's in these ranges.
    fn report(ranges: &[Option<u64>]) -> AdapterStatus {
        let stream = |(sid, range): (u32, &Option<u64>)| {
            serde_json::json!({"sid": sid, "sending": true, "next_msn": 5, "context_id": "0000000000000004",
                "next_pos": {"sid": sid, "epoch": "0000000000000003", "sseq": 10, "part": 0},
                "complete": true, "data": "good",
                "pair": {"state": "unsynchronised", "reason": "", "protected": false, "inherited": 0,
                    "waiting": 0, "counters": {}, "diverged_range": range}})
        };
        let streams: Vec<_> = (1..).zip(ranges).map(stream).collect();
        let json = serde_json::json!({"generation": 1, "role": "backup", "sync_threshold": 64,
            "link": "up", "streams": streams});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_divergence_is_news_when_it_begins_and_when_it_is_over() {
        let mut registry = started(Vec::new());
        let (backup, _) = registry
            .register(&ADAPTER, offer(Role::Backup, 2), Now(0))
            .unwrap();
        let change = |sid, diverged_range| ContentChange {
            sid: Sid(sid),
            diverged_range,
        };
        let steps: [(&[Option<u64>], Vec<ContentChange>); 6] = [
            (&[None, None], vec![]),
            (&[Some(3), None], vec![change(1, Some(3))]),
            (&[Some(4), None], vec![]),
            (&[Some(4), Some(0)], vec![change(2, Some(0))]),
            (&[None, Some(0)], vec![change(1, None)]),
            (&[None, None], vec![change(2, None)]),
        ];
        for (ranges, expected) in steps {
            let status = report(ranges);
            let changes = registry.content_changes(&backup.adapter, &status);
            assert_eq!(changes, expected, "{ranges:?}");
            let renew = Renew {
                incarnation: Incarnation(2),
                status,
            };
            registry
                .renew(&ADAPTER, &backup.adapter, renew, Now(1))
                .unwrap();
        }
        // Whoever begins anew begins unsuspected, and one that begins so was never known to differ.
        let nobody = "other.backup".parse().unwrap();
        assert_eq!(registry.content_changes(&nobody, &report(&[Some(1)])), []);
    }
}
