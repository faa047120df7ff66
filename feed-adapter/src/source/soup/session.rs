//! What has a server said of a session so far?
//!
//! ```text
//!            accepted, of the session asked for            end of session
//!  logging in ─────────────────────────────────► speaking ───────────────► ended
//!      └── rejected, another session, a message before that ──► a fault; so is anything that is no SoupBinTCP
//! ```
//!
//! Messages carry no number: they are counted from the number that the accepted login names ("SoupBinTCP 3.00", section 1.2).
//! Neither a socket nor a clock is known here.

use core::fmt;

use super::packet::{Framer, Malformed, Packet, Rejection};
use crate::source::moldudp64::Session;

/// One session as a client reads it.
#[derive(Debug)]
pub struct Reader {
    framer: Framer,
    /// Which must be given; `None`: any.
    session: Option<Session>,
    /// Which was.
    given: Option<Session>,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    LoggingIn,
    /// The number of the next message.
    Speaking(u64),
    Ended,
}

/// What follows from the next packet.
#[derive(Debug, Eq, PartialEq)]
pub enum Word<'a> {
    /// The login was accepted; the next message has this number.
    Accepted(u64),
    /// A message, and its number.
    Message(u64, &'a [u8]),
    /// The server lives.
    Alive,
    /// The session is over; the number behind its last message.
    Ended(u64),
}

/// Why a session gives nothing, or nothing more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The login was rejected.
    Rejected(Rejection),
    /// Another session was given than the one asked for.
    Other(Session),
    /// A message before the login was accepted, or a second acceptance.
    OutOfTurn,
    /// No SoupBinTCP.
    Malformed(Malformed),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(Rejection::NotAuthorised) => f.write_str(
                "the login was rejected, not authorised: check `soup.user` and the file that `soup.password_file` names, or those of `glimpse`",
            ),
            Self::Rejected(Rejection::NoSession) => f.write_str(
                "the login was rejected, session not available: the server does not have this session, check that it \
                 belongs to this line",
            ),
            Self::Rejected(Rejection::Other(reason)) => {
                write!(f, "the login was rejected for reason `{}`", reason.escape_ascii())
            }
            Self::Other(session) => write!(
                f,
                "session {session} was given instead of the one asked for: check that the server belongs to this line"
            ),
            Self::OutOfTurn => f.write_str("a packet stands where none may: is this a SoupBinTCP server?"),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl Reader {
    /// One that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            framer: Framer::new(),
            session: None,
            given: None,
            state: State::LoggingIn,
        }
    }

    /// A login is sent, and this session must be given; `None`: any.
    pub const fn log_in(&mut self, session: Option<Session>) {
        self.framer.clear();
        (self.session, self.given) = (session, None);
        self.state = State::LoggingIn;
    }

    /// The session that was given, once the login was accepted.
    #[must_use]
    pub const fn given(&self) -> Option<Session> {
        self.given
    }

    /// Where bytes of the server go, and [`Reader::filled`] says how many came.
    pub fn room(&mut self) -> &mut [u8] {
        self.framer.room()
    }

    /// So many bytes came.
    pub fn filled(&mut self, bytes: usize) {
        self.framer.filled(bytes);
    }

    /// What the server says next; `None`: nothing more has come in full.
    ///
    /// # Errors
    /// [`Fault`]: the connection is of no use any more.
    #[allow(clippy::should_implement_trait, reason = "what comes out is borrowed")]
    pub fn next(&mut self) -> Result<Option<Word<'_>>, Fault> {
        let Some(packet) = self.framer.next().map_err(Fault::Malformed)? else {
            return Ok(None);
        };
        let word = match (packet, self.state) {
            (Packet::Debug(_) | Packet::Heartbeat | Packet::Unsequenced(_), _) => Word::Alive,
            // Nothing follows an end.
            (_, State::Ended) => return Err(Fault::OutOfTurn),
            (Packet::Rejected(reason), State::LoggingIn) => return Err(Fault::Rejected(reason)),
            (Packet::Accepted { session, next }, State::LoggingIn) => {
                if self.session.is_some_and(|wanted| wanted != session) {
                    return Err(Fault::Other(session));
                }
                (self.state, self.given) = (State::Speaking(next), Some(session));
                Word::Accepted(next)
            }
            (Packet::Sequenced(message), State::Speaking(number)) => {
                let next = number.checked_add(1).ok_or(Fault::OutOfTurn)?;
                self.state = State::Speaking(next);
                Word::Message(number, message)
            }
            (Packet::EndOfSession, State::Speaking(next)) => {
                self.state = State::Ended;
                Word::Ended(next)
            }
            (
                Packet::Sequenced(_)
                | Packet::EndOfSession
                | Packet::Accepted { .. }
                | Packet::Rejected(_),
                _,
            ) => return Err(Fault::OutOfTurn),
        };
        Ok(Some(word))
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const SESSION: Session = Session(*b"S000000001");

    fn reading(bytes: &[u8]) -> Reader {
        let mut reader = Reader::new();
        reader.log_in(Some(SESSION));
        reader.room()[..bytes.len()].copy_from_slice(bytes);
        reader.filled(bytes.len());
        reader
    }

    const ACCEPTED: &str = "\0\x1fAS000000001                   7";

    #[test]
    fn messages_are_counted_from_the_accepted_number() {
        let text = format!("\0\x01H{ACCEPTED}\0\x02Sa\0\x01H\0\x02Sb\0\x01Z");
        let mut reader = reading(text.as_bytes());
        assert_eq!(reader.next(), Ok(Some(Word::Alive)));
        assert_eq!(reader.given(), None);
        assert_eq!(reader.next(), Ok(Some(Word::Accepted(7))));
        assert_eq!(reader.given(), Some(SESSION));
        assert_eq!(reader.next(), Ok(Some(Word::Message(7, b"a"))));
        assert_eq!(reader.next(), Ok(Some(Word::Alive)));
        assert_eq!(reader.next(), Ok(Some(Word::Message(8, b"b"))));
        assert_eq!(reader.next(), Ok(Some(Word::Ended(9))));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn what_stands_where_it_may_not_ends_it() {
        let wrong = |text: &str| {
            let mut reader = reading(text.as_bytes());
            loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{text:?} is taken"),
                    Err(fault) => return fault,
                }
            }
        };
        assert_eq!(wrong("\0\x02Sa"), Fault::OutOfTurn);
        assert_eq!(wrong("\0\x01Z"), Fault::OutOfTurn);
        assert_eq!(wrong(&format!("{ACCEPTED}{ACCEPTED}")), Fault::OutOfTurn);
        assert_eq!(wrong(&format!("{ACCEPTED}\0\x02JA")), Fault::OutOfTurn);
        assert_eq!(
            wrong(&format!("{ACCEPTED}\0\x01Z\0\x02Sa")),
            Fault::OutOfTurn
        );
        assert_eq!(wrong("\0\x02JS"), Fault::Rejected(Rejection::NoSession));
        let other = "\0\x1fAS000000002                   7";
        assert_eq!(wrong(other), Fault::Other(Session(*b"S000000002")));
        let last = "\0\x1fAS00000000118446744073709551615\0\x02Sa";
        assert_eq!(wrong(last), Fault::OutOfTurn, "numbers pass 2^64");
    }
}
