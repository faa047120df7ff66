//! Where does one adapter's numbering stand, and where may the other take it over?
//!
//! ```text
//!   0 msn u64 | epoch u64 | context id u64 | sseq u64 | adm u64 | part u32 | reserved u32     one record, placed
//! ```

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BadFrame;
use super::{view, zero};
use crate::record::layout;
use crate::{Adm, ContextId, Epoch, Generation, Msn, Sid};

/// One record, as far as two adapters must agree about it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Placed {
    /// Its number in the stream; 0 when it was placed before the numbering in force began.
    pub msn: Msn,
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// What the conversion remembered when it was made.
    pub context: ContextId,
    /// The origin's own number; of an administrative message, the one it stands behind.
    pub sseq: u64,
    /// Administrative messages before it.
    pub adm: Adm,
    /// Index within the source message; [`Placed::ADMINISTRATIVE`] for an administrative message,
    /// [`Placed::BEGINNING`] for the place before the first record of an epoch.
    pub part: u32,
}

impl Placed {
    /// Stands for the part of an administrative message: behind every part of the number it follows.
    pub const ADMINISTRATIVE: u32 = u32::MAX;

    /// Stands for the part of an epoch's beginning, which is no record and has the msn of what was placed before:
    /// `sseq` is the number before the first one converted.
    pub const BEGINNING: u32 = u32::MAX - 1;

    /// Whether both are the same record, whatever their numbers in their streams.
    #[must_use]
    pub fn is_same_record(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.epoch, it.sseq, it.part);
        place(self) == place(other)
    }
}

/// Where the sender's stream of one sid stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering `processed` belongs to.
    pub generation: Generation,
    /// B: number of the record that the sender processed last; 0: none in this numbering.
    pub processed: Msn,
    /// Number of the cut that the sender took over last, 0 for none: what it says of itself holds for that one. Of an
    /// active: of the last cut it gave, or owes; who took over an older one does not count as it does any more.
    pub cut: u32,
    /// The sender counts as one with its peer: it can place administrative messages.
    pub synchronised: bool,
    /// Every line of the sender's source is silent.
    pub source_stale: bool,
    /// The record processed last, to be compared at equal msn, which is not 0. `None` when it was placed before
    /// the numbering was taken over, for then it counts other administrative messages.
    pub last: Option<Placed>,
}

/// The sender's numbering of one sid: the peer takes it over at this place. What is announced and not yet placed
/// follows as [`super::Intent`]s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering this is.
    pub generation: Generation,
    /// Of the generation's cuts, from 1.
    pub number: u32,
    /// The last record of a source message.
    pub last: Placed,
    /// Administrative messages placed behind it since.
    pub behind: u64,
    /// Administrative messages before the next record, those included.
    pub adm: Adm,
    /// How many of them, and of those that wait, are of older generations and valid.
    pub inherited: Adm,
}

impl Placed {
    fn read(raw: &RawPlaced) -> Result<Self, BadFrame> {
        zero(&raw.reserved)?;
        Ok(Self {
            msn: Msn(raw.msn.get()),
            epoch: Epoch(raw.epoch.get()),
            context: ContextId(raw.context.get()),
            sseq: raw.sseq.get(),
            adm: Adm(raw.adm.get()),
            part: raw.part.get(),
        })
    }

    fn raw(&self) -> RawPlaced {
        RawPlaced {
            msn: U64::new(self.msn.0),
            epoch: U64::new(self.epoch.0),
            context: U64::new(self.context.0),
            sseq: U64::new(self.sseq),
            adm: U64::new(self.adm.0),
            part: U32::new(self.part),
            reserved: [0; 4],
        }
    }
}

impl Report {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawReport = view(payload)?;
        zero(&raw.reserved)?;
        zero(&[raw.flags & !(SYNCHRONISED | SOURCE_STALE)])?;
        let last = Placed::read(&raw.last)?;
        if last.msn.0 == 0 && last != Placed::default() {
            // Nothing can be compared at no number.
            return Err(BadFrame::Position);
        }
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            processed: Msn(raw.processed.get()),
            cut: raw.cut.get(),
            synchronised: raw.flags & SYNCHRONISED != 0,
            source_stale: raw.flags & SOURCE_STALE != 0,
            last: (last.msn.0 != 0).then_some(last),
        })
    }

    pub(super) fn raw(&self) -> RawReport {
        RawReport {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            processed: U64::new(self.processed.0),
            cut: U32::new(self.cut),
            flags: (u8::from(self.synchronised) * SYNCHRONISED)
                | (u8::from(self.source_stale) * SOURCE_STALE),
            reserved: [0; 3],
            last: self.last.unwrap_or_default().raw(),
        }
    }
}

impl Cut {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawCut = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            number: raw.number.get(),
            last: Placed::read(&raw.last)?,
            behind: raw.behind.get(),
            adm: Adm(raw.adm.get()),
            inherited: Adm(raw.inherited.get()),
        })
    }

    pub(super) fn raw(&self) -> RawCut {
        RawCut {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            number: U32::new(self.number),
            reserved: [0; 4],
            last: self.last.raw(),
            behind: U64::new(self.behind),
            adm: U64::new(self.adm.0),
            inherited: U64::new(self.inherited.0),
        }
    }
}

const SYNCHRONISED: u8 = 1;
const SOURCE_STALE: u8 = 1 << 1;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawPlaced {
    msn: U64,
    epoch: U64,
    context: U64,
    sseq: U64,
    adm: U64,
    part: U32,
    reserved: [u8; 4],
}

layout!(RawPlaced, 48, {
    msn: 0, epoch: 8, context: 16, sseq: 24, adm: 32, part: 40,
});

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawReport {
    sid: U32,
    generation: U32,
    processed: U64,
    cut: U32,
    flags: u8,
    reserved: [u8; 3],
    last: RawPlaced,
}

layout!(RawReport, 72, { sid: 0, generation: 4, processed: 8, cut: 16, flags: 20, last: 24 });

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawCut {
    sid: U32,
    generation: U32,
    number: U32,
    reserved: [u8; 4],
    last: RawPlaced,
    behind: U64,
    adm: U64,
    inherited: U64,
}

layout!(RawCut, 88, {
    sid: 0, generation: 4, number: 8, last: 16, behind: 64, adm: 72, inherited: 80,
});
