//! What do two adapters of a pair say to each other over their TCP link?
//!
//! ```text
//!   0 magic u16 "TL" | version u8 | kind u8 | payload length u32 | payload
//! ```
//!
//! A frame's length is bounded by [`LONGEST_FRAME`] before anything is read or allocated. Normative text:
//! `docs/wire-format.md`, section 6.

use core::fmt;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::record::layout;
use crate::{Generation, Incarnation, LONGEST_ADMIN, Sid};

mod content;
mod context;
mod error;
mod over;
mod position;
mod slot;

pub use content::Content;
pub use context::{
    ContextChunk, ContextEnd, ContextHead, ContextOver, ContextRequest, ContextTaken, LONGEST_CHUNK,
};
pub use error::BadFrame;
pub use over::OverReason;
pub use position::{Cut, Placed, Report};
pub use slot::{Answer, Intent, Settled, Verdict};

/// Length of a frame's header, bytes.
pub const FRAME_HEADER_LENGTH: usize = 8;
/// Longest frame including its header, bytes.
pub const LONGEST_FRAME: usize = 65_536;
/// A buffer that every frame of this version fits, bytes; the longest is an intent.
pub const FRAME_BUFFER: usize = FRAME_HEADER_LENGTH + size_of::<slot::RawIntent>() + LONGEST_ADMIN;
const _: () =
    assert!(size_of::<context::RawChunk>() + LONGEST_CHUNK + FRAME_HEADER_LENGTH <= FRAME_BUFFER);
/// The deadline of a step-down that is taken back: the sender goes on.
pub const GOES_ON: u32 = 0;
/// The deadline of a step-down of somebody who leaves.
pub const FOR_GOOD: u32 = u32::MAX;
/// The version of the link that this build speaks.
pub const LINK_VERSION: u8 = 1;

const LINK_MAGIC: u16 = u16::from_le_bytes(*b"TL");

/// Which output a pair member has by configuration: the name of its binary.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Holds, or prefers to hold, authority.
    Active,
    /// Stands by.
    Backup,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Active => Self::Backup,
            Self::Backup => Self::Active,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Backup => "backup",
        })
    }
}

/// First frame in both directions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Digest of the feed's name: two feeds never pair by a wrong address.
    pub feed_digest: u64,
    /// Digest of the conversion-relevant configuration; must be equal to pair.
    pub config_digest: u64,
    /// Life of the sending process.
    pub incarnation: Incarnation,
    /// Generation the sender works under; 0 when none was granted yet.
    pub generation: Generation,
    /// The role of the sender's binary.
    pub preferred_role: Role,
    /// The role the generation gives it.
    pub role: Role,
}

/// One frame of the pair link.
#[allow(
    clippy::large_enum_variant,
    reason = "a plain value without a heap; frames are few and never kept in numbers"
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame {
    /// Who speaks.
    Hello(Hello),
    /// The sender is alive; carries its generation and role, which a grant may have changed.
    Beat {
        /// Generation the sender works under.
        generation: Generation,
        /// The role the generation gives it.
        role: Role,
    },
    /// The sender closes on purpose; the reset that follows is no failure.
    Goodbye,
    /// Where the sender's stream stands.
    Report(Report),
    /// The sender asks for a [`Cut`].
    CutRequest {
        /// Source stream.
        sid: Sid,
        /// Generation the sender works under.
        generation: Generation,
    },
    /// The sender's numbering, to take over.
    Cut(Cut),
    /// An administrative message is announced for a slot, or a nearer one is proposed.
    Intent(Intent),
    /// Whether the sender can place an announced message.
    Answer(Answer),
    /// The sender asks its peer to take over.
    StepDown {
        /// Generation the sender works under.
        generation: Generation,
        /// How long stream administration lets that take, µs; or [`GOES_ON`], or [`FOR_GOOD`].
        deadline_us: u32,
    },
    /// What became of a slot that was proposed.
    Settled(Settled),
    /// What the sender sent under a range of source numbers.
    Content(Content),
    /// The sender asks for what its peer's conversion remembers.
    ContextRequest(ContextRequest),
    /// A transfer of that begins.
    ContextHead(ContextHead),
    /// A part of it.
    ContextChunk(ContextChunk),
    /// All of it was said.
    ContextEnd(ContextEnd),
    /// So much of it was taken in.
    ContextTaken(ContextTaken),
    /// There is none.
    ContextOver(ContextOver),
}

/// Reads a frame's header and returns the length of the whole frame, bytes.
///
/// # Errors
/// [`BadFrame`] when it is foreign, of another version, or longer than [`LONGEST_FRAME`].
pub fn frame_length(header: &[u8; FRAME_HEADER_LENGTH]) -> Result<usize, BadFrame> {
    let raw: RawFrame = zerocopy::transmute!(*header);
    if raw.magic.get() != LINK_MAGIC {
        return Err(BadFrame::Magic(raw.magic.get()));
    }
    if raw.version != LINK_VERSION {
        return Err(BadFrame::Version {
            theirs: raw.version,
            ours: LINK_VERSION,
        });
    }
    let length = FRAME_HEADER_LENGTH + raw.length.get() as usize;
    if length > LONGEST_FRAME {
        return Err(BadFrame::Length(raw.length.get()));
    }
    Ok(length)
}

