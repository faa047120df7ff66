//! Does an application go on where its last run stood, with real processes?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{
    LIMIT, alone, example, nothing_lost, small_run, start, until_delivered, until_session, wait_for,
};
use rustix::process::Signal;
use twinfeed_control::{Policy, TransmitMode};
use twinfeed_harness::files::FEED;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};
use twinfeed_subscriber::record::MboMsg;
use twinfeed_subscriber::record::code::action;
use twinfeed_subscriber::{
    Builder, Cursor, Cursors, DataPoller, Delivered, Epoch, Event, Handler, Place, RecordBody as _,
    Sid,
};

/// Sessions of 12,000 messages.
fn longer() -> Run {
    Run {
        session: Duration::from_secs(3),
        ..small_run()
    }
}

/// Waits until so many messages of the first session were delivered, and lets the application leave in the middle of it.
fn leave(rig: &mut Rig, messages: u64, after_ms: u64) {
    until_delivered(rig, messages);
    rig.probe().resume(after_ms).unwrap();
}

/// Waits until the application that came back was given so many records, at least, of what it missed.
fn until_given(rig: &mut Rig, records: u64) {
    wait_for("what was missed is given", || {
        let seen = rig.probe().summary().unwrap();
        match seen.filled.iter().sum::<u64>() >= records {
            true => Ok(()),
            false => Err(format!("{:?} {:?}", seen.filled, seen.events)),
        }
    });
}

#[track_caller]
fn without_a_gap(rig: Rig) {
    let finished = nothing_lost(rig);
    assert_eq!(finished.seen.gaps, []);
}

fn goes_on(run: &Run) {
    let _alone = alone();
    let mut rig = start(run);
    rig.open().unwrap();
    for messages in [500, 4_000] {
        leave(&mut rig, messages, 150);
        until_given(&mut rig, 1);
    }
    without_a_gap(rig);
}

#[test]
fn what_passed_meanwhile_is_given_by_the_adapters() {
    for policy in [Policy::FirstArrival, Policy::PreferActive] {
        goes_on(&Run { policy, ..longer() });
    }
}

#[test]
fn what_a_backup_withheld_meanwhile_is_given_too() {
    goes_on(&Run {
        transmit: TransmitMode::Standby,
        ..longer()
    });
}

#[test]
fn it_holds_on_the_other_leg_when_the_active_has_died_meanwhile() {
    let _alone = alone();
    let mut rig = start(&longer());
    rig.open().unwrap();
    leave(&mut rig, 1_000, 300);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    until_given(&mut rig, 1);
    until_delivered(&mut rig, 6_000);
    without_a_gap(rig);
}

#[test]
fn a_session_that_ended_meanwhile_is_finished_before_the_next_one() {
    let _alone = alone();
    let mut rig = start(&longer());
    rig.open().unwrap();
    // Longer than what is left of the session.
    leave(&mut rig, 1_000, 4_000);
    until_session(&mut rig, 2);
    // Most of a session.
    until_given(&mut rig, 5_000);
    without_a_gap(rig);
}

/// What the trades in front of each place come to: how many, and their volume.
#[derive(Default)]
struct Sums {
    at: BTreeMap<(Epoch, Place), (u64, u64)>,
    so_far: (u64, u64),
    cursors: Cursors,
    gaps: usize,
}

impl Sums {
    fn note(&mut self) {
        let Some(cursor) = self.cursors.get(Sid(1)) else {
            return;
        };
        let here = (cursor.next.epoch, cursor.place());
        self.at.insert(here, self.so_far);
    }
}

impl Handler for Sums {
    fn record(&mut self, record: &Delivered<'_>) {
        let trade = record.dbn::<MboMsg>();
        if let Some(trade) = trade.filter(|it| it.action == action::TRADE) {
            self.so_far.0 += 1;
            self.so_far.1 += u64::from(trade.size.get());
        }
        self.cursors.record(record);
        self.note();
    }

    fn event(&mut self, event: &Event) {
        self.gaps += usize::from(matches!(event, Event::Gap { .. }));
        self.cursors.event(event);
        self.note();
    }
}

/// What the example kept.
fn kept(path: &std::path::Path) -> Option<((u64, u64), bool, Cursor)> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    let sums: Vec<&str> = lines.next()?.split(' ').collect();
    let [trades, volume, whole] = sums[..] else {
        panic!("{text}");
    };
    let sums = (trades.parse().unwrap(), volume.parse().unwrap());
    // Before anything was told there is no cursor.
    let cursor = lines.next()?.parse().unwrap();
    Some((sums, whole.parse().unwrap(), cursor))
}

/// Polls the one who was there from the start until `done`.
fn until(
    poller: &mut DataPoller,
    sums: &mut Sums,
    what: &str,
    mut done: impl FnMut(&Sums) -> bool,
) {
    let start = Instant::now();
    while !done(sums) {
        if poller.poll(256, sums) == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(start.elapsed() < LIMIT, "{what}");
    }
}

#[test]
fn the_example_adds_up_every_trade_once_however_often_it_is_killed() {
    let _alone = alone();
    let resume = example("resume");
    let mut rig = start(&longer());
    let files = rig.files();
    let (url, token, state) = (
        files.url().to_owned(),
        files.path("tokens/subscriber"),
        files.path("resumed"),
    );
    let run = || -> Child {
        let mut command = Command::new(&resume);
        command.args([&url, FEED]).args([&token, &state]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let builder = Builder::new(&url, FEED.parse().unwrap()).token_file(&token);
    let (mut poller, control) = builder.open().unwrap();
    let control = control.spawn().unwrap();
    let mut sums = Sums::default();
    rig.open().unwrap();
    until(&mut poller, &mut sums, "there are trades", |sums| {
        sums.so_far.0 > 20
    });
    let (mut before, mut dice) = (None, fastrand::Rng::with_seed(8));
    let (mut compared, mut last) = (0, None);
    for round in 0..8 {
        let mut child = run();
        // It has gone on, whatever it had kept.
        let more = || kept(&state).map(|(.., it)| (it.next.epoch, it.place()));
        until(&mut poller, &mut sums, "it keeps more", |_| {
            more().is_some() && more() != last
        });
        let far = sums.at.len() + dice.usize(1..400);
        until(&mut poller, &mut sums, "the session goes on", |sums| {
            sums.at.len() >= far
        });
        // At whatever it is at; of its two states it may be the newer one by then.
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it ran until then");
        let ((trades, volume), whole, cursor) = kept(&state).unwrap();
        let here = (cursor.next.epoch, cursor.place());
        until(
            &mut poller,
            &mut sums,
            "whoever was there has come so far",
            |sums| sums.at.contains_key(&here),
        );
        let of_all = sums.at[&here];
        // What was before it was first there.
        let missed = (of_all.0 - trades, of_all.1 - volume);
        assert_eq!(
            *before.get_or_insert(missed),
            missed,
            "{round}: at {cursor}"
        );
        assert!(whole, "{round}");
        (compared, last) = (compared + trades, Some(here));
    }
    assert_eq!(sums.gaps, 0);
    assert!(compared > 100, "{compared}");
    drop(poller);
    control.stop().unwrap();
    rig.leave().unwrap();
}
