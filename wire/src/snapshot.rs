//! How is an application that joins told what there is: orders, definitions, statuses, and as of when?
//!
//! ```text
//!   0 magic u16 "TS" | version u8 | kind u8 | length of the body u32
//!   8 check u64              XXH3-64 of every other byte of the frame
//!  16 body, at most 64 KiB, a multiple of 8
//!
//!  asker: Request ──► adapter: Refused
//!                        or    Begin, Definition.., Status.., { Instrument, Orders.. }.., End ──► asker
//!                                       Definition, Status, Change, Message: anywhere in between
//! ```
//!
//! A snapshot is copied while it changes (decision 18). Its pieces are applied in the order in which they come: [`Instrument`] and the
//! [`Orders`] behind it say what rests in one book, whole; a [`Snapshot::Change`] is a record of the stream that was applied to
//! a book said before, and a [`Snapshot::Message`] an administrative message that was. Whoever has applied all of them has what there was
//! at the cursor of [`End`], and at no other place.
//!
//! Frames go over TCP. A reader takes [`FRAME_HEADER_LENGTH`] bytes, asks [`frame_length`] how long the frame is, takes the rest and gives
//! all of it to [`Snapshot::parse`], which borrows and allocates nothing. Normative text: `docs/wire-format.md`, section 8.

use core::net::SocketAddr;

use zerocopy::IntoBytes;

use crate::record::{DbnRecord, InstrumentDefMsg, MboMsg, StatusMsg};
use crate::{Adm, AdminMessage, ContextId, Epoch, Generation, Pos, Sid, StreamId};

mod digest;
mod error;
mod orders;
mod raw;

pub use digest::Digest;
pub use error::BadSnapshot;
pub use orders::{MOST_ORDERS, ORDER_LENGTH, Order, Orders, Side, write_orders};
pub use raw::frame_length;

use raw::{
    RawBegin, RawEnd, RawFrame, RawInstrument, RawRefused, RawRequest, check, exactly, frame,
};

/// The first two bytes of every frame: the letters `TS`.
pub const SNAPSHOT_MAGIC: u16 = u16::from_le_bytes(*b"TS");
/// The version of these frames that this build speaks.
pub const SNAPSHOT_VERSION: u8 = 1;
/// Length of a frame's header, bytes.
pub const FRAME_HEADER_LENGTH: usize = 16;
/// Longest body of a frame, bytes.
pub const LONGEST_BODY: usize = 65_536;
/// Longest frame including its header, bytes: a buffer that every frame fits.
pub const LONGEST_FRAME: usize = FRAME_HEADER_LENGTH + LONGEST_BODY;
/// Length of a request, bytes: what an asked adapter reads at most.
pub const REQUEST_LENGTH: usize = FRAME_HEADER_LENGTH + size_of::<RawRequest>();

/// "Tell me what there is, as of this place or later."
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Source stream.
    pub sid: Sid,
    /// The asked adapter's stream.
    pub stream: StreamId,
    /// The asker's own number of this request; a refusal repeats it.
    pub request: u64,
    /// The address from which the asker asks for fills, as stream-admin knows it: who may ask for them may ask for this.
    pub fills: SocketAddr,
    /// The asker has heard everything from here on: a snapshot that ends in front of it is of no use.
    pub not_before: NotBefore,
    /// What the asker's numbers mean what they mean in.
    pub context: ContextId,
}

/// A place that a snapshot must have reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotBefore {
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// Source number.
    pub sseq: u64,
    /// Index within that source message.
    pub part: u16,
    /// So many administrative messages were counted; 0 where that is not known.
    pub adm: Adm,
}

impl NotBefore {
    /// Whether a snapshot that stands at `cursor` has reached this place. One whose count of administrative messages is not known has
    /// reached any.
    #[must_use]
    pub fn is_reached_by(&self, cursor: &Cursor) -> bool {
        let next = cursor.next;
        next.epoch == self.epoch
            && (next.sseq, next.part) >= (self.sseq, self.part)
            && cursor.count.is_none_or(|(adm, _)| adm >= self.adm)
    }
}

