//! What stands once at the front of every datagram?
//!
//! ```text
//!   0 magic u16 | version u8 | header words u8 | flags u16 | record count u16
//!   8 stream u32 | generation u32
//!  16 incarnation u64
//!  24 dsn u64                 +1 per datagram of any kind
//!  32 first msn u64           of the first record; a heartbeat's is the next one
//!  40 sid u32 | abandoned u32
//!  48 epoch u64
//!  56 context id u64
//!  64 first u64               first sseq converted in this context
//!  72 predecessor epoch u64
//!  80 base sseq u64
//!  88 base adm u64
//!  96 sent at u64             Unix ns
//! 104 received at u64         Unix ns, of the source datagram; 0 = not known
//! 112 check u64              XXH3-64 of every other byte of the datagram
//! 120 reserved u64           room for an AEAD tag together with check
//! ```
//!
//! All integers are little-endian. Normative text: `docs/wire-format.md`, section 2.

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Adm, ContextId, Dsn, Epoch, Generation, Incarnation, Malformed, Msn, Sid, StreamId};

/// The first two bytes of every datagram: the letters `TF`.
pub const MAGIC: u16 = u16::from_le_bytes(*b"TF");
/// The version of the framing that this build speaks.
pub const VERSION: u8 = 1;
/// Length of the datagram header in 8-byte words.
pub const HEADER_WORDS: u8 = 16;
/// Length of the datagram header, bytes.
pub const HEADER_LENGTH: usize = HEADER_WORDS as usize * 8;

/// What the sender says about itself in every datagram.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags(pub u16);

impl Flags {
    /// No record follows; a [`crate::Heartbeat`] does.
    pub const HEARTBEAT: Self = Self(1);
    /// Sent again on request; outside the msn order.
    pub const RETRANSMITTED: Self = Self(1 << 1);
    /// The sender stops after this datagram.
    pub const END_OF_STREAM: Self = Self(1 << 2);
    /// The sender's pair link was reset: its peer process is gone (a hint, no authority).
    pub const PEER_LOST: Self = Self(1 << 3);
    /// The sender cannot place administrative messages with its peer.
    pub const UNSYNCHRONISED: Self = Self(1 << 4);
    /// The context is not complete: conversion began in mid-epoch or has a hole.
    pub const INCOMPLETE: Self = Self(1 << 5);
    /// The body is encrypted and the seal field holds its tag.
    pub const SEALED: Self = Self(1 << 6);
    /// The sender hears nothing from its source (every line silent).
    pub const SOURCE_STALE: Self = Self(1 << 7);
    /// The sender is on standby: it numbers its records and holds them back. Its heartbeats say that it lives, and
    /// nothing of where it stands.
    pub const STANDBY: Self = Self(1 << 8);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less every bit of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// `other` when `condition` holds, and nothing more.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }
}

/// The datagram header as a value that cannot be wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// What the sender says about itself.
    pub flags: Flags,
    /// Records in this datagram.
    pub count: u16,
    /// The sending stream.
    pub stream: StreamId,
    /// Generation under which the sender works.
    pub generation: Generation,
    /// Life of the sending process.
    pub incarnation: Incarnation,
    /// Number of this datagram.
    pub dsn: Dsn,
    /// Number of the first record; in a heartbeat, of the next one.
    pub first_msn: Msn,
    /// Source stream of every record here.
    pub sid: Sid,
    /// Source messages that this context gave up, saturating.
    pub abandoned: u32,
    /// Life of the source's numbering.
    pub epoch: Epoch,
    /// What the sender's conversion remembers.
    pub context: ContextId,
    /// First sseq that this context converted in the epoch.
    pub first: u64,
    /// The epoch before this one, or [`Epoch::NONE`] when the sender does not know it.
    pub predecessor: Epoch,
    /// Records count their sseq from here.
    pub base_sseq: u64,
    /// Records count their adm from here; in a heartbeat, the number itself.
    pub base_adm: Adm,
    /// When the sender handed the datagram to its socket, Unix ns.
    pub sent_at: u64,
    /// When the sender received the source datagram, Unix ns; 0 when not known.
    pub received_at: u64,
}

impl Header {
    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short, foreign, of another version or sealed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (raw, _) = Raw::ref_from_prefix(bytes).map_err(|_| Malformed::Length(bytes.len()))?;
        if raw.magic.get() != MAGIC {
            return Err(Malformed::Magic(raw.magic.get()));
        }
        if raw.version != VERSION {
            return Err(Malformed::Version {
                theirs: raw.version,
                ours: VERSION,
            });
        }
        if raw.words != HEADER_WORDS {
            return Err(Malformed::HeaderLength(raw.words));
        }
        let header = raw.value();
        if header.flags.has(Flags::SEALED) {
            return Err(Malformed::Sealed);
        }
        if raw.reserved.get() != 0 {
            return Err(Malformed::Reserved);
        }
        if !header.epoch.is_some() {
            return Err(Malformed::NoEpoch);
        }
        Ok(header)
    }

    /// The header's bytes on the wire, the check still open; `Writer::finish` closes it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LENGTH] {
        zerocopy::transmute!(Raw::of(self))
    }

    /// Whether this datagram carries a heartbeat instead of records.
    #[must_use]
    pub const fn is_heartbeat(&self) -> bool {
        self.flags.has(Flags::HEARTBEAT)
    }

    /// Whether the sender claims to know the epoch from the source's own first number, without a hole.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.flags.has(Flags::INCOMPLETE)
    }
}

/// Where the check stands in a datagram.
const CHECK_AT: usize = 112;
/// Where the flags stand.
const FLAGS_AT: usize = 4;
/// Where the datagram's number stands.
const DSN_AT: usize = 24;
/// Where the time of sending stands.
const SENT_AT: usize = 96;

