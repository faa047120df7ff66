//! The arbiter by hand, from one context, epoch or process to the next: one small case per rule, the edge and one
//! step beyond.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

fn pair() -> (Kit, Sender, Sender) {
    ordered(Limits::default())
}

#[test]
fn another_context_is_not_merged_while_the_complete_leg_lives() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let mut restarted = Sender::new(Leg::One).with(|header| {
        header.incarnation = Incarnation(999);
        header.context = ContextId(2);
        header.first = 4;
        header.flags = Flags::INCOMPLETE;
    });
    kit.records(&mut restarted, &run(4..=6));
    kit.records(&mut zero, &run(4..=5));
    assert_eq!(
        kit.told(),
        [Told::Record(4, 0, Leg::Zero), Told::Record(5, 0, Leg::Zero)]
    );
    for _ in 0..4 {
        kit.pass(ms(10));
        kit.beat(&mut restarted, 6, 7);
    }
    let told = kit.told();
    let discontinuity = Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(6),
        context: ContextId(2),
        complete: false,
        cause: DiscontinuityCause::Context { from: ContextId(1) },
    };
    let place = told
        .iter()
        .position(|told| *told == Told::Event(discontinuity))
        .unwrap();
    assert_eq!(told[place + 1], Told::Record(6, 0, Leg::One), "{told:?}");
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn a_complete_leg_outranks_at_once() {
    let (mut kit, zero, mut one) = pair();
    let mut zero = zero.with(|header| {
        header.context = ContextId(2);
        header.first = 2;
        header.flags = Flags::INCOMPLETE;
    });
    kit.records(&mut zero, &run(2..=3));
    kit.told();
    kit.records(&mut one, &run(3..=4));
    let told = kit.told();
    assert!(
        matches!(
            told[0],
            Told::Event(Event::Discontinuity {
                complete: true,
                context: ContextId(1),
                ..
            })
        ),
        "{told:?}"
    );
    assert_eq!(told[1], Told::Record(4, 0, Leg::One));
    kit.records(&mut zero, &run(4..=6));
    assert_eq!(kit.told(), []);
}

#[test]
fn what_every_adapter_gave_up_is_a_gap_and_a_discontinuity() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.context = ContextId(2);
        sender.header.abandoned = 2;
        sender.header.flags = Flags::INCOMPLETE;
        kit.records(sender, &run(6..=6));
    }
    kit.pass(ms(3));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 6, GapCause::Abandoned));
    assert!(
        matches!(told[1], Told::Event(Event::Discontinuity { .. })),
        "{told:?}"
    );
    assert_eq!(told[2], Told::Record(6, 0, Leg::Zero));
}

#[test]
fn a_new_epoch_waits_for_the_rest_of_the_old_one() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let next_epoch = |header: &mut Header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
        header.context = ContextId(20);
    };
    let beat = Beat {
        next_sseq: 1,
        prev: 0,
        predecessor_next: 6,
        predecessor_prev: 5,
        interval_us: 10_000,
        ..Beat::default()
    };
    let mut ahead = zero.with(next_epoch);
    for _ in 0..4 {
        kit.beat_of(&mut ahead, beat);
    }
    kit.records(&mut ahead, &run(1..=2));
    assert_eq!(kit.told(), [], "leg 1 still has 4 and 5");
    kit.records(&mut one, &run(4..=5));
    let told = kit.told();
    let reset = Event::Reset {
        sid: SID,
        epoch: Epoch(2),
        at: Place::start(1),
        context: ContextId(20),
        complete: true,
        cause: ResetCause::Epoch {
            from: Epoch(1),
            tail: Tail::Complete,
        },
    };
    let expected = [
        Told::Record(4, 0, Leg::One),
        Told::Record(5, 0, Leg::One),
        Told::Event(reset),
        Told::Record(1, 0, Leg::Zero),
        Told::Record(2, 0, Leg::Zero),
    ];
    assert_eq!(told, expected);
    kit.records(&mut one, &run(6..=6));
    assert_eq!(kit.told(), [], "a retired epoch never returns");
    let mut one = one.with(next_epoch);
    kit.records(&mut one, &run(1..=3));
    assert_eq!(kit.numbers(), [3]);
}

#[test]
fn the_lost_tail_of_an_epoch_is_declared_before_the_reset() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        sender.header.context = ContextId(20);
        for _ in 0..4 {
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
        }
    }
    kit.pass(ms(3));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 6, GapCause::LostOnEveryLeg));
    let complete = matches!(
        told[1],
        Told::Event(Event::Reset {
            cause: ResetCause::Epoch {
                tail: Tail::Complete,
                ..
            },
            ..
        })
    );
    assert!(complete, "{told:?}");
}

#[test]
fn one_datagram_of_a_new_epoch_is_not_believed() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let mut stray = zero.with(|header| header.epoch = Epoch(77));
    kit.records(&mut stray, &run(1..=1));
    zero.header.dsn = stray.header.dsn;
    kit.records(&mut zero, &run(4..=4));
    kit.pass(ms(3));
    assert_eq!(kit.numbers(), [4]);
}

#[test]
fn an_unknown_end_is_said_to_be_unknown() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.context = ContextId(20);
        kit.records(sender, &run(1..=1));
    }
    kit.pass(ms(3));
    let told = kit.told();
    let unknown = matches!(
        told[0],
        Told::Event(Event::Reset {
            cause: ResetCause::Epoch {
                tail: Tail::Unknown,
                ..
            },
            ..
        })
    );
    assert!(unknown, "{told:?}");
}

