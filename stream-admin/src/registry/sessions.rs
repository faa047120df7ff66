//! Who subscribes to what, and until when?

use std::net::IpAddr;

use twinfeed_control::{
    Confirm, FeedName, Grant, LegIndex, Problem, ProblemCode, RenewSubscription, Subscribe,
    SubscriptionId, SubscriptionRenewed,
};

use super::Registry;
use super::check;
use super::feed::Feed;
use super::record::{Closure, Record, SubscriptionRecord, Write};
use super::refusals::conflict;
use super::subscription::Subscription;
use crate::lease::{Lease, Now};

/// On whose behalf a method acts; authenticated already.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The principal's name.
    pub principal: &'a str,
    /// Whether it may act on what belongs to others.
    pub operator: bool,
    /// Where it calls from; `None` when it may have datagrams sent anywhere.
    pub address: Option<IpAddr>,
}

impl Registry {
    /// Brokers both legs of a feed (RM-1).
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `not-entitled`, `bad-request`, `conflict` when the addresses belong to another
    /// principal's subscription, `limit-reached`.
    pub fn subscribe(
        &mut self,
        caller: &Caller<'_>,
        request: Subscribe,
        now: Now,
    ) -> Result<Grant, Problem> {
        let name = request.feed.clone();
        self.entitled(caller, &name)?;
        let feed = self.feed(&name)?;
        check::subscription(&request, &feed.settings, self.settings.limits.streams)?;
        own_destinations(caller, &request)?;
        let replaced = replaced_by(feed, caller, &request)?;
        self.within_limits(caller, replaced.len())?;
        self.server.last_subscription += 1;
        self.writes.push(Write::Put(Record::Server(self.server)));
        let id = subscription_id(self.server.last_subscription);
        for old in &replaced {
            self.close(&name, old, Closure::ReplacedBy(id.clone()));
        }
        let record = SubscriptionRecord {
            subscription: id.clone(),
            principal: caller.principal.to_owned(),
            request,
            last_receipt: 0,
            closed: None,
        };
        self.writes
            .push(Write::Put(Record::Subscription(Box::new(record.clone()))));
        let lease = Lease::granted(now, self.settings.subscription_lease_ms);
        let subscription = Subscription::new(record, lease);
        self.feed_mut(&name)?
            .subscriptions
            .insert(id.clone(), subscription);
        self.touch(&name);
        self.grant_of(caller, &id, now)
    }

    /// Both legs as they stand: for the watch.
    ///
    /// # Errors
    ///
    /// `unknown-id` when the caller has no such subscription.
    pub fn grant_of(
        &self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
        now: Now,
    ) -> Result<Grant, Problem> {
        let (feed, subscription) = self.owned(caller, id)?;
        Ok(feed.grant(subscription, now, &self.settings))
    }

    /// The feed of a subscription, whoever owns it.
    #[must_use]
    pub fn feed_of(&self, id: &SubscriptionId) -> Option<FeedName> {
        let holds = |feed: &&Feed| feed.subscriptions.contains_key(id);
        self.feeds
            .values()
            .find(holds)
            .map(|feed| feed.settings.name.clone())
    }

    /// Records which legs were heard (RM-3).
    ///
    /// # Errors
    ///
    /// `unknown-id`: gone, subscribe again. `not-entitled`: revoked.
    pub fn confirm(
        &mut self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
        request: Confirm,
        now: Now,
    ) -> Result<SubscriptionRenewed, Problem> {
        let (most, got) = (
            LegIndex::BOTH.len(),
            request.heard.len().max(request.silent.len()),
        );
        if got > most {
            return Err(check::bad(
                format!("{got} legs are listed, a pair has two"),
                "list each once",
            ));
        }
        self.keep(caller, id, now, |subscription| {
            subscription.confirm(request);
        })
    }

    /// Keeps a subscription and takes its report.
    ///
    /// # Errors
    ///
    /// As [`Registry::confirm`].
    pub fn renew_subscription(
        &mut self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
        request: RenewSubscription,
        now: Now,
    ) -> Result<SubscriptionRenewed, Problem> {
        check::subscriber_report(&request.status, self.settings.limits.streams)?;
        self.keep(caller, id, now, |subscription| {
            subscription.report(request.status, now);
        })
    }

    fn keep(
        &mut self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
        now: Now,
        take: impl FnOnce(&mut Subscription),
    ) -> Result<SubscriptionRenewed, Problem> {
        let lease_ms = self.settings.subscription_lease_ms;
        let (name, subscription) = self.owned_mut(caller, id)?;
        subscription.check_open()?;
        subscription.lease = Lease::granted(now, lease_ms);
        take(subscription);
        let feed = self.feed(&name)?;
        let (generation, revision) = (feed.pair.generation(), feed.revision);
        Ok(SubscriptionRenewed {
            lease_ms,
            generation,
            revision,
        })
    }

    /// Ends a subscription at its owner's wish.
    ///
    /// # Errors
    ///
    /// `unknown-id` when there is none.
    pub fn unsubscribe(&mut self, caller: &Caller<'_>, id: &SubscriptionId) -> Result<(), Problem> {
        let (name, subscription) = self.owned_mut(caller, id)?;
        subscription.check_open()?;
        self.close(&name, id, Closure::Unsubscribed);
        self.touch(&name);
        Ok(())
    }

