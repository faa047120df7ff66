//! Where does an adapter's own output stand, and was all of it followed?
//!
//! ```text
//!   own datagrams ─► Output ─┬─► Cursor          as of which place
//!                            └─► Following       what came there, in order, and what is in doubt from there on
//! ```
//!
//! One source stream's output is followed as a subscriber with one leg would that loses nothing: in order, each position once. What
//! was withheld on standby is output, and is not handed over again when it is sent after all. So numbers that go back are a source's that
//! steps back within an epoch: it begins anew.

use twinfeed_wire::{
    Adm, BodyKind, ContextId, Datagram, Epoch, Flags, Generation, Header, Pos, Record, Sid,
};

use crate::cursor::Cursor;
use crate::event::{Delivered, Leg, Place};

/// An epoch that begins, or the one at hand that begins anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// Which.
    pub epoch: Epoch,
    /// The one that was left for it, if it is another one.
    pub left: Option<Epoch>,
    /// What the conversion remembers.
    pub context: ContextId,
    /// Whether the output is followed from the epoch's first number on, in a context that reaches back to it.
    pub whole: bool,
    /// Administrative messages that were counted in front of what is followed, in this epoch or before.
    pub adm: Adm,
}

/// Why what is known from here on is in doubt, although nothing of the output is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// Numbers mean something else: the conversion remembers something else.
    Context,
    /// They do, for the conversion remembers all of the epoch from here on, which it did not.
    Completed,
    /// Administrative messages were counted that are none of this output.
    Count,
}

/// Whoever follows an output.
pub trait Following {
    /// An epoch begins, or the one at hand begins anew: what is known is of another past.
    fn begins(&mut self, begun: &Begun);
    /// The next record or administrative message. Its `next`, `context` and `numbering` say where the output stands behind it.
    fn record(&mut self, record: &Delivered<'_>);
    /// This administrative message came, and may never be told: it is kept, or void.
    fn passes(&mut self, _message: &Delivered<'_>) {}
    /// What is known is in doubt from here on.
    fn doubt(&mut self, doubt: Doubt);
    /// Something of the output did not come here.
    fn missed(&mut self);
}

/// How far the output of one source stream was followed.
#[derive(Clone, Debug)]
pub struct Output {
    sid: Sid,
    stand: Option<Stand>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug)]
struct Stand {
    epoch: Epoch,
    predecessor: Epoch,
    /// The first number that was converted.
    first: u64,
    context: ContextId,
    complete: bool,
    /// The first place that was not followed yet.
    next: Place,
    last: u64,
    /// Administrative messages, in the numbering of `generation`.
    adm: Adm,
    generation: Generation,
}

impl Stand {
    /// Whether an epoch begins, or the one at hand begins anew.
    fn is_left_by(&self, datagram: &Datagram<'_>) -> bool {
        let header = datagram.header();
        let first = match datagram.heartbeat() {
            Some(beat) => Some(Place::start(beat.beat.next_sseq)),
            // A message has the number of a record before it.
            None => datagram
                .records()
                .find(|it| it.kind != BodyKind::Administrative)
                .map(|it| Place {
                    sseq: it.sseq,
                    part: it.part,
                }),
        };
        let steps_back = first.is_some_and(|first| first < self.next);
        header.epoch != self.epoch || header.first != self.first || steps_back
    }

    /// The same as a record of it says it.
    fn delivered<'a>(&self, sid: Sid, header: &Header, record: &Record<'a>) -> Delivered<'a> {
        Delivered {
            pos: Pos {
                sid,
                epoch: self.epoch,
                sseq: record.sseq,
                part: record.part,
            },
            kind: record.kind,
            flags: record.flags,
            adm: record.adm,
            leg: Leg::Zero,
            body: record.body,
            received_at: header.received_at,
            sent_at: header.sent_at,
            next: self.next,
            context: self.context,
            complete: self.complete,
            numbering: Some(self.generation),
        }
    }
}

impl Output {
    /// Nothing was followed yet.
    #[must_use]
    pub const fn new(sid: Sid) -> Self {
        Self { sid, stand: None }
    }