/// Writes the check over a complete datagram.
pub(crate) fn seal(datagram: &mut [u8]) {
    let check = check(datagram);
    datagram[CHECK_AT..CHECK_AT + 8].copy_from_slice(&check.to_le_bytes());
}

/// Completes a datagram that was made earlier and is sent only now: its number, what its sender says of itself beside
/// what the datagram says already, and when it is sent (Unix ns).
///
/// # Panics
/// When `datagram` is shorter than a header: it was never complete.
pub fn restamp(datagram: &mut [u8], dsn: Dsn, more: Flags, sent_at: u64) {
    let flags = u16::from_le_bytes([datagram[FLAGS_AT], datagram[FLAGS_AT + 1]]);
    let flags = Flags(flags).with(more).0.to_le_bytes();
    datagram[FLAGS_AT..FLAGS_AT + 2].copy_from_slice(&flags);
    datagram[DSN_AT..DSN_AT + 8].copy_from_slice(&dsn.0.to_le_bytes());
    datagram[SENT_AT..SENT_AT + 8].copy_from_slice(&sent_at.to_le_bytes());
    seal(datagram);
}

/// Marks a complete datagram as one that is sent again on request; everything else in it stays.
///
/// # Panics
/// When `datagram` is shorter than a header: it was never complete.
pub fn mark_retransmitted(datagram: &mut [u8]) {
    let flags = u16::from_le_bytes([datagram[FLAGS_AT], datagram[FLAGS_AT + 1]]);
    let flags = Flags(flags).with(Flags::RETRANSMITTED).0.to_le_bytes();
    datagram[FLAGS_AT..FLAGS_AT + 2].copy_from_slice(&flags);
    seal(datagram);
}

/// Whether no byte of a datagram was changed on its way.
pub(crate) fn is_intact(datagram: &[u8]) -> bool {
    datagram
        .get(CHECK_AT..CHECK_AT + 8)
        .is_some_and(|bytes| *bytes == check(datagram).to_le_bytes())
}

/// XXH3-64 of everything behind the check, xor that of everything in front of it, its halves swapped.
fn check(datagram: &[u8]) -> u64 {
    xxh3_64(&datagram[CHECK_AT + 8..]) ^ xxh3_64(&datagram[..CHECK_AT]).rotate_left(32)
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    magic: U16,
    version: u8,
    words: u8,
    flags: U16,
    count: U16,
    stream: U32,
    generation: U32,
    incarnation: U64,
    dsn: U64,
    first_msn: U64,
    sid: U32,
    abandoned: U32,
    epoch: U64,
    context: U64,
    first: U64,
    predecessor: U64,
    base_sseq: U64,
    base_adm: U64,
    sent_at: U64,
    received_at: U64,
    check: U64,
    reserved: U64,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Raw>() == HEADER_LENGTH);
    assert!(offset_of!(Raw, flags) == FLAGS_AT && offset_of!(Raw, count) == 6);
    assert!(offset_of!(Raw, stream) == 8 && offset_of!(Raw, generation) == 12);
    assert!(offset_of!(Raw, incarnation) == 16 && offset_of!(Raw, dsn) == DSN_AT);
    assert!(offset_of!(Raw, first_msn) == 32 && offset_of!(Raw, sid) == 40);
    assert!(offset_of!(Raw, abandoned) == 44 && offset_of!(Raw, epoch) == 48);
    assert!(offset_of!(Raw, context) == 56 && offset_of!(Raw, first) == 64);
    assert!(offset_of!(Raw, predecessor) == 72 && offset_of!(Raw, base_sseq) == 80);
    assert!(offset_of!(Raw, base_adm) == 88 && offset_of!(Raw, sent_at) == SENT_AT);
    assert!(offset_of!(Raw, received_at) == 104 && offset_of!(Raw, check) == CHECK_AT);
};

impl Raw {
    fn of(header: &Header) -> Self {
        Self {
            magic: U16::new(MAGIC),
            version: VERSION,
            words: HEADER_WORDS,
            flags: U16::new(header.flags.0),
            count: U16::new(header.count),
            stream: U32::new(header.stream.0),
            generation: U32::new(header.generation.0),
            incarnation: U64::new(header.incarnation.0),
            dsn: U64::new(header.dsn.0),
            first_msn: U64::new(header.first_msn.0),
            sid: U32::new(header.sid.0),
            abandoned: U32::new(header.abandoned),
            epoch: U64::new(header.epoch.0),
            context: U64::new(header.context.0),
            first: U64::new(header.first),
            predecessor: U64::new(header.predecessor.0),
            base_sseq: U64::new(header.base_sseq),
            base_adm: U64::new(header.base_adm.0),
            sent_at: U64::new(header.sent_at),
            received_at: U64::new(header.received_at),
            check: U64::new(0),
            reserved: U64::new(0),
        }
    }

    fn value(&self) -> Header {
        Header {
            flags: Flags(self.flags.get()),
            count: self.count.get(),
            stream: StreamId(self.stream.get()),
            generation: Generation(self.generation.get()),
            incarnation: Incarnation(self.incarnation.get()),
            dsn: Dsn(self.dsn.get()),
            first_msn: Msn(self.first_msn.get()),
            sid: Sid(self.sid.get()),
            abandoned: self.abandoned.get(),
            epoch: Epoch(self.epoch.get()),
            context: ContextId(self.context.get()),
            first: self.first.get(),
            predecessor: Epoch(self.predecessor.get()),
            base_sseq: self.base_sseq.get(),
            base_adm: Adm(self.base_adm.get()),
            sent_at: self.sent_at.get(),
            received_at: self.received_at.get(),
        }
    }
}
