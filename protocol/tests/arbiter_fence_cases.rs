//! One generation of actives follows another: which administrative messages count, and what a subscriber is told.

mod fence_support;

use fence_support::Told::{
    Context, Data, Ended, Gap, Join, Message, Missing, Recount, Recovered, Reset,
};
use fence_support::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

#[test]
fn a_generation_that_inherits_everything_is_not_noticed() {
    for policy in POLICIES {
        let (mut scene, zero, mut one) = paired(policy, 3);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(2, 3);
        scene.beat(&mut one);
        scene.data(&mut one, 1);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Data(3, 3), Message(2, 3), Data(4, 4)]);
        assert_eq!(zero.next, 3);
        assert_eq!(scene.arbiter.counters().discontinuities, 1, "the join");
    }
}

#[test]
fn the_same_number_of_another_generation_is_another_message() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 1, 2);
        leg_0_is_silent(&mut scene, &mut one, 40);
        // It knows of number 0 only; what it originates bears numbers that were delivered.
        one.open(2, 1);
        scene.beat(&mut one);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        scene.message(&mut one);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        assert_eq!(
            scene.told(),
            [
                Recount,
                Message(2, 1),
                Data(3, 2),
                Message(2, 2),
                Message(2, 3),
                Data(4, 4)
            ]
        );
    }
}

#[test]
fn a_message_of_the_old_generation_within_the_cut_is_delivered_once() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        // Both have agreed to number 1. Leg 1 takes over before its place.
        let late = zero.message();
        one.open(2, 2);
        scene.beat(&mut one);
        scene.give(Leg::Zero, &late);
        let again = one.message_of(1);
        scene.give(Leg::One, &again);
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Message(1, 1), Data(3, 2)]);
        assert_eq!(scene.arbiter.counters().fenced, 0);
    }
}

/// The opening heartbeats are lost, and what was inherited is learned only when the count was given up: a copy of what was
/// delivered before is that all the same.
#[test]
fn a_message_told_before_its_generation_was_known_to_be_inherited_is_told_once() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        let first = one.message_of(1);
        let late = zero.message();
        scene.give(Leg::One, &first);
        scene.beat(&mut zero);
        one.open(2, 2);
        let lost = one.data(1);
        scene.data(&mut one, 1);
        scene.pass(ms(3));
        scene.beat(&mut one);
        scene.give(Leg::Zero, &late);
        scene.beat(&mut zero);
        scene.pass(ms(3));
        scene.give(Leg::One, &lost);
        scene.pass(ms(25));
        let told = scene.told();
        let times = told.iter().filter(|it| **it == Message(1, 1)).count();
        // Under prefer-active the first copy was still held, and is part of what the discontinuity says.
        let expected = usize::from(policy == Policy::FirstArrival);
        assert_eq!(times, expected, "{policy:?}: {told:?}");
        assert_eq!(
            told.contains(&Recount),
            expected == 0,
            "{policy:?}: {told:?}"
        );
        assert!(!told.contains(&Missing(0, 1)), "{policy:?}: {told:?}");
        assert!(told.contains(&Data(3, 2)), "{policy:?}: {told:?}");
    }
}

#[test]
fn a_message_of_the_old_generation_beyond_the_cut_is_dropped_and_counted() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        one.open(2, 1);
        scene.beat(&mut one);
        // Nobody has told it yet.
        scene.message(&mut zero);
        scene.message(&mut one);
        scene.message(&mut zero);
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Message(2, 1), Data(3, 2)]);
        assert_eq!(scene.arbiter.counters().fenced, 2);
    }
}

/// Both have brought one message. Leg 0 goes on to the next epoch, and the application with it; leg 1 has not.
fn leg_0_goes_on(policy: Policy) -> (Scene, Adapter, Adapter) {
    let (mut scene, mut zero, one) = paired(policy, 1);
    let end = zero.beat_of(true);
    scene.give(Leg::Zero, &end);
    zero.header.epoch = Epoch(2);
    zero.header.predecessor = Epoch(1);
    zero.next = 1;
    for _ in 0..4 {
        scene.beat(&mut zero);
    }
    assert_eq!(scene.told(), [Ended, Reset], "{policy:?}");
    (scene, zero, one)
}

