//! Is a session given over SoupBinTCP as it was sent, and a snapshot that fits it, on real sockets?
//!
//! Packets are cut here by hand, so that nothing is read with its own writer.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::unbounded;
use twinfeed_exchange::config::SoupConfig;
use twinfeed_exchange::truth::Tally;
use twinfeed_exchange::{Command, Content, Event, ExchangeConfig, Reporter, SessionId, run};

/// Longest wait for anything; reached only by a test that fails.
const LIMIT: Duration = Duration::from_secs(20);

/// An address that nobody has.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Logs in once somebody listens there; what comes up to the end of the connection, packet by packet.
struct Client(TcpStream);

impl Client {
    fn log_in(to: SocketAddr, session: &str, first: u64) -> Self {
        let end = Instant::now() + LIMIT;
        let mut stream = loop {
            match TcpStream::connect(to) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < end => thread::yield_now(),
                Err(error) => panic!("nobody listens at {to}: {error}"),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let login = format!("\0\x2fLTWIN  {:>10}{session:>10}{first:>20}", "");
        stream.write_all(login.as_bytes()).unwrap();
        Self(stream)
    }

    /// The next packet that is no heartbeat.
    fn next(&mut self) -> Vec<u8> {
        loop {
            let mut length = [0; 2];
            self.0.read_exact(&mut length).unwrap();
            let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
            self.0.read_exact(&mut packet).unwrap();
            if packet != b"H" {
                return packet;
            }
        }
    }

    /// Messages up to the end of the session.
    fn messages(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let packet = self.next();
            match packet.split_first() {
                Some((b'S', message)) => messages.push(message.to_vec()),
                Some((b'Z', [])) => return messages,
                _ => panic!("{packet:?}"),
            }
        }
    }
}

#[test]
fn a_session_and_a_snapshot_of_it_are_given() {
    let (soup, glimpse) = (free(), free());
    // A line leads somewhere, and nobody reads it.
    let line = UdpSocket::bind("127.0.0.1:0").unwrap();
    let line = line.local_addr().unwrap();
    let config = format!(
        "tick_us = 2000\nwait = true
         [content]\nkind = 'flow'\ninstruments = 10
         [pace]\nper_second = 20000
         [sessions]\ncount = 2\nmessages = 2000\nend_interval_ms = 60000
         [mold]\nheartbeat_ms = 5
         [line_a]\ndestinations = ['{line}']
         [[soup]]\naddress = '{soup}'
         [[glimpse]]\naddress = '{glimpse}'"
    );
    let config: ExchangeConfig = toml::from_str(&config).unwrap();
    assert_eq!(config.soup, [SoupConfig::at(soup)]);
    let (commands, receiver) = unbounded();
    let content = Content::load(&config).unwrap();
    let running = thread::spawn(move || run(&config, content, &receiver, &mut ()).unwrap());

    // One that was there from before the first message on, and one that asks for the middle afterwards.
    let mut early = Client::log_in(soup, "", 1);
    assert_eq!(early.next(), b"AS000000001                   1");
    commands.send(Command::Start).unwrap();
    let messages = early.messages();
    assert_eq!(messages.len(), 2_000);
    let mut late = Client::log_in(soup, "S000000001", 1_500);
    assert_eq!(late.next(), b"AS000000001                1500");
    assert_eq!(late.messages(), messages[1_499..]);
    let mut other = Client::log_in(soup, "S000000002", 1);
    assert_eq!(other.next(), b"JS");
    let mut image = Client::log_in(glimpse, "", 1);
    assert_eq!(image.next(), b"AS000000001                   1");
    let image = image.messages();
    let kinds = |letter: u8| image.iter().filter(|message| message[0] == letter).count();
    assert_eq!((kinds(b'S'), kinds(b'R'), kinds(b'H')), (1, 10, 10));
    assert!(kinds(b'A') > 10, "orders are open");
    assert_eq!(image.last().unwrap(), format!("G{:>20}", 2_001).as_bytes());

    commands.send(Command::Kill).unwrap();
    let summary = running.join().unwrap();
    let truth = &summary.sessions[0];
    let mut tally = Tally::new(1);
    for message in &messages {
        tally.add(message);
    }
    assert_eq!(tally.truth(SessionId::numbered("S", 1).unwrap()), *truth);
    assert_eq!((summary.soup[0].logins, summary.soup[0].rejected), (2, 1));
    assert_eq!(summary.glimpse[0].messages, image.len() as u64);
}

/// Says when there is no further session.
struct UntilDone(crossbeam::channel::Sender<()>);

impl Reporter for UntilDone {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Done) {
            self.0.send(()).unwrap();
        }
    }
}

#[test]
fn servers_answer_for_a_while_when_there_is_no_further_session() {
    let soup = free();
    let line = UdpSocket::bind("127.0.0.1:0").unwrap();
    let line = line.local_addr().unwrap();
    let config = format!(
        "tick_us = 2000
         [content]\nkind = 'flow'\ninstruments = 10
         [pace]\nper_second = 20000
         [sessions]\ncount = 1\nmessages = 500\npause_ms = 10\nend_interval_ms = 5\nlinger_ms = 60000
         [line_a]\ndestinations = ['{line}']
         [[soup]]\naddress = '{soup}'"
    );
    let config: ExchangeConfig = toml::from_str(&config).unwrap();
    let (commands, receiver) = unbounded();
    let (done, is_done) = unbounded();
    let content = Content::load(&config).unwrap();
    let mut reporter = UntilDone(done);
    let running = thread::spawn(move || run(&config, content, &receiver, &mut reporter).unwrap());
    is_done.recv().unwrap();
    let mut late = Client::log_in(soup, "S000000001", 400);
    assert_eq!(late.next(), b"AS000000001                 400");
    assert_eq!(late.messages().len(), 101);
    commands.send(Command::Stop).unwrap();
    let summary = running.join().unwrap();
    assert!(!summary.interrupted, "it was over");
    assert_eq!(summary.sessions[0].count, 500);
}
