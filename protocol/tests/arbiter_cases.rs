//! The arbiter by hand, within one epoch and context: one small case per rule, the edge and one step beyond.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

fn pair() -> (Kit, Sender, Sender) {
    ordered(Limits::default())
}

fn prefer() -> (Kit, Sender, Sender) {
    let policy = Policy::PreferActive;
    ordered(Limits {
        policy,
        ..Limits::default()
    })
}

#[test]
fn the_first_record_is_told_to_be_a_join() {
    let (mut kit, mut zero, _) = pair();
    kit.records(&mut zero, &[(50, 2, true, 49), (51, 0, true, 50)]);
    let told = kit.told();
    let join = Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(51),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Join,
    };
    assert_eq!(told, [Told::Event(join), Told::Record(51, 0, Leg::Zero)]);
}

#[test]
fn a_later_part_that_overtook_what_is_joined_at_is_not_missing() {
    for class in [OrderingClass::Ordered, OrderingClass::Unordered] {
        let (mut kit, mut zero, _) = legs(class, Limits::default());
        let first = zero.records(&[(49, 0, true, 48), (50, 0, false, 49)]);
        kit.records(&mut zero, &[(50, 1, false, 49)]);
        kit.records(&mut zero, &[(50, 2, true, 49)]);
        assert_eq!(kit.told(), [], "{class:?}: nothing can be joined at");
        kit.give(Leg::Zero, &first);
        kit.beat(&mut zero, 50, 51);
        kit.pass(ms(5));
        let places = [(49, 0), (50, 0), (50, 1), (50, 2)];
        let records = places.map(|(sseq, part)| Told::Record(sseq, part, Leg::Zero));
        assert_eq!(kit.told()[1..], records, "{class:?}");
    }
}

#[test]
fn the_second_copy_is_dropped_whichever_leg_brings_it() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut one, &run(4..=5));
    kit.records(&mut zero, &run(4..=5));
    assert_eq!(kit.numbers(), [4, 5]);
    assert_eq!(kit.arbiter.counters().duplicates, 5);
}

#[test]
fn msn_and_batching_say_nothing_about_sameness() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    one.header.first_msn = Msn(9_000);
    kit.records(&mut one, &run(4..=9));
    kit.records(&mut zero, &run(4..=6));
    kit.records(&mut zero, &run(7..=10));
    assert_eq!(kit.numbers(), [4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn parts_are_delivered_in_order_and_once() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &[(4, 0, false, 3), (4, 1, false, 3)]);
    kit.records(
        &mut one,
        &[(4, 1, false, 3), (4, 2, true, 3), (5, 0, true, 4)],
    );
    let parts: Vec<_> = kit.told();
    let expected = [
        (4, 0, Leg::Zero),
        (4, 1, Leg::Zero),
        (4, 2, Leg::One),
        (5, 0, Leg::One),
    ];
    assert_eq!(
        parts,
        expected.map(|(sseq, part, leg)| Told::Record(sseq, part, leg))
    );
}

#[test]
fn numbers_that_carry_nothing_are_no_hole() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &[(9, 0, true, 3)]);
    assert_eq!(kit.numbers(), [9]);
    kit.beat(&mut zero, 9, 20);
    kit.records(&mut zero, &[(20, 0, true, 9)]);
    assert_eq!(kit.numbers(), [20]);
}

#[test]
fn a_hole_on_one_leg_is_filled_by_the_other_and_nobody_switches() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(6..=7));
    assert_eq!(kit.numbers(), []);
    kit.records(&mut one, &run(4..=7));
    let recovered = Event::Recovered {
        sid: SID,
        epoch: Epoch(1),
        from: Place::start(4),
        until: Place::start(6),
    };
    let told = kit.told();
    assert_eq!(told[2], Told::Event(recovered));
    assert_eq!(told.len(), 5);
    assert_eq!(
        (kit.arbiter.counters().switches, kit.arbiter.counters().gaps),
        (0, 0)
    );
}

#[test]
fn a_hole_on_both_legs_is_declared_after_both_passed_it_and_not_before() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(6..=7));
    kit.pass(ms(5));
    assert_eq!(kit.told(), [], "leg 1 may still bring 4 and 5");
    kit.records(&mut one, &run(7..=7));
    assert_eq!(kit.told(), [], "both passed, the reorder hold is not over");
    kit.pass(ms(2));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 6, GapCause::LostOnEveryLeg));
    assert_eq!(told.len(), 3);
    kit.records(&mut one, &run(4..=5));
    assert_eq!(kit.told(), [], "a gap is final");
    assert_eq!(kit.arbiter.counters().gap_messages, 2);
}

