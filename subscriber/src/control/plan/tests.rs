//! Is a plan the difference to the grant, whole and no more?

use twinfeed_control::{AdapterId, LegIndex, LegState, Transport};

use std::time::Duration;

use super::*;
use crate::builder::SLOT;
use crate::receive::{Senders, SocketKey};
use crate::testing;
use crate::tuning::Tuning;

fn means<'a>(settings: &'a SocketSettings, unicast: &'a mut [Option<LegSocket>; 2]) -> Means<'a> {
    Means {
        limits: Limits::default(),
        sockets: settings,
        unicast,
        resume: &[],
        // One that is never there is as good as another.
        fills: Box::leak(Box::new(None)),
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
fn whom_to_ask_for_fills_is_told_when_it_changes_and_the_socket_goes_over_once() {
    let settings = testing::socket_settings();
    let mut unicast = bound(&settings);
    let local = "127.0.0.1:0".parse().unwrap();
    let mut fills = Some(FillSocket::open(local, &settings).unwrap());
    let mut grant = testing::grant();
    let server = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    grant.legs[1].fills = server(7);
    let first = Means {
        fills: &mut fills,
        ..means(&settings, &mut unicast)
    };
    let (ledger, plan) = Ledger::default().plan(&grant, first).unwrap();
    assert!(plan.fills.is_some() && fills.is_none());
    assert_eq!(plan.fill_servers, Some([None, server(7)]));
    let (ledger, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    grant.legs[0].fills = server(8);
    let (_, plan) = ledger.plan(&grant, means(&settings, &mut unicast)).unwrap();
    assert_eq!(plan.fill_servers, Some([server(8), server(7)]));
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
    let plan = |ledger: &Ledger, unicast: &mut [Option<LegSocket>; 2], change: fn(&mut Limits)| {
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
