//! Real sockets on loopback: does who joins in mid-session get the books of one who was there from the start, whatever servers do?
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::snapshots::{Answer, Frames, SnapshotServer};
use support::{Broker, LegDouble, broker, builder, look_until};
use twinfeed_subscriber::book::{Books, Trust, View};
use twinfeed_subscriber::record::code::{action, side};
use twinfeed_subscriber::record::{InstrumentDefMsg, MboMsg, field};
use twinfeed_subscriber::wire::snapshot::{Order, Reason, Request, Snapshot};
use twinfeed_subscriber::wire::{BodyKind, Flags, RecordFlags};
use twinfeed_subscriber::{
    Adm, Builder, CloseReason, ContextId, ControlThread, Cursor, Cursors, DataPoller, Delivered,
    DiscontinuityCause, Epoch, Event, FeedIndex, Filter, From, Generation, Handler, Leg, Piece,
    Place, Pos, Sid, SlowPolicy, Tuning,
};
use zerocopy::IntoBytes;

const SID: Sid = Sid(1);

/// Keeps books and cursors, and writes down what it is told.
struct App {
    records: Vec<u64>,
    events: Vec<Event>,
    pieces: usize,
    /// Of books that a filter withheld.
    withheld: Vec<u32>,
    /// Between the beginning and the end of a snapshot.
    within: bool,
    books: Books,
    cursors: Cursors,
    panics_at: Option<usize>,
}

impl App {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            events: Vec::new(),
            pieces: 0,
            withheld: Vec::new(),
            within: false,
            books: Books::new(1),
            cursors: Cursors::default(),
            panics_at: None,
        }
    }

    fn next(&self) -> u64 {
        self.cursors.get(SID).map_or(0, |cursor| cursor.next.sseq)
    }

    fn joined_at(&self) -> Vec<u64> {
        let at = |event: &Event| match event {
            Event::Discontinuity {
                at,
                cause: DiscontinuityCause::Join,
                ..
            } => Some(at.sseq),
            _ => None,
        };
        self.events.iter().filter_map(at).collect()
    }

    fn count(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| of(event)).count()
    }
}

impl Handler for App {
    fn record(&mut self, record: &Delivered<'_>) {
        assert!(!self.within);
        self.records.push(record.pos.sseq);
        self.books.record(record);
        self.cursors.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.events.push(*event);
        self.books.event(event);
        self.cursors.event(event);
    }

    fn withheld(&mut self, record: &Delivered<'_>) {
        self.books.withheld(record);
        self.cursors.record(record);
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        self.pieces += 1;
        match piece {
            Piece::Begin { .. } => self.within = true,
            Piece::End { .. } => self.within = false,
            Piece::Withheld { instrument } => self.withheld.push(*instrument),
            _ => {}
        }
        self.books.snapshot(sid, piece);
        self.cursors.snapshot(sid, piece);
        assert_ne!(Some(self.pieces), self.panics_at, "touchy");
    }
}

/// Numbers 1 and 2 define instruments; each number behind them adds an order, the odd ones to instrument 1; every seventh takes the one
/// before the last away.
fn body(sseq: u64) -> Vec<u8> {
    let instrument = 2 - (sseq % 2) as u32;
    if sseq <= 2 {
        return definition(instrument).as_bytes().to_vec();
    }
    order(sseq).as_bytes().to_vec()
}

fn definition(instrument: u32) -> InstrumentDefMsg {
    let mut record = InstrumentDefMsg {
        raw_symbol: field([b"EVEN".as_slice(), b"ODD"][(instrument % 2) as usize]),
        ..InstrumentDefMsg::default()
    };
    record.hd.instrument_id = instrument.into();
    record
}

fn order(sseq: u64) -> MboMsg {
    let takes = sseq.is_multiple_of(7) && sseq > 9;
    let mut record = MboMsg {
        order_id: (if takes { sseq - 2 } else { sseq }).into(),
        price: (100 + (sseq % 3) as i64).into(),
        size: 1.into(),
        action: if takes { action::CANCEL } else { action::ADD },
        side: side::BID,
        ..MboMsg::default()
    };
    if takes {
        record.price = (100 + ((sseq - 2) % 3) as i64).into();
    }
    record.hd.instrument_id = (2 - (sseq % 2) as u32).into();
    record
}

