//! Two legs, and a stream-admin that grants, changes its mind, dies and comes back.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use support::{Broker, Diary, LegDouble, broker, builder, legs, look_until, open, poll_until};
use twinfeed_control::{
    GrantedLeg, LegIndex, LegState, ProblemCode, Role, SubscriptionState, Transport,
};
use twinfeed_subscriber::{
    Administration, Builder, CloseReason, DataPoller, Error, Event, Leg, Secret, StopFlag,
};

fn closed(reason: CloseReason) -> Event {
    Event::Closed { reason }
}

#[test]
fn both_legs_are_confirmed_once_they_were_heard() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let patient = builder(&broker).confirm_within(std::time::Duration::from_secs(60));
    let (mut poller, control) = open(&broker, patient, &mut diary);
    let _legs = legs(&broker);
    let monitor = control.monitor();
    poll_until(&mut poller, &mut diary, |_, _| {
        Leg::BOTH
            .into_iter()
            .all(|leg| monitor.snapshot().is_heard(leg))
    });
    broker.wait_until(|state| {
        let last = state.confirms.last();
        last.is_some_and(|said| said.heard == LegIndex::BOTH && said.silent.is_empty())
    });
    assert!(monitor.unready().is_none());
    control.stop().unwrap();
    assert!(
        broker.change(|state| state.deleted),
        "the subscription was given back"
    );
}

#[test]
fn a_leg_that_stays_silent_is_reported_and_confirmed_when_it_speaks() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let impatient = builder(&broker).confirm_within(std::time::Duration::from_millis(1));
    let (mut poller, control) = open(&broker, impatient, &mut diary);
    let to = broker.change(|state| state.destinations.unwrap());
    LegDouble::new(0, to[0]).begin();
    let monitor = control.monitor();
    let silent = |administration: &Administration, legs: &[Leg]| matches!(administration, Administration::Granted { silent, .. } if silent == legs);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().is_heard(Leg::Zero) && silent(&monitor.administration(), &[Leg::One])
    });
    broker.wait_until(|state| {
        let last = state.confirms.last();
        last.is_some_and(|said| {
            said.heard == [LegIndex::ACTIVE] && said.silent == [LegIndex::BACKUP]
        })
    });
    LegDouble::new(1, to[1]).begin();
    poll_until(&mut poller, &mut diary, |_, _| {
        silent(&monitor.administration(), &[])
    });
    broker.wait_until(|state| state.confirms.last().unwrap().heard == LegIndex::BOTH);
}

#[test]
fn a_leg_that_is_announced_later_joins_in() {
    let full = broker::grant();
    let mut half = full.clone();
    half.legs[1] = GrantedLeg {
        streams: Vec::new(),
        role: None,
        state: LegState::Pending,
        ..half.legs[1].clone()
    };
    let broker = Broker::start(half);
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut legs = legs(&broker);
    legs[0].send(1..3);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 2);
    broker.change(|state| state.grant.legs = full.legs);
    poll_until(&mut poller, &mut diary, |poller, _| {
        poller.sockets().count() == 2
    });
    // Only the late leg has the rest.
    legs[1].begin();
    legs[1].send(1..3);
    legs[1].send(3..6);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 5);
    assert_eq!(diary.records, [1, 2, 3, 4, 5]);
    assert!(diary.gaps().is_empty());
    control.stop().unwrap();
}

#[test]
fn a_withdrawn_subscription_is_closed_once_and_stays_closed() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut legs = legs(&broker);
    legs[0].send(1..3);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 2);
    broker.change(|state| {
        state.grant.legs.clear();
        state.grant.access = SubscriptionState::Closed {
            reason: "entitlement revoked".to_owned(),
        };
    });
    poll_until(&mut poller, &mut diary, |poller, _| poller.is_closed());
    legs[1].send(3..6);
    for _ in 0..10 {
        assert_eq!(poller.poll(256, &mut diary), 0);
    }
    assert_eq!(diary.events.last(), Some(&closed(CloseReason::Revoked)));
    assert_eq!(
        diary.count(|event| matches!(event, Event::Closed { .. })),
        1
    );
    assert_eq!(diary.records, [1, 2]);
    let monitor = control.monitor();
    control.join().unwrap();
    let Administration::Closed { reason } = monitor.administration() else {
        panic!("{:?}", monitor.administration());
    };
    assert_eq!(reason, "entitlement revoked");
}

#[test]
fn data_go_on_while_stream_admin_is_dead_and_receipts_reach_it_afterwards() {
    let first = Broker::start(broker::grant());
    let address = first.address();
    let mut diary = Diary::default();
    let (mut poller, control) = open(&first, builder(&first), &mut diary);
    let mut legs = legs(&first);
    legs.iter_mut().for_each(|leg| leg.send(1..3));
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 2);
    drop(first);
    let monitor = control.monitor();
    look_until("the outage is noticed", || {
        matches!(monitor.administration(), Administration::Away { .. })
    });
    // A switch in the dark: leg 0 owed heartbeats every millisecond and falls silent.
    legs[0].beat_with(3, Default::default(), 1_000);
    poll_until(&mut poller, &mut diary, |_, diary| {
        diary.count(|event| matches!(event, Event::Switched(_))) > 0
    });
    legs[1].send(3..6);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 5);
    assert_eq!(diary.records, [1, 2, 3, 4, 5]);
    let second = Broker::start_at(address, broker::grant());
    second.wait_until(|state| state.receipts.len() == 1 && !state.statuses.is_empty());
    look_until("it is granted again", || {
        matches!(monitor.administration(), Administration::Granted { .. })
    });
    control.stop().unwrap();
}

