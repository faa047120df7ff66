//! What must the poller change so that it stands as the grant says?
//!
//! Every grant is the whole truth. The [`Ledger`] remembers what the poller has; a [`Plan`] is the
//! difference, with machines made and sockets opened here, on the thread that may block.
//!
//! Of the constraints, the longest datagram may rise as far as the sockets' slots go (a lower one changes
//! nothing: adapters send as they were configured until they are restarted), and the heartbeat interval is
//! what each leg's heartbeats say. Whatever else the arbiter was made with it keeps; the application is told
//! by name what was changed in vain.
//!
//! A leg that is pending keeps what it had: its adapter comes back with the same streams, and datagrams
//! of an adapter that stream-admin has lost sight of are as good as any.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use twinfeed_control as admin;
use twinfeed_control::{Constraints, Grant, GrantedLeg, GrantedStream, Role, Transport};
use twinfeed_protocol::arbiter::{Arbiter, OrderingClass};
use twinfeed_protocol::{Leg, Limits};
use twinfeed_wire::{Generation, Sid, StreamId};

use crate::builder::SLOT;
use crate::error::Error;
use crate::queue::Plan;
use crate::receive::{LegSocket, Senders, SocketKey, SocketSettings};
use crate::tuning::Tuning;

/// Most source streams of one subscription.
pub const MAX_SOURCES: usize = 256;
/// Most sockets of one subscription; as many as one wait can name.
pub const MAX_SOCKETS: usize = twinfeed_net::wait::MAX_WAIT_SOCKETS;

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
    keys: u32,
}

/// A socket that the poller has.
#[derive(Clone, Debug)]
struct Known {
    key: SocketKey,
    leg: Leg,
    path: Path,
    senders: Senders,
}

/// A constraint that a grant changed in vain.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Constraint {
    name: &'static str,
    /// What is granted, and what is in force.
    is: String,
}

/// How datagrams reach a socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Path {
    Unicast,
    Group {
        group: SocketAddr,
        source: Option<IpAddr>,
    },
}

