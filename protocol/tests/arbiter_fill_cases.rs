//! What was lost on every leg, by hand: who is asked when, and what the application gets.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use arbiter_kit::*;
use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::*;
use twinfeed_wire::fill::{FillRange, Reply, Status, Stretch, write_reply};
use twinfeed_wire::*;

const HOLD: u64 = 2;

/// Both adapters serve; both legs brought 1 to 3.
fn pair() -> (Kit, Sender, Sender) {
    pair_with(Limits::default())
}

fn pair_with(limits: Limits) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = ordered(limits);
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    kit.joined(&mut zero, &mut one, 3);
    (kit, zero, one)
}

fn records(from: u64, until: u64) -> FillRange {
    FillRange::Records {
        from: (from, 0),
        until: (until, 0),
    }
}

impl Kit {
    fn asked(&mut self) -> Option<Ask> {
        self.arbiter.poll_request()
    }

    #[track_caller]
    fn asks(&mut self, leg: Leg, ranges: &[FillRange]) -> Ask {
        let ask = self.asked().expect("somebody is asked");
        assert_eq!((ask.leg, ask.ranges()), (leg, ranges));
        assert_eq!(self.asked(), None, "once");
        ask
    }

    fn fill(&mut self, leg: Leg, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        mark_retransmitted(&mut bytes);
        self.raw_fill(leg, &bytes);
    }

    fn raw_fill(&mut self, leg: Leg, bytes: &[u8]) {
        self.arbiter.on_fill(leg, self.now, bytes, &mut self.log);
    }

    fn reply(&mut self, ask: &Ask, change: impl FnOnce(&mut Reply)) {
        let mut reply = Reply {
            sid: SID,
            stream: ask.header().stream,
            request: ask.header().request,
            ..Reply::default()
        };
        change(&mut reply);
        self.raw_fill(ask.leg, &write_reply(&reply));
    }
}

fn recovered(from: u64, until: u64) -> Told {
    Told::Event(Event::Recovered {
        sid: SID,
        epoch: Epoch(1),
        from: at(from, 0),
        until: at(until, 0),
    })
}

/// The numbers of the records told.
fn told_numbers(kit: &mut Kit) -> Vec<u64> {
    let number = |told: Told| match told {
        Told::Record(sseq, ..) => Some(sseq),
        Told::Event(_) => None,
    };
    kit.told().into_iter().filter_map(number).collect()
}

/// Both legs lost these numbers, and brought the ones behind them.
fn lose(kit: &mut Kit, [zero, one]: [&mut Sender; 2], lost: std::ops::Range<u64>, last: u64) {
    for sender in [zero, one] {
        kit.records(sender, &run(lost.end..=last));
    }
}

#[test]
fn a_hole_on_both_legs_is_asked_for_and_filled_before_any_gap() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    assert_eq!(kit.asked(), None, "it may only be late");
    kit.pass(ms(HOLD));
    // Leg 0 is active: the other adapter is asked first.
    kit.asks(Leg::One, &[records(4, 6)]);
    assert_eq!(kit.told(), [], "nothing is declared meanwhile");
    let fill = one.records(&run(4..=5));
    kit.fill(Leg::One, &fill);
    let told = kit.told();
    let order = [4, 5, 6, 7].map(|sseq| (sseq, told.clone()));
    let numbers: Vec<_> = told
        .iter()
        .filter_map(|it| match it {
            Told::Record(sseq, ..) => Some(*sseq),
            Told::Event(_) => None,
        })
        .collect();
    assert_eq!(numbers, order.map(|(sseq, _)| sseq));
    assert!(told.contains(&recovered(4, 6)), "{told:?}");
    let counters = kit.arbiter.counters();
    assert_eq!((counters.gaps, counters.filled), (0, 2));
    assert_eq!(kit.arbiter.leg_status(SID, Leg::One).unwrap().filled, 2);
    assert!(!kit.arbiter.is_asking());
}

