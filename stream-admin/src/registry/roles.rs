//! Which adapter is active by an operator's word or by the feed's own policy, and what did it cost?
//!
//! ```text
//!                     ┌─ the backup asks, having heard it ──► done, next generation
//!  hand-over: pending ┼─ its time is over ─────────────────► refused, the active goes on
//!                     └─ another generation begins ────────► refused, it says which
//!  takeover, by an operator or on silence: done at once
//! ```
//!
//! A hand-over is ordered by an operator, or begun where the active has lost its source (`source_lost`).
//!
//! A hand-over is granted or given up here and nowhere else, so the active that stepped down goes on only when nobody
//! can be granted its generation any more. Automatic takeovers are bounded per minute and stop at a pin; an operator's are
//! not and do not.

use std::collections::VecDeque;

use twinfeed_control::{
    AdapterId, FeedName, Generation, LegIndex, LinkState, Problem, ProblemCode, Role, RoleAction,
    RoleCause, RoleChange, RoleOrder, RoleOutcome, StepDown, TakeoverPolicy,
};

use super::feed::Feed;
use super::pair::TakeoverRefused;
use super::record::{Record, Write};
use super::refusals::{another_order, conflict, no_active, unknown_seat};
use super::{Registry, check};
use crate::lease::Now;

/// A hand-over that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    /// Its number in the history.
    pub(super) number: u64,
    /// The generation that is handed over.
    pub(super) from: Generation,
    /// Who takes over.
    pub(super) to: LegIndex,
    pub(super) deadline_ms: u64,
    pub(super) until: Now,
}

impl Handover {
    /// What the active is told.
    pub(super) const fn order(&self) -> StepDown {
        StepDown {
            number: self.number,
            generation: self.from,
            deadline_ms: self.deadline_ms,
        }
    }
}

/// Who asked for a change of roles, and why.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) key: Option<String>,
    pub(super) by: String,
    pub(super) cause: RoleCause,
    pub(super) action: Option<RoleAction>,
}

impl Asked {
    /// What no operator ordered.
    pub(super) fn unordered(by: &str, cause: RoleCause) -> Self {
        Self {
            key: None,
            by: by.to_owned(),
            cause,
            action: None,
        }
    }
}

impl Registry {
    /// Carries out an operator's word on who is active; the same key again is the same order.
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `unknown-id`, `bad-request` with the part at fault, `conflict` when the key names another order
    /// or the pair is not fit for it, with what is missing; `unavailable` while no active lives that could step down.
    pub fn order_roles(
        &mut self,
        operator: &str,
        request: RoleOrder,
        now: Now,
    ) -> Result<RoleChange, Problem> {
        check::order_key(&request.key)?;
        self.give_up_late_handover(&request.feed, now);
        let feed = self.feed(&request.feed)?;
        if let Some(known) = feed
            .roles
            .iter()
            .find(|known| known.key.as_ref() == Some(&request.key))
        {
            return if known.action.as_ref() == Some(&request.action) {
                Ok(known.clone())
            } else {
                Err(another_order(&request.key))
            };
        }
        let RoleOrder {
            key, feed, action, ..
        } = request;
        let asked = |cause, action: &RoleAction| Asked {
            key: Some(key.clone()),
            by: operator.to_owned(),
            cause,
            action: Some(action.clone()),
        };
        let number = match &action {
            RoleAction::HandOver { force } => match self.may_hand_over(&feed, now) {
                Ok(to) => self.begin_handover(&feed, to, asked(RoleCause::HandOver, &action), now),
                Err(_) if *force => {
                    let to = self.leg_to_appoint(&feed, None)?;
                    self.appoint(&feed, to, asked(RoleCause::Forced, &action), now)?
                }
                Err(problem) => return Err(problem),
            },
            RoleAction::TakeOver { adapter } => {
                let to = self.leg_to_appoint(&feed, adapter.as_ref())?;
                self.appoint(&feed, to, asked(RoleCause::Forced, &action), now)?
            }
            RoleAction::Pin { adapter } => {
                let known = self.feed(&feed)?.leg_named(adapter);
                let leg = known.ok_or_else(|| unknown_seat(adapter))?;
                self.pin(&feed, Some(leg), asked(RoleCause::Pin, &action))?
            }
            RoleAction::Unpin => self.pin(&feed, None, asked(RoleCause::Unpin, &action))?,
        };
        self.refresh_shown(&feed, now);
        self.role_change(&feed, number)
    }