/// A leg that opens a generation may stand in an epoch that the application has left: what it says of the numbering
/// holds in every epoch.
#[test]
fn what_was_inherited_is_learned_in_an_epoch_that_was_left() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = leg_0_goes_on(policy);
        one.open(2, 1);
        scene.beat(&mut one);
        assert_eq!(scene.arbiter.counters().retired_epoch, 1);
        scene.data(&mut zero, 1);
        scene.message(&mut zero);
        assert_eq!(scene.told(), [Data(1, 1)], "{policy:?}");
        assert_eq!(scene.arbiter.counters().fenced, 1);
    }
}

#[test]
fn an_absurd_generation_in_an_epoch_that_was_left_fences_nobody() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = leg_0_goes_on(policy);
        one.open(1_000_000, 0);
        scene.beat(&mut one);
        scene.data(&mut zero, 1);
        scene.message(&mut zero);
        assert_eq!(scene.told(), [Data(1, 1), Message(1, 1)], "{policy:?}");
    }
}

#[test]
fn a_cut_that_comes_late_but_before_anything_was_told_costs_nothing() {
    let (mut scene, mut zero, mut one) = paired(Policy::FirstArrival, 1);
    one.open(2, 1);
    one.data(1);
    scene.data(&mut one, 1);
    scene.pass(ms(3));
    assert_eq!(
        scene.told(),
        [],
        "3 is missing, and what generation 2 inherited"
    );
    scene.beat(&mut one);
    scene.data(&mut zero, 1);
    assert_eq!(
        scene.told(),
        [Data(3, 1), Recovered(3, 4), Data(4, 1)],
        "nobody was told"
    );
    // What it numbers itself counts on from there.
    scene.message(&mut one);
    scene.data(&mut one, 1);
    assert_eq!(scene.told(), [Message(2, 1), Data(5, 2)]);
}

/// Between the doubt and the cut leg 0 brings a message of generation 1: one that was delivered changes nothing, nor does one
/// that proves to be none; another one was dropped for the doubt.
#[test]
fn a_repetition_that_is_fenced_does_not_make_the_cut_come_too_late() {
    for (number, inherited, told_of) in [(0, 1, false), (1, 1, false), (1, 2, true)] {
        let (mut scene, mut zero, mut one) = paired(Policy::FirstArrival, 1);
        let mut old = zero;
        old.header.base_adm = Adm(number);
        let fenced = old.message();
        one.header.base_adm = Adm(inherited);
        one.open(2, inherited);
        one.data(1);
        scene.data(&mut one, 1);
        scene.pass(ms(3));
        assert_eq!(scene.told(), []);
        scene.give(Leg::Zero, &fenced);
        let case = (number, inherited);
        assert_eq!(scene.arbiter.counters().fenced, 1, "{case:?}");
        scene.beat(&mut one);
        scene.data(&mut zero, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told().contains(&Recount), told_of, "{case:?}");
    }
}

#[test]
fn a_cut_that_comes_after_a_message_was_dropped_for_it_is_told_of() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        let hole = zero.data(1);
        scene.message(&mut zero);
        one.data(1);
        one.header.base_adm = Adm(2);
        one.open(2, 2);
        scene.data(&mut one, 1);
        scene.pass(ms(3));
        assert_eq!(
            scene.arbiter.counters().fenced,
            1,
            "message 1 of generation 1"
        );
        scene.beat(&mut one);
        scene.give(Leg::Zero, &hole);
        scene.pass(ms(25));
        let told = scene.told();
        assert!(told.contains(&Recount), "{policy:?}: {told:?}");
    }
}

