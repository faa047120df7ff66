//! A scheduled hand-back, by the wall's clock: at its time, within its window, once a day.

use std::collections::BTreeMap;

use twinfeed_control::{
    Generation, LinkState, Role, RoleAction, RoleChange, StepDown, TakeoverCause,
};

use super::super::record::Record;
use super::super::roles::tests::{
    assignment, feed, hand_over, id, order, refused, report, settled, sit, take,
};
use super::super::tests::{feed_settings, saved, started_as};
use super::*;
use crate::lease::Now;
use crate::registry::FeedSettings;

/// Half past five in New York in summer is 21:30 UTC; the window is over at 21:40.
const SUMMER: &str = "17:30 America/New_York";

fn daily() -> HandBack {
    HandBack::Daily(SUMMER.parse().unwrap())
}

fn started(saved: Vec<Record>, takeover: TakeoverPolicy) -> Registry {
    let feed = FeedSettings {
        takeover,
        hand_back: daily(),
        ..feed_settings()
    };
    started_as(saved, feed, Now(0))
}

fn unix_us(wall: &str) -> u64 {
    let moment: jiff::Timestamp = format!("2026-07-{wall}Z").parse().unwrap();
    u64::try_from(moment.as_microsecond()).unwrap()
}

/// What the driver does when the wall shows `wall` (day and time UTC, of July 2026).
fn tick(registry: &mut Registry, wall: &str, now: u64) {
    registry.note_time(unix_us(wall));
    registry.tick(Now(now));
    for name in registry.feeds_to_hand_back(Now(now)) {
        registry.hand_back(&name, Now(now));
    }
}

fn reports(registry: &mut Registry, now: u64) {
    for leg in [0, 1] {
        report(registry, leg, leg as u64 + 1, LinkState::Up, now);
    }
}

/// The operator hands over and the backup takes over, at `now`; protected from then on.
fn handed_over(registry: &mut Registry, key: &str, to: usize, now: u64) {
    hand_over(registry, key, now).unwrap();
    take(registry, to, to as u64 + 1, TakeoverCause::SteppedDown, now).unwrap();
    reports(registry, now);
}

/// Incarnations 1 and 2, protected; the one that prefers to be active is backup, under generation 2.
fn away(takeover: TakeoverPolicy) -> Registry {
    let mut registry = started(Vec::new(), takeover);
    registry.note_time(unix_us("01T15:00:00"));
    for (role, incarnation) in [(Role::Active, 1), (Role::Backup, 2)] {
        sit(&mut registry, role, incarnation, 0);
    }
    reports(&mut registry, 0);
    handed_over(&mut registry, "away", 1, 0);
    registry
}

fn hand_backs(registry: &Registry) -> Vec<RoleChange> {
    let all = registry.role_changes(&feed()).unwrap().into_iter();
    all.filter(|it| it.cause == RoleCause::HandBack).collect()
}

fn shown(registry: &Registry, now: u64) -> String {
    registry.status(Now(now))[0].pair.hand_back.clone().unwrap()
}

fn ordered(registry: &Registry, now: u64) -> Option<StepDown> {
    assignment(registry, 1, 2, now).step_down
}

#[test]
fn a_generation_goes_back_at_its_time_and_once_that_day() {
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    tick(&mut registry, "01T21:29:59.999999", 1);
    assert_eq!(hand_backs(&registry), []);
    assert_eq!(shown(&registry, 1), SUMMER);
    tick(&mut registry, "01T21:30:00", 2);
    let begun = hand_backs(&registry)[0].clone();
    assert_eq!(
        (begun.by.as_str(), begun.key.clone(), begun.action.clone()),
        ("schedule", None, None)
    );
    assert_eq!((begun.adapter.clone(), begun.from.0), (Some(id(0)), 2));
    assert_eq!(begun.outcome, RoleOutcome::Pending);
    assert_eq!(ordered(&registry, 2).unwrap().number, begun.number);
    tick(&mut registry, "01T21:30:00.1", 3);
    take(&mut registry, 0, 1, TakeoverCause::SteppedDown, 3).unwrap();
    reports(&mut registry, 3);
    let done = RoleOutcome::Done {
        generation: Generation(3),
        seamless: Some(true),
    };
    assert_eq!(settled(&registry, begun.number), done);
    // Away again within the window: not a second time.
    handed_over(&mut registry, "again", 1, 4);
    for wall in ["01T21:31:00", "01T21:41:00", "02T21:29:59"] {
        tick(&mut registry, wall, 5);
        assert_eq!(hand_backs(&registry).len(), 1, "{wall}");
    }
    tick(&mut registry, "02T21:30:00", 6);
    assert_eq!(hand_backs(&registry).len(), 2);
}

