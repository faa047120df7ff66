//! What callers see over real connections: brokering, refusals, watches, restarts, limits.

mod sources;
mod support;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Server, config, feed, offer, raw, renew, report, wish};
use twinfeed_control::{
    AffectedBy, Backoff, Client, ConfigDigest, Confirm, EntitlementChange, Error, Generation,
    Grant, Incarnation, LegIndex, LegState, Receipt, ReceiptEnd, Register, Role, StopFlag,
    SubscriptionState, SubscriptionStatus, Trigger, Watch, Watched,
};
use twinfeed_stream_admin::store::MemoryStore;

/// The next snapshot that satisfies `wanted`; a watch that ends or fails for good panics.
fn until<T: twinfeed_control::WatchEvent + std::fmt::Debug>(
    watch: &mut Watch<T>,
    wanted: impl Fn(&T) -> bool,
) -> T {
    for event in watch {
        match event {
            Watched::Snapshot(document) if wanted(&document) => return document,
            Watched::Snapshot(_) | Watched::Lost(_) => {}
            Watched::Ended(error) => panic!("the watch ended: {error}"),
        }
    }
    panic!("the watch ended");
}

fn watch_grant(client: &Client, grant: &Grant) -> (Watch<Grant>, StopFlag) {
    let stop = StopFlag::new();
    let watch = client.watch_subscription(&grant.subscription, Backoff::with_seed(1), stop.clone());
    (watch, stop)
}

fn revocation() -> EntitlementChange {
    EntitlementChange {
        principal: "desk".to_owned(),
        feed: feed(),
        reason: "contract ended".to_owned(),
    }
}

#[test]
fn a_pair_becomes_protected_once_both_ends_say_so() {
    let server = Server::start();
    let feeder = server.client("feeder");
    let active = feeder.register(&offer(Role::Active, 1)).unwrap();
    let backup = feeder.register(&offer(Role::Backup, 2)).unwrap();
    assert_eq!(
        (active.generation, backup.generation),
        (Generation(1), Generation(1))
    );
    assert_eq!((active.role, backup.role), (Role::Active, Role::Backup));
    assert_eq!(backup.peer.as_ref().unwrap().incarnation, Incarnation(1));
    let pair = |server: &Server| server.client("ops").status().unwrap().feeds.remove(0).pair;
    assert!(!pair(&server).protected);
    renew(&feeder, &active);
    assert_eq!(
        pair(&server).reason,
        "leg 1: joining (its adapter has not reported yet)"
    );
    renew(&feeder, &backup);
    assert!(pair(&server).protected, "{}", pair(&server).reason);
    let mut other = report(2, backup.generation, backup.role);
    other.status.streams[0].context_id.0 += 1;
    feeder.renew(&backup.adapter, &other).unwrap();
    assert_eq!(
        pair(&server).reason,
        "sid 1: the legs have different contexts"
    );
}

#[test]
fn both_legs_are_brokered_confirmed_and_shown() {
    let server = Server::start();
    let (feeder, desk) = (server.client("feeder"), server.client("desk"));
    feeder.register(&offer(Role::Active, 1)).unwrap();
    feeder.register(&offer(Role::Backup, 2)).unwrap();
    let grant = desk.subscribe(&wish(7000)).unwrap();
    let streams: Vec<_> = grant
        .legs
        .iter()
        .map(|leg| leg.streams[0].stream_id.0)
        .collect();
    assert_eq!(streams, [1, 2]);
    let confirm = Confirm {
        heard: vec![LegIndex::BACKUP],
        silent: vec![LegIndex::ACTIVE],
    };
    desk.confirm(&grant.subscription, &confirm).unwrap();
    let status = SubscriptionStatus {
        records: 42,
        ..SubscriptionStatus::default()
    };
    desk.renew_subscription(&grant.subscription, status)
        .unwrap();
    let view = server.client("ops").status().unwrap().feeds[0].subscriptions[0].clone();
    assert_eq!((view.heard, view.silent), (confirm.heard, confirm.silent));
    assert_eq!(view.report.unwrap().records, 42);
    let assignment = feeder.register(&offer(Role::Backup, 2)).unwrap();
    assert_eq!(assignment.destinations[0].address.port(), 7001);
    desk.unsubscribe(&grant.subscription).unwrap();
    desk.unsubscribe(&grant.subscription).unwrap();
    assert!(
        feeder
            .register(&offer(Role::Backup, 2))
            .unwrap()
            .destinations
            .is_empty()
    );
}

