//! Does the thread that fetches a session's past make the memory of one that was there, and does every bound end it?
//!
//! The server is a socket and bytes written by hand, so that the reader is not tested with its own writer.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

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
use twinfeed_feed_adapter::source::soup::past::{Begin, Errand, Fetched, Fetcher};
use twinfeed_feed_adapter::source::soup::{Servers, Why};
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
}

impl Stage {
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
        let (errands, errand) = bounded(16);
        let (tell, fetched) = unbounded();
        let fetcher = Fetcher::new(
            (SETTINGS, day()),
            1 << 18,
            vec![(SID, servers)],
            Box::new(move |sid, attempt, fetched| {
                sid == SID && tell.send((attempt, fetched)).is_ok()
            }),
        );
        std::thread::spawn(move || fetcher.run(&errand));
        Self { errands, fetched }
    }

    fn begin(&self, attempt: u32, head: u64) {
        let begin = Begin {
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
