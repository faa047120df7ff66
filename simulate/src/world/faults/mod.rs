//! What goes wrong besides the network?
//!
//! A [`Fault`] strikes at a time that the plan gives it, and again when it says so (most faults end, too).
//! A fault added to the world is one struct in one file here and one line in [`draw`].

use core::fmt;
use core::time::Duration;

use twinfeed_protocol::Leg;

use super::World;
use super::pair::trap::Case;
use super::rng::Rng;
use crate::coverage::watch::Undecided;

pub mod born;
pub mod clock;
pub mod comeback;
pub mod disk;

pub mod handover;
pub mod hearing;
pub mod misconvert;
pub mod order;
pub mod orphaned;
pub mod pair;
pub mod partition;
pub mod pause;
pub mod process;
pub mod refresh;
pub mod repeat;
pub mod server;
pub mod there_and_back;
pub mod undecided;
pub mod unheard;
pub mod visit;

/// Something that goes wrong at a given time.
pub trait Fault: fmt::Debug {
    /// The name under which it is counted.
    fn name(&self) -> &'static str;
    /// Whether the next strike makes something go wrong, rather than ends it or looks for its moment.
    fn begins(&self) -> bool {
        true
    }
    /// Goes wrong; the span is the time until it wants to be called again.
    fn strike(&mut self, world: &mut World) -> Option<Duration>;
}

/// A fault drawn by chance.
#[must_use]
pub fn draw(rng: &mut Rng) -> Box<dyn Fault> {
    let leg = rng.pick(&Leg::BOTH);
    let soon = rng.micros(500, 20_000);
    let later = rng.micros(10_000, 120_000);
    match rng.below(12) {
        0 | 1 => Box::new(process::Kill::for_a_while(leg, later)),
        2 => Box::new(process::Kill::for_a_while(leg, soon)),
        3 => Box::new(process::Stop::for_a_while(leg, later)),
        4 => Box::new(process::Stop::for_a_while(leg, soon)),
        5 => Box::new(process::StepDown::for_a_while(leg, later)),
        6 => Box::new(partition::Cut::of(leg, rng.pick(&[soon, later]))),
        7 => Box::new(partition::PairLink::for_a_while(later)),
        8 | 9 => Box::new(hearing::Deaf::of(leg, rng.pick(&[soon, later]))),
        10 => Box::new(pause::Pause::of(rng.pick(&[soon, later]))),
        _ => Box::new(order::SwitchTo::new(leg)),
    }
}

/// A fault of a pair, drawn by chance: one behind which a takeover is seamless or there is none.
#[must_use]
pub fn draw_of_pair(rng: &mut Rng) -> Box<dyn Fault> {
    let leg = rng.pick(&Leg::BOTH);
    let soon = rng.micros(500, 10_000);
    let later = rng.micros(10_000, 80_000);
    let one = rng.one_in(2).then_some(leg);
    match rng.below(16) {
        0..=8 => {
            let case = rng.pick(&[
                Case::Announced,
                Case::Unanswered,
                Case::Unanswered,
                Case::OneSubscriber,
                Case::OneSubscriber,
                Case::Three,
            ]);
            Box::new(pair::Moment::of(case, soon))
        }
        9 => Box::new(pair::KillBackup::for_a_while(soon)),
        10 => Box::new(pair::LinkClosed::to(one, soon)),
        11 => Box::new(pair::LinkClosed::to(one, later)),
        12 => Box::new(pair::AdminAway::from(one, later)),
        13 => Box::new(process::Stop::for_a_while(leg, rng.pick(&[soon, later]))),
        14 => Box::new(pause::Pause::of(rng.pick(&[soon, later]))),
        _ => Box::new(partition::Cut::of(leg, rng.pick(&[soon, later]))),
    }
}

