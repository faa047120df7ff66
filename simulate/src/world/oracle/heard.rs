//! What reached one subscriber of one source stream, on which leg, and when?
//!
//! Only records as an adapter sent them count; those of a forged datagram must change nothing. But a
//! datagram on the right stream is a sign of life and says what its flags say, absurd numbers or not.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Cursor, LegState, Place};
use twinfeed_wire::Record;
use twinfeed_wire::{
    BodyKind, ContextId, Datagram, Dsn, Epoch, Flags, Generation, Incarnation, Sid,
};

use super::sorted::Sorted;

/// What was heard on one leg.
#[derive(Clone, Debug)]
pub struct LegHeard {
    /// When it was last heard.
    pub last: Option<Time>,
    /// The epoch it last spoke of.
    pub epoch: Epoch,
    /// The context it last spoke in.
    pub context: ContextId,
    /// Whether that was complete.
    pub complete: bool,
    /// The furthest number it vouched for in that epoch.
    pub progress: u64,
    /// The same without what only a message behind it shows: of that number nothing came.
    pub brought: u64,
    /// The furthest number that its heartbeats vouched for in that epoch.
    pub vouched: u64,
    /// Whether anything of what it said in that epoch is believed.
    pub believed: bool,
    /// The generation that it spoke in last.
    generation: Generation,
    /// Whether a heartbeat of it took back what it had vouched for in that epoch.
    pub stepped_back: bool,
    /// Its state by the arbiter's own word.
    pub state: LegState,
    /// Whether it ever announced its end in this incarnation.
    pub stepped_down: bool,
    /// Whether it was called lost before it did.
    pub lost_before: bool,
    /// Whether it ever said that its peer was gone.
    pub said_peer_lost: bool,
    /// Whether it ever said that its source was silent.
    pub said_stale: bool,
    /// Whether it said last that it is silent on purpose.
    pub standby: bool,
    /// How many administrative messages its last heartbeat counts, and in whose numbering.
    pub adm: (u64, Generation),
    /// When it first counted so.
    pub counted_at: Time,
    incarnations: Vec<Incarnation>,
    highest_dsn: u64,
    /// The same, those that nobody sent included.
    furthest_dsn: u64,
    /// The newest datagram that said so: what it has overtaken takes nothing of that back.
    standby_dsn: u64,
    dsns: Sorted<u64, ()>,
}

impl Default for LegHeard {
    fn default() -> Self {
        Self {
            last: None,
            epoch: Epoch::NONE,
            context: ContextId(0),
            complete: false,
            progress: 0,
            brought: 0,
            vouched: 0,
            believed: false,
            generation: Generation(0),
            stepped_back: false,
            state: LegState::Unheard,
            stepped_down: false,
            lost_before: false,
            said_peer_lost: false,
            said_stale: false,
            standby: false,
            adm: (0, Generation(0)),
            counted_at: Time::ZERO,
            incarnations: Vec::new(),
            highest_dsn: 0,
            furthest_dsn: 0,
            standby_dsn: 0,
            dsns: Sorted::default(),
        }
    }
}

/// Both legs of one source stream at one subscriber.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// By leg.
    pub legs: [LegHeard; 2],
    /// Every record that arrived, per context, with the leg and time of its first arrival.
    pub records: Sorted<(Epoch, ContextId), Sorted<Place, ()>>,
    /// The same, and those in copies that had reason to be refused.
    pub glimpsed: Sorted<(Epoch, ContextId), Sorted<Place, ()>>,
    /// Ranges of whose content the newest heartbeats of each leg told.
    ranges: BTreeMap<(Epoch, ContextId, u64), [bool; 2]>,
    /// Records that arrived again, in another datagram.
    pub again: u64,
    /// Epochs spoken of.
    pub epochs: BTreeSet<Epoch>,
    /// Which epoch a datagram names as the one before its own, or its leg was in before.
    successions: BTreeSet<(Epoch, Epoch)>,
    /// Numbers of administrative messages that arrived, by the numbering in which they stand.
    pub admins: BTreeMap<(Epoch, ContextId, Generation), BTreeSet<u64>>,
    /// Up to where heartbeats vouched.
    beats: BTreeMap<(Epoch, ContextId), u64>,
    /// How many administrative messages heartbeats counted in an epoch.
    counts: Sorted<(Epoch, u64), ()>,
    /// How far anything that came reached in an epoch, and when it did first.
    strides: BTreeMap<Epoch, VecDeque<(Time, u64)>>,
    /// Where epochs ended, as the next ones say.
    ends: BTreeMap<Epoch, u64>,
    cuts: Cuts,
}

