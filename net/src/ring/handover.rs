//! How does a reader come to a ring's memory, and who decides whether it may?
//!
//! ```text
//!  reader ── connect ─────────────────────────► offer: who is that (user id)? may it?
//!  take  ◄── one word and the file beside it ──   and the connection is over
//! ```
//!
//! The offer keeps nothing of anybody: each connection is answered and closed in the call that accepts it. An answer fits a
//! fresh socket's buffer, so nothing waits. What bounds the rest is the kernel: the backlog, and the limit of files
//! per user, against which files count that were sent and not received yet (unix(7), `ETOOMANYREFS`). Somebody who is
//! admitted and never reads can use that up; it costs others the ring, and nobody the stream, which goes by UDP as well.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use super::error::RingError;
use crate::sys::pass;

/// What is said beside the file.
const WORD: [u8; 8] = *b"TWINRING";

/// Who asks, or offers, as the kernel says; processes of other hosts cannot. Users of another user namespace than ours that
/// have no number here are all 65,534.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its process when it connected, for a log; it may be another's by now.
    pub process: i32,
    /// Its effective user.
    pub user: u32,
    /// Its effective group.
    pub group: u32,
}

impl Peer {
    fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let pass::Peer {
            process,
            user,
            group,
        } = pass::peer(socket)?;
        Ok(Self {
            process,
            user,
            group,
        })
    }
}

/// What became of one who asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// It has the ring.
    Given(Peer),
    /// It was not admitted.
    Refused(Peer),
    /// It was gone, or the kernel hands no more files over.
    Failed(Peer),
}

/// A name in the file system, whose permissions decide who comes as far as asking, or, with a leading `@`, one without a
/// file that whoever shares the network namespace can ask at.
fn address(name: &Path) -> io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt as _;

    match name.as_os_str().as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    }
}

/// A place where readers of this host get a ring.
#[derive(Debug)]
pub struct RingOffer {
    listener: UnixListener,
}

impl RingOffer {
    /// Listens at a path, or at an abstract name that is written with a leading `@`.
    ///
    /// # Errors
    /// What the kernel says. A path at which another one listened stays until it is removed: that is for whoever knows
    /// that the other one is gone.
    pub fn bind(name: &Path) -> Result<Self, RingError> {
        let bound = address(name).and_then(|address| UnixListener::bind_addr(&address));
        let listener = bound.map_err(RingError::kernel("offer"))?;
        let set = listener.set_nonblocking(true);
        set.map_err(RingError::kernel("offer"))?;
        Ok(Self { listener })
    }

    /// Answers one who asks for `ring`, if somebody does: `admit` says whether it may have it.
    ///
    /// # Errors
    /// What the kernel says about the listening socket; the offer stands.
    pub fn answer(
        &self,
        ring: BorrowedFd<'_>,
        admit: impl FnOnce(&Peer) -> bool,
    ) -> Result<Option<Asked>, RingError> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {
                    return Ok(None);
                }
                _ => return Err(RingError::kernel("answer who asks for")(error)),
            },
        };
        let peer = Peer::of(stream.as_fd()).map_err(RingError::kernel("learn who asks for"))?;
        if !admit(&peer) {
            return Ok(Some(Asked::Refused(peer)));
        }
        Ok(Some(match pass::send(stream.as_fd(), &WORD, ring) {
            Ok(()) => Asked::Given(peer),
            Err(_) => Asked::Failed(peer),
        }))
    }
}

impl AsFd for RingOffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// One who asks for a ring, until it has it.
#[derive(Debug)]
pub struct RingTake {
    stream: UnixStream,
}

impl RingTake {
    /// Asks at a place, without waiting.
    ///
    /// # Errors
    /// What the kernel says: nobody listens there, or too many ask (`WouldBlock`).
    pub fn ask(name: &Path) -> Result<Self, RingError> {
        use socket2::{Domain, SockAddr, Socket, Type};

        // std's connects as a blocking socket, and would wait where the backlog is full.
        let asked = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(unescaped(name))?)?;
            Ok(UnixStream::from(OwnedFd::from(socket)))
        };
        let stream = asked().map_err(RingError::kernel("ask for"))?;
        Ok(Self { stream })
    }

    /// Who offers. A name without a file is whoever's who takes it first: ask before the file is opened.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn peer(&self) -> Result<Peer, RingError> {
        Peer::of(self.stream.as_fd()).map_err(RingError::kernel("learn who offers"))
    }

    /// The ring's file, once it is there; see [`RingReader::open`](super::RingReader::open).
    ///
    /// # Errors
    /// [`RingError::Refused`], if the other side closed without a word; what the kernel says; [`RingError::NoRing`], if
    /// something else was said.
    pub fn poll(&self) -> Result<Option<OwnedFd>, RingError> {
        let mut word = [0; WORD.len()];
        match pass::receive(self.stream.as_fd(), &mut word) {
            Ok((0, _)) => Err(RingError::Refused),
            Ok((_, Some(file))) if word == WORD => Ok(Some(file)),
            Ok(_) => Err(RingError::NoRing),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(RingError::Refused),
            Err(error) => Err(RingError::kernel("take")(error)),
        }
    }
}

impl AsFd for RingTake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// `socket2` takes an abstract name by a leading zero byte.
fn unescaped(name: &Path) -> std::borrow::Cow<'_, Path> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    match name.as_os_str().as_bytes().split_first() {
        Some((b'@', rest)) => {
            let bytes = [&[0], rest].concat();
            std::path::PathBuf::from(OsString::from_vec(bytes)).into()
        }
        _ => name.into(),
    }
}
