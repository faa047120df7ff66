//! Where in what was kept does a snapshot belong?
//!
//! ```text
//!   kept       | 61 | 62 | message 3 | 63 | Gap 64..70 | 70 | message 4 | 71 |
//!   snapshot  ──────────────────────── next 66, 4 messages ┤
//!   told                                     Gap 66..70 | 70 | message 4 | 71 |
//! ```
//!
//! A record in front of the cursor's place is in the snapshot, and a message whose number is below the cursor's count; a hole is as far
//! as it lies in front. The cut is exact where all of that comes before all that is not so: then what was kept and the snapshot mean
//! the same by their numbers. Where it does not, or where context, count or numbering at the cut are others, the snapshot is
//! refused, and the reason given back.
//!
//! What was kept falls into **spans**: a new one begins with whatever says that numbers or their meaning do not go on (`Reset`, every
//! `Discontinuity`). Within a span places and counts only rise. A snapshot belongs into one span, the newest that it fits.

use core::fmt;

use twinfeed_wire::{Adm, BodyKind, ContextId, Epoch, Generation, Pos};

use super::kept::Item;
use crate::cursor::Cursor;
use crate::event::{Delivered, Event, Place};

/// Why a snapshot does not fit what was heard.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// It ends in front of the first place that was heard.
    Before,
    /// It is of an epoch that was not heard of.
    Epoch,
    /// At its end numbers meant something else.
    Context,
    /// At its end other administrative messages had been counted.
    Count,
    /// They were counted in another numbering.
    Numbering,
    /// It does not say how many administrative messages it has.
    Uncounted,
    /// It is of another source stream.
    Sid,
}

impl Refusal {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Before,
        Self::Epoch,
        Self::Context,
        Self::Count,
        Self::Numbering,
        Self::Uncounted,
        Self::Sid,
    ];

    /// The word used in metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Epoch => "epoch",
            Self::Context => "context",
            Self::Count => "count",
            Self::Numbering => "numbering",
            Self::Uncounted => "uncounted",
            Self::Sid => "sid",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "the snapshot ends in front of the first place that was heard",
            Self::Epoch => "the snapshot is of an epoch that was not heard of",
            Self::Context => "at the snapshot's end numbers meant something else",
            Self::Count => "at the snapshot's end other administrative messages were counted",
            Self::Numbering => "the snapshot counts administrative messages in another numbering",
            Self::Uncounted => "the snapshot does not say how many administrative messages it has",
            Self::Sid => "the snapshot is of another source stream",
        })
    }
}

/// A part of what was kept in which places and counts only rise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its first item behind whatever opened it.
    pub(super) first: usize,
    epoch: Epoch,
    context: ContextId,
    /// Where it begins.
    at: Place,
    /// How many messages were counted there, and in which numbering, as far as that is known.
    adm: Option<Adm>,
    numbering: Option<Generation>,
    /// Whether another epoch was gone over to: whatever is missing of the one before is void.
    resets: bool,
}

impl Span {
    /// What follows `cursor`.
    pub(super) fn from_cursor(first: usize, cursor: &Cursor) -> Self {
        Self {
            first,
            epoch: cursor.next.epoch,
            context: cursor.context,
            at: cursor.place(),
            adm: cursor.count.map(|(adm, _)| adm),
            numbering: cursor.count.map(|(_, numbering)| numbering),
            resets: false,
        }
    }

    /// So many messages are counted where it begins.
    pub(super) fn learn(&mut self, (adm, numbering): (Adm, Generation)) {
        self.adm = self.adm.or(Some(adm));
        self.numbering = self.numbering.or(Some(numbering));
    }

    /// What follows `event`, if that opens a span; the cursor is the one behind it.
    pub(super) fn opened(first: usize, event: &Event, cursor: &Cursor) -> Option<Self> {
        if !opens(event) {
            return None;
        }
        Some(Self {
            resets: matches!(event, Event::Reset { .. }),
            ..Self::from_cursor(first, cursor)
        })
    }

    /// What begins with `record`, of which nothing was said before.
    pub(super) fn of_record(first: usize, record: &Delivered<'_>) -> Self {
        let cursor = Cursor {
            next: begins_at(record),
            ..record.cursor()
        };
        Self {
            adm: Some(record.adm),
            ..Self::from_cursor(first, &cursor)
        }
    }
}

