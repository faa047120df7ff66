//! Which datagrams hold a range that somebody asks for?
//!
//! ```text
//!  bytes     | d1 | d2 | d3 | d4 | d5 |  free  |       oldest first; full: the oldest makes room
//!  runs        └── epoch, context ──┘└ next ┘          within a run places rise, so a range is found by halving
//!  messages  | d2 |   |   ...                          those with administrative messages once more, for longer
//! ```
//!
//! Datagrams are kept as they were sent, already marked as retransmitted: to serve one is to send its bytes. A run ends
//! where the epoch or the context changes, or the numbering steps back. Nothing is allocated after construction.

use std::collections::VecDeque;
use std::ops::Range;

use twinfeed_wire::fill::{FillRange, Stretch};
use twinfeed_wire::{BodyKind, ContextId, Datagram, Epoch, mark_retransmitted};

use crate::event::Place;
use crate::limits::BadLimit;

/// How much of one stream is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetentionLimits {
    /// Most records.
    pub messages: usize,
    /// Most bytes of datagrams.
    pub bytes: usize,
    /// Longest datagram, bytes.
    pub max_datagram: usize,
}

impl RetentionLimits {
    /// Refuses what could not keep one datagram.
    ///
    /// # Errors
    /// [`BadLimit`] names the first that is wrong.
    pub fn check(&self) -> Result<(), BadLimit> {
        if self.messages < MOST_RECORDS {
            let must = "be at least 256: one datagram of the shortest records";
            return Err(BadLimit {
                name: "messages",
                must,
            });
        }
        if self.bytes < 2 * self.max_datagram {
            let must = "hold two datagrams";
            return Err(BadLimit {
                name: "bytes",
                must,
            });
        }
        Ok(())
    }
}

impl Default for RetentionLimits {
    fn default() -> Self {
        Self {
            messages: 262_144,
            bytes: 32 << 20,
            max_datagram: 1_472,
        }
    }
}

/// What was kept so far. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetentionCounters {
    /// Datagrams taken in.
    pub kept: u64,
    /// Datagrams that made room for later ones.
    pub overwritten: u64,
    /// Datagrams that were in already: sent after they had been withheld.
    pub again: u64,
}

/// What of a range is here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    first: u64,
    behind: u64,
    ring: Which,
    /// The first stretch of the range that is not; `None`: all of it is here.
    pub lacks: Option<Stretch>,
    /// How many runs had begun.
    runs: u64,
}

/// The recent output of one stream.
#[derive(Debug)]
pub struct Retained {
    all: Ring,
    /// The datagrams with administrative messages once more: they are few, and wanted for longer.
    messages: Ring,
    counters: RetentionCounters,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Which {
    All,
    Messages,
}

impl Retained {
    /// Sets the memory aside.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(limits: &RetentionLimits) -> Result<Self, BadLimit> {
        limits.check()?;
        Ok(Self {
            all: Ring::new(limits.messages, limits.bytes),
            messages: Ring::new(
                MESSAGE_DATAGRAMS * MOST_RECORDS,
                MESSAGE_DATAGRAMS * limits.max_datagram,
            ),
            counters: RetentionCounters::default(),
        })
    }

    /// Keeps a datagram with records; heartbeats, and what is none, are not kept.
    pub fn keep(&mut self, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let Some(entry) = Entry::of(&datagram) else {
            return;
        };
        let header = datagram.header();
        let of = (header.epoch, header.context);
        let Some(room) = self.all.push(of, &entry, bytes) else {
            self.counters.again += 1;
            return;
        };
        self.counters.kept += 1;
        self.counters.overwritten += room;
        if entry.messages.is_some() {
            self.messages.push(of, &entry, bytes);
        }
    }

    /// What of `range` is here, in this epoch and context.
    #[must_use]
    pub fn find(&self, epoch: Epoch, context: ContextId, range: &FillRange) -> Found {
        self.find_first(epoch, context, range, usize::MAX)
    }

    /// The same of the first `most` datagrams that have any of it: what lies behind those is not looked for, nor said to be
    /// missing.
    #[must_use]
    pub fn find_first(
        &self,
        epoch: Epoch,
        context: ContextId,
        range: &FillRange,
        most: usize,
    ) -> Found {
        match *range {
            FillRange::Records { from, until } => {
                let place = |(sseq, part)| Place { sseq, part };
                let range = place(from)..place(until);
                self.all.find((epoch, context), range, most)
            }
            FillRange::Messages { from, until } => self.messages.find_messages(from.0..until.0),
        }
    }

    /// Whether looking again would find the same: all of the range was here, nothing of it has made room, and no run began
    /// that may have it anew. Of messages nobody says so: a later generation gives their numbers again within a run.
    #[must_use]
    pub fn still_has(&self, found: &Found) -> bool {
        found.ring == Which::All
            && found.lacks.is_none()
            && found.runs == self.all.next_run
            && found.first >= self.all.first
    }