#[test]
fn who_stands_in_the_middle_of_a_hole_is_waited_for() {
    // While a message is missing too, what carries nothing is passed by nobody.
    for counted in [0, 1] {
        let (mut kit, mut zero, mut one) = pair();
        kit.joined(&mut zero, &mut one, 3);
        for sender in [&mut zero, &mut one] {
            sender.header.base_adm = Adm(counted);
        }
        kit.records(&mut zero, &[(10, 0, true, 9)]);
        // Nothing is in 4 to 6, says who has not come to 7 yet.
        kit.beat(&mut one, 3, 7);
        kit.pass(ms(5));
        let told = kit.told();
        assert!(
            !told
                .iter()
                .any(|it| matches!(it, Told::Event(Event::Gap { .. }))),
            "leg 1 may still bring 7 to 9: {told:?}"
        );
        kit.records(&mut one, &[(8, 0, true, 3), (9, 0, true, 8)]);
        kit.pass(ms(5));
        let told = kit.told().into_iter();
        let records = told.filter(|it| matches!(it, Told::Record(..)));
        let places = [(8, Leg::One), (9, Leg::One), (10, Leg::Zero)];
        let expected = places.map(|(sseq, leg)| Told::Record(sseq, 0, leg));
        assert_eq!(records.collect::<Vec<_>>(), expected);
        assert_eq!(kit.arbiter.counters().gaps, 0);
    }
}

#[test]
fn a_late_copy_within_the_hold_closes_the_hole() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let late = one.records(&run(4..=5));
    kit.records(&mut zero, &run(6..=7));
    kit.records(&mut one, &run(6..=7));
    kit.pass(ms(1));
    kit.give(Leg::One, &late);
    assert_eq!(kit.told().len(), 5);
    kit.pass(ms(5));
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn a_lost_tail_is_noticed_by_the_heartbeat() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.beat(&mut zero, 5, 6);
    kit.beat(&mut one, 5, 6);
    kit.pass(ms(3));
    assert_eq!(kit.told(), [gap(4, 6, GapCause::LostOnEveryLeg)]);
    kit.records(&mut zero, &run(6..=6));
    assert_eq!(kit.numbers(), [6]);
}

#[test]
fn what_is_added_to_a_hole_waits_as_long_as_the_hole_did() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    beats(&mut kit, [&mut zero, &mut one], 5, 6);
    kit.pass(std::time::Duration::from_micros(1_800));
    let late = one.records(&run(6..=7));
    beats(&mut kit, [&mut zero, &mut one], 7, 8);
    kit.pass(ms(1));
    assert_eq!(kit.told(), [lost(4, 6)], "6 and 7 may be under way");
    kit.give(Leg::One, &late);
    assert_eq!(kit.numbers(), [6, 7]);
    kit.pass(ms(5));
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn what_came_in_front_of_a_join_that_was_not_told_is_not_called_lost() {
    let limits = Limits {
        window: 20,
        ..Limits::default()
    };
    let (mut kit, mut zero, _) = ordered(limits);
    let [first, later] = [1..=3, 9..=12].map(|numbers| zero.records(&run(numbers)));
    kit.beat(&mut zero, 29, 30);
    // It is in front of where the leg stands, and not far enough to doubt that.
    kit.give(Leg::Zero, &later);
    assert_eq!(kit.told(), []);
    kit.give(Leg::Zero, &first);
    assert_eq!(kit.told().len(), 4, "joined at 1");
    kit.records(&mut zero, &run(13..=13));
    kit.pass(ms(5));
    let record = Told::Record(13, 0, Leg::Zero);
    assert_eq!(kit.told(), [gap(4, 13, GapCause::HoldFull), record]);
}

#[test]
fn a_lost_tail_beside_silence_is_told_apart() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        kit.beat(sender, 4, 9);
    }
    kit.pass(ms(3));
    assert_eq!(kit.told(), [gap(4, 5, GapCause::LostOnEveryLeg)]);
    kit.records(&mut one, &[(9, 0, true, 4)]);
    assert_eq!(kit.numbers(), [9]);
}

#[test]
fn a_leg_that_stands_still_is_not_waited_for_whatever_its_heartbeats_say() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(6..=6));
    for _ in 0..5 {
        kit.beat(&mut one, 3, 4);
        kit.beat(&mut zero, 6, 7);
        kit.pass(ms(5));
    }
    let told = kit.told();
    let receipts = switches(&told);
    assert_eq!(receipts.len(), 1, "{told:?}");
    assert_eq!(
        (receipts[0].trigger, receipts[0].from_leg),
        (Trigger::Lag, Leg::One)
    );
    assert!(told.contains(&gap(4, 6, GapCause::Lag)), "{told:?}");
    assert_eq!(
        kit.arbiter.leg_status(SID, Leg::One).unwrap().state,
        LegState::Stalled
    );
}

