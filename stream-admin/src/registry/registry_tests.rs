//! The registry as a whole, request by request, and the property that what was revoked stays revoked.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinfeed_control::{
    BACKOFF_CEILING, ConfigDigest, Confirm, Constraints, DeliveryClass, EntitlementChange,
    LONGEST_RING_NAME, LegState, OfferedRing, OfferedStream, Policy, ProblemCode, REQUEST_TIMEOUT,
    Receipt, ReceiptEnd, Role, Selection, Sid, Subscribe, SubscriptionId, SubscriptionState,
    TakeoverPolicy, TransmitMode, Transport, presumption_ms,
};

use super::settings::{RegistryLimits, TransportKind};
use super::*;
use crate::grant::FeedSet;

const DESK: Caller<'_> = Caller {
    principal: "desk",
    operator: false,
    address: None,
};
const OTHER: Caller<'_> = Caller {
    principal: "other",
    operator: false,
    address: None,
};
pub(super) const ADAPTER: Caller<'_> = Caller {
    principal: "adapter",
    operator: false,
    address: None,
};

fn settings() -> Settings {
    Settings {
        adapter_lease_ms: 100,
        subscription_lease_ms: 1_000,
        subscription_grace_ms: 5_000,
        handover_ms: 50,
        limits: RegistryLimits {
            subscriptions: 4,
            subscriptions_per_principal: 3,
            closed_subscriptions_per_feed: 2,
            receipts_per_feed: 2,
            orders_per_feed: 3,
            role_changes_per_feed: 4,
            takeovers_per_minute: 2,
            source_reports_per_minute: 4,
            streams: 4,
        },
    }
}

pub(super) fn feed_settings() -> FeedSettings {
    FeedSettings {
        takeover: TakeoverPolicy::OnPeerLost,
        source_reports: true,
        source_hold_ms: 20,
        hand_back: HandBack::Commanded,
        name: "itch".parse().unwrap(),
        transport: TransportKind::Unicast,
        sids: BTreeSet::from([Sid(1), Sid(2)]),
        constraints: Constraints {
            sources: Vec::new(),
            delivery: DeliveryClass::ExactlyOnce,
            heartbeat_us: 10_000,
            missed_heartbeats: 3,
            sync_threshold: 64,
            lag_messages: None,
            lag_us: None,
            reorder_hold_us: None,
            reorder_hold_bytes: 1 << 20,
            max_datagram: 1_472,
            transmit: TransmitMode::Hot,
        },
    }
}

pub(super) fn started(saved: Vec<Record>) -> Registry {
    started_with(saved, TakeoverPolicy::OnPeerLost)
}

pub(super) fn started_with(saved: Vec<Record>, takeover: TakeoverPolicy) -> Registry {
    let feed = FeedSettings {
        takeover,
        ..feed_settings()
    };
    started_as(saved, feed, Now(0))
}

pub(super) fn started_as(saved: Vec<Record>, feed: FeedSettings, now: Now) -> Registry {
    let entitled = ["desk", "other", "adapter"].map(|name| (name.to_owned(), FeedSet::All));
    let entitlements = Entitlements::new(BTreeMap::from(entitled));
    Registry::new(settings(), vec![feed], entitlements, saved, now)
}

pub(super) fn offer(preferred_role: Role, incarnation: u64) -> Register {
    let stream = |sid| OfferedStream {
        sid: Sid(sid),
        transport: Transport::Unicast {
            source: "127.0.0.1:9000".parse().unwrap(),
        },
    };
    Register {
        feed: "itch".parse().unwrap(),
        preferred_role,
        incarnation: Incarnation(incarnation),
        config_digest: ConfigDigest(1),
        streams: vec![stream(1), stream(2)],
        link_address: "127.0.0.1:9100".parse().unwrap(),
        operations_address: None,
        fills: None,
        snapshots: None,
        ring: None,
        generation_held: None,
        unverified: false,
    }
}

fn wish(port: u16) -> Subscribe {
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Subscribe {
        feed: "itch".parse().unwrap(),
        sids: Selection::All,
        application: "test".to_owned(),
        destinations: Some([address(port), address(port + 1)]),
        fills: None,
        policy: Policy::FirstArrival,
    }
}