/// Why there is no snapshot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The adapter gives as many as it can; ask again.
    Busy,
    /// What the adapter knows is not whole; another may be asked, and this one again with the next epoch.
    Incomplete,
    /// It has no such stream, or of another source stream.
    NoSuchStream,
    /// The request names an address that may not ask for fills, or came from another host.
    NotEntitled,
    /// The adapter serves no snapshots.
    Off,
    /// The adapter stands in another epoch or context than the asker.
    OtherContext,
    /// A reason of a later version.
    Other(u8),
}

impl Reason {
    /// All that this version knows, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::Busy,
        Self::Incomplete,
        Self::NoSuchStream,
        Self::NotEntitled,
        Self::Off,
        Self::OtherContext,
    ];

    /// In metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Incomplete => "incomplete",
            Self::NoSuchStream => "no_such_stream",
            Self::NotEntitled => "not_entitled",
            Self::Off => "off",
            Self::OtherContext => "other_context",
            Self::Other(_) => "other",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::Incomplete => 2,
            Self::NoSuchStream => 3,
            Self::NotEntitled => 4,
            Self::Off => 5,
            Self::OtherContext => 6,
            Self::Other(code) => code,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::Busy,
            2 => Self::Incomplete,
            3 => Self::NoSuchStream,
            4 => Self::NotEntitled,
            5 => Self::Off,
            6 => Self::OtherContext,
            other => Self::Other(other),
        })
    }
}

/// "There is none for you."
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Source stream.
    pub sid: Sid,
    /// The answering adapter's stream.
    pub stream: StreamId,
    /// The request's number.
    pub request: u64,
    /// Why.
    pub reason: Reason,
    /// How long to wait before asking here again, µs; 0: the asker's own pause.
    pub retry_after_us: u32,
}

/// Where a snapshot stands in its source stream; what a cursor of an application holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The first position that is not in the snapshot.
    pub next: Pos,
    /// Number of the last record or message that is in it in this epoch; 0: of none.
    pub last: u64,
    /// What the conversion remembers.
    pub context: ContextId,
    /// Whether that reaches back to the source's own first number, without a hole.
    pub complete: bool,
    /// How many administrative messages are in it, and in whose numbering; `None`: that is not known.
    pub count: Option<(Adm, Generation)>,
    /// The epoch before; [`Epoch::NONE`]: not known.
    pub predecessor: Epoch,
}

/// The first frame of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begin {
    /// Where the adapter stood as it began to copy: of the epoch and context of the whole, and in front of its end.
    pub cursor: Cursor,
    /// The adapter's stream.
    pub stream: StreamId,
    /// How many books there were then. An estimate of what follows.
    pub instruments: u64,
    /// How many orders rested then. An estimate of what follows.
    pub orders: u64,
}

/// Whether a book says what the venue's says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Every record since it was empty was applied, and fitted.
    Sound,
    /// Something is missing or did not fit.
    Suspect,
}

/// A book begins: whatever was said of its orders before is void, and its orders follow at once, in as many [`Orders`] as it takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instrument {
    /// The venue's number.
    pub id: u32,
    /// What is thought of its book.
    pub trust: Trust,
    /// How many orders follow.
    pub orders: u64,
}

/// The last frame of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct End {
    /// Where the whole stands.
    pub cursor: Cursor,
    /// What is thought of books of instruments that were not named.
    pub trust: Trust,
    /// Whether the venue itself is silent: the last of *source stale* and *source restored* says so.
    pub silent: bool,
    /// How many instruments have a book, once everything was applied.
    pub instruments: u64,
    /// How many orders rest in all books, once everything was applied.
    pub orders: u64,
    /// How many frames came before this one, [`Begin`] among them.
    pub frames: u64,
    /// [`Digest`] over them.
    pub digest: u64,
}