/// What a ledger needs in order to make a plan.
pub(super) struct Means<'a> {
    pub(super) limits: Limits,
    pub(super) sockets: &'a SocketSettings,
    /// The sockets bound before the subscription, one per leg, until they are handed over.
    pub(super) unicast: &'a mut [Option<LegSocket>; 2],
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
        } = means;
        match ledger.made {
            Some(made) => ledger.plan_limits(&made, &limits, sockets, &mut plan),
            None => {
                plan.arbiter = Some(arbiter(limits, &plan)?);
                ledger.made = Some(limits);
                (ledger.longest, ledger.slot) = (sockets.max_datagram, sockets.slot());
            }
        }
        let sockets = SocketSettings {
            max_datagram: ledger.longest,
            ..sockets.clone()
        };
        ledger.plan_sockets(grant, &sockets, unicast, &mut plan)?;
        let roles = roles(grant);
        if roles.is_some() && roles != ledger.roles {
            (plan.roles, ledger.roles) = (roles, roles);
        }
        Ok((ledger, plan))
    }

    /// Whether the poller was given its machine.
    pub(super) const fn is_started(&self) -> bool {
        self.made.is_some()
    }

    /// What stands otherwise than the grant says, for people.
    pub(super) fn kept(&self) -> Option<String> {
        let kept = self
            .kept
            .iter()
            .map(|it| format!("`{}`: {}", it.name, it.is));
        let kept: Vec<_> = kept.collect();
        (!kept.is_empty()).then(|| {
            let kept = kept.join(", ");
            format!(
                "stream-admin changed the feed's constraints ({kept}); open the subscription again"
            )
        })
    }

    fn plan_limits(
        &mut self,
        made: &Limits,
        limits: &Limits,
        sockets: &SocketSettings,
        plan: &mut Plan,
    ) {
        let wanted = sockets.max_datagram;
        if wanted > self.longest && wanted <= self.slot {
            (self.longest, plan.longest) = (wanted, Some(wanted));
        }
        let changed = [
            (
                "max_datagram",
                wanted > self.slot,
                format!("{wanted}, {} in force", self.longest),
            ),
            differs("lag_messages", &made.lag_messages, &limits.lag_messages),
            differs("lag_us", &made.lag_time, &limits.lag_time),
            differs("reorder_hold_us", &made.reorder_hold, &limits.reorder_hold),
            differs("reorder_hold_bytes", &made.held_bytes, &limits.held_bytes),
            differs(
                "missed_heartbeats",
                &made.missed_heartbeats,
                &limits.missed_heartbeats,
            ),
        ];
        let kept = changed.into_iter().filter(|(_, changed, _)| *changed);
        let mut kept: Vec<_> = kept.map(|(name, _, is)| Constraint { name, is }).collect();
        kept.extend(self.reordered.iter().map(|sid| Constraint {
            name: "ordering",
            is: format!("of source stream {sid}, as it was"),
        }));
        let new = kept.iter().filter(|it| !self.kept.contains(it));
        plan.kept.extend(new.map(|it| it.name));
        self.kept = kept;
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

    fn plan_sockets(
        &mut self,
        grant: &Grant,
        settings: &SocketSettings,
        bound: &mut [Option<LegSocket>; 2],
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let wanted = wanted(grant);
        let unicast = wanted.keys().any(|(_, path)| *path == Path::Unicast);
        if unicast && settings.max_datagram > SLOT {
            return Err(beyond(grant, "bytes in a datagram", SLOT));
        }
        if wanted.len() > MAX_SOCKETS {
            return Err(beyond(grant, "sockets", MAX_SOCKETS));
        }
        // Groups first: joining may fail, and a socket that was given away does not come back.
        let (unicast, groups): (Vec<_>, Vec<_>) = wanted
            .iter()
            .partition(|((_, path), _)| *path == Path::Unicast);
        for ((leg, path), senders) in groups.into_iter().chain(unicast) {
            let (leg, path) = (Leg::BOTH[*leg], *path);
            let known = self
                .sockets
                .iter_mut()
                .find(|known| known.leg == leg && known.path == path);
            match known {
                Some(known) if known.senders == *senders => {}
                Some(known) => {
                    known.senders = senders.clone();
                    plan.senders.push((known.key, senders.clone()));
                }
                None => {
                    let mut socket = self.open(leg, path, settings, bound)?;
                    socket.set_senders(senders.clone());
                    self.sockets.push(Known {
                        key: socket.key(),
                        leg,
                        path,
                        senders: senders.clone(),
                    });
                    plan.open.push(socket);
                }
            }
        }
        let speaks = |leg: Leg| wanted.keys().any(|(index, _)| *index == leg.index());
        self.sockets.retain(|known| {
            let keep = known.path == Path::Unicast
                || !speaks(known.leg)
                || wanted.contains_key(&(known.leg.index(), known.path));
            if !keep {
                plan.shut.push(known.key);
            }
            keep
        });
        Ok(())
    }

    fn open(
        &mut self,
        leg: Leg,
        path: Path,
        settings: &SocketSettings,
        unicast: &mut [Option<LegSocket>; 2],
    ) -> Result<LegSocket, Error> {
        match path {
            Path::Unicast => {
                let mut socket = unicast[leg.index()].take().ok_or_else(|| Error::Setting {
                    name: "interface",
                    cause: format!("the socket of leg {leg} was given away before"),
                    remedy: "open the subscription again",
                })?;
                socket.set_longest(settings.max_datagram);
                Ok(socket)
            }
            Path::Group { group, source } => {
                let key = SocketKey(FIRST_GROUP_KEY + self.keys);
                self.keys += 1;
                LegSocket::multicast(key, leg, group, source, settings)
            }
        }
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(
    name: &'static str,
    made: &T,
    granted: &T,
) -> (&'static str, bool, String) {
    (
        name,
        made != granted,
        format!("{granted:?}, {made:?} in force"),
    )
}

/// The machine with its sources, so that their memory is not allocated by the thread that polls.
fn arbiter(limits: Limits, plan: &Plan) -> Result<Arbiter, Error> {
    let mut arbiter = Arbiter::new(limits)?;
    for &(sid, class) in &plan.sources {
        arbiter.add_source(sid, class);
    }
    Ok(arbiter)
}

/// Keys 0 and 1 are the unicast sockets of leg 0 and leg 1.
const FIRST_GROUP_KEY: u32 = 2;

/// The limits for a feed: what stream-admin says holds, unless the application says otherwise.
pub(super) fn limits(constraints: &Constraints, tuning: &Tuning) -> Limits {
    let defaults = Limits::default();
    let micros = |us: Option<u64>| us.map(Duration::from_micros);
    Limits {
        policy: tuning.policy,
        lag_messages: tuning
            .lag_messages
            .or(constraints.lag_messages)
            .unwrap_or(defaults.lag_messages),
        lag_time: tuning
            .lag_time
            .or(micros(constraints.lag_us))
            .unwrap_or(defaults.lag_time),
        reorder_hold: tuning
            .reorder_hold
            .or(micros(constraints.reorder_hold_us))
            .unwrap_or(defaults.reorder_hold),
        held_records: tuning.held_records.unwrap_or(defaults.held_records),
        held_bytes: tuning.held_bytes.unwrap_or_else(|| {
            usize::try_from(constraints.reorder_hold_bytes).unwrap_or(usize::MAX)
        }),
        window: tuning.window.unwrap_or(defaults.window),
        seen_window: tuning.seen_window.unwrap_or(defaults.seen_window),
        half_messages: tuning.half_messages.unwrap_or(defaults.half_messages),
        max_datagram: usize::from(constraints.max_datagram),
        heartbeat: Duration::from_micros(constraints.heartbeat_us),
        missed_heartbeats: constraints.missed_heartbeats,
        hold_down: tuning.hold_down.unwrap_or(defaults.hold_down),
        ..defaults
    }
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

/// Sockets by leg and path, with everybody who may send there.
fn wanted(grant: &Grant) -> BTreeMap<(usize, Path), Senders> {
    let mut addresses: BTreeMap<(usize, Path), Vec<IpAddr>> = BTreeMap::new();
    for (leg, stream) in streams(grant) {
        let (path, sender) = match &stream.transport {
            Transport::Unicast { source } => (Path::Unicast, source.ip()),
            Transport::Multicast { group, source, .. } => {
                let path = Path::Group {
                    group: *group,
                    source: *source,
                };
                // The unspecified address admits everybody who sends to the group.
                (path, source.unwrap_or(UNSPECIFIED))
            }
        };
        addresses
            .entry((leg.index(), path))
            .or_default()
            .push(sender);
    }
    addresses
        .into_iter()
        .map(|(place, senders)| (place, Senders::of(senders)))
        .collect()
}

const UNSPECIFIED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

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
mod tests {
    use twinfeed_control::{AdapterId, LegIndex, LegState};

    use super::*;
    use crate::testing;

    fn means<'a>(
        settings: &'a SocketSettings,
        unicast: &'a mut [Option<LegSocket>; 2],
    ) -> Means<'a> {
        Means {
            limits: Limits::default(),
            sockets: settings,
            unicast,
        }
    }

    fn bound(settings: &SocketSettings) -> [Option<LegSocket>; 2] {
        Leg::BOTH.map(|leg| {
            let key = SocketKey(leg.index() as u32);
            let local = "127.0.0.1:0".parse().unwrap();
            Some(LegSocket::unicast(key, leg, local, settings).unwrap())
        })
    }

    #[test]
    fn the_first_grant_brings_everything_and_the_same_again_brings_nothing() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let grant = testing::grant();
        let (ledger, plan) = Ledger::default()
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        assert!(plan.arbiter.is_some());
        assert_eq!(plan.sources, [(Sid(1), OrderingClass::Ordered)]);
        assert_eq!(plan.streams.len(), 2);
        assert_eq!(plan.open.len(), 2);
        assert_eq!(plan.roles, Some((Leg::Zero, Generation(1))));
        let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
        assert!(plan.is_empty(), "{plan:?}");
    }

    #[test]
    fn a_leg_announced_later_is_a_difference_and_a_pending_one_keeps_what_it_had() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let full = testing::grant();
        let mut half = full.clone();
        half.legs[1] = GrantedLeg {
            streams: Vec::new(),
            state: LegState::Pending,
            ..half.legs[1].clone()
        };
        let (ledger, plan) = Ledger::default()
            .plan(&half, means(&settings, &mut unicast))
            .unwrap();
        assert_eq!((plan.open.len(), plan.streams.len()), (1, 1));
        let (ledger, plan) = ledger.plan(&full, means(&settings, &mut unicast)).unwrap();
        assert_eq!((plan.open.len(), plan.streams.len()), (1, 1));
        assert!(plan.arbiter.is_none() && plan.sources.is_empty());
        let (_, plan) = ledger.plan(&half, means(&settings, &mut unicast)).unwrap();
        assert!(plan.is_empty(), "{plan:?}");
    }

    #[test]
    fn an_adapter_that_moves_changes_the_senders_and_nothing_else() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let mut grant = testing::grant();
        let (ledger, _) = Ledger::default()
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        grant.legs[0].streams[0].transport = Transport::Unicast {
            source: "127.0.0.9:1".parse().unwrap(),
        };
        let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
        let moved = Senders::of(["127.0.0.9".parse().unwrap()]);
        assert_eq!(plan.senders, [(SocketKey(0), moved)]);
        assert!(plan.open.is_empty() && plan.shut.is_empty() && plan.streams.is_empty());
    }

    #[test]
    fn roles_follow_the_generation() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let mut grant = testing::grant();
        let (ledger, _) = Ledger::default()
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        grant.generation = admin::Generation(2);
        grant.legs[0].role = Some(Role::Backup);
        grant.legs[1].role = Some(Role::Active);
        let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
        assert_eq!(plan.roles, Some((Leg::One, Generation(2))));
    }

    #[test]
    fn the_longest_datagram_rises_as_far_as_the_slots_go_and_never_falls() {
        let mut settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let grant = testing::grant();
        let (ledger, _) = Ledger::default()
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        for (granted, longest, kept) in [
            (9_000, Some(9_000), &[][..]),
            (SLOT, Some(SLOT), &[]),
            (SLOT + 1, None, &["max_datagram"]),
            (1_400, None, &[]),
        ] {
            settings.max_datagram = granted;
            let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
            assert_eq!((plan.longest, &plan.kept[..]), (longest, kept), "{granted}");
        }
        settings.max_datagram = 9_000;
        let (ledger, _) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
        for again in [9_000, 1_472] {
            settings.max_datagram = again;
            let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
            assert!(plan.is_empty(), "{again}: {plan:?}");
        }
    }

    #[test]
    fn what_the_machine_keeps_is_told_by_name_and_once() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let grant = testing::grant();
        let plan =
            |ledger: &Ledger, unicast: &mut [Option<LegSocket>; 2], change: fn(&mut Limits)| {
                let mut means = means(&settings, unicast);
                change(&mut means.limits);
                ledger.plan(&grant, means).unwrap()
            };
        let (first, _) = plan(&Ledger::default(), &mut unicast, |_| {});
        type Case<'a> = (fn(&mut Limits), &'a [&'a str]);
        let cases: [Case<'_>; 7] = [
            (|it| it.lag_messages += 1, &["lag_messages"]),
            (|it| it.lag_time *= 2, &["lag_us"]),
            (|it| it.reorder_hold *= 2, &["reorder_hold_us"]),
            (|it| it.held_bytes *= 2, &["reorder_hold_bytes"]),
            (|it| it.missed_heartbeats += 1, &["missed_heartbeats"]),
            // Each leg's heartbeats state their own interval.
            (|it| it.heartbeat *= 2, &[]),
            (|it| it.max_datagram = 9_000, &[]),
        ];
        for (change, names) in cases {
            let (ledger, told) = plan(&first, &mut unicast, change);
            assert_eq!(told.kept, names);
            assert_eq!(ledger.kept().is_some(), !names.is_empty());
            let (_, again) = plan(&ledger, &mut unicast, change);
            assert!(again.is_empty(), "{again:?}");
            let (back, told) = plan(&ledger, &mut unicast, |_| {});
            assert!(told.is_empty() && back.kept().is_none(), "{told:?}");
        }
    }

    #[test]
    fn a_feed_at_its_limit_is_taken_and_one_beyond_is_refused() {
        let settings = testing::socket_settings();
        for (count, taken) in [(MAX_SOURCES, true), (MAX_SOURCES + 1, false)] {
            let mut unicast = bound(&settings);
            let mut grant = testing::grant();
            let stream = grant.legs[0].streams[0].clone();
            grant.legs[0].streams = (0..count)
                .map(|number| GrantedStream {
                    sid: admin::Sid(number as u32),
                    stream_id: admin::StreamId(number as u32),
                    ..stream.clone()
                })
                .collect();
            grant.legs.truncate(1);
            let small = Limits {
                held_records: 1,
                held_bytes: 2_048,
                ..Limits::default()
            };
            let means = Means {
                limits: small,
                ..means(&settings, &mut unicast)
            };
            assert_eq!(
                Ledger::default().plan(&grant, means).is_ok(),
                taken,
                "{count}"
            );
        }
    }

    #[test]
    fn an_unordered_source_is_taken_and_keeps_its_class() {
        let settings = testing::socket_settings();
        let mut unicast = bound(&settings);
        let ordered = testing::grant();
        let mut grant = ordered.clone();
        grant.constraints.sources.push(admin::SourceConstraint {
            sid: admin::Sid(1),
            ordering: admin::OrderingClass::Unordered,
        });
        let (ledger, plan) = Ledger::default()
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        assert_eq!(plan.sources, [(Sid(1), OrderingClass::Unordered)]);
        let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
        assert!(plan.is_empty(), "{plan:?}");
        let (changed, plan) = ledger
            .plan(&ordered, means(&settings, &mut unicast))
            .unwrap();
        assert_eq!(plan.kept, ["ordering"], "told by name");
        let told = changed.kept().unwrap();
        assert!(told.contains("`ordering`: of source stream 1"), "{told}");
        let (back, plan) = changed
            .plan(&grant, means(&settings, &mut unicast))
            .unwrap();
        assert!(plan.is_empty() && back.kept().is_none(), "{plan:?}");
    }

    #[test]
    fn the_application_overrides_the_feed_and_the_feed_the_defaults() {
        let constraints = testing::constraints();
        let plain = limits(&constraints, &Tuning::default());
        assert_eq!(plain.heartbeat, Duration::from_millis(10));
        assert_eq!(plain.lag_messages, Limits::default().lag_messages);
        assert_eq!(plain.reorder_hold, Duration::from_micros(1_500));
        let tuning = Tuning {
            reorder_hold: Some(Duration::from_millis(7)),
            seen_window: Some(4_096),
            half_messages: Some(8),
            ..Tuning::default()
        };
        let tuned = limits(&constraints, &tuning);
        assert_eq!((tuned.seen_window, tuned.half_messages), (4_096, 8));
        assert_eq!(tuned.reorder_hold, Duration::from_millis(7));
    }

    #[test]
    fn legs_keep_their_index() {
        assert_eq!(leg_of(LegIndex::ACTIVE), Leg::Zero);
        assert_eq!(leg_of(LegIndex::BACKUP), Leg::One);
        let adapter: AdapterId = "itch.active".parse().unwrap();
        assert_eq!(testing::grant().legs[0].adapter, adapter);
    }
}
