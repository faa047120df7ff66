//! Two adapters, generations that follow each other with and without all that was agreed, and subscribers of both
//! policies behind networks that lose and reorder.
//!
//! The adapters keep nothing but a schedule per generation: which message, by whom it was originated, stands behind which
//! source number. What a subscriber was told is judged by those schedules alone:
//!
//! - no message is told twice, none is passed over in silence: between two discontinuities of the count its numbers follow
//!   each other, and are one generation's;
//! - in the end that is the last generation's, up to its last message;
//! - every record says how many messages stand before it, and source numbers are delivered in order or declared;
//! - where every takeover inherits all, nobody is told anything, and each message stands where the adapters placed it.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod fence_support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use fence_support::{Adapter, Scene, Told};
use twinfeed_protocol::*;
use twinfeed_wire::{Adm, Generation, Incarnation};

/// Seeds of a run of the test suite; `TWINFEED_FENCE_SEEDS` says otherwise.
const SEEDS: u64 = 1_000;

/// Source messages of one world.
const MESSAGES: u64 = 400;

#[derive(Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// A message: by which generation, and behind which source number.
#[derive(Clone, Copy, Debug)]
struct Planned {
    origin: u32,
    place: u64,
}

/// What was numbered under each generation, in order of number.
type Schedules = BTreeMap<u32, Vec<Planned>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Node {
    Dead,
    /// Places nothing.
    OutOfStep,
    /// Places what its generation has scheduled.
    InStep,
}

struct End {
    adapter: Adapter,
    node: Node,
    last_beat: u64,
    dies_at: u64,
}

impl End {
    fn generation(&self) -> u32 {
        self.adapter.header.generation.0
    }

    fn count(&self) -> u64 {
        self.adapter.header.base_adm.0
    }

    /// The messages that are due in front of its next record.
    fn place_due(&mut self, schedules: &Schedules, sent: &mut Vec<Vec<u8>>) {
        let schedule = schedules.get(&self.generation());
        while self.node == Node::InStep
            && let Some(planned) = schedule.and_then(|all| all.get(self.count() as usize))
            && planned.place < self.adapter.next
        {
            sent.push(self.adapter.message_of(planned.origin));
        }
    }

    /// What it sends in this millisecond: what the source has, as far as it is not slow.
    fn work(
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

    fn announce(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.last_beat = now;
        (0..4).map(|_| self.adapter.beat()).collect()
    }
}

struct Subscriber {
    scene: Scene,
    joins_at: u64,
    loss: u64,
    /// What is on its way: when it arrives, in which order, from where.
    wire: BTreeMap<(u64, u64), (Leg, Vec<u8>)>,
    sent: u64,
    told: Vec<Told>,
}

impl Subscriber {
    fn new(policy: Policy, dice: &mut Dice) -> Self {
        let limits = Limits {
            policy,
            reorder_hold: Duration::from_millis(5),
            ..Limits::default()
        };
        Self {
            scene: Scene::new(OrderingClass::Ordered, limits),
            joins_at: if dice.one_in(3) { dice.below(200) } else { 0 },
            loss: [0, 1, 3][dice.below(3) as usize],
            wire: BTreeMap::new(),
            sent: 0,
            told: Vec::new(),
        }
    }

    fn send(&mut self, now: u64, leg: Leg, bytes: &[u8], dice: &mut Dice) {
        if now < self.joins_at || dice.below(100) < self.loss {
            return;
        }
        self.sent += 1;
        let arrives = now + dice.below(3);
        self.wire
            .insert((arrives, self.sent), (leg, bytes.to_vec()));
    }

    fn hear(&mut self, now: u64) {
        let later = self.wire.split_off(&(now + 1, 0));
        for (leg, bytes) in std::mem::replace(&mut self.wire, later).into_values() {
            self.scene.give(leg, &bytes);
        }
        self.scene.pass(Duration::from_millis(1));
        self.told.extend(self.scene.told());
    }
}

#[derive(Debug, Default)]
struct Tally {
    originated: u64,
    seamless: u64,
    forced: u64,
    unknown: u64,
    alive: u64,
    aligned: u64,
    delivered: u64,
    recounts: u64,
    missing: u64,
    fenced: u64,
    gaps: u64,
    recovered: u64,
    judged_quiet: u64,
}

struct World {
    seed: u64,
    ends: [End; 2],
    schedules: Schedules,
    generation: u32,
    active: usize,
    /// Whether every takeover inherited all, and nobody placed anything alone.
    faithful: bool,
    dice: Dice,
    lives: u64,
}

impl World {
    fn new(seed: u64) -> Self {
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
        }
    }

