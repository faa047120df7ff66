//! What must the poller change so that it stands as the grant says?
//!
//! Every grant is the whole truth. The [`Ledger`] remembers what the poller has; a [`Plan`] is the
//! difference, with machines made and sockets opened here, on the thread that may block.
//!
//! A constraint's own story is in `constraints`, a socket's in `sockets`.

mod constraints;
mod sockets;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use twinfeed_control as admin;
use twinfeed_control::{Grant, GrantedLeg, GrantedStream, Role};
use twinfeed_protocol::arbiter::{Arbiter, OrderingClass};
use twinfeed_protocol::{Cursor, Leg, Limits};
use twinfeed_wire::{Generation, Sid, StreamId};

use crate::error::Error;
use crate::fills::FillSocket;
use crate::queue::Plan;
use crate::receive::{LegSocket, SocketSettings};
use crate::snapshots::Servers;
use constraints::Constraint;
use sockets::Known;

pub(super) use constraints::limits;
pub use sockets::MAX_SOCKETS;

/// Most source streams of one subscription.
pub const MAX_SOURCES: usize = 256;

/// What the poller has, as far as plans told it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// What the poller's machine was made with, once it was.
    made: Option<Limits>,
    /// Longest datagram that the sockets take, and the longest that they could.
    longest: usize,
    slot: usize,
    /// Constraints that differ from what is in force, as the application was told.
    kept: Vec<Constraint>,
    sids: BTreeMap<Sid, OrderingClass>,
    /// Source streams whose `ordering` the grant says otherwise than it is.
    reordered: BTreeSet<Sid>,
    streams: BTreeMap<(Sid, usize), StreamId>,
    sockets: Vec<Known>,
    roles: Option<(Leg, Generation)>,
    fill_servers: [Option<SocketAddr>; 2],
    snapshot_servers: [Option<SocketAddr>; 2],
    keys: u32,
}

/// What a ledger needs in order to make a plan.
pub(super) struct Means<'a> {
    pub(super) limits: Limits,
    pub(super) sockets: &'a SocketSettings,
    /// The sockets bound before the subscription, one per leg, until they are handed over.
    pub(super) unicast: &'a mut [Option<LegSocket>; 2],
    /// Where an earlier run stood.
    pub(super) resume: &'a [Cursor],
    /// The socket for fills, likewise; none where nothing is asked for.
    pub(super) fills: &'a mut Option<FillSocket>,
}

impl Ledger {
    /// The difference to `grant`, and the ledger as it stands once the plan is in force.
    ///
    /// # Errors
    /// [`Error::Grant`] beyond a limit, [`Error::Network`] for a group that cannot be joined,
    /// [`Error::Limit`]. The poller's state is unchanged then.
    pub(super) fn plan(&self, grant: &Grant, means: Means<'_>) -> Result<(Self, Plan), Error> {
        let (mut ledger, mut plan) = (self.clone(), Plan::default());
        ledger.plan_streams(grant, &mut plan)?;
        let Means {
            limits,
            sockets,
            unicast,
            resume,
            fills,
        } = means;
        match ledger.made {
            Some(made) => ledger.plan_limits(&made, &limits, sockets, &mut plan),
            None => {
                plan.arbiter = Some(arbiter(limits, &plan)?);
                ledger.made = Some(limits);
                (ledger.longest, ledger.slot) = (sockets.max_datagram, sockets.slot());
            }
        }
        let new = |from: &&Cursor| plan.sources.iter().any(|(sid, _)| *sid == from.next.sid);
        plan.cursors = resume.iter().filter(new).copied().collect();
        let sockets = SocketSettings {
            max_datagram: ledger.longest,
            ..sockets.clone()
        };
        ledger.plan_sockets(grant, &sockets, unicast, &mut plan)?;
        plan.fills = fills.take();
        ledger.plan_fills(grant, &mut plan);
        let roles = roles(grant);
        if roles.is_some() && roles != ledger.roles {
            (plan.roles, ledger.roles) = (roles, roles);
        }
        Ok((ledger, plan))
    }

