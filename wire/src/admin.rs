//! What does an adapter say in its stream that no source said?
//!
//! The body of a record of kind [`crate::BodyKind::Administrative`]:
//!
//! ```text
//!  0 number u64              of this message in its sid: how many came before it
//!  8 origin generation u32   that fixed the number
//! 12 kind u16 | payload length u16
//! 16 payload, padded with zeros to a multiple of 8
//! ```
//!
//! [`AdminMessage::new`] is the one gate, for bytes and for values; behind it no accessor can fail. A
//! message of an unknown kind keeps its number and its payload: who cannot read it skips and counts it.
//! Where in the stream a message stands, and who may originate one, is not known here. Normative text:
//! `docs/wire-format.md`, section 3.

use core::fmt;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::datagram::padded;
use crate::record::layout;
use crate::{Adm, Generation, Record};

mod error;
mod kind;

pub use error::BadAdmin;
pub use kind::{AdminKind, OpenReason};

/// Length of a message in front of its payload, bytes.
pub const ADMIN_HEADER_LENGTH: usize = 16;
/// Longest payload, bytes.
pub const MOST_ADMIN_PAYLOAD: usize = 1_024;
/// Longest message, bytes. Fits a datagram of [`crate::SMALLEST_MAX_DATAGRAM`].
pub const LONGEST_ADMIN: usize = ADMIN_HEADER_LENGTH + MOST_ADMIN_PAYLOAD;
/// Most instruments that one message names.
pub const MOST_INSTRUMENTS: usize = MOST_ADMIN_PAYLOAD / size_of::<u32>();

const _: () = assert!(
    crate::HEADER_LENGTH + crate::RECORD_HEADER_LENGTH + LONGEST_ADMIN
        <= crate::SMALLEST_MAX_DATAGRAM
);

/// Which message of a sid: fixed when it is announced, equal on every leg and in every generation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AdminId {
    /// The generation that originated it.
    pub generation: Generation,
    /// How many administrative messages of the sid came before it.
    pub number: Adm,
}

impl AdminId {
    /// The adm of whatever follows the message.
    #[must_use]
    pub const fn adm_behind(self) -> Adm {
        Adm(self.number.0.wrapping_add(1))
    }
}

/// How a generation began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GenerationOpened {
    /// The generation before it; 0 when there was none.
    pub predecessor: Generation,
    /// Why.
    pub reason: OpenReason,
    /// Whether everything that the predecessor had agreed was inherited without a hole.
    pub synchronised: bool,
}

/// A message that has proven to be one, borrowed from its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AdminMessage<'a> {
    id: AdminId,
    kind: AdminKind,
    payload: &'a [u8],
}

/// A message kept as a value, without a heap, in the form of a record's body.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct StoredAdmin {
    id: AdminId,
    kind: AdminKind,
    /// Length of the payload, bytes.
    length: u16,
    /// Zeros behind the payload.
    body: [u8; LONGEST_ADMIN],
}

impl<'a> AdminMessage<'a> {
    /// A message with a payload in the form that its kind has on the wire.
    ///
    /// # Errors
    /// [`BadAdmin`] when the payload is too long or none of this kind.
    pub fn new(id: AdminId, kind: AdminKind, payload: &'a [u8]) -> Result<Self, BadAdmin> {
        let kind = AdminKind::from_code(kind.code());
        if payload.len() > MOST_ADMIN_PAYLOAD {
            return Err(BadAdmin::TooLong(payload.len()));
        }
        let fits = match kind {
            AdminKind::GenerationOpened => RawOpened::ref_from_bytes(payload)
                .is_ok_and(|raw| raw.synchronised <= 1 && raw.reserved.get() == 0),
            AdminKind::ClearBook => payload.len().is_multiple_of(size_of::<u32>()),
            AdminKind::SourceStale | AdminKind::SourceRestored => payload.is_empty(),
            AdminKind::DictionarySwitch
            | AdminKind::StepDown
            | AdminKind::TopicClosed
            | AdminKind::OperatorNotice => core::str::from_utf8(payload).is_ok(),
            AdminKind::Unknown(_) => true,
        };
        if fits {
            Ok(Self { id, kind, payload })
        } else {
            Err(BadAdmin::Payload(kind))
        }
    }

    /// Reads the body of an administrative record.
    ///
    /// # Errors
    /// [`BadAdmin`] names what is wrong.
    pub fn parse(body: &'a [u8]) -> Result<Self, BadAdmin> {
        let wrong = BadAdmin::Length(body.len());
        let (raw, rest) = RawAdmin::ref_from_prefix(body).map_err(|_| wrong)?;
        let length = usize::from(raw.payload_length.get());
        if rest.len() != padded(length) {
            return Err(wrong);
        }
        let (payload, padding) = rest.split_at(length);
        if padding.iter().any(|&byte| byte != 0) {
            return Err(BadAdmin::Reserved);
        }
        let id = AdminId {
            generation: Generation(raw.generation.get()),
            number: Adm(raw.number.get()),
        };
        Self::new(id, AdminKind::from_code(raw.kind.get()), payload)
    }

