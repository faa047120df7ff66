//! What does an application see of a leg that is silent on purpose?
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod arbiter_kit;

use arbiter_kit::content::brought_by;
use arbiter_kit::*;
use twinfeed_protocol::{
    Control, DiscontinuityCause, Event, Leg, LegState, Limits, Policy, Trigger,
};
use twinfeed_wire::{ContextId, Epoch, Flags, Generation};

fn limits(policy: Policy) -> Limits {
    Limits {
        policy,
        ..Limits::default()
    }
}

fn silent(sender: &mut Sender) {
    sender.header.flags = sender.header.flags.with(Flags::STANDBY);
}

fn transmits(sender: &mut Sender) {
    sender.header.flags = sender.header.flags.without(Flags::STANDBY);
}

/// Both brought 1 to 3, then leg one went on standby.
fn half_silent(policy: Policy) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = ordered(limits(policy));
    kit.joined(&mut zero, &mut one, 3);
    silent(&mut one);
    kit.beat(&mut one, 3, 4);
    (kit, zero, one)
}

/// So many intervals in which both send heartbeats; leg one says that it stands at `claim`.
fn quiet(kit: &mut Kit, (zero, one): (&mut Sender, &mut Sender), last: u64, claim: u64) {
    for _ in 0..10 {
        kit.beat(zero, last, last + 1);
        kit.beat(one, claim, claim + 1);
        kit.pass(ms(10));
    }
}

fn status(kit: &Kit, leg: Leg) -> (LegState, bool) {
    let status = kit.arbiter.leg_status(SID, leg).unwrap();
    (status.state, status.standby)
}

#[test]
fn a_silent_leg_is_live_and_neither_behind_nor_ahead() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, mut one) = half_silent(policy);
        // It is said to be far ahead, and far behind: nothing follows.
        for claim in [500, 3] {
            quiet(&mut kit, (&mut zero, &mut one), 3, claim);
            assert_eq!(kit.told(), []);
        }
        for first in (4..100).step_by(4) {
            kit.records(&mut zero, &run(first..=first + 3));
            kit.beat(&mut one, 1, 2);
            kit.pass(ms(10));
            let numbers: Vec<u64> = (first..=first + 3).collect();
            assert_eq!(kit.numbers(), numbers);
        }
        assert_eq!(status(&kit, Leg::One), (LegState::Live, true));
        assert_eq!(status(&kit, Leg::Zero), (LegState::Live, false));
    }
}

#[test]
fn nobody_waits_for_a_silent_leg() {
    let (mut kit, mut zero, mut one) = half_silent(Policy::FirstArrival);
    zero.records(&run(4..=5)); // lost
    kit.records(&mut zero, &run(6..=7));
    kit.pass(ms(1));
    kit.beat(&mut one, 3, 4);
    assert_eq!(kit.told(), []);
    kit.pass(ms(2));
    let told = kit.told();
    assert_eq!(told[0], lost(4, 6), "{told:?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn when_the_other_leg_is_gone_the_application_is_told_and_the_switch_when_somebody_goes_on() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, mut one) = half_silent(policy);
        kit.records(&mut zero, &run(4..=6));
        assert_eq!(kit.numbers(), [4, 5, 6]);
        for _ in 0..5 {
            kit.pass(ms(10));
            kit.beat(&mut one, 900, 901);
        }
        assert_eq!(status(&kit, Leg::Zero).0, LegState::Lost);
        assert_eq!(
            kit.told(),
            [],
            "its adapter has as long to miss the other one"
        );
        kit.pass(ms(10));
        assert_eq!(kit.told(), [Told::Event(Event::Stale { sid: SID })]);
        kit.beat(&mut one, 900, 901);
        transmits(&mut one);
        kit.records(&mut one, &run(2..=4));
        kit.records(&mut one, &run(5..=9));
        let told = kit.told();
        assert_eq!(told[0], Told::Event(Event::Live { sid: SID }));
        let numbers: Vec<_> = told
            .iter()
            .filter_map(|it| match it {
                Told::Record(sseq, ..) => Some(*sseq),
                Told::Event(_) => None,
            })
            .collect();
        assert_eq!(numbers, [7, 8, 9], "{told:?}");
        let receipts = switches(&told);
        assert_eq!(receipts.len(), 1, "{told:?}");
        let receipt = receipts[0];
        assert_eq!(receipt.from_leg, Leg::Zero);
        assert_eq!(receipt.trigger, Trigger::HeartbeatSilence);
        assert_eq!(receipt.gaps_left, 0);
        assert!(receipt.stall >= ms(50), "{receipt:?}");
        assert!(receipt.duplicates_dropped >= 5, "2 to 6: {receipt:?}");
    }
}

