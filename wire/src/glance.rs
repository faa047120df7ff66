//! Is a datagram from the one who spoke before, and does it say anything beyond a place?
//!
//! The slower of two legs brings what was delivered already. To read that out of it needs neither its check nor its bodies: the header is
//! compared with the last one of the same leg that was read whole, and the records are walked over, header by header.
//!
//! ```text
//!  │ same: magic … flags │ count │ same: stream, generation, incarnation │ dsn, msn │ same: sid … predecessor │ bases │ times │ check │ 0 │
//! ```
//!
//! What is learned so is not proven. Whoever decides by it must come to no harm when it is wrong.

use zerocopy::FromBytes;

use crate::datagram::{RawRecord, padded};
use crate::{BodyKind, Datagram, Dsn, HEADER_LENGTH, LONGEST_DATAGRAM, RecordFlags, Sid};

/// Who speaks, of what, as the header of a datagram that was read whole says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Speaker([u8; HEADER_LENGTH]);

impl Speaker {
    /// The one whose datagram this is, of which `bytes` are all; `None` where those are shorter than a header.
    #[must_use]
    pub fn of(_: &Datagram<'_>, bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// Whether another header differs in nothing but numbers, counts, bases, times and the check.
    #[must_use]
    #[inline]
    pub fn speaks_in(&self, bytes: &[u8]) -> bool {
        let Some(other) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return false;
        };
        // Whole words, so that few comparisons are made.
        let word = |of: &[u8; HEADER_LENGTH], at: usize| {
            u64::from_le_bytes(of[at..].first_chunk().copied().unwrap_or_default())
        };
        let differs = |at: usize| word(&self.0, at) ^ word(other, at);
        let words = [8, 16, 40, 48, 56, 64, 72, 120];
        let different = words.into_iter().fold(0, |all, at| all | differs(at));
        different == 0 && differs(0) << COUNT_BITS == 0
    }
}

/// Bits of the first word that are the count of records, the highest.
const COUNT_BITS: u32 = 16;

/// The source stream that the header names; `None` where there is none.
#[must_use]
#[inline]
pub fn sid_in(bytes: &[u8]) -> Option<Sid> {
    let bytes = bytes.first_chunk::<HEADER_LENGTH>()?;
    bytes[40..]
        .first_chunk()
        .map(|sid| Sid(u32::from_le_bytes(*sid)))
}

/// Numbers of a datagram of a known [`Speaker`], unproven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Glance<'a> {
    /// Number of the datagram.
    pub dsn: Dsn,
    /// How many records it says to have.
    pub count: u16,
    /// Administrative messages before each of them, if [`Glance::stretch`] answers.
    pub adm: u64,
    base_sseq: u64,
    records: &'a [u8],
}

/// From where to where a datagram's records lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stretch {
    /// Number and part of the first record.
    pub first: (u64, u16),
    /// The number that the first record directly follows.
    pub prev: u64,
    /// The number behind the last record, which ends its source message.
    pub end: u64,
}

impl<'a> Glance<'a> {
    /// Reads the numbers of a header, which says [`Speaker::speaks_in`]; `None` where the length cannot be that of a datagram.
    #[must_use]
    #[inline]
    pub fn at(bytes: &'a [u8]) -> Option<Self> {
        let (header, records) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let word = |at: usize| {
            header[at..]
                .first_chunk()
                .map(|word| u64::from_le_bytes(*word))
        };
        if bytes.len() > LONGEST_DATAGRAM || !bytes.len().is_multiple_of(8) {
            return None;
        }
        Some(Self {
            dsn: Dsn(word(24)?),
            count: u16::from_le_bytes([header[6], header[7]]),
            adm: word(88)?,
            base_sseq: word(80)?,
            records,
        })
    }

    /// Number of the first record, if it counts from the base; no record has a lower one.
    #[must_use]
    pub const fn first_sseq(&self) -> u64 {
        self.base_sseq
    }