#[test]
fn what_was_held_beyond_the_cut_is_dropped_too() {
    let (mut scene, mut zero, mut one) = paired(Policy::FirstArrival, 1);
    let lost = zero.data(1);
    scene.message(&mut zero);
    one.open(2, 1);
    scene.beat(&mut one);
    assert_eq!(scene.arbiter.counters().fenced, 1);
    scene.give(Leg::Zero, &lost);
    scene.data(&mut one, 2);
    assert_eq!(scene.told(), [Data(3, 1), Data(4, 1)]);
}

#[test]
fn a_record_before_the_opening_heartbeat_waits_for_it() {
    for policy in POLICIES {
        for (inherited, expected) in [(2, vec![Data(3, 2)]), (1, vec![Recount, Data(3, 1)])] {
            let (mut scene, _, mut one) = out_of_step(policy, 1, 1);
            if inherited == 2 {
                one.message();
            }
            leg_0_is_silent(&mut scene, &mut one, 40);
            one.open(2, inherited);
            let opening = one.beat();
            scene.data(&mut one, 1);
            scene.pass(ms(1));
            assert_eq!(scene.told(), [], "{policy:?}");
            scene.give(Leg::One, &opening);
            assert_eq!(scene.told(), expected, "{policy:?}");
        }
    }
}

#[test]
fn without_any_opening_heartbeat_what_follows_says_where_the_count_goes_on() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 2, 1);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(2, 2);
        one.message();
        one.message();
        scene.data(&mut one, 1);
        scene.pass(ms(1));
        assert_eq!(scene.told(), []);
        scene.pass(ms(2));
        // Its messages before are part of what the discontinuity says.
        assert_eq!(scene.told(), [Recount, Data(3, 4)]);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Message(2, 4), Data(4, 5)]);
    }
}

#[test]
fn an_opening_that_was_lost_changes_nothing_where_nothing_was_delivered() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = paired(policy, 0);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(5, 0);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Data(3, 0)]);
    }
}

#[test]
fn an_old_heartbeat_after_the_new_generation_counts_nothing() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 1);
        zero.message();
        let old = zero.beat();
        one.open(2, 1);
        scene.beat(&mut one);
        scene.give(Leg::Zero, &old);
        scene.pass(ms(5));
        scene.beat(&mut one);
        scene.give(Leg::Zero, &zero.beat());
        scene.pass(ms(5));
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Recount, Data(3, 1)]);
    }
}

#[test]
fn a_late_record_of_the_old_leg_closes_a_hole_whose_sides_count_alike() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 2);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(2, 1);
        scene.beat(&mut one);
        one.data(1);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [], "number 3 is missing");
        scene.data(&mut zero, 1);
        assert_eq!(
            scene.told(),
            [Recount, Data(3, 1), Recovered(3, 4), Data(4, 1)]
        );
    }
}

#[test]
fn a_generation_opens_while_a_hole_waits() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 1);
        let missing = zero.data(1);
        scene.data(&mut zero, 1);
        let _ = one.data(1);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), []);
        one.open(2, 1);
        scene.beat(&mut one);
        scene.message(&mut one);
        assert_eq!(scene.told(), []);
        scene.give(Leg::Zero, &missing);
        scene.pass(ms(25));
        let told = scene.told();
        assert_eq!(
            told,
            [
                Recount,
                Data(3, 1),
                Recovered(3, 4),
                Data(4, 1),
                Message(2, 1)
            ],
            "{policy:?}"
        );
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Data(5, 2)]);
    }
}

/// A hole that opened before is not given up while what fills it waits for its numbering.
#[test]
fn what_waits_for_its_numbering_fills_a_hole_that_is_older() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 1);
        leg_0_is_silent(&mut scene, &mut one, 40);
        let _ = one.data(1);
        scene.data(&mut one, 1);
        scene.pass(ms(1));
        zero.open(2, 1);
        let _ = zero.beat();
        scene.data(&mut zero, 1);
        scene.pass(ms(1));
        scene.pass(ms(2));
        scene.beat(&mut zero);
        scene.pass(ms(25));
        let told = scene.told();
        assert_eq!(told, [Recount, Data(3, 1), Data(4, 1)], "{policy:?}");
    }
}

