//! Does who joins in mid-session with a snapshot have the books of one who was there from the start, with real processes, whatever
//! dies meanwhile?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{LIMIT, alone, small_run, start, status};
use rustix::process::Signal;
use twinfeed_exchange::Command;
use twinfeed_feed_adapter::config::Format;
use twinfeed_feed_adapter::convert::{Converted, Job, Sink, convert};
use twinfeed_harness::files::FEED;
use twinfeed_harness::run::{Content, Run, Soup, SoupServer};
use twinfeed_harness::{Rig, Seat, adapter};
use twinfeed_subscriber::book::{Books, Order, Trust, View};
use twinfeed_subscriber::record::{DbnRecord as _, MboMsg};
use twinfeed_subscriber::{
    BodyKind, Builder, ControlThread, Cursor, Cursors, DataPoller, Delivered, DiscontinuityCause,
    Epoch, Error, Event, From, Handler, JoiningShown, Leg, Piece, Place, RecordBody, Sid, Tuning,
};

/// The only source stream.
const SID: Sid = Sid(1);

/// All orders of all books, in the order of their queues.
type Dump = BTreeMap<u32, Vec<Order>>;

fn dump(books: &Books) -> Dump {
    let books = books.books(SID);
    let orders = books.map(|book| (book.instrument(), book.orders().collect::<Vec<_>>()));
    orders.filter(|(_, orders)| !orders.is_empty()).collect()
}

/// Keeps books, and everything that they are made of.
struct App {
    books: Books,
    cursors: Cursors,
    log: Vec<(Epoch, Place, MboMsg)>,
    events: Vec<Event>,
    /// Where the snapshot stood, and the books at its end.
    joined: Option<(Cursor, Dump)>,
    /// Records told since.
    since: usize,
}

impl Handler for App {
    fn record(&mut self, record: &Delivered<'_>) {
        if let Some(order) = record.dbn::<MboMsg>() {
            let (pos, place) = (
                record.pos,
                Place {
                    sseq: record.pos.sseq,
                    part: record.pos.part,
                },
            );
            self.log.push((pos.epoch, place, *order));
        }
        self.since += 1;
        self.books.record(record);
        self.cursors.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.events.push(*event);
        self.books.event(event);
        self.cursors.event(event);
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        self.books.snapshot(sid, piece);
        self.cursors.snapshot(sid, piece);
        if let Piece::End { cursor, .. } = piece {
            self.joined = Some((*cursor, dump(&self.books)));
            self.since = 0;
        }
    }
}

struct Member {
    poller: DataPoller,
    control: ControlThread,
    app: App,
}

