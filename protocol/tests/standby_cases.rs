//! When does a backup withhold its stream, and what does it send when it does not any longer? Case by case.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod standby_support;

use std::time::Duration;

use standby_support::*;
use twinfeed_protocol::sequencer::{RetainLimits, StandbyEnd};
use twinfeed_protocol::standby::{Change, Standby, StandbyState, Suspicion};
use twinfeed_wire::{Datagram, Epoch, Flags};

/// A pair of which the backup is on standby after 1,000 of `acts` in a tenth of a second.
fn on_standby(retain: RetainLimits, acts: &[Act]) -> ([Adapter; 2], u64) {
    let mut ends = pair(retain);
    run(&mut ends, 1..=100, acts, 0);
    assert_eq!(ends[1].standby.state(), StandbyState::Settling);
    run(&mut ends, 101..=500, acts, 0);
    assert!(ends[1].is_on_standby() && !ends[0].is_on_standby());
    assert_eq!(ends[1].changes, [Change::Withholds]);
    run(&mut ends, 501..=1_500, acts, 1);
    assert_eq!(ends[1].done, 1_000);
    (ends, 1_500)
}

fn suspicion(end: &Adapter) -> Suspicion {
    match end.changes.last() {
        Some(Change::Transmits { suspicion, .. }) => *suspicion,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_backup_on_standby_numbers_and_sends_heartbeats_only() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    let (active, backup) = (ends[0].take_datagrams(), ends[1].take_datagrams());
    assert_eq!(with_records(&backup), 0);
    assert!(with_records(&active) >= 100);
    assert_eq!(numbers(&active), (1..=999).collect::<Vec<_>>());
    assert_eq!(ends[0].seq.next_msn(), ends[1].seq.next_msn());
    assert!(ends[1].seq.withheld() > 500, "{}", ends[1].seq.withheld());
    assert!(ends[1].seq.counters().withheld > 0);
    // Sent every interval, and numbered without a hole.
    let dsns: Vec<u64> = backup
        .iter()
        .map(|bytes| {
            let header = *Datagram::parse(bytes).unwrap().header();
            assert!(header.flags.has(Flags::STANDBY), "{header:?}");
            header.dsn.0
        })
        .collect();
    assert!(dsns.len() >= 9, "{dsns:?}");
    assert_eq!(
        dsns,
        (dsns[0]..dsns[0] + dsns.len() as u64).collect::<Vec<_>>()
    );
    run(&mut ends, tick + 1..=tick + 200, &acts, 1);
    assert!(ends[1].is_on_standby());
}

#[test]
fn a_link_reset_starts_the_replay_before_what_was_reported() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    // The backup goes on after the last report.
    let reported = ends[0].seq.last_placed().unwrap().sseq;
    ends[1].work(tick + 1, &acts, 50);
    ends[1].take_datagrams();
    ends[1].link_down(tick + 1, true);
    let sent = ends[1].take_datagrams();
    let numbers = numbers(&sent);
    let first = numbers[0];
    assert_eq!(
        numbers,
        (first..=1_049).collect::<Vec<_>>(),
        "in order, to the end"
    );
    assert!(
        first + RETAIN.replay as u64 <= reported && first + 500 > reported,
        "from {first}, reported {reported}"
    );
    assert_eq!(suspicion(&ends[1]), Suspicion::LinkDown);
    assert!(!last_flags(&sent).has(Flags::STANDBY));
    assert!(last_flags(&sent).has(Flags::PEER_LOST.with(Flags::HEARTBEAT)));
    assert!(
        with_records(&sent) < numbers.len() / 10,
        "packed: {} records in {} datagrams",
        numbers.len(),
        with_records(&sent)
    );
    // From here on as it comes.
    ends[1].work(tick + 2, &acts, 1);
    assert_eq!(with_records(&ends[1].take_datagrams()), 1);
}

#[test]
fn reports_that_stay_away_are_a_suspicion_after_three() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    let mut transmitted = None;
    for later in 1..=1_000 {
        // The active is stopped: it neither works nor speaks.
        ends[1].work(tick + later, &acts, 1);
        if !ends[1].is_on_standby() {
            transmitted = Some(later);
            break;
        }
    }
    let later = transmitted.unwrap();
    assert!((20 * MS..=30 * MS).contains(&later), "after {later} ticks");
    assert_eq!(suspicion(&ends[1]), Suspicion::Silence);
    assert!(with_records(&ends[1].take_datagrams()) > 0);
}

