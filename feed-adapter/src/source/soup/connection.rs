//! What does a server of a session say, over a socket?
//!
//! For a thread that may wait, but for [`SLICE`] at a time only: between two slices its owner looks whether it is still
//! wanted. Heartbeats go out once a second, and a server that is silent for 15 s is given up ("SoupBinTCP 3.00",
//! section 1.3).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Why;
use super::packet::{HEARTBEAT, LOGOUT, Login, login};
use super::session::{Reader, Word};
use crate::source::moldudp64::Session;

/// Longest wait of [`Connection::wait`].
pub const SLICE: Duration = Duration::from_millis(10);
/// Silence after which something is sent.
const BEAT: Duration = Duration::from_secs(1);
/// Silence after which a server is given up.
const SILENCE: Duration = Duration::from_secs(15);

/// What a login asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The session that it names; `None`: the one that is on.
    pub named: Option<Session>,
    /// The session that must be given; `None`: any.
    pub given: Option<Session>,
    /// From which number on.
    pub first: u64,
}

impl Wanted {
    /// A session, by its name, from a number on.
    #[must_use]
    pub const fn of(session: Session, first: u64) -> Self {
        Self {
            named: Some(session),
            given: Some(session),
            first,
        }
    }
}

/// A connection to one server after the other; its buffer is made once.
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    stream: Option<TcpStream>,
    heard: Instant,
    told: Instant,
}

impl Connection {
    /// One to nobody.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            reader: Reader::new(),
            stream: None,
            heard: now,
            told: now,
        }
    }

    /// Connects within this time, and asks for what is `wanted`.
    ///
    /// # Errors
    /// [`Why::Unreachable`].
    pub fn open(
        &mut self,
        server: SocketAddr,
        (user, password): (&str, &str),
        wanted: Wanted,
        within: Duration,
    ) -> Result<(), Why> {
        self.close();
        let unreachable = |fault: std::io::Error| Why::Unreachable(fault.kind());
        let mut stream = TcpStream::connect_timeout(&server, within).map_err(unreachable)?;
        let bytes = login(&Login {
            user,
            password,
            session: wanted.named,
            first: wanted.first,
        });
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(SLICE)))
            .and_then(|()| stream.set_write_timeout(Some(BEAT)))
            .and_then(|()| stream.write_all(&bytes));
        ready.map_err(unreachable)?;
        self.reader.log_in(wanted.given);
        self.stream = Some(stream);
        self.heard = Instant::now();
        self.told = self.heard;
        Ok(())
    }

    /// What it says next; `None`: what came is taken.
    ///
    /// # Errors
    /// [`Why::Session`].
    pub fn take(&mut self) -> Result<Option<Word<'_>>, Why> {
        self.reader.next().map_err(Why::Session)
    }

    /// The session that was given, once the login was accepted.
    #[must_use]
    pub const fn session(&self) -> Option<Session> {
        self.reader.given()
    }

    /// Waits a slice at most for more.
    ///
    /// # Errors
    /// [`Why::Closed`], [`Why::Silent`].
    pub fn wait(&mut self) -> Result<(), Why> {
        let stream = self.stream.as_mut().ok_or(Why::Closed)?;
        match stream.read(self.reader.room()) {
            Ok(0) => return Err(Why::Closed),
            Ok(length) => {
                self.reader.filled(length);
                self.heard = Instant::now();
            }
            Err(fault) => match fault.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(Why::Closed),
            },
        }
        let now = Instant::now();
        if now.duration_since(self.heard) >= SILENCE {
            return Err(Why::Silent);
        }
        if now.duration_since(self.told) >= BEAT {
            self.told = now;
            stream.write_all(&HEARTBEAT).map_err(|_| Why::Closed)?;
        }
        Ok(())
    }

    /// Says goodbye, if there is somebody.
    pub fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // Whoever is gone need not be told.
            let _ = stream.write_all(&LOGOUT);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}
