//! An application goes on where its last run stood: by hand, and as a property over all places where a run can end.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::*;
use twinfeed_wire::fill::{FillRange, Reply, Status, Stretch, write_reply};
use twinfeed_wire::*;

/// First to be told: in the first epoch and context, with no message before it.
fn cursor(sseq: u64, part: u16) -> Cursor {
    Cursor {
        next: Pos {
            sid: SID,
            epoch: Epoch(1),
            sseq,
            part,
        },
        last: sseq.saturating_sub(u64::from(part == 0)),
        context: ContextId(1),
        complete: true,
        count: Some((Adm(0), Generation(1))),
        predecessor: Epoch::NONE,
    }
}

fn resumed_with(limits: Limits, from: &Cursor) -> (Kit, Sender, Sender) {
    let (mut kit, zero, one) = ordered(limits);
    assert_eq!(kit.arbiter.resume(from), Ok(()));
    (kit, zero, one)
}

fn resumed(from: &Cursor) -> (Kit, Sender, Sender) {
    resumed_with(Limits::default(), from)
}

fn records(numbers: core::ops::RangeInclusive<u64>, leg: Leg) -> Vec<Told> {
    numbers.map(|sseq| Told::Record(sseq, 0, leg)).collect()
}

#[test]
fn what_was_told_before_is_dropped_and_what_follows_is_told_without_a_word() {
    let (mut kit, mut zero, mut one) = resumed(&cursor(11, 0));
    kit.records(&mut zero, &run(1..=15));
    kit.records(&mut one, &run(8..=17));
    let mut expected = records(11..=15, Leg::Zero);
    expected.extend(records(16..=17, Leg::One));
    assert_eq!(kit.told(), expected);
    assert_eq!(kit.arbiter.counters().duplicates, 10 + 8);
}

#[test]
fn a_message_that_was_told_in_part_is_gone_on_with() {
    let (mut kit, mut zero, _one) = resumed(&cursor(5, 1));
    let parts = [
        (4, 0, true, 3),
        (5, 0, false, 4),
        (5, 1, false, 4),
        (5, 2, true, 4),
    ];
    kit.records(&mut zero, &parts);
    let told = [(5, 1), (5, 2)].map(|(sseq, part)| Told::Record(sseq, part, Leg::Zero));
    assert_eq!(kit.told(), told);
}

#[test]
fn who_is_first_heard_saying_that_it_ends_speaks_no_more() {
    let (mut kit, zero, _one) = resumed(&cursor(11, 0));
    let mut zero = zero.with(|header| header.flags = Flags::END_OF_STREAM);
    kit.beat(&mut zero, 10, 11);
    kit.pass(ms(500));
    assert_eq!(kit.told(), [Told::Event(Event::Stale { sid: SID })]);
}

#[test]
fn what_lies_between_is_missing_like_any_other() {
    let (mut kit, mut zero, mut one) = resumed(&cursor(11, 0));
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(21..=22));
    }
    assert_eq!(kit.told(), [], "it may be on its way");
    kit.pass(ms(5));
    let mut expected = vec![lost(11, 21)];
    expected.extend(records(21..=22, Leg::Zero));
    assert_eq!(kit.told(), expected, "nobody can be asked");
}

#[test]
fn silence_alone_shows_what_is_missing() {
    let (mut kit, mut zero, mut one) = resumed(&cursor(11, 0));
    for _ in 0..2 {
        beats(&mut kit, [&mut zero, &mut one], 14, 15);
        kit.pass(ms(5));
    }
    assert_eq!(kit.told(), [lost(11, 15)]);
    let (mut kit, mut zero, mut one) = resumed(&cursor(11, 0));
    beats(&mut kit, [&mut zero, &mut one], 10, 15);
    kit.pass(ms(5));
    assert_eq!(kit.told(), [], "numbers that carry nothing are not missing");
    kit.records(&mut zero, &[(15, 0, true, 10)]);
    assert_eq!(kit.told(), records(15..=15, Leg::Zero));
}

/// Both adapters can be asked.
fn asking(limits: Limits, from: &Cursor) -> (Kit, Sender, Sender) {
    let (mut kit, zero, one) = resumed_with(limits, from);
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    (kit, zero, one)
}

