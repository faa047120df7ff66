//! Both legs say different things under equal numbers: which of them does the application get?
#![allow(clippy::unwrap_used, reason = "what is not told fails the test")]

mod arbiter_kit;

use arbiter_kit::content::*;
use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

const POLICIES: [Policy; 2] = [Policy::FirstArrival, Policy::PreferActive];

fn limits(policy: Policy) -> Limits {
    Limits {
        policy,
        ..Limits::default()
    }
}

/// Both legs have brought 1 to 10, leg 1 is active, and range 0 differs.
fn parted(policy: Policy) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = ordered(limits(policy));
    kit.joined(&mut zero, &mut one, 10);
    roles(&mut kit, Leg::One, 1);
    kit.says(&mut zero, 10, &[(0, 5)]);
    assert_eq!(kit.told(), [], "one leg alone differs from nothing");
    kit.says(&mut one, 10, &[(0, 6)]);
    assert_eq!(kit.told(), [divergence(0, 11, Leg::One)]);
    (kit, zero, one)
}

fn roles(kit: &mut Kit, active: Leg, generation: u32) {
    let generation = Generation(generation);
    kit.control(Control::Roles { active, generation });
}

fn divergence(range: u64, at: u64, pinned: Leg) -> Told {
    Told::Event(Event::Divergence {
        sid: SID,
        epoch: Epoch(1),
        range,
        at: Place::start(at),
        pinned,
    })
}

fn converged(range: u64) -> Told {
    Told::Event(Event::Converged {
        sid: SID,
        epoch: Epoch(1),
        range,
    })
}

/// What follows from `at` on is of the leg that is not `from`.
fn gone_over(at: u64, from: Leg) -> Told {
    Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(at),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Divergence { from },
    })
}

fn record(sseq: u64, leg: Leg) -> Told {
    Told::Record(sseq, 0, leg)
}

#[test]
fn from_the_divergence_on_only_the_actives_records_are_delivered() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.records(&mut zero, &run(11..=15));
        assert_eq!(kit.told(), [], "{policy:?}: leg 0 is set apart");
        assert!(kit.arbiter.leg_status(SID, Leg::Zero).unwrap().apart);
        kit.records(&mut one, &run(11..=13));
        assert_eq!(brought_by(&kit.told()), [Leg::One; 3], "{policy:?}");
        kit.records(&mut one, &run(14..=20));
        kit.records(&mut zero, &run(16..=25));
        assert_eq!(brought_by(&kit.told()), [Leg::One; 7], "{policy:?}");
        let counters = kit.arbiter.counters();
        assert_eq!((counters.divergences, counters.gaps), (1, 0), "{policy:?}");
        assert_eq!(counters.hold_overflow, 0, "{policy:?}");
    }
}

#[test]
fn the_other_leg_fills_no_hole_of_the_pinned_one() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.records(&mut zero, &run(11..=15));
        kit.records(&mut one, &run(13..=15));
        assert_eq!(kit.told(), [], "{policy:?}: 11 and 12 may be on their way");
        kit.pass(ms(5));
        let mut expected = vec![lost(11, 13)];
        expected.extend((13..=15).map(|sseq| record(sseq, Leg::One)));
        assert_eq!(kit.told(), expected, "{policy:?}");
        kit.says(&mut zero, 20, &[]);
        kit.says(&mut one, 15, &[]);
        kit.records(&mut one, &run(16..=17));
        let expected: Vec<_> = (16..=17).map(|sseq| record(sseq, Leg::One)).collect();
        assert_eq!(
            kit.told(),
            expected,
            "{policy:?}: silence is vouched for by the pinned leg alone"
        );
    }
}

#[test]
fn equal_digests_and_other_contexts_are_no_divergence() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 10);
    kit.says(&mut zero, 10, &[(0, 5), (1, 7)]);
    kit.says(&mut one, 10, &[(0, 5), (2, 8)]);
    assert_eq!(kit.told(), []);
    one.header.context = ContextId(2);
    one.header.flags = Flags::INCOMPLETE;
    kit.says(&mut one, 10, &[(1, 8)]);
    assert_eq!(
        kit.told(),
        [],
        "what another memory says differs as it must"
    );
    assert_eq!(kit.arbiter.counters().compared_ranges, 1);
}