#[test]
fn a_fill_opens_no_generation_and_counts_no_further_than_a_stream() {
    let changes: [fn(&mut Header); 2] = [
        |header| header.generation = Generation(header.generation.0 + 1),
        |header| header.base_adm = Adm(1 << 40),
    ];
    for change in changes {
        let (mut kit, mut zero, mut one) = pair();
        lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
        kit.pass(ms(HOLD));
        kit.asks(Leg::One, &[records(4, 6)]);
        let mut liar = Sender::new(Leg::One).with(change);
        let fill = liar.records(&run(4..=5));
        kit.fill(Leg::One, &fill);
        assert_eq!(kit.told(), [], "taken from nobody");
        assert_eq!(kit.arbiter.counters().filled, 0);
        let fill = one.records(&run(4..=5));
        kit.fill(Leg::One, &fill);
        assert_eq!(told_numbers(&mut kit), [4, 5, 6, 7]);
    }
}

#[test]
fn what_was_asked_for_in_an_epoch_that_was_left_bars_nobody() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    let late = one.records(&run(4..=5));
    kit.records(&mut zero, &run(4..=5));
    assert_eq!(told_numbers(&mut kit), [4, 5, 6, 7]);
    for sender in [&mut zero, &mut one] {
        sender.header.epoch = Epoch(2);
        sender.header.predecessor = Epoch(1);
        kit.beat_of(
            sender,
            Beat {
                next_sseq: 1,
                predecessor_next: 8,
                predecessor_prev: 7,
                interval_us: 10_000,
                ..Beat::default()
            },
        );
        kit.records(sender, &run(1..=3));
        kit.records(sender, &run(6..=7));
    }
    kit.pass(ms(HOLD));
    kit.told();
    kit.asks(Leg::One, &[records(4, 6)]);
    for _ in 0..5 {
        kit.fill(Leg::One, &late);
    }
    kit.pass(ms(1));
    let fill = one.records(&run(4..=5));
    kit.fill(Leg::One, &fill);
    assert_eq!(told_numbers(&mut kit), [4, 5, 6, 7]);
}

#[test]
fn with_nobody_to_ask_a_gap_is_declared_as_ever() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    assert_eq!(kit.told()[0], lost(4, 6));
    let off = Limits {
        repair: RepairLimits {
            repair_time: std::time::Duration::ZERO,
            ..RepairLimits::default()
        },
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = pair_with(off);
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    assert_eq!(kit.told()[0], lost(4, 6));
    assert_eq!(kit.asked(), None);
}

#[test]
fn a_hole_that_the_other_leg_fills_is_not_asked_for() {
    let (mut kit, mut zero, mut one) = pair();
    kit.records(&mut zero, &run(6..=7));
    kit.pass(ms(HOLD));
    kit.records(&mut one, &run(4..=7));
    assert_eq!(kit.told().len(), 5);
    assert_eq!(kit.arbiter.repairs().requests, 0);
}

#[test]
fn a_silent_server_is_followed_by_the_other_and_both_by_a_gap() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    kit.pass(ms(7));
    kit.asks(Leg::Zero, &[records(4, 6)]);
    for _ in 0..600 {
        kit.pass(ms(1));
        let vouch = 7;
        for sender in [&mut zero, &mut one] {
            kit.beat(sender, vouch, vouch + 1);
        }
        let _ = kit.asked();
    }
    let told = kit.told();
    assert_eq!(told[0], gap(4, 6, GapCause::Unanswered), "{told:?}");
    assert_eq!(told[1..], [6, 7].map(|n| Told::Record(n, 0, Leg::Zero)));
    assert!(kit.arbiter.repairs().requests <= 12);
}