fn change(principal: &str) -> EntitlementChange {
    EntitlementChange {
        principal: principal.to_owned(),
        feed: "itch".parse().unwrap(),
        reason: "contract ended".to_owned(),
    }
}

fn receipt(number: u64) -> Receipt {
    let end = |leg| ReceiptEnd {
        leg,
        stream_id: None,
        generation: Generation(1),
        pos: Vec::new(),
    };
    Receipt {
        number,
        from: end(LegIndex::ACTIVE),
        to: end(LegIndex::BACKUP),
        trigger: Trigger::TransportReset,
        duplicates_dropped: 1,
        held: 0,
        filled: 0,
        gaps_left: 0,
        stall_ns: 5,
        at_unix_us: 7,
        note: String::new(),
    }
}

/// What a store would give back: the last write of each value.
pub(super) fn saved(registry: &mut Registry, so_far: &mut BTreeMap<String, Record>) {
    for write in registry.take_writes() {
        match write {
            Write::Put(record) => {
                let key = match &record {
                    Record::Server(_) => "server".to_owned(),
                    Record::Feed(feed) => format!("feed {}", feed.feed),
                    Record::Subscription(one) => format!("subscription {}", one.subscription),
                    Record::Override(word) => format!("override {} {}", word.feed, word.principal),
                    Record::Receipt(one) => format!("receipt {:016x}", one.place),
                    Record::Order(one) => format!("order {:016x}", one.ticket),
                    Record::Role(one) => format!("role {:016x}", one.number),
                };
                so_far.insert(key, record);
            }
            Write::DropSubscription(id) => drop(so_far.remove(&format!("subscription {id}"))),
            Write::DropOrder(_, ticket) => drop(so_far.remove(&format!("order {ticket:016x}"))),
            Write::DropRole(_, number) => drop(so_far.remove(&format!("role {number:016x}"))),
            Write::DropReceipt(_, place) => drop(so_far.remove(&format!("receipt {place:016x}"))),
        }
    }
}

#[test]
fn both_legs_are_granted_before_any_adapter_exists_and_announced_when_they_do() {
    let mut registry = started(Vec::new());
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    assert_eq!(grant.legs.len(), 2);
    assert!(
        grant
            .legs
            .iter()
            .all(|leg| leg.state == LegState::Pending && leg.streams.is_empty())
    );
    let (assignment, _) = registry
        .register(&ADAPTER, offer(Role::Backup, 2), Now(1))
        .unwrap();
    assert_eq!(assignment.destinations[0].address.port(), 7001);
    let later = registry
        .grant_of(&DESK, &grant.subscription, Now(1))
        .unwrap();
    assert!(later.revision > grant.revision);
    assert_eq!(later.legs[0].state, LegState::Pending);
    assert_eq!(later.legs[1].state, LegState::Joining);
    assert_eq!(later.legs[1].streams.len(), 2);
}

#[test]
fn where_an_adapter_is_asked_is_granted_and_one_that_says_nothing_is_not_asked() {
    let mut registry = started(Vec::new());
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    let asked = Register {
        fills: Some("127.0.0.1:9200".parse().unwrap()),
        snapshots: Some("127.0.0.1:9300".parse().unwrap()),
        ..offer(Role::Active, 1)
    };
    // One of an older build says nothing of snapshots.
    let older = serde_json::to_value(offer(Role::Backup, 2)).unwrap();
    assert!(older.get("snapshots").is_none());
    let older: Register = serde_json::from_value(older).unwrap();
    for request in [asked.clone(), older] {
        let _ = registry.register(&ADAPTER, request, Now(1)).unwrap();
    }
    let later = registry
        .grant_of(&DESK, &grant.subscription, Now(1))
        .unwrap();
    let granted = later.legs.iter().map(|leg| (leg.fills, leg.snapshots));
    assert_eq!(
        granted.collect::<Vec<_>>(),
        [(asked.fills, asked.snapshots), (None, None)]
    );
    let ring = |name: &str| {
        let (host, name) = ("this-boot".to_owned(), name.to_owned());
        Some(OfferedRing { host, name })
    };
    let ringing = Register {
        ring: ring("@twinfeed/itch"),
        ..asked.clone()
    };
    let _ = registry.register(&ADAPTER, ringing, Now(2)).unwrap();
    let later = registry
        .grant_of(&DESK, &grant.subscription, Now(2))
        .unwrap();
    let granted: Vec<_> = later.legs.iter().map(|leg| leg.ring.clone()).collect();
    assert_eq!(granted, [ring("@twinfeed/itch"), None]);
    for name in ["", "a b", &"x".repeat(LONGEST_RING_NAME + 1)] {
        let wrong = Register {
            ring: ring(name),
            ..asked.clone()
        };
        let refused = registry.register(&ADAPTER, wrong, Now(2)).unwrap_err();
        assert!(refused.message.contains("ring.name"), "{}", refused.message);
    }
    let nowhere = Register {
        snapshots: Some("0.0.0.0:9300".parse().unwrap()),
        ..asked
    };
    let refused = registry.register(&ADAPTER, nowhere, Now(2)).unwrap_err();
    assert!(refused.message.contains("snapshots"), "{}", refused.message);
}