/// Answers with these records, or says that those are not retained.
fn answer(kit: &mut Kit, ask: &Ask, given: &[R], lacking: Stretch) {
    let mut sender = Sender::new(ask.leg);
    if !given.is_empty() {
        let mut bytes = sender.records(given);
        mark_retransmitted(&mut bytes);
        kit.arbiter.on_fill(ask.leg, kit.now, &bytes, &mut kit.log);
    }
    let reply = Reply {
        sid: SID,
        stream: ask.header().stream,
        request: ask.header().request,
        status: Status::Sent,
        lacking: u8::from(!lacking.is_empty()).into(),
        stretch: lacking,
        ..Reply::default()
    };
    let bytes = write_reply(&reply);
    kit.arbiter.on_fill(ask.leg, kit.now, &bytes, &mut kit.log);
}

fn first_range(ask: &Ask) -> (u64, u64) {
    match ask.ranges()[0] {
        FillRange::Records { from, until } => (from.0, until.0),
        FillRange::Messages { .. } => panic!("{ask:?}"),
    }
}

#[test]
fn adapters_are_asked_and_what_none_retains_is_one_gap() {
    let (mut kit, mut zero, mut one) = asking(Limits::default(), &cursor(11, 0));
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(21..=22));
    }
    let retained = 15;
    for _ in 0..20 {
        kit.pass(ms(3));
        while let Some(ask) = kit.arbiter.poll_request() {
            let (from, until) = first_range(&ask);
            let given: Vec<_> = run(from.max(retained)..=until - 1);
            let lacking = Stretch {
                from: (from, 0),
                until: (from.max(retained), 0),
            };
            answer(&mut kit, &ask, &given, lacking);
        }
    }
    let told = kit.told();
    assert_eq!(told[0], gap(11, 15, GapCause::NotRetained), "{told:?}");
    let numbers: Vec<_> = told.iter().filter_map(number).collect();
    assert_eq!(numbers, (15..=22).collect::<Vec<_>>());
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

fn number(told: &Told) -> Option<u64> {
    match told {
        Told::Record(sseq, ..) => Some(*sseq),
        Told::Event(_) => None,
    }
}

#[test]
fn a_full_hold_gives_nothing_up_while_it_is_caught_up() {
    let limits = Limits {
        held_records: 8,
        ..Limits::default()
    };
    for can_ask in [true, false] {
        let (mut kit, mut zero, _one) = match can_ask {
            true => asking(limits, &cursor(11, 0)),
            false => resumed_with(limits, &cursor(11, 0)),
        };
        // Far more than the hold has room for, while the first answers come.
        let mut live = 100;
        for _ in 0..400 {
            if live < 160 {
                kit.records(&mut zero, &run(live..=live));
                live += 1;
            } else {
                kit.beat(&mut zero, 159, 160);
            }
            kit.pass(ms(2));
            if let Some(ask) = kit.arbiter.poll_request() {
                let (from, until) = first_range(&ask);
                let given: Vec<_> = run(from..=(until - 1).min(from + 1));
                answer(&mut kit, &ask, &given, Stretch::default());
            }
        }
        let told = kit.told();
        let numbers: Vec<_> = told.iter().filter_map(number).collect();
        let dropped = kit.arbiter.counters().hold_overflow;
        if can_ask {
            assert_eq!(numbers, (11..160).collect::<Vec<_>>());
            assert_eq!(kit.arbiter.counters().gaps, 0);
            assert!(dropped > 0, "the hold was full");
        } else {
            assert_eq!(told[0], lost(11, 100), "{told:?}");
        }
    }
}

