//! Legs that count administrative messages otherwise, messages that nobody brings, and counts that cannot be true.

mod fence_support;

use fence_support::Told::{
    Context, Data, Ended, Gap, Join, Message, Missing, Recount, Recovered, Reset,
};
use fence_support::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// Both legs say where they stand, so many times, so many ms apart.
fn both_speak(scene: &mut Scene, [first, second]: [&mut Adapter; 2], times: u32, apart: u64) {
    for _ in 0..times {
        scene.beat(first);
        scene.beat(second);
        scene.pass(ms(apart));
    }
}

#[test]
fn a_leg_that_counts_less_fills_holes_and_does_not_lead() {
    for policy in POLICIES {
        let (mut scene, mut zero, _) = paired(policy, 2);
        // A restarted backup that is not in step.
        let mut one = Adapter::new(Leg::One);
        one.header.generation = Generation(0);
        one.header.incarnation = Incarnation(999);
        one.next = 3;
        let lost = zero.data(1);
        scene.data(&mut zero, 1);
        scene.data(&mut one, 1);
        assert_eq!(
            scene.told(),
            [Data(3, 2), Recovered(3, 4), Data(4, 2)],
            "{policy:?}"
        );
        scene.give(Leg::Zero, &lost);
        // Ahead it waits.
        scene.data(&mut one, 2);
        scene.pass(ms(1));
        assert_eq!(scene.told(), []);
        scene.message(&mut zero);
        scene.data(&mut zero, 1);
        assert_eq!(scene.told(), [Message(1, 2), Data(5, 3)]);
    }
}

#[test]
fn what_a_leg_counts_behind_a_hole_shows_what_it_lacks_only_while_it_is_in_step() {
    for policy in POLICIES {
        for in_step in [true, false] {
            let (mut scene, _, mut one) = out_of_step(policy, 1, 1);
            leg_0_is_silent(&mut scene, &mut one, 40);
            scene.data(&mut one, 1);
            assert_eq!(scene.told(), []);
            // A cut tells it of a message that it did not place; of more than one, if it is out of step again at once.
            one.header.base_adm = Adm(2);
            if !in_step {
                one.header.flags = Flags::UNSYNCHRONISED;
            }
            scene.data(&mut one, 1);
            scene.pass(ms(3));
            match in_step {
                true => assert_eq!(scene.told(), [Data(3, 2), Data(4, 2)]),
                false => assert_eq!(scene.told(), [Recount, Data(3, 2), Data(4, 2)]),
            }
        }
    }
}

#[test]
fn a_leg_that_counts_less_leads_when_nobody_else_does() {
    for policy in POLICIES {
        let (mut scene, _, mut one) = out_of_step(policy, 1, 1);
        leg_0_is_silent(&mut scene, &mut one, 40);
        scene.data(&mut one, 1);
        scene.pass(ms(3));
        scene.data(&mut one, 1);
        // Told once. What stands before it for the application is what was delivered.
        assert_eq!(scene.told(), [Recount, Data(3, 2), Data(4, 2)]);
        // It takes over: now its count is the one in force.
        one.open(2, 1);
        scene.beat(&mut one);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Recount, Data(5, 1)]);
    }
}

#[test]
fn a_message_behind_the_last_record_comes_before_the_end_or_is_missing_before_it() {
    for policy in POLICIES {
        for comes in [true, false] {
            let (mut scene, mut zero, mut one) = paired(policy, 1);
            let [lost, _] = [zero.message(), one.message()];
            let ends = [zero.beat_of(true), one.beat_of(true)];
            scene.give(Leg::Zero, &ends[0]);
            scene.give(Leg::One, &ends[1]);
            scene.pass(ms(1));
            assert_eq!(scene.told(), [], "neither is told yet");
            if comes {
                scene.give(Leg::Zero, &lost);
            }
            scene.pass(ms(3));
            let first = match comes {
                true => Message(1, 1),
                false => Missing(1, 2),
            };
            assert_eq!(scene.told(), [first, Ended], "{policy:?}");
        }
    }
}

