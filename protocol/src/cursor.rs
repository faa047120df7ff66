//! Where did an application stand, so that its next run goes on from there?
//!
//! A [`Cursor`] names the first place of one source stream that the application has heard nothing of, and what numbers meant
//! there. It holds on either leg, and in another process: an application keeps it together with the state that it has made
//! of the records so far, in one transaction, and gives it to [`crate::Arbiter::resume`].
//!
//! As text: `sid/epoch/sseq.part<last/context/adm@generation/predecessor`, epochs and context as 16 hexadecimal digits; `?` behind a
//! context that is not complete; `-` in place of the count where it is not known how many administrative messages were told.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use twinfeed_wire::{Adm, ContextId, Epoch, Generation, Pos, Sid, snapshot};

use crate::event::{Delivered, DiscontinuityCause, Event, Place, ResetCause};
use crate::piece::Piece;

/// Where an application stands in one source stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Cursor {
    /// The first position that it has heard nothing of.
    pub next: Pos,
    /// Number of the last record or message that it was told in the epoch; 0: of none. Numbers behind it were declared missing, or
    /// carried nothing.
    pub last: u64,
    /// What the conversion of what it heard remembers.
    pub context: ContextId,
    /// Whether that reaches back to the source's own first number, without a hole.
    pub complete: bool,
    /// How many administrative messages it was told, or told that they are missing, and in whose numbering; `None`: that
    /// is not known.
    pub count: Option<(Adm, Generation)>,
    /// The epoch that it was told before this one: what is of that is over. [`Epoch::NONE`]: of none, or that is not known.
    pub predecessor: Epoch,
}

impl Cursor {
    /// The place within the epoch.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place {
            sseq: self.next.sseq,
            part: self.next.part,
        }
    }
}

impl From<snapshot::Cursor> for Cursor {
    fn from(it: snapshot::Cursor) -> Self {
        Self {
            next: it.next,
            last: it.last,
            context: it.context,
            complete: it.complete,
            count: it.count,
            predecessor: it.predecessor,
        }
    }
}

impl From<Cursor> for snapshot::Cursor {
    fn from(it: Cursor) -> Self {
        Self {
            next: it.next,
            last: it.last,
            context: it.context,
            complete: it.complete,
            count: it.count,
            predecessor: it.predecessor,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sid, epoch) = (self.next.sid.0, self.next.epoch.0);
        let (place, context) = (self.place(), self.context.0);
        let doubt = if self.complete { "" } else { "?" };
        let last = self.last;
        write!(
            f,
            "{sid}/{epoch:016x}/{place}<{last}/{context:016x}{doubt}/"
        )?;
        match self.count {
            Some((adm, generation)) => write!(f, "{}@{}", adm.0, generation.0)?,
            None => f.write_str("-")?,
        }
        write!(f, "/{:016x}", self.predecessor.0)
    }
}

/// Where an application stands in every source stream: follows what a [`crate::Handler`] is told, events too, so that nothing is
/// told a second time, not even a [`Event::Gap`]. One for each feed: source streams of two feeds may have the same sid.
///
/// Hand over every record and event once its effect is in the application's state, and keep [`Cursors::iter`] with that
/// state. An unordered source stream has no cursor, and is left out by not handing over what is of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cursors(BTreeMap<Sid, Cursor>);

impl Cursors {
    /// Goes on from where an earlier run stood.
    #[must_use]
    pub fn resumed(from: impl IntoIterator<Item = Cursor>) -> Self {
        Self(from.into_iter().map(|it| (it.next.sid, it)).collect())
    }

    /// Each source stream's, by sid.
    pub fn iter(&self) -> impl Iterator<Item = &Cursor> {
        self.0.values()
    }

    /// That of one source stream, once anything of it was told.
    #[must_use]
    pub fn get(&self, sid: Sid) -> Option<&Cursor> {
        self.0.get(&sid)
    }

    /// The application has this record.
    pub fn record(&mut self, record: &Delivered<'_>) {
        let sid = record.pos.sid;
        let cursor = Cursor::after_record(self.0.get(&sid), record);
        self.0.insert(sid, cursor);
    }

    /// The application has this event.
    pub fn event(&mut self, event: &Event) {
        let Some(sid) = event.sid() else {
            return;
        };
        if let Some(cursor) = Cursor::after_event(self.0.get(&sid), event) {
            self.0.insert(sid, cursor);
        }
    }

