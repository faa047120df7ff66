//! How does one adapter hand its peer what its conversion remembers?
//!
//! ```text
//!  taker: Request ──► giver: Head, Chunk, Chunk, ..., End ──► taker
//!         Taken ◄──────────── every few chunks ──────────────┘      Over: either end, at any time
//! ```
//!
//! What the items in a chunk mean is the format's business; here they are bytes with a check. Every frame of one
//! transfer bears the number that its taker gave it.

use core::fmt;

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BadFrame;
use super::over::OverReason;
use super::{view, zero};
use crate::record::layout;
use crate::{ContextId, Epoch, Sid};

/// Most bytes of items in one chunk.
pub const LONGEST_CHUNK: usize = 1_024;

/// "Tell me what your conversion remembers."
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextRequest {
    /// Source stream.
    pub sid: Sid,
    /// The taker's number for this transfer.
    pub transfer: u32,
    /// The epoch that the taker is in.
    pub epoch: Epoch,
    /// The taker keeps every source message from this number on: the transfer must not end below it.
    pub from: u64,
}

/// What is handed over, and where the giver stands as it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextHead {
    /// Source stream.
    pub sid: Sid,
    /// Which transfer.
    pub transfer: u32,
    /// The format whose conversion this is; see [`ContextHead::ITCH50`].
    pub format: u16,
    /// Version of that format's items.
    pub version: u16,
    /// The epoch.
    pub epoch: Epoch,
    /// The giver's context, complete.
    pub context: ContextId,
    /// The source's own first number of the epoch.
    pub first: u64,
    /// The epoch before; [`Epoch::NONE`]: not known.
    pub predecessor: Epoch,
    /// The giver has converted everything below.
    pub next: u64,
}

/// Some items.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ContextChunk {
    /// Source stream.
    pub sid: Sid,
    /// Which transfer.
    pub transfer: u32,
    /// Of the transfer's chunks, from 0.
    pub index: u32,
    /// The giver had converted everything below when the chunk was closed.
    pub next: u64,
    /// What its sender took for the check; see [`ContextChunk::is_sound`].
    check: u64,
    length: u16,
    bytes: [u8; LONGEST_CHUNK],
}

/// Everything was said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextEnd {
    /// Source stream.
    pub sid: Sid,
    /// Which transfer.
    pub transfer: u32,
    /// How many chunks there were.
    pub chunks: u32,
    /// The chunks are what a conversion remembers that has converted everything below this number, and no more.
    pub next: u64,
    /// What the record of that number, if it has one, would bear as its `prev`.
    pub prev: u64,
    /// How many orders are open.
    pub orders: u64,
    /// Over everything that was said in this transfer, this included: [`ContextEnd::sealed`].
    pub check: u64,
}

/// So many chunks were taken in: as many more may follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextTaken {
    /// Source stream.
    pub sid: Sid,
    /// Which transfer.
    pub transfer: u32,
    /// Chunks taken in since its beginning.
    pub chunks: u32,
}

/// There will be no context of this transfer: a refusal, or either end gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextOver {
    /// Source stream.
    pub sid: Sid,
    /// Which transfer.
    pub transfer: u32,
    /// Why.
    pub reason: OverReason,
}

impl ContextHead {
    /// TotalView-ITCH 5.0.
    pub const ITCH50: u16 = 1;

    /// With what the check of the whole transfer begins.
    #[must_use]
    pub fn check(&self) -> u64 {
        xxh3_64(self.raw().as_bytes())
    }
}

impl ContextEnd {
    /// With the check that it bears when `before` is the check of the head and of all chunks.
    #[must_use]
    pub fn sealed(self, before: u64) -> Self {
        let raw = self.raw();
        let front = &raw.as_bytes()[..size_of::<RawEnd>() - size_of::<U64>()];
        Self {
            check: fold(before, xxh3_64(front)),
            ..self
        }
    }
}

impl ContextChunk {
    /// A chunk; `None` when `items` is longer than [`LONGEST_CHUNK`].
    #[must_use]
    pub fn new(sid: Sid, transfer: u32, index: u32, next: u64, items: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST_CHUNK];
        bytes.get_mut(..items.len())?.copy_from_slice(items);
        let mut chunk = Self {
            sid,
            transfer,
            index,
            next,
            check: 0,
            length: items.len() as u16, // at most LONGEST_CHUNK
            bytes,
        };
        chunk.check = chunk.expected();
        Some(chunk)
    }

    /// Its items.
    #[must_use]
    pub fn items(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether its check fits what it says. One that does not spoils its transfer, not the link.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.check == self.expected()
    }

    /// What `before`, the check of the head and of the chunks before, becomes with this one.
    #[must_use]
    pub const fn fold(&self, before: u64) -> u64 {
        fold(before, self.check)
    }

    fn expected(&self) -> u64 {
        let raw = self.raw();
        let front = &raw.as_bytes()[..size_of::<RawChunk>() - size_of::<U64>()];
        xxh3_64(self.items()) ^ xxh3_64(front).rotate_left(32)
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let short = BadFrame::Length(payload.len() as u32);
        let (raw, items) = RawChunk::ref_from_prefix(payload).map_err(|_| short)?;
        zero(&raw.reserved)?;
        if items.len() != usize::from(raw.length.get()) {
            return Err(short);
        }
        let sid = Sid(raw.sid.get());
        let chunk = Self::new(
            sid,
            raw.transfer.get(),
            raw.index.get(),
            raw.next.get(),
            items,
        );
        Ok(Self {
            check: raw.check.get(),
            ..chunk.ok_or(short)?
        })
    }

    pub(super) fn raw(&self) -> RawChunk {
        RawChunk {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            index: U32::new(self.index),
            length: U16::new(self.length),
            reserved: [0; 2],
            next: U64::new(self.next),
            check: U64::new(self.check),
        }
    }
}

