//! An unordered source against a twin that is nothing but two sets.
//!
//! Whatever two legs do to a source (cut, lose, double, shuffle, part by part), every record is delivered
//! once or lies inside exactly one declared gap, nothing inside a gap is delivered, and parts keep their
//! order. While the clock stands still and the window suffices, what is delivered is the first copy of
//! everything that came whose earlier parts came, and nothing is declared.
#![allow(
    clippy::unwrap_used,
    reason = "a datagram of the kit that does not fit fails the test"
)]

mod arbiter_kit;

use std::collections::BTreeSet;
use std::ops::Range;

use arbiter_kit::feed::source;
use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::*;

/// What one leg brings, in which datagrams: indices into the source.
fn brought() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 1..6_usize, 0..4_u8), 1..60)
}

/// The datagrams of both legs: most in order from where the leg stands, some from anywhere (again, early, or
/// late); the last is `true` when its records are turned round.
fn datagrams(source: &[R], how: &[(prop::sample::Index, usize, u8)]) -> Vec<Vec<R>> {
    let mut next = 0;
    let mut datagrams = Vec::new();
    for (anywhere, length, kind) in how {
        let from = if *kind == 0 {
            anywhere.index(source.len())
        } else {
            next
        };
        let until = (from + length).min(source.len());
        let mut records = source[from..until].to_vec();
        if *kind == 1 {
            records.reverse();
        }
        // A lost datagram takes its numbers with it.
        if *kind != 0 {
            next = until;
        }
        if *kind != 2 && !records.is_empty() {
            datagrams.push(records);
        }
    }
    datagrams
}

/// Everything the application was told.
#[derive(Default)]
struct Twin {
    from: Option<Place>,
    delivered: BTreeSet<Place>,
    declared: Vec<Range<Place>>,
}

impl Twin {
    fn take(&mut self, told: Vec<Told>) -> Result<(), TestCaseError> {
        for told in told {
            match told {
                Told::Record(sseq, part, _) => {
                    let place = Place { sseq, part };
                    let inside = self.declared.iter().any(|gap| gap.contains(&place));
                    prop_assert!(!inside, "{place} was declared");
                    prop_assert!(Some(place) >= self.from, "{place} before the join");
                    let before = Place {
                        part: part.wrapping_sub(1),
                        ..place
                    };
                    prop_assert!(
                        part == 0 || self.delivered.contains(&before),
                        "{place} early"
                    );
                    prop_assert!(self.delivered.insert(place), "{place} twice");
                }
                Told::Event(Event::Gap { from, until, .. }) => {
                    let told = self.delivered.range(from..until).next();
                    prop_assert_eq!(told, None, "inside {}..{}", from, until);
                    let overlaps = self
                        .declared
                        .iter()
                        .any(|gap| gap.start < until && from < gap.end);
                    prop_assert!(!overlaps && from < until, "{from}..{until} again");
                    self.declared.push(from..until);
                }
                Told::Event(Event::Discontinuity { at, .. }) => {
                    prop_assert_eq!(self.from, None, "joined twice");
                    self.from = Some(at);
                }
                Told::Event(Event::Recovered { .. }) => prop_assert!(false, "nothing waited"),
                Told::Event(_) => {}
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_delivered_or_declared_and_nothing_both(
        source in source(80), a in brought(), b in brought(),
        turns in prop::collection::vec(any::<bool>(), 60), pauses in prop::collection::vec(0..4_u64, 20),
        beats in prop::collection::vec(prop::bool::weighted(0.2), 20),
        small in any::<bool>(), half in 1..3_usize, held in prop::sample::select(vec![1_usize, 4, 1_000]),
    ) {
        let limits = Limits {
            seen_window: if small { 64 } else { 4_096 },
            half_messages: if small { half } else { 64 },
            held_records: held,
            ..Limits::default()
        };
        let (mut kit, zero, one) = unordered(limits);
        let mut senders = [zero, one];
        let mut queues = [datagrams(&source, &a), datagrams(&source, &b)].map(Vec::into_iter);
        let mut twin = Twin::default();
        let mut highest = [1, 1];
        for ((turn, pause), beat) in turns.iter().cycle().zip(pauses.iter().cycle()).zip(beats.iter().cycle()) {
            let own = usize::from(*turn);
            let leg = if queues[own].len() > 0 { own } else { 1 - own };
            let Some(records) = queues[leg].next() else { break };
            kit.records(&mut senders[leg], &records);
            // Nothing below is still to come: what it has not brought in order so far, it lost.
            highest[leg] = highest[leg].max(records.iter().map(|r| r.3 + 1).min().unwrap());
            if *beat {
                let next = highest[leg];
                let prev = source.iter().map(|r| r.0).filter(|sseq| *sseq < next).max().unwrap_or(0);
                kit.beat(&mut senders[leg], prev, next);
            }
            kit.pass(ms(*pause));
            twin.take(kit.told())?;
        }
        let last = source.last().unwrap().0;
        vouch_to_the_end(&mut kit, senders.each_mut(), last);
        twin.take(kit.told())?;
        let Some(from) = twin.from else {
            prop_assert!(twin.delivered.is_empty() && twin.declared.is_empty());
            return Ok(());
        };
        for &(sseq, part, ..) in &source {
            let place = Place { sseq, part };
            let declared = twin.declared.iter().filter(|gap| gap.contains(&place)).count();
            let times = usize::from(twin.delivered.contains(&place)) + declared;
            prop_assert_eq!(times, usize::from(place >= from), "{}", place);
        }
    }

    #[test]
    fn while_the_clock_stands_still_the_first_copy_of_everything_is_delivered_at_once(
        source in source(80), a in brought(), b in brought(), turns in prop::collection::vec(any::<bool>(), 60),
    ) {
        let (mut kit, zero, one) = unordered(Limits::default());
        let mut senders = [zero, one];
        let mut queues = [datagrams(&source, &a), datagrams(&source, &b)].map(Vec::into_iter);
        let mut came: BTreeSet<Place> = BTreeSet::new();
        let mut twin = Twin::default();
        for turn in turns.iter().cycle() {
            let own = usize::from(*turn);
            let leg = if queues[own].len() > 0 { own } else { 1 - own };
            let Some(records) = queues[leg].next() else { break };
            kit.records(&mut senders[leg], &records);
            twin.take(kit.told())?;
            prop_assert!(twin.declared.is_empty(), "nothing is given up while no time passes");
            came.extend(records.iter().map(|&(sseq, part, ..)| Place { sseq, part }));
            let Some(from) = twin.from else { continue };
            let whole = |place: &&Place| (0..place.part).all(|part| came.contains(&Place { part, ..**place }));
            let expected: BTreeSet<Place> = came.range(from..).filter(whole).copied().collect();
            prop_assert_eq!(&twin.delivered, &expected);
        }
    }
}