#[test]
fn a_full_hold_declares_and_never_evicts() {
    let limits = Limits {
        held_records: 3,
        ..Limits::default()
    };
    let mut kit = Kit::new(limits);
    let (mut zero, mut one) = (Sender::new(Leg::Zero), Sender::new(Leg::One));
    kit.joined(&mut zero, &mut one, 3);
    for sseq in 6..=9 {
        kit.records(&mut zero, &run(sseq..=sseq));
    }
    let told = kit.told();
    assert!(told.contains(&gap(4, 6, GapCause::HoldFull)), "{told:?}");
    let numbers: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Record(sseq, ..) => Some(*sseq),
            Told::Event(_) => None,
        })
        .collect();
    assert_eq!(numbers[..3], [6, 7, 8]);
    kit.pass(ms(1));
    kit.records(&mut zero, &run(10..=10));
    assert_eq!(kit.arbiter.counters().hold_overflow, 0);
    assert_eq!(numbers.len() + kit.numbers().len(), 5);
}

#[test]
fn first_arrival_counts_one_switch_per_leg_lost() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for next in 4..=60 {
        kit.records(&mut one, &run(next..=next));
        kit.pass(ms(1));
    }
    let told = kit.told();
    let receipts = switches(&told);
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        receipts[0].trigger,
        Trigger::Lag,
        "still, while the other moved for lag_time"
    );
    assert_eq!(receipts[0].from.pos.sseq, 4);
    assert_eq!(kit.arbiter.counters().gaps, 0);
    assert_eq!(
        kit.arbiter.leg_status(SID, Leg::Zero).unwrap().state,
        LegState::Lost
    );
}

#[test]
fn a_leg_that_is_heard_again_has_its_time_to_catch_up_anew() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    // Leg 0 falls silent, and then behind, but is lost before it has been behind for `lag_time`.
    kit.pass(ms(14));
    kit.records(&mut one, &run(4..=4));
    kit.pass(ms(1));
    assert_eq!(kit.numbers(), [4]);
    kit.pass(ms(15));
    assert_eq!(switches(&kit.told())[0].trigger, Trigger::HeartbeatSilence);
    kit.beat(&mut one, 4, 5);
    kit.pass(ms(10));
    // It is back, with a datagram that nobody believes: it stands where it stood.
    kit.records(&mut zero, &run(5_000_000..=5_000_000));
    kit.beat(&mut one, 4, 5);
    kit.pass(ms(19));
    assert_eq!(kit.told(), [], "it was gone, not behind");
    kit.beat(&mut one, 4, 5);
    kit.pass(ms(1));
    assert_eq!(switches(&kit.told())[0].trigger, Trigger::Lag);
}

#[test]
fn prefer_active_holds_the_backup_and_releases_it_on_a_transport_reset() {
    let (mut kit, mut zero, mut one) = prefer();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut one, &run(4..=6));
    assert_eq!(kit.numbers(), [], "the active may still bring them");
    kit.records(&mut zero, &run(4..=4));
    assert_eq!(kit.numbers(), [4]);
    one.header.flags = Flags::PEER_LOST;
    kit.records(&mut one, &run(7..=7));
    assert_eq!(kit.numbers(), [5, 6, 7], "a hint releases at once");
    kit.pass(ms(5));
    kit.records(&mut one, &run(8..=8));
    kit.pass(ms(11));
    let told = kit.told();
    let receipt = switches(&told)[0];
    assert_eq!(
        (receipt.trigger, receipt.from_leg),
        (Trigger::TransportReset, Leg::Zero)
    );
    assert!(receipt.held >= 2 && receipt.filled >= 2, "{receipt:?}");
    assert_eq!(receipt.gaps_left, 0);
}

