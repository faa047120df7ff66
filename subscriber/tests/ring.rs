//! Legs of this host: are they read from shared memory, and what becomes of them when that is no good?

#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::sync::atomic::Ordering;

use support::ring::{Offer, offer};
use support::{Broker, Diary, LegDouble, broker, builder, legs, look_until, open, poll_until};
use twinfeed_control::{Grant, Incarnation, LegIndex};
use twinfeed_net::ring::RingWriter;
use twinfeed_subscriber::{
    Builder, ControlThread, DataPoller, Event, GapCause, Idle, LegReceived, RingState, SlowPolicy,
    Tuning,
};

/// A subscriber with both legs begun; leg 0's adapter has a ring.
struct Scene {
    broker: Broker,
    poller: DataPoller,
    control: ControlThread,
    legs: [LegDouble; 2],
    offer: Offer,
    diary: Diary,
}

/// The life of leg 0's double.
const LIFE: u64 = 100;

fn granting(offer: &Offer) -> Grant {
    let mut grant = broker::grant();
    grant.legs[0].incarnation = Some(Incarnation(LIFE));
    grant.legs[0].ring = Some(offer.offered.clone());
    grant
}

fn spinning(broker: &Broker) -> Builder {
    builder(broker).idle(Idle::Spin)
}

/// `slots` of the ring.
fn scene(slots: usize) -> Scene {
    scene_with(slots, |_| {}, |builder| builder)
}

fn scene_with(
    slots: usize,
    change: impl FnOnce(&mut Grant),
    wish: impl FnOnce(Builder) -> Builder,
) -> Scene {
    scene_of(offer(LIFE, slots, true), change, wish)
}

fn scene_of(
    (ring, offer): (RingWriter, Offer),
    change: impl FnOnce(&mut Grant),
    wish: impl FnOnce(Builder) -> Builder,
) -> Scene {
    let mut grant = granting(&offer);
    change(&mut grant);
    let broker = Broker::start(grant);
    let mut diary = Diary::default();
    let (poller, control) = open(&broker, wish(spinning(&broker)), &mut diary);
    let mut legs = legs(&broker);
    legs[0].ring = Some(ring);
    Scene {
        broker,
        poller,
        control,
        legs,
        offer,
        diary,
    }
}

impl Scene {
    fn received(&self) -> [LegReceived; 2] {
        self.control.monitor().snapshot().received
    }

    fn poll_until(&mut self, done: impl Fn(&DataPoller, &Diary) -> bool) {
        poll_until(&mut self.poller, &mut self.diary, done);
    }

    fn until_delivered(&mut self, count: usize) {
        self.poll_until(|_, diary| diary.records.len() >= count);
    }

    /// Until leg 0 stands so.
    fn until(&mut self, state: RingState) {
        let monitor = self.control.monitor();
        self.poll_until(|_, _| monitor.snapshot().received[0].ring == state);
    }

    /// The numbers from `first` on, one to a datagram, until leg 0 is read from its ring; the number behind the last.
    fn until_reading(&mut self, first: u64) -> u64 {
        let monitor = self.control.monitor();
        // What was sent before may be the first that its reader has.
        self.poll_until(|_, _| monitor.snapshot().received[0].ring != RingState::Absent);
        self.legs[0].send(first..first + 1);
        // A ring may have fallen silent before anybody looks.
        let read = |state| matches!(state, RingState::Reading | RingState::Quiet);
        self.poll_until(|_, _| read(monitor.snapshot().received[0].ring));
        first + 1
    }

    /// Everything was told in order and once.
    fn kept(self, last: u64) {
        assert_eq!(self.diary.records, (1..=last).collect::<Vec<_>>());
        assert_eq!(self.diary.gaps(), []);
        self.control.stop().unwrap();
    }
}

