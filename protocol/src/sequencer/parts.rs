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
#[inline]
pub(super) fn count<'a>(bodies: impl Iterator<Item = Body<'a>>) -> Option<usize> {
    let mut parts = 0_usize;
    for body in bodies {
        let fits = body.bytes.len() <= LONGEST_PART;
        match body.kind {
            BodyKind::Opaque => {}
            BodyKind::Dbn if fits => {}
            BodyKind::Dbn | BodyKind::Administrative | BodyKind::Unknown(_) => return None,
        }
        // An empty body is a record too.
        let pieces = if fits {
            1
        } else {
            body.bytes.len().div_ceil(LONGEST_PART)
        };
        parts = parts.saturating_add(pieces);
    }
    (parts <= MOST_PARTS).then_some(parts)
}

/// Visits the records in order: part, kind, flags and the bytes of each. They are at most [`MOST_PARTS`].
#[inline]
pub(super) fn cut<'a>(
    bodies: impl ExactSizeIterator<Item = Body<'a>>,
    mut record: impl FnMut(u16, BodyKind, RecordFlags, &'a [u8]),
) {
    let last = bodies.len().wrapping_sub(1);
    let mut part = 0_u16;
    for (index, body) in bodies.enumerate() {
        let mut rest = body.bytes;
        while let Some((piece, behind)) = rest.split_at_checked(LONGEST_PART)
            && !behind.is_empty()
        {
            record(part, body.kind, RecordFlags::CONTINUED, piece);
            part = part.wrapping_add(1);
            rest = behind;
        }
        let flags = match index == last {
            true => RecordFlags::LAST,
            false => RecordFlags::default(),
        };
        record(part, body.kind, flags, rest);
        // Behind the last of the most there can be nothing follows.
        part = part.wrapping_add(1);
    }
}

const _: () = assert!(
    LONGEST_PART == 1_056,
    "docs/wire-format.md, section 3, says so"
);
