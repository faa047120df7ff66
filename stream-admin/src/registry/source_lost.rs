//! When does an active that has lost its source hand over without an operator's word?
//!
//! | the active says of a source, for a hold | the backup says of it | the pair | then |
//! |---|---|---|---|
//! | stale | good, for as long | protected | hand-over, cause *source-lost* |
//! | incomplete | good, for as long | not protected: the contexts differ | shown; the active takes the past over from its backup |
//! | stale, incomplete | good | the backup not synchronised | shown |
//! | stale | good, but worse than the active of another source | any | shown: neither has everything |
//! | stale | stale, not there | any | nothing: see `sources` |
//!
//! Data do not wait for it: subscribers take them from the backup's leg. It is the authority that moves to the adapter
//! which hears what it speaks about. Nothing is forced: a hand-over loses nothing, or it does not happen.
//!
//! Two sources that flap do not pass the role to and fro: after one hand-over for this cause the next one waits for
//! [`HOLDS_OF_REST`] holds, twice as long after each that came to nothing.

use twinfeed_control::{
    BY_ITSELF, DataState, FeedName, LegIndex, RoleCause, RoleOutcome, Sid, StreamStatus,
    TakeoverPolicy,
};

use super::Registry;
use super::feed::{Feed, severity};
use super::roles::Asked;
use crate::lease::Now;

impl Registry {
    /// Feeds whose active has lost a source that its backup has, and is to hand over
    /// ([`Registry::hand_over_lost_source`]): what is begun must reach the disk.
    #[must_use]
    pub fn feeds_with_lost_sources(&self, now: Now) -> Vec<FeedName> {
        let lost = |feed: &Feed| {
            let lost = feed.lost_source(now);
            lost.is_some_and(|(_, _, active)| feed.hindered(active, now).is_none())
        };
        let feeds = self.feeds.iter().filter(|(_, feed)| lost(feed));
        feeds.map(|(name, _)| name.clone()).collect()
    }

    /// Begins the hand-over to the backup that has the source, unless the roles are pinned or were passed on too often: that
    /// is recorded, once in a row.
    pub fn hand_over_lost_source(&mut self, name: &FeedName, now: Now) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let hold_ms = feed.settings.source_hold_ms;
        // Whatever comes of this, it is not looked at again before a hold is over.
        feed.source_rest_until = Now(now.0.saturating_add(hold_ms));
        let rest_ms = feed.rest_after_source_lost_ms();
        let Ok(to) = self.may_hand_over(name, now) else {
            return;
        };
        let asked = Asked::unordered(BY_ITSELF, RoleCause::SourceLost);
        if self
            .may_take_over_automatically(name, to, asked.clone(), now)
            .is_err()
        {
            return;
        }
        if let Some(feed) = self.feeds.get_mut(name) {
            feed.source_rest_until = Now(now.0.saturating_add(rest_ms));
        }
        self.begin_handover(name, to, asked, now);
    }
}

impl Feed {
    /// That the active has lost a source which its backup has, and why it does not hand over; `None`: it has not.
    pub(super) fn source_lost(&self, now: Now) -> Option<String> {
        let (sid, data, active) = self.lost_source(now)?;
        let pinned = self.pair.pinned().filter(|pinned| *pinned == active);
        let pinned = pinned.map(|leg| format!("the roles are pinned to {}", self.adapter_id(leg)));
        let what = format!("sid {sid} is {data} at the active and good at its backup");
        if let Some(under_way) = &self.handover {
            let number = under_way.number;
            return Some(format!("{what}; hand-over {number} is under way"));
        }
        Some(match pinned.or_else(|| self.hindered(active, now)) {
            None => format!("{what}; the active is to hand over"),
            Some(why) => format!("{what}; no hand-over by itself: {why}"),
        })
    }

    /// The first source that the active has lost and its backup has, what the active says of it, and who is active.
    fn lost_source(&self, now: Now) -> Option<(Sid, DataState, LegIndex)> {
        let active = self.living_active(now)?;
        let lost = |stream: &StreamStatus| {
            let ours = self.says(active, stream.sid, now)?;
            let theirs = self.says(active.other(), stream.sid, now)?;
            let lost = matches!(ours.data, DataState::Stale | DataState::Incomplete)
                && theirs.data == DataState::Good
                && ours.together_ms(theirs) >= self.settings.source_hold_ms;
            lost.then_some((stream.sid, ours.data, active))
        };
        let report = self.seat(active)?.last_report()?;
        report.streams.iter().find_map(lost)
    }

    /// Why the active keeps its role although its backup has a source that it has lost.
    fn hindered(&self, active: LegIndex, now: Now) -> Option<String> {
        if self.settings.takeover == TakeoverPolicy::Operator {
            return Some("that is an operator's to decide (takeover = \"operator\")".to_owned());
        }
        if let Some(under_way) = &self.handover {
            let number = under_way.number;
            return Some(format!("hand-over {number} is under way"));
        }
        if let Some(sid) = self.source_worse_at_backup(active, now) {
            return Some(format!("the backup lacks something of sid {sid}"));
        }
        if let Some(reason) = self.unprotected(now) {
            return Some(format!("the backup could not go on seamlessly ({reason})"));
        }
        let rest_ms = self.source_rest_until.since(now);
        (rest_ms > 0).then(|| format!("the last attempt was not long ago; {rest_ms} ms to wait"))
    }

    fn source_worse_at_backup(&self, active: LegIndex, now: Now) -> Option<Sid> {
        let report = self.seat(active)?.last_report()?;
        let mut sids = report.streams.iter().map(|stream| stream.sid);
        sids.find(|sid| {
            let of = |leg| self.says(leg, *sid, now).map(|word| severity(word.data));
            of(active).is_some_and(|ours| of(active.other()).is_none_or(|theirs| theirs > ours))
        })
    }

    /// For how long none is begun after one that is begun now, in milliseconds.
    fn rest_after_source_lost_ms(&self) -> u64 {
        let begun = self.roles.iter().rev();
        let begun = begun.filter(|change| change.cause == RoleCause::SourceLost);
        let refused =
            begun.take_while(|change| matches!(change.outcome, RoleOutcome::Refused { .. }));
        let doublings = refused.count().min(MOST_DOUBLINGS);
        let rest_ms = self.settings.source_hold_ms.saturating_mul(HOLDS_OF_REST);
        rest_ms.saturating_mul(1 << doublings)
    }
}

/// How many holds lie between two hand-overs for this cause, at least.
const HOLDS_OF_REST: u64 = 10;
/// How often that is doubled after hand-overs that came to nothing: 640 holds are the most.
const MOST_DOUBLINGS: usize = 6;

#[cfg(test)]
#[path = "source_lost_tests.rs"]
mod tests;
