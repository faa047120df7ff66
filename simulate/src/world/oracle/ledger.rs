//! What is the truth?
//!
//! Per source stream the lives of its numbering as the source spoke them; per context every record as an
//! adapter sent it. On the way the ledger checks the adapters: parts put together again are the bodies
//! that were converted, `prev` names the number before, and two adapters under one context send the same.

use std::collections::{BTreeMap, VecDeque};

use twinfeed_protocol::{Leg, Place};
use twinfeed_wire::{Adm, BodyKind, ContextId, Datagram, Epoch, Generation, Header, Record};
use twinfeed_wire::{RecordFlags, Sid};

use super::administrative::{Roll, Spot};
use super::digest;
use super::sorted::Sorted;
use super::streams::Streams;
use crate::world::adapters::Converted;
use crate::world::exchange::Life;

/// Everything that sources said and adapters sent.
#[derive(Debug, Default)]
pub struct Ledger {
    lives: Sorted<Sid, Vec<Life>>,
    contexts: Sorted<(Sid, Epoch, ContextId), Context>,
    benches: Sorted<(usize, Sid), Bench>,
    faults: Vec<String>,
    roll: Roll,
    streams: Streams,
    /// Whether a backup may withhold what it converted.
    withholds: bool,
    /// Whether an adapter ever converted wrongly.
    misconverted: bool,
}

impl Context {
    /// Whether the adapter of `leg` may have sent this at `place`; `None`: nobody sent anything there.
    #[must_use]
    pub fn sent(&self, leg: Leg, place: Place, what: Sent) -> Option<bool> {
        let first = self.records.get(place)?;
        let apart = self.apart.get(&(place, leg.index()));
        Some(*first == what || apart.is_some_and(|sent| sent.contains(&what)))
    }

    /// Whether two adapters sent different things in this range of 4,096 numbers.
    #[must_use]
    pub fn differs_in(&self, range: u64) -> bool {
        let from = (Place::start(range * 4_096), 0);
        let until = (Place::start((range + 1) * 4_096), 0);
        self.apart.range(from..until).next().is_some()
    }
}

/// One context and what was sent under it.
#[derive(Debug)]
pub struct Context {
    /// First number converted.
    pub first: u64,
    /// Whether it reaches back to the source's own first number.
    pub complete: bool,
    /// Numbers given up.
    pub abandoned: u32,
    /// Records by place, as they were sent first.
    pub records: Sorted<Place, Sent>,
    /// What the adapter of a leg sent otherwise, while one converted wrongly.
    apart: BTreeMap<(Place, usize), Vec<Sent>>,
}

/// One record as an adapter sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sent {
    /// What the body is.
    pub kind: BodyKind,
    /// Last part, continued body.
    pub flags: RecordFlags,
    /// Digest of the body.
    pub content: u64,
}

/// What one adapter converted and has not been seen to send.
#[derive(Debug, Default)]
struct Bench {
    waiting: VecDeque<(Epoch, Place, BodyKind, u64, bool)>,
    partial: u64,
    partial_open: bool,
}

impl Ledger {
    /// An adapter converts wrongly.
    pub fn note_misconversion(&mut self) {
        self.misconverted = true;
    }

    /// A backup may withhold what it converted.
    pub fn allow_withholding(&mut self) {
        self.withholds = true;
    }

    /// The source's lives, as far as they have come.
    pub fn note_lives(&mut self, sid: Sid, lives: &[Life]) {
        let known = self.lives.get_or_default(sid);
        for (index, life) in lives.iter().enumerate() {
            match known.get_mut(index) {
                Some(old) if index + 1 < lives.len() && old.ended == life.ended => {}
                // What was said stays said: only what is new is taken over.
                Some(old) => {
                    old.ended = life.ended;
                    old.speaks
                        .extend_from_slice(&life.speaks[old.speaks.len()..]);
                }
                None => known.push(life.clone()),
            }
        }
    }

    /// What an adapter converted.
    pub fn note_converted(&mut self, converted: Converted<'_>) {
        let bench = self
            .benches
            .get_or_default((converted.leg.index(), converted.sid));
        let count = converted.bodies.count();
        for (index, (kind, bytes)) in converted.bodies.iter().enumerate() {
            let place = Place {
                sseq: converted.sseq,
                part: index as u16,
            };
            bench.waiting.push_back((
                converted.epoch,
                place,
                kind,
                digest(0, bytes),
                index + 1 == count,
            ));
        }
    }