    /// The message that `record`, of kind [`crate::BodyKind::Administrative`], carries.
    ///
    /// # Errors
    /// [`BadAdmin`], also when the message's number is not the record's adm.
    pub fn of(record: &Record<'a>) -> Result<Self, BadAdmin> {
        let message = Self::parse(record.body)?;
        if message.id.number == record.adm {
            Ok(message)
        } else {
            Err(BadAdmin::Number {
                message: message.id.number,
                record: record.adm,
            })
        }
    }

    /// Which message it is.
    #[must_use]
    pub const fn id(&self) -> AdminId {
        self.id
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> AdminKind {
        self.kind
    }

    /// The payload as on the wire, without padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How a generation began, when that is the message.
    #[must_use]
    pub fn opened(&self) -> Option<GenerationOpened> {
        if self.kind != AdminKind::GenerationOpened {
            return None;
        }
        let raw = RawOpened::ref_from_bytes(self.payload).ok()?;
        Some(GenerationOpened {
            predecessor: Generation(raw.predecessor.get()),
            reason: OpenReason::from_code(raw.reason),
            synchronised: raw.synchronised == 1,
        })
    }

    /// Whose book to clear, when that is the message; none means all.
    #[must_use]
    pub fn instruments(&self) -> Option<impl ExactSizeIterator<Item = u32> + use<'a>> {
        if self.kind != AdminKind::ClearBook {
            return None;
        }
        let numbers = <[U32]>::ref_from_bytes(self.payload).ok()?;
        Some(numbers.iter().map(|number| number.get()))
    }

    /// The text, when the message is one.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        if !self.kind.is_text() {
            return None;
        }
        core::str::from_utf8(self.payload).ok()
    }

    /// Writes the body of an administrative record into `buffer` and returns its length, a multiple of 8.
    pub fn emit(&self, buffer: &mut [u8; LONGEST_ADMIN]) -> usize {
        let raw = RawAdmin {
            number: U64::new(self.id.number.0),
            generation: U32::new(self.id.generation.0),
            kind: U16::new(self.kind.code()),
            // At most MOST_ADMIN_PAYLOAD.
            payload_length: U16::new(self.payload.len() as u16),
        };
        let end = ADMIN_HEADER_LENGTH + self.payload.len();
        let length = padded(end);
        buffer[..ADMIN_HEADER_LENGTH].copy_from_slice(raw.as_bytes());
        buffer[ADMIN_HEADER_LENGTH..end].copy_from_slice(self.payload);
        buffer[end..length].fill(0);
        length
    }
}

impl StoredAdmin {
    /// A message with a payload in the form that its kind has on the wire.
    ///
    /// # Errors
    /// As [`AdminMessage::new`].
    pub fn new(id: AdminId, kind: AdminKind, payload: &[u8]) -> Result<Self, BadAdmin> {
        AdminMessage::new(id, kind, payload).map(Self::from)
    }

    /// A generation began.
    #[must_use]
    pub fn generation_opened(id: AdminId, opened: GenerationOpened) -> Self {
        let raw = RawOpened {
            predecessor: U32::new(opened.predecessor.0),
            reason: opened.reason.code(),
            synchronised: u8::from(opened.synchronised),
            reserved: U16::ZERO,
        };
        let (kind, payload) = (AdminKind::GenerationOpened, raw.as_bytes());
        AdminMessage { id, kind, payload }.into()
    }

    /// Forget the book of these instruments, or of all when there are none.
    ///
    /// # Errors
    /// [`BadAdmin::TooLong`] when there are more than [`MOST_INSTRUMENTS`].
    pub fn clear_book(id: AdminId, instruments: &[u32]) -> Result<Self, BadAdmin> {
        let mut payload = [0; MOST_ADMIN_PAYLOAD];
        let length = size_of_val(instruments);
        if length > payload.len() {
            return Err(BadAdmin::TooLong(length));
        }
        for (field, instrument) in payload.chunks_exact_mut(4).zip(instruments) {
            field.copy_from_slice(&instrument.to_le_bytes());
        }
        Self::new(id, AdminKind::ClearBook, &payload[..length])
    }

    /// The message, borrowed.
    #[must_use]
    pub fn message(&self) -> AdminMessage<'_> {
        AdminMessage {
            id: self.id,
            kind: self.kind,
            payload: &self.body[ADMIN_HEADER_LENGTH..][..usize::from(self.length)],
        }
    }

    /// The body of the record that carries it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body[..padded(ADMIN_HEADER_LENGTH + usize::from(self.length))]
    }

    /// Which message it is.
    #[must_use]
    pub const fn id(&self) -> AdminId {
        self.id
    }

    /// Its number: the adm of the record that carries it.
    #[must_use]
    pub const fn number(&self) -> Adm {
        self.id.number
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> AdminKind {
        self.kind
    }
}

