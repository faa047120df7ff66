//! What does a datagram say, once it has proven that it says anything?
//!
//! ```text
//! | header 128 | record header 16 | body, padded to 8 | record header 16 | body ... |
//! | header 128 | heartbeat 40     | digest 16 ...     |                  (flag HEARTBEAT)
//! ```
//!
//! [`Datagram::parse`] is the one gate: behind it no accessor can fail and every body starts at a
//! multiple of eight bytes from the start of the datagram. Nothing here allocates or knows a socket.
//!
//! Record header: kind u8 | flags u8 | body length u16 | part u16 | adm offset u16 | sseq offset u32 |
//! prev distance u32. Normative text: `docs/wire-format.md`, section 3.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::header::is_intact;
use crate::heartbeat::Heartbeat;
use crate::{Adm, HEADER_LENGTH, Header, Malformed, Msn, Pos};

/// Length of a record header, bytes.
pub const RECORD_HEADER_LENGTH: usize = 16;
/// Longest datagram there can be: the largest multiple of 8 within a UDP payload.
pub const LONGEST_DATAGRAM: usize = 65_504;
/// Payload that fits an Ethernet frame over IPv4 (1,500 − 20 − 8).
pub const DEFAULT_DATAGRAM: usize = 1_472;
/// The same over IPv6 (1,500 − 40 − 8 = 1,452), rounded down to a multiple of 8.
pub const DEFAULT_DATAGRAM_V6: usize = 1_448;
/// The smallest `max_datagram` a feed may configure.
pub const SMALLEST_MAX_DATAGRAM: usize = 1_200;

/// What a record's body is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BodyKind {
    /// A record in DBN v3 layout.
    Dbn,
    /// An administrative message.
    Administrative,
    /// Bytes as the source sent them.
    Opaque,
    /// A kind of a later version: skipped and counted.
    Unknown(u8),
}

impl BodyKind {
    /// The byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Dbn => 1,
            Self::Administrative => 2,
            Self::Opaque => 3,
            Self::Unknown(code) => code,
        }
    }

    /// The kind behind a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Dbn,
            2 => Self::Administrative,
            3 => Self::Opaque,
            other => Self::Unknown(other),
        }
    }
}

/// The flags byte of a record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// Last record of its source message.
    pub const LAST: Self = Self(1);
    /// The body goes on in the next part (an opaque body too long for one datagram).
    pub const CONTINUED: Self = Self(1 << 1);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One record, its position resolved and its body borrowed from the datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    /// What the body is.
    pub kind: BodyKind,
    /// Last part, continued body.
    pub flags: RecordFlags,
    /// Index within the source message.
    pub part: u16,
    /// The origin's own number. For an administrative message: the number it stands behind.
    pub sseq: u64,
    /// The number this record directly follows; everything between carries no record.
    pub prev: u64,
    /// Administrative messages before this record; for one that is such a message, its number.
    pub adm: Adm,
    /// The body without padding; 8-byte aligned when the datagram is.
    pub body: &'a [u8],
}

impl Record<'_> {
    /// Whether this is the last record of its source message.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.flags.has(RecordFlags::LAST)
    }

    /// The record's position in the stream described by `header`.
    #[must_use]
    pub const fn pos(&self, header: &Header) -> Pos {
        Pos {
            sid: header.sid,
            epoch: header.epoch,
            sseq: self.sseq,
            part: self.part,
        }
    }
}

/// A datagram that has proven its lengths.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    header: Header,
    body: &'a [u8],
    highest_sseq: u64,
    highest_adm: Adm,
}

