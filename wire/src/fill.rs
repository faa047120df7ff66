//! How does a subscriber ask an adapter for what it missed, and how is it told that it cannot have it?
//!
//! ```text
//!   0 magic u16 "TR" | version u8 | kind u8 | ranges u8, or status u8 | reserved 3
//!   8 sid u32 | stream u32
//!  16 request u64            the asker's own number
//!  24 check u64              XXH3-64 of every other byte
//!  32 request: epoch u64 | context id u64 | most datagrams u32 | reserved u32 | ranges, 24 bytes each
//!  32 reply:   lacking u32 | retry after u32, µs | sent u32 | its parts u16, u16 | not retained from u64, until u64
//! ```
//!
//! What was asked for comes as datagrams of the stream itself, as they were sent, with the flag *retransmitted*; a
//! [`Reply`] follows them. Normative text: `docs/wire-format.md`, section 7.

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Adm, ContextId, Epoch, Sid, StreamId, VERSION};

mod error;

pub use error::BadFill;

/// The first two bytes of every frame: the letters `TR`.
pub const FILL_MAGIC: u16 = u16::from_le_bytes(*b"TR");
/// Most ranges in one request.
pub const MOST_RANGES: usize = 16;
/// Length of the longest request, bytes.
pub const LONGEST_REQUEST: usize = REQUEST_LENGTH + MOST_RANGES * RANGE_LENGTH;
/// Length of a reply, bytes.
pub const REPLY_LENGTH: usize = COMMON_LENGTH + 32;

/// What is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FillRange {
    /// Records, by (sseq, part): from the first up to, not including, the second.
    Records {
        /// First place missing.
        from: (u64, u16),
        /// First place behind.
        until: (u64, u16),
    },
    /// Administrative messages, by number: from the first up to, not including, the second.
    Messages {
        /// First number missing.
        from: Adm,
        /// First number behind.
        until: Adm,
    },
}

impl FillRange {
    const fn is_empty(&self) -> bool {
        match *self {
            Self::Records { from, until } => {
                until.0 < from.0 || until.0 == from.0 && until.1 <= from.1
            }
            Self::Messages { from, until } => until.0 <= from.0,
        }
    }
}

/// What every range of a request is of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestHeader {
    /// Source stream.
    pub sid: Sid,
    /// The asked adapter's stream.
    pub stream: StreamId,
    /// The asker's own number of this request; the reply repeats it.
    pub request: u64,
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// What the records must have been converted with.
    pub context: ContextId,
    /// Most datagrams that the asker takes.
    pub datagrams: u32,
}

/// A request that has proven its form.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    header: RequestHeader,
    ranges: &'a [RawRange],
}

impl<'a> Request<'a> {
    /// What every range is of.
    #[must_use]
    pub const fn header(&self) -> &RequestHeader {
        &self.header
    }

    /// What is missing: at least one range, none empty.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = FillRange> + use<'a> {
        self.ranges.iter().map(RawRange::value)
    }

    /// Whether both ask for the same, whoever asks.
    #[must_use]
    pub fn is_as(&self, other: &Request<'_>) -> bool {
        let same = RequestHeader {
            request: self.header.request,
            ..other.header
        };
        self.header == same && self.ranges.as_bytes() == other.ranges.as_bytes()
    }

    /// What is asked for as one number, whoever asks.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let of = self.header;
        let seed = xxh3_64(self.ranges.as_bytes());
        let place = [u64::from(of.sid.0), of.epoch.0, of.context.0, seed];
        xxh3_64(place.as_bytes()) ^ u64::from(of.datagrams)
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Status {
    /// What is retained was sent, up to what was asked for.
    #[default]
    Sent,
    /// Nothing was sent: the adapter is busy; ask again later.
    Busy,
    /// Nothing was sent, and never will be: it has no such stream.
    Refused,
}

impl Status {
    const fn code(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Busy => 2,
            Self::Refused => 3,
        }
    }
}

/// Numbers with their parts, from the first up to, not including, the second. Of administrative messages the part is 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stretch {
    /// First.
    pub from: (u64, u16),
    /// First behind.
    pub until: (u64, u16),
}

impl Stretch {
    /// Everything.
    pub const ALL: Self = Self {
        from: (0, 0),
        until: (u64::MAX, u16::MAX),
    };

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from >= self.until
    }

    /// What of it lies in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: self.until.min(other.until),
        }
    }

    /// Whether this place is in it.
    #[must_use]
    pub fn has(&self, place: (u64, u16)) -> bool {
        (self.from..self.until).contains(&place)
    }
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// Source stream.
    pub sid: Sid,
    /// The answering adapter's stream.
    pub stream: StreamId,
    /// The request's number.
    pub request: u64,
    /// What became of it.
    pub status: Status,
    /// Bit i: of range i something is not retained.
    pub lacking: u32,
    /// The first stretch of range 0 that is not retained. Empty although bit 0 is set: nothing of it is.
    pub stretch: Stretch,
    /// When busy: how long to wait before asking here again, µs.
    pub retry_after_us: u32,
    /// Datagrams that were sent in front of this.
    pub sent: u32,
}

