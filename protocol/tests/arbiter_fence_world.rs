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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fence_support::dice::{Dice, seeds};
use fence_support::world::{MESSAGES, Planned, Tally, World};
use fence_support::{Scene, Told};
use twinfeed_protocol::*;

/// Seeds of a run of the test suite; `TWINFEED_FENCE_SEEDS` says otherwise.
const SEEDS: u64 = 1_000;

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
    let mut names = BTreeSet::new();
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
                    let Planned { origin, place } = *placed.unwrap();
                    // What the dead active had sent further on may come before what its successor originates.
                    let latest = match origin {
                        1 => place,
                        _ => place.max(world.left_off),
                    };
                    let behind = place + 1..=latest + 1;
                    assert!(
                        next.is_none_or(|next| behind.contains(&next)),
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
                // A message behind whose place records were told is one that everybody is told of so.
                let late = match subscriber.told.get(index + 1) {
                    Some(&Told::Message(origin, number)) => {
                        let placed = world.schedule(origin).get(number as usize);
                        placed.is_some_and(|it| next.is_some_and(|next| next > it.place + 1))
                    }
                    _ => false,
                };
                recounts += u64::from(!late);
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
    let seeds = seeds("TWINFEED_FENCE_SEEDS", SEEDS);
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
