//! Divergence against a model that keeps every digest and knows nothing of holds, holes and contexts.
//!
//! The model says when the application must hear of a divergence and of its end. Everything else is judged by what
//! the application is told itself: between such words every record is of the leg that they name.
#![allow(clippy::unwrap_used, reason = "what is missing fails the test")]

mod arbiter_kit;

use std::collections::BTreeMap;

use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A leg sends so many records, of which the network may lose some.
    Records(usize, u64, bool),
    /// A leg's heartbeat tells its next range: with its own content, or with the one that both have.
    Tell(usize, bool),
    /// Time passes, ms; only one leg speaks, or both do.
    Pass(u64, Option<usize>),
    /// Stream administration names the active of the next generation.
    Active(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let leg = 0..2_usize;
    prop_oneof![
        5 => (leg.clone(), 1..6_u64, prop::bool::weighted(0.1)).prop_map(|(leg, count, lost)| Step::Records(leg, count, lost)),
        4 => (leg.clone(), prop::bool::weighted(0.25)).prop_map(|(leg, own)| Step::Tell(leg, own)),
        2 => (1..45_u64, prop::option::weighted(0.3, leg.clone())).prop_map(|(ms, only)| Step::Pass(ms, only)),
        1 => leg.prop_map(Step::Active),
    ]
}

/// Every digest told, and what follows from them.
#[derive(Default)]
struct Model {
    told: [BTreeMap<u64, u64>; 2],
    apart: bool,
    row: u32,
    episodes: u32,
}

impl Model {
    /// A leg tells a range; whether that begins (`true`) or ends (`false`) a divergence.
    fn tell(&mut self, leg: usize, range: u64, digest: u64) -> Option<bool> {
        self.told[leg].insert(range, digest);
        let same = *self.told[1 - leg].get(&range)? == digest;
        self.row = if same { self.row + 1 } else { 0 };
        if !self.apart && !same {
            (self.apart, self.episodes) = (true, self.episodes + 1);
            return Some(true);
        }
        let met = self.apart && self.row == 2 << (self.episodes - 1).min(6);
        self.apart &= !met;
        met.then_some(false)
    }
}

/// What the application knows.
#[derive(Default)]
struct Application {
    next: Option<u64>,
    pinned: Option<Leg>,
    begun: u64,
    over: u64,
}

impl Application {
    fn hears(&mut self, told: Vec<Told>) -> Result<(), TestCaseError> {
        for told in told {
            match told {
                Told::Record(sseq, _, leg) => {
                    let next = self.next.unwrap_or(sseq);
                    prop_assert_eq!(sseq, next, "in order, and nothing left out without a word");
                    self.next = Some(sseq + 1);
                    if let Some(pinned) = self.pinned {
                        prop_assert_eq!(leg, pinned, "{} is of the other leg", sseq);
                    }
                }
                Told::Event(Event::Gap { from, until, .. }) => {
                    prop_assert_eq!(Some(from.sseq), self.next);
                    self.next = Some(until.sseq);
                }
                Told::Event(Event::Discontinuity {
                    cause: DiscontinuityCause::Join,
                    at,
                    ..
                }) => self.next = Some(at.sseq),
                Told::Event(Event::Divergence { pinned, .. }) => {
                    prop_assert_eq!(self.pinned.replace(pinned), None, "told once");
                    self.begun += 1;
                }
                Told::Event(Event::Converged { .. }) => {
                    prop_assert!(self.pinned.take().is_some(), "nothing was over");
                    self.over += 1;
                }
                Told::Event(Event::Discontinuity {
                    cause: DiscontinuityCause::Divergence { from },
                    ..
                }) => {
                    let before = self.pinned.replace(from.other());
                    prop_assert_eq!(
                        before,
                        Some(from),
                        "it goes on with the one that was set apart"
                    );
                }
                Told::Event(_) => {}
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_application_never_sees_the_two_mixed(
        steps in prop::collection::vec(step(), 1..120), prefer in any::<bool>(), held in 6..200_usize,
    ) {
        let policy = if prefer { Policy::PreferActive } else { Policy::FirstArrival };
        let limits = Limits { policy, held_records: held, ..Limits::default() };
        let (mut kit, zero, one) = ordered(limits);
        let mut senders = [zero, one];
        let (mut model, mut application) = (Model::default(), Application::default());
        let (mut sent, mut ranges, mut generation) = ([0_u64; 2], [0_u64; 2], 1);
        for step in steps {
            match step {
                Step::Records(leg, count, lost) => {
                    let records = run(sent[leg] + 1..=sent[leg] + count);
                    sent[leg] += count;
                    let bytes = senders[leg].records(&records);
                    if !lost {
                        kit.give(senders[leg].leg, &bytes);
                    }
                }
                // As many as are remembered.
                Step::Tell(leg, _) if ranges[leg] >= 30 => {}
                Step::Tell(leg, own) => {
                    let range = ranges[leg];
                    ranges[leg] += 1;
                    let digest = if own { 10 + leg as u64 } else { 1 };
                    let (begun, over) = (application.begun, application.over);
                    let expected = model.tell(leg, range, digest);
                    kit.says(&mut senders[leg], sent[leg], &[(range, digest)]);
                    application.hears(kit.told())?;
                    let expected = (begun + u64::from(expected == Some(true)), over + u64::from(expected == Some(false)));
                    prop_assert_eq!((application.begun, application.over), expected);
                }
                Step::Pass(span, only) => {
                    for _ in 0..span {
                        kit.pass(ms(1));
                        for leg in [0, 1] {
                            if only.is_none_or(|only| only == leg) {
                                kit.says(&mut senders[leg], sent[leg], &[]);
                            }
                        }
                    }
                }
                Step::Active(leg) => {
                    generation += 1;
                    let (active, generation) = (Leg::BOTH[leg], Generation(generation));
                    kit.control(Control::Roles { active, generation });
                }
            }
            application.hears(kit.told())?;
        }
        prop_assert_eq!(application.pinned.is_some(), model.apart);
        // In the end both have sent the same, and all of it is delivered or declared.
        let last = sent[0].max(sent[1]) + 1;
        for leg in [0, 1] {
            let records = run(sent[leg] + 1..=last);
            for part in records.chunks(20) {
                kit.records(&mut senders[leg], part);
            }
        }
        for _ in 0..60 {
            kit.pass(ms(1));
            for sender in &mut senders {
                kit.says(sender, last, &[]);
            }
        }
        application.hears(kit.told())?;
        prop_assert_eq!(application.next, Some(last + 1));
    }
}