/// The application joins with leg 1, which is ahead in epoch 2, and is left with leg 0, which lags in epoch 1: nobody has said
/// which came first.
#[test]
fn what_was_left_for_an_epoch_that_proves_to_be_earlier_is_gone_on_with_where_it_was_left() {
    for of_class in [ordered, unordered] {
        let (mut kit, mut zero, one) = of_class(Limits::default());
        let mut one = one.with(|header| {
            header.epoch = Epoch(2);
            header.context = ContextId(2);
        });
        kit.records(&mut one, &run(1..=3));
        kit.told();
        for last in 1..=9 {
            kit.records(&mut zero, &run(last..=last));
            kit.beat(&mut zero, last, last + 1);
            kit.pass(ms(10));
        }
        assert_eq!(resets(&mut kit), [(1, at(1, 0))]);
        let mut zero = zero.with(|header| {
            header.epoch = Epoch(2);
            header.predecessor = Epoch(1);
            header.context = ContextId(2);
        });
        let opening = Beat {
            next_sseq: 1,
            predecessor_next: 10,
            predecessor_prev: 9,
            interval_us: 10_000,
            ..Beat::default()
        };
        // One datagram is nothing to come back for.
        kit.beat_of(&mut zero, opening);
        kit.pass(ms(1));
        assert_eq!(resets(&mut kit), []);
        kit.beat_of(&mut zero, opening);
        kit.beat_of(&mut zero, opening);
        assert_eq!(resets(&mut kit), [(2, at(4, 0))]);
        kit.records(&mut zero, &run(1..=6));
        assert_eq!(kit.numbers(), [4, 5, 6]);
    }
}

/// The application joins with leg 0 in epoch 1, and goes to epoch 2, where leg 1 lives, when leg 0 falls silent: nobody has said
/// which came first. Then leg 1 falls silent, too, and leg 0 speaks in epoch 1 again.
fn back_where_it_was_left() -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, one) = pair();
    kit.records(&mut zero, &run(1..=10));
    let mut one = one.with(|header| {
        header.epoch = Epoch(2);
        header.context = ContextId(2);
    });
    kit.told();
    for last in 1..=6 {
        kit.records(&mut one, &run(last..=last));
        kit.beat(&mut one, last, last + 1);
        kit.pass(ms(10));
    }
    assert_eq!(resets(&mut kit), [(2, at(1, 0))]);
    kit.pass(ms(100));
    for _ in 0..3 {
        kit.records(&mut zero, &[(15, 0, true, 14)]);
    }
    kit.beat(&mut zero, 15, 16);
    assert_eq!(resets(&mut kit), []);
    (kit, zero, one)
}

/// Leg 0 goes on in epoch 1 for so long that leg 1 is gone.
fn goes_on_alone(kit: &mut Kit, zero: &mut Sender) {
    for number in 16..=25 {
        kit.pass(ms(10));
        kit.records(zero, &run(number..=number));
        kit.beat(zero, number, number + 1);
    }
}

#[test]
fn what_was_left_for_an_epoch_that_names_it_as_the_one_before_is_over() {
    let (mut kit, mut zero, mut one) = back_where_it_was_left();
    one.header.predecessor = Epoch(1);
    kit.beat(&mut one, 6, 7);
    kit.told();
    goes_on_alone(&mut kit, &mut zero);
    let told = kit.told();
    let silent = |told: &Told| {
        matches!(
            told,
            Told::Event(Event::Switched(_) | Event::Stale { sid: SID })
        )
    };
    assert!(told.iter().all(silent), "{told:?}");
    zero.header.epoch = Epoch(2);
    zero.header.predecessor = Epoch(1);
    zero.header.context = ContextId(2);
    kit.records(&mut zero, &run(5..=8));
    let live = Told::Event(Event::Live { sid: SID });
    let [seven, eight] = [7, 8].map(|sseq| Told::Record(sseq, 0, Leg::Zero));
    assert_eq!(kit.told(), [live, seven, eight]);
}

