//! What does a leg say of a source, and for how long has it said so?
//!
//! ```text
//!  reports   good   stale   stale   stale
//!                     ├───────────────┤        stale: since its first report that said so, until its last
//! ```
//!
//! Nothing follows from a single report, and nothing from the absence of one: what an adapter says has lasted from the
//! first to the last of its reports that say it in a row. A leg is heard while its adapter sits, lives, acts under the
//! generation at hand and does not leave; and of a source only once that has opened.

use std::collections::BTreeMap;

use twinfeed_control::{DataState, LegIndex, Sid, StreamStatus};

use super::feed::Feed;
use crate::lease::Now;

/// Since when an adapter's reports have said of each source what the last one says.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing(BTreeMap<Sid, (DataState, Now)>);

impl Hearing {
    /// The next report.
    pub(super) fn note(&mut self, streams: &[StreamStatus], now: Now) {
        let since = |stream: &StreamStatus| {
            let known = self.0.get(&stream.sid).copied();
            let same = known.filter(|(data, _)| *data == stream.data);
            (stream.sid, same.unwrap_or((stream.data, now)))
        };
        self.0 = streams.iter().map(since).collect();
    }

    fn of(&self, sid: Sid) -> Option<(DataState, Now)> {
        self.0.get(&sid).copied()
    }
}

/// What a leg says of a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) data: DataState,
    /// Its first report in a row that says so.
    since: Now,
    /// Its last report.
    until: Now,
}

impl Word {
    /// Whether the adapter hears the source.
    pub(super) const fn hears(self) -> bool {
        matches!(self.data, DataState::Good | DataState::Incomplete)
    }

    /// For how long it has been said, in milliseconds.
    pub(super) const fn lasted_ms(self) -> u64 {
        self.until.since(self.since)
    }

    /// For how long this and the other leg's word have been said at the same time, in milliseconds.
    pub(super) fn together_ms(self, other: Self) -> u64 {
        let (since, until) = (self.since.max(other.since), self.until.min(other.until));
        until.since(since)
    }
}

impl Feed {
    /// What a leg says of a source; `None`: it is not heard, or the source has not opened there.
    pub(super) fn says(&self, leg: LegIndex, sid: Sid, now: Now) -> Option<Word> {
        let occupant = self.seat(leg).filter(|_| self.pair.is_alive(leg, now))?;
        let (until, report) = occupant.report.as_ref()?;
        let acts = report.generation == self.pair.generation()
            && Some(report.role) == self.pair.role(leg)
            && !report.draining;
        let stream = report.streams.iter().find(|stream| stream.sid == sid)?;
        let opened = acts && stream.sending && stream.next_pos.epoch.0 != 0;
        let (data, since) = occupant.hearing.of(sid).filter(|_| opened)?;
        Some(Word {
            data,
            since,
            until: *until,
        })
    }
}