#[test]
fn what_nobody_retains_is_one_gap_at_once() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..90, 91);
    kit.pass(ms(HOLD));
    let first = kit.asks(Leg::One, &[records(4, 90)]);
    // The last of it is retained still.
    let fill = one.records(&run(80..=89));
    kit.fill(Leg::One, &fill);
    kit.reply(&first, |reply| reply.lacking = 1);
    kit.pass(ms(0));
    let second = kit.asks(Leg::Zero, &[records(4, 80)]);
    kit.reply(&second, |reply| reply.lacking = 1);
    kit.pass(ms(0));
    let told = kit.told();
    assert_eq!(told[0], gap(4, 80, GapCause::NotRetained), "{told:?}");
    assert_eq!(told.len(), 1 + 12, "and then contiguous data");
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn what_a_server_does_not_say_it_lacks_is_asked_for_again() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..8, 9);
    kit.pass(ms(HOLD));
    let lacks = |from, until| {
        move |reply: &mut Reply| {
            reply.lacking = 1;
            reply.stretch = Stretch {
                from: (from, 0),
                until: (until, 0),
            };
        }
    };
    // The one has 6 and 7 still, the other 5 to 7; what they sent is lost.
    let first = kit.asks(Leg::One, &[records(4, 8)]);
    kit.reply(&first, lacks(4, 6));
    kit.pass(ms(0));
    let second = kit.asks(Leg::Zero, &[records(4, 8)]);
    kit.reply(&second, lacks(4, 5));
    // Who brought nothing is left alone for a moment.
    kit.pass(ms(3));
    let third = kit.asks(Leg::Zero, &[records(5, 8)]);
    let fill = zero.records(&run(5..=5));
    kit.fill(Leg::Zero, &fill);
    kit.reply(&third, |_| {});
    kit.pass(ms(0));
    let fourth = kit.asks(Leg::One, &[records(6, 8)]);
    let fill = one.records(&run(6..=7));
    kit.fill(Leg::One, &fill);
    kit.reply(&fourth, |_| {});
    kit.pass(ms(0));
    let told = kit.told();
    let records = told.iter().filter(|it| matches!(it, Told::Record(..)));
    assert_eq!(records.count(), 5, "5 to 9: {told:?}");
    assert_eq!(kit.arbiter.counters().gaps, 1);
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    let busy = |reply: &mut Reply| {
        reply.status = Status::Busy;
        reply.retry_after_us = 4_000;
    };
    let first = kit.asks(Leg::One, &[records(4, 6)]);
    kit.reply(&first, busy);
    kit.pass(ms(0));
    let second = kit.asks(Leg::Zero, &[records(4, 6)]);
    kit.reply(&second, busy);
    kit.pass(ms(3));
    assert_eq!(kit.asked(), None);
    kit.pass(ms(2));
    let again = kit.asked().expect("one of them is asked again");
    assert_eq!(again.ranges(), [records(4, 6)]);
    assert_eq!(kit.told(), []);
}

#[test]
fn what_was_not_asked_for_changes_nothing() {
    let (mut kit, mut zero, mut one) = pair();
    let spare = one.records(&run(4..=5));
    kit.fill(Leg::One, &spare);
    assert_eq!(kit.told(), [], "unsolicited");
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    let absurd = one.records(&run(900..=901));
    let other_context = one
        .with(|header| header.context = ContextId(9))
        .records(&run(4..=5));
    let other_epoch = one
        .with(|header| header.epoch = Epoch(9))
        .records(&run(4..=5));
    let other_stream = one
        .with(|header| header.stream = StreamId(99))
        .records(&run(4..=5));
    kit.raw_fill(Leg::One, &spare);
    kit.fill(Leg::Zero, &spare);
    assert_eq!(kit.told(), [], "not marked; and nobody asked leg 0");
    for lie in [&absurd, &other_context, &other_epoch, &other_stream] {
        kit.fill(Leg::One, lie);
    }
    let mut damaged = spare.clone();
    mark_retransmitted(&mut damaged);
    damaged[170] ^= 1;
    kit.raw_fill(Leg::One, &damaged);
    assert_eq!(kit.told(), []);
    assert!(kit.arbiter.counters().fill_rejected >= 7);
    // Whoever says so much that is wrong is not asked again; the other one is, at once.
    kit.pass(ms(0));
    kit.asks(Leg::Zero, &[records(4, 6)]);
    let fill = zero.records(&run(4..=5));
    kit.fill(Leg::Zero, &fill);
    assert_eq!(kit.told().len(), 5);
}

