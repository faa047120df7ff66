//! The arbiter where something is bounded: a full hold, a window, a quarantine, a driver that paused.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

fn bounded(limits: Limits) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = ordered(limits);
    kit.joined(&mut zero, &mut one, 3);
    (kit, zero, one)
}

fn small_hold(held_records: usize) -> (Kit, Sender, Sender) {
    bounded(Limits {
        held_records,
        ..Limits::default()
    })
}

fn narrow_window() -> (Kit, Sender, Sender) {
    bounded(Limits {
        window: 16,
        ..Limits::default()
    })
}

fn records(told: &[Told]) -> Vec<(u64, Leg)> {
    let record = |told: &Told| match told {
        Told::Record(sseq, _, leg) => Some((*sseq, *leg)),
        Told::Event(_) => None,
    };
    told.iter().filter_map(record).collect()
}

/// The epochs that were begun, by their resets.
fn resets(told: &[Told]) -> Vec<u64> {
    let reset = |told: &Told| match told {
        Told::Event(Event::Reset { epoch, .. }) => Some(epoch.0),
        _ => None,
    };
    told.iter().filter_map(reset).collect()
}

/// The sender goes on to `epoch`, which follows `before`; that one ended behind `last`.
fn goes_on(kit: &mut Kit, sender: Sender, epoch: u64, before: u64, last: u64) -> Sender {
    let mut sender = sender.with(|header| {
        header.epoch = Epoch(epoch);
        header.predecessor = Epoch(before);
        header.context = ContextId(epoch);
    });
    for _ in 0..4 {
        let beat = Beat {
            next_sseq: 1,
            prev: 0,
            predecessor_next: last + 1,
            predecessor_prev: last,
            interval_us: 10_000,
            ..Beat::default()
        };
        kit.beat_of(&mut sender, beat);
    }
    sender
}

fn state(kit: &Kit, leg: Leg) -> LegState {
    kit.arbiter.leg_status(SID, leg).unwrap().state
}

#[test]
fn a_pause_of_the_driver_is_no_silence_of_the_leg_read_second() {
    let (mut kit, mut zero, mut one) = bounded(Limits::default());
    kit.now = kit.now.after(ms(500));
    kit.beat(&mut zero, 3, 4);
    kit.records(&mut zero, &run(4..=4));
    assert_eq!(state(&kit, Leg::One), LegState::Live);
    kit.records(&mut one, &run(4..=5));
    kit.pass(ms(1));
    assert_eq!(state(&kit, Leg::One), LegState::Live);
    assert_eq!(kit.numbers(), [4, 5]);
    assert_eq!(kit.arbiter.counters().switches, 0);
}

#[test]
fn a_pause_of_the_driver_does_not_end_the_wait_for_a_hole() {
    let (mut kit, mut zero, mut one) = bounded(Limits::default());
    let late = one.records(&run(4..=4));
    kit.records(&mut zero, &run(5..=5));
    kit.records(&mut one, &run(5..=5));
    kit.now = kit.now.after(ms(50));
    kit.records(&mut zero, &run(6..=6));
    assert_eq!(kit.told(), [], "the late copy is still in the socket");
    kit.give(Leg::One, &late);
    kit.pass(ms(50));
    assert_eq!(kit.arbiter.counters().gaps, 0);
    assert_eq!(records(&kit.told()).len(), 3);
}

#[test]
fn room_is_made_only_as_far_as_it_is_needed() {
    let (mut kit, mut zero, mut one) = small_hold(2);
    kit.beat(&mut one, 29, 30);
    kit.control(Control::LocalDrops {
        leg: Leg::Zero,
        datagrams: 1,
    });
    for sseq in [6, 9, 12] {
        kit.records(&mut zero, &run(sseq..=sseq));
    }
    let told = [gap(4, 6, GapCause::HoldFull), Told::Record(6, 0, Leg::Zero)];
    assert_eq!(kit.told(), told, "7 and 8 may still come");
}