    /// The changes of a feed's roles that are kept, newest first.
    ///
    /// # Errors
    ///
    /// `unknown-feed`.
    pub fn role_changes(&self, name: &FeedName) -> Result<Vec<RoleChange>, Problem> {
        Ok(self.feed(name)?.roles.iter().rev().cloned().collect())
    }

    /// One change.
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `unknown-id` when it is not kept any more.
    pub fn role_change(&self, name: &FeedName, number: u64) -> Result<RoleChange, Problem> {
        let mut changes = self.feed(name)?.roles.iter();
        let found = changes.find(|change| change.number == number).cloned();
        found.ok_or_else(|| Problem {
            code: ProblemCode::UnknownId,
            message: format!("feed {name} knows no change of roles {number}"),
            remedy: "ask for the feed's history".to_owned(),
            retry_in_ms: None,
        })
    }

    /// Changes of roles that were recorded or settled, in order; for the audit log.
    #[must_use]
    pub fn take_role_events(&mut self) -> Vec<RoleChange> {
        std::mem::take(&mut self.role_events)
    }

    /// The leg that can be handed the generation, or what is missing.
    pub(super) fn may_hand_over(&self, name: &FeedName, now: Now) -> Result<LegIndex, Problem> {
        let feed = self.feed(name)?;
        if let Some(under_way) = &feed.handover {
            return Err(conflict(
                format!("hand-over {} of feed {name} is under way", under_way.number),
                "wait until it is done or given up",
            ));
        }
        let active = feed.living_active(now).ok_or_else(|| no_active(name))?;
        let pair = feed.pair_status(now);
        if !pair.protected {
            return Err(conflict(
                format!("the pair of feed {name} is not protected: {}", pair.reason),
                "wait until `twinfeed status` says protected; `--force` takes over all the same, and subscribers may be \
                 told of a discontinuity",
            ));
        }
        Ok(active.other())
    }

    pub(super) fn begin_handover(
        &mut self,
        name: &FeedName,
        to: LegIndex,
        asked: Asked,
        now: Now,
    ) -> u64 {
        let deadline_ms = self.settings.handover_ms;
        let number = self.record_change(name, asked, Some(to), RoleOutcome::Pending);
        if let Some(feed) = self.feeds.get_mut(name) {
            feed.handover = Some(Handover {
                number,
                from: feed.pair.generation(),
                to,
                deadline_ms,
                until: Now(now.0.saturating_add(deadline_ms)),
            });
        }
        self.touch(name);
        number
    }

    /// The leg that an operator wants active; by default the backup.
    fn leg_to_appoint(
        &self,
        name: &FeedName,
        adapter: Option<&AdapterId>,
    ) -> Result<LegIndex, Problem> {
        let feed = self.feed(name)?;
        match (adapter, feed.pair.active()) {
            (Some(id), _) => feed.leg_named(id).ok_or_else(|| unknown_seat(id)),
            (None, Some(active)) => Ok(active.other()),
            (None, None) => Err(no_active(name)),
        }
    }

    /// A new generation with this leg as its active, whatever the other one does.
    fn appoint(
        &mut self,
        name: &FeedName,
        leg: LegIndex,
        asked: Asked,
        now: Now,
    ) -> Result<u64, Problem> {
        let feed = self.feed_mut(name)?;
        let (id, before) = (feed.adapter_id(leg), feed.pair.generation());
        if feed.pair.active() == Some(leg) {
            return Err(conflict(
                format!("adapter {id} is active already, under generation {before}"),
                "nothing is to be done",
            ));
        }
        let word = feed.leg_word(leg, now);
        match feed.pair.appoint(leg, now) {
            Ok(_) => Ok(self.generation_began(name, before, Some(leg), asked)),
            Err(TakeoverRefused::NotSeated | TakeoverRefused::Generation { .. }) => Err(conflict(
                format!("adapter {id} is {}: {}", word.state, word.reason),
                "start it, or see to it that it reaches stream-admin; then order again",
            )),
        }
    }