#[test]
fn a_message_at_the_tail_is_missing_without_any_record_behind_it() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        zero.message();
        // Leg 1 has not reached its place, and never does.
        both_speak(&mut scene, [&mut zero, &mut one], 5, 5);
        assert_eq!(scene.told(), [Missing(1, 2)], "{policy:?}");
        // What is held behind the missing one is delivered.
        zero.message();
        scene.message(&mut zero);
        scene.beat(&mut zero);
        both_speak(&mut scene, [&mut zero, &mut one], 5, 5);
        assert_eq!(scene.told(), [Missing(2, 3), Message(1, 3)]);
    }
}

#[test]
fn messages_of_an_active_whose_memory_has_a_hole_reach_everybody() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        // The active lost something, so that leg 1 alone is delivered; it goes on originating.
        zero.header.context = ContextId(2);
        zero.header.abandoned = 1;
        zero.header.flags = Flags::INCOMPLETE;
        scene.beat(&mut zero);
        scene.message(&mut zero);
        assert_eq!(scene.told(), [Message(1, 1)]);
        scene.data(&mut one, 1);
        scene.data(&mut zero, 1);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Recount, Data(3, 1 + 1)], "{policy:?}");
        scene.data(&mut one, 1);
        scene.data(&mut zero, 1);
        scene.message(&mut zero);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Data(4, 2), Message(1, 2), Data(5, 3)]);
        // Ahead of what was delivered it waits for its place, and one that is lost is missing.
        zero.data(2);
        scene.message(&mut zero);
        assert_eq!(scene.told(), []);
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Data(6, 3), Message(1, 3)]);
        zero.message();
        both_speak(&mut scene, [&mut zero, &mut one], 6, 5);
        assert_eq!(scene.told(), [Missing(4, 5)]);
    }
}

#[test]
fn an_absurd_count_changes_nothing_until_it_is_confirmed() {
    for policy in POLICIES {
        let far = Limits::default().adm_window + 3;
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        let mut wrong = zero;
        wrong.header.base_adm = Adm(far);
        scene.data(&mut wrong, 1);
        zero.header.dsn = wrong.header.dsn;
        scene.data(&mut one, 1);
        scene.data(&mut zero, 2);
        scene.pass(ms(25));
        assert_eq!(scene.told(), [Data(3, 1), Data(4, 1)], "{policy:?}");
        assert_eq!(scene.arbiter.counters().quarantine_dropped, 1);
        // In a heartbeat.
        let mut wrong = zero;
        wrong.header.base_adm = Adm(u64::MAX);
        scene.beat(&mut wrong);
        zero.header.dsn = wrong.header.dsn;
        scene.beat(&mut zero);
        scene.pass(ms(25));
        assert_eq!(scene.told(), []);
        // Said three times, and in a heartbeat, it is true: what stands between is missing.
        for leg in [&mut zero, &mut one] {
            leg.header.base_adm = Adm(far);
            leg.next = 5;
        }
        scene.data(&mut zero, 1);
        scene.beat(&mut zero);
        assert_eq!(scene.told(), []);
        scene.beat(&mut zero);
        for _ in 0..6 {
            scene.pass(ms(5));
            scene.beat(&mut zero);
        }
        assert_eq!(scene.told(), [Missing(1, far), Data(5, far)], "{policy:?}");
    }
}

#[test]
fn an_absurd_generation_fences_nobody() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        let mut wrong = one;
        wrong.open(u32::MAX, 0);
        scene.beat(&mut wrong);
        one.header.dsn = wrong.header.dsn;
        scene.message(&mut zero);
        scene.data(&mut zero, 1);
        scene.beat(&mut one);
        scene.pass(ms(5));
        assert_eq!(scene.told(), [Message(1, 1), Data(3, 2)]);
        assert_eq!(scene.arbiter.counters().fenced, 0);
    }
}