#[test]
fn what_is_not_possible_is_tried_again_until_the_window_is_over_and_then_told_once() {
    for (mends, begins) in [("01T21:39:59.999999", true), ("01T21:40:00", false)] {
        let mut registry = away(TakeoverPolicy::OnPeerLost);
        report(&mut registry, 1, 2, LinkState::Down, 1);
        for wall in ["01T21:30:00", "01T21:35:00"] {
            tick(&mut registry, wall, 1);
            assert_eq!(hand_backs(&registry), [], "{wall}");
            assert!(shown(&registry, 1).contains("waits: the pair of feed itch is not protected"));
        }
        reports(&mut registry, 2);
        tick(&mut registry, mends, 2);
        let told = hand_backs(&registry);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].outcome == RoleOutcome::Pending, begins, "{mends}");
        if !begins {
            assert!(refused(&registry, told[0].number).contains("pair link down"));
        }
        assert_eq!(ordered(&registry, 2).is_some(), begins);
        assert_eq!(shown(&registry, 2), SUMMER);
        tick(&mut registry, "01T21:40:01", 3);
        assert_eq!(hand_backs(&registry).len(), 1, "told once");
    }
}

#[test]
fn a_pin_and_the_policy_keep_it_back() {
    let pin = |leg| RoleAction::Pin { adapter: id(leg) };
    for (takeover, action, reason) in [
        (
            TakeoverPolicy::OnPeerLost,
            Some(pin(1)),
            Some("pinned to adapter itch.backup"),
        ),
        (TakeoverPolicy::OnSilence, Some(pin(0)), None),
        (TakeoverPolicy::OnSilence, None, None),
        (
            TakeoverPolicy::Operator,
            None,
            Some("takeover = \"operator\""),
        ),
    ] {
        let mut registry = away(takeover);
        if let Some(action) = action {
            order(&mut registry, "pin", action, 1).unwrap();
        }
        tick(&mut registry, "01T21:30:00", 1);
        assert_eq!(hand_backs(&registry).len(), usize::from(reason.is_none()));
        tick(&mut registry, "01T21:40:00", 2);
        let told = hand_backs(&registry);
        assert_eq!(told.len(), 1, "{takeover} {reason:?}");
        match reason {
            Some(reason) => assert!(refused(&registry, told[0].number).contains(reason)),
            None => assert_eq!(told[0].outcome, RoleOutcome::Pending),
        }
    }
}

/// An order of the operator's that is under way comes first; one that came to nothing leaves the turn open.
#[test]
fn a_hand_over_that_is_under_way_is_waited_for() {
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    let first = hand_over(&mut registry, "mine", 1).unwrap();
    tick(&mut registry, "01T21:30:00", 2);
    assert_eq!(hand_backs(&registry), []);
    assert!(shown(&registry, 2).contains("under way"));
    tick(&mut registry, "01T21:30:01", 60);
    assert!(refused(&registry, first.number).contains("within 50 ms"));
    assert_eq!(hand_backs(&registry).len(), 1);
    // And one of the schedule's own that came to nothing is not repeated that day.
    tick(&mut registry, "01T21:30:02", 120);
    reports(&mut registry, 120);
    tick(&mut registry, "01T21:35:00", 121);
    let told = hand_backs(&registry);
    assert_eq!(told.len(), 1);
    assert!(refused(&registry, told[0].number).contains("within 50 ms"));
}