#[test]
fn the_record_that_finds_the_hold_full_is_not_missing() {
    let (mut kit, mut zero, mut one) = small_hold(1);
    kit.beat(&mut one, 9, 10);
    kit.records(&mut zero, &run(6..=8));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 6, GapCause::HoldFull));
    let delivered = [6, 7, 8].map(|sseq| (sseq, Leg::Zero));
    assert_eq!(records(&told), delivered);
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn a_full_hold_is_no_fault_of_a_leg_that_is_not_behind() {
    let (mut kit, mut zero, mut one) = small_hold(2);
    kit.beat(&mut one, 29, 30);
    for sseq in [6, 9, 12, 15] {
        kit.records(&mut zero, &run(sseq..=sseq));
    }
    assert_eq!(state(&kit, Leg::One), LegState::Live);
    assert_eq!(kit.arbiter.counters().switches, 0);
}

#[test]
fn a_leg_that_filled_the_hold_is_waited_for_again_once_it_has_caught_up() {
    let (mut kit, mut zero, mut one) = small_hold(2);
    for sseq in [6, 9, 12] {
        kit.records(&mut zero, &run(sseq..=sseq));
    }
    assert_eq!(state(&kit, Leg::One), LegState::Stalled);
    kit.records(&mut one, &run(4..=8));
    kit.pass(ms(1));
    assert_eq!(
        state(&kit, Leg::One),
        LegState::Stalled,
        "it is still behind"
    );
    kit.records(&mut one, &run(9..=12));
    kit.pass(ms(1));
    assert_eq!(state(&kit, Leg::One), LegState::Live);
    assert_eq!(kit.arbiter.counters().switches, 1);
}

#[test]
fn a_body_longer_than_any_slot_forces_nothing() {
    let (mut kit, mut zero, _) = bounded(Limits {
        max_datagram: 1_200,
        held_bytes: 1_200,
        ..Limits::default()
    });
    kit.records(&mut zero, &run(6..=6));
    let header = Header {
        base_sseq: 9,
        ..zero.header
    };
    let mut buffer = vec![0; 4_096];
    let mut writer = Writer::begin(&mut buffer, header);
    let long = Record {
        kind: BodyKind::Opaque,
        flags: RecordFlags::LAST,
        part: 0,
        sseq: 9,
        prev: 8,
        adm: Adm(0),
        body: &[7; 3_000],
    };
    writer.push(&long).unwrap();
    let length = writer.finish(Dsn(9), Flags(0), 0);
    kit.give(Leg::Zero, &buffer[..length]);
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.counters().hold_overflow, 1);
}

#[test]
fn a_full_hold_is_no_reason_to_guess_which_epoch_is_the_later_one() {
    let (mut kit, zero, one) = small_hold(2);
    let mut zero = goes_on(&mut kit, zero, 3, 1, 3);
    kit.records(&mut zero, &run(1..=3));
    assert_eq!(resets(&kit.told()), [3], "epoch 1 is left");
    let mut one = goes_on(&mut kit, one, 2, 1, 3);
    kit.records(&mut one, &run(1..=3));
    assert_eq!(kit.told(), [], "leg 0 lives in epoch 3");
    assert_eq!(kit.arbiter.counters().hold_overflow, 1);
    kit.records(&mut zero, &run(4..=4));
    assert_eq!(kit.numbers(), [4]);
}

#[test]
fn what_finds_no_room_for_its_epoch_is_counted_and_its_gap_says_so() {
    let (mut kit, mut zero, mut one) = bounded(Limits::default());
    // Leg 0 stays in epoch 1, and nobody knows what came behind it: leg 1 missed epoch 2.
    for epoch in [3, 4, 5, 6] {
        one = goes_on(&mut kit, one, epoch, epoch - 1, 3);
        kit.records(&mut one, &run(1..=3));
        for _ in 0..3 {
            kit.beat(&mut one, 3, 4);
        }
        kit.beat(&mut zero, 3, 4);
    }
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.counters().hold_overflow, 3, "of epoch 6");
    // Leg 0 dies.
    for _ in 0..8 {
        kit.pass(ms(10));
        kit.beat(&mut one, 3, 4);
    }
    let told = kit.told();
    assert_eq!(resets(&told), [3, 4, 5, 6]);
    let causes = told.iter().filter_map(|told| match told {
        Told::Event(Event::Gap { epoch, cause, .. }) => Some((epoch.0, *cause)),
        _ => None,
    });
    assert_eq!(causes.collect::<Vec<_>>(), [(6, GapCause::HoldFull)]);
    kit.records(&mut one, &run(5..=5));
    kit.pass(ms(10));
    kit.beat(&mut one, 5, 6);
    kit.pass(ms(10));
    let lost = |told: &Told| {
        matches!(
            told,
            Told::Event(Event::Gap {
                cause: GapCause::LostOnEveryLeg,
                ..
            })
        )
    };
    let told = kit.told();
    assert!(
        told.iter().any(lost),
        "nothing of that was dropped: {told:?}"
    );
}

