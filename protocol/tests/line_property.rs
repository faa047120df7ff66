//! Under any loss, duplication, reordering and skew on two lines: is every number delivered once or given
//! up once, in order, with the source's own bytes, and given up only when nobody could bring it any more?
//!
//! The twin knows everything: what the source sent and when each line brought it. It shares no code with
//! the machine; it keeps plain maps and never forgets.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod line_support;

use std::collections::BTreeMap;
use std::time::Duration;

use line_support::{Notes, Told, pass};
use proptest::prelude::*;
use twinfeed_protocol::{Line, LineLimits, Lines, Time};
use twinfeed_wire::Epoch;

const MS: u64 = 1_000_000;

/// What one line does to one packet.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: bool,
    twice: bool,
    delay_us: u64,
}

/// A packet of the source: how many messages, how long after the one before, what each line does to it.
#[derive(Clone, Debug)]
struct Packet {
    count: u16,
    after_us: u64,
    fates: [Fate; 2],
}

#[derive(Clone, Debug)]
struct World {
    skew_us: u64,
    /// The packets of each epoch; the last packet of each is its end marker.
    epochs: Vec<Vec<Packet>>,
}

#[derive(Clone, Debug)]
struct Arrival {
    at: u64,
    line: Line,
    epoch: u64,
    first: u64,
    count: u16,
    end: bool,
}

fn fate(loss: u32, jitter_us: u64) -> impl Strategy<Value = Fate> {
    (0..100_u32, 0..100_u32, 0..=jitter_us).prop_map(move |(lost, twice, delay_us)| Fate {
        lost: lost < loss,
        twice: twice < 10,
        delay_us,
    })
}

fn world(longest: usize) -> impl Strategy<Value = World> {
    let packets = (0..40_u32, 0..=1_500_u64).prop_flat_map(move |(loss, jitter)| {
        let fates = [fate(loss, jitter), fate(loss, jitter)];
        let packet = (0..5_u16, 0..800_u64, fates).prop_map(|(count, after_us, fates)| Packet {
            count,
            after_us,
            fates,
        });
        prop::collection::vec(packet, 1..longest)
    });
    (0..40_000_u64, prop::collection::vec(packets, 1..4))
        .prop_map(|(skew_us, epochs)| World { skew_us, epochs })
}

/// Whether each line said something of each epoch: the order of two that no line said both of is anybody's guess.
fn is_order_known(world: &World) -> bool {
    let heard = |packets: &Vec<Packet>, line: Line| {
        packets
            .iter()
            .any(|packet| !packet.fates[line.index()].lost)
    };
    let mut epochs = world.epochs.iter();
    epochs.all(|packets| Line::BOTH.into_iter().all(|line| heard(packets, line)))
}

fn bytes(epoch: u64, sseq: u64) -> Vec<u8> {
    let length = (sseq * 7 + epoch) % 90;
    (0..length).map(|i| (i + sseq * 3 + epoch) as u8).collect()
}

/// What reaches the adapter, in the order of time; and how many messages each epoch has.
fn arrivals(world: &World) -> (Vec<Arrival>, Vec<u64>) {
    let (mut all, mut lengths, mut sent) = (Vec::new(), Vec::new(), 0);
    for (epoch, packets) in (1..).zip(&world.epochs) {
        let mut next = 1;
        for (index, packet) in packets.iter().enumerate() {
            sent += packet.after_us * 1_000;
            let end = index + 1 == packets.len();
            let count = if end { 0 } else { packet.count };
            for (line, fate) in Line::BOTH.into_iter().zip(packet.fates) {
                let skew = if line == Line::B { world.skew_us } else { 0 };
                let at = sent + (skew + fate.delay_us) * 1_000;
                let arrival = Arrival {
                    at,
                    line,
                    epoch,
                    first: next,
                    count,
                    end,
                };
                let copies = usize::from(!fate.lost) + usize::from(!fate.lost && fate.twice);
                all.extend(std::iter::repeat_n(arrival, copies));
            }
            next += u64::from(count);
        }
        lengths.push(next - 1);
        // A session ends before the next begins.
        sent += 5 * MS;
    }
    all.sort_by_key(|arrival| arrival.at);
    (all, lengths)
}