#[test]
fn stream_ids_are_never_shared_and_survive_both_ends() {
    let mut registry = started(Vec::new());
    let mut disk = BTreeMap::new();
    let ids = |assignment: &Assignment| {
        assignment
            .streams
            .iter()
            .map(|stream| stream.stream_id.0)
            .collect::<Vec<_>>()
    };
    let (one, _) = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(0))
        .unwrap();
    let (two, _) = registry
        .register(&ADAPTER, offer(Role::Backup, 2), Now(0))
        .unwrap();
    assert_eq!((ids(&one), ids(&two)), (vec![1, 2], vec![3, 4]));
    saved(&mut registry, &mut disk);
    let mut registry = started(disk.into_values().collect());
    let (again, _) = registry
        .register(&ADAPTER, offer(Role::Active, 9), Now(1))
        .unwrap();
    assert_eq!(ids(&again), [1, 2]);
    assert_eq!(again.generation, Generation(2));
    assert_eq!(
        again.role,
        Role::Backup,
        "the other one is presumed alive for now"
    );
}

#[test]
fn a_number_that_cannot_be_true_is_no_conflict() {
    let mut registry = started(Vec::new());
    let _ = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(0))
        .unwrap();
    let absurd = Register {
        generation_held: Some(Generation(2 + pair::HELD_JUMP_LIMIT)),
        ..offer(Role::Active, 1)
    };
    let refused = registry.register(&ADAPTER, absurd, Now(1)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Implausible);
    assert!(refused.message.contains("1048578"), "{}", refused.message);
    let _ = registry
        .register(&ADAPTER, offer(Role::Active, 2), Now(1))
        .unwrap();
    let refused = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(1))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::Conflict, "it was replaced");
}

fn configured(role: Role, incarnation: u64, digest: u64) -> Register {
    Register {
        config_digest: ConfigDigest(digest),
        ..offer(role, incarnation)
    }
}

fn report(generation: Generation, role: Role) -> twinfeed_control::AdapterStatus {
    let json = serde_json::json!({"generation": generation, "role": role, "sync_threshold": 64,
        "link": "up", "streams": []});
    serde_json::from_value(json).unwrap()
}

fn renewed(
    registry: &mut Registry,
    of: &Assignment,
    incarnation: u64,
    at: u64,
) -> Result<Renewed, ProblemCode> {
    let renew = Renew {
        incarnation: Incarnation(incarnation),
        status: report(of.generation, of.role),
    };
    let answer = registry.renew(&ADAPTER, &of.adapter, renew, Now(at));
    answer.map_err(|problem| problem.code)
}

#[test]
fn who_converts_differently_gets_no_seat_while_the_other_one_lives() {
    let mut registry = started(Vec::new());
    let (active, _) = registry
        .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(0))
        .unwrap();
    let refused = registry
        .register(&ADAPTER, configured(Role::Backup, 2, 0xbbb), Now(99))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::ConfigMismatch);
    for word in [
        "0000000000000aaa",
        "0000000000000bbb",
        "itch.active",
        "itch.backup",
    ] {
        assert!(refused.message.contains(word), "{}", refused.message);
    }
    assert!(refused.remedy.contains("--check-config"));
    let status = registry.status(Now(99)).remove(0);
    assert_eq!(status.legs[1].state, LegState::Pending, "nothing changed");
    let _ = registry
        .register(&ADAPTER, configured(Role::Backup, 2, 0xaaa), Now(99))
        .unwrap();
    // A restart of either with another file is refused as well, and changes no generation.
    let refused = registry
        .register(&ADAPTER, configured(Role::Active, 3, 0xbbb), Now(99))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::ConfigMismatch);
    assert_eq!(
        renewed(&mut registry, &active, 1, 99).unwrap().generation,
        Generation(1)
    );
}

