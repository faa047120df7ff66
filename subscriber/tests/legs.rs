//! Real sockets on loopback, two legs by hand: what reaches the application?

#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::{Broker, Diary, LegDouble, broker, builder, open, poll_until};
use twinfeed_subscriber::{
    DataPoller, Delivered, Event, FeedHandler, FeedIndex, GapCause, Handler, Leg, LegState, Trigger,
};

/// A subscriber with both legs begun.
struct Scene {
    broker: Broker,
    poller: DataPoller,
    control: twinfeed_subscriber::ControlThread,
    legs: [LegDouble; 2],
    diary: Diary,
}

fn scene() -> Scene {
    let broker = Broker::start(broker::grant());
    let plain = builder(&broker);
    scene_with(broker, plain)
}

fn scene_with(broker: Broker, builder: twinfeed_subscriber::Builder) -> Scene {
    let mut diary = Diary::default();
    let (poller, control) = open(&broker, builder, &mut diary);
    let to = broker.change(|state| state.destinations.unwrap());
    let mut legs = [LegDouble::new(0, to[0]), LegDouble::new(1, to[1])];
    legs.iter_mut().for_each(LegDouble::begin);
    Scene {
        broker,
        poller,
        control,
        legs,
        diary,
    }
}

impl Scene {
    fn poll_until(&mut self, done: impl Fn(&DataPoller, &Diary) -> bool) {
        poll_until(&mut self.poller, &mut self.diary, done);
    }
}

#[test]
fn every_seventh_datagram_lost_on_one_leg_is_nobodys_loss() {
    let mut scene = scene();
    for round in 0..70_u64 {
        let numbers = round * 3 + 1..round * 3 + 4;
        scene.legs[0].cut = round % 7 == 6;
        scene.legs[0].send(numbers.clone());
        scene.legs[1].send(numbers.clone());
        scene.poll_until(|_, diary| diary.records.len() as u64 >= numbers.end - 1);
    }
    assert_eq!(scene.diary.records, (1..=210).collect::<Vec<_>>());
    assert!(scene.diary.gaps().is_empty());
    assert_eq!(
        scene
            .diary
            .count(|event| matches!(event, Event::Switched(_))),
        0
    );
    scene.control.stop().unwrap();
}

#[test]
fn a_hole_on_both_legs_is_a_gap_in_its_place() {
    let mut scene = scene();
    for leg in &mut scene.legs {
        leg.send(1..3);
        leg.cut = true;
        leg.send(3..5);
        leg.cut = false;
        leg.send(5..7);
        leg.beat_with(7, Default::default(), 60_000_000);
    }
    scene.poll_until(|_, diary| diary.records.len() == 4);
    assert_eq!(scene.diary.records, [1, 2, 5, 6]);
    let gaps = scene.diary.gaps();
    assert!(
        matches!(gaps[..], [Event::Gap { from, until, cause: GapCause::LostOnEveryLeg, .. }]
            if (from.sseq, until.sseq) == (3, 5)),
        "{gaps:?}"
    );
}

#[test]
fn a_foreign_sender_is_counted_and_changes_nothing() {
    let mut scene = scene();
    let to = scene.broker.change(|state| state.destinations.unwrap());
    let mut foreign = LegDouble::from_address("127.0.0.2:0", 0, to[0]);
    foreign.begin();
    foreign.send(1..3);
    scene.legs[0].transmit(b"not a datagram of ours");
    scene.legs[0].send(1..4);
    scene.poll_until(|_, diary| diary.records.len() == 3);
    let monitor = scene.control.monitor();
    let (poller, diary) = (&mut scene.poller, &mut scene.diary);
    poll_until(poller, diary, |_, _| {
        monitor.snapshot().received[0].foreign_senders == 5
    });
    assert_eq!(scene.diary.records, [1, 2, 3]);
    assert_eq!(monitor.snapshot().arbiter.rejected_total(), 1);
}