#[test]
fn what_was_left_for_an_epoch_that_does_not_name_it_is_gone_on_with_where_it_was_left() {
    let (mut kit, mut zero, mut one) = back_where_it_was_left();
    kit.beat(&mut one, 6, 7);
    kit.told();
    goes_on_alone(&mut kit, &mut zero);
    let told = kit.told();
    let reset = |told: &Told| match told {
        Told::Event(Event::Reset { epoch, at, .. }) => Some((*epoch, *at)),
        _ => None,
    };
    let resets: Vec<_> = told.iter().filter_map(reset).collect();
    assert_eq!(resets, [(Epoch(1), at(11, 0))], "{told:?}");
    let numbers = told.iter().filter_map(|told| match told {
        Told::Record(sseq, ..) => Some(*sseq),
        Told::Event(_) => None,
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.iter().all(|number| *number >= 15), "{told:?}");
    assert_eq!(numbers.last(), Some(&25), "{told:?}");
    // It came, and was refused while its epoch was taken for over.
    let refused = gap(11, 15, GapCause::HoldFull);
    assert!(told.contains(&refused), "{told:?}");
}

#[test]
fn who_lives_in_the_epoch_is_not_behind_a_leg_in_what_was_left_for_it() {
    let (mut kit, mut zero, mut one) = back_where_it_was_left();
    kit.told();
    for number in 16..=30 {
        kit.beat(&mut one, 6, 7);
        kit.records(&mut zero, &run(number..=number));
        kit.pass(ms(10));
        let state = kit.arbiter.leg_status(SID, Leg::One).unwrap().state;
        assert_eq!(state, LegState::Live);
    }
    assert_eq!(resets(&mut kit), []);
    kit.records(&mut one, &run(7..=8));
    assert_eq!(kit.numbers(), [7, 8]);
}

#[test]
fn what_was_left_is_over_when_its_leg_has_gone_on_from_there() {
    let (mut kit, mut zero, _) = back_where_it_was_left();
    let lagging = zero.with(|header| header.incarnation = Incarnation(999));
    for epoch in [2, 3] {
        zero.header.epoch = Epoch(epoch);
        zero.header.predecessor = Epoch(epoch - 1);
        zero.header.context = ContextId(epoch);
        for last in 1..=6 {
            kit.records(&mut zero, &run(last..=last));
            kit.beat(&mut zero, last, last + 1);
            kit.pass(ms(10));
        }
    }
    assert_eq!(resets(&mut kit), [(3, at(1, 0))]);
    // Its process is replaced by one that lags, and hears the sessions again.
    let mut lagging = lagging;
    goes_on_alone(&mut kit, &mut lagging);
    assert_eq!(kit.told(), [Told::Event(Event::Stale { sid: SID })]);
    assert_eq!(
        kit.arbiter.counters().retired_epoch,
        21,
        "20 datagrams, and what was held of number 15"
    );
    lagging.header = Header {
        dsn: lagging.header.dsn,
        incarnation: lagging.header.incarnation,
        ..zero.header
    };
    kit.records(&mut lagging, &run(6..=8));
    let live = Told::Event(Event::Live { sid: SID });
    let [seven, eight] = [7, 8].map(|sseq| Told::Record(sseq, 0, Leg::Zero));
    assert_eq!(kit.told(), [live, seven, eight]);
}

/// The epochs that were begun since the last call, and where.
fn resets(kit: &mut Kit) -> Vec<(u64, Place)> {
    let reset = |told| match told {
        Told::Event(Event::Reset { epoch, at, .. }) => Some((epoch.0, at)),
        _ => None,
    };
    kit.told().into_iter().filter_map(reset).collect()
}

#[test]
fn an_end_that_the_next_heartbeat_says_is_waited_for() {
    for says in [true, false] {
        let (mut kit, mut zero, mut one) = pair();
        kit.joined(&mut zero, &mut one, 3);
        for sender in [&mut zero, &mut one] {
            sender.header.epoch = Epoch(2);
            sender.header.predecessor = Epoch(1);
            sender.header.context = ContextId(20);
            kit.records(sender, &run(1..=1));
        }
        for number in 2..=4 {
            kit.pass(ms(10));
            for sender in [&mut zero, &mut one] {
                kit.records(sender, &run(number..=number));
            }
        }
        assert_eq!(kit.told(), [], "a heartbeat comes every 30 ms");
        let beat = Beat {
            next_sseq: 5,
            prev: 4,
            interval_us: 10_000,
            predecessor_next: 8,
            predecessor_prev: 7,
            ..Beat::default()
        };
        let expected = match says {
            true => {
                kit.beat_of(&mut zero, beat);
                kit.beat_of(&mut one, beat);
                Tail::Complete
            }
            false => Tail::Unknown,
        };
        kit.pass(ms(20));
        let told = kit.told();
        let tail = told.iter().find_map(|told| match told {
            Told::Event(Event::Reset {
                cause: ResetCause::Epoch { tail, .. },
                ..
            }) => Some(*tail),
            _ => None,
        });
        assert_eq!(tail, Some(expected), "{told:?}");
        assert_eq!(told[0] == lost(4, 8), says, "{told:?}");
    }
}

#[test]
fn what_came_in_a_better_context_than_anybody_speaks_in_is_told_first() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        sender.header.context = ContextId(20);
        kit.records(sender, &run(1..=4));
    }
    assert_eq!(
        kit.told(),
        [],
        "the end of the epoch before may yet be said"
    );
    // Both adapters are replaced by processes that remember nothing of it.
    for sender in [&mut zero, &mut one] {
        *sender = sender.with(|header| {
            header.incarnation = Incarnation(header.incarnation.0 + 100);
            header.context = ContextId(30);
            header.first = 5;
            header.flags = Flags::INCOMPLETE;
        });
        kit.beat(sender, 4, 5);
    }
    kit.pass(ms(50));
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(5..=5));
    }
    kit.pass(ms(50));
    let begins = |told: &Told| match told {
        Told::Event(
            Event::Reset { at, context, .. } | Event::Discontinuity { at, context, .. },
        ) => Some((at.sseq, context.0)),
        Told::Record(sseq, ..) => Some((*sseq, 0)),
        Told::Event(_) => None,
    };
    let told: Vec<_> = kit.told().iter().filter_map(begins).collect();
    assert_eq!(
        told,
        [(1, 20), (1, 0), (2, 0), (3, 0), (4, 0), (5, 30), (5, 0)]
    );
}

#[test]
fn a_leg_that_goes_on_from_an_epoch_it_was_not_heard_in_finds_room() {
    let (mut kit, mut zero, mut one) = pair();
    let goes_to = |sender: &mut Sender, epoch| {
        sender.header.predecessor = Epoch(epoch - 1);
        sender.header.epoch = Epoch(epoch);
        sender.header.context = ContextId(epoch);
    };
    goes_to(&mut zero, 6);
    kit.records(&mut zero, &run(1..=3));
    // As many epochs as are kept, and nothing of the one in which the application is.
    for epoch in [1, 2, 3, 4, 7] {
        goes_to(&mut one, epoch);
        for _ in 0..4 {
            kit.beat(&mut one, 0, 1);
        }
        kit.records(&mut one, &run(1..=3));
    }
    // The other leg is dead.
    for _ in 0..20 {
        kit.pass(ms(10));
        kit.beat(&mut one, 3, 4);
    }
    assert_eq!(resets(&mut kit), [(7, at(1, 0))]);
}

