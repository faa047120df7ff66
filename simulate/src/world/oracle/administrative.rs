//! Does every message that no exchange sent stand once, at one place, for everybody?
//!
//! ```text
//!  what adapters placed ─► Roll ── the succession: who is active, and what stands where in its stream
//!  what applications were told ─► Tally (one per subscriber and sid), Assembly (one for all)
//! ```
//!
//! A message is (origin generation, number). The *succession* is what the actives placed, one behind the other: a
//! takeover that claims to be seamless may not change a place in it, any other may, once.

use std::collections::{BTreeMap, BTreeSet};

use twinfeed_protocol::{Leg, Place};
use twinfeed_wire::{Adm, AdminId, AdminMessage, BodyKind, ContextId, Epoch, Generation};
use twinfeed_wire::{Header, Record, Sid};

use super::placed::Placed;
use super::sorted::Sorted;
use super::witness::Judgement;
use super::{Copied, digest};

/// Where a message stands: behind this number, in this life of the source (counted from 0).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Spot {
    /// Which life.
    pub turn: usize,
    /// Behind which number.
    pub sseq: u64,
}

/// What adapters placed, and under which generations, by source.
#[derive(Debug, Default)]
pub struct Roll {
    streams: BTreeMap<Sid, Succession>,
}

/// One source's messages as its actives placed them.
#[derive(Debug, Default)]
struct Succession {
    /// Digest of every message that was ever sent.
    contents: BTreeMap<AdminId, u64>,
    /// Where it was sent, and in which memories of the past.
    spots: BTreeMap<(AdminId, Spot), BTreeSet<ContextId>>,
    /// By generation: how many messages of older ones are valid.
    inherited: BTreeMap<u32, u64>,
    /// What the process of each leg placed, active or not, and in which numbering.
    sent: [Vec<(Generation, AdminId, Spot)>; 2],
    /// Who is active, under which generation.
    active: Option<(Leg, Generation)>,
    /// What stands where; unknown, when only its number is.
    messages: Placed,
    /// The newest generation.
    newest: Generation,
    /// Whether the active may still differ from the one before it.
    may_differ: bool,
    /// In which memory of the past the process of each leg speaks.
    contexts: [Option<(Epoch, ContextId)>; 2],
    /// How many messages each leg's records count, and in whose numbering.
    counts: [Sorted<(Spot, u16), (u64, Generation)>; 2],
    /// How many they counted in an earlier process of the leg, where that was another number.
    counted_before: BTreeSet<(usize, Spot, u16, u64, Generation)>,
}

impl Succession {
    /// How many messages stand before a record of the source.
    fn count_before(&self, spot: Spot) -> u64 {
        self.messages.before(spot)
    }

    /// A datagram of `leg`, with whatever it says of how the epoch before ended.
    fn note_context(&mut self, leg: Leg, header: &Header, end_known: bool) {
        let here = (header.epoch, header.context);
        let before = self.contexts[leg.index()].replace(here);
        // Slots are counted in records: who lost some, in an epoch or at the end of it, places elsewhere what waits.
        let lost = before.is_some_and(|(epoch, context)| match epoch == here.0 {
            true => context != here.1,
            false => !end_known,
        });
        if lost && self.active == Some((leg, header.generation)) {
            self.may_differ = true;
        }
    }

    /// The active's next record. `over`: the source has left that life, so a message may come before a slot that the
    /// active never reached.
    fn follow(
        &mut self,
        header: &Header,
        record: &Record<'_>,
        (spot, over): (Spot, bool),
    ) -> Judgement {
        let (number, known) = (record.adm.0, self.messages.count());
        let id = AdminMessage::of(record).ok().map(|message| message.id());
        let agrees = match id {
            None => number == self.count_before(spot),
            Some(_) if number == known => true,
            Some(id) => self.messages.at(number) == Some((id, spot)),
        };
        if !agrees {
            let place = format!("{}.{} with adm {number}", record.sseq, record.part);
            let known = format!(
                "{} messages are known, {} before it",
                known,
                self.count_before(spot)
            );
            let excused = self.may_differ || over && id.is_some();
            if !excused {
                return Err(format!(
                    "the active of generation {} has {place}, but {known}",
                    header.generation
                ));
            }
            self.may_differ = false;
            let kept = self.count_before(spot).min(number);
            self.messages.truncate(kept);
            for _ in kept..number {
                self.messages.push(None);
            }
        }
        if id.is_none() && self.messages.count() == number {
            // It has passed everything that the one before it had.
            self.may_differ = false;
        }
        if let Some(id) = id.filter(|_| self.messages.count() == number) {
            self.messages.push(Some((id, spot)));
        }
        Ok(())
    }
}

