//! Does what leaves the exchange equal what went into it?
//!
//! The judge reads MoldUDP64 packets by offsets of the specification.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use twinfeed_exchange::exchange::{Event, Exchange, Sink};
use twinfeed_exchange::{Content, ExchangeConfig, LineId, Messages, SessionId};

const MS: u64 = 1_000_000;

/// Messages by (session, number).
type Seen = BTreeMap<(Vec<u8>, u64), Vec<u8>>;

/// Notes everything.
#[derive(Default)]
struct World {
    sent: Seen,
    received: [Seen; 2],
    packets: [Vec<Vec<u8>>; 2],
    events: Vec<Event>,
}

impl Sink for World {
    fn packet(&mut self, line: LineId, packet: &[u8]) {
        self.packets[line.index()].push(packet.to_vec());
        let (session, number, count) = header(packet);
        let mut rest = &packet[20..];
        for index in 0..if count == 0xFFFF { 0 } else { count } {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let message = rest[2..2 + length].to_vec();
            rest = &rest[2 + length..];
            let number = number + u64::from(index);
            self.received[line.index()].insert((session.clone(), number), message);
        }
        assert!(rest.is_empty(), "bytes after the last message");
    }

    fn message(&mut self, session: SessionId, number: u64, message: &[u8]) {
        let before = self
            .sent
            .insert((session.as_bytes().to_vec(), number), message.to_vec());
        assert!(before.is_none(), "a number twice");
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

fn header(packet: &[u8]) -> (Vec<u8>, u64, u16) {
    let number = u64::from_be_bytes(packet[10..18].try_into().unwrap());
    let count = u16::from_be_bytes(packet[18..20].try_into().unwrap());
    (packet[..10].to_vec(), number, count)
}

fn config(text: &str) -> ExchangeConfig {
    toml::from_str(text).unwrap()
}

/// Runs to the end in steps of virtual time.
fn run(config: &ExchangeConfig, content: Content, step_ns: u64) -> World {
    let mut exchange = Exchange::new(config.clone(), content).unwrap();
    let (mut world, mut now_ns) = (World::default(), 0);
    while !exchange.is_done() {
        exchange.poll(now_ns, &mut world);
        now_ns = exchange
            .next_deadline()
            .unwrap_or(now_ns)
            .max(now_ns + step_ns);
    }
    world
}

fn flow(config: &ExchangeConfig) -> Content {
    Content::load(config).unwrap()
}

const SMALL: &str = "
    [content]
    kind = 'flow'
    instruments = 20
    [pace]
    per_second = 50_000
    burst_factor = 5
    [sessions]
    count = 2
    messages = 3_000
    pause_ms = 20
    [mold]
    heartbeat_ms = 10
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What comes out of a line without loss is what went in, whatever the
    /// polling, delay, order and copies; and both lines carry the same.
    #[test]
    fn a_line_without_loss_carries_everything(
        seed in any::<u64>(),
        step_us in 0_u64..50_000,
        delay_us in 0_u64..5_000,
        reorder in 0.0_f64..0.5,
        duplicate in 0.0_f64..0.5,
        max_payload in 128_usize..1_500,
    ) {
        let mut config = config(SMALL);
        config.seed = seed;
        config.mold.max_payload = max_payload;
        config.line_b.delay_us = delay_us;
        config.line_b.reorder = reorder;
        config.line_b.duplicate = duplicate;
        let world = run(&config, flow(&config), step_us * 1_000);
        prop_assert_eq!(world.sent.len(), 6_000);
        prop_assert!(world.received[0] == world.sent, "line A");
        prop_assert!(world.received[1] == world.sent, "line B");
        let longest = world.packets.iter().flatten().map(Vec::len).max();
        prop_assert!(longest <= Some(max_payload));
    }
}

#[test]
fn content_does_not_depend_on_how_often_the_exchange_is_polled() {
    let config = config(SMALL);
    let worlds = [0, 1, 333, 100_000].map(|us| run(&config, flow(&config), us * 1_000));
    for world in &worlds[1..] {
        assert_eq!(world.sent, worlds[0].sent);
        assert_eq!(world.events, worlds[0].events, "the truth is the same, too");
    }
}

#[test]
fn loss_on_one_line_is_on_that_line_alone() {
    let mut config = config(SMALL);
    config.line_a.loss = 0.2;
    let world = run(&config, flow(&config), 50_000);
    assert!(world.received[0].len() < world.sent.len());
    assert!(
        world.received[0]
            .iter()
            .all(|(key, message)| world.sent[key] == *message)
    );
    assert_eq!(world.received[1], world.sent);
}

#[test]
fn a_session_is_announced_carried_ended_and_followed_by_the_next() {
    let mut config = config(
        "[pace]\nper_second = 1000\n[sessions]\ncount = 2\nmessages = 3\nfirst_sequence = 1000001
         pause_ms = 20\nend_packets = 2\nend_interval_ms = 5\n[mold]\nheartbeat_ms = 10",
    );
    config.line_a.delay_us = 1;
    let recording: Messages = ["ab", "c"].into_iter().collect();
    let content = Content::recorded(recording, 1_400).unwrap();
    let world = run(&config, content, 0);
    let mut expected = Vec::new();
    for session in ["S000000001", "S000000002"] {
        let packet = |number: u64, count: u16, rest: &[u8]| {
            let head = [
                session.as_bytes(),
                &number.to_be_bytes(),
                &count.to_be_bytes(),
            ];
            [&head.concat(), rest].concat()
        };
        expected.extend([
            packet(1_000_001, 0, b""), // at 0 ms
            packet(1_000_001, 0, b""), // at 10 ms; at 20 ms the session opens
            packet(1_000_001, 1, b"\0\x02ab"),
            packet(1_000_002, 1, b"\0\x01c"),
            packet(1_000_003, 1, b"\0\x02ab"),
            packet(1_000_004, 0xFFFF, b""),
            packet(1_000_004, 0xFFFF, b""),
        ]);
    }
    assert_eq!(world.packets[0], expected);
    assert_eq!(world.packets[1], expected);
    let kinds: Vec<String> = world
        .events
        .iter()
        .map(|event| format!("{event:?}"))
        .collect();
    let starts = [
        "Announced",
        "Opened",
        "Closed",
        "Announced",
        "Opened",
        "Closed",
        "Done",
    ];
    assert_eq!(kinds.len(), starts.len());
    assert!(
        kinds
            .iter()
            .zip(starts)
            .all(|(kind, start)| kind.starts_with(start)),
        "{kinds:?}"
    );
}

#[test]
fn a_stopped_exchange_ends_its_session_with_what_was_sent() {
    let config = config(SMALL);
    let mut exchange = Exchange::new(config.clone(), flow(&config)).unwrap();
    let mut world = World::default();
    for now_ns in (0..40 * MS).step_by(100_000) {
        exchange.poll(now_ns, &mut world);
    }
    exchange.stop(40 * MS);
    let mut now_ns = 40 * MS;
    while !exchange.is_done() {
        exchange.poll(now_ns, &mut world);
        now_ns += MS;
    }
    let sent = world.sent.len() as u64;
    assert!((1..3_000).contains(&sent), "{sent}");
    let ends = world.packets[0].iter().map(|packet| header(packet));
    let ends: Vec<_> = ends.filter(|(_, _, count)| *count == 0xFFFF).collect();
    assert_eq!(ends, vec![(b"S000000001".to_vec(), sent + 1, 0xFFFF); 3]);
    assert_eq!(world.events.last(), Some(&Event::Done));
}

#[test]
fn the_real_slice_is_looped_unchanged() {
    let samples = std::env::var_os("TWINFEED_SAMPLES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = samples.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50");
    let Ok(file) = std::fs::read(&path) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: no sample data; set TWINFEED_SAMPLES\n"),
        );
        return;
    };
    let mut config = config("[sessions]\ncount = 1\nmessages = 2500\nfirst_sequence = 1000001");
    config.content = toml::from_str(&format!("kind = 'binaryfile'\npath = {path:?}")).unwrap();
    let world = run(&config, flow(&config), MS);
    let mut bytes = Vec::new();
    for message in world.received[0].values() {
        bytes.extend((message.len() as u16).to_be_bytes());
        bytes.extend(message);
    }
    assert_eq!(bytes[..file.len()], file);
    assert_eq!(bytes[file.len()..2 * file.len()], file);
    assert_eq!(world.received[0].first_key_value().unwrap().0.1, 1_000_001);
    assert_eq!(world.received[0].len(), 2_500);
}
