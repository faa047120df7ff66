//! What is every subscriber owed, and did it get exactly that?
//!
//! The oracle shares no code with the arbiter. It hears what the sources said and what the adapters
//! converted and sent ([`Ledger`]), what reached each subscriber, and what each application was told
//! ([`Witness`]). It knows nothing of how a decision was reached, only which decisions are right.
//!
//! ```text
//!  sources, adapters ─► Ledger ─┐
//!  arrivals ────────────────────┼─► Witness (one per subscriber and sid) ─► violations
//!  records and events ──────────┘
//! ```

use core::fmt;

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Delivered, Event, Leg, Place};
use twinfeed_wire::{Adm, AdminId, AdminMessage, BodyKind, Pos, RecordFlags, Sid};

pub mod administrative;
pub mod claims;
pub mod heard;
pub mod hearing;
pub mod ledger;
mod placed;
pub mod reader;
pub mod scattered;
pub mod slots;
pub mod sorted;
pub mod streams;
pub mod witness;
pub mod words;

pub use administrative::Assembly;
pub use heard::Heard;
pub use ledger::Ledger;
pub use reader::Reader;
pub use witness::Witness;

/// What an application was told, owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A record.
    Record(Copied),
    /// An event.
    Event(Event),
}

/// A delivered record without its body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copied {
    /// Where it stands.
    pub pos: Pos,
    /// What the body is.
    pub kind: BodyKind,
    /// Last part, continued body.
    pub flags: RecordFlags,
    /// Administrative messages before it.
    pub adm: Adm,
    /// The leg it was taken from.
    pub leg: Leg,
    /// Digest of the body.
    pub content: u64,
    /// Which administrative message it is, if it is one.
    pub admin: Option<AdminId>,
}

impl Copied {
    /// What is kept of `record`.
    #[must_use]
    pub fn of(record: &Delivered<'_>) -> Self {
        Self {
            pos: record.pos,
            kind: record.kind,
            flags: record.flags,
            adm: record.adm,
            leg: record.leg,
            content: digest(0, record.body),
            admin: (record.kind == BodyKind::Administrative)
                .then(|| AdminMessage::parse(record.body).ok())
                .flatten()
                .map(|message| message.id()),
        }
    }

    /// Its place.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            sseq: self.pos.sseq,
            part: self.pos.part,
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// Towards which subscriber, by its number.
    pub subscriber: usize,
    /// For which source stream.
    pub sid: Sid,
    /// Which promise.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} subscriber {} sid {}: {}",
            self.at, self.subscriber, self.sid, self.what
        )
    }
}

/// Tells bodies apart, nothing more; continued from `before` (0 to begin). A body that is cut has the digest of the whole if
/// every part but the last is a multiple of 8 bytes long, as those of a stream are.
#[must_use]
pub fn digest(before: u64, bytes: &[u8]) -> u64 {
    let seed = if before == 0 {
        0xcbf2_9ce4_8422_2325
    } else {
        before
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|&byte| u64::from(byte));
    words.chain(rest).fold(seed, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 29
    })
}
