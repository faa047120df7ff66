//! Two adapters that keep nothing but a schedule per generation, and what may happen to them.

use std::collections::BTreeMap;

use twinfeed_protocol::Leg;
use twinfeed_wire::{Adm, Generation, Incarnation};

use super::Adapter;
use super::dice::Dice;

/// Source messages of one world.
pub(crate) const MESSAGES: u64 = 400;

/// A message: by which generation, and behind which source number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) origin: u32,
    pub(crate) place: u64,
}

/// What was numbered under each generation, in order of number.
pub(crate) type Schedules = BTreeMap<u32, Vec<Planned>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    Dead,
    /// Places nothing.
    OutOfStep,
    /// Places what its generation has scheduled.
    InStep,
}

pub(crate) struct End {
    pub(crate) adapter: Adapter,
    pub(crate) node: Node,
    pub(crate) last_beat: u64,
    pub(crate) dies_at: u64,
}

impl End {
    pub(crate) fn generation(&self) -> u32 {
        self.adapter.header.generation.0
    }

    pub(crate) fn count(&self) -> u64 {
        self.adapter.header.base_adm.0
    }

    /// The messages that are due in front of its next record.
    pub(crate) fn place_due(&mut self, schedules: &Schedules, sent: &mut Vec<Vec<u8>>) {
        let schedule = schedules.get(&self.generation());
        while self.node == Node::InStep
            && let Some(planned) = schedule.and_then(|all| all.get(self.count() as usize))
            && planned.place < self.adapter.next
        {
            sent.push(self.adapter.message_of(planned.origin));
        }
    }

