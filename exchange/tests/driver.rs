//! Does the exchange work on real sockets, and does it obey?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::net::UdpSocket;
use std::thread;

use crossbeam::channel::{Sender, unbounded};
use twinfeed_exchange::{
    Command, Content, Event, ExchangeConfig, Reporter, SessionTruth, Summary, run,
};

/// Sends commands at given events, and notes what was obeyed.
struct Script {
    commands: Sender<Command>,
    at_open: Vec<&'static str>,
    obeyed: Vec<(Command, bool)>,
}

impl Reporter for Script {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Opened { .. }) {
            for command in std::mem::take(&mut self.at_open) {
                self.commands.send(command.parse().unwrap()).unwrap();
            }
        }
    }

    fn obeyed(&mut self, command: Command, effective: bool) {
        self.obeyed.push((command, effective));
    }
}

/// A receiver that reads until an end of session, and counts messages.
fn listen() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn count_messages(socket: &UdpSocket) -> u64 {
    let (mut buffer, mut messages) = ([0; 2_048], 0);
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        assert!(length >= 20);
        match u16::from_be_bytes([buffer[18], buffer[19]]) {
            0xFFFF => return messages,
            count => messages += u64::from(count),
        }
    }
}

fn config(a: &[&str], b: &[&str]) -> ExchangeConfig {
    let text = format!(
        "tick_us = 2000
         [content]\nkind = 'flow'\ninstruments = 10
         [pace]\nper_second = 20000
         [sessions]\ncount = 1\nmessages = 2000\npause_ms = 10\nend_interval_ms = 5
         [mold]\nheartbeat_ms = 5
         [line_a]\ndestinations = {a:?}
         [line_b]\ndestinations = {b:?}"
    );
    toml::from_str(&text).unwrap()
}

/// More than one poll can send, however late it comes.
fn endless(mut config: ExchangeConfig) -> ExchangeConfig {
    config.sessions.messages = std::num::NonZeroU64::new(10_000_000);
    config
}

fn start(config: &ExchangeConfig, at_open: Vec<&'static str>) -> (Summary, Vec<(Command, bool)>) {
    let (commands, receiver) = unbounded();
    let mut script = Script {
        commands,
        at_open,
        obeyed: Vec::new(),
    };
    let content = Content::load(config).unwrap();
    let summary = run(config, content, &receiver, &mut script).unwrap();
    (summary, script.obeyed)
}

#[test]
fn every_destination_of_both_lines_gets_everything() {
    let sockets = [listen(), listen(), listen()];
    let [a0, a1, b0] = [0, 1, 2].map(|index: usize| sockets[index].1.as_str());
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&[a0, a1], &[b0]);
    config.truth = Some(dir.path().join("truth.jsonl"));
    config.sent_dir = Some(dir.path().join("sent"));
    let (summary, counted) = thread::scope(|scope| {
        let readers: Vec<_> = sockets
            .iter()
            .map(|(socket, _)| scope.spawn(|| count_messages(socket)))
            .collect();
        let (summary, _) = start(&config, Vec::new());
        let counted: Vec<u64> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        (summary, counted)
    });
    assert_eq!(counted, [2_000; 3]);
    assert_eq!(summary.exchange.messages, 2_000);
    assert_eq!(summary.transport.refused, 0);
    assert!(!summary.interrupted);
    let text = std::fs::read_to_string(dir.path().join("truth.jsonl")).unwrap();
    let truth: SessionTruth = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(vec![truth], summary.sessions);
    let sent = std::fs::read(dir.path().join("sent/S000000001.itch")).unwrap();
    let sent = twinfeed_exchange::Messages::from_binaryfile(&sent).unwrap();
    assert_eq!(sent.len(), 2_000);
}

