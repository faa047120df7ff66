//! The arbiter and an unordered source, by hand: one small case per rule, the edge and one step beyond.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

#[test]
fn a_record_waits_for_nothing_before_it_and_comes_once() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut zero, &run(9..=9));
    assert_eq!(kit.numbers(), [9]);
    kit.records(&mut one, &run(6..=9));
    assert_eq!(kit.numbers(), [6, 7, 8]);
    kit.records(&mut zero, &run(4..=5));
    assert_eq!(kit.numbers(), [4, 5]);
    kit.records(&mut one, &run(4..=5));
    kit.pass(ms(5));
    assert_eq!(kit.told(), []);
    let counters = kit.arbiter.counters();
    assert_eq!(
        (counters.gaps, counters.recovered, counters.held),
        (0, 0, 0)
    );
}

#[test]
fn a_datagram_may_bring_its_records_in_any_order() {
    let (mut kit, mut zero, _) = unordered(Limits::default());
    let shuffled = [7, 5, 6].map(|sseq| (sseq, 0, true, sseq - 1));
    kit.records(&mut zero, &shuffled);
    let told = kit.told();
    let join = Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: at(5, 0),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Join,
    };
    let records = [7, 5, 6].map(|sseq| Told::Record(sseq, 0, Leg::Zero));
    assert_eq!(told[0], Told::Event(join), "at the lowest number");
    assert_eq!(told[1..], records);
}

#[test]
fn what_lies_before_the_join_is_not_owed() {
    let (mut kit, mut zero, mut one) = unordered(Limits::default());
    kit.records(&mut zero, &run(50..=50));
    kit.told();
    kit.records(&mut one, &run(48..=51));
    assert_eq!(kit.numbers(), [51]);
    beats(&mut kit, [&mut zero, &mut one], 51, 52);
    kit.pass(ms(5));
    assert_eq!(kit.told(), []);
}

#[test]
fn what_both_legs_passed_is_declared_after_the_reorder_hold_and_never_delivered_then() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut zero, &run(6..=6));
    kit.records(&mut one, &run(8..=8));
    assert_eq!(kit.numbers(), [6, 8]);
    kit.beat(&mut zero, 8, 9);
    kit.pass(ms(5));
    assert_eq!(kit.told(), [], "leg 1 may still bring 4, 5 and 7");
    kit.beat(&mut one, 8, 9);
    kit.pass(Limits::default().reorder_hold - core::time::Duration::from_nanos(1));
    assert_eq!(kit.told(), [], "both passed, the reorder hold is not over");
    kit.pass(core::time::Duration::from_nanos(1));
    assert_eq!(kit.told(), [lost(4, 6), lost(7, 8)]);
    kit.records(&mut one, &run(4..=8));
    assert_eq!(kit.told(), [], "a gap is final");
    assert_eq!(kit.arbiter.counters().gap_messages, 3);
}

#[test]
fn a_record_says_nothing_of_those_before_it() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut zero, &run(6..=6));
    kit.records(&mut one, &run(6..=6));
    kit.pass(ms(9));
    assert_eq!(kit.numbers(), [6]);
    kit.records(&mut one, &run(4..=5));
    assert_eq!(kit.numbers(), [4, 5]);
}

#[test]
fn a_late_copy_within_the_hold_fills_and_nothing_is_said() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let late = one.records(&run(4..=5));
    kit.records(&mut zero, &run(6..=6));
    beats(&mut kit, [&mut zero, &mut one], 6, 7);
    kit.pass(ms(1));
    kit.give(Leg::One, &late);
    kit.pass(ms(5));
    assert_eq!(kit.numbers(), [6, 4, 5]);
}

#[test]
fn silence_is_not_missing_wherever_it_stands() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    // 4 is lost; 5 to 8 and 10 to 19 carry nothing.
    kit.records(&mut zero, &[(9, 0, true, 4)]);
    beats(&mut kit, [&mut zero, &mut one], 9, 20);
    kit.pass(ms(5));
    let told = kit.told();
    assert_eq!(told, [Told::Record(9, 0, Leg::Zero), lost(4, 5)]);
    kit.records(&mut one, &[(20, 0, true, 9)]);
    assert_eq!(kit.numbers(), [20]);
}

#[test]
fn a_lost_tail_is_declared_by_heartbeats_alone() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    beats(&mut kit, [&mut zero, &mut one], 5, 6);
    kit.pass(ms(3));
    assert_eq!(kit.told(), [lost(4, 6)]);
}