#[test]
fn a_leg_goes_over_to_its_ring_and_nothing_comes_twice_or_not_at_all() {
    let mut scene = scene(64);
    // Before the ring is joined, as far as the poller knows.
    scene.legs[0].send(1..3);
    scene.until_delivered(2);
    let next = scene.until_reading(3);
    // The network brings no more: what comes now is the ring's.
    scene.legs[0].cut = true;
    for number in next..200 {
        scene.legs[0].send(number..number + 1);
        scene.until_delivered(number as usize);
    }
    let monitor = scene.control.monitor();
    scene.poll_until(|_, _| monitor.snapshot().received[0].ring_datagrams >= 196);
    let snapshot = monitor.snapshot();
    assert!((196..=199).contains(&snapshot.received[0].ring_datagrams));
    assert_eq!(snapshot.received[0].ring_lost, 0);
    assert_eq!(snapshot.arbiter.local_drops, 0, "copies are no drops");
    assert_eq!(snapshot.received[1].ring, RingState::Absent);
    assert!(
        monitor
            .metrics_text()
            .contains("twinfeed_leg_ring_state{feed=\"itch\",leg=\"0\",state=\"reading\"} 1")
    );
    scene.kept(199);
}

#[test]
fn a_ring_whose_first_the_network_has_lost_is_met_at_the_next_one() {
    for heartbeat_us in [10_000, 60_000_000] {
        let mut scene = scene_with(
            64,
            |grant| grant.constraints.heartbeat_us = heartbeat_us,
            |it| it,
        );
        scene.until(RingState::Joined);
        scene.legs[0].cut = true;
        scene.legs[0].send(1..2);
        scene.legs[0].cut = false;
        // Waited for in vain, or overtaken by a later one.
        if heartbeat_us == 10_000 {
            let begun = std::time::Instant::now();
            scene.poll_until(|_, _| begun.elapsed().as_millis() > 40);
        }
        scene.legs[0].send(2..3);
        scene.legs[1].send(1..3);
        let monitor = scene.control.monitor();
        let read = |state| matches!(state, RingState::Reading | RingState::Quiet);
        scene.poll_until(|_, _| read(monitor.snapshot().received[0].ring));
        scene.legs[0].cut = true;
        scene.legs[0].send(3..4);
        scene.until_delivered(3);
        scene.kept(3);
    }
}

#[test]
fn a_ring_that_falls_silent_does_not_hide_what_another_life_sends() {
    let mut scene = scene_with(64, |grant| grant.constraints.heartbeat_us = 10_000, |it| it);
    let next = scene.until_reading(1);
    // Killed: nothing more comes, and nothing says so. stream-admin is gone as well, and knows of no other life.
    let ring = scene.legs[0].ring.take();
    scene.legs[0].live_again(LIFE + 1);
    scene.legs[0].begin();
    scene.legs[0].send(next..next + 3);
    scene.until(RingState::Quiet);
    scene.until_delivered(next as usize + 2);
    // Should the one that was killed speak after all, it has been outlived, and its ring is left.
    scene.legs[0].live_again(LIFE);
    scene.legs[0].ring = ring;
    scene.legs[0].cut = true;
    scene.legs[0].send(next + 3..next + 4);
    scene.until(RingState::Left);
    scene.legs[1].send(1..next + 5);
    scene.until_delivered(next as usize + 4);
    scene.kept(next + 4);
}

#[test]
fn a_ring_that_is_silent_for_a_while_goes_on() {
    let mut scene = scene_with(64, |grant| grant.constraints.heartbeat_us = 10_000, |it| it);
    let next = scene.until_reading(1);
    scene.until(RingState::Quiet);
    scene.legs[0].cut = true;
    scene.legs[0].send(next..next + 1);
    scene.until_delivered(next as usize);
    let monitor = scene.control.monitor();
    scene.poll_until(|_, _| monitor.snapshot().received[0].ring_datagrams == 1);
    scene.kept(next);
}

#[test]
fn copies_that_nobody_wanted_are_no_drops_and_leave_room_for_another_life() {
    let heartbeat = |grant: &mut Grant| grant.constraints.heartbeat_us = 10_000;
    // A socket that holds some ten datagrams.
    let mut scene = scene_with(1_024, heartbeat, |it| it.receive_buffer(16_384));
    let mut next = scene.until_reading(1);
    for _ in 0..40 {
        for number in next..next + 50 {
            scene.legs[0].send(number..number + 1);
        }
        next += 50;
        scene.until_delivered(next as usize - 1);
    }
    // It dies, and starts again; stream-admin knows of nothing.
    scene.legs[0].ring = None;
    scene.legs[0].live_again(LIFE + 1);
    scene.legs[0].begin();
    scene.legs[0].send(next..next + 3);
    scene.until_delivered(next as usize + 2);
    let monitor = scene.control.monitor();
    scene.poll_until(|_, _| monitor.snapshot().received[0].ring_copies > 1_900);
    let snapshot = monitor.snapshot();
    assert_eq!(snapshot.arbiter.local_drops, 0);
    assert_eq!(snapshot.kernel_drops(), 0);
    scene.kept(next + 2);
}

