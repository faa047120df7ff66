//! How is one snapshot fetched from one server?
//!
//! A connection for a request: connect, ask, take frames until the last one, hang up. Everything that can go wrong is a [`Failed`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use twinfeed_net::sync::Ordering;
use twinfeed_protocol::join::{BadSpool, Spool, Step, Whole, Wish};
use twinfeed_wire::StreamId;
use twinfeed_wire::snapshot::{
    BadSnapshot, FRAME_HEADER_LENGTH, LONGEST_FRAME, Reason, Request, Snapshot, frame_length,
};

use super::{Shared, SnapshotSettings};

/// A server of snapshots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stream: StreamId,
    /// As what it knows this subscription.
    pub(super) fills: SocketAddr,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// No connection.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// There is none.
    #[error("refuses a snapshot: {}", reason.word())]
    Refused {
        reason: Reason,
        retry_after: Option<Duration>,
    },
    /// The connection ended in the middle.
    #[error("hung up in the middle of a snapshot")]
    Torn,
    /// Nothing came.
    #[error("said nothing for {0:?}")]
    Silent(Duration),
    /// It is none.
    #[error(transparent)]
    Bad(#[from] BadSpool),
    /// Nobody wants it any more.
    #[error("is not needed any more")]
    Over,
}

/// How often a read that waits looks up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks `server` for what is wished, and takes its answer.
pub(super) fn fetch(
    server: Server,
    wish: &Wish,
    request: u64,
    shared: &Shared,
    settings: &SnapshotSettings,
) -> Result<Whole, Failed> {
    let fetched = attempt(server, wish, request, shared, settings);
    let counters = &shared.counters;
    let counter = match &fetched {
        Ok(_) | Err(Failed::Over) => return fetched,
        Err(Failed::Unreachable(_)) => &counters.unreachable,
        Err(Failed::Refused { .. }) => &counters.refused,
        Err(Failed::Torn) => &counters.torn,
        Err(Failed::Silent(_)) => &counters.silent,
        Err(Failed::Bad(_)) => &counters.bad,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    fetched
}

fn attempt(
    server: Server,
    wish: &Wish,
    request: u64,
    shared: &Shared,
    settings: &SnapshotSettings,
) -> Result<Whole, Failed> {
    let connected = TcpStream::connect_timeout(&server.address, settings.patience);
    let mut stream = connected.map_err(Failed::Unreachable)?;
    let prepared = stream
        .set_read_timeout(Some(LOOK_EVERY))
        .and_then(|()| stream.set_write_timeout(Some(settings.patience)));
    prepared.map_err(Failed::Unreachable)?;
    let mut buffer = vec![0; LONGEST_FRAME];
    let asked = Snapshot::Request(Request {
        sid: wish.sid,
        stream: server.stream,
        request,
        fills: server.fills,
        not_before: wish.not_before(),
        context: wish.from.context,
    });
    let length = asked.emit(&mut buffer);
    stream
        .write_all(&buffer[..length])
        .map_err(|_| Failed::Torn)?;
    shared.counters.requests.fetch_add(1, Ordering::Relaxed);
    let mut reader = Reader {
        stream,
        shared,
        patience: settings.patience,
        heard: Instant::now(),
        until: Instant::now() + settings.limits.time / PARTS,
    };
    let mut spool = Spool::new(wish.sid, settings.bytes);
    loop {
        reader.fill(&mut buffer[..FRAME_HEADER_LENGTH])?;
        let mut header = [0; FRAME_HEADER_LENGTH];
        header.copy_from_slice(&buffer[..FRAME_HEADER_LENGTH]);
        let length = frame_length(&header).map_err(bad)?;
        reader.fill(&mut buffer[FRAME_HEADER_LENGTH..length])?;
        shared
            .counters
            .bytes
            .fetch_add(length as u64, Ordering::Relaxed);
        match spool.push(&buffer[..length])? {
            Step::More => {}
            Step::Whole(whole) => return Ok(whole.asked_for(wish.serial)),
            Step::Refused(refused) => {
                let retry = Duration::from_micros(u64::from(refused.retry_after_us));
                return Err(Failed::Refused {
                    reason: refused.reason,
                    retry_after: Some(retry).filter(|it| !it.is_zero()),
                });
            }
        }
    }
}

fn bad(frame: BadSnapshot) -> Failed {
    Failed::Bad(BadSpool::Frame(frame))
}

/// One server gets so much of the time for joining, so that there is time left for another.
const PARTS: u32 = 3;

/// Reads, and notices when nothing comes.
struct Reader<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    patience: Duration,
    heard: Instant,
    /// When all of it must be here.
    until: Instant,
}

impl Reader<'_> {
    fn fill(&mut self, mut room: &mut [u8]) -> Result<(), Failed> {
        while !room.is_empty() {
            if self.shared.is_over() {
                return Err(Failed::Over);
            }
            match self.stream.read(room) {
                Ok(0) => return Err(Failed::Torn),
                Ok(count) => {
                    self.heard = Instant::now();
                    room = &mut room[count..];
                }
                Err(error) if waits(&error) => {}
                Err(_) => return Err(Failed::Torn),
            }
            if self.heard.elapsed() >= self.patience || Instant::now() >= self.until {
                return Err(Failed::Silent(self.patience));
            }
        }
        Ok(())
    }
}

fn waits(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::WouldBlock,
        io::ErrorKind::TimedOut,
        io::ErrorKind::Interrupted,
    ];
    kinds.contains(&error.kind())
}