#[test]
fn a_divergence_is_told_once_and_ends_when_enough_ranges_in_a_row_agree() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.says(&mut zero, 10, &[(1, 1), (2, 2), (3, 9), (4, 4)]);
        kit.says(&mut one, 10, &[(1, 1), (2, 3), (3, 8), (4, 4)]);
        assert_eq!(kit.told(), [], "{policy:?}: one in a row agrees");
        assert_eq!(kit.arbiter.counters().diverged_ranges, 3);
        kit.records(&mut zero, &run(11..=12));
        assert_eq!(kit.told(), []);
        kit.says(&mut zero, 12, &[(4, 4), (5, 5)]);
        kit.says(&mut one, 10, &[(4, 4), (5, 5)]);
        let told = kit.told();
        assert_eq!(told[0], converged(5), "{policy:?}");
        kit.pass(ms(21));
        let mut told = brought_by(&told);
        told.extend(brought_by(&kit.told()));
        assert_eq!(told, [Leg::Zero; 2], "{policy:?}: what waited is merged");
        assert_eq!(kit.arbiter.counters().convergences, 1);
    }
}

#[test]
fn the_next_divergence_takes_twice_as_long_to_end() {
    let (mut kit, mut zero, mut one) = parted(Policy::FirstArrival);
    let same: Vec<_> = (1..=2).map(|range| (range, 1)).collect();
    kit.says(&mut zero, 10, &same);
    kit.says(&mut one, 10, &same);
    assert_eq!(kit.told(), [converged(2)]);
    kit.says(&mut zero, 10, &[(3, 1)]);
    kit.says(&mut one, 10, &[(3, 2)]);
    assert_eq!(kit.told(), [divergence(3, 11, Leg::One)]);
    for range in 4..=7 {
        assert_eq!(kit.told(), []);
        kit.says(&mut zero, 10, &[(range, 1)]);
        kit.says(&mut one, 10, &[(range, 1)]);
    }
    assert_eq!(kit.told(), [converged(7)]);
}

#[test]
fn when_the_pinned_leg_dies_the_other_one_follows_behind_a_discontinuity() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.records(&mut one, &run(11..=12));
        kit.records(&mut zero, &run(11..=14));
        kit.told();
        for _ in 0..40 {
            kit.pass(ms(1));
            kit.says(&mut zero, 14, &[]);
        }
        let told = kit.told();
        assert_eq!(switches(&told).len(), 1, "{policy:?}: {told:?}");
        let rest: Vec<_> = told
            .iter()
            .filter(|told| !matches!(told, Told::Event(Event::Switched(_))))
            .cloned()
            .collect();
        let expected = [
            gone_over(13, Leg::One),
            record(13, Leg::Zero),
            record(14, Leg::Zero),
        ];
        assert_eq!(rest, expected, "{policy:?}");
        assert_eq!(kit.arbiter.counters().gaps, 0);
        // Back again, it is the one that is set apart.
        kit.records(&mut one, &run(13..=16));
        assert_eq!(kit.told(), [], "{policy:?}");
        kit.records(&mut zero, &run(15..=16));
        assert_eq!(brought_by(&kit.told()), [Leg::Zero; 2], "{policy:?}");
    }
}

/// Both legs say where they stand, every millisecond.
fn both_say(kit: &mut Kit, [zero, one]: [&mut Sender; 2], at: u64, millis: u64) {
    for _ in 0..millis {
        kit.pass(ms(1));
        kit.says(zero, at, &[]);
        kit.says(one, at, &[]);
    }
}

#[test]
fn an_active_that_lives_again_for_long_is_gone_back_to() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        let hold_down = kit.arbiter.limits().hold_down.as_millis() as u64;
        kit.records(&mut zero, &run(11..=14));
        for _ in 0..40 {
            kit.pass(ms(1));
            kit.says(&mut zero, 14, &[]);
        }
        assert_eq!(brought_by(&kit.told()), [Leg::Zero; 4], "{policy:?}");
        kit.records(&mut one, &run(13..=14));
        both_say(&mut kit, [&mut zero, &mut one], 14, hold_down - 1);
        assert_eq!(kit.told(), [], "{policy:?}: not for long");
        both_say(&mut kit, [&mut zero, &mut one], 14, 2);
        let told = kit.told();
        assert_eq!(switches(&told)[0].trigger, Trigger::Health, "{policy:?}");
        kit.records(&mut zero, &run(15..=16));
        kit.records(&mut one, &run(15..=16));
        let expected = [
            gone_over(15, Leg::Zero),
            record(15, Leg::One),
            record(16, Leg::One),
        ];
        assert_eq!(kit.told(), expected, "{policy:?}");
    }
}