#[test]
fn where_nothing_is_to_be_handed_back_the_day_is_over() {
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    handed_over(&mut registry, "home", 0, 1);
    tick(&mut registry, "01T21:30:00", 2);
    handed_over(&mut registry, "away-again", 1, 3);
    tick(&mut registry, "01T21:35:00", 4);
    assert_eq!(hand_backs(&registry), []);
    tick(&mut registry, "02T21:35:00", 5);
    assert_eq!(
        hand_backs(&registry).len(),
        1,
        "five minutes late the next day"
    );
}

/// The server restarts after what `before` did; who sat goes on sitting, protected.
fn restarted(registry: &mut Registry, kept: &mut BTreeMap<String, Record>) -> Registry {
    saved(registry, kept);
    let records = kept.values().cloned().collect();
    let mut next = started(records, TakeoverPolicy::OnPeerLost);
    reports(&mut next, 1);
    next
}

#[test]
fn a_restart_neither_repeats_nor_forgets_a_hand_back() {
    let mut kept = BTreeMap::new();
    // Begun, and cut short by the restart: that was today's.
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    tick(&mut registry, "01T21:30:00", 1);
    let mut next = restarted(&mut registry, &mut kept);
    tick(&mut next, "01T21:31:00", 2);
    let told = hand_backs(&next);
    assert_eq!(told.len(), 1);
    assert!(refused(&next, told[0].number).contains("restarted"));
    // Waiting: it goes on waiting.
    let mut kept = BTreeMap::new();
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    report(&mut registry, 1, 2, LinkState::Down, 1);
    tick(&mut registry, "01T21:30:00", 1);
    let mut next = restarted(&mut registry, &mut kept);
    tick(&mut next, "01T21:39:00", 2);
    assert_eq!(hand_backs(&next).len(), 1);
    // Away for the whole window: left out.
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    let mut next = restarted(&mut registry, &mut BTreeMap::new());
    tick(&mut next, "01T21:40:00", 2);
    assert_eq!(hand_backs(&next), []);
}

#[test]
fn a_clock_that_is_moved_repeats_nothing() {
    // Back, after it was done.
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    tick(&mut registry, "01T21:30:05", 1);
    take(&mut registry, 0, 1, TakeoverCause::SteppedDown, 1).unwrap();
    reports(&mut registry, 1);
    handed_over(&mut registry, "away-again", 1, 2);
    for wall in ["01T21:00:00", "01T21:30:00", "01T21:39:59"] {
        tick(&mut registry, wall, 3);
        assert_eq!(hand_backs(&registry).len(), 1, "{wall}");
    }
    // Back, while it waits.
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    report(&mut registry, 1, 2, LinkState::Down, 1);
    tick(&mut registry, "01T21:30:00", 1);
    tick(&mut registry, "01T21:29:59", 2);
    reports(&mut registry, 2);
    tick(&mut registry, "01T21:29:59.5", 2);
    assert_eq!(hand_backs(&registry), []);
    tick(&mut registry, "01T21:30:00", 3);
    assert_eq!(hand_backs(&registry).len(), 1);
    // Forth, over the whole window.
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    tick(&mut registry, "01T21:29:59", 1);
    tick(&mut registry, "01T21:40:00", 2);
    assert_eq!(hand_backs(&registry), []);
}

#[test]
fn a_hand_back_that_could_not_be_written_never_happened() {
    let mut registry = away(TakeoverPolicy::OnPeerLost);
    registry.note_time(unix_us("01T21:30:00"));
    assert_eq!(registry.feeds_to_hand_back(Now(1)), [feed()]);
    let backup = registry.feed_backup(&feed()).unwrap();
    registry.hand_back(&feed(), Now(1));
    assert_eq!(registry.feeds_to_hand_back(Now(1)), []);
    registry.put_back(backup);
    assert_eq!(hand_backs(&registry), []);
    assert_eq!(ordered(&registry, 1), None);
    assert_eq!(registry.feeds_to_hand_back(Now(2)), [feed()]);
}