    fn pin(
        &mut self,
        name: &FeedName,
        leg: Option<LegIndex>,
        asked: Asked,
    ) -> Result<u64, Problem> {
        let feed = self.feed_mut(name)?;
        feed.pair.pin(leg);
        let generation = feed.pair.generation();
        let done = RoleOutcome::Done {
            generation,
            seamless: None,
        };
        let number = self.record_change(name, asked, leg, done);
        self.save_feed(name);
        self.touch(name);
        Ok(number)
    }

    /// Another generation began: it goes into the history, and what waited for the one before is settled.
    pub(super) fn generation_began(
        &mut self,
        name: &FeedName,
        before: Generation,
        active: Option<LegIndex>,
        asked: Asked,
    ) -> u64 {
        let Some(feed) = self.feeds.get_mut(name) else {
            return 0;
        };
        let generation = feed.pair.generation();
        feed.takeovers += u64::from(before > Generation(0));
        let under_way = feed.handover.take();
        let done = RoleOutcome::Done {
            generation,
            seamless: None,
        };
        let number = match under_way {
            Some(handover) if asked.cause == RoleCause::HandOver => {
                self.settle_change(name, handover.number, done);
                handover.number
            }
            under_way => {
                if let Some(handover) = under_way {
                    let reason =
                        format!("generation {generation} began meanwhile: {}", asked.cause);
                    let refused = RoleOutcome::Refused { reason };
                    self.settle_change(name, handover.number, refused);
                }
                match before > Generation(0) {
                    true => self.record_change_from(name, before, asked, active, done),
                    // Nobody was active before.
                    false => 0,
                }
            }
        };
        self.abandon_orders(name);
        self.save_feed(name);
        self.touch(name);
        number
    }

    /// Whether an automatic takeover by this leg is allowed now. A refusal is recorded, once in a row of refusals.
    pub(super) fn may_take_over_automatically(
        &mut self,
        name: &FeedName,
        leg: LegIndex,
        asked: Asked,
        now: Now,
    ) -> Result<(), Problem> {
        let limit = self.settings.limits.takeovers_per_minute;
        let feed = self.feed_mut(name)?;
        let pinned = feed.pair.pinned().filter(|pinned| *pinned != leg);
        while feed
            .automatic
            .front()
            .is_some_and(|at| now.since(*at) >= MINUTE_MS)
        {
            feed.automatic.pop_front();
        }
        let problem = if feed.settings.takeover == TakeoverPolicy::Operator {
            conflict(
                format!("takeovers of feed {name} are an operator's (takeover = \"operator\")"),
                "`twinfeed admin takeover --force`",
            )
        } else if let Some(pinned) = pinned {
            Problem {
                code: ProblemCode::Unavailable,
                message: format!(
                    "the roles are pinned to adapter {}",
                    feed.adapter_id(pinned)
                ),
                remedy: "`twinfeed admin unpin`, or `twinfeed admin takeover --force`".to_owned(),
                retry_in_ms: None,
            }
        } else if feed.automatic.len() >= limit {
            Problem {
                code: ProblemCode::LimitReached,
                message: format!(
                    "feed {name} has had {limit} automatic takeovers within a minute \
                     (limits.takeovers_per_minute)"
                ),
                remedy:
                    "look why its adapters end; `twinfeed admin takeover --force` is not limited"
                        .to_owned(),
                retry_in_ms: None,
            }
        } else {
            feed.automatic.push_back(now);
            return Ok(());
        };
        let cause = asked.cause;
        let refused = RoleOutcome::Refused {
            reason: problem.message.clone(),
        };
        let generation = feed.pair.generation();
        // Both causes are asked for in turn while the active is silent, so the last record alone does not tell.
        let mut row = feed.roles.iter().rev().take_while(is_refusal);
        let told = row.any(|known| {
            (known.cause, known.from, &known.outcome) == (cause, generation, &refused)
        });
        if !told {
            self.record_change(name, asked, Some(leg), refused);
            self.touch(name);
        }
        Err(problem)
    }

