//! What is there to see of a source's lines?

use core::time::Duration;

use crate::time::Time;

use super::Line;

/// What was counted since the start, over both lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LineCounters {
    /// Messages delivered.
    pub messages: u64,
    /// Ranges given up.
    pub gaps: u64,
    /// Numbers given up.
    pub abandoned: u64,
    /// Messages that came after their number was given up.
    pub late: u64,
    /// Messages below the number that the epoch began with here.
    pub before_first: u64,
    /// Copies whose number was known with other bytes; the first copy stands.
    pub line_conflicts: u64,
    /// Holes given up because what waits behind them reached its bound.
    pub hold_full: u64,
    /// Packets and heartbeats that were absurd, or of another epoch, when they came.
    pub quarantined: u64,
    /// Messages of quarantined packets that were not kept, or not for long: contradicted, or no room.
    pub quarantine_dropped: u64,
    /// Jumps beyond the window that were confirmed.
    pub jumps: u64,
    /// Epochs that began.
    pub epochs: u64,
    /// Times that the source stepped back within an epoch, or went on behind its end, and was followed.
    pub regressions: u64,
    /// Packets and heartbeats of epochs that were left, or that nobody remembers having begun.
    pub retired: u64,
    /// Messages with a number at or beyond the end that had been told; delivered once confirmed.
    pub after_end: u64,
    /// Messages that a request server of the source gave. They count among `messages`, too.
    pub recovered: u64,
    /// Messages that a server of the session gave. They count among `messages`, too, and not among `recovered`.
    pub recovered_by_session: u64,
    /// Answers of servers in which nothing was that is missing.
    pub unasked: u64,
    /// Packets and heartbeats whose numbers cannot be (0, or beyond 2^64), or without an epoch.
    pub malformed: u64,
}

/// How a line is doing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LineState {
    /// Nothing was ever heard of it.
    Unheard,
    /// Speaking.
    Live,
    /// Speaking, but so far behind that nobody waits for it.
    Lagging,
    /// Silent.
    Silent,
}

impl LineState {
    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Live => "live",
            Self::Lagging => "lagging",
            Self::Silent => "silent",
        }
    }
}

/// One line's account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineStatus {
    /// How it is doing.
    pub state: LineState,
    /// Packets and heartbeats heard, quarantined ones included.
    pub packets: u64,
    /// Messages that this line had first.
    pub first_arrivals: u64,
    /// Messages that were known when this line brought them.
    pub duplicates: u64,
    /// Numbers that it jumped over; some of them may have come late.
    pub missed: u64,
    /// When it last said something.
    pub last_heard: Option<Time>,
    /// The number behind the furthest that it spoke of in this epoch; 0 when it did not.
    pub next: u64,
}

/// What the machine itself keeps of a line, whatever the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speaker {
    pub(super) last_heard: Option<Time>,
    pub(super) lagging: bool,
    pub(super) packets: u64,
    pub(super) first_arrivals: u64,
    pub(super) duplicates: u64,
    pub(super) missed: u64,
}

impl Speaker {
    pub(super) fn state(&self, now: Time, silence: Duration) -> LineState {
        match self.last_heard {
            None => LineState::Unheard,
            Some(heard) if now >= heard.after(silence) => LineState::Silent,
            Some(_) if self.lagging => LineState::Lagging,
            Some(_) => LineState::Live,
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) counters: LineCounters,
    pub(super) speakers: [Speaker; 2],
}

impl Account {
    pub(super) fn speaker(&mut self, line: Line) -> &mut Speaker {
        &mut self.speakers[line.index()]
    }
}
