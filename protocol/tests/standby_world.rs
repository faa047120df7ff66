//! Two adapters of which one is silent, and two subscribers, under one seed: an active that is killed in mid-batch,
//! with or without a reset that tells, one that stands still for a while, a link that is cut and healed, epochs, an
//! operator, adapters that are apart, datagrams that are lost.
//!
//! What is judged is what the applications were told: every record once and in order, or inside what was
//! declared; and without losses on the way nothing is declared.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod dice;
mod standby_support;

use std::collections::VecDeque;

use dice::{Dice, seeds};
use standby_support::*;
use twinfeed_protocol::standby::Change;
use twinfeed_protocol::{
    Arbiter, Delivered, DiscontinuityCause, Event, Handler, Leg, Limits, OrderingClass, Policy,
    ResetCause, Tail,
};
use twinfeed_wire::{BodyKind, StreamId};

/// Seeds of a run of the test suite; `TWINFEED_STANDBY_SEEDS` says otherwise.
const SEEDS: u64 = 250;

/// What happens to the active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// Killed; the link says so.
    Killed,
    /// Gone with its host; nobody says so.
    Gone,
    /// Stopped for 60 ms.
    Stopped,
    /// The link is cut for 60 ms.
    Cut,
    /// Nothing.
    None,
}

/// What an application has got, against what there was.
#[derive(Debug)]
struct Oracle {
    expected: Vec<(u64, u64, u16)>,
    at: usize,
    broken: Vec<String>,
    /// Records inside what was declared.
    declared: usize,
    administrative: Vec<u64>,
    out_of_step: u64,
    switches: u64,
}

impl Oracle {
    fn skip_while(&mut self, missing: impl Fn(&(u64, u64, u16)) -> bool) {
        while self.expected.get(self.at).is_some_and(&missing) {
            self.at += 1;
            self.declared += 1;
        }
    }
}

impl Handler for Oracle {
    fn record(&mut self, record: &Delivered<'_>) {
        if record.kind == BodyKind::Administrative {
            self.administrative.push(record.adm.0);
            return;
        }
        let place = (record.pos.epoch.0, record.pos.sseq, record.pos.part);
        match self.expected.get(self.at) {
            Some(expected) if *expected == place => self.at += 1,
            expected => {
                self.broken
                    .push(format!("{place:?} instead of {expected:?}"));
                let found = self.expected.iter().position(|it| *it == place);
                self.at = found.map_or(self.at, |found| found + 1);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Gap { epoch, until, .. } => {
                let (epoch, until) = (epoch.0, (until.sseq, until.part));
                self.skip_while(|it| it.0 == epoch && (it.1, it.2) < until);
            }
            Event::Reset { epoch, cause, .. } => {
                let complete = matches!(
                    cause,
                    ResetCause::Epoch {
                        tail: Tail::Complete,
                        ..
                    }
                );
                let epoch = epoch.0;
                let before = self.declared;
                self.skip_while(|it| it.0 != epoch);
                if complete && self.declared != before {
                    self.broken.push(format!("an incomplete tail: {event:?}"));
                }
            }
            Event::Discontinuity {
                cause: DiscontinuityCause::Administrative,
                ..
            }
            | Event::AdministrativeGap { .. } => self.out_of_step += 1,
            Event::Discontinuity {
                cause: DiscontinuityCause::Join,
                ..
            } if self.at == 0 => {}
            Event::Switched(_) => self.switches += 1,
            Event::Leg { .. }
            | Event::Ended { .. }
            | Event::Recovered { .. }
            | Event::Stale { .. }
            | Event::Live { .. } => {}
            other => self.broken.push(format!("{other:?}")),
        }
    }
}

/// One application and its way to both adapters.
struct App {
    arbiter: Arbiter,
    oracle: Oracle,
    ways: [VecDeque<(u64, Vec<u8>)>; 2],
    delays: [u64; 2],
}

impl App {
    fn new(policy: Policy, expected: &[(u64, u64, u16)], dice: &mut Dice) -> Self {
        let mut arbiter = Arbiter::new(Limits {
            policy,
            ..Limits::default()
        })
        .unwrap();
        arbiter.add_source(SID, OrderingClass::Ordered);
        arbiter.set_stream(SID, Leg::Zero, StreamId(10));
        arbiter.set_stream(SID, Leg::One, StreamId(11));
        Self {
            arbiter,
            oracle: Oracle {
                expected: expected.to_vec(),
                at: 0,
                broken: Vec::new(),
                declared: 0,
                administrative: Vec::new(),
                out_of_step: 0,
                switches: 0,
            },
            ways: [VecDeque::new(), VecDeque::new()],
            delays: [1 + dice.below(8), 1 + dice.below(8)],
        }
    }

