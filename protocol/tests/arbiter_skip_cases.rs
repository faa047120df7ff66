//! The arbiter by hand, for an application that was too slow: what waited for it was left out by the driver.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// Both legs have brought 1 to 3, and adapters can be asked for what is missing.
fn joined(class: OrderingClass) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = legs(class, Limits::default());
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    kit.joined(&mut zero, &mut one, 3);
    beats(&mut kit, [&mut zero, &mut one], 3, 4);
    (kit, zero, one)
}

fn skipped(from: u64, until: u64) -> Told {
    gap(from, until, GapCause::Skipped)
}

/// The first messages, up to this number, are declared missing.
fn messages_left_out(until: u64) -> Told {
    Told::Event(Event::AdministrativeGap {
        sid: SID,
        from: Adm(0),
        until: Adm(until),
        numbering: Some(Generation(1)),
    })
}

fn records(numbers: core::ops::RangeInclusive<u64>, leg: Leg) -> Vec<Told> {
    numbers.map(|sseq| Told::Record(sseq, 0, leg)).collect()
}

fn skip(kit: &mut Kit) {
    kit.control(Control::Skip);
    assert_eq!(kit.told(), [], "where the stream is, is not known yet");
}

#[test]
fn what_was_left_out_is_declared_as_soon_as_a_leg_speaks_and_nobody_is_asked() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    // A hole waits, and something behind it.
    kit.records(&mut zero, &run(5..=10));
    skip(&mut kit);
    kit.records(&mut one, &run(21..=22));
    let mut expected = vec![skipped(4, 21)];
    expected.extend(records(21..=22, Leg::One));
    assert_eq!(kit.told(), expected);
    // The leg that is behind brings nothing of it again.
    kit.records(&mut zero, &run(15..=22));
    assert_eq!(kit.told(), []);
    kit.pass(ms(100));
    assert_eq!(kit.arbiter.repairs().requests, 0);
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn a_heartbeat_says_where_the_stream_is_too() {
    let (mut kit, mut zero, _one) = joined(OrderingClass::Ordered);
    skip(&mut kit);
    kit.beat(&mut zero, 30, 32);
    assert_eq!(kit.told(), [skipped(4, 31)]);
    kit.records(&mut zero, &[(32, 0, true, 30)]);
    assert_eq!(kit.told(), records(32..=32, Leg::Zero));
}

#[test]
fn where_nothing_is_missing_what_follows_is_as_ever() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    skip(&mut kit);
    kit.records(&mut zero, &run(4..=4));
    assert_eq!(kit.told(), records(4..=4, Leg::Zero));
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(6..=6));
    }
    kit.pass(ms(5));
    assert_eq!(kit.told(), [], "5 is asked for");
    assert!(kit.arbiter.poll_request().is_some());
}

#[test]
fn a_message_that_was_begun_is_missing_from_its_next_part_on() {
    let (mut kit, mut zero, _one) = joined(OrderingClass::Ordered);
    kit.records(&mut zero, &[(4, 0, false, 3)]);
    kit.told();
    skip(&mut kit);
    kit.records(&mut zero, &run(9..=9));
    let missing = gap_of(at(4, 1), at(9, 0), GapCause::Skipped);
    assert_eq!(
        kit.told(),
        [missing, Told::Record(9, 0, Leg::Zero)],
        "part 1"
    );
}

#[test]
fn the_end_of_an_epoch_that_was_left_out_is_declared_in_front_of_the_next_one() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    skip(&mut kit);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        kit.beat_of(
            sender,
            Beat {
                next_sseq: 21,
                prev: 20,
                predecessor_next: 41,
                predecessor_prev: 40,
                interval_us: 10_000,
                ..Beat::default()
            },
        );
        kit.records(sender, &run(21..=22));
    }
    kit.pass(ms(10));
    let told = kit.told();
    assert_eq!(told[0], skipped(4, 41), "{told:?}");
    assert!(
        matches!(
            told[1],
            Told::Event(Event::Reset {
                epoch: Epoch(2),
                ..
            })
        ),
        "{told:?}"
    );
    let missing = Event::Gap {
        sid: SID,
        epoch: Epoch(2),
        from: at(1, 0),
        until: at(21, 0),
        cause: GapCause::Skipped,
    };
    assert_eq!(told[2], Told::Event(missing));
    assert_eq!(told[3..], records(21..=22, Leg::Zero));
    assert_eq!(kit.arbiter.repairs().requests, 0);
}