    fn schedule(&self, generation: u32) -> &[Planned] {
        &self.schedules[&generation]
    }

    /// Whoever is in step, and lives, under a generation.
    fn in_step(&self, generation: u32) -> impl Iterator<Item = &End> {
        let there = move |end: &&End| end.node == Node::InStep && end.generation() == generation;
        self.ends.iter().filter(there)
    }

    /// An active originates one: everybody in step has not reached its place yet.
    fn originate(&mut self, index: usize, tally: &mut Tally) {
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
    const fn restarts(&self) -> bool {
        self.seed % 6 != 0
    }

    fn other_lives(&self, index: usize) -> bool {
        self.ends[1 - index].node != Node::Dead
    }

    fn act(&mut self, now: u64, calm: bool, tally: &mut Tally) -> Vec<(usize, Vec<Vec<u8>>)> {
        let mut said = Vec::new();
        let (active, backup) = (self.active, 1 - self.active);
        // Of a seed in three all takeovers inherit everything, and nothing is placed alone.
        let gentle = self.seed % 3 == 0;
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

    fn take_over(&mut self, now: u64, seamless: bool, tally: &mut Tally) {
        let (old, new) = (self.active, 1 - self.active);
        let before = self.generation;
        self.generation += 1;
        let alive = self.seed % 3 != 0 && self.dice.one_in(3);
        if !alive {
            self.ends[old].node = Node::Dead;
            self.ends[old].dies_at = now;
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
    fn restart(&mut self, index: usize) {
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
    fn align(&mut self, index: usize, tally: &mut Tally) {
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

fn play(seed: u64, tally: &mut Tally) {
    let mut world = World::new(seed);
    let mut subscribers = [Policy::FirstArrival, Policy::PreferActive]
        .map(|policy| Subscriber::new(policy, &mut world.dice));
    let pace = 1 + world.dice.below(3);
    let (mut now, mut source, mut calm_for) = (1, 0, 0);
    while calm_for < 400 {
        now += 1;
        if source < MESSAGES && now % pace == 0 && world.dice.one_in(2) {
            source = (source + 1 + world.dice.below(3)).min(MESSAGES);
        }
        let calm = source * 10 > MESSAGES * 9;
        calm_for += u64::from(source == MESSAGES);
        let mut all = Vec::new();
        for index in 0..2 {
            let schedules = &world.schedules;
            let sent = world.ends[index].work(now, source, schedules, &mut world.dice);
            all.push((index, sent));
        }
        all.extend(world.act(now, calm, tally));
        for (index, sent) in all {
            let leg = Leg::BOTH[index];
            for bytes in sent {
                for subscriber in &mut subscribers {
                    // What is told when all is over arrives.
                    let loss = if calm_for > 0 { 0 } else { subscriber.loss };
                    let loss = std::mem::replace(&mut subscriber.loss, loss);
                    subscriber.send(now, leg, &bytes, &mut world.dice);
                    subscriber.loss = loss;
                }
            }
        }
        for subscriber in &mut subscribers {
            subscriber.hear(now);
        }
    }
    for subscriber in &subscribers {
        judge(&world, subscriber, tally);
    }
}

/// Judges what one subscriber was told.
fn judge(world: &World, subscriber: &Subscriber, tally: &mut Tally) {
    let seed = world.seed;
    let mut names = HashSet::new();
    // Since the count began anew: the messages told, and the next number.
    let (mut segment, mut count): (Vec<(u32, u64)>, Option<u64>) = (Vec::new(), None);
    let mut next = None;
    let mut ended = false;
    let mut recounts = 0;
    for (index, told) in subscriber.told.iter().enumerate() {
        let at = |what: &str| {
            let near =
                &subscriber.told[index.saturating_sub(12)..(index + 4).min(subscriber.told.len())];
            format!("seed {seed}: {what} at {told:?}, {index}: {near:?}")
        };
        assert!(!ended, "{}", at("something follows the end"));
        match *told {
            Told::Data(sseq, adm) => {
                assert!(
                    next.is_none_or(|next| next == sseq),
                    "{}",
                    at("a record out of turn")
                );
                next = Some(sseq + 1);
                assert!(
                    count.is_none_or(|count| count == adm),
                    "{}",
                    at("a wrong count")
                );
                count = Some(adm);
            }
            Told::Message(origin, number) => {
                assert!(
                    names.insert((origin, number)),
                    "{}",
                    at("a message told twice")
                );
                assert!(
                    count.is_none_or(|count| count == number),
                    "{}",
                    at("a number out of turn")
                );
                count = Some(number + 1);
                segment.push((origin, number));
                tally.delivered += 1;
                let placed = world.schedule(world.generation).get(number as usize);
                if world.faithful && !world.restarts() && subscriber.loss == 0 {
                    let place = placed.unwrap().place;
                    assert_eq!(
                        next.unwrap_or(place + 1),
                        place + 1,
                        "{}",
                        at("another place")
                    );
                    tally.judged_quiet += 1;
                }
            }
            Told::Missing(from, until) => {
                assert!(from < until, "{}", at("an empty gap"));
                assert!(
                    count.is_none_or(|count| count == from),
                    "{}",
                    at("a gap out of turn")
                );
                count = Some(until);
                tally.missing += 1;
            }
            Told::Gap(from, until) => {
                assert!(
                    next.is_none_or(|next| next == from),
                    "{}",
                    at("a gap out of turn")
                );
                next = Some(until);
                tally.gaps += 1;
            }
            Told::Recount => {
                assert!(is_of_one(world, &segment), "{}", at("two generations"));
                segment.clear();
                count = None;
                recounts += 1;
            }
            Told::Join => assert_eq!(index, 0, "{}", at("a second join")),
            Told::Recovered(..) => tally.recovered += 1,
            Told::Ended => ended = true,
            Told::Context | Told::Reset | Told::Other => {
                panic!("{}", at("nothing of that kind happened"))
            }
        }
    }
    let last = world.schedule(world.generation);
    let own = |&(origin, number): &(u32, u64)| {
        last.get(number as usize)
            .is_some_and(|it| it.origin == origin)
    };
    let foreign: BTreeSet<_> = segment.iter().filter(|name| !own(name)).collect();
    assert!(
        foreign.is_empty(),
        "seed {seed}: {foreign:?} are none of generation {}, and nobody was told",
        world.generation
    );
    assert!(
        ended,
        "seed {seed}: the end was not told: {:?}",
        subscriber.told.last()
    );
    assert_eq!(next, Some(MESSAGES + 1), "seed {seed}");
    // Nothing at all follows the very last discontinuity, or everything does.
    assert!(
        count.is_none_or(|count| count == last.len() as u64),
        "seed {seed}: {count:?} of {} were told",
        last.len()
    );
    // Where a message and the record before it are lost, only a leg that lacks it brings the record.
    if world.faithful && subscriber.loss == 0 {
        assert_eq!(
            recounts,
            0,
            "seed {seed}: everything was inherited: {:?}",
            near_first_recount(&subscriber.told)
        );
    }
    tally.recounts += recounts;
    tally.fenced += subscriber.scene.arbiter.counters().fenced;
}

fn near_first_recount(told: &[Told]) -> &[Told] {
    let index = told.iter().position(|told| *told == Told::Recount);
    let index = index.unwrap_or_default();
    &told[index.saturating_sub(8)..(index + 8).min(told.len())]
}

/// Whether some generation numbers all these messages so.
fn is_of_one(world: &World, names: &[(u32, u64)]) -> bool {
    world.schedules.values().any(|schedule| {
        names.iter().all(|&(origin, number)| {
            schedule
                .get(number as usize)
                .is_some_and(|it| it.origin == origin)
        })
    })
}

#[test]
fn under_any_seed_every_message_is_told_once_or_declared() {
    let seeds = std::env::var("TWINFEED_FENCE_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS);
    let mut tally = Tally::default();
    for seed in 0..seeds {
        play(seed, &mut tally);
    }
    println!("{seeds} seeds: {tally:?}");
    // Every fault fired, and the rules were not kept by doing nothing.
    assert!(tally.originated > seeds && tally.delivered > seeds && tally.aligned > 0);
    assert!(tally.seamless > 0 && tally.forced > 0 && tally.unknown > 0 && tally.alive > 0);
    assert!(tally.recounts > 0 && tally.missing > 0 && tally.fenced > 0);
    assert!(tally.gaps > 0 && tally.recovered > 0 && tally.judged_quiet > 0);
}