#[test]
fn a_subscription_that_stream_admin_forgot_is_made_again_with_the_same_addresses() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut legs = legs(&broker);
    let before = broker.change(|state| state.destinations.take());
    broker.change(|state| state.forget = true);
    broker.wait_until(|state| state.subscriptions == 2);
    broker.change(|state| state.forget = false);
    assert_eq!(broker.change(|state| state.destinations), before);
    legs[0].send(1..3);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 2);
    assert_eq!(
        diary.count(|event| matches!(event, Event::Closed { .. })),
        0
    );
    control.stop().unwrap();
}

#[test]
fn a_refusal_of_what_is_in_force_is_trouble_until_it_is_mended() {
    for code in [
        ProblemCode::Unauthenticated,
        ProblemCode::UnknownFeed,
        ProblemCode::Conflict,
        ProblemCode::BadRequest,
    ] {
        let broker = Broker::start(broker::grant());
        let mut diary = Diary::default();
        let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
        let mut legs = legs(&broker);
        let monitor = control.monitor();
        let word = format!("refused: {code:?}");
        let shown = || monitor.trouble().is_some_and(|text| text.contains(&word));
        // First what names the subscription is refused, then stream-admin forgets it and refuses another.
        broker.change(|state| state.refuse_named = Some(code));
        look_until("the refusal is shown", shown);
        broker.change(|state| {
            state.refuse = Some(code);
            state.forget = true;
        });
        look_until("it stands without a subscription", || {
            matches!(monitor.administration(), Administration::Unverified { .. })
        });
        assert!(shown(), "{:?}", monitor.trouble());
        legs[0].send(1..4);
        poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 3);
        broker.change(|state| {
            (state.refuse, state.refuse_named, state.forget) = (None, None, false);
        });
        look_until("it is mended", || {
            monitor.trouble().is_none()
                && matches!(monitor.administration(), Administration::Granted { .. })
        });
        assert_eq!(
            diary.count(|event| matches!(event, Event::Closed { .. })),
            0
        );
        control.stop().unwrap();
    }
}

#[test]
fn a_withdrawal_told_by_a_refusal_closes() {
    for again in [false, true] {
        let broker = Broker::start(broker::grant());
        let mut diary = Diary::default();
        let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
        broker.change(|state| match again {
            false => state.refuse_named = Some(ProblemCode::NotEntitled),
            true => {
                state.refuse = Some(ProblemCode::NotEntitled);
                state.forget = true;
            }
        });
        poll_until(&mut poller, &mut diary, |poller, _| poller.is_closed());
        assert_eq!(diary.events.last(), Some(&closed(CloseReason::Revoked)));
        control.join().unwrap();
    }
}

#[test]
fn a_refusal_is_an_error_with_its_reason_and_closes_the_poller() {
    for (code, exit_code) in [
        (ProblemCode::Unauthenticated, 77),
        (ProblemCode::NotEntitled, 77),
        (ProblemCode::UnknownFeed, 78),
        (ProblemCode::BadRequest, 1),
    ] {
        let broker = Broker::start(broker::grant());
        broker.change(|state| state.refuse = Some(code));
        let (mut poller, control) = builder(&broker).open().unwrap();
        let error = control.run(&StopFlag::new()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("refused: {code:?}")),
            "{error}"
        );
        assert_eq!(error.exit_code(), exit_code, "{error}");
        let mut diary = Diary::default();
        poll_until(&mut poller, &mut diary, |poller, _| poller.is_closed());
        assert_eq!(diary.events, [closed(CloseReason::Refused)]);
    }
}

#[test]
fn without_waiting_an_absent_stream_admin_is_an_error_that_names_it() {
    let (_poller, mut control) = absent().no_wait(true).open().unwrap();
    let error = control.subscribe(&StopFlag::new()).unwrap_err();
    assert_eq!(error.exit_code(), 69);
    assert!(matches!(error, Error::Administration(_)));
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
}