#[test]
fn a_message_that_was_begun_is_missing_to_its_end_where_the_other_leg_never_heard_of_it() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 5);
    kit.records(&mut zero, &run(6..=9));
    kit.records(&mut zero, &[(10, 0, false, 9)]);
    kit.told();
    one.header.epoch = Epoch(2);
    one.header.predecessor = Epoch(1);
    for number in 1..=6 {
        kit.pass(ms(10));
        let beat = Beat {
            next_sseq: number,
            prev: number - 1,
            interval_us: 10_000,
            predecessor_next: 6,
            predecessor_prev: 5,
            ..Beat::default()
        };
        kit.beat_of(&mut one, beat);
        kit.records(&mut one, &run(number..=number));
    }
    let told = kit.told();
    let gap = gap_of(at(10, 1), at(11, 0), GapCause::LostOnEveryLeg);
    let gaps = told
        .iter()
        .filter(|told| matches!(told, Told::Event(Event::Gap { .. })));
    assert_eq!(gaps.collect::<Vec<_>>(), [&gap], "{told:?}");
    let reset = told
        .iter()
        .any(|told| matches!(told, Told::Event(Event::Reset { .. })));
    assert!(reset, "{told:?}");
}

#[test]
fn the_end_of_an_epoch_is_told_and_silence_after_it_is_not_stale() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let ended = Beat {
        next_sseq: 4,
        prev: 3,
        interval_us: 10_000,
        ended: true,
        ..Beat::default()
    };
    kit.beat_of(&mut zero, ended);
    kit.beat_of(&mut one, ended);
    kit.pass(ms(100));
    let told = kit.told();
    let end = Event::Ended {
        sid: SID,
        epoch: Epoch(1),
        next_sseq: 4,
    };
    assert_eq!(
        told.iter()
            .filter(|told| **told == Told::Event(end))
            .count(),
        1
    );
    assert!(
        !told.contains(&Told::Event(Event::Stale { sid: SID })),
        "{told:?}"
    );
}

#[test]
fn silence_of_every_leg_is_stale_and_the_first_datagram_live() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.pass(ms(100));
    assert!(kit.told().contains(&Told::Event(Event::Stale { sid: SID })));
    kit.records(&mut zero, &run(4..=4));
    let live = Told::Event(Event::Live { sid: SID });
    assert_eq!(kit.told(), [live, Told::Record(4, 0, Leg::Zero)]);
}

#[test]
fn replays_foreigners_and_replaced_processes_are_counted_and_dropped() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    let old = zero;
    let bytes = zero.records(&run(4..=4));
    kit.give(Leg::Zero, &bytes);
    kit.give(Leg::Zero, &bytes);
    kit.give(Leg::One, &bytes);
    let mut restarted = zero.with(|header| header.incarnation = Incarnation(999));
    kit.records(&mut restarted, &run(5..=5));
    kit.records(&mut old.clone(), &run(6..=6));
    kit.give(Leg::Zero, b"something else");
    assert_eq!(kit.numbers(), [4, 5]);
    let counters = kit.arbiter.counters();
    assert_eq!((counters.replayed, counters.foreign_stream), (1, 1));
    assert_eq!(
        (counters.stale_incarnation, counters.rejected_total()),
        (1, 1)
    );
}

#[test]
fn stepping_back_in_one_epoch_is_a_reset_when_every_live_leg_does() {
    let limits = Limits {
        window: 100,
        ..Limits::default()
    };
    let mut kit = Kit::new(limits);
    let (mut zero, mut one) = (Sender::new(Leg::Zero), Sender::new(Leg::One));
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(5_000..=5_002));
    }
    kit.told();
    for sender in [&mut zero, &mut one] {
        sender.header.incarnation = Incarnation(sender.header.incarnation.0 + 500);
    }
    for step in 0..5 {
        for sender in [&mut zero, &mut one] {
            kit.beat(sender, 10 + step, 11 + step);
        }
        kit.pass(ms(10));
    }
    let regress = kit.told().into_iter().find(|told| {
        matches!(
            told,
            Told::Event(Event::Reset {
                cause: ResetCause::Regress,
                ..
            })
        )
    });
    assert!(regress.is_some());
    kit.records(&mut zero, &run(15..=16));
    assert_eq!(kit.numbers(), [15, 16]);
}

/// A narrow window, and legs that are not called lost while a leg is judged to have stepped back.
fn patient() -> Limits {
    Limits {
        window: 16,
        missed_heartbeats: 20,
        ..Limits::default()
    }
}

/// The leg brings what lies between, in steps that are believed.
fn bring(kit: &mut Kit, sender: &mut Sender, numbers: core::ops::RangeInclusive<u64>) {
    for number in numbers {
        kit.records(sender, &run(number..=number));
    }
}

#[test]
fn who_brought_a_message_from_behind_it_stands_there() {
    for shows in [true, false] {
        let (mut kit, mut zero, mut one) = ordered(patient());
        bring(&mut kit, &mut zero, 1..=40);
        bring(&mut kit, &mut one, 1..=20);
        kit.told();
        zero.header.flags = Flags::END_OF_STREAM;
        kit.beat(&mut zero, 40, 41);
        if shows {
            let message = one.administrative(39, Adm(0));
            kit.give(Leg::One, &message);
        }
        kit.pass(ms(100));
        let expected = if shows { vec![] } else { vec![(1, at(21, 0))] };
        assert_eq!(resets(&mut kit), expected, "shows: {shows}");
    }
}

#[test]
fn whose_context_begins_there_stands_there() {
    let (mut kit, mut zero, mut one) = ordered(patient());
    bring(&mut kit, &mut zero, 1..=40);
    bring(&mut kit, &mut one, 1..=20);
    kit.told();
    one.header.context = ContextId(2);
    one.header.first = 40;
    one.header.flags = Flags::INCOMPLETE;
    let message = one.administrative(10, Adm(0));
    kit.give(Leg::One, &message);
    zero.header.flags = Flags::END_OF_STREAM;
    kit.beat(&mut zero, 40, 41);
    kit.pass(ms(100));
    assert_eq!(resets(&mut kit), []);
}

