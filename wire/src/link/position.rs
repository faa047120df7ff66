//! Where does one adapter's numbering stand, and where may the other take it over?

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BadFrame;
use super::{view, zero};
use crate::record::layout;
use crate::{Adm, ContextId, Epoch, Generation, Msn, Sid};

/// Where the sender's next message of one sid stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering `next_msn` belongs to.
    pub generation: Generation,
    /// Number of the next message.
    pub next_msn: Msn,
    /// Epoch it will belong to, or [`Epoch::NONE`] before the source said anything.
    pub epoch: Epoch,
    /// The lowest source number it can have.
    pub next_sseq: u64,
    /// Administrative messages before it.
    pub adm: Adm,
    /// What the sender's conversion remembers.
    pub context: ContextId,
    /// The sender counts as one with its peer: it can place administrative messages.
    pub synchronised: bool,
    /// Every line of the sender's source is silent.
    pub source_stale: bool,
}

/// The sender's numbering of one sid: the peer takes it over at this position. What is announced and not
/// yet placed follows as [`super::Intent`]s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering this is.
    pub generation: Generation,
    /// Number of the next message.
    pub next_msn: Msn,
    /// Epoch it will belong to, or [`Epoch::NONE`] before the source said anything.
    pub epoch: Epoch,
    /// The lowest source number it can have.
    pub next_sseq: u64,
    /// What its prev will be. Below `next_sseq`, unless both are 0.
    pub prev: u64,
    /// Administrative messages before it.
    pub adm: Adm,
    /// What the sender's conversion remembers.
    pub context: ContextId,
}

impl Report {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawReport = view(payload)?;
        zero(&raw.reserved)?;
        zero(&[raw.flags & !(SYNCHRONISED | SOURCE_STALE)])?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            next_msn: Msn(raw.next_msn.get()),
            epoch: Epoch(raw.epoch.get()),
            next_sseq: raw.next_sseq.get(),
            adm: Adm(raw.adm.get()),
            context: ContextId(raw.context.get()),
            synchronised: raw.flags & SYNCHRONISED != 0,
            source_stale: raw.flags & SOURCE_STALE != 0,
        })
    }

    pub(super) fn raw(&self) -> RawReport {
        RawReport {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            next_msn: U64::new(self.next_msn.0),
            epoch: U64::new(self.epoch.0),
            next_sseq: U64::new(self.next_sseq),
            adm: U64::new(self.adm.0),
            context: U64::new(self.context.0),
            flags: (u8::from(self.synchronised) * SYNCHRONISED)
                | (u8::from(self.source_stale) * SOURCE_STALE),
            reserved: [0; 7],
        }
    }
}

impl Cut {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawCut = view(payload)?;
        let (next_sseq, prev) = (raw.next_sseq.get(), raw.prev.get());
        if prev >= next_sseq && (next_sseq, prev) != (0, 0) {
            return Err(BadFrame::Position);
        }
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            next_msn: Msn(raw.next_msn.get()),
            epoch: Epoch(raw.epoch.get()),
            next_sseq,
            prev,
            adm: Adm(raw.adm.get()),
            context: ContextId(raw.context.get()),
        })
    }

    pub(super) fn raw(&self) -> RawCut {
        RawCut {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            next_msn: U64::new(self.next_msn.0),
            epoch: U64::new(self.epoch.0),
            next_sseq: U64::new(self.next_sseq),
            prev: U64::new(self.prev),
            adm: U64::new(self.adm.0),
            context: U64::new(self.context.0),
        }
    }
}

const SYNCHRONISED: u8 = 1;
const SOURCE_STALE: u8 = 1 << 1;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawReport {
    sid: U32,
    generation: U32,
    next_msn: U64,
    epoch: U64,
    next_sseq: U64,
    adm: U64,
    context: U64,
    flags: u8,
    reserved: [u8; 7],
}

layout!(RawReport, 56, {
    sid: 0, generation: 4, next_msn: 8, epoch: 16, next_sseq: 24, adm: 32, context: 40, flags: 48,
});

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawCut {
    sid: U32,
    generation: U32,
    next_msn: U64,
    epoch: U64,
    next_sseq: U64,
    prev: U64,
    adm: U64,
    context: U64,
}

layout!(RawCut, 56, {
    sid: 0, generation: 4, next_msn: 8, epoch: 16, next_sseq: 24, prev: 32, adm: 40, context: 48,
});