#[test]
fn who_was_lapped_is_told_a_gap_of_this_host_s() {
    let mut scene = scene(64);
    let next = scene.until_reading(1);
    for number in next..next + 300 {
        scene.legs[0].send(number..number + 1);
    }
    // The other leg has never had it either.
    scene.legs[1].beat_with(next + 300, Default::default(), 60_000_000);
    scene.poll_until(|_, diary| diary.records.last() == Some(&(next + 299)));
    scene.poll_until(|_, diary| !diary.gaps().is_empty());
    let gaps = scene.diary.gaps();
    let [
        Event::Gap {
            from, until, cause, ..
        },
    ] = &gaps[..]
    else {
        panic!("{gaps:?}");
    };
    assert_eq!(*cause, GapCause::ReceiverOverrun);
    let lost = from.sseq..until.sseq;
    let whole: Vec<u64> = (1..next + 300).filter(|it| !lost.contains(it)).collect();
    assert_eq!(scene.diary.records, whole);
    let monitor = scene.control.monitor();
    scene.poll_until(|_, _| monitor.snapshot().received[0].ring_lost > 0);
    assert_eq!(scene.received()[0].ring_lost, lost.count() as u64);
    scene.control.stop().unwrap();
}

#[test]
fn what_waits_in_a_ring_is_left_out_of_an_application_that_is_too_slow() {
    let time = std::time::Duration::from_millis(400);
    let slow = Tuning {
        slow: SlowPolicy::Skip,
        slow_time: Some(time),
        ..Tuning::default()
    };
    let mut scene = scene_with(1_024, |_| {}, |builder| builder.tuning(slow));
    let next = scene.until_reading(1);
    // A busy host may have kept it from polling before.
    let is_slow = |event: &Event| matches!(event, Event::Slow { .. });
    let monitor = scene.control.monitor();
    let told = scene.diary.count(is_slow);
    let skipped = monitor.snapshot().pace.skipped_datagrams;
    for number in next..next + 500 {
        scene.legs[0].send(number..number + 1);
    }
    // It does not poll for longer than it may.
    let begun = std::time::Instant::now();
    look_until("time passes", || begun.elapsed() > time * 5 / 4);
    scene.poll_until(|_, diary| diary.count(is_slow) > told);
    scene.legs[0].send(next + 500..next + 501);
    scene.poll_until(|_, diary| diary.records.last() == Some(&(next + 500)));
    scene.poll_until(|_, _| monitor.snapshot().pace.skipped_datagrams > skipped);
    assert_eq!(
        monitor.snapshot().pace.skipped_datagrams - skipped,
        500,
        "copies in sockets that nobody reads are none that waited"
    );
    scene.control.stop().unwrap();
}

#[test]
fn a_ring_takes_what_the_sockets_take_where_the_feed_s_limit_was_lowered_since() {
    let mut scene = scene_with(64, |grant| grant.legs[0].ring = None, |it| it);
    let offered = scene.offer.offered.clone();
    // Adapters send as they were configured.
    scene.broker.change(|state| {
        state.grant.constraints.max_datagram = 1_200;
        state.grant.legs[0].ring = Some(offered);
    });
    let next = scene.until_reading(1);
    scene.legs[0].cut = true;
    scene.legs[0].send_bodies(next..next + 1, 1_300);
    scene.until_delivered(next as usize);
    scene.kept(next);
}

#[test]
fn another_life_has_another_ring() {
    let mut scene = scene(64);
    let next = scene.until_reading(1);
    let (ring, second) = offer(LIFE + 1, 64, true);
    scene.legs[0].ring = Some(ring);
    scene.legs[0].live_again(LIFE + 1);
    scene.broker.change(|state| {
        state.grant.legs[0].incarnation = Some(Incarnation(LIFE + 1));
        state.grant.legs[0].ring = Some(second.offered.clone());
    });
    scene.poll_until(|_, _| second.asked.load(Ordering::Relaxed) == 1);
    scene.until(RingState::Joined);
    scene.legs[0].begin();
    let next = scene.until_reading(next);
    scene.legs[0].cut = true;
    scene.legs[0].send(next..next + 1);
    scene.until_delivered(next as usize);
    // An adapter that has none is read from the sockets again.
    scene.broker.change(|state| {
        state.grant.legs[0].incarnation = Some(Incarnation(LIFE + 2));
        state.grant.legs[0].ring = None;
    });
    scene.until(RingState::Absent);
    scene.legs[0].ring = None;
    scene.legs[0].cut = false;
    scene.legs[0].live_again(LIFE + 2);
    scene.legs[0].begin();
    scene.legs[0].send(next + 1..next + 2);
    scene.until_delivered(next as usize + 1);
    scene.kept(next + 1);
}

