//! Does the rule of the slot hold at every edge and one beyond, between two real adapters?
//!
//! The backup is brought to an exact place (`feed-adapter/src/fault_points/distance.rs`), which only debug builds can be.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use common::{
    LIMIT, alone, assert_kept, finish_both, ordered, placed, second_probe, small_run, start,
    status, until_delivered, until_in_step, wait_for,
};
use twinfeed_control::{MessagePlace, OrderOutcome};
use twinfeed_harness::run::{Content, Run};
use twinfeed_harness::{Rig, Seat};
use twinfeed_tests::kills::operator::Operator;

/// What a backup says of a slot, by the names of its counters.
const CAPABLE: &str = "capable";
const LATE: &str = "late";
const FAR: &str = "far";
const UNSYNCHRONISED: &str = "unsynchronised";
const VERDICTS: [&str; 4] = [CAPABLE, LATE, FAR, UNSYNCHRONISED];

/// A feed so slow that a backup can stop at any of its records.
fn slow_run(threshold: u64) -> Run {
    Run {
        content: Content::Flow { instruments: 4 },
        rate: 300,
        burst: None,
        session: Duration::from_secs(600),
        sync_threshold: threshold,
        // The backup is behind on purpose, and is not to be abandoned for that.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// An announcement as the backup judged it, by its own word.
#[derive(Clone, Copy, Debug)]
struct Judged {
    attempt: u32,
    slot: u64,
    processed: u64,
}

impl Judged {
    const fn distance(&self) -> i64 {
        self.slot.wrapping_sub(self.processed).cast_signed()
    }

    /// RM-25, as it is written.
    const fn verdict(&self, threshold: u64) -> &'static str {
        let (slot, processed) = (self.slot, self.processed);
        if processed >= slot {
            LATE
        } else if slot - processed <= threshold {
            CAPABLE
        } else {
            FAR
        }
    }
}

/// How the backup judged every announcement of a message.
fn judged(rig: &Rig, number: u64) -> Vec<Judged> {
    let log = format!("{}.log", Seat::Backup.binary());
    let log = std::fs::read_to_string(rig.files().path(&log)).unwrap();
    let of_it = format!("judged: number={number} ");
    let lines = log.lines().filter_map(|line| line.strip_prefix(&of_it));
    let value = |line: &str, key: &str| -> u64 {
        let values = line.split(' ').filter_map(|it| it.split_once('='));
        let mut found = values.filter(|(name, _)| *name == key);
        found.next().unwrap().1.parse().unwrap()
    };
    let read = |line: &str| Judged {
        attempt: value(line, "attempt") as u32,
        slot: value(line, "slot"),
        processed: value(line, "processed"),
    };
    lines.map(read).collect()
}

/// What the backup has counted of its verdicts.
fn verdicts(rig: &Rig) -> BTreeMap<&'static str, u64> {
    let backup = status(rig, Seat::Backup).unwrap();
    let counters = &backup.streams[0].pair.counters;
    VERDICTS.map(|name| (name, counters[name])).into()
}

/// Orders messages until the backup has judged one exactly at each of these distances from its slot.
fn judge_at(threshold: u64, edges: &[(i64, &str)]) {
    let _alone = alone();
    let distances: Vec<_> = edges.iter().map(|(it, _)| it.to_string()).collect();
    // Further behind than any edge, so that the source goes on to it when a message is announced; and so far that no
    // subscriber follows this leg past a message that it lacks.
    let plan = format!("{}:{}", threshold + 30, distances.join(","));
    let mut run = slow_run(threshold);
    run.environment[Seat::Backup.index()] = vec![("TWINFEED_TEST_DISTANCE".to_owned(), plan)];
    let mut rig = start(&run);
    let second = second_probe(&rig);
    rig.open().unwrap();
    until_delivered(&mut rig, 100);
    let mut left: BTreeSet<i64> = edges.iter().map(|(distance, _)| *distance).collect();
    let mut messages = Vec::new();
    while !left.is_empty() {
        assert!(messages.len() < MOST_ORDERS, "{left:?} left: {messages:?}");
        until_in_step(&rig);
        let before = verdicts(&rig);
        let text = format!("message {}", messages.len());
        let place = placed(&rig, &text);
        if let Some(distance) = check(&rig, (threshold, edges), &before, place) {
            left.remove(&distance);
        }
        messages.push((text, place));
    }
    assert_kept(finish_both(rig, second), &messages);
}

/// The verdicts on a message follow from where the backup stood. The distance, if it was the one that was wanted.
fn check(
    rig: &Rig,
    (threshold, edges): (u64, &[(i64, &str)]),
    before: &BTreeMap<&'static str, u64>,
    place: MessagePlace,
) -> Option<i64> {
    let announced = judged(rig, place.number);
    let last = announced.last().unwrap();
    assert_eq!(
        (last.attempt, last.processed),
        (place.attempts, place.processed),
        "{announced:?} {place:?}"
    );
    let mut counted = BTreeMap::new();
    wait_for("the verdicts are counted", || {
        counted = verdicts(rig);
        for (name, count) in &mut counted {
            *count -= before[name];
        }
        match counted.values().sum::<u64>() >= announced.len() as u64 {
            true => Ok(()),
            false => Err(format!("{counted:?}")),
        }
    });
    if counted[UNSYNCHRONISED] > 0 {
        // This host was too busy for two adapters in step.
        return None;
    }
    let mut expected: BTreeMap<_, _> = VERDICTS.map(|name| (name, 0)).into();
    for it in &announced {
        *expected.get_mut(it.verdict(threshold)).unwrap() += 1;
    }
    assert_eq!(counted, expected, "{announced:?} {place:?}");
    let agreed = last.verdict(threshold) == CAPABLE;
    assert_eq!(place.agreed, agreed, "{announced:?} {place:?}");
    let (distance, verdict) = edges[place.number as usize % edges.len()];
    // A source message of several records leads over its place, or over the slot.
    let exact = last.distance() == distance && last.slot == place.slot;
    if exact {
        assert_eq!(last.verdict(threshold), verdict, "{last:?}");
        let told = place.slot.wrapping_sub(place.processed).cast_signed();
        assert_eq!(told, distance, "as the operator is told: {place:?}");
    }
    exact.then_some(distance)
}

