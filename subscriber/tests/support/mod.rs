//! Doubles for what stands at both ends of a subscriber: two legs, and stream-admin.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]
// Every test file uses its own part of this, and a double that cannot do its part fails the test.

pub mod broker;
pub mod leg;
pub mod ring;
pub mod snapshots;

use std::time::{Duration, Instant};

use twinfeed_subscriber::{Builder, ControlThread, DataPoller, Delivered, Event, Handler, Secret};

pub use broker::Broker;
pub use leg::LegDouble;

/// When a test that waits for something gives up; never asserted otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes down what an application is told.
#[derive(Debug, Default)]
pub struct Diary {
    pub records: Vec<u64>,
    pub events: Vec<Event>,
}

impl Handler for Diary {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records.push(record.pos.sseq);
    }

    fn event(&mut self, event: &Event) {
        self.events.push(*event);
    }
}

impl Diary {
    pub fn gaps(&self) -> Vec<Event> {
        let is_gap = |event: &&Event| matches!(event, Event::Gap { .. });
        self.events.iter().filter(is_gap).copied().collect()
    }

    pub fn count(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| of(event)).count()
    }
}

/// A subscription to feed `itch` at `broker`, with everything at its default.
pub fn builder(broker: &Broker) -> Builder {
    Builder::new(broker.url(), "itch".parse().unwrap())
        .token(Secret::new("token").unwrap())
        .application("test")
}

/// Opens, starts the control thread, and polls until the grant is in force.
pub fn open(broker: &Broker, builder: Builder, diary: &mut Diary) -> (DataPoller, ControlThread) {
    let (mut poller, control) = builder.open().unwrap();
    let control = control.spawn().unwrap();
    broker.wait_until(|state| state.subscriptions > 0);
    poll_until(&mut poller, diary, |poller, _| poller.sockets().count() > 0);
    (poller, control)
}

/// Polls until `done`.
pub fn poll_until(
    poller: &mut DataPoller,
    diary: &mut Diary,
    done: impl Fn(&DataPoller, &Diary) -> bool,
) {
    let start = Instant::now();
    while !done(poller, diary) {
        let work = poller.poll(256, diary);
        poller.idle(work);
        assert!(start.elapsed() < PATIENCE, "nothing came of it: {diary:?}");
    }
}

/// Looks again and again until `done`.
pub fn look_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        std::thread::yield_now();
        assert!(start.elapsed() < PATIENCE, "{what}");
    }
}

/// Both legs of the subscription that was made, each begun.
pub fn legs(broker: &Broker) -> [LegDouble; 2] {
    let to = broker.change(|state| state.destinations.unwrap());
    let mut legs = [LegDouble::new(0, to[0]), LegDouble::new(1, to[1])];
    legs.iter_mut().for_each(LegDouble::begin);
    legs
}