    /// From where to where the records lead, where it looks as it does amid a stream: each directly follows the one before it, the last one ends its
    /// source message, none is an administrative message or counts more of those than the header, and all fit. `None` otherwise, and where there is none.
    ///
    /// A number that was changed on its way does not follow the one before it.
    #[must_use]
    #[inline]
    pub fn stretch(&self) -> Option<Stretch> {
        let mut rest = self.records;
        let mut first = None;
        // Number and part that a record has if it goes on with the message before, and whether that is over.
        let mut before: Option<(u64, u16, bool)> = None;
        for _ in 0..self.count {
            let (raw, behind) = RawRecord::ref_from_prefix(rest).ok()?;
            let length = usize::from(raw.body_length.get());
            let whole = padded(length);
            let sseq = self
                .base_sseq
                .checked_add(u64::from(raw.sseq_offset.get()))?;
            let prev = sseq.checked_sub(u64::from(raw.prev_distance.get()))?;
            let part = raw.part.get();
            if raw.kind == BodyKind::Administrative.code() || raw.adm_offset.get() != 0 {
                return None;
            }
            if behind.len() < whole
                || length != whole && behind[length..whole].iter().any(|&byte| byte != 0)
            {
                return None;
            }
            let follows = match before {
                None => true,
                Some((number, _, true)) => part == 0 && prev <= number && number < sseq,
                Some((number, next, false)) => sseq == number && part == next,
            };
            if !follows {
                return None;
            }
            first.get_or_insert(((sseq, part), prev));
            let is_last = RecordFlags(raw.flags).has(RecordFlags::LAST);
            before = Some((sseq, part.checked_add(1)?, is_last));
            rest = &behind[whole..];
        }
        let ((first, prev), (last, _, true)) = (first?, before?) else {
            return None;
        };
        let end = last.checked_add(1).filter(|end| *end < u64::MAX)?;
        rest.is_empty().then_some(Stretch { first, prev, end })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        Adm, ContextId, DEFAULT_DATAGRAM, Epoch, Flags, Generation, Header, Incarnation, Msn,
        Record, StreamId, Writer,
    };

    fn header() -> Header {
        Header {
            stream: StreamId(3),
            generation: Generation(4),
            incarnation: Incarnation(5),
            first_msn: Msn(6),
            sid: Sid(7),
            abandoned: 8,
            epoch: Epoch(9),
            context: ContextId(10),
            first: 11,
            predecessor: Epoch(12),
            base_sseq: 13,
            base_adm: Adm(14),
            received_at: 15,
            ..Header::default()
        }
    }

    /// A datagram with records of (number, part, last, body's length).
    fn datagram(header: Header, records: &[(u64, u16, bool, usize)]) -> Vec<u8> {
        let mut buffer = [0; DEFAULT_DATAGRAM];
        let mut writer = Writer::begin(&mut buffer, header);
        for &(sseq, part, is_last, length) in records {
            let record = Record {
                kind: BodyKind::Opaque,
                flags: RecordFlags(u8::from(is_last)),
                part,
                sseq,
                prev: sseq - 1,
                adm: header.base_adm,
                body: &[1; 100][..length],
            };
            writer.push(&record).expect("it fits");
        }
        let length = writer.finish(Dsn(2), header.flags, 77);
        buffer[..length].to_vec()
    }