impl From<AdminMessage<'_>> for StoredAdmin {
    fn from(message: AdminMessage<'_>) -> Self {
        let mut body = [0; _];
        message.emit(&mut body);
        Self {
            id: message.id,
            kind: message.kind,
            length: message.payload.len() as u16,
            body,
        }
    }
}

impl fmt::Debug for StoredAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl fmt::Display for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.generation, self.number)
    }
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawAdmin {
    number: U64,
    generation: U32,
    kind: U16,
    payload_length: U16,
}

layout!(RawAdmin, 16, { number: 0, generation: 8, kind: 12, payload_length: 14 });

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawOpened {
    predecessor: U32,
    reason: u8,
    synchronised: u8,
    reserved: U16,
}

layout!(RawOpened, 8, { predecessor: 0, reason: 4, synchronised: 5, reserved: 6 });

#[cfg(test)]
mod tests {
    use super::*;

    const ID: AdminId = AdminId {
        generation: Generation(3),
        number: Adm(7),
    };

    #[test]
    fn a_payload_is_bounded_at_the_edge_and_one_beyond() {
        let kind = AdminKind::Unknown(99);
        assert!(AdminMessage::new(ID, kind, &[0; MOST_ADMIN_PAYLOAD]).is_ok());
        let error = AdminMessage::new(ID, kind, &[0; MOST_ADMIN_PAYLOAD + 1]).unwrap_err();
        assert_eq!(error, BadAdmin::TooLong(MOST_ADMIN_PAYLOAD + 1));
        assert!(StoredAdmin::clear_book(ID, &[1; MOST_INSTRUMENTS]).is_ok());
        let error = StoredAdmin::clear_book(ID, &[1; MOST_INSTRUMENTS + 1]).unwrap_err();
        assert_eq!(error, BadAdmin::TooLong(MOST_ADMIN_PAYLOAD + 4));
    }

    #[test]
    fn a_payload_is_refused_where_it_is_none_of_its_kind() {
        let cases: [(AdminKind, &[u8]); 7] = [
            (AdminKind::GenerationOpened, &[0; 7]),
            (AdminKind::GenerationOpened, &[0, 0, 0, 0, 1, 2, 0, 0]),
            (AdminKind::GenerationOpened, &[0, 0, 0, 0, 1, 1, 0, 1]),
            (AdminKind::ClearBook, &[0; 6]),
            (AdminKind::SourceStale, b"x"),
            (AdminKind::OperatorNotice, b"\xff"),
            (AdminKind::Unknown(4), b"x"),
        ];
        for (kind, payload) in cases {
            let expected = AdminKind::from_code(kind.code());
            let error = AdminMessage::new(ID, kind, payload).unwrap_err();
            assert_eq!(error, BadAdmin::Payload(expected));
        }
    }

    #[test]
    fn accessors_answer_for_their_own_kind_only() {
        let opened = GenerationOpened {
            predecessor: Generation(2),
            reason: OpenReason::Unknown(9),
            synchronised: true,
        };
        let message = StoredAdmin::generation_opened(ID, opened);
        assert_eq!(message.message().opened(), Some(opened));
        assert!(message.message().instruments().is_none() && message.message().text().is_none());
        let message = StoredAdmin::clear_book(ID, &[5, 1 << 31]).unwrap();
        assert!(message.message().instruments().unwrap().eq([5, 1 << 31]));
        assert!(message.message().opened().is_none() && message.message().text().is_none());
        let message = StoredAdmin::new(ID, AdminKind::TopicClosed, "délisted".as_bytes()).unwrap();
        assert_eq!(message.message().text(), Some("délisted"));
        assert!(message.message().opened().is_none());
        let message = StoredAdmin::new(ID, AdminKind::Unknown(99), b"text?").unwrap();
        assert!(message.message().text().is_none());
        assert_eq!(ID.adm_behind(), Adm(8));
    }

    #[test]
    fn a_number_that_is_not_the_records_adm_is_refused() {
        let message = StoredAdmin::new(ID, AdminKind::SourceRestored, b"").unwrap();
        let record = Record {
            kind: crate::BodyKind::Administrative,
            flags: crate::RecordFlags::LAST,
            part: 0,
            sseq: 10,
            prev: 10,
            adm: Adm(7),
            body: message.bytes(),
        };
        assert_eq!(AdminMessage::of(&record).unwrap().id(), ID);
        let adm = Adm(8);
        let wrong = BadAdmin::Number {
            message: ID.number,
            record: adm,
        };
        assert_eq!(AdminMessage::of(&Record { adm, ..record }), Err(wrong));
    }
}