    /// The adapter was killed: what it had not sent, it will not.
    pub fn note_death(&mut self, leg: Leg) {
        self.benches.retain(|(index, _)| index != leg.index());
        self.roll.note_death(leg);
        self.streams.note_death(leg);
    }

    /// What an adapter sent.
    pub fn note_sent(&mut self, leg: Leg, bytes: &[u8]) {
        let datagram = match Datagram::parse(bytes) {
            Ok(datagram) => datagram,
            Err(malformed) => {
                self.faults
                    .push(format!("adapter {leg} sent what is malformed: {malformed}"));
                return;
            }
        };
        let header = datagram.header();
        let life = self.lives.get(header.sid);
        let life = life.and_then(|lives| lives.iter().find(|life| life.epoch == header.epoch));
        if let Err(fault) = self.streams.note(leg, &datagram, life) {
            self.faults.push(fault);
        }
        let key = (header.sid, header.epoch, header.context);
        let context = self.contexts.get_or_insert_with(key, || Context {
            first: header.first,
            complete: header.is_complete(),
            abandoned: header.abandoned,
            records: Sorted::default(),
            apart: BTreeMap::new(),
        });
        if context.first != header.first || context.complete != header.is_complete() {
            self.faults
                .push(format!("one context id, two contexts: {header:?}"));
        }
        let heartbeat = datagram.heartbeat();
        let end_known = heartbeat.is_some_and(|it| it.beat.predecessor_next > 0);
        self.roll.note_datagram(leg, header, end_known);
        for record in datagram.records() {
            self.note_record(leg, header, &record);
        }
    }

    /// The adapter of `leg` opened a generation as its active.
    pub fn note_opened(
        &mut self,
        leg: Leg,
        sid: Sid,
        generation: Generation,
        inherited: Adm,
        seamless: bool,
    ) {
        self.roll
            .note_opened(leg, sid, generation, inherited, seamless);
    }

    /// Where every stream stands.
    #[must_use]
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// The adapter of `leg` takes over another numbering.
    pub fn note_renumbered(&mut self, leg: Leg, sid: Sid) {
        self.streams.note_renumbered(leg, sid);
    }