#[test]
fn a_leg_that_comes_late_through_more_epochs_than_are_kept_is_there_all_the_same() {
    let (mut kit, zero, mut one) = ordered(Limits::default());
    let mut zero = goes_on(&mut kit, zero, 9, 8, 3);
    kit.records(&mut zero, &run(1..=3));
    for epoch in 3..=7 {
        one = goes_on(&mut kit, one, epoch, epoch - 1, 3);
        kit.records(&mut one, &run(1..=3));
    }
    kit.told();
    let mut one = goes_on(&mut kit, one, 9, 8, 3);
    // Leg 0 has died.
    for _ in 0..8 {
        kit.pass(ms(10));
        kit.beat(&mut one, 3, 4);
    }
    kit.records(&mut one, &run(4..=4));
    let told = kit.told();
    assert_eq!(records(&told), [(4, Leg::One)], "{told:?}");
    assert_eq!(resets(&told), []);
}

#[test]
fn an_overtaken_datagram_of_the_epoch_before_is_nothing_to_go_back_to() {
    let (mut kit, mut early, mut one) = ordered(Limits::default());
    let zero = early.with(|header| header.dsn = Dsn(200));
    let mut zero = goes_on(&mut kit, zero, 2, 1, 3);
    kit.records(&mut zero, &run(1..=3));
    // Leg 1 lags in epoch 1, and so that epoch is nothing new; a datagram of it that leg 0 once sent comes at last.
    for _ in 0..4 {
        kit.beat(&mut one, 3, 4);
    }
    kit.records(&mut early, &run(1..=1));
    let mut one = goes_on(&mut kit, one, 2, 1, 3);
    kit.records(&mut one, &run(1..=3));
    kit.told();
    for _ in 0..8 {
        kit.pass(ms(10));
        kit.beat(&mut zero, 3, 4);
    }
    kit.records(&mut zero, &run(4..=4));
    let told = kit.told();
    assert_eq!(records(&told), [(4, Leg::Zero)], "{told:?}");
    assert_eq!(resets(&told), []);
}

#[test]
fn what_a_dead_process_said_last_does_not_make_the_next_one_late() {
    let (mut kit, zero, _) = bounded(Limits::default());
    // Leg 0 goes on to epoch 2 and dies with its first announcement; it comes back there.
    let goes_on_with = |header: &mut Header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
        header.context = ContextId(2);
    };
    let mut dying = zero.with(|header| {
        goes_on_with(header);
        header.dsn = Dsn(5_000);
    });
    kit.beat(&mut dying, 0, 1);
    let reborn = zero.with(|header| {
        header.incarnation = Incarnation(99);
        header.dsn = Dsn(0);
    });
    let mut reborn = goes_on(&mut kit, reborn, 2, 1, 3);
    kit.records(&mut reborn, &run(1..=3));
    for _ in 0..8 {
        kit.pass(ms(10));
        kit.beat(&mut reborn, 3, 4);
    }
    kit.told();
    // Its heartbeats count: 4 and 5 were sent, and did not come.
    for _ in 0..3 {
        kit.beat(&mut reborn, 5, 6);
        kit.pass(ms(10));
    }
    let told = kit.told();
    let is_gap = |told: &Told| matches!(told, Told::Event(Event::Gap { .. }));
    assert!(told.iter().any(is_gap), "{told:?}");
}

/// Another process of a leg, which remembers nothing before `first`: it says where it stands.
fn comes_back(kit: &mut Kit, sender: Sender, first: u64) {
    let mut reborn = sender.with(|header| {
        header.incarnation = Incarnation(99);
        header.dsn = Dsn(0);
        header.context = ContextId(9);
        header.first = first;
        header.flags = Flags::INCOMPLETE;
    });
    for _ in 0..4 {
        kit.beat(&mut reborn, first - 1, first);
    }
}