#[test]
fn the_whole_takes_as_long_as_something_comes() {
    let limits = Limits::default();
    let (mut kit, mut zero, mut one) = asking(limits, &cursor(11, 0));
    let start = kit.now;
    let mut asked = 0;
    while kit.now < start.after(limits.repair.repair_time * 3) {
        for sender in [&mut zero, &mut one] {
            kit.beat(sender, 5_000, 5_001);
        }
        kit.pass(ms(5));
        if let Some(ask) = kit.arbiter.poll_request() {
            let (from, _) = first_range(&ask);
            asked += 1;
            answer(&mut kit, &ask, &run(from..=from), Stretch::default());
        }
    }
    assert!(asked > 100, "{asked}");
    assert_eq!(kit.arbiter.counters().gaps, 0);
    // Now nobody gives anything any more.
    while kit.now < start.after(limits.repair.repair_time * 5) {
        for sender in [&mut zero, &mut one] {
            kit.beat(sender, 5_000, 5_001);
        }
        kit.pass(ms(5));
    }
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn another_memory_of_the_past_is_told_and_the_same_one_is_waited_for() {
    for comes in [true, false] {
        let (mut kit, zero, mut one) = resumed(&cursor(11, 0));
        let mut other = zero.with(|header| {
            header.context = ContextId(2);
            header.first = 5;
            header.flags = Flags::INCOMPLETE;
        });
        kit.records(&mut other, &run(11..=12));
        kit.pass(ms(10));
        assert_eq!(kit.told(), [], "the other leg may yet be heard");
        if comes {
            kit.records(&mut one, &run(11..=13));
            assert_eq!(kit.told(), records(11..=13, Leg::One));
            continue;
        }
        for _ in 0..40 {
            kit.pass(ms(10));
            kit.beat(&mut other, 12, 13);
        }
        let told = kit.told();
        let discontinuity = Told::Event(Event::Discontinuity {
            sid: SID,
            epoch: Epoch(1),
            at: at(11, 0),
            context: ContextId(2),
            complete: false,
            cause: DiscontinuityCause::Context { from: ContextId(1) },
        });
        assert_eq!(told[0], discontinuity, "{told:?}");
        assert_eq!(told[1..], records(11..=12, Leg::Zero));
    }
}

#[test]
fn an_epoch_that_ended_meanwhile_is_finished_before_the_next_one() {
    let (mut kit, mut zero, mut one) = asking(Limits::default(), &cursor(11, 0));
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        sender.header.context = ContextId(20);
    }
    for _ in 0..40 {
        for sender in [&mut zero, &mut one] {
            let beat = Beat {
                next_sseq: 1,
                predecessor_next: 16,
                predecessor_prev: 15,
                interval_us: 10_000,
                ..Beat::default()
            };
            kit.beat_of(sender, beat);
        }
        kit.pass(ms(2));
        while let Some(ask) = kit.arbiter.poll_request() {
            assert_eq!(ask.header().epoch, Epoch(1));
            let (from, until) = first_range(&ask);
            answer(&mut kit, &ask, &run(from..=until - 1), Stretch::default());
        }
    }
    kit.records(&mut zero, &run(1..=2));
    let told = kit.told();
    let numbers: Vec<_> = told.iter().filter_map(number).collect();
    assert_eq!(numbers, [11, 12, 13, 14, 15, 1, 2]);
    let reset = Event::Reset {
        sid: SID,
        epoch: Epoch(2),
        at: at(1, 0),
        context: ContextId(20),
        complete: true,
        cause: ResetCause::Epoch {
            from: Epoch(1),
            tail: Tail::Complete,
        },
    };
    assert!(told.contains(&Told::Event(reset)), "{told:?}");
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn an_epoch_that_nobody_knows_any_more_is_left_behind_a_reset() {
    let from = Cursor {
        next: Pos {
            epoch: Epoch(9),
            ..cursor(11, 0).next
        },
        ..cursor(11, 0)
    };
    let (mut kit, mut zero, mut one) = resumed(&from);
    for _ in 0..10 {
        beats(&mut kit, [&mut zero, &mut one], 3, 4);
        kit.pass(ms(5));
    }
    kit.records(&mut zero, &run(4..=5));
    let told = kit.told();
    let unknown = |told: &Told| {
        matches!(
            told,
            Told::Event(Event::Reset {
                epoch: Epoch(1),
                cause: ResetCause::Epoch {
                    from: Epoch(9),
                    tail: Tail::Unknown
                },
                ..
            })
        )
    };
    assert!(unknown(&told[0]), "{told:?}");
    assert_eq!(told.iter().filter_map(number).next_back(), Some(5));
}

/// In the second epoch, for which the first was left.
fn in_the_second() -> Cursor {
    Cursor {
        next: Pos {
            epoch: Epoch(2),
            ..cursor(11, 0).next
        },
        context: ContextId(20),
        predecessor: Epoch(1),
        ..cursor(11, 0)
    }
}

#[test]
fn a_leg_that_lags_in_the_epoch_before_leads_nobody_back() {
    for known in [true, false] {
        let predecessor = if known { Epoch(1) } else { Epoch::NONE };
        let from = Cursor {
            predecessor,
            ..in_the_second()
        };
        let (mut kit, mut zero, mut one) = resumed(&from);
        zero.header.epoch = Epoch(2);
        zero.header.predecessor = Epoch(1);
        zero.header.context = ContextId(20);
        // Heard for a while before the other one; longer than that only a cursor that knows what was left helps.
        let rounds = if known { 40 } else { 6 };
        for round in 0..rounds {
            kit.records(&mut one, &run(90 + round..=90 + round));
            kit.beat(&mut one, 90 + round, 91 + round);
            kit.pass(ms(1));
        }
        kit.records(&mut zero, &run(11..=14));
        kit.pass(ms(5));
        assert_eq!(kit.told(), records(11..=14, Leg::Zero), "known: {known}");
        let refused = kit.arbiter.counters().retired_epoch;
        assert_eq!(refused > 0, known, "nothing of what is over is held");
    }
}

#[test]
fn nor_does_it_when_only_somebody_who_remembers_something_else_says_which_came_before() {
    let from = Cursor {
        predecessor: Epoch::NONE,
        ..in_the_second()
    };
    let (mut kit, mut zero, mut one) = resumed(&from);
    zero.header.epoch = Epoch(2);
    zero.header.predecessor = Epoch(1);
    zero.header.context = ContextId(21);
    zero.header.flags = Flags::INCOMPLETE;
    kit.beat(&mut zero, 10, 11);
    kit.records(&mut zero, &run(11..=14));
    for _ in 0..4 {
        kit.beat(&mut zero, 14, 15);
        kit.pass(ms(5));
    }
    let told = kit.told();
    assert!(told.ends_with(&records(11..=14, Leg::Zero)), "{told:?}");
    // And then it dies, and nobody is left but who lags.
    for round in 0..200 {
        kit.records(&mut one, &run(90 + round..=90 + round));
        kit.beat(&mut one, 90 + round, 91 + round);
        kit.pass(ms(10));
    }
    let told = kit.told();
    let back = |told: &Told| matches!(told, Told::Event(Event::Reset { .. }) | Told::Record(..));
    assert!(!told.iter().any(back), "{told:?}");
    let stale = Told::Event(Event::Stale { sid: SID });
    assert!(told.contains(&stale), "{told:?}");
}

#[test]
fn nor_does_one_that_lags_by_two() {
    let from = Cursor {
        next: Pos {
            epoch: Epoch(3),
            ..cursor(11, 0).next
        },
        context: ContextId(30),
        predecessor: Epoch(2),
        ..cursor(11, 0)
    };
    let limits = Limits {
        lag_time: ms(10),
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = resumed_with(limits, &from);
    for _ in 0..4 {
        kit.beat(&mut one, 95, 96);
        kit.pass(ms(1));
    }
    one.header.predecessor = Epoch(1);
    one.header.epoch = Epoch(2);
    one.header.context = ContextId(20);
    for round in 1..20 {
        kit.records(&mut one, &run(round..=round));
        kit.beat(&mut one, round, round + 1);
        kit.pass(ms(1));
    }
    zero.header.epoch = Epoch(3);
    zero.header.predecessor = Epoch(2);
    zero.header.context = ContextId(30);
    kit.records(&mut zero, &run(11..=14));
    kit.pass(ms(5));
    assert_eq!(kit.told(), records(11..=14, Leg::Zero));
}

#[test]
fn a_leg_below_the_cursor_does_not_end_catching_up() {
    let limits = Limits {
        held_records: 8,
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = asking(limits, &cursor(11, 0));
    kit.records(&mut one, &run(3..=3));
    for live in 100..140 {
        kit.records(&mut zero, &run(live..=live));
        kit.beat(&mut one, 3, 4);
    }
    assert!(kit.arbiter.counters().hold_overflow > 0);
    assert_eq!(kit.told(), [], "nothing is given up for want of room");
}

#[test]
fn what_was_missed_is_asked_for_in_the_context_that_is_left() {
    let (mut kit, mut zero, mut one) = asking(Limits::default(), &cursor(11, 0));
    for sender in [&mut zero, &mut one] {
        sender.header.context = ContextId(2);
        sender.header.first = 5;
        sender.header.flags = Flags::INCOMPLETE;
        kit.records(sender, &run(20..=21));
    }
    for _ in 0..60 {
        for sender in [&mut zero, &mut one] {
            kit.beat(sender, 21, 22);
        }
        kit.pass(ms(2));
        while let Some(ask) = kit.arbiter.poll_request() {
            assert_eq!(ask.header().context, ContextId(2));
            let (from, until) = first_range(&ask);
            let mut sender = Sender::new(ask.leg).with(|header| {
                header.context = ContextId(2);
                header.first = 5;
                header.flags = Flags::INCOMPLETE;
            });
            let mut bytes = sender.records(&run(from..=until - 1));
            mark_retransmitted(&mut bytes);
            kit.arbiter.on_fill(ask.leg, kit.now, &bytes, &mut kit.log);
        }
    }
    let told = kit.told();
    let discontinuity = |told: &Told| {
        let Told::Event(Event::Discontinuity { at, cause, .. }) = told else {
            return false;
        };
        *at == Place::start(11) && *cause == DiscontinuityCause::Context { from: ContextId(1) }
    };
    assert!(discontinuity(&told[0]), "{told:?}");
    let numbers: Vec<_> = told.iter().filter_map(number).collect();
    assert_eq!(numbers, (11..=21).collect::<Vec<_>>());
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

fn administrative(at: u64) -> Told {
    Told::Event(Event::Discontinuity {
        sid: SID,
        epoch: Epoch(1),
        at: Place::start(at),
        context: ContextId(1),
        complete: true,
        cause: DiscontinuityCause::Administrative,
    })
}

#[test]
fn where_no_count_is_known_what_follows_says_so_first() {
    let from = Cursor {
        count: None,
        ..cursor(11, 0)
    };
    let (mut kit, mut zero, _one) = resumed(&from);
    // Message 0 was sent while nobody listened.
    zero.header.base_adm = Adm(1);
    kit.records(&mut zero, &run(11..=11));
    assert_eq!(
        kit.told(),
        [administrative(11), Told::Record(11, 0, Leg::Zero)]
    );
}

#[test]
fn a_message_that_comes_behind_its_place_does_not_count_for_what_was_told() {
    let (mut kit, mut zero, _one) = resumed(&cursor(11, 0));
    let message = zero.administrative(5, Adm(0));
    kit.give(Leg::Zero, &message);
    assert_eq!(
        kit.told(),
        [administrative(11), Told::Record(5, 0, Leg::Zero)]
    );
}

#[test]
fn a_message_behind_the_last_record_that_was_told_is_next() {
    // Numbers 6 to 10 carried nothing, and said so.
    let from = Cursor {
        last: 5,
        ..cursor(11, 0)
    };
    let (mut kit, mut zero, _one) = resumed(&from);
    let message = zero.administrative(5, Adm(0));
    kit.give(Leg::Zero, &message);
    assert_eq!(kit.told(), [Told::Record(5, 0, Leg::Zero)]);
}

#[test]
fn a_context_in_which_nobody_was_heard_yet_is_as_complete_as_it_was() {
    for known in [true, false] {
        let from = Cursor {
            complete: known,
            ..cursor(11, 0)
        };
        let (mut kit, _zero, mut one) = resumed(&from);
        // Of the other leg, which remembers less, a message that stands in front of what was told.
        one.header.context = ContextId(2);
        one.header.first = 3;
        one.header.flags = Flags::INCOMPLETE;
        let message = one.administrative(5, Adm(0));
        kit.give(Leg::One, &message);
        let told = kit.told();
        let complete = told.iter().find_map(|told| match told {
            Told::Event(Event::Discontinuity {
                context, complete, ..
            }) if *context == ContextId(1) => Some(*complete),
            _ => None,
        });
        assert_eq!(complete, Some(known), "{told:?}");
    }
}

#[test]
fn cursors_follow_what_is_declared() {
    let mut at = Cursors::resumed([cursor(11, 0)]);
    let (sid, epoch) = (SID, Epoch(1));
    at.event(&Event::Gap {
        sid,
        epoch,
        from: at_(11),
        until: at_(15),
        cause: GapCause::LostOnEveryLeg,
    });
    let declared = Cursor {
        last: 10,
        ..cursor(15, 0)
    };
    assert_eq!(at.get(SID), Some(&declared));
    at.event(&Event::AdministrativeGap {
        sid,
        from: Adm(0),
        until: Adm(2),
        numbering: Some(Generation(1)),
    });
    let counted = Cursor {
        count: Some((Adm(2), Generation(1))),
        ..declared
    };
    assert_eq!(at.get(SID), Some(&counted));
    at.event(&Event::Reset {
        sid,
        epoch: Epoch(2),
        at: at_(11),
        context: ContextId(20),
        complete: true,
        cause: ResetCause::Epoch {
            from: epoch,
            tail: Tail::Complete,
        },
    });
    let second = Cursor {
        count: counted.count,
        last: 0,
        ..in_the_second()
    };
    assert_eq!(at.get(SID), Some(&second));
    at.event(&Event::Stale { sid: Sid(99) });
    assert_eq!(at.iter().count(), 1);
}

fn at_(sseq: u64) -> Place {
    Place::start(sseq)
}

#[test]
fn messages_are_counted_on() {
    let from = Cursor {
        count: Some((Adm(3), Generation(1))),
        ..cursor(11, 0)
    };
    let (mut kit, mut zero, mut one) = resumed(&from);
    let old = one.administrative(10, Adm(2));
    kit.give(Leg::One, &old);
    let next = zero.administrative(10, Adm(3));
    kit.give(Leg::Zero, &next);
    zero.header.base_adm = Adm(4);
    kit.records(&mut zero, &run(11..=11));
    let told = [10, 11].map(|sseq| Told::Record(sseq, 0, Leg::Zero));
    assert_eq!(kit.told(), told);
    // One was missed between the runs.
    let (mut kit, mut zero, mut one) = resumed(&from);
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(4);
        kit.records(sender, &run(11..=11));
    }
    kit.pass(ms(60));
    let missing = Told::Event(Event::AdministrativeGap {
        sid: SID,
        from: Adm(3),
        until: Adm(4),
        numbering: Some(Generation(1)),
    });
    assert_eq!(kit.told()[0], missing);
}

#[test]
fn only_a_source_with_order_that_was_not_joined_is_gone_on_with_once() {
    let from = cursor(11, 0);
    let (mut kit, mut zero, _one) = ordered(Limits::default());
    let elsewhere = Cursor {
        next: Pos {
            sid: Sid(99),
            ..from.next
        },
        ..from
    };
    let refused = kit.arbiter.resume(&elsewhere);
    assert_eq!(refused, Err(CannotResume::Unknown(Sid(99))));
    kit.records(&mut zero, &run(1..=1));
    assert_eq!(
        kit.arbiter.resume(&from),
        Err(CannotResume::Joined(SID)),
        "joined"
    );
    let (mut kit, ..) = unordered(Limits::default());
    let refused = kit.arbiter.resume(&from);
    assert_eq!(refused, Err(CannotResume::Unordered(SID)));
    let (mut kit, ..) = resumed(&from);
    let refused = kit.arbiter.resume(&from);
    assert_eq!(refused, Err(CannotResume::Joined(SID)), "gone on with");
}

/// What was told, with where the application stood behind it.
#[derive(Default)]
struct Run {
    told: Vec<(Told, Cursors)>,
    at: Cursors,
}

impl Handler for Run {
    fn record(&mut self, record: &Delivered<'_>) {
        self.at.record(record);
        assert_eq!(self.at.get(SID), Some(&record.cursor()));
        let told = Told::Record(record.pos.sseq, record.pos.part, Leg::Zero);
        self.told.push((told, self.at.clone()));
    }

    fn event(&mut self, event: &Event) {
        self.at.event(event);
        // News of legs, and of a hole that closes while nothing is missing, are of one run alone.
        if let Event::Gap { .. } | Event::AdministrativeGap { .. } = event {
            self.told.push((Told::Event(*event), self.at.clone()));
        }
    }
}

impl Run {
    fn of(datagrams: &[(Leg, Vec<u8>)], from: Option<&Cursors>) -> Self {
        let mut kit = Kit::new(Limits::default());
        let mut run = Self::default();
        if let Some(from) = from {
            for cursor in from.iter() {
                assert_eq!(kit.arbiter.resume(cursor), Ok(()));
            }
            run.at = Cursors::resumed(from.iter().copied());
        }
        for (leg, bytes) in datagrams {
            kit.arbiter.on_datagram(*leg, kit.now, bytes, &mut run);
            run.pass(&mut kit, 1);
        }
        // What still waits is declared.
        run.pass(&mut kit, 5);
        run
    }

    fn pass(&mut self, kit: &mut Kit, steps: u32) {
        for _ in 0..steps {
            kit.now = kit.now.after(ms(3));
            kit.arbiter.on_deadline(kit.now, self);
        }
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().map(|(told, _)| told)
    }
}

/// One source message: how many parts, whether an administrative message stands behind it, and whether each is lost.
type Shape = (u8, bool, bool, bool);

/// What one leg sends, but for what is lost on every leg.
fn sent(leg: Leg, shape: &[Shape]) -> Vec<(Leg, Vec<u8>)> {
    let mut sender = Sender::new(leg);
    let mut datagrams = Vec::new();
    for (index, &(parts, message, lost, lost_message)) in shape.iter().enumerate() {
        let sseq = index as u64 + 1;
        let parts = u16::from(parts);
        let records: Vec<R> = (0..parts)
            .map(|part| (sseq, part, part + 1 == parts, sseq - 1))
            .collect();
        let bytes = sender.records(&records);
        // The first and the last are there, so that both runs join and end alike.
        if !lost || index == 0 || index + 1 == shape.len() {
            datagrams.push((leg, bytes));
        }
        if message {
            let adm = sender.header.base_adm;
            let bytes = sender.administrative(sseq, adm);
            if !lost_message {
                datagrams.push((leg, bytes));
            }
            sender.header.base_adm = Adm(adm.0 + 1);
        }
    }
    datagrams
}

proptest! {
    /// Wherever the first run ends, behind a record or an event, and whichever leg the second one hears: both together are
    /// told what one run would have been, each record and each gap once, in order.
    #[test]
    fn two_runs_are_told_what_one_would_be(
        shape in proptest::collection::vec(
            (1_u8..4, proptest::bool::weighted(0.3), proptest::bool::weighted(0.2), proptest::bool::weighted(0.3)),
            1..20,
        ),
        end in any::<proptest::sample::Index>(),
        other in any::<bool>(),
        early in any::<proptest::sample::Index>(),
    ) {
        let whole = sent(Leg::Zero, &shape);
        let all = Run::of(&whole, None);
        let end = end.index(all.told.len());
        let from = &all.told[end].1;
        for cursor in from.iter() {
            prop_assert_eq!(cursor.to_string().parse(), Ok(*cursor));
        }
        let again = sent(if other { Leg::One } else { Leg::Zero }, &shape);
        // The second run hears nothing of what was sent before some place from which on all is owed: a message stands behind
        // the number in front of it.
        let next = from.get(SID).unwrap().place().sseq;
        let gone = early.index(next as usize) as u64;
        let cut = again.iter().position(|(_, bytes)| {
            let datagram = Datagram::parse(bytes).unwrap();
            datagram.records().all(|record| record.sseq >= gone)
        });
        let second = Run::of(&again[cut.unwrap_or(0)..], Some(from));
        let joined: Vec<_> = all.told().take(end + 1).chain(second.told()).collect();
        prop_assert_eq!(joined, all.told().collect::<Vec<_>>());
        prop_assert_eq!(second.at, all.at);
    }
}
