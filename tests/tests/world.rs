//! The promise, tried in small worlds: by hand, by chance, and on purpose broken.

use core::time::Duration;

use twinfeed_protocol::{Leg, Limits, OrderingClass, Policy};
use twinfeed_tests::world::exchange::Shape;
use twinfeed_tests::world::faults::{partition::Cut, process::Kill, process::Stop};
use twinfeed_tests::world::net::{forge, loss, shift};
use twinfeed_tests::world::plan::Application;
use twinfeed_tests::world::plant::Plant;
use twinfeed_tests::world::stats::Census;
use twinfeed_tests::world::{self, Kind, Outcome, Plan};

/// Every seed that `cargo test` tries; the bin `world` tries more.
const SEEDS: u64 = 2_000;

/// What must have happened in some seed, or the seeds prove nothing.
const MUST_HAPPEN: [&str; 60] = [
    // the network
    "loss",
    "burst_loss",
    "nth_loss",
    "duplication",
    "reordering",
    "skew",
    "corruption",
    "foreign",
    "absurd",
    "partition",
    // the lines
    "line_loss",
    "line_duplicate",
    "line_reorder",
    // processes, applications, operators
    "kill",
    "restart",
    "stop",
    "resume",
    "step_down",
    "cut",
    "input_cut",
    "deaf",
    "abandoned_range",
    "adapter_overrun",
    "pair_link_reset",
    "pause",
    "local_drops",
    "order",
    // what applications were told
    "event.discontinuity.join",
    "event.discontinuity.context",
    "event.reset.tail_complete",
    "event.reset.tail_unknown",
    "event.gap.lost_on_every_leg",
    "event.gap.receiver_overrun",
    "event.gap.lag",
    "event.gap.hold_full",
    "event.gap.abandoned",
    "event.recovered",
    "event.stale",
    "event.live",
    "event.ended",
    "event.leg.live",
    "event.leg.stalled",
    "event.leg.lost",
    "event.switched.transport_reset",
    "event.switched.heartbeat_silence",
    "event.switched.step_down",
    "event.switched.lag",
    "event.switched.order",
    // what applications were told of unordered sources
    "unordered.ahead",
    "unordered.record",
    "unordered.gap",
    "unordered.reset",
    "unordered.discontinuity",
    // what arbiters counted
    "count.records",
    "count.duplicates",
    "count.quarantined",
    "count.rejected",
    "count.foreign_stream",
    "count.replayed",
    "count.retired_epoch",
];

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Runs the world of `plan` and demands that no promise was broken.
fn keeps(plan: Plan) -> Outcome {
    let outcome = world::run(plan, 60);
    for line in &outcome.trace {
        println!("{line}");
    }
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    outcome
}

fn gaps(outcome: &Outcome) -> u64 {
    outcome
        .stats
        .iter()
        .filter(|(name, _)| name.starts_with("event.gap"))
        .map(|(_, n)| n)
        .sum()
}

fn switches(outcome: &Outcome) -> u64 {
    let switched = |name: &str| name.starts_with("event.switched");
    outcome
        .stats
        .iter()
        .filter(|(name, _)| switched(name))
        .map(|(_, n)| n)
        .sum()
}

fn discontinuities(outcome: &Outcome) -> u64 {
    outcome.stats.count("event.discontinuity.context")
}

/// Every promise that can be broken on purpose, once.
const PLANTS: [Plant; 9] = [
    Plant::Drop(50),
    Plant::Double(50),
    Plant::Swap(50),
    Plant::Damage(50),
    Plant::FalseGap(50),
    Plant::SwallowGaps,
    Plant::SwallowResets,
    Plant::SwallowEnds,
    Plant::SwallowDiscontinuities,
];

