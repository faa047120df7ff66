//! When does the generation go back, by itself, to the adapter whose binary prefers to be active?
//!
//! ```text
//!                        it is active already
//!           moment ───┬─────────────────────────────► over
//!  resting ─────────► │  the pair would hand over
//!                     ├─────────────────────────────► over: a hand-over is under way
//!                     └─ not now ─► waiting ─┐
//!                          ▲    tried again  │  the window is over
//!                          └─────────────────┴──────► over: refused, with the last reason
//! ```
//!
//! At most once a day: of a moment at which something was begun or refused the history says so, over restarts too. What the
//! wall's clock shows decides *when*, and nothing else; it may be set back or forth. A moment that comes while this server is
//! away, and whose window is over when it returns, is left out.
//!
//! An operator's hand-over goes the same way, and needs no schedule: `twinfeed admin handover`.

use serde::{Deserialize, Serialize};
use twinfeed_control::{FeedName, LegIndex, RoleCause, RoleOutcome, TakeoverPolicy};

use super::Registry;
use super::daily::Daily;
use super::feed::Feed;
use super::roles::Asked;
use crate::lease::Now;

/// When a feed's generation goes back to the adapter whose binary prefers to be active.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum HandBack {
    /// When an operator says so.
    #[default]
    Commanded,
    /// Once a day, too.
    Daily(Daily),
}

impl TryFrom<String> for HandBack {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            COMMANDED => Ok(Self::Commanded),
            daily => daily.parse().map(Self::Daily),
        }
    }
}

impl From<HandBack> for String {
    fn from(hand_back: HandBack) -> Self {
        match hand_back {
            HandBack::Commanded => COMMANDED.to_owned(),
            HandBack::Daily(daily) => daily.to_string(),
        }
    }
}

/// How far the day's turn has come. Moments are microseconds since the Unix epoch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    /// None has come since this server started.
    #[default]
    Resting,
    /// It was not possible yet.
    Waiting { moment: u64, reason: String },
    /// Nothing more is done on account of this moment.
    Over { moment: u64 },
}

/// What is to be done about a feed's turn.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Decision {
    Nothing,
    /// There is nothing to hand back, or it was handed back.
    Settle(u64),
    Wait(u64, String),
    HandOver(u64),
    GiveUp(u64, String),
}

impl Registry {
    /// Feeds whose generation is to be handed back now, or whose hand-back is given up ([`Registry::hand_back`]): either
    /// is a line of the history, which must reach the disk.
    #[must_use]
    pub fn feeds_to_hand_back(&self, now: Now) -> Vec<FeedName> {
        let due = |name: &&FeedName| {
            matches!(
                self.decide_hand_back(name, now),
                Decision::HandOver(_) | Decision::GiveUp(..)
            )
        };
        self.feeds.keys().filter(due).cloned().collect()
    }

    /// Begins the hand-over of a feed that [`Registry::feeds_to_hand_back`] named, or records that it is given up.
    pub fn hand_back(&mut self, name: &FeedName, now: Now) {
        let asked = || Asked::unordered(SCHEDULE, RoleCause::HandBack);
        let over = match self.decide_hand_back(name, now) {
            Decision::HandOver(moment) => {
                self.begin_handover(name, LegIndex::ACTIVE, asked(), now);
                moment
            }
            Decision::GiveUp(moment, reason) => {
                let refused = RoleOutcome::Refused { reason };
                self.record_change(name, asked(), Some(LegIndex::ACTIVE), refused);
                self.touch(name);
                moment
            }
            Decision::Nothing | Decision::Settle(_) | Decision::Wait(..) => return,
        };
        self.set_turn(name, Turn::Over { moment: over });
    }

    /// Notes, as time passes, what keeps a hand-back from being begun, and that nothing does.
    pub(super) fn note_hand_back(&mut self, name: &FeedName, now: Now) {
        match self.decide_hand_back(name, now) {
            Decision::Settle(moment) => self.set_turn(name, Turn::Over { moment }),
            Decision::Wait(moment, reason) => {
                self.set_turn(name, Turn::Waiting { moment, reason });
            }
            Decision::Nothing | Decision::HandOver(_) | Decision::GiveUp(..) => {}
        }
    }

    fn set_turn(&mut self, name: &FeedName, turn: Turn) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        if feed.turn != turn {
            feed.turn = turn;
            self.touch(name);
        }
    }

    fn decide_hand_back(&self, name: &FeedName, now: Now) -> Decision {
        let Some(feed) = self.feeds.get(name) else {
            return Decision::Nothing;
        };
        let HandBack::Daily(daily) = &feed.settings.hand_back else {
            return Decision::Nothing;
        };
        let is_past = |moment: u64| self.unix_us >= moment.saturating_add(WINDOW_US);
        let over = match &feed.turn {
            Turn::Waiting { moment, reason } if is_past(*moment) => {
                return Decision::GiveUp(*moment, reason.clone());
            }
            Turn::Over { moment } => Some(*moment),
            Turn::Waiting { .. } | Turn::Resting => None,
        };
        let moment = daily.latest(self.unix_us);
        let due = moment.filter(|moment| !is_past(*moment) && over.is_none_or(|it| it < *moment));
        let Some(moment) = due else {
            return Decision::Nothing;
        };
        if feed.was_handed_back_since(moment) || !feed.is_away_from_home() {
            return Decision::Settle(moment);
        }
        match self.may_hand_back(name, feed, now) {
            Ok(()) => Decision::HandOver(moment),
            Err(reason) => Decision::Wait(moment, reason),
        }
    }

    /// Why a hand-back would not be begun now: the policy, a pin, or what a hand-over lacks.
    fn may_hand_back(&self, name: &FeedName, feed: &Feed, now: Now) -> Result<(), String> {
        if feed.settings.takeover == TakeoverPolicy::Operator {
            return Err("changes of roles are an operator's (takeover = \"operator\")".to_owned());
        }
        if let Some(pinned) = feed.pair.pinned().filter(|leg| *leg != LegIndex::ACTIVE) {
            let id = feed.adapter_id(pinned);
            return Err(format!("the roles are pinned to adapter {id}"));
        }
        let may = self.may_hand_over(name, now);
        may.map(drop).map_err(|problem| problem.message)
    }
}

impl Feed {
    /// The feed's schedule and what keeps today's hand-back waiting, for people; `None` without a schedule.
    pub(super) fn hand_back_word(&self) -> Option<String> {
        let HandBack::Daily(daily) = &self.settings.hand_back else {
            return None;
        };
        Some(match &self.turn {
            Turn::Waiting { reason, .. } => format!("{daily}, waits: {reason}"),
            Turn::Resting | Turn::Over { .. } => daily.to_string(),
        })
    }

    /// Whether the active is not the adapter whose binary prefers to be.
    fn is_away_from_home(&self) -> bool {
        self.pair.active() == Some(LegIndex::BACKUP)
    }

    /// Whether the history has a hand-back on account of this moment, or of a later one.
    fn was_handed_back_since(&self, moment: u64) -> bool {
        let mut changes = self.roles.iter();
        changes.any(|it| it.cause == RoleCause::HandBack && it.at_unix_us >= moment)
    }
}

/// Who asked, as the history says it.
const SCHEDULE: &str = "schedule";
/// The word for "when an operator says so".
const COMMANDED: &str = "commanded";
/// For how long after its moment a hand-back that is not possible is tried again: 10 min.
const WINDOW_US: u64 = 10 * 60 * 1_000_000;

#[cfg(test)]
#[path = "hand_back_tests.rs"]
mod tests;
