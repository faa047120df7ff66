//! What does stream-admin believe, and what may change it?
//!
//! A pure machine: requests and time go in, answers come out. Nothing here opens a socket, reads a
//! clock or writes a file. The driver
//!
//! 1. calls one method with the moment at hand,
//! 2. writes what [`Registry::take_writes`] returns and waits until the disk has it,
//! 3. only then sends the answer, and tells the watchers of [`Registry::take_changed`].
//!
//! When a write fails, the driver puts the [`Registry::feed_backup`] taken before the call back.

mod access;
pub mod check;
mod contents;
mod daily;
mod feed;
mod hand_back;
mod hearing;
mod orders;
pub mod pair;
mod protection;
mod receipts;
pub mod record;
mod refusals;
mod roles;
mod sessions;
pub mod settings;
mod source_lost;
mod sources;
#[cfg(test)]
mod stage;
mod subscription;
mod takeover;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use twinfeed_control::{
    AdapterId, Assignment, FeedName, FeedStatus, Generation, Incarnation, LegIndex, LegState,
    OrderRecord, PairState, Problem, Register, Renew, Renewed, Role, RoleCause, RoleChange,
    StreamId, Trigger,
};

use crate::grant::Entitlements;
use crate::lease::{Lease, Now};
use contents::ContentChange;
use feed::{Feed, Occupant, leg_of, preferred_role};
use pair::{Claim, Outcome};
use record::{Record, ServerRecord, Write};
use refusals::{claim_refused, contradicted, not_seated, unknown_feed, unknown_seat};
use roles::Asked;
use settings::{FeedSettings, Settings};
use subscription::Subscription;

pub use daily::Daily;
pub use hand_back::HandBack;
pub use sessions::Caller;

/// All feeds, and who may see them.
#[derive(Clone, Debug)]
pub struct Registry {
    settings: Settings,
    server: ServerRecord,
    /// Lower half of every revision.
    changes: u32,
    feeds: BTreeMap<FeedName, Feed>,
    /// As configured, for people.
    order: Vec<FeedName>,
    entitlements: Entitlements,
    writes: Vec<Write>,
    changed: BTreeSet<FeedName>,
    events: Vec<LegEvent>,
    role_events: Vec<RoleChange>,
    order_events: Vec<OrderRecord>,
    content_events: Vec<ContentChange>,
    /// The wall clock at the request at hand, for histories and for hand-backs at a time of the day.
    unix_us: u64,
}

/// A leg's state changed: one line in the log.
#[derive(Clone, Debug)]
pub struct LegEvent {
    /// Of which feed.
    pub feed: FeedName,
    /// Which leg.
    pub leg: LegIndex,
    /// The pair's generation.
    pub generation: Generation,
    /// What it is now.
    pub state: LegState,
    /// Why.
    pub reason: String,
}

/// A feed as it was; see [`Registry::feed_backup`].
#[derive(Debug)]
pub struct FeedBackup(FeedName, Box<Feed>, Entitlements);

/// What a feed counted since this server started.
#[derive(Clone, Debug)]
pub struct FeedCounts {
    /// Which feed.
    pub feed: FeedName,
    /// New generations.
    pub takeovers: u64,
    /// Settled changes of roles by cause and outcome.
    pub role_changes: BTreeMap<(RoleCause, &'static str), u64>,
    /// Messages about silent sources by kind and outcome.
    pub source_reports: BTreeMap<(&'static str, &'static str), u64>,
    /// Receipts by trigger.
    pub switches: BTreeMap<Trigger, u64>,
}

impl Registry {
    /// The configured feeds, completed by what was saved. Saved feeds that are no longer configured are
    /// kept on the disk and not served.
    #[must_use]
    pub fn new(
        settings: Settings,
        feeds: Vec<FeedSettings>,
        entitlements: Entitlements,
        saved: Vec<Record>,
        now: Now,
    ) -> Self {
        let order = feeds.iter().map(|feed| feed.name.clone()).collect();
        let named = feeds
            .into_iter()
            .map(|feed| (feed.name.clone(), Feed::new(feed)));
        let mut registry = Self {
            settings,
            server: ServerRecord::default(),
            changes: 0,
            feeds: named.collect(),
            order,
            entitlements,
            writes: Vec::new(),
            changed: BTreeSet::new(),
            events: Vec::new(),
            role_events: Vec::new(),
            order_events: Vec::new(),
            content_events: Vec::new(),
            unix_us: 0,
        };
        for record in saved {
            registry.restore(record, now);
        }
        registry.begin_run(now);
        registry
    }