#[test]
fn what_an_operator_chose_is_not_taken_back() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        let hold_down = kit.arbiter.limits().hold_down.as_millis() as u64;
        kit.control(Control::Order { to: Leg::Zero });
        kit.records(&mut zero, &run(11..=14));
        kit.records(&mut one, &run(11..=14));
        kit.told();
        both_say(&mut kit, [&mut zero, &mut one], 14, 2 * hold_down);
        kit.records(&mut one, &run(15..=16));
        assert_eq!(kit.told(), [], "{policy:?}");
        kit.records(&mut zero, &run(15..=16));
        assert_eq!(brought_by(&kit.told()), [Leg::Zero; 2], "{policy:?}");
    }
}

#[test]
fn messages_of_the_active_that_an_operator_left_are_told_or_declared() {
    let gap = |told: &Told| matches!(told, Told::Event(Event::AdministrativeGap { .. }));
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        roles(&mut kit, Leg::Zero, 2);
        zero.header.generation = Generation(2);
        kit.records(&mut zero, &run(11..=12));
        kit.control(Control::Order { to: Leg::One });
        kit.records(&mut one, &run(11..=13));
        kit.records(&mut zero, &run(13..=13));
        kit.told();
        both_say(&mut kit, [&mut zero, &mut one], 13, 500);
        assert!(!kit.told().iter().any(gap), "{policy:?}: nothing is owed");
        let message = zero.administrative(13, Adm(0));
        kit.give(Leg::Zero, &message);
        assert_eq!(kit.told(), [record(13, Leg::Zero)], "{policy:?}: told");
        let _lost = zero.administrative(13, Adm(1));
        zero.header.base_adm = Adm(2);
        both_say(&mut kit, [&mut zero, &mut one], 13, 500);
        let told = kit.told();
        assert_eq!(told.iter().filter(|it| gap(it)).count(), 1, "{policy:?}");
        kit.records(&mut one, &run(14..=14));
        kit.pass(ms(5));
        let told = kit.told();
        let cause = |told: &Told| match told {
            Told::Event(Event::Discontinuity { cause, .. }) => Some(*cause),
            _ => None,
        };
        let causes: Vec<_> = told.iter().filter_map(cause).collect();
        assert_eq!(causes, [DiscontinuityCause::Administrative], "{policy:?}");
        assert_eq!(brought_by(&told), [Leg::One], "{policy:?}");
    }
}

#[test]
fn another_active_is_gone_over_to_and_the_same_word_again_is_no_news() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.records(&mut zero, &run(11..=13));
        roles(&mut kit, Leg::One, 1);
        roles(&mut kit, Leg::Zero, 1);
        assert_eq!(
            kit.told(),
            [],
            "{policy:?}: of one generation there is one active"
        );
        roles(&mut kit, Leg::Zero, 2);
        let told = kit.told();
        assert_eq!(switches(&told).len(), 1, "{policy:?}");
        assert_eq!(told[1], gone_over(11, Leg::One), "{policy:?}");
        assert_eq!(brought_by(&told), [Leg::Zero; 3], "{policy:?}");
        kit.records(&mut one, &run(11..=14));
        assert_eq!(kit.told(), [], "{policy:?}");
        kit.control(Control::Order { to: Leg::One });
        let told = kit.told();
        assert_eq!(told[1..], [gone_over(14, Leg::Zero), record(14, Leg::One)]);
    }
}

#[test]
fn what_a_leg_that_is_gone_over_to_lacks_is_waited_for_as_any_hole() {
    for comes in [true, false] {
        let (mut kit, mut zero, _one) = parted(Policy::FirstArrival);
        let late = zero.records(&run(11..=12));
        kit.records(&mut zero, &run(13..=14));
        roles(&mut kit, Leg::Zero, 2);
        let told = kit.told();
        assert_eq!(switches(&told).len(), told.len(), "{told:?}");
        if comes {
            kit.give(Leg::Zero, &late);
        }
        kit.pass(ms(5));
        let mut expected = vec![gone_over(11, Leg::One)];
        match comes {
            true => expected.extend((11..=12).map(|sseq| record(sseq, Leg::Zero))),
            false => expected.push(lost(11, 13)),
        }
        expected.extend((13..=14).map(|sseq| record(sseq, Leg::Zero)));
        let told = kit.told();
        let news = |told: &&Told| !matches!(told, Told::Event(Event::Recovered { .. }));
        let told: Vec<_> = told.iter().filter(news).cloned().collect();
        assert_eq!(told, expected, "comes: {comes}");
    }
}