    /// The application has this piece of a snapshot. Between its beginning and its end there is no cursor: a state with half of a
    /// snapshot is none to go on from, and the next run joins.
    pub fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        match *piece {
            Piece::Begin { .. } => {
                self.0.remove(&sid);
            }
            Piece::End { cursor, .. } => {
                self.0.insert(sid, cursor);
            }
            Piece::Instrument { .. }
            | Piece::Withheld { .. }
            | Piece::Definition(_)
            | Piece::Status(_)
            | Piece::Orders(_)
            | Piece::Change(_)
            | Piece::Message(_) => {}
        }
    }
}

impl Cursor {
    /// Where an application stands that stood `before` and was told this record.
    pub(crate) fn after_record(before: Option<&Self>, record: &Delivered<'_>) -> Self {
        let cursor = record.cursor();
        let before = before.filter(|before| before.next.epoch == cursor.next.epoch);
        let predecessor = before.map_or(Epoch::NONE, |before| before.predecessor);
        Self {
            predecessor,
            ..cursor
        }
    }

    /// Where it stands that stood `before` and was told this event of the source stream; `None`: where it stood.
    pub(crate) fn after_event(before: Option<&Self>, event: &Event) -> Option<Self> {
        match *event {
            Event::Gap { until, .. } => before.map(|before| {
                let mut cursor = *before;
                (cursor.next.sseq, cursor.next.part) = (until.sseq, until.part);
                cursor
            }),
            Event::AdministrativeGap {
                until, numbering, ..
            } => before.map(|before| Self {
                count: numbering.map(|generation| (until, generation)),
                ..*before
            }),
            Event::Discontinuity {
                sid,
                epoch,
                at,
                context,
                complete,
                cause,
            } => {
                // How messages are counted from here on the next record says, unless nothing was said of that.
                let counts = matches!(
                    cause,
                    DiscontinuityCause::Context { .. } | DiscontinuityCause::Divergence { .. }
                );
                let begun = ((sid, epoch), at, (context, complete));
                Some(Self::begun(before, begun, (counts, true)))
            }
            Event::Reset {
                sid,
                epoch,
                at,
                context,
                complete,
                cause,
            } => {
                let begun = ((sid, epoch), at, (context, complete));
                let mut cursor = Self::begun(before, begun, (true, false));
                if let ResetCause::Epoch { from, .. } = cause {
                    cursor.predecessor = from;
                }
                Some(cursor)
            }
            _ => None,
        }
    }

    /// What follows stands here. `counts`: messages are counted on as before; `goes_on`: so are numbers.
    fn begun(
        before: Option<&Self>,
        ((sid, epoch), at, (context, complete)): ((Sid, Epoch), Place, (ContextId, bool)),
        (counts, goes_on): (bool, bool),
    ) -> Self {
        Self {
            next: Pos {
                sid,
                epoch,
                sseq: at.sseq,
                part: at.part,
            },
            last: before
                .filter(|before| before.next.epoch == epoch && goes_on)
                .map_or(0, |before| before.last),
            context,
            complete,
            count: before.filter(|_| counts).and_then(|before| before.count),
            predecessor: before.map_or(Epoch::NONE, |before| before.predecessor),
        }
    }
}

/// A text that is no cursor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadCursor {
    text: String,
    part: &'static str,
}

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, part } = self;
        write!(
            f,
            "`{text}` is no cursor: {part} is missing or not as in `{EXAMPLE}`"
        )
    }
}

impl core::error::Error for BadCursor {}

/// How a cursor is written.
const EXAMPLE: &str = "7/47a1e2d3abe5d1d9/1021.0<1018/2c67921c7eb87459/12@3/0000000000000000";

