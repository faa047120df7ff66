//! Legs that are left, and gone back to, for their scores: by hand, and one that flaps.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use std::time::Duration;

use arbiter_kit::*;
use twinfeed_protocol::health::SWITCHES_PER_MINUTE;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// How a leg behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// It speaks every 5 ms and loses nothing.
    Good,
    /// It speaks every 25 ms, two heartbeat intervals late, and every other datagram of it is lost: 80 points off within
    /// a second, and never lost or stalled.
    Bad,
}

use Manner::{Bad, Good};

struct World {
    kit: Kit,
    senders: [Sender; 2],
    next: u64,
    switches: Vec<Receipt>,
}

impl World {
    /// Both legs have brought 1 to 3, at 1 s.
    fn of(limits: Limits) -> Self {
        let (mut kit, mut zero, mut one) = ordered(limits);
        kit.joined(&mut zero, &mut one, 3);
        Self {
            kit,
            senders: [zero, one],
            next: 4,
            switches: Vec::new(),
        }
    }

    fn prefer() -> Self {
        Self::of(prefer())
    }

    /// So many steps of 25 ms, in each of which both legs bring one record. Nothing is lost and nothing comes twice.
    fn go(&mut self, steps: u32, manners: [Manner; 2]) {
        for _ in 0..steps {
            let batch = run(self.next..=self.next);
            for (sender, manner) in self.senders.iter_mut().zip(manners) {
                sender.header.dsn.0 += u64::from(manner == Bad);
                self.kit.records(sender, &batch);
            }
            for _ in 0..5 {
                self.kit.pass(ms(5));
                for (sender, manner) in self.senders.iter_mut().zip(manners) {
                    if manner == Good {
                        self.kit.beat(sender, self.next, self.next + 1);
                    }
                }
            }
            self.collect();
            self.next += 1;
        }
    }

    /// The one record of a step was told, and perhaps a switch.
    fn collect(&mut self) {
        let told = self.kit.told();
        self.switches.extend(switches(&told));
        let others = told
            .iter()
            .filter(|told| !matches!(told, Told::Event(Event::Switched(_))));
        let numbers: Vec<_> = others
            .map(|told| match told {
                Told::Record(sseq, ..) => *sseq,
                Told::Event(event) => panic!("{event:?}"),
            })
            .collect();
        assert_eq!(numbers, [self.next]);
    }

    fn seconds(&mut self, seconds: u32, manners: [Manner; 2]) {
        self.go(40 * seconds, manners);
    }

    fn status(&self, leg: Leg) -> LegStatus {
        self.kit.arbiter.leg_status(SID, leg).unwrap()
    }

    /// The switches since the last call: from which leg, why, at which second after the join.
    fn told(&mut self) -> Vec<(Leg, Trigger, f64)> {
        let start = Time(1_000_000_000);
        let told = std::mem::take(&mut self.switches).into_iter();
        told.map(|it| (it.from_leg, it.trigger, it.at.since(start).as_secs_f64()))
            .collect()
    }

    fn active(&mut self, active: Leg, generation: u32) {
        let generation = Generation(generation);
        self.kit.control(Control::Roles { active, generation });
    }
}

fn prefer() -> Limits {
    Limits {
        policy: Policy::PreferActive,
        ..Limits::default()
    }
}

#[test]
fn a_degraded_leg_is_left_for_a_fit_one_and_gone_back_to_when_it_was_fit_for_the_hold_down() {
    let mut world = World::prefer();
    world.seconds(3, [Bad, Good]);
    // Degraded half a second after the join; the other one is not old enough before a second.
    assert_eq!(world.told(), [(Leg::Zero, Trigger::Health, 1.0)]);
    let status = world.status(Leg::Zero);
    assert_eq!((status.health, status.degraded), (20, true));
    assert_eq!(status.state, LegState::Live, "nothing forced the switch");
    assert_eq!(world.status(Leg::One).health, 100);
    world.seconds(60, [Good, Good]);
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    let (leg, trigger, at) = told[0];
    assert_eq!((leg, trigger), (Leg::One, Trigger::Health));
    // Its faults end at 3 s, and are forgotten by 13 s.
    assert!((5.0..=14.25).contains(&at), "{at}");
    let status = world.status(Leg::Zero);
    assert_eq!((status.health, status.degraded), (100, false));
}

#[test]
fn nobody_is_left_for_a_leg_that_is_no_better() {
    let mut world = World::prefer();
    world.seconds(5, [Bad, Bad]);
    assert_eq!(world.told(), []);
    assert!(Leg::BOTH.iter().all(|leg| world.status(*leg).degraded));
    // The preferred one mends first: there is nothing to go back to.
    world.seconds(20, [Good, Bad]);
    assert_eq!(world.told(), []);
}

