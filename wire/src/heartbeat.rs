//! What does a stream say while it has nothing to say?
//!
//! A heartbeat vouches for silence: everything up to `next_sseq` was sent or carries no record, the last
//! record sent stands at `prev`. So a lost tail is noticed without new data. It consumes no msn.
//!
//! ```text
//!  0 next sseq u64          nothing below it is still to come
//!  8 prev u64               sseq of the last record sent in this context (first − 1: none yet)
//! 16 predecessor next u64   next sseq of the predecessor epoch when it ended; 0 = not known
//! 24 predecessor prev u64   its last record sent
//! 32 interval u32           µs until the next heartbeat of a silent stream
//! 36 state u16              bit 0: the source said that this epoch has ended
//! 38 digests u8 | reserved u8
//! 40 inherited u64          administrative messages of older generations that are valid in the header's
//! 48 digests x { range u64 | digest u64 }
//! ```
//!
//! A digest covers the records of one whole range of [`DIGEST_RANGE`] source numbers; `range` is
//! `sseq / DIGEST_RANGE`. Normative text: `docs/wire-format.md`, section 4.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Adm, Malformed};

/// Source numbers covered by one content digest.
pub const DIGEST_RANGE: u64 = 4_096;
/// Most digests in one heartbeat.
pub const MOST_DIGESTS: usize = 16;
/// Length of a heartbeat without digests, bytes.
pub const HEARTBEAT_LENGTH: usize = 48;

/// Content digest of one whole range of source numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RangeDigest {
    /// `sseq / DIGEST_RANGE`.
    pub range: u64,
    /// Sum of the records' digests, see `docs/wire-format.md`, section 5.
    pub digest: u64,
}

impl RangeDigest {
    /// The source numbers of range `range`, whatever a sender says that it is.
    #[must_use]
    pub const fn numbers(range: u64) -> core::ops::RangeInclusive<u64> {
        let first = range.saturating_mul(DIGEST_RANGE);
        first..=first.saturating_add(DIGEST_RANGE - 1)
    }
}

/// The fixed part of a heartbeat as a value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Beat {
    /// Nothing below this source number is still to come from this sender.
    pub next_sseq: u64,
    /// Source number of the last record sent in this context, or the last number it gave up; `first − 1`
    /// when there was neither.
    pub prev: u64,
    /// Next source number of the predecessor epoch when it ended; 0 when not known.
    pub predecessor_next: u64,
    /// Source number of the last record sent in the predecessor epoch.
    pub predecessor_prev: u64,
    /// Time until the next heartbeat of a silent stream, µs.
    pub interval_us: u32,
    /// The source said that this epoch has ended.
    pub ended: bool,
    /// Administrative messages below this number were originated under generations older than the header's, and
    /// are valid under it; those from it on are its own.
    pub inherited: Adm,
}

/// A checked heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// The fixed part.
    pub beat: Beat,
    digests: &'a [RawDigest],
}

impl<'a> Heartbeat<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (raw, rest) = Raw::ref_from_prefix(body).map_err(|_| Malformed::Heartbeat)?;
        let count = usize::from(raw.digests);
        if count > MOST_DIGESTS {
            return Err(Malformed::Heartbeat);
        }
        if raw.reserved != 0 || raw.state.get() & !ENDED != 0 {
            return Err(Malformed::Reserved);
        }
        let (digests, rest) = <[RawDigest]>::ref_from_prefix_with_elems(rest, count)
            .map_err(|_| Malformed::Heartbeat)?;
        if !rest.is_empty() {
            return Err(Malformed::TrailingBytes(rest.len()));
        }
        let beat = Beat {
            next_sseq: raw.next_sseq.get(),
            prev: raw.prev.get(),
            predecessor_next: raw.predecessor_next.get(),
            predecessor_prev: raw.predecessor_prev.get(),
            interval_us: raw.interval_us.get(),
            ended: raw.state.get() & ENDED != 0,
            inherited: Adm(raw.inherited.get()),
        };
        let ends = [
            (beat.prev, beat.next_sseq),
            (beat.predecessor_prev, beat.predecessor_next),
        ];
        // The last number of all is no record's, for none is behind it.
        if ends
            .iter()
            .any(|&(prev, next)| prev >= next && next != 0 || prev == u64::MAX)
        {
            return Err(Malformed::Heartbeat);
        }
        Ok(Self { beat, digests })
    }

    /// The digests of whole ranges finished most recently, oldest first.
    pub fn digests(&self) -> impl ExactSizeIterator<Item = RangeDigest> + use<'a> {
        self.digests.iter().map(|raw| RangeDigest {
            range: raw.range.get(),
            digest: raw.digest.get(),
        })
    }
}

const ENDED: u16 = 1;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Raw {
    next_sseq: U64,
    prev: U64,
    predecessor_next: U64,
    predecessor_prev: U64,
    interval_us: U32,
    state: U16,
    digests: u8,
    reserved: u8,
    inherited: U64,
}

impl Raw {
    pub(crate) fn of(beat: &Beat, digests: u8) -> Self {
        Self {
            next_sseq: U64::new(beat.next_sseq),
            prev: U64::new(beat.prev),
            predecessor_next: U64::new(beat.predecessor_next),
            predecessor_prev: U64::new(beat.predecessor_prev),
            interval_us: U32::new(beat.interval_us),
            state: U16::new(if beat.ended { ENDED } else { 0 }),
            digests,
            reserved: 0,
            inherited: U64::new(beat.inherited.0),
        }
    }
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDigest {
    pub(crate) range: U64,
    pub(crate) digest: U64,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Raw>() == HEARTBEAT_LENGTH && size_of::<RawDigest>() == 16);
    assert!(offset_of!(Raw, prev) == 8 && offset_of!(Raw, predecessor_next) == 16);
    assert!(offset_of!(Raw, predecessor_prev) == 24 && offset_of!(Raw, interval_us) == 32);
    assert!(offset_of!(Raw, state) == 36 && offset_of!(Raw, digests) == 38);
    assert!(offset_of!(Raw, inherited) == 40);
};