/// Plants each fault in one eventful world, which keeps its promises without it.
fn every_plant_is_caught(ordering: OrderingClass, plants: impl IntoIterator<Item = Plant>) {
    let eventful = |plant| {
        let mut plan = Plan::plain(7, 1).with_source(|shape| {
            shape.lives = vec![200, 100];
            shape.ends = true;
            shape.ordering = ordering;
        });
        let both = |plan: Plan, leg| plan.with(MS(30), Cut::of(leg, MS(8)));
        plan = Leg::BOTH.into_iter().fold(plan, both);
        let mut application = Application::plain(Policy::FirstArrival);
        application.plant = plant;
        plan.subscribers = vec![application];
        plan
    };
    keeps(eventful(Plant::Nothing));
    for plant in plants {
        let outcome = world::run(eventful(plant), 0);
        assert!(!outcome.violations.is_empty(), "{plant:?} went unnoticed");
    }
}

#[test]
fn without_faults_everything_comes_once_and_nothing_is_said() {
    let outcome = keeps(Plan::plain(1, 300));
    assert_eq!(
        (
            gaps(&outcome),
            switches(&outcome),
            discontinuities(&outcome)
        ),
        (0, 0, 0)
    );
    assert!(outcome.stats.count("count.duplicates") > 300);
}

#[test]
fn a_kill_in_mid_burst_loses_nothing() {
    for seed in 1..=40 {
        let plan = Plan::plain(seed, 300).with(
            Duration::from_micros(5_000 + 397 * seed),
            Kill::for_good(Leg::Zero),
        );
        let outcome = keeps(plan);
        assert_eq!(gaps(&outcome), 0, "seed {seed}");
        assert!(
            outcome.stats.count("event.switched.transport_reset") > 0,
            "seed {seed}"
        );
    }
}

#[test]
fn a_restarted_adapter_is_not_merged_before_the_next_life() {
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 1)
            .with_source(|shape| shape.lives = vec![200, 100])
            .with(MS(20), Kill::for_a_while(Leg::One, MS(10)));
        let outcome = keeps(plan);
        // The other leg is complete: nobody hears of the restarted one's context.
        assert_eq!(
            (gaps(&outcome), discontinuities(&outcome)),
            (0, 0),
            "seed {seed}"
        );
        assert!(
            outcome.stats.count("event.reset.tail_complete") > 0,
            "seed {seed}"
        );
    }
}

#[test]
fn killing_the_complete_leg_yields_a_discontinuity() {
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 400)
            .with(MS(20), Kill::for_a_while(Leg::One, MS(10)))
            .with(MS(60), Kill::for_good(Leg::Zero));
        let outcome = keeps(plan);
        assert_eq!(
            discontinuities(&outcome),
            2,
            "seed {seed}: one per subscriber"
        );
    }
}

#[test]
fn an_absurd_number_changes_nothing() {
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 300).with_way(Leg::Zero, || forge::Absurd::once_in(20));
        let outcome = keeps(plan);
        assert!(outcome.stats.count("absurd") > 0, "seed {seed}");
        assert_eq!((gaps(&outcome), switches(&outcome)), (0, 0), "seed {seed}");
    }
}

#[test]
fn an_absurd_number_behind_true_ones_changes_nothing() {
    for ordering in [OrderingClass::Ordered, OrderingClass::Unordered] {
        for seed in 1..=20 {
            let plan = Plan::plain(seed, 300)
                .with_source(|shape| shape.ordering = ordering)
                .with_way(Leg::Zero, || forge::Absurd::at_the_end_once_in(20));
            let outcome = keeps(plan);
            let told = (gaps(&outcome), switches(&outcome));
            assert!(outcome.stats.count("absurd") > 0, "seed {seed}");
            assert_eq!(told, (0, 0), "{ordering:?}, seed {seed}");
        }
    }
}

#[test]
fn a_lost_tail_is_declared() {
    // From the ninth datagram on, both legs lose the rest of the only life; then there is silence.
    for seed in 1..=20 {
        let tail = || loss::Listed::new(8..40);
        let plan = Plan::plain(seed, 60)
            .with_way(Leg::Zero, tail)
            .with_way(Leg::One, tail);
        let outcome = keeps(plan);
        let declared = outcome.stats.count("event.gap.lost_on_every_leg");
        assert_eq!(declared, 2, "seed {seed}: one per subscriber");
    }
}