/// Whether numbers or their meaning do not go on behind it.
pub(super) const fn opens(event: &Event) -> bool {
    matches!(event, Event::Discontinuity { .. } | Event::Reset { .. })
}

/// The place of what begins with this record. An administrative message has the number of the record before it.
pub(super) const fn begins_at(record: &Delivered<'_>) -> Pos {
    match record.kind {
        BodyKind::Administrative => Pos {
            sseq: record.next.sseq,
            part: record.next.part,
            ..record.pos
        },
        _ => record.pos,
    }
}

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// So many items are in it; a hole behind them is cut off at its place.
    Cut(usize),
    /// What was kept has not come so far yet.
    Ahead,
    /// It does not fit.
    Refused(Refusal),
}

/// Whether what was told up to `here` has reached the end of a snapshot. Numbers that carried nothing are passed by both sides at
/// different times, so that the last number that carried something counts, too.
pub(super) fn is_reached(here: &Cursor, adm: Option<Adm>, snapshot: &Cursor) -> bool {
    let end = snapshot.place();
    // Whoever has not followed what its snapshot is of cannot say which was the last.
    let silent = end.part == 0 && snapshot.last != 0 && here.next.sseq > snapshot.last;
    let counted = snapshot
        .count
        .is_none_or(|(count, _)| adm.is_none_or(|adm| adm >= count));
    let (here, end) = (here.place(), end);
    here > end || (counted && (here == end || silent))
}

/// Finds the place of a snapshot that ends at `cursor`.
pub(super) fn judge<'a>(
    items: &(impl Iterator<Item = &'a Item> + Clone),
    spans: &[Span],
    here: &Cursor,
    cursor: &Cursor,
) -> Verdict {
    let Some((adm, numbering)) = cursor.count else {
        return Verdict::Refused(Refusal::Uncounted);
    };
    let end = End {
        place: cursor.place(),
        adm,
        numbering,
        cursor,
        here,
    };
    let of_epoch = |span: &&Span| span.epoch == cursor.next.epoch;
    if !spans.iter().any(|span| of_epoch(&span)) {
        let follows = cursor.predecessor.is_some() && cursor.predecessor == here.next.epoch;
        return match follows {
            true => Verdict::Ahead,
            false => Verdict::Refused(Refusal::Epoch),
        };
    }
    let mut refused = Refusal::Context;
    for (index, span) in spans.iter().enumerate().rev() {
        if !of_epoch(&span) || span.context != cursor.context {
            continue;
        }
        let behind = spans.get(index + 1);
        // What opened the next span is none of this one's items.
        let until = behind.map_or(usize::MAX, |next| next.first - 1);
        let count = until.saturating_sub(span.first);
        match end.within(span, items.clone().skip(span.first).take(count), behind) {
            Verdict::Refused(reason) => refused = reason,
            verdict => return verdict,
        }
    }
    Verdict::Refused(refused)
}

/// The end of a snapshot, and how far the application would have been told.
struct End<'a> {
    place: Place,
    adm: Adm,
    numbering: Generation,
    cursor: &'a Cursor,
    here: &'a Cursor,
}

/// How an item stands to the end of a snapshot.
enum Standing {
    /// In it.
    Covered,
    /// Behind it; `Some`: so many messages stand before it.
    Behind(Option<Adm>),
    /// It has no place of its own.
    Nowhere,
}

