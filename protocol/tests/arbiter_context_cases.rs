//! The arbiter by hand, while one leg's context becomes the other's in mid-stream: a restarted adapter has taken its
//! peer's memory over.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// A leg whose adapter was restarted when number `first` was next.
fn restarted(first: u64) -> Sender {
    Sender::new(Leg::One).with(|header| {
        header.incarnation = Incarnation(999);
        header.context = ContextId(2);
        header.first = first;
        header.flags = Flags::INCOMPLETE;
    })
}

/// What its header says from the take-over on.
fn take_over(sender: &mut Sender) {
    sender.header.context = ContextId(1);
    sender.header.first = 1;
    sender.header.flags = Flags::default();
}

fn is_discontinuity(told: &Told) -> bool {
    matches!(told, Told::Event(Event::Discontinuity { .. }))
}

#[test]
fn a_leg_whose_context_becomes_complete_is_merged_again_without_a_word() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    let mut one = restarted(4);
    kit.records(&mut one, &run(4..=6));
    kit.records(&mut zero, &run(4..=6));
    kit.told();
    take_over(&mut one);
    kit.beat(&mut one, 6, 7);
    // Now whichever comes first, and each once.
    kit.records(&mut one, &run(7..=8));
    kit.records(&mut zero, &run(7..=10));
    kit.records(&mut one, &run(9..=12));
    let record = |sseq, leg| Told::Record(sseq, 0, leg);
    let expected = [
        record(7, Leg::One),
        record(8, Leg::One),
        record(9, Leg::Zero),
        record(10, Leg::Zero),
        record(11, Leg::One),
        record(12, Leg::One),
    ];
    assert_eq!(kit.told(), expected);
    // The other leg dies: nothing is missing and nothing is said but the switch.
    for sseq in 13..=20 {
        kit.pass(ms(10));
        kit.records(&mut one, &run(sseq..=sseq));
        kit.beat(&mut one, sseq, sseq + 1);
    }
    let told = kit.told();
    let records = told.iter().filter(|told| matches!(told, Told::Record(..)));
    assert_eq!(records.count(), 8, "{told:?}");
    assert!(!told.iter().any(is_discontinuity), "{told:?}");
    assert_eq!(kit.arbiter.counters().gaps, 0);
    assert_eq!(kit.arbiter.counters().divergences, 0);
}

#[test]
fn what_the_complete_leg_lost_before_the_take_over_is_not_filled_from_the_other_memory() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    let mut one = restarted(4);
    kit.records(&mut one, &run(4..=6));
    // Number 5 was lost on the complete leg.
    kit.records(&mut zero, &run(4..=4));
    kit.records(&mut zero, &run(6..=6));
    take_over(&mut one);
    kit.beat(&mut one, 6, 7);
    kit.records(&mut one, &run(7..=7));
    kit.records(&mut zero, &run(7..=7));
    kit.pass(ms(3));
    kit.beat(&mut zero, 7, 8);
    kit.beat(&mut one, 7, 8);
    let told = kit.told();
    let gaps = told
        .iter()
        .filter(|told| matches!(told, Told::Event(Event::Gap { .. })));
    assert_eq!(gaps.count(), 1, "{told:?}");
    let five = |told: &Told| matches!(told, Told::Record(5, ..));
    assert!(!told.iter().any(five), "{told:?}");
    assert!(!told.iter().any(is_discontinuity), "{told:?}");
}

#[test]
fn an_application_that_had_to_take_the_incomplete_leg_hears_of_the_better_one_once() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    let mut one = restarted(4);
    for sseq in 4..=9 {
        kit.pass(ms(10));
        kit.records(&mut one, &run(sseq..=sseq));
        kit.beat(&mut one, sseq, sseq + 1);
    }
    assert_eq!(
        kit.told()
            .iter()
            .filter(|told| is_discontinuity(told))
            .count(),
        1
    );
    take_over(&mut one);
    kit.beat(&mut one, 9, 10);
    kit.records(&mut one, &run(10..=11));
    let told = kit.told();
    let better = Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(10),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Context { from: ContextId(2) },
    };
    let expected = [
        Told::Event(better),
        Told::Record(10, 0, Leg::One),
        Told::Record(11, 0, Leg::One),
    ];
    assert_eq!(told, expected);
}

/// What a process brought in its memory is not taken for what the next one converts in another.
#[test]
fn a_place_that_two_processes_converted_is_had_of_either() {
    for class in [OrderingClass::Ordered, OrderingClass::Unordered] {
        let (mut kit, mut zero, mut one) = legs(class, Limits::default());
        kit.joined(&mut zero, &mut one, 3);
        for (incarnation, context) in [(999, 2), (1_000, 3)] {
            one = restarted(4).with(|header| {
                header.incarnation = Incarnation(incarnation);
                header.context = ContextId(context);
            });
            kit.records(&mut one, &run(4..=6));
        }
        assert_eq!(kit.numbers(), [], "another memory than leg 0's");
        for _ in 0..20 {
            kit.pass(ms(10));
            kit.beat(&mut one, 6, 7);
        }
        let told = kit.told();
        let record = |sseq| Told::Record(sseq, 0, Leg::One);
        assert!(told.iter().any(is_discontinuity), "{class:?}: {told:?}");
        assert!(
            told.ends_with(&[record(4), record(5), record(6)]),
            "{class:?}: {told:?}"
        );
        assert_eq!(kit.arbiter.counters().gaps, 0);
    }
}

#[test]
fn an_end_behind_which_its_leg_went_on_is_not_told() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    // A line of the other adapter's said an end that never was.
    let mut one = restarted(4);
    let ended = Beat {
        next_sseq: 6,
        prev: 5,
        ended: true,
        interval_us: 10_000,
        ..Beat::default()
    };
    kit.beat_of(&mut one, ended);
    kit.beat_of(&mut one, ended);
    kit.records(&mut zero, &run(4..=7));
    // It goes on, remembering something else.
    one.header.context = ContextId(3);
    kit.beat(&mut one, 7, 8);
    for sseq in 8..=20 {
        kit.pass(ms(10));
        kit.records(&mut one, &run(sseq..=sseq));
    }
    let told = kit.told();
    assert!(told.contains(&Told::Record(20, 0, Leg::One)), "{told:?}");
    assert_eq!(told.iter().filter(|it| is_discontinuity(it)).count(), 1);
    let ends = |it: &&Told| matches!(it, Told::Event(Event::Ended { .. }));
    assert_eq!(told.iter().find(ends), None);
}