#[test]
fn every_seventh_datagram_lost_on_one_leg_costs_nothing() {
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 300).with_way(Leg::Zero, || loss::EveryNth::new(7));
        let outcome = keeps(plan);
        assert!(outcome.stats.count("nth_loss") > 20, "seed {seed}");
        assert_eq!((gaps(&outcome), switches(&outcome)), (0, 0), "seed {seed}");
    }
}

#[test]
fn old_and_new_epochs_never_ping_pong() {
    // One leg is a whole life behind the other: both lives are heard at the same time.
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 1)
            .with_source(|shape| shape.lives = vec![60, 60, 60])
            .with_way(Leg::One, || shift::Skew::of(MS(15)));
        let outcome = keeps(plan);
        let resets = outcome.stats.count("event.reset.tail_complete")
            + outcome.stats.count("event.reset.tail_unknown");
        assert_eq!(resets, 4, "seed {seed}: two per subscriber");
    }
}

#[test]
fn a_stopped_adapter_is_left_and_its_backlog_repeats_nothing() {
    for seed in 1..=20 {
        let plan = Plan::plain(seed, 300).with(MS(20), Stop::for_a_while(Leg::Zero, MS(60)));
        let outcome = keeps(plan);
        assert_eq!(gaps(&outcome), 0, "seed {seed}");
        assert!(switches(&outcome) >= 1, "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..=20 {
        let (one, other) = (
            world::run(Plan::draw(seed), 50),
            world::run(Plan::draw(seed), 50),
        );
        assert_eq!(
            (one.stats, one.lasted, one.trace),
            (other.stats, other.lasted, other.trace)
        );
    }
}

/// Every promise broken on purpose is noticed, in a world where it would otherwise be kept.
#[test]
fn every_planted_fault_is_caught() {
    every_plant_is_caught(OrderingClass::Ordered, PLANTS);
}

/// The same for an unordered source; a swap breaks a promise only between parts of one message.
#[test]
fn every_planted_fault_is_caught_without_order() {
    let swapped = |plant: &Plant| matches!(plant, Plant::Swap(_));
    let plants = PLANTS.into_iter().filter(|plant| !swapped(plant));
    every_plant_is_caught(OrderingClass::Unordered, plants);
}

/// Shuffled on its way, nothing of an unordered source waits and nothing is missing.
#[test]
fn an_unordered_source_needs_no_order() {
    for seed in 1..=20 {
        let shuffle = || shift::Skew::of(MS(3));
        let plan = Plan::plain(seed, 300)
            .with_source(|shape| shape.ordering = OrderingClass::Unordered)
            .with_way(Leg::Zero, || loss::EveryNth::new(7))
            .with_way(Leg::One, shuffle);
        let outcome = keeps(plan);
        assert!(outcome.stats.count("unordered.ahead") > 20, "seed {seed}");
        assert_eq!((gaps(&outcome), switches(&outcome)), (0, 0), "seed {seed}");
        assert_eq!(outcome.stats.count("event.recovered"), 0, "seed {seed}");
    }
}

#[test]
fn no_seed_breaks_a_promise_and_everything_happens_in_some() {
    let mut census = Census::default();
    for seed in 1..=SEEDS {
        let outcome = world::run(Plan::draw(seed), 0);
        if !outcome.violations.is_empty() {
            let again = world::run(Plan::draw(seed), 80);
            for line in &again.trace {
                println!("{line}");
            }
            let replay = world::replay_command(Kind::Alone, seed);
            panic!("{:#?}\nreplay: {replay}", outcome.violations);
        }
        census.take(&outcome.stats);
    }
    println!("{census}");
    assert_eq!(census.missing(&MUST_HAPPEN), [""; 0]);
}

#[test]
fn a_plain_world_uses_the_defaults_of_the_product() {
    let plan = Plan::plain(1, 1);
    assert_eq!(plan.conduct.heartbeat, Limits::default().heartbeat);
    assert_eq!(Shape::plain(twinfeed_wire::Sid(1), 1).first, 1);
}