#[test]
fn a_replay_after_a_reset_is_delivered_at_once() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, mut one) = half_silent(policy);
        kit.records(&mut zero, &run(4..=6));
        kit.told();
        one.header.flags = one.header.flags.with(Flags::PEER_LOST);
        kit.beat(&mut one, 8, 9);
        transmits(&mut one);
        kit.records(&mut one, &run(3..=8));
        assert_eq!(kit.numbers(), [7, 8]);
        kit.beat(&mut one, 8, 9);
        kit.pass(ms(15));
        let receipts = switches(&kit.told());
        assert_eq!(receipts.len(), 1);
        assert_eq!(receipts[0].trigger, Trigger::TransportReset);
    }
}

#[test]
fn nobody_is_told_of_a_silence_that_ends_in_time() {
    let (mut kit, mut zero, mut one) = half_silent(Policy::FirstArrival);
    zero.header.flags = Flags::END_OF_STREAM;
    kit.beat(&mut zero, 3, 4);
    assert_eq!(status(&kit, Leg::Zero).0, LegState::Lost);
    kit.pass(ms(20));
    transmits(&mut one);
    kit.records(&mut one, &run(2..=5));
    let told = kit.told();
    let receipts = switches(&told);
    assert_eq!(receipts[0].trigger, Trigger::StepDown);
    assert_eq!(told.len(), 3, "two records and the switch: {told:?}");
}

#[test]
fn a_false_suspicion_costs_duplicates_only() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, mut one) = half_silent(policy);
        kit.records(&mut zero, &run(4..=6));
        one.header.flags = one.header.flags.with(Flags::PEER_LOST);
        kit.beat(&mut one, 6, 7);
        transmits(&mut one);
        kit.records(&mut one, &run(2..=6));
        for sseq in 7..=20 {
            kit.records(&mut zero, &run(sseq..=sseq));
            kit.records(&mut one, &run(sseq..=sseq));
            kit.pass(ms(1));
        }
        one.header.flags = Flags::STANDBY;
        kit.beat(&mut one, 20, 21);
        kit.records(&mut zero, &run(21..=22));
        kit.pass(ms(5));
        kit.beat(&mut zero, 22, 23);
        assert_eq!(kit.numbers(), (4..=22).collect::<Vec<_>>());
        let status = kit.arbiter.leg_status(SID, Leg::One).unwrap();
        assert!(status.standby && status.state == LegState::Live);
        assert!(kit.arbiter.counters().duplicates >= 14 + 5);
    }
}

#[test]
fn the_end_of_a_silent_leg_is_no_switch() {
    for goes in [true, false] {
        let (mut kit, mut zero, mut one) = half_silent(Policy::FirstArrival);
        if goes {
            one.header.flags = one.header.flags.with(Flags::END_OF_STREAM);
            kit.beat(&mut one, 3, 4);
        }
        for sseq in 4..=10 {
            kit.records(&mut zero, &run(sseq..=sseq));
            kit.pass(ms(10));
        }
        assert_eq!(kit.numbers(), (4..=10).collect::<Vec<_>>());
        assert_eq!(status(&kit, Leg::One).0, LegState::Lost);
        assert_eq!(kit.arbiter.counters().switches, 0);
    }
}

#[test]
fn a_word_of_silence_that_was_overtaken_silences_nobody() {
    let (mut kit, _, mut one) = half_silent(Policy::FirstArrival);
    let overtaken = one.heartbeat(twinfeed_wire::Beat {
        next_sseq: 4,
        prev: 3,
        ..Default::default()
    });
    transmits(&mut one);
    kit.records(&mut one, &run(4..=5));
    kit.give(Leg::One, &overtaken);
    assert_eq!(status(&kit, Leg::One), (LegState::Live, false));
    assert_eq!(kit.numbers(), [4, 5]);
}

