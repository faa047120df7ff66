//! Who is given a session over a connection?
//!
//! ```text
//!  connected ─ login ─► given what is kept, then what comes ─ end of session, logout, too slow ─► gone
//!      └─ wrong user or session: rejected, with the reason ──────────────────────────────────────┘
//! ```
//!
//! Called now and then by the exchange's own thread, and never waits. A client has a queue of [`MOST_QUEUED`] bytes; behind it
//! nothing is stored for it but a number, so one that is too slow for what is kept is disconnected and counted. How a server
//! may fail on purpose stands in its configuration.

use std::io::{self, ErrorKind, Read as _, Write as _};
#[cfg(test)]
use std::net::SocketAddr;
use std::net::{TcpListener, TcpStream};

use serde::Serialize;

use super::{LONGEST_REQUEST, Login, Request, accepted, packet, rejected, take};
use crate::config::SoupConfig;
use crate::session::SessionId;

/// What SoupBinTCP servers have done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct SoupCounters {
    /// Connections that came.
    pub connections: u64,
    /// Those that found no place.
    pub too_many: u64,
    /// Logins accepted.
    pub logins: u64,
    /// Logins rejected.
    pub rejected: u64,
    /// Messages given.
    pub messages: u64,
    /// Clients that were too slow for what is kept, or took nothing for [`PATIENCE_NS`].
    pub slow: u64,
    /// Clients that said nothing for [`PATIENCE_NS`].
    pub silent: u64,
    /// Clients that sent what no client sends.
    pub malformed: u64,
    /// Connections broken on purpose.
    pub broken: u64,
}

/// What a client of a server is given.
pub trait Serving {
    /// Where a client stands.
    type Cursor;

    /// Admits a client: the session, the number of its first message and where it stands then; or why not, as the
    /// protocol's letter.
    ///
    /// # Errors
    /// `A`: not authorised, `S`: no such session.
    fn admit(&self, login: &Login) -> Result<(SessionId, u64, Self::Cursor), u8>;

    /// Adds the next message's bytes.
    fn next(&self, cursor: &mut Self::Cursor, out: &mut Vec<u8>) -> Next;
}

/// What comes next for a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// A message was added.
    Message,
    /// Nothing now.
    Nothing,
    /// Nothing follows in this session.
    End,
    /// What it needs is not kept any more.
    Gone,
}

/// One server of a running exchange.
#[derive(Debug)]
pub struct SoupServer<C> {
    listener: TcpListener,
    config: SoupConfig,
    clients: Vec<Client<C>>,
    counters: SoupCounters,
}

#[derive(Debug)]
struct Client<C> {
    stream: TcpStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of it is sent.
    sent: usize,
    state: State<C>,
    given: u64,
    heard_ns: u64,
    /// When something was last put on its way.
    told_ns: u64,
    /// When it last took something, or had nothing to take.
    took_ns: u64,
}

#[derive(Debug)]
enum State<C> {
    /// It has not said who it is.
    Connected,
    /// It has, and is answered then.
    Waits(Login, u64),
    Speaking(C),
    /// It is gone once it has what is queued.
    Over,
}

impl<C> SoupServer<C> {
    /// Listens.
    pub(crate) fn open(config: &SoupConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            config: config.clone(),
            clients: Vec::new(),
            counters: SoupCounters::default(),
        })
    }

    /// Where it listens.
    #[cfg(test)]
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) const fn counters(&self) -> SoupCounters {
        self.counters
    }

    /// Does what can be done without waiting; whether there is more to do at once.
    pub(crate) fn poll(&mut self, now_ns: u64, serving: &impl Serving<Cursor = C>) -> bool {
        self.accept(now_ns);
        let Self {
            clients,
            config,
            counters,
            ..
        } = self;
        let mut busy = false;
        clients.retain_mut(|client| {
            let turn = client.turn(now_ns, config, counters, serving);
            busy |= turn == Some(true);
            turn.is_some()
        });
        busy
    }

    fn accept(&mut self, now_ns: u64) {
        // One at a time: the lines do not wait for a flood of connections.
        let Ok((stream, _)) = self.listener.accept() else {
            return;
        };
        self.counters.connections += 1;
        if self.clients.len() >= self.config.max_clients || stream.set_nonblocking(true).is_err() {
            self.counters.too_many += 1;
            return;
        }
        let _ = stream.set_nodelay(true);
        self.clients.push(Client {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            state: State::Connected,
            given: 0,
            heard_ns: now_ns,
            told_ns: now_ns,
            took_ns: now_ns,
        });
    }
}

