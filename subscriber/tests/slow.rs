//! Real sockets on loopback: what becomes of an application that is too slow for what it is sent?
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::time::{Duration, Instant};

use support::{Broker, Diary, LegDouble, broker, builder, open, poll_until};
use twinfeed_net::clock::monotonic_ns;
use twinfeed_subscriber::wire::Flags;
use twinfeed_subscriber::{
    CloseReason, ControlThread, DataPoller, Delivered, Event, GapCause, Handler, PaceShown,
    SlowPolicy, Time, Tuning,
};

/// Longer than a busy host keeps a thread waiting.
const SLOW: Duration = Duration::from_secs(1);

struct Scene {
    broker: Broker,
    poller: DataPoller,
    control: ControlThread,
    legs: [LegDouble; 2],
    diary: Diary,
}

impl Scene {
    /// Numbers 1 to 3 were told.
    fn new(slow: SlowPolicy) -> Self {
        let broker = Broker::start(broker::grant());
        let tuning = Tuning {
            slow,
            slow_time: Some(SLOW),
            ..Tuning::default()
        };
        let mut diary = Diary::default();
        let plain = builder(&broker).tuning(tuning);
        let (poller, control) = open(&broker, plain, &mut diary);
        let legs = support::legs(&broker);
        let mut scene = Self {
            broker,
            poller,
            control,
            legs,
            diary,
        };
        scene.send(1..4);
        scene.poll_until(|diary| diary.records.len() == 3);
        scene
    }

    /// Both legs send these numbers, each in a datagram, and will not be missed for a while.
    fn send(&mut self, numbers: std::ops::Range<u64>) {
        for leg in &mut self.legs {
            for number in numbers.clone() {
                leg.send([number]);
            }
            leg.beat_with(numbers.end, Flags::default(), 60_000_000);
        }
    }

    /// The application does something else for longer than `slow_time`, while so much comes.
    fn stall(&mut self, numbers: std::ops::Range<u64>) {
        let from = Instant::now();
        self.send(numbers);
        while from.elapsed() <= SLOW {
            std::thread::yield_now();
        }
    }

    fn poll_until(&mut self, done: impl Fn(&Diary) -> bool) {
        let (poller, diary) = (&mut self.poller, &mut self.diary);
        poll_until(poller, diary, |_, diary| done(diary));
    }

    /// What is shown, once it is newer than what was told last.
    fn pace(&mut self) -> PaceShown {
        let monitor = self.control.monitor();
        let from = monitor.snapshot().at_unix_ns;
        let (poller, diary) = (&mut self.poller, &mut self.diary);
        poll_until(poller, diary, |_, _| monitor.snapshot().at_unix_ns > from);
        monitor.snapshot().pace
    }
}

/// The policies in force at each word that the application is too slow.
fn slow(diary: &Diary) -> Vec<SlowPolicy> {
    let policy = |event: &Event| match event {
        Event::Slow { behind, policy } => {
            assert!(*behind > SLOW, "{behind:?}");
            Some(*policy)
        }
        _ => None,
    };
    diary.events.iter().filter_map(policy).collect()
}

#[test]
fn who_is_warned_is_told_everything_all_the_same() {
    let mut scene = Scene::new(SlowPolicy::Warn);
    scene.stall(4..60);
    scene.poll_until(|diary| diary.records.len() == 59);
    assert_eq!(scene.diary.records, (1..60).collect::<Vec<_>>());
    assert_eq!(slow(&scene.diary), [SlowPolicy::Warn]);
    assert!(scene.diary.gaps().is_empty());
    let pace = scene.pace();
    assert_eq!((pace.slow, pace.skips, pace.skipped_datagrams), (1, 0, 0));
    // It has caught up, and may fall behind again.
    scene.stall(60..70);
    scene.poll_until(|diary| diary.records.len() == 69);
    assert_eq!(slow(&scene.diary).len(), 2);
}

#[test]
fn what_waits_is_left_out_and_the_gap_names_it() {
    let mut scene = Scene::new(SlowPolicy::Skip);
    scene.stall(4..200);
    scene.poll_until(|diary| !slow(diary).is_empty());
    scene.send(200..203);
    scene.poll_until(|diary| diary.records.len() == 6);
    assert_eq!(scene.diary.records, [1, 2, 3, 200, 201, 202]);
    assert_eq!(slow(&scene.diary), [SlowPolicy::Skip]);
    let gaps = scene.diary.gaps();
    assert!(
        matches!(gaps[..], [Event::Gap { from, until, cause: GapCause::Skipped, .. }]
            if (from.sseq, until.sseq) == (4, 200)),
        "{gaps:?}"
    );
    let pace = scene.pace();
    assert_eq!((pace.slow, pace.skips), (1, 1));
    assert_eq!(pace.skipped_datagrams, 2 * (196 + 1));
    assert_eq!(scene.control.monitor().snapshot().repairs.opened, 0);
    assert_eq!(scene.control.monitor().snapshot().kernel_drops(), 0);
}

#[test]
fn who_waits_for_something_to_come_is_not_slow() {
    let mut scene = Scene::new(SlowPolicy::Disconnect);
    scene.poller.poll(256, &mut scene.diary);
    let now = Time(monotonic_ns());
    let due = scene.poller.next_deadline().unwrap();
    assert!(due <= now.after(SLOW / 2), "{due:?} {now:?}");
    // Whoever keeps to that may wait for as long as it likes.
    let from = Instant::now();
    while from.elapsed() < SLOW * 2 {
        let work = scene.poller.poll(256, &mut scene.diary);
        scene.poller.idle(work);
    }
    scene.send(4..6);
    scene.poll_until(|diary| diary.records.len() == 5);
    assert_eq!(slow(&scene.diary), []);
}

/// Takes its time with one number.
struct Dawdler(Diary);

impl Handler for Dawdler {
    fn record(&mut self, record: &Delivered<'_>) {
        let from = Instant::now();
        while record.pos.sseq == 4 && from.elapsed() <= SLOW {
            std::thread::yield_now();
        }
        self.0.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }
}

#[test]
fn what_came_while_a_record_was_told_and_was_taken_behind_it_is_not_left_out() {
    let mut scene = Scene::new(SlowPolicy::Skip);
    scene.send(4..5);
    let mut dawdler = Dawdler(std::mem::take(&mut scene.diary));
    while dawdler.0.records.len() < 4 {
        scene.poller.poll(256, &mut dawdler);
    }
    scene.diary = dawdler.0;
    scene.send(5..7);
    scene.poll_until(|diary| diary.records.len() == 6);
    assert_eq!(scene.diary.records, [1, 2, 3, 4, 5, 6]);
    assert_eq!(slow(&scene.diary), []);
}

#[test]
fn who_wants_no_more_is_closed_and_has_left() {
    let mut scene = Scene::new(SlowPolicy::Disconnect);
    scene.stall(4..60);
    let (poller, diary) = (&mut scene.poller, &mut scene.diary);
    poll_until(poller, diary, |poller, _| poller.is_closed());
    assert_eq!(scene.diary.records, [1, 2, 3]);
    assert_eq!(slow(&scene.diary), [SlowPolicy::Disconnect]);
    let reason = CloseReason::TooSlow;
    assert_eq!(scene.diary.events.last(), Some(&Event::Closed { reason }));
    assert_eq!(scene.poller.sockets().count(), 0);
    scene.broker.wait_until(|state| state.deleted);
}