impl Roll {
    /// The adapter of `leg` opened a generation as its active.
    pub fn note_opened(
        &mut self,
        leg: Leg,
        sid: Sid,
        generation: Generation,
        inherited: Adm,
        seamless: bool,
    ) {
        let stream = self.streams.entry(sid).or_default();
        stream.inherited.insert(generation.0, inherited.0);
        if stream.newest < generation {
            stream.newest = generation;
            stream.active = Some((leg, generation));
            if !seamless {
                stream.may_differ = true;
                stream.messages.truncate(inherited.0);
            }
            // What it had agreed to, it may have placed before the one that is gone did.
            for &(of, id, spot) in &stream.sent[leg.index()] {
                let before = of.0 + 1 == generation.0;
                if before && id.number.0 == stream.messages.count() {
                    stream.messages.push(Some((id, spot)));
                }
            }
        }
    }

    /// The process of `leg` is gone.
    pub fn note_death(&mut self, leg: Leg) {
        for stream in self.streams.values_mut() {
            stream.sent[leg.index()].clear();
            stream.contexts[leg.index()] = None;
            // Whoever succeeds it says what it inherits.
            stream.active = stream.active.filter(|(active, _)| *active != leg);
        }
    }

    /// The adapter of `leg` sent a datagram; `end_known`: not without saying how the epoch before ended.
    pub fn note_datagram(&mut self, leg: Leg, header: &Header, end_known: bool) {
        let stream = self.streams.entry(header.sid).or_default();
        stream.note_context(leg, header, end_known);
    }

    /// The adapter of `leg` sent a record that stands at `spot`; `over`: the source has ended or left that life.
    pub fn note_sent(
        &mut self,
        leg: Leg,
        header: &Header,
        record: &Record<'_>,
        (spot, over): (Spot, bool),
    ) -> Judgement {
        let stream = self.streams.entry(header.sid).or_default();
        if record.kind == BodyKind::Administrative {
            let message = AdminMessage::of(record)
                .map_err(|wrong| format!("adapter {leg} sent no message: {wrong}"))?;
            let content = digest(0, record.body);
            let before = stream.contents.insert(message.id(), content);
            if before.is_some_and(|before| before != content) {
                return Err(format!("one message, two contents: {:?}", message.id()));
            }
            if record.prev != record.sseq || record.part != 0 {
                return Err(format!("{:?} stands at no place", message.id()));
            }
            let id = message.id();
            let inherited = stream.inherited.get(&id.generation.0);
            if inherited.is_some_and(|inherited| id.number.0 < *inherited) {
                return Err(format!(
                    "{id:?} is named by a generation that inherited its number"
                ));
            }
            let contexts = stream.spots.entry((message.id(), spot)).or_default();
            contexts.insert(header.context);
            let placed = (header.generation, message.id(), spot);
            stream.sent[leg.index()].push(placed);
        }
        if record.kind != BodyKind::Administrative {
            let (counts, place) = (&mut stream.counts[leg.index()], (spot, record.part));
            let count = (record.adm.0, header.generation);
            let before = counts.insert(place, count);
            if let Some((adm, generation)) = before.filter(|before| *before != count) {
                let before = (leg.index(), spot, record.part, adm, generation);
                stream.counted_before.insert(before);
            }
        }
        if stream.active == Some((leg, header.generation)) {
            stream.follow(header, record, (spot, over))?;
        }
        Ok(())
    }