impl Member {
    fn new(rig: &Rig, from: From) -> Self {
        let files = rig.files();
        let builder = Builder::new(files.url(), FEED.parse().unwrap())
            .token_file(files.path("tokens/subscriber"))
            .application("joiner")
            .tuning(Tuning {
                snapshot_patience: Some(Duration::from_millis(500)),
                ..Tuning::default()
            })
            .from(from);
        let (poller, control) = builder.open().unwrap();
        Self {
            poller,
            control: control.spawn().unwrap(),
            app: App {
                books: Books::new(1),
                cursors: Cursors::default(),
                log: Vec::new(),
                events: Vec::new(),
                joined: None,
                since: 0,
            },
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        self.app.cursors.get(SID).copied()
    }

    fn next(&self) -> u64 {
        self.cursor().map_or(0, |cursor| cursor.next.sseq)
    }

    fn shown(&self) -> JoiningShown {
        self.control.monitor().snapshot().joining
    }

    /// Where its snapshot ended and where it stands; nothing is missing or does not fit.
    fn checkpoints(&self) -> [Checkpoint; 2] {
        let app = &self.app;
        app.books.check().unwrap();
        let gap = |event: &Event| matches!(event, Event::Gap { .. });
        assert!(!app.events.iter().any(gap), "{:?}", app.events);
        let (told, dump_then) = app.joined.as_ref().unwrap();
        let now = (self.cursor().unwrap(), sums(&dump(&app.books)));
        [(*told, sums(dump_then)), now]
    }

    fn has_joined(&self) -> bool {
        self.app.joined.is_some() && self.app.since > 200 && self.shown().counters.joined == 1
    }
}

/// Polls everybody until `done`.
fn until(members: &mut [Member], what: &str, mut done: impl FnMut(&[Member]) -> bool) {
    let start = Instant::now();
    while !done(members) {
        let mut work = 0;
        for member in &mut *members {
            work += member.poller.poll(64, &mut member.app);
        }
        if work == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        if start.elapsed() > LIMIT {
            let told = members.iter().map(|member| {
                let trouble = member.control.monitor().trouble();
                (
                    member.cursor(),
                    member.shown(),
                    trouble,
                    member.app.events.last().copied(),
                )
            });
            panic!("{what}: {:#?}", told.collect::<Vec<_>>());
        }
    }
}

/// The books of one who is there from the start of the cursor's epoch, in its context.
fn from_the_start(cursor: &Cursor) -> Books {
    let mut books = Books::new(1);
    books.event(&Event::Discontinuity {
        sid: SID,
        epoch: cursor.next.epoch,
        at: Place::start(1),
        context: cursor.context,
        complete: true,
        cause: DiscontinuityCause::Join,
    });
    books
}

/// The books that the records of `log` make up to `cursor`.
fn rebuilt(log: &[(Epoch, Place, MboMsg)], cursor: &Cursor) -> Books {
    let mut books = from_the_start(cursor);
    let covered = log
        .iter()
        .filter(|(epoch, place, _)| *epoch == cursor.next.epoch && *place < cursor.place());
    for (_, _, order) in covered {
        let _ = books.apply(SID, order);
    }
    books
}

/// Both have the same orders in the same queues; names the first instrument of which that is not so.
#[track_caller]
fn assert_same(told: &Dump, twin: &Dump, at: &Cursor) {
    let instruments = told.keys().chain(twin.keys());
    for instrument in instruments {
        let (told, twin) = (told.get(instrument), twin.get(instrument));
        assert_eq!(told, twin, "instrument {instrument} at {at}");
    }
}

/// What joining came to, over all who joined.
#[derive(Default)]
struct Joined {
    orders: u64,
    kept: u64,
    covered: u64,
}

/// Judges everybody against the first member, who was there from the start and has come as far as any.
fn judge(members: &mut [Member]) -> Joined {
    let furthest = members[1..].iter().map(Member::next).max().unwrap();
    let epoch = members[1].cursor().unwrap().next.epoch;
    let has_passed = |cursor: Cursor| cursor.next.epoch != epoch || cursor.next.sseq >= furthest;
    until(
        &mut members[..1],
        "the first one has come so far",
        |first| first[0].cursor().is_some_and(has_passed),
    );
    let (early, joiners) = members.split_at(1);
    let log = &early[0].app.log;
    let gap = |event: &Event| matches!(event, Event::Gap { .. });
    assert!(
        !early[0].app.events.iter().any(gap),
        "nobody to be judged against"
    );
    let from_the_start = |event: &Event| matches!(event, Event::Discontinuity { at, .. } | Event::Reset { at, .. } if at.sseq == 1);
    assert!(
        early[0].app.events.iter().any(from_the_start),
        "{:?}",
        early[0].app.events
    );
    let mut joined = Joined::default();
    for joiner in joiners {
        let app = &joiner.app;
        app.books.check().unwrap();
        let (at, told) = app.joined.as_ref().unwrap();
        assert_same(told, &dump(&rebuilt(log, at)), at);
        let now = joiner.cursor().unwrap();
        assert_same(&dump(&app.books), &dump(&rebuilt(log, &now)), &now);
        assert!(!app.events.iter().any(gap), "{:?}", app.events);
        // Records behind the snapshot: those of the first one, each once and in order.
        let behind = |log: &[(Epoch, Place, MboMsg)]| {
            let of = log.iter().filter(|(epoch, place, _)| {
                *epoch == at.next.epoch && *place >= at.place() && *place < now.place()
            });
            of.map(|(_, place, _)| *place).collect::<Vec<_>>()
        };
        if now.next.epoch == at.next.epoch {
            assert_eq!(behind(&app.log), behind(log));
        }
        joined.add(joiner);
    }
    joined
}

impl Joined {
    fn add(&mut self, joiner: &Member) {
        let counters = joiner.shown().counters;
        assert_eq!(
            (counters.joined, counters.given_up, counters.restarted),
            (1, 0, 0)
        );
        self.orders += counters.orders;
        self.kept += counters.kept;
        self.covered += counters.covered;
    }
}

#[track_caller]
fn assert_by_snapshot(joined: &Joined) {
    let Joined {
        orders,
        kept,
        covered,
    } = joined;
    assert!(
        *orders > 0 && *kept > 0 && *covered > 0,
        "{orders} {kept} {covered}"
    );
}

fn longer() -> Run {
    Run {
        session: Duration::from_secs(20),
        ..small_run()
    }
}

/// Everything up, somebody there from the start, and so many messages of the first session told.
fn begun(run: &Run, messages: u64) -> (Rig, Vec<Member>) {
    let mut rig = start(run);
    let mut members = vec![Member::new(&rig, From::Live)];
    // Granted is not yet sent to: both legs must have been heard before the session begins.
    until(&mut members, "the first one hears both legs", |members| {
        let shown = members[0].control.monitor().snapshot();
        Leg::BOTH.into_iter().all(|leg| shown.is_heard(leg))
    });
    rig.open().unwrap();
    until(&mut members, "the session has begun", |members| {
        members[0].next() >= messages
    });
    (rig, members)
}

/// Gives the subscription back. A host whose disk keeps stream-admin waiting for longer than a request may take is not what is tried here:
/// then it lapses.
fn stop(control: ControlThread) {
    match control.stop() {
        Ok(()) | Err(Error::Administration(twinfeed_control::Error::Unreachable { .. })) => {}
        Err(error) => panic!("{error}"),
    }
}

fn end(rig: Rig, members: Vec<Member>) {
    for Member {
        control, poller, ..
    } in members
    {
        drop(poller);
        stop(control);
    }
    rig.leave().unwrap();
}

fn several_join(run: &Run) {
    let (rig, mut members) = begun(run, 500);
    let mut dice = fastrand::Rng::with_seed(20);
    for _ in 0..4 {
        let at = members[0].next() + dice.u64(50..1_500);
        until(&mut members, "the session goes on", |members| {
            members[0].next() >= at
        });
        members.push(Member::new(&rig, From::Snapshot));
    }
    until(&mut members, "all have joined", |members| {
        members[1..].iter().all(Member::has_joined)
    });
    assert_by_snapshot(&judge(&mut members));
    end(rig, members);
}

#[test]
fn who_joins_at_any_point_has_the_books_of_one_who_was_there_from_the_start() {
    let _alone = alone();
    several_join(&longer());
}

/// Of each book how many orders rest, and what they and their queues come to.
type Sums = BTreeMap<u32, (usize, u64)>;

/// A place at which somebody stood, and what its books came to.
type Checkpoint = (Cursor, Sums);

/// How far behind the last of these whoever they are compared with has come: an order has come by then.
const BEYOND: u64 = 50;

fn sums(dump: &Dump) -> Sums {
    let sum = |orders: &Vec<Order>| {
        let mut hasher = DefaultHasher::new();
        format!("{orders:?}").hash(&mut hasher);
        (orders.len(), hasher.finish())
    };
    let books = dump.iter().map(|(book, orders)| (*book, sum(orders)));
    books.collect()
}

/// Joins at so many points of one session, a few at a time, and compares each with one who was there from the start: at the end
/// of its snapshot, and some hundred records on.
fn many_join(points: usize, run: Run) {
    let run = Run {
        session: Duration::from_secs(15 + points as u64 / 3),
        rate: 2_000,
        ..run
    };
    let (rig, mut members) = begun(&run, 500);
    let mut dice = fastrand::Rng::with_seed(1_000);
    let (mut checkpoints, mut joined, mut leaving) = (Vec::new(), Joined::default(), Vec::new());
    let (mut begun, mut at) = (0, members[0].next());
    while checkpoints.len() < 2 * points {
        until(&mut members, "somebody has joined, or joins", |members| {
            let room = members.len() < 4 && begun < points;
            room && members[0].next() >= at || members[1..].iter().any(Member::has_joined)
        });
        let done = members[1..].iter().position(Member::has_joined);
        if let Some(joiner) = done.map(|index| members.remove(index + 1)) {
            let [told, now] = joiner.checkpoints();
            assert_eq!(told.0.next.epoch, now.0.next.epoch, "one session");
            checkpoints.extend([told, now]);
            joined.add(&joiner);
            let Member {
                poller, control, ..
            } = joiner;
            drop(poller);
            // It takes its leave of stream-admin first.
            leaving.push(std::thread::spawn(|| stop(control)));
        } else {
            members.push(Member::new(&rig, From::Snapshot));
            at = members[0].next() + dice.u64(1..200);
            begun += 1;
        }
    }
    for leaves in leaving {
        leaves.join().unwrap();
    }
    assert_by_snapshot(&joined);
    let places = || checkpoints.iter().map(|(cursor, _)| cursor.next.sseq);
    let furthest = places().max().unwrap();
    let (least, apart) = (places().min().unwrap(), places().collect::<BTreeSet<_>>());
    until(&mut members, "the first one has come so far", |members| {
        members[0].next() > furthest + BEYOND
    });
    let first = &members[0].app;
    assert!(
        !first
            .events
            .iter()
            .any(|event| matches!(event, Event::Gap { .. } | Event::Reset { .. }))
    );
    assert_as_from_the_start(first, &mut checkpoints, "");
    let orders = |(_, books): &Checkpoint| books.values().map(|(orders, _)| orders).sum::<usize>();
    println!(
        "{points} joined between {least} and {furthest}: {} places compared, {} of them apart, at most {} orders at rest",
        checkpoints.len(),
        apart.len(),
        checkpoints.iter().map(orders).max().unwrap()
    );
    end(rig, members);
}

/// At how many points somebody joins: `TWINFEED_JOINS` says it, or else it is `few`.
fn points(few: usize) -> usize {
    let points = std::env::var("TWINFEED_JOINS").map(|it| it.parse().unwrap());
    points.unwrap_or(few)
}

#[test]
fn who_joins_at_each_of_many_points_of_a_session_has_the_same_books() {
    let _alone = alone();
    many_join(points(25), small_run());
}

/// The books of one who was there from the start of each epoch come to the same at each of these places.
fn assert_as_from_the_start(first: &App, checkpoints: &mut [Checkpoint], told: &str) {
    checkpoints.sort_by_key(|(cursor, _)| (cursor.next.epoch, cursor.place()));
    for places in checkpoints.chunk_by(|(one, _), (other, _)| one.next.epoch == other.next.epoch) {
        let (begins, _) = places.first().unwrap();
        let mut books = from_the_start(begins);
        let of_it = |(epoch, ..): &&(Epoch, Place, MboMsg)| *epoch == begins.next.epoch;
        let mut log = first.log.iter().filter(of_it).peekable();
        for (cursor, sums_told) in places {
            while let Some((_, _, order)) = log.next_if(|(_, of, _)| *of < cursor.place()) {
                let _ = books.apply(SID, order);
            }
            assert_eq!(*sums_told, sums(&dump(&books)), "at {cursor}: {told}");
        }
        let here = first.cursors.get(SID).unwrap();
        let (furthest, _) = places.last().unwrap();
        let over = here.next.epoch != begins.next.epoch;
        let come = here.place() >= furthest.place();
        assert!(over || come, "the first one has come so far");
    }
}

/// So many times: somebody joins at a point of a session, and the active is killed at a moment of that.
fn join_while_actives_die(rounds: usize) {
    let run = Run {
        session: Duration::from_secs(3),
        rate: 2_000,
        ..small_run()
    };
    let (mut rig, mut members) = begun(&run, 300);
    let mut dice = fastrand::Rng::with_seed(3_000);
    let (mut amid, mut orders) = (0, 0);
    for round in 0..rounds {
        let at = members[0].next() + dice.u64(50..2_000);
        let epoch = members[0].cursor().unwrap().next.epoch;
        until(&mut members, "the session goes on", |members| {
            let here = members[0].cursor().unwrap().next;
            here.epoch != epoch || here.sseq >= at
        });
        let active = rig.active_seat().unwrap();
        members.push(Member::new(&rig, From::Snapshot));
        until(&mut members, "it is granted", |members| {
            members[1].poller.sockets().count() > 0
        });
        for _ in 0..dice.u32(0..400) {
            for member in &mut members {
                member.poller.poll(64, &mut member.app);
            }
        }
        amid += usize::from(members[1].app.joined.is_none());
        rig.signal(active, Signal::KILL).unwrap();
        until(&mut members, "it has joined", |members| {
            members[1].has_joined()
        });
        let joiner = members.pop().unwrap();
        let mut checkpoints = joiner.checkpoints();
        let last = checkpoints[1].0.next;
        until(&mut members, "the first one has come so far", |members| {
            let here = members[0].cursor().unwrap().next;
            here.epoch != last.epoch || here.sseq > last.sseq + BEYOND
        });
        let told = (round, &joiner.app.events, &members[0].app.events);
        let spoils = |event: &&Event| {
            matches!(event, Event::Gap { .. })
                || matches!(event, Event::Discontinuity { cause, .. } if *cause != DiscontinuityCause::Join)
        };
        assert_eq!(members[0].app.events.iter().find(spoils), None, "{told:?}");
        assert_as_from_the_start(&members[0].app, &mut checkpoints, &format!("{told:?}"));
        members[0].app.events.clear();
        orders += joiner.shown().counters.orders;
        let Member {
            poller, control, ..
        } = joiner;
        drop(poller);
        stop(control);
        rig.restart(active).unwrap();
        rig.until_protected(LIMIT).unwrap();
        until(
            &mut members,
            "whoever was restarted knows what rests",
            |_| knows_what_rests(&rig, active),
        );
    }
    println!(
        "{rounds} actives killed, {amid} of them in front of a snapshot's end, {orders} orders told"
    );
    assert!(amid > 0 && orders > 0, "{amid} {orders}");
    end(rig, members);
}

/// Whether an adapter says that it gives snapshots.
fn knows_what_rests(rig: &Rig, seat: Seat) -> bool {
    let document = adapter::document(rig.files().adapters[seat.index()].operations);
    let whole = document.and_then(|it| it.get("snapshots")?.get(0)?.get("whole")?.as_bool());
    whole == Some(true)
}

/// Whether what an adapter would tell who joins is of a context that reaches back to the source's first number.
fn is_complete(rig: &Rig, seat: Seat) -> bool {
    let document = adapter::document(rig.files().adapters[seat.index()].operations);
    let at = document.and_then(|it| {
        let at = it.get("snapshots")?.get(0)?.get("at")?.as_str()?;
        at.parse::<Cursor>().ok()
    });
    at.is_some_and(|at| at.complete)
}

#[test]
fn who_joins_in_a_halt_has_the_same_books_before_anything_is_said() {
    let _alone = alone();
    let (mut rig, mut members) = begun(&longer(), 1_500);
    rig.exchange().tell(Command::Pause).unwrap();
    until(&mut members, "the halt has come to be known", |members| {
        let stale = |event: &Event| matches!(event, Event::Stale { .. });
        members[0].app.events.iter().any(stale)
    });
    members.push(Member::new(&rig, From::Snapshot));
    until(&mut members, "it has joined", |members| {
        members[1].shown().counters.joined == 1
    });
    let [first, joiner] = [0, 1].map(|at| &members[at]);
    let (at, told) = joiner.app.joined.as_ref().unwrap();
    assert_eq!(first.cursor().unwrap().place(), at.place());
    assert_same(told, &dump(&first.app.books), at);
    assert_eq!((joiner.app.log.len(), joiner.shown().counters.kept), (0, 0));
    rig.exchange().tell(Command::Resume).unwrap();
    until(&mut members, "it goes on", |members| {
        members[1].has_joined()
    });
    assert!(judge(&mut members).orders > 0);
    end(rig, members);
}

#[test]
fn who_joins_after_both_adapters_were_restarted_in_mid_session_has_the_same_books() {
    let _alone = alone();
    let run = Run {
        session: Duration::from_secs(120),
        ..longer()
    };
    let (mut rig, mut members) = begun(&run, 500);
    let epoch = members[0].cursor().unwrap().next.epoch;
    for seat in [Seat::Backup, Seat::Active, Seat::Backup] {
        rig.signal(seat, Signal::KILL).unwrap();
        rig.restart(seat).unwrap();
        rig.until_protected(LIMIT).unwrap();
        until(&mut members, "it knows what rests", |_| {
            knows_what_rests(&rig, seat)
        });
    }
    // Each of them was asked for what it has not seen itself.
    for seat in Seat::BOTH {
        members.push(Member::new(&rig, From::Snapshot));
        rig.signal(seat.other(), Signal::STOP).unwrap();
        until(&mut members, "it has joined", |members| {
            members.last().unwrap().has_joined()
        });
        rig.signal(seat.other(), Signal::CONT).unwrap();
        rig.until_protected(LIMIT).unwrap();
    }
    let here = members[0].cursor().unwrap().next.epoch;
    assert_eq!(here, epoch, "the session went on");
    assert_by_snapshot(&judge(&mut members));
    end(rig, members);
}

/// All that the exchange sent in a session, as an adapter converts it.
struct Sent(Vec<(Epoch, Place, MboMsg)>, Epoch);

impl Sink for Sent {
    fn record(&mut self, record: &Converted<'_>) -> std::io::Result<()> {
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        if let Some(order) = MboMsg::view(record.bytes).filter(|_| record.kind == BodyKind::Dbn) {
            self.0.push((self.1, place, *order));
        }
        Ok(())
    }
}

/// What rests by the exchange's own record of a session that is over, up to the cursor.
fn sent_until(rig: &Rig, cursor: &Cursor) -> Dump {
    let job = Job {
        input: rig.files().path("sent/S000000001.itch"),
        format: Format::Itch50,
        trading_day: Some("2026-11-27".parse().unwrap()),
        publisher_id: 1,
        max_open_orders: 1_000_000,
        first_sseq: 1,
    };
    let mut sent = Sent(Vec::new(), cursor.next.epoch);
    convert(&job, &mut sent).unwrap();
    dump(&rebuilt(&sent.0, cursor))
}

/// Both adapters die in mid-session, and begin again knowing nothing. Whoever joins has the books that the source tells them.
fn join_behind_adapters_that_know_only_the_source(soup: Soup, complete: bool) {
    let run = Run {
        soup: Some(soup),
        ..longer()
    };
    let (mut rig, mut members) = begun(&run, 1_500);
    let epoch = members[0].cursor().unwrap().next.epoch;
    for seat in Seat::BOTH {
        rig.signal(seat, Signal::KILL).unwrap();
        rig.adapter(seat).unwrap().wait(LIMIT).unwrap();
    }
    drop(members.remove(0)); // what was sent meanwhile is nobody's
    for seat in Seat::BOTH {
        rig.restart(seat).unwrap();
    }
    for seat in Seat::BOTH {
        until(&mut [], "it knows what rests", |_| {
            knows_what_rests(&rig, seat) && is_complete(&rig, seat) == complete
        });
    }
    let restored = Seat::BOTH.map(|seat| {
        let counters = status(&rig, seat).unwrap().counters;
        counters["snapshots_source_restored_total"]
    });
    assert!(restored.iter().sum::<u64>() > 0, "{restored:?}");
    // Each of them was asked for what it has not seen itself.
    for seat in Seat::BOTH {
        members.push(Member::new(&rig, From::Snapshot));
        rig.signal(seat.other(), Signal::STOP).unwrap();
        until(&mut members, "it has joined", |members| {
            members.last().unwrap().has_joined()
        });
        rig.signal(seat.other(), Signal::CONT).unwrap();
    }
    for member in &members {
        let app = &member.app;
        app.books.check().unwrap();
        let (at, _) = app.joined.as_ref().unwrap();
        assert_eq!((at.next.epoch, at.complete), (epoch, complete));
        let sound = |book: View<'_>| book.trust() == Trust::Sound;
        assert!(
            app.books.books(SID).all(sound),
            "nobody administered anything"
        );
        assert_eq!(app.books.counts(SID).total(), 0, "everything fits");
    }
    let stood = members
        .iter()
        .map(|it| (it.cursor().unwrap(), dump(&it.app.books)));
    let stood: Vec<_> = stood.collect();
    until(&mut members, "the next session begins", |members| {
        members
            .iter()
            .all(|it| it.cursor().unwrap().next.epoch != epoch)
    });
    for (member, (now, books)) in members.iter().zip(stood) {
        let (at, told) = member.app.joined.as_ref().unwrap();
        assert_same(told, &sent_until(&rig, at), at);
        assert_same(&books, &sent_until(&rig, &now), &now);
        assert!(told.len() > 1, "{at}");
    }
    end(rig, members);
}

#[test]
fn who_joins_after_both_adapters_died_at_once_has_the_books_of_the_whole_session() {
    let _alone = alone();
    let soup = Soup {
        servers: [Some(SoupServer::Sound), Some(SoupServer::Sound)],
        ..Soup::default()
    };
    join_behind_adapters_that_know_only_the_source(soup, true);
}

#[test]
fn who_joins_after_both_adapters_died_at_once_has_the_books_of_the_sources_snapshot() {
    let _alone = alone();
    let soup = Soup {
        snapshots: Some(SoupServer::Sound),
        servers: [None, None],
        ..Soup::default()
    };
    join_behind_adapters_that_know_only_the_source(soup, false);
}

#[test]
fn behind_a_snapshot_of_the_sources_the_whole_session_makes_the_books() {
    let _alone = alone();
    let soup = Soup {
        snapshots: Some(SoupServer::Sound),
        servers: [Some(SoupServer::Sound), None],
        ..Soup::default()
    };
    join_behind_adapters_that_know_only_the_source(soup, true);
}

#[test]
fn who_joins_while_the_active_dies_has_the_same_books() {
    let _alone = alone();
    join_while_actives_die(points(4));
}

#[test]
fn who_joins_amid_real_messages_has_the_same_books() {
    let samples = std::env::var_os("TWINFEED_SAMPLES").map(PathBuf::from);
    let Some(path) = samples
        .map(|at| at.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50"))
        .filter(|path| path.exists())
    else {
        eprintln!("skipped: no sample data; set TWINFEED_SAMPLES");
        return;
    };
    let _alone = alone();
    let run = Run {
        content: Content::Binaryfile { path, first: 1 },
        trading_day: "2019-12-30".to_owned(),
        ..longer()
    };
    several_join(&run);
    many_join(points(10), run);
}

#[test]
fn an_adapter_that_dies_during_the_join_delays_it_at_most() {
    let _alone = alone();
    for dead in Seat::BOTH {
        let (mut rig, mut members) = begun(&longer(), 1_500);
        members.push(Member::new(&rig, From::Snapshot));
        until(&mut members, "it is granted", |members| {
            members[1].poller.sockets().count() > 0
        });
        rig.signal(dead, Signal::KILL).unwrap();
        until(&mut members, "it has joined", |members| {
            members[1].has_joined()
        });
        assert_by_snapshot(&judge(&mut members));
        end(rig, members);
    }
}

#[test]
fn a_server_that_is_gone_or_says_nothing_is_passed_over() {
    let _alone = alone();
    for signal in [Signal::KILL, Signal::STOP] {
        let (mut rig, mut members) = begun(&longer(), 1_500);
        rig.signal(Seat::Backup, signal).unwrap();
        members.push(Member::new(&rig, From::Snapshot));
        until(&mut members, "it has joined", |members| {
            members[1].has_joined()
        });
        let fetched = members[1].shown().fetched;
        assert!(
            fetched.unreachable + fetched.silent + fetched.torn > 0,
            "{fetched:?}"
        );
        assert_by_snapshot(&judge(&mut members));
        if signal == Signal::STOP {
            rig.signal(Seat::Backup, Signal::CONT).unwrap();
        }
        end(rig, members);
    }
}
