//! Owned records through an asynchronous stream, with the smallest executor there is.
#![cfg(feature = "async")]
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use futures_core::Stream;
use support::{Broker, Diary, LegDouble, broker, builder, open};
use twinfeed_subscriber::{Event, Item, Records};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next item; the thread sleeps until the stream wakes it.
fn next(records: &mut Records) -> Option<Item> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut *records).poll_next(&mut context) {
            Poll::Ready(item) => return item,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn number(item: &Item) -> Option<u64> {
    match item {
        Item::Record(_, record) => Some(record.pos.sseq),
        Item::Event(..) => None,
    }
}

#[test]
fn items_come_in_order_through_a_queue_of_one_and_the_stream_ends() {
    let broker = Broker::start(broker::grant());
    let (poller, control) = open(&broker, builder(&broker), &mut Diary::default());
    let to = broker.change(|state| state.destinations.unwrap());
    let mut legs = [LegDouble::new(0, to[0]), LegDouble::new(1, to[1])];
    let mut records = Records::new(poller, 1).unwrap();
    for leg in &mut legs {
        leg.begin();
        leg.send(1..20);
        leg.send(20..41);
    }
    let mut seen = Vec::new();
    while seen.len() < 40 {
        seen.extend(number(&next(&mut records).unwrap()));
    }
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
    control.stop().unwrap();
    let mut last = None;
    while let Some(item) = next(&mut records) {
        last = Some(item);
    }
    assert!(
        matches!(last, Some(Item::Event(_, Event::Closed { .. }))),
        "{last:?}"
    );
    assert_eq!(next(&mut records), None);
}

#[test]
fn dropping_the_stream_ends_the_subscription_even_with_the_queue_full() {
    let broker = Broker::start(broker::grant());
    let (poller, control) = open(&broker, builder(&broker), &mut Diary::default());
    let to = broker.change(|state| state.destinations.unwrap());
    let records = Records::new(poller, 1).unwrap();
    let mut leg = LegDouble::new(0, to[0]);
    leg.begin();
    leg.send(1..20);
    drop(records);
    control.join().unwrap();
    assert!(broker.change(|state| state.deleted));
}

#[test]
fn a_queue_without_room_is_refused() {
    let broker = Broker::start(broker::grant());
    let (poller, _control) = builder(&broker).open().unwrap();
    let error = Records::new(poller, 0).unwrap_err();
    assert!(error.to_string().contains("`capacity`"), "{error}");
}