fn delivered(sseq: u64, body: &[u8]) -> Delivered<'_> {
    Delivered {
        pos: Pos {
            sid: SID,
            epoch: Epoch(77),
            sseq,
            part: 0,
        },
        kind: BodyKind::Dbn,
        flags: RecordFlags::LAST,
        adm: Adm(0),
        leg: Leg::Zero,
        body,
        received_at: 0,
        sent_at: 0,
        next: Place::start(sseq + 1),
        context: ContextId(99),
        complete: true,
        numbering: Some(Generation(1)),
    }
}

/// The books of one who was there from the start.
fn books_until(next: u64) -> Books {
    let mut books = Books::new(1);
    books.event(&Event::Discontinuity {
        sid: SID,
        epoch: Epoch(77),
        at: Place::start(1),
        context: ContextId(99),
        complete: true,
        cause: DiscontinuityCause::Join,
    });
    for sseq in 1..next {
        books.record(&delivered(sseq, &body(sseq)));
    }
    books
}

fn orders(books: &Books, instrument: u32) -> Vec<Order> {
    let book = books.book(SID, instrument);
    let orders = book.into_iter().flat_map(View::orders);
    orders.map(Order::from).collect()
}

/// Where one stands who was told everything in front of `next`.
fn cursor(next: u64) -> Cursor {
    Cursor {
        next: delivered(next, &[]).pos,
        last: next - 1,
        context: ContextId(99),
        complete: true,
        count: Some((Adm(0), Generation(1))),
        predecessor: Epoch::NONE,
    }
}

/// What a server gives that stands in front of `next`: the books as they were a few numbers ago, and what changed since.
fn snapshot(request: &Request, next: u64) -> Vec<u8> {
    assert_eq!(request.sid, SID);
    let before = next.saturating_sub(5).max(3);
    let books = books_until(before);
    let mut frames = Frames::begin(cursor(next), request);
    for instrument in [1, 2] {
        frames.define(&definition(instrument));
        frames.book(instrument, &orders(&books, instrument));
    }
    for sseq in before..next {
        frames.put(&Snapshot::Change(&order(sseq)));
    }
    frames.end(books_until(next).orders(SID) as u64)
}

struct Scene {
    _broker: Broker,
    poller: DataPoller,
    control: ControlThread,
    legs: [LegDouble; 2],
    app: App,
    /// Behind the last number that was sent: where servers stand.
    sent: Arc<AtomicU64>,
    servers: Vec<SnapshotServer>,
    budget: usize,
}

impl Scene {
    /// Servers of leg 0 and leg 1 answer so.
    fn new(answers: [&[Answer]; 2], set: impl FnOnce(Builder) -> Builder) -> Self {
        let sent = Arc::new(AtomicU64::new(1));
        let mut grant = broker::grant();
        let mut servers = Vec::new();
        for (leg, answers) in grant.legs.iter_mut().zip(answers) {
            if answers.is_empty() {
                continue;
            }
            let reached = Arc::clone(&sent);
            let make = move |request: &Request| {
                // Whoever is asked for a place that it has not reached makes a snapshot once it has.
                while reached.load(Ordering::SeqCst) < request.not_before.sseq {
                    std::thread::yield_now();
                }
                snapshot(request, reached.load(Ordering::SeqCst))
            };
            let server = SnapshotServer::start(answers, make);
            leg.snapshots = Some(server.address);
            servers.push(server);
        }
        let broker = Broker::start(grant);
        let subscription = set(builder(&broker).from(From::Snapshot));
        let (mut poller, control) = subscription.open().unwrap();
        let control = control.spawn().unwrap();
        let mut app = App::new();
        broker.wait_until(|state| state.subscriptions > 0);
        while poller.sockets().count() == 0 {
            poller.poll(256, &mut app);
        }
        let to = broker.change(|state| state.destinations.unwrap());
        let mut legs = [LegDouble::new(0, to[0]), LegDouble::new(1, to[1])];
        // In mid-session: nobody says how it began.
        for leg in &mut legs {
            (0..4).for_each(|_| leg.beat_with(40, Flags::default(), 60_000_000));
        }
        Self {
            _broker: broker,
            poller,
            control,
            legs,
            app,
            sent,
            servers,
            budget: 256,
        }
    }

    /// Both legs send these numbers, a few in each datagram.
    fn send(&mut self, numbers: std::ops::Range<u64>) {
        let mut from = numbers.start;
        while from < numbers.end {
            let until = (from + 4).min(numbers.end);
            for leg in &mut self.legs {
                leg.send_with(from..until, BodyKind::Dbn, body);
            }
            from = until;
        }
        self.sent.store(numbers.end, Ordering::SeqCst);
    }