#[test]
fn a_change_of_configuration_is_possible_once_the_peer_has_left_or_lapsed() {
    for leave in [true, false] {
        let mut registry = started(Vec::new());
        let (active, _) = registry
            .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(0))
            .unwrap();
        let at = if leave { 1 } else { 100 };
        if leave {
            registry
                .leave(&ADAPTER, &active.adapter, Incarnation(1), Now(at))
                .unwrap();
        }
        let _ = registry
            .register(&ADAPTER, configured(Role::Backup, 2, 0xbbb), Now(at))
            .unwrap();
        if !leave {
            // It was only slow: its lease is not given back to it.
            let late = renewed(&mut registry, &active, 1, at + 1);
            assert_eq!(late.unwrap_err(), ProblemCode::ConfigMismatch);
            let again = registry
                .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(at + 1))
                .unwrap_err();
            assert_eq!(again.code, ProblemCode::ConfigMismatch);
        }
        let _ = registry
            .register(&ADAPTER, configured(Role::Active, 3, 0xbbb), Now(at + 1))
            .unwrap();
        if !leave {
            let replaced = registry
                .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(at + 1))
                .unwrap_err();
            assert_eq!(replaced.code, ProblemCode::Conflict, "for good");
        }
    }
}

#[test]
fn after_a_restart_a_peer_counts_as_living_only_once_it_was_heard() {
    let mut registry = started(Vec::new());
    let mut disk = BTreeMap::new();
    let (active, _) = registry
        .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(0))
        .unwrap();
    saved(&mut registry, &mut disk);
    for heard in [true, false] {
        let mut registry = started(disk.values().cloned().collect());
        let ask = |registry: &mut Registry, at| {
            let answer = registry.register(&ADAPTER, configured(Role::Backup, 2, 0xbbb), Now(at));
            answer
                .map(|_| ())
                .map_err(|problem| (problem.code, problem.retry_in_ms))
        };
        let end = presumption_ms(settings().adapter_lease_ms);
        let not_known = |left| Err((ProblemCode::Undecided, Some(left)));
        assert_eq!(ask(&mut registry, 1), not_known(end - 1));
        if heard {
            renewed(&mut registry, &active, 1, 2).unwrap();
            assert_eq!(
                ask(&mut registry, 3),
                Err((ProblemCode::ConfigMismatch, None))
            );
        } else {
            assert_eq!(ask(&mut registry, end - 1), not_known(1));
            assert_eq!(ask(&mut registry, end), Ok(()));
        }
    }
}

/// It asked in vain just before the restart, and then waited for as long as anybody does.
#[test]
fn who_resumed_alone_is_heard_before_another_configuration_gets_its_feed() {
    let mut registry = started(Vec::new());
    let mut disk = BTreeMap::new();
    let _ = registry
        .register(&ADAPTER, configured(Role::Active, 1, 0xaaa), Now(0))
        .unwrap();
    saved(&mut registry, &mut disk);
    let mut registry = started(disk.into_values().collect());
    let other = |registry: &mut Registry, at| {
        let answer = registry.register(&ADAPTER, configured(Role::Backup, 2, 0xbbb), Now(at));
        answer.unwrap_err().code
    };
    let asks_at = (REQUEST_TIMEOUT + BACKOFF_CEILING).as_millis() as u64 - 1;
    for at in (0..=asks_at).step_by(100) {
        assert_eq!(other(&mut registry, at), ProblemCode::Undecided, "{at}");
    }
    let resumed = Register {
        generation_held: Some(Generation(1)),
        unverified: true,
        ..configured(Role::Active, 3, 0xaaa)
    };
    let _ = registry.register(&ADAPTER, resumed, Now(asks_at)).unwrap();
    assert_eq!(other(&mut registry, asks_at), ProblemCode::ConfigMismatch);
}