#[test]
fn who_spoke_in_what_was_left_out_is_not_called_lost_for_it() {
    for class in [OrderingClass::Ordered, OrderingClass::Unordered] {
        let (mut kit, mut zero, mut one) = joined(class);
        kit.now = kit.now.after(ms(3_000));
        skip(&mut kit);
        kit.pass(ms(0));
        assert_eq!(kit.told(), [], "{class:?}");
        zero.header.dsn.0 += 1_000;
        kit.beat(&mut zero, 3, 4);
        kit.beat(&mut one, 3, 4);
        for leg in Leg::BOTH {
            let status = kit.arbiter.leg_status(SID, leg).unwrap();
            assert_eq!(status.state, LegState::Live);
            assert_eq!(status.missing_datagrams, 0, "it has lost nothing");
        }
    }
}

#[test]
fn a_source_that_stepped_back_meanwhile_has_stepped_back() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(4..=20));
        kit.beat(sender, 20, 21);
    }
    kit.told();
    skip(&mut kit);
    beats(&mut kit, [&mut zero, &mut one], 4, 5);
    kit.records(&mut zero, &run(5..=6));
    let told = kit.told();
    assert!(
        matches!(told[0], Told::Event(Event::Reset { cause: ResetCause::Regress, at, .. }) if at.sseq == 5),
        "{told:?}"
    );
    assert_eq!(told[1..], records(5..=6, Leg::Zero));
}

#[test]
fn where_a_heartbeat_shows_that_nothing_is_missing_a_later_hole_is_as_any_other() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    skip(&mut kit);
    beats(&mut kit, [&mut zero, &mut one], 3, 4);
    kit.records(&mut zero, &run(5..=5));
    assert_eq!(kit.told(), []);
    kit.records(&mut one, &run(4..=5));
    let told = kit.told();
    assert_eq!(told[0], Told::Record(4, 0, Leg::One), "{told:?}");
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Unordered);
    skip(&mut kit);
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(4..=5));
        kit.beat(sender, 5, 6);
    }
    kit.told();
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(7..=8));
        kit.beat(sender, 8, 9);
    }
    kit.pass(ms(5));
    assert_eq!(kit.told(), records(7..=8, Leg::Zero), "6 is asked for");
    assert!(kit.arbiter.poll_request().is_some());
}

#[test]
fn an_application_that_goes_on_and_has_heard_nobody_is_owed_what_it_missed() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    let from = Cursor {
        next: Pos {
            sid: SID,
            epoch: Epoch(1),
            sseq: 11,
            part: 0,
        },
        last: 10,
        context: ContextId(1),
        complete: true,
        count: Some((Adm(0), Generation(1))),
        predecessor: Epoch::NONE,
    };
    assert_eq!(kit.arbiter.resume(&from), Ok(()));
    skip(&mut kit);
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(21..=22));
    }
    kit.pass(ms(5));
    assert_eq!(kit.told(), []);
    assert!(kit.arbiter.poll_request().is_some(), "it is asked for");
}

#[test]
fn a_message_that_is_here_is_told_all_the_same() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    // Number 0 is missing, so number 1 waits.
    let message = zero.administrative(3, Adm(1));
    kit.give(Leg::Zero, &message);
    skip(&mut kit);
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(2);
        kit.records(sender, &run(21..=22));
    }
    let told = kit.told();
    assert!(told.contains(&messages_left_out(1)), "{told:?}");
    assert!(
        told.contains(&Told::Record(3, 0, Leg::Zero)),
        "the message: {told:?}"
    );
    assert!(told.ends_with(&records(21..=22, Leg::Zero)), "{told:?}");
}