/// Which generations were heard of, and of which it is known what they inherited.
#[derive(Clone, Debug, Default)]
struct Cuts {
    /// Generations whose heartbeats arrived.
    known: BTreeSet<Generation>,
    /// Generations of which anything arrived.
    heard: BTreeSet<Generation>,
    /// The newest known one.
    newest: Generation,
    /// Whether one is not known between the first that was heard of and the last.
    lacks: bool,
}

impl Cuts {
    /// Something of `generation` arrived; whether it was a heartbeat.
    fn note(&mut self, generation: Generation, beat: bool) {
        let new = self.heard.insert(generation) | (beat && self.known.insert(generation));
        if !new {
            return;
        }
        self.newest = self.known.last().copied().unwrap_or_default();
        let (first, last) = (self.heard.first(), self.heard.last());
        let between = first.map_or(1, |it| it.0 + 1)..=last.map_or(0, |it| it.0);
        self.lacks = between
            .into_iter()
            .any(|it| !self.known.contains(&Generation(it)));
    }
}

impl Heard {
    /// The newest generation of which it is known what it inherited.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.cuts.newest
    }

    /// The newest generation that anybody spoke under, believed or not.
    #[must_use]
    pub fn spoken(&self) -> Generation {
        self.cuts.heard.last().copied().unwrap_or_default()
    }

    /// Whether a heartbeat counted so many administrative messages in this epoch.
    #[must_use]
    pub fn counts(&self, epoch: Epoch, adm: u64) -> bool {
        self.counts.contains((epoch, adm))
    }

    /// Up to which number a heartbeat of this context vouched.
    #[must_use]
    pub fn vouched(&self, epoch: Epoch, context: ContextId) -> u64 {
        self.beats.get(&(epoch, context)).copied().unwrap_or(0)
    }

    /// Whether anything that arrived says that `later` came behind `earlier`, however many epochs lie between them.
    #[must_use]
    pub fn says_order(&self, earlier: Epoch, later: Epoch) -> bool {
        let (mut behind, mut at) = (vec![earlier], 0);
        while let Some(&before) = behind.get(at) {
            let next = self
                .successions
                .range((before, Epoch(0))..=(before, Epoch(u64::MAX)));
            let new: Vec<_> = next
                .map(|&(_, after)| after)
                .filter(|it| !behind.contains(it))
                .collect();
            behind.extend(new);
            at += 1;
        }
        behind.contains(&later)
    }

    /// What the cursor of an earlier run says.
    pub fn remember(&mut self, cursor: &Cursor) {
        let epoch = cursor.next.epoch;
        if cursor.predecessor.is_some() {
            self.successions.insert((cursor.predecessor, epoch));
        }
        if let Some((_, generation)) = cursor.count {
            self.cuts.note(generation, false);
        }
    }

    /// Whether it is not known what every generation inherited since the first that was heard of.
    #[must_use]
    pub fn misses_a_cut(&self) -> bool {
        self.cuts.lacks
    }
}

impl LegHeard {
    /// Whether nothing newer than this datagram came in its sender's name.
    #[must_use]
    pub fn is_newest(&self, incarnation: Incarnation, dsn: Dsn) -> bool {
        self.incarnations.last() == Some(&incarnation) && self.furthest_dsn == dsn.0
    }
}

fn is_of_source(record: &Record<'_>) -> bool {
    record.kind != BodyKind::Administrative
}