    /// An adapter that is away serves nothing; where it did, it may again.
    fn plan_fills(&mut self, grant: &Grant, plan: &mut Plan) {
        let mut servers = [None; 2];
        self.snapshot_servers = [None; 2];
        for leg in &grant.legs {
            servers[leg_of(leg.leg).index()] = leg.fills;
            self.snapshot_servers[leg_of(leg.leg).index()] = leg.snapshots;
        }
        if servers != self.fill_servers {
            self.fill_servers = servers;
            plan.fill_servers = Some(servers);
        }
    }

    /// Whom to ask for snapshots of what, by whoever is known by `fills`.
    pub(super) fn snapshot_servers(&self, fills: Option<SocketAddr>) -> Servers {
        let streams = self.streams.iter();
        Servers {
            addresses: self.snapshot_servers,
            streams: streams
                .map(|((sid, leg), stream)| (*sid, Leg::BOTH[*leg], *stream))
                .collect(),
            active: self.roles.map(|(leg, _)| leg),
            fills,
        }
    }

    /// Longest datagram that the poller takes, bytes.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// Whether the poller was given its machine.
    pub(super) const fn is_started(&self) -> bool {
        self.made.is_some()
    }

    fn plan_streams(&mut self, grant: &Grant, plan: &mut Plan) -> Result<(), Error> {
        self.reordered.clear();
        for (leg, stream) in streams(grant) {
            let (sid, id) = (Sid(stream.sid.0), StreamId(stream.stream_id.0));
            let class = class_of(grant.constraints.ordering(stream.sid));
            match self.sids.entry(sid) {
                Entry::Vacant(new) => {
                    new.insert(class);
                    plan.sources.push((sid, class));
                }
                Entry::Occupied(known) if *known.get() == class => {}
                // What was delivered in order cannot be gone on with out of order, nor the other way round.
                Entry::Occupied(_) => {
                    self.reordered.insert(sid);
                }
            }
            if self.streams.insert((sid, leg.index()), id) != Some(id) {
                plan.streams.push((sid, leg, id));
            }
        }
        if self.sids.len() > MAX_SOURCES {
            return Err(beyond(grant, "source streams", MAX_SOURCES));
        }
        Ok(())
    }
}

/// The machine with its sources, so that their memory is not allocated by the thread that polls.
fn arbiter(limits: Limits, plan: &Plan) -> Result<Arbiter, Error> {
    let mut arbiter = Arbiter::new(limits)?;
    for &(sid, class) in &plan.sources {
        arbiter.add_source(sid, class);
    }
    Ok(arbiter)
}

/// The leg of the data plane behind the control plane's index.
pub(super) fn leg_of(index: admin::LegIndex) -> Leg {
    Leg::BOTH[index.index()]
}

fn streams(grant: &Grant) -> impl Iterator<Item = (Leg, &GrantedStream)> {
    let of_leg = |leg: &GrantedLeg| leg_of(leg.leg);
    grant
        .legs
        .iter()
        .flat_map(move |leg| leg.streams.iter().map(move |stream| (of_leg(leg), stream)))
}

fn roles(grant: &Grant) -> Option<(Leg, Generation)> {
    let active = grant
        .legs
        .iter()
        .find(|leg| leg.role == Some(Role::Active))?;
    Some((leg_of(active.leg), Generation(grant.generation.0)))
}

/// The class of the data plane behind the control plane's word.
fn class_of(word: admin::OrderingClass) -> OrderingClass {
    match word {
        admin::OrderingClass::Ordered => OrderingClass::Ordered,
        admin::OrderingClass::Unordered => OrderingClass::Unordered,
    }
}

fn beyond(grant: &Grant, what: &str, limit: usize) -> Error {
    Error::Grant {
        feed: grant.feed.to_string(),
        cause: format!("it has more than {limit} {what}"),
        remedy: "select some of its source streams (`sids`), or let stream-admin's configuration lower it",
    }
}

#[cfg(test)]
mod tests;
