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

/// Bodies, and into how many records they are cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    bodies: usize,
    pub(super) parts: usize,
}

/// Into how many records `bodies` are cut, or `None` when they cannot be expressed.
#[inline(always)]
pub(super) fn count<'a>(bodies: impl Iterator<Item = Body<'a>>) -> Option<Count> {
    let mut count = Count::default();
    for body in bodies {
        let fits = body.bytes.len() <= LONGEST_PART;
        if !(body.kind == BodyKind::Opaque || body.kind == BodyKind::Dbn && fits) {
            return None;
        }
        // An empty body is a record too.
        let pieces = if fits {
            1
        } else {
            body.bytes.len().div_ceil(LONGEST_PART)
        };
        count.parts = count.parts.saturating_add(pieces);
        count.bodies += 1;
    }
    (count.parts <= MOST_PARTS).then_some(count)
}

/// Visits the records in order: part, kind, flags and the bytes of each. They were counted.
#[inline(always)]
pub(super) fn cut<'a>(
    bodies: impl Iterator<Item = Body<'a>>,
    count: Count,
    mut record: impl FnMut(u16, BodyKind, RecordFlags, &'a [u8]),
) {
    let mut part = 0_u16;
    let mut left = count.bodies;
    for body in bodies {
        left = left.wrapping_sub(1);
        // Others were not counted.
        let kind = match body.kind == BodyKind::Dbn {
            true => BodyKind::Dbn,
            false => BodyKind::Opaque,
        };
        let mut rest = body.bytes;
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(LONGEST_PART));
            let flags = match (behind.is_empty(), left) {
                (false, _) => RecordFlags::CONTINUED,
                (true, 0) => RecordFlags::LAST,
                (true, _) => RecordFlags::default(),
            };
            // Called at one place only, so that all that is done with a record is compiled into this loop.
            record(part, kind, flags, piece);
            // Behind the last of the most there can be nothing follows.
            part = part.wrapping_add(1);
            if behind.is_empty() {
                break;
            }
            rest = behind;
        }
    }
}

const _: () = assert!(
    LONGEST_PART == 1_056,
    "docs/wire-format.md, section 3, says so"
);
