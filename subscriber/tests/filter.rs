//! Real sockets on loopback: what does a filter do to an application, and what does it leave alone?
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use support::{Broker, LegDouble, broker, builder, legs};
use twinfeed_subscriber::book::{Books, Trust};
use twinfeed_subscriber::record::code::{action, side};
use twinfeed_subscriber::record::{InstrumentDefMsg, MboMsg, field};
use twinfeed_subscriber::wire::BodyKind;
use twinfeed_subscriber::{
    ControlThread, Cursors, DataPoller, Delivered, Event, FeedIndex, Filter, Handler, RecordBody,
    Sid,
};
use zerocopy::IntoBytes;

/// An application that keeps books, and writes down what it is told.
struct App {
    records: Vec<u64>,
    withheld: Vec<u64>,
    events: Vec<Event>,
    books: Books,
    cursors: Cursors,
}

impl Handler for App {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records.push(record.pos.sseq);
        assert!(record.any_dbn().is_some());
        self.books.record(record);
        self.cursors.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.events.push(*event);
        self.books.event(event);
        self.cursors.event(event);
    }

    fn withheld(&mut self, record: &Delivered<'_>) {
        self.withheld.push(record.pos.sseq);
        self.books.withheld(record);
        self.cursors.record(record);
    }
}

impl App {
    fn gaps(&self) -> Vec<(u64, u64)> {
        let range = |event: &Event| match event {
            Event::Gap { from, until, .. } => Some((from.sseq, until.sseq)),
            _ => None,
        };
        self.events.iter().filter_map(range).collect()
    }

    /// Where it stands.
    fn next(&self) -> u64 {
        self.cursors
            .get(Sid(1))
            .map_or(0, |cursor| cursor.next.sseq)
    }

    fn trust(&self, instrument: u32) -> Option<(Trust, usize)> {
        let book = self.books.book(Sid(1), instrument)?;
        Some((book.trust(), book.len()))
    }
}

struct Scene {
    _broker: Broker,
    poller: DataPoller,
    control: ControlThread,
    legs: [LegDouble; 2],
    app: App,
}

impl Scene {
    fn new(filter: Filter) -> Self {
        let broker = Broker::start(broker::grant());
        let (mut poller, control) = builder(&broker).filter(filter).open().unwrap();
        let control = control.spawn().unwrap();
        let mut app = App {
            records: Vec::new(),
            withheld: Vec::new(),
            events: Vec::new(),
            books: Books::new(1),
            cursors: Cursors::default(),
        };
        broker.wait_until(|state| state.subscriptions > 0);
        while poller.sockets().count() == 0 {
            poller.poll(256, &mut app);
        }
        let legs = legs(&broker);
        Self {
            _broker: broker,
            poller,
            control,
            legs,
            app,
        }
    }

    /// Both legs send these numbers.
    fn send(&mut self, numbers: std::ops::Range<u64>) {
        for leg in &mut self.legs {
            leg.send_with(numbers.clone(), BodyKind::Dbn, body);
        }
    }

    /// Both legs lose these numbers, but for those whose datagram `leg` brings.
    fn lose(&mut self, numbers: std::ops::Range<u64>, but: Option<usize>) {
        for (index, leg) in self.legs.iter_mut().enumerate() {
            leg.cut = Some(index) != but;
            leg.send_with(numbers.clone(), BodyKind::Dbn, body);
            leg.cut = false;
        }
    }

    fn poll_until_next_is(&mut self, next: u64) {
        let start = std::time::Instant::now();
        while self.app.next() < next {
            let work = self.poller.poll(256, &mut self.app);
            self.poller.idle(work);
            assert!(start.elapsed().as_secs() < 30, "{:?}", self.app.events);
        }
    }
}

