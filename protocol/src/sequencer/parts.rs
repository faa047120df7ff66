//! Into which records is a source message cut?
//!
//! ```text
//!  bodies   | dbn | opaque, 2,500 bytes          | dbn |
//!  parts    |  0  | 1 continued | 2 cont. |  3   |  4 last |
//! ```
//!
//! The cut depends on the bodies alone, never on how long this host's datagrams may be: `part` belongs to
//! the position that both adapters must agree on.

use twinfeed_wire::{BodyKind, RecordFlags, SMALLEST_MAX_DATAGRAM, longest_body};

use super::Body;

/// Most bytes of a body in one record: what fits the smallest datagram that a feed may configure.
pub const LONGEST_PART: usize = longest_body(SMALLEST_MAX_DATAGRAM);
/// Most records of one source message: `part` is 16 bits wide.
pub const MOST_PARTS: usize = 1 << 16;

/// Into how many records `bodies` are cut, or `None` when they cannot be expressed.
pub(super) fn count<'a>(bodies: impl Iterator<Item = Body<'a>>) -> Option<usize> {
    let mut parts = 0_usize;
    for body in bodies {
        let pieces = pieces(body.bytes.len());
        match body.kind {
            BodyKind::Opaque => {}
            BodyKind::Dbn if pieces == 1 => {}
            BodyKind::Dbn | BodyKind::Administrative | BodyKind::Unknown(_) => return None,
        }
        parts = parts.checked_add(pieces)?;
    }
    (parts <= MOST_PARTS).then_some(parts)
}

/// The records in order: kind, flags and the bytes of each.
pub(super) fn cut<'a>(
    bodies: impl ExactSizeIterator<Item = Body<'a>>,
) -> impl Iterator<Item = (BodyKind, RecordFlags, &'a [u8])> {
    let last = bodies.len().wrapping_sub(1);
    bodies.enumerate().flat_map(move |(index, body)| {
        let pieces = pieces(body.bytes.len());
        (0..pieces).map(move |piece| {
            let from = piece * LONGEST_PART;
            let until = body.bytes.len().min(from + LONGEST_PART);
            let flags = if piece + 1 < pieces {
                RecordFlags::CONTINUED
            } else if index == last {
                RecordFlags::LAST
            } else {
                RecordFlags::default()
            };
            (body.kind, flags, &body.bytes[from..until])
        })
    })
}

/// An empty body is a record too.
const fn pieces(length: usize) -> usize {
    if length == 0 {
        1
    } else {
        length.div_ceil(LONGEST_PART)
    }
}

const _: () = assert!(
    LONGEST_PART == 1_056,
    "docs/wire-format.md, section 3, says so"
);
