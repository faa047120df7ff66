//! Is what a server of snapshots says a whole and honest snapshot?
//!
//! ```text
//!   frame ─► Spool::push ─┬─► More        kept as it came, up to a bound
//!                         ├─► Refused     the server has none
//!                         └─► Whole       every frame is there, in order: it may be told
//! ```
//!
//! Nothing of a snapshot is told before its last frame is here and agrees with all before it: their number, their digest, what each book
//! was to have, and one epoch and context from beginning to end. Whether the place fits the stream is judged later, at the cut.

use std::collections::BTreeSet;

use core::fmt;

use twinfeed_wire::Sid;
use twinfeed_wire::snapshot::{
    BadSnapshot, Begin, Digest, End, FRAME_HEADER_LENGTH, Refused, Snapshot, frame_length,
};

use crate::cursor::Cursor;
use crate::piece::Piece;

/// Why a snapshot is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadSpool {
    /// A frame is not well-formed.
    Frame(BadSnapshot),
    /// It is of another source stream.
    Foreign(Sid),
    /// A frame stands where it cannot; which.
    Order(&'static str),
    /// A number at the end, or of a book, does not agree with what came; which.
    Count(&'static str),
    /// What came is not what was said.
    Digest,
    /// Its end is of another epoch or context than its beginning, or in front of it.
    Torn,
    /// It is longer than the bound, bytes.
    TooLong(usize),
}

impl BadSpool {
    /// The word used in metrics and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Frame(_) => "frame",
            Self::Foreign(_) => "foreign",
            Self::Order(_) => "order",
            Self::Count(_) => "count",
            Self::Digest => "digest",
            Self::Torn => "torn",
            Self::TooLong(_) => "too_long",
        }
    }
}

impl fmt::Display for BadSpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(bad) => write!(f, "a frame of the snapshot is malformed: {bad}"),
            Self::Foreign(sid) => write!(f, "the snapshot is of source stream {sid}"),
            Self::Order(what) => write!(f, "{what} stands where none can be in a snapshot"),
            Self::Count(what) => write!(f, "the snapshot's number of {what} is not what came"),
            Self::Digest => f.write_str("the snapshot's digest is not that of what came"),
            Self::Torn => f.write_str("the snapshot's end does not continue its beginning"),
            Self::TooLong(bound) => write!(
                f,
                "the snapshot is longer than {bound} bytes: raise `snapshot_bytes`"
            ),
        }
    }
}

impl core::error::Error for BadSpool {}

/// What a frame was.
#[derive(Debug)]
pub enum Step {
    /// More is to come.
    More,
    /// There is none.
    Refused(Refused),
    /// It was the last one.
    Whole(Whole),
}

/// The frames of one answer, as they come.
#[derive(Debug)]
pub struct Spool {
    sid: Sid,
    bound: usize,
    bytes: Vec<u8>,
    digest: Digest,
    begin: Option<Begin>,
    /// Books that were said.
    said: BTreeSet<u32>,
    /// The book whose orders come, and how many are yet to.
    open: Option<(u32, u64)>,
}

impl Spool {
    /// Takes a snapshot of `sid` of at most `bound` bytes.
    #[must_use]
    pub fn new(sid: Sid, bound: usize) -> Self {
        Self {
            sid,
            bound,
            bytes: Vec::new(),
            digest: Digest::default(),
            begin: None,
            said: BTreeSet::new(),
            open: None,
        }
    }