    /// Feeds whose active is silent and is to be replaced ([`Registry::replace_silent_active`]): each begins a
    /// generation, which must reach the disk.
    #[must_use]
    pub fn feeds_with_silent_actives(&self, now: Now) -> Vec<FeedName> {
        let feeds = self.feeds.iter();
        let silent = feeds.filter(|(_, feed)| matches!(feed.silent_actives_heir(now), Some(Ok(_))));
        silent.map(|(name, _)| name.clone()).collect()
    }

    /// A new generation for the backup of an active that is silent, where the feed's policy says so, unless the roles are
    /// pinned or were passed on too often.
    pub fn replace_silent_active(&mut self, name: &FeedName, now: Now) {
        let heir = self
            .feeds
            .get(name)
            .and_then(|feed| feed.silent_actives_heir(now));
        let Some(Ok(leg)) = heir else { return };
        let Some(by) = self.feeds.get(name).map(|feed| feed.adapter_id(leg)) else {
            return;
        };
        let asked = Asked::unordered(by.as_str(), RoleCause::PeerSilent);
        if self
            .may_take_over_automatically(name, leg, asked.clone(), now)
            .is_err()
        {
            return;
        }
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let before = feed.pair.generation();
        if feed.pair.appoint(leg, now).is_ok() {
            self.generation_began(name, before, Some(leg), asked);
        }
    }

    /// A hand-over whose time is over is given up: from here on nobody is granted anything on its account.
    pub(super) fn give_up_late_handover(&mut self, name: &FeedName, now: Now) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let Some(late) = feed.handover.take_if(|it| now >= it.until) else {
            return;
        };
        let state = feed.pair_status(now).reason;
        let state = if state.is_empty() {
            "the active did not come to the end of what it had announced".to_owned()
        } else {
            state
        };
        let reason = format!(
            "the backup did not take over within {} ms ({state}); the active goes on",
            late.deadline_ms
        );
        self.settle_change(name, late.number, RoleOutcome::Refused { reason });
        self.touch(name);
    }

    /// The new active says how its generation began.
    pub(super) fn note_seamless(&mut self, name: &FeedName, seamless: bool) {
        let Some(feed) = self.feeds.get(name) else {
            return;
        };
        let ours = feed.pair.generation();
        let unsaid = |change: &&RoleChange| {
            matches!(change.outcome, RoleOutcome::Done { generation, seamless: None } if generation == ours)
                && !matches!(change.cause, RoleCause::Pin | RoleCause::Unpin)
        };
        if let Some(number) = feed.roles.iter().rev().find(unsaid).map(|it| it.number) {
            let done = RoleOutcome::Done {
                generation: ours,
                seamless: Some(seamless),
            };
            self.settle_change(name, number, done);
            self.touch(name);
        }
    }

    /// After a restart: whoever was to decide about a hand-over forgot it.
    pub(super) fn forget_handovers(&mut self, name: &FeedName) {
        let Some(feed) = self.feeds.get(name) else {
            return;
        };
        let pending = |change: &&RoleChange| change.outcome == RoleOutcome::Pending;
        let numbers: Vec<u64> = feed
            .roles
            .iter()
            .filter(pending)
            .map(|it| it.number)
            .collect();
        for number in numbers {
            let reason = "stream-admin was restarted; the active goes on".to_owned();
            self.settle_change(name, number, RoleOutcome::Refused { reason });
        }
    }

    pub(super) fn record_change(
        &mut self,
        name: &FeedName,
        asked: Asked,
        leg: Option<LegIndex>,
        outcome: RoleOutcome,
    ) -> u64 {
        let from = self.feeds.get(name).map(|feed| feed.pair.generation());
        self.record_change_from(name, from.unwrap_or_default(), asked, leg, outcome)
    }

    fn record_change_from(
        &mut self,
        name: &FeedName,
        from: Generation,
        asked: Asked,
        leg: Option<LegIndex>,
        outcome: RoleOutcome,
    ) -> u64 {
        let (limit, at_unix_us) = (self.settings.limits.role_changes_per_feed, self.unix_us);
        let Some(feed) = self.feeds.get_mut(name) else {
            return 0;
        };
        let Asked {
            key,
            by,
            cause,
            action,
        } = asked;
        let change = RoleChange {
            number: feed.roles.back().map_or(1, |last| last.number + 1),
            key,
            by,
            feed: name.clone(),
            cause,
            action,
            adapter: leg.map(|leg| feed.adapter_id(leg)),
            from,
            at_unix_us,
            outcome,
        };
        let number = change.number;
        feed.count(&change);
        feed.roles.push_back(change.clone());
        while feed.roles.len() > limit.max(1) {
            let oldest = feed.roles.pop_front();
            let dropped = oldest.map(|change| Write::DropRole(name.clone(), change.number));
            self.writes.extend(dropped);
        }
        self.role_events.push(change.clone());
        self.writes.push(Write::Put(Record::Role(Box::new(change))));
        number
    }

    fn settle_change(&mut self, name: &FeedName, number: u64, outcome: RoleOutcome) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let Some(change) = feed.roles.iter_mut().find(|it| it.number == number) else {
            return;
        };
        let pending = change.outcome == RoleOutcome::Pending;
        change.outcome = outcome;
        let change = change.clone();
        if pending {
            feed.count(&change);
        }
        self.role_events.push(change.clone());
        self.writes.push(Write::Put(Record::Role(Box::new(change))));
    }
}