impl Heard {
    /// A datagram of the leg's own stream is about to reach the arbiter. `believes`: up to which number of an epoch one
    /// datagram alone is believed; what one beyond, or one of another epoch, says of its numbering need not be.
    pub fn note(
        &mut self,
        leg: usize,
        now: Time,
        (genuine, believes): (bool, (Epoch, u64)),
        bytes: &[u8],
    ) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let header = datagram.header();
        if genuine {
            self.stride(now, &datagram);
            let glimpsed = self.glimpsed.get_or_default((header.epoch, header.context));
            for record in datagram.records().filter(is_of_source) {
                let (sseq, part) = (record.sseq, record.part);
                glimpsed.insert(Place { sseq, part }, ());
            }
        }
        let heard = &mut self.legs[leg];
        if heard.incarnations.contains(&header.incarnation) {
            if heard.incarnations.last() != Some(&header.incarnation) {
                return; // of a process that was replaced: nobody may believe it
            }
        } else if header.generation.0 != 0 && header.generation < heard.generation {
            return; // the same: a process of a newer generation spoke
        } else {
            heard.incarnations.push(header.incarnation);
            (heard.highest_dsn, heard.standby_dsn) = (0, 0);
            heard.furthest_dsn = 0;
            heard.dsns.clear();
            (heard.stepped_down, heard.lost_before) = (false, false);
            heard.stepped_back = false;
            (heard.progress, heard.brought) = (0, 0);
            heard.vouched = 0;
            heard.believed = false;
        }
        if heard.dsns.insert(header.dsn.0, ()).is_some() {
            return; // a copy is no sign of life, and brings nothing new
        }
        heard.furthest_dsn = heard.furthest_dsn.max(header.dsn.0);
        if header.dsn.0 < heard.highest_dsn && header.epoch != heard.epoch {
            return; // a straggler of a life that its sender has left
        }
        heard.last = Some(now);
        if header.flags.has(Flags::END_OF_STREAM) && !heard.stepped_down {
            // No sign of life: it stays lost for what it was lost for.
            heard.lost_before = heard.state == LegState::Lost;
        }
        heard.stepped_down |= header.flags.has(Flags::END_OF_STREAM);
        heard.said_peer_lost |= header.flags.has(Flags::PEER_LOST);
        heard.said_stale |= header.flags.has(Flags::SOURCE_STALE);
        let newest = header.dsn.0 > heard.highest_dsn;
        if header.flags.has(Flags::STANDBY) {
            // It lives, and says nothing of where it stands, whatever number is there.
            heard.standby |= newest;
            heard.standby_dsn = heard.standby_dsn.max(header.dsn.0);
            return;
        }
        if !genuine {
            return;
        }
        heard.standby &= !newest || header.dsn.0 < heard.standby_dsn;
        if header.dsn.0 > heard.highest_dsn {
            heard.highest_dsn = header.dsn.0;
            let beat = datagram
                .heartbeat()
                .map(|heartbeat| heartbeat.beat.next_sseq);
            let other = heard.epoch != header.epoch;
            if other && heard.epoch.is_some() {
                self.successions.insert((heard.epoch, header.epoch));
            }
            let back = !other && beat.is_some_and(|next| next < heard.progress);
            if other || back {
                (heard.progress, heard.brought) = (0, 0);
                heard.vouched = 0;
                heard.believed = false;
                heard.stepped_back = back;
            }
            heard.generation = header.generation;
            heard.epoch = header.epoch;
            heard.context = header.context;
            heard.complete = header.is_complete();
            if let Some(heartbeat) = datagram.heartbeat() {
                let adm = (header.base_adm.0, header.generation);
                if adm != heard.adm {
                    (heard.adm, heard.counted_at) = (adm, now);
                }
                for digest in heartbeat.digests() {
                    let of = (header.epoch, header.context, digest.range);
                    self.ranges.entry(of).or_default()[leg] = true;
                }
            }
        }
        if header.predecessor.is_some() {
            self.successions.insert((header.predecessor, header.epoch));
        }
        let beat = datagram.heartbeat().map(|it| it.beat.next_sseq);
        if let Some(next) = beat {
            let vouched = self.beats.entry((header.epoch, header.context));
            let vouched = vouched.or_default();
            *vouched = next.max(*vouched);
        }
        let near = header.epoch == believes.0 && beat.is_some_and(|next| next <= believes.1);
        self.cuts
            .note(header.generation, header.is_heartbeat() && near);
        if header.is_heartbeat() {
            self.counts.insert((header.epoch, header.base_adm.0), ());
        }
        // What is not believed yet is nothing to count on.
        let far = |record: &Record<'_>| header.epoch == believes.0 && record.sseq > believes.1;
        let believed = header.epoch != believes.0 || near || datagram.records().any(|it| !far(&it));
        let admins = datagram
            .records()
            .filter(|record| !is_of_source(record) && !far(record));
        let numbers: Vec<u64> = admins.map(|record| record.adm.0).collect();
        if !numbers.is_empty() {
            let numbering = (header.epoch, header.context, header.generation);
            let arrived = self.admins.entry(numbering);
            arrived.or_default().extend(numbers);
        }
        self.epochs.insert(header.epoch);
        let records = self.records.get_or_default((header.epoch, header.context));
        let vouched = datagram.heartbeat().map_or(0, |beat| beat.beat.next_sseq);
        let (mut progress, mut brought) = (vouched, vouched);
        for record in datagram.records() {
            if !is_of_source(&record) {
                // It stands behind its number: that was sent before.
                progress = progress.max(record.sseq + 1);
                continue;
            }
            let place = Place {
                sseq: record.sseq,
                part: record.part,
            };
            self.again += u64::from(records.insert(place, ()).is_some());
            if !header.flags.has(Flags::UNSYNCHRONISED) {
                self.counts.insert((header.epoch, record.adm.0), ());
            }
            brought = brought.max(record.sseq + u64::from(record.is_last()));
        }
        if heard.epoch == header.epoch {
            heard.progress = heard.progress.max(progress).max(brought);
            heard.brought = heard.brought.max(brought);
            heard.vouched = heard.vouched.max(vouched);
            heard.believed |= believed;
        }
    }

    /// Something came, for whatever it counts.
    fn stride(&mut self, now: Time, datagram: &Datagram<'_>) {
        let beat = datagram.heartbeat().map(|beat| beat.beat);
        let vouched = beat.as_ref().map_or(0, |beat| beat.next_sseq);
        let records = datagram.records().map(|record| record.sseq + 1);
        let reach = records.fold(vouched, u64::max);
        let header = datagram.header();
        if let Some(beat) = beat {
            let end = self.ends.entry(header.predecessor).or_default();
            *end = beat.predecessor_next.max(*end);
        }
        let strides = self.strides.entry(header.epoch).or_default();
        if strides.back().is_none_or(|(_, far)| *far < reach) {
            strides.push_back((now, reach));
        }
        while strides.len() > 1 && now.since(strides[1].0) > REMEMBERED {
            strides.pop_front();
        }
    }

    /// Whether anything of `epoch` reached `sseq` at all, and whether it had done so for `span`. Whose end the next one tells is over
    /// once nobody stays in it: since when that is so nobody says.
    pub fn reached(&self, epoch: Epoch, sseq: u64, now: Time, span: Duration) -> (bool, bool) {
        if self.ends.get(&epoch).is_some_and(|end| *end >= sseq) {
            return (true, true);
        }
        let strides = self.strides.get(&epoch);
        let there = |far: u64| far >= sseq;
        let mut strides = strides.into_iter().flatten();
        let first = strides.find(|(_, far)| there(*far));
        let long = first.is_some_and(|(at, _)| now.since(*at) >= span);
        (first.is_some(), long)
    }

    /// A datagram that an adapter sent again is about to reach the arbiter.
    pub fn note_given(&mut self, sid: Sid, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let header = datagram.header();
        if header.sid != sid {
            return;
        }
        let glimpsed = self.glimpsed.get_or_default((header.epoch, header.context));
        for record in datagram.records().filter(is_of_source) {
            let (sseq, part) = (record.sseq, record.part);
            glimpsed.insert(Place { sseq, part }, ());
        }
    }

    /// The numbering of the epoch stepped back: what came before, in whatever context, says nothing of it.
    pub fn step_back(&mut self, epoch: Epoch) {
        self.records.retain(|(of, _)| of != epoch);
        for leg in &mut self.legs {
            leg.stepped_back = false;
        }
        self.ranges.clear();
    }

    /// Whether both legs told the content of ranges in this context, of more than one: whose word of the first is too old by then
    /// is not compared.
    #[must_use]
    pub fn both_told_ranges(&self, epoch: Epoch, context: ContextId) -> bool {
        let here = self
            .ranges
            .range((epoch, context, 0)..=(epoch, context, u64::MAX));
        here.filter(|(_, told)| **told == [true; 2])
            .nth(1)
            .is_some()
    }

    /// Whether any record of this epoch arrived in any genuine datagram.
    #[must_use]
    pub fn has_any(&self, epoch: Epoch) -> bool {
        let mut glimpsed = self.glimpsed.iter();
        glimpsed.any(|((of, _), places)| of == epoch && places.iter().next().is_some())
    }

    /// Whether the record at `place` arrived under this context in any genuine datagram.
    #[must_use]
    pub fn has(&self, epoch: Epoch, context: ContextId, place: Place) -> bool {
        self.glimpsed
            .get((epoch, context))
            .is_some_and(|places| places.contains(place))
    }
}