impl End<'_> {
    fn within<'a>(
        &self,
        span: &Span,
        items: impl Iterator<Item = &'a Item>,
        next: Option<&Span>,
    ) -> Verdict {
        if self.place < span.at {
            return Verdict::Refused(Refusal::Before);
        }
        let (mut cut, mut behind, mut counted) = (span.first, false, None);
        let (mut adm, mut before, mut after) = (span.adm, span.numbering, None);
        for (index, item) in items.enumerate() {
            match self.standing(item) {
                Standing::Nowhere => {}
                Standing::Covered if behind => return Verdict::Refused(Refusal::Count),
                Standing::Covered => {
                    cut = span.first + index + 1;
                    (adm, before) = told_until(item, (adm, before));
                }
                Standing::Behind(count) => {
                    behind = true;
                    (counted, after) = (counted.or(count), after.or(numbering_of(item)));
                }
            }
        }
        let agrees = match (counted, next) {
            // A message has no place, and what stands behind it may be in front of the end.
            (Some(_), None) if !is_reached(self.here, None, self.cursor) => return Verdict::Ahead,
            (Some(_), Some(next)) if !next.resets && self.place > next.at => false,
            (Some(counted), _) => counted == self.adm,
            // What was heard begins behind it.
            (None, _) if adm > Some(self.adm) => false,
            // Nothing behind it says how many there are, nor does anything in front of it: what comes next will.
            (None, None) if adm.is_none() => return Verdict::Ahead,
            // Behind it is a hole alone: what was counted in front of that says it.
            (None, _) if behind => adm == Some(self.adm),
            (None, None) if adm == Some(self.adm) && is_reached(self.here, adm, self.cursor) => {
                true
            }
            (None, None) => return Verdict::Ahead,
            // Beyond the end of an epoch that is over for the application a snapshot may reach: what it has more of is void.
            (None, Some(next)) if !next.resets && self.place > next.at => {
                return Verdict::Refused(Refusal::Context);
            }
            (None, Some(_)) => adm == Some(self.adm),
        };
        if !agrees {
            return Verdict::Refused(Refusal::Count);
        }
        let mut known = [before, after].into_iter().flatten().peekable();
        if known.peek().is_some() && !known.any(|it| it == self.numbering) {
            return Verdict::Refused(Refusal::Numbering);
        }
        Verdict::Cut(cut)
    }

    fn standing(&self, item: &Item) -> Standing {
        match item {
            Item::Record(head) if head.kind == BodyKind::Administrative => {
                match head.adm < self.adm {
                    true => Standing::Covered,
                    false => Standing::Behind(Some(head.adm)),
                }
            }
            Item::Record(head) => {
                let place = Place {
                    sseq: head.pos.sseq,
                    part: head.pos.part,
                };
                match place < self.place {
                    true => Standing::Covered,
                    false => Standing::Behind(Some(head.adm)),
                }
            }
            Item::Event(event) => match **event {
                Event::Gap { until, .. } if until <= self.place => Standing::Covered,
                Event::Gap { .. } => Standing::Behind(None),
                Event::AdministrativeGap { until, .. } if until <= self.adm => Standing::Covered,
                Event::AdministrativeGap { from, .. } => {
                    // Cut off at its place it begins with the first that the snapshot does not have.
                    Standing::Behind(Some(from.max(self.adm)))
                }
                _ => Standing::Nowhere,
            },
        }
    }
}

/// How many messages were counted behind a covered item, and in which numbering.
fn told_until(
    item: &Item,
    before: (Option<Adm>, Option<Generation>),
) -> (Option<Adm>, Option<Generation>) {
    match item {
        Item::Record(head) => {
            let itself = u64::from(head.kind == BodyKind::Administrative);
            let adm = Adm(head.adm.0.saturating_add(itself));
            (Some(adm), head.numbering.or(before.1))
        }
        Item::Event(event) => match **event {
            Event::AdministrativeGap {
                until, numbering, ..
            } => (Some(until), numbering.or(before.1)),
            _ => before,
        },
    }
}

fn numbering_of(item: &Item) -> Option<Generation> {
    match item {
        Item::Record(head) => head.numbering,
        Item::Event(_) => None,
    }
}

/// What is left of an event in front of the first record behind the cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Left {
    /// All of it.
    All,
    /// A hole that begins at the cut: the snapshot has what was missing in front of that.
    Rest(Event),
    /// Nothing: the snapshot has all that was missing.
    Nothing,
}

/// What the snapshot that ends at `cursor` leaves of a hole.
pub(super) fn left(event: &Event, cursor: &Cursor) -> Left {
    match *event {
        Event::Gap { epoch, until, .. }
            if epoch == cursor.next.epoch && until <= cursor.place() =>
        {
            Left::Nothing
        }
        Event::Gap {
            sid,
            epoch,
            from,
            until,
            cause,
        } if epoch == cursor.next.epoch && from < cursor.place() => Left::Rest(Event::Gap {
            sid,
            epoch,
            from: cursor.place(),
            until,
            cause,
        }),
        Event::AdministrativeGap {
            sid,
            from,
            until,
            numbering,
        } => match cursor.count {
            Some((count, _)) if until <= count => Left::Nothing,
            Some((count, _)) if from < count => Left::Rest(Event::AdministrativeGap {
                sid,
                from: count,
                until,
                numbering,
            }),
            _ => Left::All,
        },
        _ => Left::All,
    }
}