#[test]
fn what_a_dead_process_brought_of_the_next_epoch_is_not_lost_with_it() {
    let (mut kit, zero, one) = bounded(Limits::default());
    // Leg 1 goes on to epoch 2 with records that nobody believes yet, and dies; it comes back behind them.
    let mut dying = one.with(|header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
        header.context = ContextId(2);
    });
    kit.records(&mut dying, &run(1..=3));
    comes_back(&mut kit, dying, 6);
    // Leg 0 has lost them.
    let mut zero = goes_on(&mut kit, zero, 2, 1, 3);
    kit.records(&mut zero, &run(4..=5));
    kit.pass(ms(50));
    let told = kit.told();
    assert_eq!(resets(&told), [2]);
    let [of_one, of_zero] = [(1..=3, Leg::One), (4..=5, Leg::Zero)]
        .map(|(numbers, leg)| numbers.map(move |number| (number, leg)));
    assert_eq!(records(&told), of_one.chain(of_zero).collect::<Vec<_>>());
}

#[test]
fn what_a_dead_process_brought_from_afar_is_not_lost_with_it() {
    let (mut kit, mut zero, mut dying) = ordered(Limits {
        window: 16,
        ..Limits::default()
    });
    kit.beat(&mut zero, 3, 4);
    kit.records(&mut dying, &run(30..=32));
    comes_back(&mut kit, dying, 34);
    // Leg 0 has lost what only the process that died has brought.
    kit.records(&mut zero, &run(4..=29));
    kit.records(&mut zero, &run(33..=33));
    kit.pass(ms(50));
    let numbers = records(&kit.told()).into_iter().map(|(number, _)| number);
    assert_eq!(numbers.collect::<Vec<_>>(), (4..=33).collect::<Vec<_>>());
}

#[test]
fn who_goes_on_to_another_epoch_takes_back_nothing_of_those_before() {
    let (mut kit, mut zero, one) = narrow_window();
    // Leg 1 is in epoch 2 while the application lacks 4 to 8 of epoch 1; it leaps there, and goes on to epoch 3.
    let mut one = goes_on(&mut kit, one, 2, 1, 8);
    kit.records(&mut one, &run(1..=3));
    kit.records(&mut one, &run(40..=41));
    assert_eq!(
        kit.arbiter.counters().quarantined,
        4,
        "an announcement, two more, and the leap"
    );
    let mut one = one.with(|header| {
        header.epoch = Epoch(3);
        header.predecessor = Epoch(2);
        header.context = ContextId(3);
    });
    for _ in 0..4 {
        kit.beat(&mut one, 0, 1);
    }
    kit.records(&mut one, &run(1..=1));
    assert_eq!(kit.arbiter.counters().quarantine_dropped, 0);
    // Leg 0 shows that it was none, and has lost what leg 1 has.
    kit.records(&mut zero, &run(4..=8));
    let mut zero = goes_on(&mut kit, zero, 2, 1, 8);
    for first in (1..=31).step_by(10) {
        kit.records(&mut zero, &run(first..=(first + 9).min(39)));
    }
    let told = kit.told();
    let numbers: Vec<_> = records(&told).iter().map(|(number, _)| *number).collect();
    assert!(numbers.ends_with(&[39, 40, 41]), "{told:?}");
}

#[test]
fn a_leg_of_which_all_is_in_doubt_is_waited_for() {
    for of_class in [ordered, unordered] {
        let (mut kit, mut zero, mut one) = of_class(Limits {
            window: 16,
            ..Limits::default()
        });
        kit.records(&mut zero, &[(1, 0, true, 0), (3, 0, true, 2)]);
        // Leg 1 is heard for the first time, far away, and by its records alone.
        kit.records(&mut one, &run(100..=100));
        assert_eq!(kit.arbiter.counters().quarantined, 1);
        kit.beat(&mut zero, 3, 4);
        kit.pass(ms(5));
        let is_gap = |told: &Told| matches!(told, Told::Event(Event::Gap { .. }));
        assert!(
            !kit.told().iter().any(is_gap),
            "where leg 1 stands is not known"
        );
        for _ in 0..3 {
            kit.beat(&mut one, 100, 101);
        }
        kit.pass(ms(5));
        assert!(kit.told().iter().any(is_gap), "it has passed 2");
    }
}

