//! What did one adapter send under a range of source numbers?
//!
//! ```text
//!   0 sid u32 | generation u32 | epoch u64 | context id u64 | range u64 | digest u64
//! ```

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BadFrame;
use super::view;
use crate::record::layout;
use crate::{ContextId, Epoch, Generation, RangeDigest, Sid};

/// The content digest of one whole range of the sender's, as in its heartbeats.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Content {
    /// Source stream.
    pub sid: Sid,
    /// Generation the sender works under.
    pub generation: Generation,
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// What the sender's conversion remembers: under another one the same numbers mean something else.
    pub context: ContextId,
    /// Which range, and its digest.
    pub digest: RangeDigest,
}

impl Content {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawContent = view(payload)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            epoch: Epoch(raw.epoch.get()),
            context: ContextId(raw.context.get()),
            digest: RangeDigest {
                range: raw.range.get(),
                digest: raw.digest.get(),
            },
        })
    }

    pub(super) fn raw(&self) -> RawContent {
        RawContent {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            epoch: U64::new(self.epoch.0),
            context: U64::new(self.context.0),
            range: U64::new(self.digest.range),
            digest: U64::new(self.digest.digest),
        }
    }
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawContent {
    sid: U32,
    generation: U32,
    epoch: U64,
    context: U64,
    range: U64,
    digest: U64,
}

layout!(RawContent, 40, { sid: 0, generation: 4, epoch: 8, context: 16, range: 24, digest: 32 });
