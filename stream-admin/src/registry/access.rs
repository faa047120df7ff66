//! Who may see what, who loses it, and who would notice?

use twinfeed_control::{
    AdapterId, Affected, AffectedSubscription, EntitlementAnswer, EntitlementChange, FeedName,
    LegIndex, Problem, ProblemCode,
};

use super::feed::Feed;
use super::record::{Closure, Record, SubscriptionRecord, Write};
use super::sessions::Caller;
use super::{Registry, check};
use crate::grant::Override;

impl Registry {
    /// Takes a principal's access to a feed away, with all its subscriptions to it (RM-7), or gives it.
    /// A grant resurrects nothing.
    ///
    /// # Errors
    ///
    /// `unknown-feed`; `bad-request` for a principal that the configuration does not know.
    pub fn entitle(
        &mut self,
        change: EntitlementChange,
        entitled: bool,
    ) -> Result<EntitlementAnswer, Problem> {
        let EntitlementChange {
            principal,
            feed: name,
            reason,
        } = change;
        check::text("reason", &reason)?;
        self.feed(&name)?;
        if !self.entitlements.knows(&principal) {
            let message = format!("principal {principal:?} is not configured");
            return Err(check::bad(message, "name one of stream-admin's principals"));
        }
        let word = Override {
            feed: name.clone(),
            principal,
            entitled,
            reason,
        };
        let mut ended = Vec::new();
        if !entitled {
            let feed = self.feed(&name)?;
            let theirs = feed.open_subscriptions().map(|open| &open.record);
            let theirs = theirs.filter(|record| record.principal == word.principal);
            ended = theirs.map(|record| record.subscription.clone()).collect();
        }
        for id in &ended {
            self.close(&name, id, Closure::Revoked(word.reason.clone()));
        }
        self.writes.push(Write::Put(Record::Override(word.clone())));
        let changed = self.entitlements.set(word) || !ended.is_empty();
        if changed {
            self.touch(&name);
        }
        let revision = self.feed(&name)?.revision;
        Ok(EntitlementAnswer {
            changed,
            closed_subscriptions: ended.len() as u64,
            revision,
        })
    }

    /// Who receives an adapter's leg (RM-6).
    ///
    /// # Errors
    ///
    /// `unknown-id`.
    pub fn affected_by_adapter(
        &self,
        caller: &Caller<'_>,
        id: &AdapterId,
    ) -> Result<Affected, Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        Ok(affected(self.feed(&name)?, &[leg], |_| true))
    }

    /// Who receives by an entitlement (RM-6).
    ///
    /// # Errors
    ///
    /// `unknown-feed`.
    pub fn affected_by_entitlement(
        &self,
        principal: &str,
        feed: &FeedName,
    ) -> Result<Affected, Problem> {
        Ok(affected(self.feed(feed)?, &LegIndex::BOTH, |record| {
            record.principal == principal
        }))
    }

    /// Whether the caller may see a feed.
    pub(super) fn entitled(&self, caller: &Caller<'_>, feed: &FeedName) -> Result<(), Problem> {
        self.feed(feed)?;
        if caller.operator {
            return Ok(());
        }
        self.entitlements
            .check(caller.principal, feed)
            .map_err(|reason| Problem {
                code: ProblemCode::NotEntitled,
                message: format!("{} may not use feed {feed}: {reason}", caller.principal),
                remedy: "ask an operator to grant it".to_owned(),
                retry_in_ms: None,
            })
    }
}

fn affected(
    feed: &Feed,
    legs: &[LegIndex],
    keep: impl Fn(&SubscriptionRecord) -> bool,
) -> Affected {
    let records = feed.open_subscriptions().map(|open| &open.record);
    let subscriptions = records
        .filter(|record| keep(record))
        .map(|record| AffectedSubscription {
            subscription: record.subscription.clone(),
            principal: record.principal.clone(),
            application: record.request.application.clone(),
            feed: feed.settings.name.clone(),
            legs: legs.to_vec(),
        });
    Affected {
        subscriptions: subscriptions.collect(),
    }
}