#[test]
fn parts_of_one_message_keep_their_order_and_come_from_either_leg() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut one, &[(4, 1, false, 3), (5, 0, true, 4)]);
    assert_eq!(kit.numbers(), [5], "4.1 waits for 4.0");
    kit.records(&mut zero, &[(4, 0, false, 3), (4, 2, true, 3)]);
    let parts = [(0, Leg::Zero), (1, Leg::One), (2, Leg::Zero)];
    let expected = parts.map(|(part, leg)| Told::Record(4, part, leg));
    assert_eq!(kit.told(), expected);
    kit.records(&mut one, &[(4, 0, false, 3), (4, 1, false, 3)]);
    assert_eq!(kit.told(), []);
}

#[test]
fn a_half_delivered_message_is_missing_from_its_next_part_on() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut zero, &[(4, 0, false, 3), (5, 0, true, 4)]);
    kit.records(&mut one, &[(4, 2, true, 3)]);
    assert_eq!(kit.numbers(), [4, 5]);
    beats(&mut kit, [&mut zero, &mut one], 5, 6);
    kit.pass(ms(3));
    let cause = GapCause::LostOnEveryLeg;
    assert_eq!(kit.told(), [gap_of(at(4, 1), at(5, 0), cause)]);
    kit.records(&mut zero, &[(4, 1, false, 3)]);
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.leg_status(SID, Leg::One).unwrap().held, 0);
}

#[test]
fn more_half_delivered_messages_than_the_bound_give_up_the_lowest() {
    let limits = Limits {
        half_messages: 1,
        ..Limits::default()
    };
    let (mut kit, mut zero, _) = unordered_joined(limits);
    kit.records(&mut zero, &[(4, 0, false, 3), (5, 0, false, 4)]);
    let told = kit.told();
    assert_eq!(told[1], gap_of(at(4, 1), at(5, 0), GapCause::HoldFull));
    kit.records(&mut zero, &[(4, 1, true, 3), (5, 1, true, 4)]);
    assert_eq!(kit.told(), [Told::Record(5, 1, Leg::Zero)]);
}

#[test]
fn the_window_declares_what_it_forgets() {
    let limits = Limits {
        seen_window: 64,
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = unordered_joined(limits);
    kit.records(&mut zero, &run(67..=67));
    assert_eq!(kit.numbers(), [67], "4 and 67 are 64 numbers");
    kit.records(&mut zero, &run(69..=69));
    let full = gap_of(at(4, 0), at(6, 0), GapCause::HoldFull);
    assert_eq!(kit.told(), [full, Told::Record(69, 0, Leg::Zero)]);
    kit.records(&mut one, &run(4..=6));
    assert_eq!(kit.numbers(), [6]);
}

#[test]
fn an_absurd_number_changes_nothing_and_a_confirmed_jump_is_followed() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let far = 5_000_000;
    kit.records(&mut zero, &run(far..=far));
    assert_eq!(kit.told(), []);
    kit.records(&mut zero, &run(4..=4));
    assert_eq!(kit.numbers(), [4]);
    assert_eq!(kit.arbiter.counters().quarantine_dropped, 1);
    kit.records(&mut zero, &run(far..=far));
    kit.records(&mut one, &run(far..=far));
    let told = kit.told();
    assert!(
        told.iter()
            .any(|told| matches!(told, Told::Record(5_000_000, ..))),
        "{told:?}"
    );
    assert_eq!(kit.arbiter.counters().records, 5);
}

/// How many numbers an unordered source is remembered by, unless set.
const SPAN: u64 = 65_536;

#[test]
fn a_jump_beyond_what_is_remembered_is_in_doubt_wherever_it_stands_in_its_datagram() {
    assert_eq!(Limits::default().seen_window as u64, SPAN);
    // Next is 4: with the 65,535 behind it, that is what the window tells apart.
    let (edge, beyond) = (4 + SPAN - 1, 4 + SPAN);
    for (numbers, believed) in [
        (vec![edge], true),
        (vec![beyond], false),
        (vec![4, edge], true),
        (vec![4, beyond], false),
        (vec![beyond, 4], false),
        (vec![4, beyond + 1, 5], false),
    ] {
        let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
        let records: Vec<R> = numbers.iter().flat_map(|&n| run(n..=n)).collect();
        kit.records(&mut zero, &records);
        let expected = if believed {
            numbers.clone()
        } else {
            Vec::new()
        };
        assert_eq!(kit.numbers(), expected, "{numbers:?}");
        let counters = kit.arbiter.counters();
        assert_eq!(counters.quarantined, u64::from(!believed), "{numbers:?}");
        // Nothing true was forgotten for it, and what its sender does not repeat is dropped.
        let owed = !believed || !numbers.contains(&4);
        kit.records(&mut zero, &run(4..=4));
        assert_eq!(kit.numbers(), vec![4; usize::from(owed)], "{numbers:?}");
        kit.records(&mut one, &run(5..=7));
        assert_eq!(kit.numbers(), [5, 6, 7], "{numbers:?}");
        let dropped = kit.arbiter.counters().quarantine_dropped;
        assert_eq!(dropped, u64::from(!believed), "{numbers:?}");
    }
}