#[test]
fn a_new_process_that_has_said_nothing_of_the_epoch_has_not_stepped_back() {
    let (mut kit, mut zero, mut one) = ordered(patient());
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        sender.header.context = ContextId(20);
        for _ in 0..4 {
            let beat = Beat {
                next_sseq: 1,
                predecessor_next: 4,
                predecessor_prev: 3,
                interval_us: 10_000,
                ..Beat::default()
            };
            kit.beat_of(sender, beat);
        }
    }
    for sender in [&mut zero, &mut one] {
        bring(&mut kit, sender, 1..=40);
    }
    assert_eq!(resets(&mut kit), [(2, at(1, 0))]);
    let mut restarted = Sender::new(Leg::One).with(|it| it.incarnation = Incarnation(999));
    kit.records(&mut restarted, &run(4..=5));
    assert!(kit.arbiter.counters().retired_epoch > 0, "of what was left");
    zero.header.flags = Flags::SOURCE_STALE;
    for _ in 0..10 {
        kit.beat(&mut zero, 40, 41);
        kit.pass(ms(10));
    }
    assert_eq!(resets(&mut kit), []);
}

#[test]
fn closed_is_the_last_word() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    kit.control(Control::Close(CloseReason::Revoked));
    kit.records(&mut zero, &run(4..=4));
    kit.pass(ms(100));
    assert_eq!(
        kit.told(),
        [Told::Event(Event::Closed {
            reason: CloseReason::Revoked
        })]
    );
    assert_eq!(kit.arbiter.next_deadline(), None);
}

#[test]
fn a_source_that_begins_again_under_the_same_name_is_a_reset() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 15);
    kit.beat(&mut zero, 0, 1);
    kit.records(&mut zero, &run(1..=2));
    assert_eq!(kit.told(), [], "the other leg has not said so yet");
    kit.beat(&mut one, 0, 1);
    kit.records(&mut one, &run(1..=3));
    let told = kit.told();
    let regress = Event::Reset {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(1),
        context: ContextId(1),
        complete: true,
        cause: ResetCause::Regress,
    };
    assert_eq!(told[0], Told::Event(regress));
    let numbers = told.iter().filter_map(|told| match told {
        Told::Record(sseq, ..) => Some(*sseq),
        Told::Event(_) => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn an_older_generation_never_replaces_a_newer_process() {
    let (mut kit, zero, mut one) = pair();
    let mut newer = zero.with(|header| header.generation = Generation(2));
    kit.joined(&mut newer, &mut one, 3);
    let mut older = zero.with(|header| header.incarnation = Incarnation(55));
    kit.records(&mut older, &run(4..=4));
    kit.records(&mut newer, &run(4..=4));
    assert_eq!(kit.numbers(), [4]);
    assert_eq!(kit.arbiter.counters().stale_incarnation, 1);
}

#[test]
fn two_deaf_adapters_are_stale_although_they_speak() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.flags = Flags::SOURCE_STALE;
        kit.beat(sender, 3, 4);
    }
    assert_eq!(
        kit.told().last(),
        Some(&Told::Event(Event::Stale { sid: SID }))
    );
    one.header.flags = Flags(0);
    kit.records(&mut one, &run(4..=4));
    let live = Told::Event(Event::Live { sid: SID });
    assert_eq!(kit.told(), [live, Told::Record(4, 0, Leg::One)]);
}

#[test]
fn a_record_of_a_deaf_adapter_is_told_live_and_the_silence_behind_it_stale() {
    let (mut kit, mut zero, mut one) = pair();
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        sender.header.flags = Flags::SOURCE_STALE;
        kit.beat(sender, 3, 4);
    }
    let [live, stale] = [Event::Live { sid: SID }, Event::Stale { sid: SID }].map(Told::Event);
    assert_eq!(kit.told().last(), Some(&stale));
    kit.records(&mut one, &run(4..=4));
    kit.beat(&mut one, 4, 5);
    assert_eq!(kit.told(), [live, Told::Record(4, 0, Leg::One), stale]);
}

/// A heartbeat that says that the epoch ended in front of number 4.
fn end(sender: &mut Sender) -> Vec<u8> {
    sender.heartbeat(Beat {
        next_sseq: 4,
        prev: 3,
        interval_us: 10_000,
        ended: true,
        ..Beat::default()
    })
}

fn joins_at(sseq: u64) -> Told {
    Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(sseq),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Join,
    })
}

/// One heartbeat is no epoch (RM-14a): who was told nothing yet joins at what is said next.
#[test]
fn an_end_that_was_said_once_is_nothing_to_join_at() {
    let (mut kit, mut zero, _) = pair();
    let mut absurd = zero.with(|header| header.epoch = Epoch(99));
    let once = end(&mut absurd);
    kit.give(Leg::Zero, &once);
    zero.header.dsn = absurd.header.dsn;
    for _ in 0..4 {
        kit.beat(&mut zero, 0, 1);
    }
    kit.pass(ms(5));
    kit.records(&mut zero, &run(1..=1));
    let told = kit.told();
    assert_eq!(told, [joins_at(1), Told::Record(1, 0, Leg::Zero)]);
}

