//! What is known of one subscription, and may its owner still use it?

use twinfeed_control::{
    Confirm, LegIndex, Problem, ProblemCode, SubscriptionState, SubscriptionStatus,
    SubscriptionView,
};

use super::record::{Closure, SubscriptionRecord};
use crate::lease::{Lease, Now};

/// A durable record, and what its owner said since this server started.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) record: SubscriptionRecord,
    pub(super) lease: Lease,
    heard: Vec<LegIndex>,
    silent: Vec<LegIndex>,
    report: Option<(Now, SubscriptionStatus)>,
}

impl Subscription {
    /// New, or loaded: its owner has one lease to speak up.
    pub(super) const fn new(record: SubscriptionRecord, lease: Lease) -> Self {
        Self {
            record,
            lease,
            heard: Vec::new(),
            silent: Vec::new(),
            report: None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.record.closed.is_none()
    }

    /// Whether it still gives access.
    ///
    /// A revoked one says so; one that ended otherwise is simply gone.
    pub(super) fn check_open(&self) -> Result<(), Problem> {
        let Some(closure) = &self.record.closed else {
            return Ok(());
        };
        let (code, remedy) = match closure {
            Closure::Revoked(_) => (ProblemCode::NotEntitled, "ask an operator"),
            Closure::Unsubscribed | Closure::Lapsed | Closure::ReplacedBy(_) => {
                (ProblemCode::UnknownId, "subscribe again")
            }
        };
        let (id, reason) = (&self.record.subscription, closure.reason());
        let message = format!("subscription {id} is closed: {reason}");
        Err(Problem {
            code,
            message,
            remedy: remedy.to_owned(),
            retry_in_ms: None,
        })
    }

    pub(super) fn confirm(&mut self, confirm: Confirm) {
        self.heard = sorted(confirm.heard);
        self.silent = sorted(confirm.silent);
        self.silent.retain(|leg| !self.heard.contains(leg));
    }

    pub(super) fn report(&mut self, status: SubscriptionStatus, now: Now) {
        self.report = Some((now, status));
    }

    pub(super) fn close(&mut self, closure: Closure) {
        self.lease = Lease::Void;
        self.record.closed = Some(closure);
    }

    pub(super) fn state(&self) -> SubscriptionState {
        match &self.record.closed {
            None => SubscriptionState::Open,
            Some(closure) => SubscriptionState::Closed {
                reason: closure.reason(),
            },
        }
    }

    pub(super) fn view(&self, now: Now) -> SubscriptionView {
        let SubscriptionRecord {
            subscription,
            principal,
            request,
            ..
        } = &self.record;
        SubscriptionView {
            subscription: subscription.clone(),
            principal: principal.clone(),
            application: request.application.clone(),
            sids: request.sids.clone(),
            policy: request.policy,
            access: self.state(),
            alive: self.lease.is_valid(now),
            heard: self.heard.clone(),
            silent: self.silent.clone(),
            report_age_ms: self.report.as_ref().map(|(at, _)| now.since(*at)),
            report: self.report.as_ref().map(|(_, status)| status.clone()),
        }
    }
}

fn sorted(mut legs: Vec<LegIndex>) -> Vec<LegIndex> {
    legs.sort_unstable();
    legs.dedup();
    legs
}