#[test]
fn first_arrival_shows_scores_and_switches_nothing() {
    let mut world = World::of(Limits::default());
    world.seconds(5, [Bad, Good]);
    assert!(world.status(Leg::Zero).degraded);
    world.seconds(20, [Good, Good]);
    assert_eq!(world.status(Leg::Zero).health, 100);
    assert_eq!(world.told(), []);
}

#[test]
fn a_bound_of_zero_leaves_nobody() {
    let mut world = World::of(Limits {
        health_low: 0,
        ..prefer()
    });
    world.seconds(5, [Bad, Good]);
    assert_eq!(world.told(), []);
    assert_eq!(world.status(Leg::Zero).health, 20);
    assert!(!world.status(Leg::Zero).degraded);
}

#[test]
fn losing_every_seventh_datagram_switches_nothing() {
    let mut world = World::prefer();
    for _ in 0..60 {
        world.go(6, [Good, Good]);
        world.senders[0].header.dsn.0 += 10;
    }
    assert_eq!(world.status(Leg::Zero).health, 60);
    assert_eq!(world.told(), []);
}

/// An order that comes too early is carried out as soon as it can be.
#[test]
fn an_order_waits_until_the_leg_is_fit_and_steady() {
    let mut world = World::prefer();
    world.go(20, [Good, Good]);
    world.active(Leg::One, 2);
    assert_eq!(world.told(), [], "half a second after it was first heard");
    world.seconds(1, [Good, Good]);
    assert_eq!(world.told(), [(Leg::Zero, Trigger::Order, 1.0)]);

    let mut world = World::prefer();
    world.seconds(3, [Good, Bad]);
    world.active(Leg::One, 2);
    world.seconds(1, [Good, Bad]);
    assert_eq!(world.told(), [], "it is degraded");
    world.seconds(12, [Good, Good]);
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1), (Leg::Zero, Trigger::Order));

    // A leg that is fit and steady is gone over to at once.
    world.kit.control(Control::Order { to: Leg::Zero });
    let receipt = switches(&world.kit.told())[0];
    assert_eq!(
        (receipt.from_leg, receipt.trigger),
        (Leg::One, Trigger::Order)
    );
}

/// Leg 0 is silent for the second half of each period; leg 1 never. When was a switch told, and why?
fn flaps(period: Duration, seconds: u64) -> Vec<(Time, Trigger)> {
    let (mut kit, mut zero, mut one) = ordered(prefer());
    kit.joined(&mut zero, &mut one, 3);
    let start = kit.now;
    let (mut told, mut next) = (Vec::new(), 4);
    while kit.now.since(start) < Duration::from_secs(seconds) {
        let phase = kit.now.since(start).as_nanos() % period.as_nanos();
        let batch = run(next..=next);
        if phase < period.as_nanos() / 2 {
            kit.records(&mut zero, &batch);
        }
        kit.records(&mut one, &batch);
        kit.pass(ms(10));
        next += 1;
        told.extend(switches(&kit.told()));
    }
    assert_eq!(kit.arbiter.counters().gaps, 0, "{period:?}");
    told.into_iter().map(|it| (it.at, it.trigger)).collect()
}

/// The most within any minute.
fn most_in_a_minute(times: &[Time]) -> usize {
    let within = |first: &Time| {
        let minute = times.iter().filter(|at| *at >= first);
        minute
            .filter(|at| at.since(*first) < Duration::from_secs(60))
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[test]
fn a_flapping_leg_is_gone_back_to_no_more_often_than_the_bound() {
    let mut most = 0;
    for period_ms in [100, 200, 500, 1_000, 2_000, 3_000, 5_000, 11_000] {
        let told = flaps(ms(period_ms), 180);
        let all: Vec<Time> = told.iter().map(|(at, _)| *at).collect();
        let decided = told.iter().filter(|(_, why)| *why == Trigger::Health);
        let decided: Vec<Time> = decided.map(|(at, _)| *at).collect();
        let here = most_in_a_minute(&decided);
        assert!(here <= SWITCHES_PER_MINUTE, "{period_ms} ms: {decided:?}");
        // Whoever is left by force was gone back to before.
        let bound = 2 * SWITCHES_PER_MINUTE + 1;
        assert!(most_in_a_minute(&all) <= bound, "{period_ms} ms: {told:?}");
        assert!(!all.is_empty(), "{period_ms} ms: it was never left");
        most = most.max(here);
    }
    assert_eq!(most, SWITCHES_PER_MINUTE, "nothing came near the bound");
}