impl<C> Client<C> {
    /// `None`: it is gone. Otherwise whether there is more to do at once.
    fn turn(
        &mut self,
        now_ns: u64,
        config: &SoupConfig,
        counters: &mut SoupCounters,
        serving: &impl Serving<Cursor = C>,
    ) -> Option<bool> {
        self.hear(now_ns, config, counters)?;
        if let State::Waits(login, at_ns) = &self.state
            && now_ns >= *at_ns
        {
            let login = login.clone();
            self.answer(&login, config, counters, serving);
            self.told_ns = now_ns;
        }
        let more = self.give(now_ns, config, counters, serving)?;
        if now_ns.saturating_sub(self.told_ns) >= HEARTBEAT_NS
            && matches!(self.state, State::Speaking(_))
        {
            packet(b'H', &mut self.outgoing, |_| {});
            self.told_ns = now_ns;
        }
        self.send(now_ns, counters)?;
        if matches!(self.state, State::Over) && self.outgoing.is_empty() {
            return None;
        }
        if now_ns.saturating_sub(self.heard_ns) >= PATIENCE_NS {
            counters.silent += 1;
            return None;
        }
        Some(more && self.outgoing.is_empty())
    }

    fn hear(
        &mut self,
        now_ns: u64,
        config: &SoupConfig,
        counters: &mut SoupCounters,
    ) -> Option<()> {
        let mut bytes = [0; LONGEST_REQUEST];
        match self.stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(length) => self.incoming.extend(&bytes[..length]),
            Err(fault) if is_nothing(&fault) => return Some(()),
            Err(_) => return None,
        }
        self.heard_ns = now_ns;
        loop {
            let (request, length) = match take(&self.incoming) {
                Ok(Some(taken)) => taken,
                Ok(None) => return Some(()),
                Err(()) => {
                    counters.malformed += 1;
                    return None;
                }
            };
            self.incoming.drain(..length);
            match request {
                Request::Login(login) if matches!(self.state, State::Connected) => {
                    let at_ns = now_ns.saturating_add(config.delay_ms.saturating_mul(MS));
                    self.state = State::Waits(login, at_ns);
                }
                Request::Login(_) | Request::Alive => {}
                Request::Logout => return None,
            }
        }
    }

    fn answer(
        &mut self,
        login: &Login,
        config: &SoupConfig,
        counters: &mut SoupCounters,
        serving: &impl Serving<Cursor = C>,
    ) {
        let known = login.user == config.user && login.password == config.password;
        let begun = match (config.reject, known) {
            (Some(reason), _) => Err(reason.letter()),
            (None, false) => Err(b'A'),
            (None, true) => serving.admit(login),
        };
        match begun {
            Ok((session, next, cursor)) => {
                counters.logins += 1;
                accepted(session, next, &mut self.outgoing);
                self.state = State::Speaking(cursor);
            }
            Err(reason) => {
                counters.rejected += 1;
                rejected(reason, &mut self.outgoing);
                self.state = State::Over;
            }
        }
    }

    /// Puts messages on their way; whether there may be more.
    fn give(
        &mut self,
        now_ns: u64,
        config: &SoupConfig,
        counters: &mut SoupCounters,
        serving: &impl Serving<Cursor = C>,
    ) -> Option<bool> {
        let State::Speaking(cursor) = &mut self.state else {
            return Some(false);
        };
        while self.outgoing.len() < MOST_QUEUED {
            if config.break_after == Some(self.given) {
                counters.broken += 1;
                // What is queued goes first, as far as the socket takes it.
                let _ = self.stream.write(&self.outgoing[self.sent..]);
                return None;
            }
            let (mut next, before) = (Next::Nothing, self.outgoing.len());
            packet(b'S', &mut self.outgoing, |out| {
                next = serving.next(cursor, out);
            });
            match next {
                Next::Message => {
                    counters.messages += 1;
                    self.given += 1;
                    self.told_ns = now_ns;
                    continue;
                }
                Next::Nothing => self.outgoing.truncate(before),
                Next::End => {
                    self.outgoing.truncate(before);
                    packet(b'Z', &mut self.outgoing, |_| {});
                    self.state = State::Over;
                }
                Next::Gone => {
                    counters.slow += 1;
                    return None;
                }
            }
            return Some(false);
        }
        Some(true)
    }

    fn send(&mut self, now_ns: u64, counters: &mut SoupCounters) -> Option<()> {
        if self.outgoing.is_empty() {
            self.took_ns = now_ns;
            return Some(());
        }
        match self.stream.write(&self.outgoing[self.sent..]) {
            Ok(0) => return None,
            Ok(length) => {
                self.sent += length;
                self.took_ns = now_ns;
            }
            Err(fault) if is_nothing(&fault) => {}
            Err(_) => return None,
        }
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
        }
        if now_ns.saturating_sub(self.took_ns) >= PATIENCE_NS {
            counters.slow += 1;
            return None;
        }
        Some(())
    }
}

