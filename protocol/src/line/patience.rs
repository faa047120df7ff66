//! How long is something in question waited for?
//!
//! One rule for a hole, an end marker, a jump and another epoch: `reorder_hold` once every live line has
//! passed it, and longer for a live line that has not: `lag_hold` for a hole and a jump, which hold up
//! what was said; `silence` for an end and another epoch, which hold up nothing. Everything here only looks.

use core::time::Duration;

use crate::time::Time;

use super::candidate::{Candidate, Kind};
use super::{Line, Lines, LinesState};

/// For how many times as long nobody speaks of the epoch at hand before one is believed that may have been before it.
const OLDER: u32 = 4;

impl Lines {
    /// When the oldest hole is given up.
    pub(super) fn hole_until(&self) -> Option<Time> {
        if !self.is_speaking() {
            return None;
        }
        let (number, since) = self.current.hole()?;
        let passed = |line: Line| self.current.lines[line.index()] > number;
        let patience = self.patience(since, self.limits.lag_hold, passed);
        let asked = self.asked_until();
        Some(asked.map_or(patience, |asked| asked.max(patience)))
    }

    /// When an end marker is believed.
    pub(super) fn end_until(&self) -> Option<Time> {
        let (_, since) = self.current.end?;
        let waits = self.is_speaking() && self.current.is_settled();
        let said = |line: Line| self.current.end_said[line.index()];
        waits.then(|| self.patience(since, self.limits.silence, said))
    }

    /// When what waits to be confirmed is believed.
    pub(super) fn take_over_at(&self) -> Option<Time> {
        if let Some(confirmed) = self.at_once() {
            return Some(confirmed);
        }
        let candidate = self.candidate.as_ref()?;
        if self.state == LinesState::Unborn {
            // Nothing stands against it: an undisturbed moment is enough.
            return Some(candidate.since.after(self.limits.reorder_hold));
        }
        let confirmed = candidate.confirmed?;
        let longest = match candidate.kind {
            Kind::Jump => self.limits.lag_hold,
            Kind::Epoch | Kind::Regress | Kind::Reopen => self.limits.silence,
        };
        let left = Line::BOTH
            .into_iter()
            .filter(|&line| candidate.has_voted(line))
            .map(|line| self.current.heard[line.index()]);
        let alive = left.fold(self.current.progress, Time::max);
        let since = alive.max(confirmed).max(candidate.joined);
        // Copies that are late on every line look like a source that begins anew, but that one says nothing else any more
        // on any line, and goes on saying it.
        let stands = self.current.words >= u64::from(self.limits.confirmations);
        if candidate.kind == Kind::Regress && stands {
            let [a, b] = self.current.heard;
            let due = since.max(a).max(b).after(longest);
            return (candidate.said >= due).then_some(due);
        }
        let usual = self.patience(since, longest, |line| candidate.has_voted(line));
        let due = match candidate.kind {
            Kind::Epoch if self.may_be_older(candidate) => {
                // What is left of it is not waited out while anybody speaks of the one at hand; what goes on and on is no rest.
                let [a, b] = self.current.heard;
                let deserted = a.max(b).after(longest * OLDER);
                let brings = self.kept.progress >= since.after(longest * OLDER);
                usual.max(if brings { self.kept.progress } else { deserted })
            }
            _ => usual,
        };
        // The next epoch does not end what a server is asked for, as long as what is kept of it finds room.
        let asked = match candidate.kind {
            Kind::Epoch if self.is_speaking() && self.kept.is_roomy() => self.asked_until(),
            _ => None,
        };
        Some(asked.map_or(due, |asked| asked.max(due)))
    }

    /// Until when the oldest hole is left open, if it is asked for.
    fn asked_until(&self) -> Option<Time> {
        let (number, _) = self.current.hole()?;
        self.recovery.until(self.current.epoch, number)
    }

    /// Since when what waits is confirmed, if there is nothing to wait for: no epoch stands against it, or
    /// the one at hand is over and no line is left in it.
    pub(super) fn at_once(&self) -> Option<Time> {
        let candidate = self.candidate.as_ref()?;
        let confirmed = candidate.confirmed?;
        let ahead = self.is_next(candidate);
        let gone = |line: Line| {
            let speaker = &self.account.speakers[line.index()];
            let said = self.current.end_said[line.index()] || candidate.has_voted(line);
            said || speaker.lagging || speaker.last_heard.is_none()
        };
        let over = self.state == LinesState::Ended
            || self.current.is_settled() && Line::BOTH.into_iter().all(gone);
        let at_once = match (self.state, candidate.kind) {
            (LinesState::Unborn, _) => true,
            (_, Kind::Jump) => false,
            (_, Kind::Epoch | Kind::Reopen) => over && ahead,
            // Late copies come behind an end, too.
            (_, Kind::Regress) => false,
        };
        at_once.then_some(confirmed)
    }

    /// Whether what waits may have been before the epoch at hand, as what is left of it on a slow line: nobody has gone there from that,
    /// and it does not begin.
    pub(super) fn may_be_older(&self, candidate: &Candidate) -> bool {
        let at_hand = matches!(self.state, LinesState::Open | LinesState::Stale);
        let begins = self.kept.first == self.limits.origin_first;
        at_hand && candidate.kind == Kind::Epoch && !begins && !self.is_next(candidate)
    }

    /// Whether a line has gone on from the epoch at hand to what waits. One that never spoke of the epoch at hand may be behind it
    /// rather than ahead.
    fn is_next(&self, candidate: &Candidate) -> bool {
        let spoke = |line: Line| self.current.lines[line.index()] != 0;
        let mut lines = Line::BOTH.into_iter();
        lines.any(|line| candidate.has_voted(line) && spoke(line))
    }

    /// When the source counts as stale.
    pub(super) fn stale_at(&self) -> Option<Time> {
        let [a, b] = self.current.heard;
        (self.state == LinesState::Open).then(|| a.max(b).after(self.limits.silence))
    }

    /// Until when to wait for something that is in question since `since`: `reorder_hold` once every live
    /// line has passed it, at most `longest` for those that have not.
    pub(super) fn patience(
        &self,
        since: Time,
        longest: Duration,
        passed: impl Fn(Line) -> bool,
    ) -> Time {
        let mut silent_at = Time::ZERO;
        for line in Line::BOTH {
            let speaker = &self.account.speakers[line.index()];
            if let Some(heard) = speaker.last_heard
                && !speaker.lagging
                && !passed(line)
            {
                silent_at = silent_at.max(heard.after(self.limits.silence));
            }
        }
        let in_order = since.after(self.limits.reorder_hold);
        in_order.max(silent_at.min(since.after(longest)))
    }
}
