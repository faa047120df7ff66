//! Where nobody else has it: is what the source says of what rests told to who joins, and what is not of it refused?
//!
//! The server is a socket and bytes written by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use crossbeam::channel::{Sender, unbounded};
use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{Decoder as _, LONGEST_MESSAGE, Parts, TradingDay};
use twinfeed_feed_adapter::snapshots::Lacking;
use twinfeed_feed_adapter::source::moldudp64::Session;
use twinfeed_protocol::digest::Context;
use twinfeed_wire::Epoch;
use twinfeed_wire::record::{DbnRecord as _, MboMsg};
use twinfeed_wire::snapshot::Trust;

use super::server::{Rig, answer};
use super::stream::{SID, Stream};

fn day() -> TradingDay {
    "2019-12-30".parse().unwrap()
}

fn epoch() -> Epoch {
    Session(*b"S000000001").epoch(&day())
}

/// The message of this number: an order that is added in one of ten books, and rests.
fn added(number: u64) -> [u8; 36] {
    let mut bytes = [b' '; 36];
    bytes[0] = b'A';
    bytes[1..3].copy_from_slice(&((number % 10) as u16 + 1).to_be_bytes());
    bytes[3..5].fill(0);
    bytes[5..11].copy_from_slice(&number.to_be_bytes()[2..]);
    bytes[11..19].copy_from_slice(&(1_000 + number).to_be_bytes());
    bytes[19] = if number.is_multiple_of(3) { b'B' } else { b'S' };
    bytes[20..24].copy_from_slice(&(100 + number as u32).to_be_bytes());
    bytes[24..32].copy_from_slice(b"TWIN    ");
    bytes[32..36].copy_from_slice(&(10_000 + number as u32 % 7 * 100).to_be_bytes());
    bytes
}

fn packet(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16 + 1).to_be_bytes().to_vec();
    bytes.push(b'S');
    bytes.extend(message);
    bytes
}

fn accepted(session: &str, next: u64) -> Vec<u8> {
    format!("\0\x1fA{session}{next:>20}").into_bytes()
}

/// Answers one connection after the other: who has logged in is given what comes from the test, until that is `None`.
fn serve() -> (SocketAddr, Sender<Option<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (give, given) = unbounded::<Option<Vec<u8>>>();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            if stream.read_exact(&mut [0; 49]).is_err() {
                continue;
            }
            loop {
                match given.recv() {
                    // Whoever has hung up is not given the rest.
                    Ok(Some(bytes)) => drop(stream.write_all(&bytes)),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    });
    (address, give)
}

/// An adapter that heard the source from a number on, in this context, beside a server.
struct Noon {
    rig: Rig,
    decoder: Converter,
    parts: Parts,
    give: Sender<Option<Vec<u8>>>,
}

impl Noon {
    fn new(kind: &str, after: &str, from: u64, context: &Context, complete: bool) -> Self {
        let (address, give) = serve();
        let mut stream = Stream::new();
        stream.header.epoch = epoch();
        (stream.sseq, stream.last) = (from - 1, from - 1);
        if !complete {
            stream.incomplete(0);
        }
        stream.header.context = context.id();
        let at = format!(", {kind} = \"{address}\"");
        let table = format!("[source.{kind}]\nuser = \"TWIN\"\n{after} = \"1ms\"");
        let settings = Settings {
            publisher_id: 2,
            max_open_orders: 100_000,
        };
        Self {
            rig: Rig::beside((&at, &table), "", stream),
            decoder: Converter::new(settings, day()),
            parts: Parts::new(LONGEST_MESSAGE + 1),
            give,
        }
    }

    /// The source says its next message.
    fn next(&mut self) -> u64 {
        let number = self.rig.stream.sseq + 1;
        self.decoder
            .convert(number, &added(number), &mut self.parts)
            .unwrap();
        let parts: Vec<_> = self.parts.iter().collect();
        assert_eq!(parts.len(), 1);
        let order = *MboMsg::view(parts[0].bytes).unwrap();
        self.rig.tell(&order);
        number
    }

    /// Someone who is connected is told this, and then hung up on.
    fn answer(&self, bytes: &[u8]) {
        self.give.send(Some(bytes.to_vec())).unwrap();
        self.give.send(None).unwrap();
    }