/// A frame between an asker and an adapter that serves snapshots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Snapshot<'a> {
    /// From an asker.
    Request(Request),
    /// There is none.
    Refused(Refused),
    /// A snapshot begins.
    Begin(Begin),
    /// A book begins.
    Instrument(Instrument),
    /// What an instrument is: in place of what was said of it before.
    Definition(&'a InstrumentDefMsg),
    /// Whether an instrument trades, or one of the other things that a status may say. What it does not say holds on.
    Status(&'a StatusMsg),
    /// Orders of the book that has begun, behind those before them.
    Orders(Orders<'a>),
    /// A record of the stream, to apply to a book that was said before.
    Change(&'a MboMsg),
    /// An administrative message of the stream, to apply to all books that were said before.
    Message(AdminMessage<'a>),
    /// The snapshot is whole.
    End(End),
}

impl<'a> Snapshot<'a> {
    /// Reads one whole frame.
    ///
    /// # Errors
    /// [`BadSnapshot`] names what is wrong; nothing of such a frame, and nothing behind it, may be used.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadSnapshot> {
        let length = BadSnapshot::Length(bytes.len());
        let (header, body) = bytes.split_first_chunk().ok_or(length)?;
        if frame_length(header)? != bytes.len() {
            return Err(length);
        }
        let raw: RawFrame = zerocopy::transmute!(*header);
        if raw.check.get() != check(bytes) {
            return Err(BadSnapshot::Check);
        }
        match raw.kind {
            KIND_REQUEST => exactly::<RawRequest>(body)?.value().map(Self::Request),
            KIND_REFUSED => exactly::<RawRefused>(body)?.value().map(Self::Refused),
            KIND_BEGIN => exactly::<RawBegin>(body)?.value().map(Self::Begin),
            KIND_INSTRUMENT => exactly::<RawInstrument>(body)?
                .value()
                .map(Self::Instrument),
            KIND_DEFINITION => record(body).map(Self::Definition),
            KIND_STATUS => record(body).map(Self::Status),
            KIND_ORDERS => Orders::read(body).map(Self::Orders),
            KIND_CHANGE => record(body).map(Self::Change),
            KIND_MESSAGE => AdminMessage::parse(body)
                .map(Self::Message)
                .map_err(BadSnapshot::Message),
            KIND_END => exactly::<RawEnd>(body)?.value().map(Self::End),
            kind => Err(BadSnapshot::Kind(kind)),
        }
    }

    /// Writes the frame into `buffer` and returns its length in bytes. Orders are written by [`write_orders`] where they are made.
    ///
    /// # Panics
    /// When `buffer` is shorter than the frame, or, for orders, than [`LONGEST_FRAME`], which any frame fits.
    #[must_use]
    pub fn emit(&self, buffer: &mut [u8]) -> usize {
        match self {
            Self::Request(it) => frame(buffer, KIND_REQUEST, &[RawRequest::of(it).as_bytes()]),
            Self::Refused(it) => frame(buffer, KIND_REFUSED, &[RawRefused::of(it).as_bytes()]),
            Self::Begin(it) => frame(buffer, KIND_BEGIN, &[RawBegin::of(it).as_bytes()]),
            Self::Instrument(it) => {
                let raw = RawInstrument::of(it);
                frame(buffer, KIND_INSTRUMENT, &[raw.as_bytes()])
            }
            Self::Definition(record) => frame(buffer, KIND_DEFINITION, &[record.as_bytes()]),
            Self::Status(record) => frame(buffer, KIND_STATUS, &[record.as_bytes()]),
            Self::Orders(orders) => write_orders(buffer, orders.instrument(), orders.iter()),
            Self::Change(record) => frame(buffer, KIND_CHANGE, &[record.as_bytes()]),
            Self::Message(message) => raw::message(buffer, message),
            Self::End(it) => frame(buffer, KIND_END, &[RawEnd::of(it).as_bytes()]),
        }
    }
}

/// `body` as exactly one `R`.
fn record<R: DbnRecord>(body: &[u8]) -> Result<&R, BadSnapshot> {
    R::view(body).ok_or(BadSnapshot::Record {
        rtype: R::RTYPE,
        length: body.len(),
    })
}

const KIND_REQUEST: u8 = 1;
const KIND_REFUSED: u8 = 2;
const KIND_BEGIN: u8 = 3;
const KIND_INSTRUMENT: u8 = 4;
const KIND_DEFINITION: u8 = 5;
const KIND_STATUS: u8 = 6;
const KIND_ORDERS: u8 = 7;
const KIND_CHANGE: u8 = 8;
const KIND_MESSAGE: u8 = 9;
const KIND_END: u8 = 10;