    /// How many messages were ever placed.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let placed = self.streams.values().map(|stream| stream.contents.len());
        placed.sum::<usize>() as u64
    }

    /// How many messages the actives have placed before the record of the source at `spot`.
    #[must_use]
    pub fn count_before(&self, sid: Sid, spot: Spot) -> u64 {
        let stream = self.streams.get(&sid);
        stream.map_or(0, |stream| stream.count_before(spot))
    }

    /// How many messages the record at this place counts in the stream of `leg`, and in whose numbering.
    fn counted(&self, sid: Sid, leg: Leg, (spot, part): (Spot, u16)) -> Option<(u64, Generation)> {
        let counts = &self.streams.get(&sid)?.counts[leg.index()];
        counts.get((spot, part)).copied()
    }

    /// Whether a process of `leg` sent the record at this place with that count, in a numbering that fits.
    fn counts_so(
        &self,
        (sid, leg): (Sid, Leg),
        (spot, part): (Spot, u16),
        adm: u64,
        fits: impl Fn(Generation) -> bool,
    ) -> bool {
        let last = self.counted(sid, leg, (spot, part));
        if last.is_some_and(|(last, generation)| last == adm && fits(generation)) {
            return true;
        }
        let count = |generation| (leg.index(), spot, part, adm, Generation(generation));
        let before = self.streams.get(&sid).map(|stream| &stream.counted_before);
        let before = before.map(|it| it.range(count(0)..=count(u32::MAX)));
        before.is_some_and(|mut it| it.any(|count| fits(count.4)))
    }

    /// Whether this is the message of its number that the actives placed.
    fn is_in_place(&self, sid: Sid, id: AdminId) -> bool {
        let stream = self.streams.get(&sid);
        let there = stream.and_then(|it| it.messages.at(id.number.0));
        matches!(there, Some((known, _)) if known == id)
    }

    /// Whether the actives placed this message, and there.
    fn stands(&self, sid: Sid, id: AdminId, spot: Spot) -> bool {
        let stream = self.streams.get(&sid);
        stream.is_some_and(|it| it.messages.at(id.number.0) == Some((id, spot)))
    }

    /// Whether a message was sent at both places by adapters with one memory of the past: slots are counted in
    /// records, and who lost some places it elsewhere.
    fn moved(&self, sid: Sid, id: AdminId, one: Spot, other: Spot) -> bool {
        let stream = self.streams.get(&sid);
        let contexts = |spot| stream.and_then(|it| it.spots.get(&(id, spot)));
        match (contexts(one), contexts(other)) {
            (Some(one), Some(other)) => !one.is_disjoint(other),
            _ => true,
        }
    }

    /// How many messages of generations before this one are valid.
    fn inherited(&self, sid: Sid, generation: Generation) -> Option<u64> {
        self.streams
            .get(&sid)?
            .inherited
            .get(&generation.0)
            .copied()
    }

    fn content(&self, sid: Sid, id: AdminId) -> Option<u64> {
        self.streams.get(&sid)?.contents.get(&id).copied()
    }
}

/// What one application was told of the messages of one source.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The number of the next message; not known before the first record, and behind a discontinuity.
    next: Option<u64>,
    /// What was the next one before a discontinuity that nothing followed yet.
    left: Option<u64>,
    /// A discontinuity was told, and since then nothing that counts as the succession does.
    apart: bool,
    /// From which number on the last discontinuity was told: records behind it may count less, and messages among them come late.
    recounted: Option<u64>,
    told: BTreeSet<AdminId>,
    numbers: BTreeSet<u64>,
    /// The message told last.
    newest: Option<AdminId>,
    /// The last record of the source that was told.
    last: Option<Spot>,
    /// The newest generation that a discontinuity may have told of.
    declared: Generation,
}

/// What is known of a record's or a message's place.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Whose.
    pub sid: Sid,
    /// Where it stands.
    pub spot: Spot,
    /// The truth.
    pub roll: &'a Roll,
    /// The newest generation of which the subscriber knows what it inherited.
    pub generation: Generation,
    /// Whether a heartbeat of this epoch, or a record of a leg in step, counts the messages that were told.
    pub vouched: bool,
    /// Whether the source has an order.
    pub ordered: bool,
    /// The first record of the source that was neither told nor declared.
    pub owed: Place,
}