#[test]
fn an_answer_says_nothing_of_its_sender() {
    let (mut kit, mut zero, mut one) = pair();
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    let before = kit.arbiter.leg_status(SID, Leg::One).unwrap();
    // An old datagram of its, as it was sent when it was about to stop, in another life.
    let fill = one
        .with(|header| {
            header.flags = Flags::END_OF_STREAM.with(Flags::PEER_LOST);
            header.incarnation = Incarnation(1);
            header.dsn = Dsn(77_777);
        })
        .records(&run(4..=5));
    kit.fill(Leg::One, &fill);
    assert_eq!(kit.told().len(), 5);
    let after = kit.arbiter.leg_status(SID, Leg::One).unwrap();
    let changed = LegStatus {
        filled: before.filled,
        wins: before.wins,
        duplicates: before.duplicates,
        held: before.held,
        ..after
    };
    assert_eq!(changed, before);
    assert_eq!(kit.arbiter.counters().switches, 0);
}

#[test]
fn holes_further_on_are_asked_for_with_the_first() {
    let (mut kit, mut zero, mut one) = pair();
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(6..=7));
        kit.records(sender, &run(9..=9));
        kit.records(sender, &run(20..=21));
    }
    kit.pass(ms(HOLD));
    let ranges = [records(4, 6), records(8, 9), records(10, 20)];
    kit.asks(Leg::One, &ranges);
    // In whatever order they come.
    for numbers in [10..=19, 8..=8, 4..=5] {
        let fill = one.records(&run(numbers));
        kit.fill(Leg::One, &fill);
    }
    let told = kit.told();
    let numbers = told.iter().filter(|it| matches!(it, Told::Record(..)));
    assert_eq!(numbers.count(), 18);
    assert_eq!(kit.arbiter.repairs().requests, 1);
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn a_hole_is_asked_for_piece_by_piece_as_far_as_one_request_goes() {
    let limits = Limits {
        repair: RepairLimits {
            fill_range: 10,
            ..RepairLimits::default()
        },
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = pair_with(limits);
    lose(&mut kit, [&mut zero, &mut one], 4..40, 41);
    kit.pass(ms(HOLD));
    for from in [4, 14, 24, 34] {
        let until = (from + 10).min(40);
        let ask = kit.asks(Leg::One, &[records(from, until)]);
        let fill = one.records(&run(from..=until - 1));
        kit.fill(Leg::One, &fill);
        kit.reply(&ask, |reply| reply.sent = 1);
        kit.pass(ms(0));
    }
    assert_eq!(kit.asked(), None);
    assert_eq!(kit.told().len(), 38 + 1);
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

#[test]
fn a_lost_tail_is_noticed_by_the_heartbeat_and_filled() {
    let (mut kit, mut zero, mut one) = pair();
    for sender in [&mut zero, &mut one] {
        kit.beat(sender, 5, 6);
    }
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    let fill = one.records(&run(4..=5));
    kit.fill(Leg::One, &fill);
    let told = kit.told();
    assert_eq!(
        told[..2],
        [4, 5].map(|sseq| Told::Record(sseq, 0, Leg::One)),
        "{told:?}"
    );
}

#[test]
fn with_one_adapter_dead_the_other_is_asked() {
    let (mut kit, mut zero, mut one) = pair();
    // Leg 1, whose adapter would be asked first, is silent for good.
    for _ in 0..60 {
        kit.pass(ms(1));
        kit.beat(&mut zero, 3, 4);
    }
    kit.told();
    kit.records(&mut zero, &run(6..=7));
    kit.pass(ms(HOLD));
    kit.asks(Leg::Zero, &[records(4, 6)]);
    let fill = zero.records(&run(4..=5));
    kit.fill(Leg::Zero, &fill);
    assert_eq!(kit.arbiter.counters().filled, 2);
    assert_eq!(kit.arbiter.counters().gaps, 0);
    let _ = &mut one;
}

#[test]
fn who_leads_apart_fills_its_own_holes() {
    for (behind, in_step) in [(0, false), (1, true), (1, false)] {
        let (mut kit, mut zero, mut one) = pair();
        let message = zero.administrative(3, Adm(0));
        kit.give(Leg::Zero, &message);
        // Only leg 0 placed it, and is gone: who lacks it leads, and that is told.
        for _ in 0..60 {
            kit.pass(ms(1));
            kit.beat(&mut one, 3, 4);
        }
        kit.records(&mut one, &run(4..=4));
        kit.pass(ms(HOLD));
        let apart = |told: &Told| {
            matches!(
                told,
                Told::Event(Event::Discontinuity {
                    cause: DiscontinuityCause::Administrative,
                    ..
                })
            )
        };
        assert!(kit.told().iter().any(apart));
        let lost = one.records(&run(5..=5));
        // A cut may have told it of the message: then the hole has one in it, or none; out of step nobody knows.
        one.header.base_adm = Adm(behind);
        if !in_step {
            one.header.flags = Flags::UNSYNCHRONISED;
        }
        kit.records(&mut one, &run(6..=6));
        kit.pass(ms(HOLD));
        let ask = kit.asked().unwrap();
        assert_eq!(ask.ranges(), [records(5, 6)]);
        kit.fill(ask.leg, &lost);
        let filled = kit.arbiter.counters().filled;
        assert_eq!(
            (filled, told_numbers(&mut kit)),
            match (behind, in_step) {
                (0, _) | (_, true) => (1, vec![5, 6]),
                _ => (0, vec![]),
            }
        );
    }
}

#[test]
fn a_leg_on_standby_gives_what_it_withheld_and_is_on_standby_still() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    kit.records(&mut zero, &run(1..=3));
    one.header.flags = Flags::STANDBY;
    kit.beat(&mut one, 3, 4);
    kit.told();
    kit.records(&mut zero, &run(8..=9));
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 8)]);
    // The later ones first: they have no place of that leg's own.
    for numbers in [6..=7, 4..=5] {
        let withheld = one
            .with(|header| header.flags = Flags(0))
            .records(&run(numbers));
        kit.fill(Leg::One, &withheld);
    }
    let numbers: Vec<_> = kit
        .told()
        .iter()
        .filter_map(|it| match it {
            Told::Record(sseq, ..) => Some(*sseq),
            Told::Event(_) => None,
        })
        .collect();
    assert_eq!(numbers, [4, 5, 6, 7, 8, 9]);
    assert_eq!(kit.arbiter.counters().gaps, 0);
    assert!(kit.arbiter.leg_status(SID, Leg::One).unwrap().standby);
}

