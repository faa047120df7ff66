//! What does one asker want, and how much of it has it taken?
//!
//! ```text
//!   listening ── request ─► waiting ── snapshot ─► giving ── all sent ─► listening
//!       ▲                     └───── refused ─────────────────────────────┘
//!       └── each state has an end: who does not come to it in time is hung up on
//! ```

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use twinfeed_net::tcp::{Closed, Flushed, FrameFault, Framing, Link, Received};
use twinfeed_net::wait::Interest;
use twinfeed_protocol::Time;
use twinfeed_wire::snapshot::{FRAME_HEADER_LENGTH, Refused, Request, Snapshot, frame_length};

use super::spool::Given;

/// Tells a frame's length from its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotFrames;

impl Framing for SnapshotFrames {
    const HEADER: usize = FRAME_HEADER_LENGTH;

    fn frame_length(&self, header: &[u8]) -> Result<usize, FrameFault> {
        let header = header
            .first_chunk()
            .ok_or(FrameFault::Unknown("too short"))?;
        frame_length(header).map_err(|_| FrameFault::Unknown("it is no snapshot's of this version"))
    }
}

/// What a visitor is about.
#[derive(Debug)]
pub(super) enum State {
    /// It may ask.
    Listening,
    /// It has asked.
    Waiting(Request),
    /// It is given this, from so far on in the chunk of this number.
    Giving(Request, Arc<Given>, (usize, usize)),
}

/// Somebody who is connected.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Never that of another.
    pub(super) id: u64,
    pub(super) state: State,
    /// When it is hung up on.
    pub(super) until: Time,
    link: Link<SnapshotFrames>,
}

/// What became of a visitor's turn.
#[derive(Debug)]
pub(super) enum Turned {
    /// Nothing that anybody must know.
    Stays,
    /// It asks.
    Asks(Request),
    /// It has all that it was given.
    Has,
    /// It is gone, or says what is no request.
    Gone {
        /// The latter.
        malformed: bool,
    },
}

impl Visitor {
    pub(super) const fn new(id: u64, link: Link<SnapshotFrames>, until: Time) -> Self {
        Self {
            id,
            state: State::Listening,
            until,
            link,
        }
    }

    /// From where it is connected.
    pub(super) fn host(&self) -> std::net::IpAddr {
        self.link.peer_addr().ip().to_canonical()
    }

    /// What it asked for and has not got yet.
    pub(super) const fn request(&self) -> Option<&Request> {
        match &self.state {
            State::Listening => None,
            State::Waiting(request) | State::Giving(request, ..) => Some(request),
        }
    }

    /// Takes what it says, and sends up to `allowance` bytes, from which what was sent is taken off.
    pub(super) fn turn(&mut self, allowance: &mut usize) -> Turned {
        match self.link.receive() {
            Received::Pending => {}
            Received::Frame(frame) => {
                return match (Snapshot::parse(frame), &self.state) {
                    (Ok(Snapshot::Request(request)), State::Listening) => Turned::Asks(request),
                    // One thing after the other.
                    _ => Turned::Gone { malformed: true },
                };
            }
            Received::Closed(closed) => {
                let malformed = matches!(closed, Closed::Malformed(_));
                return Turned::Gone { malformed };
            }
        }
        let State::Giving(_, given, (chunk, from)) = &mut self.state else {
            let _ = self.link.flush();
            return Turned::Stays;
        };
        loop {
            match self.link.flush() {
                Flushed::All => {}
                Flushed::Pending => return Turned::Stays,
                Flushed::Closed(_) => return Turned::Gone { malformed: false },
            }
            let Some(rest) = given.rest(*chunk, *from) else {
                return Turned::Has;
            };
            if *allowance == 0 && !rest.is_empty() {
                return Turned::Stays;
            }
            let piece = &rest[..rest.len().min(*allowance).min(PIECE)];
            if piece.is_empty() {
                (*chunk, *from) = (*chunk + 1, 0);
                continue;
            }
            // There is room, for all was flushed.
            let _ = self.link.send(piece);
            *allowance -= piece.len();
            *from += piece.len();
        }
    }

    /// Says that there is none.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        let mut frame = [0; REFUSED_LENGTH];
        let length = Snapshot::Refused(*refused).emit(&mut frame);
        let _ = self.link.send(&frame[..length]);
        self.state = State::Listening;
    }

    /// What it is waited for; `may_send`: there is an allowance.
    pub(super) fn interest(&self, may_send: bool) -> Interest<'_> {
        let gives = matches!(self.state, State::Giving(..)) || self.link.wants_to_write();
        Interest::readable(self.link.as_fd()).or_writable(gives && may_send)
    }
}

impl AsFd for Visitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

/// Bytes that are handed to the kernel at a time.
const PIECE: usize = 64 << 10;
/// A buffer that a refusal fits.
const REFUSED_LENGTH: usize = FRAME_HEADER_LENGTH + 64;