/// The line brings it now.
fn bring(lines: &mut Lines, notes: &mut Notes, arrival: &Arrival) {
    let epoch = Epoch(arrival.epoch);
    if arrival.end {
        lines.on_end(arrival.line, notes.now, epoch, arrival.first, notes);
        return;
    }
    let messages: Vec<Vec<u8>> = (arrival.first..)
        .take(usize::from(arrival.count))
        .map(|sseq| bytes(arrival.epoch, sseq))
        .collect();
    lines.on_packet(
        arrival.line,
        notes.now,
        epoch,
        arrival.first,
        arrival.count,
        messages.iter().map(Vec::as_slice),
        arrival.at,
        notes,
    );
}

fn play(limits: LineLimits, arrivals: &[Arrival]) -> (Vec<(Time, Told)>, Lines) {
    let mut lines = Lines::new(limits).unwrap();
    let mut notes = Notes::default();
    for arrival in arrivals {
        // Inputs at the moment of a deadline come first: the machine may not profit from the order.
        pass(&mut lines, &mut notes, Time(arrival.at.saturating_sub(1)));
        notes.now = Time(arrival.at);
        bring(&mut lines, &mut notes, arrival);
    }
    finish(lines, notes)
}

/// The same by a process that wakes once per `pause`, reads line A, then line B, then looks at the clock.
fn play_drowsily(
    limits: LineLimits,
    arrivals: &[Arrival],
    pause: u64,
) -> (Vec<(Time, Told)>, Lines) {
    let mut lines = Lines::new(limits).unwrap();
    let mut notes = Notes::default();
    for unread in arrivals.chunk_by(|one, other| one.at / pause == other.at / pause) {
        notes.now = Time((unread[0].at / pause + 1) * pause);
        for line in Line::BOTH {
            for arrival in unread.iter().filter(|arrival| arrival.line == line) {
                bring(&mut lines, &mut notes, arrival);
            }
        }
        let now = notes.now;
        pass(&mut lines, &mut notes, now);
    }
    finish(lines, notes)
}

fn finish(mut lines: Lines, mut notes: Notes) -> (Vec<(Time, Told)>, Lines) {
    let end = notes.now.after(Duration::from_secs(10));
    pass(&mut lines, &mut notes, end);
    lines.on_close(notes.now, &mut notes);
    (notes.told, lines)
}

/// One epoch as it came out.
#[derive(Debug, Default)]
struct Account {
    epoch: u64,
    began: Time,
    next: u64,
    delivered: BTreeMap<u64, Time>,
    abandoned: BTreeMap<u64, Time>,
    ended: bool,
}

/// Contiguous, in order, the source's bytes, each number once, each epoch once and in its order.
fn accounts(told: &[(Time, Told)], steps_back: bool) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut epoch = 0;
    for (at, told) in told {
        if let Told::Begin(start) = told {
            let again = steps_back && start.epoch.0 == epoch;
            assert!(start.epoch.0 > epoch || again, "{told} after {epoch}");
            assert!(
                start.predecessor.0 == epoch || again,
                "{told} after {epoch}"
            );
            assert_eq!(start.complete, start.first == 1);
            epoch = start.epoch.0;
            accounts.push(Account {
                epoch,
                began: *at,
                next: start.first,
                ..Account::default()
            });
            continue;
        }
        if let Told::Stale(_) = told {
            continue;
        }
        let account = accounts
            .last_mut()
            .expect("an epoch begins before its messages");
        assert!(!account.ended, "{told} after the end");
        match told {
            Told::Message(sseq, body, _) => {
                assert_eq!(*sseq, account.next, "epoch {epoch}");
                assert_eq!(*body, bytes(epoch, *sseq));
                account.delivered.insert(*sseq, *at);
                account.next += 1;
            }
            Told::Abandoned(range) => {
                assert_eq!(range.start, account.next, "epoch {epoch}");
                assert!(!range.is_empty());
                account
                    .abandoned
                    .extend(range.clone().map(|number| (number, *at)));
                account.next = range.end;
            }
            Told::Ended(ended, next) => {
                assert_eq!((ended.0, *next), (epoch, account.next));
                account.ended = true;
            }
            Told::Begin(_) | Told::Stale(_) => unreachable!(),
        }
    }
    accounts
}