/// The new generation is known before the dead leg has been silent for long enough; one that speaks is not dead.
#[test]
fn a_takeover_from_a_leg_that_was_reset_is_told_as_the_reset() {
    for (reset, speaks, trigger) in [
        (true, false, Trigger::TransportReset),
        (true, true, Trigger::Order),
        (false, false, Trigger::Order),
    ] {
        let (mut kit, mut zero, mut one) = prefer();
        kit.joined(&mut zero, &mut one, 3);
        for _ in 0..200 {
            kit.pass(ms(5));
            kit.beat(&mut zero, 3, 4);
            kit.beat(&mut one, 3, 4);
        }
        kit.records(&mut one, &run(4..=5));
        one.header.flags = if reset { Flags::PEER_LOST } else { Flags(0) };
        kit.records(&mut one, &run(6..=6));
        for _ in 0..2 {
            kit.control(Control::Roles {
                active: Leg::One,
                generation: Generation(9),
            });
        }
        kit.records(&mut one, &run(7..=7));
        let mut told = kit.told();
        let numbers = told.iter().filter(|it| matches!(it, Told::Record(..)));
        assert_eq!(numbers.count(), 4, "nothing waits");
        assert_eq!(kit.arbiter.counters().switches, u64::from(!reset));
        if speaks {
            kit.beat(&mut zero, 3, 4);
        }
        for _ in 0..2 {
            kit.pass(ms(8));
            kit.beat(&mut one, 7, 8);
        }
        told.extend(kit.told());
        let receipts = switches(&told);
        assert_eq!(receipts.len(), 1, "{receipts:?}");
        let receipt = receipts[0];
        assert_eq!((receipt.trigger, receipt.from_leg), (trigger, Leg::Zero));
        if !speaks {
            assert!(receipt.held >= 2 && receipt.filled >= 2, "{receipt:?}");
        }
    }
}

#[test]
fn a_hint_alone_switches_nothing() {
    let (mut kit, mut zero, mut one) = prefer();
    kit.joined(&mut zero, &mut one, 3);
    one.header.flags = Flags::PEER_LOST;
    for next in 4..=20 {
        kit.records(&mut one, &run(next..=next));
        kit.records(&mut zero, &run(next..=next));
        kit.pass(ms(5));
    }
    assert_eq!(kit.numbers(), (4..=20).collect::<Vec<_>>());
    assert_eq!(kit.arbiter.counters().switches, 0);
}

#[test]
fn prefer_active_delivers_a_held_record_after_lag_time_whatever_heartbeats_say() {
    let (mut kit, mut zero, mut one) = prefer();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut one, &run(4..=4));
    for _ in 0..4 {
        kit.pass(ms(4));
        kit.beat(&mut zero, 3, 4);
    }
    assert_eq!(kit.numbers(), []);
    kit.pass(ms(4));
    let told = kit.told();
    assert!(told.contains(&Told::Record(4, 0, Leg::One)), "{told:?}");
}

#[test]
fn an_absurd_number_changes_nothing() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(2_000_000..=2_000_000));
    kit.records(&mut zero, &run(4..=5));
    assert_eq!(kit.numbers(), [4, 5]);
    kit.pass(ms(5));
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.counters().quarantined, 1);
    assert_eq!(kit.arbiter.counters().quarantine_dropped, 1);
}

#[test]
fn an_absurd_number_that_the_other_leg_repeats_is_a_gap() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(2_000_000..=2_000_000));
    kit.records(&mut one, &run(2_000_000..=2_000_000));
    kit.pass(ms(3));
    let told = kit.told();
    let expected = gap(4, 2_000_000, GapCause::LostOnEveryLeg);
    assert_eq!(told, [expected, Told::Record(2_000_000, 0, Leg::Zero)]);
}

#[test]
fn a_jump_said_three_times_and_in_a_heartbeat_is_believed() {
    let (mut kit, mut zero, _) = pair();
    kit.records(&mut zero, &run(1..=3));
    kit.told();
    kit.records(&mut zero, &run(2_000_000..=2_000_000));
    kit.records(&mut zero, &run(2_000_001..=2_000_001));
    kit.pass(ms(3));
    assert_eq!(kit.told(), []);
    kit.beat(&mut zero, 2_000_001, 2_000_002);
    kit.pass(ms(3));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 2_000_000, GapCause::LostOnEveryLeg));
    assert_eq!(told.len(), 3);
}

#[test]
fn a_gap_beside_local_drops_names_the_receiver() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.control(Control::LocalDrops {
        leg: Leg::Zero,
        datagrams: 5,
    });
    kit.records(&mut zero, &run(9..=9));
    kit.records(&mut one, &run(9..=9));
    kit.pass(ms(3));
    assert_eq!(kit.told()[0], gap(4, 9, GapCause::ReceiverOverrun));
}

/// Found by the fuzz target `arbiter`: the round of decisions never ended.
#[test]
fn a_record_that_claims_to_follow_what_came_before_a_begun_message_leaves_a_gap() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &[(4, 0, false, 3)]);
    kit.records(&mut zero, &[(5, 0, true, 3)]);
    kit.records(&mut one, &[(5, 0, true, 3)]);
    kit.pass(ms(5));
    let expected = [
        Told::Record(4, 0, Leg::Zero),
        gap_of(at(4, 1), at(5, 0), GapCause::LostOnEveryLeg),
        Told::Record(5, 0, Leg::Zero),
    ];
    assert_eq!(kit.told(), expected);
}