    fn restore(&mut self, record: Record, now: Now) {
        let lease_ms = self.settings.adapter_lease_ms;
        match record {
            Record::Server(server) => self.server = server,
            Record::Override(word) => drop(self.entitlements.set(word)),
            Record::Order(order) => {
                if let Some(feed) = self.feeds.get_mut(&order.feed) {
                    let place = feed
                        .orders
                        .partition_point(|known| known.ticket < order.ticket);
                    feed.orders.insert(place, *order);
                }
            }
            Record::Role(change) => {
                if let Some(feed) = self.feeds.get_mut(&change.feed) {
                    let place = feed
                        .roles
                        .partition_point(|known| known.number < change.number);
                    feed.roles.insert(place, *change);
                }
            }
            Record::Feed(record) => {
                if let Some(feed) = self.feeds.get_mut(&record.feed) {
                    feed.restore(*record, now, lease_ms);
                }
            }
            Record::Receipt(record) => {
                if let Some(feed) = self.feeds.get_mut(&record.feed) {
                    let place = feed
                        .receipts
                        .partition_point(|known| known.place < record.place);
                    feed.receipts.insert(place, *record);
                }
            }
            Record::Subscription(record) => {
                let Some(feed) = self.feeds.get_mut(&record.request.feed) else {
                    return;
                };
                let id = record.subscription.clone();
                let lease = match record.closed {
                    None => Lease::granted(now, self.settings.subscription_lease_ms),
                    Some(_) => {
                        feed.closed.push_back(id.clone());
                        Lease::Void
                    }
                };
                feed.subscriptions
                    .insert(id, Subscription::new(*record, lease));
            }
        }
    }

    fn begin_run(&mut self, now: Now) {
        self.server.runs = self.server.runs.saturating_add(1);
        self.writes.push(Write::Put(Record::Server(self.server)));
        let names: Vec<_> = self.feeds.keys().cloned().collect();
        for name in names {
            self.forget_handovers(&name);
            self.touch(&name);
            self.refresh_shown(&name, now);
        }
    }

    /// The wall clock, in microseconds since the Unix epoch, for the histories that requests leave and for hand-backs at a
    /// time of the day; leases do not look at it.
    pub const fn note_time(&mut self, unix_us: u64) {
        self.unix_us = unix_us;
    }

    /// Gives a seat to an adapter, by the table in [`pair`].
    ///
    /// # Errors
    ///
    /// `unknown-feed`, `bad-request` with the field at fault, `conflict` when the incarnation was
    /// replaced, `implausible` when it remembers an impossible generation,
    /// `config-mismatch` while the living adapter of the other seat converts differently, `undecided`
    /// while it is not known whether that one still lives.
    pub fn register(
        &mut self,
        caller: &Caller<'_>,
        request: Register,
        now: Now,
    ) -> Result<(Assignment, Outcome), Problem> {
        let name = request.feed.clone();
        self.entitled(caller, &name)?;
        let (limit, lease_ms) = (self.settings.limits.streams, self.settings.adapter_lease_ms);
        let feed = self.feed_mut(&name)?;
        check::registration(&request, &feed.settings, limit)?;
        let (leg, incarnation) = (leg_of(request.preferred_role), request.incarnation);
        let held = request.generation_held.unwrap_or_default();
        let digest = request.config_digest;
        // Who sits keeps its seat; who was replaced hears that, and nothing of digests.
        let same = |who: &Occupant| who.registration.config_digest == digest;
        let settled = feed.pair.holds(leg, incarnation, now) && feed.seat(leg).is_some_and(same);
        if !settled
            && !feed.pair.is_retired(leg, incarnation)
            && let Some(peer) = feed.contradicted_by(leg, digest, now)
        {
            return Err(contradicted(feed, leg, digest, peer, now));
        }
        let before = feed.pair.generation();
        let outcome = feed
            .pair
            .claim(
                Claim {
                    leg,
                    incarnation,
                    held,
                },
                now,
                lease_ms,
            )
            .map_err(|refused| claim_refused(&request, &refused))?;
        let raised = outcome == Outcome::Raised;
        let id = feed.adapter_id(leg);
        let active = feed.pair.active();
        let same = feed.seats[leg.index()].as_mut().is_some_and(|who| {
            who.presumed = false;
            who.registration == request
        });
        let changed = outcome != Outcome::Kept || !same;
        if changed {
            let before = match outcome {
                Outcome::Kept => feed.seats[leg.index()].take(),
                Outcome::Joined | Outcome::Raised => None,
            };
            let mut occupant = Occupant::of(request);
            if let Some(before) = before {
                (occupant.report, occupant.hearing) = (before.report, before.hearing);
            }
            feed.seats[leg.index()] = Some(occupant);
            self.assign_streams(&name, leg);
        }
        if raised {
            let asked = Asked::unordered(id.as_str(), RoleCause::Registration);
            self.generation_began(&name, before, active, asked);
        } else if changed {
            self.save_feed(&name);
            self.touch(&name);
        }
        self.refresh_shown(&name, now);
        let feed = self.feed(&name)?;
        Ok((
            feed.assignment(leg, incarnation, now, &self.settings),
            outcome,
        ))
    }

