//! How soon does a backup that runs ahead half of the time agree to the slots of many messages?
//!
//! A busy pair, several operators at a time, each with one order after the other. From the adapters' own words: at which
//! announcement was the slot of every message agreed to? And both subscribers must see each once, at one place.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use twinfeed_control::{MessagePlace, OrderOutcome, Policy, StopFlag};
use twinfeed_harness::Error;
use twinfeed_harness::judge::judge;
use twinfeed_harness::probe::wire::Summary;
use twinfeed_harness::process::{Seen, until};
use twinfeed_harness::run::Run;

use crate::kills::operator::Operator;
use crate::kills::{LIMIT, Setting, bursty_run, until_heard};
use twinfeed_harness::adapter::Standing;

/// What is ordered, and of whom.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Messages.
    pub messages: u64,
    /// Source messages per second.
    pub rate: u64,
    /// Operators at a time; no more than messages may wait for their slots.
    pub operators: usize,
    /// How the subscribers deliver.
    pub policy: Policy,
}

/// At which announcement slots were agreed to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// At the first.
    pub first: u64,
    /// At the second.
    pub second: u64,
    /// At a later one.
    pub later: u64,
    /// Not at all: placed by the active alone.
    pub alone: u64,
    /// What the active counted of its announcements: capable, late, far, unsynchronised, placed before the answer.
    pub counted: [u64; 5],
    /// How long it took.
    pub took: Duration,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

impl Tally {
    /// Share of the messages agreed to at the first or second announcement.
    #[must_use]
    pub fn share(&self) -> f64 {
        let all = self.first + self.second + self.later + self.alone;
        (self.first + self.second) as f64 / all.max(1) as f64
    }

    fn take(&mut self, place: &MessagePlace) {
        *match (place.agreed, place.attempts) {
            (false, _) => &mut self.alone,
            (true, 0 | 1) => &mut self.first,
            (true, 2) => &mut self.second,
            (true, _) => &mut self.later,
        } += 1;
    }
}

/// Orders, and judges. `tell` hears how many are placed.
///
/// # Errors
/// When the run does not come about, or an order cannot be given.
pub fn run(setting: &Setting<'_>, plan: Plan, tell: &(dyn Fn(u64) + Sync)) -> Result<Tally, Error> {
    let stop = &setting.stop;
    let run = Run {
        rate: plan.rate,
        policy: plan.policy,
        session: Duration::from_secs(3_600),
        ..bursty_run()
    };
    let mut rig = setting.start(&run)?;
    let mut second = rig.another_probe("probe-2")?;
    until_heard(&mut second, stop)?;
    rig.open()?;
    let operations = rig.files().adapters.map(|at| at.operations);
    until("the pair is protected and heard", LIMIT, stop, || {
        let active = Standing::of(operations[0]).unwrap_or_default();
        let heard = [rig.probe().status()?, second.status()?]
            .iter()
            .all(|status| status.records > 0 && status.heard == [true; 2]);
        Ok(match active.protected && active.good && heard {
            true => Seen::Met(()),
            false => Seen::NotYet(format!("{active:?}")),
        })
    })?;
    let operator = Operator::of(&rig)?;
    let begun = Instant::now();
    let places = order_all(&operator, plan, stop, tell)?;
    let mut tally = Tally {
        took: begun.elapsed(),
        ..Tally::default()
    };
    for (text, place) in &places {
        match place {
            Ok(place) => tally.take(place),
            Err(outcome) => tally
                .broken
                .push(format!("{text} is not placed: {outcome}")),
        }
    }
    let active = Standing::of(operations[0]).unwrap_or_default();
    let names = ["capable", "late", "far", "unsynchronised", "placed_alone"];
    tally.counted = names.map(|name| active.counter(name));
    let (_, seen, sent) = rig.end()?;
    let last = sent.last().map(|session| session.epoch);
    let _ = until("the second subscriber's end", LIMIT, stop, || {
        let status = second.status()?;
        Ok(match last.is_none_or(|last| status.ended.contains(&last)) {
            true => Seen::Met(()),
            false => Seen::NotYet(String::new()),
        })
    });
    let conversion = twinfeed_harness::files::Files::conversion(rig.run())?;
    for (name, seen) in [("first", seen), ("second", second.summary()?)] {
        let mut verdict = judge(&sent, &conversion, &seen)?;
        if tally.alone > 0 {
            // Whoever followed the backup, which was ahead, gets such a message behind a discontinuity; where it is lost as
            // well, it is declared.
            (verdict.breaks, verdict.administrative_gaps) = (0, 0);
        }
        let broken = verdict
            .broken()
            .into_iter()
            .chain(misplaced(&places, &seen));
        let named = broken.map(|it| format!("{name} subscriber: {it}"));
        tally.broken.extend(named);
    }
    second.stop()?;
    rig.leave()?;
    Ok(tally)
}

/// Messages that were not seen once where they were placed; those that the active placed alone may be declared missing.
fn misplaced(places: &[Ordered], seen: &Summary) -> Option<String> {
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for it in &seen.administrative {
        let place = (it.generation, it.number, it.sseq);
        told.entry(it.text.as_str()).or_default().push(place);
    }
    let wrong = places.iter().filter(|(text, placed)| {
        let there = told.get(text.as_str()).map_or(&[][..], Vec::as_slice);
        match (placed, there) {
            (Ok(it), [place]) => *place != (it.generation.0, it.number, it.sseq),
            (Ok(it), []) => it.agreed,
            (Err(_), []) => false,
            _ => true,
        }
    });
    let wrong: Vec<_> = wrong
        .map(|(text, _)| text.as_str())
        .take(MOST_NAMED)
        .collect();
    (!wrong.is_empty()).then(|| format!("not seen once where they were placed: {wrong:?}"))
}

/// Every message's text and place, or what became of it otherwise.
fn order_all(
    operator: &Operator,
    plan: Plan,
    stop: &StopFlag,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Ordered>, Error> {
    let next = AtomicU64::new(0);
    let places = Mutex::new(Vec::new());
    let give = || -> Result<(), Error> {
        while !stop.is_stopped() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.messages {
                break;
            }
            let text = format!("message-{number}");
            let outcome = operator.order(&text, WAIT)?;
            let place = match outcome {
                OrderOutcome::Placed { place } => Ok(place),
                other => Err(format!("{other:?}")),
            };
            let mut places = places
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            places.push((text, place));
            tell(places.len() as u64);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let operators: Vec<_> = (0..plan.operators).map(|_| scope.spawn(give)).collect();
        let ended = operators.into_iter().map(|operator| match operator.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // All are waited for, whatever becomes of the first.
        ended.fold(Ok(()), Result::and)
    })?;
    Ok(places
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// An order's text, and where its message stands.
type Ordered = (String, Result<MessagePlace, String>);

/// Most messages that are named.
const MOST_NAMED: usize = 8;
/// How long an order is waited for.
const WAIT: Duration = Duration::from_secs(10);
/// The share that must be agreed to at the first or second announcement.
pub const SHARE: f64 = 0.999;
