//! When is the next heartbeat due, and which of them still say that the peer is lost?

use core::time::Duration;

use crate::time::{Time, nanos};

#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// When anything was last sent.
    last_sent: Time,
    /// When a heartbeat was last sent.
    last_heartbeat: Time,
    peer_lost: bool,
    /// Heartbeats that must still say `peer lost`, even if the peer is back.
    peer_lost_owed: u32,
    /// A heartbeat is due whatever the time.
    owed: bool,
}

impl Schedule {
    pub(super) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            last_sent: Time::ZERO,
            last_heartbeat: Time::ZERO,
            peer_lost: false,
            peer_lost_owed: 0,
            owed: false,
        }
    }

    /// After one silent interval; on a busy stream every third one.
    pub(super) fn deadline(&self) -> Time {
        if self.owed {
            return Time::ZERO;
        }
        let silent = self.last_sent.after(self.interval);
        let busy = self
            .last_heartbeat
            .after(self.interval.saturating_mul(BUSY_INTERVALS));
        silent.min(busy)
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        now >= self.deadline()
    }

    pub(super) const fn sent_records(&mut self, now: Time) {
        self.last_sent = now;
    }

    pub(super) const fn sent_heartbeat(&mut self, now: Time) {
        self.last_sent = now;
        self.last_heartbeat = now;
        self.owed = false;
        self.peer_lost_owed = self.peer_lost_owed.saturating_sub(1);
    }

    /// The next occasion is one for a heartbeat.
    pub(super) const fn owe_heartbeat(&mut self) {
        self.owed = true;
    }

    /// Whether that was a change.
    pub(super) const fn set_peer_lost(&mut self, lost: bool) -> bool {
        let changed = self.peer_lost != lost;
        if changed && lost {
            self.peer_lost_owed = PEER_LOST_HEARTBEATS;
        }
        self.peer_lost = lost;
        changed
    }

    pub(super) const fn peer_lost(&self) -> bool {
        self.peer_lost || self.peer_lost_owed > 0
    }

    /// For the wire, µs.
    pub(super) fn interval_us(&self) -> u32 {
        u32::try_from(nanos(self.interval) / 1_000).unwrap_or(u32::MAX)
    }
}

/// A busy stream says where it stands every so many intervals (`docs/wire-format.md`, section 4).
const BUSY_INTERVALS: u32 = 3;
/// How many heartbeats repeat a lost peer at least (`docs/wire-format.md`, section 2, flag 3).
const PEER_LOST_HEARTBEATS: u32 = 3;