#[test]
fn a_preferred_leg_that_goes_silent_holds_nothing_back() {
    let (mut kit, mut zero, mut one) = half_silent(Policy::PreferActive);
    silent(&mut zero);
    kit.beat(&mut zero, 3, 4);
    transmits(&mut one);
    kit.records(&mut one, &run(4..=9));
    assert_eq!(kit.numbers(), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn an_epoch_ends_without_a_silent_leg() {
    let (mut kit, mut zero, mut one) = half_silent(Policy::FirstArrival);
    let next = |header: &mut twinfeed_wire::Header| {
        (header.epoch, header.predecessor) = (Epoch(2), Epoch(1));
        header.context = ContextId(2);
    };
    zero = zero.with(next);
    let beat = twinfeed_wire::Beat {
        next_sseq: 1,
        prev: 0,
        interval_us: 10_000,
        ..Default::default()
    };
    for _ in 0..4 {
        kit.beat_of(&mut zero, beat);
    }
    kit.records(&mut zero, &run(1..=2));
    kit.beat(&mut one, 3, 4);
    kit.pass(ms(5));
    let told = kit.told();
    assert!(
        told.iter().any(|it| matches!(
            it,
            Told::Event(Event::Reset {
                epoch: Epoch(2),
                ..
            })
        )),
        "{told:?}"
    );
    assert!(told.contains(&Told::Record(2, 0, Leg::Zero)), "{told:?}");
    // Its replay of what is over changes nothing.
    transmits(&mut one);
    kit.records(&mut one, &run(2..=3));
    assert_eq!(kit.told(), []);
    assert_eq!(kit.arbiter.counters().retired_epoch, 1);
    one = one.with(next);
    kit.beat_of(&mut one, beat);
    kit.records(&mut one, &run(1..=3));
    assert_eq!(kit.numbers(), [3]);
}

#[test]
fn a_silent_legs_context_is_nobodys() {
    let (mut kit, mut zero, mut one) = half_silent(Policy::FirstArrival);
    // The active gave something up: another context, of less worth than the backup's.
    zero = zero.with(|header| {
        header.flags = Flags::INCOMPLETE;
        (header.context, header.abandoned) = (ContextId(9), 1);
    });
    for sseq in 5..=20 {
        let prev = if sseq == 5 { 4 } else { sseq - 1 };
        kit.records(&mut zero, &[(sseq, 0, true, prev)]);
        kit.beat(&mut one, 20, 21);
        kit.pass(ms(5));
    }
    let told = kit.told();
    assert!(told.contains(&Told::Record(20, 0, Leg::Zero)), "{told:?}");
    assert!(
        told.iter()
            .any(|it| matches!(it, Told::Event(Event::Discontinuity { .. }))),
        "and it is told that the context changed: {told:?}"
    );
}

/// Both brought 1 to 3 and said other things of range 0; stream administration calls leg one the active.
fn parted(policy: Policy, falls_silent_first: bool) -> (Kit, Sender, Sender) {
    let (mut kit, mut zero, mut one) = ordered(limits(policy));
    kit.joined(&mut zero, &mut one, 3);
    if falls_silent_first {
        silent(&mut one);
        kit.beat(&mut one, 3, 4);
    }
    let (active, generation) = (Leg::One, Generation(1));
    kit.control(Control::Roles { active, generation });
    kit.told();
    kit.says(&mut zero, 3, &[(0, 5)]);
    kit.says(&mut one, 3, &[(0, 6)]);
    (kit, zero, one)
}

#[test]
fn a_silent_leg_is_not_pinned_while_the_other_one_transmits() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, _) = parted(policy, true);
        let told = kit.told();
        let [Told::Event(Event::Divergence { pinned, .. })] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(pinned, Leg::Zero);
        kit.records(&mut zero, &run(4..=6));
        assert_eq!(brought_by(&kit.told()), [Leg::Zero; 3]);
    }
}

#[test]
fn a_pinned_leg_that_falls_silent_is_left() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        let (mut kit, mut zero, mut one) = parted(policy, false);
        kit.told();
        silent(&mut one);
        for sseq in 4..=9 {
            kit.beat(&mut one, 3, 4);
            kit.records(&mut zero, &run(sseq..=sseq));
            kit.pass(ms(10));
        }
        let told = kit.told();
        assert_eq!(brought_by(&told), [Leg::Zero; 6], "{told:?}");
        let left = DiscontinuityCause::Divergence { from: Leg::One };
        let is_told = |told: &Told| matches!(told, Told::Event(Event::Discontinuity { cause, .. }) if *cause == left);
        assert_eq!(told.iter().filter(|told| is_told(told)).count(), 1);
    }
}
