//! How do values become a datagram, without a copy too many?
//!
//! A [`Writer`] fills a buffer of the caller's, a [`Draft`] one that it does not keep. They know the two reasons to start another datagram: no
//! room, and a position that its offsets cannot express.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use crate::copy::copy;
use crate::datagram::{RawRecord, padded};
use crate::header::seal;
use crate::heartbeat::{Raw as RawBeat, RawDigest};
use crate::{
    Beat, Dsn, Flags, HEADER_LENGTH, HEARTBEAT_LENGTH, Header, MOST_DIGESTS, RECORD_HEADER_LENGTH,
    RangeDigest, Record,
};

/// Why a record does not go into the datagram at hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It does not fit; [`Writer::finish`] and begin another. A body longer than
    /// [`longest_body`] fits no datagram at all.
    Full,
    /// Its sseq or adm is too far from the base; begin another datagram with a new base.
    Offset,
    /// Its `prev` lies 2^32 or more below its sseq, which no datagram can say.
    Distance,
}

/// The longest body that fits a datagram of `max_datagram` bytes.
#[must_use]
pub const fn longest_body(max_datagram: usize) -> usize {
    let room = max_datagram - max_datagram % 8 - HEADER_LENGTH - RECORD_HEADER_LENGTH;
    if room < u16::MAX as usize {
        room
    } else {
        u16::MAX as usize - 7
    }
}

/// Fills one data datagram.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    draft: Draft,
}

impl<'b> Writer<'b> {
    /// Begins a datagram in `buffer`, whose length is the limit of the datagram's. `header.count` is
    /// ignored; `base_sseq` and `base_adm` are where the first record's offsets count from.
    ///
    /// # Panics
    /// When `buffer` cannot hold a header: limits are checked when a feed is configured.
    #[must_use]
    pub fn begin(buffer: &'b mut [u8], header: Header) -> Self {
        assert!(
            buffer.len() >= HEADER_LENGTH,
            "a datagram holds at least its header"
        );
        Self {
            buffer,
            draft: Draft::begin(header),
        }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// [`Refused`] says why it does not fit; the datagram is unchanged.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Refused> {
        self.draft.push(self.buffer, record)
    }

    /// The header as it stands, with the records counted so far.
    #[must_use]
    pub const fn header(&self) -> &Header {
        self.draft.header()
    }

    /// Completes the datagram and returns its length in bytes.
    #[must_use]
    pub fn finish(self, dsn: Dsn, flags: Flags, sent_at: u64) -> usize {
        self.draft.finish(self.buffer, dsn, flags, sent_at)
    }
}

/// A data datagram under way whose bytes are elsewhere: every call is given the same buffer, whose length is the limit of
/// the datagram's and at least a header's.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    length: usize,
    header: Header,
}

impl Draft {
    /// Begins a datagram; see [`Writer::begin`].
    #[must_use]
    pub const fn begin(header: Header) -> Self {
        Self {
            length: HEADER_LENGTH,
            header: Header { count: 0, ..header },
        }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// [`Refused`] says why it does not fit; the datagram is unchanged.
    #[inline(always)]
    pub fn push(&mut self, buffer: &mut [u8], record: &Record<'_>) -> Result<(), Refused> {
        let prev_distance = record
            .sseq
            .checked_sub(record.prev)
            .and_then(|distance| u32::try_from(distance).ok())
            .ok_or(Refused::Distance)?;
        let sseq_offset = offset::<u32>(record.sseq, self.header.base_sseq)?;
        let adm_offset = offset::<u16>(record.adm.0, self.header.base_adm.0)?;
        let body_length = u16::try_from(record.body.len()).map_err(|_| Refused::Full)?;
        let length = RECORD_HEADER_LENGTH + padded(record.body.len());
        let room = buffer
            .get_mut(self.length..self.length + length)
            .ok_or(Refused::Full)?;
        let count = self.header.count.checked_add(1).ok_or(Refused::Full)?;
        let raw = RawRecord {
            kind: record.kind.code(),
            flags: record.flags.0,
            body_length: U16::new(body_length),
            part: U16::new(record.part),
            adm_offset: U16::new(adm_offset),
            sseq_offset: U32::new(sseq_offset),
            prev_distance: U32::new(prev_distance),
        };
        let (front, body) = room
            .split_first_chunk_mut::<RECORD_HEADER_LENGTH>()
            .ok_or(Refused::Full)?;
        *front = zerocopy::transmute!(raw);
        // What the body does not reach of its last word.
        if let Some(last) = body.last_chunk_mut::<8>() {
            *last = [0; 8];
        }
        copy(&mut body[..record.body.len()], record.body);
        self.length += length;
        self.header.count = count;
        Ok(())
    }

    /// The header as it stands, with the records counted so far.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How long the datagram is so far, bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Completes the datagram and returns its length in bytes.
    #[must_use]
    pub fn finish(&self, buffer: &mut [u8], dsn: Dsn, flags: Flags, sent_at: u64) -> usize {
        let header = Header {
            dsn,
            flags,
            sent_at,
            ..self.header
        };
        buffer[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
        seal(&mut buffer[..self.length]);
        self.length
    }
}

/// Writes a heartbeat datagram into `buffer` and returns its length in bytes. Only as many digests are
/// taken as fit, the newest; `header.flags` gains [`Flags::HEARTBEAT`].
///
/// # Panics
/// When `buffer` cannot hold a heartbeat without digests.
#[must_use]
pub fn write_heartbeat(
    buffer: &mut [u8],
    header: &Header,
    beat: &Beat,
    digests: &[RangeDigest],
) -> usize {
    let fixed = HEADER_LENGTH + HEARTBEAT_LENGTH;
    assert!(
        buffer.len() >= fixed,
        "a datagram holds at least a heartbeat"
    );
    let room = ((buffer.len() - fixed) / size_of::<RawDigest>()).min(MOST_DIGESTS);
    let digests = &digests[digests.len().saturating_sub(room)..];
    let header = Header {
        count: 0,
        flags: header.flags.with(Flags::HEARTBEAT),
        ..*header
    };
    // At most MOST_DIGESTS, which is far below 256.
    let raw = RawBeat::of(beat, digests.len() as u8);
    buffer[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
    buffer[HEADER_LENGTH..fixed].copy_from_slice(raw.as_bytes());
    let mut length = fixed;
    for digest in digests {
        let raw = RawDigest {
            range: U64::new(digest.range),
            digest: U64::new(digest.digest),
        };
        buffer[length..length + size_of::<RawDigest>()].copy_from_slice(raw.as_bytes());
        length += size_of::<RawDigest>();
    }
    seal(&mut buffer[..length]);
    length
}

#[inline]
fn offset<T: TryFrom<u64>>(number: u64, base: u64) -> Result<T, Refused> {
    number
        .checked_sub(base)
        .and_then(|distance| T::try_from(distance).ok())
        .ok_or(Refused::Offset)
}