#[test]
fn an_epoch_that_one_leg_skipped_costs_nothing_of_the_next() {
    let (mut kit, zero, one) = bounded(Limits::default());
    let mut one = goes_on(&mut kit, one, 3, 2, 2);
    kit.records(&mut one, &run(1..=2));
    let mut zero = goes_on(&mut kit, zero, 2, 1, 3);
    kit.records(&mut zero, &run(1..=2));
    let told = kit.told();
    assert_eq!(resets(&told), [2, 3]);
    let [of_two, of_three] = [Leg::Zero, Leg::One].map(|leg| [(1, leg), (2, leg)]);
    assert_eq!(records(&told), [of_two, of_three].concat());
    assert_eq!(kit.arbiter.counters().retired_epoch, 0);
}

#[test]
fn what_was_silent_at_the_end_of_an_epoch_says_who_was_in_its_context() {
    for (known, gap) in [(true, false), (false, true)] {
        let (mut kit, zero, one) = bounded(Limits::default());
        // Leg 0 came back, began at 6, and knows nothing of 4 and 5.
        let mut zero = zero.with(|header| {
            header.incarnation = Incarnation(99);
            header.context = ContextId(77);
        });
        let ended = Beat {
            next_sseq: 6,
            prev: 5,
            interval_us: 10_000,
            ended: true,
            ..Beat::default()
        };
        kit.beat_of(&mut zero, ended);
        let mut zero = goes_on(&mut kit, zero, 2, 1, 5);
        // Leg 1 was there, and nothing stood at 4 and 5.
        let mut one = one.with(|header| {
            header.epoch = Epoch(2);
            header.predecessor = Epoch(1);
            header.context = ContextId(2);
        });
        if known {
            let opening = Beat {
                next_sseq: 1,
                prev: 0,
                predecessor_next: 6,
                predecessor_prev: 3,
                interval_us: 10_000,
                ..Beat::default()
            };
            kit.beat_of(&mut one, opening);
        }
        for _ in 0..10 {
            kit.pass(ms(10));
            kit.beat(&mut zero, 0, 1);
        }
        let told = kit.told();
        let is_gap = |told: &Told| matches!(told, Told::Event(Event::Gap { .. }));
        assert_eq!(told.iter().any(is_gap), gap, "{told:?}");
        assert_eq!(resets(&told), [2]);
    }
}

#[test]
fn an_epoch_that_was_left_before_the_last_one_is_not_gone_back_to() {
    let first = Sender::new(Leg::One);
    let (mut kit, zero, _) = ordered(Limits::default());
    let mut zero = goes_on(&mut kit, zero, 2, 1, 9);
    kit.records(&mut zero, &run(1..=3));
    let mut zero = goes_on(&mut kit, zero, 3, 2, 3);
    kit.records(&mut zero, &run(1..=3));
    assert_eq!(resets(&kit.told()), [3]);
    // One leg has slept through both, and is the only one left.
    let mut sleeper = first;
    for _ in 0..8 {
        kit.beat(&mut sleeper, 7, 8);
        kit.pass(ms(10));
    }
    assert_eq!(resets(&kit.told()), []);
    assert_eq!(state(&kit, Leg::Zero), LegState::Lost);
}

#[test]
fn a_long_datagram_that_begins_where_the_leg_stands_is_no_jump() {
    let (mut kit, mut zero, _) = narrow_window();
    kit.records(&mut zero, &run(4..=30));
    assert_eq!(kit.numbers().len(), 27);
    assert_eq!(kit.arbiter.counters().quarantined, 0);
}

#[test]
fn a_jump_within_a_datagram_is_in_doubt_as_one_before_it_is() {
    // After 3 the window of 16 reaches to 20, and after 4 to 20, too.
    for (numbers, believed) in [
        (vec![20], true),
        (vec![21], false),
        (vec![4, 20], true),
        (vec![4, 21], false),
        (vec![4, 20, 36], true),
        (vec![4, 20, 37], false),
        (vec![4, 152_002_974], false),
        (vec![4, 152_002_974, 5], false),
    ] {
        let (mut kit, mut zero, mut one) = narrow_window();
        let jumps: Vec<R> = numbers.iter().flat_map(|&n| run(n..=n)).collect();
        kit.records(&mut zero, &jumps);
        let doubted = kit.arbiter.counters().quarantined;
        assert_eq!(doubted, u64::from(!believed), "{numbers:?}");
        if believed {
            continue;
        }
        assert_eq!(kit.told(), [], "{numbers:?}");
        kit.beat(&mut zero, 6, 7);
        kit.records(&mut one, &run(4..=6));
        kit.pass(ms(5));
        assert_eq!(kit.numbers(), [4, 5, 6], "{numbers:?}");
    }
}