#[test]
fn a_full_hold_waits_for_nobody() {
    let limits = Limits {
        held_records: 8,
        ..Limits::default()
    };
    let (mut kit, mut zero, mut one) = pair_with(limits);
    lose(&mut kit, [&mut zero, &mut one], 4..6, 7);
    kit.pass(ms(HOLD));
    kit.asks(Leg::One, &[records(4, 6)]);
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(8..=20));
    }
    let told = kit.told();
    assert!(told.contains(&gap(4, 6, GapCause::HoldFull)), "{told:?}");
    assert!(!kit.arbiter.is_asking());
}

#[test]
fn a_missing_administrative_message_is_asked_for_by_its_number() {
    let (mut kit, mut zero, mut one) = pair();
    let message = one.administrative(3, Adm(0));
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(1);
        kit.records(sender, &run(4..=5));
    }
    kit.pass(ms(HOLD));
    let range = FillRange::Messages {
        from: Adm(0),
        until: Adm(1),
    };
    kit.asks(Leg::One, &[range]);
    kit.fill(Leg::One, &message);
    let told = kit.told();
    let expected = [3, 4, 5].map(|sseq| Told::Record(sseq, 0, Leg::One));
    assert_eq!(
        told[0], expected[0],
        "the message stands behind 3: {told:?}"
    );
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn the_last_message_of_a_quiet_stream_is_asked_for_too() {
    let (mut kit, mut zero, mut one) = pair();
    let message = zero.administrative(3, Adm(0));
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(1);
    }
    for _ in 0..4 {
        beats(&mut kit, [&mut zero, &mut one], 3, 4);
        kit.pass(ms(1));
    }
    let ask = kit.asked().expect("by the heartbeat's count");
    assert_eq!(ask.leg, Leg::One);
    kit.reply(&ask, |reply| reply.lacking = 1);
    kit.pass(ms(0));
    assert_eq!(kit.asked().map(|ask| ask.leg), Some(Leg::Zero));
    kit.fill(Leg::Zero, &message);
    assert_eq!(kit.told(), [Told::Record(3, 0, Leg::Zero)]);
}