#[test]
fn a_cut_destination_gets_nothing_more_and_the_others_do() {
    let (kept, cut) = (listen(), listen());
    let config = config(&[&kept.1, &cut.1], &[]);
    let (summary, obeyed) = thread::scope(|scope| {
        let reader = scope.spawn(|| count_messages(&kept.0));
        let result = start(&config, vec!["cut 1", "cut 7"]);
        assert_eq!(reader.join().unwrap(), 2_000);
        result
    });
    let words: Vec<_> = obeyed
        .iter()
        .map(|(c, done)| (c.to_string(), *done))
        .collect();
    assert_eq!(
        words,
        [("cut 1".to_owned(), true), ("cut 7".to_owned(), false)]
    );
    assert!(summary.transport.cut > 0);
    // Everything the cut destination got is already in its socket, with no end.
    cut.0.set_nonblocking(true).unwrap();
    let mut buffer = [0; 2_048];
    while let Ok(length) = cut.0.recv(&mut buffer) {
        assert!(length >= 20 && buffer[18..20] != [0xFF, 0xFF]);
    }
}

#[test]
fn a_killed_exchange_says_no_goodbye() {
    let (socket, address) = listen();
    let (summary, _) = start(&endless(config(&[&address], &[])), vec!["kill"]);
    assert!(summary.interrupted);
    assert_eq!(summary.exchange.end_packets, 0);
    assert!(summary.exchange.messages < 10_000_000);
    assert!(summary.sessions.is_empty());
    let unfinished = summary.unfinished.map_or(0, |truth| truth.count);
    assert_eq!(unfinished, summary.exchange.messages);
    drop(socket);
}

#[test]
fn a_stopped_exchange_says_goodbye() {
    let (socket, address) = listen();
    let config = endless(config(&[&address], &[]));
    let (summary, counted) = thread::scope(|scope| {
        let reader = scope.spawn(|| count_messages(&socket));
        let (summary, _) = start(&config, vec!["stop"]);
        (summary, reader.join().unwrap())
    });
    assert!(summary.interrupted && summary.exchange.messages < 10_000_000);
    assert_eq!(summary.exchange.messages, counted);
    assert_eq!(summary.sessions[0].count, counted);
    assert_eq!(summary.unfinished, None);
}

/// Pauses when the session opens, and says when that is obeyed.
struct Pausing {
    commands: Sender<Command>,
    paused: Sender<()>,
}

impl Reporter for Pausing {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Opened { .. }) {
            self.commands.send(Command::Pause).unwrap();
        }
    }

    fn obeyed(&mut self, command: Command, effective: bool) {
        assert!(effective, "{command}");
        if command == Command::Pause {
            self.paused.send(()).unwrap();
        }
    }
}

#[test]
fn a_paused_exchange_is_silent_everywhere_from_one_packet_on_and_lacks_nothing_when_it_is_resumed()
{
    let sockets = [listen(), listen()];
    let config = config(&[&sockets[0].1, &sockets[1].1], &[]);
    let content = Content::load(&config).unwrap();
    let (commands, receiver) = unbounded();
    let (paused, is_paused) = unbounded();
    let mut reporter = Pausing {
        commands: commands.clone(),
        paused,
    };
    thread::scope(|scope| {
        let exchange = scope.spawn(|| run(&config, content, &receiver, &mut reporter).unwrap());
        is_paused.recv().unwrap();
        // What was said is in the sockets; nothing, not even a heartbeat of every 5 ms, follows it.
        let mut buffer = [0; 2_048];
        let before = sockets.each_ref().map(|(socket, _)| {
            let timeout = std::time::Duration::from_millis(40);
            socket.set_read_timeout(Some(timeout)).unwrap();
            let mut packets = Vec::new();
            while let Ok(length) = socket.recv(&mut buffer) {
                packets.push(buffer[..length].to_vec());
            }
            socket.set_read_timeout(None).unwrap();
            packets
        });
        assert_eq!(before[0], before[1], "whole at every destination");
        let count = |packet: &Vec<u8>| u64::from(u16::from_be_bytes([packet[18], packet[19]]));
        let seen: u64 = before[0].iter().map(count).sum();
        assert!((1..2_000).contains(&seen), "{seen}");
        commands.send(Command::Resume).unwrap();
        for (socket, _) in &sockets {
            assert_eq!(seen + count_messages(socket), 2_000);
        }
        assert!(!exchange.join().unwrap().interrupted);
    });
}

#[test]
fn an_exchange_without_destination_is_refused_with_a_remedy() {
    let config = config(&[], &[]);
    let (_sender, receiver) = unbounded();
    let content = Content::load(&config).unwrap();
    let error = run(&config, content, &receiver, &mut ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("line_a.destinations"), "{error}");
}