    /// Bytes that were kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes one whole frame. Behind its end nothing is to be pushed.
    ///
    /// # Errors
    /// [`BadSpool`]: nothing of this answer may be used.
    pub fn push(&mut self, frame: &[u8]) -> Result<Step, BadSpool> {
        let read = Snapshot::parse(frame).map_err(BadSpool::Frame)?;
        if let Some((_, left)) = self.open
            && left > 0
            && !matches!(read, Snapshot::Orders(_))
        {
            return Err(BadSpool::Count("orders of a book"));
        }
        if self.begin.is_none() {
            match read {
                Snapshot::Refused(refused) => return Ok(Step::Refused(refused)),
                Snapshot::Begin(begin) if begin.cursor.next.sid != self.sid => {
                    return Err(BadSpool::Foreign(begin.cursor.next.sid));
                }
                Snapshot::Begin(begin) => self.begin = Some(begin),
                _ => return Err(BadSpool::Order("what is no beginning")),
            }
        } else {
            match read {
                Snapshot::Instrument(it) => {
                    self.said.insert(it.id);
                    self.open = Some((it.id, it.orders));
                }
                Snapshot::Orders(orders) => {
                    let count = orders.len() as u64;
                    match &mut self.open {
                        Some((id, left)) if *id == orders.instrument() && *left >= count => {
                            *left -= count;
                        }
                        _ => return Err(BadSpool::Count("orders of a book")),
                    }
                }
                Snapshot::Change(record) => {
                    if !self.said.contains(&record.hd.instrument_id.get()) {
                        return Err(BadSpool::Order("a change of a book that was not said"));
                    }
                }
                Snapshot::Definition(_) | Snapshot::Status(_) | Snapshot::Message(_) => {}
                Snapshot::End(end) => return self.end(&end).map(Step::Whole),
                Snapshot::Request(_) | Snapshot::Refused(_) | Snapshot::Begin(_) => {
                    return Err(BadSpool::Order("a beginning, a request or a refusal"));
                }
            }
        }
        if self.bytes.len() + frame.len() > self.bound {
            return Err(BadSpool::TooLong(self.bound));
        }
        self.digest.add(frame);
        self.bytes.extend_from_slice(frame);
        Ok(Step::More)
    }

    fn end(&mut self, end: &End) -> Result<Whole, BadSpool> {
        let Some(begin) = self.begin else {
            return Err(BadSpool::Order("an end"));
        };
        if end.frames != self.digest.frames() {
            return Err(BadSpool::Count("frames"));
        }
        if end.digest != self.digest.value() {
            return Err(BadSpool::Digest);
        }
        if end.instruments != self.said.len() as u64 {
            return Err(BadSpool::Count("instruments"));
        }
        let (from, until) = (begin.cursor, end.cursor);
        let goes_on = until
            .next
            .compare(&from.next)
            .is_some_and(core::cmp::Ordering::is_ge);
        if !goes_on || until.context != from.context {
            return Err(BadSpool::Torn);
        }
        Ok(Whole {
            bytes: core::mem::take(&mut self.bytes),
            at: 0,
            end: *end,
            serial: u64::MAX,
        })
    }
}

/// A snapshot that is here in whole and proven, to be told piece by piece.
#[derive(Debug)]
pub struct Whole {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
    end: End,
    serial: u64,
}

impl Whole {
    /// The same as an answer to the wish of this [`super::Wish::serial`]: it is not taken for one that came behind what made the wish
    /// another. Of one that does not say it is thought that it answers the newest.
    #[must_use]
    pub fn asked_for(mut self, serial: u64) -> Self {
        self.serial = serial;
        self
    }

    pub(super) const fn serial(&self) -> u64 {
        self.serial
    }

    /// Where the stream goes on behind it.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.end.cursor.into()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it takes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next piece; the last one is [`Piece::End`], and then comes `None`.
    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        let cursor = self.cursor();
        let rest = self.bytes.get(self.at..)?;
        let Some(header) = rest.first_chunk::<FRAME_HEADER_LENGTH>() else {
            self.at = self.bytes.len() + 1;
            return Some(Piece::End {
                cursor,
                trust: self.end.trust,
                silent: self.end.silent,
            });
        };
        let Ok(length) = frame_length(header) else {
            debug_assert!(false, "invariant: what is kept was read before");
            return None;
        };
        self.at += length;
        match Snapshot::parse(&rest[..length]) {
            Ok(Snapshot::Begin(_)) => Some(Piece::Begin {
                cursor,
                instruments: self.end.instruments,
                orders: self.end.orders,
            }),
            Ok(Snapshot::Instrument(it)) => Some(Piece::Instrument {
                instrument: it.id,
                trust: it.trust,
            }),
            Ok(Snapshot::Definition(record)) => Some(Piece::Definition(record)),
            Ok(Snapshot::Status(record)) => Some(Piece::Status(record)),
            Ok(Snapshot::Orders(orders)) => Some(Piece::Orders(orders)),
            Ok(Snapshot::Change(record)) => Some(Piece::Change(record)),
            Ok(Snapshot::Message(message)) => Some(Piece::Message(message)),
            Ok(Snapshot::Request(_) | Snapshot::Refused(_) | Snapshot::End(_)) | Err(_) => {
                debug_assert!(false, "invariant: what is kept was read before");
                None
            }
        }
    }
}