    /// An adapter did wrong.
    pub fn complain(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// What adapters placed that no source said.
    #[must_use]
    pub fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Which life of the source an epoch is, and a number in it.
    #[must_use]
    pub fn spot(&self, sid: Sid, epoch: Epoch, sseq: u64) -> Option<Spot> {
        let mut lives = self.lives(sid).iter();
        let turn = lives.position(|life| life.epoch == epoch)?;
        Some(Spot { turn, sseq })
    }

    fn note_record(&mut self, leg: Leg, header: &Header, record: &Record<'_>) {
        let last = self.lives(header.sid).last();
        let over = last.is_some_and(|last| last.epoch != header.epoch || last.ended);
        if let Some(spot) = self.spot(header.sid, header.epoch, record.sseq)
            && let Err(fault) = self.roll.note_sent(leg, header, record, (spot, over))
        {
            let fault = format!("sid {}: {fault}", header.sid);
            self.faults.push(fault);
        }
        if record.kind == BodyKind::Administrative {
            return;
        }
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        let sent = Sent {
            kind: record.kind,
            flags: record.flags,
            content: digest(0, record.body),
        };
        let key = (header.sid, header.epoch, header.context);
        if let Some(context) = self.contexts.get_mut(key) {
            let first = *context.records.get_or_insert_with(place, || sent);
            if first != sent && self.misconverted {
                context
                    .apart
                    .entry((place, leg.index()))
                    .or_default()
                    .push(sent);
            } else if first != sent {
                self.faults.push(format!(
                    "sid {} {place}: one context, two contents",
                    header.sid
                ));
            }
        }
        if !self.vouches_rightly(header, record) {
            self.faults.push(format!(
                "sid {} {place}: wrong prev {}",
                header.sid, record.prev
            ));
        }
        self.put_together(leg, header, record, sent.content);
    }

    /// Whether no number between `prev` and the record carries records.
    fn vouches_rightly(&self, header: &Header, record: &Record<'_>) -> bool {
        let Some(life) = self.life(header.sid, header.epoch) else {
            return false;
        };
        let between = record.prev + 1..record.sseq;
        record.prev < record.sseq
            && record.prev + 1 >= header.first
            && between.into_iter().all(|number| !life.speaks_at(number))
    }

    /// `content`: the digest of the record's body by itself.
    fn put_together(&mut self, leg: Leg, header: &Header, record: &Record<'_>, content: u64) {
        let sid = header.sid;
        let bench = self.benches.get_or_default((leg.index(), sid));
        bench.partial = match bench.partial_open && record.part > 0 {
            true => digest(bench.partial, record.body),
            false => content,
        };
        bench.partial_open = record.flags.has(RecordFlags::CONTINUED);
        if bench.partial_open {
            return;
        }
        if self.withholds {
            // What the active has reported is never sent by a backup on standby.
            let here = (header.epoch, record.sseq);
            let over = |waiting: &(Epoch, Place, BodyKind, u64, bool)| {
                waiting.0 != here.0 || waiting.1.sseq < here.1
            };
            while bench.waiting.front().is_some_and(over) {
                bench.waiting.pop_front();
            }
        }
        // What is sent after all may begin within a message: of that one nothing is known.
        let of_this = |waiting: &(Epoch, Place, BodyKind, u64, bool)| waiting.1.sseq == record.sseq;
        let torn = self.withholds && record.part > 0;
        if torn && !bench.waiting.front().is_some_and(of_this) {
            return;
        }
        let (whole, expected) = (bench.partial, bench.waiting.pop_front());
        let right = expected.is_some_and(|(_, place, kind, content, last)| {
            place.sseq == record.sseq
                && place.part <= record.part
                && kind == record.kind
                && content == whole
                && last == record.is_last()
        });
        if !right && torn {
            while bench.waiting.front().is_some_and(of_this) {
                bench.waiting.pop_front();
            }
        } else if !right {
            self.faults.push(format!(
                "adapter {leg} sid {sid} {}.{}: sent is not what was converted: {expected:?}",
                record.sseq, record.part
            ));
        }
    }

    /// What adapters did wrong so far.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The lives of one source, oldest first.
    #[must_use]
    pub fn lives(&self, sid: Sid) -> &[Life] {
        self.lives.get(sid).map_or(&[], Vec::as_slice)
    }

    /// One life.
    #[must_use]
    pub fn life(&self, sid: Sid, epoch: Epoch) -> Option<&Life> {
        self.lives(sid).iter().find(|life| life.epoch == epoch)
    }

    /// One context.
    #[must_use]
    pub fn context(&self, sid: Sid, epoch: Epoch, context: ContextId) -> Option<&Context> {
        self.contexts.get((sid, epoch, context))
    }

    /// Whether two adapters sent different things in this range of 4,096 numbers, in whatever context; or one that converts
    /// wrongly may have withheld its own.
    #[must_use]
    pub fn differ_in(&self, sid: Sid, epoch: Epoch, range: u64) -> bool {
        let mut contexts = self.contexts.iter();
        let sent = contexts
            .any(|(key, context)| (key.0, key.1) == (sid, epoch) && context.differs_in(range));
        sent || self.misconverted && self.withholds
    }

    /// Whether any adapter sent a record of the epoch that stands at `place` or behind it.
    #[must_use]
    pub fn is_sent_from(&self, sid: Sid, epoch: Epoch, place: Place) -> bool {
        let of = (sid, epoch, ContextId(0))..(sid, epoch, ContextId(u64::MAX));
        let mut contexts = self.contexts.range(of).iter();
        contexts.any(|(_, context)| context.records.last() >= Some(place))
    }

    /// The first place at or behind `place` that the source's numbering owes a record to: covered numbers
    /// are passed over.
    #[must_use]
    pub fn owed(&self, sid: Sid, epoch: Epoch, place: Place) -> Place {
        let Some(life) = self.life(sid, epoch) else {
            return place;
        };
        let mut owed = place;
        while owed.part == 0 && life.is_covered(owed.sseq) {
            owed = Place::start(owed.sseq + 1);
        }
        owed
    }
}
