//! The arbiter against a twin that keeps everything in one map and never forgets.
//!
//! While the clock stands still no hole is given up, so what may be delivered is plain: walk the union of
//! what arrived, from the join, as far as it is contiguous. Under prefer-active with both legs healthy it is
//! the same walk over what the preferred leg brought, and the other leg fills what it has gone past.
#![allow(
    clippy::unwrap_used,
    reason = "a datagram of the kit that does not fit fails the test"
)]

mod arbiter_kit;

use std::collections::BTreeMap;

use arbiter_kit::feed::source;
use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::*;

/// How one leg mangles the source: cuts it into datagrams, loses, doubles and shuffles them.
#[derive(Clone, Debug)]
struct Mangled {
    cuts: Vec<usize>,
    lost: Vec<bool>,
    doubled: Vec<bool>,
    swaps: Vec<(usize, usize)>,
}

fn mangled() -> impl Strategy<Value = Mangled> {
    (
        prop::collection::vec(1..6_usize, 60),
        prop::collection::vec(prop::bool::weighted(0.2), 60),
        prop::collection::vec(prop::bool::weighted(0.1), 60),
        prop::collection::vec((0..60_usize, 0..60_usize), 0..10),
    )
        .prop_map(|(cuts, lost, doubled, swaps)| Mangled {
            cuts,
            lost,
            doubled,
            swaps,
        })
}

fn datagrams(source: &[R], how: &Mangled) -> Vec<Vec<R>> {
    let mut rest = source;
    let mut sent = Vec::new();
    for ((cut, lost), doubled) in how
        .cuts
        .iter()
        .cycle()
        .zip(how.lost.iter().cycle())
        .zip(how.doubled.iter().cycle())
    {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        rest = later;
        if !lost {
            sent.push(now.to_vec());
            if *doubled {
                sent.push(now.to_vec());
            }
        }
    }
    for &(one, other) in &how.swaps {
        if one < sent.len() && other < sent.len() {
            sent.swap(one, other);
        }
    }
    sent
}

/// Everything that arrived, walked from `from` as far as it is contiguous.
struct Twin {
    known: BTreeMap<(u64, u16), R>,
    next: Option<(u64, u16)>,
}

impl Twin {
    /// What may be delivered once `records` arrived.
    fn arrive(&mut self, records: &[R]) -> Vec<(u64, u16)> {
        self.fill(records, &BTreeMap::new(), (0, 0))
    }

    /// The same, when holes below `passed` may be filled from `spare`.
    fn fill(
        &mut self,
        records: &[R],
        spare: &BTreeMap<(u64, u16), R>,
        passed: (u64, u16),
    ) -> Vec<(u64, u16)> {
        for &record in records {
            if self.next.is_none() && record.1 == 0 {
                self.next = Some((record.0, 0));
            }
            // A later part that overtook the place of the join is known, too.
            self.known.insert((record.0, record.1), record);
        }
        let mut delivered = Vec::new();
        while let Some(next) = self.next {
            let own = follower(&self.known, next);
            let other = || follower(spare, next).filter(|_| passed > next);
            let Some((sseq, part, last, _)) = own.or_else(other) else {
                break;
            };
            delivered.push((sseq, part));
            self.next = Some(if last {
                (sseq + 1, 0)
            } else {
                (sseq, part + 1)
            });
        }
        delivered
    }
}

/// The record that directly follows `next`, if it is known.
fn follower(known: &BTreeMap<(u64, u16), R>, next: (u64, u16)) -> Option<R> {
    let (&place, &record) = known.range(next..).next()?;
    let follows = place == next || (next.1 == 0 && record.1 == 0 && record.3 < next.0);
    follows.then_some(record)
}

fn delivered(kit: &mut Kit) -> Vec<(u64, u16)> {
    kit.told()
        .into_iter()
        .filter_map(|told| match told {
            Told::Record(sseq, part, _) => Some((sseq, part)),
            Told::Event(Event::Gap { .. }) => panic!("a gap while the clock stands still"),
            Told::Event(_) => None,
        })
        .collect()
}