#[test]
fn a_leg_that_falls_silent_makes_a_switch_whose_receipt_reaches_stream_admin() {
    let mut scene = scene();
    for leg in &mut scene.legs {
        leg.send(1..3);
    }
    scene.poll_until(|_, diary| diary.records.len() == 2);
    // Leg 0 falls silent; its heartbeats were due every millisecond.
    scene.legs[0].beat_with(3, Default::default(), 1_000);
    scene.poll_until(|_, diary| diary.count(|event| matches!(event, Event::Switched(_))) > 0);
    let receipt = scene.diary.events.iter().find_map(|event| match event {
        Event::Switched(receipt) => Some(*receipt),
        _ => None,
    });
    let receipt = receipt.unwrap();
    assert_eq!(
        (receipt.from_leg, receipt.trigger),
        (Leg::Zero, Trigger::HeartbeatSilence)
    );
    scene.legs[1].send(3..5);
    scene.poll_until(|_, diary| diary.records.len() == 4);
    scene.broker.wait_until(|state| state.receipts.len() == 1);
    let posted = scene.broker.change(|state| state.receipts[0].clone());
    assert_eq!(posted.number, 1);
    assert_eq!(posted.trigger, twinfeed_control::Trigger::HeartbeatSilence);
    assert_eq!(posted.from.leg, twinfeed_control::LegIndex::ACTIVE);
    let monitor = scene.control.monitor();
    let (poller, diary) = (&mut scene.poller, &mut scene.diary);
    poll_until(poller, diary, |_, _| {
        let snapshot = monitor.snapshot();
        let leg = snapshot.sources.first().and_then(|source| source.legs[0]);
        leg.is_some_and(|leg| leg.state == LegState::Lost)
    });
    assert!(
        monitor
            .metrics_text()
            .contains("trigger=\"heartbeat_silence\"} 1\n")
    );
}

#[test]
fn a_paused_application_overruns_its_sockets_and_is_told() {
    let broker = Broker::start(broker::grant());
    let small = builder(&broker).receive_buffer(8_192);
    let mut scene = scene_with(broker, small);
    for leg in &mut scene.legs {
        leg.send(1..3);
    }
    scene.poll_until(|_, diary| diary.records.len() == 2);
    // The application pauses: far more than the buffers hold arrives meanwhile.
    for number in 3..2_000 {
        for leg in &mut scene.legs {
            leg.send(number..number + 1);
        }
    }
    // It polls again; the kernel says what it dropped with the first datagram behind the hole.
    for next in 2_000..10_000 {
        for leg in &mut scene.legs {
            leg.send(next..next + 1);
        }
        scene.poller.poll(256, &mut scene.diary);
        if !scene.diary.gaps().is_empty() {
            break;
        }
    }
    let gaps = scene.diary.gaps();
    let overrun = |event: &Event| {
        matches!(
            event,
            Event::Gap {
                cause: GapCause::ReceiverOverrun,
                ..
            }
        )
    };
    assert!(!gaps.is_empty() && gaps.iter().all(overrun), "{gaps:?}");
    let monitor = scene.control.monitor();
    let (poller, diary) = (&mut scene.poller, &mut scene.diary);
    poll_until(poller, diary, |_, _| monitor.snapshot().kernel_drops() > 0);
    let strictly_rising = scene.diary.records.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(strictly_rising);
}

/// Panics once at each of its numbers, and goes on.
struct Touchy {
    diary: Diary,
    at: Vec<u64>,
}

impl Handler for Touchy {
    fn record(&mut self, record: &Delivered<'_>) {
        self.diary.records.push(record.pos.sseq);
        assert!(!self.at.contains(&record.pos.sseq), "touchy");
    }

    fn event(&mut self, event: &Event) {
        self.diary.events.push(*event);
    }
}

#[test]
fn a_handler_that_panics_in_mid_datagram_misses_nothing_and_sees_nothing_twice() {
    let mut scene = scene();
    let mut touchy = Touchy {
        diary: Diary::default(),
        at: vec![2, 7],
    };
    // One leg alone, so that no copy on the other could make up for a loss.
    scene.legs[0].send(1..6);
    scene.legs[0].send(6..11);
    let mut panics = 0;
    while touchy.diary.records.len() < 10 {
        let poller = &mut scene.poller;
        let result = catch_unwind(AssertUnwindSafe(|| poller.poll(256, &mut touchy)));
        panics += usize::from(result.is_err());
    }
    assert_eq!(panics, 2);
    assert_eq!(touchy.diary.records, (1..=10).collect::<Vec<_>>());
    assert!(touchy.diary.gaps().is_empty());
}

/// Writes down which feed brought what.
#[derive(Default)]
struct ByFeed(Vec<(usize, u64)>);

impl FeedHandler for ByFeed {
    fn record(&mut self, FeedIndex(feed): FeedIndex, record: &Delivered<'_>) {
        self.0.push((feed, record.pos.sseq));
    }

    fn event(&mut self, _: FeedIndex, _: &Event) {}
}

#[test]
fn two_feeds_share_one_poller_and_keep_apart() {
    let (mut one, mut other) = (scene(), scene());
    assert_eq!(one.poller.join(other.poller), FeedIndex(1));
    let mut seen = ByFeed::default();
    // The same sid and the same numbers in both feeds.
    one.legs[0].send(1..3);
    other.legs[1].send(1..4);
    while seen.0.len() < 5 {
        one.poller.poll(16, &mut seen);
    }
    seen.0.sort_unstable();
    assert_eq!(seen.0, [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]);
}
