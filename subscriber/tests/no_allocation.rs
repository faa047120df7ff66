//! After warm-up, nothing between a socket and the handler allocates.
#![allow(unsafe_code, reason = "a global allocator cannot be had without")]
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::ring::offer;
use support::{Broker, broker, builder, open};
use twinfeed_subscriber::book::{Books, Settings};
use twinfeed_subscriber::record::code::{action, side};
use twinfeed_subscriber::record::{InstrumentDefMsg, MboMsg, field};
use twinfeed_subscriber::wire::BodyKind;
use twinfeed_subscriber::{
    ContextId, Delivered, Epoch, Event, Filter, Handler, Idle, Place, ResetCause, RingState, Sid,
};
use zerocopy::IntoBytes;

/// The system's allocator; counts what a thread that asks for it allocates.
struct Counting;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's own; counting touches two thread-local cells that are
// initialised as constants and have no destructor, so it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc` above, which are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count() {
    if WATCHED.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Keeps sums only.
#[derive(Debug, Default)]
struct Sums {
    records: u64,
    bytes: usize,
    events: u64,
    withheld: u64,
}

impl Handler for Sums {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records += 1;
        self.bytes += record.body.len();
    }

    fn event(&mut self, _: &Event) {
        self.events += 1;
    }

    fn withheld(&mut self, _: &Delivered<'_>) {
        self.withheld += 1;
    }
}

#[test]
fn receive_to_deliver_allocates_nothing_after_warm_up() {
    allocates_nothing(false);
}

#[test]
fn nor_does_it_where_both_legs_come_by_rings() {
    allocates_nothing(true);
}

fn allocates_nothing(rings: bool) {
    let mut grant = broker::grant();
    let mut made = Vec::new();
    for (leg, life) in grant.legs.iter_mut().zip([100, 101]).filter(|_| rings) {
        let (ring, offer) = offer(life, 1_024, true);
        leg.incarnation = Some(twinfeed_control::Incarnation(life));
        leg.ring = Some(offer.offered.clone());
        made.push((ring, offer));
    }
    let broker = Broker::start(grant);
    let wish = builder(&broker).idle(Idle::Spin);
    let mut diary = support::Diary::default();
    let (mut poller, control) = open(&broker, wish, &mut diary);
    let mut legs = support::legs(&broker);
    let (given, _offers): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    if rings {
        let monitor = control.monitor();
        let joined = || monitor.snapshot().received.map(|leg| leg.ring) == [RingState::Joined; 2];
        support::poll_until(&mut poller, &mut diary, |_, _| joined());
    }
    for (leg, ring) in legs.iter_mut().zip(given) {
        leg.ring = Some(ring);
    }
    let mut sums = Sums::default();
    for watched in [false, true] {
        for round in 0..2_000_u64 {
            let first = u64::from(watched) * 20_000 + round * 10 + 1;
            // Duplicates on every number, holes that the other leg fills, heartbeats between.
            for (index, leg) in legs.iter_mut().enumerate() {
                leg.cut = round % 7 == 3 * index as u64;
                leg.send(first..first + 10);
                leg.cut = false;
                if round % 16 == 0 {
                    leg.beat_with(first + 10, Default::default(), 60_000_000);
                }
            }
            WATCHED.set(watched);
            while sums.records < first + 9 {
                poller.poll(64, &mut sums);
            }
            WATCHED.set(false);
        }
    }
    assert_eq!(sums.records, 40_000);
    assert_eq!(ALLOCATIONS.get(), 0);
    let monitor = control.monitor();
    while monitor.snapshot().arbiter.records < 40_000 {
        poller.poll(64, &mut sums);
    }
    let read = monitor.snapshot().received;
    assert_eq!(read.map(|leg| leg.ring_datagrams > 4_000), [rings; 2]);
    // The count can count: the same thread allocates once.
    WATCHED.set(true);
    drop(std::hint::black_box(Box::new(1_u8)));
    WATCHED.set(false);
    assert_eq!(ALLOCATIONS.get(), 1);
    control.stop().unwrap();
}