#[test]
fn of_a_ring_only_the_source_streams_that_are_wanted_are_read() {
    use twinfeed_subscriber::wire::Sid;

    let mut scene = scene_with(64, |_| {}, |builder| builder.sids([Sid(1)]));
    let ring = scene.legs[0].ring.take();
    let mut other = LegDouble::new(0, scene.legs[0].to()).of_source(2);
    // What begins the ring is another source stream's.
    scene.until(RingState::Joined);
    other.cut = true;
    other.ring = ring;
    other.send(1..2);
    scene.legs[0].ring = other.ring.take();
    scene.legs[0].send(1..2);
    scene.until(RingState::Reading);
    for number in 2..10 {
        other.ring = scene.legs[0].ring.take();
        other.send(number..number + 1);
        scene.legs[0].ring = other.ring.take();
        scene.legs[0].send(number..number + 1);
    }
    scene.until_delivered(9);
    let monitor = scene.control.monitor();
    assert_eq!(monitor.snapshot().arbiter.unknown_sid, 0);
    scene.kept(9);
}

/// A leg is read from its sockets, and people are told why, if it is worth a word.
fn by_sockets(
    change: impl FnOnce(&mut Grant),
    wish: impl FnOnce(Builder) -> Builder,
    admit: bool,
    trouble: &str,
) {
    let mut scene = scene_of(offer(LIFE, 64, admit), change, wish);
    for number in 1..20 {
        scene.legs[0].send(number..number + 1);
    }
    scene.until_delivered(19);
    scene.broker.wait_until(|state| !state.confirms.is_empty());
    let monitor = scene.control.monitor();
    look_until(trouble, || {
        let told = monitor.trouble().unwrap_or_default();
        told.contains(trouble) && told.is_empty() == trouble.is_empty()
    });
    assert_eq!(monitor.snapshot().received[0].ring, RingState::Absent);
    let asked = scene.offer.asked.load(Ordering::Relaxed);
    assert_eq!(
        asked > 0,
        !admit,
        "who has no right to it is told when it asks"
    );
    scene.kept(19);
}

#[test]
fn a_ring_that_is_refused_costs_nothing() {
    by_sockets(|_| {}, |it| it, false, "refuses this user its ring");
}

#[test]
fn a_ring_of_another_host_is_not_asked_for() {
    let elsewhere = |grant: &mut Grant| {
        let ring = grant.legs[0].ring.as_mut().unwrap();
        ring.host = "another".to_owned();
    };
    by_sockets(elsewhere, |it| it, true, "");
}

#[test]
fn who_sleeps_until_something_comes_or_wants_no_ring_is_served_by_the_network() {
    by_sockets(|_| {}, |it| it.ring(false), true, "");
    by_sockets(|_| {}, |it| it.idle(Idle::default()), true, "");
}

#[test]
fn a_ring_where_nobody_offers_one_is_named() {
    let gone = |grant: &mut Grant| {
        let ring = grant.legs[0].ring.as_mut().unwrap();
        ring.name = "@twinfeed-test/nobody".to_owned();
    };
    by_sockets(gone, |it| it, true, "the ring of leg 0");
}

#[test]
fn a_ring_of_another_life_than_the_granted_one_is_not_read() {
    let (_ring, offer) = offer(LIFE + 5, 64, true);
    let broker = Broker::start(granting(&offer));
    let mut diary = Diary::default();
    let (_poller, control) = open(&broker, spinning(&broker), &mut diary);
    let monitor = control.monitor();
    look_until("another life", || {
        monitor
            .trouble()
            .is_some_and(|it| it.contains("another life"))
    });
    assert_eq!(
        broker.change(|state| state.grant.legs[0].leg),
        LegIndex::ACTIVE
    );
    control.stop().unwrap();
}