    fn poll(&mut self) {
        let work = self.poller.poll(self.budget, &mut self.app);
        self.poller.idle(work);
    }

    fn poll_until(&mut self, what: &str, done: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !done(&self.app) {
            self.poll();
            let said = (
                &self.app.events,
                self.app.next(),
                self.control.monitor().trouble(),
            );
            assert!(start.elapsed().as_secs() < 30, "{what}: {said:?}");
        }
    }

    /// Polls until one more record is heard than was sent, and judges the books.
    fn judge(&mut self) {
        let next = self.sent.load(Ordering::SeqCst);
        self.poll_until("all is told", |app| app.next() == next && !app.within);
        let twin = books_until(next);
        self.app.books.check().unwrap();
        for instrument in [1, 2] {
            let (told, there) = (
                orders(&self.app.books, instrument),
                orders(&twin, instrument),
            );
            assert_eq!(told, there, "instrument {instrument}");
            let book = self.app.books.book(SID, instrument).unwrap();
            assert_eq!(book.trust(), Trust::Sound);
            assert!(!book.top().stale);
        }
        let mut rising = self.app.records.clone();
        rising.dedup();
        assert_eq!(rising, self.app.records, "nothing comes twice");
        assert!(rising.is_sorted());
        let gaps = self.app.count(|event| matches!(event, Event::Gap { .. }));
        assert_eq!(gaps, 0);
    }

    fn counters(&mut self) -> twinfeed_subscriber::JoiningShown {
        // What is shown is at most 50 ms old.
        let from = self.control.monitor().snapshot().at_unix_ns;
        let start = Instant::now();
        while self.control.monitor().snapshot().at_unix_ns <= from {
            self.poll();
            assert!(start.elapsed().as_secs() < 30);
        }
        self.control.monitor().snapshot().joining
    }
}

fn tuned(change: impl FnOnce(&mut Tuning)) -> impl FnOnce(Builder) -> Builder {
    let mut tuning = Tuning {
        snapshot_patience: Some(Duration::from_millis(100)),
        ..Tuning::default()
    };
    change(&mut tuning);
    move |builder| builder.tuning(tuning)
}

#[test]
fn who_joins_in_mid_session_has_the_books_of_one_who_was_there_from_the_start() {
    let whole: &[Answer] = &[Answer::Whole];
    let mut scene = Scene::new([whole, whole], tuned(|_| {}));
    scene.send(40..80);
    scene.judge();
    scene.send(80..120);
    scene.judge();
    assert_eq!(scene.app.joined_at().len(), 1);
    let [zero, one] = [0, 1].map(|leg| scene.servers[leg].asked());
    assert_eq!(
        (zero.len(), one.len()),
        (0, 1),
        "the backup's is asked first"
    );
    assert_eq!((one[0].stream.0, one[0].not_before.sseq), (11, 40));
    let shown = scene.counters();
    assert_eq!((shown.counters.joined, shown.fetched.whole), (1, 1));
    assert!(shown.counters.orders > 0 && shown.counters.covered > 0);
    assert!(shown.kept_items == 0 && shown.counters.kept >= shown.counters.covered);
}

#[test]
fn whatever_a_server_does_the_other_one_or_the_next_attempt_helps() {
    for bad in [
        Answer::Refuse(Reason::Incomplete),
        Answer::Refuse(Reason::Busy),
        Answer::Tear(0),
        Answer::Tear(20),
        Answer::Tear(1_000),
        Answer::Lie,
        Answer::Garbage,
        Answer::Silence,
    ] {
        // By the other one, and, where there is none, by itself when it is asked again.
        for answers in [
            [&[Answer::Whole] as &[Answer], &[bad]],
            [&[], &[bad, bad, Answer::Whole]],
        ] {
            let mut scene = Scene::new(answers, tuned(|_| {}));
            scene.send(40..60);
            scene.judge();
            let shown = scene.counters();
            assert_eq!(shown.counters.joined, 1, "{bad:?}");
            let fetched = shown.fetched;
            let failed = fetched.refused + fetched.torn + fetched.silent + fetched.bad;
            assert!(failed >= 1, "{bad:?}: {fetched:?}");
        }
    }
}