    /// The datagrams of what was found, in order.
    pub fn datagrams(&self, found: &Found) -> impl Iterator<Item = &[u8]> {
        let ring = match found.ring {
            Which::All => &self.all,
            Which::Messages => &self.messages,
        };
        ring.datagrams(found.first..found.behind)
    }

    /// What was kept so far.
    #[must_use]
    pub const fn counters(&self) -> &RetentionCounters {
        &self.counters
    }

    /// Records and bytes that are here.
    #[must_use]
    pub const fn held(&self) -> (usize, usize) {
        (self.all.records, self.all.used)
    }
}

/// Datagrams with administrative messages that are kept beside the others.
const MESSAGE_DATAGRAMS: usize = 256;
/// At least as many records as a datagram of 9,216 bytes holds whose bodies are 16 bytes and longer.
const MOST_RECORDS: usize = 256;
/// Runs that are told apart; one more forgets the oldest.
const MOST_RUNS: usize = 64;
/// Bytes of the shortest datagram with a record of a DBN body.
const LEAST_DATAGRAM: usize = 168;

/// One datagram.
#[derive(Clone, Debug)]
struct Entry {
    at: usize,
    length: usize,
    records: usize,
    run: u64,
    /// From where it vouches for silence; its first record stands there or later.
    reach: Place,
    first: Place,
    behind: Place,
    /// Numbers of the administrative messages in it.
    messages: Option<Range<u64>>,
}

impl Entry {
    fn of(datagram: &Datagram<'_>) -> Option<Self> {
        let mut places: Option<(Place, Place, Place)> = None;
        let mut messages: Option<Range<u64>> = None;
        for record in datagram.records() {
            let place = Place {
                sseq: record.sseq,
                part: record.part,
            };
            let (reach, place, behind) = match record.kind {
                BodyKind::Administrative => {
                    let number = record.adm.0;
                    let known = messages.unwrap_or(number..number);
                    messages = Some(known.start.min(number)..number.saturating_add(1));
                    let behind = Place::start(record.sseq.saturating_add(1));
                    (behind, behind, behind)
                }
                _ if record.is_last() => (
                    reach(place, record.prev),
                    place,
                    Place::start(record.sseq.saturating_add(1)),
                ),
                _ => (
                    reach(place, record.prev),
                    place,
                    Place {
                        part: record.part.saturating_add(1),
                        ..place
                    },
                ),
            };
            places = Some(match places {
                None => (reach, place, behind),
                Some((reach, first, furthest)) => (reach, first, furthest.max(behind)),
            });
        }
        let (reach, first, behind) = places?;
        Some(Self {
            at: 0,
            length: 0,
            records: usize::from(datagram.header().count),
            run: 0,
            reach,
            first,
            behind,
            messages,
        })
    }
}

fn stretch(from: Place, until: Place) -> Stretch {
    Stretch {
        from: (from.sseq, from.part),
        until: (until.sseq, until.part),
    }
}