impl fmt::Debug for ContextChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextChunk")
            .field("sid", &self.sid)
            .field("transfer", &self.transfer)
            .field("index", &self.index)
            .field("next", &self.next)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl ContextRequest {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawRequest = view(payload)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            transfer: raw.transfer.get(),
            epoch: Epoch(raw.epoch.get()),
            from: raw.from.get(),
        })
    }

    pub(super) fn raw(&self) -> RawRequest {
        RawRequest {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            epoch: U64::new(self.epoch.0),
            from: U64::new(self.from),
        }
    }
}

impl ContextHead {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawHead = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            transfer: raw.transfer.get(),
            format: raw.format.get(),
            version: raw.version.get(),
            epoch: Epoch(raw.epoch.get()),
            context: ContextId(raw.context.get()),
            first: raw.first.get(),
            predecessor: Epoch(raw.predecessor.get()),
            next: raw.next.get(),
        })
    }

    pub(super) fn raw(&self) -> RawHead {
        RawHead {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            format: U16::new(self.format),
            version: U16::new(self.version),
            reserved: [0; 4],
            epoch: U64::new(self.epoch.0),
            context: U64::new(self.context.0),
            first: U64::new(self.first),
            predecessor: U64::new(self.predecessor.0),
            next: U64::new(self.next),
        }
    }
}

impl ContextEnd {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawEnd = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            transfer: raw.transfer.get(),
            chunks: raw.chunks.get(),
            next: raw.next.get(),
            prev: raw.prev.get(),
            orders: raw.orders.get(),
            check: raw.check.get(),
        })
    }

    pub(super) fn raw(&self) -> RawEnd {
        RawEnd {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            chunks: U32::new(self.chunks),
            reserved: [0; 4],
            next: U64::new(self.next),
            prev: U64::new(self.prev),
            orders: U64::new(self.orders),
            check: U64::new(self.check),
        }
    }
}

impl ContextTaken {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawTaken = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            transfer: raw.transfer.get(),
            chunks: raw.chunks.get(),
        })
    }

    pub(super) fn raw(&self) -> RawTaken {
        RawTaken {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            chunks: U32::new(self.chunks),
            reserved: [0; 4],
        }
    }
}

impl ContextOver {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawOver = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            transfer: raw.transfer.get(),
            reason: OverReason::from_code(raw.reason),
        })
    }

    pub(super) fn raw(&self) -> RawOver {
        RawOver {
            sid: U32::new(self.sid.0),
            transfer: U32::new(self.transfer),
            reason: self.reason.code(),
            reserved: [0; 7],
        }
    }
}

const fn fold(before: u64, check: u64) -> u64 {
    before.rotate_left(1).wrapping_mul(FOLD).wrapping_add(check)
}

/// An odd number without a pattern (2^64 divided by the golden ratio): what stood where goes into the fold.
const FOLD: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawRequest {
    sid: U32,
    transfer: U32,
    epoch: U64,
    from: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHead {
    sid: U32,
    transfer: U32,
    format: U16,
    version: U16,
    reserved: [u8; 4],
    epoch: U64,
    context: U64,
    first: U64,
    predecessor: U64,
    next: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawChunk {
    sid: U32,
    transfer: U32,
    index: U32,
    length: U16,
    reserved: [u8; 2],
    next: U64,
    check: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawEnd {
    sid: U32,
    transfer: U32,
    chunks: U32,
    reserved: [u8; 4],
    next: U64,
    prev: U64,
    orders: U64,
    check: U64,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawTaken {
    sid: U32,
    transfer: U32,
    chunks: U32,
    reserved: [u8; 4],
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawOver {
    sid: U32,
    transfer: U32,
    reason: u8,
    reserved: [u8; 7],
}

layout!(RawRequest, 24, { sid: 0, transfer: 4, epoch: 8, from: 16 });
layout!(RawHead, 56, {
    sid: 0, transfer: 4, format: 8, version: 10, epoch: 16, context: 24, first: 32, predecessor: 40, next: 48,
});
layout!(RawChunk, 32, { sid: 0, transfer: 4, index: 8, length: 12, next: 16, check: 24 });
layout!(RawEnd, 48, {
    sid: 0, transfer: 4, chunks: 8, next: 16, prev: 24, orders: 32, check: 40,
});
layout!(RawTaken, 16, { sid: 0, transfer: 4, chunks: 8 });
layout!(RawOver, 16, { sid: 0, transfer: 4, reason: 8 });