    /// Closes the subscriptions whose lease and grace are over.
    pub(super) fn close_lapsed(&mut self, name: &FeedName, now: Now) {
        let grace = self.settings.subscription_grace_ms;
        let Some(feed) = self.feeds.get(name) else {
            return;
        };
        let over = |open: &&Subscription| {
            open.lease
                .lapsed_for_ms(now)
                .is_some_and(|lapsed| lapsed >= grace)
        };
        let ids: Vec<_> = feed
            .open_subscriptions()
            .filter(over)
            .map(|open| open.record.subscription.clone())
            .collect();
        for id in &ids {
            self.close(name, id, Closure::Lapsed);
        }
        if !ids.is_empty() {
            self.touch(name);
        }
    }

    pub(super) fn close(&mut self, name: &FeedName, id: &SubscriptionId, closure: Closure) {
        let limit = self.settings.limits.closed_subscriptions_per_feed;
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let Some(subscription) = feed.subscriptions.get_mut(id) else {
            return;
        };
        subscription.close(closure);
        let record = Box::new(subscription.record.clone());
        self.writes.push(Write::Put(Record::Subscription(record)));
        feed.closed.push_back(id.clone());
        while feed.closed.len() > limit {
            if let Some(oldest) = feed.closed.pop_front() {
                feed.subscriptions.remove(&oldest);
                self.writes.push(Write::DropSubscription(oldest));
            }
        }
    }

    fn within_limits(&self, caller: &Caller<'_>, replaced: usize) -> Result<(), Problem> {
        let limits = &self.settings.limits;
        let open = || self.feeds.values().flat_map(Feed::open_subscriptions);
        let own = || open().filter(|open| open.record.principal == caller.principal);
        for (count, limit, key) in [
            (open().count(), limits.subscriptions, "limits.subscriptions"),
            (
                own().count(),
                limits.subscriptions_per_principal,
                "limits.subscriptions_per_principal",
            ),
        ] {
            if count - replaced.min(count) >= limit {
                return Err(Problem {
                    code: ProblemCode::LimitReached,
                    message: format!("{count} subscriptions are open and {key} is {limit}"),
                    remedy: format!("end some, or raise {key} at stream-admin"),
                    retry_in_ms: None,
                });
            }
        }
        Ok(())
    }

    fn owned(
        &self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
    ) -> Result<(&Feed, &Subscription), Problem> {
        let found = self
            .feeds
            .values()
            .find_map(|feed| Some((feed, feed.subscriptions.get(id)?)));
        found
            .filter(|(_, found)| is_owner(caller, found))
            .ok_or_else(|| unknown(id))
    }

    pub(super) fn owned_mut(
        &mut self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
    ) -> Result<(FeedName, &mut Subscription), Problem> {
        let found = self.feeds.iter_mut().find_map(|(name, feed)| {
            let subscription = feed.subscriptions.get_mut(id)?;
            Some((name.clone(), subscription))
        });
        found
            .filter(|(_, found)| is_owner(caller, found))
            .ok_or_else(|| unknown(id))
    }
}

fn is_owner(caller: &Caller<'_>, subscription: &Subscription) -> bool {
    caller.operator || subscription.record.principal == caller.principal
}

/// Another's subscription and none at all are told apart by nobody.
fn unknown(id: &SubscriptionId) -> Problem {
    Problem {
        code: ProblemCode::UnknownId,
        message: format!("subscription {id} is not known"),
        remedy: "subscribe again".to_owned(),
        retry_in_ms: None,
    }
}

fn own_destinations(caller: &Caller<'_>, request: &Subscribe) -> Result<(), Problem> {
    let Some(address) = caller.address else {
        return Ok(());
    };
    let destinations = request.destinations.iter().flatten();
    let foreign = |to: &&std::net::SocketAddr| !check::destination_is_own(to.ip(), address);
    match destinations.chain(&request.fills).find(foreign) {
        None => Ok(()),
        Some(to) => Err(Problem {
            code: ProblemCode::NotEntitled,
            message: format!("{} may not have datagrams sent to {to}", caller.principal),
            remedy:
                "receive on the address you call from, or be configured with destinations = \"any\""
                    .to_owned(),
            retry_in_ms: None,
        }),
    }
}

/// Open subscriptions of the same principal whose addresses the request takes over.
fn replaced_by(
    feed: &Feed,
    caller: &Caller<'_>,
    request: &Subscribe,
) -> Result<Vec<SubscriptionId>, Problem> {
    let Some(wanted) = request.destinations else {
        return Ok(Vec::new());
    };
    let mut replaced = Vec::new();
    for open in feed.open_subscriptions() {
        let record = &open.record;
        let used = record.request.destinations.iter().flatten();
        let Some(taken) = used.into_iter().find(|used| wanted.contains(*used)) else {
            continue;
        };
        if record.principal != caller.principal {
            return Err(conflict(
                format!("{taken} receives for another principal's subscription"),
                "receive on another port",
            ));
        }
        replaced.push(record.subscription.clone());
    }
    Ok(replaced)
}

fn subscription_id(number: u64) -> SubscriptionId {
    format!("s{number:08}")
        .parse()
        .expect("a letter and a number are a name")
}