/// From where a record vouches for silence.
fn reach(place: Place, prev: u64) -> Place {
    match place.part {
        0 => Place::start(prev.saturating_add(1)),
        _ => place,
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    number: u64,
    of: (Epoch, ContextId),
}

#[derive(Debug)]
struct Ring {
    bytes: Box<[u8]>,
    entries: VecDeque<Entry>,
    most_entries: usize,
    most_records: usize,
    records: usize,
    used: usize,
    /// How many datagrams were forgotten: the number of the first entry.
    first: u64,
    runs: VecDeque<Run>,
    next_run: u64,
}

impl Ring {
    fn new(most_records: usize, bytes: usize) -> Self {
        let most_entries = most_records.min(bytes / LEAST_DATAGRAM).max(2);
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            entries: VecDeque::with_capacity(most_entries),
            most_entries,
            most_records,
            records: 0,
            used: 0,
            first: 0,
            runs: VecDeque::with_capacity(MOST_RUNS),
            next_run: 0,
        }
    }

    /// Keeps a datagram; returns how many made room for it. `None`: it, or what stands behind it, is here.
    fn push(&mut self, of: (Epoch, ContextId), entry: &Entry, bytes: &[u8]) -> Option<u64> {
        let run = self.run_for(of, entry)?;
        if bytes.len() > self.bytes.len() || entry.records > self.most_records {
            return None;
        }
        let mut room = 0;
        let at = loop {
            let enough = self.entries.len() < self.most_entries
                && self.records + entry.records <= self.most_records;
            match self.place(bytes.len()).filter(|_| enough) {
                Some(at) => break at,
                None => room += u64::from(self.forget_oldest()),
            }
        };
        let kept = &mut self.bytes[at..at + bytes.len()];
        kept.copy_from_slice(bytes);
        mark_retransmitted(kept);
        self.records += entry.records;
        self.used += bytes.len();
        self.entries.push_back(Entry {
            at,
            length: bytes.len(),
            run,
            ..entry.clone()
        });
        Some(room)
    }

    /// The run that a datagram goes on with, or begins.
    fn run_for(&mut self, of: (Epoch, ContextId), entry: &Entry) -> Option<u64> {
        let last = self.entries.back();
        if let (Some(run), Some(last)) = (self.runs.back(), last)
            && run.of == of
        {
            let goes_on = entry.first >= last.behind;
            if goes_on {
                return Some(run.number);
            }
            // What was withheld is sent again in the order in which it was numbered.
            let before = |kept: &Entry| {
                kept.run < run.number || kept.run == run.number && kept.behind < entry.behind
            };
            let same = self.entries.get(self.entries.partition_point(before));
            if same.is_some_and(|kept| (kept.first, kept.behind) == (entry.first, entry.behind)) {
                return None;
            }
        }
        if self.runs.len() == MOST_RUNS {
            let oldest = self.runs.front().map(|run| run.number);
            while self.entries.front().map(|entry| entry.run) == oldest && self.forget_oldest() {}
            self.runs.retain(|run| Some(run.number) != oldest);
        }
        let number = self.next_run;
        self.next_run += 1;
        self.runs.push_back(Run { number, of });
        Some(number)
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.records -= entry.records;
        self.used -= entry.length;
        self.first += 1;
        let oldest = self.entries.front().map_or(self.next_run, |it| it.run);
        while self.runs.len() > 1 && self.runs.front().is_some_and(|run| run.number < oldest) {
            self.runs.pop_front();
        }
        true
    }

    fn find(&self, of: (Epoch, ContextId), range: Range<Place>, most: usize) -> Found {
        let mut best = Found {
            first: 0,
            behind: 0,
            ring: Which::All,
            lacks: Some(stretch(range.start, range.end)),
            runs: self.next_run,
        };
        // The newest run that has any of it.
        for run in self.runs.iter().rev().filter(|run| run.of == of) {
            let before = |entry: &Entry| {
                entry.run < run.number || entry.run == run.number && entry.behind <= range.start
            };
            let start = self.entries.partition_point(before);
            let mut need = range.start;
            let mut index = start;
            let mut lacks = None;
            while let Some(entry) = self.entries.get(index) {
                if entry.run != run.number || entry.first >= range.end {
                    // Whoever stands behind the range may vouch for the rest of it.
                    let vouched = entry.run == run.number && entry.reach <= need;
                    need = if vouched { range.end } else { need };
                    break;
                }
                if entry.reach > need {
                    lacks = lacks.or(Some(stretch(need, entry.reach.min(range.end))));
                }
                need = need.max(entry.behind);
                index += 1;
                if index - start == most {
                    need = range.end;
                    break;
                }
            }
            if index > start {
                best.first = self.first + start as u64;
                best.behind = self.first + index as u64;
                let tail = (need < range.end).then(|| stretch(need, range.end));
                best.lacks = lacks.or(tail);
                return best;
            }
        }
        best
    }

    /// The newest datagrams with messages of these numbers: a later generation may have given them anew.
    fn find_messages(&self, numbers: Range<u64>) -> Found {
        let mut wanted = numbers.clone();
        let (mut first, mut behind) = (None, None);
        for (index, entry) in self.entries.iter().enumerate().rev() {
            let Some(has) = &entry.messages else { continue };
            if has.start < numbers.end && numbers.start < has.end {
                behind = behind.or(Some(index + 1));
                first = Some(index);
                if has.end >= wanted.end {
                    wanted.end = wanted.end.min(has.start);
                }
                if wanted.is_empty() {
                    break;
                }
            }
        }
        Found {
            first: self.first + first.unwrap_or(0) as u64,
            behind: self.first + behind.unwrap_or(0) as u64,
            ring: Which::Messages,
            lacks: self.lacks_messages(numbers),
            runs: self.next_run,
        }
    }

    /// The first stretch of these numbers that no datagram has.
    fn lacks_messages(&self, numbers: Range<u64>) -> Option<Stretch> {
        let all = || self.entries.iter().filter_map(|it| it.messages.as_ref());
        let mut from = numbers.start;
        while let Some(has) = all().find(|has| has.contains(&from)) {
            from = has.end;
        }
        let next = all().map(|has| has.start).filter(|start| *start > from);
        let until = next.min().unwrap_or(numbers.end).min(numbers.end);
        (from < until).then(|| stretch(Place::start(from), Place::start(until)))
    }

    fn datagrams(&self, numbers: Range<u64>) -> impl Iterator<Item = &[u8]> {
        let index = |number: u64| number.saturating_sub(self.first) as usize;
        let range = index(numbers.start)..index(numbers.end).min(self.entries.len());
        let range = range.start.min(range.end)..range.end;
        self.entries
            .range(range)
            .map(|entry| &self.bytes[entry.at..entry.at + entry.length])
    }

    /// Where `length` bytes go, in one piece.
    fn place(&self, length: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.entries.front(), self.entries.back()) else {
            return (length <= self.bytes.len()).then_some(0);
        };
        let (tail, head) = (oldest.at, newest.at + newest.length);
        if head <= tail {
            (head + length <= tail).then_some(head)
        } else if head + length <= self.bytes.len() {
            Some(head)
        } else {
            (length <= tail).then_some(0)
        }
    }
}