impl Feed {
    /// The active, if it lives.
    pub(super) fn living_active(&self, now: Now) -> Option<LegIndex> {
        let active = self.pair.active();
        active.filter(|leg| self.pair.is_alive(*leg, now))
    }

    /// Counts a change that is settled.
    fn count(&mut self, change: &RoleChange) {
        let word = match change.outcome {
            RoleOutcome::Pending => return,
            RoleOutcome::Done { .. } => "done",
            RoleOutcome::Refused { .. } => "refused",
        };
        *self.role_counts.entry((change.cause, word)).or_default() += 1;
    }

    /// The backup of an active whose lease is over, where the feed's policy lets that be replaced, or why that backup must
    /// not take over: it is to live, not to hear the active, and to have lacked nothing when it last did.
    pub(super) fn silent_actives_heir(&self, now: Now) -> Option<Result<LegIndex, &'static str>> {
        let active = self.pair.active()?;
        let lapsed = self.pair.lease(active).lapsed_for_ms(now).is_some();
        if self.settings.takeover != TakeoverPolicy::OnSilence
            || !lapsed
            || !self.pair.is_joined(active)
        {
            return None;
        }
        let backup = active.other();
        let report = self.seat(backup).and_then(|seat| seat.last_report());
        let unfit = match report {
            _ if !self.pair.is_alive(backup, now) => Some("it is not there"),
            None => Some("it has not reported"),
            Some(it) if it.generation != self.pair.generation() || it.role != Role::Backup => {
                Some("it does not act as backup of this generation yet")
            }
            Some(it) if it.link != LinkState::Down => Some("it hears the active"),
            Some(it) if it.streams.is_empty() => Some("it reports no stream"),
            Some(it) if it.streams.iter().any(|it| !it.pair.lacks_nothing) => {
                Some("it lacks what the active had said, or something of the source")
            }
            Some(_) => None,
        };
        Some(unfit.map_or(Ok(backup), Err))
    }
}

const fn is_refusal(change: &&RoleChange) -> bool {
    matches!(change.outcome, RoleOutcome::Refused { .. })
}

/// The latest changes, newest first.
pub(super) fn latest(roles: &VecDeque<RoleChange>) -> Vec<RoleChange> {
    roles.iter().rev().take(ROLES_SHOWN).cloned().collect()
}

/// The span within which automatic takeovers are bounded.
const MINUTE_MS: u64 = 60_000;
/// How many of the latest changes an operator sees at a glance; all that are kept are asked for by themselves.
const ROLES_SHOWN: usize = 16;

#[cfg(test)]
#[path = "roles_tests.rs"]
pub(super) mod tests;