#[test]
fn the_hole_that_waited_is_declared_when_nobody_fills_it() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 1);
        zero.data(1);
        one.data(1);
        scene.data(&mut zero, 1);
        scene.data(&mut one, 1);
        one.open(2, 1);
        scene.beat(&mut one);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Recount, Gap(3, 4), Data(4, 1)]);
    }
}

#[test]
fn a_joiner_counts_from_what_it_joins_at() {
    for policy in POLICIES {
        let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
        let mut one = Adapter::new(Leg::One);
        one.open(2, 7);
        one.header.base_adm = Adm(7);
        scene.data(&mut one, 1);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Join, Data(1, 7), Message(2, 7), Data(2, 8)]);
    }
}

#[test]
fn a_joiner_of_the_old_generation_learns_of_the_new_one() {
    for policy in POLICIES {
        let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
        let (mut zero, mut one) = (Adapter::new(Leg::Zero), Adapter::new(Leg::One));
        zero.header.base_adm = Adm(5);
        one.header.base_adm = Adm(3);
        one.open(2, 3);
        // It was told nothing yet: where it joins, it counts as the newest does.
        scene.beat(&mut zero);
        scene.beat(&mut one);
        scene.pass(ms(3));
        assert_eq!(scene.told(), [], "nothing is joined at yet");
        scene.message(&mut one);
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Join, Message(2, 3), Data(1, 4)]);
        // It was told something: that is taken back.
        let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
        zero.next = 1;
        one.next = 2;
        scene.beat(&mut zero);
        scene.data(&mut zero, 1);
        scene.beat(&mut one);
        scene.message(&mut one);
        scene.pass(ms(25));
        // Number 3 of generation 2 was before it joined here.
        assert_eq!(
            scene.told(),
            [Join, Data(1, 5), Recount, Missing(3, 4), Message(2, 4)]
        );
    }
}

#[test]
fn generations_that_follow_each_other_share_the_least_of_their_cuts() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 3, 2);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(2, 3);
        scene.beat(&mut one);
        // It originates two that nobody hears; who succeeds it has agreed to them.
        one.open(3, 5);
        scene.beat(&mut one);
        for of in [2, 2, 3] {
            let bytes = one.message_of(of);
            scene.give(Leg::One, &bytes);
        }
        scene.data(&mut one, 1);
        assert_eq!(
            scene.told(),
            [
                Recount,
                Message(2, 3),
                Message(2, 4),
                Message(3, 5),
                Data(3, 6)
            ]
        );
    }
}

#[test]
fn a_generation_that_was_missed_may_have_inherited_nothing() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 3, 2);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(3, 5);
        one.header.base_adm = Adm(5);
        scene.beat(&mut one);
        scene.data(&mut one, 1);
        scene.pass(ms(3));
        // Numbers 3 and 4 may be other messages there.
        assert_eq!(scene.told(), [Recount, Data(3, 5)]);
        scene.message(&mut one);
        assert_eq!(scene.told(), [Message(3, 5)]);
    }
}

/// Nothing follows that a discontinuity could stand in front of, and messages were missed all the same.
#[test]
fn a_generation_that_was_missed_is_told_of_at_the_tail() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 3, 2);
        leg_0_is_silent(&mut scene, &mut one, 40);
        one.open(3, 7);
        one.header.base_adm = Adm(7);
        scene.beat(&mut one);
        assert_eq!(scene.told(), [], "what it inherited may yet be heard");
        scene.pass(ms(3));
        assert_eq!(scene.told(), [Recount], "{policy:?}");
        leg_0_is_silent(&mut scene, &mut one, 20);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Data(3, 7)], "{policy:?}: once");
    }
}