#[test]
fn who_joins_behind_the_end_is_told_of_it_once_it_is_confirmed() {
    for by in [Leg::Zero, Leg::One] {
        let (mut kit, mut zero, mut one) = pair();
        let first = end(&mut zero);
        kit.give(Leg::Zero, &first);
        assert_eq!(kit.told(), []);
        let second = match by {
            Leg::Zero => end(&mut zero),
            Leg::One => end(&mut one),
        };
        kit.give(by, &second);
        let ended = Event::Ended {
            sid: SID,
            epoch: Epoch(1),
            next_sseq: 4,
        };
        assert_eq!(kit.told(), [joins_at(4), Told::Event(ended)], "by {by}");
    }
}

/// Nothing ties the two epochs together: who was still in the older one when it fell silent has not gone on to it.
#[test]
fn an_epoch_whose_leg_is_silent_follows_only_where_it_is_tied() {
    for (predecessor, goes_on) in [(Epoch::NONE, false), (Epoch(1), true)] {
        let (mut kit, mut zero, one) = pair();
        for sseq in 1..=3 {
            kit.records(&mut zero, &run(sseq..=sseq));
        }
        let mut other = one.with(|header| {
            (header.epoch, header.predecessor) = (Epoch(9), predecessor);
            header.context = ContextId(90);
        });
        for _ in 0..4 {
            kit.beat(&mut other, 499, 500);
        }
        for _ in 0..8 {
            kit.pass(ms(10));
            kit.beat(&mut zero, 3, 4);
        }
        zero.header.flags = Flags::END_OF_STREAM;
        kit.beat(&mut zero, 3, 4);
        kit.pass(ms(100));
        let told = kit.told();
        let reset = |told: &Told| matches!(told, Told::Event(Event::Reset { .. }));
        assert_eq!(told.iter().any(reset), goes_on, "{told:?}");
        let stale = Told::Event(Event::Stale { sid: SID });
        assert_eq!(told.last(), Some(&stale));
        // Whoever speaks of it says that it goes on there, tied or not.
        for _ in 0..4 {
            kit.beat(&mut other, 499, 500);
        }
        kit.pass(ms(3));
        assert_eq!(kit.told().iter().any(reset), !goes_on);
    }
}

#[test]
fn a_step_back_leaves_what_is_held_of_the_next_epoch() {
    let (mut kit, mut zero, mut one) = ordered(Limits {
        lag_time: ms(500),
        ..Limits::default()
    });
    kit.joined(&mut zero, &mut one, 15);
    // Leg 0 has gone on to the next epoch, and its first records wait there.
    let next = |header: &mut Header| {
        (header.epoch, header.predecessor) = (Epoch(2), Epoch(1));
        header.context = ContextId(2);
    };
    let mut ahead = zero.with(next);
    kit.beat(&mut ahead, 0, 1);
    kit.beat(&mut ahead, 0, 1);
    kit.records(&mut ahead, &run(1..=3));
    // Nobody is heard of there any more; the other leg's source begins its numbering again.
    for _ in 0..4 {
        kit.pass(ms(10));
        kit.beat(&mut one, 15, 16);
    }
    for _ in 0..4 {
        kit.beat(&mut one, 4, 5);
        kit.pass(ms(10));
    }
    let told = kit.told();
    let regress = |it: &Told| {
        let cause = ResetCause::Regress;
        matches!(it, Told::Event(Event::Reset { cause: of, .. }) if *of == cause)
    };
    assert!(told.iter().any(regress), "{told:?}");
    ahead.header.dsn.0 += 1;
    kit.records(&mut ahead, &run(4..=6));
    kit.beat(&mut ahead, 6, 7);
    kit.pass(ms(60));
    let told = kit.told();
    let records = told.iter().filter_map(|it| match it {
        Told::Record(sseq, ..) => Some(*sseq),
        Told::Event(_) => None,
    });
    assert_eq!(records.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "{told:?}");
}

/// An epoch that one datagram speaks of is in doubt, also where nothing is joined yet.
#[test]
fn one_stray_word_of_another_epoch_is_not_joined_at() {
    let (mut kit, mut zero, _one) = pair();
    let message = zero.administrative(3, Adm(0));
    kit.give(Leg::Zero, &message);
    assert_eq!(kit.told(), [], "nothing begins at a message");
    let mut stray = zero.with(|header| header.epoch = Epoch(77));
    kit.beat(&mut stray, 9, 10);
    zero.header.dsn = stray.header.dsn;
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &run(4..=6));
    let told = kit.told();
    let numbers = told.iter().filter_map(|told| match told {
        Told::Record(sseq, ..) => Some(*sseq),
        Told::Event(_) => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [4, 5, 6], "{told:?}");
    assert_eq!(kit.arbiter.counters().quarantined, 1);
}

/// Where nothing was told of an epoch, the application was not in it, and whoever is there speaks.
#[test]
fn who_is_in_an_epoch_of_which_nothing_was_told_is_heard() {
    let (mut kit, zero, mut one) = pair();
    let mut zero = zero.with(|header| header.epoch = Epoch(2));
    kit.beat(&mut zero, 20, 21);
    kit.beat(&mut one, 0, 1);
    for _ in 0..10 {
        kit.pass(ms(10));
        kit.beat(&mut one, 0, 1);
    }
    kit.records(&mut one, &run(1..=2));
    let told = kit.told();
    assert!(
        told.ends_with(&[Told::Record(1, 0, Leg::One), Told::Record(2, 0, Leg::One)]),
        "the other one is silent: {told:?}"
    );
    let state = |kit: &Kit| kit.arbiter.leg_status(SID, Leg::Zero).unwrap().state;
    assert_eq!(state(&kit), LegState::Lost);
    kit.beat(&mut zero, 20, 21);
    assert_eq!(state(&kit), LegState::Live);
    for _ in 0..10 {
        kit.pass(ms(10));
        kit.beat(&mut zero, 20, 21);
    }
    assert_eq!(resets(&mut kit), [(2, at(1, 0))]);
}

