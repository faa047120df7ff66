//! A feed's constraints change while its records flow.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use support::{Broker, Diary, LegDouble, broker, builder, legs, open, poll_until};
use twinfeed_protocol::sequencer::LONGEST_PART;
use twinfeed_subscriber::Event;

#[test]
fn a_constraint_that_changes_takes_effect_or_is_told_by_name() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut legs = legs(&broker);
    legs.iter_mut().for_each(LegDouble::begin);
    let monitor = control.monitor();
    // 150 records make a datagram of more than 1,472 bytes.
    legs[0].send(1..151);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().received[0].too_long == 1
    });
    broker.change(|state| {
        state.grant.constraints.max_datagram = 9_000;
        state.grant.constraints.missed_heartbeats = 7;
    });
    let kept = |event: &Event| matches!(event, Event::ConstraintKept { .. });
    poll_until(&mut poller, &mut diary, |_, diary| diary.count(kept) > 0);
    legs[1].send(1..151);
    poll_until(&mut poller, &mut diary, |_, diary| {
        diary.records.len() == 150
    });
    let name = "missed_heartbeats";
    assert!(diary.events.contains(&Event::ConstraintKept { name }));
    assert_eq!(diary.count(kept), 1);
    poll_until(&mut poller, &mut diary, |_, _| monitor.trouble().is_some());
    let trouble = monitor.trouble().unwrap();
    assert!(
        trouble.contains("`missed_heartbeats`: 7, 3 in force"),
        "{trouble}"
    );
    broker.change(|state| state.grant.constraints.missed_heartbeats = 3);
    poll_until(&mut poller, &mut diary, |_, _| monitor.trouble().is_none());
    control.stop().unwrap();
}

/// What waits is kept record by record, and a record is no longer for a longer datagram.
#[test]
fn under_a_longer_max_datagram_whole_long_datagrams_wait_for_a_hole() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let mut legs = legs(&broker);
    let monitor = control.monitor();
    // Seven of the longest parts make 7,568 bytes.
    legs[0].send_bodies(1..8, LONGEST_PART);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().received[0].too_long == 1
    });
    broker.change(|state| {
        state.grant.constraints.max_datagram = 9_000;
        // Told once the grant is in force.
        state.grant.constraints.missed_heartbeats = 7;
    });
    let kept = |event: &Event| matches!(event, Event::ConstraintKept { .. });
    poll_until(&mut poller, &mut diary, |_, diary| diary.count(kept) > 0);
    legs[0].send_bodies(2..9, LONGEST_PART);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().arbiter.held == 7
    });
    assert!(diary.records.is_empty());
    legs[1].send(1..2);
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 8);
    assert_eq!(diary.records, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(diary.gaps().is_empty());
    assert_eq!(monitor.snapshot().arbiter.hold_overflow, 0);
    control.stop().unwrap();
}