#[test]
fn a_jump_within_a_datagram_is_believed_once_both_legs_say_it() {
    let (mut kit, mut zero, mut one) = narrow_window();
    let jump = [(4, 0, true, 3), (40, 0, true, 4)];
    kit.records(&mut zero, &jump);
    assert_eq!(kit.told(), []);
    kit.records(&mut one, &jump);
    assert_eq!(kit.numbers(), [4, 40]);
}

#[test]
fn a_jump_is_believed_once_the_other_leg_gets_near() {
    let (mut kit, mut zero, mut one) = narrow_window();
    kit.records(&mut zero, &run(21..=22));
    assert_eq!(kit.numbers(), [], "18 further than 3");
    kit.records(&mut one, &run(4..=4));
    assert_eq!(kit.numbers(), [4]);
    assert_eq!(kit.arbiter.leg_status(SID, Leg::Zero).unwrap().held, 2);
    kit.records(&mut one, &run(5..=20));
    assert_eq!(records(&kit.told()).last(), Some(&(22, Leg::Zero)));
}

#[test]
fn what_waits_to_be_believed_is_not_declared_missing_by_what_confirms_it() {
    let (mut kit, mut zero, mut one) = bounded(Limits {
        window: 16,
        held_records: 4,
        ..Limits::default()
    });
    kit.records(&mut zero, &run(31..=32));
    kit.records(&mut one, &run(33..=40));
    let told = kit.told();
    let expected: Vec<_> = (31..=32)
        .map(|it| (it, Leg::Zero))
        .chain((33..=40).map(|it| (it, Leg::One)))
        .collect();
    assert_eq!(records(&told), expected, "{told:?}");
}

#[test]
fn of_what_waits_to_be_believed_the_leg_that_begins_further_back_comes_first() {
    let (mut kit, mut zero, mut one) = bounded(Limits {
        window: 16,
        held_records: 2,
        ..Limits::default()
    });
    kit.records(&mut zero, &run(35..=38));
    kit.records(&mut one, &run(33..=40));
    let told = kit.told();
    let numbers: Vec<_> = records(&told)
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers, (33..=40).collect::<Vec<_>>(), "{told:?}");
}

/// One leg alone has brought 1 to 3; it and another context may be heard in any order, and little is held.
fn alone_with_little_room() -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, _) = ordered(Limits {
        window: 16,
        held_records: 2,
        ..Limits::default()
    });
    kit.records(&mut zero, &run(1..=3));
    kit.told();
    let other = zero.with(|header| header.context = ContextId(2));
    (kit, zero, other)
}

#[test]
fn what_waits_to_be_believed_is_taken_in_as_it_was_sent() {
    let (mut kit, _, mut zero) = alone_with_little_room();
    kit.records(&mut zero, &run(40..=42));
    let overtaken = zero.records(&run(43..=43));
    // The source has lost 44 to 49: another context.
    zero.header.context = ContextId(3);
    kit.records(&mut zero, &run(50..=52));
    kit.give(Leg::Zero, &overtaken);
    kit.beat(&mut zero, 52, 53);
    let told = kit.told();
    let delivered = (40..=43).chain(50..=52).map(|sseq| (sseq, Leg::Zero));
    assert_eq!(records(&told), delivered.collect::<Vec<_>>(), "{told:?}");
    assert_eq!(told[0], gap(4, 40, GapCause::Abandoned));
    assert!(told.contains(&gap(44, 50, GapCause::Abandoned)), "{told:?}");
}

#[test]
fn what_was_sent_behind_the_datagram_that_confirms_it_is_taken_in_behind_it() {
    let (mut kit, mut zero, _) = alone_with_little_room();
    let overtaken = zero.records(&run(4..=9));
    zero.header.context = ContextId(2);
    kit.records(&mut zero, &run(21..=23));
    assert_eq!(kit.arbiter.counters().quarantined, 1);
    kit.give(Leg::Zero, &overtaken);
    let told = kit.told();
    let delivered = (4..=9).chain(21..=23).map(|sseq| (sseq, Leg::Zero));
    assert_eq!(records(&told), delivered.collect::<Vec<_>>(), "{told:?}");
    assert!(told.contains(&gap(10, 21, GapCause::Abandoned)), "{told:?}");
}