    /// The place behind what was followed; `None` before anything was.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let stand = self.stand?;
        let counted = stand.generation != Generation(0) || stand.adm != Adm(0);
        Some(Cursor {
            next: Pos {
                sid: self.sid,
                epoch: stand.epoch,
                sseq: stand.next.sseq,
                part: stand.next.part,
            },
            last: stand.last,
            context: stand.context,
            complete: stand.complete,
            count: counted.then_some((stand.adm, stand.generation)),
            predecessor: stand.predecessor,
        })
    }

    /// One datagram of the stream, sent or withheld.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, to: &mut impl Following) {
        let header = *datagram.header();
        let mut stand = match self.stand {
            Some(stand) if !stand.is_left_by(datagram) => stand,
            before => self.begin(before, datagram, to),
        };
        match datagram.heartbeat() {
            Some(beat) => {
                Self::beat(
                    &mut stand,
                    &header,
                    (beat.beat.next_sseq, beat.beat.prev),
                    to,
                );
            }
            None => {
                for record in datagram.records() {
                    let counts = match record.kind {
                        BodyKind::Administrative => {
                            Self::message(&mut stand, &header, &record, to);
                            true
                        }
                        _ => Self::record(&mut stand, &header, &record, to),
                    };
                    if counts {
                        // Whoever looks at the cursor from here on sees it behind the record.
                        self.stand = Some(stand);
                        to.record(&stand.delivered(self.sid, &header, &record));
                    }
                }
            }
        }
        self.stand = Some(stand);
    }

    fn begin(
        &self,
        before: Option<Stand>,
        datagram: &Datagram<'_>,
        to: &mut impl Following,
    ) -> Stand {
        let header = datagram.header();
        let complete = !header.flags.has(Flags::INCOMPLETE);
        let prev = datagram.heartbeat().map(|beat| beat.beat.prev);
        let prev = prev.or_else(|| datagram.records().next().map(|record| record.prev));
        let left = before.map(|stand| stand.epoch);
        let left = left.filter(|left| *left != header.epoch);
        to.begins(&Begun {
            epoch: header.epoch,
            left,
            context: header.context,
            whole: complete && prev.is_some_and(|prev| prev < header.first),
            adm: header.base_adm,
        });
        let next = prev.map_or(header.first, |prev| prev.saturating_add(1));
        Stand {
            epoch: header.epoch,
            predecessor: match header.predecessor {
                Epoch::NONE => left.unwrap_or(Epoch::NONE),
                said => said,
            },
            first: header.first,
            context: header.context,
            complete,
            next: Place::start(next),
            last: 0,
            adm: header.base_adm,
            generation: header.generation,
        }
    }

    fn beat(stand: &mut Stand, header: &Header, (next, prev): (u64, u64), to: &mut impl Following) {
        let changed = Self::follow_context(stand, header, to);
        if stand.next.part != 0 || prev >= stand.next.sseq && !changed {
            to.missed();
        }
        stand.next = stand.next.max(Place::start(next));
        let newer = header.generation > stand.generation;
        // Fewer than were counted: they were taken back, for another's numbering is in force.
        if newer || header.base_adm != stand.adm {
            Self::count(stand, (header.base_adm, header.generation), to);
        }
    }

    /// Whether the record is none that was followed before.
    fn record(
        stand: &mut Stand,
        header: &Header,
        record: &Record<'_>,
        to: &mut impl Following,
    ) -> bool {
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        if place < stand.next {
            return false;
        }
        let changed = Self::follow_context(stand, header, to);
        let is_next = place == stand.next
            || record.part == 0 && stand.next.part == 0 && record.prev < stand.next.sseq;
        if !is_next && !changed {
            // The adapter passed numbers over without saying so: they were said, and did not come here.
            to.missed();
        }
        if (record.adm, header.generation) != (stand.adm, stand.generation) {
            Self::count(stand, (record.adm, header.generation), to);
        }
        stand.last = record.sseq;
        stand.next = match record.is_last() {
            true => Place::start(record.sseq.saturating_add(1)),
            false => Place {
                part: record.part.saturating_add(1),
                ..place
            },
        };
        true
    }

    fn message(stand: &mut Stand, header: &Header, record: &Record<'_>, to: &mut impl Following) {
        Self::follow_context(stand, header, to);
        // It vouches for the numbers up to the one that it stands behind.
        let behind = Place::start(record.sseq.saturating_add(1));
        stand.next = stand.next.max(behind);
        if record.adm != stand.adm {
            Self::count(stand, (record.adm, header.generation), to);
        }
        stand.last = stand.last.max(record.sseq);
        stand.adm = Adm(record.adm.0.saturating_add(1));
        stand.generation = header.generation;
    }

    /// What the numbers of a record count is not what was counted here.
    fn count(stand: &mut Stand, (adm, generation): (Adm, Generation), to: &mut impl Following) {
        if adm != stand.adm {
            to.doubt(Doubt::Count);
        }
        (stand.adm, stand.generation) = (adm, generation);
    }

    /// What the numbers are of in a record is not what they were; returns whether that is so.
    fn follow_context(stand: &mut Stand, header: &Header, to: &mut impl Following) -> bool {
        if stand.context == header.context {
            return false;
        }
        let complete = !header.flags.has(Flags::INCOMPLETE);
        let completed = complete && !stand.complete;
        (stand.context, stand.complete) = (header.context, complete);
        to.doubt(match completed {
            true => Doubt::Completed,
            false => Doubt::Context,
        });
        true
    }
}