/// Number 1 defines instrument 1 as `ODD`, 2 defines instrument 2 as `EVEN`; each number after them adds an order, the odd ones to
/// instrument 1.
fn body(sseq: u64) -> Vec<u8> {
    let instrument = 2 - (sseq % 2) as u32;
    if sseq <= 2 {
        let mut record = InstrumentDefMsg {
            raw_symbol: field([b"EVEN".as_slice(), b"ODD"][(sseq % 2) as usize]),
            ..InstrumentDefMsg::default()
        };
        record.hd.instrument_id = instrument.into();
        return record.as_bytes().to_vec();
    }
    let mut record = MboMsg {
        order_id: sseq.into(),
        price: 100.into(),
        size: 1.into(),
        action: action::ADD,
        side: side::BID,
        ..MboMsg::default()
    };
    record.hd.instrument_id = instrument.into();
    record.as_bytes().to_vec()
}

#[test]
fn a_filter_neither_makes_a_gap_nor_hides_one_and_moves_the_cursor() {
    let mut scene = Scene::new(Filter::none().pattern("O*").unwrap());
    scene.send(1..6);
    // On one leg alone, once of each kind: nobody's loss.
    scene.lose(6..7, Some(1));
    scene.lose(7..8, Some(0));
    // On both legs: one that is wanted, one that is not, several.
    scene.lose(8..9, None);
    scene.send(9..11);
    scene.lose(11..12, None);
    scene.send(12..13);
    scene.lose(13..17, None);
    scene.send(17..19);
    for leg in &mut scene.legs {
        leg.beat_with(19, Default::default(), 60_000_000);
    }
    scene.poll_until_next_is(19);
    assert_eq!(scene.app.gaps(), [(8, 9), (11, 12), (13, 17)]);
    assert_eq!(
        scene.app.records,
        [1, 2, 3, 5, 7, 9, 17],
        "definitions pass"
    );
    assert_eq!(scene.app.withheld, [4, 6, 10, 12, 18]);
    assert_eq!(
        scene.app.next(),
        19,
        "the last record was withheld, and passed"
    );
    // A late poll shows it.
    let monitor = scene.control.monitor();
    while monitor.snapshot().sieved.withheld < 5 {
        scene.poller.poll(256, &mut scene.app);
    }
    assert!(monitor.metrics_text().contains("filtered_records"));
    scene.control.stop().unwrap();
}

#[test]
fn another_filter_holds_from_the_next_poll_on_and_books_know_what_they_missed() {
    let mut scene = Scene::new(Filter::none().pattern("ODD").unwrap());
    scene.send(1..3);
    scene.send(3..11);
    scene.poll_until_next_is(11);
    assert_eq!(scene.app.trust(1), Some((Trust::Sound, 4)));
    assert_eq!(
        scene.app.trust(2),
        Some((Trust::Suspect, 0)),
        "it was withheld"
    );
    // Wider, set on another thread.
    let switch = scene.control.filter_switch();
    let wider = Filter::none().prefix("ODD").unwrap();
    let wider = wider.symbol("EVEN").unwrap();
    std::thread::spawn(move || switch.set(wider))
        .join()
        .unwrap();
    scene.send(11..15);
    scene.poll_until_next_is(15);
    assert_eq!(scene.app.records[6..], [11, 12, 13, 14]);
    assert_eq!(scene.app.trust(1), Some((Trust::Sound, 6)));
    assert_eq!(
        scene.app.trust(2),
        Some((Trust::Suspect, 2)),
        "orders of before are not known"
    );
    // A snapshot makes it right.
    let whole: Vec<_> = [4, 6, 8, 10, 12, 14]
        .map(|id| twinfeed_subscriber::book::Order {
            id,
            side: twinfeed_subscriber::book::Side::Bid,
            price: 100,
            size: 1,
        })
        .into();
    assert!(
        scene
            .app
            .books
            .import((Sid(1), 2), whole, Trust::Sound)
            .is_empty()
    );
    // Narrower, set by the thread that polls.
    scene
        .poller
        .set_filter(FeedIndex(0), Filter::none().instrument(2).unwrap());
    scene.send(15..19);
    scene.poll_until_next_is(19);
    assert_eq!(scene.app.records[10..], [16, 18]);
    assert_eq!(
        scene.app.trust(1),
        Some((Trust::Suspect, 0)),
        "no longer followed"
    );
    assert_eq!(scene.app.trust(2), Some((Trust::Sound, 8)));
    scene.app.books.check().unwrap();
    assert_eq!(scene.app.gaps(), []);
    scene.control.stop().unwrap();
}
