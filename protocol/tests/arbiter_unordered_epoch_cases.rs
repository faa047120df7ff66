//! An unordered source, by hand, from one context or epoch to the next, and beside administrative messages: one
//! small case per rule.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

#[test]
fn the_end_is_told_when_everything_below_it_is() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let end = Beat {
        next_sseq: 6,
        prev: 5,
        ended: true,
        interval_us: 10_000,
        ..Beat::default()
    };
    kit.records(&mut zero, &run(5..=5));
    kit.beat_of(&mut zero, end);
    assert_eq!(kit.numbers(), [5]);
    kit.beat_of(&mut one, end);
    assert_eq!(kit.told(), [], "4 is not declared yet");
    kit.pass(ms(2));
    let ended = Event::Ended {
        sid: SID,
        epoch: Epoch(1),
        next_sseq: 6,
    };
    assert_eq!(kit.told(), [lost(4, 5), Told::Event(ended)]);
}

#[test]
fn the_next_epoch_waits_for_the_end_of_this_one() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let next = |header: &mut Header| {
        header.epoch = Epoch(2);
        header.context = ContextId(2);
        header.predecessor = Epoch(1);
    };
    let last = |kit: &mut Kit, sender: &mut Sender| {
        kit.records(sender, &run(5..=5));
        sender.header.flags = Flags(0);
        kit.beat_of(
            sender,
            Beat {
                next_sseq: 6,
                prev: 5,
                ended: true,
                interval_us: 10_000,
                ..Beat::default()
            },
        );
        next(&mut sender.header);
        kit.beat_of(
            sender,
            Beat {
                next_sseq: 1,
                prev: 0,
                predecessor_next: 6,
                predecessor_prev: 5,
                interval_us: 10_000,
                ..Beat::default()
            },
        );
        kit.records(sender, &run(2..=2));
    };
    last(&mut kit, &mut zero);
    assert_eq!(kit.numbers(), [5], "leg 1 may still bring 4");
    last(&mut kit, &mut one);
    kit.pass(ms(5));
    let told = kit.told();
    assert_eq!(told[0], lost(4, 5));
    assert!(
        matches!(told[1], Told::Event(Event::Ended { .. })),
        "{told:?}"
    );
    let reset = Event::Reset {
        sid: SID,
        epoch: Epoch(2),
        at: at(1, 0),
        context: ContextId(2),
        complete: true,
        cause: ResetCause::Epoch {
            from: Epoch(1),
            tail: Tail::Complete,
        },
    };
    assert_eq!(told[2], Told::Event(reset));
    assert!(matches!(told[3], Told::Record(2, 0, _)), "{told:?}");
    assert_eq!(told.len(), 4, "1 is waited for");
}

#[test]
fn another_context_waits_and_going_over_is_told_before_its_first_record() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    one.header.context = ContextId(9);
    one.header.first = 2;
    kit.records(&mut one, &run(6..=6));
    assert_eq!(kit.told(), [], "leg 0 is complete and lives");
    kit.records(&mut zero, &run(4..=4));
    for _ in 0..5 {
        kit.pass(ms(8));
        kit.beat(&mut one, 6, 7);
    }
    let told = kit.told();
    assert_eq!(told[0], Told::Record(4, 0, Leg::Zero));
    let over = told.iter().position(|told| {
        matches!(
            told,
            Told::Event(Event::Discontinuity {
                context: ContextId(9),
                cause: DiscontinuityCause::Context { from: ContextId(1) },
                ..
            })
        )
    });
    let six = told
        .iter()
        .position(|told| *told == Told::Record(6, 0, Leg::One));
    assert!(over.is_some() && over < six, "{told:?}");
    let five = gap_of(at(5, 0), at(6, 0), GapCause::Lag);
    assert!(told.contains(&five), "{told:?}");
}