#[test]
fn a_restart_while_stream_admin_is_away_resumes_the_last_grant_unverified() {
    let state = tempfile::tempdir().unwrap();
    let mut diary = Diary::default();
    let broker = Broker::start(broker::grant());
    let before = {
        let kept = builder(&broker).state_dir(state.path());
        let (poller, control) = open(&broker, kept, &mut diary);
        drop(poller);
        control.join().unwrap();
        broker.change(|state| state.destinations.unwrap())
    };
    let address = broker.address();
    drop(broker);
    let url = format!("http://{address}");
    let again = Builder::new(url, "itch".parse().unwrap())
        .token(Secret::new("token").unwrap())
        .state_dir(state.path());
    let (mut poller, control) = again.open().unwrap();
    assert_eq!(control.destinations(), before, "adapters still send there");
    let control = control.spawn().unwrap();
    let mut leg = LegDouble::new(1, before[1]);
    leg.begin();
    leg.send(1..4);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 3);
    let monitor = control.monitor();
    assert!(matches!(
        monitor.administration(),
        Administration::Unverified { .. }
    ));
    let _broker = Broker::start_at(address, broker::grant());
    look_until("it is verified once stream-admin answers", || {
        matches!(monitor.administration(), Administration::Granted { .. })
    });
    leg.send(4..6);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 5);
    control.stop().unwrap();
}

#[test]
fn a_withdrawn_grant_is_never_resumed() {
    let state = tempfile::tempdir().unwrap();
    let mut diary = Diary::default();
    let broker = Broker::start(broker::grant());
    let kept = builder(&broker).state_dir(state.path());
    let (mut poller, control) = open(&broker, kept, &mut diary);
    broker.change(|state| {
        let reason = "revoked".to_owned();
        state.grant.access = SubscriptionState::Closed { reason };
    });
    poll_until(&mut poller, &mut diary, |poller, _| poller.is_closed());
    control.join().unwrap();
    let kept = absent().state_dir(state.path()).no_wait(true);
    let (_poller, mut control) = kept.open().unwrap();
    assert!(control.subscribe(&StopFlag::new()).is_err());
}

#[test]
fn dropping_the_poller_gives_the_subscription_back() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (poller, control) = open(&broker, builder(&broker), &mut diary);
    drop(poller);
    control.join().unwrap();
    assert!(broker.change(|state| state.deleted));
}

#[test]
fn two_groups_on_one_port_never_mix() {
    let port = free_port();
    let groups = [
        format!("239.192.77.1:{port}"),
        format!("239.192.77.2:{port}"),
    ];
    let mut grant = broker::grant();
    for (leg, group) in grant.legs.iter_mut().zip(&groups) {
        leg.streams[0].transport = Transport::Multicast {
            group: group.parse().unwrap(),
            source: None,
            interface: None,
        };
    }
    let broker = Broker::start(grant);
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut group = MulticastLeg::new(0, &groups[0]);
    group.send(1..4);
    let monitor = control.monitor();
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 3);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().received[0].datagrams == 5
    });
    assert_eq!(monitor.snapshot().received[1].datagrams, 0);
    broker.change(|state| {
        state.grant.legs[0].role = Some(Role::Backup);
        state.grant.legs[1].role = Some(Role::Active);
        state.grant.generation.0 += 1;
    });
    look_until("the new generation is seen", || {
        let seen = monitor.administration();
        matches!(seen, Administration::Granted { generation, .. } if generation.0 == 2)
    });
    control.stop().unwrap();
}

/// A leg double whose datagrams go to a group on the loopback interface.
struct MulticastLeg {
    leg: LegDouble,
    relay: std::net::UdpSocket,
    sender: twinfeed_net::udp::Sender,
    destinations: twinfeed_net::udp::Destinations,
}

impl MulticastLeg {
    fn new(index: u32, group: &str) -> Self {
        use twinfeed_net::udp::{DestinationKey, Sender, SenderConfig};
        let relay = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let config = SenderConfig::new(local).interface("lo".parse().unwrap());
        let sender = Sender::open(&config).unwrap();
        let mut destinations = sender.destinations(1).unwrap();
        destinations
            .insert(DestinationKey(1), group.parse().unwrap())
            .unwrap();
        let mut leg = Self {
            leg: LegDouble::new(index, relay.local_addr().unwrap()),
            relay,
            sender,
            destinations,
        };
        leg.leg.begin();
        leg.forward(4);
        leg
    }

    fn send(&mut self, numbers: std::ops::Range<u64>) {
        self.leg.send(numbers);
        self.forward(1);
    }

    fn forward(&mut self, count: usize) {
        let mut buffer = [0; 2_048];
        for _ in 0..count {
            let length = self.relay.recv(&mut buffer).unwrap();
            let datagrams: [&[u8]; 1] = [&buffer[..length]];
            let sent = self.sender.send(&datagrams[..], &mut self.destinations);
            assert_eq!(sent.taken, 1);
        }
    }
}

fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A stream-admin that nobody started: nothing listens on port 1.
fn absent() -> Builder {
    Builder::new("http://127.0.0.1:1", "itch".parse().unwrap()).token(Secret::new("t").unwrap())
}

#[test]
fn polling_without_a_grant_is_no_work_and_no_harm() {
    let (poller, _control) = absent().open().unwrap();
    let mut poller: DataPoller = poller;
    let mut diary = Diary::default();
    assert_eq!(poller.poll(256, &mut diary), 0);
    assert_eq!(poller.next_deadline(), None);
    assert_eq!(poller.sockets().count(), 0);
}