#[test]
fn a_restart_keeps_subscriptions_and_raises_revisions() {
    let mut registry = started(Vec::new());
    let mut disk = BTreeMap::new();
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    saved(&mut registry, &mut disk);
    let mut registry = started(disk.into_values().collect());
    let again = registry
        .grant_of(&DESK, &grant.subscription, Now(0))
        .unwrap();
    assert_eq!(again.access, SubscriptionState::Open);
    assert!(again.revision > grant.revision);
    let next = registry.subscribe(&DESK, wish(7100), Now(0)).unwrap();
    assert_ne!(next.subscription, grant.subscription);
}

#[test]
fn another_principals_subscription_does_not_exist() {
    let mut registry = started(Vec::new());
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    let id = &grant.subscription;
    let theirs = registry.grant_of(&OTHER, id, Now(0)).unwrap_err();
    let nobodys = registry
        .grant_of(&OTHER, &"s99999999".parse().unwrap(), Now(0))
        .unwrap_err();
    assert_eq!(theirs.code, nobodys.code);
    assert_eq!(
        theirs.message.replace(id.as_str(), "x"),
        nobodys.message.replace("s99999999", "x")
    );
    assert!(registry.unsubscribe(&OTHER, id).is_err());
}

#[test]
fn the_same_addresses_again_replace_ones_own_and_conflict_with_anothers() {
    let mut registry = started(Vec::new());
    let old = registry
        .subscribe(&DESK, wish(7000), Now(0))
        .unwrap()
        .subscription;
    let refused = registry.subscribe(&OTHER, wish(7001), Now(0)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Conflict);
    registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    let closed = registry.grant_of(&DESK, &old, Now(0)).unwrap();
    assert!(matches!(closed.access, SubscriptionState::Closed { .. }));
    let (assignment, _) = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(0))
        .unwrap();
    assert_eq!(
        assignment.destinations.len(),
        1,
        "nobody is sent everything twice"
    );
}

#[test]
fn limits_are_refused_by_name_at_the_limit_and_not_before() {
    let mut registry = started(Vec::new());
    for port in [7000, 7010, 7020] {
        registry.subscribe(&DESK, wish(port), Now(0)).unwrap();
    }
    let refused = registry.subscribe(&DESK, wish(7030), Now(0)).unwrap_err();
    assert!(
        refused
            .message
            .contains("limits.subscriptions_per_principal"),
        "{}",
        refused.message
    );
    registry.subscribe(&OTHER, wish(7030), Now(0)).unwrap();
    let refused = registry.subscribe(&OTHER, wish(7040), Now(0)).unwrap_err();
    assert!(
        refused.message.contains("limits.subscriptions "),
        "{}",
        refused.message
    );
}

#[test]
fn a_lapsed_subscription_receives_through_its_grace_and_then_ends() {
    let mut registry = started(Vec::new());
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    let id = &grant.subscription;
    registry.tick(Now(5_999));
    assert_eq!(
        registry.grant_of(&DESK, id, Now(5_999)).unwrap().access,
        SubscriptionState::Open
    );
    registry.tick(Now(6_000));
    let ended = registry.grant_of(&DESK, id, Now(6_000)).unwrap();
    assert!(matches!(ended.access, SubscriptionState::Closed { .. }) && ended.legs.is_empty());
    let confirm = Confirm {
        heard: Vec::new(),
        silent: Vec::new(),
    };
    let refused = registry
        .confirm(&DESK, id, confirm, Now(6_000))
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::UnknownId, "subscribe again");
}