/// A fault of a pair, drawn by chance, behind which what was agreed may be lost.
#[must_use]
pub fn draw_of_split_pair(rng: &mut Rng) -> Box<dyn Fault> {
    let soon = rng.micros(500, 10_000);
    let later = rng.micros(20_000, 120_000);
    match rng.below(9) {
        0 | 1 => Box::new(pair::Moment::of(Case::Alone, soon)),
        2 | 3 => Box::new(pair::Moment::of(Case::Alone, soon).and_forced(soon)),
        4 => Box::new(pair::Forced),
        5 | 6 => Box::new(pair::Split::for_a_while(later)),
        _ => draw(rng),
    }
}

/// A fault of a long world, drawn by chance: everything that there is, and longer.
#[must_use]
pub fn draw_of_long(rng: &mut Rng) -> Box<dyn Fault> {
    let leg = rng.pick(&Leg::BOTH);
    let one = rng.one_in(2).then_some(leg);
    let soon = rng.micros(500, 50_000);
    let later = rng.micros(50_000, 2_000_000);
    let span = rng.pick(&[soon, later]);
    match rng.below(26) {
        0 => Box::new(process::Kill::for_a_while(leg, span)),
        1 => Box::new(process::Stop::for_a_while(leg, span)),
        2 => Box::new(process::StepDown::for_a_while(leg, span)),
        3 => Box::new(partition::Cut::of(leg, span)),
        4 => Box::new(partition::CutOne::of(leg, span)),
        5 => Box::new(partition::Blackout::of(soon)),
        6 => Box::new(hearing::Deaf::of(leg, soon)),
        7 => Box::new(pause::Pause::of(span)),
        8 => Box::new(order::SwitchTo::new(leg)),
        9 => Box::new(pair::KillBackup::for_a_while(span)),
        10 => Box::new(pair::LinkClosed::to(None, span)),
        11 => Box::new(pair::LinkClosed::to(Some(leg), span)),
        12 => Box::new(pair::AdminAway::from(one, later)),
        13 => Box::new(pair::Forced),
        14 => Box::new(pair::Split::for_a_while(later)),
        15 | 16 => {
            let case = rng.pick(&Case::ALL);
            Box::new(pair::Moment::of(case, span))
        }
        17 => Box::new(pair::Moment::of(Case::Alone, later).and_forced(soon)),
        18 => {
            let whose = match rng.one_in(2) {
                true => clock::Whose::Adapter(leg),
                false => clock::Whose::Subscriber,
            };
            Box::new(clock::Drift::of(whose, rng.between(0, 600) as i64 - 300))
        }
        19 => {
            let by = Duration::from_secs(rng.between(1, 3_600));
            Box::new(clock::Step::of(leg, by, rng.one_in(2)))
        }
        20 | 21 => {
            use disk::Disk::{Full, Kept, Lost, Torn};
            let disk = rng.pick(&[Kept, Lost, Torn, Full]);
            Box::new(disk::Restart::of(leg, disk, span))
        }
        22 => Box::new(visit::Visit::away_for(later)),
        _ => Box::new(handover::HandOver::within(rng.pick(&[soon, later]))),
    }
}

/// A fault of a long world, drawn by chance, behind which both adapters still remember the same.
#[must_use]
pub fn draw_that_loses_nothing(rng: &mut Rng) -> Box<dyn Fault> {
    let leg = rng.pick(&Leg::BOTH);
    let soon = rng.micros(500, 50_000);
    let later = rng.micros(50_000, 2_000_000);
    let span = rng.pick(&[soon, later]);
    match rng.below(12) {
        0 => Box::new(process::Stop::for_a_while(leg, span)),
        1 => Box::new(partition::Cut::of(leg, span)),
        2 => Box::new(partition::CutOne::of(leg, span)),
        3 => Box::new(pause::Pause::of(span)),
        4 | 5 => Box::new(order::SwitchTo::new(leg)),
        6 => Box::new(pair::LinkClosed::to(None, soon)),
        7 => Box::new(pair::AdminAway::from(Some(leg), later)),
        8 => Box::new(pair::Forced),
        9 => Box::new(clock::Drift::of(clock::Whose::Adapter(leg), 200)),
        10 => Box::new(clock::Step::of(leg, Duration::from_secs(3_600), true)),
        _ => Box::new(handover::HandOver::within(later)),
    }
}

