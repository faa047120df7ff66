//! Which slot is an administrative message meant for, and can the backup place it there?

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BadFrame;
use super::{view, zero};
use crate::record::layout;
use crate::{Adm, AdminMessage, Epoch, Generation, Msn, Sid, StoredAdmin};

/// The active will place this message at this slot of its numbering, or asks whether it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Intent {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering the slot belongs to; the message may be of an older one.
    pub generation: Generation,
    /// The epoch in which the slot lies.
    pub epoch: Epoch,
    /// The msn of that epoch's first record, whichever it was; 0: not known, or the numbering began behind it.
    pub began: Msn,
    /// A: the msn that the message is to have.
    pub slot: Msn,
    /// Which announcement of this message it is, from 1.
    pub attempt: u8,
    /// The slot is only proposed, for a message agreed to at a later one: a backup that accepts it holds its
    /// stream in front of it until the [`Settled`] that follows.
    pub hold: bool,
    /// The message, which bears its identity.
    pub message: StoredAdmin,
}

/// What the backup did with an [`Intent`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering the slot belongs to.
    pub generation: Generation,
    /// Which message.
    pub number: Adm,
    /// The slot that was announced.
    pub slot: Msn,
    /// B: the msn most recently processed when the intent was decided; 0: none in this numbering.
    pub processed: Msn,
    /// The announcement answered.
    pub attempt: u8,
    /// Whether the message is armed.
    pub verdict: Verdict,
}

/// What became of a slot that an [`Intent`] with `hold` proposed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settled {
    /// Source stream.
    pub sid: Sid,
    /// Generation whose numbering the slot belongs to.
    pub generation: Generation,
    /// Which message.
    pub number: Adm,
    /// The announcement that proposed it.
    pub attempt: u8,
    /// The slot that was proposed.
    pub slot: Msn,
    /// The active places the message there; otherwise where it was agreed to before.
    pub commit: bool,
}

/// Whether the backup can place a message at its slot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It is armed and will stand at exactly its slot.
    Capable,
    /// The slot has been processed.
    Late,
    /// The slot is further away than the threshold.
    Far,
    /// The backup does not count as the active does.
    Unsynchronised,
}

impl Intent {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let (raw, body) = RawIntent::ref_from_prefix(payload)
            .map_err(|_| BadFrame::Length(payload.len() as u32))?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            epoch: Epoch(raw.epoch.get()),
            began: Msn(raw.began.get()),
            slot: Msn(raw.slot.get()),
            attempt: raw.attempt,
            hold: flag(raw.flags)?,
            message: AdminMessage::parse(body).map_err(BadFrame::Admin)?.into(),
        })
    }

    /// What stands in front of the message.
    pub(super) fn raw(&self) -> RawIntent {
        RawIntent {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            epoch: U64::new(self.epoch.0),
            began: U64::new(self.began.0),
            slot: U64::new(self.slot.0),
            attempt: self.attempt,
            flags: u8::from(self.hold),
            reserved: [0; 6],
        }
    }
}

impl Answer {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawAnswer = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            number: Adm(raw.number.get()),
            slot: Msn(raw.slot.get()),
            processed: Msn(raw.processed.get()),
            attempt: raw.attempt,
            verdict: Verdict::from_code(raw.verdict)?,
        })
    }

    pub(super) fn raw(&self) -> RawAnswer {
        RawAnswer {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            number: U64::new(self.number.0),
            slot: U64::new(self.slot.0),
            processed: U64::new(self.processed.0),
            attempt: self.attempt,
            verdict: self.verdict.code(),
            reserved: [0; 6],
        }
    }
}

impl Settled {
    pub(super) fn read(payload: &[u8]) -> Result<Self, BadFrame> {
        let raw: &RawSettled = view(payload)?;
        zero(&raw.reserved)?;
        Ok(Self {
            sid: Sid(raw.sid.get()),
            generation: Generation(raw.generation.get()),
            number: Adm(raw.number.get()),
            attempt: raw.attempt,
            slot: Msn(raw.slot.get()),
            commit: flag(raw.flags)?,
        })
    }

    pub(super) fn raw(&self) -> RawSettled {
        RawSettled {
            sid: U32::new(self.sid.0),
            generation: U32::new(self.generation.0),
            number: U64::new(self.number.0),
            slot: U64::new(self.slot.0),
            attempt: self.attempt,
            flags: u8::from(self.commit),
            reserved: [0; 6],
        }
    }
}

/// The one flag of a byte whose other bits are reserved.
fn flag(flags: u8) -> Result<bool, BadFrame> {
    zero(&[flags & !1])?;
    Ok(flags == 1)
}

impl Verdict {
    const fn code(self) -> u8 {
        match self {
            Self::Capable => 1,
            Self::Late => 2,
            Self::Far => 3,
            Self::Unsynchronised => 4,
        }
    }

    const fn from_code(code: u8) -> Result<Self, BadFrame> {
        match code {
            1 => Ok(Self::Capable),
            2 => Ok(Self::Late),
            3 => Ok(Self::Far),
            4 => Ok(Self::Unsynchronised),
            other => Err(BadFrame::Verdict(other)),
        }
    }

    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capable => "capable",
            Self::Late => "late",
            Self::Far => "far",
            Self::Unsynchronised => "unsynchronised",
        }
    }
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawIntent {
    sid: U32,
    generation: U32,
    epoch: U64,
    began: U64,
    slot: U64,
    attempt: u8,
    flags: u8,
    reserved: [u8; 6],
}

layout!(RawIntent, 40, { sid: 0, generation: 4, epoch: 8, began: 16, slot: 24, attempt: 32, flags: 33 });

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawAnswer {
    sid: U32,
    generation: U32,
    number: U64,
    slot: U64,
    processed: U64,
    attempt: u8,
    verdict: u8,
    reserved: [u8; 6],
}

layout!(RawAnswer, 40, {
    sid: 0, generation: 4, number: 8, slot: 16, processed: 24, attempt: 32, verdict: 33,
});

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawSettled {
    sid: U32,
    generation: U32,
    number: U64,
    slot: U64,
    attempt: u8,
    flags: u8,
    reserved: [u8; 6],
}

layout!(RawSettled, 32, {
    sid: 0, generation: 4, number: 8, slot: 16, attempt: 24, flags: 25,
});