    /// Keeps a seat and takes the adapter's report.
    ///
    /// # Errors
    ///
    /// `unknown-id`: register again. `conflict`: replaced, stop. `config-mismatch`, `undecided`: as
    /// [`Registry::register`], when the lease had lapsed.
    pub fn renew(
        &mut self,
        caller: &Caller<'_>,
        id: &AdapterId,
        request: Renew,
        now: Now,
    ) -> Result<Renewed, Problem> {
        let (limit, lease_ms) = (self.settings.limits.streams, self.settings.adapter_lease_ms);
        let (name, leg) = self.seat_named(caller, id)?;
        check::adapter_report(&request.status, limit)?;
        let feed = self.feed_mut(&name)?;
        // While its lease had lapsed, the other seat was free for another configuration.
        if !feed.pair.is_alive(leg, now)
            && feed.pair.incarnation(leg) == Some(request.incarnation)
            && let Some(own) = feed.seat(leg)
            && let digest = own.registration.config_digest
            && let Some(peer) = feed.contradicted_by(leg, digest, now)
        {
            return Err(contradicted(feed, leg, digest, peer, now));
        }
        if !feed.pair.renew(leg, request.incarnation, now, lease_ms) {
            return Err(not_seated(feed, leg, request.incarnation));
        }
        let generation = feed.pair.generation();
        let role = feed.pair.role(leg).unwrap_or(preferred_role(leg));
        let (status, streams) = (&request.status, &request.status.streams);
        let acts =
            (status.generation, status.role, role) == (generation, Role::Active, Role::Active);
        // A report may be made between the adapter's grant and what its streams make of it.
        let opened = acts
            && !streams.is_empty()
            && streams.iter().all(|it| it.pair.state == PairState::Active);
        let seamless = opened.then(|| streams.iter().all(|stream| stream.pair.seamless));
        let mut contents = Vec::new();
        if let Some(occupant) = &mut feed.seats[leg.index()] {
            occupant.presumed = false;
            occupant.unverified &= request.status.generation != generation;
            contents = contents::changes(id, occupant.last_report(), &request.status).collect();
            occupant.note(request.status, now, lease_ms);
        }
        self.content_events.extend(contents);
        if let Some(seamless) = seamless {
            self.note_seamless(&name, seamless);
        }
        self.refresh_shown(&name, now);
        let revision = self.feed(&name)?.revision;
        Ok(Renewed {
            lease_ms,
            generation,
            role,
            revision,
        })
    }

    /// Takes a seat's lease back at a graceful end.
    ///
    /// # Errors
    ///
    /// As [`Registry::renew`].
    pub fn leave(
        &mut self,
        caller: &Caller<'_>,
        id: &AdapterId,
        incarnation: Incarnation,
        now: Now,
    ) -> Result<(), Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        let feed = self.feed_mut(&name)?;
        if !feed.pair.leave(leg, incarnation) {
            return Err(not_seated(feed, leg, incarnation));
        }
        self.refresh_shown(&name, now);
        Ok(())
    }

