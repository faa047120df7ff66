//! Was an application that joins told a state and the stream behind it, as one?
//!
//! [`super::Witness`] judges what the arbiter decided, at the moment when it did. A [`Reader`] judges what of that reached the application:
//! later, from a snapshot's place on, or from the beginning. It knows nothing of why something was kept or dropped. What it is told in its
//! place in the stream must go on from where it stands, by the sources' own account of their numbers; a snapshot alone may move it elsewhere, and
//! nowhere back.

use std::collections::VecDeque;

use twinfeed_protocol::{Cursor, DiscontinuityCause, Event, Place, ResetCause, Tail};
use twinfeed_wire::{BodyKind, ContextId, Epoch, RecordFlags, Sid};

use super::ledger::Sent;
use super::witness::Judgement;
use super::{Copied, Ledger, Told, Witness};
use crate::world::exchange::Life;
use crate::world::snapshots::{Heard, Part};

/// One application that joins, and one ordered source stream.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Whose numbers.
    pub sid: Sid,
    stand: Option<Stand>,
    /// Where a snapshot stands that was announced, and whether something else may follow.
    announced: Option<(Stand, bool)>,
    /// A snapshot is being told, of an epoch that it was told the end of, or not.
    telling: Option<(Cursor, bool)>,
    /// What was kept for it is void: a snapshot follows, or the word that there is none.
    void: bool,
    /// There was no snapshot.
    without: bool,
    /// Epochs that were left, as decided: from, to, and where.
    resets: VecDeque<(Epoch, Epoch, Place)>,
    /// Numbers went back within the epoch.
    stepped_back: bool,
    /// Records that it was told, behind a snapshot.
    pub behind: u64,
    joined: bool,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stand {
    epoch: Epoch,
    context: ContextId,
    place: Place,
    /// How many administrative messages it was told; none: that is not known.
    adm: Option<u64>,
    ended: bool,
}

impl Stand {
    fn of(cursor: &Cursor) -> Self {
        Self {
            epoch: cursor.next.epoch,
            context: cursor.context,
            place: cursor.place(),
            adm: cursor.count.map(|(adm, _)| adm.0),
            ended: false,
        }
    }
}

impl Reader {
    /// One that was told nothing.
    #[must_use]
    pub fn new(sid: Sid) -> Self {
        Self {
            sid,
            stand: None,
            announced: None,
            telling: None,
            void: false,
            without: false,
            resets: VecDeque::new(),
            stepped_back: false,
            behind: 0,
            joined: false,
        }
    }

    /// One that goes on from `cursor`.
    #[must_use]
    pub fn resumed(cursor: &Cursor) -> Self {
        Self {
            stand: Some(Stand::of(cursor)),
            ..Self::new(cursor.next.sid)
        }
    }

    /// It was decided to leave an epoch at this place, or to begin anew in it.
    pub fn note_reset(&mut self, from: Epoch, to: Epoch, at: Place) {
        match from == to {
            true => self.stepped_back = true,
            false => self.resets.push_back((from, to, at)),
        }
    }

    /// Judges what it was told next.
    ///
    /// # Errors
    /// The promise that was broken, in words.
    pub fn judge(&mut self, heard: &Heard, ledger: &Ledger) -> Judgement {
        match heard {
            Heard::Snapshot(_, part) => self.part(part),
            Heard::Told(Told::Record(record)) => {
                self.in_place("record")?;
                self.record(record, ledger)
            }
            Heard::Told(Told::Event(event)) => self.event(event, ledger),
        }
        .map_err(|what| format!("as told: {what}"))
    }

    /// What its account of the stream must be in the end, when `witness` has the arbiter's.
    ///
    /// # Errors
    /// What is amiss.
    pub fn settled(&self, witness: &Witness, ledger: &Ledger) -> Judgement {
        if !witness.epoch.is_some() {
            return Ok(());
        }
        let Some(stand) = self.stand else {
            return Err("as told: in the end it was told nothing".into());
        };
        let owed = |epoch, place| ledger.owed(self.sid, epoch, place);
        let mine = (stand.epoch, owed(stand.epoch, stand.place), stand.ended);
        let its = (
            witness.epoch,
            owed(witness.epoch, witness.cursor),
            witness.ended,
        );
        match mine == its && self.telling.is_none() && !self.void {
            true => Ok(()),
            false => Err(format!("as told: in the end at {mine:?}, not {its:?}")),
        }
    }

