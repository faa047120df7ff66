//! Administrative messages that come when their place has been passed, and records that wait for one.

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::{DiscontinuityCause, Event, Leg, Limits, Place, Policy};
use twinfeed_wire::{Adm, ContextId, Epoch, Generation};

/// What follows counts, or begins, otherwise at this place.
fn discontinuity(at: Place, cause: DiscontinuityCause) -> Told {
    Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at,
        context: ContextId(1),
        complete: true,
        cause,
    })
}

fn recount(at: Place) -> Told {
    discontinuity(at, DiscontinuityCause::Administrative)
}

fn message(behind: u64, leg: Leg) -> Told {
    Told::Record(behind, 0, leg)
}

#[test]
fn a_message_whose_place_was_passed_is_told_as_a_discontinuity() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    // Leg 0 places a message behind 3 and its peer does not: who heard leg 1 first has passed that place.
    kit.records(&mut one, &run(4..=4));
    let late = zero.administrative(3, Adm(0));
    kit.give(Leg::Zero, &late);
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &run(4..=5));
    let told = [
        Told::Record(4, 0, Leg::One),
        recount(at(5, 0)),
        message(3, Leg::Zero),
        Told::Record(5, 0, Leg::Zero),
    ];
    assert_eq!(kit.told(), told);
}

#[test]
fn a_message_at_its_place_is_told_without_a_word() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    // Nothing but silence lies between.
    beats(&mut kit, [&mut zero, &mut one], 3, 6);
    let placed = zero.administrative(3, Adm(0));
    kit.give(Leg::Zero, &placed);
    assert_eq!(kit.told(), [message(3, Leg::Zero)]);
}

#[test]
fn a_join_in_front_of_a_message_begins_behind_the_number_it_stands_behind() {
    let (mut kit, mut zero, _) = ordered(Limits::default());
    zero.header.flags = twinfeed_wire::Flags::default();
    kit.beat(&mut zero, 3, 4);
    let placed = zero.administrative(3, Adm(0));
    kit.give(Leg::Zero, &placed);
    let told = [
        discontinuity(at(4, 0), DiscontinuityCause::Join),
        message(3, Leg::Zero),
    ];
    assert_eq!(kit.told(), told);
}

#[test]
fn whoever_has_the_rest_of_a_message_brings_it_whatever_it_counts() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    // Leg 1 loses the second part; leg 0 has placed an administrative message in front of the first one.
    kit.records(&mut one, &[(4, 0, false, 3)]);
    let late = zero.administrative(3, Adm(0));
    kit.give(Leg::Zero, &late);
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &[(4, 0, false, 3), (4, 1, true, 3)]);
    kit.records(&mut zero, &run(5..=5));
    let told = [
        Told::Record(4, 0, Leg::One),
        Told::Record(4, 1, Leg::Zero),
        recount(at(5, 0)),
        message(3, Leg::Zero),
        Told::Record(5, 0, Leg::Zero),
    ];
    assert_eq!(kit.told(), told);
}

/// Records that lack a message are to lead, since nobody waits for the others any longer, and the policy holds them back: the others
/// come after all. Nothing was led apart, and nothing is told.
#[test]
fn what_comes_before_others_lead_apart_counts_as_was_told() {
    for comes in [true, false] {
        let (mut kit, mut zero, mut one) = ordered(Limits {
            policy: Policy::PreferActive,
            ..Limits::default()
        });
        kit.joined(&mut zero, &mut one, 3);
        let placed = zero.administrative(3, Adm(0));
        kit.give(Leg::Zero, &placed);
        assert_eq!(kit.told(), [message(3, Leg::Zero)]);
        zero.header.base_adm = Adm(1);
        let late = zero.records(&run(4..=5));
        // It was overtaken by the next epoch; the other leg has not placed the message.
        let mut ahead = zero.with(|header| {
            header.epoch = Epoch(2);
            header.predecessor = Epoch(1);
            header.context = ContextId(20);
        });
        for _ in 0..4 {
            kit.beat(&mut ahead, 0, 1);
        }
        kit.records(&mut one, &run(4..=5));
        kit.pass(Limits::default().reorder_hold + ms(1));
        assert_eq!(kit.told(), []);
        if comes {
            kit.give(Leg::Zero, &late);
            let told = [Told::Record(4, 0, Leg::Zero), Told::Record(5, 0, Leg::Zero)];
            assert_eq!(kit.told(), told);
        } else {
            kit.pass(ms(40));
            let led = [recount(at(4, 0)), Told::Record(4, 0, Leg::One)];
            let told = kit.told();
            assert!(told.windows(2).any(|it| *it == led), "{told:?}");
        }
    }
}

#[test]
fn without_order_a_record_that_waits_for_a_lost_message_is_not_missing() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(1);
        kit.records(sender, &run(4..=4));
    }
    beats(&mut kit, [&mut zero, &mut one], 4, 5);
    kit.pass(ms(5));
    let missing = Told::Event(Event::AdministrativeGap {
        sid: SID,
        from: Adm(0),
        until: Adm(1),
        numbering: Some(Generation(1)),
    });
    assert_eq!(kit.told(), [missing, Told::Record(4, 0, Leg::Zero)]);
}

#[test]
fn a_first_heartbeat_far_beyond_a_message_that_came_joins_nothing() {
    let (mut kit, mut zero, one) = ordered(Limits::default());
    let mut one = one.with(|header| header.base_adm = Adm(3));
    let message = zero.administrative(65, Adm(3));
    kit.give(Leg::Zero, &message);
    // One word that nobody else says, of an epoch that is spoken of.
    kit.beat(&mut one, 241_102_892_891_786_073, 241_102_892_891_786_074);
    kit.pass(ms(5));
    assert_eq!(kit.told(), []);
    kit.beat(&mut one, 65, 66);
    kit.pass(ms(5));
    let told = kit.told();
    let joins = |told: &Told| matches!(told, Told::Event(Event::Discontinuity { at, .. }) if *at == Place::start(66));
    assert!(joins(&told[0]), "{told:?}");
    assert_eq!(kit.arbiter.counters().quarantined, 1);
}
