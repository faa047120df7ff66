//! Does it hold for long?
//!
//! One pair, one fault after the other in a random order of a seed, and every process' memory and descriptors looked at
//! meanwhile. Deaths are seldom, so that there are lives long enough to show that nothing grows.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use twinfeed_harness::run::Run;
use twinfeed_harness::{Error, Seat};

use super::cells::{CELLS, Cell, Owed, SOAK, Soaks};
use super::scene::{End, run as small_run};
use super::vitals::{Judged, Vitals};
use super::{Evidence, Fault, MEANWHILE, Scene, Setting};

/// How long, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long.
    pub span: Duration,
    /// From one fault to the next, unless it takes longer.
    pub every: Duration,
    /// Decides which.
    pub seed: u64,
    /// Source messages per second.
    pub rate: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Report {
    /// What was asked for.
    pub plan: Plan,
    /// How long it was.
    pub took: Duration,
    /// Fault by fault: how often, and what shows that it happened.
    pub faults: Vec<(&'static str, u64, Vec<Evidence>)>,
    /// What the subscribers saw.
    pub end: End,
    /// Memory and descriptors.
    pub vitals: Vitals,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

/// Runs it. `tell` hears of every fault.
///
/// # Errors
/// When the run does not come about; everything else stands in the report.
pub fn run(
    setting: &Setting<'_>,
    plan: Plan,
    tell: &mut dyn FnMut(Duration, &str, &[Evidence]),
) -> Result<Report, Error> {
    let run = Run {
        rate: plan.rate,
        session: SESSION,
        events: EVENTS,
        receipts_kept: Some(RECEIPTS),
        ..small_run()
    };
    let mut scene = Scene::start_with(setting, "soak", SOAK, run)?;
    let mut report = Report {
        plan,
        took: Duration::ZERO,
        faults: Vec::new(),
        end: End::default(),
        vitals: Vitals::default(),
        broken: Vec::new(),
    };
    let mut faults: Vec<(Cell, Box<dyn Fault>, usize)> = CELLS
        .into_iter()
        .filter(|cell| cell.soaks != Soaks::Never)
        .map(|cell| (cell, (cell.fault)(), 0))
        .collect();
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let begun = Instant::now();
    let mut number = 0_u32;
    while begun.elapsed() < plan.span {
        number += 1;
        let of_now = match number % SELDOM {
            0 => Soaks::Seldom,
            _ => Soaks::Often,
        };
        let possible = (0..faults.len()).filter(|at| faults[*at].0.soaks == of_now);
        let possible: Vec<usize> = possible.collect();
        let Some(at) = dice.choice(possible) else {
            break;
        };
        let (cell, fault, turn) = &mut faults[at];
        let before = scene.rig.exchange().standing()?;
        let struck = fault
            .strike(&mut scene, *turn)
            .and_then(|evidence| scene.until_whole().map(|()| evidence));
        *turn += 1;
        match struck {
            Ok(evidence) => {
                tell(begun.elapsed(), cell.name, &evidence);
                let after = scene.rig.exchange().standing()?;
                // From one session to the next there is nothing to hear.
                let pauses = before.opened == before.closed || before.closed < after.closed;
                report.take(cell.name, &evidence, pauses);
            }
            Err(error) => {
                let at = begun.elapsed().as_secs();
                report
                    .broken
                    .push(format!("{at} s, {}: {error}", cell.name));
                break;
            }
        }
        while begun.elapsed() < (plan.every * number).min(plan.span) {
            scene.go_on(LOOK_EVERY)?;
            look(&mut scene, &mut report.vitals, begun.elapsed());
        }
        look(&mut scene, &mut report.vitals, begun.elapsed());
    }
    report.took = begun.elapsed();
    report.broken.extend(report.unseen());
    report.end = scene.finish(Owed::ToldOfGaps)?;
    report.broken.append(&mut report.end.broken);
    let judged = report.vitals.judged(warm_up);
    report.broken.extend(judged.iter().flat_map(Judged::broken));
    Ok(report)
}

/// Looks at every process that runs.
fn look(scene: &mut Scene, vitals: &mut Vitals, at: Duration) {
    // An adapter that is away is seen when it is back.
    let _ = scene.note_placed_alone();
    for seat in Seat::BOTH {
        if let Ok(process) = scene.rig.adapter(seat) {
            vitals.look(seat.binary(), process.id(), at);
        }
    }
    if let Some(process) = scene.rig.stream_admin() {
        vitals.look("stream-admin", process.id(), at);
    }
    let exchange = scene.rig.exchange().process().id();
    vitals.look("exchange", exchange, at);
    let first = scene.rig.probe().process().id();
    vitals.look("subscriber-1", first, at);
    for (name, probe) in ["subscriber-2", "subscriber-3"]
        .into_iter()
        .zip(&mut scene.others)
    {
        let pid = probe.process().id();
        vitals.look(name, pid, at);
    }
}

impl Report {
    fn take(&mut self, name: &'static str, evidence: &[Evidence], pauses: bool) {
        let excused = |it: &&Evidence| pauses && it.what == MEANWHILE;
        let none = evidence.iter().filter(|it| it.count == 0 && !excused(it));
        self.broken
            .extend(none.map(|it| format!("{name}: no {}", it.what)));
        let found = self.faults.iter().position(|(of, ..)| *of == name);
        let at = found.unwrap_or_else(|| {
            self.faults.push((name, 0, Vec::new()));
            self.faults.len() - 1
        });
        let (_, count, sums) = &mut self.faults[at];
        *count += 1;
        for it in evidence {
            match sums.iter_mut().find(|sum| sum.what == it.what) {
                Some(sum) => sum.count += it.count,
                None => sums.push(*it),
            }
        }
    }

    /// What no strike of a fault showed.
    fn unseen(&self) -> Vec<String> {
        let none = |(name, _, sums): &(&'static str, u64, Vec<Evidence>)| {
            let none = sums.iter().filter(|it| it.count == 0);
            let none = none.map(|it| format!("{name}: never any {}", it.what));
            none.collect::<Vec<_>>()
        };
        self.faults.iter().flat_map(none).collect()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { plan, end, .. } = self;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:.1} minutes, a fault every {} s (seed {}), {} source messages at {}/s, to three subscribers\n\n\
             | fault | times | what shows that it happened |\n|---|---|---|",
            self.took.as_secs_f64() / 60.0,
            plan.every.as_secs(),
            plan.seed,
            end.messages,
            plan.rate
        );
        for (name, count, evidence) in &self.faults {
            let evidence = evidence
                .iter()
                .map(|it| format!("{} {}", it.count, it.what));
            let evidence = evidence.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "| {name} | {count} | {evidence} |");
        }
        let _ = writeln!(
            text,
            "\nDuplicates dropped: {:?}; switches: {}; declared missing at the third subscriber, who was cut off: {}; \
             administrative messages placed alone: {}, of which subscribers that were past them were told {} times.\n\n\
             | process | id | warm-up | looked at behind it | resident KiB, first and last quarter | descriptors |\n|---|---|---|---|---|---|",
            end.duplicates_dropped, end.switches, end.declared, end.placed_alone, end.told_of_them,
        );
        for life in self.vitals.judged(warm_up) {
            let ([first, last], [opened, open]) = (life.resident_kib, life.descriptors);
            let change = (last as f64 / first.max(1) as f64 - 1.0) * 100.0;
            let _ = writeln!(
                text,
                "| {} | {} | {} s | {} s | {first} → {last} ({change:+.1} %) | {opened} → {open} |",
                life.name,
                life.pid,
                life.warm_up.as_secs(),
                life.span.as_secs()
            );
        }
        let _ = writeln!(text, "\nBroken promises: {}", self.broken.len());
        for broken in &self.broken {
            let _ = writeln!(text, "- {broken}");
        }
        text
    }
}

/// One session after the other, as days are.
const SESSION: Duration = Duration::from_secs(10);
/// Events that a subscriber's probe tells one by one: none is looked at, and its history is not to look like growth.
const EVENTS: usize = 64;
/// Receipts that stream-admin keeps: eight switches a minute would fill its 128 in a quarter of an hour, and every answer about
/// the feed, made of them, with it.
const RECEIPTS: usize = 8;
/// One fault of so many ends a process.
const SELDOM: u32 = 30;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a process fills what it fills once: histograms, tables, caches of an allocator, and what its kind says.
fn warm_up(process: &str) -> Duration {
    match process {
        // 32 MiB of what was sent is retained for fills by default, which 4,000 messages a second write once in 150 s.
        _ if Seat::BOTH.iter().any(|seat| seat.binary() == process) => Duration::from_secs(180),
        // Pages of its store, the receipts, and answers, which are made in as many arenas of the allocator as it has threads:
        // faults fill them, and a fault comes every 10 s.
        "stream-admin" => Duration::from_secs(120),
        _ => Duration::from_secs(60),
    }
}