impl Frame {
    /// Reads one whole frame.
    ///
    /// # Errors
    /// [`BadFrame`] names what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadFrame> {
        let short = BadFrame::Length(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let (raw, payload) = RawFrame::ref_from_prefix(bytes).map_err(|_| short)?;
        let header: [u8; FRAME_HEADER_LENGTH] = zerocopy::transmute!(*raw);
        if frame_length(&header)? != bytes.len() {
            return Err(BadFrame::Length(raw.length.get()));
        }
        match raw.kind {
            1 => {
                let hello: &RawHello = view(payload)?;
                zero(&hello.reserved)?;
                Ok(Self::Hello(Hello {
                    feed_digest: hello.feed_digest.get(),
                    config_digest: hello.config_digest.get(),
                    incarnation: Incarnation(hello.incarnation.get()),
                    generation: Generation(hello.generation.get()),
                    preferred_role: role(hello.preferred_role)?,
                    role: role(hello.role)?,
                }))
            }
            2 => {
                let beat: &RawBeat = view(payload)?;
                zero(&beat.reserved)?;
                Ok(Self::Beat {
                    generation: Generation(beat.generation.get()),
                    role: role(beat.role)?,
                })
            }
            3 if payload.is_empty() => Ok(Self::Goodbye),
            3 => Err(BadFrame::Length(raw.length.get())),
            4 => Report::read(payload).map(Self::Report),
            5 => {
                let request: &RawCutRequest = view(payload)?;
                Ok(Self::CutRequest {
                    sid: Sid(request.sid.get()),
                    generation: Generation(request.generation.get()),
                })
            }
            6 => Cut::read(payload).map(Self::Cut),
            7 => Intent::read(payload).map(Self::Intent),
            8 => Answer::read(payload).map(Self::Answer),
            9 => {
                let step: &RawStepDown = view(payload)?;
                Ok(Self::StepDown {
                    generation: Generation(step.generation.get()),
                    deadline_us: step.deadline_us.get(),
                })
            }
            10 => Settled::read(payload).map(Self::Settled),
            11 => ContextRequest::read(payload).map(Self::ContextRequest),
            12 => ContextHead::read(payload).map(Self::ContextHead),
            13 => ContextChunk::read(payload).map(Self::ContextChunk),
            14 => ContextEnd::read(payload).map(Self::ContextEnd),
            15 => ContextTaken::read(payload).map(Self::ContextTaken),
            16 => ContextOver::read(payload).map(Self::ContextOver),
            17 => Content::read(payload).map(Self::Content),
            kind => Err(BadFrame::Kind(kind)),
        }
    }

    /// Writes the frame into `buffer` and returns its length in bytes.
    pub fn emit(&self, buffer: &mut [u8; FRAME_BUFFER]) -> usize {
        match self {
            Self::Hello(hello) => {
                let raw = RawHello {
                    feed_digest: U64::new(hello.feed_digest),
                    config_digest: U64::new(hello.config_digest),
                    incarnation: U64::new(hello.incarnation.0),
                    generation: U32::new(hello.generation.0),
                    preferred_role: code(hello.preferred_role),
                    role: code(hello.role),
                    reserved: [0; 2],
                };
                frame(buffer, 1, &[raw.as_bytes()])
            }
            Self::Beat { generation, role } => {
                let raw = RawBeat {
                    generation: U32::new(generation.0),
                    role: code(*role),
                    reserved: [0; 3],
                };
                frame(buffer, 2, &[raw.as_bytes()])
            }
            Self::Goodbye => frame(buffer, 3, &[]),
            Self::Report(report) => frame(buffer, 4, &[report.raw().as_bytes()]),
            Self::CutRequest { sid, generation } => {
                let raw = RawCutRequest {
                    sid: U32::new(sid.0),
                    generation: U32::new(generation.0),
                };
                frame(buffer, 5, &[raw.as_bytes()])
            }
            Self::Cut(cut) => frame(buffer, 6, &[cut.raw().as_bytes()]),
            Self::Intent(intent) => {
                let raw = intent.raw();
                frame(buffer, 7, &[raw.as_bytes(), intent.message.bytes()])
            }
            Self::Answer(answer) => frame(buffer, 8, &[answer.raw().as_bytes()]),
            Self::StepDown {
                generation,
                deadline_us,
            } => {
                let raw = RawStepDown {
                    generation: U32::new(generation.0),
                    deadline_us: U32::new(*deadline_us),
                };
                frame(buffer, 9, &[raw.as_bytes()])
            }
            Self::Settled(settled) => frame(buffer, 10, &[settled.raw().as_bytes()]),
            Self::ContextRequest(request) => frame(buffer, 11, &[request.raw().as_bytes()]),
            Self::ContextHead(head) => frame(buffer, 12, &[head.raw().as_bytes()]),
            Self::ContextChunk(chunk) => {
                let raw = chunk.raw();
                frame(buffer, 13, &[raw.as_bytes(), chunk.items()])
            }
            Self::ContextEnd(end) => frame(buffer, 14, &[end.raw().as_bytes()]),
            Self::ContextTaken(taken) => frame(buffer, 15, &[taken.raw().as_bytes()]),
            Self::ContextOver(over) => frame(buffer, 16, &[over.raw().as_bytes()]),
            Self::Content(content) => frame(buffer, 17, &[content.raw().as_bytes()]),
        }
    }
}