/// An adapter that began amid a change of sessions took the older one, which a slow line still spoke of, for the one behind.
#[test]
fn what_was_said_to_come_before_is_gone_to_once_everybody_has_gone_there() {
    let (mut kit, zero, mut one) = pair();
    let mut zero = zero.with(|header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
    });
    kit.records(&mut zero, &run(1..=2));
    kit.pass(ms(5));
    kit.told();
    let speak = |kit: &mut Kit, [zero, one]: [&mut Sender; 2], zero_at: u64| {
        for _ in 0..20 {
            kit.beat(zero, zero_at, zero_at + 1);
            kit.beat(one, 20, 21);
            kit.pass(ms(10));
        }
    };
    speak(&mut kit, [&mut zero, &mut one], 2);
    assert_eq!(resets(&mut kit), [], "leg 0 says otherwise");
    let mut zero = zero.with(|header| {
        header.epoch = Epoch(1);
        header.predecessor = Epoch::NONE;
    });
    kit.beat(&mut zero, 20, 21);
    kit.pass(ms(10));
    assert_eq!(resets(&mut kit), [], "not for a moment's sake");
    speak(&mut kit, [&mut zero, &mut one], 20);
    assert_eq!(resets(&mut kit), [(1, at(1, 0))]);
    kit.records(&mut one, &run(21..=22));
    kit.pass(ms(5));
    let told = kit.told();
    assert!(told.contains(&Told::Record(22, 0, Leg::One)), "{told:?}");
}

#[test]
fn who_has_gone_back_for_an_echo_comes_again_to_where_the_application_was() {
    let (mut kit, zero, mut one) = pair();
    let in_two = |header: &mut Header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
    };
    let mut zero = zero.with(in_two);
    one = one.with(in_two);
    kit.records(&mut zero, &run(1..=3));
    kit.records(&mut one, &run(1..=3));
    for _ in 0..4 {
        beats(&mut kit, [&mut zero, &mut one], 3, 4);
        kit.pass(ms(10));
    }
    kit.told();
    // Leg 1 is not heard, and leg 0's next process hears what is left of the epoch before.
    let mut newborn = zero.with(|header| {
        header.incarnation = Incarnation(999);
        header.epoch = Epoch(1);
        header.predecessor = Epoch::NONE;
    });
    kit.records(&mut newborn, &run(501..=502));
    for _ in 0..40 {
        kit.beat(&mut newborn, 502, 503);
        kit.pass(ms(10));
    }
    assert_eq!(resets(&mut kit), [(1, at(1, 0))], "nobody says otherwise");
    newborn = newborn.with(in_two);
    for sender in [&mut newborn, &mut one] {
        kit.records(sender, &run(4..=6));
    }
    for _ in 0..40 {
        beats(&mut kit, [&mut newborn, &mut one], 6, 7);
        kit.pass(ms(10));
    }
    let told = kit.told();
    let numbers: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Record(number, ..) => Some(*number),
            Told::Event(_) => None,
        })
        .collect();
    assert_eq!(numbers, [4, 5, 6], "{told:?}");
}

/// What its adapter took back once says nothing of where the leg stands after it has come to the application again.
#[test]
fn who_stepped_back_and_has_climbed_again_may_lag() {
    for climbs in [true, false] {
        let (mut kit, mut zero, mut one) = pair();
        kit.joined(&mut zero, &mut one, 3);
        bring(&mut kit, &mut zero, 4..=20);
        bring(&mut kit, &mut one, 4..=20);
        kit.beat(&mut one, 20, 21);
        kit.beat(&mut one, 4, 5);
        if climbs {
            bring(&mut kit, &mut one, 5..=25);
            kit.beat(&mut one, 25, 26);
        }
        bring(&mut kit, &mut zero, 21..=30);
        kit.told();
        for _ in 0..10 {
            kit.pass(ms(10));
            let last = if climbs { 25 } else { 4 };
            kit.beat(&mut one, last, last + 1);
        }
        let expected = if climbs { vec![] } else { vec![(1, at(5, 0))] };
        assert_eq!(resets(&mut kit), expected, "climbs: {climbs}");
    }
}

/// Who hears nothing from its source keeps nobody from an epoch that another leg goes on with.
#[test]
fn a_stale_leg_keeps_nobody_from_the_epoch_that_was_left() {
    for (flags, expected) in [
        (Flags::default(), vec![]),
        (Flags::SOURCE_STALE, vec![(2, at(4, 0))]),
    ] {
        let (mut kit, zero, one) = pair();
        let mut zero = zero.with(|header| header.epoch = Epoch(2));
        let mut one = one.with(|header| header.flags = flags);
        kit.records(&mut zero, &run(1..=3));
        kit.beat(&mut one, 8, 9);
        for _ in 0..10 {
            kit.pass(ms(10));
            kit.beat(&mut one, 8, 9);
        }
        assert_eq!(resets(&mut kit), [(1, at(1, 0))], "leg 0 is gone");
        for last in 4..=8 {
            kit.pass(ms(10));
            kit.records(&mut zero, &run(last..=last));
            kit.beat(&mut zero, last, last + 1);
            kit.beat(&mut one, 8, 9);
        }
        assert_eq!(resets(&mut kit), expected, "{flags:?}");
    }
}

