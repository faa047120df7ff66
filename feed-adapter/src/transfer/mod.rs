//! How does an adapter that started in mid-session come to remember what its peer does?
//!
//! ```text
//!  taker's data thread          taker's workshop          link          giver's data thread
//!  incomplete ─► Prepare ─────► buffer
//!  keeps its messages ◄──────── Ready
//!  Request(from) ─────────────────────────────────────────────────────► begins a copy
//!                               second memory ◄──────── Head ─────────
//!                               fills it ◄───────────── Chunk, Chunk, … some slots per batch, every change
//!  forgets what is behind ◄──── how far the giver is
//!  takes over in one step ◄──── the memory of one moment ◄───────────── End(next, prev)
//!    when what it kept is converted with it
//! ```
//!
//! [`giving`] copies a table that changes, [`assembly`] puts it together in the [`workshop`], a thread that may allocate,
//! [`taking`] keeps messages and catches up, [`taker`] says when to ask and when to give up. None of them knows a socket.
//! Until the last step the taker's stream is what it was; a transfer that fails leaves nothing behind but a note.

pub mod assembly;
pub mod giving;
pub mod kept;
pub mod taker;
pub mod taking;
pub mod workshop;

use twinfeed_wire::link::{ContextHead, Frame};

use crate::decode::itch50;

/// What the taker made of a transfer: a memory, and of which moment it is.
#[derive(Debug)]
pub struct Whole {
    /// A converter that remembers it.
    pub decoder: itch50::Converter,
    /// Of which context.
    pub head: ContextHead,
    /// It is what a snapshot of the source's says, not what a conversion from the first number on remembers.
    pub snapshot: bool,
    /// It has converted everything below.
    pub next: u64,
    /// What a record of number `next` bears as its `prev`.
    pub prev: u64,
}

/// Whether a frame is for the workshop rather than for the data thread.
#[must_use]
pub const fn is_for_workshop(frame: &Frame) -> bool {
    matches!(
        frame,
        Frame::ContextHead(_) | Frame::ContextChunk(_) | Frame::ContextEnd(_)
    )
}

/// Most chunks that are under way and not known to be taken in; fixed by the wire format.
pub const MOST_UNDER_WAY: u32 = 256;
/// Chunks taken in between two frames that say so.
pub const TAKEN_EVERY: u32 = 64;
/// Source numbers by which the giver goes on before it says so, in a chunk that is not full, if need be.
pub const NEXT_EVERY: u64 = 1_024;
