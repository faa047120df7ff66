//! Does the thread that fetches a session's past, or a snapshot, make the memory of one that was there, and does every bound end it?
//!
//! The server is a socket and bytes written by hand, so that the reader is not tested with its own writer.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use support::SID;
use support::flow::message;
use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{Decoder as _, LONGEST_MESSAGE, Parts, TradingDay};
use twinfeed_feed_adapter::source::moldudp64::Session;
use twinfeed_feed_adapter::source::soup::past::{Begin, Errand, Fetched, Fetcher, What};
use twinfeed_feed_adapter::source::soup::{Servers, SnapshotServers, Why};
use twinfeed_feed_adapter::transfer::Whole;
use twinfeed_feed_adapter::transfer::kept::Kept;
use twinfeed_protocol::line::Line;
use twinfeed_wire::Epoch;

const SETTINGS: Settings = Settings {
    publisher_id: 1,
    max_open_orders: 1_000,
};
const LIMIT: Duration = Duration::from_secs(20);

fn day() -> TradingDay {
    "2019-12-30".parse().unwrap()
}

/// Message number `number` of the session.
fn sent(number: u64) -> Vec<u8> {
    let step = (number * 37 % 256, number * 11 % 40, number % 90);
    message(number, (step.0 as u8, step.1 as u8, step.2 as u8))
}

/// A server for one connection: the login, and then these bytes, and what comes by the channel.
fn serve(first: Vec<u8>, more: Receiver<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut login = vec![0; 49];
        stream.read_exact(&mut login).unwrap();
        // Whoever has hung up is not given the rest.
        let _ = stream.write_all(&first);
        while let Ok(bytes) = more.recv() {
            let _ = stream.write_all(&bytes);
        }
        login
    });
    (address, serving)
}

fn accepted(next: u64) -> Vec<u8> {
    format!("\0\x1fAS000000001{next:>20}").into_bytes()
}

fn sequenced(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        let message = sent(number);
        bytes.extend((message.len() as u16 + 1).to_be_bytes());
        bytes.push(b'S');
        bytes.extend(message);
    }
    bytes
}

struct Stage {
    errands: Sender<Errand>,
    fetched: Receiver<(u32, Fetched)>,
    what: What,
}

impl Stage {
    /// One whose server of line B gives snapshots.
    fn of_snapshots(server: SocketAddr, change: impl FnOnce(&mut SnapshotServers)) -> Self {
        let mut servers = SnapshotServers {
            addresses: [None, Some(server)],
            user: "TWIN".to_owned(),
            password: "secret".to_owned(),
            any_session: false,
            time: LIMIT,
            messages: 1_000_000,
        };
        change(&mut servers);
        Self::start(What::Snapshot, Vec::new(), vec![(SID, servers)])
    }

    fn new(server: SocketAddr, change: impl FnOnce(&mut Servers)) -> Self {
        let mut servers = Servers {
            addresses: [None, Some(server)],
            user: "TWIN".to_owned(),
            password: "secret".to_owned(),
            answer_time: Duration::from_secs(5),
            answer_bytes: 1 << 20,
            past_time: LIMIT,
            past_messages: 1_000_000,
        };
        change(&mut servers);
        Self::start(What::Past, vec![(SID, servers)], Vec::new())
    }

    fn start(
        what: What,
        sources: Vec<(twinfeed_wire::Sid, Servers)>,
        snapshots: Vec<(twinfeed_wire::Sid, SnapshotServers)>,
    ) -> Self {
        let (errands, errand) = bounded(16);
        let (tell, fetched) = unbounded();
        let fetcher = Fetcher::new(
            (SETTINGS, day()),
            1 << 18,
            sources,
            snapshots,
            Box::new(move |sid, attempt, fetched| {
                sid == SID && tell.send((attempt, fetched)).is_ok()
            }),
        );
        std::thread::spawn(move || fetcher.run(&errand));
        Self {
            errands,
            fetched,
            what,
        }
    }

    fn begin(&self, attempt: u32, head: u64) {
        let begin = Begin {
            what: self.what,
            attempt,
            sid: SID,
            line: Line::B,
            session: Session(*b"S000000001"),
            epoch: Epoch(7),
            predecessor: Epoch::NONE,
            first: 1,
            head,
        };
        self.errands.send(Errand::Begin(begin)).unwrap();
    }

    /// The next word that is more than how far it is.
    fn next(&self, attempt: u32) -> Fetched {
        loop {
            match self.fetched.recv_timeout(LIMIT).unwrap() {
                (_, Fetched::Reached(_)) => {}
                (of, fetched) => {
                    assert_eq!(of, attempt);
                    return fetched;
                }
            }
        }
    }

