//! Where does each field of a frame stand?

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    BadSnapshot, Begin, Cursor, End, FRAME_HEADER_LENGTH, Instrument, KIND_MESSAGE, LONGEST_BODY,
    NotBefore, Reason, Refused, Request, SNAPSHOT_MAGIC, SNAPSHOT_VERSION, Trust,
};
use crate::record::layout;
use crate::{Adm, AdminMessage, ContextId, Epoch, Generation, LONGEST_ADMIN, Pos, Sid, StreamId};

/// Reads a frame's header and returns the length of the whole frame, bytes.
///
/// # Errors
/// [`BadSnapshot`] when it is foreign, of another version, longer than [`super::LONGEST_FRAME`], or no multiple of 8.
pub fn frame_length(header: &[u8; FRAME_HEADER_LENGTH]) -> Result<usize, BadSnapshot> {
    let raw: RawFrame = zerocopy::transmute!(*header);
    if raw.magic.get() != SNAPSHOT_MAGIC {
        return Err(BadSnapshot::Magic(raw.magic.get()));
    }
    if raw.version != SNAPSHOT_VERSION {
        return Err(BadSnapshot::Version {
            theirs: raw.version,
            ours: SNAPSHOT_VERSION,
        });
    }
    let length = raw.length.get() as usize;
    if length > LONGEST_BODY || !length.is_multiple_of(8) {
        return Err(BadSnapshot::Length(FRAME_HEADER_LENGTH + length));
    }
    Ok(FRAME_HEADER_LENGTH + length)
}