#[test]
fn a_context_that_outranks_is_gone_over_to_at_once() {
    let (mut kit, mut zero, mut one) = unordered(Limits::default());
    zero.header.first = 2;
    kit.records(&mut zero, &run(5..=5));
    kit.told();
    one.header.context = ContextId(2);
    kit.records(&mut one, &run(5..=6));
    let told = kit.told();
    assert!(
        matches!(
            told[0],
            Told::Event(Event::Discontinuity {
                context: ContextId(2),
                ..
            })
        ),
        "{told:?}"
    );
    assert_eq!(told[1..], [Told::Record(6, 0, Leg::One)]);
}

#[test]
fn a_source_that_steps_back_is_followed() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    kit.records(&mut zero, &run(5..=40));
    kit.beat(&mut zero, 40, 41);
    kit.told();
    kit.beat(&mut one, 40, 41);
    beats(&mut kit, [&mut zero, &mut one], 9, 10);
    let told = kit.told();
    let reset = |told: &Told| {
        matches!(
            told,
            Told::Event(Event::Reset {
                cause: ResetCause::Regress,
                at: Place { sseq: 10, part: 0 },
                ..
            })
        )
    };
    assert!(told.iter().any(reset), "{told:?}");
    kit.records(&mut one, &run(10..=10));
    assert_eq!(kit.numbers(), [10]);
}

#[test]
fn nothing_that_counts_an_administrative_message_comes_before_it() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    let message = one.administrative(4, Adm(0));
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &run(5..=6));
    assert_eq!(kit.told(), [], "they count a message that is not here");
    kit.give(Leg::One, &message);
    assert_eq!(kit.numbers(), [4, 5, 6], "the message stands behind 4");
    kit.records(&mut one, &run(4..=4));
    assert_eq!(kit.numbers(), [4], "the late is not waited for");
}

#[test]
fn an_administrative_message_that_does_not_come_is_declared_after_lag_time() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &run(4..=4));
    for _ in 0..4 {
        assert_eq!(kit.told(), []);
        kit.pass(ms(5));
        kit.beat(&mut zero, 4, 5);
        kit.beat(&mut one, 3, 4);
    }
    let told = kit.told();
    let declared = Event::AdministrativeGap {
        sid: SID,
        from: Adm(0),
        until: Adm(1),
        numbering: Some(Generation(1)),
    };
    let four = Told::Record(4, 0, Leg::Zero);
    let position = |what: &Told| told.iter().position(|told| told == what);
    let (gap, record) = (position(&Told::Event(declared)), position(&four));
    assert!(gap.is_some() && gap < record, "{told:?}");
}

#[test]
fn a_full_hold_gives_up_the_lowest_that_waits() {
    let limits = Limits {
        held_records: 2,
        ..Limits::default()
    };
    let (mut kit, mut zero, _) = unordered_joined(limits);
    for sseq in 4..=6 {
        kit.records(&mut zero, &[(sseq, 1, true, sseq - 1)]);
    }
    let told = kit.told();
    assert!(
        told.contains(&gap_of(at(4, 0), at(5, 0), GapCause::HoldFull)),
        "{told:?}"
    );
    assert_eq!(kit.arbiter.counters().hold_overflow, 0);
    kit.records(&mut zero, &[(5, 0, false, 4), (6, 0, false, 5)]);
    assert_eq!(kit.numbers(), [5, 6, 5, 6]);
}

#[test]
fn an_administrative_message_with_no_number_behind_it_is_never_next() {
    for class in [OrderingClass::Ordered, OrderingClass::Unordered] {
        for (adm, delivered) in [(u64::MAX - 1, 1), (u64::MAX, 0)] {
            let (mut kit, mut zero, mut one) = legs(class, Limits::default());
            zero.header.base_adm = Adm(adm);
            kit.records(&mut zero, &run(1..=3));
            kit.told();
            for sender in [&mut zero, &mut one] {
                let message = sender.administrative(3, Adm(adm));
                kit.give(sender.leg, &message);
                kit.give(sender.leg, &message);
            }
            assert_eq!(kit.numbers().len(), delivered, "{class:?} {adm}");
        }
    }
}