#[test]
fn without_order_what_is_missing_is_asked_for_while_the_rest_is_delivered() {
    let (mut kit, mut zero, mut one) = unordered(Limits::default());
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    kit.joined(&mut zero, &mut one, 3);
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(6..=7));
        kit.beat(sender, 7, 8);
    }
    assert_eq!(kit.told().len(), 2, "it waits for nothing");
    kit.pass(ms(HOLD));
    let ask = kit.asked().expect("somebody is asked");
    assert_eq!(ask.ranges()[0], records(4, 8));
    let fill = one.records(&run(4..=5));
    kit.fill(Leg::One, &fill);
    assert_eq!(
        kit.told(),
        [4, 5].map(|sseq| Told::Record(sseq, 0, Leg::One))
    );
    kit.pass(ms(5));
    assert_eq!(kit.arbiter.counters().gaps, 0);
}

/// Both servers say that they lack up to here, which lies within a number.
fn lacks_within(kit: &mut Kit, until: (u64, u16)) {
    for _ in Leg::BOTH {
        let ask = kit.asked().expect("somebody is asked");
        let from = match ask.ranges()[0] {
            FillRange::Records { from, .. } => from,
            FillRange::Messages { from, .. } => (from.0, 0),
        };
        kit.reply(&ask, |reply| {
            (reply.lacking, reply.stretch) = (1, Stretch { from, until });
        });
        kit.pass(ms(0));
    }
}

#[test]
fn of_a_message_and_of_what_has_no_order_a_part_is_the_whole() {
    let (mut kit, mut zero, mut one) = pair();
    for sender in [&mut zero, &mut one] {
        sender.header.base_adm = Adm(2);
        kit.records(sender, &run(4..=5));
    }
    kit.pass(ms(HOLD));
    lacks_within(&mut kit, (0, 7));
    let told = kit.told();
    let missing = Told::Event(Event::AdministrativeGap {
        sid: SID,
        from: Adm(0),
        until: Adm(1),
        numbering: Some(Generation(1)),
    });
    assert_eq!(told, [missing]);

    let (mut kit, mut zero, mut one) = unordered_joined(Limits::default());
    for leg in Leg::BOTH {
        kit.arbiter.set_fill_server(leg, true);
    }
    for sender in [&mut zero, &mut one] {
        kit.records(sender, &run(6..=7));
    }
    beats(&mut kit, [&mut zero, &mut one], 7, 8);
    let _ = kit.told();
    kit.pass(ms(HOLD));
    lacks_within(&mut kit, (4, 1));
    let told = kit.told();
    assert_eq!(told, [gap(4, 5, GapCause::NotRetained)]);
    assert!(kit.arbiter.is_asking(), "5 may be had still");
}