#[test]
fn messages_that_were_left_out_are_declared_too() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Ordered);
    skip(&mut kit);
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(2);
        kit.records(sender, &run(21..=22));
    }
    let told = kit.told();
    assert!(told.contains(&messages_left_out(2)), "{told:?}");
    assert!(told.contains(&skipped(4, 21)), "{told:?}");
    assert_eq!(told[2..], records(21..=22, Leg::Zero));
}

#[test]
fn without_order_it_is_declared_once_every_live_leg_has_shown_where_it_is() {
    let (mut kit, mut zero, mut one) = joined(OrderingClass::Unordered);
    skip(&mut kit);
    kit.records(&mut zero, &run(21..=22));
    assert_eq!(kit.told(), records(21..=22, Leg::Zero), "each as it comes");
    kit.beat(&mut zero, 22, 23);
    assert_eq!(kit.told(), [], "leg 1 may bring some of it");
    kit.records(&mut one, &run(19..=19));
    kit.beat(&mut one, 22, 23);
    let mut expected = records(19..=19, Leg::One);
    expected.extend([skipped(4, 19), skipped(20, 21)]);
    assert_eq!(kit.told(), expected);
    assert_eq!(kit.arbiter.repairs().requests, 0);
}

#[test]
fn who_was_told_nothing_joins_where_the_stream_is() {
    let (mut kit, mut zero, _one) = ordered(Limits::default());
    kit.beat(&mut zero, 10, 11);
    skip(&mut kit);
    kit.records(&mut zero, &run(40..=40));
    let told = kit.told();
    assert!(
        matches!(
            told[..],
            [
                Told::Event(Event::Discontinuity {
                    cause: DiscontinuityCause::Join,
                    ..
                }),
                Told::Record(40, ..)
            ]
        ),
        "{told:?}"
    );
}

/// What was held in a context that is gone over to later arrived, and was left out with the rest: nobody lost it.
#[test]
fn what_was_held_in_another_context_is_not_called_lost() {
    for class in [OrderingClass::Ordered, OrderingClass::Unordered] {
        let (mut kit, mut zero, one) = joined(class);
        kit.records(&mut zero, &run(6..=7));
        let mut one = one.with(|header| {
            header.incarnation = Incarnation(999);
            header.context = ContextId(2);
            header.first = 8;
            header.flags = Flags::INCOMPLETE;
        });
        kit.records(&mut one, &run(8..=10));
        kit.told();
        skip(&mut kit);
        // As long as adapters may be asked, and longer.
        for _ in 0..100 {
            kit.pass(ms(10));
            kit.beat(&mut one, 10, 11);
        }
        let told = kit.told();
        let causes = told.iter().filter_map(|told| match told {
            Told::Event(Event::Gap { cause, .. }) => Some(*cause),
            _ => None,
        });
        let causes: Vec<_> = causes.collect();
        assert!(!causes.is_empty(), "{class:?}: {told:?}");
        let here = |cause: &GapCause| matches!(cause, GapCause::Skipped | GapCause::HoldFull);
        assert!(causes.iter().all(here), "{class:?}: {causes:?}");
    }
}

/// Also where the window of what is told apart slides past it.
#[test]
fn what_the_window_slides_past_behind_a_skip_was_left_out() {
    let (mut kit, mut zero, mut one) = unordered_joined(Limits {
        seen_window: 512,
        ..Limits::default()
    });
    beats(&mut kit, [&mut zero, &mut one], 3, 4);
    skip(&mut kit);
    for number in [400, 800] {
        kit.records(&mut zero, &run(number..=number));
    }
    let told = kit.told();
    let causes = told.iter().filter_map(|told| match told {
        Told::Event(Event::Gap { cause, .. }) => Some(*cause),
        _ => None,
    });
    let causes: Vec<_> = causes.collect();
    assert!(!causes.is_empty(), "{told:?}");
    assert!(
        causes.iter().all(|cause| *cause == GapCause::Skipped),
        "{causes:?}"
    );
}