#[test]
fn a_jump_is_believed_when_its_sender_goes_on_behind_it() {
    let (mut kit, mut zero, mut one) = narrow_window();
    kit.records(&mut zero, &run(21..=22));
    kit.records(&mut one, &run(4..=13));
    let _lost = zero.records(&run(23..=28));
    kit.records(&mut zero, &run(29..=29));
    kit.records(&mut one, &run(14..=20));
    assert_eq!(records(&kit.told()).last(), Some(&(22, Leg::Zero)));
}

#[test]
fn a_jump_said_three_times_is_believed_whatever_was_lost_between() {
    let (mut kit, mut zero, _) = narrow_window();
    kit.records(&mut zero, &run(40..=40));
    let _lost = zero.records(&run(41..=41));
    kit.records(&mut zero, &run(42..=42));
    assert_eq!(kit.arbiter.leg_status(SID, Leg::Zero).unwrap().held, 0);
    kit.beat(&mut zero, 42, 43);
    assert_eq!(kit.arbiter.leg_status(SID, Leg::Zero).unwrap().held, 2);
}

#[test]
fn a_leg_whose_jump_is_in_doubt_does_not_stand_where_it_stood_before() {
    for (jumps, reset) in [(false, true), (true, false)] {
        let (mut kit, zero, mut one) = narrow_window();
        let ahead = &mut zero.clone();
        kit.records(ahead, &run(4..=19));
        kit.records(ahead, &run(20..=40));
        kit.pass(ms(9));
        kit.beat(&mut one, 3, 4);
        // Leg zero is gone; leg one, far behind, comes back to life far ahead.
        for _ in 0..3 {
            kit.pass(ms(9));
            kit.beat(&mut one, 3, 4);
        }
        kit.pass(ms(9));
        if jumps {
            kit.records(&mut one, &run(90..=92));
        } else {
            kit.beat(&mut one, 3, 4);
        }
        kit.pass(ms(25));
        let regressed = !resets(&kit.told()).is_empty();
        assert_eq!(regressed, reset, "jumps: {jumps}");
    }
}

#[test]
fn the_end_that_a_later_epoch_tells_confirms_what_waited_of_the_earlier() {
    let mut kit = Kit::new(Limits {
        window: 16,
        ..Limits::default()
    });
    let mut zero = Sender::new(Leg::Zero);
    kit.records(&mut zero, &run(1..=3));
    kit.told();
    kit.records(&mut zero, &run(40..=41));
    goes_on(&mut kit, zero, 2, 1, 41);
    kit.pass(ms(3));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 40, GapCause::LostOnEveryLeg));
    assert_eq!(records(&told), [(40, Leg::Zero), (41, Leg::Zero)]);
    assert_eq!(resets(&told), [2]);
}

#[test]
fn what_waits_is_not_taken_back_by_a_datagram_that_was_sent_before_it() {
    let (mut kit, mut zero, _) = narrow_window();
    let straggler = zero.records(&run(30..=30));
    let mut next = zero.with(|header| {
        header.epoch = Epoch(2);
        header.predecessor = Epoch(1);
        header.context = ContextId(2);
    });
    let beat = Beat {
        next_sseq: 1,
        interval_us: 10_000,
        ..Beat::default()
    };
    for _ in 0..3 {
        kit.beat_of(&mut next, beat);
    }
    let overtaken = next.heartbeat(beat);
    kit.records(&mut next, &run(40..=41));
    kit.give(Leg::Zero, &straggler);
    assert_eq!(kit.arbiter.counters().quarantined, 5);
    kit.give(Leg::Zero, &overtaken);
    assert_eq!(kit.arbiter.counters().quarantine_dropped, 0);
    kit.beat(&mut next, 0, 2);
    let dropped = kit.arbiter.counters().quarantine_dropped;
    assert_eq!(dropped, 1, "its sender goes on as if it had not said 40");
}

#[test]
fn a_seen_window_that_one_datagram_could_exceed_is_refused_by_name() {
    // 1,472 bytes are 61 records with the shortest header and body.
    for (seen_window, fits) in [(0, false), (60, false), (61, true)] {
        let limits = Limits {
            seen_window,
            ..Limits::default()
        };
        let refused = limits.check().err().map(|bad| bad.name);
        let expected = (!fits).then_some("seen_window");
        assert_eq!(refused, expected, "{seen_window}");
    }
}