    fn part(&mut self, part: &Part) -> Judgement {
        match *part {
            Part::Begin(cursor) => {
                let stand = Stand::of(&cursor);
                let same = |it: &Stand| {
                    (it.epoch, it.context, it.place) == (stand.epoch, stand.context, stand.place)
                };
                let announced = self.announced.take().filter(|(it, _)| same(it));
                let Some((announced, _)) = announced else {
                    return Err(format!("a snapshot at {cursor} that was not announced"));
                };
                self.telling = Some((cursor, announced.ended));
                Ok(())
            }
            Part::Middle if self.telling.is_some() => Ok(()),
            Part::End(cursor) if self.telling.is_some_and(|(it, _)| it == cursor) => {
                let ended = self.telling.take().is_some_and(|(_, ended)| ended);
                self.void = false;
                self.joined = true;
                self.stand = Some(Stand {
                    ended,
                    ..Stand::of(&cursor)
                });
                Ok(())
            }
            Part::Middle | Part::End(_) => Err("a piece of no snapshot".into()),
        }
    }

    /// Whether something may be told in its place in the stream.
    fn in_place(&mut self, what: &str) -> Judgement {
        if self.telling.is_some() {
            return Err(format!("{what} in the middle of a snapshot"));
        }
        if self.void {
            return Err(format!("{what} behind what is void"));
        }
        match self.announced.take() {
            Some((_, false)) => Err(format!(
                "{what} in place of the snapshot that was announced"
            )),
            _ => Ok(()),
        }
    }

    fn stand(&mut self, what: &str) -> Result<&mut Stand, String> {
        let stand = self.stand.as_mut();
        stand.ok_or_else(|| format!("{what} before it joined"))
    }

    fn reaches(&mut self, place: Place, ledger: &Ledger, what: &str) -> Judgement {
        let sid = self.sid;
        let stand = self.stand(what)?;
        let owed = ledger.owed(sid, stand.epoch, stand.place);
        match stand.place <= place && place <= owed {
            true => Ok(()),
            false => Err(format!(
                "{what} {place}, but it stands at {} and {owed} is next",
                stand.place
            )),
        }
    }

    fn record(&mut self, record: &Copied, ledger: &Ledger) -> Judgement {
        let sid = self.sid;
        self.behind += u64::from(self.joined);
        let stand = self.stand("record")?;
        if record.pos.epoch != stand.epoch {
            return Err(format!(
                "record of {} while in {}",
                record.pos.epoch, stand.epoch
            ));
        }
        if stand.adm.is_some_and(|adm| adm != record.adm.0) {
            return Err(format!(
                "record {} counts {}, it {:?}",
                record.place(),
                record.adm.0,
                stand.adm
            ));
        }
        if record.kind == BodyKind::Administrative {
            stand.adm = Some(record.adm.0 + 1);
            return Ok(());
        }
        let place = record.place();
        self.reaches(place, ledger, "record")?;
        let stand = self.stand("record")?;
        let context = ledger.context(sid, stand.epoch, stand.context);
        let what = Sent {
            kind: record.kind,
            flags: record.flags,
            content: record.content,
        };
        if context.and_then(|context| context.sent(record.leg, place, what)) != Some(true) {
            return Err(format!(
                "record {place} is not what context {} sent",
                stand.context
            ));
        }
        stand.adm = Some(record.adm.0);
        stand.place = match record.flags.has(RecordFlags::LAST) {
            true => Place::start(place.sseq + 1),
            false => Place {
                part: place.part + 1,
                ..place
            },
        };
        Ok(())
    }