#[test]
fn a_backup_agrees_from_one_record_to_t_before_the_slot_and_nowhere_else() {
    let edges = [
        (1, CAPABLE),
        (0, LATE),
        (-1, LATE),
        (10, CAPABLE),
        (11, FAR),
    ];
    judge_at(10, &edges);
}

#[test]
fn with_a_threshold_of_zero_nothing_is_agreed_to() {
    judge_at(0, &[(1, FAR), (0, LATE), (-1, LATE)]);
}

/// A message that is ordered, and judged, before the first record of all.
fn before_the_first_record(threshold: u64, verdict: &str) {
    let _alone = alone();
    let mut rig = start(&slow_run(threshold));
    let second = second_probe(&rig);
    until_in_step(&rig);
    let text = "before the first record";
    ordered(&rig, text, Duration::ZERO);
    wait_for("the backup has judged it", || {
        let counted = verdicts(&rig);
        match counted[verdict] > 0 {
            true => Ok(()),
            false => Err(format!("{counted:?}")),
        }
    });
    // One that was refused in time waits at its last slot, for records that lead there.
    rig.open().unwrap();
    let place = placed(&rig, text);
    assert_eq!((place.number, place.processed), (0, 0), "{place:?}");
    let capable = verdict == CAPABLE;
    assert_eq!(place.agreed, capable, "{place:?}");
    if capable {
        assert_eq!((place.slot, place.sseq), (1, 0), "{place:?}");
    }
    let mut expected: BTreeMap<_, _> = VERDICTS.map(|name| (name, 0)).into();
    *expected.get_mut(verdict).unwrap() = u64::from(place.attempts);
    wait_for("every announcement is counted, as that", || {
        let counted = verdicts(&rig);
        match counted == expected {
            true => Ok(()),
            false => Err(format!("{counted:?} {place:?}")),
        }
    });
    until_delivered(&mut rig, 100);
    assert_kept(finish_both(rig, second), &[(text.to_owned(), place)]);
}

#[test]
fn with_nothing_processed_yet_the_first_slot_is_one_ahead() {
    before_the_first_record(1, CAPABLE);
}

#[test]
fn with_nothing_processed_yet_and_a_threshold_of_zero_it_is_too_far() {
    before_the_first_record(0, FAR);
}

#[test]
fn several_that_wait_at_once_stand_in_adjacent_slots_in_their_order() {
    let _alone = alone();
    let mut rig = start(&Run {
        rate: 1_000,
        // All of them are ordered before the first is placed, and no nearer slot is proposed: that takes 50 ms.
        least_lead: Some(Duration::from_millis(20)),
        ..slow_run(1_000)
    });
    let second = second_probe(&rig);
    rig.open().unwrap();
    until_delivered(&mut rig, 100);
    let mut messages: Vec<(String, MessagePlace)> = Vec::new();
    let mut adjacent = false;
    for attempt in 0..ATTEMPTS {
        until_in_step(&rig);
        let (mut some, waited) = order_at_once(&rig, attempt);
        some.sort_by_key(|(_, place)| place.number);
        let one = |pair: &[(String, MessagePlace)]| pair[1].1.slot == pair[0].1.slot + 1;
        let agreed = some.iter().all(|(_, place)| place.agreed);
        adjacent = agreed && waited && some.windows(2).all(one);
        messages.extend(some);
        if adjacent {
            break;
        }
    }
    assert!(adjacent, "{messages:?}");
    assert_kept(finish_both(rig, second), &messages);
}

/// Orders several messages at a time; whether all of them were seen waiting for their slots, at both adapters.
fn order_at_once(rig: &Rig, attempt: usize) -> (Vec<(String, MessagePlace)>, bool) {
    let operator = &Operator::of(rig).unwrap();
    std::thread::scope(|scope| {
        let order = |which| {
            scope.spawn(move || {
                let text = format!("message {attempt}-{which}");
                match operator.order(&text, LIMIT).unwrap() {
                    OrderOutcome::Placed { place } => (text, place),
                    other => panic!("{text}: {other:?}"),
                }
            })
        };
        let operators: Vec<_> = (0..AT_ONCE).map(order).collect();
        let mut waited = [false; 2];
        while !operators.iter().all(ScopedJoinHandle::is_finished) {
            for seat in Seat::BOTH {
                let status = status(rig, seat).unwrap();
                waited[seat.index()] |= status.streams[0].pair.waiting == AT_ONCE;
            }
        }
        let places = operators.into_iter().map(|it| it.join().unwrap());
        (places.collect(), waited == [true; 2])
    })
}

/// Most orders until every edge was met: source messages of several records lead over some.
const MOST_ORDERS: usize = 100;
/// Messages that are ordered at once.
const AT_ONCE: u64 = 3;
/// How often they are, until their announcements met in one place.
const ATTEMPTS: usize = 20;