#[test]
fn whoever_joined_at_an_absurd_count_is_healed() {
    for policy in POLICIES {
        for (generation, adm) in [(1, u64::MAX / 2), (u32::MAX, 1)] {
            let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
            let mut zero = Adapter::new(Leg::Zero);
            let mut one = Adapter::new(Leg::One);
            let mut wrong = zero;
            wrong.header.generation = Generation(generation);
            wrong.header.base_adm = Adm(adm);
            scene.data(&mut wrong, 1);
            assert_eq!(scene.told(), [Join, Data(1, adm)]);
            zero.header.dsn = wrong.header.dsn;
            for leg in [&mut zero, &mut one] {
                leg.header.base_adm = Adm(2);
                leg.next = 2;
            }
            both_speak(&mut scene, [&mut zero, &mut one], 20, 5);
            scene.message(&mut zero);
            scene.message(&mut one);
            scene.data(&mut zero, 1);
            scene.data(&mut one, 1);
            scene.pass(ms(25));
            assert_eq!(
                scene.told(),
                [Recount, Message(1, 2), Data(2, 3)],
                "{policy:?} {generation} {adm}"
            );
        }
    }
}

/// Leg 0 converts with another memory, so that leg 1 alone is delivered.
fn with_another_memory(zero: &mut Adapter) {
    zero.header.context = ContextId(2);
    zero.header.abandoned = 1;
    zero.header.flags = Flags::INCOMPLETE;
}

#[test]
fn a_message_that_is_held_elsewhere_ends_what_is_missing_in_front_of_it() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        with_another_memory(&mut zero);
        scene.beat(&mut zero);
        zero.message();
        scene.message(&mut zero);
        assert_eq!(scene.told(), []);
        // Both are lost on the leg that is delivered, whose next record counts them.
        one.message();
        one.message();
        scene.data(&mut one, 1);
        scene.data(&mut zero, 1);
        for _ in 0..5 {
            scene.pass(ms(5));
            scene.beat(&mut zero);
            scene.beat(&mut one);
        }
        let expected = [Missing(1, 2), Message(1, 2), Data(3, 3)];
        assert_eq!(scene.told(), expected, "{policy:?}");
    }
}

#[test]
fn what_was_passed_behind_a_message_that_waits_is_not_delivered_again() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        with_another_memory(&mut zero);
        scene.beat(&mut zero);
        zero.message();
        scene.message(&mut zero);
        // Its next process has forgotten all messages, and what the one before remembered, and brings a record behind the
        // message that waits.
        zero.header.incarnation = Incarnation(999);
        zero.header.context = ContextId(3);
        zero.header.base_adm = Adm(0);
        scene.data(&mut zero, 1);
        scene.data(&mut one, 2);
        assert_eq!(scene.told(), [Data(3, 1), Data(4, 1)]);
        // It is told of the messages, and leg 1 dies.
        zero.next = 5;
        zero.header.base_adm = Adm(1);
        for _ in 0..10 {
            scene.beat(&mut zero);
            scene.pass(ms(5));
        }
        assert_eq!(scene.told(), [], "{policy:?}");
        scene.data(&mut zero, 1);
        assert_eq!(scene.told(), [Context, Data(5, 1)], "{policy:?}");
    }
}

/// The application has gone on with leg 1, and leg 0 stays in the epoch before.
fn left_behind(policy: Policy) -> (Scene, Adapter, Adapter) {
    let (mut scene, mut zero, mut one) = paired(policy, 1);
    for leg in [&mut zero, &mut one] {
        let ends = leg.beat_of(true);
        scene.give(leg.leg, &ends);
    }
    one.header.predecessor = Epoch(1);
    one.header.epoch = Epoch(2);
    one.next = 1;
    for _ in 0..3 {
        scene.beat(&mut one);
    }
    scene.data(&mut one, 1);
    assert_eq!(scene.told(), [Ended, Reset, Data(1, 1)]);
    (scene, zero, one)
}