    fn turn(&mut self, tick: u64) {
        let now = at(tick).time;
        for leg in Leg::BOTH {
            let way = &mut self.ways[leg.index()];
            while way.front().is_some_and(|(due, _)| *due <= tick) {
                let (_, bytes) = way.pop_front().unwrap();
                self.arbiter.on_datagram(leg, now, &bytes, &mut self.oracle);
            }
        }
        if self.arbiter.next_deadline().is_some_and(|due| due <= now) {
            self.arbiter.on_deadline(now, &mut self.oracle);
        }
    }
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    unsent: u64,
    withheld: u64,
    replays: u64,
    replayed: u64,
    duplicates: u64,
    declared: usize,
    switches: u64,
    administrative: u64,
    out_of_step: u64,
    silent_again: u64,
    agreed: u64,
    false_suspicions: u64,
}

fn source(dice: &mut Dice) -> (Vec<Act>, Vec<(u64, u64, u16)>) {
    let (mut acts, mut expected) = (Vec::new(), Vec::new());
    for epoch in 1..=2 {
        acts.push(Act::Begin(epoch));
        let last = 500 + dice.below(1_500);
        for sseq in 1..=last {
            let parts = if dice.one_in(8) { dice.below(4) } else { 1 };
            acts.push(Act::Message(sseq, parts as usize));
            expected.extend((0..parts as u16).map(|part| (epoch, sseq, part)));
        }
        acts.push(Act::End(last + 1));
    }
    (acts, expected)
}

fn play(seed: u64, loses: bool, tally: &mut Tally) {
    let mut dice = Dice(seed);
    let (acts, expected) = source(&mut dice);
    let mut ends = pair(RETAIN);
    let mut apps = [Policy::FirstArrival, Policy::PreferActive]
        .map(|policy| App::new(policy, &expected, &mut dice));
    let slow = if dice.one_in(2) { 20 } else { 2 };
    let link_delay = 1 + dice.below(slow);
    let fault = [
        Fault::Killed,
        Fault::Gone,
        Fault::Stopped,
        Fault::Cut,
        Fault::None,
    ][dice.below(5) as usize];
    let fault_at = 600 + dice.below(1_500);
    let busy = 1 + dice.below(4);
    let (mut alive, mut linked) = (true, true);
    let mut reset_at = None;
    let mut grant_at = None;
    let mut done_at = None;
    let mut tick = 0;
    loop {
        tick += 1;
        assert!(tick < 60_000, "seed {seed} comes to an end");
        let stopped = fault == Fault::Stopped && (fault_at..fault_at + 60 * MS).contains(&tick);
        if fault == Fault::Cut && tick == fault_at {
            linked = false;
            ends.iter_mut().for_each(|end| end.link_down(tick, false));
        }
        if fault == Fault::Cut && tick == fault_at + 60 * MS {
            linked = true;
            ends.iter_mut().for_each(|end| {
                end.out.said.clear();
                end.link_up(tick);
            });
        }
        for index in 0..2 {
            if index == 0 && (!alive || stopped) {
                continue;
            }
            let ahead = ends[index].done.saturating_sub(ends[1 - index].done);
            let apart = ahead > 40 && alive && !stopped;
            let count = if tick < 500 || apart {
                0
            } else {
                dice.below(busy + 1) as usize
            };
            let end = &mut ends[index];
            end.hear(tick);
            let before = end.out.datagrams.len();
            if index == 0 && tick == fault_at && matches!(fault, Fault::Killed | Fault::Gone) {
                // It reports what it has placed, and dies before all of it is sent.
                end.work(tick, &acts, 30);
                let sent =
                    before + dice.below((end.out.datagrams.len() - before + 1) as u64) as usize;
                tally.unsent += (end.out.datagrams.len() - sent) as u64;
                end.out.datagrams.truncate(sent);
                alive = false;
                tally.kills += 1;
                let told = fault == Fault::Killed;
                reset_at = Some(tick + if told { link_delay + 1 } else { 400 * MS });
            } else {
                end.work(tick, &acts, count);
            }
        }
        if linked {
            let [one, other] = &mut ends;
            carry(tick, link_delay, one, other);
            if alive {
                carry(tick, link_delay, other, one);
            }
        }
        ends.iter_mut().for_each(|end| end.out.said.clear());
        if reset_at == Some(tick) {
            ends[1].hear(tick);
            ends[1].link_down(tick, fault == Fault::Killed);
        }
        if std::mem::take(&mut ends[1].out.wants_generation) {
            grant_at = Some(tick + 20);
        }
        if grant_at == Some(tick) {
            ends[1].grant(tick, 2, true);
        }
        if dice.one_in(300) {
            let active = usize::from(!alive);
            let in_reach = active == 1 || !stopped;
            let end = &ends[active];
            let protected = end.pair.is_protected(&end.seq) || !alive;
            if in_reach && protected && linked {
                ends[active].originate(tick);
            }
        }
        for (index, end) in ends.iter_mut().enumerate() {
            for bytes in end.take_datagrams() {
                for app in &mut apps {
                    if !(loses && tick > 550 && dice.one_in(100)) {
                        let due = tick + app.delays[index];
                        app.ways[index].push_back((due, bytes.clone()));
                    }
                }
            }
        }
        apps.iter_mut().for_each(|app| app.turn(tick));
        let finished = ends[1].done == acts.len() && (!alive || ends[0].done == acts.len());
        if finished && done_at.is_none() {
            done_at = Some(tick);
        }
        if done_at.is_some_and(|at| tick > at + 600 * MS) {
            break;
        }
    }
    judge(seed, (fault, loses), &ends, &apps, tally);
}

fn judge(
    seed: u64,
    (fault, loses): (Fault, bool),
    ends: &[Adapter; 2],
    apps: &[App; 2],
    tally: &mut Tally,
) {
    let backup = &ends[1];
    tally.withheld += backup.seq.counters().withheld;
    tally.replays += backup.standby.counters().replays;
    tally.replayed += backup.standby.counters().replayed_records;
    assert_eq!(backup.standby.counters().short, 0, "seed {seed}");
    let suspected = backup
        .changes
        .iter()
        .any(|change| matches!(change, Change::Transmits { .. }));
    match fault {
        Fault::Killed | Fault::Gone => {
            assert!(
                suspected && !backup.is_on_standby(),
                "seed {seed}: {fault:?}"
            );
        }
        Fault::Stopped | Fault::Cut => {
            assert!(suspected, "seed {seed}: {fault:?}");
            tally.false_suspicions += 1;
            tally.silent_again += u64::from(backup.is_on_standby());
        }
        Fault::None => {
            let active = with_records_sent(ends);
            assert!(
                !suspected && active == 0,
                "seed {seed}: {:?}",
                backup.changes
            );
        }
    }
    for app in apps {
        let oracle = &app.oracle;
        assert_eq!(
            oracle.broken,
            Vec::<String>::new(),
            "seed {seed}: {fault:?}"
        );
        assert_eq!(
            oracle.at,
            oracle.expected.len(),
            "seed {seed}: {fault:?}, {loses}"
        );
        if !loses {
            assert_eq!(oracle.declared, 0, "seed {seed}: {fault:?}");
        }
        // What the active had to place without the backup is not inherited.
        let agreed = ends[0].seq.counters().placed_alone == 0;
        if !loses && agreed && matches!(fault, Fault::Killed | Fault::None) {
            tally.agreed += 1;
            let numbers: Vec<u64> = (0..oracle.administrative.len() as u64).collect();
            assert_eq!(oracle.administrative, numbers, "seed {seed}: {fault:?}");
            assert_eq!(oracle.out_of_step, 0, "seed {seed}: {fault:?}");
        }
        let once = oracle.administrative.is_sorted_by(|one, next| one < next);
        assert!(once, "seed {seed}: {:?}", oracle.administrative);
        tally.declared += oracle.declared;
        tally.switches += oracle.switches;
        tally.administrative += oracle.administrative.len() as u64;
        tally.out_of_step += oracle.out_of_step;
        tally.duplicates += app.arbiter.counters().duplicates;
    }
}

/// Datagrams with records that the backup has sent since it first went on standby: known to its counters.
fn with_records_sent(ends: &[Adapter; 2]) -> u64 {
    let counters = ends[1].seq.counters();
    counters.datagrams - counters.heartbeats
}

fn tried() -> u64 {
    seeds("TWINFEED_STANDBY_SEEDS", SEEDS)
}

#[test]
fn without_losses_on_the_way_nobody_notices() {
    let mut tally = Tally::default();
    for seed in 0..tried() {
        play(seed, false, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.kills > tried() / 4 && tally.unsent > 0, "{tally:?}");
    assert!(tally.withheld > 0 && tally.replays > 0 && tally.replayed > 0);
    assert!(tally.duplicates > 0 && tally.switches > 0 && tally.administrative > 0);
    assert!(tally.agreed > tried() / 10, "{tally:?}");
    assert!(
        tally.silent_again > 0 && tally.false_suspicions > 0,
        "{tally:?}"
    );
}

#[test]
fn with_losses_everything_is_delivered_once_or_declared() {
    let mut tally = Tally::default();
    for seed in 0..tried() {
        play(1_000_000 + seed, true, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.declared > 0 && tally.replays > 0, "{tally:?}");
}