#[test]
fn refusals_name_culprit_and_remedy_and_leak_no_endpoint() {
    let server = Server::start();
    server
        .client("feeder")
        .register(&offer(Role::Active, 1))
        .unwrap();
    let unknown = twinfeed_control::Subscribe {
        feed: "nope".parse().unwrap(),
        ..wish(7000)
    };
    let refusals = [
        server
            .client_with("wrong")
            .subscribe(&wish(7000))
            .unwrap_err(),
        server
            .client("stranger")
            .subscribe(&wish(7000))
            .unwrap_err(),
        server.client("feeder").subscribe(&wish(7000)).unwrap_err(),
        server
            .client("desk")
            .register(&offer(Role::Backup, 2))
            .unwrap_err(),
        server.client("desk").revoke(&revocation()).unwrap_err(),
        server.client("desk").subscribe(&unknown).unwrap_err(),
    ];
    let [wrong, stranger, kind, seat, operator, feed] = &refusals;
    assert!(matches!(wrong, Error::Unauthenticated { .. }), "{wrong}");
    for refused in [stranger, kind, seat, operator] {
        assert!(matches!(refused, Error::NotEntitled { .. }), "{refused}");
    }
    assert!(matches!(feed, Error::UnknownFeed { .. }), "{feed}");
    for refused in &refusals {
        let words = refused.to_string();
        assert!(
            words.contains("; ") && !words.contains("9100") && !words.contains("9101"),
            "{words}"
        );
    }
}

#[test]
fn a_subscriber_cannot_have_datagrams_sent_to_others() {
    let server = Server::start();
    let mut request = wish(7000);
    request.destinations = Some(["192.0.2.1:7000", "192.0.2.1:7001"].map(|a| a.parse().unwrap()));
    let refused = server.client("desk").subscribe(&request).unwrap_err();
    assert!(matches!(refused, Error::NotEntitled { .. }), "{refused}");
    request.destinations = None;
    let refused = server.client("desk").subscribe(&request).unwrap_err();
    assert!(
        refused.to_string().contains("names no destinations"),
        "{refused}"
    );
}

#[test]
fn a_watch_begins_with_the_whole_truth_and_tells_every_change() {
    let server = Server::start();
    let (feeder, desk) = (server.client("feeder"), server.client("desk"));
    let grant = desk.subscribe(&wish(7000)).unwrap();
    let (mut watch, _stop) = watch_grant(&desk, &grant);
    let first = until(&mut watch, |_| true);
    assert!(first.legs.iter().all(|leg| leg.state == LegState::Pending));
    let active = feeder.register(&offer(Role::Active, 1)).unwrap();
    let seen = until(&mut watch, |grant| grant.legs[0].state == LegState::Joining);
    assert!(seen.revision > first.revision);
    renew(&feeder, &active);
    until(&mut watch, |grant| grant.legs[0].state == LegState::Live);
    server.client("ops").revoke(&revocation()).unwrap();
    let last = until(&mut watch, |grant| grant.access != SubscriptionState::Open);
    assert!(last.legs.is_empty());
    assert!(
        watch.next().is_none(),
        "nothing follows a closed subscription"
    );
    let refused = desk
        .renew_subscription(&grant.subscription, SubscriptionStatus::default())
        .unwrap_err();
    assert!(refused.to_string().contains("contract ended"), "{refused}");
}