impl Tally {
    /// The number of the next message, once that is known.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// The numbering of the source begins anew; with the join, the count of messages does, too.
    pub fn begin(&mut self, joins: bool) {
        (self.last, self.recounted) = (None, None);
        self.apart |= joins;
    }

    /// A record of the source was told.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn record(&mut self, record: &Copied, here: Standing<'_>) -> Judgement {
        let Standing {
            sid, spot, roll, ..
        } = here;
        let counted = roll.counted(sid, record.leg, (spot, record.pos.part));
        let right = roll.count_before(sid, spot);
        if let Some(left) = self.left.take()
            && counted == Some((left, here.generation))
            && right == left
            && self.is_right(sid, left, roll)
        {
            return Err(format!(
                "Discontinuity in front of {}, which counts {left} messages as was told",
                record.place()
            ));
        }
        if self.apart {
            // Who does not know yet how the newest numbering counts is told as the numbering before did.
            self.next = Some(record.adm.0);
        }
        let next = *self.next.get_or_insert(record.adm.0);
        if record.adm.0 != next {
            return Err(format!(
                "record {} is told behind {} messages, {next} were",
                record.place(),
                record.adm
            ));
        }
        // Who counts otherwise may fill a hole whose sides count alike, or bring the rest of a message.
        let other = roll.counted(sid, record.leg.other(), (spot, record.pos.part));
        let (stream, place) = ((sid, record.leg), (spot, record.pos.part));
        let current = |generation| generation == here.generation;
        // Two processes of an adapter may have counted otherwise at one place: its last word is meant.
        let leads = right == next && counted.is_some_and(|(adm, of)| adm == next && current(of));
        let other = other.map(|(adm, _)| adm);
        let alike = right == next || other == Some(next) || here.vouched;
        let fills = alike || record.pos.part > 0;
        if here.ordered && !roll.counts_so(stream, place, next, |_| true) && !fills && !self.apart {
            let counted = counted.map(|(adm, _)| adm);
            return Err(format!(
                "record {} counts {counted:?} messages, {next} were told",
                record.place()
            ));
        }
        self.apart &= !leads;
        self.last = self.last.max(Some(spot));
        Ok(())
    }

    /// A message was told.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn message(&mut self, record: &Copied, here: Standing<'_>) -> Judgement {
        let Standing {
            sid, spot, roll, ..
        } = here;
        let Some(id) = record.admin else {
            return Err(format!("record {} is no message", record.place()));
        };
        let (number, name) = (id.number.0, name(id));
        if roll.content(sid, id) != Some(record.content) {
            return Err(format!("{name} was never sent so"));
        }
        if !self.told.insert(id) {
            return Err(format!("{name} was told before"));
        }
        if let Some(left) = self.left.take()
            && number == left
            && self.last.is_none_or(|last| last <= spot)
            && roll.stands(sid, id, spot)
            && self.is_right(sid, left, roll)
        {
            return Err(format!("Discontinuity in front of {name}, which is next"));
        }
        if self.apart {
            self.next = Some(number);
        }
        let next = *self.next.get_or_insert(number);
        if number != next {
            return Err(format!("{name} was told, {next} is the next number"));
        }
        self.stands_here(&name, here)?;
        let inherited = roll.inherited(sid, here.generation);
        if id.generation < here.generation && inherited.is_some_and(|it| number >= it) {
            return Err(format!(
                "{name} was told under generation {}, which inherits {inherited:?}",
                here.generation
            ));
        }
        self.newest = Some(id);
        self.numbers.insert(number);
        self.next = Some(number + 1);
        Ok(())
    }

    /// Whether everything in front of the message's place was told, and nothing behind it.
    fn stands_here(&self, name: &str, here: Standing<'_>) -> Judgement {
        let Standing { spot, owed, .. } = here;
        if !here.ordered {
            return Ok(());
        }
        if owed <= Place::start(spot.sseq) {
            return Err(format!(
                "{name} stands behind {}, {owed} is open",
                spot.sseq
            ));
        }
        let late = self.recounted.is_some_and(|from| spot.sseq >= from);
        match self
            .last
            .filter(|last| *last > spot && !self.apart && !late)
        {
            Some(last) => Err(format!(
                "{name} stands behind {}, {} was told",
                spot.sseq, last.sseq
            )),
            None => Ok(()),
        }
    }

    /// Whether what was told is what the actives placed, as far as the last message says.
    fn is_right(&self, sid: Sid, next: u64, roll: &Roll) -> bool {
        self.newest
            .is_none_or(|newest| newest.number.0 + 1 == next && roll.is_in_place(sid, newest))
    }

    /// Messages were declared missing; `arrived`: those that came, in the numbering in force.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn gap(&mut self, from: u64, until: u64, arrived: impl Fn(u64) -> bool) -> Judgement {
        let next = self.next.filter(|_| !self.apart);
        if next.is_some_and(|next| next != from) || until <= from {
            return Err(format!(
                "AdministrativeGap {from} to {until}, but the next is {:?}",
                self.next
            ));
        }
        let mut missing = (from..until).filter(|number| !self.numbers.contains(number));
        if let Some(number) = missing.find(|&number| arrived(number)) {
            return Err(format!(
                "AdministrativeGap {from} to {until}: {number} has arrived"
            ));
        }
        self.next = Some(until);
        Ok(())
    }

    /// Another process goes on; `count`: what it kept of how many messages were told or declared, if that was known. Where it was
    /// not, and what was decided `may_be_void`, none of them needs to have been told.
    ///
    /// # Errors
    /// When that is another count.
    pub fn resume(&mut self, count: Option<Adm>, may_be_void: bool) -> Judgement {
        let Some(count) = count else {
            if may_be_void {
                self.told.clear();
                self.numbers.clear();
            }
            (self.next, self.left, self.apart) = (None, None, true);
            return Ok(());
        };
        match self.next {
            Some(next) if next == count.0 => Ok(()),
            // The snapshot said it, behind which nothing came.
            None if may_be_void => {
                self.next = Some(count.0);
                Ok(())
            }
            _ => Err(format!("kept {count:?} messages, of {:?}", self.next)),
        }
    }

    /// The application begins behind so many messages, none of which it was told, and behind this record.
    pub fn begin_behind(&mut self, count: Option<Adm>, last: Option<Spot>) {
        (self.next, self.last) = (count.map(|count| count.0), last);
    }

    /// Another memory of the past: what stands where, and how much, is its own.
    pub fn elsewhere(&mut self) {
        self.apart = true;
    }

    /// What follows counts otherwise. `newest`: the newest generation of which is known what it inherited; none: that
    /// of one before it is not.
    pub fn discontinuity(
        &mut self,
        (sid, at): (Sid, Place),
        newest: Option<Generation>,
        roll: &Roll,
    ) {
        self.recounted = Some(at.sseq);
        let next = self.next.take().or(self.left);
        let excused = newest.is_none_or(|newest| {
            let fresh = newest > self.declared;
            self.declared = self.declared.max(newest);
            fresh && roll.inherited(sid, newest) < next
        });
        // Who was told so before, and of nothing that counts as the succession since, is not told anything untrue.
        self.left = next.filter(|_| !excused && !self.apart);
        self.apart = true;
    }
}