#[test]
fn who_is_too_slow_goes_on_with_a_snapshot() {
    let slow = Duration::from_secs(1);
    let skips = tuned(|tuning| {
        tuning.slow = SlowPolicy::Skip;
        tuning.slow_time = Some(slow);
    });
    let whole: &[Answer] = &[Answer::Whole, Answer::Whole];
    let mut scene = Scene::new([whole, whole], skips);
    scene.send(40..80);
    scene.judge();
    let from = Instant::now();
    scene.send(80..160);
    while from.elapsed() <= slow {
        std::thread::yield_now();
    }
    let told = |event: &Event| {
        matches!(
            event,
            Event::Slow {
                policy: SlowPolicy::Skip,
                ..
            }
        )
    };
    scene.poll_until("it is told", |app| app.count(told) == 1);
    scene.send(160..200);
    scene.judge();
    let joined = scene.app.joined_at();
    assert_eq!(joined.len(), 2, "{joined:?}");
    assert!(joined[1] >= 160, "what waited was left out: {joined:?}");
    let heard = |number: &&u64| (80..160).contains(*number);
    assert_eq!(scene.app.records.iter().filter(heard).count(), 0);
}

#[test]
fn a_hole_that_nobody_fills_is_closed_by_a_snapshot_where_the_application_wants_one() {
    for wants in [true, false] {
        let whole: &[Answer] = &[Answer::Whole, Answer::Whole];
        let heals = tuned(|tuning| tuning.snapshot_on_gap = Some(wants));
        let mut scene = Scene::new([whole, whole], heals);
        scene.send(40..80);
        scene.judge();
        scene.legs.iter_mut().for_each(|leg| leg.cut = true);
        scene.send(80..84);
        scene.legs.iter_mut().for_each(|leg| leg.cut = false);
        scene.send(84..120);
        if wants {
            scene.judge();
            assert_eq!(scene.app.joined_at().len(), 2);
        } else {
            scene.poll_until("it goes on", |app| app.next() == 120);
            let gaps = scene.app.count(|event| matches!(event, Event::Gap { .. }));
            assert_eq!((gaps, scene.app.joined_at().len()), (1, 1));
        }
    }
}

/// What is the first word behind a cursor is told although nothing follows it.
#[test]
fn a_gap_behind_a_cursor_is_told_when_there_is_no_snapshot_in_time() {
    let goes_on = |builder: Builder| {
        let soon = tuned(|tuning| tuning.join_time = Some(Duration::from_millis(50)));
        soon(builder).resume([cursor(20)]).snapshots(true)
    };
    // Nobody sends anything: heartbeats say that 39 was the last.
    let mut scene = Scene::new([&[], &[]], goes_on);
    let missing = |event: &Event| matches!(event, Event::Gap { from, until, .. } if (from.sseq, until.sseq) == (20, 40));
    scene.poll_until("it is told", |app| app.count(missing) > 0);
    let none = |event: &Event| matches!(event, Event::NoSnapshot { sid } if *sid == SID);
    assert_eq!((scene.app.count(missing), scene.app.count(none)), (1, 1));
    assert!(scene.app.records.is_empty());
}

#[test]
fn with_no_server_the_application_goes_on_from_where_it_began_and_is_told() {
    let within = tuned(|tuning| tuning.join_time = Some(Duration::from_millis(50)));
    let mut scene = Scene::new([&[], &[]], within);
    scene.send(40..60);
    scene.poll_until("it goes on", |app| app.next() == 60);
    let none = |event: &Event| matches!(event, Event::NoSnapshot { sid } if *sid == SID);
    assert_eq!(scene.app.count(none), 1);
    assert_eq!(scene.app.joined_at(), [40]);
    assert_eq!(scene.app.records, (40..60).collect::<Vec<_>>());
    assert_eq!(scene.app.pieces, 0);
    let monitor = scene.control.monitor();
    look_until("the monitor says why", || {
        monitor
            .trouble()
            .is_some_and(|trouble| trouble.contains("serves snapshots"))
    });
}

#[test]
fn a_poll_tells_no_more_than_its_budget_beyond_what_came() {
    let small = tuned(|tuning| tuning.join_told = Some(3));
    let mut scene = Scene::new([&[], &[Answer::Whole]], small);
    scene.send(40..80);
    scene.poll_until("it began", |app| app.within);
    let mut polls = 0;
    while scene.app.within {
        let before = scene.app.pieces;
        scene.poll();
        polls += 1;
        assert!(scene.app.pieces <= before + 3);
    }
    assert!(polls > 1, "it took several polls");
    scene.judge();
}