#[test]
fn the_window_bounds_a_jump_when_it_is_narrower_than_what_is_remembered() {
    let limits = Limits {
        window: 10,
        ..Limits::default()
    };
    for (number, believed) in [(14, 1), (15, 0)] {
        let (mut kit, mut zero, _) = unordered_joined(limits);
        kit.records(&mut zero, &[(4, 0, true, 3), (number, 0, true, number - 1)]);
        assert_eq!(kit.numbers().len(), 2 * believed, "{number}");
    }
}

#[test]
fn who_goes_on_in_small_steps_leaps_nowhere_however_far_a_datagram_reaches() {
    let limits = Limits {
        window: 10,
        ..Limits::default()
    };
    let (mut kit, mut zero, _) = unordered_joined(limits);
    kit.records(&mut zero, &run(4..=20));
    assert_eq!(kit.numbers(), (4..=20).collect::<Vec<_>>());
    let backwards: Vec<R> = (21..=40)
        .rev()
        .flat_map(|number| run(number..=number))
        .collect();
    kit.records(&mut zero, &backwards);
    assert_eq!(kit.numbers(), (21..=40).rev().collect::<Vec<_>>());
    assert_eq!(kit.arbiter.counters().quarantined, 0);
}

#[test]
fn a_leg_stands_where_its_newest_heartbeat_says_whatever_absurd_record_was_believed() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let absurd = 4 + SPAN - 1;
    kit.records(&mut zero, &run(absurd..=absurd));
    assert_eq!(
        kit.numbers(),
        [absurd],
        "as far as a single datagram may lead"
    );
    let stands = |kit: &Kit| kit.arbiter.leg_status(SID, Leg::Zero).unwrap().next.sseq;
    assert_eq!(stands(&kit), absurd + 1);
    kit.records(&mut zero, &run(4..=4));
    beats(&mut kit, [&mut zero, &mut one], 4, 5);
    assert_eq!(stands(&kit), 5);
    // The other leg is not behind, and the next absurd number does not lead further than the first might.
    for _ in 0..10 {
        kit.pass(ms(5));
        beats(&mut kit, [&mut zero, &mut one], 4, 5);
    }
    assert_eq!(kit.numbers(), [4]);
    kit.records(&mut zero, &run(2 * SPAN..=2 * SPAN));
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.counters().quarantined, 1);
    kit.records(&mut one, &run(4..=5));
    assert_eq!(kit.numbers(), [5]);
}

#[test]
fn both_policies_deliver_the_first_arrival_and_record_one_switch_per_leg_lost() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        for lost in Leg::BOTH {
            let limits = Limits {
                policy,
                ..Limits::default()
            };
            let (mut kit, zero, one) = unordered_joined(limits);
            let mut survivor = if lost == Leg::Zero { one } else { zero };
            kit.control(Control::Order { to: Leg::One });
            for next in 4..=60 {
                kit.records(&mut survivor, &run(next..=next));
                assert_eq!(kit.arbiter.counters().records, next, "{policy:?}");
                kit.pass(ms(1));
            }
            let told = kit.told();
            let receipts = told.iter().filter_map(|told| match told {
                Told::Event(Event::Switched(receipt)) => Some((receipt.from_leg, receipt.trigger)),
                _ => None,
            });
            let receipts: Vec<_> = receipts.collect();
            assert_eq!(receipts, [(lost, Trigger::Lag)], "{policy:?}");
            assert_eq!(kit.arbiter.counters().held, 0, "{policy:?}");
        }
    }
}

#[test]
fn a_dead_leg_is_not_waited_for() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut one, &run(6..=6));
    one.header.flags = Flags::PEER_LOST;
    for _ in 0..6 {
        kit.beat(&mut one, 6, 7);
        kit.pass(ms(5));
    }
    let told = kit.told();
    assert!(told.contains(&lost(4, 6)), "{told:?}");
    let switched = |told: &&Told| matches!(told, Told::Event(Event::Switched(r)) if r.trigger == Trigger::TransportReset);
    assert_eq!(told.iter().filter(switched).count(), 1);
    kit.records(&mut zero, &run(4..=7));
    assert_eq!(
        kit.numbers(),
        [7],
        "it is heard again, what was declared is not"
    );
}