#[test]
fn messages_that_stand_in_an_epoch_that_was_left_are_missing() {
    for policy in POLICIES {
        for comes in [false, true] {
            let (mut scene, mut zero, mut one) = left_behind(policy);
            scene.message(&mut zero);
            scene.beat(&mut zero);
            scene.pass(ms(25));
            assert_eq!(scene.told(), [], "one word alone may be anybody's");
            scene.beat(&mut zero);
            if comes {
                // The other adapter was told of it, too, and placed it where it was by then.
                scene.message(&mut one);
            }
            both_speak(&mut scene, [&mut one, &mut zero], 40, 5);
            let expected = match comes {
                true => Message(1, 1),
                false => Missing(1, 2),
            };
            assert_eq!(scene.told(), [expected], "{policy:?}");
        }
    }
}

#[test]
fn what_one_false_word_counts_in_an_epoch_that_was_left_is_not_missing() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = left_behind(policy);
        for count in [1, 9, 1, 1, 9, 1] {
            zero.header.base_adm = Adm(count);
            scene.beat(&mut zero);
            scene.beat(&mut one);
            scene.pass(ms(25));
        }
        assert_eq!(scene.told(), [], "{policy:?}");
        // What it said before it came along is no word of the epoch it is in now.
        zero.header.base_adm = Adm(2);
        scene.beat(&mut zero);
        scene.beat(&mut zero);
        zero.header.predecessor = Epoch(1);
        zero.header.epoch = Epoch(2);
        zero.header.base_adm = Adm(1);
        zero.next = 2;
        both_speak(&mut scene, [&mut zero, &mut one], 20, 5);
        assert_eq!(scene.told(), [], "{policy:?}");
    }
}

#[test]
fn what_counts_on_in_an_epoch_that_was_left_is_missing_in_turn() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = left_behind(policy);
        for _ in 0..80 {
            zero.message();
            scene.beat(&mut zero);
            scene.beat(&mut one);
            scene.pass(ms(10));
        }
        let told = scene.told();
        assert!(told.len() > 2, "{policy:?}: {told:?}");
        let mut next = 1;
        for told in told {
            let Missing(from, until) = told else {
                panic!("{told:?}")
            };
            assert_eq!(from, next, "{policy:?}");
            next = until;
        }
        // Whoever leaves out what waits leaves this, too.
        scene
            .arbiter
            .on_control(Control::Skip, scene.now, &mut scene.log);
        for _ in 0..20 {
            scene.beat(&mut one);
            scene.pass(ms(5));
        }
        assert_eq!(scene.told(), [], "{policy:?}");
    }
}

#[test]
fn an_epoch_that_may_be_come_back_to_says_nothing_of_what_is_behind() {
    for policy in POLICIES {
        let mut scene = Scene::new(OrderingClass::Ordered, limits(policy));
        let [mut zero, mut one] = [Adapter::new(Leg::Zero), Adapter::new(Leg::One)];
        for (leg, epoch) in [(&mut zero, 9), (&mut one, 8)] {
            leg.header.epoch = Epoch(epoch);
            leg.header.base_adm = Adm(5);
        }
        one.next = 100;
        scene.beat(&mut zero);
        scene.data(&mut zero, 1);
        assert_eq!(scene.told(), [Join, Data(1, 5)]);
        // Leg 1 speaks of another one, and nobody says which came first.
        for _ in 0..20 {
            scene.pass(ms(5));
            scene.beat(&mut one);
        }
        scene.data(&mut one, 1);
        assert_eq!(scene.told(), [Reset, Gap(1, 100), Data(100, 5)]);
        // Leg 0 is back, further on.
        zero.header.base_adm = Adm(7);
        for _ in 0..12 {
            scene.beat(&mut zero);
            scene.pass(ms(5));
            scene.data(&mut one, 1);
            scene.beat(&mut one);
            scene.pass(ms(5));
        }
        scene.message(&mut one);
        let told = scene.told();
        assert_eq!(told.last(), Some(&Message(1, 5)), "{policy:?}: {told:?}");
        assert!(!told.iter().any(|it| matches!(it, Missing(..))), "{told:?}");
    }
}