#[test]
fn nothing_is_told_of_a_leg_that_was_gone_over_to_and_left_before_it_brought_anything() {
    let (mut kit, _zero, mut one) = parted(Policy::FirstArrival);
    roles(&mut kit, Leg::Zero, 2);
    roles(&mut kit, Leg::One, 3);
    kit.told();
    kit.records(&mut one, &run(11..=12));
    assert_eq!(kit.told(), [record(11, Leg::One), record(12, Leg::One)]);
}

#[test]
fn who_is_gone_back_to_and_remembers_something_else_by_then_is_told_of() {
    let (mut kit, _zero, mut one) = parted(Policy::FirstArrival);
    roles(&mut kit, Leg::Zero, 2);
    // Its adapter has begun again meanwhile, and knows nothing of before.
    one.header.context = ContextId(2);
    one.header.flags = Flags::INCOMPLETE;
    kit.beat(&mut one, 10, 11);
    roles(&mut kit, Leg::One, 3);
    kit.told();
    kit.records(&mut one, &run(11..=12));
    let another = Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(11),
        context: ContextId(2),
        complete: false,
        cause: DiscontinuityCause::Context { from: ContextId(1) },
    });
    assert_eq!(
        kit.told(),
        [another, record(11, Leg::One), record(12, Leg::One)]
    );
}

#[test]
fn what_was_gone_over_to_is_told_before_it_is_merged() {
    let (mut kit, mut zero, mut one) = parted(Policy::FirstArrival);
    roles(&mut kit, Leg::Zero, 2);
    assert_eq!(kit.told().len(), 1, "the switch: nothing has followed yet");
    let same: Vec<_> = (1..=2).map(|range| (range, 1)).collect();
    kit.says(&mut zero, 10, &same);
    kit.says(&mut one, 10, &same);
    assert_eq!(kit.told(), [gone_over(11, Leg::One), converged(2)]);
    kit.records(&mut one, &run(11..=11));
    assert_eq!(kit.told(), [record(11, Leg::One)]);
}

#[test]
fn a_dead_active_is_not_pinned() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = ordered(limits(policy));
        kit.joined(&mut zero, &mut one, 10);
        roles(&mut kit, Leg::One, 1);
        kit.says(&mut one, 10, &[(0, 6)]);
        for _ in 0..40 {
            kit.pass(ms(1));
            kit.says(&mut zero, 10, &[]);
        }
        assert_eq!(
            kit.arbiter.leg_status(SID, Leg::One).unwrap().state,
            LegState::Lost
        );
        kit.told();
        kit.says(&mut zero, 10, &[(0, 5)]);
        assert_eq!(kit.told(), [divergence(0, 11, Leg::Zero)], "{policy:?}");
        kit.records(&mut zero, &run(11..=12));
        assert_eq!(brought_by(&kit.told()), [Leg::Zero; 2], "{policy:?}");
    }
}

#[test]
fn who_works_under_a_newer_generation_than_was_told_is_pinned() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 10);
    roles(&mut kit, Leg::One, 1);
    zero.header.generation = Generation(2);
    kit.says(&mut zero, 10, &[(0, 5)]);
    kit.says(&mut one, 10, &[(0, 6)]);
    assert_eq!(kit.told(), [divergence(0, 11, Leg::Zero)]);
}

#[test]
fn a_pinned_leg_that_lags_is_waited_for_and_not_for_ever() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        kit.records(&mut zero, &run(11..=15));
        for _ in 0..990 {
            kit.pass(ms(1));
            kit.says(&mut zero, 15, &[]);
            kit.says(&mut one, 10, &[]);
        }
        assert_eq!(kit.told(), [], "{policy:?}: leg 1 is alive");
        for _ in 0..20 {
            kit.pass(ms(1));
            kit.says(&mut zero, 15, &[]);
            kit.says(&mut one, 10, &[]);
        }
        let told = kit.told();
        assert_eq!(switches(&told)[0].trigger, Trigger::Lag, "{policy:?}");
        assert_eq!(told[1], gone_over(11, Leg::One), "{policy:?}");
        assert_eq!(brought_by(&told), [Leg::Zero; 5], "{policy:?}");
    }
}