fn interleave(zero: Vec<Vec<R>>, one: Vec<Vec<R>>, turns: &[bool]) -> Vec<(Leg, Vec<R>)> {
    let (mut zero, mut one) = (zero.into_iter(), one.into_iter());
    let mut all = Vec::new();
    for turn in turns.iter().copied().cycle() {
        let (leg, datagram) = if turn {
            (Leg::Zero, zero.next())
        } else {
            (Leg::One, one.next())
        };
        match datagram {
            Some(datagram) => all.push((leg, datagram)),
            None => break,
        }
    }
    all.extend(zero.map(|datagram| (Leg::Zero, datagram)));
    all.extend(one.map(|datagram| (Leg::One, datagram)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn first_arrival_delivers_the_contiguous_union(
        source in source(60), a in mangled(), b in mangled(),
        turns in prop::collection::vec(any::<bool>(), 40),
    ) {
        let (mut kit, mut zero, mut one) = ordered(Limits::default());
        let mut twin = Twin { known: BTreeMap::new(), next: None };
        let mut turns = turns;
        turns.extend([true, false]);
        for (leg, datagram) in interleave(datagrams(&source, &a), datagrams(&source, &b), &turns) {
            let sender = if leg == Leg::Zero { &mut zero } else { &mut one };
            kit.records(sender, &datagram);
            prop_assert_eq!(delivered(&mut kit), twin.arrive(&datagram));
        }
    }

    #[test]
    fn prefer_active_delivers_the_preferred_leg_and_fills_its_holes_from_the_other(
        source in source(60), a in mangled(), b in mangled(),
        turns in prop::collection::vec(any::<bool>(), 40),
    ) {
        let limits = Limits { policy: Policy::PreferActive, ..Limits::default() };
        let (mut kit, mut zero, mut one) = ordered(limits);
        let mut twin = Twin { known: BTreeMap::new(), next: None };
        let mut passed = (0, 0);
        // The preferred leg speaks first, or the other one would be all there is.
        kit.records(&mut zero, &source[..1]);
        prop_assert_eq!(delivered(&mut kit), twin.arrive(&source[..1]));
        let mut spare = BTreeMap::new();
        let mut turns = turns;
        turns.extend([true, false]);
        for (leg, datagram) in interleave(datagrams(&source, &a), datagrams(&source, &b), &turns) {
            let expected = if leg == Leg::Zero {
                kit.records(&mut zero, &datagram);
                for &(sseq, part, last, _) in &datagram {
                    passed = passed.max(if last { (sseq + 1, 0) } else { (sseq, part + 1) });
                }
                twin.fill(&datagram, &spare, passed)
            } else {
                kit.records(&mut one, &datagram);
                for &record in &datagram {
                    spare.insert((record.0, record.1), record);
                }
                twin.fill(&[], &spare, passed)
            };
            prop_assert_eq!(delivered(&mut kit), expected);
        }
    }

    /// Once time passes, every number is delivered or inside a gap, never both, in order.
    #[test]
    fn in_the_end_everything_is_delivered_or_declared(
        source in source(60), a in mangled(), b in mangled(),
        turns in prop::collection::vec(any::<bool>(), 40), pauses in prop::collection::vec(0..4_u64, 20),
        prefer in any::<bool>(),
    ) {
        let policy = if prefer { Policy::PreferActive } else { Policy::FirstArrival };
        let limits = Limits { policy, held_records: 40, ..Limits::default() };
        let (mut kit, mut zero, mut one) = ordered(limits);
        let mut turns = turns;
        turns.extend([true, false]);
        let all = interleave(datagrams(&source, &a), datagrams(&source, &b), &turns);
        let mut told = Vec::new();
        for ((leg, datagram), pause) in all.iter().zip(pauses.iter().cycle()) {
            let sender = if *leg == Leg::Zero { &mut zero } else { &mut one };
            kit.records(sender, datagram);
            kit.pass(ms(*pause));
            told.extend(kit.told());
        }
        let last = source.last().unwrap().0;
        vouch_to_the_end(&mut kit, [&mut zero, &mut one], last);
        told.extend(kit.told());
        let mut next: Option<(u64, u16)> = None;
        for told in told {
            match told {
                Told::Record(sseq, part, _) => {
                    if let Some(next) = next {
                        prop_assert!((sseq, part) >= next, "{sseq}.{part} after {next:?}");
                        let skipped = source.iter().any(|&(s, p, ..)| (s, p) >= next && (s, p) < (sseq, part));
                        prop_assert!(!skipped, "silently skipped between {next:?} and {sseq}.{part}");
                    }
                    let last = source.iter().find(|&&(s, p, ..)| (s, p) == (sseq, part)).unwrap().2;
                    next = Some(if last { (sseq + 1, 0) } else { (sseq, part + 1) });
                }
                Told::Event(Event::Gap { from, until, .. }) => {
                    let at = next.expect("a gap before anything was joined");
                    let between = source.iter().any(|&(s, p, ..)| (s, p) >= at && (s, p) < (from.sseq, from.part));
                    prop_assert!(!between && (from.sseq, from.part) >= at, "gap from {from} after {at:?}");
                    next = Some((until.sseq, until.part));
                }
                Told::Event(_) => {}
            }
        }
        if let Some(next) = next {
            let left = source.iter().any(|&(s, p, ..)| (s, p) >= next);
            prop_assert!(!left, "nothing was said about {next:?} and beyond");
        }
    }
}