    fn event(&mut self, event: &Event, ledger: &Ledger) -> Judgement {
        match *event {
            Event::Gap {
                epoch, from, until, ..
            } => {
                self.in_place("Gap")?;
                self.reaches(from, ledger, "Gap from")?;
                let stand = self.stand("Gap")?;
                if epoch != stand.epoch || until <= from {
                    return Err(format!("Gap {from} to {until} of {epoch}"));
                }
                stand.place = until;
                Ok(())
            }
            Event::AdministrativeGap { from, until, .. } => {
                self.in_place("AdministrativeGap")?;
                let stand = self.stand("AdministrativeGap")?;
                if stand.adm.is_some_and(|adm| adm != from.0) || until <= from {
                    return Err(format!(
                        "AdministrativeGap {from} to {until}, it counts {:?}",
                        stand.adm
                    ));
                }
                stand.adm = Some(until.0);
                Ok(())
            }
            Event::Discontinuity {
                epoch,
                at,
                context,
                cause,
                ..
            } => self.discontinuity(epoch, at, context, cause, ledger),
            Event::Reset {
                epoch,
                at,
                context,
                cause,
                ..
            } => {
                self.in_place("Reset")?;
                self.reset(epoch, cause, ledger)?;
                self.stand = Some(Stand {
                    epoch,
                    context,
                    place: at,
                    adm: None,
                    ended: false,
                });
                Ok(())
            }
            Event::Ended {
                epoch, next_sseq, ..
            } => {
                self.in_place("Ended")?;
                self.reaches(Place::start(next_sseq), ledger, "Ended at")?;
                let stand = self.stand("Ended")?;
                if epoch != stand.epoch || stand.ended {
                    return Err(format!("Ended of {epoch} while in {}", stand.epoch));
                }
                stand.ended = true;
                Ok(())
            }
            Event::JoinRestarted { .. } => {
                if self.telling.take().is_some() {
                    self.stand = None;
                }
                self.announced = None;
                self.void = true;
                Ok(())
            }
            Event::NoSnapshot { .. } => {
                self.without = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn discontinuity(
        &mut self,
        epoch: Epoch,
        at: Place,
        context: ContextId,
        cause: DiscontinuityCause,
        ledger: &Ledger,
    ) -> Judgement {
        let joins = cause == DiscontinuityCause::Join;
        if joins {
            if self.telling.is_some() {
                return Err("joined in the middle of a snapshot".into());
            }
            let without = core::mem::take(&mut self.without);
            let first = self.stand.is_none() && !self.void;
            let stepped_back = core::mem::take(&mut self.stepped_back);
            let ended = match self.stand {
                Some(before) if before.epoch == epoch && at < before.place && !stepped_back => {
                    return Err(format!("joined at {at}, was told up to {}", before.place));
                }
                Some(before) if before.epoch == epoch => before.ended,
                _ => false,
            };
            let stand = Stand {
                epoch,
                context,
                place: at,
                adm: None,
                ended,
            };
            self.announced = Some((stand, without || first));
            self.void &= !without;
            if !self.void {
                self.stand = Some(stand);
            }
            return Ok(());
        }
        self.in_place("Discontinuity")?;
        if cause != DiscontinuityCause::Administrative {
            self.reaches(at, ledger, "Discontinuity at")?;
        }
        let stand = self.stand("Discontinuity")?;
        if epoch != stand.epoch {
            return Err(format!("Discontinuity in {epoch} while in {}", stand.epoch));
        }
        stand.context = context;
        stand.adm = None;
        Ok(())
    }

    fn reset(&mut self, epoch: Epoch, cause: ResetCause, ledger: &Ledger) -> Judgement {
        let sid = self.sid;
        let ResetCause::Epoch { from, tail } = cause else {
            return Ok(());
        };
        let stand = *self.stand("Reset")?;
        if stand.epoch != from {
            return Err(format!("Reset from {from} while in {}", stand.epoch));
        }
        let owed = ledger.owed(sid, from, stand.place);
        let end = ledger.life(sid, from).map_or(0, Life::next);
        if tail == Tail::Complete && owed.sseq < end {
            return Err(format!(
                "Reset claims a complete tail, but {owed} is missing"
            ));
        }
        while let Some((left, to, at)) = self.resets.pop_front() {
            if (left, to) == (from, epoch) {
                return match owed < ledger.owed(sid, from, at) {
                    true => Err(format!("Reset from {from} at {owed}, decided at {at}")),
                    false => Ok(()),
                };
            }
        }
        Err(format!(
            "Reset from {from} to {epoch}, which was not decided"
        ))
    }
}