#[test]
fn an_active_that_reports_and_stands_still_is_suspected() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    let mut transmitted = None;
    for later in 1..=1_000 {
        ends[0].work(tick + later, &acts, 0);
        ends[1].work(tick + later, &acts, 1);
        talk(tick + later, &mut ends);
        if !ends[1].is_on_standby() {
            transmitted = Some(later);
            break;
        }
    }
    assert!(transmitted.unwrap() <= 60 * MS, "{transmitted:?}");
    assert_eq!(suspicion(&ends[1]), Suspicion::Behind);
    // On a quiet feed nobody stands still.
    run(&mut ends, tick + 1_001..=tick + 1_300, &acts[..2_500], 20);
    assert_eq!(ends[0].done, ends[1].done);
    run(&mut ends, tick + 1_301..=tick + 2_400, &acts, 0);
    assert!(ends[1].is_on_standby());
    run(&mut ends, tick + 2_401..=tick + 8_000, &acts, 0);
    assert!(ends[1].is_on_standby(), "{:?}", ends[1].changes);
}

#[test]
fn an_active_that_hears_nothing_is_suspected_by_a_backup_that_does() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[1]
        .seq
        .set_source_stale(at(tick), true, &mut ends[1].out);
    ends[0]
        .seq
        .set_source_stale(at(tick), true, &mut ends[0].out);
    run(&mut ends, tick + 1..=tick + 200, &acts, 0);
    assert!(ends[1].is_on_standby(), "both are deaf");
    ends[1]
        .seq
        .set_source_stale(at(tick), false, &mut ends[1].out);
    run(&mut ends, tick + 201..=tick + 202, &acts, 0);
    assert_eq!(suspicion(&ends[1]), Suspicion::SourceStale);
}