/// Nobody knows yet how the newest generation counts, and a leg that counts nothing leads meanwhile.
#[test]
fn where_the_count_goes_on_is_told_behind_records_that_could_not_say_it() {
    for by_record in [true, false] {
        for policy in POLICIES {
            let (mut scene, mut zero, mut one) = paired(policy, 2);
            one.header.incarnation = Incarnation(999);
            one.header.generation = Generation(0);
            one.header.base_adm = Adm(0);
            zero.open(4, 0);
            zero.message();
            zero.data(1);
            match by_record {
                true => scene.data(&mut zero, 1),
                false => scene.beat(&mut zero),
            }
            scene.pass(ms(3));
            scene.data(&mut one, 1);
            scene.pass(ms(25));
            let told = scene.told();
            let mut expected = vec![Recount, Data(3, 0)];
            match by_record {
                true => expected.extend([Recovered(3, 4), Recount, Data(4, 1)]),
                false => expected.push(Recount),
            }
            assert_eq!(told, expected, "{policy:?} {by_record}");
        }
    }
}

#[test]
fn the_old_leg_alone_leads_and_its_messages_are_none() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = out_of_step(policy, 1, 1);
        one.open(2, 1);
        scene.beat(&mut one);
        scene.message(&mut one);
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Recount, Message(2, 1), Data(3, 2)]);
        // Leg 1 is gone; leg 0 has heard of nothing.
        zero.next = 4;
        for _ in 0..8 {
            scene.pass(ms(5));
            scene.beat(&mut zero);
        }
        scene.data(&mut zero, 1);
        scene.pass(ms(25));
        scene.message(&mut zero);
        scene.data(&mut zero, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Recount, Data(4, 2), Data(5, 2)]);
        assert_eq!(scene.arbiter.counters().fenced, 1);
        // And when leg 1 is back it counts as it did.
        one.next = 6;
        scene.beat(&mut one);
        scene.data(&mut one, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Data(6, 2)]);
    }
}

#[test]
fn without_order_a_number_of_another_generation_is_another_message_too() {
    let mut scene = Scene::new(OrderingClass::Unordered, Limits::default());
    let (mut zero, mut one) = (Adapter::new(Leg::Zero), Adapter::new(Leg::One));
    scene.data(&mut zero, 1);
    scene.data(&mut one, 1);
    scene.message(&mut zero);
    scene.message(&mut zero);
    scene.beat(&mut zero);
    assert_eq!(
        scene.told(),
        [Join, Data(1, 0), Message(1, 0), Message(1, 1)]
    );
    one.open(2, 0);
    scene.beat(&mut one);
    scene.message(&mut one);
    scene.message(&mut zero);
    scene.data(&mut one, 1);
    // A record of the old leg is no less true.
    zero.data(1);
    scene.data(&mut zero, 1);
    assert_eq!(
        scene.told(),
        [Recount, Message(2, 0), Data(2, 1), Data(3, 1)]
    );
    assert_eq!(scene.arbiter.counters().fenced, 1);
    // What is lost behind the last record is missing before the end.
    one.message();
    one.data(1);
    let end = one.beat_of(true);
    one.next = 3;
    one.header.base_adm = Adm(2);
    scene.give(Leg::One, &end);
    scene.data(&mut one, 1);
    for _ in 0..8 {
        scene.pass(ms(5));
        scene.give(Leg::One, &one.beat_of(true));
    }
    let told = scene.told();
    assert_eq!(told, [Missing(1, 2), Ended], "{told:?}");
}

#[test]
fn the_context_and_the_count_are_told_apart() {
    let (mut scene, _, mut one) = out_of_step(Policy::FirstArrival, 1, 1);
    leg_0_is_silent(&mut scene, &mut one, 40);
    one.open(2, 1);
    one.header.context = ContextId(9);
    one.header.abandoned = 1;
    scene.beat(&mut one);
    scene.pass(ms(3));
    scene.data(&mut one, 1);
    scene.pass(ms(3));
    assert_eq!(scene.told(), [Context, Recount, Data(3, 1)]);
}
