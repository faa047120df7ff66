//! Do packets on real sockets become the records that their messages are, on both adapters alike?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

mod support;

use std::net::UdpSocket;

use support::{Rig, Taken, add_order, delete_order, end, packet};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::decode::{Decoder as _, Parts, itch50};
use twinfeed_feed_adapter::mailbox::Command;
use twinfeed_feed_adapter::note::News;
use twinfeed_protocol::line::Line;
use twinfeed_wire::{Flags, Generation};

const SESSION: &[u8; 10] = b"S000000001";

fn messages(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let of = |n: u64| {
        if n.is_multiple_of(3) {
            delete_order(n - 1)
        } else {
            add_order(n)
        }
    };
    range.map(of).collect()
}

/// What the decoder alone makes of these messages: (number, part, body).
fn decoded(first: u64, messages: &[Vec<u8>]) -> Vec<(u64, u16, Vec<u8>)> {
    let settings = itch50::Settings {
        publisher_id: 2,
        max_open_orders: 1_000,
    };
    let mut decoder = itch50::Converter::new(settings, "2019-12-30".parse().unwrap());
    let (mut parts, mut all) = (Parts::new(1 << 17), Vec::new());
    for (sseq, message) in (first..).zip(messages) {
        decoder.convert(sseq, message, &mut parts).unwrap();
        all.extend(
            parts
                .iter()
                .map(|part| (sseq, part.part, part.bytes.to_vec())),
        );
    }
    all
}

fn records(taken: &[Taken]) -> Vec<(u64, u16, Vec<u8>)> {
    let records = taken.iter().filter(|taken| !taken.heartbeat);
    records
        .map(|taken| (taken.pos.sseq, taken.pos.part, taken.body.clone()))
        .collect()
}

#[test]
fn lossy_lines_become_the_whole_stream() {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    let all = messages(1..61);
    let expected = decoded(1, &all);
    let mut rig = Rig::new(Role::Active, 17);
    rig.cycle();
    for (first, chunk) in (1..).step_by(3).zip(all.chunks(3)) {
        let bytes = packet(SESSION, first, chunk);
        // Every fourth packet is missing on A, every fifth on B; none on both.
        for (line, skip) in [
            (Line::A, first % 4 == 1 && first > 1),
            (Line::B, first % 5 == 2),
        ] {
            if !skip || (first % 4 == 1 && first % 5 == 2) {
                exchange.send_to(&bytes, rig.line(line)).unwrap();
            }
        }
    }
    let taken = rig.heard(expected.len());
    assert_eq!(records(&taken), expected);
    // A backup that has met no active counts in nobody's numbering.
    assert!(
        taken
            .iter()
            .all(|taken| taken.complete && taken.generation == Generation(0))
    );
    assert!(
        taken.iter().filter(|taken| taken.heartbeat).count() >= 4,
        "an epoch is announced"
    );
}

#[test]
fn two_adapters_that_hear_the_same_say_the_same() {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    let all = messages(1_000_001..1_000_041);
    let mut rigs = [Rig::new(Role::Active, 17), Rig::new(Role::Backup, 18)];
    let [one, other] = [0, 1].map(|place| {
        let rig = &mut rigs[place];
        rig.cycle();
        // The two hear different lines, cut into different packets, at different times.
        let (line, step) = [(Line::A, 5), (Line::B, 8)][place];
        let numbers = (1_000_001..).step_by(step).zip(all.chunks(step));
        for (first, chunk) in numbers {
            exchange
                .send_to(&packet(SESSION, first, chunk), rig.line(line))
                .unwrap();
        }
        rig.heard(decoded(1_000_001, &all).len())
    });
    let alike = |taken: &[Taken]| {
        let records = taken.iter().filter(|taken| !taken.heartbeat);
        records
            .map(|taken| (taken.pos, taken.prev, taken.context, taken.body.clone()))
            .collect()
    };
    let (one_alike, other_alike): (Vec<_>, Vec<_>) = (alike(&one), alike(&other));
    assert_eq!(one_alike, other_alike);
    assert!(
        !one.iter().any(|taken| taken.complete),
        "begun in mid-session"
    );
    assert_ne!(one[0].stream, other[0].stream);
}