#[test]
fn a_backup_goes_on_beside_an_active_that_has_never_heard_its_source() {
    let acts = acts(5_000);
    let mut ends = pair(RETAIN);
    for tick in 1..=3_000 {
        ends[0].settle(tick);
        ends[1].work(tick, &acts, 1);
        talk(tick, &mut ends);
    }
    assert_eq!((ends[0].done, ends[1].done), (0, 3_000));
    // The hold-down here is no longer than the patience: it may have been silent for a moment.
    assert!(!ends[1].is_on_standby(), "{:?}", ends[1].changes);
    assert_eq!(suspicion(&ends[1]), Suspicion::Behind);
    let sent = numbers(&ends[1].take_datagrams());
    assert_eq!(sent, (1..=2_999).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_ended_on_standby_sends_nothing_behind_its_end() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    assert!(ends[1].seq.withheld() > 0);
    let end = &mut ends[1];
    end.seq.end_of_stream(at(tick), &mut end.out);
    assert!(last_flags(&end.take_datagrams()).has(Flags::END_OF_STREAM));
    end.link_down(tick + 1, true);
    end.settle(tick + 2);
    assert_eq!(end.take_datagrams().len(), 0);
}

#[test]
fn a_false_suspicion_ends_with_the_hold_down() {
    let acts = acts(50_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[0].link_down(tick, false);
    ends[1].link_down(tick, false);
    run(&mut ends, tick + 1..=tick + 600, &acts, 1);
    assert!(!ends[1].is_on_standby(), "as long as the link is down");
    ends.iter_mut().for_each(|end| {
        end.out.said.clear();
        end.link_up(tick + 600);
    });
    ends[1].take_datagrams();
    run(&mut ends, tick + 601..=tick + 600 + 29 * MS, &acts, 1);
    assert_eq!(ends[1].standby.state(), StandbyState::Settling);
    assert!(
        with_records(&ends[1].take_datagrams()) > 200,
        "it transmits meanwhile"
    );
    run(
        &mut ends,
        tick + 601 + 29 * MS..=tick + 600 + 80 * MS,
        &acts,
        1,
    );
    assert!(ends[1].is_on_standby());
    assert_eq!(ends[1].standby.counters().standbys, 2);
}

#[test]
fn who_becomes_active_transmits_and_the_other_one_is_silent_after_the_hold_down() {
    let acts = acts(50_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[1].take_datagrams();
    ends[1].grant(tick, 2, true);
    let sent = ends[1].take_datagrams();
    let generations: Vec<u32> = sent
        .iter()
        .map(|bytes| Datagram::parse(bytes).unwrap().header().generation.0)
        .collect();
    assert!(
        with_records(&sent) > 0 && generations.is_sorted(),
        "{generations:?}"
    );
    assert_eq!(
        generations[0], 1,
        "what was numbered before leaves under that number"
    );
    assert_eq!(*generations.last().unwrap(), 2);
    assert_eq!(suspicion(&ends[1]), Suspicion::Upheaval);
    ends[0].grant(tick, 2, false);
    ends[0].take_datagrams();
    run(&mut ends, tick + 1..=tick + 20 * MS, &acts, 1);
    assert!(!ends[0].is_on_standby(), "not before the hold-down");
    assert!(with_records(&ends[0].take_datagrams()) > 100);
    run(&mut ends, tick + 1 + 20 * MS..=tick + 100 * MS, &acts, 1);
    assert!(ends[0].is_on_standby() && !ends[1].is_on_standby());
    run(&mut ends, tick + 1 + 100 * MS..=tick + 300 * MS, &acts, 1);
    assert!(!ends[1].is_on_standby());
}

#[test]
fn without_room_for_what_was_not_reported_the_stream_is_sent() {
    let acts = acts(50_000);
    let small = RetainLimits {
        replay: 10,
        records: 200,
        bytes: 1 << 16,
    };
    let (mut ends, tick) = on_standby(small, &acts);
    let reported = ends[0].seq.last_placed().unwrap().sseq;
    ends[1].take_datagrams();
    assert!(ends[1].is_on_standby() && ends[1].seq.withheld() <= 200);
    // One batch of more than there is room for.
    ends[1].work(tick + 1, &acts, 1_000);
    let numbers = numbers(&ends[1].take_datagrams());
    assert!(numbers[0] <= reported - 10, "{} {reported}", numbers[0]);
    assert_eq!(
        numbers,
        (numbers[0]..=1_999).collect::<Vec<_>>(),
        "nothing is missing"
    );
    assert_eq!(suspicion(&ends[1]), Suspicion::Full);
    assert_eq!(ends[1].standby.counters().full, 1);
}

#[test]
fn a_replay_that_has_less_than_it_should_says_so() {
    let acts = acts(50_000);
    let small = RetainLimits {
        replay: 190,
        records: 200,
        bytes: 1 << 16,
    };
    let (mut ends, tick) = on_standby(small, &acts);
    ends[1].work(tick + 1, &acts, 100);
    ends[1].link_down(tick + 1, true);
    assert_eq!(ends[1].standby.counters().short, 1);
    assert_eq!(ends[1].standby.counters().replays, 1);
}

#[test]
fn an_epoch_that_began_on_standby_is_told_in_its_place() {
    let mut acts = acts(1_500);
    acts.extend([
        Act::End(1_501),
        Act::Begin(2),
        Act::Message(1, 1),
        Act::Message(2, 3),
    ]);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[1].take_datagrams();
    ends[1].work(tick + 1, &acts, 1_000);
    assert_eq!(with_records(&ends[1].take_datagrams()), 0);
    ends[1].link_down(tick + 1, true);
    let sent = ends[1].take_datagrams();
    let told: Vec<(u64, bool, u64)> = sent
        .iter()
        .skip(1) // the peer is lost, said before the replay
        .map(|bytes| {
            let datagram = Datagram::parse(bytes).unwrap();
            let header = datagram.header();
            let ended = datagram.heartbeat().is_some_and(|it| it.beat.ended);
            (header.epoch.0, ended, header.dsn.0)
        })
        .collect();
    assert_eq!(
        told.iter().filter(|it| it.0 == 1 && it.1).count(),
        4,
        "the end"
    );
    let begun = sent.iter().filter(|bytes| {
        let datagram = Datagram::parse(bytes).unwrap();
        datagram.header().epoch == Epoch(2)
            && datagram
                .heartbeat()
                .is_some_and(|it| it.beat.next_sseq == 1)
    });
    assert_eq!(begun.count(), 4, "the beginning");
    assert!(told.is_sorted_by_key(|it| it.2), "numbered as they leave");
    assert!(told.is_sorted_by_key(|it| it.0), "the old epoch first");
    assert_eq!(numbers(&sent)[numbers(&sent).len() - 4..], [1, 2, 2, 2]);
}

#[test]
fn a_message_that_was_placed_on_standby_is_replayed_at_its_slot() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    assert!(ends[0].originate(tick));
    talk(tick, &mut ends);
    assert_eq!(ends[1].seq.armed(), 1, "the backup is silent, and agrees");
    ends[0].take_datagrams();
    run(&mut ends, tick + 1..=tick + 20, &acts, 20);
    assert_eq!(ends[1].seq.adm(), ends[0].seq.adm());
    let place = |datagrams: &[Vec<u8>]| {
        let mut places = Vec::new();
        for bytes in datagrams {
            let datagram = Datagram::parse(bytes).unwrap();
            let header = *datagram.header();
            let administrative = datagram
                .records()
                .zip(header.first_msn.0..)
                .filter(|(record, _)| record.kind == twinfeed_wire::BodyKind::Administrative);
            places.extend(administrative.map(|(record, msn)| (msn, record.sseq, record.adm.0)));
        }
        places
    };
    let by_active = place(&ends[0].take_datagrams());
    assert_eq!(by_active.len(), 1);
    ends[1].take_datagrams();
    ends[1].link_down(tick + 21, true);
    assert_eq!(place(&ends[1].take_datagrams()), by_active);
}

#[test]
fn a_restarted_backup_is_silent_although_it_lacks_the_past() {
    let acts = acts(50_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[0].link_down(tick, true);
    let mut restarted = Adapter::new(3, 11, RETAIN);
    restarted.done = ends[0].done;
    ends[1] = restarted;
    ends[1].grant(tick, 1, false);
    ends.iter_mut().for_each(|end| end.link_up(tick));
    run(&mut ends, tick + 1..=tick + 100 * MS, &acts, 1);
    assert!(!ends[1].seq.is_complete() && ends[1].is_on_standby());
}

#[test]
fn a_backup_that_knows_more_than_its_active_transmits() {
    let acts = acts(50_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    let lost = acts[ends[0].done];
    assert_eq!(lost, Act::Message(1_000, 1));
    ends[0]
        .seq
        .abandon(at(tick), 1_000..1_001, &mut ends[0].out);
    ends[0].done += 1;
    run(&mut ends, tick + 1..=tick + 40 * MS, &acts, 1);
    assert_eq!(suspicion(&ends[1]), Suspicion::Context);
    run(&mut ends, tick + 1 + 40 * MS..=tick + 200 * MS, &acts, 1);
    assert!(!ends[1].is_on_standby(), "as long as that is so");
}

#[test]
fn a_source_that_steps_back_ends_standby_before_it_does() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[1].take_datagrams();
    ends[1].act(tick, Act::Begin(1));
    let sent = ends[1].take_datagrams();
    assert_eq!(*numbers(&sent).last().unwrap(), 999);
    ends[1].settle(tick);
    assert_eq!(suspicion(&ends[1]), Suspicion::Upheaval);
    let Some(Change::Transmits { replay, .. }) = ends[1].changes.last() else {
        panic!("{:?}", ends[1].changes);
    };
    assert_eq!(replay.end, StandbyEnd::SteppedBack);
}

#[test]
fn the_end_of_a_stream_on_standby_is_said_and_brings_nothing() {
    let acts = acts(5_000);
    let (mut ends, tick) = on_standby(RETAIN, &acts);
    ends[1].take_datagrams();
    ends[1].seq.end_of_stream(at(tick), &mut ends[1].out);
    let sent = ends[1].take_datagrams();
    assert_eq!((sent.len(), with_records(&sent)), (4, 0));
    assert!(last_flags(&sent).has(Flags::END_OF_STREAM.with(Flags::STANDBY)));
}

#[test]
fn a_hot_pair_withholds_nothing() {
    let mut ends = pair(RETAIN);
    ends[1].standby = Standby::new(None);
    ends[1].grant(0, 1, false);
    run(&mut ends, 1..=5_000, &acts(1_000), 1);
    assert_eq!(ends[1].standby.state(), StandbyState::Transmitting);
    assert_eq!(ends[1].standby.suspicion(), Suspicion::Hot);
    assert_eq!(ends[1].standby.next_deadline(), None);
    assert_eq!(ends[1].seq.withheld(), 0);
    assert_eq!(ends[1].seq.counters().withheld, 0);
    let sent = numbers(&ends[1].take_datagrams());
    assert_eq!(sent, (1..=1_000).collect::<Vec<_>>());
}

#[test]
fn limits_that_cannot_be_worked_with_are_named() {
    let limits = |change: fn(&mut RetainLimits)| {
        let mut limits = RETAIN;
        change(&mut limits);
        limits.check(1_472).unwrap_err().name
    };
    assert_eq!(limits(|it| it.records = it.replay), "standby_retain");
    assert_eq!(limits(|it| it.bytes = 4 * 1_471), "standby_retain_bytes");
    let mut of_reports = standby_limits();
    of_reports.report_every = Duration::ZERO;
    assert_eq!(of_reports.check().unwrap_err().name, "report_every");
}