/// Who is left stands far behind a message that was begun: what it says beside its records is told all the same.
#[test]
fn a_message_in_front_of_where_the_numbering_steps_back_to_is_told() {
    let (mut kit, mut zero, mut one) = ordered(patient());
    bring(&mut kit, &mut zero, 1..=20);
    bring(&mut kit, &mut one, 1..=40);
    kit.records(&mut one, &[(41, 0, false, 40)]);
    kit.told();
    let message = zero.administrative(20, Adm(0));
    kit.give(Leg::Zero, &message);
    assert_eq!(kit.told(), [], "not between the parts of a message");
    zero.header.base_adm = Adm(1);
    for _ in 0..40 {
        kit.pass(ms(10));
        kit.beat(&mut zero, 20, 21);
    }
    let told = kit.told();
    let reset = |told: &Told| matches!(told, Told::Event(Event::Reset { at, .. }) if at.sseq == 21);
    let place = told.iter().position(reset).unwrap();
    assert_eq!(told[place + 1..], [Told::Record(20, 0, Leg::Zero)]);
}

/// What a leg that is lost said of the numbers before is no word of those that began again.
#[test]
fn where_a_lost_leg_stood_bounds_no_hole_once_numbers_begin_again() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 30);
    // Only leg 1 lives; its source begins its numbering again.
    for _ in 0..6 {
        kit.pass(ms(10));
        kit.beat(&mut one, 30, 31);
    }
    for _ in 0..4 {
        kit.beat(&mut one, 0, 1);
        kit.pass(ms(10));
    }
    bring(&mut kit, &mut one, 1..=3);
    let told = kit.told();
    let regress = |it: &Told| {
        let cause = ResetCause::Regress;
        matches!(it, Told::Event(Event::Reset { cause: of, .. }) if *of == cause)
    };
    assert!(told.iter().any(regress), "{told:?}");
    // It rests for so long that it is not heard any more, and goes on.
    kit.pass(ms(100));
    bring(&mut kit, &mut one, 4..=6);
    let told = kit.told();
    let gap = |it: &Told| matches!(it, Told::Event(Event::Gap { .. }));
    assert!(!told.iter().any(gap), "{told:?}");
    assert!(told.contains(&Told::Record(6, 0, Leg::One)), "{told:?}");
}

/// An epoch that goes on behind its end, under another context, ends a second time.
#[test]
fn an_epoch_that_goes_on_behind_its_end_ends_again_and_may_be_stale() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    let ends = |kit: &mut Kit, sender: &mut Sender, last: u64| {
        let ended = Beat {
            next_sseq: last + 1,
            prev: last,
            ended: true,
            interval_us: 10_000,
            ..Beat::default()
        };
        for _ in 0..3 {
            kit.beat_of(sender, ended);
        }
    };
    for sender in [&mut zero, &mut one] {
        ends(&mut kit, sender, 3);
    }
    let ended = |kit: &mut Kit| {
        let told = kit.told().into_iter();
        told.filter(|it| matches!(it, Told::Event(Event::Ended { .. })))
            .count()
    };
    assert_eq!(ended(&mut kit), 1);
    for sender in [&mut zero, &mut one] {
        sender.header.context = ContextId(7);
        bring(&mut kit, sender, 4..=6);
    }
    kit.pass(ms(10));
    beats(&mut kit, [&mut zero, &mut one], 6, 7);
    assert_eq!(kit.told().last(), Some(&Told::Record(6, 0, Leg::Zero)));
    for sender in [&mut zero, &mut one] {
        ends(&mut kit, sender, 6);
    }
    assert_eq!(ended(&mut kit), 1);
}

#[test]
fn the_end_of_an_epoch_confirms_what_waited_of_it() {
    let limits = Limits {
        window: 20,
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = ordered(limits);
    kit.joined(&mut zero, &mut one, 3);
    // An application that was away: what comes first is further than one datagram is believed.
    kit.records(&mut one, &run(64..=66));
    assert_eq!(kit.told(), []);
    let next = Beat {
        next_sseq: 1,
        prev: 0,
        interval_us: 10_000,
        predecessor_next: 70,
        predecessor_prev: 69,
        ..Beat::default()
    };
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        sender.header.context = ContextId(2);
        kit.beat_of(sender, next);
    }
    kit.pass(ms(30));
    let told = kit.told();
    let mut expected = vec![lost(4, 64)];
    expected.extend((64..=66).map(|sseq| Told::Record(sseq, 0, Leg::One)));
    expected.push(lost(67, 70));
    assert_eq!(told[..expected.len()], expected, "{told:?}");
    assert!(matches!(told[5], Told::Event(Event::Reset { .. })));
}

/// What one leg brought was not believed until the other one says how far the epoch went: it is at hand by then.
#[test]
fn what_waits_to_be_believed_is_not_lost_with_the_end_that_confirms_it() {
    let (mut kit, mut zero, mut one) = ordered(Limits {
        window: 16,
        ..Limits::default()
    });
    kit.joined(&mut zero, &mut one, 10);
    kit.records(&mut zero, &[(40, 0, true, 39), (41, 0, true, 40)]);
    assert_eq!(kit.arbiter.counters().quarantined, 1);
    for sender in [&mut zero, &mut one] {
        *sender = sender.with(|header| {
            header.predecessor = header.epoch;
            header.epoch = Epoch(2);
        });
        kit.records(sender, &run(1..=2));
    }
    kit.pass(ms(5));
    assert_eq!(kit.told(), [], "where the first one ended is not known yet");
    kit.beat_of(
        &mut one,
        Beat {
            next_sseq: 3,
            prev: 2,
            interval_us: 10_000,
            predecessor_next: 42,
            predecessor_prev: 41,
            ..Beat::default()
        },
    );
    kit.pass(ms(5));
    let told = kit.told();
    let both = [40, 41].map(|sseq| Told::Record(sseq, 0, Leg::Zero));
    assert_eq!(told[0], lost(11, 40), "{told:?}");
    assert_eq!(told[1..3], both, "{told:?}");
    assert!(matches!(told[3], Told::Event(Event::Reset { .. })));
    assert_eq!(told.len(), 6, "{told:?}");
}