fn is_nothing(fault: &io::Error) -> bool {
    matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Bytes that are queued for a client before it has taken any of them: a packet may reach beyond.
pub const MOST_QUEUED: usize = 64 << 10;
/// Silence after which either end may give the other up; "typically 15 seconds", section 1.3.
pub const PATIENCE_NS: u64 = 15_000_000_000;
/// Silence after which a heartbeat is sent, section 1.3.
const HEARTBEAT_NS: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::super::given::Course;
    use super::*;
    use crate::config::Reject;
    use crate::kept::Kept;

    /// A server on a real socket, and a clock by hand.
    struct Stage {
        server: SoupServer<(SessionId, u64)>,
        kept: Kept,
        course: Course,
        now_ns: u64,
    }

    fn session() -> SessionId {
        SessionId::numbered("S", 1).unwrap()
    }

    impl Stage {
        fn new(change: impl FnOnce(&mut SoupConfig)) -> Self {
            let mut config = SoupConfig {
                password: "secret".to_owned(),
                max_clients: 2,
                ..SoupConfig::at((Ipv4Addr::LOCALHOST, 0).into())
            };
            change(&mut config);
            let (mut course, mut kept) = (Course::default(), Kept::new(100));
            course.begin(session(), 1);
            for number in 1..=3_u8 {
                kept.keep(session(), u64::from(number), &[number]);
            }
            Self {
                server: SoupServer::open(&config).unwrap(),
                kept,
                course,
                now_ns: 0,
            }
        }

        fn connect(&mut self) -> TcpStream {
            let stream = TcpStream::connect(self.server.local_addr().unwrap()).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            stream
        }

        fn turn(&mut self, ms: u64) {
            self.now_ns += ms * MS;
            self.server
                .poll(self.now_ns, &self.course.given(&self.kept));
        }

        /// Lets the server work until this has come; the connection's end is `None` behind it.
        fn until(&mut self, stream: &mut TcpStream, expected: &[u8], ends: bool) {
            let mut read = Vec::new();
            for _ in 0..10_000 {
                self.turn(0);
                let mut bytes = [0; 4_096];
                match stream.read(&mut bytes) {
                    Ok(0) => {
                        assert_eq!((&read[..], ends), (expected, true));
                        return;
                    }
                    Ok(length) => read.extend(&bytes[..length]),
                    Err(_) => {}
                }
                if !ends && read.len() >= expected.len() {
                    assert_eq!(read, expected);
                    return;
                }
            }
            panic!("{read:?} instead of {expected:?}");
        }
    }

    fn login(password: &str, first: u64) -> Vec<u8> {
        format!("\0\x2fLTWIN  {password:<10}{:>10}{first:>20}", "").into_bytes()
    }

    const ACCEPTED: &[u8] = b"\0\x1fAS000000001                   2";

    #[test]
    fn whoever_logs_in_is_given_what_is_kept_then_heartbeats_then_the_end() {
        let mut stage = Stage::new(|_| {});
        let mut client = stage.connect();
        client.write_all(&login("secret", 2)).unwrap();
        let given = [ACCEPTED, b"\0\x02S\x02\0\x02S\x03"].concat();
        stage.until(&mut client, &given, false);
        stage.turn(999);
        stage.turn(1);
        stage.until(&mut client, b"\0\x01H", false);
        stage.course.end(session(), 4);
        stage.until(&mut client, b"\0\x01Z", true);
        let counters = stage.server.counters();
        assert_eq!((counters.logins, counters.messages), (1, 2));
    }

    #[test]
    fn a_wrong_password_is_rejected_and_so_is_everything_on_purpose() {
        let mut stage = Stage::new(|_| {});
        let mut client = stage.connect();
        client.write_all(&login("wrong", 1)).unwrap();
        stage.until(&mut client, b"\0\x02JA", true);
        let mut stage = Stage::new(|config| config.reject = Some(Reject::NoSession));
        let mut client = stage.connect();
        client.write_all(&login("secret", 1)).unwrap();
        stage.until(&mut client, b"\0\x02JS", true);
        assert_eq!(stage.server.counters().rejected, 1);
    }

    #[test]
    fn one_that_is_to_be_slow_or_to_break_does() {
        let mut stage = Stage::new(|config| {
            (config.delay_ms, config.break_after) = (50, Some(1));
        });
        let mut client = stage.connect();
        client.write_all(&login("secret", 2)).unwrap();
        while stage
            .server
            .clients
            .iter()
            .all(|of| matches!(of.state, State::Connected))
        {
            stage.turn(0);
        }
        stage.turn(49);
        assert_eq!(stage.server.counters().logins, 0);
        stage.turn(1);
        stage.until(&mut client, &[ACCEPTED, b"\0\x02S\x02"].concat(), true);
        assert_eq!(stage.server.counters().broken, 1);
    }

    #[test]
    fn clients_too_many_mute_or_no_clients_are_disconnected_and_counted() {
        let mut stage = Stage::new(|_| {});
        let mut clients = [(); 3].map(|()| stage.connect());
        while stage.server.counters().connections < 3 {
            stage.turn(0);
        }
        stage.until(&mut clients[2], b"", true);
        clients[1].write_all(b"GET / HTTP/1.1\r\n").unwrap();
        while stage.server.counters().malformed == 0 {
            stage.turn(0);
        }
        stage.turn(15_000);
        let counters = stage.server.counters();
        assert_eq!((counters.too_many, counters.silent), (1, 1));
        assert!(stage.server.clients.is_empty());
    }

    #[test]
    fn a_client_that_takes_nothing_is_disconnected_once_it_is_too_far_behind() {
        let mut stage = Stage::new(|_| {});
        let mut client = stage.connect();
        client.write_all(&login("secret", 1)).unwrap();
        let message = [7; 60_000];
        for number in 4..100_000 {
            stage.kept.keep(session(), number, &message);
            stage.turn(0);
            if stage.server.counters().slow > 0 {
                let queued = stage
                    .server
                    .clients
                    .iter()
                    .map(|of| of.outgoing.len())
                    .max();
                assert_eq!(queued, None, "it is gone");
                return;
            }
            let queued = stage
                .server
                .clients
                .iter()
                .map(|of| of.outgoing.len())
                .max();
            assert!(queued.unwrap_or(0) < MOST_QUEUED + message.len() + 3);
        }
        panic!("it is not too slow");
    }
}