    fn passed(&self, attempt: u32) -> (u64, Box<Kept>) {
        match self.next(attempt) {
            Fetched::Passed(next, kept) => (next, kept),
            other => panic!("{other:?}"),
        }
    }

    fn failed(&self, attempt: u32) -> Why {
        match self.next(attempt) {
            Fetched::Failed(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_past_that_was_fetched_is_the_memory_of_one_that_was_there() {
    let (more, behind) = unbounded();
    let given = [accepted(1), sequenced(1..501)].concat();
    let (server, serving) = serve(given, behind);
    let stage = Stage::new(server, |_| {});
    stage.begin(1, 400);
    let (next, kept) = stage.passed(1);
    assert!((400..=501).contains(&next), "{next}");
    // The lines have gone on far: further.
    stage.errands.send(Errand::Head(1, 700, kept)).unwrap();
    more.send(sequenced(501..800)).unwrap();
    let (next, kept) = stage.passed(1);
    assert!((700..=800).contains(&next), "{next}");
    assert_eq!(kept.first(), None, "an empty buffer");
    stage.errands.send(Errand::Until(1, 900)).unwrap();
    more.send(sequenced(800..1_000)).unwrap();
    let Fetched::Whole(whole) = stage.next(1) else {
        panic!("it is not whole");
    };
    drop(more);
    assert_eq!(
        &serving.join().unwrap()[..],
        b"\0\x2fLTWIN  secret    S000000001                   1"
    );
    // One that was there converts the same messages, and those that follow, to the same bodies.
    let mut there = Converter::new(SETTINGS, day());
    let (mut parts, mut prev) = (Parts::new(LONGEST_MESSAGE + 1), 0);
    for number in 1..whole.next {
        there.convert(number, &sent(number), &mut parts).unwrap();
        prev = if parts.is_empty() { prev } else { number };
    }
    assert!((900..=1_000).contains(&whole.next), "{}", whole.next);
    assert_eq!(whole.prev, prev);
    assert_eq!((whole.head.first, whole.head.epoch), (1, Epoch(7)));
    let (mut fetched, mut others) = (whole.decoder, Parts::new(LONGEST_MESSAGE + 1));
    assert!(fetched.open_orders() > 10, "{}", fetched.open_orders());
    assert_eq!(fetched.open_orders(), there.open_orders());
    for number in whole.next..1_500 {
        there.convert(number, &sent(number), &mut parts).unwrap();
        fetched.convert(number, &sent(number), &mut others).unwrap();
        let bodies = |parts: &Parts| -> Vec<Vec<u8>> {
            parts.iter().map(|part| part.bytes.to_vec()).collect()
        };
        assert_eq!(bodies(&parts), bodies(&others), "{number}");
    }
}

#[test]
fn what_cannot_be_the_whole_past_is_none() {
    let rejected = b"\0\x02JA".to_vec();
    let table: [(Vec<u8>, u64, &str); 5] = [
        ([accepted(3), sequenced(3..9)].concat(), 1_000, "From(3)"),
        ([accepted(1), sequenced(1..9)].concat(), 5, "Messages"),
        (
            [accepted(1), sequenced(1..9), b"\0\x01Z".to_vec()].concat(),
            1_000,
            "Ended",
        ),
        (rejected, 1_000, "Session(Rejected(NotAuthorised))"),
        (b"\0\x01?".to_vec(), 1_000, "Session(Malformed(Type(63)))"),
    ];
    for (given, most, why) in table {
        // Nothing follows: the connection ends behind it.
        let (_, behind) = unbounded();
        let (server, _) = serve(given, behind);
        let stage = Stage::new(server, |servers| servers.past_messages = most);
        stage.begin(1, 1_000);
        assert_eq!(format!("{:?}", stage.failed(1)), why);
        // Nobody listens there any more, and the words say what to do about it.
        stage.begin(2, 1_000);
        let text = stage.failed(2).to_string();
        assert!(text.contains("check the address"), "{why}: {text}");
    }
}

#[test]
fn a_past_that_takes_too_long_or_is_not_wanted_any_more_ends() {
    let (_more, behind) = unbounded();
    let (server, _) = serve([accepted(1), sequenced(1..9)].concat(), behind);
    let stage = Stage::new(server, |servers| {
        servers.past_time = Duration::from_millis(50);
    });
    stage.begin(1, 1_000);
    assert_eq!(stage.failed(1), Why::Time);
    let (_more, behind) = unbounded();
    let (server, _) = serve([accepted(1), sequenced(1..9)].concat(), behind);
    let stage = Stage::new(server, |_| {});
    stage.begin(1, 5);
    let (_, kept) = stage.passed(1);
    stage.errands.send(Errand::Free(None, Some(kept))).unwrap();
    stage.errands.send(Errand::Stop(7)).unwrap();
    stage.errands.send(Errand::Stop(1)).unwrap();
    assert_eq!(stage.failed(1), Why::Stopped);
}

/// Adds of open orders, with what is left of them.
type Open = BTreeMap<u64, Vec<u8>>;

/// A session in which every message makes sense, and for every number what is open in front of it: Adds with what is left of
/// them, by a naive reader.
fn sensible() -> (Vec<Vec<u8>>, Vec<Open>) {
    let u64_at =
        |message: &[u8], at: usize| u64::from_be_bytes(message[at..at + 8].try_into().unwrap());
    let u32_at =
        |message: &[u8], at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
    let (mut session, mut states) = (Vec::new(), Vec::new());
    let mut open: Open = BTreeMap::new();
    for number in 1..4_000 {
        let message = sent(number);
        let before = open.clone();
        let sense = match message[0] {
            b'A' | b'F' => {
                let sense = u32_at(&message, 20) > 0 && !open.contains_key(&u64_at(&message, 11));
                if sense {
                    open.insert(u64_at(&message, 11), message.clone());
                }
                sense
            }
            b'E' | b'C' | b'X' => {
                let (of, by) = (u64_at(&message, 11), u32_at(&message, 19));
                let left = open.get(&of).map_or(0, |add| u32_at(add, 20));
                let sense = by > 0 && by <= left;
                if sense && by == left {
                    open.remove(&of);
                } else if sense {
                    open.get_mut(&of).unwrap()[20..24].copy_from_slice(&(left - by).to_be_bytes());
                }
                sense
            }
            b'D' => open.remove(&u64_at(&message, 11)).is_some(),
            b'U' => {
                let (of, new) = (u64_at(&message, 11), u64_at(&message, 19));
                let sense = open.contains_key(&of) && !open.contains_key(&new);
                if sense {
                    let mut add = open.remove(&of).unwrap();
                    add[11..19].copy_from_slice(&message[19..27]);
                    add[20..24].copy_from_slice(&message[27..31]);
                    add[32..36].copy_from_slice(&message[31..35]);
                    open.insert(new, add);
                }
                sense
            }
            _ => true,
        };
        if sense {
            session.push(message);
            states.push(before);
        }
    }
    (session, states)
}

/// A snapshot in front of number `number`, whose messages count from 1, as a server gives it.
fn spun(session: &[Vec<u8>], states: &[Open], number: usize) -> Vec<u8> {
    let mut messages = Vec::new();
    for locate in 0..7_u16 {
        let directory =
            |message: &&Vec<u8>| message[0] == b'R' && message[1..3] == locate.to_be_bytes();
        messages.extend(session[..number - 1].iter().rfind(directory).cloned());
    }
    messages.extend(states[number - 1].values().cloned());
    messages.push(format!("G{number:>20}").into_bytes());
    let mut bytes = accepted(1);
    for message in messages {
        bytes.extend((message.len() as u16 + 1).to_be_bytes());
        bytes.push(b'S');
        bytes.extend(message);
    }
    bytes
}

/// The memory that a snapshot in front of `number` makes.
fn from_a_snapshot(session: &[Vec<u8>], states: &[Open], number: usize) -> Box<Whole> {
    let (more, behind) = unbounded();
    let (server, serving) = serve(spun(session, states, number), behind);
    let stage = Stage::of_snapshots(server, |_| {});
    stage.begin(1, 100);
    // The lines' messages are kept before anybody is asked.
    let (next, kept) = stage.passed(1);
    assert_eq!((next, kept.first()), (100, None));
    drop(kept);
    stage.errands.send(Errand::Until(1, 100)).unwrap();
    let Fetched::Whole(whole) = stage.next(1) else {
        panic!("it is not whole");
    };
    drop(more);
    assert_eq!(
        &serving.join().unwrap()[..],
        format!("\0\x2fLTWIN  secret    {:10}{:>20}", "", 1).as_bytes(),
        "the session that is on, from number 1"
    );
    let at = number as u64;
    assert_eq!((whole.next, whole.prev, whole.snapshot), (at, at - 1, true));
    whole
}

#[test]
fn a_snapshot_is_the_memory_of_one_that_was_there_whenever_it_was_taken() {
    let (session, states) = sensible();
    assert!(session.len() > 1_200, "{}", session.len());
    let [early, late] = [500, 900];
    let mut whole = [early, late].map(|number| from_a_snapshot(&session, &states, number));
    assert_eq!(whole[0].head.context, whole[1].head.context);
    let mut there = Converter::new(SETTINGS, day());
    let [mut one, mut other, mut third] = [0; 3].map(|_| Parts::new(LONGEST_MESSAGE + 1));
    let bodies =
        |parts: &Parts| -> Vec<Vec<u8>> { parts.iter().map(|part| part.bytes.to_vec()).collect() };
    for (number, message) in (1..).zip(&session) {
        there.convert(number, message, &mut one).unwrap();
        if number >= early as u64 {
            whole[0]
                .decoder
                .convert(number, message, &mut other)
                .unwrap();
            assert_eq!(bodies(&one), bodies(&other), "{number}");
        }
        if number >= late as u64 {
            whole[1]
                .decoder
                .convert(number, message, &mut third)
                .unwrap();
            assert_eq!(bodies(&one), bodies(&third), "{number}");
        }
    }
    let open = whole.each_ref().map(|whole| whole.decoder.open_orders());
    assert_eq!(open, [there.open_orders(); 2]);
    assert!(open[0] > 10, "{open:?}");
}

#[test]
fn a_server_that_is_behind_the_lines_is_asked_until_it_is_not() {
    let (session, states) = sensible();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let given = [700, 799, 850].map(|number| spun(&session, &states, number));
    let serving = std::thread::spawn(move || {
        for given in given {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 49]).unwrap();
            stream.write_all(&given).unwrap();
            // Until the client has hung up.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let stage = Stage::of_snapshots(address, |_| {});
    stage.begin(1, 780);
    drop(stage.passed(1));
    stage.errands.send(Errand::Until(1, 800)).unwrap();
    assert!(matches!(stage.next(1), Fetched::Whole(whole) if whole.next == 850));
    serving.join().unwrap();
}

#[test]
fn what_is_no_snapshot_makes_no_memory() {
    let (session, states) = sensible();
    let whole = spun(&session, &states, 800);
    let without_its_end = whole[..whole.len() - 24].to_vec();
    let packet = |message: &str| format!("\0{}S{message}", char::from(message.len() as u8 + 1));
    let other = "\0\x1fAS000000002                   1".as_bytes().to_vec();
    let ended = [&without_its_end[..], b"\0\x01Z"].concat();
    let word = [accepted(1), packet("Gsoon").into_bytes()].concat();
    let zero = [accepted(1), packet("G                   0").into_bytes()].concat();
    type Change = fn(&mut SnapshotServers);
    // An Add that lacks a byte may be an order that is open.
    let behind = |message: &str| {
        let packet = packet(message).into_bytes();
        [accepted(1), sequenced(1..2), packet].concat()
    };
    let short = behind("A23456789012345678901234567890");
    let unknown = behind("?23456789012");
    let table: [(Vec<u8>, Change, &str); 12] = [
        (short, |_| {}, "Dialect(Itch50(WrongSize"),
        (unknown, |_| {}, "Dialect(Itch50(UnknownType"),
        (
            whole.clone(),
            |servers| servers.time = Duration::from_millis(50),
            "Behind",
        ),
        (accepted(7), |_| {}, "From(7)"),
        (other.clone(), |_| {}, "Session(Other"),
        (without_its_end.clone(), |_| {}, "Closed"),
        (ended, |_| {}, "Unfinished"),
        (word, |_| {}, "Unfinished"),
        (zero, |_| {}, "Unfinished"),
        (whole.clone(), |servers| servers.messages = 5, "Messages"),
        (
            b"\0\x02JA".to_vec(),
            |_| {},
            "Session(Rejected(NotAuthorised))",
        ),
        (
            accepted(1),
            |servers| servers.time = Duration::from_millis(50),
            "Time",
        ),
    ];
    for (given, change, why) in table {
        let (more, behind) = unbounded();
        let (server, _) = serve(given, behind);
        let stage = Stage::of_snapshots(server, change);
        stage.begin(1, 1);
        let (_, kept) = stage.passed(1);
        stage.errands.send(Errand::Free(None, Some(kept))).unwrap();
        let until = if why == "Behind" { 801 } else { 1 };
        stage.errands.send(Errand::Until(1, until)).unwrap();
        if !["Time", "Behind"].contains(&why) {
            drop(more);
        }
        let failed = format!("{:?}", stage.failed(1));
        assert!(failed.starts_with(why), "{failed}, not {why}");
    }
    // Whose name is another one is taken where the configuration says so.
    let (_more, behind) = unbounded();
    let renamed = [&other[..], &whole[accepted(1).len()..]].concat();
    let (server, _) = serve(renamed, behind);
    let stage = Stage::of_snapshots(server, |servers| servers.any_session = true);
    stage.begin(1, 1);
    drop(stage.passed(1));
    stage.errands.send(Errand::Until(1, 1)).unwrap();
    assert!(matches!(stage.next(1), Fetched::Whole(whole) if whole.next == 800));
    // The peer hands its memory over meanwhile: nobody is asked.
    stage.begin(2, 1);
    let (_, kept) = stage.passed(2);
    stage.errands.send(Errand::Head(2, 9, kept)).unwrap();
    assert_eq!(stage.failed(2), Why::Stopped);
}