/// A frame between a subscriber and an adapter that serves fills.
#[derive(Clone, Copy, Debug)]
pub enum Fill<'a> {
    /// From a subscriber.
    Request(Request<'a>),
    /// From an adapter.
    Reply(Reply),
}

/// Whether bytes claim to be such a frame, and not a datagram of a stream.
#[must_use]
pub fn is_fill(bytes: &[u8]) -> bool {
    bytes.starts_with(&FILL_MAGIC.to_le_bytes())
}

impl<'a> Fill<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`BadFill`] names what is wrong; nothing of such a frame may be used.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadFill> {
        let length = BadFill::Length(bytes.len());
        let (common, rest) = RawCommon::ref_from_prefix(bytes).map_err(|_| length)?;
        if common.magic.get() != FILL_MAGIC {
            return Err(BadFill::Magic(common.magic.get()));
        }
        if common.version != VERSION {
            return Err(BadFill::Version {
                theirs: common.version,
                ours: VERSION,
            });
        }
        if common.check.get() != check(bytes) {
            return Err(BadFill::Check);
        }
        if common.reserved != [0; 3] {
            return Err(BadFill::Reserved);
        }
        match common.kind {
            KIND_REQUEST => request(common, rest, length).map(Self::Request),
            KIND_REPLY => reply(common, rest, length).map(Self::Reply),
            kind => Err(BadFill::Kind(kind)),
        }
    }
}

fn request<'a>(
    common: &RawCommon,
    rest: &'a [u8],
    length: BadFill,
) -> Result<Request<'a>, BadFill> {
    let (raw, rest) = RawRequest::ref_from_prefix(rest).map_err(|_| length)?;
    let count = usize::from(common.word);
    if !(1..=MOST_RANGES).contains(&count) || rest.len() != count * RANGE_LENGTH {
        return Err(length);
    }
    let ranges = <[RawRange]>::ref_from_bytes(rest).map_err(|_| length)?;
    for range in ranges {
        if range.is_reserved() || raw.reserved.get() != 0 {
            return Err(BadFill::Reserved);
        }
        if !(RECORDS..=MESSAGES).contains(&range.kind) || range.value().is_empty() {
            return Err(BadFill::Range);
        }
    }
    Ok(Request {
        header: RequestHeader {
            sid: Sid(common.sid.get()),
            stream: StreamId(common.stream.get()),
            request: common.request.get(),
            epoch: Epoch(raw.epoch.get()),
            context: ContextId(raw.context.get()),
            datagrams: raw.datagrams.get(),
        },
        ranges,
    })
}

fn reply(common: &RawCommon, rest: &[u8], length: BadFill) -> Result<Reply, BadFill> {
    let raw = RawReply::ref_from_bytes(rest).map_err(|_| length)?;
    let status = match common.word {
        1 => Status::Sent,
        2 => Status::Busy,
        3 => Status::Refused,
        other => return Err(BadFill::Status(other)),
    };
    Ok(Reply {
        sid: Sid(common.sid.get()),
        stream: StreamId(common.stream.get()),
        request: common.request.get(),
        status,
        lacking: raw.lacking.get(),
        stretch: Stretch {
            from: (raw.from.get(), raw.from_part.get()),
            until: (raw.until.get(), raw.until_part.get()),
        },
        retry_after_us: raw.retry_after_us.get(),
        sent: raw.sent.get(),
    })
}

/// Writes a request for the first [`MOST_RANGES`] of `ranges` and returns its length in bytes.
///
/// # Panics
/// When `buffer` is shorter than [`LONGEST_REQUEST`].
#[must_use]
pub fn write_request(buffer: &mut [u8], header: &RequestHeader, ranges: &[FillRange]) -> usize {
    assert!(
        buffer.len() >= LONGEST_REQUEST,
        "any request fits the buffer"
    );
    let ranges = &ranges[..ranges.len().min(MOST_RANGES)];
    let common = RawCommon::of(
        KIND_REQUEST,
        // At most MOST_RANGES.
        ranges.len() as u8,
        (header.sid, header.stream),
        header.request,
    );
    let raw = RawRequest {
        epoch: U64::new(header.epoch.0),
        context: U64::new(header.context.0),
        datagrams: U32::new(header.datagrams),
        reserved: U32::new(0),
    };
    buffer[..COMMON_LENGTH].copy_from_slice(common.as_bytes());
    buffer[COMMON_LENGTH..REQUEST_LENGTH].copy_from_slice(raw.as_bytes());
    let mut length = REQUEST_LENGTH;
    for range in ranges {
        let raw = RawRange::of(range);
        buffer[length..length + RANGE_LENGTH].copy_from_slice(raw.as_bytes());
        length += RANGE_LENGTH;
    }
    seal(&mut buffer[..length]);
    length
}