    #[test]
    fn a_speaker_is_known_by_all_that_is_no_number_or_time() {
        let first = datagram(header(), &[(13, 0, true, 8)]);
        let speaker =
            Speaker::of(&Datagram::parse(&first).expect("written"), &first).expect("long enough");
        let alike = |change: fn(&mut Header)| {
            let mut other = header();
            change(&mut other);
            speaker.speaks_in(&datagram(other, &[(14, 0, true, 8), (15, 0, true, 8)]))
        };
        let numbers: [fn(&mut Header); 4] = [
            |it| it.first_msn.0 += 1,
            |it| it.base_sseq = 14,
            |it| it.base_adm.0 += 1,
            |it| it.received_at += 1,
        ];
        assert!(numbers.into_iter().all(alike));
        let others: [fn(&mut Header); 10] = [
            |it| it.flags = Flags::SOURCE_STALE,
            |it| it.stream.0 += 1,
            |it| it.generation.0 += 1,
            |it| it.incarnation.0 += 1,
            |it| it.sid.0 += 1,
            |it| it.abandoned += 1,
            |it| it.epoch.0 += 1,
            |it| it.context.0 += 1,
            |it| it.first += 1,
            |it| it.predecessor.0 += 1,
        ];
        for (place, change) in others.into_iter().enumerate() {
            assert!(!alike(change), "{place}");
        }
        // Magic, version, length of the header and what is reserved.
        for at in [0, 1, 2, 3, 120, 127] {
            let mut other = first.clone();
            other[at] ^= 1;
            assert!(!speaker.speaks_in(&other), "{at}");
        }
        assert!(!speaker.speaks_in(&first[..127]));
        assert_eq!(sid_in(&first), Some(Sid(7)));
    }

    #[test]
    fn a_stretch_is_seen_where_each_record_follows_the_one_before() {
        let stretch = |records: &[(u64, u16, bool, usize)]| {
            let bytes = datagram(header(), records);
            Glance::at(&bytes).and_then(|it| it.stretch())
        };
        let of = |first, prev, end| Some(Stretch { first, prev, end });
        assert_eq!(stretch(&[(13, 0, true, 56)]), of((13, 0), 12, 14));
        let parts = [
            (13, 0, false, 3),
            (13, 1, false, 0),
            (13, 2, true, 9),
            (14, 0, true, 8),
        ];
        assert_eq!(stretch(&parts), of((13, 0), 12, 15));
        assert_eq!(stretch(&parts[1..]), of((13, 1), 12, 15));
        let broken = [
            &[][..],
            // Its last message goes on.
            &parts[..2],
            // One that ends goes on, one that goes on has ended, a part is missing, another message begins amid one.
            &[(13, 0, true, 8), (13, 1, true, 8)],
            &[(13, 0, false, 8), (14, 0, true, 8)],
            &[(13, 0, false, 8), (13, 2, true, 8)],
            &[(13, 0, false, 8), (14, 1, true, 8)],
            // Backwards, on the spot, and over numbers that it does not call silent.
            &[(14, 0, true, 8), (13, 0, true, 8)],
            &[(14, 0, true, 8), (14, 0, true, 8)],
            &[(13, 0, true, 8), (20, 0, true, 8)],
        ];
        for records in broken {
            assert_eq!(stretch(records), None, "{records:?}");
        }
    }

    #[test]
    fn a_datagram_that_cannot_be_read_whole_has_no_stretch() {
        let whole = datagram(header(), &[(13, 0, true, 3), (14, 0, true, 56)]);
        let stretch = |bytes: &[u8]| Glance::at(bytes).and_then(|it| it.stretch());
        assert!(stretch(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(stretch(&whole[..cut]), None, "cut at {cut}");
        }
        let mut longer = whole.clone();
        longer.extend([0; 8]);
        assert_eq!(stretch(&longer), None);
        // Record 0: an administrative message; one that counts more; one that lies about its length; a body behind which
        // something stands; a number in front of the first.
        for (at, value) in [
            (128, 2),
            (134, 1),
            (130, 200),
            (128 + 16 + 5, 1),
            (128 + 12, 200),
        ] {
            let mut other = whole.clone();
            other[at] = value;
            assert_eq!(stretch(&other), None, "{at}");
        }
    }

    #[test]
    fn what_is_proven_is_seen_alike() {
        let bytes = datagram(
            header(),
            &[(13, 0, true, 8), (14, 0, false, 8), (14, 1, true, 40)],
        );
        let whole = Datagram::parse(&bytes).expect("written");
        let glance = Glance::at(&bytes).expect("long enough");
        assert_eq!(
            (glance.dsn, glance.count),
            (whole.header().dsn, whole.header().count)
        );
        let end = glance.stretch().map(|it| it.end);
        assert_eq!((glance.adm, end), (14, Some(whole.highest_sseq() + 1)));
    }
}