    fn until_failed(&self, times: u64) -> String {
        self.rig.until(|of| of.origin.failed == times);
        loop {
            let standing = &self.rig.giver.standing()[0];
            assert_eq!(standing.lacking, Some(Lacking::Beginning));
            assert_eq!(standing.trouble[0], None);
            if let Some(trouble) = &standing.trouble[1] {
                return trouble.clone();
            }
        }
    }

    /// Every order that was added is told, in its book and in its turn.
    fn judge(&mut self, complete: bool, trust: Trust) {
        let last = self.next();
        self.rig.until(|of| of.follower.orders == last);
        let taken = answer(&mut self.rig.ask(&self.rig.request_from_here())).unwrap();
        assert_eq!((taken.end.orders, taken.end.instruments), (last, 10));
        assert_eq!(
            (taken.end.cursor.complete, taken.end.trust),
            (complete, trust)
        );
        assert_eq!(taken.end.cursor.next.sseq, last + 1);
        for book in taken.books.books(SID) {
            let number = u64::from(book.instrument()) - 1;
            let mut ids: Vec<u64> = book.orders().map(|order| order.id).collect();
            ids.sort_unstable();
            let all = (1..=last).filter(|of| of % 10 == number);
            assert_eq!(ids, all.map(|of| 1_000 + of).collect::<Vec<_>>());
            let mut at = std::collections::BTreeMap::new();
            for order in book.orders() {
                let before = at.insert(
                    (order.side == twinfeed_book::Side::Bid, order.price),
                    order.id,
                );
                assert!(
                    before < Some(order.id),
                    "queues are in the order of arrival"
                );
            }
        }
    }
}

#[test]
fn what_no_peer_has_is_made_of_the_session() {
    let context = Context::new(epoch(), 1);
    let mut noon = Noon::new("soup", "past_after", 300, &context, true);
    for _ in 0..10 {
        noon.next();
    }
    noon.answer(b"\0\x02JA");
    assert!(noon.until_failed(1).contains("not authorised"));
    // One server may give another session than this one's lines have.
    noon.answer(&accepted("S000000002", 1));
    let trouble = noon.until_failed(2);
    assert!(
        trouble.contains("session S000000002 was given"),
        "{trouble}"
    );
    let so_far = noon.next();
    let mut session = accepted("S000000001", 1);
    (1..=so_far).for_each(|number| session.extend(packet(&added(number))));
    noon.give.send(Some(session)).unwrap();
    // It goes on, and the session with it.
    for _ in 0..50 {
        let number = noon.next();
        noon.give.send(Some(packet(&added(number)))).unwrap();
    }
    noon.rig.until(|of| of.origin.restored == 1);
    noon.judge(true, Trust::Sound);
    let standing = &noon.rig.giver.standing()[0];
    assert_eq!((standing.lacking, standing.asks), (None, [false; 2]));
    let counters = noon.rig.giver.counters();
    assert_eq!((counters.origin.attempts, counters.origin.made), (3, 1));
    assert_eq!(counters.peer.requests, 0);
}

#[test]
fn behind_a_snapshot_what_no_peer_has_is_made_of_another_one() {
    let context = Context::of_snapshot(epoch(), 1);
    let mut noon = Noon::new("glimpse", "after", 300, &context, false);
    for _ in 0..10 {
        noon.next();
    }
    let picture = |until: u64| {
        let mut bytes = accepted("S000000001", 1);
        (1..until).for_each(|number| bytes.extend(packet(&added(number))));
        bytes.extend(packet(format!("G{until:>20}").as_bytes()));
        bytes
    };
    // Of a moment before the adapter's output was kept: it is asked for again.
    noon.answer(&picture(305));
    let until = noon.next() + 1;
    noon.rig.until(|of| of.follower.orders > 0);
    noon.answer(&picture(until + 5));
    // The output has not come so far yet.
    noon.rig.until(|of| of.origin.made == 1);
    for _ in 0..10 {
        noon.next();
    }
    noon.rig.until(|of| of.origin.restored == 1);
    noon.judge(false, Trust::Sound);
    assert_eq!(noon.rig.giver.counters().origin.failed, 0);
}