fn name(id: AdminId) -> String {
    format!("message {} of generation {}", id.number, id.generation)
}

/// Where messages stand for everybody who was told of them.
#[derive(Debug, Default)]
pub struct Assembly {
    places: BTreeMap<(Sid, AdminId), Spot>,
    /// Messages that were told at a place at which the active has them.
    pub at_the_active: u64,
}

impl Assembly {
    /// An application was told a message.
    ///
    /// # Errors
    /// Another one was told that it stands elsewhere.
    pub fn told(&mut self, record: &Copied, spot: Option<Spot>, roll: &Roll) -> Judgement {
        let (Some(id), Some(here)) = (record.admin, spot) else {
            return Ok(());
        };
        let sid = record.pos.sid;
        let there = *self.places.entry((sid, id)).or_insert(here);
        self.at_the_active += u64::from(roll.stands(sid, id, here));
        if there == here || !roll.moved(sid, id, here, there) {
            return Ok(());
        }
        let name = name(id);
        Err(format!(
            "{name} stands behind {} of life {}, and behind {} of life {} for another",
            here.sseq, here.turn, there.sseq, there.turn
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

    use twinfeed_wire::{AdminKind, RecordFlags, StoredAdmin};

    use super::*;

    const SID: Sid = Sid(1);

    fn header(generation: u32, epoch: u64, context: u64) -> Header {
        Header {
            sid: SID,
            generation: Generation(generation),
            epoch: Epoch(epoch),
            context: ContextId(context),
            ..Header::default()
        }
    }

    fn record<'a>(kind: BodyKind, sseq: u64, adm: u64, body: &'a [u8]) -> Record<'a> {
        let prev = if kind == BodyKind::Administrative {
            sseq
        } else {
            sseq - 1
        };
        Record {
            kind,
            flags: RecordFlags::LAST,
            part: 0,
            sseq,
            prev,
            adm: Adm(adm),
            body,
        }
    }

    /// Leg 0 placed a message behind number 10 of epoch 7, went on, and is gone; leg 1, in the same memory of the past, has
    /// succeeded it with that message, and not reached its place.
    fn succeeded() -> Roll {
        let mut roll = Roll::default();
        let spot = Spot { turn: 0, sseq: 10 };
        roll.note_opened(Leg::Zero, SID, Generation(1), Adm(0), false);
        let id = AdminId {
            generation: Generation(1),
            number: Adm(0),
        };
        let message = StoredAdmin::new(id, AdminKind::OperatorNotice, b"x").unwrap();
        let placed = record(BodyKind::Administrative, 10, 0, message.bytes());
        for leg in [Leg::Zero, Leg::One] {
            roll.note_datagram(leg, &header(1, 7, 5), true);
        }
        roll.note_sent(Leg::Zero, &header(1, 7, 5), &placed, (spot, false))
            .unwrap();
        let behind = record(BodyKind::Opaque, 11, 1, b"");
        let spot = Spot { turn: 0, sseq: 11 };
        roll.note_sent(Leg::Zero, &header(1, 7, 5), &behind, (spot, false))
            .unwrap();
        roll.note_death(Leg::Zero);
        roll.note_opened(Leg::One, SID, Generation(2), Adm(1), true);
        roll
    }

    /// Leg 1's next record does not count the message, in this epoch and context.
    fn goes_on_without(roll: &mut Roll, epoch: u64, context: u64) -> Judgement {
        let turn = (epoch - 7) as usize;
        let spot = Spot { turn, sseq: 20 };
        let next = record(BodyKind::Opaque, 20, 0, b"");
        roll.note_sent(Leg::One, &header(2, epoch, context), &next, (spot, false))
    }

    #[test]
    fn a_successor_places_what_it_inherits_where_it_was() {
        let mut roll = succeeded();
        roll.note_datagram(Leg::One, &header(2, 7, 5), true);
        assert!(goes_on_without(&mut roll, 7, 5).is_err());
        let mut roll = succeeded();
        roll.note_datagram(Leg::One, &header(2, 8, 6), true);
        assert!(goes_on_without(&mut roll, 8, 6).is_err());
    }

    #[test]
    fn a_successor_that_lost_something_before_its_first_record_places_it_elsewhere() {
        let mut roll = succeeded();
        roll.note_datagram(Leg::One, &header(2, 7, 6), true);
        assert_eq!(goes_on_without(&mut roll, 7, 6), Ok(()));
        let mut roll = succeeded();
        roll.note_datagram(Leg::One, &header(2, 8, 6), false);
        assert_eq!(goes_on_without(&mut roll, 8, 6), Ok(()));
    }
}