/// The bytes of a reply.
#[must_use]
pub fn write_reply(reply: &Reply) -> [u8; REPLY_LENGTH] {
    let mut bytes = [0; REPLY_LENGTH];
    let common = RawCommon::of(
        KIND_REPLY,
        reply.status.code(),
        (reply.sid, reply.stream),
        reply.request,
    );
    let raw = RawReply {
        lacking: U32::new(reply.lacking),
        retry_after_us: U32::new(reply.retry_after_us),
        sent: U32::new(reply.sent),
        from_part: U16::new(reply.stretch.from.1),
        until_part: U16::new(reply.stretch.until.1),
        from: U64::new(reply.stretch.from.0),
        until: U64::new(reply.stretch.until.0),
    };
    bytes[..COMMON_LENGTH].copy_from_slice(common.as_bytes());
    bytes[COMMON_LENGTH..].copy_from_slice(raw.as_bytes());
    seal(&mut bytes);
    bytes
}

const KIND_REQUEST: u8 = 1;
const KIND_REPLY: u8 = 2;
const RECORDS: u8 = 1;
const MESSAGES: u8 = 2;
/// Where the check stands.
const CHECK_AT: usize = 24;
const COMMON_LENGTH: usize = size_of::<RawCommon>();
const REQUEST_LENGTH: usize = COMMON_LENGTH + size_of::<RawRequest>();
const RANGE_LENGTH: usize = size_of::<RawRange>();

fn seal(frame: &mut [u8]) {
    let check = check(frame);
    frame[CHECK_AT..CHECK_AT + 8].copy_from_slice(&check.to_le_bytes());
}

/// XXH3-64 of everything behind the check, xor that of everything in front of it, its halves swapped.
fn check(frame: &[u8]) -> u64 {
    xxh3_64(&frame[CHECK_AT + 8..]) ^ xxh3_64(&frame[..CHECK_AT]).rotate_left(32)
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawCommon {
    magic: U16,
    version: u8,
    kind: u8,
    /// How many ranges, or the status.
    word: u8,
    reserved: [u8; 3],
    sid: U32,
    stream: U32,
    request: U64,
    check: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRequest {
    epoch: U64,
    context: U64,
    datagrams: U32,
    reserved: U32,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawReply {
    lacking: U32,
    retry_after_us: U32,
    sent: U32,
    from_part: U16,
    until_part: U16,
    from: U64,
    until: U64,
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRange {
    kind: u8,
    reserved: [u8; 3],
    from_part: U16,
    until_part: U16,
    from: U64,
    until: U64,
}

const _: () = {
    use core::mem::offset_of;
    assert!(COMMON_LENGTH == 32 && REQUEST_LENGTH == 56 && RANGE_LENGTH == 24);
    assert!(REPLY_LENGTH == 64 && LONGEST_REQUEST == 440);
    assert!(offset_of!(RawCommon, word) == 4 && offset_of!(RawCommon, sid) == 8);
    assert!(offset_of!(RawCommon, request) == 16 && offset_of!(RawCommon, check) == CHECK_AT);
    assert!(offset_of!(RawRange, from_part) == 4 && offset_of!(RawRange, from) == 8);
};

impl RawCommon {
    fn of(kind: u8, word: u8, (sid, stream): (Sid, StreamId), request: u64) -> Self {
        Self {
            magic: U16::new(FILL_MAGIC),
            version: VERSION,
            kind,
            word,
            reserved: [0; 3],
            sid: U32::new(sid.0),
            stream: U32::new(stream.0),
            request: U64::new(request),
            check: U64::new(0),
        }
    }
}

impl RawRange {
    fn of(range: &FillRange) -> Self {
        let (kind, from, until) = match *range {
            FillRange::Records { from, until } => (RECORDS, from, until),
            FillRange::Messages { from, until } => (MESSAGES, (from.0, 0), (until.0, 0)),
        };
        Self {
            kind,
            reserved: [0; 3],
            from_part: U16::new(from.1),
            until_part: U16::new(until.1),
            from: U64::new(from.0),
            until: U64::new(until.0),
        }
    }

    fn value(&self) -> FillRange {
        let from = (self.from.get(), self.from_part.get());
        let until = (self.until.get(), self.until_part.get());
        match self.kind {
            MESSAGES => FillRange::Messages {
                from: Adm(from.0),
                until: Adm(until.0),
            },
            _ => FillRange::Records { from, until },
        }
    }

    fn is_reserved(&self) -> bool {
        let parts = self.from_part.get() != 0 || self.until_part.get() != 0;
        self.reserved != [0; 3] || self.kind == MESSAGES && parts
    }
}