#[test]
fn what_is_held_between_missing_messages_makes_nobody_wait_anew() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = paired(policy, 1);
        with_another_memory(&mut zero);
        scene.beat(&mut zero);
        for _ in 0..30 {
            zero.message();
            scene.message(&mut zero);
        }
        for _ in 0..60 {
            one.message();
        }
        scene.data(&mut one, 1);
        scene.data(&mut zero, 1);
        let since = scene.now;
        let mut told = Vec::new();
        while !told.contains(&Data(3, 61)) {
            scene.pass(ms(1));
            scene.beat(&mut zero);
            scene.beat(&mut one);
            told.extend(scene.told());
            assert!(scene.now < since.after(ms(100)), "{policy:?}: {told:?}");
        }
        let waited = scene.now.since(since);
        let most = limits(policy).lag_time + ms(2) * 3;
        assert!(waited <= most, "{policy:?}: {waited:?}");
        let messages = told.iter().filter(|it| matches!(it, Message(..))).count();
        assert_eq!(messages, 30, "{policy:?}: {told:?}");
    }
}

#[test]
fn what_is_asked_for_is_not_missing_because_it_stands_behind_elsewhere() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = left_behind(policy);
        scene.arbiter.set_fill_server(Leg::One, true);
        scene.message(&mut zero);
        scene.beat(&mut zero);
        scene.beat(&mut zero);
        for _ in 0..25 {
            scene.pass(ms(5));
            scene.beat(&mut one);
            scene.beat(&mut zero);
        }
        // Leg 1 places it, and that is lost: it is asked for.
        let message = one.message();
        scene.beat(&mut one);
        let mut asked = false;
        for _ in 0..60 {
            scene.pass(ms(1));
            asked |= scene.arbiter.poll_request().is_some();
        }
        assert!(asked && scene.arbiter.is_asking(), "{policy:?}");
        let mut again = message;
        mark_retransmitted(&mut again);
        scene
            .arbiter
            .on_fill(Leg::One, scene.now, &again, &mut scene.log);
        assert_eq!(scene.told(), [Message(1, 1)], "{policy:?}");
    }
}

#[test]
fn one_false_word_of_a_leg_that_is_left_behind_holds_nothing_up() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = left_behind(policy);
        scene.message(&mut zero);
        let mut stray = zero;
        stray.header.epoch = Epoch(77);
        scene.beat(&mut stray);
        zero.header.dsn = stray.header.dsn;
        both_speak(&mut scene, [&mut zero, &mut one], 60, 5);
        assert_eq!(scene.told(), [Missing(1, 2)], "{policy:?}");
    }
}

#[test]
fn what_waits_to_be_believed_is_not_missing_because_it_stands_behind_elsewhere() {
    for policy in POLICIES {
        let (mut scene, mut zero, mut one) = left_behind(policy);
        scene.message(&mut zero);
        both_speak(&mut scene, [&mut zero, &mut one], 26, 5);
        assert_eq!(scene.told(), [], "{policy:?}: nearly long enough");
        // Leg 1 goes on to an epoch that nobody has confirmed, and brings it there.
        let ends = one.beat_of(true);
        scene.give(Leg::One, &ends);
        one.header.predecessor = Epoch(2);
        one.header.epoch = Epoch(3);
        one.next = 1;
        scene.data(&mut one, 1);
        scene.message(&mut one);
        for _ in 0..4 {
            scene.pass(ms(5));
            scene.beat(&mut zero);
        }
        assert!(!scene.told().contains(&Missing(1, 2)), "{policy:?}");
        for _ in 0..3 {
            scene.beat(&mut one);
        }
        scene.data(&mut one, 1);
        let told = scene.told();
        assert!(told.contains(&Message(1, 1)), "{policy:?}: {told:?}");
    }
}