    /// What it sends in this millisecond: what the source has, as far as it is not slow.
    pub(crate) fn work(
        &mut self,
        now: u64,
        source: u64,
        schedules: &Schedules,
        dice: &mut Dice,
    ) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        if self.node == Node::Dead {
            return sent;
        }
        let slow = dice.below(3);
        while self.adapter.next + slow <= source {
            self.place_due(schedules, &mut sent);
            sent.push(self.adapter.data(1));
        }
        if source == MESSAGES && self.adapter.next > source {
            self.place_due(schedules, &mut sent);
        }
        if now >= self.last_beat + 10 {
            self.last_beat = now;
            sent.push(self.adapter.beat_of(self.adapter.next > MESSAGES));
        }
        sent
    }

    pub(crate) fn announce(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.last_beat = now;
        (0..4).map(|_| self.adapter.beat()).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) originated: u64,
    pub(crate) seamless: u64,
    pub(crate) forced: u64,
    pub(crate) unknown: u64,
    pub(crate) alive: u64,
    pub(crate) aligned: u64,
    pub(crate) delivered: u64,
    pub(crate) recounts: u64,
    pub(crate) missing: u64,
    pub(crate) fenced: u64,
    pub(crate) gaps: u64,
    pub(crate) recovered: u64,
    pub(crate) judged_quiet: u64,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) ends: [End; 2],
    pub(crate) schedules: Schedules,
    pub(crate) generation: u32,
    pub(crate) active: usize,
    /// Whether every takeover inherited all, and nobody placed anything alone.
    pub(crate) faithful: bool,
    pub(crate) dice: Dice,
    pub(crate) lives: u64,
    /// The last source number that an active sent before it died.
    pub(crate) left_off: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let end = |leg| End {
            adapter: Adapter::new(leg),
            node: Node::InStep,
            last_beat: 0,
            dies_at: 0,
        };
        Self {
            seed,
            ends: [end(Leg::Zero), end(Leg::One)],
            schedules: [(1, Vec::new())].into(),
            generation: 1,
            active: 0,
            faithful: true,
            dice: Dice(seed),
            lives: 1_000,
            left_off: 0,
        }
    }

    pub(crate) fn schedule(&self, generation: u32) -> &[Planned] {
        &self.schedules[&generation]
    }

    /// Whoever is in step, and lives, under a generation.
    pub(crate) fn in_step(&self, generation: u32) -> impl Iterator<Item = &End> {
        let there = move |end: &&End| end.node == Node::InStep && end.generation() == generation;
        self.ends.iter().filter(there)
    }

    /// An active originates one: everybody in step has not reached its place yet.
    pub(crate) fn originate(&mut self, index: usize, tally: &mut Tally) {
        let origin = self.ends[index].generation();
        let reached = self.in_step(origin).map(|end| end.adapter.next - 1).max();
        let last = self.schedule(origin).last().map_or(0, |last| last.place);
        let place = reached.unwrap_or(0).max(last) + self.dice.below(4);
        let place = place.min(MESSAGES);
        self.schedules
            .get_mut(&origin)
            .unwrap()
            .push(Planned { origin, place });
        tally.originated += 1;
        self.faithful &= self.in_step(origin).count() == 2 || !self.other_lives(index);
    }

    /// Whether the dead are replaced. A newcomer that counts as the others do by chance may lead, and does not know of the
    /// next message: then that may stand behind its place.
    pub(crate) const fn restarts(&self) -> bool {
        !self.seed.is_multiple_of(6)
    }

    pub(crate) fn other_lives(&self, index: usize) -> bool {
        self.ends[1 - index].node != Node::Dead
    }

    pub(crate) fn act(
        &mut self,
        now: u64,
        calm: bool,
        tally: &mut Tally,
    ) -> Vec<(usize, Vec<Vec<u8>>)> {
        let mut said = Vec::new();
        let (active, backup) = (self.active, 1 - self.active);
        // Of a seed in three all takeovers inherit everything, and nothing is placed alone.
        let gentle = self.seed.is_multiple_of(3);
        let lacking = gentle && self.ends[backup].node == Node::OutOfStep;
        if !calm && !lacking && self.dice.one_in(12) {
            self.originate(active, tally);
        }
        // An old active that has heard of nothing.
        let old = self.ends[backup].generation();
        let unaware = self.ends[backup].node == Node::InStep && old != self.generation;
        if unaware && !calm && self.dice.one_in(15) {
            self.originate(backup, tally);
        }
        match self.ends[backup].node {
            // What a dead process has sent arrives before its successor has begun.
            Node::Dead if !self.restarts() || now < self.ends[backup].dies_at + 5 => {}
            Node::Dead if calm || self.dice.one_in(60) => self.restart(backup),
            Node::Dead => {}
            Node::OutOfStep if calm || self.dice.one_in(40) => {
                self.align(backup, tally);
                said.push((backup, self.ends[backup].announce(now)));
            }
            Node::InStep if unaware && (calm || self.dice.one_in(50)) => {
                self.ends[backup].node = Node::OutOfStep;
            }
            Node::InStep if !unaware && !calm && !gentle && self.dice.one_in(80) => {
                self.ends[backup].node = Node::OutOfStep;
            }
            Node::InStep | Node::OutOfStep => {}
        }
        let possible = self.ends[backup].node != Node::Dead && self.generation < 8;
        let seamless = self.ends[backup].node == Node::InStep && !unaware;
        if !calm && possible && (seamless || !gentle) && self.dice.one_in(60) {
            self.take_over(now, seamless, tally);
            said.push((self.active, self.ends[self.active].announce(now)));
        }
        said
    }

    pub(crate) fn take_over(&mut self, now: u64, seamless: bool, tally: &mut Tally) {
        let (old, new) = (self.active, 1 - self.active);
        let before = self.generation;
        self.generation += 1;
        let alive = !self.seed.is_multiple_of(3) && self.dice.one_in(3);
        if !alive {
            self.ends[old].node = Node::Dead;
            self.ends[old].dies_at = now;
            self.left_off = self.left_off.max(self.ends[old].adapter.next - 1);
        }
        tally.alive += u64::from(alive);
        let end = &mut self.ends[new];
        let shared = end.generation() == before;
        let inherited = match (seamless, shared) {
            (true, _) => self.schedules[&before].clone(),
            (false, true) => self.schedules[&before][..end.count() as usize].to_vec(),
            (false, false) => Vec::new(),
        };
        tally.seamless += u64::from(seamless);
        tally.forced += u64::from(!seamless);
        tally.unknown += u64::from(!seamless && !shared && end.count() > 0);
        // Whoever is alive and unaware goes on originating.
        self.faithful &= seamless && !alive;
        end.adapter.open(self.generation, inherited.len() as u64);
        end.node = Node::InStep;
        self.schedules.insert(self.generation, inherited);
        self.active = new;
    }

    /// Another process, that knows nothing but the source.
    pub(crate) fn restart(&mut self, index: usize) {
        self.lives += 1;
        let next = self.ends[1 - index].adapter.next;
        let mut adapter = Adapter::new(self.ends[index].adapter.leg);
        adapter.header.generation = Generation(0);
        adapter.header.incarnation = Incarnation(self.lives);
        adapter.next = next;
        self.ends[index].adapter = adapter;
        self.ends[index].node = Node::OutOfStep;
    }

    /// Takes over the active's numbering.
    pub(crate) fn align(&mut self, index: usize, tally: &mut Tally) {
        let inherited = self.ends[self.active].adapter.inherited;
        let schedule = &self.schedules[&self.generation];
        let end = &mut self.ends[index];
        let next = end.adapter.next;
        let behind = schedule.iter().filter(|it| it.place < next - 1);
        end.adapter.header.generation = Generation(self.generation);
        end.adapter.header.base_adm = Adm(behind.count() as u64);
        end.adapter.inherited = inherited;
        end.node = Node::InStep;
        tally.aligned += 1;
    }
}