#[test]
fn an_adapters_watch_tells_destinations_and_its_replacement() {
    let server = Server::start();
    let feeder = server.client("feeder");
    let mine = feeder.register(&offer(Role::Active, 1)).unwrap();
    let stop = StopFlag::new();
    let backoff = Backoff::with_seed(1);
    let mut watch = feeder.watch_adapter(&mine.adapter, mine.incarnation, backoff, stop);
    until(&mut watch, |assignment| assignment.destinations.is_empty());
    server.client("desk").subscribe(&wish(7000)).unwrap();
    let told = until(&mut watch, |assignment| !assignment.destinations.is_empty());
    assert_eq!(told.destinations[0].address.port(), 7000);
    feeder.register(&offer(Role::Active, 3)).unwrap();
    let last = until(&mut watch, |assignment| assignment.replaced_by.is_some());
    assert_eq!(last.replaced_by, Some(Incarnation(3)));
    assert!(watch.next().is_none());
    let refused = feeder
        .renew(&mine.adapter, &report(1, mine.generation, mine.role))
        .unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
    let refused = feeder.register(&offer(Role::Active, 1)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
}

#[test]
fn a_restart_keeps_generations_and_subscriptions_and_watches_come_back() {
    let server = Server::start();
    let (feeder, desk) = (server.client("feeder"), server.client("desk"));
    let active = feeder.register(&offer(Role::Active, 1)).unwrap();
    let backup = feeder.register(&offer(Role::Backup, 2)).unwrap();
    let restarted = feeder.register(&offer(Role::Active, 3)).unwrap();
    assert_eq!(
        (restarted.generation, restarted.role),
        (Generation(2), Role::Backup)
    );
    renew(&feeder, &restarted);
    let backup = twinfeed_control::Assignment {
        generation: restarted.generation,
        role: Role::Active,
        ..backup
    };
    renew(&feeder, &backup);
    let grant = desk.subscribe(&wish(7000)).unwrap();
    let (mut watch, _stop) = watch_grant(&desk, &grant);
    let before = until(&mut watch, |grant| grant.legs[1].state == LegState::Live);

    let server = server.restart();
    let after = until(&mut watch, |grant| grant.revision > before.revision);
    assert_eq!(after.generation, Generation(2));
    assert_eq!(after.legs[1].role, Some(Role::Active));
    let pair = server.client("ops").status().unwrap().feeds.remove(0).pair;
    assert!(!pair.protected, "nobody has reported to this server yet");
    renew(&feeder, &restarted);
    renew(&feeder, &backup);
    assert!(
        server
            .client("ops")
            .status()
            .unwrap()
            .feeds
            .remove(0)
            .pair
            .protected
    );
    let refused = feeder.renew(&active.adapter, &report(1, Generation(1), Role::Active));
    assert!(matches!(refused, Err(Error::Conflict { .. })));
}

#[test]
fn an_adapter_that_resumed_alone_is_marked_until_it_acts_under_a_granted_generation() {
    let server = Server::start();
    let feeder = server.client("feeder");
    let mut request = offer(Role::Active, 5);
    request.generation_held = Some(Generation(4));
    request.unverified = true;
    let granted = feeder.register(&request).unwrap();
    assert_eq!(granted.generation, Generation(5));
    let unverified =
        |server: &Server| server.client("ops").status().unwrap().feeds[0].legs[0].unverified;
    feeder
        .renew(&granted.adapter, &report(5, Generation(4), Role::Active))
        .unwrap();
    assert!(unverified(&server));
    renew(&feeder, &granted);
    assert!(!unverified(&server));
}

#[test]
fn a_restarted_server_does_not_judge_before_the_peer_had_time_to_speak() {
    let server = Server::start();
    let feeder = server.client("feeder");
    let active = feeder.register(&offer(Role::Active, 1)).unwrap();
    let server = server.restart();
    let other = Register {
        config_digest: ConfigDigest(0xbad),
        ..offer(Role::Backup, 2)
    };
    let feeder = server.client("feeder");
    let Err(Error::Undecided { retry_in, .. }) = feeder.register(&other) else {
        panic!("the peer may live");
    };
    assert!(!retry_in.is_zero());
    renew(&feeder, &active);
    let judged = feeder.register(&other);
    assert!(matches!(judged, Err(Error::ConfigMismatch { .. })));
}

#[test]
fn an_answer_leaves_only_after_the_disk_has_it() {
    let server = Server::start();
    let desk = server.client("desk");
    server.store.set_failing(true);
    let refused = desk.subscribe(&wish(7000)).unwrap_err();
    assert!(
        matches!(refused, Error::Server { status: 503, .. }),
        "{refused}"
    );
    assert!(server.client("ops").ready().is_err());
    assert!(
        server.client("ops").status().unwrap().feeds[0]
            .subscriptions
            .is_empty()
    );
    server.store.set_failing(false);
    desk.subscribe(&wish(7000)).unwrap();
    server.client("ops").ready().unwrap();
}

#[test]
fn receipts_are_kept_once_and_counted_by_trigger() {
    let server = Server::start();
    let desk = server.client("desk");
    let grant = desk.subscribe(&wish(7000)).unwrap();
    let end = |leg| ReceiptEnd {
        leg,
        stream_id: None,
        generation: Generation(1),
        pos: Vec::new(),
    };
    let receipt = Receipt {
        number: 1,
        from: end(LegIndex::ACTIVE),
        to: end(LegIndex::BACKUP),
        trigger: Trigger::TransportReset,
        duplicates_dropped: 10,
        held: 2,
        filled: 1,
        gaps_left: 0,
        stall_ns: 1_000,
        at_unix_us: 1,
        note: String::new(),
    };
    for accepted in [1, 0] {
        let answer = desk
            .report_receipts(&grant.subscription, vec![receipt.clone()])
            .unwrap();
        assert_eq!(answer.accepted, accepted);
    }
    let metrics = raw(&server, "/metrics", &[]).1;
    let line = "twinfeed_switches_total{feed=\"itch\",trigger=\"transport-reset\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(
        server.restart().client("ops").status().unwrap().feeds[0]
            .receipts
            .len()
            == 1
    );
}