    /// What an adapter is to be: for its watch.
    ///
    /// # Errors
    ///
    /// `unknown-id` when this incarnation never registered here.
    pub fn assignment(
        &self,
        caller: &Caller<'_>,
        id: &AdapterId,
        incarnation: Incarnation,
        now: Now,
    ) -> Result<Assignment, Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        let feed = self.feed(&name)?;
        let known = feed.pair.incarnation(leg) == Some(incarnation);
        if !known && !feed.pair.is_retired(leg, incarnation) {
            return Err(not_seated(feed, leg, incarnation));
        }
        Ok(feed.assignment(leg, incarnation, now, &self.settings))
    }

    /// The feed of a seat, whoever sits there.
    ///
    /// # Errors
    ///
    /// `unknown-id`.
    pub fn feed_of_adapter(&self, id: &AdapterId) -> Result<FeedName, Problem> {
        let mut feeds = self.feeds.values();
        let feed = feeds.find(|feed| feed.leg_named(id).is_some());
        feed.map(|feed| feed.settings.name.clone())
            .ok_or_else(|| unknown_seat(id))
    }

    /// Lets time pass: leases lapse, subscriptions whose grace is over are closed, hand-overs that took too long are
    /// given up, hand-backs wait.
    pub fn tick(&mut self, now: Now) {
        let names: Vec<_> = self.feeds.keys().cloned().collect();
        for name in names {
            self.refresh_shown(&name, now);
            self.close_lapsed(&name, now);
            self.give_up_late_handover(&name, now);
            self.note_hand_back(&name, now);
        }
    }

    /// Everything an operator sees, feed by feed.
    #[must_use]
    pub fn status(&self, now: Now) -> Vec<FeedStatus> {
        let feeds = self.order.iter().filter_map(|name| self.feeds.get(name));
        feeds.map(|feed| feed.status(now)).collect()
    }

    /// What was counted since this server started.
    #[must_use]
    pub fn counts(&self) -> Vec<FeedCounts> {
        let feeds = self.order.iter().filter_map(|name| self.feeds.get(name));
        let counts = feeds.map(|feed| FeedCounts {
            feed: feed.settings.name.clone(),
            takeovers: feed.takeovers,
            role_changes: feed.role_counts.clone(),
            source_reports: feed.source_counts.clone(),
            switches: feed.switches.clone(),
        });
        counts.collect()
    }

    /// What must reach the disk before the answer leaves, in order.
    #[must_use]
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// Feeds whose documents may have changed.
    #[must_use]
    pub fn take_changed(&mut self) -> BTreeSet<FeedName> {
        std::mem::take(&mut self.changed)
    }

    /// Legs whose state changed, in order.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<LegEvent> {
        std::mem::take(&mut self.events)
    }

    /// The feed as it is, to put back when a write fails.
    #[must_use]
    pub fn feed_backup(&self, name: &FeedName) -> Option<FeedBackup> {
        let feed = self.feeds.get(name)?;
        Some(FeedBackup(
            name.clone(),
            Box::new(feed.clone()),
            self.entitlements.clone(),
        ))
    }

    /// Forgets what could not be written.
    pub fn put_back(&mut self, FeedBackup(name, feed, entitlements): FeedBackup) {
        self.changed.insert(name.clone());
        self.role_events.retain(|change| change.feed != name);
        self.order_events.retain(|order| order.feed != name);
        self.entitlements = entitlements;
        self.feeds.insert(name, *feed);
    }

    fn feed(&self, name: &FeedName) -> Result<&Feed, Problem> {
        self.feeds.get(name).ok_or_else(|| unknown_feed(name))
    }

    fn feed_mut(&mut self, name: &FeedName) -> Result<&mut Feed, Problem> {
        self.feeds.get_mut(name).ok_or_else(|| unknown_feed(name))
    }

    /// The seat that an id names, if the caller may know that it exists.
    fn seat_named(
        &self,
        caller: &Caller<'_>,
        id: &AdapterId,
    ) -> Result<(FeedName, LegIndex), Problem> {
        let named = |feed: &Feed| Some((feed.settings.name.clone(), feed.leg_named(id)?));
        let (name, leg) = self
            .feeds
            .values()
            .find_map(named)
            .ok_or_else(|| unknown_seat(id))?;
        self.entitled(caller, &name)?;
        Ok((name, leg))
    }

    fn assign_streams(&mut self, name: &FeedName, leg: LegIndex) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let offered = feed.seats[leg.index()]
            .iter()
            .flat_map(|who| &who.registration.streams);
        let before = self.server.last_stream_id;
        for stream in offered {
            feed.streams.entry((leg, stream.sid)).or_insert_with(|| {
                self.server.last_stream_id += 1;
                StreamId(self.server.last_stream_id)
            });
        }
        if self.server.last_stream_id != before {
            self.writes.push(Write::Put(Record::Server(self.server)));
        }
    }

    fn save_feed(&mut self, name: &FeedName) {
        if let Some(feed) = self.feeds.get(name) {
            self.writes
                .push(Write::Put(Record::Feed(Box::new(feed.record()))));
        }
    }

    /// Gives the feed its next revision.
    fn touch(&mut self, name: &FeedName) {
        self.changes = self.changes.saturating_add(1);
        let revision = (u64::from(self.server.runs) << 32) | u64::from(self.changes);
        if let Some(feed) = self.feeds.get_mut(name) {
            feed.revision = revision;
            self.changed.insert(name.clone());
        }
    }

    /// Notices legs whose word changed, by a report or by the passing of time.
    fn refresh_shown(&mut self, name: &FeedName, now: Now) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let words = LegIndex::BOTH.map(|leg| {
            let word = feed.leg_word(leg, now);
            (word.state, word.reason)
        });
        if feed.shown == words {
            return;
        }
        for (leg, (was, is)) in LegIndex::BOTH
            .into_iter()
            .zip(feed.shown.iter().zip(&words))
        {
            if was != is {
                let (state, reason) = is.clone();
                let generation = feed.pair.generation();
                self.events.push(LegEvent {
                    feed: name.clone(),
                    leg,
                    generation,
                    state,
                    reason,
                });
            }
        }
        feed.shown = words;
        self.touch(name);
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