impl<'a> Datagram<'a> {
    /// Checks `bytes` once and for all.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong; nothing of such a datagram may be used.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER_LENGTH || bytes.len() > LONGEST_DATAGRAM {
            return Err(Malformed::Length(bytes.len()));
        }
        let header = Header::parse(bytes)?;
        if !bytes.len().is_multiple_of(8) {
            return Err(Malformed::NotMultipleOfEight(bytes.len()));
        }
        if !is_intact(bytes) {
            return Err(Malformed::Check);
        }
        let body = &bytes[HEADER_LENGTH..];
        let (highest_sseq, highest_adm) = if header.is_heartbeat() {
            if header.count != 0 {
                return Err(Malformed::Heartbeat);
            }
            (Heartbeat::parse(body)?.beat.next_sseq, header.base_adm)
        } else {
            check_records(&header, body)?
        };
        Ok(Self {
            header,
            body,
            highest_sseq,
            highest_adm,
        })
    }

    /// What stands once for all records.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The highest source number claimed anywhere in the datagram; a heartbeat's next one.
    #[must_use]
    pub const fn highest_sseq(&self) -> u64 {
        self.highest_sseq
    }

    /// The highest count of administrative messages claimed anywhere in the datagram.
    #[must_use]
    pub const fn highest_adm(&self) -> Adm {
        self.highest_adm
    }

    /// The heartbeat, when this datagram is one.
    #[must_use]
    pub fn heartbeat(&self) -> Option<Heartbeat<'a>> {
        if !self.header.is_heartbeat() {
            return None;
        }
        Heartbeat::parse(self.body).ok()
    }

    /// The records in order; none in a heartbeat.
    #[must_use]
    pub const fn records(&self) -> Records<'a> {
        Records {
            rest: self.body,
            left: self.header.count,
            base_sseq: self.header.base_sseq,
            base_adm: self.header.base_adm.0,
        }
    }

    /// Number of the message behind this datagram's last record.
    #[must_use]
    pub const fn next_msn(&self) -> Msn {
        self.header.first_msn.plus(self.header.count as u64)
    }
}

/// Iterator over a checked datagram's records.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u16,
    base_sseq: u64,
    base_adm: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let (raw, behind) = RawRecord::ref_from_prefix(self.rest).ok()?;
        let length = usize::from(raw.body_length.get());
        let body = behind.get(..length)?;
        self.rest = behind.get(padded(length)..)?;
        let sseq = self
            .base_sseq
            .wrapping_add(u64::from(raw.sseq_offset.get()));
        Some(Record {
            kind: BodyKind::from_code(raw.kind),
            flags: RecordFlags(raw.flags),
            part: raw.part.get(),
            sseq,
            prev: sseq.wrapping_sub(u64::from(raw.prev_distance.get())),
            adm: Adm(self.base_adm.wrapping_add(u64::from(raw.adm_offset.get()))),
            body,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

/// A record header as it lies in the datagram.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawRecord {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) body_length: U16,
    pub(crate) part: U16,
    pub(crate) adm_offset: U16,
    pub(crate) sseq_offset: U32,
    pub(crate) prev_distance: U32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<RawRecord>() == RECORD_HEADER_LENGTH);
    assert!(offset_of!(RawRecord, body_length) == 2 && offset_of!(RawRecord, part) == 4);
    assert!(offset_of!(RawRecord, adm_offset) == 6 && offset_of!(RawRecord, sseq_offset) == 8);
    assert!(offset_of!(RawRecord, prev_distance) == 12);
};

/// `length` rounded up to the next multiple of eight.
#[must_use]
pub(crate) const fn padded(length: usize) -> usize {
    length.div_ceil(8) * 8
}

fn check_records(header: &Header, body: &[u8]) -> Result<(u64, Adm), Malformed> {
    let mut rest = body;
    let (mut highest, mut highest_adm) = (header.base_sseq, header.base_adm);
    for index in 0..header.count {
        let (raw, behind) =
            RawRecord::ref_from_prefix(rest).map_err(|_| Malformed::RecordOverrun(index))?;
        let length = usize::from(raw.body_length.get());
        let padding = behind
            .get(length..padded(length))
            .ok_or(Malformed::RecordOverrun(index))?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Malformed::Reserved);
        }
        let sseq = header
            .base_sseq
            .checked_add(u64::from(raw.sseq_offset.get()))
            .filter(|sseq| *sseq >= u64::from(raw.prev_distance.get()))
            // There is a number behind each.
            .filter(|sseq| *sseq < u64::MAX)
            .ok_or(Malformed::RecordPosition(index))?;
        let adm = header
            .base_adm
            .0
            .checked_add(u64::from(raw.adm_offset.get()))
            .ok_or(Malformed::RecordPosition(index))?;
        highest = highest.max(sseq);
        highest_adm = highest_adm.max(Adm(adm));
        rest = &behind[padded(length)..];
    }
    if rest.is_empty() {
        Ok((highest, highest_adm))
    } else {
        Err(Malformed::TrailingBytes(rest.len()))
    }
}