#[test]
fn a_full_hold_goes_over_to_the_leg_that_filled_it() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = ordered(Limits {
            held_records: 8,
            ..limits(policy)
        });
        kit.joined(&mut zero, &mut one, 10);
        roles(&mut kit, Leg::One, 1);
        kit.says(&mut zero, 10, &[(0, 5)]);
        kit.says(&mut one, 10, &[(0, 6)]);
        kit.told();
        kit.records(&mut zero, &run(11..=18));
        assert_eq!(kit.told(), [], "{policy:?}: as many as the hold takes");
        kit.records(&mut zero, &run(19..=20));
        let told = kit.told();
        assert!(
            told.contains(&gone_over(11, Leg::One)),
            "{policy:?}: {told:?}"
        );
        assert_eq!(brought_by(&told), [Leg::Zero; 10], "{policy:?}");
        assert_eq!(kit.arbiter.counters().hold_overflow, 0, "{policy:?}");
        assert_eq!(kit.arbiter.counters().gaps, 0, "{policy:?}");
    }
}

#[test]
fn a_new_session_does_not_end_a_divergence() {
    for policy in POLICIES {
        let (mut kit, mut zero, mut one) = parted(policy);
        for sender in [&mut one, &mut zero] {
            kit.beat_of(
                sender,
                Beat {
                    next_sseq: 11,
                    prev: 10,
                    interval_us: 10_000,
                    ended: true,
                    ..Beat::default()
                },
            );
        }
        for sender in [&mut zero, &mut one] {
            *sender = sender.with(|header| {
                header.predecessor = header.epoch;
                header.epoch = Epoch(2);
                header.context = ContextId(2);
            });
            let records = sender.records(&run(1..=3));
            kit.give(sender.leg, &records);
            kit.says(sender, 3, &[]);
        }
        let told = kit.told();
        assert_eq!(brought_by(&told), [Leg::One; 3], "{policy:?}: {told:?}");
        assert_eq!(kit.arbiter.counters().resets, 1, "{policy:?}");
    }
}

#[test]
fn without_order_it_is_the_same() {
    let (mut kit, mut zero, mut one) = unordered(Limits::default());
    kit.joined(&mut zero, &mut one, 10);
    roles(&mut kit, Leg::One, 1);
    kit.says(&mut zero, 10, &[(0, 5)]);
    kit.says(&mut one, 10, &[(0, 6)]);
    assert_eq!(kit.told(), [divergence(0, 11, Leg::One)]);
    kit.records(&mut zero, &run(11..=15));
    kit.records(&mut one, &run(13..=14));
    assert_eq!(kit.told(), [record(13, Leg::One), record(14, Leg::One)]);
    kit.says(&mut zero, 15, &[]);
    kit.says(&mut one, 14, &[]);
    kit.pass(ms(5));
    assert_eq!(kit.told(), [lost(11, 13)], "nobody fills from leg 0");
    for _ in 0..40 {
        kit.pass(ms(1));
        kit.says(&mut zero, 15, &[]);
    }
    let told = kit.told();
    assert!(told.contains(&gone_over(15, Leg::One)), "{told:?}");
    assert_eq!(told.last(), Some(&record(15, Leg::Zero)), "{told:?}");
}

/// One false datagram is the first that is heard, and the next two tell a range otherwise.
#[test]
fn where_nobody_was_a_divergence_is_not_told() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    let mut stray = one.with(|header| header.epoch = Epoch(77));
    kit.beat(&mut stray, 10, 11);
    one.header.dsn = stray.header.dsn;
    kit.says(&mut zero, 10, &[(0, 5)]);
    kit.says(&mut one, 10, &[(0, 6)]);
    assert_eq!(kit.told(), [], "nothing came that can be told");
    assert_eq!(kit.arbiter.counters().compared_ranges, 0);
    kit.pass(ms(5));
    kit.records(&mut zero, &run(11..=12));
    let told = kit.told();
    let joined = Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Join,
    });
    // From where it had joined first it goes over to the beginning of what both speak of.
    assert_eq!(told[..2], [joined, lost(1, 11)]);
    assert_eq!(told[2..], [record(11, Leg::Zero), record(12, Leg::Zero)]);
    // They say it again.
    roles(&mut kit, Leg::One, 1);
    kit.says(&mut zero, 12, &[(0, 5)]);
    kit.says(&mut one, 12, &[(0, 6)]);
    assert_eq!(kit.told(), [divergence(0, 13, Leg::One)]);
}