fn frame(buffer: &mut [u8; FRAME_BUFFER], kind: u8, payload: &[&[u8]]) -> usize {
    let mut length = FRAME_HEADER_LENGTH;
    for part in payload {
        buffer[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    let raw = RawFrame {
        magic: U16::new(LINK_MAGIC),
        version: LINK_VERSION,
        kind,
        // What fits FRAME_BUFFER.
        length: U32::new((length - FRAME_HEADER_LENGTH) as u32),
    };
    buffer[..FRAME_HEADER_LENGTH].copy_from_slice(raw.as_bytes());
    length
}

/// `payload` as exactly one `R`.
fn view<R: FromBytes + Immutable + KnownLayout + Unaligned>(
    payload: &[u8],
) -> Result<&R, BadFrame> {
    // No longer than a frame, whose length has been checked.
    R::ref_from_bytes(payload).map_err(|_| BadFrame::Length(payload.len() as u32))
}

/// Refuses a reserved field that is used.
fn zero(reserved: &[u8]) -> Result<(), BadFrame> {
    if reserved.iter().all(|&byte| byte == 0) {
        Ok(())
    } else {
        Err(BadFrame::Reserved)
    }
}

const fn code(role: Role) -> u8 {
    match role {
        Role::Active => 1,
        Role::Backup => 2,
    }
}

const fn role(code: u8) -> Result<Role, BadFrame> {
    match code {
        1 => Ok(Role::Active),
        2 => Ok(Role::Backup),
        other => Err(BadFrame::Role(other)),
    }
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawFrame {
    magic: U16,
    version: u8,
    kind: u8,
    length: U32,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHello {
    feed_digest: U64,
    config_digest: U64,
    incarnation: U64,
    generation: U32,
    preferred_role: u8,
    role: u8,
    reserved: [u8; 2],
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawBeat {
    generation: U32,
    role: u8,
    reserved: [u8; 3],
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawCutRequest {
    sid: U32,
    generation: U32,
}

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawStepDown {
    generation: U32,
    deadline_us: U32,
}

layout!(RawFrame, 8, { magic: 0, version: 2, kind: 3, length: 4 });
layout!(RawHello, 32, {
    feed_digest: 0, config_digest: 8, incarnation: 16, generation: 24, preferred_role: 28, role: 29,
});
layout!(RawBeat, 8, { generation: 0, role: 4 });
layout!(RawCutRequest, 8, { sid: 0, generation: 4 });
layout!(RawStepDown, 8, { generation: 0, deadline_us: 4 });
const _: () = assert!(size_of::<RawFrame>() == FRAME_HEADER_LENGTH);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn hello() -> Frame {
        Frame::Hello(Hello {
            feed_digest: 1,
            config_digest: 2,
            incarnation: Incarnation(3),
            generation: Generation(4),
            preferred_role: Role::Active,
            role: Role::Backup,
        })
    }

    #[test]
    fn frames_survive_the_wire() {
        let beat = Frame::Beat {
            generation: Generation(7),
            role: Role::Active,
        };
        for frame in [hello(), beat, Frame::Goodbye] {
            let mut buffer = [0; FRAME_BUFFER];
            let length = frame.emit(&mut buffer);
            let header = buffer[..8].try_into().unwrap();
            assert_eq!(frame_length(&header), Ok(length));
            assert_eq!(Frame::parse(&buffer[..length]), Ok(frame));
            for short in 0..length {
                assert!(
                    Frame::parse(&buffer[..short]).is_err(),
                    "{frame:?} cut at {short}"
                );
            }
        }
    }

    #[test]
    fn a_lying_length_is_refused_before_anything_is_read() {
        let mut buffer = [0; FRAME_BUFFER];
        hello().emit(&mut buffer);
        buffer[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let header = buffer[..8].try_into().unwrap();
        assert_eq!(frame_length(&header), Err(BadFrame::Length(u32::MAX)));
    }

    #[test]
    fn a_reserved_field_that_is_used_is_refused() {
        let mut buffer = [0; FRAME_BUFFER];
        let length = hello().emit(&mut buffer);
        buffer[length - 1] = 1;
        assert_eq!(Frame::parse(&buffer[..length]), Err(BadFrame::Reserved));
    }

    #[test]
    fn another_protocol_on_the_port_is_named() {
        let header = *b"GET / HT";
        let error = frame_length(&header).unwrap_err();
        assert!(error.to_string().contains("not a feed adapter"), "{error}");
    }
}
