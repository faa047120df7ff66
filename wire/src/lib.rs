//! Twinfeed's framing: bytes to values and back, nothing else.
//!
//! ```text
//!  bytes ──► Datagram::parse ──► Header, Records, Heartbeat     (views; one check, then no failure)
//!  Header, Record, Beat ──► Writer, write_heartbeat ──► bytes   (into a buffer of the caller's)
//!  bytes ◄─► AdminMessage, StoredAdmin                         (what a stream says for itself)
//!  bytes ◄─► link::Frame                                        (the pair link of two adapters)
//!  bytes ◄─► fill::Fill                                         (a subscriber asks for what it missed)
//!  bytes ◄─► snapshot::Snapshot                                (a subscriber that joins is told what there is)
//!  record::*                                                    (bodies in DBN v3 layout)
//! ```
//!
//! **Invariant:** this crate knows no socket, no clock, no thread and no other crate of ours, and it never
//! allocates. The normative text is `docs/wire-format.md`; its test vectors are checked by this crate's
//! tests.
#![forbid(unsafe_code)]
#![no_std]

#[cfg(test)]
extern crate std;

mod admin;
mod copy;
mod datagram;
mod emit;
mod error;
pub mod fill;
mod glance;
mod header;
mod heartbeat;
mod ids;
pub mod link;
pub mod record;
pub mod snapshot;

pub use admin::{
    ADMIN_HEADER_LENGTH, AdminId, AdminKind, AdminMessage, BadAdmin, GenerationOpened,
    LONGEST_ADMIN, MOST_ADMIN_PAYLOAD, MOST_INSTRUMENTS, OpenReason, StoredAdmin,
};
pub use copy::copy;
pub use datagram::{
    BodyKind, DEFAULT_DATAGRAM, DEFAULT_DATAGRAM_V6, Datagram, LONGEST_DATAGRAM,
    RECORD_HEADER_LENGTH, Record, RecordFlags, Records, SMALLEST_MAX_DATAGRAM,
};
pub use emit::{Draft, Refused, Writer, longest_body, write_heartbeat};
pub use error::Malformed;
pub use glance::{Glance, Speaker, Stretch, sid_in};
pub use header::{
    Flags, HEADER_LENGTH, HEADER_WORDS, Header, MAGIC, VERSION, mark_retransmitted, restamp,
};
pub use heartbeat::{Beat, DIGEST_RANGE, HEARTBEAT_LENGTH, Heartbeat, MOST_DIGESTS, RangeDigest};
pub use ids::{Adm, ContextId, Dsn, Epoch, Generation, Incarnation, Msn, Pos, Sid, StreamId};