/// Defines ten instruments by the first ten numbers, and then says something of each in turn.
fn body(sseq: u64) -> Vec<u8> {
    let instrument = (sseq % 10) as u32 + 1;
    if sseq <= 10 {
        let mut record = InstrumentDefMsg {
            raw_symbol: field(format!("S{instrument}").as_bytes()),
            ..InstrumentDefMsg::default()
        };
        record.hd.instrument_id = instrument.into();
        return record.as_bytes().to_vec();
    }
    let mut record = MboMsg::default();
    record.hd.instrument_id = instrument.into();
    record.as_bytes().to_vec()
}

#[test]
fn a_filter_allocates_nothing_once_it_knows_the_instruments() {
    let broker = Broker::start(broker::grant());
    // Instruments 1 and 10 by the beginning of their symbols, 5 by its number, 7 by its symbol.
    let filter = Filter::none().pattern("S1*").unwrap();
    let filter = filter.instrument(5).unwrap().symbol("S7").unwrap();
    let (mut poller, control) = open(
        &broker,
        builder(&broker).filter(filter),
        &mut support::Diary::default(),
    );
    let [mut leg, _] = support::legs(&broker);
    let mut sums = Sums::default();
    for watched in [false, true] {
        for round in 0..1_000_u64 {
            let first = u64::from(watched) * 10_000 + round * 10 + 1;
            for number in first..first + 10 {
                leg.send_with([number], BodyKind::Dbn, body);
            }
            WATCHED.set(watched);
            while sums.records + sums.withheld < first + 9 {
                poller.poll(64, &mut sums);
            }
            WATCHED.set(false);
        }
    }
    assert_eq!((sums.records, sums.withheld), (8_000 + 6, 12_000 - 6));
    assert_eq!(ALLOCATIONS.get(), 0);
    control.stop().unwrap();
}

/// Adds, partial cancels, moves and cancels of orders that come and go near prices that wander, in ten instruments.
fn session(mut each: impl FnMut(&MboMsg)) {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut resting: Vec<MboMsg> = Vec::with_capacity(20_000);
    for id in 1..400_000_u64 {
        if resting.len() < 10_000 + random(2_000) as usize {
            let bid = random(2) == 0;
            let distance = random(40) * random(40);
            let mut record = MboMsg {
                order_id: id.into(),
                price: if bid {
                    10_000 - distance as i64
                } else {
                    10_001 + distance as i64
                }
                .into(),
                size: (1 + random(500) as u32).into(),
                action: action::ADD,
                side: if bid { side::BID } else { side::ASK },
                ..MboMsg::default()
            };
            record.hd.instrument_id = (1 + random(10) as u32).into();
            each(&record);
            resting.push(record);
            continue;
        }
        let at = random(resting.len() as u64) as usize;
        let mut record = resting[at];
        if random(4) == 0 {
            record.action = action::MODIFY;
            record.size = (1 + random(500) as u32).into();
            resting[at] = record;
        } else {
            record.action = action::CANCEL;
            resting.swap_remove(at);
        }
        each(&record);
    }
}

#[test]
fn books_allocate_nothing_after_warm_up() {
    let mut books = Books::with_settings(Settings {
        max_orders: 20_000,
        ..Settings::default()
    });
    books.event(&Event::Reset {
        sid: Sid(1),
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    });
    let (mut wrong, mut records) = (0, 0_u64);
    session(|record| {
        records += 1;
        WATCHED.set(records > 200_000);
        wrong += books.apply(Sid(1), record).iter().count();
        WATCHED.set(false);
    });
    assert!(records > 300_000 && books.orders(Sid(1)) > 9_000);
    assert_eq!((ALLOCATIONS.get(), wrong), (0, 0));
    books.check().unwrap();
}
