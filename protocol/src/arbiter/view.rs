//! Where does a leg stand in one epoch?
//!
//! ```text
//!   sent, whether or not it arrived here | vouched for as silent | not said yet
//!   ─────────────────────────────────────┼───────────────────────┼─────────────►
//!                                      prev                     next
//! ```
//!
//! A leg is seen through a few views: of the epoch the application is in, and of those the leg has gone on
//! to. A view's `passed` is its *progress*: everything below was sent or vouched for as silent.

use core::cmp::Reverse;

use twinfeed_wire::{Adm, Beat, ContextId, Epoch, Flags, Generation, Header};

use crate::event::Place;

/// How much a context is worth: greater outranks (RM-9a).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank {
    complete: bool,
    first: Reverse<u64>,
    abandoned: Reverse<u32>,
}

impl Rank {
    /// That of no context.
    pub(super) const HIGHEST: Self = Self {
        complete: true,
        first: Reverse(0),
        abandoned: Reverse(0),
    };

    fn of(header: &Header) -> Self {
        Self {
            complete: header.is_complete(),
            first: Reverse(header.first),
            abandoned: Reverse(header.abandoned),
        }
    }
}

/// Where an epoch ended: the number behind its last, and its last that carries records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct End {
    pub(super) next: u64,
    pub(super) prev: u64,
}

/// A context that a leg speaks in, or spoke in before, in one epoch: what it brought there may still be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    pub(super) context: ContextId,
    pub(super) rank: Rank,
    pub(super) first: u64,
    pub(super) complete: bool,
}

/// A leg as it stands in one epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) turn: u32,
    pub(super) epoch: Epoch,
    pub(super) predecessor: Epoch,
    pub(super) predecessor_end: Option<End>,
    pub(super) context: ContextId,
    pub(super) rank: Rank,
    pub(super) first: u64,
    pub(super) complete: bool,
    /// The best context that it left.
    pub(super) left: Option<Spoken>,
    /// Behind the furthest that the leg sent or vouched for; where its newest heartbeat says, and records after it.
    pub(super) next: Place,
    /// Everything below was sent or is silent. In an ordered source that is `next`; in an unordered one only
    /// heartbeats say it.
    pub(super) passed: Place,
    /// From the newest heartbeat: records up to `prev`, silence from there to `next`.
    pub(super) beat: Option<End>,
    /// Administrative messages before that heartbeat, and in whose numbering.
    pub(super) beat_adm: Adm,
    pub(super) beat_generation: Generation,
    /// The leg did not call itself out of step there.
    pub(super) beat_in_step: bool,
    pub(super) ended: Option<End>,
    /// Heartbeats that said so.
    pub(super) ended_said: u32,
    /// How far it had passed when what it said was left out.
    pub(super) vouched: Place,
    /// Its heartbeat took back what was vouched for before.
    pub(super) stepped_back: bool,
    /// Behind the furthest number that a message of it stands behind, since its newest heartbeat.
    pub(super) shown: u64,
}

impl View {
    pub(super) fn new(turn: u32, header: &Header) -> Self {
        Self {
            turn,
            epoch: header.epoch,
            predecessor: header.predecessor,
            predecessor_end: None,
            context: header.context,
            rank: Rank::of(header),
            first: header.first,
            complete: header.is_complete(),
            left: None,
            next: Place::start(0),
            passed: Place::start(0),
            beat: None,
            beat_adm: Adm(0),
            beat_generation: Generation(0),
            beat_in_step: false,
            ended: None,
            ended_said: 0,
            vouched: Place::start(0),
            stepped_back: false,
            shown: 0,
        }
    }

    pub(super) fn refresh(&mut self, header: &Header) {
        if self.context != header.context {
            // What the last heartbeat vouched for, it vouched for in another context.
            self.beat = None;
            let left = self.speaks_in();
            let known = self.left.filter(|it| it.context != header.context);
            self.left = Some(known.filter(|it| it.rank > left.rank).unwrap_or(left));
        }
        self.context = header.context;
        self.rank = Rank::of(header);
        self.first = header.first;
        self.complete = header.is_complete();
        if header.predecessor.is_some() {
            self.predecessor = header.predecessor;
        }
    }

    /// The context that it speaks in.
    pub(super) const fn speaks_in(&self) -> Spoken {
        Spoken {
            context: self.context,
            rank: self.rank,
            first: self.first,
            complete: self.complete,
        }
    }

    /// Where the leg stands at least: nobody brings what lies in front of a context in it. `None`: its process has said
    /// nothing of this epoch yet.
    pub(super) fn stands(&self) -> Option<Place> {
        let said = self.beat.is_some() || self.next > Place::start(0) || self.shown > 0;
        said.then(|| self.next.max(Place::start(self.first.max(self.shown))))
    }

    /// Forgets what was vouched for.
    pub(super) fn unsay(&mut self) {
        self.next = Place::start(0);
        self.passed = Place::start(0);
        self.vouched = Place::start(0);
        self.beat = None;
        self.ended = None;
        self.ended_said = 0;
        self.shown = 0;
    }

    /// Forgets what was vouched for, but not that it was: who takes it back has stepped back.
    pub(super) fn skip(&mut self) {
        let vouched = self.passed.max(self.vouched);
        self.unsay();
        self.vouched = vouched;
    }

    /// Forgets an end behind which the leg goes on: its source had not said it.
    fn goes_on_to(&mut self, next: Place) {
        if self.ended.is_some_and(|end| next > Place::start(end.next)) {
            self.ended = None;
            self.ended_said = 0;
        }
    }

    /// Notes that a record came behind which `next` is the next place.
    pub(super) fn on_record(&mut self, next: Place, ordered: bool) {
        self.next = self.next.max(next);
        self.goes_on_to(next);
        if ordered {
            self.passed = self.passed.max(next);
        }
    }

    /// Notes that a message came that stands behind number `sseq`: that was sent before.
    pub(super) fn on_message(&mut self, sseq: u64) {
        self.shown = self.shown.max(sseq.saturating_add(1));
    }

    pub(super) fn on_beat(&mut self, beat: &Beat, header: &Header) {
        let next = Place::start(beat.next_sseq);
        if next < self.passed.max(self.vouched) {
            // Only a source that began its numbering again makes its adapter take back what it vouched for.
            self.unsay();
            self.stepped_back = true;
        }
        // Its newest word, even against records of its own: of an unordered source one with an absurd number may
        // have been believed, and the leg does not stand there.
        self.next = next;
        self.passed = self.passed.max(next);
        self.shown = 0;
        let end = End {
            next: beat.next_sseq,
            prev: beat.prev,
        };
        self.beat = Some(end);
        self.beat_adm = header.base_adm;
        self.beat_generation = header.generation;
        self.beat_in_step = !header.flags.has(Flags::UNSYNCHRONISED);
        if beat.ended {
            let before = if self.ended == Some(end) {
                self.ended_said
            } else {
                0
            };
            self.ended = Some(end);
            self.ended_said = before.saturating_add(1);
        } else {
            self.goes_on_to(next);
        }
        if beat.predecessor_next != 0 {
            self.predecessor_end = Some(End {
                next: beat.predecessor_next,
                prev: beat.predecessor_prev,
            });
        }
    }
}