/// Writes a frame of these parts and returns its length in bytes.
pub(super) fn frame(buffer: &mut [u8], kind: u8, parts: &[&[u8]]) -> usize {
    let mut length = FRAME_HEADER_LENGTH;
    for part in parts {
        buffer[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    seal(&mut buffer[..length], kind);
    length
}

/// Writes an administrative message in the form of a record's body.
pub(super) fn message(buffer: &mut [u8], message: &AdminMessage<'_>) -> usize {
    let mut body = [0; LONGEST_ADMIN];
    let length = message.emit(&mut body);
    frame(buffer, KIND_MESSAGE, &[&body[..length]])
}

/// Puts the header in front of a frame whose body stands in it.
pub(super) fn seal(frame: &mut [u8], kind: u8) {
    let raw = RawFrame {
        magic: U16::new(SNAPSHOT_MAGIC),
        version: SNAPSHOT_VERSION,
        kind,
        // At most LONGEST_BODY.
        length: U32::new((frame.len() - FRAME_HEADER_LENGTH) as u32),
        check: U64::new(0),
    };
    frame[..FRAME_HEADER_LENGTH].copy_from_slice(raw.as_bytes());
    let check = check(frame);
    frame[CHECK_AT..FRAME_HEADER_LENGTH].copy_from_slice(&check.to_le_bytes());
}

/// XXH3-64 of everything behind the check, xor that of everything in front of it, its halves swapped.
pub(super) fn check(frame: &[u8]) -> u64 {
    xxh3_64(&frame[FRAME_HEADER_LENGTH..]) ^ xxh3_64(&frame[..CHECK_AT]).rotate_left(32)
}

/// `body` as exactly one `R`.
pub(super) fn exactly<R: FromBytes + Immutable + KnownLayout + Unaligned>(
    body: &[u8],
) -> Result<&R, BadSnapshot> {
    let length = BadSnapshot::Length(FRAME_HEADER_LENGTH + body.len());
    R::ref_from_bytes(body).map_err(|_| length)
}

/// Where the check stands.
const CHECK_AT: usize = 8;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawFrame {
    magic: U16,
    version: u8,
    pub(super) kind: u8,
    length: U32,
    pub(super) check: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawRequest {
    sid: U32,
    stream: U32,
    request: U64,
    epoch: U64,
    context: U64,
    sseq: U64,
    adm: U64,
    part: U16,
    port: U16,
    /// 4 or 6.
    family: u8,
    reserved: [u8; 3],
    /// Of family 4 the first four bytes.
    address: [u8; 16],
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawRefused {
    sid: U32,
    stream: U32,
    request: U64,
    retry_after_us: U32,
    reason: u8,
    reserved: [u8; 3],
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawCursor {
    sid: U32,
    part: U16,
    flags: u8,
    reserved: u8,
    epoch: U64,
    sseq: U64,
    last: U64,
    context: U64,
    adm: U64,
    generation: U32,
    reserved_too: U32,
    predecessor: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawBegin {
    cursor: RawCursor,
    stream: U32,
    reserved: U32,
    instruments: U64,
    orders: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawInstrument {
    id: U32,
    trust: u8,
    reserved: [u8; 3],
    orders: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawEnd {
    cursor: RawCursor,
    trust: u8,
    silent: u8,
    reserved: [u8; 6],
    instruments: U64,
    orders: U64,
    frames: U64,
    digest: U64,
}

layout!(RawFrame, 16, { magic: 0, version: 2, kind: 3, length: 4, check: 8 });
layout!(RawRequest, 72, {
    sid: 0, stream: 4, request: 8, epoch: 16, context: 24, sseq: 32, adm: 40, part: 48, port: 50,
    family: 52, reserved: 53, address: 56,
});
layout!(RawRefused, 24, { sid: 0, stream: 4, request: 8, retry_after_us: 16, reason: 20, reserved: 21 });
layout!(RawCursor, 64, {
    sid: 0, part: 4, flags: 6, reserved: 7, epoch: 8, sseq: 16, last: 24, context: 32, adm: 40,
    generation: 48, reserved_too: 52, predecessor: 56,
});
layout!(RawBegin, 88, { cursor: 0, stream: 64, reserved: 68, instruments: 72, orders: 80 });
layout!(RawInstrument, 16, { id: 0, trust: 4, reserved: 5, orders: 8 });
layout!(RawEnd, 104, {
    cursor: 0, trust: 64, silent: 65, reserved: 66, instruments: 72, orders: 80, frames: 88, digest: 96,
});
const _: () = assert!(size_of::<RawFrame>() == FRAME_HEADER_LENGTH);

impl RawRequest {
    pub(super) fn of(it: &Request) -> Self {
        let mut address = [0; 16];
        let family = match it.fills.ip() {
            IpAddr::V4(ip) => {
                address[..4].copy_from_slice(&ip.octets());
                4
            }
            IpAddr::V6(ip) => {
                address = ip.octets();
                6
            }
        };
        Self {
            sid: U32::new(it.sid.0),
            stream: U32::new(it.stream.0),
            request: U64::new(it.request),
            epoch: U64::new(it.not_before.epoch.0),
            context: U64::new(it.context.0),
            sseq: U64::new(it.not_before.sseq),
            adm: U64::new(it.not_before.adm.0),
            part: U16::new(it.not_before.part),
            port: U16::new(it.fills.port()),
            family,
            reserved: [0; 3],
            address,
        }
    }

    pub(super) fn value(&self) -> Result<Request, BadSnapshot> {
        zero(&self.reserved)?;
        let [a, b, c, d, rest @ ..] = self.address;
        let ip = match self.family {
            4 => {
                zero(&rest)?;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            6 => IpAddr::V6(Ipv6Addr::from(self.address)),
            _ => return Err(BadSnapshot::Value("address family")),
        };
        let epoch = epoch(self.epoch)?;
        Ok(Request {
            sid: Sid(self.sid.get()),
            stream: StreamId(self.stream.get()),
            request: self.request.get(),
            fills: SocketAddr::new(ip, self.port.get()),
            not_before: NotBefore {
                epoch,
                sseq: self.sseq.get(),
                part: self.part.get(),
                adm: Adm(self.adm.get()),
            },
            context: ContextId(self.context.get()),
        })
    }
}

impl RawRefused {
    pub(super) fn of(it: &Refused) -> Self {
        Self {
            sid: U32::new(it.sid.0),
            stream: U32::new(it.stream.0),
            request: U64::new(it.request),
            retry_after_us: U32::new(it.retry_after_us),
            reason: it.reason.code(),
            reserved: [0; 3],
        }
    }

    pub(super) fn value(&self) -> Result<Refused, BadSnapshot> {
        zero(&self.reserved)?;
        let reason = Reason::from_code(self.reason).ok_or(BadSnapshot::Value("reason"))?;
        Ok(Refused {
            sid: Sid(self.sid.get()),
            stream: StreamId(self.stream.get()),
            request: self.request.get(),
            reason,
            retry_after_us: self.retry_after_us.get(),
        })
    }
}

/// Bits of [`RawCursor::flags`].
const COMPLETE: u8 = 1;
const COUNTED: u8 = 2;

impl RawCursor {
    fn of(it: &Cursor) -> Self {
        let complete = if it.complete { COMPLETE } else { 0 };
        let counted = if it.count.is_some() { COUNTED } else { 0 };
        let (adm, generation) = it.count.unwrap_or_default();
        Self {
            sid: U32::new(it.next.sid.0),
            part: U16::new(it.next.part),
            flags: complete | counted,
            reserved: 0,
            epoch: U64::new(it.next.epoch.0),
            sseq: U64::new(it.next.sseq),
            last: U64::new(it.last),
            context: U64::new(it.context.0),
            adm: U64::new(adm.0),
            generation: U32::new(generation.0),
            reserved_too: U32::new(0),
            predecessor: U64::new(it.predecessor.0),
        }
    }

    fn value(&self) -> Result<Cursor, BadSnapshot> {
        let counted = self.flags & COUNTED != 0;
        let uncounted = self.adm.get() != 0 || self.generation.get() != 0;
        let unknown = self.flags & !(COMPLETE | COUNTED);
        if unknown != 0 || self.reserved != 0 || self.reserved_too.get() != 0 {
            return Err(BadSnapshot::Reserved);
        }
        if !counted && uncounted {
            return Err(BadSnapshot::Value("count"));
        }
        if self.last.get() > self.sseq.get() {
            return Err(BadSnapshot::Value("last number"));
        }
        Ok(Cursor {
            next: Pos {
                sid: Sid(self.sid.get()),
                epoch: epoch(self.epoch)?,
                sseq: self.sseq.get(),
                part: self.part.get(),
            },
            last: self.last.get(),
            context: ContextId(self.context.get()),
            complete: self.flags & COMPLETE != 0,
            count: counted.then(|| (Adm(self.adm.get()), Generation(self.generation.get()))),
            predecessor: Epoch(self.predecessor.get()),
        })
    }
}

impl RawBegin {
    pub(super) fn of(it: &Begin) -> Self {
        Self {
            cursor: RawCursor::of(&it.cursor),
            stream: U32::new(it.stream.0),
            reserved: U32::new(0),
            instruments: U64::new(it.instruments),
            orders: U64::new(it.orders),
        }
    }

    pub(super) fn value(&self) -> Result<Begin, BadSnapshot> {
        zero(self.reserved.as_bytes())?;
        Ok(Begin {
            cursor: self.cursor.value()?,
            stream: StreamId(self.stream.get()),
            instruments: self.instruments.get(),
            orders: self.orders.get(),
        })
    }
}

impl RawInstrument {
    pub(super) fn of(it: &Instrument) -> Self {
        Self {
            id: U32::new(it.id),
            trust: code(it.trust),
            reserved: [0; 3],
            orders: U64::new(it.orders),
        }
    }

    pub(super) fn value(&self) -> Result<Instrument, BadSnapshot> {
        zero(&self.reserved)?;
        Ok(Instrument {
            id: self.id.get(),
            trust: trust(self.trust)?,
            orders: self.orders.get(),
        })
    }
}

impl RawEnd {
    pub(super) fn of(it: &End) -> Self {
        Self {
            cursor: RawCursor::of(&it.cursor),
            trust: code(it.trust),
            silent: it.silent.into(),
            reserved: [0; 6],
            instruments: U64::new(it.instruments),
            orders: U64::new(it.orders),
            frames: U64::new(it.frames),
            digest: U64::new(it.digest),
        }
    }

    pub(super) fn value(&self) -> Result<End, BadSnapshot> {
        zero(&self.reserved)?;
        if self.silent > 1 {
            return Err(BadSnapshot::Value("silence"));
        }
        Ok(End {
            cursor: self.cursor.value()?,
            trust: trust(self.trust)?,
            silent: self.silent == 1,
            instruments: self.instruments.get(),
            orders: self.orders.get(),
            frames: self.frames.get(),
            digest: self.digest.get(),
        })
    }
}

/// Refuses a reserved field that is used.
fn zero(reserved: &[u8]) -> Result<(), BadSnapshot> {
    match reserved.iter().all(|&byte| byte == 0) {
        true => Ok(()),
        false => Err(BadSnapshot::Reserved),
    }
}

fn epoch(raw: U64) -> Result<Epoch, BadSnapshot> {
    let epoch = Epoch(raw.get());
    let some = epoch.is_some().then_some(epoch);
    some.ok_or(BadSnapshot::Value("epoch"))
}

const fn code(trust: Trust) -> u8 {
    match trust {
        Trust::Sound => 1,
        Trust::Suspect => 2,
    }
}

const fn trust(code: u8) -> Result<Trust, BadSnapshot> {
    match code {
        1 => Ok(Trust::Sound),
        2 => Ok(Trust::Suspect),
        _ => Err(BadSnapshot::Value("trust")),
    }
}