#[test]
fn a_revocation_ends_both_legs_and_no_failover_or_grant_brings_them_back() {
    let mut registry = started(Vec::new());
    let grant = registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
    let _ = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(0))
        .unwrap();
    let answer = registry.entitle(change("desk"), false).unwrap();
    assert_eq!((answer.changed, answer.closed_subscriptions), (true, 1));
    assert!(!registry.entitle(change("desk"), false).unwrap().changed);
    let (assignment, _) = registry
        .register(&ADAPTER, offer(Role::Backup, 2), Now(1))
        .unwrap();
    assert!(assignment.destinations.is_empty());
    let closed = registry
        .grant_of(&DESK, &grant.subscription, Now(1))
        .unwrap();
    let SubscriptionState::Closed { reason } = closed.access else {
        panic!("open")
    };
    assert!(reason.contains("contract ended"), "{reason}");
    let refused = registry.subscribe(&DESK, wish(7000), Now(1)).unwrap_err();
    assert_eq!(refused.code, ProblemCode::NotEntitled);
    registry.entitle(change("desk"), true).unwrap();
    let still = registry
        .grant_of(&DESK, &grant.subscription, Now(1))
        .unwrap();
    assert!(matches!(still.access, SubscriptionState::Closed { .. }));
    registry.subscribe(&DESK, wish(7000), Now(1)).unwrap();
}

#[test]
fn a_repeated_receipt_is_dropped_and_the_history_is_bounded() {
    let mut registry = started(Vec::new());
    let mut disk = BTreeMap::new();
    let id = registry
        .subscribe(&DESK, wish(7000), Now(0))
        .unwrap()
        .subscription;
    let send = |registry: &mut Registry, numbers: &[u64]| {
        let receipts = numbers.iter().map(|number| receipt(*number)).collect();
        registry.receipts(&DESK, &id, receipts).unwrap().accepted
    };
    assert_eq!(send(&mut registry, &[1, 2]), 2);
    assert_eq!(send(&mut registry, &[2, 3]), 1);
    saved(&mut registry, &mut disk);
    let mut registry = started(disk.into_values().collect());
    assert_eq!(send(&mut registry, &[3]), 0);
    let numbers = |registry: &Registry| {
        let receipts = registry.status(Now(0)).remove(0).receipts;
        receipts
            .iter()
            .map(|received| received.receipt.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&registry), [3, 2], "newest first, two at most");
}

#[test]
fn a_change_that_could_not_be_written_never_happened() {
    let mut registry = started(Vec::new());
    let backup = registry.feed_backup(&"itch".parse().unwrap()).unwrap();
    let _ = registry
        .register(&ADAPTER, offer(Role::Active, 1), Now(0))
        .unwrap();
    registry.entitle(change("desk"), false).unwrap();
    registry.put_back(backup);
    let status = registry.status(Now(0)).remove(0);
    assert_eq!(status.pair.generation, Generation(0));
    registry.subscribe(&DESK, wish(7000), Now(0)).unwrap();
}

proptest! {
    /// Subscriptions that were once closed never have a leg or a destination again.
    #[test]
    fn what_was_closed_never_returns(
        steps in prop::collection::vec((0..7_u8, 0..4_u16, 1..3_000_u64), 1..60)
    ) {
        let (mut registry, mut disk, mut now) = (started(Vec::new()), BTreeMap::new(), 0);
        let mut closed: BTreeSet<SubscriptionId> = BTreeSet::new();
        let mut incarnation = 0;
        for (step, which, wait) in steps {
            let caller = if which % 2 == 0 { DESK } else { OTHER };
            match step {
                0 | 1 => drop(registry.subscribe(&caller, wish(7000 + 10 * which), Now(now))),
                2 => drop(registry.entitle(change(caller.principal), false)),
                3 => drop(registry.entitle(change(caller.principal), true)),
                4 => now += wait,
                5 => {
                    saved(&mut registry, &mut disk);
                    registry = started(disk.values().cloned().collect());
                    now = 0;
                }
                _ => {
                    incarnation += 1;
                    let role = if which < 2 { Role::Active } else { Role::Backup };
                    let registered =
                        registry.register(&ADAPTER, offer(role, incarnation), Now(now));
                    let (assignment, _) = registered.unwrap();
                    for destination in &assignment.destinations {
                        prop_assert!(!closed.contains(&destination.subscription));
                    }
                }
            }
            registry.tick(Now(now));
            let status = registry.status(Now(now)).remove(0);
            for view in &status.subscriptions {
                let open = view.access == SubscriptionState::Open;
                prop_assert!(!(open && closed.contains(&view.subscription)));
                if !open {
                    closed.insert(view.subscription.clone());
                }
            }
        }
    }
}