/// How long it is remembered when what came reached how far: longer than any reordering is waited for.
const REMEMBERED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use twinfeed_wire::{Beat, Header, write_heartbeat};

    use super::*;

    #[test]
    fn who_says_that_it_is_silent_is_until_it_says_something_newer() {
        let says = |dsn: u64, flags: Flags| {
            let header = Header {
                dsn: Dsn(dsn),
                incarnation: Incarnation(1),
                epoch: Epoch(1),
                flags,
                ..Header::default()
            };
            let mut bytes = vec![0; 1_472];
            let length = write_heartbeat(&mut bytes, &header, &Beat::default(), &[]);
            bytes.truncate(length);
            bytes
        };
        let mut heard = Heard::default();
        let order = [
            (2, Flags::STANDBY, true),
            (1, Flags(0), true),
            (3, Flags(0), false),
        ];
        for (dsn, flags, standby) in order {
            heard.note(0, Time::ZERO, (true, (Epoch(1), 1)), &says(dsn, flags));
            assert_eq!(heard.legs[0].standby, standby, "behind {dsn}");
        }
    }

    #[test]
    fn an_order_is_said_over_epochs_in_between_and_in_one_direction() {
        let pairs = [(1, 2), (2, 3), (4, 1)].map(|(before, after)| (Epoch(before), Epoch(after)));
        let heard = Heard {
            successions: pairs.into(),
            ..Heard::default()
        };
        let says = |earlier, later| heard.says_order(Epoch(earlier), Epoch(later));
        assert!(says(1, 2) && says(1, 3) && says(4, 3));
        assert!(!says(3, 1) && !says(2, 4) && !says(1, 9));
    }
}