#[test]
fn what_finds_no_room_makes_joining_begin_again_and_says_so() {
    let small = tuned(|tuning| tuning.join_items = Some(30));
    let silent = [Answer::Silence, Answer::Whole];
    let mut scene = Scene::new([&[], &silent], small);
    scene.send(40..60);
    scene.poll();
    scene.send(60..100);
    let restarted = |event: &Event| matches!(event, Event::JoinRestarted { .. });
    scene.poll_until("it began again", |app| app.count(restarted) > 0);
    assert!(scene.app.records.is_empty());
    scene.send(100..110);
    scene.judge();
    assert!(scene.counters().counters.void > 0);
}

#[test]
fn a_filter_withholds_of_a_snapshot_what_it_withholds_of_the_stream() {
    let mut scene = Scene::new([&[], &[Answer::Whole]], |builder| {
        builder.filter(Filter::none().pattern("ODD").unwrap())
    });
    scene.send(40..60);
    scene.poll_until("all is told", |app| app.next() == 60 && !app.within);
    let twin = books_until(60);
    assert_eq!(orders(&scene.app.books, 1), orders(&twin, 1));
    assert_eq!(scene.app.withheld, [2]);
    let book = |instrument| {
        let book = scene.app.books.book(SID, instrument).unwrap();
        (book.trust(), book.len())
    };
    assert_eq!(book(1).0, Trust::Sound);
    assert_eq!(book(2), (Trust::Suspect, 0));
    assert!(scene.app.records.iter().all(|sseq| sseq % 2 == 1));
}

#[test]
fn books_that_a_gap_made_suspect_are_mended_by_another_snapshot() {
    let asked = tuned(|tuning| tuning.snapshot_on_gap = Some(false));
    let mut scene = Scene::new([&[Answer::Whole], &[Answer::Whole]], asked);
    scene.send(40..60);
    scene.judge();
    for leg in &mut scene.legs {
        leg.cut = true;
    }
    scene.send(60..64);
    for leg in &mut scene.legs {
        leg.cut = false;
    }
    scene.send(64..70);
    scene.poll_until("the gap is told", |app| {
        app.count(|event| matches!(event, Event::Gap { .. })) == 1 && app.next() == 70
    });
    assert_eq!(scene.app.books.top(SID, 1).unwrap().trust, Trust::Suspect);
    // By the poller, and from any thread.
    for by_poller in [true, false] {
        scene.app.events.clear();
        match by_poller {
            true => assert!(scene.poller.refresh(FeedIndex(0), SID)),
            false => assert!(scene.control.refresher().unwrap().refresh(SID)),
        }
        scene.poll_until("it joined anew", |app| {
            app.joined_at().len() == 1 && !app.within
        });
        let sent = scene.sent.load(Ordering::SeqCst);
        scene.send(sent..sent + 9);
        scene.judge();
    }
    assert!(!scene.poller.refresh(FeedIndex(0), Sid(9)));
    assert!(!scene.poller.refresh(FeedIndex(1), SID));
}

#[test]
fn a_handler_that_panics_within_a_snapshot_is_told_the_rest_of_it() {
    let mut scene = Scene::new([&[], &[Answer::Whole]], tuned(|_| {}));
    scene.app.panics_at = Some(4);
    scene.send(40..60);
    let start = Instant::now();
    loop {
        let (poller, app) = (&mut scene.poller, &mut scene.app);
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let work = poller.poll(256, app);
            poller.idle(work);
        }));
        if polled.is_err() {
            break;
        }
        assert!(start.elapsed().as_secs() < 30, "it never panicked");
    }
    assert!(scene.app.within);
    scene.judge();
}

#[test]
fn who_is_closed_while_it_waits_is_told_what_was_kept_and_then_closed() {
    let mut scene = Scene::new([&[], &[Answer::Silence]], |builder| builder);
    scene.send(40..60);
    let heard = |scene: &Scene| scene.control.monitor().snapshot().joining.kept_items >= 20;
    let start = Instant::now();
    while !heard(&scene) {
        scene.poll();
        assert!(start.elapsed().as_secs() < 30);
    }
    let Scene {
        mut poller,
        control,
        mut app,
        ..
    } = scene;
    let stopping = std::thread::spawn(move || control.stop());
    while !poller.is_closed() {
        let work = poller.poll(256, &mut app);
        poller.idle(work);
    }
    stopping.join().unwrap().unwrap();
    assert_eq!(app.records, (40..60).collect::<Vec<_>>());
    let reason = CloseReason::ByApplication;
    assert_eq!(app.events.last(), Some(&Event::Closed { reason }));
}