#[test]
fn foreign_and_malformed_packets_are_counted_and_noted_once() {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let mut rig = Rig::new(Role::Active, 17);
    let line = rig.line(Line::A);
    for _ in 0..3 {
        exchange.send_to(b"not a packet", line).unwrap();
        stranger
            .send_to(&packet(SESSION, 1, &messages(1..3)), line)
            .unwrap();
    }
    exchange
        .send_to(&packet(SESSION, 1, &messages(1..3)), line)
        .unwrap();
    let taken = rig.heard(2);
    assert_eq!(records(&taken), decoded(1, &messages(1..3)));
    let notes: Vec<_> = std::iter::from_fn(|| rig.notes.take())
        .map(|note| note.news)
        .collect();
    let count = |is: fn(&News) -> bool| notes.iter().filter(|news| is(news)).count();
    assert_eq!(count(|news| matches!(news, News::Malformed(Line::A, _))), 1);
    assert_eq!(
        count(|news| matches!(news, News::ForeignSender(Line::A, _))),
        1
    );
    assert!(rig.mailbox.tell(Command::Drain));
    while rig.cycle() {}
    let input = rig.board.latest()[0].line[0].unwrap().input;
    assert_eq!((input.packets, input.malformed, input.foreign), (7, 3, 3));
}

#[test]
fn another_dialect_is_refused_by_name_and_nothing_of_it_is_sent() {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut rig = Rig::new(Role::Active, 17);
    // ASX Trade's ITCH: `T`, a second's time stamp of 5 bytes.
    let seconds = vec![b'T', 0, 0, 0x70, 0x10];
    exchange
        .send_to(&packet(SESSION, 1, &[seconds]), rig.line(Line::A))
        .unwrap();
    exchange
        .send_to(&packet(SESSION, 2, &messages(2..4)), rig.line(Line::A))
        .unwrap();
    let refused = loop {
        rig.cycle();
        if let Some(note) = rig.notes.take()
            && let News::Refused(error) = note.news
        {
            break error;
        }
    };
    assert!(refused.to_string().contains("ASX"), "{refused}");
    assert!(rig.mailbox.tell(Command::Drain));
    while rig.cycle() {}
    let source = rig.board.latest()[0];
    assert!(source.refused && source.stale);
    assert_eq!(source.sequencer.records, 0);
}

#[test]
fn the_end_of_a_session_a_lost_peer_and_the_end_of_a_stream_are_said() {
    let exchange = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut rig = Rig::new(Role::Active, 17);
    exchange
        .send_to(&packet(SESSION, 1, &messages(1..3)), rig.line(Line::A))
        .unwrap();
    rig.heard(2);
    assert!(rig.mailbox.tell(Command::PeerLost(true)));
    for line in [Line::A, Line::B] {
        exchange.send_to(&end(SESSION, 3), rig.line(line)).unwrap();
    }
    while !rig
        .notes
        .take()
        .is_some_and(|note| matches!(note.news, News::Ended { next: 3, .. }))
    {
        rig.cycle();
    }
    assert!(rig.mailbox.tell(Command::Drain));
    while rig.cycle() {}
    let mut buffer = [0; 2_048];
    let mut flags = Vec::new();
    while let Ok(length) = rig.subscriber.recv(&mut buffer) {
        let datagram = twinfeed_wire::Datagram::parse(&buffer[..length]).unwrap();
        flags.push(datagram.header().flags);
    }
    assert!(
        flags.iter().all(|flags| flags.has(Flags::PEER_LOST)),
        "{flags:?}"
    );
    assert!(flags.last().unwrap().has(Flags::END_OF_STREAM));
}
