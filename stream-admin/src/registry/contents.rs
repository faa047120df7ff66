//! Whose streams came apart in content since the last report?
//!
//! The backup compares what it sends with what its active sends, and says so in its status; what is shown and
//! counted is drawn from there. Here is only what a report changes, for the audit log.

use twinfeed_control::{AdapterId, AdapterStatus, Sid};

use super::Registry;

/// What a report says of a stream's content that the one before it did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentChange {
    /// Whose report.
    pub adapter: AdapterId,
    /// Which source stream.
    pub sid: Sid,
    /// The range of source numbers in which the adapter differs from its active; `None`: it does not any more.
    pub diverged_range: Option<u64>,
}

impl Registry {
    /// What reports that were accepted changed of their adapters' contents, in order; for the audit log.
    #[must_use]
    pub fn take_content_events(&mut self) -> Vec<ContentChange> {
        std::mem::take(&mut self.content_events)
    }
}

/// What `status` changes of what is known of the adapter's contents: `before`, if it has reported.
pub(super) fn changes<'a>(
    adapter: &'a AdapterId,
    before: Option<&'a AdapterStatus>,
    status: &'a AdapterStatus,
) -> impl Iterator<Item = ContentChange> + 'a {
    let known = before.map_or(&[][..], |report| &report.streams);
    let differed = move |sid: Sid| {
        let known = known.iter().find(|stream| stream.sid == sid);
        known.is_some_and(|stream| stream.pair.diverged_range.is_some())
    };
    let streams = status.streams.iter();
    let changed = streams.filter(move |it| differed(it.sid) != it.pair.diverged_range.is_some());
    changed.map(|stream| ContentChange {
        adapter: adapter.clone(),
        sid: stream.sid,
        diverged_range: stream.pair.diverged_range,
    })
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
        let id = backup.adapter;
        let change = |sid, diverged_range| ContentChange {
            adapter: id.clone(),
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
            let renew = |incarnation| Renew {
                incarnation: Incarnation(incarnation),
                status: report(ranges),
            };
            // A report that is refused changes nothing.
            let refused = registry.renew(&ADAPTER, &id, renew(9), Now(1));
            assert_eq!(
                (refused.is_err(), registry.take_content_events()),
                (true, vec![])
            );
            registry.renew(&ADAPTER, &id, renew(2), Now(1)).unwrap();
            assert_eq!(registry.take_content_events(), expected, "{ranges:?}");
        }
    }
}