/// Of a text that is no cursor, as much as is shown.
const SHOWN: usize = 120;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let bad = |part| BadCursor {
            text: text.chars().take(SHOWN).collect(),
            part,
        };
        let hex = |text: &str| {
            let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            u64::from_str_radix(text, 16).ok().filter(|_| digits)
        };
        let parts: Vec<&str> = text.splitn(7, '/').collect();
        let &[sid, epoch, place, context, count, predecessor] = parts.as_slice() else {
            return Err(bad("one of its six parts"));
        };
        let sid = sid.parse().map_err(|_| bad("the source stream"))?;
        let epoch = hex(epoch).filter(|it| *it != 0);
        let epoch = epoch.ok_or_else(|| bad("the epoch"))?;
        let (sseq, part) = place.split_once('.').ok_or_else(|| bad("the place"))?;
        let sseq = sseq.parse().map_err(|_| bad("the place's number"))?;
        let (part, last) = part.split_once('<').ok_or_else(|| bad("the last number"))?;
        let part = part.parse().map_err(|_| bad("the place's part"))?;
        let last = last.parse().map_err(|_| bad("the last number"))?;
        let known = context.strip_suffix('?');
        let complete = known.is_none();
        let context = hex(known.unwrap_or(context)).ok_or_else(|| bad("the context"))?;
        let predecessor = hex(predecessor).ok_or_else(|| bad("the predecessor"))?;
        let count = match count.split_once('@') {
            None if count == "-" => None,
            None => return Err(bad("the count")),
            Some((adm, generation)) => {
                let adm = adm.parse().map_err(|_| bad("the count"))?;
                let generation = generation.parse().map_err(|_| bad("the generation"))?;
                Some((Adm(adm), Generation(generation)))
            }
        };
        Ok(Self {
            next: Pos {
                sid: Sid(sid),
                epoch: Epoch(epoch),
                sseq,
                part,
            },
            last,
            context: ContextId(context),
            complete,
            count,
            predecessor: Epoch(predecessor),
        })
    }
}

/// Why an arbiter does not go on from a cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CannotResume {
    /// There is no such source stream.
    Unknown(Sid),
    /// What was told of a source without order is no place in it.
    Unordered(Sid),
    /// The source stream was joined, or gone on with, before.
    Joined(Sid),
}

impl fmt::Display for CannotResume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(sid) => write!(
                f,
                "source stream {sid} is not among those that were granted"
            ),
            Self::Unordered(sid) => write!(
                f,
                "source stream {sid} is unordered and has no place to go on from"
            ),
            Self::Joined(sid) => write!(f, "source stream {sid} was joined before"),
        }
    }
}

impl core::error::Error for CannotResume {}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(count: Option<(u64, u32)>) -> Cursor {
        Cursor {
            next: Pos {
                sid: Sid(7),
                epoch: Epoch(0x47a1_e2d3_abe5_d1d9),
                sseq: 1021,
                part: 2,
            },
            last: 1018,
            context: ContextId(0x2c67),
            complete: count != Some((u64::MAX, u32::MAX)),
            count: count.map(|(adm, generation)| (Adm(adm), Generation(generation))),
            predecessor: Epoch(0xab),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for count in [None, Some((12, 3)), Some((u64::MAX, u32::MAX))] {
            let text = cursor(count).to_string();
            assert_eq!(text.parse(), Ok(cursor(count)), "{text}");
        }
        let text = cursor(Some((12, 3))).to_string();
        assert_eq!(
            text,
            "7/47a1e2d3abe5d1d9/1021.2<1018/0000000000002c67/12@3/00000000000000ab"
        );
        let text = cursor(Some((u64::MAX, u32::MAX))).to_string();
        assert!(text.contains("/0000000000002c67?/"), "{text}");
    }

    #[test]
    fn what_is_no_cursor_is_refused_and_says_where() {
        for (text, part) in [
            ("", "one of its six parts"),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67",
                "one of its six parts",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67/-/0000000000000000/9",
                "one of its six parts",
            ),
            (
                "x/47a1e2d3abe5d1d9/1.0<0/0000000000002c67/-/0000000000000000",
                "the source stream",
            ),
            (
                "7/47a1/1.0<0/0000000000002c67/-/0000000000000000",
                "the epoch",
            ),
            (
                "7/0000000000000000/1.0<0/0000000000002c67/-/0000000000000000",
                "the epoch",
            ),
            (
                "7/+7a1e2d3abe5d1d9/1.0<0/0000000000002c67/-/0000000000000000",
                "the epoch",
            ),
            (
                "7/47a1e2d3abe5d1d9/1/0000000000002c67/-/0000000000000000",
                "the place",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0/0000000000002c67/-/0000000000000000",
                "the last number",
            ),
            (
                "7/47a1e2d3abe5d1d9/-1.0<0/0000000000002c67/-/0000000000000000",
                "the place's number",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.65536<0/0000000000002c67/-/0000000000000000",
                "the place's part",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/2c67/-/0000000000000000",
                "the context",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67//0000000000000000",
                "the count",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67/x@1/0000000000000000",
                "the count",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67/1@/0000000000000000",
                "the generation",
            ),
            (
                "7/47a1e2d3abe5d1d9/1.0<0/0000000000002c67/-/9",
                "the predecessor",
            ),
        ] {
            let refused = text.parse::<Cursor>().map_err(|bad| bad.part);
            assert_eq!(refused, Err(part), "{text}");
        }
    }
}