/// What came, for a reader of a failure.
fn story(arrivals: &[Arrival]) -> String {
    let line = |arrival: &Arrival| {
        let Arrival {
            at,
            line,
            epoch,
            first,
            count,
            end,
        } = arrival;
        let until = first + u64::from(*count);
        format!(
            "{} {line:?} {epoch}: {first}..{until}{}\n",
            Time(*at),
            if *end { " end" } else { "" }
        )
    };
    arrivals.iter().map(line).collect()
}

/// Nothing was given up that a live line could still have brought.
fn given_up_with_reason(
    limits: &LineLimits,
    arrivals: &[Arrival],
    accounts: &[Account],
    dropped: u64,
) {
    let (reorder, lag) = (limits.reorder_hold, limits.lag_hold);
    // Nobody waits twice for a line that does not come, and what was dropped did not come.
    let mut lagged = dropped > 0;
    for account in accounts {
        let epoch = account.epoch;
        for (&number, &at) in &account.abandoned {
            let brought = arrivals
                .iter()
                .filter(|arrival| arrival.epoch == epoch && arrival.at <= at.0);
            let numbers =
                |arrival: &Arrival| arrival.first..arrival.first + u64::from(arrival.count);
            // What contradicted a candidate was dropped, and was counted.
            assert!(
                dropped > 0
                    || !brought
                        .into_iter()
                        .any(|arrival| numbers(arrival).contains(&number)),
                "{epoch}.{number} had come when it was given up at {at}\n{}",
                story(arrivals)
            );
            let mut first_pass = None;
            let mut behind = false;
            for line in Line::BOTH {
                let here = |arrival: &&Arrival| arrival.line == line && arrival.at <= at.0;
                let passed = arrivals.iter().filter(here).find(|arrival| {
                    arrival.epoch > epoch
                        || arrival.epoch == epoch
                            && arrival.first + u64::from(arrival.count) > number
                });
                let heard = arrivals.iter().rfind(here);
                let silent = heard.is_none_or(|last| at >= Time(last.at).after(limits.silence));
                match passed {
                    Some(passed) => {
                        let passed = Time(passed.at);
                        assert!(
                            at >= passed.after(reorder),
                            "{epoch}.{number} given up at {at}, too early for {line:?}\n{}",
                            story(arrivals)
                        );
                        first_pass =
                            Some(first_pass.map_or(passed, |other: Time| other.min(passed)));
                    }
                    None => behind |= !silent,
                }
            }
            let passed = first_pass.expect("only what somebody passed can be missing");
            assert!(
                !behind || lagged || at >= passed.after(lag),
                "{epoch}.{number} given up at {at}: a line was behind\n{}",
                story(arrivals)
            );
            lagged |= behind;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_room_enough_only_what_both_lost_is_lost(world in world(80)) {
        prop_assume!(is_order_known(&world));
        let limits = LineLimits { held_messages: 1_024, held_bytes: 1 << 17, window: 1_024, ..LineLimits::default() };
        let (arrivals, _) = arrivals(&world);
        let (told, lines) = play(limits, &arrivals);
        let accounts = accounts(&told, false);
        let counters = lines.counters();
        given_up_with_reason(&limits, &arrivals, &accounts, counters.quarantine_dropped);
        prop_assert_eq!((counters.line_conflicts, counters.hold_full, counters.malformed), (0, 0, 0));
        // What is held back at the end is held back by nothing.
        prop_assert_eq!(lines.held(), 0);
        if let Some(last) = accounts.last() {
            let furthest = |since: Time| arrivals.iter()
                .filter(|arrival| arrival.epoch == last.epoch && Time(arrival.at) > since)
                .map(|arrival| arrival.first + u64::from(arrival.count)).max().unwrap_or(1);
            // What was said of it before it began may have been contradicted by what came of another.
            let alone = world.epochs.len() == 1;
            let least = furthest(if alone { Time::ZERO } else { last.began });
            prop_assert!((least..=furthest(Time::ZERO)).contains(&last.next), "{}\n{}", last.next, story(&arrivals));
        }
    }

    /// However long the process did not run: what lies unread in a socket came in time.
    #[test]
    fn a_process_that_wakes_rarely_gives_up_only_what_no_line_brought(
        mut world in world(160), pause in 2..250_u64,
    ) {
        // Three of them would contradict each other within one pause.
        world.epochs.truncate(2);
        for packets in &mut world.epochs {
            // Nobody lags for want of anything to say.
            packets.last_mut().unwrap().fates = [Fate { lost: false, twice: false, delay_us: 1_500 }; 2];
            packets.iter_mut().for_each(|packet| packet.after_us *= 4);
        }
        prop_assume!(is_order_known(&world));
        let limits = LineLimits { held_messages: 2_048, held_bytes: 1 << 18, window: 1_024, ..LineLimits::default() };
        let (arrivals, _) = arrivals(&world);
        let (told, lines) = play_drowsily(limits, &arrivals, pause * MS);
        let dropped = lines.counters().quarantine_dropped;
        // A line that nobody has heard of yet is not waited for.
        let first = |line| arrivals.iter().find(|arrival| arrival.line == line).map(|arrival| Time(arrival.at));
        let both_heard = Line::BOTH.into_iter().filter_map(first).max().unwrap_or(Time::ZERO);
        for account in accounts(&told, false) {
            for (&number, _) in account.abandoned.iter().filter(|&(_, &at)| at > both_heard) {
                let brought = arrivals.iter().any(|arrival| arrival.epoch == account.epoch
                    && (arrival.first..arrival.first + u64::from(arrival.count)).contains(&number));
                // What contradicted a candidate was dropped, and was counted.
                prop_assert!(!brought || dropped > 0, "{}.{number} was brought\n{}", account.epoch, story(&arrivals));
            }
        }
    }

    /// Bounds reached at every turn: what is lost may be more, what is promised is not less.
    #[test]
    fn with_hardly_any_room_the_account_is_still_whole(
        world in world(120), held_messages in 1..24_usize, held_bytes in 64..1_500_usize, window in 1..24_u64,
        retired_epochs in 1..3_usize,
    ) {
        let window = window.min(held_messages as u64);
        let limits = LineLimits { held_messages, held_bytes, window, retired_epochs, ..LineLimits::default() };
        let (arrivals, _) = arrivals(&world);
        let (told, lines) = play(limits, &arrivals);
        // With a window this small reordering looks like a step back.
        let accounts = accounts(&told, true);
        let delivered: usize = accounts.iter().map(|account| account.delivered.len()).sum();
        let abandoned: usize = accounts.iter().map(|account| account.abandoned.len()).sum();
        prop_assert_eq!(lines.counters().messages, delivered as u64);
        prop_assert_eq!(lines.counters().abandoned, abandoned as u64);
        prop_assert_eq!(lines.counters().line_conflicts, 0);
    }

    /// After the faults end: both lines bring the rest of the last epoch, and all of it is delivered.
    #[test]
    fn once_the_faults_end_nothing_more_is_lost(mut world in world(60), clean in 5..40_usize) {
        let quiet = Packet {
            count: 2,
            after_us: 1_000,
            fates: [Fate { lost: false, twice: false, delay_us: 0 }; 2],
        };
        let last = world.epochs.last_mut().unwrap();
        let marker = last.pop().unwrap();
        last.push(Packet { after_us: 200_000, ..quiet.clone() });
        last.extend(std::iter::repeat_n(quiet.clone(), clean));
        last.push(Packet { fates: quiet.fates, ..marker });
        let (arrivals, lengths) = arrivals(&world);
        let (told, lines) = play(LineLimits::default(), &arrivals);
        let accounts = accounts(&told, false);
        let epoch = lengths.len() as u64;
        let account = accounts.last().filter(|last| last.epoch == epoch).expect("the last epoch began");
        prop_assert_eq!(account.next, lengths.last().unwrap() + 1);
        prop_assert!(account.ended && lines.next_deadline().is_none());
        let clean_from = account.next - 2 * (clean as u64 + 1);
        prop_assert!(account.abandoned.range(clean_from..).next().is_none());
    }
}
