//! What does a source give over a SoupBinTCP session?
//!
//! ```text
//!  login (session, first number) ─► accepted (next number) ─► message, message, …   no number on any: they are counted
//!                                └► rejected (why)
//! ```
//!
//! [`packet`] is the bytes, [`session`] what a server has said so far, [`connection`] a socket to one. [`holes`] fetches what
//! every line and every request server lost, [`past`] what a session sent before this adapter was there, or a snapshot of what is
//! left of it ([`glimpse`]); each in a thread of its own, for a connection takes as long as it likes.
//!
//! Source: Nasdaq, "SoupBinTCP", version 3.00, 22 February 2017. Of version 4.00 nothing could be confirmed here.

pub mod connection;
pub mod glimpse;
pub mod holes;
pub mod packet;
pub mod past;
pub mod session;

use core::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use session::Fault;
use twinfeed_protocol::line::Line;

use crate::decode::DecodeError;

/// The servers of one source, and what this adapter may ask of them.
#[derive(Clone, Debug)]
pub struct Servers {
    /// Of each line, A first.
    pub addresses: [Option<SocketAddr>; 2],
    /// Who logs in; at most 6 bytes.
    pub user: String,
    /// With which password; at most 10 bytes.
    pub password: String,
    /// How long one answer to one request may take, with connecting and logging in.
    pub answer_time: Duration,
    /// Most bytes of messages in one answer.
    pub answer_bytes: usize,
    /// How long the whole past of a session may take.
    pub past_time: Duration,
    /// Most messages of a past.
    pub past_messages: u64,
}

/// The snapshot servers of one source, and what this adapter may ask of them.
#[derive(Clone, Debug)]
pub struct SnapshotServers {
    /// Of each line, A first.
    pub addresses: [Option<SocketAddr>; 2],
    /// Who logs in; at most 6 bytes.
    pub user: String,
    /// With which password; at most 10 bytes.
    pub password: String,
    /// Whether the session that is given may have another name than the lines'.
    pub any_session: bool,
    /// How long a snapshot may take.
    pub time: Duration,
    /// Most messages of a snapshot.
    pub messages: u64,
}

/// The lines' servers of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    servers: [bool; 2],
    /// For how long what they would give is left to the peer first.
    pub(crate) after: Duration,
    /// Whose is asked next.
    line: Line,
}

impl Asked {
    /// Lines with a server, A first.
    pub(crate) const fn new(servers: [bool; 2], after: Duration) -> Self {
        Self {
            servers,
            after,
            line: Line::A,
        }
    }

    /// Whose server is asked now; another line's the next time, if that has one.
    pub(crate) const fn turn(&mut self) -> Line {
        if !self.servers[self.line.index()] {
            self.line = other(self.line);
        }
        let line = self.line;
        self.line = other(line);
        line
    }
}

const fn other(line: Line) -> Line {
    match line {
        Line::A => Line::B,
        Line::B => Line::A,
    }
}

/// Why a server gave nothing, or not all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// There is no connection.
    Unreachable(ErrorKind),
    /// The connection was closed, or broke.
    Closed,
    /// Nothing came for as long as a server may be silent.
    Silent,
    /// What it said cannot be.
    Session(Fault),
    /// It gives the session from this number on, and nothing in front of it.
    From(u64),
    /// The session ended.
    Ended,
    /// It took longer than it may.
    Time,
    /// More messages than there may be.
    Messages,
    /// A snapshot ended, or broke off, without the number with which the lines go on.
    Unfinished,
    /// A snapshot has more open orders than are remembered.
    Orders,
    /// A server's snapshots are of moments before the lines' messages were kept.
    Behind,
    /// The messages are of another dialect.
    Dialect(DecodeError),
    /// The address space for a second memory cannot be had.
    Memory,
    /// Nobody waits for it any more.
    Stopped,
}

impl Why {
    /// Whether the same server would give the same answer again.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Session(_) | Self::From(_) | Self::Ended | Self::Unfinished
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(kind) => write!(
                f,
                "no connection, {kind}: check the address `soup` of this line, and that the server runs"
            ),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Silent => f.write_str("nothing came any more, not even heartbeats"),
            Self::Session(fault) => fault.fmt(f),
            Self::From(first) => write!(
                f,
                "the server has the session from number {first} on only: what lies in front of it cannot be had there"
            ),
            Self::Ended => f.write_str("the session ended before that"),
            Self::Time => f.write_str(
                "it took longer than `soup.answer_time`, `soup.past_time` or `glimpse.time` allow",
            ),
            Self::Messages => f.write_str(
                "the session has more messages than `soup.past_messages`, or the snapshot than `glimpse.messages`",
            ),
            Self::Unfinished => f.write_str(
                "the snapshot does not say with which number the lines go on: is this a GLIMPSE server?",
            ),
            Self::Behind => f.write_str(
                "its snapshots are older than what the lines have said, for as long as `glimpse.time` allows",
            ),
            Self::Orders => f.write_str(
                "more orders are open than `max_open_orders`: raise it, at both adapters",
            ),
            Self::Dialect(error) => write!(f, "its messages are refused: {error}"),
            Self::Memory => f.write_str(
                "there is no address space for a second memory: lower `max_open_orders`",
            ),
            Self::Stopped => f.write_str("nobody waits for it any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_turns() {
        for (servers, turns) in [
            ([true, true], [Line::A, Line::B, Line::A]),
            ([true, false], [Line::A; 3]),
            ([false, true], [Line::B; 3]),
        ] {
            let mut asked = Asked::new(servers, Duration::ZERO);
            assert_eq!([0; 3].map(|_| asked.turn()), turns, "{servers:?}");
        }
    }
}