/// Faults of a long world that bring moments which seldom come, each by a generator of its own, with their times.
#[must_use]
pub fn draw_rare(seed: u64) -> Vec<(Duration, Box<dyn Fault>)> {
    let mut faults: Vec<(Duration, Box<dyn Fault>)> = Vec::new();
    let mut rng = Rng::of(seed, "there and back");
    for _ in 0..rng.below(4) {
        let pause = rng.micros(2_000, 12_000);
        let fault = there_and_back::ThereAndBack::with_pause(pause);
        faults.push((some_time(&mut rng), Box::new(fault)));
    }
    let mut rng = Rng::of(seed, "orphaned");
    for _ in 0..rng.below(3) {
        let (span, deaf, cut) = (rng.micros(10_000, 300_000), rng.one_in(2), rng.one_in(2));
        let fault = orphaned::Orphaned::for_a_while(span, deaf, cut);
        faults.push((some_time(&mut rng), Box::new(fault)));
    }
    let mut rng = Rng::of(seed, "unheard");
    for _ in 0..rng.below(3) {
        let (leg, away) = (rng.pick(&Leg::BOTH), rng.micros(500, 500_000));
        let fault = unheard::Unheard::of(leg, away, rng.micros(1_000, 200_000));
        faults.push((some_time(&mut rng), Box::new(fault)));
    }
    let mut rng = Rng::of(seed, "born");
    for _ in 0..rng.below(7) {
        use born::Moment::{AtEnd, BehindEnd, InBurst};
        let (leg, moment) = (
            rng.pick(&Leg::BOTH),
            rng.pick(&[InBurst, InBurst, AtEnd, BehindEnd]),
        );
        let longest = rng.pick(&[500, 8_000]);
        let fault = born::Born::at(leg, moment, rng.micros(0, longest));
        faults.push((some_time(&mut rng), Box::new(fault)));
    }
    let mut rng = Rng::of(seed, "undecided");
    for _ in 0..rng.below(3) {
        let what = rng.pick(&[Undecided::Beginning, Undecided::Hole, Undecided::End]);
        let (leg, span) = (rng.pick(&Leg::BOTH), rng.pick(&[1_100, 3_200]));
        let span = Duration::from_millis(span);
        let fault = undecided::StoppedUndecided::of(leg, what, span);
        faults.push((some_time(&mut rng), Box::new(fault)));
    }
    faults
}

/// The active dies with words that it has said and not written, behind a message that was committed to a nearer slot.
#[must_use]
pub fn draw_unwritten(seed: u64) -> Vec<(Duration, Box<dyn Fault>)> {
    let mut rng = Rng::of(seed, "words that are not written");
    let draw = |_| {
        let at = some_time(&mut rng);
        let back_in = rng.micros(20_000, 1_000_000);
        let fault: Box<dyn Fault> = Box::new(pair::Moment::of(Case::Committed, back_in));
        (at, fault)
    };
    (0..UNWRITTEN).map(draw).collect()
}

/// How often the active of such a world is to die so.
const UNWRITTEN: u64 = 4;

/// Applications that come back, with their times: within `within`, and away for no longer than `longest`.
#[must_use]
pub fn draw_comebacks(
    seed: u64,
    within: Duration,
    longest: Duration,
) -> Vec<(Duration, Box<dyn Fault>)> {
    let mut rng = Rng::of(seed, "comebacks");
    let (within, longest) = (within.as_micros() as u64, longest.as_micros() as u64);
    let times = rng.pick(&[0, 0, 1, 3]);
    let draw = |_| {
        let at = rng.micros(within / 50, within);
        let span = rng.pick(&[longest / 100, longest / 10, longest]);
        let span = rng.micros(span / 10, span);
        let unkept = rng.pick(&[0, longest / 100]);
        let unkept = rng.micros(0, unkept);
        let fault: Box<dyn Fault> = Box::new(comeback::Comeback::away_for(span, unkept));
        (at, fault)
    };
    (0..times).map(draw).collect()
}

fn some_time(rng: &mut Rng) -> Duration {
    rng.micros(100_000, 50_000_000)
}