#[test]
fn who_is_affected_is_answered_for_adapters_and_entitlements() {
    let server = Server::start();
    let ops = server.client("ops");
    let grant = server.client("desk").subscribe(&wish(7000)).unwrap();
    let by_adapter = ops
        .affected(&AffectedBy::Adapter("itch.backup".parse().unwrap()))
        .unwrap();
    assert_eq!(by_adapter.subscriptions[0].subscription, grant.subscription);
    assert_eq!(by_adapter.subscriptions[0].legs, [LegIndex::BACKUP]);
    let entitlement = |principal: &str| AffectedBy::Entitlement {
        principal: principal.to_owned(),
        feed: feed(),
    };
    assert_eq!(
        ops.affected(&entitlement("desk")).unwrap().subscriptions[0]
            .legs
            .len(),
        2
    );
    assert!(
        ops.affected(&entitlement("stranger"))
            .unwrap()
            .subscriptions
            .is_empty()
    );
}

#[test]
fn an_oversize_body_and_a_typing_error_are_refused() {
    let server = Server::with(
        &config("[limits]\nrequest_bytes = 400\n"),
        MemoryStore::default(),
    );
    let mut request = wish(7000);
    request.application = "x".repeat(500);
    let refused = server.client("desk").subscribe(&request).unwrap_err();
    assert!(
        refused.to_string().contains("limits.request_bytes = 400"),
        "{refused}"
    );
    let body = "{\"feed\":\"itch\",\"applikation\":\"x\"}";
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v1/subscriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer desk-token\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("applikation"),
        "{answer}"
    );
}

#[test]
fn pages_are_served_and_status_is_guarded() {
    let server = Server::with(
        &config("status_access = \"token\"\n"),
        MemoryStore::default(),
    );
    assert_eq!(raw(&server, "/livez", &[]), (200, "ok\n".to_owned()));
    assert_eq!(raw(&server, "/readyz", &[]), (200, "ready\n".to_owned()));
    assert!(raw(&server, "/", &[]).1.contains("<!doctype html>"));
    assert_eq!(
        raw(&server, "/openapi.json", &[]).1,
        twinfeed_stream_admin::api::OPENAPI
    );
    for path in ["/status.json", "/metrics"] {
        assert_eq!(raw(&server, path, &[]).0, 401, "{path}");
        assert_eq!(
            raw(&server, path, &[("authorization", "Bearer desk-token")]).0,
            403,
            "{path}"
        );
        assert_eq!(
            raw(&server, path, &[("authorization", "Bearer ops-token")]).0,
            200,
            "{path}"
        );
    }
    let (status, body) = raw(&server, "/nowhere", &[]);
    assert!(status == 404 && body.contains("unknown-path"), "{body}");
}

#[test]
fn a_page_elsewhere_cannot_read_a_loopback_status_under_its_own_name() {
    let server = Server::start();
    assert_eq!(raw(&server, "/status.json", &[]).0, 200);
    assert_eq!(
        raw(&server, "/status.json", &[("host", "evil.example:7400")]).0,
        401
    );
}

#[test]
fn wrong_tokens_are_limited_and_right_ones_pass() {
    let config = config("[limits]\nauth_failures_per_minute = 2\n");
    let server = Server::with(&config, MemoryStore::default());
    let wrong = server.client_with("wrong");
    // A minute may turn once in between, so up to twice the limit is answered.
    let refusals: Vec<_> = (0..6)
        .map(|_| wrong.subscribe(&wish(7000)).unwrap_err())
        .collect();
    assert!(matches!(refusals[0], Error::Unauthenticated { .. }));
    assert!(
        refusals
            .iter()
            .any(|refused| matches!(refused, Error::LimitReached { .. }))
    );
    server.client("desk").subscribe(&wish(7000)).unwrap();
}

#[test]
fn an_unreachable_server_is_named() {
    let server = Server::start();
    let (client, address) = (server.client("desk"), server.address);
    drop(server);
    let error = client.status().unwrap_err();
    assert!(error.is_worth_retrying() && error.to_string().contains(&address.to_string()));
    assert_eq!(error.exit_code(), 69);
}
